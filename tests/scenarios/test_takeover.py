"""An execution that ended badly leaves its lease behind: the team is started again, and finished."""

import threading
import time

from podshare_sandbox import Sandbox
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, DATASETS, HUB, REGION, VISION, World

MACHINE = f"arn:aws:states:{REGION}:{HUB}:stateMachine:podshare-reconcile-team"


def test_a_holder_that_died_is_taken_over() -> None:
    """An aborted execution leaves its lease; the rule starts the team again, which waits and then finishes the work."""
    with Sandbox(time_scale=0.02) as sandbox:
        world = World(sandbox)
        sandbox.deploy_podshare({"FunctionTimeoutSeconds": "30"})
        world.put(CLUSTER, *DATASETS)
        world.put(a_team_item("golf", service_accounts=[]), settle=False)
        states = sandbox.client("stepfunctions")
        waiter = threading.Event()
        for _ in range(200):
            running = states.list_executions(stateMachineArn=MACHINE, statusFilter="RUNNING")["executions"]
            if running and "holder" in world.state("team#golf", "lease"):
                break
            waiter.wait(0.05)
        fence = int(world.state("team#golf", "lease")["fence"])
        began = time.monotonic()
        states.stop_execution(executionArn=running[0]["executionArn"])
        sandbox.settle(240)
        assert world.status("golf")["state"] == "READY"
        assert int(world.state("team#golf", "lease")["fence"]) > fence
        assert time.monotonic() - began >= 30
        assert world.may_submit(world.cluster_access("golf", VISION), "golf")

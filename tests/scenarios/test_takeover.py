"""An execution that ended badly leaves its lease behind: the team is started again, and finished, by one run at a time."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, DATASETS, VISION, World, awaited

TIMEOUT = 240


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """An organization with podshare, one cluster and three datasets; functions have ended after four minutes."""
    with Sandbox(time_scale=0.02) as sandbox:
        found = World(sandbox)
        found.outputs = deploy_podshare(sandbox, {"FunctionTimeoutSeconds": f"{TIMEOUT}"})
        found.put(CLUSTER, *DATASETS)
        yield found


def aborted(world: World, team: str) -> str:
    """Onboard a team, and stop its run once that holds the lease; the execution's ARN."""
    world.put(a_team_item(team, service_accounts=[]), settle=False)
    lease = awaited(lambda: world.state("lease", f"team#{team}"), lambda found: "holder" in found, pause=0.02)
    arn = str(lease["holder"])
    states(world).stop_execution(executionArn=arn)
    return arn


def states(world: World) -> Any:
    return world.sandbox.client("stepfunctions")


def test_a_holder_that_died_is_taken_over(world: World) -> None:
    """An aborted execution leaves its lease; the rule starts the team again, which waits and then finishes the work."""
    former = aborted(world, "golf")
    fence = int(world.state("lease", "team#golf")["fence"])
    world.sandbox.advance(TIMEOUT / 2)
    assert world.state("lease", "team#golf")["holder"] == former
    world.advance(timedelta(seconds=TIMEOUT))
    assert world.status("golf")["state"] == "READY"
    assert int(world.state("lease", "team#golf")["fence"]) > fence
    assert world.may_submit(world.cluster_access("golf", VISION), "golf")
    with world.calls() as made:
        states(world).redrive_execution(executionArn=former)
        world.sandbox.settle()
    assert states(world).describe_execution(executionArn=former)["status"] == "SUCCEEDED"
    assert made == []  # whoever is redriven once another has finished the work finds nothing to do
    assert "holder" not in world.state("lease", "team#golf")


def test_a_holder_that_is_redriven_keeps_its_lease(world: World) -> None:
    """While another waits to take over, the redriven run is the holder again: the other leaves the team to it."""
    former = aborted(world, "hotel")
    fence = int(world.state("lease", "team#hotel")["fence"])
    states(world).redrive_execution(executionArn=former)
    world.sandbox.settle()
    assert world.status("hotel")["state"] == "READY"
    assert states(world).describe_execution(executionArn=former)["status"] == "SUCCEEDED"
    assert {run["status"] for run in world.executions("hotel")} == {"SUCCEEDED"}
    lease = world.state("lease", "team#hotel")
    assert "holder" not in lease
    assert int(lease["fence"]) >= fence
    assert world.may_submit(world.cluster_access("hotel", VISION), "hotel")

"""The logs of a run: every line says which team, which account and which execution it is about, failures included."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podshare_sandbox import delivery
from tests.builders import a_team_item
from tests.scenarios.world import DATA, HUB, LANGUAGE, REGION, SCIENCE, VISION, World, awaited

TAMPERED = Path(__file__).parents[2] / "events" / "drift-iam.json"  # somebody opens the trust of vision's role
OF_A_TEAM = {
    *("lease-team", "plan-team", "dry-run", "verify-team", "record-outcome", "sweep-team", "execution-ended"),
    *("apply-identity", "apply-cluster", "apply-data", "apply-kubernetes"),
}
OF_AN_ACCOUNT = {*("apply-identity", "apply-cluster", "apply-data", "apply-kubernetes"), "read-account"}
OF_NO_EXECUTION = {
    "registry-changed",
    "organization-changed",
    "resource-changed",
    "dry-run",
}  # the first three start them

Line = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def life(world: World) -> None:
    """A team comes, is swept, tampered with, follows an account, is refused something, is stopped, and goes."""
    world.put_team("vision", members=[{"account": VISION}])
    delivery.put_event(HUB, REGION, json.loads(TAMPERED.read_text()), bus="podshare-drift")
    world.sandbox.settle()
    role = world.cluster_access_role("vision", VISION)
    world.sandbox.client("eks").delete_access_entry(clusterName="hyperpod-eks", principalArn=role)
    world.sweep()  # which starts runs of teams that differ
    world.plan("vision")
    world.put_team("unit", members=[{"organizational_unit": SCIENCE, "exclude_accounts": [VISION, LANGUAGE]}])
    world.join("genomics-lab")
    iam = world.sandbox.client("iam", DATA)
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="podshare-data", PolicyName="fault", PolicyDocument=json.dumps(document))
    trainer = {"name": "trainer", "datasets": [{"dataset": "crawl", "access": "read"}]}
    world.put(a_team_item("vision", members=[{"account": VISION}], service_accounts=[trainer]), settle=False)
    awaited(lambda: failures(world))
    iam.delete_role_policy(RoleName="podshare-data", PolicyName="fault")
    machine = f"arn:aws:states:{REGION}:{HUB}:stateMachine:podshare-reconcile-team"
    states = world.sandbox.client("stepfunctions")
    trigger = {"event": "admin", "record": "team#vision", "change": "", "by": "", "at": "", "id": ""}
    given = {"team": "vision", "trigger": trigger, "pause_seconds": 600}  # it is stopped before it takes the lease
    started = states.start_execution(stateMachineArn=machine, input=json.dumps(given))
    states.stop_execution(executionArn=started["executionArn"])
    world.sandbox.settle()
    world.delete("team#vision", "team#unit")


def lines(world: World) -> Iterator[tuple[str, str]]:
    """What podshare's functions have printed: the function in short, and the line."""
    logs = world.sandbox.client("logs")
    for group in logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/podshare-")["logGroups"]:
        name = group["logGroupName"]
        for stream in logs.describe_log_streams(logGroupName=name)["logStreams"]:
            given = {"logGroupName": name, "logStreamName": stream["logStreamName"], "startFromHead": True}
            for event in logs.get_log_events(**given)["events"]:
                yield name.removeprefix("/aws/lambda/podshare-"), event["message"]


def structured(world: World) -> list[tuple[str, Line]]:
    """The lines that the functions have logged; metrics and what the runtime prints of an exception are not."""
    found = [(function, json.loads(line)) for function, line in lines(world) if line.startswith("{")]
    return [(function, line) for function, line in found if "_aws" not in line]


def failures(world: World) -> list[Line]:
    """The lines of failures to change something in a data account."""
    return [line for function, line in structured(world) if (function, line["message"]) == ("apply-data", "failed")]


def test_every_function_of_the_run_has_logged(world: World) -> None:
    """The run reaches every function, so that the tests below read lines of all of them."""
    functions = world.sandbox.client("lambda").list_functions()["Functions"]
    names = {function["FunctionName"].removeprefix("podshare-") for function in functions}
    assert {function for function, _ in structured(world)} == names


def test_every_line_is_structured(world: World) -> None:
    """Nothing is printed but JSON; the runtime alone prints the trace of an exception in its own way."""
    printed = [(function, line) for function, line in lines(world) if not line.startswith("{")]
    odd = [one for one in printed if not one[1].startswith(("[ERROR]", "Traceback", "  ", "\xa0", "The above"))]
    assert odd == []


def test_every_line_names_team_account_and_execution(world: World) -> None:
    """The keys are there and filled wherever one is meant."""
    for function, line in structured(world):
        told = f"{function}: {line}"
        assert line["function_request_id"], told
        if function in OF_A_TEAM:
            assert line.get("team") in ("vision", "unit"), told
        if function in OF_AN_ACCOUNT:
            assert str(line.get("account", "")).isdigit(), told
        if function not in OF_NO_EXECUTION:
            assert line.get("execution", "").startswith("arn:aws:states:"), told


def test_what_starts_executions_names_them(world: World) -> None:
    """A changed record's and an event's lines lead to the executions that they have started."""
    for function, line in structured(world):
        if function == "registry-changed":
            assert line["record"], line
            assert ("execution" in line) == ("team" in line), line
        if function == "resource-changed":
            assert ("execution" in line) == ("team" in line), line
        if function == "organization-changed":
            assert line["account"].isdigit(), line
            assert line["execution"].startswith("arn:aws:states:"), line


def test_a_failure_has_a_line_with_all_keys(world: World) -> None:
    """What was refused is told with team, account and execution, and the invocation's id leads to the trace."""
    assert failures(world)
    for line in failures(world):
        assert (line["team"], line["account"]) == ("vision", DATA)
        assert line["change"]
        assert "AccessDenied" in line["reason"]


def test_keys_do_not_outlive_their_invocation(world: World) -> None:
    """A line of a warm function has no change, and no account, of the invocation before."""
    for function, line in structured(world):
        assert ("change" in line) == (function.startswith("apply-")), (function, line)

"""The state machines as they are written, with small functions in the places of podshare's."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from podshare.reconcile.outcome import results_in
from podshare_sandbox import concurrency
from podshare_sandbox.state_machines.definitions import problems_of
from sandbox.tests.runtime import HUB, REGION, Runtime, eventually, running_runtime
from tests.checks.expanded_template import ROOT

READ_ACCOUNT = """
import json, os, pathlib
class Terminal(Exception): pass
def handler(event, context):
    told = event.get("event", event)
    if "account" in event:
        pathlib.Path(os.environ["FOLDER"], event["account"]).touch()
    if told.get("account") == "broken":
        raise Terminal("no such account")
    pages = told.get("pages", [told.get("teams", [])])
    page = int(event.get("after") or 0)
    after = str(page + 1) if page + 1 < len(pages) else ""
    return {"reason": told.get("reason", ""), "accounts": [], "teams": pages[page], "after": after}
"""
LIST_SWEEP = """
import json, os, pathlib
class Terminal(Exception): pass
def handler(event, context):
    script = json.loads(pathlib.Path(os.environ["FOLDER"], "script").read_text())
    pages = script[event["what"]]
    if pages == "unreadable":
        raise Terminal("the organization cannot be read")
    number = int(event["after"] or 0)
    after = str(number + 1) if number + 1 < len(pages) else ""
    page = pages[number]
    items = [page] if page and event["what"] == "teams" else page
    return {"items": items, "count": len(page), "after": after, "paused": script.get("paused", "")}
"""
COMPARE_TEAMS = """
class Terminal(Exception): pass
def handler(event, context):
    if "unreadable" in event["teams"]:
        raise Terminal("nothing can be compared")
    return {"differing": [team for team in event["teams"] if not team.startswith("same")]}
"""
SWEEP_TEAM = """
import json, os, pathlib
class Terminal(Exception): pass
def handler(event, context):
    pathlib.Path(os.environ["FOLDER"], f"{event['team']}-{event['looks']}").write_text(json.dumps(event["sweep"]))
    if event["team"] == "broken":
        raise Terminal("no such team")
    done = event["team"] != "endless" and event["looks"] >= (2 if event["team"] == "slow" else 0)
    return {"team": event["team"], "status": "done" if done else "pending", "outcome": ""}
"""
SUMMARIZE_SWEEP = """
import json, os, pathlib
def handler(event, context):
    script = json.loads(pathlib.Path(os.environ["FOLDER"], "script").read_text())
    return {"summary of": event["sweep"], "listed": event["listed"], "failed": script.get("failed", "")}
"""
PLAN_TEAM = """
import json, os, pathlib
def handler(event, context):
    plan = json.loads(pathlib.Path(os.environ["FOLDER"], "script").read_text())["plan"]
    return {**plan, "failed before": event["failed"]}
"""
APPLY = """
import json, os, pathlib, time
class Terminal(Exception): pass
def handler(event, context):
    made = [made_of(change) for change in event["changes"]]
    again = [one for one in made if one["status"] == "again"]
    return {"results": [one for one in made if one not in again], "again": again, "wait_seconds": 3}
def made_of(change):
    looks = pathlib.Path(os.environ["FOLDER"], change["name"])
    count = len(looks.read_text()) if looks.exists() else 0
    looks.write_text("." * (count + 1))
    if change["name"].startswith("slow"):
        time.sleep(0.2)
    if change["name"].startswith("late") and not count:
        time.sleep(30)
    if change["name"].startswith("broken"):
        raise Terminal("nothing can be read")
    if change["name"].startswith("never"):
        return {**change, "status": "failed", "detail": "no such role"}
    if change["name"].startswith("settling") and count < 3:
        return {**change, "status": "again", "detail": "Creating"}
    return {**change, "status": "done", "detail": "as desired"}
"""
RECORD_OUTCOME = """
def handler(event, context):
    again = event["plan"].get("left") and not event["failed"]
    return {**event, **({"failed": ["0123456789ab"], "next": "again"} if again else {"next": "done"})}
"""


class Machines:
    """The machines, and the folder in which their functions note their calls."""

    def __init__(self, aws: Runtime, folder: Path) -> None:
        self._client = aws.client("stepfunctions")
        self.folder = folder
        worker = aws.role("worker", "lambda.amazonaws.com")
        sources = {
            "ReadAccountFunction": READ_ACCOUNT,
            "ListSweepFunction": LIST_SWEEP,
            "CompareTeamsFunction": COMPARE_TEAMS,
            "SweepTeamFunction": SWEEP_TEAM,
            "SummarizeSweepFunction": SUMMARIZE_SWEEP,
            "LeaseTeamFunction": 'def handler(event, context):\n    return {"status": "held"}',
            "PlanTeamFunction": PLAN_TEAM,
            **{f"Apply{work}Function": APPLY for work in ("Identity", "Cluster", "Data", "Kubernetes")},
            "VerifyTeamFunction": 'def handler(event, context):\n    return {"verified": True}',
            "RecordOutcomeFunction": RECORD_OUTCOME,
        }
        variables = {"Variables": {"FOLDER": str(folder)}}
        self._arns = {
            name: aws.function(name, source, worker, Environment=variables) for name, source in sources.items()
        }
        actions = ["lambda:InvokeFunction", "states:StartExecution", "states:DescribeExecution", "states:StopExecution"]
        self._role = aws.role("machine", "states.amazonaws.com", [*actions, "iam:GetRole"])
        self._arns["ReconcileTeamMachine"] = self._create("reconcile-team", json.dumps(RECONCILE_TEAM))
        for name in ("account_lifecycle", "reconcile_team", "sweep_teams"):
            self._create(name, self._substituted(name))

    def run(self, name: str, data: Any) -> dict[str, Any]:
        """Execute a machine; returns what DescribeExecution tells of its end."""
        for note in self.folder.iterdir():
            if note.name != "script":
                note.unlink()
        machine = self._arns["ReconcileTeamMachine"].replace("reconcile-team", name)
        arn = self._client.start_execution(stateMachineArn=machine, input=json.dumps(data))["executionArn"]
        told: dict[str, Any] = eventually(lambda: self._ended(arn))
        return told

    def follow(self, **event: Any) -> dict[str, Any]:
        """Execute account-lifecycle for an event."""
        return self.run("account_lifecycle", {"event": event})

    def sweep(self, accounts: Any, teams: Any, **script: Any) -> dict[str, Any]:
        """Execute sweep-teams, which is told these pages of accounts and teams."""
        self.folder.joinpath("script").write_text(json.dumps({"accounts": accounts, "teams": teams, **script}))
        return self.run("sweep_teams", {"by": "test"})

    def reconcile(self, **plan: Any) -> dict[str, Any]:
        """Execute reconcile-team with a plan; returns what RecordOutcome was told."""
        whole = {"count": 1, "revoke": [], "allocate": [], "grant": [], "verification": {}, **plan}
        self.folder.joinpath("script").write_text(json.dumps({"plan": whole}))
        told = self.run("reconcile_team", {"team": "vision", "trigger": {"event": "admin"}})
        assert told["status"] == "SUCCEEDED", told
        recorded: dict[str, Any] = json.loads(told["output"])
        return recorded

    def has_run(self, execution: str) -> bool:
        """Whether there is an execution of this ARN."""
        return bool(self._client.describe_execution(executionArn=execution))

    @property
    def notes(self) -> set[str]:
        """The accounts that were read, and the teams that were swept with the number of the look."""
        return {note.name for note in self.folder.iterdir()} - {"script"}

    def substitute(self, **values: str) -> None:
        """Make reconcile-team what it is with other numbers."""
        arn = self._arns["ReconcileTeamMachine"].replace("reconcile-team", "reconcile_team")
        self._client.update_state_machine(stateMachineArn=arn, definition=self._substituted("reconcile_team", **values))

    def _create(self, name: str, definition: str) -> str:
        answer = self._client.create_state_machine(name=name, definition=definition, roleArn=self._role)
        return str(answer["stateMachineArn"])

    def _substituted(self, name: str, **values: str) -> str:
        text = (ROOT / "statemachines" / f"{name}.asl.yaml").read_text(encoding="utf-8")
        for key, arn in {**self._arns, **NUMBERS, **values}.items():
            text = text.replace(f"${{{key}}}", arn)
        return json.dumps(yaml.safe_load(text))

    def _ended(self, arn: str) -> Any:
        told = self._client.describe_execution(executionArn=arn)
        return told if told["status"] != "RUNNING" else None


NUMBERS = {"FunctionTimeoutSeconds": "60", "LambdaConcurrency": "10"}
RECONCILE_TEAM = {"QueryLanguage": "JSONata", "StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with running_runtime() as aws:
        yield Machines(aws, tmp_path_factory.mktemp("notes"))


def a_change(name: str, lane: int = 0) -> dict[str, Any]:
    """A change as a plan has it, which the function for roles makes, or the one for clusters."""
    return {"action": "create", "name": name, "work": "identity" if "role" in name else "cluster", "lane": lane}


def a_lane(*waves: list[str]) -> dict[str, Any]:
    """Lanes side by side: the first change of each wave is of the first one, and so on."""
    return {
        "about": "",
        "waves": [{"changes": [a_change(name, lane) for lane, name in enumerate(wave)]} for wave in waves],
    }


def details(recorded: dict[str, Any]) -> dict[str, str]:
    """What became of each change, by its name."""
    return {result["name"]: f"{result['status']}: {result['detail']}" for result in results_in(recorded["results"])}


def team(name: str, execution: str) -> dict[str, Any]:
    return {"team": name, "name": execution, "input": {"team": name, "trigger": {"event": "organization"}}}


# --- account-lifecycle --------------------------------------------------------------------------------------------


def test_the_teams_of_an_account_are_reconciled(machines: Machines) -> None:
    """Each team gets an execution by the name that its event gave; told again, they are the same executions."""
    teams = [team("vision", "vision-1"), team("language", "language-1")]
    prefix = f"arn:aws:states:us-west-2:{HUB}:execution:reconcile-team:"

    first, second = (json.loads(machines.follow(teams=teams)["output"]) for _ in range(2))

    assert first["teams"] == [
        {"team": "vision", "status": "started", "execution": f"{prefix}vision-1"},
        {"team": "language", "status": "started", "execution": f"{prefix}language-1"},
    ]
    assert second == first


def test_teams_of_an_account_come_page_by_page(machines: Machines) -> None:
    """Each page is started before the next is read, and one that has become empty ends it; all teams are counted."""
    pages = [[team(f"{page}-{number}", f"{page}-{number}-1") for number in range(60)] for page in "abc"]
    outputs = [json.loads(machines.follow(pages=asked)["output"]) for asked in (pages, [*pages[:1], []])]

    assert [output["count"] for output in outputs] == [180, 60]
    started = [item["team"] for page in pages for item in page]
    assert [item["team"] for item in outputs[0]["teams"]] == started[:100]
    assert [item["team"] for item in outputs[1]["teams"]] == started[:60]
    prefix = f"arn:aws:states:us-west-2:{HUB}:execution:reconcile-team:"
    assert all(machines.has_run(f"{prefix}{item['name']}") for page in pages for item in page)


def test_one_page_that_cannot_be_started_holds_up_no_other(machines: Machines) -> None:
    """The pages behind it are started, and the execution fails with what could not be, as far as a cause has room."""
    pages = [[team(f"odd-{number}", "odd" * 30) for number in range(21)], [team("even", "even-2")]]
    told = machines.follow(pages=pages)

    assert (told["status"], told["error"]) == ("FAILED", "TeamsNotReconciled")
    assert len(json.loads(told["cause"])) == 20
    assert machines.has_run(f"arn:aws:states:us-west-2:{HUB}:execution:reconcile-team:even-2")


def test_an_account_may_be_named_without_an_event(machines: Machines) -> None:
    """A person can have one account looked at."""
    assert machines.run("account_lifecycle", {"account": "555555555555"})["status"] == "SUCCEEDED"
    assert machines.notes == {"555555555555"}


def test_an_event_of_no_concern_ends_quietly(machines: Machines) -> None:
    """Without teams nothing is started, and the output has the reason."""
    told = machines.follow(reason="the creation failed")

    assert told["status"] == "SUCCEEDED"
    assert json.loads(told["output"]) == {"reason": "the creation failed", "accounts": [], "teams": []}


def test_an_account_that_cannot_be_read_fails_the_execution(machines: Machines) -> None:
    """The alarm on failed executions counts it, and the cause is the function's."""
    told = machines.follow(account="broken")

    assert (told["status"], told["error"]) == ("FAILED", "AccountNotRead")
    assert "no such account" in told["cause"]


def test_a_team_that_cannot_be_started_holds_up_no_other(machines: Machines) -> None:
    """The others are started, and the execution fails, so that a person hears of the one."""
    told = machines.follow(teams=[team("odd", "odd" * 30), team("even", "even-1")])

    assert (told["status"], told["error"]) == ("FAILED", "TeamsNotReconciled")
    assert "odd" in told["cause"]
    assert "even" not in told["cause"]
    assert json.loads(machines.follow(teams=[team("even", "even-1")])["output"])["teams"][0]["status"] == "started"


# --- reconcile-team -----------------------------------------------------------------------------------------------


def test_a_planner_with_nothing_to_do_ends_the_run(machines: Machines) -> None:
    """What it has recorded is the run's output; without that, as of an earlier version, RecordOutcome is asked."""
    assert machines.reconcile(count=0, outcome={"next": "done", "state": "READY"}) == {"next": "done", "state": "READY"}
    assert machines.reconcile(count=0)["plan"]["count"] == 0


def test_compute_and_access_are_provided_in_lanes(machines: Machines) -> None:
    """Each lane of both lists goes wave by wave, and one that fails stops no other; without any nothing is provided."""
    lanes = {
        "allocate": [a_lane(["quota"], ["binding"])],
        "grant": [a_lane(["never", "role"], ["after", "entry"]), a_lane(["other-role"])],
    }
    assert set(details(machines.reconcile(**lanes))) == {"quota", "binding", "never", "role", "entry", "other-role"}
    assert "after" not in machines.notes
    assert details(machines.reconcile(grant=lanes["grant"][1:])) == {"other-role": "done: as desired"}
    assert details(machines.reconcile(allocate=lanes["allocate"][:1]))["quota"] == "done: as desired"
    assert machines.reconcile()["results"] == []


def test_each_function_gets_its_changes_of_a_stage_at_once(machines: Machines) -> None:
    """What is not over is asked for again by itself, until it is; what is over is not asked for anew."""
    cuts = [{"stage": "trust", "changes": [a_change(name) for name in ("role", "settling-1", "entry", "settling-2")]}]
    told = details(machines.reconcile(revoke=cuts))
    assert set(told.values()) == {"done: as desired"}
    looks = {name: len((machines.folder / name).read_text()) for name in told}
    assert looks == {"role": 1, "entry": 1, "settling-1": 4, "settling-2": 4}


@pytest.mark.parametrize(
    "plan",
    [
        {"allocate": [a_lane(["broken", "entry"])]},
        {"grant": [a_lane(["broken", "entry"])]},
        {"revoke": [{"stage": "compute", "changes": [a_change("broken"), a_change("entry")]}]},
    ],
    ids=["allocate", "grant", "revoke"],
)
def test_a_function_that_fails_as_a_whole_fails_its_changes(machines: Machines, plan: dict[str, Any]) -> None:
    """Each of them is told as failed, with what the function said; the changes of other functions are made."""
    cuts = {"revoke": [*plan.get("revoke", []), {"stage": "trust", "changes": [a_change("role")]}]}
    failed = "failed: Terminal: nothing can be read"
    assert details(machines.reconcile(**{**plan, **cuts})) == {
        "broken": failed,
        "entry": failed,
        "role": "done: as desired",
    }


def test_the_next_pass_knows_what_has_failed_in_the_run(machines: Machines) -> None:
    """A plan that one pass cannot carry is planned again, and its planner and recorder are told what was tried."""
    recorded = machines.reconcile(left=1, grant=[a_lane(["never"])])
    assert (recorded["plan"]["failed before"], recorded["failed"]) == (["0123456789ab"], ["0123456789ab"])
    assert machines.reconcile(left=0)["plan"]["failed before"] == []


def test_a_plan_that_exceeds_a_state_is_recorded_as_a_failure(machines: Machines) -> None:
    """No team keeps the status of the run before: RecordFailure says that the run has failed, and by what."""
    machines.folder.joinpath("script").write_text(json.dumps({"plan": {"count": 1, "notes": ["x" * 256 * 1024]}}))
    told = machines.run("reconcile_team", {"team": "vision", "trigger": {"event": "admin"}})
    assert (told["status"], told["error"]) == ("FAILED", "ReconciliationFailed")
    assert "States.DataLimitExceeded" in told["cause"]


def test_what_is_throttled_is_waited_out(machines: Machines) -> None:
    """An account that runs one function at once gets all done, cuts and grants alike."""
    concurrency.set_limit(HUB, REGION, 1)
    lanes = [a_lane([f"slow-{number}", f"slow-role-{number}"]) for number in range(4)]
    cuts = [{"stage": "trust", "changes": [a_change(f"slow-cut-{number}") for number in range(3)]}]
    try:
        told = details(machines.reconcile(revoke=cuts, grant=lanes))
    finally:
        concurrency.set_limit(HUB, REGION, concurrency.DEFAULT)
    assert set(told.values()) == {"done: as desired"}
    assert len(told) == 11


def test_a_task_that_does_not_answer_is_tried_again(machines: Machines) -> None:
    """The tasks end a minute after their functions must have ended, and a reply that was lost is asked for anew."""
    machines.substitute(FunctionTimeoutSeconds="-58")
    try:
        told = details(machines.reconcile(grant=[a_lane(["late"])]))
    finally:
        machines.substitute()
    assert told == {"late": "done: as desired"}


@pytest.mark.parametrize("name", ["account_lifecycle", "reconcile_team", "sweep_teams"])
def test_every_invocation_waits_for_its_function_and_for_concurrency(name: str) -> None:
    """Each task's timeout follows FunctionTimeoutSeconds; throttles are retried for long, timeouts retried."""
    text = (ROOT / "statemachines" / f"{name}.asl.yaml").read_text(encoding="utf-8")
    tasks = list(_invocations(yaml.safe_load(text)))
    assert tasks
    for task in tasks:
        assert task["TimeoutSeconds"] == "{% ${FunctionTimeoutSeconds} + 60 %}"
        retriers = {error: retrier for retrier in task["Retry"] for error in retrier["ErrorEquals"]}
        throttled = retriers["Lambda.TooManyRequestsException"]
        # full jitter halves the pauses on average
        assert throttled["MaxAttempts"] * throttled["MaxDelaySeconds"] / 2 >= 600
        assert throttled["JitterStrategy"] == "FULL"
        assert "States.Timeout" in retriers


def _invocations(machine: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for state in machine["States"].values():
        if state.get("Resource") == "arn:aws:states:::lambda:invoke":
            yield state
        for inner in (*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])):
            yield from _invocations(inner)


# --- sweep-teams --------------------------------------------------------------------------------------------------


def test_a_sweep_looks_at_every_account_and_every_team(machines: Machines) -> None:
    """All pages are read, a team that differs is looked at until it is done, and the output is the summary."""
    told = machines.sweep([["111", "222"], ["333"]], [["vision"], ["slow", "same", "language"]])

    summary = json.loads(told["output"])
    sweep = summary["summary of"]
    assert summary["listed"] == {"accounts": 3, "teams": 4}
    assert machines.notes == {"111", "222", "333", "vision-0", "language-0", "slow-0", "slow-1", "slow-2"}
    assert sweep["id"] == told["name"]
    assert sweep["at"].startswith(f"{told['startDate'].astimezone():%Y-}")
    assert json.loads((machines.folder / "slow-2").read_text()) == sweep


def test_a_sweep_of_nothing_is_summed_up(machines: Machines) -> None:
    """A page without items, as of an empty registry, is no error."""
    assert machines.sweep([[]], [[]])["status"] == "SUCCEEDED"
    assert machines.notes == set()


def test_what_fails_in_a_sweep_stops_no_other(machines: Machines) -> None:
    """An account and a team that fail are left behind, and the sweep succeeds."""
    told = machines.sweep([["broken", "222"]], [["broken", "vision"]])

    assert told["status"] == "SUCCEEDED"
    assert machines.notes == {"broken", "222", "broken-0", "vision-0"}


def test_a_group_that_cannot_be_compared_is_swept_team_by_team(machines: Machines) -> None:
    """Whoever cannot be told from others as they were gets a run; the group's others, and other groups, go on."""
    told = machines.sweep([[]], [["unreadable", "same-as-ever"], ["same", "vision"]])

    assert told["status"] == "SUCCEEDED"
    assert machines.notes == {"unreadable-0", "same-as-ever-0", "vision-0"}


def test_a_team_that_takes_too_long_does_not_hold_up_the_sweep(machines: Machines) -> None:
    """After fourteen looks, ten minutes, the sweep goes on without it."""
    assert machines.sweep([[]], [["endless", "vision"]])["status"] == "SUCCEEDED"
    assert len(machines.notes) == 15


def test_a_pause_ends_a_sweep_quietly(machines: Machines) -> None:
    """Nothing is read and nothing started while podshare is paused; the output has the reason."""
    told = machines.sweep([["111"]], [["vision"]], paused="maintenance")

    assert json.loads(told["output"]) == {"paused": "maintenance"}
    assert machines.notes == set()


def test_teams_are_swept_where_the_organization_cannot_be_read(machines: Machines) -> None:
    """Drift is mended all the same; then the execution fails, so that a person hears of it."""
    told = machines.sweep("unreadable", [["vision"]])

    assert (told["status"], told["error"]) == ("FAILED", "AccountsNotListed")
    assert "the organization cannot be read" in told["cause"]
    assert machines.notes == {"vision-0"}


def test_a_sweep_that_missed_most_fails(machines: Machines) -> None:
    """The Maps tolerate every failed item, so that what was written decides: the summary says what was missed."""
    told = machines.sweep([["111"]], [["broken"]], failed="1 of 1 teams were not swept")

    assert (told["status"], told["error"], told["cause"]) == ("FAILED", "MostNotSwept", "1 of 1 teams were not swept")


@pytest.mark.parametrize("path", sorted((ROOT / "statemachines").iterdir()), ids=lambda path: path.stem)
def test_podshares_machines_keep_the_scopes(path: Any) -> None:
    """AWS would refuse the deployment otherwise; substitutions are made before it looks."""
    substituted = re.sub(r"\$\{\w+\}", "10", path.read_text(encoding="utf-8"))
    assert problems_of(yaml.safe_load(substituted)) == []

"""One invocation reads each row of podshare's state once, and never acts on what it has written over since."""

from collections.abc import Callable, Iterator

import pytest

from podshare.aws.tables import Registry, Snapshot, State
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import ORGANIZATION_ID
from tests.scenarios.test_orderings import TEMPLATE
from tests.scenarios.world import HUB, MANAGEMENT, REGION, World

Requests = Callable[[], list[str]]
TEAM, STATE = "team#vision", "podshare-state"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The hub's tables; this process acts in the hub."""
    with Sandbox(time_scale=0.001) as sandbox, pytest.MonkeyPatch.context() as environment:
        stack = {"OrganizationId": ORGANIZATION_ID, "ManagementAccountId": MANAGEMENT}
        sandbox.deploy(TEMPLATE, stack_name="podshare", parameters=stack)
        for name, value in sandbox.environment(HUB, REGION).items():
            if name.startswith("AWS_") and not name.endswith("BUNDLE"):
                environment.setenv(name, value)
        yield World(sandbox)


@pytest.fixture
def requests(world: World) -> Requests:
    """What was asked of DynamoDB since the last call."""
    seen = [len(world.sandbox.decisions)]

    def made() -> list[str]:
        decisions = world.sandbox.decisions[seen[0] :]
        seen[0] += len(decisions)
        return [one.action.partition(":")[2] for one in decisions if one.action.startswith("dynamodb:")]

    return made


@pytest.fixture
def state(world: World) -> State:  # noqa: ARG001  # the world's table
    """The state, with two rows of a team."""
    table = State(STATE)
    for row in table.query(TEAM):
        table.delete(TEAM, row["part"])
    table.put(TEAM, "accepted", record="{}")
    table.put(TEAM, "terms", ends=["never"])
    return table


def test_a_row_is_read_once(state: State, requests: Requests) -> None:
    """What was read, also that there is no such row, is not asked for again."""
    snapshot = Snapshot(STATE)
    requests()
    assert [snapshot.get(TEAM, "accepted"), snapshot.get(TEAM, "accepted")] == [state.get(TEAM, "accepted")] * 2
    assert [snapshot.get(TEAM, "held"), snapshot.get(TEAM, "held")] == [None, None]
    assert snapshot.get_parts(TEAM, ["accepted", "held"]) == [state.get(TEAM, "accepted")]
    assert requests() == ["GetItem"] * 4  # two of them the state's own


@pytest.mark.usefixtures("state")
def test_a_query_answers_for_all_of_its_rows(requests: Requests) -> None:
    """Whatever is read of an id that was queried, one row, some, or those that begin alike, is not asked for again."""
    snapshot = Snapshot(STATE)
    requests()
    assert [row["part"] for row in snapshot.query(TEAM)] == ["accepted", "terms"]
    assert [row["part"] for row in snapshot.query(TEAM, "acc")] == ["accepted"]
    assert snapshot.get(TEAM, "held") is None
    assert len(snapshot.get_parts(TEAM, ["accepted", "terms", "held"])) == 2
    assert requests() == ["Query"]
    assert snapshot.get("team#other", "accepted") is None
    assert requests() == ["GetItem"]


def test_a_query_answers_for_nothing_beyond_its_prefix(state: State, requests: Requests) -> None:
    """Rows that begin otherwise were not read."""
    snapshot = Snapshot(STATE)
    snapshot.query(TEAM, "acc")
    requests()
    assert snapshot.get(TEAM, "terms") == state.get(TEAM, "terms")
    assert requests() == ["GetItem"] * 2


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda it: it.put(TEAM, "accepted", record="new"), "new"),
        (
            lambda it: it.update(TEAM, "accepted", "SET #record = :new", None, names={"#record": "record"}, new="new"),
            "new",
        ),
        (lambda it: it.replace(TEAM, "accepted", 7, record="new"), "{}"),
        (lambda it: it.put_once(TEAM, "accepted", record="new"), "{}"),
        (lambda it: it.delete(TEAM, "accepted"), None),
    ],
    ids=["put", "update", "refused", "kept", "delete"],
)
def test_what_is_written_is_read_again(state: State, write: Callable[[State], object], expected: str | None) -> None:
    """After a write, also one that its condition refuses, what is there counts, and all else is as it was read."""
    for read in (lambda it: it.get(TEAM, "accepted"), lambda it: it.query(TEAM), lambda it: it.query(TEAM, "acc")):
        state.put(TEAM, "accepted", record="{}")
        snapshot = Snapshot(STATE)
        read(snapshot)
        write(snapshot)
        assert (snapshot.get(TEAM, "accepted") or {}).get("record") == expected
        assert [row["record"] for row in snapshot.query(TEAM, "acc")] == [expected] * (expected is not None)
        assert [row["part"] for row in snapshot.query(TEAM)][-1] == "terms"


@pytest.mark.usefixtures("state")
def test_what_a_caller_changes_is_its_own() -> None:
    """A row that is changed in place is no other reader's."""
    snapshot = Snapshot(STATE)
    for row in (snapshot.get(TEAM, "terms"), snapshot.query(TEAM)[-1]):
        assert row is not None
        row["ends"].append("now")
    assert [one["ends"] for one in (snapshot.get(TEAM, "terms") or {}, snapshot.query(TEAM)[-1])] == [["never"]] * 2


@pytest.mark.usefixtures("state")
def test_records_and_rows_come_together(requests: Requests) -> None:
    """Records are read each time, rows that are known are not: one request for both."""
    snapshot = Snapshot(STATE)
    snapshot.query(TEAM)
    requests()
    rows, written = snapshot.get_with_records([(TEAM, "accepted")], Registry("podshare-registry"), [TEAM])
    assert ([row["part"] for row in rows], written) == (["accepted"], {})
    assert requests() == ["BatchGetItem"]

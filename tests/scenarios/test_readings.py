"""One invocation reads each row of podshare's state once, and never acts on what it has written over since."""

from collections.abc import Callable, Iterator

import pytest

from podshare.aws.errors import Superseded
from podshare.aws.lease import Hold, TeamLeases
from podshare.aws.tables import Registry, Snapshot, State
from podshare.reconcile.cluster_records import of_other_records
from podshare.reconcile.observing import reading_context
from podshare.registry.parsing import parse
from podshare.registry.records import Cluster
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import ORGANIZATION_ID
from tests.builders import CLUSTER as FACTS
from tests.scenarios.test_orderings import SETTINGS, TEMPLATE
from tests.scenarios.world import CLUSTER, HUB, MANAGEMENT, REGION, World

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
    """Records and rows that are not known are read in one request, and known then."""
    snapshot = Snapshot(STATE)
    snapshot.query(TEAM)
    requests()
    rows, written = snapshot.get_with_records([(TEAM, "accepted")], Registry("podshare-registry"), [TEAM])
    assert ([row["part"] for row in rows], written) == (["accepted"], {})
    assert requests() == ["BatchGetItem"]
    snapshot.get_with_records([(TEAM, "accepted")], Registry("podshare-registry"), [TEAM])
    assert requests() == []


# ---- writing ---------------------------------------------------------------------------------------------------


def guarded(state: State, generation: int) -> Snapshot:
    """A snapshot that writes only while the lease of team vision has this generation; it has 7."""
    state.put("lease", TEAM, fence=3, generation=7, holder="execution")
    snapshot = Snapshot(STATE)
    snapshot.guard(TeamLeases(state, 60).fence(Hold("vision", 3, generation), "execution"))
    return snapshot


def test_what_is_put_off_is_written_at_once(state: State, requests: Requests) -> None:
    """Writes that are put off are one transaction, with the check of the lease."""
    snapshot = guarded(state, 7)
    requests()
    snapshot.later(snapshot.putting(TEAM, "held", hash="1"))
    snapshot.later(snapshot.updating(TEAM, "accepted", "SET closed = :closed", None, closed=["a"]))
    snapshot.later(snapshot.deleting(TEAM, "terms"))
    assert requests() == []
    snapshot.flush()
    assert requests() == ["ConditionCheckItem", "PutItem", "UpdateItem", "DeleteItem"]
    assert {row["part"]: row.get("closed") for row in state.query(TEAM)} == {"accepted": ["a"], "held": None}


@pytest.mark.parametrize("read", [lambda it: it.get(TEAM, "held"), lambda it: it.query(TEAM, "he")[0]])
def test_what_is_put_off_is_written_before_it_is_read(state: State, read: Callable[[State], object]) -> None:
    """Whoever reads a row that was to be written later sees what was written; another row's reader causes no write."""
    snapshot = guarded(state, 7)
    snapshot.later(snapshot.putting(TEAM, "held", hash="1"))
    snapshot.get(TEAM, "terms")
    assert state.get(TEAM, "held") is None
    assert read(snapshot) == state.get(TEAM, "held") == {"id": TEAM, "part": "held", "hash": "1"}


def test_a_condition_that_fails_keeps_no_other_write(state: State) -> None:
    """A row that has been written later by somebody else stays, and the others are written."""
    snapshot = guarded(state, 7)
    snapshot.later(snapshot.updating(TEAM, "accepted", "SET closed = :closed", "attribute_exists(later)", closed=["a"]))
    snapshot.later(snapshot.putting(TEAM, "held", hash="1"))
    snapshot.flush()
    assert {row["part"]: row.get("closed") for row in state.query(TEAM)} == {
        "accepted": None,
        "held": None,
        "terms": None,
    }


@pytest.mark.parametrize(
    "write",
    [
        lambda it: (it.later(it.putting(TEAM, "held", hash="1")), it.flush()),
        lambda it: it.put(TEAM, "held", hash="1"),
        lambda it: it.get_parts(TEAM, ["held"]),
    ],
    ids=["together", "alone", "a batch is read"],
)
def test_who_has_been_overtaken_writes_nothing(state: State, write: Callable[[Snapshot], object]) -> None:
    """Once something newer was asked for every write is refused, and a batch that is read says so."""
    snapshot = guarded(state, 6)
    with pytest.raises(Superseded):
        write(snapshot)
    assert state.get(TEAM, "held") is None


def test_what_is_read_ahead_is_not_asked_for_again(state: State, requests: Requests) -> None:
    """Rows and records that are read ahead come in one request; one that may not be read so is read when it is needed."""
    snapshot = Snapshot(STATE)
    requests()
    snapshot.read_ahead([(TEAM, "accepted"), (TEAM, "held")], Registry("podshare-registry"), [TEAM])
    assert [snapshot.get(TEAM, "accepted"), snapshot.get(TEAM, "held")] == [state.get(TEAM, "accepted"), None]
    assert requests() == ["BatchGetItem"] * 2 + ["GetItem"]  # of two tables; the last is the state's own
    assert snapshot.asked == ([(TEAM, "accepted"), (TEAM, "held")], [TEAM])
    snapshot.read_ahead([(TEAM, "terms")], Registry("none"), ["team#other"])
    assert snapshot.get(TEAM, "terms") == state.get(TEAM, "terms")


def test_of_two_records_of_a_cluster_at_once_the_first_claim_counts(world: World) -> None:
    """The plan that had read that nobody claims it, and claims it later, adds nothing for its record."""
    items = [CLUSTER, {**CLUSTER, "id": "cluster#twin"}]
    world.put(*items)
    first, second = (Cluster.model_validate(parse(item)) for item in items)
    contexts = [reading_context(SETTINGS, team, Snapshot(STATE)) for team in ("vision", "language")]
    for context in contexts:
        assert context.state.get(f"capacity#{FACTS.hyperpod_arn.rpartition('/')[2]}", "record") is None
    assert [*of_other_records(SETTINGS, contexts[0], first, FACTS, claim=True)] == []
    (blocker,) = of_other_records(SETTINGS, contexts[1], second, FACTS, claim=True)
    assert "cluster#twin and cluster#main are two records of one EKS cluster" in blocker.what

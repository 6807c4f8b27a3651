"""Who had access at a moment follows from the history: properties of proofs, calls, changes and the writers of lines."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podshare.access.effective_access import Access, effective_access
from podshare.access.grants import grants_of
from podshare.access.history import access_of, access_rows, run_document, version_document
from podshare.kinds.desired import desired
from podshare.registry.lines import lines_of
from podshare.registry.membership import members
from podshare_cli.access.accounts import may_be_of
from podshare_cli.access.reports import AccessReport, Known
from podshare_cli.access.reports import of as reached_by
from podshare_cli.history.past_access import (
    answering,
    changes,
    following,
    in_order,
    moment_of,
    of_account,
    origin,
    reason_of,
    uncertain,
    ways,
)
from tests.builders import (
    CLUSTER,
    INSTALLATION,
    SCIENCE,
    a_dataset,
    a_team,
    a_team_item,
    an_account,
    an_enrollment_item,
)

Item = dict[str, Any]
BEGIN = datetime(2026, 11, 1, 12, tzinfo=UTC)
WHO = [f"arn:aws:iam::{number}:role/scientist" for number in ("222222222222", "444444444444", "555555555555")]
CLUSTER_ARN = "arn:aws:eks:us-west-2:111111111111:cluster/hyperpod-eks"
pure = settings(max_examples=200, derandomize=True, database=None)

moments = st.integers(0, 40)
accesses = st.frozensets(st.builds(Access, st.sampled_from(WHO), st.just(("use",)), st.just(CLUSTER_ARN), st.just("*")))


def at(second: int) -> datetime:
    return BEGIN + timedelta(seconds=second)


def text(second: int) -> str:
    return at(second).isoformat(timespec="seconds")


def run(second: int, access: frozenset[Access] | None, **fields: Any) -> Item:
    """A run's object, whose proof was read at a second."""
    report: Item = {
        "document": {
            **{"team": "vision", "read_at": text(second), "doors": []},
            "access": [{**one.as_dict(), "granted": True} for one in sorted(access or ())],
        },
        "grants": [
            [{"record": "team#vision", "line": f"member {one.who}", "until": None}] for one in sorted(access or ())
        ],
        **{"records": [], "widened": {}},
    }
    lease = {"fence": second, "generation": 1}
    event = {
        "team": "vision",
        "execution": f"arn:vision-{second}",
        "lease": lease,
        "trigger": fields.pop("trigger", {}),
    }
    outcome = {"state": "READY", "summary": "READY", "problems": []}
    document = run_document(event, outcome, [], report if access is not None else None, text(second))
    return {**document, **fields}


histories = st.dictionaries(moments, st.none() | accesses, max_size=8).map(
    lambda proofs: [run(second, access) for second, access in proofs.items()]
)


@pure
@given(histories, moments)
def test_every_instant_is_answered_by_the_earlier_proof(history: list[Item], second: int) -> None:
    """The latest proof until then answers, the first one after it is the next, and nothing is between them."""
    proofs = sorted(
        int((moment_of(one["recorded_at"]) - BEGIN).seconds) for one in history if one["access"] is not None
    )
    earlier = [one for one in proofs if one <= second]
    later = [one for one in proofs if one > second]
    answer, after = answering(history, at(second)), following(history, at(second))
    assert (answer and answer["proven_at"]) == (text(earlier[-1]) if earlier else None)
    assert (after and after["proven_at"]) == (text(later[0]) if later else None)


@pure
@given(accesses)
def test_nothing_that_a_run_proved_is_missing(access: frozenset[Access]) -> None:
    """Each access of an access report is a way in, with the lines that give it."""
    found = {way.access: way for way in ways(run(0, access))}
    assert access <= found.keys()
    assert all(found[one].granted and found[one].grants for one in access)


@pure
@given(st.lists(accesses, min_size=1, max_size=6))
def test_changes_from_proof_to_proof_add_up(proofs: list[frozenset[Access]]) -> None:
    """What was gained and not lost again is what the last proof shows: no change is missing, and none is told twice."""
    history = [run(number, access) for number, access in enumerate(proofs)]
    held: set[Access] = set()
    for change in changes(history, at(0), at(len(proofs))):
        assert (change.way.access in held) is not change.gained
        held ^= {change.way.access}
    assert held == {way.access for way in ways(history[-1])}


@pure
@given(histories, st.frozensets(moments, max_size=5), moments)
def test_calls_between_the_proof_and_the_moment_are_uncertain(
    history: list[Item], calls: frozenset[int], second: int
) -> None:
    """A reported call is listed if it came after the proof that answers and not after the moment, and no other is."""
    triggers = [
        {"event": "drift", "change": f"Call{one}x", "by": "arn:eve", "at": text(one), "id": f"id{one}"} for one in calls
    ]
    drifted = [run(50 + number, frozenset(), trigger=trigger) for number, trigger in enumerate(triggers)]
    proven = answering(history, at(second))
    since = moment_of(proven["proven_at"]) if proven else None
    texts = uncertain([*history, *drifted], at(second))
    for one in calls:
        is_between = (since is None or since < at(one)) and one <= second
        assert any(f"Call{one}x" in each for each in texts) is is_between


def test_podshares_own_calls_are_certain() -> None:
    """The run after calls of podshare's own finds what podshare did: that is no doubt."""
    trigger = {"event": "drift", "change": "PutRolePolicy", "at": text(3), "id": "own calls/1"}
    assert uncertain([run(0, frozenset()), run(9, frozenset(), trigger=trigger)], at(5)) == []


def test_what_the_next_proof_finds_unexpected_may_have_been_there() -> None:
    """Unexpected access is uncertain from the proof before it on, whether it was gone again by then or not."""
    before, drift = run(0, frozenset()), {"found": ["arn:eve may use"], "found_at": text(8)}
    assert "arn:eve may use" in uncertain([before, run(9, frozenset(), drift=drift)], at(5))[0]
    (access,) = (Access(WHO[0], ("use",), CLUSTER_ARN, "*"),)
    after = run(9, frozenset({access}))
    after["access"][0]["granted"] = False
    assert str(access) in uncertain([before, after], at(5))[0]
    old = {"found": ["arn:eve may use"], "found_at": text(0)}
    assert uncertain([before, run(9, frozenset(), drift=old)], at(5)) == []


def test_a_run_that_was_changing_or_failed_is_uncertain() -> None:
    """Between its beginning and its proof a run's changes are half done; a run without a proof leaves what nobody knows."""
    change = {"action": "create", "status": "done"}
    changing = run(9, frozenset(), started_at=text(4), changes=[change])
    assert "had begun" in uncertain([run(0, frozenset()), changing], at(5))[0]
    assert uncertain([run(0, frozenset()), changing], at(3)) == []
    assert "without a proof" in uncertain([run(0, frozenset()), run(3, None, state="DEGRADED")], at(5))[0]


@pytest.mark.parametrize(
    ("who", "behind", "may_be"),
    [
        ("arn:aws:iam::222222222222:role/scientist", (), True),
        ("arn:aws:iam::444444444444:role/scientist", (), False),
        ("arn:aws:iam::*:role/scientist", (), True),
        ("*", (), True),
        ("anybody with aws:principalorgid o-abc", (), True),
        ("system:authenticated", (), True),
        ("system:serviceaccount:hyperpod-ns-vision:trainer", (), False),
        ("hackers", (), False),
        ("hackers", ("arn:aws:iam::222222222222:role/scientist",), True),
        ("hackers", ("arn:aws:iam::444444444444:role/x (arn:aws:iam::222222222222:root may assume it)",), True),
        ("hackers", ("every principal of account 222222222222 (by ConfigMap aws-auth)",), True),
        ("hackers", ("arn:aws:iam::444444444444:role/scientist",), False),
        ("arn:aws:iam::444444444444:role/x", ("222222222222",), True),
        ("arn:aws:iam::444444444444:role/x", ("*",), True),
    ],
)
def test_an_account_gets_in_by_other_names_too(who: str, behind: tuple[str, ...], may_be: bool) -> None:
    """By the organization, by what everybody is, by a group or a name that its entries give, by a role that trusts it."""
    access, door = (
        Access(who, ("use",), CLUSTER_ARN, "hyperpod-ns-vision", by=("d|1|r|c|e",)),
        {
            **{"kind": "d", "account": "1", "region": "r", "container": "c", "principal": who, "gives": ["use"]},
            **{"where": CLUSTER_ARN, "what": "hyperpod-ns-vision", "written_at": "e", "closed_by": "x"},
            "behind": [*behind],
        },
    )
    document: Item = {"team": "vision", "access": [{**access.as_dict(), "granted": False}]}
    document["doors"] = [{**door, "expected": False}]
    rows = access_rows({"document": document, "grants": [[]]})
    assert bool(of_account(ways({"team": "vision", "access": rows}), "222222222222")) is may_be
    kept = access_rows({"document": {**document, "access": [], "doors": [{**door, "expected": True}]}, "grants": []})
    assert bool(of_account(ways({"team": "vision", "access": kept}), "222222222222")) is may_be
    known = Known({"vision": AccessReport("vision", document, {})}, ())
    assert bool(reached_by(known, "222222222222")) is may_be
    assert may_be_of("222222222222", who, behind) is may_be


# ---- who wrote a line ----------------------------------------------------------------------------------------------


def version(number: int, before: Item, after: Item) -> Item:
    """The object of a version of a record, by a writer of its own, a second after the one before."""
    record = {**after, "changed_by": f"writer {number}"} if after else {"id": "team#vision"}
    kind = "REMOVE" if not after else "MODIFY" if before else "INSERT"
    return version_document(record, before, {"kind": kind, "time": text(number), "sequence": str(100 + number)})


members_of = st.dictionaries(
    st.sampled_from(["222222222222", "444444444444"]), st.sampled_from(["", "2031-01-01T00:00:00Z"])
)
records = st.none() | members_of


@pure
@given(st.lists(records, min_size=1, max_size=7), st.randoms(use_true_random=False))
def test_a_line_is_of_its_last_writer(states: list[dict[str, str] | None], random: Any) -> None:
    """Whoever wrote a line as it is granted it: who wrote others since did not, whoever removed it did not either."""
    items = [
        a_team_item(members=[{"account": account, "expires": until} for account, until in state.items()])
        if state is not None
        else {}
        for state in states
    ]
    versions = [version(number, items[number - 1] if number else {}, item) for number, item in enumerate(items)]
    random.shuffle(versions)
    writers: dict[str, tuple[str, str]] = {}
    for number, state in enumerate(states):
        lines = {f"member {account}": until for account, until in (state or {}).items()}
        writers = {
            line: writers[line] if line in writers and writers[line][1] == until else (f"writer {number}", until)
            for line, until in lines.items()
        }
        for line in ("member 222222222222", "member 444444444444"):
            found = origin(versions, line, at(number))
            assert (found and found["writer"]) == (writers[line][0] if line in writers else None)
    assert [one["sequence"] for one in in_order(versions)] == [str(100 + number) for number in range(len(states))]


# ---- which line gives an access -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "accounts", "expected"),
    [
        ({}, (), {"member 222222222222", "member 444444444444"}),
        ({"access_role": "per_team"}, (), {"member 222222222222", "member 444444444444"}),
        (
            {"members": [{"organizational_unit": SCIENCE}], "service_accounts": []},
            ("555555555555",),
            {f"member organizational unit {SCIENCE}"},
        ),
        (
            {"members": [{"account": "222222222222", "existing_role": "research/R"}]},
            (),
            {"member 222222222222/role/research/R"},
        ),
    ],
    ids=["each", "per_team", "selected", "existing_role"],
)
def test_every_granted_access_has_its_line(fields: Item, accounts: tuple[str, ...], expected: set[str]) -> None:
    """Whatever podshare grants is given by a line of the record; members by theirs, data by the service account's."""
    team, datasets = a_team(**fields), {"imagenet": a_dataset()}
    known = {account: an_account(account) for account in accounts}
    resources = desired(team, [CLUSTER], datasets, known, INSTALLATION)
    lines = lines_of(team.model_dump(mode="json", by_alias=True))
    whys = {str(key): resource.why for key, resource in resources.items()}
    places = {name: (f"arn:aws:s3:::{dataset.bucket}", dataset.prefix) for name, dataset in datasets.items()}
    found = {
        access: grants_of(access, whys, lines, members(team.members, known), places)
        for access in effective_access([*resources.values()], {*resources}, INSTALLATION)
    }
    assert found
    assert all(found.values())
    texts = {line.text for granting in found.values() for line in granting}
    assert expected <= texts
    data = {line.text for access, granting in found.items() for line in granting if ":s3:::" in access.where}
    assert data == ({"dataset imagenet of service account trainer"} if team.service_accounts else set())


def test_lines_are_those_of_the_record_and_of_an_enrollment() -> None:
    """The same lines follow from a record as it is written and as it is parsed; of an enrollment those of its teams."""
    item = a_team_item(file_systems=[{"file_system": "fs-0123456789abcdef0", "dataset": "imagenet", "access": "read"}])
    parsed = lines_of(a_team(**item).model_dump(mode="json", by_alias=True))
    assert {line.text for line in lines_of(item)} == {line.text for line in parsed}
    enrolled = {line.text for line in lines_of(an_enrollment_item())}
    assert {f"member organizational unit {SCIENCE}", "dataset imagenet of service account trainer"} <= enrolled
    assert lines_of({"id": "team#x", "members": "nobody", "service_accounts": [{"datasets": [1]}, 2]}) == ()


def test_an_access_keeps_its_form() -> None:
    """An access that was written to the history is read from it as it was."""
    access = Access(WHO[0], ("read",), "arn:aws:s3:::b", "k/*", ("arn:role",), ("role|1||a",))
    report = {"document": {"team": "vision", "access": [{**access.as_dict(), "granted": True}]}, "grants": [[]]}
    (row,) = access_rows(report)
    assert access_of(row) == access
    assert access_of(row).by == access.by


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ({"reason": "ben joins", "content": '{"reason": "image models"}'}, "ben joins"),
        ({"reason": "", "content": '{"id": "team#vision", "reason": "image models"}'}, "image models"),
        ({"reason": "", "content": '{"id": "enrollment#labs", "team": {"reason": "to explore"}}'}, "to explore"),
        ({"reason": "", "content": '{"id": "cluster#main"}'}, ""),
        ({"version": 3}, ""),
    ],
)
def test_why_is_answered_without_a_reason_of_the_writer(version: dict[str, Any], reason: str) -> None:
    """Whoever wrote a record without --reason has said in the record why the team has what it has."""
    assert reason_of(version) == reason

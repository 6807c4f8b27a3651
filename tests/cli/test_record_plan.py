"""A plan over records as data: what it counts, what blocks it, and how it is kept in a file."""

import json
from pathlib import Path
from typing import Any

import pytest

from podshare_cli.failures import INVALID, Failure
from podshare_cli.plans.record_plan import RecordPlan, effects_of
from podshare_cli.records.changes import Effect, RecordChange

INSTALLATION = {"account": "111111111111", "region": "us-west-2", "prefix": "podshare"}


def change(action: str, name: str) -> dict[str, Any]:
    key = f"role|111111111111|||{name}"
    return {"action": action, "kind": "role", "account": "111111111111", "name": name, "key": key, "why": "a test"}


def team_plan(team: str = "vision", **parts: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"team": team, "hash": "0f", "count": 0, "left": 0}
    lists: dict[str, Any] = {"revoke": [], "allocate": [], "grant": [], "obstacles": [], "problems": [], "losses": []}
    return {**empty, **lists, **parts}


def revoking(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"stage": "trust", "changes": list(changes)}]


def providing(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"about": "a test", "waves": [{"changes": list(changes)}]}]


def a_plan(**parts: Any) -> RecordPlan:
    return RecordPlan(INSTALLATION, **parts)


def test_a_resource_counts_once_whatever_happens_to_it() -> None:
    """What goes is revoked, what is new is added; what is restricted, replaced or extended is changed."""
    plan = team_plan(
        revoke=revoking(change("cut", "a"), change("delete", "a"), change("narrow", "b"), change("delete", "c")),
        grant=providing(change("update", "b"), change("create", "c"), change("create", "d")),
        count=7,
        left=2,
    )
    assert sorted(effects_of(plan).values()) == ["add", "change", "change", "revoke"]
    assert a_plan(teams={"vision": plan}).counts["resources"] == {"add": 1, "change": 2, "revoke": 1, "later": 2}


def test_what_podshare_waits_for_blocks_no_plan() -> None:
    """A blocker that passes by itself is none of those that a person has to remove; a failed dry run is one."""
    late = {"what": "account 222222222222 has no member role", "remedy": "It is awaited.", "waits": True}
    gone = {"what": "bucket b does not exist", "remedy": "Create it."}
    plan = a_plan(teams={"vision": team_plan(obstacles=[late, gone])}, failures={"audio": "it timed out"})
    assert [(blocker["team"], blocker["what"]) for blocker in plan.blocked] == [
        ("audio", "it timed out"),
        ("vision", "bucket b does not exist"),
    ]
    assert not a_plan(teams={"vision": team_plan(obstacles=[late])}).blocked


def test_what_a_team_would_lose_is_unknown_without_its_plan() -> None:
    """A dry run that failed counts among the losses: nobody may confirm what nobody knows."""
    loss = {"key": "access_entry|1||c|n", "what": "member 222222222222: access"}
    plan = a_plan(teams={"vision": team_plan(losses=[loss])}, failures={"audio": "it timed out"})
    assert [(losses.team, [*losses.losses], losses.unknown) for losses in plan.losses] == [
        ("audio", [], "it timed out"),
        ("vision", [loss], ""),
    ]


def test_a_plan_is_empty_where_no_record_and_no_resource_changes() -> None:
    """Unchanged records and teams are nothing to do; a team that could not be planned is something."""
    same = RecordChange("team#vision", Effect.UNCHANGED, {"id": "team#vision"}, {"id": "team#vision"})
    assert a_plan(records=[same], teams={"vision": team_plan()}).is_empty
    assert not a_plan(failures={"vision": "it timed out"}).is_empty
    assert not a_plan(records=[RecordChange("team#vision", Effect.DELETE)]).is_empty


def test_a_plan_is_read_from_a_file_as_it_was_written(tmp_path: Path) -> None:
    """Records keep the item that was read from the registry, so that a later change of it is noticed."""
    before = {"id": "team#vision", "changed_by": "arn:aws:iam::111111111111:user/sam"}
    records = [RecordChange("team#vision", Effect.DELETE, None, before)]
    written = a_plan(records=records, teams={"vision": team_plan(count=1)}, failures={"audio": "it timed out"})
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(written.as_dict()))
    assert RecordPlan.read_from(path) == written


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 99}', '{"schema": 1}'])
def test_what_is_no_plan_is_refused(text: str, tmp_path: Path) -> None:
    """A file of another schema, or of something else, is invalid input; nothing of it is carried out."""
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(Failure) as refused:
        RecordPlan.read_from(path)
    assert refused.value.exit_code == INVALID

"""Who changed a record without the command is not known, and is never taken for whoever wrote it before."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from podshare_cli.application import main
from podshare_sandbox.organization import HUB_REGION
from tests.acting import Ended
from tests.builders import a_team_item
from tests.scenarios.test_history import objects, runs
from tests.scenarios.world import HUB, LANGUAGE, VISION, Item, World

REASON = "Trains the image models of 2027"
UNKNOWN = "an unknown author, outside of podshare"
EVIDENCE = "CloudTrail data events on the registry report who"

Call = Callable[..., Ended]


@pytest.fixture(scope="module")
def by_hand(world: World, tmp_path_factory: pytest.TempPathFactory) -> Item:
    """An admin wrote the team with the command, with a reason; somebody let LANGUAGE in with the AWS CLI."""
    path = tmp_path_factory.mktemp("records") / "team.yaml"
    path.write_text(yaml.safe_dump(a_team_item("vision", members=[{"account": VISION}])), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in world.sandbox.environment(HUB, HUB_REGION).items():
            patch.setenv(name, value)
        assert main(["team", "put", str(path), "--reason", REASON, "--yes"]) == 0
    world.sandbox.settle()
    world.sandbox.client("dynamodb").update_item(
        TableName="podshare-registry",
        Key={"id": {"S": "team#vision"}},
        UpdateExpression="SET members = list_append(members, :more)",
        ExpressionAttributeValues={":more": {"L": [{"M": {"account": {"S": LANGUAGE}}}]}},
    )
    world.sandbox.settle()
    assert world.status("vision")["state"] == "READY"
    return runs(world)[-1]


def test_the_run_of_a_hand_edit_has_no_author(call_as_auditor: Call, by_hand: Item) -> None:
    """Neither its cause nor its records have the former author or reason, and the page says who can tell."""
    assert (by_hand["cause"]["caller"], by_hand["cause"]["reason"], by_hand["cause"]["version"]) == ("", "", None)
    record = next(one for one in by_hand["records"] if one["id"] == "team#vision")
    assert (record["writer"], record["reason"], record["version"]) == ("", "", None)
    shown = " ".join(call_as_auditor("history", "show", by_hand["run"]).out.split())
    assert f"{UNKNOWN} ({EVIDENCE})" in shown
    assert f"team#vision, by {UNKNOWN}" in shown
    assert REASON not in shown
    assert "user/admin" not in shown.partition("records")[0]


def test_the_teams_history_names_no_author(call_as_auditor: Call, by_hand: Item) -> None:
    """The run of the hand edit is nobody's known, the one before it is the writer's, as declared."""
    assert by_hand
    newest, first = call_as_auditor("team", "history", "vision", "--json").data
    assert (newest["trigger"]["by"], "reason" in newest["trigger"], newest["proven"]) == ("", False, False)
    assert (first["trigger"]["by"], first["trigger"]["reason"]) == (f"arn:aws:iam::{HUB}:user/admin", REASON)
    lines = call_as_auditor("team", "history", "vision").out
    assert lines.count(UNKNOWN) == 1
    assert lines.count(REASON) == 1


def test_what_the_edit_gave_is_granted_by_nobody_known(call_as_auditor: Call, by_hand: Item) -> None:
    """The line that came by hand has no author, the other one keeps its own."""
    at = by_hand["proven_at"]
    grants = {
        grant["line"]: grant
        for one in call_as_auditor("access", "at", at, "of", "vision", "--json").data["access"]
        for grant in one["grants"]
    }
    assert (grants[f"member {LANGUAGE}"]["by"], grants[f"member {LANGUAGE}"]["version"]) == ("", None)
    assert grants[f"member {LANGUAGE}"]["exact"]
    assert (grants[f"member {VISION}"]["by"], grants[f"member {VISION}"]["version"]) == (
        f"arn:aws:iam::{HUB}:user/admin",
        1,
    )
    shown = " ".join(call_as_auditor("access", "at", at, "of", LANGUAGE).out.split())
    assert f"team#vision member {LANGUAGE} by {UNKNOWN}" in shown
    changes = " ".join(call_as_auditor("access", "changes", "--since", "1h", "--of", LANGUAGE).out.split())
    assert f"cause registry MODIFY team#vision, by {UNKNOWN}" in changes


def test_whatever_runs_later_does_not_name_the_former_author(world: World, by_hand: Item) -> None:
    """A sweep's run reads the record alone: what it says is not what its author signed."""
    assert by_hand
    world.sweep()
    record = next(one for one in runs(world)[-1]["records"] if one["id"] == "team#vision")
    assert (record["writer"], record["author"], record["reason"]) == ("", "", "")
    versions = sorted(objects(world, "records/v1/kind=team/name=vision/").items())
    assert [one["version"] for _, one in versions] == [1, None]


def test_the_record_says_that_it_was_changed_by_hand(call_as_auditor: Call, by_hand: Item) -> None:
    """Whoever shows the record does not read that its former author has written it so."""
    assert by_hand
    shown = call_as_auditor("team", "get", "vision").out
    assert f"# last changed by {UNKNOWN}" in shown
    assert REASON not in shown


@pytest.mark.usefixtures("by_hand")
def test_the_next_write_is_its_authors_again(
    world: World, call_as_auditor: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command's next write declares anew, and says with the run that this is declared, not proven."""
    path = tmp_path / "team.yaml"
    item: dict[str, Any] = a_team_item(
        "vision", members=[{"account": VISION}, {"account": LANGUAGE}], owner="sam@x.org"
    )
    path.write_text(yaml.safe_dump(item), encoding="utf-8")
    with monkeypatch.context() as patch:
        for name, value in world.sandbox.environment(HUB, HUB_REGION).items():
            patch.setenv(name, value)
        assert main(["team", "put", str(path), "--reason", "Sam takes over", "--yes"]) == 0
    world.sandbox.settle()
    run = runs(world)[-1]
    assert (run["cause"]["reason"], run["cause"]["version"]) == ("Sam takes over", 2)
    shown = " ".join(call_as_auditor("history", "show", run["run"]).out.split())
    assert f"by arn:aws:iam::{HUB}:user/admin, declared" in shown
    assert call_as_auditor("history", "show", run["run"], "--json").data[0]["proven"] is False

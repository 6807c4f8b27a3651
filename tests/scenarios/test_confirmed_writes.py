"""What a person was shown and agreed to is revoked at once: it waits for nobody, and uses up nothing of the budget."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from podshare_cli.application import main
from podshare_cli.aws.connection import Connection
from podshare_cli.plans.confirming import approvals, losses
from podshare_cli.records.provenance import Provenance
from podshare_cli.records.writes import write
from podshare_sandbox.organization import HUB_REGION
from tests.builders import a_team_item
from tests.scenarios.world import HUB, LANGUAGE, VISION, Item, World, refused

BOTH = [{"account": VISION}, {"account": LANGUAGE}]
ONE = [{"account": VISION}]
QUOTA = {"resources": [{"instance_type": "ml.g5.12xlarge", "accelerators": 1}]}
NAMES = ("spent", "waiting", "first", "second", "third", "fourth")


@pytest.fixture(scope="module")
def deployment() -> dict[str, str]:
    """One team an hour may lose access."""
    return {"DrainSeconds": "0", "MostTeamsLosingAccess": "1", "MostPercentLosingAccess": "0"}


@pytest.fixture(scope="module", autouse=True)
def spent(world: World) -> Iterator[None]:
    """Six teams at work; one of them has lost a member by a write that nobody confirmed, which was the hour's last."""
    world.put(*(a_team(name) for name in NAMES))
    world.put(a_team("spent", ONE))
    assert {world.status(name)["state"] for name in NAMES} == {"READY"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in world.sandbox.environment(HUB, HUB_REGION).items():
            patch.setenv(name, value)
        yield


def a_team(name: str, members: list[Item] | None = None) -> Item:
    return a_team_item(name, members=members or BOTH, quota=QUOTA, service_accounts=[])


def a_file(tmp_path: Path, item: Item) -> str:
    path = tmp_path / "records.yaml"
    path.write_text(yaml.safe_dump(item), encoding="utf-8")
    return str(path)


def counted(world: World) -> Any:
    return world.state("organization", "losses")["teams"]


def gets_in(world: World, name: str, account: str = LANGUAGE) -> bool:
    return not refused(lambda: world.may_submit(world.cluster_access(name, account), name))


def test_a_write_that_nobody_confirmed_is_counted_and_held(world: World) -> None:
    """A record that is written without the command counts as ever, and waits once the budget is used up."""
    world.put(a_team("waiting", ONE))
    assert world.status("waiting")["state"] == "HELD"
    assert gets_in(world, "waiting")


def test_a_put_that_revokes_names_who_loses_what_and_asks(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever cannot be asked writes nothing without --yes, and is told the team, the member and the cluster."""
    assert main(["team", "put", a_file(tmp_path, a_team("first", ONE))]) == 64
    told = capsys.readouterr().err
    assert "Team first loses:" in told
    assert f"member {LANGUAGE}: access on cluster main" in told
    world.sandbox.settle()
    assert gets_in(world, "first")


def test_a_confirmed_put_is_neither_held_nor_counted(world: World, tmp_path: Path) -> None:
    """--yes is the approval: it stands in the registry with who gave it, and the member is out in the same run."""
    session = world.cluster_access("first", LANGUAGE)
    before = counted(world)
    assert main(["team", "put", a_file(tmp_path, a_team("first", ONE)), "--yes"]) == 0
    world.sandbox.settle()
    assert world.status("first")["state"] == "READY"
    assert refused(lambda: world.may_submit(session, "first"))
    assert counted(world) == before
    assert str(world.record("approval#first")["changed_by"]).endswith(":user/admin")


def test_it_approves_no_later_plan(world: World) -> None:
    """Once what was confirmed is done, the same removal by another hand is held like any other."""
    world.put(a_team("first"))
    world.put(a_team("first", ONE))
    assert world.status("first")["state"] == "HELD"
    assert gets_in(world, "first")


def test_it_approves_no_more_than_was_shown(world: World) -> None:
    """The run finds another record than the one that was confirmed: what was not shown waits, and nothing is cut."""
    connection = Connection()
    shown = losses(connection, ["second"], [a_team("second", ONE)])
    write(connection, approvals(connection, shown), Provenance())
    world.put(a_team("second", [{"account": VISION, "existing_role": "Other"}]))
    assert world.status("second")["state"] == "HELD"
    assert gets_in(world, "second", VISION)
    assert gets_in(world, "second", LANGUAGE)


def test_a_confirmed_deletion_is_carried_out(world: World) -> None:
    """A deletion that was confirmed ends the team, however many have lost access before it."""
    before = counted(world)
    assert main(["team", "delete", "third", "--yes"]) == 0
    world.sandbox.settle()
    assert world.status("third")["state"] == "DELETED"
    assert counted(world) == before


def test_an_approval_that_nothing_was_begun_with_ends(world: World) -> None:
    """What was confirmed more than an hour ago, and not written then, approves nothing."""
    connection = Connection()
    write(connection, approvals(connection, losses(connection, ["fourth"], [a_team("fourth", ONE)])), Provenance())
    approval = world.record("approval#fourth")
    world.put({**approval, "confirmed": "2026-01-31T18:00:00Z"}, a_team("fourth", ONE))
    assert world.status("fourth")["state"] == "HELD"


def test_a_deleted_dataset_is_confirmed_team_by_team(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A dataset's deletion names every team that loses it, and is approved for each."""
    trainer = [{"name": "trainer", "datasets": [{"dataset": "drafts", "access": "read"}]}]
    world.put(*({**a_team(name), "service_accounts": trainer} for name in ("fifth", "sixth")))
    assert main(["dataset", "delete", "drafts"]) == 64
    told = capsys.readouterr().err
    assert "Team fifth loses:" in told
    assert "dataset drafts: every pod on cluster main" in told
    assert main(["dataset", "delete", "drafts", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reconciled"] == ["fifth", "sixth"]
    world.sandbox.settle()
    for name in ("fifth", "sixth"):
        assert world.status(name)["state"] == "READY"
        with pytest.raises(LookupError):
            world.access_point(name, "drafts")

"""`podshare approve`: what it shows, what it writes, and what it refuses."""

import io
import json
from collections.abc import Iterator

import pytest

from podshare.aws.rows import from_item, to_item
from podshare_cli.application import main
from podshare_cli.aws.connection import Connection
from podshare_cli.failures import Failure
from podshare_cli.records import signed
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import HUB, HUB_REGION


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The two tables alone, with two teams that are held."""
    with Sandbox(time_scale=0.02) as found:
        client = found.client("dynamodb")
        for name, keys in {"registry": ("id",), "state": ("id", "part")}.items():
            client.create_table(
                TableName=f"podshare-{name}",
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
                KeySchema=[
                    {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
                ],
            )
        for team, digest in {"vision": "0123456789ab", "language": "ba9876543210"}.items():
            row = {"id": f"team#{team}", "part": "held", "hash": digest, "since": "2026-11-22T10:00:00+00:00"}
            row |= {"losses": ["role x in account 222222222222"]}
            client.put_item(TableName="podshare-state", Item=to_item(row))
        yield found


@pytest.fixture(autouse=True)
def environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command acts as the hub's admin."""
    for name, value in sandbox.environment(HUB, HUB_REGION).items():
        monkeypatch.setenv(name, value)


def approval(sandbox: Sandbox, team: str) -> dict[str, object]:
    found = sandbox.client("dynamodb").get_item(TableName="podshare-registry", Key={"id": {"S": f"approval#{team}"}})
    return from_item(found["Item"]) if "Item" in found else {}


def test_it_shows_what_waits(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a team it lists the teams that are held, with the hash of each plan."""
    assert main(["approve", "--json"]) == 0
    assert [(row["team"], row["plan"]) for row in json.loads(capsys.readouterr().out)] == [
        ("language", "ba9876543210"),
        ("vision", "0123456789ab"),
    ]


def test_another_hash_approves_nothing(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan that has changed since it was looked at is not approved, and the error names the present one."""
    assert main(["approve", "vision", "ffffffffffff"]) == 64
    assert "has plan 0123456789ab awaiting approval" in capsys.readouterr().err
    assert main(["approve", "robots", "ffffffffffff"]) == 1
    assert approval(sandbox, "vision") == {}


def test_an_approval_is_a_record(sandbox: Sandbox) -> None:
    """The approval stands in the registry with the plan, who gave it and why."""
    assert main(["approve", "vision", "0123456789ab", "--reason", "The team has ended"]) == 0
    found = approval(sandbox, "vision")
    assert (found["plan"], found["reason"]) == ("0123456789ab", "The team has ended")
    assert str(found["changed_by"]).endswith(":user/admin")


def test_all_at_once_needs_a_yes(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--all says who would lose what, takes no answer from a pipe, and approves it all once it is confirmed."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["approve", "--all"]) == 64
    refused = capsys.readouterr().err
    assert all(text in refused for text in ("Team language loses:", "role x in account 222222222222", "add --yes"))
    assert approval(sandbox, "language") == {}
    assert main(["approve", "--all", "--yes"]) == 0
    assert approval(sandbox, "language")["plan"] == "ba9876543210"


def test_what_was_approved_is_said_before_the_next_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever approves all, and is refused at one, sees which are approved."""
    stock = signed.write

    def refusing(connection: Connection, item: dict[str, object]) -> None:
        if item["id"] == "approval#vision":
            raise Failure("refused")
        stock(connection, item)

    monkeypatch.setattr(signed, "write", refusing)
    assert main(["approve", "--all", "--yes"]) == 1
    told = capsys.readouterr()
    assert "approved: plan ba9876543210 of team language" in told.out + told.err

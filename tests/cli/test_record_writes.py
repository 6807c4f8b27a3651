"""Records are written all or none, and only as they were read: what others have written is reported, not overwritten."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podshare.aws.rows import from_item, to_item
from podshare.registry.parsing import parse
from podshare_cli.aws.connection import Connection
from podshare_cli.failures import Failure
from podshare_cli.records import provenance, writes
from podshare_cli.records.changes import deleting, overwriting
from podshare_cli.records.provenance import Provenance
from podshare_cli.records.references import record_changes
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import HUB, HUB_REGION
from tests.acting import act_in_the_hub
from tests.builders import a_team_item

CI = ("GITHUB_ACTOR", "GITHUB_SHA", "GITHUB_REPOSITORY", "GITHUB_SERVER_URL", "GITHUB_WORKSPACE", "GITLAB_USER_LOGIN",
      "CI_COMMIT_SHA", "CI_PROJECT_PATH", "CI_SERVER_HOST", "CI_PROJECT_DIR")  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The registry's table alone."""
    with Sandbox(time_scale=0.02) as running:
        running.client("dynamodb").create_table(
            TableName="podshare-registry",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        yield running


@pytest.fixture
def connection(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """The hub's admin, outside of any CI."""
    keys = sandbox.environment(HUB, HUB_REGION)
    act_in_the_hub(monkeypatch, keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    for name in CI:
        monkeypatch.delenv(name, raising=False)
    return Connection()


def stored(sandbox: Sandbox, record_id: str) -> dict[str, Any]:
    answer = sandbox.client("dynamodb").get_item(TableName="podshare-registry", Key={"id": {"S": record_id}})
    return from_item(answer["Item"]) if "Item" in answer else {}


def put_by_hand(sandbox: Sandbox, item: dict[str, Any]) -> None:
    """As `aws dynamodb put-item` does: it asks nothing, and writes no version."""
    sandbox.client("dynamodb").put_item(TableName="podshare-registry", Item=to_item(item))


def write(connection: Connection, *items: dict[str, Any], reason: str = "") -> None:
    writes.write(connection, record_changes(connection, items), Provenance(reason=reason))


def test_a_record_carries_what_its_last_write_was(connection: Connection, sandbox: Sandbox) -> None:
    """The version grows with each write, with who, when and why; all of it is a valid record."""
    write(connection, a_team_item("carries"), reason="They begin")
    first = stored(sandbox, "team#carries")
    write(connection, a_team_item("carries", owner="sam"), reason="Sam takes over")
    second = stored(sandbox, "team#carries")
    assert [item["change"]["version"] for item in (first, second)] == [1, 2]
    assert second["change"]["reason"] == "Sam takes over"
    assert second["changed_by"] == connection.caller
    assert parse(second)


def test_what_says_the_same_is_not_written(connection: Connection, sandbox: Sandbox) -> None:
    """Who wrote a record, and when, is no difference; a record from before versions is as good as any."""
    put_by_hand(sandbox, a_team_item("same"))
    write(connection, a_team_item("same"))
    assert "change" not in stored(sandbox, "team#same")
    write(connection, a_team_item("same", owner="sam"))
    assert stored(sandbox, "team#same")["change"]["version"] == 1


@pytest.mark.parametrize(
    "edit",
    [
        {"owner": "robin"},
        {"expires": "2034-01-31T18:00:00Z"},
        {"quota": {"resources": [{"instance_type": "ml.g5.12xlarge", "count": 7}]}},
    ],
    ids=["changed", "added", "within a map"],
)
def test_an_edit_by_hand_is_noticed(connection: Connection, sandbox: Sandbox, edit: dict[str, Any]) -> None:
    """A raw put-item between reading and writing is reported with its fields, and stays."""
    write(connection, a_team_item("edited"))
    changes = record_changes(connection, [a_team_item("edited", owner="sam")])
    put_by_hand(sandbox, {**stored(sandbox, "team#edited"), **edit})
    with pytest.raises(Failure, match="has been changed since it was read, without this command") as refused:
        writes.write(connection, changes, Provenance())
    assert all(name in str(refused.value) for name in edit)
    assert "Nothing was written" in str(refused.value)
    assert stored(sandbox, "team#edited")["owner"] != "sam"


def test_the_write_of_another_is_reported_with_who_and_why(connection: Connection, sandbox: Sandbox) -> None:
    """Of two that read the same version the second is refused, and learns of the first."""
    write(connection, a_team_item("raced"))
    changes = record_changes(connection, [a_team_item("raced", owner="sam")])
    write(connection, a_team_item("raced", owner="robin"), reason="Robin was first")
    with pytest.raises(Failure, match=r"by arn:aws:iam::111111111111:\S+ at 20\S+, reason: Robin was first"):
        writes.write(connection, changes, Provenance())
    assert stored(sandbox, "team#raced")["owner"] == "robin"


def test_one_that_came_meanwhile_is_not_overwritten(connection: Connection, sandbox: Sandbox) -> None:
    """What was absent when it was read is created only while it is absent."""
    changes = record_changes(connection, [a_team_item("absent", owner="sam")])
    put_by_hand(sandbox, a_team_item("absent", owner="robin"))
    with pytest.raises(Failure, match="team#absent has been created since it was read"):
        writes.write(connection, changes, Provenance())
    assert stored(sandbox, "team#absent")["owner"] == "robin"


def test_a_changed_record_is_not_deleted(connection: Connection, sandbox: Sandbox) -> None:
    """A deletion is of the record that was read; of one that has gone already, it says so."""
    write(connection, a_team_item("deleted"))
    before = stored(sandbox, "team#deleted")
    write(connection, a_team_item("deleted", owner="robin"))
    with pytest.raises(Failure, match="team#deleted has been changed"):
        writes.write(connection, [deleting(before)], Provenance())
    writes.write(connection, [deleting(stored(sandbox, "team#deleted"))], Provenance())
    assert stored(sandbox, "team#deleted") == {}
    with pytest.raises(Failure, match="team#deleted has been deleted"):
        writes.write(connection, [deleting(before)], Provenance())


def test_all_records_are_written_or_none(connection: Connection, sandbox: Sandbox) -> None:
    """One record of a hundred that has changed keeps the others as they were."""
    write(connection, a_team_item("all-0"))
    changes = record_changes(connection, [a_team_item(f"all-{number}", owner="sam") for number in range(1, 100)])
    changes += record_changes(connection, [a_team_item("all-0", owner="sam")])
    put_by_hand(sandbox, a_team_item("all-0", owner="robin"))
    with pytest.raises(Failure, match="Nothing was written"):
        writes.write(connection, changes, Provenance())
    assert stored(sandbox, "team#all-1") == {}


def test_of_more_than_a_transaction_holds_it_is_reported_what_was_written(
    connection: Connection, sandbox: Sandbox
) -> None:
    """Beyond 100 records it goes on in their order, and ends before what follows a refused one."""
    changes = record_changes(connection, [a_team_item(f"many-{number}") for number in range(101)])
    put_by_hand(sandbox, a_team_item("many-100", owner="robin"))
    with pytest.raises(Failure, match=r"Written before it: team#many-0, team#many-1, "):
        writes.write(connection, changes, Provenance())
    assert stored(sandbox, "team#many-99")["change"]["version"] == 1


def test_any_record_can_be_repaired(connection: Connection, sandbox: Sandbox) -> None:
    """Also one that is no record: with more attributes than a condition can compare, sets and binary values."""
    junk = {f"field-{number}": number for number in range(500)} | {"members": {"222222222222"}, "owner": b"\x00"}
    put_by_hand(sandbox, {"id": "team#junk", **junk, "change": "none", "quota": 1.5})
    write(connection, a_team_item("junk"))
    assert parse(stored(sandbox, "team#junk"))


def test_a_race_within_the_write_is_noticed(
    connection: Connection, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edit after the last reading, when only the transaction's condition can see it."""
    write(connection, a_team_item("late"))
    changes = record_changes(connection, [a_team_item("late", owner="sam")])
    registry = writes.Registry
    transact = registry.transact

    def edited_before(self: Any, operations: Any) -> bool:
        put_by_hand(sandbox, {**stored(sandbox, "team#late"), "expires": "2034-01-31T18:00:00Z"})
        return transact(self, operations)

    monkeypatch.setattr(registry, "transact", edited_before)
    with pytest.raises(Failure, match=r"team#late has been changed .*expires"):
        writes.write(connection, changes, Provenance())
    assert stored(sandbox, "team#late")["owner"] != "sam"


def test_an_approval_is_written_again_by_whoever_asks(connection: Connection, sandbox: Sandbox) -> None:
    """What is meant as a deed, not as a state, is written also if it says the same."""
    item = {"id": "pause#all", "schema": 1, "reason": "Moving", "owner": "sam"}
    for _ in range(2):
        writes.write_item(connection, item, Provenance())
    assert stored(sandbox, "pause#all")["change"]["version"] == 2
    assert overwriting(item, item).result == "changed"


# ---- where records come from ------------------------------------------------------------------------------------


def a_repository(folder: Path, remote: str = "https://robin:secret@github.com/example/records.git") -> Path:
    """A clone with one committed file."""
    (folder / "teams").mkdir()
    (folder / "teams" / "vision.yaml").write_text("id: team#vision\n", encoding="utf-8")
    for words in (
        ("init", "-q"),
        ("config", "user.email", "robin@example.com"),
        ("config", "user.name", "Robin"),
        ("remote", "add", "origin", remote),
        ("add", "."),
        ("commit", "-q", "-m", "Begin"),
    ):
        subprocess.run(["git", "-C", str(folder), *words], check=True)  # noqa: S603, S607  # git, wherever it is
    return folder / "teams" / "vision.yaml"


def test_git_says_who_and_from_where(connection: Connection, tmp_path: Path) -> None:  # noqa: ARG001  # no CI
    """Author, commit, repository and path are the clone's; a commit with changes of the files beside it says so."""
    file = a_repository(tmp_path)
    origin = provenance.of_files([str(file)], "Because")
    assert (origin.author, origin.repository, origin.reason) == (
        "robin@example.com", "github.com/example/records", "Because"
    )  # fmt: skip
    assert len(origin.commit) == 40
    assert origin.source(str(file)) == {"repository": "github.com/example/records", "path": "teams/vision.yaml"}
    assert origin.source(str(tmp_path.parent / "elsewhere.yaml")) is None
    file.write_text("id: team#vision\nschema: 1\n", encoding="utf-8")
    assert provenance.of_files([str(file)]).commit == f"{origin.commit}-dirty"


@pytest.mark.parametrize(
    ("variables", "repository"),
    [
        ({"GITHUB_ACTOR": "robin", "GITHUB_SHA": "0a1b", "GITHUB_REPOSITORY": "example/records"}, "github.com/example/records"),
        ({"GITLAB_USER_LOGIN": "robin", "CI_COMMIT_SHA": "0a1b", "CI_PROJECT_PATH": "example/records", "CI_SERVER_HOST": "git.example.com"}, "git.example.com/example/records"),
    ],
    ids=["GitHub", "GitLab"],
)  # fmt: skip
def test_ci_says_who_and_from_where(
    connection: Connection,  # noqa: ARG001  # no CI but this one
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    repository: str,
) -> None:
    """In CI its variables count; a clone of another repository than the job's has a name and a commit of its own."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    origin = provenance.of_files([str(tmp_path)])  # no clone
    assert (origin.author, origin.commit, origin.repository) == ("robin", "0a1b", repository)
    cloned = provenance.of_files([str(a_repository(tmp_path, "git@git.example.com:example/others.git"))])
    assert (cloned.author, cloned.repository) == ("robin", "git.example.com/example/others")
    assert len(cloned.commit) == 40
    config = tmp_path / ".git" / "config"
    config.write_text(config.read_text().replace("git@git.example.com:example/others", f"https://t:s@{repository}"))
    own = provenance.of_files([str(tmp_path)])
    assert (own.commit, own.repository) == ("0a1b", repository)


@pytest.mark.parametrize(
    ("remote", "repository"),
    [
        ("git@github.com:example/records.git", "github.com/example/records"),
        ("ssh://git@git.example.com:2222/a/b/records", "git.example.com/a/b/records"),
        ("https://token:secret@gitlab.com/a/records.git/", "gitlab.com/a/records"),
        ("/srv/records.git", ""),
        ("", ""),
    ],
)
def test_a_repository_has_one_name(remote: str, repository: str) -> None:
    """However it was cloned, and never with a password in it."""
    assert provenance.repository_of(remote) == repository


def test_what_is_declared_always_fits(connection: Connection, sandbox: Sandbox) -> None:
    """No author, commit or path makes a record invalid; a reason that is too long is refused before."""
    origin = Provenance(reason="a\nb", author="x" * 999, commit="\x1b[31m", repository="r" * 999, root=Path("/"))
    changes = record_changes(connection, [a_team_item("fits")])
    writes.write(connection, changes, origin, {"team#fits": origin.source("/" + "p/" * 999)})
    change = stored(sandbox, "team#fits")["change"]
    assert (change["reason"], change["commit"], len(change["author"])) == ("a b", "[31m", 256)
    assert parse(stored(sandbox, "team#fits"))
    with pytest.raises(Failure, match="reason has 1,025 characters"):
        provenance.of_files(reason="r" * 1025)


def test_a_source_stays_with_a_write_by_hand(connection: Connection, sandbox: Sandbox) -> None:
    """`put` changes what a record says, not which file holds it."""
    source = {"repository": "github.com/example/records", "path": "teams/vision.yaml"}
    writes.write(connection, record_changes(connection, [a_team_item("kept")]), Provenance(), {"team#kept": source})
    write(connection, a_team_item("kept", owner="sam"))
    assert stored(sandbox, "team#kept")["change"]["source"] == source

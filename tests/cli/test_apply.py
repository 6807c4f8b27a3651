"""`podshare apply` and `podshare export`: records in git, written by somebody with no more than the admins' policy."""

import io
import json
import os
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from podshare.aws.rows import from_item, to_item
from podshare_cli.application import main
from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import HUB
from tests.acting import act_in_the_hub

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "registry"
REPOSITORY = "github.com/example/records"
INVALID = 64

Podshare = Callable[..., tuple[int, str, str]]


class Terminal(io.StringIO):
    """What somebody types."""

    def isatty(self) -> bool:
        return True


class Interrupted(Terminal):
    """Somebody who answers with Ctrl-C."""

    def readline(self, _size: int | None = -1, /) -> str:  # type: ignore[override]  # as in typeshed
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """An organization with podshare deployed, in which `operator` has the managed policy for admins."""
    with Sandbox(time_scale=0.02) as running, pytest.MonkeyPatch.context() as patch:
        deploy_podshare(running)
        iam = running.client("iam", HUB)
        iam.create_user(UserName="operator")
        policy = f"arn:aws:iam::{HUB}:policy/podshare-system/podshare-admin"
        iam.attach_user_policy(UserName="operator", PolicyArn=policy)
        key = iam.create_access_key(UserName="operator")["AccessKey"]
        act_in_the_hub(patch, key["AccessKeyId"], key["SecretAccessKey"])
        for name in [name for name in os.environ if name.startswith(("GITHUB_", "GITLAB_", "CI_"))]:
            patch.delenv(name)
        yield running


@pytest.fixture(scope="module")
def clone(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001  # the keys
    """A clone of the repository of records, applied once: a cluster, five datasets and a team."""
    folder = tmp_path_factory.mktemp("clone")
    records = folder / "records"
    records.mkdir()
    for name in ("team-vision", "datasets", "cluster-main"):
        text = (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
        (records / f"{name}.yaml").write_text(text, encoding="utf-8")
    git(folder, "init", "-q")
    git(folder, "config", "user.email", "robin@example.com")
    git(folder, "config", "user.name", "Robin")
    git(folder, "remote", "add", "origin", f"git@{REPOSITORY.replace('/', ':', 1)}.git")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "Begin")
    assert main(["apply", "-f", str(records), "--reason", "They begin", "--quiet"]) == 0
    return folder


@pytest.fixture
def podshare(clone: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Podshare:
    """Calls the command in the clone; returns its exit code and what it printed."""
    monkeypatch.chdir(clone)

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        return main(list(words)), *capsys.readouterr()

    return call


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True)  # noqa: S603, S607
    return done.stdout.strip()


def record(sandbox: Sandbox, record_id: str) -> dict[str, Any]:
    answer = sandbox.client("dynamodb").get_item(TableName="podshare-registry", Key={"id": {"S": record_id}})
    return from_item(answer["Item"]) if "Item" in answer else {}


def put_by_hand(sandbox: Sandbox, item: dict[str, Any]) -> None:
    sandbox.client("dynamodb").put_item(TableName="podshare-registry", Item=to_item(item))
    sandbox.settle()


def edit(clone: Path, name: str, **fields: Any) -> None:
    """Change fields of the one record in a file."""
    path = clone / "records" / f"{name}.yaml"
    item = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**item, **fields}), encoding="utf-8")


def test_what_is_applied_says_where_it_is_from(podshare: Podshare, clone: Path, sandbox: Sandbox) -> None:
    """Each record has its file, the commit, who and why; the runs that it starts say so too."""
    change = record(sandbox, "dataset#imagenet")["change"]
    assert change["source"] == {"repository": REPOSITORY, "path": "records/datasets.yaml"}
    assert (change["version"], change["author"], change["reason"]) == (1, "robin@example.com", "They begin")
    assert change["commit"] == git(clone, "rev-parse", "HEAD")
    assert "They begin, commit " + change["commit"][:12] in podshare("team", "history", "vision")[1]
    assert "reason: They begin" in podshare("dataset", "get", "imagenet")[1]
    assert "change" not in podshare("dataset", "get", "imagenet", "--yaml")[1]


def test_what_is_there_already_is_not_applied(podshare: Podshare) -> None:
    """Without a difference nothing is asked, written or followed."""
    code, out, _ = podshare("apply", "-f", "records")
    assert code == 0
    assert "Nothing to apply" in out
    answer = json.loads(podshare("apply", "-f", "records", "--json")[1])
    assert (answer["records"], answer["teams"], answer["plan"]["losses"]) == ([], [], [])


def test_what_could_not_be_applied_is_told_again(podshare: Podshare, clone: Path) -> None:
    """A rerun writes nothing, but does not say that all is well while a team of the files is not."""
    before = (clone / "records" / "team-vision.yaml").read_text(encoding="utf-8")
    edit(clone, "team-vision", quota={"resources": [{"instance_type": "ml.g5.12xlarge", "count": 4000}]})
    assert podshare("apply", "-f", "records", "--auto-approve")[0] == 1
    code, out, err = podshare("apply", "-f", "records")
    assert code == 1
    assert "Nothing to apply" in out
    assert "vision is DEGRADED" in err
    (clone / "records" / "team-vision.yaml").write_text(before, encoding="utf-8")
    assert podshare("apply", "-f", "records", "--auto-approve")[0] == 0


def test_what_is_blocked_is_asked_about(
    podshare: Podshare, clone: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that cannot be applied whole is written only by somebody who agrees, and then ends with 1."""
    before = (clone / "records" / "team-vision.yaml").read_text(encoding="utf-8")
    edit(clone, "team-vision", quota={"resources": [{"instance_type": "ml.g5.12xlarge", "count": 4000}]})
    for code in (podshare("apply", "-f", "records"), podshare("apply", "-f", "records", "--json")):
        assert (code[0], "vision: the quota of vision would over-commit" in code[2]) == (INVALID, True)
        assert "add --auto-approve" in code[2]
        assert "revokes" not in code[2]
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert podshare("apply", "-f", "records")[0] == 1
    assert record(sandbox, "team#vision")["quota"]["resources"][0]["instance_type"] == "ml.p5.48xlarge"
    (clone / "records" / "team-vision.yaml").write_text(before, encoding="utf-8")


def test_an_applied_change_is_followed_to_its_end(podshare: Podshare, clone: Path, sandbox: Sandbox) -> None:
    """The plan, a line for each record and team, and a summary; nobody loses access, so that nobody is asked."""
    edit(clone, "team-vision", reason="Trains larger models")
    code, out, err = podshare("apply", "-f", "records")
    assert code == 0
    assert "team#vision: changed" in err
    assert "vision  = READY" in err
    assert out.splitlines()[-1] == "Applied: 1 changed; 1 team READY"
    assert record(sandbox, "team#vision")["change"]["commit"].endswith("-dirty")


def test_who_would_lose_access_is_asked_about(
    podshare: Podshare, clone: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a no nothing is written, nor where nobody can be asked; --auto-approve approves just these losses."""
    members = record(sandbox, "team#vision")["members"]
    edit(clone, "team-vision", members=members[:1])
    code, _, err = podshare("apply", "-f", "records")
    assert code == INVALID
    assert "Team vision loses:" in err
    assert "add --auto-approve" in err
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    code, _, err = podshare("apply", "-f", "records")
    assert (code, "Nothing was written." in err) == (1, True)
    for answer, code in ((Terminal(""), 1), (Interrupted(), 130)):
        monkeypatch.setattr("sys.stdin", answer)
        ended, _, err = podshare("apply", "-f", "records")
        assert (ended, "Not confirmed: nothing was done." in err) == (code, True)
    assert record(sandbox, "team#vision")["members"] == members
    assert podshare("apply", "-f", "records", "--auto-approve", "--reason", "They left")[0] == 0
    assert record(sandbox, "team#vision")["members"] == members[:1]
    assert record(sandbox, "approval#vision")["reason"] == "They left"


def test_a_saved_plan_is_applied_as_it_was_reviewed(podshare: Podshare, clone: Path, sandbox: Sandbox) -> None:
    """With the files that it was made of."""
    edit(clone, "team-vision", reason="Reviewed")
    assert podshare("plan", "-f", "records", "--out", "plan.json")[0] == 0
    edit(clone, "team-vision", reason="Not reviewed")
    code, out, _ = podshare("apply", "plan.json")
    assert (code, out.splitlines()[-1]) == (0, "Applied: 1 changed; 1 team READY")
    vision = record(sandbox, "team#vision")
    assert vision["reason"] == "Reviewed"
    assert vision["change"]["source"]["path"] == "records/team-vision.yaml"
    edit(clone, "team-vision", reason="Reviewed")


def test_a_plan_ends_with_the_record_that_it_was_made_of(podshare: Podshare, clone: Path, sandbox: Sandbox) -> None:
    """Somebody else puts between plan and apply: the error names who, when and which field; theirs stays."""
    edit(clone, "team-vision", reason="Mine")
    assert podshare("plan", "-f", "records", "--out", "plan.json")[0] == 0
    theirs = clone / "theirs.yaml"
    item = {
        name: value for name, value in record(sandbox, "team#vision").items() if name not in ("change", "changed_by")
    }
    theirs.write_text(yaml.safe_dump({**item, "reason": "Theirs"}), encoding="utf-8")
    assert podshare("team", "put", str(theirs), "--reason", "It is urgent")[0] == 0
    sandbox.settle()
    code, _, err = podshare("apply", "plan.json", "--auto-approve")
    assert code == 1
    assert "team#vision has been changed since it was read, by arn:aws:iam::111111111111:user/operator at 20" in err
    assert "reason: It is urgent (fields: reason)" in err
    assert record(sandbox, "team#vision")["reason"] == "Theirs"
    edit(clone, "team-vision", reason="Theirs")


def test_a_plan_ends_with_what_it_would_do(podshare: Podshare, clone: Path, sandbox: Sandbox) -> None:
    """Another record, of which the plan has nothing, gives the team another plan: it is not applied, and says why."""
    (clone / "only").mkdir()
    vision = {
        name: value for name, value in record(sandbox, "team#vision").items() if name not in ("change", "changed_by")
    }
    (clone / "only" / "vision.yaml").write_text(
        yaml.safe_dump({**vision, "owner": "sam@example.com"}), encoding="utf-8"
    )
    assert podshare("plan", "-f", "only", "--out", "plan.json")[0] == 0
    imagenet = record(sandbox, "dataset#imagenet")
    put_by_hand(sandbox, {**imagenet, "data_role": "target"})
    code, _, err = podshare("apply", "plan.json", "--auto-approve")
    assert code == 1
    assert "team vision has another plan now" in err
    assert record(sandbox, "team#vision")["owner"] == vision["owner"]
    put_by_hand(sandbox, imagenet)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("records", 0, "item", "owner"), ""),
        (("records", 0, "item", "id"), "team#other"),
        (("records", 0, "id"), "block#222222222222"),
        (("records", 0, "effect"), "track"),
        (("records", 0, "effect"), "unchanged"),
        (("records", 0, "effect"), "delete"),
        (("records", 0, "item"), None),
        (("records", 0, "before"), 5),
        (("teams", 0, "revoke"), None),
        (("installation", "prefix"), "other"),
        (("schema",), 2),
    ],
    ids=[
        "invalid",
        "other",
        "kind",
        "track",
        "unchanged",
        "delete",
        "no item",
        "no record",
        "no plan",
        "installation",
        "schema",
    ],
)
def test_a_plan_that_was_tampered_with_is_refused(
    podshare: Podshare, clone: Path, path: tuple[Any, ...], value: object
) -> None:
    """What no plan of this installation has is not written, whoever made the document."""
    edit(clone, "team-vision", reason="Tampered")
    assert podshare("plan", "-f", "records/team-vision.yaml", "--out", "plan.json")[0] == 0
    document = json.loads((clone / "plan.json").read_text(encoding="utf-8"))
    part = document
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    (clone / "plan.json").write_text(json.dumps(document), encoding="utf-8")
    assert podshare("apply", "plan.json", "--auto-approve")[0] == INVALID
    edit(clone, "team-vision", reason="Theirs")


def test_what_is_exported_is_what_the_files_say(podshare: Podshare, clone: Path) -> None:
    """One file for each record, with which nothing is to be done; a second export writes nothing."""
    code, _, err = podshare("export", "exported")
    assert code == 0
    files = sorted(path.name for path in (clone / "exported").iterdir())
    assert files == [
        "cluster-main.yaml", "dataset-clinical-reports.yaml", "dataset-clinical-scans.yaml", "dataset-drafts.yaml",
        "dataset-imagenet.yaml", "dataset-web-crawl.yaml", "team-vision.yaml",
    ]  # fmt: skip
    assert "7 records exported, 7 files written" in err
    assert "Nothing to apply" in podshare("apply", "-f", "exported")[1]
    assert "0 files written" in podshare("export", "exported")[2]
    assert json.loads(podshare("export", "records", "--json")[1])["written"] == []


def test_an_export_changes_the_lines_that_differ(podshare: Podshare, clone: Path) -> None:
    """Comments stay in the file that holds the record, and what only the files have is named."""
    edit(clone, "cluster-main", over_commitment="warn")
    path = clone / "records" / "cluster-main.yaml"
    path.write_text(f"# ours\n{path.read_text(encoding='utf-8')}# the end\n", encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    (clone / "records" / "more.yaml").write_text("id: dataset#more\n---\nx: 1\n", encoding="utf-8")
    code, out, _ = podshare("export", "records", "--json")
    assert code == 0
    assert json.loads(out)["others"] == {"dataset#more": "records/more.yaml"}
    assert json.loads(out)["written"] == ["records/cluster-main.yaml"]
    after = path.read_text(encoding="utf-8")
    assert {*before.splitlines()} ^ {*after.splitlines()} == {"over_commitment: warn", "over_commitment: refuse"}
    assert after.startswith("# ours\n")
    assert after.endswith("# the end\n")
    (clone / "records" / "more.yaml").unlink()


def test_an_export_stays_in_its_directory(podshare: Podshare, clone: Path, sandbox: Sandbox) -> None:
    """Neither a link nor a record's id leads out of it; an invalid record is named, and the others are exported."""
    outside = clone / "outside.yaml"
    outside.write_text("id: cluster#main\n", encoding="utf-8")
    (clone / "linked").mkdir()
    (clone / "linked" / "cluster.yaml").symlink_to(outside)
    assert podshare("export", "linked")[0] == INVALID
    assert outside.read_text(encoding="utf-8") == "id: cluster#main\n"
    put_by_hand(sandbox, {"id": "dataset#../../evil", "account": "333333333333"})
    code, _, err = podshare("export", "named")
    sandbox.client("dynamodb").delete_item(TableName="podshare-registry", Key={"id": {"S": "dataset#../../evil"}})
    assert code == 1
    assert "dataset#../../evil" in err
    assert len(list((clone / "named").iterdir())) == 7
    assert not list(clone.parent.rglob("*evil*"))
    code, _, err = podshare("export", "outside.yaml")
    assert (code, "cannot be written" in err) == (INVALID, True)


def test_what_left_the_files_is_pruned(podshare: Podshare, clone: Path, sandbox: Sandbox) -> None:
    """--prune deletes what these files held, once each deletion is confirmed, and nothing that others wrote."""
    drafts = record(sandbox, "dataset#drafts")
    put_by_hand(sandbox, {**drafts, "id": "dataset#by-hand", "change": {**drafts["change"], "source": {}}})
    other = {"repository": "github.com/example/other", "path": "records/datasets.yaml"}
    put_by_hand(sandbox, {**drafts, "id": "dataset#other", "change": {**drafts["change"], "source": other}})
    path = clone / "records" / "datasets.yaml"
    held = [item for item in yaml.safe_load_all(path.read_text(encoding="utf-8")) if item["id"] != "dataset#web-crawl"]
    path.write_text(yaml.safe_dump_all(held), encoding="utf-8")
    assert podshare("apply", "-f", "records")[0] == 0
    assert record(sandbox, "dataset#web-crawl")
    code, _, err = podshare("apply", "-f", "records", "--prune")
    assert code == INVALID
    assert [line for line in err.splitlines() if "Deletes" in line] == ["Deletes dataset#web-crawl."]
    code, out, _ = podshare("apply", "-f", "records", "--prune", "--auto-approve")
    assert code == 0
    assert out.splitlines()[-1] == "Applied: 1 deleted"
    assert record(sandbox, "dataset#web-crawl") == {}
    assert record(sandbox, "dataset#by-hand")
    assert record(sandbox, "dataset#other")


def test_what_the_files_hold_is_tracked(podshare: Podshare, clone: Path, sandbox: Sandbox) -> None:
    """A record that apply has never written is written with its file by --prune, so that it is pruned later."""
    by_hand = {
        name: value
        for name, value in record(sandbox, "dataset#by-hand").items()
        if name not in ("change", "changed_by")
    }
    (clone / "records" / "by-hand.yaml").write_text(yaml.safe_dump(by_hand), encoding="utf-8")
    assert "Nothing to apply" in podshare("apply", "-f", "records")[1]
    code, out, _ = podshare("apply", "-f", "records", "--prune")
    assert (code, out.splitlines()[-1]) == (0, "Applied: 1 tracked")
    assert record(sandbox, "dataset#by-hand")["change"]["source"]["path"] == "records/by-hand.yaml"
    (clone / "records" / "by-hand.yaml").unlink()
    assert podshare("apply", "-f", "records", "--prune", "--auto-approve")[0] == 0
    assert record(sandbox, "dataset#by-hand") == {}


@pytest.mark.usefixtures("clone")
def test_a_tracked_team_that_is_not_ready_is_told(podshare: Podshare, sandbox: Sandbox) -> None:
    """What is written with its file alone starts no run: the team's state counts, and that it has none."""
    table, key = sandbox.client("dynamodb"), to_item({"id": "status", "part": "team#vision"})
    ready = table.get_item(TableName="podshare-state", Key=key)["Item"]
    for state in ("DEGRADED", None):
        put_by_hand(sandbox, {**record(sandbox, "team#vision"), "change": None, "changed_by": None})
        sandbox.settle()
        table.delete_item(TableName="podshare-state", Key=key)
        if state:
            table.put_item(TableName="podshare-state", Item={**ready, "state": {"S": state}})
        code, out, err = podshare("apply", "-f", "records", "--prune")
        assert "tracked" in out
        assert (code, f"vision is {state or 'not reconciled yet'}" in err) == (1, True)
        sandbox.settle()
    table.put_item(TableName="podshare-state", Item=ready)


def test_pruning_needs_to_know_what_is_whose(podshare: Podshare, clone: Path, tmp_path: Path, sandbox: Sandbox) -> None:
    """Not of files outside of a repository, of a directory without records, and of a cluster that is used."""
    (tmp_path / "dataset.yaml").write_text((clone / "exported" / "dataset-drafts.yaml").read_text(encoding="utf-8"))
    code, _, err = podshare("apply", "-f", str(tmp_path), "--prune")
    assert (code, "in no git repository" in err) == (INVALID, True)
    held = {path: path.read_text(encoding="utf-8") for path in (clone / "records").iterdir()}
    for path in held:
        path.unlink()
    code, _, err = podshare("apply", "-f", "records", "--prune", "--auto-approve")
    assert (code, "--prune would delete all" in err) == (INVALID, True)
    for path, text in held.items():
        if path.name != "cluster-main.yaml":
            path.write_text(text, encoding="utf-8")
    code, _, err = podshare("apply", "-f", "records", "--prune", "--auto-approve")
    assert code == INVALID
    assert "cluster" in err
    assert "main" in err
    used = {**record(sandbox, "cluster#main"), "id": "cluster#two", "eks_cluster": "two", "hyperpod_cluster": "two"}
    put_by_hand(sandbox, used)
    for path, text in held.items():
        path.write_text(text, encoding="utf-8")
    assert podshare("plan", "-f", "records", "--prune", "--out", "plan.json")[0] == 0
    put_by_hand(sandbox, {"id": "enrollment#late", "schema": 1, "team": {"cluster": "two"}})
    code, _, err = podshare("apply", "plan.json", "--auto-approve")
    assert (code, "Cluster two is used by enrollment#late" in err) == (1, True)
    for record_id in ("enrollment#late", "cluster#two"):
        sandbox.client("dynamodb").delete_item(TableName="podshare-registry", Key={"id": {"S": record_id}})
    sandbox.settle()
    for path, text in held.items():
        path.write_text(text, encoding="utf-8")


def test_a_pruned_team_is_followed_until_it_is_deleted(podshare: Podshare, clone: Path, sandbox: Sandbox) -> None:
    """Everything goes with the last commit, what refers to others first."""
    for path in (clone / "records").iterdir():
        if path.name != "datasets.yaml":
            path.unlink()
    git(clone, "commit", "-q", "-a", "-m", "End")
    why = ("--reason", "The project has ended")
    code, out, _ = podshare("apply", "-f", "records", "--prune", "--auto-approve", *why)
    assert code == 0
    assert out.splitlines()[-1] == "Applied: 2 deleted; 1 team DELETED"
    assert record(sandbox, "team#vision") == record(sandbox, "cluster#main") == {}


def test_an_auditor_sees_who_deleted_what_and_why(podshare: Podshare, clone: Path) -> None:
    """The record is gone; its deletion's approval answers, in the team's history, the run's, and what was lost by it."""
    by, commit = f"arn:aws:iam::{HUB}:user/operator", git(clone, "rev-parse", "HEAD")
    why = f"registry REMOVE team#vision: The project has ended, commit {commit[:12]}"
    removal = ("REMOVE", "team#vision")  # the cluster that was deleted with it has started the team, too
    runs = history(podshare, "vision")
    (run,) = [run for run in runs if (run["trigger"]["change"], run["trigger"]["record"]) == removal]
    assert (run["trigger"]["by"], run["trigger"]["declared_in"]) == (by, "approval#vision")
    (line,) = [line for line in podshare("team", "history", "vision")[1].splitlines() if " ".join(removal) in line]
    assert why in line
    assert f"user/operator in {HUB}, declared" in line
    assert podshare("report", "--out", "report.html")[0] == 0
    page = (clone / "report.html").read_text(encoding="utf-8")
    facts = json.loads(page.partition('type="application/json">')[2].partition("</script>")[0])
    assert [each["trigger"] for each in facts["runs"] if each["execution"] == run["execution"]] == [run["trigger"]]
    name = run["execution"].rpartition(":")[2]
    (shown,) = json.loads(podshare("history", "show", name, "--json")[1])
    declared = {"by": by, "author": "robin@example.com", "reason": "The project has ended", "commit": commit}
    assert {**shown["confirmed"], **declared} == shown["confirmed"]
    code, _, err = podshare("history", "show", "vision")
    assert (code, "Run vision has added nothing" in err) == (1, True)
    text = podshare("history", "show", name)[1]
    assert why in text
    assert f"{by} for robin@example.com, as approval#vision version" in text
    lost = [
        change
        for change in json.loads(podshare("access", "changes", "--since", "1d", "--json")[1])
        if change["run"] == name
    ]
    assert {change["change"] for change in lost} == {"lost"}
    assert all(change["confirmed"] == shown["confirmed"] for change in lost)
    assert f"{why}, by {by} for robin@example.com" in podshare("access", "changes", "--since", "1d")[1]
    assert podshare("audit", "export", "--since", "1d", "--out", "evidence.zip")[0] == 0
    with zipfile.ZipFile(clone / "evidence.zip") as archive:
        answers = json.loads(archive.read("answers/access-changes.json"))
        assert [answer for answer in answers if answer["run"] == name] == lost
        assert any("kind=approval/name=vision" in entry for entry in archive.namelist())


def test_a_deletion_by_which_nobody_loses_access_says_so_too(podshare: Podshare, clone: Path, sandbox: Sandbox) -> None:
    """Whoever deletes a team without members is found as well, and what they confirm approves no loss."""
    bare = {"cluster": "main", "owner": "robin@example.com", "reason": "Begins next year", "members": []}
    quota = {"resources": [{"instance_type": "ml.g5.12xlarge", "accelerators": 1}]}
    cluster = yaml.safe_load((EXAMPLES / "cluster-main.yaml").read_text(encoding="utf-8"))
    put_by_hand(sandbox, cluster)
    (clone / "bare.yaml").write_text(yaml.safe_dump({"id": "team#bare", "schema": 1, **bare, "quota": quota}))
    assert podshare("team", "put", "bare.yaml", "--wait")[0] == 0
    assert podshare("team", "delete", "bare", "--yes", "--wait", "--reason", "Never began")[0] == 0
    (run,) = [run for run in history(podshare, "bare") if run["trigger"]["change"] == "REMOVE"]
    assert (run["trigger"]["by"], run["trigger"]["reason"]) == (f"arn:aws:iam::{HUB}:user/operator", "Never began")
    approval = record(sandbox, "approval#bare")
    assert (len(approval["losses"]), approval["plan"]) == (1, approval["losses"][0])


def history(podshare: Podshare, team: str) -> list[dict[str, Any]]:
    """A team's runs."""
    runs: list[dict[str, Any]] = json.loads(podshare("team", "history", team, "--json")[1])
    return runs


def test_files_or_a_plan(podshare: Podshare, clone: Path) -> None:
    """One of them, and a plan that is one."""
    assert podshare("apply")[0] == INVALID
    assert podshare("apply", "plan.json", "-f", "records")[0] == INVALID
    assert podshare("apply", "plan.json", "--prune")[0] == INVALID
    (clone / "no-plan.json").write_text("{}", encoding="utf-8")
    assert podshare("apply", "no-plan.json")[0] == INVALID
    assert podshare("plan", "--prune")[0] == INVALID

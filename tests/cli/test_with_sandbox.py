"""The command against podshare in a sandbox, as an admin who has no more than the policy for admins."""

import dataclasses
import datetime
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from podshare.access.access_report import packed, unpacked
from podshare.aws.rows import to_item
from podshare_cli.application import main
from podshare_cli.aws.connection import Connection
from podshare_cli.commands.sandbox.control import Control, ask
from podshare_cli.commands.sandbox.running import RunningSandbox
from podshare_cli.failures import Failure
from podshare_cli.progress.executions import Executions
from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox
from podshare_sandbox.new_accounts import admin_credentials
from podshare_sandbox.organization import ACCOUNTS, EKS_CLUSTER_ARN, HUB, HUB_REGION, SCIENTISTS
from podshare_sandbox.services import kubernetes
from tests.acting import Ended, act_in_the_hub

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLES = PROJECT / "examples" / "registry"
FILES = [str(EXAMPLES / f"{name}.yaml") for name in ("team-vision", "datasets", "cluster-main")]
SYSTEM_PATH = f"arn:aws:iam::{HUB}:policy/podshare-system"


Command = Callable[..., Ended]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """An organization with podshare deployed, in which `admin` and `auditor` have just their managed policies."""
    with Sandbox(time_scale=0.02) as running, pytest.MonkeyPatch.context() as patch:
        deploy_podshare(running)
        act_in_the_hub(patch, *_keys_of_new_user(running, "operator", "podshare-admin").values())
        yield running


@pytest.fixture(scope="module")
def provisioned(sandbox: Sandbox) -> Ended:  # noqa: ARG001  # the sandbox sets the environment
    """The call that provisions team vision, with the cluster and the datasets that it names."""
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("builtins.print", lambda text, **_: lines.append(text))
        code = main(["team", "put", *FILES, "--wait", "--json"])
    return Ended(code, "\n".join(lines), "")


@pytest.fixture
def podshare(provisioned: Ended, capsys: pytest.CaptureFixture[str]) -> Command:  # noqa: ARG001  # the team is there
    """Calls the command."""

    def call(*words: str) -> Ended:
        capsys.readouterr()
        code = main(list(words))
        return Ended(code, *capsys.readouterr())

    return call


@pytest.fixture
def served(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The sandbox as `sandbox send` finds it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    address = urlsplit(sandbox.url)
    with Control(sandbox) as control:
        host, port = address.hostname or "", address.port or 0
        RunningSandbox(os.getpid(), host, port, HUB_REGION, {}, {}, control.port, control.key).write()
        yield


@pytest.fixture
def enrolled(podshare: Command, sandbox: Sandbox) -> Iterator[str]:
    """The team that enrollment science has made for an account, whose member role is awaited; its name."""
    assert podshare("enrollment", "put", str(EXAMPLES / "enrollment-science.yaml")).code == 0
    sandbox.settle()
    account, at = "777777777777", "2026-11-21T12:00:00+00:00"
    team = f"science-{account}"
    path = ["r-pods", "ou-pods-science1"]
    known = {"account": account, "name": "robots", "state": "ACTIVE", "path": path, "tags": {"gpus": "2"}}
    record = {"cluster": "main", "members": [{"account": account, "existing_role": None}], "quota": {"resources": []}}
    gone = {"what": "role r in account 777777777777 is orphaned", "remedy": "Delete it.", "account": account}
    waits = {"what": f"account {account} has no member role", "remedy": "It is awaited.", "account": account}
    rows = [
        {"id": "organization", "part": f"account#{account}", **known, "revision": 1, "at": at, "waiting_since": at},
        {"id": "organization", "part": f"use#{account}#{team}", "account": account, "team": team},
        {"id": f"team#{team}", "part": "accepted", "record": json.dumps(record)},
        {
            **{"id": "status", "part": f"team#{team}", "state": "WAITING", "at": at, "execution": "arn:x"},
            **{"problems": [waits], "left_behind": [gone], "summary": "WAITING: nothing to change"},
        },
    ]
    state = sandbox.client("dynamodb")
    for row in rows:
        state.put_item(TableName="podshare-state", Item=to_item(row))
    yield team
    for row in rows:
        state.delete_item(TableName="podshare-state", Key=to_item({"id": row["id"], "part": row["part"]}))
    assert podshare("enrollment", "delete", "science", "--yes").code == 0
    sandbox.settle()


def _keys_of_new_user(sandbox: Sandbox, name: str, policy: str | None) -> dict[str, str]:
    iam = sandbox.client("iam", HUB)
    iam.create_user(UserName=name)
    if policy:
        iam.attach_user_policy(UserName=name, PolicyArn=f"{SYSTEM_PATH}/{policy}")
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def _edited(tmp_path: Path, before: str, after: str) -> str:
    """The example team with one passage changed."""
    text = (EXAMPLES / "team-vision.yaml").read_text(encoding="utf-8")
    assert before in text
    path = tmp_path / "team-vision.yaml"
    path.write_text(text.replace(before, after), encoding="utf-8")
    return str(path)


def test_put_writes_in_order_and_waits_until_the_team_is_ready(provisioned: Ended) -> None:
    """The answer is one JSON document: what became of each record, and where each team stands."""
    assert provisioned.code == 0
    answer = provisioned.data
    assert [(record["id"], record["result"]) for record in answer["records"]] == [
        ("cluster#main", "created"),
        ("dataset#imagenet", "created"),
        ("dataset#web-crawl", "created"),
        ("dataset#drafts", "created"),
        ("dataset#clinical-scans", "created"),
        ("dataset#clinical-reports", "created"),
        ("team#vision", "created"),
    ]
    (team,) = answer["teams"]
    assert (team["team"], team["state"]) == ("vision", "READY")
    assert ":execution:podshare-reconcile-team:vision-" in team["execution"]


def test_put_of_what_is_there_already_writes_nothing(podshare: Command) -> None:
    """Rewriting a record with the same meaning starts nothing, and --wait does not wait for it."""
    ended = podshare("team", "put", *FILES, "--wait", "--json")
    assert ended.code == 0
    assert {record["result"] for record in ended.data["records"]} == {"unchanged"}


def test_a_record_is_signed_by_its_writer(podshare: Command) -> None:
    """Who wrote a record stands in it, and in the record that a person is shown."""
    assert podshare("team", "get", "vision", "--json").data["changed_by"] == f"arn:aws:iam::{HUB}:user/operator"
    assert "user/operator" in podshare("team", "get", "vision").out
    assert "user/operator" not in podshare("team", "get", "vision", "--yaml").out


def test_the_list_shows_each_team_in_a_line(podshare: Command) -> None:
    """State, cluster, members, quota and datasets, for people and for machines."""
    (row,) = podshare("team", "list", "--json").data
    assert row["verified_at"]
    assert {name: row[name] for name in ("team", "state", "clusters", "members", "quota", "datasets", "reason")} == {
        "team": "vision",
        "state": "READY",
        "clusters": ["main"],
        "members": ["222222222222", "444444444444"],
        "quota": ["4 x ml.p5.48xlarge"],
        "datasets": ["drafts", "imagenet"],
        "reason": None,
    }
    shown = podshare("team", "list").out
    assert all(word in shown for word in ("vision", "READY", "main", "imagenet", "ago"))


def test_the_status_of_a_team_is_whole(podshare: Command) -> None:
    """Machines get every resource by its key, people a tree of them by account."""
    found = podshare("team", "status", "vision", "--json").data
    assert found["state"] == "READY"
    assert found["problems"] == []
    assert found["trigger"]["event"] == "registry"
    assert len(found["resources"]) == 18
    shown = podshare("team", "status", "vision").out
    assert "account 333333333333" in shown
    assert "delegation in bucket curated-images-333333333333 to vision/imagenet" in shown


def test_aliases_are_shown_wherever_data_is_planned_or_there(podshare: Command) -> None:
    """Status, plan and manifests give the ARN and the alias of each access point, to people and to scripts."""
    points = podshare("team", "status", "vision", "--json").data["access_points"]
    aliases = [point["alias"] for point in points]
    assert aliases and all(re.fullmatch(r"podshare-vision-[-0-9a-z]+-s3alias", alias) for alias in aliases)
    (plan,) = podshare("team", "plan", "vision", "--json").data
    assert plan["access_points"] == podshare("team", "manifests", "vision", "--json").data["access_points"] == points
    lines = {f"{point['dataset']} on main: s3://{point['alias']}/ {point['arn']}" for point in points}
    for what in ("status", "plan"):
        shown = " ".join(podshare("team", what, "vision").out.split())
        assert {line for line in lines if line in shown} == lines, what


def test_capacity_shows_who_has_what(podshare: Command) -> None:
    """Each instance type with its teams' guarantees and what is free, as numbers for scripts and as bars for people."""
    (found,) = podshare("capacity", "--cluster", "main", "--json").data
    rows = {row["instance_type"]: row for row in found["instance_types"]}
    assert (found["over_commitment"], rows["ml.g5.12xlarge"]["free"]) == ("refuse", 16)
    assert rows["ml.p5.48xlarge"]["teams"] == [
        {"team": "vision", "quota": ["4 instances"], "guaranteed": 32, "lends": 32, "borrow_limit": 16}
    ]
    drawn = podshare("capacity").out
    assert "32 of 64 accelerators guaranteed" in drawn
    (vision,) = (line for line in drawn.splitlines() if line.startswith("vision"))
    assert vision.split() == ["vision", "█" * 20, "32", "32", "16", "4", "instances"]


def test_a_cluster_that_cannot_be_read_is_told_and_ends_with_1(podshare: Command) -> None:
    """The report of what can be read comes all the same."""
    ended = podshare("capacity", "--cluster", "main", "--cluster", "absent", "--json")
    assert [one["cluster"] for one in ended.data] == ["main", "absent"]
    assert (ended.code, "there is no cluster#absent in the registry" in ended.err) == (1, True)


def test_who_can_read_a_dataset_is_told_with_the_way(podshare: Command) -> None:
    """Pods by their service account, people by the pods that they may make; a key, a prefix and a dataset are asked alike."""
    found = podshare("access", "who-can", "read", "dataset#imagenet", "--json").data
    pod = "system:serviceaccount:hyperpod-ns-vision:trainer"
    people = {f"arn:aws:iam::{account}:role/podshare/podshare-vision-scientist" for account in SCIENTISTS}
    assert {row["who"] for row in found["access"]} == {pod, *people}
    assert [row["what"] for row in found["access"] if row["who"] == pod] == ["imagenet/*"]
    assert (found["read_at"].keys(), found["without_proof"]) == ({"vision"}, [])
    bucket = "s3://curated-images-333333333333"
    shown = podshare("access", "who-can", "read", f"{bucket}/imagenet/train/0001.jpg")
    assert "pods as trainer in hyperpod-ns-vision" in shown.out
    assert "Read back from AWS and Kubernetes" in shown.err
    assert "Nobody can write" in podshare("access", "who-can", "write", "dataset#imagenet").out
    assert "Nobody can read" in podshare("access", "who-can", "read", f"{bucket}/private/").out


def test_who_can_use_a_cluster_is_told_by_namespace(podshare: Command) -> None:
    """Each principal with its namespace; the right to see nodes, which everybody has, is left out."""
    rows = podshare("access", "who-can", "use", "cluster#main", "--json").data["access"]
    assert {(row["what"], *row["may"]) for row in rows} == {
        ("hyperpod-ns-vision", "AmazonSagemakerHyperpodTrainingPolicy")
    }
    assert len(rows) == 2
    assert "training jobs" in podshare("access", "who-can", "use", "cluster#main").out


def test_all_that_an_account_or_a_role_reaches_is_told(podshare: Command) -> None:
    """In the cluster, of data by pods, and which roles it may take; a role of podshare's is asked for likewise."""
    rows = podshare("access", "of", SCIENTISTS[0], "--json").data["access"]
    assert {row["what"] for row in rows if ":s3:::" in row["where"]} == {"imagenet/*", "drafts/vision/*"}
    assert "hyperpod-ns-vision" in {row["what"] for row in rows}
    through = {row["through"][0] for row in rows if row["what"] == "hyperpod-ns-vision"}
    (role,) = through
    same = podshare("access", "of", role, "--json").data["access"]
    assert {row["what"] for row in same if ":s3:::" in row["where"]} == {"imagenet/*", "drafts/vision/*"}
    assert "reaches nothing" in podshare("access", "of", "999999999999").out


def test_the_matrix_has_each_team_and_place(podshare: Command) -> None:
    """What a team may in a cluster and with a dataset stands in its cell."""
    (row,) = podshare("access", "matrix", "--json").data["teams"]
    assert row["may"] == {
        "cluster#main": ["AmazonSagemakerHyperpodTrainingPolicy"],
        "dataset#drafts": ["list", "read", "write"],
        "dataset#imagenet": ["list", "read"],
    }
    assert "dataset#imagenet" in podshare("access", "matrix").out


def test_changes_that_no_run_has_added_to_the_history_are_shown(podshare: Command, sandbox: Sandbox) -> None:
    """After an upgrade the state table has reports of teams of which the history has nothing: to people too."""
    state = sandbox.client("dynamodb")
    key = to_item({"id": "proof", "part": "team#vision"})
    row = state.get_item(TableName="podshare-state", Key=key)["Item"]
    unseen = {**row, **to_item({"part": "team#unseen"})}
    state.put_item(TableName="podshare-state", Item=unseen)
    try:
        shown = podshare("access", "changes", "--since", "1d")
        found = podshare("access", "changes", "--since", "1d", "--json").data
    finally:
        state.delete_item(TableName="podshare-state", Key=to_item({"id": "proof", "part": "team#unseen"}))
    assert (shown.code, "unseen" in shown.out) == (0, True)
    causes = {frozenset(change["cause"]) for change in found}
    assert len(causes) == 1, causes


def test_a_proof_is_shown_with_its_time_and_hash(podshare: Command) -> None:
    """People, data and other teams; the hash is that of the team's last run."""
    found = podshare("access", "proof", "vision", "--json").data
    assert (found["holds"], found["broken"], found["latest_refusals"]) == (True, [], [])
    shown = podshare("access", "proof", "vision")
    assert shown.code == 0
    assert all(word in shown.out for word in ("as granted", found["digest"], "ago", "people", "data", "other teams"))


def test_a_mistyped_name_is_recognized(podshare: Command) -> None:
    """Of a record that there is none of, the error names account, Region, and the record that was likely meant."""
    for words, meant in ((["team", "get", "visoin"], "vision"), (["dataset", "get", "imagnet"], "imagenet")):
        ended = podshare(*words)
        assert ended.code == 1
        assert f"Did you mean {meant}?" in ended.err
        assert f"account {HUB}, {HUB_REGION}" in ended.err


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("access who-can read imagenet", "dataset#imagenet"),
        ("access who-can read imagnet", "dataset#imagenet"),
        ("access who-can read dataset/imagenet", "dataset#imagenet"),
        ("access who-can read datset#imagenet", "dataset#imagenet"),
        ("access who-can read dataset#imagnet", "imagenet"),
        ("access who-can use mian", "cluster#main"),
        ("access at 1m of imagnet", "dataset#imagenet"),
        ("access at 1m of team#visoin", "team#vision"),
        ("access changes --of visoin", "team#vision"),
        ("access proof visoin", "vision"),
        ("access probe visoin", "vision"),
        ("access audit visoin", "vision"),
    ],
)
def test_a_mistyped_place_or_team_is_recognized_in_questions(podshare: Command, words: str, meant: str) -> None:
    """A name without its kind, or beside one that is near, is not taken for one that nobody has access to."""
    ended = podshare(*words.split())
    assert ended.code in (1, 64)
    assert f"Did you mean {meant}?" in " ".join(ended.err.split())


def test_a_name_that_is_near_none_is_no_question(podshare: Command) -> None:
    """Where nothing is near, the forms of a name are said alone."""
    ended = podshare("access", "who-can", "read", "zzzzzzz")
    assert ended.code == 64
    assert "zzzzzzz is no dataset, cluster or S3 URL. Write" in " ".join(ended.err.split())
    assert "Did you mean" not in ended.err


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("podshare dataset get im", ["imagenet"]),
        ("podshare dataset get --json im", ["imagenet"]),
        ("podshare dataset get --json=im", []),
        ("podshare dataset list --json im", []),
        ("podshare dataset get --jq im", []),
        ("podshare --prefix absent dataset get im", []),
        ("podshare drift vi", ["vision"]),
        ("podshare capacity --cluster ma", ["main"]),
        ("podshare account get 3333", ["333333333333"]),
        ("podshare doctor --account 3333", ["333333333333"]),
        ("podshare access who-can read dataset#im", ["dataset#imagenet"]),
        ("podshare access at 1d of team#vi", ["team#vision"]),
        ("podshare access changes --of 3333", ["333333333333"]),
        ("podshare explain team.quota.sh", ["team.quota.sharing"]),
        ("podshare explain team.absent.na", []),
        ("podshare schema data", ["dataset"]),
        ("podshare help git", ["gitops"]),
    ],
)
@pytest.mark.usefixtures("podshare")
def test_the_shell_completes_names(
    words: str, names: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names of records are completed as commands are; where they cannot be read, nothing is."""
    for name, value in (("_PODSHARE_COMPLETE", "complete_bash"), ("COMP_WORDS", words)):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    with pytest.raises(SystemExit):
        main([])
    assert capsys.readouterr().out.split() == names


def test_fields_and_jq_select_from_the_teams(podshare: Command) -> None:
    """As in gh; a name behind --json is the team that it always was."""
    assert podshare("team", "list", "--json", "team,state").data == [{"team": "vision", "state": "READY"}]
    assert podshare("team", "list", "--jq", ".[].team").out == "vision\n"
    assert podshare("team", "status", "--json", "vision").data == podshare("team", "status", "vision", "--json").data
    ended = podshare("team", "list", "--json", "name,state")
    assert ended.code == 1
    assert json.loads(ended.err)["error"]["what"] == "--json: no field name."
    assert json.loads(ended.err)["error"]["remedy"].startswith("Fields: team, state, record, ")
    ended = podshare("team", "status", "--json", "team,state")
    assert ended.code == 1
    assert json.loads(ended.err)["error"]["remedy"].endswith("If these are fields of the JSON: --json=team,state")


def test_a_teams_status_says_that_podshare_is_paused(podshare: Command) -> None:
    """Whoever asks why a record is not carried out reads by whom, why, and what ends it."""
    assert podshare("team", "status", "vision", "--json").data["paused"] is None
    assert podshare("pause", "--reason", "moving the data account").code == 0
    shown = " ".join(podshare("team", "status", "vision").out.split())
    paused = podshare("team", "status", "vision", "--json").data["paused"]
    assert podshare("resume").code == 0
    assert f"podshare is paused by {paused['owner']}: moving the data account podshare resume" in shown
    assert paused["reason"] == "moving the data account"
    assert "paused" not in podshare("team", "status", "vision").out


def test_whoever_writes_a_dataset_or_blocks_an_account_can_wait_for_the_teams(
    podshare: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    """--wait ends when the runs of all affected teams are over, and with 1 unless they are as the records say."""
    text = (EXAMPLES / "datasets.yaml").read_text(encoding="utf-8")
    path = tmp_path / "datasets.yaml"
    path.write_text(text.replace("prefix: imagenet/", "prefix: imagenet/train/"), encoding="utf-8")
    for file in (path, EXAMPLES / "datasets.yaml"):
        ended = podshare("dataset", "put", str(file), "--yes", "--wait", "--json")
        assert (ended.code, [(team["team"], team["state"]) for team in ended.data["teams"]]) == (
            0,
            [("vision", "READY")],
        )
    ended = podshare("account", "block", "444444444444", "--reason", "tried", "--yes", "--wait", "--json")
    assert [team["team"] for team in ended.data["ended"]] == ["vision"]
    assert podshare("account", "unblock", "444444444444").code == 0
    sandbox.settle()


def test_whoever_resumes_can_wait_for_what_was_requested(podshare: Command, sandbox: Sandbox) -> None:
    """The teams that a reconciliation was requested for during the pause are followed."""
    assert podshare("pause", "--reason", "tried").code == 0
    assert podshare("team", "reconcile", "vision", "--wait").code == 1
    ended = podshare("resume", "--wait", "--json")
    assert (ended.code, [(team["team"], team["state"]) for team in ended.data["teams"]]) == (0, [("vision", "READY")])
    sandbox.settle()


def test_verbose_leaves_nothing_out(podshare: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Members by name and resources by key, on a narrow terminal too; a plan with its hash."""
    assert "444444444444" in podshare("team", "list", "-v").out
    assert "444444444444" not in podshare("team", "list").out
    assert "|333333333333|us-west-2|" in podshare("team", "status", "vision", "-v").out
    assert re.search(r"nothing would change \([0-9a-f]{16}\)", podshare("team", "plan", "vision", "-v").out)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "50")
    assert "curated-images-333333333333" in podshare("dataset", "list", "-v").out
    assert "curated-images-333333333333" not in podshare("dataset", "list").out


@pytest.mark.parametrize(
    ("words", "at", "told"),
    [
        (["plan"], "podshare_cli.commands.plan.show", "Interrupted. No record was written.\n"),
        (["account", "block", "888888888888", "--reason", "r"], "podshare_cli.commands.account_blocking.ask", "No record was written"),
        (["pause", "--reason", "r"], "podshare_cli.options.Options.show", "What was written stays written"),
    ],
)  # fmt: skip
def test_ctrl_c_says_what_stays_written_only_where_something_was(
    podshare: Command, monkeypatch: pytest.MonkeyPatch, words: list[str], at: str, told: str
) -> None:
    """A command that reads has changed nothing, nor has one before its first write."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(at, interrupt)
        ended = podshare(*words)
    assert (ended.code, told in ended.err) == (130, True)
    podshare("resume")


def test_a_page_is_written_for_who_would_rather_look(podshare: Command, tmp_path: Path) -> None:
    """The page has the teams, what they reach, quotas and runs; only its writer may read it."""
    file = tmp_path / "report.html"
    assert podshare("report", "--out", str(file), "--json").data == {"file": str(file)}
    text = file.read_text(encoding="utf-8")
    facts = json.loads(text.partition('type="application/json">')[2].partition("</script>")[0])
    assert "vision" in [row["team"] for row in facts["teams"]]
    assert {"vision"} <= {access["team"] for access in facts["access"] if access["place"] == "dataset#imagenet"}
    assert facts["capacity"][0]["cluster"] == "main"
    assert [run["team"] for run in facts["runs"] if run["team"] == "vision"]
    assert facts["unexpected"] == []
    assert file.stat().st_mode & 0o077 == 0
    assert podshare("report", "--out", str(tmp_path / "absent" / "report.html")).code == 64


def test_a_question_that_means_nothing_is_refused(podshare: Command) -> None:
    """Wrong words are wrong usage; what is not there, and a proof that fails, end with 1."""
    wrong = (["who-can", "use", "dataset#imagenet"], ["who-can", "read", "imagenet"], ["of", "vision-lab"])
    assert [podshare("access", *words).code for words in (*wrong, ["who-can", "read", "s3://b/*"])] == [64] * 4
    assert podshare("access", "who-can", "read", "dataset#absent").code == 1
    assert podshare("access", "proof", "absent").code == 1


def test_a_proof_that_fails_ends_with_1_and_names_what_nobody_granted(podshare: Command, sandbox: Sandbox) -> None:
    """What should not be stands out in the proof, in the matrix and in the answers."""
    key = to_item({"id": "proof", "part": "team#vision"})
    row = sandbox.client("dynamodb").get_item(TableName="podshare-state", Key=key)["Item"]
    document = unpacked(row["document"]["S"])
    found = {**document["access"][0], "who": "arn:aws:iam::555555555555:root", "granted": False}
    broken = [{"what": "555555555555 is let in, which nobody granted", "keys": ["role|x"]}]
    bad = {**document, "holds": False, "access": [*document["access"], found], "broken": broken}
    widened = {"found": ["somebody may"], "at": document["read_at"], "taken_away": False}
    changed = to_item({"document": packed(bad), "widened": widened})
    sandbox.client("dynamodb").put_item(TableName="podshare-state", Item={**row, **changed})
    ended = podshare("access", "proof", "vision")
    assert ended.code == 1
    assert all(
        word in ended.out
        for word in ("unexpected access", "is let in", "not granted by any record", "still there", "somebody may")
    )
    assert "not granted by any record" in podshare("access", "of", "555555555555").out
    sandbox.client("dynamodb").put_item(TableName="podshare-state", Item=row)


def test_a_probe_tries_it_by_pods_and_leaves_none(
    podshare: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is granted is listed and read, all else refused; what is not as it shall be ends with 1."""
    refused = podshare("access", "probe", "vision")
    assert (refused.code, "eks:DescribeCluster" in refused.err) == (1, True)  # the policy for admins opens no cluster
    admin = admin_credentials(HUB)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", admin.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", admin.secret_key)
    monkeypatch.setenv("HTTPS_PROXY", sandbox.url)
    ended = podshare("access", "probe", "vision", "--json")
    assert ended.code == 0, ended.err
    tried = {(row["what"].split()[0], row["wanted"]) for row in ended.data}
    assert tried == {("list", "allowed"), ("read", "allowed"), ("list", "refused"), ("read", "refused")}
    reached = podshare("access", "who-can", "read", "dataset#imagenet", "--json").data["access"]
    point = {"AccountId": "333333333333", "Name": reached[0]["through"][-1].rpartition("/")[2]}
    s3control = sandbox.client("s3control", "333333333333")
    policy = s3control.get_access_point_policy(**point)["Policy"]
    s3control.delete_access_point_policy(**point)
    ended = podshare("access", "probe", "vision", "--service-account", "trainer")
    s3control.put_access_point_policy(**point, Policy=policy)
    assert (ended.code, "imagenet/* through its access point" in ended.err) == (1, True)
    assert kubernetes.api_of(EKS_CLUSTER_ARN).objects("Pod", "hyperpod-ns-vision") == []


def test_a_probe_of_the_examples_holds_beside_data_by_a_role_of_its_owner(
    podshare: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a team reads as a role in the data's account is a bucket itself: granted to its pods, refused to others."""
    assert podshare("team", "put", str(EXAMPLES / "team-language.yaml"), "--wait").code == 0
    admin = admin_credentials(HUB)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", admin.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", admin.secret_key)
        patch.setenv("HTTPS_PROXY", sandbox.url)
        ended = {team: podshare("access", "probe", team, "--json") for team in ("vision", "language")}
    assert {team: (one.code, one.err) for team, one in ended.items()} == {"vision": (0, ""), "language": (0, "")}
    tried = {(team, row["wanted"]) for team, one in ended.items() for row in one.data if "reports/" in row["what"]}
    assert tried == {("vision", "refused"), ("language", "allowed")}
    assert podshare("team", "delete", "language", "--yes", "--wait").code == 0


def test_a_dry_run_shows_what_a_candidate_would_change_and_changes_nothing(podshare: Command, tmp_path: Path) -> None:
    """A raised quota updates the quota, and what is published of it in both accounts; the registry keeps the old record."""
    file = _edited(tmp_path, "count: 4", "count: 6")
    for words in (["plan", file], ["put", file, "--dry-run"]):
        (plan,) = podshare("team", *words, "--json").data
        assert plan["count"] == 3
        shown = podshare("team", *words).out
        assert "update compute quota podshare-vision in 111111111111" in shown
        assert "~ team vision on cluster main: 4 x ml.p5.48xlarge → 6 x ml.p5.48xlarge" in shown
    assert podshare("team", "get", "vision", "--json").data["quota"]["resources"][0]["count"] == 4


@pytest.mark.usefixtures("podshare")
def test_who_reads_runs_hears_how_many_are_read() -> None:
    """Of all the runs since a moment, each that has been read is counted, out of how many."""
    heard: list[tuple[int, int]] = []
    since = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    runs = Executions(Connection(region=HUB_REGION)).since(since, read=lambda done, of: heard.append((done, of)))
    assert runs
    assert heard == [(number, len(runs)) for number in range(len(runs) + 1)]


def test_a_plan_of_a_deletion_cuts_access_first_and_the_namespace_last(podshare: Command) -> None:
    """The order of the stages is the order of the revocation; the namespace is let go once the quota is gone."""
    (plan,) = podshare("team", "plan", "vision", "--delete", "--json").data
    stages = [stage["stage"] for stage in plan["revoke"]]
    assert (stages[0], *stages[-2:]) == ("cluster_access", "compute", "namespace")
    shown = podshare("team", "plan", "vision", "--delete").out
    assert shown.index("1. cluster access") < shown.index("compute quota")


def test_an_unchanged_team_is_followed_with_the_dataset_that_changes(podshare: Command, tmp_path: Path) -> None:
    """`team put --wait` waits for every run that it starts, also of a team whose own record stays as it is."""
    path = tmp_path / "datasets.yaml"
    path.write_text((EXAMPLES / "datasets.yaml").read_text().replace("prefix: imagenet/", "prefix: imagenet/train/"))
    ended = podshare("team", "put", FILES[0], str(path), "--yes", "--wait", "--json")
    (vision,) = ended.data["teams"]
    assert (ended.code, vision["team"], vision["state"]) == (0, "vision", "READY")
    (back,) = podshare("team", "put", *FILES, "--yes", "--wait", "--json").data["teams"]
    assert back["execution"] not in (None, vision["execution"])


def test_a_plan_with_nothing_to_do_says_so(podshare: Command) -> None:
    """A provisioned team needs nothing."""
    assert "nothing would change" in podshare("team", "plan", "vision").out


def test_a_candidate_dataset_is_planned_for_the_teams_that_use_it(podshare: Command, tmp_path: Path) -> None:
    """A file without teams still concerns those that name its records."""
    path = tmp_path / "imagenet.yaml"
    path.write_text(podshare("dataset", "get", "imagenet", "--yaml").out.replace("imagenet/", "imagenet/train/"))
    (plan,) = podshare("team", "plan", str(path), "--json").data
    assert plan["team"] == "vision"
    assert {change["action"] for stage in plan["revoke"] for change in stage["changes"]} == {"narrow"}


def test_a_reference_to_nothing_is_refused_before_anything_is_written(podshare: Command, tmp_path: Path) -> None:
    """A dataset that never existed is told with the field that names it; the registry stays as it was."""
    ended = podshare("team", "put", _edited(tmp_path, "dataset: imagenet", "dataset: imagnet"), "--json")
    assert ended.code == 64
    (problem,) = json.loads(ended.err)["error"]["problems"]
    assert (problem["record"], problem["field"], problem["value"]) == (
        "team#vision",
        "service_accounts.0.datasets.0.dataset",
        "imagnet",
    )
    assert podshare("team", "list", "--json").data[0]["datasets"] == ["drafts", "imagenet"]


def test_a_sweep_looks_at_every_account_and_team_and_sums_up(podshare: Command) -> None:
    """What is as it should be ends with 0; the last summary can be shown again without another sweep."""
    ended = podshare("sweep", "--json")
    assert ended.code == 0
    assert (ended.data["counts"]["in_sync"], ended.data["accounts"]["ACTIVE"]) == (1, len(ACCOUNTS))
    assert podshare("sweep", "--last", "--json").data["execution"] == ended.data["execution"]
    shown = podshare("sweep")
    assert shown.code == 0
    assert "1 in sync" in shown.out
    assert "1 team to process" in shown.err
    assert "SWEPT" in shown.err


def test_a_sweep_need_not_be_waited_for(podshare: Command, sandbox: Sandbox) -> None:
    """Its execution is told at once; a sweep that never was started cannot be left alone."""
    assert ":execution:podshare-sweep-teams:sweep-" in podshare("sweep", "--no-wait", "--json").data["execution"]
    sandbox.settle()
    assert podshare("sweep", "--no-wait", "--last").code == 64


def test_a_sweep_that_finds_something_wrong_ends_with_1(podshare: Command, sandbox: Sandbox) -> None:
    """The summary is told with its reasons, and which kind of wrong makes the exit code."""
    row = sandbox.client("dynamodb").get_item(
        TableName="podshare-state", Key=to_item({"id": "sweep", "part": "summary"})
    )["Item"]
    reason = {"team": "vision", "state": "degraded", "what": "bucket b is public", "remedy": "Block it."}
    bad = to_item({"counts": {"in_sync": 0, "degraded": 1}, "reasons": [reason]})
    sandbox.client("dynamodb").put_item(TableName="podshare-state", Item={**row, **bad})
    ended = podshare("sweep", "--last")
    assert ended.code == 1
    assert all(word in ended.out for word in ("1 degraded", "vision", "bucket b is public", "Block it."))
    assert "1 degraded" in ended.err
    sandbox.client("dynamodb").put_item(TableName="podshare-state", Item=row)


def test_accounts_are_listed_with_their_place_and_their_teams(podshare: Command) -> None:
    """Each account of the organization is a line; filters leave those that are asked for."""
    rows = {row["account"]: row for row in podshare("account", "list", "--json").data}
    assert rows.keys() == set(ACCOUNTS)
    assert {bool(row.pop("listed_at")) for row in rows.values()} == {True}
    assert rows[SCIENTISTS[0]] == {
        "account": SCIENTISTS[0],
        "name": "vision-lab",
        "state": "ACTIVE",
        "path": ["r-pods", "ou-pods-science1"],
        "teams": ["vision"],
        "waiting_since": None,
        "blocked": None,
    }
    assert podshare("account", "list", "--state", "suspended", "--json").data == []
    assert set(SCIENTISTS) <= {row["account"] for row in podshare("account", "list", "--team", "vision", "--json").data}
    shown = podshare("account", "list").out
    assert all(word in shown for word in ("vision-lab", "r-pods/ou-pods-science1", "last listed"))


def test_an_account_is_shown_with_what_its_teams_want_of_it(podshare: Command, enrolled: str) -> None:
    """Tags, how long its member role is awaited, and of each team what is about this account."""
    found = podshare("account", "get", "777777777777", "--json").data
    assert (found["tags"], found["waiting_since"]) == ({"gpus": "2"}, "2026-11-21T12:00:00+00:00")
    (team,) = found["teams"]
    assert (team["team"], team["state"]) == (enrolled, "WAITING")
    assert [len(team[name]) for name in ("problems", "left_behind")] == [1, 1]
    shown = podshare("account", "get", "777777777777").out
    assert all(word in shown for word in ("gpus=2", "robots", "has no member role", "orphaned", "Delete it."))


def test_an_account_that_podshare_has_not_seen_is_told_how_to_be_seen(podshare: Command) -> None:
    """An id that is none is wrong input; one that is not known is not found."""
    assert podshare("account", "get", "vision-lab").code == 64
    ended = podshare("account", "get", "888888888888")
    assert ended.code == 1
    assert "podshare sweep" in ended.err


def test_the_team_of_an_enrollment_is_shown_like_any_other(podshare: Command, enrolled: str) -> None:
    """It has no record in the registry: what podshare made of the enrollment stands in for it, and is told as such."""
    row = next(row for row in podshare("team", "list", "--json").data if row["team"] == enrolled)
    assert (row["enrollment"], row["record"], row["members"]) == ("science", False, ["777777777777"])
    assert "(enrollment science)" in podshare("team", "list").out
    shown = podshare("team", "status", enrolled).out
    assert all(word in shown for word in ("(enrollment science)", "has no member role", "orphaned", "Delete it."))
    assert "made by enrollment#science" in podshare("team", "get", enrolled).out
    assert podshare("team", "get", enrolled, "--json").data["origin"] == "enrollment#science"


def test_the_team_of_an_enrollment_is_not_deleted_by_itself(podshare: Command, enrolled: str) -> None:
    """It would be made again; the refusal names the enrollment."""
    for words in (["delete", enrolled, "--yes"], ["plan", enrolled, "--delete"]):
        ended = podshare("team", *words)
        assert ended.code == 1
        assert "exclude_accounts" in ended.err
        assert "podshare enrollment delete science" in ended.err


def test_an_enrollment_is_shown_with_its_teams(podshare: Command, enrolled: str) -> None:
    """Its teams use what it names, and would end with it."""
    (row,) = podshare("enrollment", "list", "--json").data
    assert (row["organizational_unit"], row["teams"]) == ("ou-pods-science1", [enrolled])
    assert f"{', '.join(SCIENTISTS)}" in podshare("enrollment", "list").out
    datasets = {row["dataset"]: row["teams"] for row in podshare("dataset", "list", "--json").data}
    assert datasets["web-crawl"] == [enrolled]
    assert "${account.name}" in podshare("enrollment", "get", "science", "--yaml").out
    ended = podshare("enrollment", "delete", "science")
    assert ended.code == 64
    assert enrolled in ended.err


def test_an_enrollment_that_refers_to_nothing_is_refused(podshare: Command, tmp_path: Path) -> None:
    """The problem names the enrollment's own field; nothing is written."""
    file = tmp_path / "enrollment.yaml"
    text = (EXAMPLES / "enrollment-science.yaml").read_text(encoding="utf-8")
    file.write_text(text.replace("dataset: web-crawl", "dataset: web-crwal"), encoding="utf-8")
    ended = podshare("enrollment", "put", str(file), "--json")
    assert ended.code == 64
    (problem,) = json.loads(ended.err)["error"]["problems"]
    assert (problem["record"], problem["field"]) == (
        "enrollment#science",
        "team.service_accounts.0.datasets.0.dataset",
    )
    assert podshare("enrollment", "list", "--json").data == []


@pytest.mark.usefixtures("served")
def test_a_sample_is_played_and_what_followed_is_told(podshare: Command) -> None:
    """An event starts what its rule starts; sent again it is the same event, and nothing follows."""
    event = str(PROJECT / "events" / "create-account-result-failed.json")
    first = json.loads(podshare("--json", "sandbox", "send", event).out)
    (execution,) = first["executions"]
    assert (execution["machine"], execution["status"]) == ("podshare-account-lifecycle", "SUCCEEDED")
    assert "EMAIL_ALREADY_EXISTS" in execution["outcome"]
    assert first["still"] == ""
    again = podshare("sandbox", "send", event)
    assert again.code == 0
    assert "No execution followed" in again.out


@pytest.mark.usefixtures("served")
def test_records_and_schedules_are_played_too(podshare: Command) -> None:
    """A stream's batch is written, so that the table tells of it; a schedule is found by the sample's name."""
    records = podshare("sandbox", "send", str(PROJECT / "events" / "registry-changed.json"))
    assert "wrote 4 changes to podshare-registry" in records.out
    assert "podshare-reconcile-team" in records.out
    sweep = podshare("sandbox", "send", str(PROJECT / "events" / "nightly-sweep.json"))
    assert "the schedule podshare-nightly-sweep fired" in sweep.out
    assert "podshare-sweep-teams" in sweep.out


@pytest.mark.usefixtures("served")
def test_what_is_no_sample_is_refused(podshare: Command, tmp_path: Path) -> None:
    """A JSON object that is no event, no batch and no schedule's input is wrong input, told by the sandbox."""
    (tmp_path / "nightly-sweep.json").write_text('{"by": "me"}')
    (tmp_path / "mine.json").write_text('{"by": "schedule"}')
    for name, told in (("nightly-sweep", "podshare-nightly-sweep sends"), ("mine", "names no schedule")):
        ended = podshare("sandbox", "send", str(tmp_path / f"{name}.json"))
        assert ended.code == 64
        assert told in ended.err


@pytest.mark.usefixtures("served")
def test_the_sandbox_answers_those_alone_who_know_its_key() -> None:
    """Whoever cannot read the private file is turned away, and does not keep others from being answered."""
    running = RunningSandbox.find()
    assert running is not None
    with pytest.raises(Failure, match="does not answer"):
        ask(dataclasses.replace(running, control_key="00" * 32), {"keys_of": HUB})
    assert ask(running, {"keys_of": HUB})["keys"] == list(dataclasses.astuple(admin_credentials(HUB)))


@pytest.mark.usefixtures("served")
def test_exec_knows_the_accounts_that_have_come_since(podshare: Command) -> None:
    """Keys are asked of the sandbox; one that it has never had is wrong input."""
    ended = podshare("sandbox", "exec", "--account", "888888888888", "--", "true")
    assert ended.code == 64
    assert "no account 888888888888" in ended.err
    ended = podshare("sandbox", "exec", "--account", HUB, "--", "no-such-command")  # its keys are not in the file here
    assert "no-such-command" in ended.err


def test_a_cluster_in_use_is_not_deleted(podshare: Command) -> None:
    """The refusal names the teams, and the record stays."""
    ended = podshare("cluster", "delete", "main")
    assert ended.code == 1
    assert "used by team#vision" in ended.err
    assert podshare("cluster", "list", "--json").data[0]["teams"] == ["vision"]


def test_a_dataset_in_use_is_deleted_on_demand_only(podshare: Command) -> None:
    """Who cannot be asked is told which teams would lose it; an unused dataset goes without a question."""
    ended = podshare("dataset", "delete", "imagenet")
    assert ended.code == 64
    assert "imagenet: vision" in ended.err
    assert podshare("dataset", "delete", "web-crawl", "--json").data["reconciled"] == []
    left = [row["dataset"] for row in podshare("dataset", "list", "--json").data]
    assert left == ["clinical-reports", "clinical-scans", "drafts", "imagenet"]


def test_an_admin_starts_a_run_in_their_own_name(podshare: Command) -> None:
    """`reconcile --wait` follows the run to its end; the history names who asked for it."""
    ended = podshare("team", "reconcile", "vision", "--wait")
    assert ended.code == 0
    assert "READY" in ended.err
    latest = podshare("team", "history", "vision", "--json").data[0]
    assert latest["trigger"]["event"] == "admin"
    assert latest["trigger"]["by"] == f"arn:aws:iam::{HUB}:user/operator"
    assert latest["outcome"] == "READY"
    assert "user/operator" in podshare("team", "history", "vision").out


def test_a_pause_holds_new_runs_until_it_is_over(podshare: Command) -> None:
    """While podshare is paused a run ends at once, and says who paused it and why."""
    assert podshare("pause", "--reason", "moving the data account").code == 0
    try:
        ended = podshare("team", "reconcile", "vision", "--wait", "--json")
        assert ended.code == 1
        assert ended.data["teams"][0]["state"] == "PAUSED"
        assert "moving the data account" in ended.data["teams"][0]["summary"]
    finally:
        assert podshare("resume", "--json").data == {"paused": False, "teams": []}


@pytest.mark.parametrize(
    "words", [("team", "get"), ("team", "delete", "--yes"), ("team", "status"), ("team", "plan"), ("dataset", "get")]
)
def test_what_is_not_there_is_told_by_name(podshare: Command, words: tuple[str, ...]) -> None:
    """A mistyped name is a failure that says where it was looked for."""
    ended = podshare(*words, "visoin")
    assert ended.code == 1
    assert "visoin" in ended.err
    assert ended.out == ""


def test_a_deletion_needs_the_name_or_yes(podshare: Command) -> None:
    """Without a terminal to ask at, nothing is deleted."""
    assert podshare("team", "delete", "vision").code == 64
    assert podshare("team", "get", "vision").code == 0


def test_where_nothing_is_deployed_the_remedy_names_what_chooses_the_place(
    podshare: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """podshare's admins get AccessDenied in another Region, as from AWS; administrators learn that it is not there."""
    operators = podshare("team", "list", "--region", "eu-west-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, sandbox.environment(HUB, HUB_REGION)[name])
    administrators = podshare("team", "list", "--prefix", "other")
    assert (operators.code, administrators.code) == (1, 1)
    assert "not deployed" in administrators.err
    assert "the prefix other" in administrators.err
    assert f"in account {HUB}, {HUB_REGION}" in administrators.err
    assert f"You are arn:aws:iam::{HUB}:user/admin." in administrators.err
    assert all("--region" in ended.err for ended in (operators, administrators))


def test_an_auditor_looks_and_does_not_touch(
    podshare: Command, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy for auditors allows all that shows; a refusal names the policy that would allow the rest."""
    for name, value in _keys_of_new_user(sandbox, "auditor", "podshare-auditor").items():
        monkeypatch.setenv(name, value)
    for words in (["list"], ["status", "vision"], ["get", "vision"], ["history", "vision"]):
        assert podshare("team", *words).code == 0
    ended = podshare("team", "delete", "vision", "--yes")
    assert ended.code == 1
    assert "podshare-admin" in ended.err


@pytest.mark.parametrize("way", ["proxy", "endpoint"])
@pytest.mark.usefixtures("provisioned")
def test_another_process_reaches_it_by_standard_variables(sandbox: Sandbox, way: str) -> None:
    """The command has no switch for the sandbox: a proxy, or an endpoint URL, is all that leads there."""
    environment = sandbox.environment(HUB, HUB_REGION)
    if way == "endpoint":
        proxies = ("HTTPS_PROXY", "https_proxy", "AWS_CA_BUNDLE")
        environment = {name: value for name, value in environment.items() if name not in proxies}
        environment["AWS_ENDPOINT_URL"] = sandbox.url
    ended = _run(["team", "list", "--json"], environment)
    assert [row["team"] for row in json.loads(ended)] == ["vision"]


def test_a_sandbox_is_served_found_and_forgotten(tmp_path: Path) -> None:
    """`sandbox up` tells how to reach it, `sandbox exec` acts in any account of it, Ctrl-C ends it without a trace."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    up = [sys.executable, "-m", "podshare_cli", "sandbox", "up", "--time-scale", "0.02"]
    up += ["--parameter", "Notifications=on"]
    with subprocess.Popen(up, env=environment, stdout=subprocess.PIPE, text=True, cwd=PROJECT) as serving:  # noqa: S603  # our own
        try:
            file = _wait_for(tmp_path / "podshare" / "sandbox.json", serving)
            account = "222222222222"
            script = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
            command = ["sandbox", "exec", "--account", account, "--", sys.executable, "-c", script]
            assert _run(command, environment).strip() == f"arn:aws:iam::{account}:user/admin"
            script = "import boto3; print([t['TopicArn'] for t in boto3.client('sns').list_topics()['Topics']])"
            command = ["sandbox", "exec", "--account", HUB, "--", sys.executable, "-c", script]
            assert f":{HUB}:podshare-notifications" in _run(command, environment)
        finally:
            serving.send_signal(signal.SIGINT)
            told = serving.communicate(timeout=30)[0]
    assert serving.returncode == 0
    assert not file.exists()
    assert all(
        word in told for word in ("AWS_ENDPOINT_URL=", "HTTPS_PROXY=", "AWS_CA_BUNDLE=", "Not emulated", account)
    )


def test_deletion_waits_until_nothing_is_left(podshare: Command) -> None:
    """The last test, because it takes the team away: its record, its resources, and its line in the list."""
    ended = podshare("team", "delete", "vision", "--yes", "--wait", "--json")
    assert ended.code == 0
    assert ended.data["teams"][0]["state"] == "DELETED"
    found = podshare("team", "status", "vision", "--json").data
    assert (found["state"], found["record"], found["resources"]) == ("DELETED", False, [])
    assert podshare("team", "list", "--json").data == []
    assert podshare("cluster", "delete", "main").code == 0


def _run(words: list[str], environment: dict[str, str]) -> str:
    """What the command prints as a process of its own."""
    command = [sys.executable, "-m", "podshare_cli", *words]
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(  # noqa: S603  # our own
        command, env={**environment, **path}, capture_output=True, text=True, check=False, cwd=PROJECT, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def _wait_for(file: Path, process: "subprocess.Popen[str]") -> Path:
    """The file, once it is there; the process that is to write it must not end before."""
    patience_ends = time.monotonic() + 60
    while not file.exists():
        assert process.poll() is None
        assert time.monotonic() < patience_ends
        time.sleep(0.1)
    return file

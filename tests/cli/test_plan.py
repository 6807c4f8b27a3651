"""`podshare plan` and `podshare drift` against podshare in a sandbox with a trail, as an admin runs them."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from podshare_cli.application import main
from podshare_cli.aws.connection import Connection
from podshare_cli.failures import INVALID, Failure
from podshare_cli.plans.record_plan import RecordPlan, make
from podshare_cli.records.changes import Effect
from podshare_cli.records.documents import WRITING_ORDER, Read, read_records
from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import HUB, HUB_REGION
from tests.acting import Ended, act_in_the_hub

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "registry"
FILES = [EXAMPLES / f"{name}.yaml" for name in ("team-vision", "datasets", "cluster-main")]
MEMBER = "222222222222"


Command = Callable[..., Ended]
Records = Callable[..., str]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """An organization with podshare, a trail, and team vision, in which the command acts as an admin of podshare."""
    with Sandbox(time_scale=0.02) as running, pytest.MonkeyPatch.context() as patch:
        deploy_podshare(running, {"DrainSeconds": "0"}, with_drift=True)
        iam = running.client("iam", HUB)
        iam.create_user(UserName="operator")
        iam.attach_user_policy(
            UserName="operator", PolicyArn=f"arn:aws:iam::{HUB}:policy/podshare-system/podshare-admin"
        )
        key = iam.create_access_key(UserName="operator")["AccessKey"]
        act_in_the_hub(patch, key["AccessKeyId"], key["SecretAccessKey"])
        assert main(["team", "put", *map(str, FILES), "--wait", "--quiet"]) == 0
        running.settle()
        yield running


@pytest.fixture
def podshare(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> Command:  # noqa: ARG001  # it is there
    """Calls the command."""

    def call(*words: str) -> Ended:
        capsys.readouterr()
        code = main(list(words))
        return Ended(code, *capsys.readouterr())

    return call


@pytest.fixture
def records(tmp_path: Path) -> Records:
    """The records of team vision in a directory, with some passages changed."""

    def write(passages: dict[str, str] | None = None) -> str:
        folder = tmp_path / "records"
        folder.mkdir(exist_ok=True)
        for file in FILES:
            text = file.read_text(encoding="utf-8")
            for before, after in (passages or {}).items():
                text = text.replace(before, after)
            (folder / file.name).write_text(text, encoding="utf-8")
        return str(folder)

    return write


def test_records_that_the_registry_has_are_nothing_to_do(podshare: Command, records: Records) -> None:
    """Unchanged records affect no team: the plan is a line, and its exit code says so."""
    ended = podshare("plan", "-f", records(), "--detailed-exitcode")
    assert (ended.code, ended.out) == (0, "Nothing would change: 7 records checked.\n")


def test_one_plan_covers_all_records_and_the_teams_that_they_affect(podshare: Command, tmp_path: Path) -> None:
    """A dataset affects the team that uses it, whose own record is in another file; who loses what comes first."""
    imagenet = (EXAMPLES / "datasets.yaml").read_text().partition("---")[0].replace("imagenet/", "imagenet/train/")
    (tmp_path / "imagenet.yaml").write_text(imagenet)
    (tmp_path / "team-audio.yaml").write_text(FILES[0].read_text().replace("vision", "audio"))
    plan = podshare("plan", "-f", str(tmp_path), "--json").data
    assert [(record["id"], record["effect"]) for record in plan["records"]] == [
        ("dataset#imagenet", "change"),
        ("team#audio", "create"),
    ]
    assert [team["team"] for team in plan["teams"]] == ["audio", "vision"]
    assert {gain["team"] for gain in plan["gains"]} == {row["team"] for row in plan["quotas"]} == {"audio"}
    assert [(row["team"], row["keeps"]) for row in plan["revocations"]] == [("vision", ["imagenet/train/*"])]
    shown = podshare("plan", "-f", str(tmp_path)).out
    assert shown.startswith(
        "isolation: report on cluster main\nLoses access\n- dataset imagenet: team vision, service account trainer: list, read imagenet/* "
        "(keeps imagenet/train/*)\nGains access"
    )
    assert "~ dataset#imagenet\n  ~ prefix: imagenet/ → imagenet/train/" in shown


def test_what_new_teams_ask_for_together_is_counted_together(podshare: Command, tmp_path: Path) -> None:
    """Two new teams of which either would fit, and not both, are blocked in one plan, and either alone is not."""
    vision = FILES[0].read_text(encoding="utf-8")
    (free,) = (
        row["free"] for row in podshare("capacity", "--json").data[0]["instance_types"] if "p5." in row["instance_type"]
    )
    asked = f"count: {int(free) // 8 // 2 + 1}"
    for name in ("audio", "robots"):
        text = vision.replace("vision", name).replace("count: 4", asked)
        (tmp_path / f"team-{name}.yaml").write_text(text, encoding="utf-8")
    assert podshare("plan", "-f", str(tmp_path / "team-audio.yaml")).code == 0
    ended = podshare("plan", "-f", str(tmp_path))
    assert ended.code == 1
    assert "the quota of audio would over-commit the cluster" in ended.out
    assert "the quota of robots would over-commit the cluster" in ended.out


def test_pending_changes_end_with_2_on_demand_only(podshare: Command, records: Records) -> None:
    """CI tells nothing to do, changes and failures apart by the exit code; a person is not told of a failure."""
    folder = records({"count: 4": "count: 6"})
    assert podshare("plan", "-f", folder).code == 0
    ended = podshare("plan", "-f", folder, "--detailed-exitcode")
    assert ended.code == 2
    assert "~ team vision on cluster main: 4 x ml.p5.48xlarge → 6 x ml.p5.48xlarge" in ended.out
    assert "Plan: 0 to add, 3 to change, 0 to revoke" in ended.out
    assert podshare("team", "get", "vision", "--json").data["quota"]["resources"][0]["count"] == 4


def test_a_plan_that_is_blocked_ends_with_1(podshare: Command, records: Records) -> None:
    """A member of no organization's account would get nothing: a merge would not do what it says."""
    folder = records({"444444444444": "999999999990"})
    ended = podshare("plan", "-f", folder, "--detailed-exitcode")
    assert ended.code == 1
    assert "! team vision: account 999999999990 is not, or no longer, in the organization" in ended.out
    assert "Blocked: not all of the plan would be applied" in ended.err


def test_an_invalid_record_ends_with_64(podshare: Command, records: Records) -> None:
    """Wrong input is told apart from a plan that is blocked, with its file and line; nothing is planned."""
    ended = podshare("plan", "-f", records({"owner": "ownr"}), "--detailed-exitcode")
    assert ended.code == 64
    assert "team-vision.yaml:" in ended.err
    missing = podshare("plan", "-f", records({"dataset: imagenet": "dataset: imagnet"}))
    assert missing.code == 64
    assert "imagnet" in missing.err


def test_deletions_are_planned_for_the_teams_that_use_them(sandbox: Sandbox) -> None:  # noqa: ARG001  # it is there
    """A record that no file holds any more takes access from those who use it; it counts as deleted, its teams as affected."""
    connection = Connection(region=HUB_REGION)
    plan = make(connection, Read(), ["dataset#drafts", "dataset#never-was"])
    assert [(record.record_id, record.effect) for record in plan.records] == [("dataset#drafts", Effect.DELETE)]
    assert [*plan.teams] == ["vision"]
    assert [loss["what"] for losses in plan.losses for loss in losses.losses] == [
        "dataset drafts: every pod on cluster main"
    ]
    everything = make(connection, Read(), ["team#vision", "cluster#main"])
    assert [record.record_id for record in everything.records] == ["team#vision", "cluster#main"]
    assert everything.teams["vision"]["deleted"]


def test_what_is_deleted_in_the_same_plan_cannot_be_referred_to(podshare: Command, records: Records) -> None:
    """A team that still names a dataset whose file is gone is refused, with the place of its name."""
    assert podshare("plan", "-f", records()).code == 0
    read = read_records([str(Path(records()) / "team-vision.yaml")], WRITING_ORDER)
    with pytest.raises(Failure) as refused:
        make(Connection(region=HUB_REGION), read, ["dataset#drafts"])
    assert refused.value.exit_code == INVALID
    assert [problem["value"] for problem in refused.value.problems] == ["drafts"]


def test_a_plan_that_cannot_be_saved_is_reported(podshare: Command, records: Records, tmp_path: Path) -> None:
    """A directory that is not there is wrong usage, not a traceback."""
    ended = podshare("plan", "-f", records(), "--out", str(tmp_path / "nowhere" / "plan.json"))
    assert ended.code == INVALID
    assert "cannot be written" in ended.err


def test_a_saved_plan_keeps_what_was_read_from_the_registry(
    podshare: Command, records: Records, tmp_path: Path
) -> None:
    """Whoever applies it later compares the registry with the item as it was, with who had written it."""
    out = tmp_path / "plan.json"
    folder = records({"count: 4": "count: 6"})
    ended = podshare("plan", "-f", folder, "--out", str(out))
    assert ended.code == 0
    assert ended.err.endswith(f"The plan is in {out}.\n")  # after progress, where it took long
    plan = RecordPlan.read_from(out)
    (changed,) = plan.changes
    assert (changed.record_id, changed.effect) == ("team#vision", Effect.CHANGE)
    assert changed.before and changed.item
    assert changed.before["changed_by"] == f"arn:aws:iam::{HUB}:user/operator"
    assert [item["quota"]["resources"][0]["count"] for item in (changed.before, changed.item)] == [4, 6]
    assert plan.installation == {"account": HUB, "region": "us-west-2", "prefix": "podshare"}
    assert {**plan.as_dict(), "at": ""} == {**podshare("plan", "-f", folder, "--format", "json").data, "at": ""}


def test_a_plan_as_markdown_is_a_comment(podshare: Command, records: Records) -> None:
    """Nothing but the comment is on stdout, so that CI posts it as it is."""
    comment = podshare("plan", "-f", records({"count: 4": "count: 6"}), "--format", "markdown").out
    assert comment.startswith("### podshare plan\n\n**Plan: 0 to add, 3 to change, 0 to revoke**")
    assert "<details><summary>vision: 3 to change</summary>" in comment


def test_a_team_whose_plan_is_not_made_blocks_and_stops_no_other(podshare: Command, sandbox: Sandbox) -> None:
    """Where Lambda has no capacity left, the plan says of which team nothing is known, and fails."""
    functions = sandbox.client("lambda", HUB)
    functions.put_function_concurrency(FunctionName="podshare-dry-run", ReservedConcurrentExecutions=0)
    try:
        ended = podshare("plan", "--json")
    finally:
        functions.delete_function_concurrency(FunctionName="podshare-dry-run")
    assert ended.code == 1
    assert [*ended.data["failures"]] == ["vision"]
    assert ended.data["counts"]["teams"] == {"changed": 0, "unchanged": 0, "failed": 1}
    assert "podshare-dry-run, which did not answer in time" in ended.data["blocked"][0]["what"]


def test_without_files_every_team_is_planned_as_it_is(podshare: Command) -> None:
    """What a reconciliation would change now: nothing, as long as nobody has changed anything."""
    ended = podshare("plan", "--detailed-exitcode")
    assert (ended.code, ended.out) == (0, "Nothing would change: 1 team checked.\n")
    verbose = podshare("plan", "-v").out
    assert "vision: nothing would change (" in verbose
    assert "drafts on main: s3://" in verbose


def test_drift_is_shown_with_what_was_repaired_and_who_had_changed_it(podshare: Command, sandbox: Sandbox) -> None:
    """A call of somebody else starts the repair, which is told with the call, the caller and what was done."""
    assert podshare("drift", "--detailed-exitcode").out.startswith("Nothing would change: 1 team checked.\nRepaired")
    iam, role = sandbox.client("iam", MEMBER), "podshare-vision-scientist"
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{MEMBER}:root"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=policy)
    repaired = _wait_for_repair(podshare, sandbox)
    assert (repaired["team"], repaired["outcome"]) == ("vision", "READY")
    assert repaired["trigger"]["change"] == "UpdateAssumeRolePolicy"
    assert repaired["trigger"]["by"].startswith(f"arn:aws:iam::{MEMBER}:")
    assert {(change["kind"], change["name"]) for change in repaired["changes"]} == {("role", role)}
    shown, caller = podshare("drift", "vision").out, repaired["trigger"]["by"].rpartition(":")[2]
    assert f"vision  drift UpdateAssumeRolePolicy team#vision by {caller} in {MEMBER}, by CloudTrail: READY" in shown
    assert f"role {role} in {MEMBER}" in shown


def test_what_somebody_had_reconciled_is_among_the_repairs(podshare: Command, sandbox: Sandbox) -> None:
    """A run that a person asked for has repaired what it changed, although no event had reported it."""
    sandbox.client("ssm", MEMBER).delete_parameter(Name="/podshare/teams/vision")
    assert podshare("team", "reconcile", "vision", "--wait").code == 0
    assert podshare("drift", "vision", "--json").data["repaired"][0]["trigger"]["event"] == "admin"
    assert "vision  admin RECONCILE team#vision" in podshare("drift", "vision").out


def _wait_for_repair(podshare: Command, sandbox: Sandbox) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        sandbox.settle()
        if repaired := podshare("drift", "vision", "--json").data["repaired"]:
            return dict(repaired[0])
    raise TimeoutError("nothing was repaired")


def test_drift_that_was_not_repaired_yet_is_shown_and_ends_with_2_on_demand(
    podshare: Command, sandbox: Sandbox
) -> None:
    """During a pause nothing is repaired: drift shows who would get back what, and repairs nothing itself."""
    assert podshare("pause", "--reason", "a test").code == 0
    eks = sandbox.client("eks", HUB)
    entries = eks.list_access_entries(clusterName="hyperpod-eks")["accessEntries"]
    entry = next(arn for arn in entries if "/podshare-vision-" in arn)
    eks.delete_access_entry(clusterName="hyperpod-eks", principalArn=entry)
    clipped = podshare("drift", "vision", "--since", "200d")
    assert "Repaired in the last 90d" in clipped.out
    assert "podshare access changes" in clipped.err
    for words in (["drift"], ["drift", "vision"], ["plan"]):
        ended = podshare(*words, "--detailed-exitcode")
        assert ended.code == 2, ended.err
        assert "role podshare-vision-scientist on cluster main as team vision (training)" in ended.out
        assert "Plan: 1 to add, 0 to change, 0 to revoke" in ended.out
        assert ended.out.startswith(
            "isolation: report on cluster main\nGains access"
            if words == ["plan"]
            else "Reality differs from the records."
        )
    assert podshare("resume").code == 0
    sandbox.settle()
    assert podshare("drift", "--detailed-exitcode").code == 0


@pytest.mark.parametrize(("words", "code"), [(("nobody",), 1), (("--since", "yesterday"), 64)])
def test_a_question_about_drift_that_means_nothing_is_refused(
    podshare: Command, words: tuple[str, ...], code: int
) -> None:
    """A team that never was is named as that, a length of time is a number with its unit."""
    ended = podshare("drift", *words)
    assert ended.code == code
    assert words[-1] in ended.err

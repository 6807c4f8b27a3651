"""What people get wrong in records, as the command tells it: one problem for one fault, at its place, in its words.

The files are in ``bad_records``; those in ``bad_records/good`` are written before.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from podshare.aws.rows import to_item
from podshare_cli.application import main
from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox
from podshare_sandbox.new_accounts import admin_credentials
from podshare_sandbox.organization import HUB
from tests.acting import Ended, act_in_the_hub

FILES = Path(__file__).with_name("bad_records")
GOOD = sorted(str(path) for path in (FILES / "good").iterdir())
MEMBERS = "members.0.account"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "444444444444"}, "Action": "sts:AssumeRole"}],
}
ACCESS = "service_accounts.0.datasets.0"


Command = Callable[..., Ended]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """podshare with the good records: team robots is READY."""
    with Sandbox(time_scale=0.02) as running, pytest.MonkeyPatch.context() as patch:
        deploy_podshare(running)
        keys = admin_credentials(HUB)
        act_in_the_hub(patch, keys.access_key, keys.secret_key)
        assert main(["team", "put", *GOOD, "--wait"]) == 0
        assert main(["sweep"]) == 0
        yield running


@pytest.fixture
def podshare(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Command]:
    """Calls the command beside the files, and sees that nothing was written in the end."""
    monkeypatch.chdir(FILES)

    def call(*words: str) -> Ended:
        capsys.readouterr()
        code = main(list(words))
        return Ended(code, *capsys.readouterr())

    before = _registry(sandbox)
    yield call
    assert _registry(sandbox) == before


def _registry(sandbox: Sandbox) -> list[dict[str, Any]]:
    """What each record says, whoever wrote it how often."""
    items = sandbox.client("dynamodb", HUB).scan(TableName="podshare-registry")["Items"]
    return sorted(({**item, "change": None} for item in items), key=lambda item: str(item["id"]))


@pytest.mark.parametrize(
    ("file", "place", "told"),
    [
        ("01-typo-field.yaml", (3, 1, "ownr"), "ownr: unknown field. Did you mean owner?"),
        ("02-typo-nested.yaml", (9, 7, "quota.resources.0.instance-type"), "unknown field. Did you mean instance_type?"),
        ("03-account-11.yaml", (6, 14, MEMBERS), "an account id has twelve digits"),
        ("05-dataset-unknown.yaml", (14, 18, f"{ACCESS}.dataset"), "no dataset fotos. Did you mean photos?"),
        ("07-count-string.yaml", (10, 14, "quota.resources.0.count"), 'must be a whole number; got the text "two"'),
        ("08-account-unquoted0.yaml", (6, 14, MEMBERS), "account ids belong in quotes: YAML readers take 044444444444 for an octal number"),
        ("09-access-enum.yaml", (15, 17, f"{ACCESS}.access"), '"write" is not a valid access; valid are read, read_write'),
        ("10-cluster-unknown.yaml", (2, 10, "cluster"), "no cluster hpp. Did you mean hp?"),
        ("12-upper.yaml", (1, 5, "id"), "a name has lowercase letters"),
        ("13-id-no-kind.yaml", (1, 5, "id"), "an id is KIND#NAME. Did you mean team#robots?"),
        ("17-tab.yaml", (3, 1, "YAML"), "tabs cannot indent YAML, line 3"),
        ("19-no-quota.yaml", (1, 1, "quota"), "is missing: a team needs quota.resources"),
        ("23-unquoted.yaml", (6, 14, MEMBERS), 'account ids belong in quotes: YAML readers take 444444444444 for a number. Write "444444444444".'),
    ],
)  # fmt: skip
def test_one_fault_is_one_problem_at_its_place(
    podshare: Command, file: str, place: tuple[int, int, str], told: str
) -> None:
    """File, line, column, whole path, words and remedy; exit code 64, for people and for machines alike."""
    ended = podshare("team", "plan", file, "--json")
    assert ended.code == 64
    (problem,) = ended.problems
    assert (problem["file"], problem["line"], problem["column"], problem["field"]) == (file, *place)
    shown = podshare("team", "plan", file)
    assert shown.code == 64
    (line,) = [line for line in shown.err.splitlines() if file in line and told in line]
    assert line.strip().startswith(f"{file}:{place[0]}:{place[1]} {place[2]}")


def test_json_is_judged_as_yaml_is(podshare: Command) -> None:
    """Each field that a team lacks is a problem of the JSON document, as of one in YAML."""
    ended = podshare("team", "plan", "25.json", "--json")
    assert ended.code == 64
    assert {(one["field"], one["file"], one["line"]) for one in ended.problems} == {
        (field, "25.json", 1) for field in ("members", "owner", "quota", "reason")
    }


def test_the_same_id_in_two_files_is_told_with_both(podshare: Command) -> None:
    """Which of the two counts is open: both are named with their lines."""
    ended = podshare("team", "plan", "14a-dup.yaml", "14b-dup.yaml")
    assert ended.code == 64
    assert "14b-dup.yaml:1:5 id: team#robots is also in 14a-dup.yaml, line 1." in ended.err


def test_an_empty_file_is_nothing_to_do(podshare: Command) -> None:
    """It is said, and is no mistake: `plan` and `put` of it end well."""
    for verb in ("plan", "put"):
        ended = podshare("team", verb, "15-empty.yaml")
        assert ended.code == 0
        assert "15-empty.yaml contains no records: nothing to do." in ended.err


def _planned(podshare: Command, tmp_path: Path, before: str, after: str) -> tuple[dict[str, Any], str]:
    """The plan for team robots with one passage of its record changed, which is blocked; and how that is told."""
    text = (FILES / "good" / "team-robots.yaml").read_text()
    assert before in text
    file = tmp_path / "team-robots.yaml"
    file.write_text(text.replace(before, after))
    return _blocked(podshare, str(file))


def _blocked(podshare: Command, file: str) -> tuple[dict[str, Any], str]:
    """The plan of a file, which ends with exit code 1 because it cannot work; and how that is told."""
    ended = podshare("team", "plan", file, "--json")
    assert ended.code == 1
    assert json.loads(ended.err)["error"]["what"].startswith("Blocked")
    (plan,) = json.loads(ended.out)
    shown = podshare("team", "plan", file)
    assert shown.code == 1
    assert podshare("team", "put", file, "--dry-run").code == 1
    return plan, shown.out


def _obstacle(plan: dict[str, Any]) -> str:
    (told,) = [f"{one['what']}. {one['remedy']}" for one in plan["obstacles"] if not one["waits"]]
    return told


def test_an_account_that_is_not_in_the_organization_blocks_the_plan(podshare: Command) -> None:
    """The plan says so, and that it would cut who is there now."""
    plan, shown = _blocked(podshare, "04-account-unknown.yaml")
    assert "account 123456789012 is not, or no longer, in the organization" in _obstacle(plan)
    cut = [change for stage in plan["revoke"] for change in stage["changes"]]
    assert {"access_entry", "role"} <= {change["kind"] for change in cut}
    assert "delete role podshare-robots-scientist in 444444444444" in shown


def test_a_unit_that_nobody_is_in_blocks_a_plan_that_cuts(podshare: Command, tmp_path: Path) -> None:
    """A mistyped unit selects nobody: the plan tells it together with whom it would cut."""
    plan, shown = _planned(podshare, tmp_path, 'account: "444444444444"', "organizational_unit: ou-pods-mistyped1")
    assert "organizational unit ou-pods-mistyped1 selects no account" in _obstacle(plan)
    assert "delete role podshare-robots-scientist in 444444444444" in shown


@pytest.mark.parametrize(
    ("role", "remedy"), [("Rsearcher", "Create it"), ("Researcher", "Did you mean labs/Researcher?")]
)
def test_a_role_that_is_not_there_blocks_the_plan(
    podshare: Command, sandbox: Sandbox, tmp_path: Path, role: str, remedy: str
) -> None:
    """An existing_role is looked up before anything is tried; one of the name at another path is suggested."""
    iam = sandbox.client("iam", "444444444444")
    iam.create_role(
        RoleName="Researcher",
        Path="/labs/",
        AssumeRolePolicyDocument=json.dumps(TRUST),
    )
    try:
        there = 'account: "444444444444"'
        plan, _ = _planned(podshare, tmp_path, there, f"{there}\n    existing_role: {role}")
    finally:
        iam.delete_role(RoleName="Researcher")
    assert f"account 444444444444 has no role {role}. {remedy}" in _obstacle(plan)


def test_an_instance_type_that_the_cluster_lacks_blocks_the_plan(podshare: Command, tmp_path: Path) -> None:
    """It is told with those that there are, and not as accelerators of which there are none."""
    plan, shown = _planned(podshare, tmp_path, "ml.g5.12xlarge", "ml.g6.12xlarge")
    assert "cluster hp has no ml.g6.12xlarge; it has ml.g5.12xlarge, ml.p5.48xlarge" in _obstacle(plan)
    assert "of 0" not in shown


def test_more_than_is_free_blocks_the_plan(podshare: Command) -> None:
    """Nine of four nodes: the plan tells what is free and who has what."""
    plan, _ = _blocked(podshare, "06-quota-over.yaml")
    told = _obstacle(plan)
    assert "it asks for 9 of 4 nodes of ml.g5.12xlarge, of which 4 are free" in told
    assert "robots 9 instances" in told


def test_a_second_record_of_one_eks_cluster_is_refused(podshare: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    """Both are named; written past the command it adds nothing for the team that names it, and takes nothing away."""
    cluster, team = ((FILES / "good" / f"{name}.yaml").read_text() for name in ("cluster", "team-robots"))
    second = tmp_path / "second.yaml"
    second.write_text(cluster.replace("cluster#hp", "cluster#hp-again"))
    for words in (["cluster", "put"], ["team", "plan"], ["team", "put"]):
        ended = podshare(*words, str(second))
        assert ended.code == 64
        assert "eks_cluster" in ended.err
        assert "is the EKS cluster of cluster#hp too" in ended.err
    moved = tmp_path / "moved.yaml"
    moved.write_text(team.replace("team#robots", "team#others").replace("cluster: hp", "cluster: hp-again"))
    table = sandbox.client("dynamodb", HUB)
    row = {"id": "cluster#hp-again", **{key: value for key, value in yaml.safe_load(cluster).items() if key != "id"}}
    table.put_item(TableName="podshare-registry", Item=to_item(row))
    try:
        assert main(["team", "put", str(moved), "--wait"]) == 1
        found = podshare("team", "status", "others", "--json")
        told = [problem["what"] for problem in json.loads(found.out)["problems"]]
        assert any("cluster#hp-again and cluster#hp are two records of one EKS cluster" in one for one in told), told
        assert json.loads(found.out)["resources"] == []
        assert main(["team", "reconcile", "robots", "--wait"]) == 0
    finally:
        assert main(["team", "delete", "others", "--yes", "--wait"]) == 0
        for record in ("cluster#hp-again", "approval#others"):  # the latter says who deleted the team, and why
            table.delete_item(TableName="podshare-registry", Key=to_item({"id": record}))
        sandbox.settle()


def test_a_wrong_region_is_told_and_ways_in_stay_those_that_are_there(podshare: Command, sandbox: Sandbox) -> None:
    """The plan tells it, the team is not READY for as long as it is so, and scientists are sent to the role that is."""
    plan, _ = _blocked(podshare, "27-region.yaml")
    assert plan["count"] == 0
    assert "cluster hp cannot be read in account 111111111111, eu-west-1" in _obstacle(plan)
    before = json.loads(podshare("team", "status", "robots", "--json").out)
    assert before["state"] == "READY"
    try:
        assert podshare("cluster", "put", "27-region.yaml").code == 0
        sandbox.settle()
        for _ in range(2):
            assert main(["team", "reconcile", "robots", "--wait"]) == 1
            now = json.loads(podshare("team", "status", "robots", "--json").out)
            assert now["state"] == "DEGRADED"
            assert "cluster hp cannot be read in account 111111111111, eu-west-1" in now["problems"][0]["what"]
            assert now["ways_in"] == before["ways_in"]
    finally:
        assert main(["team", "put", GOOD[0], "--wait"]) == 0
        sandbox.settle()
    (way,) = before["ways_in"]
    name = way["cluster_access_role"].rpartition("/")[2]
    assert sandbox.client("iam", HUB).get_role(RoleName=name)["Role"]["Arn"] == way["cluster_access_role"]

"""Who may run which command: each managed policy of the hub's stack is tried on every command."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from podshare.aws.rows import to_item
from podshare_cli import application
from podshare_cli.application import main
from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import HUB, HUB_REGION
from tests.acting import act_in_the_hub

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "registry"
AUDITOR, PLANNER, OPERATOR, ADMIN = "auditor", "planner", "operator", "admin"
HISTORIAN = "auditor's own"  # what auditors and admins may, and nobody else
ALLOWS = {
    AUDITOR: {AUDITOR, HISTORIAN},
    PLANNER: {AUDITOR, PLANNER},
    OPERATOR: {AUDITOR, OPERATOR},
    ADMIN: {AUDITOR, HISTORIAN, PLANNER, OPERATOR, ADMIN},
}
# what these read is more than podshare's: pods of the cluster, what others have set up
NONE_OF_THEM = "none of podshare's"
WITHOUT_AWS = {
    "audit verify",
    "demo",
    "explain",
    "help",
    "sandbox exec",
    "sandbox send",
    "sandbox up",
    "schema",
    "validate",
}
# every other command, as it is called here, with the least policy that allows it
CALLS: dict[str, list[tuple[str, str]]] = {
    "access at": [("now of 222222222222", HISTORIAN)],
    "access audit": [("", AUDITOR)],
    "access changes": [("--since 1d", HISTORIAN)],
    "access matrix": [("", AUDITOR)],
    "access of": [("222222222222", AUDITOR)],
    "access probe": [("vision", NONE_OF_THEM)],
    "access proof": [("vision", AUDITOR)],
    "access who-can": [("read dataset#imagenet", AUDITOR)],
    "account block": [("888888888888 --reason tried --yes", OPERATOR)],
    "account get": [("222222222222", AUDITOR)],
    "account list": [("", AUDITOR)],
    "account unblock": [("888888888888", OPERATOR)],
    "apply": [("-f {dataset}", ADMIN), ("-f {team} --auto-approve", ADMIN)],
    "approve": [("", AUDITOR), ("late 0123456789ab", OPERATOR)],
    "audit export": [("--since 1d --out {pack}", HISTORIAN)],
    "capacity": [("--cluster main", PLANNER)],
    "cluster delete": [("spare", ADMIN)],
    "cluster get": [("main", AUDITOR)],
    "cluster list": [("", AUDITOR)],
    "cluster put": [("{cluster}", ADMIN)],
    "connect": [("--list", NONE_OF_THEM)],
    "dataset delete": [("spare --yes", ADMIN)],
    "dataset get": [("imagenet", AUDITOR)],
    "dataset list": [("", AUDITOR)],
    "dataset put": [("{dataset}", ADMIN)],
    "doctor": [("", AUDITOR)],  # what they may not read is unknown
    "drift": [("vision", PLANNER)],
    "enrollment delete": [("spare --yes", ADMIN)],
    "enrollment get": [("spare", AUDITOR)],
    "enrollment list": [("", AUDITOR)],
    "enrollment put": [("{enrollment} --yes", ADMIN)],
    "export": [("{directory}", AUDITOR)],
    "history show": [("{run}", HISTORIAN)],
    "import": [("hyperpod", NONE_OF_THEM)],
    "pause": [("--reason tried", OPERATOR)],
    "plan": [("", PLANNER), ("-f {team}", PLANNER)],
    "report": [("--out {page}", PLANNER)],
    "resume": [("", OPERATOR)],
    "sweep": [("--last", AUDITOR), ("--no-wait", OPERATOR)],
    "team delete": [("spare --yes", ADMIN)],
    "team get": [("vision", AUDITOR)],
    "team history": [("vision", AUDITOR)],
    "team list": [("", AUDITOR)],
    "team manifests": [("vision", PLANNER)],
    "team plan": [("vision", PLANNER), ("{team}", PLANNER)],
    "team put": [("{team} --dry-run", PLANNER), ("{team} --yes", ADMIN)],
    "team reconcile": [("vision", OPERATOR)],
    "team status": [("vision", AUDITOR)],
    "usage": [("", HISTORIAN), ("--used", NONE_OF_THEM)],
}
QUOTA = {"resources": [{"instance_type": "ml.g5.12xlarge", "count": 1}]}
SPARE_TEAM = {
    "id": "team#spare",
    "schema": 1,
    "cluster": "main",
    "owner": "ada@example.com",
    "reason": "Is deleted here",
    "quota": QUOTA,
    "members": [{"account": "222222222222"}],
}
SPARE_ENROLLMENT = {
    "id": "enrollment#spare",
    "schema": 1,
    "account_tag": {"key": "nobody", "value": "has"},
    "team": {"cluster": "main", "owner": "ada@example.com", "reason": "Selects no account", "quota": QUOTA},
}
SPARE_DATASET = {
    "id": "dataset#spare",
    "schema": 1,
    "account": "333333333333",
    "region": HUB_REGION,
    "bucket": "web-text-333333333333",
    "prefix": "spare/",
}
SPARE_CLUSTER = {
    "id": "cluster#spare",
    "schema": 1,
    "account": HUB,
    "region": HUB_REGION,
    "eks_cluster": "spare",
    "hyperpod_cluster": "spare",
}


@dataclass(frozen=True)
class Place:
    """A sandbox with podshare and team vision, the keys of a person for each policy, and files that differ from it."""

    sandbox: Sandbox
    keys: dict[str, tuple[str, str]]
    files: dict[str, str] = field(default_factory=dict)

    def put(self, item: dict[str, Any], table: str = "podshare-registry") -> None:
        self.sandbox.client("dynamodb").put_item(TableName=table, Item=to_item(item))

    def records(self) -> dict[str, Any]:
        """The registry's records by their ids."""
        items = self.sandbox.client("dynamodb").scan(TableName="podshare-registry")["Items"]
        return {item["id"]["S"]: item for item in items}


def leaves(command: Any = None, path: str = "") -> Iterator[str]:
    """Every command that the command has, as people call it."""
    for name, child in sorted((command or application.command()).commands.items()):
        if hasattr(child, "commands"):
            yield from leaves(child, f"{path}{name} ")
        else:
            yield f"{path}{name}"


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Team vision is ready, and a sweep has completed."""
    with Sandbox(time_scale=0.02) as sandbox, pytest.MonkeyPatch.context() as patch:
        deploy_podshare(sandbox)
        iam, keys = sandbox.client("iam", HUB), {}
        for policy in ALLOWS:
            iam.create_user(UserName=f"one-{policy}")
            arn = f"arn:aws:iam::{HUB}:policy/podshare-system/podshare-{policy}"
            iam.attach_user_policy(UserName=f"one-{policy}", PolicyArn=arn)
            key = iam.create_access_key(UserName=f"one-{policy}")["AccessKey"]
            keys[policy] = (key["AccessKeyId"], key["SecretAccessKey"])
        act_in_the_hub(patch, *keys[ADMIN])
        files = [str(EXAMPLES / f"{name}.yaml") for name in ("team-vision", "datasets", "cluster-main")]
        assert main(["team", "put", *files, "--wait", "--json"]) == 0
        assert main(["sweep", "--json"]) == 0
        yield Place(sandbox, keys, {"run": _run_of(sandbox)})


def _run_of(sandbox: Sandbox) -> str:
    """The name of a run of vision that the history has."""
    bucket = f"podshare-history-{HUB}-{HUB_REGION}"
    found = sandbox.client("s3").list_objects_v2(Bucket=bucket, Prefix="runs/")["Contents"]
    key = next(entry["Key"] for entry in found if "team=vision" in entry["Key"])
    return str(json.loads(sandbox.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())["run"])


@pytest.fixture
def acting(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Place]:
    """Acts as the person with a policy, where there is something to write, to delete and to approve."""
    texts = {
        "team": (EXAMPLES / "team-vision.yaml").read_text().replace("Trains", f"{tmp_path.name[-40:]} trains"),
        "cluster": json.dumps({**SPARE_CLUSTER, "hyperpod_cluster": "other"}),
        "dataset": json.dumps({**SPARE_DATASET, "prefix": "other/"}),
        "enrollment": json.dumps({**SPARE_ENROLLMENT, "account_tag": {"key": "no", "value": "body"}}),
    }

    def act(policy: str) -> Place:
        for name, text in texts.items():
            (tmp_path / f"{name}.yaml").write_text(text)
        for item in (SPARE_TEAM, SPARE_ENROLLMENT, SPARE_DATASET, SPARE_CLUSTER):
            place.put(item)
        place.put({"id": "team#late", "part": "held", "hash": "0123456789ab", "since": "2026-11-29"}, "podshare-state")
        act_in_the_hub(monkeypatch, *place.keys[policy])
        files = {name: str(tmp_path / f"{name}.yaml") for name in texts}
        return replace(
            place,
            files={
                **{**place.files, **files, "page": str(tmp_path / "report.html"), "directory": str(tmp_path / "new")},
                "pack": str(tmp_path / "pack.zip"),
            },
        )

    return act


def test_every_command_is_placed() -> None:
    """A new command needs a line above: who may run it."""
    assert sorted({*CALLS, *WITHOUT_AWS}) == sorted(leaves())


@pytest.mark.parametrize("policy", ALLOWS)
@pytest.mark.parametrize("call", [(path, *call) for path, calls in CALLS.items() for call in calls], ids=" ".join)
def test_a_policy_allows_its_commands_and_no_other(
    acting: Callable[[str], Place], capsys: pytest.CaptureFixture[str], policy: str, call: tuple[str, str, str]
) -> None:
    """What a policy does not allow is refused before anything is written, and the error names the least that does."""
    (path, words, least), place = call, acting(policy)
    before = place.records()

    code = main([*path.split(), *words.format(**place.files).split()])

    told = " ".join(capsys.readouterr().err.split())
    if least in ALLOWS[policy]:
        assert (code, "may not call" in told) == (0, False), told
        return
    assert code == 1
    assert place.records() == before
    if least == NONE_OF_THEM:
        assert "is not authorized" in told or "podshare's own policies do not" in told
        assert "Attach the managed policy" not in told
        return
    assert f"arn:aws:iam::{HUB}:user/one-{policy} may not call" in told
    assert f"account {HUB}, {HUB_REGION}" in told
    attached = AUDITOR if least == HISTORIAN else least
    assert f"Attach the managed policy podshare-{attached} " in told

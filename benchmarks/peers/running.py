"""Runs the peers against the sandbox, each in a process of its own as a person would."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.calls import Calls
from benchmarks.life import PHASES, Organization
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import DATA, EKS_CLUSTER, HUB, HYPERPOD_CLUSTER, IMAGES_BUCKET, SCIENTISTS

FOLDER = Path(__file__).parent
ACTIONS = ("onboard", "onboard", "add", "revoke")
"""What a person runs in each phase: with nothing to do the same again."""


@dataclass(frozen=True)
class Done:
    """What one phase took a peer: the seconds of each team, one after the other, and the calls of all of them."""

    name: str
    seconds: tuple[float, ...]
    calls: int


class Peer(Protocol):
    """Something that does podshare's work in another way."""

    def prepare(self) -> str:
        """Make it ready to run; returns why it cannot be on this machine, empty where it can."""

    def run(self, action: str, teams: Sequence[str], environment: Mapping[str, str]) -> list[float]:
        """Do it for each team in turn; the seconds of each."""


class Boto3Script:
    """``boto3_script.py``, one process for all teams."""

    def prepare(self) -> str:
        """As ``Peer.prepare``."""
        return ""

    def run(self, action: str, teams: Sequence[str], environment: Mapping[str, str]) -> list[float]:
        """As ``Peer.run``."""
        began = time.monotonic()
        seconds: list[float] = json.loads(
            _run([sys.executable, str(FOLDER / "boto3_script.py"), action, *teams], environment)
        )
        start = time.monotonic() - began - sum(seconds)  # of the process and its clients, once for all teams
        return [one + start / len(teams) for one in seconds]


class AwsCommands:
    """``aws_commands.sh``, the AWS CLI in a process for each call."""

    def prepare(self) -> str:
        """As ``Peer.prepare``."""
        return "" if _aws() else "the AWS CLI is not installed: `make test` installs it in .venv-clients"

    def run(self, action: str, teams: Sequence[str], environment: Mapping[str, str]) -> list[float]:
        """As ``Peer.run``."""
        own = {**environment, "PATH": f"{Path(_aws()).parent}{os.pathsep}{environment['PATH']}"}
        seconds = []
        for team in teams:
            began = time.monotonic()
            _run(["sh", str(FOLDER / "aws_commands.sh"), action, team], own)
            seconds.append(time.monotonic() - began)
        return seconds


class Terraform:
    """``terraform/main.tf``, one apply for all teams, which it works on at the same time."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="podshare-terraform-")

    def prepare(self) -> str:
        """As ``Peer.prepare``."""
        if not shutil.which("terraform"):
            return "Terraform is not installed"
        shutil.copy(FOLDER / "terraform" / "main.tf", self._folder.name)
        made = self._terraform("init", os.environ)
        return "" if made.returncode == 0 else "Terraform finds no AWS provider to install (`terraform init` fails)"

    def run(self, action: str, teams: Sequence[str], environment: Mapping[str, str]) -> list[float]:
        """As ``Peer.run``; what it takes for all teams is divided among them."""
        given = {
            "teams": list(teams),
            "third_member": action in ("add", "revoke"),
            "accounts": {name: environment[f"ACCOUNT_{name.upper()}"] for name in ("a", "b1", "b2", "b3", "c")},
            "region": environment["AWS_REGION"],
            "cluster": environment["EKS_CLUSTER"],
            "bucket": environment["BUCKET"],
            "bucket_policy": environment["BUCKET_POLICY"],
        }
        (Path(self._folder.name) / "terraform.tfvars.json").write_text(json.dumps(given), encoding="utf-8")
        began = time.monotonic()
        ended = self._terraform("destroy" if action == "revoke" else "apply", environment, "-auto-approve")
        if ended.returncode:
            raise SystemExit(f"terraform failed:\n{ended.stdout}{ended.stderr}")
        return [(time.monotonic() - began) / len(teams)] * len(teams)

    def _terraform(
        self, command: str, environment: Mapping[str, str], *options: str
    ) -> subprocess.CompletedProcess[str]:
        own = {**environment, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
        words = ["terraform", command, "-input=false", "-no-color", *options]
        return subprocess.run(  # noqa: S603  # fixed words
            words, cwd=self._folder.name, env=own, capture_output=True, text=True, check=False
        )


def _aws() -> str:
    own = FOLDER.parents[1] / ".venv-clients" / "bin" / "aws"
    return str(own) if own.exists() else shutil.which("aws") or ""


def _run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """What a peer prints. Raises SystemExit with its words if it fails."""
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # a peer of ours
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def live(here: Organization, peer: Peer, teams: Sequence[str], scale: float) -> Iterator[Done]:
    """Let a peer's teams live the same life as podshare's."""
    with environment_of(here.sandbox, here.joined, scale) as environment:
        for phase, action in zip(PHASES, ACTIONS, strict=True):
            before = len(here.sandbox.requests)
            seconds = peer.run(action, teams, environment)
            calls = Calls.of(here.sandbox.requests[before:])
            yield Done(phase, tuple(seconds), calls.reads + calls.writes)


@contextmanager
def environment_of(sandbox: Sandbox, joined: str, scale: float) -> Iterator[dict[str, str]]:
    """What the peers are given: profiles of each account's administrator, and the names of what there is.

    ``joined`` is a third account of scientists.
    """
    accounts = {"a": HUB, "b1": SCIENTISTS[0], "b2": SCIENTISTS[1], "b3": joined, "c": DATA}
    hyperpod = sandbox.client("sagemaker").describe_cluster(ClusterName=HYPERPOD_CLUSTER)["ClusterArn"]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config"
        config.write_text("".join(_profile(name, sandbox.environment(id_)) for name, id_ in accounts.items()))
        keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        inherited = {name: value for name, value in sandbox.environment().items() if name not in keys}
        yield {
            **inherited,
            "AWS_CONFIG_FILE": str(config),
            "PYTHONWARNINGS": "ignore",
            "TMPDIR": folder,
            **{f"ACCOUNT_{name.upper()}": id_ for name, id_ in accounts.items()},
            "EKS_CLUSTER": EKS_CLUSTER,
            "HYPERPOD_ARN": hyperpod,
            "BUCKET": IMAGES_BUCKET,
            "BUCKET_POLICY": json.dumps(_with_delegation(sandbox.client("s3", DATA))),
            "TIME_SCALE": str(scale),
            "POLL_SECONDS": str(5 * scale),
        }


def _profile(name: str, environment: Mapping[str, str]) -> str:
    keys = {key: environment[key.upper()] for key in ("aws_access_key_id", "aws_secret_access_key")}
    return f"[profile {name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())


def _with_delegation(s3: Any) -> dict[str, Any]:
    """The bucket's policy as somebody merges it by hand."""
    policy: dict[str, Any] = json.loads(s3.get_bucket_policy(Bucket=IMAGES_BUCKET)["Policy"])
    delegation = {
        "Sid": "DelegateToAccessPoints",
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:ListBucket", "s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{IMAGES_BUCKET}", f"arn:aws:s3:::{IMAGES_BUCKET}/*"],
        "Condition": {"StringEquals": {"s3:DataAccessPointAccount": DATA}},
    }
    others = [one for one in policy["Statement"] if one.get("Sid") != delegation["Sid"]]
    return {**policy, "Statement": [*others, delegation]}

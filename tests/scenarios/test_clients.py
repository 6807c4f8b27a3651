"""The tools of AWS and of data scientists, as they come from PyPI, with what podshare gives: hyp, aws, s3fs, and more."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from podshare_sandbox.organization import HYPERPOD_CLUSTER
from tests.checks.expanded_template import ROOT
from tests.scenarios.world import DATA, EKS_ARN, IMAGES, VISION, World

BIN = ROOT / ".venv-clients" / "bin"
NAMESPACE = "hyperpod-ns-vision"
FOLDER, CONTENT = "imagenet/cats/", "a cat"
KEY = f"{FOLDER}0001.txt"

pytestmark = pytest.mark.skipif(not BIN.exists(), reason="there is no .venv-clients: `make test` installs it")


@pytest.fixture(scope="module")
def vision(world: World) -> World:
    """A team whose pods may read a prefix, in a bucket that has more than that."""
    grants = [{"dataset": "imagenet", "access": "read"}]
    team = {"members": [{"account": VISION}], "service_accounts": [{"name": "trainer", "datasets": grants}]}
    assert world.put_team("vision", **team)["state"] == "READY"
    bucket = world.sandbox.client("s3", DATA)
    for key in (KEY, f"{FOLDER}0002.txt", "private/0001.txt"):
        bucket.put_object(Bucket=IMAGES, Key=key, Body=CONTENT.encode())
    return world


class Shell:
    """Commands of the clients' environment, run with the credentials of a session and nothing else."""

    def __init__(self, world: World, session: boto3.Session, home: Path) -> None:
        keys = session.get_credentials().get_frozen_credentials()  # type: ignore[union-attr]
        own = {
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "AWS_SESSION_TOKEN": str(keys.token),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "PYTHONWARNINGS": "ignore",
        }
        self.environment = {**world.sandbox.environment(), **own}
        self.home = home

    def __call__(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run ``command`` to its end."""
        return subprocess.run(  # noqa: S603  # a command of a test
            command, env=self.environment, cwd=self.home, capture_output=True, text=True, timeout=120, check=False
        )

    def python(self, program: str, *arguments: str) -> Any:
        """What ``program`` prints as JSON."""
        ended = self("python", "-c", program, *arguments)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)


@pytest.fixture
def scientist(vision: World, tmp_path: Path) -> Shell:
    """A scientist's terminal, with the team's cluster access role."""
    return Shell(vision, vision.cluster_access("vision", VISION), tmp_path)


@pytest.fixture
def pod(vision: World, tmp_path: Path) -> Iterator[Shell]:
    """A terminal in a pod of the team's service account."""
    yield Shell(vision, vision.pod("vision", "trainer"), tmp_path)


@pytest.fixture
def alias(vision: World) -> str:
    """The alias of the team's access point, as podshare keeps it for status."""
    (point,) = vision.state("proof", "team#vision")["access_points"]
    assert point["arn"] == vision.access_point("vision", "imagenet")
    assert (point["dataset"], point["bucket"]) == ("imagenet", IMAGES)
    return str(point["alias"])


# ---- hyp -------------------------------------------------------------------------------------------------------


def test_hyp_enters_the_cluster(scientist: Shell) -> None:
    """hyp asks IAM for its own role, EKS for that role's entry and SageMaker for the cluster, before it asks Kubernetes.

    Source: sagemaker-hyperpod 3.12.0, cli/cluster_utils.py; without iam:GetRole it takes a role's ARN without its path.
    """
    entered = scientist("hyp", "set-cluster-context", "--cluster-name", HYPERPOD_CLUSTER, "--namespace", NAMESPACE)
    assert entered.returncode == 0, entered.stderr
    context = scientist("hyp", "get-cluster-context")
    assert context.stdout.strip() == f"Cluster context:{EKS_ARN}"
    jobs = scientist("hyp", "list", "hyp-pytorch-job", "--namespace", NAMESPACE)
    assert (jobs.returncode, "No jobs found" in jobs.stdout) == (0, True), jobs.stderr
    refused = scientist("hyp", "list", "hyp-pytorch-job", "--namespace", "default")
    assert (refused.returncode, "No jobs found" in refused.stdout) == (1, False), refused.stdout


def test_hyp_lists_clusters_and_may_not_count_everybodys_pods(scientist: Shell) -> None:
    """ListClusters is allowed; what hyp counts next are the pods of all namespaces, which no team may list."""
    listed = scientist("hyp", "list-cluster", "--output", "json")
    assert listed.returncode == 0, listed.stderr
    assert "Failed to list HyperPod clusters" not in listed.stderr
    assert f"Error processing cluster {HYPERPOD_CLUSTER}" in listed.stderr
    assert "pods is forbidden" in listed.stderr


# ---- data ------------------------------------------------------------------------------------------------------

BOTO3 = """
import boto3, json, sys
name, key, prefix = sys.argv[1:]
s3 = boto3.client("s3")
listed = s3.list_objects_v2(Bucket=name, Prefix=prefix)["Contents"]
print(json.dumps([s3.get_object(Bucket=name, Key=key)["Body"].read().decode(), [one["Key"] for one in listed]]))
"""

CODES = """
import boto3, json, sys
from botocore.exceptions import ClientError
s3, name = boto3.client("s3"), sys.argv[1]
asked = {
    "head bucket": lambda: s3.head_bucket(Bucket=name),
    "list all": lambda: s3.list_objects_v2(Bucket=name),
    "list without the slash": lambda: s3.list_objects_v2(Bucket=name, Prefix="imagenet"),
    "list": lambda: s3.list_objects_v2(Bucket=name, Prefix="imagenet/"),
    "absent key": lambda: s3.get_object(Bucket=name, Key="imagenet/absent"),
    "head of an absent key": lambda: s3.head_object(Bucket=name, Key="imagenet/absent"),
    "another prefix": lambda: s3.get_object(Bucket=name, Key="private/0001.txt"),
}
found = {}
for what, ask in asked.items():
    try:
        ask()
        found[what] = 200
    except ClientError as error:
        found[what] = error.response["ResponseMetadata"]["HTTPStatusCode"]
print(json.dumps(found))
"""

S3FS = """
import json, s3fs, sys
name, key = sys.argv[1:]
files = s3fs.S3FileSystem()
print(json.dumps([files.cat_file(f"{name}/{key}").decode(), sorted(files.find(f"{name}/imagenet/cats/"))]))
"""

TORCH = """
import json, os, sys
from s3torchconnectorclient._mountpoint_s3_client import MountpointS3Client
name, key = sys.argv[1:3]
client = MountpointS3Client(
    region=os.environ["AWS_REGION"], user_agent_prefix="tests", endpoint=sys.argv[3],
    force_path_style=True, throughput_target_gbps=1.0, part_size=8388608, unsigned=False,
)
listed = [one.key for page in client.list_objects(name, "imagenet/cats/") for one in page.object_info]
print(json.dumps([b"".join(client.get_object(name, key)).decode(), listed]))
"""

LISTED = [KEY, f"{FOLDER}0002.txt"]


@pytest.mark.parametrize("by", ["alias", "arn"])
def test_boto3_takes_the_alias_and_the_arn(pod: Shell, vision: World, alias: str, by: str) -> None:
    """Either stands in the place of a bucket's name (S3 user guide, "Access point aliases")."""
    name = alias if by == "alias" else vision.access_point("vision", "imagenet")
    assert pod.python(BOTO3, name, KEY, FOLDER) == [CONTENT, LISTED]


def test_a_prefix_grant_refuses_what_lies_beside_it(pod: Shell, alias: str) -> None:
    """HeadBucket and an absent key ask for the right to list without a prefix, which the grant of a prefix is not.

    Source: S3 API reference, HeadBucket and GetObject, "Permissions": without s3:ListBucket an absent key is 403.
    """
    assert pod.python(CODES, alias) == {
        "head bucket": 403,
        "list all": 403,
        "list without the slash": 403,
        "list": 200,
        "absent key": 403,
        "head of an absent key": 403,
        "another prefix": 403,
    }


def test_s3fs_reads_and_finds_by_the_alias(pod: Shell, alias: str) -> None:
    """s3fs takes an alias for a bucket; within the granted prefix it reads and lists."""
    assert pod.python(S3FS, alias, KEY) == [CONTENT, [f"{alias}/{key}" for key in LISTED]]


def test_the_s3_connector_reads_and_lists_by_the_alias(pod: Shell, vision: World, alias: str) -> None:
    """The client under s3torchconnector and Mountpoint takes an alias for a bucket."""
    assert pod.python(TORCH, alias, KEY, vision.sandbox.url) == [CONTENT, LISTED]


def test_the_aws_command_copies_and_lists_by_the_alias(pod: Shell, alias: str) -> None:
    """`aws s3 ls` wants the prefix with its slash; `aws s3 cp --recursive` copies what lies under it."""
    listed = pod("aws", "s3", "ls", f"s3://{alias}/{FOLDER}")
    assert [line.split()[-1] for line in listed.stdout.splitlines()] == ["0001.txt", "0002.txt"]
    assert "AccessDenied" in pod("aws", "s3", "ls", f"s3://{alias}/imagenet").stderr
    copied = pod("aws", "s3", "cp", "--recursive", "--only-show-errors", f"s3://{alias}/imagenet/", "data")
    assert copied.returncode == 0, copied.stderr
    assert (pod.home / "data" / "cats" / "0001.txt").read_text(encoding="utf-8") == CONTENT

"""What was set up by hand after AWS's post is described by records, and handed over without anybody losing access."""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from benchmarks.peers.running import Boto3Script, environment_of
from podshare_cli.application import main
from podshare_sandbox.organization import DATA, EKS_CLUSTER, HUB_REGION, HYPERPOD_CLUSTER, IMAGES_BUCKET, SCIENTISTS
from podshare_sandbox.services import kubernetes
from tests.docs.newcomer import on_terminal
from tests.docs.outputs import Outputs
from tests.docs.pages import ROOT, Page
from tests.scenarios.world import EKS_ARN, HUB, Item, World, refused

IMPORTING = Page(ROOT / "docs" / "importing.md")
TEAM = "robots"
B1, B2 = SCIENTISTS[0], SCIENTISTS[1]
DATASET = IMAGES_BUCKET  # a bucket that no record describes as a whole is a dataset of its own
NAMESPACE = f"hyperpod-ns-{TEAM}"
SERVICE_ACCOUNT = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"name": "trainer", "namespace": NAMESPACE},
}


@pytest.fixture(scope="module", autouse=True)
def by_hand(world: World) -> Iterator[None]:
    """A team that somebody set up with the post's calls, and the command of an administrator of the hub."""
    with environment_of(world.sandbox, SCIENTISTS[0], 0.02) as environment, pytest.MonkeyPatch.context() as patch:
        Boto3Script().run("onboard", [TEAM], environment)
        kubernetes.api_of(EKS_ARN).apply(SERVICE_ACCOUNT)  # the post leaves it out
        for name, value in world.sandbox.environment(HUB, HUB_REGION).items():
            patch.setenv(name, value)
        patch.setenv("AWS_CONFIG_FILE", environment["AWS_CONFIG_FILE"])
        yield


class Scientists:
    """The scientists and pods of the team that was set up by hand, who try again and again whether they get in."""

    def __init__(self, world: World) -> None:
        self._world, self._over = world, threading.Event()
        self.tries, self.refusals = 0, list[str]()
        self._pod = world.pod(TEAM, "trainer")
        self._thread = threading.Thread(target=self._try)

    def gets_in(self, account: str) -> bool:
        """Whether the path that was set up by hand leads into the namespace."""
        scientist = self._world.scientist(TEAM, account, f"{TEAM}-scientist")
        session = self._world.session(f"arn:aws:iam::{HUB}:role/{TEAM}-access", scientist)
        return not refused(lambda: self._world.may_submit(session, TEAM))

    def reads(self) -> bool:
        """Whether a pod lists its data through the access point that was made by hand."""
        point = f"arn:aws:s3:{HUB_REGION}:{DATA}:accesspoint/{TEAM}"
        return bool(self._pod.client("s3").list_objects_v2(Bucket=point).get("Contents"))

    def __enter__(self) -> "Scientists":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _try(self) -> None:
        while not self._over.is_set() or not self.tries:
            self.tries += 1
            attempts: dict[str, Callable[[], bool]] = {"cluster": partial(self.gets_in, B1), "data": self.reads}
            for name, attempt in attempts.items():
                try:
                    if not attempt():
                        self.refusals.append(name)
                except (ClientError, PermissionError) as error:
                    self.refusals.append(f"{name}: {error}")


def imported(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    """What `podshare import` prints as JSON."""
    capsys.readouterr()
    assert main(["import", HYPERPOD_CLUSTER, "--profile-of", f"{DATA}=c", *words, "--json"]) == code
    captured = capsys.readouterr()
    return json.loads(captured.out or captured.err)


def test_records_describe_what_was_set_up(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Quota, people by their own roles, level of access, pods and data stand in records, one file for each."""
    found = imported(capsys, "--out", str(tmp_path / "records"), "--owner", "ada@example.com")
    files = {Path(path).name: yaml.safe_load(Path(path).read_text()) for path in found["files"]}
    assert found["remarks"] == []
    assert set(files) == {"cluster-main.yaml", f"dataset-{DATASET}.yaml", f"team-{TEAM}.yaml"}
    assert (files[f"dataset-{DATASET}.yaml"]["bucket"], files[f"dataset-{DATASET}.yaml"]["account"]) == (DATASET, DATA)
    team = files[f"team-{TEAM}.yaml"]
    assert team["members"] == [{"account": each, "existing_role": f"{TEAM}-scientist"} for each in sorted((B1, B2))]
    assert (team["owner"], team["access"], team["cluster"]) == ("ada@example.com", "training", "main")
    assert team["quota"]["name"] == TEAM
    assert team["quota"]["resources"][0]["instance_type"] == "ml.p5.48xlarge"
    assert team["service_accounts"] == [{"name": "trainer", "datasets": [{"dataset": DATASET, "access": "read"}]}]
    assert main(["validate", str(tmp_path / "records")]) == 0
    assert imported(capsys, "--out", str(tmp_path / "records"), code=64)["error"]["what"].startswith(
        "These files exist"
    )


def test_the_pages_command_prints_what_the_page_shows(world: World, tmp_path: Path, outputs: Outputs) -> None:
    """The files of the records, and what to do next."""
    (command,) = (each for each in IMPORTING.commands if each.startswith("podshare import hyperpod --out"))
    keys = {name.lower(): value for name, value in world.sandbox.environment(DATA).items() if "_KEY" in name}
    lines = [f"{name} = {value}\n" for name, value in {**keys, "region": HUB_REGION}.items()]
    (config := tmp_path / "config").write_text(f"[profile data]\n{''.join(lines)}")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**world.sandbox.environment(HUB, HUB_REGION), "PATH": path, "AWS_CONFIG_FILE": str(config)}
    ended = on_terminal(command, environment, tmp_path)
    assert ended.code == 0, ended.out
    outputs.compare(command, ended.out)


def test_an_account_that_cannot_be_read_is_remarked(capsys: pytest.CaptureFixture[str]) -> None:
    """What lies in an account without credentials is left out of the records, and said."""
    assert main(["import", HYPERPOD_CLUSTER, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [item["id"] for item in found["records"]] == ["cluster#main", f"team#{TEAM}"]
    (remark,) = found["remarks"]
    assert f"accesspoint/{TEAM}: No credentials for account {DATA}" in remark["what"]


def test_objects_of_the_cluster_and_statements_of_the_bucket_are_read(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who is bound in the namespace, and which statements let the access point in; a cluster that refuses is remarked."""
    api = kubernetes.api_of(EKS_ARN)
    binding: Item = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding"}
    binding["metadata"] = {"name": "debug", "namespace": NAMESPACE}
    binding["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    binding["subjects"] = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "debuggers"}]
    api.apply(binding)
    found = imported(capsys)
    assert "RoleBinding debug gives ClusterRole view to Group debuggers: see `rbac`" in str(found["remarks"])
    policy = json.loads(world.sandbox.client("s3", DATA).get_bucket_policy(Bucket=DATASET)["Policy"])
    sids = {statement["Sid"] for statement in policy["Statement"] if "DataAccessPointAccount" in str(statement)}
    assert {f"statement {sid} of the policy of bucket {DATASET}" for sid in sids} < {*found["others"][TEAM]}
    assert f"RoleBinding {NAMESPACE}/debug of ClusterRole view" in found["others"][TEAM]
    api.delete("RoleBinding", NAMESPACE, "debug")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kubernetes.KubernetesEndpoint, "serves", lambda *_: False)
        (remark,) = imported(capsys)["remarks"]
    assert remark["what"].startswith(f"not read: namespaces and RoleBindings of EKS cluster {EKS_CLUSTER}: ")


def test_a_team_is_handed_over_and_nobody_loses_access(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The record of a team that podshare does not own waits; handed over, podshare's access comes beside what was there."""
    description = imported(capsys, "--owner", "ada@example.com")
    records, planned = description["records"], description["plan"]
    assert [row["what"].partition(" hyperpod-ns-robots/trainer")[0] for row in planned["blocked"]] == [
        "pod identity association",
        "service account",
    ]
    assert planned["quotas"] == []
    quota_before = quota(world)
    with Scientists(world) as scientists:
        world.put(*records)
        status = world.status(TEAM)
        assert status["state"] == "DEGRADED"
        assert "podshare import" in status["problems"][0]["remedy"]
        found = imported(capsys, "--adopt", TEAM, "--yes")["adopted"][TEAM]
        assert found["others"][0].startswith("access entry of")
        assert planned["teams"][0]["count"] == team_plan(capsys)["count"] > 0  # import says beforehand what follows
        world.reconcile(TEAM)
    assert (scientists.refusals, scientists.tries > 0) == ([], True)
    assert quota(world)["ComputeQuotaId"] == quota_before["ComputeQuotaId"]
    own = world.session(
        world.cluster_access_role(TEAM, f"{B1}/role/{TEAM}-scientist"), world.scientist(TEAM, B1, f"{TEAM}-scientist")
    )
    assert world.may_submit(own, TEAM)
    assert world.status(TEAM)["state"] == "DEGRADED"  # what was made by hand lets people in, and no record says so
    delete_what_was_made_by_hand(world)
    assert world.reconcile(TEAM)["state"] == "READY"
    assert world.may_submit(own, TEAM)
    point = world.access_point(TEAM, DATASET)
    assert world.pod(TEAM, "trainer").client("s3").list_objects_v2(Bucket=point)["Contents"]


def test_only_what_somebody_else_made_can_be_handed_over(capsys: pytest.CaptureFixture[str]) -> None:
    """A team that the cluster does not have, or that is podshare's already, is refused by its name."""
    assert "has no team absent" in imported(capsys, "--adopt", "absent", "--yes", code=1)["error"]["what"]
    assert f"has no team {TEAM}" in imported(capsys, "--adopt", TEAM, "--yes", code=1)["error"]["what"]


def delete_what_was_made_by_hand(world: World) -> None:
    """Delete what is listed as not podshare's, but for the roles in which people work."""
    eks, iam = world.sandbox.client("eks", HUB), world.sandbox.client("iam", HUB)
    eks.delete_access_entry(clusterName=EKS_CLUSTER, principalArn=f"arn:aws:iam::{HUB}:role/{TEAM}-access")
    listed = eks.list_pod_identity_associations(clusterName=EKS_CLUSTER, namespace=NAMESPACE)["associations"]
    for association in listed:
        eks.delete_pod_identity_association(clusterName=EKS_CLUSTER, associationId=association["associationId"])
    for role in (f"{TEAM}-access", f"{TEAM}-data"):
        iam.delete_role_policy(RoleName=role, PolicyName="access")
        iam.delete_role(RoleName=role)
    control = world.sandbox.client("s3control", DATA)
    control.delete_access_point_policy(AccountId=DATA, Name=TEAM)
    control.delete_access_point(AccountId=DATA, Name=TEAM)
    kubernetes.api_of(EKS_ARN).delete("ServiceAccount", NAMESPACE, "trainer")


def team_plan(capsys: pytest.CaptureFixture[str]) -> Item:
    """What podshare would do for the team now."""
    capsys.readouterr()
    assert main(["team", "plan", TEAM, "--json"]) == 1  # what was made by hand is in the place of the pods' access
    plan: Item = json.loads(capsys.readouterr().out)[0]
    return plan


def quota(world: World) -> Item:
    """The team's compute quota."""
    listed = world.sandbox.client("sagemaker", HUB).list_compute_quotas()["ComputeQuotaSummaries"]
    return next(each for each in listed if each["ComputeQuotaTarget"]["TeamName"] == TEAM)

"""Names of teams: one that somebody else has on the cluster, and one that a deleted team has left."""

import contextlib
import json
from typing import Any

import pytest

from podshare_sandbox.services import kubernetes
from podshare_sandbox.services.kubernetes.controllers.client import ControllerClient
from podshare_sandbox.services.kubernetes.errors import KubernetesError
from tests.builders import a_team_item
from tests.scenarios.world import EKS_ARN, HUB, VISION, World, awaited

MEMBERS = [{"account": VISION}]


def team_of_others(world: World, team: str, name: str = "by-hand") -> str:
    """A HyperPod team that an admin of the cluster made, with a pod in its namespace; its quota's id."""
    sagemaker = world.sandbox.client("sagemaker")
    cluster = sagemaker.describe_cluster(ClusterName="hyperpod")["ClusterArn"]
    made = sagemaker.create_compute_quota(
        Name=name,
        ClusterArn=cluster,
        ComputeQuotaConfig={"ComputeQuotaResources": [{"InstanceType": "ml.p5.48xlarge", "Count": 1}]},
        ComputeQuotaTarget={"TeamName": team},
    )
    awaited(lambda: sagemaker.describe_compute_quota(ComputeQuotaId=made["ComputeQuotaId"])["Status"] == "Created")
    kubernetes.api_of(EKS_ARN).run_pod(f"hyperpod-ns-{team}", "theirs", "default")
    return str(made["ComputeQuotaId"])


def remove(world: World, quota: str, team: str) -> None:
    """Remove what ``team_of_others`` made."""
    sagemaker = world.sandbox.client("sagemaker")
    kubernetes.api_of(EKS_ARN).delete("Namespace", None, f"hyperpod-ns-{team}")
    sagemaker.delete_compute_quota(ComputeQuotaId=quota)
    with contextlib.suppress(sagemaker.exceptions.ResourceNotFound):
        awaited(lambda: sagemaker.describe_compute_quota(ComputeQuotaId=quota)["Status"] == "Deleted")


def entries(world: World) -> list[str]:
    eks = world.sandbox.client("eks", HUB)
    listed: list[str] = eks.list_access_entries(clusterName="hyperpod-eks")["accessEntries"]
    return sorted(listed)


@pytest.mark.parametrize("name", ["by-hand", "podshare-whiskey", "Podshare-Whiskey"])
def test_a_team_that_podshare_did_not_make_keeps_its_namespace(world: World, name: str) -> None:
    """A record with the name of somebody's HyperPod team lets nobody in: the plan says so, and what to do."""
    quota = team_of_others(world, "whiskey", name)
    record = a_team_item("whiskey", members=MEMBERS, service_accounts=[{"name": "trainer"}])
    before = entries(world)
    planned = world.plan("whiskey", record)
    told = [one for one in planned["obstacles"] if "HyperPod team whiskey that podshare did not create" in one["what"]]
    assert (planned["count"], len(told), name in str(told)) == (0, 1, True), planned
    assert "choose another name" in told[0]["remedy"]
    status = world.put_team("whiskey", members=MEMBERS, service_accounts=[{"name": "trainer"}])
    assert status["state"] != "READY", status
    assert entries(world) == before
    assert world.leftovers() == [name]
    remove(world, quota, "whiskey")
    world.delete("team#whiskey")
    assert world.status("whiskey")["state"] == "DELETED"


def test_a_namespace_of_somebody_elses_keeps_who_is_in_it(world: World) -> None:
    """A namespace that is there before the team's quota is somebody's, with whatever is in it: nobody is let in."""
    api = kubernetes.api_of(EKS_ARN)
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "hyperpod-ns-whiskey"}})
    before = entries(world)
    planned = world.plan("whiskey", a_team_item("whiskey", members=MEMBERS, service_accounts=[]))
    assert (planned["count"], "podshare did not create its team" in str(planned["obstacles"])) == (0, True), planned
    status = world.put_team("whiskey", members=MEMBERS, service_accounts=[])
    assert (status["state"], entries(world)) != ("READY", before)
    assert entries(world) == before
    api.delete("Namespace", None, "hyperpod-ns-whiskey")
    assert world.reconcile("whiskey")["state"] == "READY"
    world.delete("team#whiskey")
    assert world.status("whiskey")["state"] == "DELETED", str(world.status("whiskey")["problems"])


def test_a_namespace_of_somebody_elses_that_ends_lets_nobody_in(world: World) -> None:
    """One that is being deleted is as little the team's as before, whatever holds it; once it has gone the team works.

    Kubernetes documentation, "Finalizers": an object with a finalizer stays, with a deletionTimestamp.
    """
    api = kubernetes.api_of(EKS_ARN)
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "hyperpod-ns-victor"}})
    held: Any = {"apiVersion": "v1", "kind": "ConfigMap"}
    held["metadata"] = {"name": "held", "namespace": "hyperpod-ns-victor", "finalizers": ["example.com/backup"]}
    api.apply(held)
    api.delete("Namespace", None, "hyperpod-ns-victor")
    before = entries(world)
    planned = world.plan("victor", a_team_item("victor", members=MEMBERS, service_accounts=[]))
    assert planned["count"] == 0, planned
    status = world.put_team("victor", members=MEMBERS, service_accounts=[])
    assert (status["state"] != "READY", entries(world)) == (True, before), status
    labels = (api.get("Namespace", None, "hyperpod-ns-victor") or {})["metadata"]["labels"]
    assert not [name for name in labels if name.startswith("podshare/")]
    api.apply({**held, "metadata": {**held["metadata"], "finalizers": []}})
    assert world.reconcile("victor")["state"] == "READY"
    world.delete("team#victor")
    assert world.status("victor")["state"] == "DELETED", str(world.status("victor")["problems"])


def test_other_teams_of_the_cluster_are_in_nobodys_way(world: World) -> None:
    """A HyperPod team of another name keeps nothing waiting, whatever its quota is called."""
    quota = team_of_others(world, "whiskey-two", "whiskey")
    status = world.put_team("whiskey", members=MEMBERS, service_accounts=[])
    assert status["state"] == "READY", status
    world.delete("team#whiskey")
    remove(world, quota, "whiskey-two")


NAMESPACE = "hyperpod-ns-xray"
POD = {"spec": {"restartPolicy": "Never", "containers": [{"name": "pytorch", "image": "busybox"}]}}


def left_by_a_team(kind: str) -> dict[str, Any]:
    """An object that a member leaves: work that does not run now, or data."""
    selector = {"selector": {"matchLabels": {"app": "x"}}}
    labelled = {"metadata": {"labels": {"app": "x"}}, "spec": {**POD["spec"], "restartPolicy": "Always"}}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    version, body = {
        "ConfigMap": ("v1", {"data": {"a": "b"}}),
        "CronJob": ("batch/v1", {"spec": {"schedule": "* * * * *", "suspend": True, "jobTemplate": {"spec": {"template": POD}}}}),
        "Deployment": ("apps/v1", {"spec": {**selector, "replicas": 0, "template": labelled}}),
        "HyperPodPyTorchJob": ("sagemaker.amazonaws.com/v1", {"spec": {"runPolicy": {"suspend": True}, "replicaSpecs": [{"name": "pods", "replicas": 1, "template": POD}]}}),
        "Job": ("batch/v1", {"spec": {"suspend": True, "template": POD}}),
        "PersistentVolumeClaim": ("v1", {"spec": claim}),
        "PyTorchJob": ("kubeflow.org/v1", {"spec": {"runPolicy": {"suspend": True}, "pytorchReplicaSpecs": {"Master": {"replicas": 1, "template": POD}}}}),
        "Secret": ("v1", {"stringData": {"a": "b"}}),
    }[kind]  # fmt: skip
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "left", "namespace": NAMESPACE}, **body}


def without_the_team(world: World) -> dict[str, Any]:
    """The team's status once its record was deleted and nothing more happens by itself."""
    world.delete("team#xray", settle=False)
    return awaited(
        lambda: world.status("xray"),
        lambda status: status["state"] in ("DELETED", "WAITING") and "compute quota" not in str(status),
    )


RUNS = ["CronJob", "Deployment", "HyperPodPyTorchJob", "Job", "PyTorchJob"]
HOLDS = ["ConfigMap", "PersistentVolumeClaim", "Secret"]


def test_a_freed_name_keeps_no_work(world: World) -> None:
    """What could run again goes with the team, suspended, scheduled or scaled to nothing: the next of its name has none."""
    record = a_team_item("xray", members=MEMBERS, service_accounts=[{"name": "trainer"}])
    world.put(record)
    assert world.status("xray")["state"] == "READY"
    api = kubernetes.api_of(EKS_ARN)
    for kind in RUNS:
        api.apply(left_by_a_team(kind))
    world.delete("team#xray")
    assert world.status("xray")["state"] == "DELETED", world.status("xray")
    assert [kind for kind in RUNS if api.get(kind, NAMESPACE, "left")] == []
    assert api.objects("ResourceQuota", NAMESPACE) == []
    world.put(record)
    assert world.status("xray")["state"] == "READY"
    assert world.denied() == []
    world.delete("team#xray")


@pytest.mark.parametrize("kind", HOLDS)
def test_what_holds_data_holds_the_name(world: World, kind: str) -> None:
    """Data is nobody's to delete but a person's: until then the name is reserved, and nothing is added beside it."""
    record = a_team_item("xray", members=MEMBERS, service_accounts=[{"name": "trainer"}])
    before = entries(world)
    world.put(record)
    api = kubernetes.api_of(EKS_ARN)
    api.apply(left_by_a_team(kind))
    status = without_the_team(world)
    plural = f"{kind.lower()}s"
    assert (status["state"], f"1 {plural}" in str(status["problems"])) == ("WAITING", True), status
    (quota,) = api.objects("ResourceQuota", NAMESPACE)
    assert quota["status"]["used"][f"count/{plural}"] == "1"
    world.put(record, settle=False)
    awaited(lambda: world.status("xray"), lambda status: "is not empty yet" in str(status))
    assert entries(world) == before
    api.delete(kind, NAMESPACE, "left")
    world.sandbox.settle()
    assert world.status("xray")["state"] == "READY", world.status("xray")
    assert world.denied() == []
    world.delete("team#xray")
    assert world.status("xray")["state"] == "DELETED"


def test_work_is_kept_where_the_record_says_so(world: World) -> None:
    """`on_delete: keep_work` deletes nothing: what is left makes nothing more, and reserves the name."""
    world.put(a_team_item("xray", members=MEMBERS, service_accounts=[], on_delete="keep_work"))
    api = kubernetes.api_of(EKS_ARN)
    api.apply(left_by_a_team("CronJob"))
    status = without_the_team(world)
    assert (status["state"], "1 cronjobs.batch" in str(status["problems"])) == ("WAITING", True), status
    api.apply(
        {**api.get("CronJob", NAMESPACE, "left"), **{"spec": {**left_by_a_team("CronJob")["spec"], "suspend": False}}}
    )
    with pytest.raises(KubernetesError, match=r"exceeded quota: podshare-cleanup, requested: count/jobs\.batch=1"):
        ControllerClient(api, "kube-system", "cronjob-controller").create(left_by_a_team("Job"))
    api.delete("CronJob", NAMESPACE, "left")
    world.sandbox.settle()
    assert world.status("xray")["state"] == "DELETED", world.status("xray")


def test_where_other_teams_cannot_be_read_nothing_is_made(world: World) -> None:
    """Whether somebody has the name is not known then: not even what lies in the members' own accounts is made."""
    iam = world.sandbox.client("iam", HUB)
    deny = {"Effect": "Deny", "Action": "sagemaker:ListComputeQuotas", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_role_policy(RoleName="podshare-read", PolicyName="fault", PolicyDocument=document)
    planned = world.plan("whiskey", a_team_item("whiskey", members=MEMBERS, service_accounts=[{"name": "trainer"}]))
    iam.delete_role_policy(RoleName="podshare-read", PolicyName="fault")
    told = [one["what"] for one in planned["obstacles"]]
    assert any(one.startswith("cannot check whether cluster main has a foreign team whiskey") for one in told), told
    assert planned["count"] == 0, planned

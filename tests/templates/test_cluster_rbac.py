"""What accounts/cluster-rbac.yaml lets podshare and the teams do: asked of the sandbox, and of a real API server."""

import time
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import yaml

from podshare.aws.served_kinds import ServedKind
from podshare.kinds import hardening
from podshare.kinds.access_entry.shape import NAMESPACE_POLICIES, access_policy_arn
from podshare.kinds.cleanup import what_runs
from podshare.policy import rbac
from podshare_sandbox.services.access_policies import ACCESS_POLICIES
from podshare_sandbox.services.kubernetes.admission_policies import admit
from podshare_sandbox.services.kubernetes.admission_request import AdmissionRequest
from podshare_sandbox.services.kubernetes.api import KubernetesApi
from podshare_sandbox.services.kubernetes.authentication import KubernetesUser
from podshare_sandbox.services.kubernetes.errors import KubernetesError
from podshare_sandbox.services.kubernetes.resources import Resource
from sandbox.tests.kubernetes_servers import ApiServer, path_of, started
from tests.checks.expanded_template import ROOT

Object = dict[str, Any]
TEAM, OTHER = "hyperpod-ns-vision", "hyperpod-ns-audio"
RBAC = "rbac.authorization.k8s.io"
OWN = {"podshare/managed-by": "podshare", "podshare/team": "vision"}
MERGE = "application/merge-patch+json"
READ_CONFIG = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}


@pytest.fixture(scope="module", params=["sandbox", "kube-apiserver"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A cluster with the manifests applied, and the namespaces of two teams."""
    with started(request.param, tmp_path_factory.mktemp("cluster")) as found:
        for name in (TEAM, OTHER, "kube-public"):
            found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for manifest in yaml.safe_load_all((ROOT / "accounts" / "cluster-rbac.yaml").read_text(encoding="utf-8")):
            found.apply(manifest)
        deadline = time.monotonic() + 30  # a real server takes some seconds to heed a new policy
        while as_podshare(found, "POST", role("podshare-x", namespace="kube-public"))[0] != 403:
            assert time.monotonic() < deadline
        yield found


def thing(kind: str, name: str, labels: Object | None = None, namespace: str = TEAM, **fields: Any) -> Object:
    version = f"{RBAC}/v1" if kind.startswith("Role") else "networking.k8s.io/v1" if kind == "NetworkPolicy" else "v1"
    metadata = {"name": name, "namespace": namespace, "labels": OWN if labels is None else labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


def role(name: str, *rules: Object, labels: Object | None = None, namespace: str = TEAM) -> Object:
    return thing("Role", name, labels, namespace, rules=list(rules or (READ_CONFIG,)))


def binding(
    name: str, subject: str = "podshare:vision:ops", kind: str = "Group", ref: str = "", **fields: Any
) -> Object:
    subjects: list[Object] = [{"kind": kind, "name": subject, "apiGroup": RBAC}]
    if kind == "ServiceAccount":
        subjects = [{"kind": kind, "name": subject, "namespace": TEAM}]
    reference = {"apiGroup": RBAC, "kind": "Role", "name": ref or name, **fields}
    return thing("RoleBinding", name, roleRef=reference, subjects=subjects)


def as_podshare(server: ApiServer, method: str, manifest: Object, dry: bool = True) -> tuple[int, Object, str]:
    """What the function that changes Kubernetes gets for an answer."""
    path = path_of(manifest, collection=method == "POST") + ("?dryRun=All" if dry else "")
    body = manifest if method != "DELETE" else None
    user = "arn:aws:sts::111111111111:assumed-role/podshare-kubernetes/podshare-kubernetes"
    return server.ask(method, path, body, user=user, group="podshare:kubernetes")


def test_podshare_writes_in_namespaces_of_teams_for_their_team_only(server: ApiServer) -> None:
    """Elsewhere, without its labels, or with another team's, podshare's function can make nothing."""
    for kind, more in (("ServiceAccount", {}), ("Role", {"rules": [READ_CONFIG]})):
        assert as_podshare(server, "POST", thing(kind, "podshare-x", **more))[0] == 201
        for wrong in (
            thing(kind, "podshare-x", namespace="kube-public", **more),
            thing(kind, "podshare-x", namespace=OTHER, **more),
            thing(kind, "podshare-x", {}, **more),
            thing(kind, "podshare-x", {**OWN, "podshare/team": "audio"}, **more),
            thing(kind, "podshare-x", {**OWN, "podshare/managed-by": "helm"}, **more),
        ):
            assert as_podshare(server, "POST", wrong)[0] == 403, wrong
    assert as_podshare(server, "POST", thing("Secret", "podshare-x"))[0] == 403


def test_podshare_neither_takes_over_nor_deletes_what_others_made(server: ApiServer) -> None:
    """An object without podshare's label stays as it is; only the default service account may be made anew."""
    theirs = role("podshare-theirs", labels={})
    server.apply(theirs)
    status, answer, _ = as_podshare(server, "DELETE", theirs)
    assert (status, answer["reason"]) == (403, "Forbidden")
    assert "podshare changes and deletes its own objects only" in answer["message"]
    merge = "application/merge-patch+json"
    path, user = path_of(theirs), "podshare"
    labelled = {"metadata": {"labels": OWN}}
    assert server.ask("PATCH", path, labelled, user=user, group="podshare:kubernetes", kind=merge)[0] == 403
    server.apply(thing("ServiceAccount", "theirs", {}))
    server.apply(thing("ServiceAccount", "default", {}))
    assert as_podshare(server, "DELETE", thing("ServiceAccount", "theirs"))[0] == 403
    assert as_podshare(server, "DELETE", thing("ServiceAccount", "default"))[0] == 200
    assert as_podshare(server, "DELETE", thing("ServiceAccount", "default", namespace="kube-public"))[0] in (403, 404)


def volume(name: str = "podshare-vision-0123456789ab", labels: Object | None = None, **changed: Any) -> Object:
    """A volume as podshare makes them, with members of its spec changed by their paths."""
    attributes = {"dnsname": "fs-01234567.fsx.us-west-2.amazonaws.com", "mountname": "abcdefgh/podshare/vision/web"}
    spec: Object = {
        "capacity": {"storage": "1200Gi"},
        "accessModes": ["ReadOnlyMany"],
        "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": TEAM, "name": "web"},
        "csi": {"driver": "fsx.csi.aws.com", "volumeHandle": "fs-01234567/web", "volumeAttributes": attributes},
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "",
    }
    for path, value in changed.items():
        *way, last = path.split("_")
        place = spec
        for step in way:
            place = place[step]
        place[last] = value
    metadata = {"name": name, "labels": OWN if labels is None else labels}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}


def test_podshare_makes_volumes_of_a_teams_own_directories_only(server: ApiServer) -> None:
    """Another team's directory, all of a file system, a claim elsewhere or a path of the node: podshare can make none."""
    assert as_podshare(server, "POST", volume())[0] == 201
    for wrong in (
        volume("other-0123456789ab"),
        volume(labels={}),
        volume(labels={**OWN, "podshare/team": "audio"}),
        volume(claimRef_namespace=OTHER),
        volume(claimRef_namespace="kube-public"),
        volume(csi_volumeAttributes_mountname="abcdefgh"),
        volume(csi_volumeAttributes_mountname="abcdefgh/podshare/audio/web"),
        volume(csi_volumeAttributes_mountname="abcdefgh/podshare/vision/../audio"),
        volume(csi_volumeAttributes_mountname="abcdefgh/podshare/vision/web/x"),
        volume(csi_volumeAttributes={"dnsname": "fs-01234567.fsx.us-west-2.amazonaws.com"}),
        volume(csi_driver="efs.csi.aws.com"),
        volume(persistentVolumeReclaimPolicy="Delete"),
    ):
        assert as_podshare(server, "POST", wrong)[0] in (403, 422), wrong  # 422: what is not there cannot be compared
    theirs = volume("podshare-theirs", labels={})
    server.apply(theirs)
    assert as_podshare(server, "DELETE", theirs)[0] == 403
    node = volume(csi_volumeAttributes_mountname="x")
    node["spec"] = {name: value for name, value in node["spec"].items() if name != "csi"} | {"hostPath": {"path": "/"}}
    assert as_podshare(server, "POST", node)[0] == 403


def test_podshare_makes_claims_for_their_team_only(server: ApiServer) -> None:
    """A claim in another namespace, or without the labels of its team, is refused."""
    spec = {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1200Gi"}}, "storageClassName": ""}
    assert as_podshare(server, "POST", thing("PersistentVolumeClaim", "web", spec=spec))[0] == 201
    for wrong in ({"labels": {}}, {"namespace": OTHER}, {"namespace": "kube-public"}):
        assert as_podshare(server, "POST", thing("PersistentVolumeClaim", "web", spec=spec, **wrong))[0] == 403


CLAIM = {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": ""}


def owners(server: ApiServer, manifest: Object) -> list[Object]:
    """The references to an owner that is there: in the object's namespace, or of the cluster."""
    owner = thing("ConfigMap", "owner", {})
    if "namespace" not in manifest["metadata"]:
        owner = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-public"}}
    server.apply(owner)
    uid = server.ask("GET", path_of(owner))[1]["metadata"]["uid"]
    return [{"apiVersion": "v1", "kind": owner["kind"], "name": owner["metadata"]["name"], "uid": uid}]


def test_podshare_gives_nothing_an_owner(server: ApiServer) -> None:
    """An owner that does not exist would let the garbage collector delete a namespace with all work in it.

    Kubernetes documentation, "Garbage Collection": dependents whose owners are all absent are deleted.
    """
    own = [
        thing("ServiceAccount", "podshare-owned"),
        role("podshare-owned"),
        binding("podshare-owned"),
        thing("NetworkPolicy", "podshare-owned", spec={"podSelector": {}}),
        thing("PersistentVolumeClaim", "podshare-owned", spec=CLAIM),
        volume("podshare-owned"),
    ]
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}}
    for manifest in (*own, namespace):
        given = {"ownerReferences": owners(server, manifest)}
        owned = {**manifest, "metadata": {**manifest["metadata"], **given}}
        if manifest is not namespace:
            status, answer, _ = as_podshare(server, "POST", owned)
            assert (status, "gives and takes no owners" in answer.get("message", "")) == (403, True), answer
        for there, patch in ((manifest, given), (owned, {"ownerReferences": None})):
            server.apply(there)
            path, body = f"{path_of(manifest)}?dryRun=All", {"metadata": patch}
            status, answer, _ = server.ask("PATCH", path, body, user="x", group="podshare:kubernetes", kind=MERGE)
            assert (status, answer.get("reason")) == (403, "Forbidden"), (manifest["kind"], answer)
            assert "resulted in error" not in answer["message"]
        server.apply(manifest)


GROUPS = [["batch"], [RBAC], ["kueue.x-k8s.io", ""], ["*"]]
RESOURCES = [
    ["configmaps"], ["secrets"], ["pods", "pods/exec"], ["roles"], ["services/proxy"], ["serviceaccounts/token"],
    ["namespaces"], ["pods/status"], ["endpoints"], ["resourcequotas", "pods"], ["*"], ["pods/*"], ["networkpolicies"],
]  # fmt: skip
VERBS = [["get"], ["create"], ["list", "watch"], ["update", "delete"], ["bind"], ["escalate"], ["impersonate"], ["*"]]


def test_the_admission_policy_says_what_the_records_say(server: ApiServer) -> None:
    """Of 240 rules the API server takes from podshare exactly those that a record may name."""
    allowed = 0
    rules = [*product([[""]], RESOURCES, VERBS, [[], ["one"]]), *product(GROUPS, [["configmaps"]], VERBS, [[]])]
    for groups, resources, verbs, names in rules:
        rule = {"apiGroups": groups, "resources": resources, "verbs": verbs, "resourceNames": names}
        refusal = rbac.refusal(groups, resources, verbs, names)
        status, answer, _ = as_podshare(server, "POST", role("podshare-x", rule))
        assert (status == 201) == (refusal is None), (rule, refusal, answer)
        allowed += status == 201
    assert len(rules) == 240
    assert allowed > 50


def test_podshare_binds_the_teams_own_groups_to_its_own_roles(server: ApiServer) -> None:
    """No user, service account or other team's group, no ClusterRole, and no role by another name."""
    as_podshare(server, "POST", role("podshare-ops"), dry=False)
    server.apply(role("theirs", labels={}))
    assert as_podshare(server, "POST", binding("podshare-ops"))[0] == 201
    for wrong in (
        binding("podshare-ops", "podshare:audio:ops"),
        binding("podshare-ops", "podshare:vision"),
        binding("podshare-ops", "podshare:kubernetes"),
        binding("podshare-ops", "system:masters"),
        binding("podshare-ops", "podshare:vision:ops", "User"),
        binding("podshare-ops", "default", "ServiceAccount"),
        binding("podshare-ops", ref="theirs"),
        binding("theirs"),
    ):
        assert as_podshare(server, "POST", wrong)[0] == 403, wrong
    admin = {**binding("podshare-ops"), "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"}}
    assert as_podshare(server, "POST", admin)[0] == 403


def _subject(name: str, kind: str = "Group", **more: str) -> Object:
    return {"kind": kind, "name": name, **({"apiGroup": RBAC} if kind != "ServiceAccount" else {}), **more}


BOUND = "hyperpod-ns-bound"
OF_OTHER_TEAMS = [
    _subject("podshare:audio:member"),
    _subject("podshare:bound2:member"),
    _subject("arn:aws:sts::111111111111:assumed-role/podshare-audio-0a1b2c3d/ada", "User"),
    _subject("arn:aws:sts::111111111111:assumed-role/podshare-bound-labs-0a1b2c3d/ada", "User"),
    _subject("default", "ServiceAccount", namespace=OTHER),
    _subject(f"system:serviceaccount:{OTHER}:default", "User"),
    _subject(f"system:serviceaccounts:{OTHER}"),
]
OF_SOMEBODY = [
    _subject("friends"),
    _subject("podshare:bound:ops"),
    _subject("podshare:read"),
    _subject("eve", "User"),
    _subject("arn:aws:sts::111111111111:assumed-role/podshare-bound-0a1b2c3d/ada", "User"),
    _subject("arn:aws:sts::111111111111:assumed-role/admin/ada", "User"),
    _subject("default", "ServiceAccount", namespace=BOUND),
    _subject("default", "ServiceAccount", namespace="kube-system"),
    _subject(f"system:serviceaccount:{BOUND}:default", "User"),
    _subject(f"system:serviceaccounts:{BOUND}"),
    _subject("system:serviceaccounts"),
]


@pytest.mark.parametrize("kind", ["Role", "ClusterRole"])
def test_podshare_takes_other_teams_out_of_bindings_and_nobody_else(server: ApiServer, kind: str) -> None:
    """Of somebody else's binding go the subjects that name another team, whatever its role; all else stays as it is."""
    server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": BOUND}})
    theirs = thing("RoleBinding", f"theirs-{kind.lower()}", {"app": "x"}, BOUND)
    reference = {"apiGroup": RBAC, "kind": kind, "name": "edit"}
    server.apply(role("edit", labels={}, namespace=BOUND))
    server.apply({"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": "edit"}, "rules": []})
    server.apply({**theirs, "roleRef": reference, "subjects": [*OF_OTHER_TEAMS, *OF_SOMEBODY]})

    marked = {"name": BOUND, "labels": {"podshare/team": "bound"}}
    server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": marked})

    def left(subjects: list[Object], **metadata: Any) -> int:
        patch = {"subjects": subjects, **({"metadata": metadata} if metadata else {})}
        path, user = f"{path_of(theirs)}?dryRun=All", "arn:aws:sts::111111111111:assumed-role/podshare-kubernetes/x"
        return server.ask("PATCH", path, patch, user=user, group="podshare:kubernetes", kind=MERGE)[0]

    assert left(OF_SOMEBODY) == 200
    for one in OF_OTHER_TEAMS:
        assert left([*(other for other in OF_OTHER_TEAMS if other != one), *OF_SOMEBODY]) == 200, one
    for one in OF_SOMEBODY:
        assert left([*OF_OTHER_TEAMS, *(other for other in OF_SOMEBODY if other != one)]) == 403, one
    assert left([*OF_SOMEBODY, _subject("podshare:bound:more")]) == 403
    assert left(OF_SOMEBODY, labels={**OWN, "podshare/team": "bound"}) == 403
    assert left(OF_SOMEBODY, annotations={"x": "y"}) == 403
    assert left(OF_SOMEBODY, finalizers=["example.com/x"]) == 403
    assert as_podshare(server, "DELETE", theirs)[0] == 403


def test_who_is_bound_may_do_what_the_role_says(server: ApiServer) -> None:
    """A group's member may do it in the team's namespace, and nowhere else; access reviews tell the same."""
    as_podshare(server, "POST", role("podshare-readers"), dry=False)
    as_podshare(server, "POST", binding("podshare-readers", "podshare:vision:readers"), dry=False)
    for namespace, group, expected in (
        (TEAM, "podshare:vision:readers", 200),
        (OTHER, "podshare:vision:readers", 403),
        (TEAM, "podshare:audio:readers", 403),
    ):
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        assert server.ask("GET", path, user="ada", group=group)[0] == expected
        asked = {"namespace": namespace, "verb": "list", "resource": "configmaps"}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
        review["spec"] = {"user": "ada", "groups": [group], "resourceAttributes": asked}  # type: ignore[assignment]
        _, answer, _ = server.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        assert answer["status"]["allowed"] is (expected == 200)


# ---- what holds the teams --------------------------------------------------------------------------------------

ENFORCED, REPORTED = "hyperpod-ns-strict", "hyperpod-ns-told"
QUEUED = {"kueue.x-k8s.io/queue-name": f"{ENFORCED}-localqueue"}
CONTAINERS = [{"name": "main", "image": "busybox"}]
ADA = "arn:aws:sts::111111111111:assumed-role/podshare-strict-0123abcd/ada"
JOB_CONTROLLER = "system:serviceaccount:kube-system:job-controller"


@pytest.fixture(scope="module")
def hardened(server: ApiServer) -> ApiServer:
    """A namespace of each level, in which Ada and the job controller may write whatever there is.

    The binding is from before the namespace was a team's: after that it would be refused.
    """
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    for namespace, level in ((ENFORCED, "enforce"), (REPORTED, "report")):
        server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        server.apply(thing("ServiceAccount", "default", {}, namespace))
        server.apply(role("everything", *rules, labels={}, namespace=namespace))
        subjects = [{"kind": "User", "name": name, "apiGroup": RBAC} for name in (ADA, JOB_CONTROLLER)]
        reference = {"apiGroup": RBAC, "kind": "Role", "name": "everything"}
        server.apply(thing("RoleBinding", "everything", {}, namespace, roleRef=reference, subjects=subjects))
        labels = hardening.labels(namespace.removeprefix("hyperpod-ns-"), level)
        server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})
    return server


def create(server: ApiServer, manifest: Object, user: str = ADA, group: str = "") -> tuple[int, Object, str]:
    return server.ask("POST", f"{path_of(manifest, collection=True)}?dryRun=All", manifest, user=user, group=group)


def pod(labels: Object | None = None, namespace: str = ENFORCED, **spec: Any) -> Object:
    return thing("Pod", "one", labels or {}, namespace, spec={"containers": CONTAINERS, **spec})


def workload(version: str, kind: str, labels: Object, inner: Object, namespace: str = ENFORCED) -> Object:
    template = {"metadata": {"labels": {"app": "x", **inner}}, "spec": {"containers": CONTAINERS}}
    if kind != "Deployment":
        template["spec"] = {**template["spec"], "restartPolicy": "Never"}
    spec: Object = {"template": template}
    if kind == "Deployment":
        spec["selector"] = {"matchLabels": {"app": "x"}}
    if kind == "CronJob":
        spec = {"schedule": "0 3 * * *", "jobTemplate": {"metadata": {"labels": inner}, "spec": spec}}
    return {**thing(kind, "one", labels, namespace, spec=spec), "apiVersion": version}


def test_work_without_the_teams_queue_is_refused(hardened: ApiServer) -> None:
    """Pods, jobs and what makes them carry the queue where Kueue looks for it; another team's queue is none.

    Controllers outside of teams' namespaces are exempt; a service account of any team is none.
    """
    job, deployment, cron = ("batch/v1", "Job"), ("apps/v1", "Deployment"), ("batch/v1", "CronJob")
    other = {"kueue.x-k8s.io/queue-name": "hyperpod-ns-audio-localqueue"}
    for manifest in (
        pod(QUEUED), workload(*job, QUEUED, {}), workload(*deployment, {}, QUEUED), workload(*cron, {}, QUEUED),
        workload(*job, {}, QUEUED),  # the API server gives a job without labels those of its template
    ):  # fmt: skip
        status, answer, _ = create(hardened, manifest)
        assert status == 201, answer
    for manifest in (
        pod(), pod(other), workload(*job, {"app": "x"}, QUEUED), workload(*deployment, QUEUED, {}), workload(*cron, QUEUED, {}),
        workload(*job, other, {}),
    ):  # fmt: skip
        status, answer, _ = create(hardened, manifest)
        assert (status, "work carries the team's queue" in answer["message"]) == (403, True), answer
    assert create(hardened, pod(), JOB_CONTROLLER)[0] == 201
    for team in (ENFORCED, OTHER):
        account = f"system:serviceaccount:{team}:default"
        assert create(hardened, pod(), account, "system:masters")[0] == 403, team
    kueue = "system:serviceaccount:kueue-system:kueue-controller-manager"
    assert create(hardened, pod(), kueue, "system:masters")[0] == 201


def test_a_report_refuses_nothing_and_warns(hardened: ApiServer) -> None:
    """At `report` the same work is let in, and whoever sends it is told."""
    status, _, warned = create(hardened, pod(namespace=REPORTED, hostNetwork=True))
    assert status == 201
    assert "work carries the team's queue" in warned
    assert "would violate PodSecurity" in warned
    assert "host namespaces (hostNetwork=true)" in warned
    assert create(hardened, pod(namespace=OTHER), "anybody", "system:masters")[2] == ""


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"hostNetwork": True}, "host namespaces (hostNetwork=true)"),
        ({"hostIPC": True, "hostPID": True}, "host namespaces"),
        ({"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}, "hostPath volumes"),
        ({"containers": [{**CONTAINERS[0], "securityContext": {"privileged": True}}]}, "privileged"),
        ({"containers": [{**CONTAINERS[0], "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]}, "SYS_ADMIN"),
        ({"containers": [{**CONTAINERS[0], "ports": [{"containerPort": 1, "hostPort": 1}]}]}, "hostPort"),
    ],
)
def test_a_pod_that_asks_for_its_node_is_refused(hardened: ApiServer, spec: Object, why: str) -> None:
    """Pod Security `baseline`: no host namespaces, paths, ports, privileges or capabilities."""
    status, answer, _ = create(hardened, pod(QUEUED, **spec))
    assert (status, why in answer["message"]) == (403, True), answer


def test_what_efa_and_shared_memory_need_is_allowed(hardened: ApiServer) -> None:
    """EFA's devices come by a device plugin, and shared memory as a volume in memory: neither needs the node."""
    memory = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "64Gi"}}
    limits = {"limits": {"vpc.amazonaws.com/efa": "32", "nvidia.com/gpu": "8"}}
    container = {**CONTAINERS[0], "resources": limits, "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}]}  # noqa: S108
    assert create(hardened, pod(QUEUED, volumes=[memory], containers=[container]))[0] == 201


def test_nobody_opens_the_way_to_instance_metadata(hardened: ApiServer) -> None:
    """Network policies add up: in an enforced namespace only podshare says what pods reach, and its own policy stays."""
    egress = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}
    ingress = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}
    assert create(hardened, thing("NetworkPolicy", "open", {}, ENFORCED, spec=egress))[0] == 403
    other = f"system:serviceaccount:{OTHER}:default"
    assert (
        create(hardened, thing("NetworkPolicy", "open", {}, ENFORCED, spec=egress), other, "system:masters")[0] == 403
    )
    assert create(hardened, thing("NetworkPolicy", "open", {}, ENFORCED, spec=ingress))[0] == 201
    labels = {**OWN, "podshare/team": "strict"}
    own = thing("NetworkPolicy", "podshare-no-instance-metadata", labels, ENFORCED)
    own["spec"] = dict(hardening.network_policy("enforce") or {})
    assert as_podshare(hardened, "POST", own, dry=False)[0] == 201
    assert hardened.ask("DELETE", path_of(own), user=ADA)[0] == 403
    assert as_podshare(hardened, "DELETE", own, dry=False)[0] == 200


def test_a_request_without_a_name_meets_the_policys_message(hardened: ApiServer) -> None:
    """A deletion of a collection and an object of a generated name have none: no expression fails for want of it.

    admission/v1, AdmissionRequest: the name is empty where the object's is generated, and for a collection.
    """
    labels = {**OWN, "podshare/team": "strict"}
    own = thing("NetworkPolicy", "podshare-no-instance-metadata", labels, ENFORCED)
    own["spec"] = dict(hardening.network_policy("enforce") or {})
    assert as_podshare(hardened, "POST", own, dry=False)[0] == 201
    everything = path_of(own, collection=True)
    status, answer, _ = hardened.ask("DELETE", f"{everything}?dryRun=All", user=ADA)
    assert (status, answer["reason"]) == (403, "Forbidden"), answer
    assert "this network policy is podshare's" in answer["message"]
    assert as_podshare(hardened, "DELETE", own, dry=False)[0] == 200
    status, answer, _ = hardened.ask("DELETE", f"{everything}?dryRun=All", user=ADA)
    assert status == 200, answer
    generated = thing("NetworkPolicy", "", {}, ENFORCED, spec={"podSelector": {}, "policyTypes": ["Ingress"]})
    generated["metadata"] = {"generateName": "in-", "namespace": ENFORCED}
    assert create(hardened, generated)[0] == 201
    some = volume()
    some["metadata"] = {"generateName": "podshare-", "labels": OWN}
    status, answer, _ = as_podshare(hardened, "POST", some)
    assert status == 201, answer
    some["metadata"]["generateName"] = "other-"
    status, answer, _ = as_podshare(hardened, "POST", some)
    assert (status, "its own volumes only" in answer["message"]) == (403, True), answer


def cron_job(jobs: Object | None, pods: Object | None) -> Object:
    """A cron job whose templates have these labels; None for a template without metadata."""
    manifest = workload("batch/v1", "CronJob", {}, {})
    template = manifest["spec"]["jobTemplate"]
    for one, labels in ((template, jobs), (template["spec"]["template"], pods)):
        one.pop("metadata", None)
        if labels is not None:
            one["metadata"] = {"labels": labels}
    return manifest


def test_a_cron_jobs_jobs_carry_the_queue(hardened: ApiServer) -> None:
    """By their own labels, or without any by those of their pods, which the API server gives to a job that has none.

    Kubernetes API reference, batch/v1: its defaults copy the labels of the pod template to a job without labels.
    """
    for jobs, pods in ((QUEUED, None), (QUEUED, {}), (None, QUEUED), ({}, QUEUED)):
        status, answer, _ = create(hardened, cron_job(jobs, pods))
        assert status == 201, (jobs, pods, answer)
    for jobs, pods in ((None, None), (None, {"app": "x"}), ({"app": "x"}, QUEUED), ({}, None)):
        status, answer, _ = create(hardened, cron_job(jobs, pods))
        assert (status, answer.get("reason")) == (403, "Forbidden"), (jobs, pods, answer)
        assert "work carries the team's queue" in answer["message"]


def test_a_ray_cron_job_dodges_the_quota_and_is_refused() -> None:
    """KubeRay labels the jobs that it makes of one by its name alone (raycronjob_controller.go, constructRayJob).

    The operator is exempt, so that the jobs themselves would pass; a job of Ray's with the queue is work like any other.
    """
    api = KubernetesApi()
    for manifest in yaml.safe_load_all((ROOT / "accounts" / "cluster-rbac.yaml").read_text(encoding="utf-8")):
        api.apply(manifest)
    metadata = {"name": ENFORCED, "labels": hardening.labels("strict", "enforce")}
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    ada = KubernetesUser(username=ADA, groups=("system:authenticated",))

    def refusal(plural: str, kind: str) -> str:
        candidate = {"apiVersion": "ray.io/v1", "kind": kind, "spec": {}}
        candidate["metadata"] = {"name": "one", "namespace": ENFORCED, "labels": QUEUED}
        resource = Resource("ray.io", "v1", plural, kind)
        try:
            admit(api, AdmissionRequest(ada, "CREATE", resource, ENFORCED, "one", candidate, None))
        except KubernetesError as error:
            return str(error)
        return ""

    assert refusal("rayjobs", "RayJob") == ""
    assert "the jobs of a RayCronJob carry no queue" in refusal("raycronjobs", "RayCronJob")


# which kinds make no pods, of those that an access policy lets a team create
MAKE_NO_PODS = {
    "": "configmaps events persistentvolumeclaims secrets serviceaccounts services",
    "authorization.k8s.io": "localsubjectaccessreviews",
    "autoscaling": "horizontalpodautoscalers",  # scales what carries the queue
    "connection.access.sagemaker.amazonaws.com": "raydashboardconnections",
    "connection.workspace.jupyter.org": "workspaceconnections",
    "extensions": "daemonsets deployments ingresses networkpolicies replicasets",  # not served since Kubernetes 1.22
    "inference.sagemaker.aws.amazon.com": "sagemakerendpointregistrations",  # of endpoints that are there
    "networking.k8s.io": "ingresses networkpolicies",
    "policy": "poddisruptionbudgets",
    RBAC: "rolebindings roles",
}


def test_all_that_makes_pods_carries_the_queue() -> None:
    """The policy names exactly the kinds that make pods, of all that a record's `access` lets a team create.

    EKS user guide, "Review access policy permissions", and SageMaker AI developer guide, "Setting up an Amazon EKS
    cluster in Studio".
    """
    given = {
        (group, resource)
        for name in NAMESPACE_POLICIES.values()
        for rule in ACCESS_POLICIES[access_policy_arn("aws", name)].rules
        if "create" in rule.verbs
        for group, resource in product(rule.api_groups, rule.resources)
        if "/" not in resource
    }
    excused = {(group, resource) for group, resources in MAKE_NO_PODS.items() for resource in resources.split()}
    manifests = list(yaml.safe_load_all((ROOT / "accounts" / "cluster-rbac.yaml").read_text(encoding="utf-8")))
    policy = next(
        one
        for one in manifests
        if (one["kind"], one["metadata"]["name"]) == ("ValidatingAdmissionPolicy", "podshare-team-queue")
    )
    rules = policy["spec"]["matchConstraints"]["resourceRules"]
    named = {pair for rule in rules for pair in product(rule["apiGroups"], rule["resources"])}
    assert named == given - excused
    assert excused <= given


@pytest.mark.parametrize(
    ("subject", "refused"),
    [
        ({"kind": "Group", "name": "podshare:strict:ops", "apiGroup": RBAC}, False),
        ({"kind": "ServiceAccount", "name": "trainer", "namespace": ENFORCED}, False),
        ({"kind": "Group", "name": "podshare:told:ops", "apiGroup": RBAC}, True),
        ({"kind": "Group", "name": "podshare:strict", "apiGroup": RBAC}, True),
        ({"kind": "Group", "name": "system:authenticated", "apiGroup": RBAC}, True),
        ({"kind": "User", "name": ADA, "apiGroup": RBAC}, True),
        ({"kind": "ServiceAccount", "name": "default", "namespace": OTHER}, True),
    ],
)
def test_a_binding_names_the_teams_own(hardened: ApiServer, subject: Object, refused: bool) -> None:
    """Whoever may write bindings in a team's namespace lets in nobody but the team, by its groups and service accounts.

    Kubernetes API reference, rbac.authorization.k8s.io/v1, Subject.
    """
    reference = {"apiGroup": RBAC, "kind": "Role", "name": "everything"}
    manifest = thing("RoleBinding", "more", {}, ENFORCED, roleRef=reference, subjects=[subject])
    other = f"system:serviceaccount:{OTHER}:default"
    for user, group in ((ADA, ""), ("admin", "system:masters"), (other, "system:masters")):
        status, answer, _ = create(hardened, manifest, user, group)
        assert status == (403 if refused else 201), (user, answer)
        assert refused == ("names the team's own groups" in answer.get("message", "")), answer
    assert create(hardened, manifest, "system:serviceaccount:kube-system:x", "system:masters")[0] == 201


def test_a_binding_from_before_is_not_extended(hardened: ApiServer) -> None:
    """One that names others keeps them, so that it can be labelled and restricted, and takes no more of them."""
    own = {"kind": "Group", "name": "podshare:strict:ops", "apiGroup": RBAC}
    path = f"{path_of(thing('RoleBinding', 'everything', {}, ENFORCED))}?dryRun=All"
    there = hardened.ask("GET", path.partition("?")[0])[1]["subjects"]
    more = {"kind": "User", "name": "eve", "apiGroup": RBAC}
    for subjects, expected in (([*there[:1]], 200), ([*there, own], 200), ([*there, more], 403)):
        status, answer, _ = hardened.ask("PATCH", path, {"subjects": subjects}, user=ADA, kind=MERGE)
        assert status == expected, answer


def test_podshare_changes_its_own_labels_of_namespaces_of_teams_only(hardened: ApiServer) -> None:
    """No other label, no annotation, no other namespace, and no other team's name."""

    def labelled(name: str, **metadata: Any) -> int:
        path = f"/api/v1/namespaces/{name}?dryRun=All"
        return hardened.ask("PATCH", path, {"metadata": metadata}, user="x", group="podshare:kubernetes", kind=MERGE)[0]

    assert labelled(TEAM, labels=hardening.labels("vision", "enforce")) == 200
    assert labelled(ENFORCED, labels=dict.fromkeys(hardening.LABELS)) == 200
    assert labelled(TEAM, labels={"podshare/team": "audio"}) == 403
    assert labelled(TEAM, labels={"kubernetes.io/metadata.name": "x"}) == 403
    assert labelled(TEAM, labels={"istio-injection": "enabled"}) == 403
    assert labelled(TEAM, annotations={"x": "y"}) == 403
    assert labelled(TEAM, finalizers=["example.com/x"]) == 403
    assert labelled("kube-public", labels={"podshare/hardening": "enforce"}) == 403


def test_podshare_deletes_work_of_its_teams_only(hardened: ApiServer) -> None:
    """Work goes as a collection, in a namespace that podshare has labelled; secrets are neither listed nor deleted."""
    namespaces = ((ENFORCED, 200), ("kube-public", 403), (OTHER, 403))
    for namespace, expected in namespaces:
        job = workload("batch/v1", "Job", QUEUED, {}, namespace)
        hardened.apply(job)
        path = f"{path_of(job, collection=True)}?dryRun=All"
        status, answer, _ = hardened.ask("DELETE", path, user="x", group="podshare:kubernetes")
        assert status == expected, answer
        assert hardened.ask("DELETE", path_of(job), user="x", group="podshare:kubernetes")[0] == 403
        hardened.ask("DELETE", path_of(job))
    secrets = f"/api/v1/namespaces/{ENFORCED}/secrets"
    for method in ("GET", "DELETE"):
        assert hardened.ask(method, secrets, user="x", group="podshare:kubernetes")[0] == 403


def test_what_podshare_deletes_is_what_it_may_delete() -> None:
    """Rights and admission policy name the kinds that can run, which are those that carry the queue, and workloads."""
    manifests = list(yaml.safe_load_all((ROOT / "accounts" / "cluster-rbac.yaml").read_text(encoding="utf-8")))
    named = {(one["kind"], one["metadata"]["name"]): one for one in manifests}
    rules = named["ClusterRole", "podshare-kubernetes"]["rules"]
    granted = {
        pair
        for rule in rules
        if rule["verbs"] == ["deletecollection"]
        for pair in product(rule["apiGroups"], rule["resources"])
    }
    queued = named["ValidatingAdmissionPolicy", "podshare-team-queue"]["spec"]["matchConstraints"]["resourceRules"]
    carry = {pair for rule in queued for pair in product(rule["apiGroups"], rule["resources"])}
    served = [ServedKind(group, "v1", plural, "", frozenset()) for group, plural in sorted(granted)]
    assert {(kind.group, kind.plural) for kind in what_runs(served)} == granted
    assert granted == carry | {("kueue.x-k8s.io", "workloads")}
    (held,) = named["ValidatingAdmissionPolicy", "podshare-cleanup"]["spec"]["matchConstraints"]["resourceRules"]
    assert granted <= {*product(held["apiGroups"], held["resources"])}


def test_a_policy_that_cannot_be_evaluated_refuses(server: ApiServer) -> None:
    """`failurePolicy: Fail`: an object without what an expression asks for is refused, and the reason is its error."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    for name, kind, spec in (
        ("fails", "ValidatingAdmissionPolicy", {
            "failurePolicy": "Fail", "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "object.data.absent == 'x'"}],
        }),
        ("fails", "ValidatingAdmissionPolicyBinding", {"policyName": "fails", "validationActions": ["Deny"]}),
    ):  # fmt: skip
        version = "admissionregistration.k8s.io/v1"
        server.apply({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec})
    deadline = time.monotonic() + 30
    manifest = thing("ConfigMap", "one", {}, OTHER, data={"x": "y"})
    while (answer := create(server, manifest, "anybody", "system:masters"))[0] == 201:
        assert time.monotonic() < deadline
    assert answer[0] in (403, 422), answer
    assert "resulted in error" in answer[1]["message"]
    assert create(server, thing("ConfigMap", "one", {}, OTHER, data={"absent": "x"}), "a", "system:masters")[0] == 201

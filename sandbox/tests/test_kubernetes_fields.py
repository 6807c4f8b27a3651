"""What clients write is held against the fields of its kind: unknown ones, wrong types, and maps that are merged."""

from collections.abc import Iterator
from typing import Any

import pytest

from podshare_sandbox.services.kubernetes import schemas
from podshare_sandbox.services.kubernetes.authentication import KubernetesUser
from podshare_sandbox.services.kubernetes.authorizer import Attributes
from podshare_sandbox.services.kubernetes.impersonation import impersonated
from podshare_sandbox.services.kubernetes.resources import BY_KIND
from sandbox.tests.kubernetes_servers import Answer, ApiServer, sandbox

Object = dict[str, Any]
CONFIGS = "/api/v1/namespaces/default/configmaps"
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with sandbox() as started:
        yield started


def config(name: str, **body: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **body}


def apply(server: ApiServer, body: Object, manager: str = "test", query: str = "") -> Answer:
    path = f"{CONFIGS}/{body['metadata']['name']}?fieldManager={manager}{query}"
    return server.ask("PATCH", path, body, kind=APPLY)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_an_unknown_field_is_dropped_with_a_warning(server: ApiServer, method: str) -> None:
    """As field validation says: Warn unless told otherwise, Ignore, or Strict, which is 400 ("API Concepts")."""
    server.ask("POST", CONFIGS, config("known"))
    path = CONFIGS if method == "POST" else f"{CONFIGS}/known"
    name, kind = "new" if method == "POST" else "known", MERGE if method == "PATCH" else "application/json"
    body = config(name, dta={"a": "1"}, data={"a": "1"})
    refused = server.ask(method, f"{path}?fieldValidation=Strict", body, kind=kind)
    assert (refused[0], refused[1]["message"]) == (400, 'strict decoding error: unknown field "dta"')
    assert server.ask(method, f"{path}?fieldValidation=Some", body, kind=kind)[0] == 422
    status, made, warnings = server.ask(method, path, body, kind=kind)
    assert (status, "dta" in made) == (201 if method == "POST" else 200, False)
    assert 'unknown field \\"dta\\"' in warnings
    server.ask("DELETE", f"{CONFIGS}/new")
    assert server.ask(method, f"{path}?fieldValidation=Ignore", body, kind=kind)[2] == ""
    server.ask("DELETE", f"{CONFIGS}/new")


def test_a_null_is_no_value(server: ApiServer) -> None:
    """The API server decodes a null as the field's zero value (Go, encoding/json): an absent field, an empty text."""
    body = config("nulls", data={"a": None, "b": "1"}, immutable=None)
    body["metadata"] |= {"annotations": None, "labels": {"x": None}}
    made = server.ask("POST", CONFIGS, body)[1]
    assert (made["data"], "immutable" in made) == ({"a": "", "b": "1"}, False)
    assert ("annotations" in made["metadata"], made["metadata"]["labels"]) == (False, {"x": ""})
    server.ask("DELETE", f"{CONFIGS}/nulls")


def test_an_unknown_field_further_down_is_named_by_its_path(server: ApiServer) -> None:
    """Within lists too."""
    container = {"name": "main", "image": "x", "comand": ["true"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [container]}}
    _, made, warnings = server.ask("POST", "/api/v1/namespaces/default/pods?dryRun=All", pod)
    assert 'unknown field \\"spec.containers[0].comand\\"' in warnings
    assert "comand" not in made["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"data": {"a": 1}}, ".data.a"),
        ({"data": "a"}, ".data"),
        ({"immutable": "yes"}, ".immutable"),
        ({"binaryData": {"a": "!"}}, "illegal base64 data"),
        ({"metadata": {"name": "t", "annotations": {"a": 5}}}, ".metadata.annotations.a"),
        ({"metadata": {"name": "t", "finalizers": "a"}}, ".metadata.finalizers"),
    ],
)
def test_a_value_of_another_type_cannot_be_read(server: ApiServer, wrong: Object, field: str) -> None:
    """400 for a whole object, 422 for a merge patch, 500 for an apply (``patch.go`` of Kubernetes' apiserver)."""
    server.ask("POST", CONFIGS, config("t"))
    body = {**config("t"), **wrong}
    for method, path, kind, code in (
        ("POST", CONFIGS, "application/json", 400),
        ("PUT", f"{CONFIGS}/t", "application/json", 400),
        ("PATCH", f"{CONFIGS}/t", MERGE, 422),
        ("PATCH", f"{CONFIGS}/t?fieldManager=test", APPLY, 500),
    ):
        status, answer, _ = server.ask(method, path, body, kind=kind)
        assert (status, field in answer["message"]) == (code, True), answer


def test_an_apply_knows_no_unknown_field(server: ApiServer) -> None:
    """Field validation or not: 500, "field not declared in schema" (structured-merge-diff)."""
    status, answer, _ = apply(server, config("a", foo=1), query="&fieldValidation=Ignore")
    assert (status, ".foo: field not declared in schema" in answer["message"]) == (500, True)


def test_fields_of_other_kinds_are_kept_as_they_are() -> None:
    """Custom resources have schemas of their own; only their metadata is Kubernetes'."""
    job = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "j", "labls": {}},
        "spec": {"x": 1},
    }
    assert [misfit.path for misfit in schemas.misfits(BY_KIND["PyTorchJob"], job)] == [".metadata.labls"]


@pytest.mark.parametrize("quantity", ["1", "1.5Gi", "100m", "1e9", "2E3", "+1", ".5", 4])
def test_quantities_are_numbers_with_a_suffix(quantity: Any) -> None:
    """Kubernetes API reference, "Quantity"."""
    spec = {"capacity": {"storage": quantity}}
    assert schemas.misfits(BY_KIND["PersistentVolume"], {"spec": spec}) == []


@pytest.mark.parametrize("quantity", ["lots", "1 Gi", "1GiB", "", "1.2.3", True])
def test_what_is_no_quantity_cannot_be_read(quantity: Any) -> None:
    """Kubernetes API reference, "Quantity"."""
    spec = {"capacity": {"storage": quantity}}
    assert [misfit.path for misfit in schemas.misfits(BY_KIND["PersistentVolume"], {"spec": spec})] == [
        ".spec.capacity.storage"
    ]


def test_a_map_that_is_applied_empty_is_merged(server: ApiServer) -> None:
    """It takes nothing from others, and nothing of theirs when it is left out again ("Server-Side Apply", merging)."""
    server.ask("POST", CONFIGS, config("m", data={"theirs": "1"}))
    assert apply(server, config("m", data={}), "empty")[1]["data"] == {"theirs": "1"}
    assert apply(server, config("m"), "empty")[1]["data"] == {"theirs": "1"}


def test_a_merge_patch_makes_no_other_object(server: ApiServer) -> None:
    """Another namespace is 400, another kind or uid 422."""
    server.ask("POST", CONFIGS, config("s"))
    path = f"{CONFIGS}/s"
    assert server.ask("PATCH", path, {"metadata": {"namespace": "other"}}, kind=MERGE)[0] == 400
    assert server.ask("PATCH", path, {"kind": "Secret"}, kind=MERGE)[0] == 422
    assert server.ask("PATCH", path, {"metadata": {"uid": "x"}}, kind=MERGE)[0] == 422
    assert server.ask("PATCH", path, {"metadata": {"name": "x"}}, kind=MERGE)[0] == 422


def test_an_apply_may_say_which_object_it_means(server: ApiServer) -> None:
    """A stale resourceVersion and a uid of nothing are 409, another uid is 422; an update's other uid is 409."""
    server.ask("POST", CONFIGS, config("u"))
    meant = config("u")
    meant["metadata"] = {"name": "u", "resourceVersion": "1"}
    assert apply(server, meant, query="&force=true")[0] == 409
    meant["metadata"] = {"name": "u", "uid": "x"}
    assert apply(server, meant)[0] == 422
    assert server.ask("PUT", f"{CONFIGS}/u", meant)[0] == 409
    meant["metadata"] = {"name": "absent", "uid": "x"}
    assert apply(server, meant)[0] == 409
    meant["metadata"] = {"name": "u", "resourceVersion": "newest"}
    assert server.ask("PUT", f"{CONFIGS}/u", meant)[0] == 500
    meant["metadata"] = {"name": "made", "resourceVersion": "1"}
    assert server.ask("POST", CONFIGS, meant)[0] == 500


# --- kinds --------------------------------------------------------------------------------------------------------


def refused(server: ApiServer, path: str, body: Object) -> tuple[int, list[str]]:
    """The status and the fields of a creation that is refused."""
    status, answer, _ = server.ask("POST", path, body)
    return status, [cause["field"] for cause in answer.get("details", {}).get("causes", [])]


def policy(**spec: Any) -> Object:
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
    return {**kind, "metadata": {"name": "p"}, "spec": spec}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"egress": [{"ports": [{"port": 0}]}]}, "spec.egress[0].ports[0].port"),
        ({"egress": [{"ports": [{"port": "no_name"}]}]}, "spec.egress[0].ports[0].port"),
        ({"egress": [{"ports": [{"port": 10, "endPort": 5}]}]}, "spec.egress[0].ports[0].endPort"),
        ({"egress": [{"ports": [{"endPort": 5}]}]}, "spec.egress[0].ports[0].port"),
        ({"ingress": [{"ports": [{"protocol": "ICMP"}]}]}, "spec.ingress[0].ports[0].protocol"),
        ({"ingress": [{"from": [{}]}]}, "spec.ingress[0].from[0]"),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}]}, "spec.ingress[0].from[0]"),
        ({"ingress": [{"from": [{"ipBlock": {}}]}]}, "spec.ingress[0].from[0].ipBlock.cidr"),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.1"}}]}]}, "spec.ingress[0].from[0].ipBlock.cidr"),
        ({"podSelector": {"matchLabels": {"a": "-"}}}, "spec.podSelector.matchLabels"),
        ({"policyTypes": ["Both"]}, "spec.policyTypes[0]"),
    ],
)
def test_a_network_policy_that_is_wrong_is_refused(server: ApiServer, spec: Object, field: str) -> None:
    """422 with the field (``pkg/apis/networking/validation``)."""
    path = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies?dryRun=All"
    assert refused(server, path, policy(**spec)) == (422, [field])


def test_a_network_policy_gets_its_defaults(server: ApiServer) -> None:
    """It selects all pods, is about ingress, and about egress if it has such rules; ports are of TCP."""
    path = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies?dryRun=All"
    made = server.ask("POST", path, policy(egress=[{"ports": [{"port": 53}]}]))[1]["spec"]
    assert (made["podSelector"], made["policyTypes"]) == ({}, ["Ingress", "Egress"])
    assert made["egress"][0]["ports"] == [{"port": 53, "protocol": "TCP"}]


SOURCE = {"driver": "fsx.csi.aws.com", "volumeHandle": "fs-1"}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"capacity": {"storage": "0"}}, "spec.capacity[storage]"),
        ({"capacity": {"storage": "1Gi", "cpu": "1"}}, "spec.capacity"),
        ({"accessModes": []}, "spec.accessModes"),
        ({"accessModes": ["ReadWriteOncePod", "ReadOnlyMany"]}, "spec.accessModes"),
        ({"volumeMode": "File"}, "spec.volumeMode"),
        ({"persistentVolumeReclaimPolicy": "Keep"}, "spec.persistentVolumeReclaimPolicy"),
        ({"storageClassName": "a_b"}, "spec.storageClassName"),
        ({"csi": {**SOURCE, "driver": "a_b"}}, "spec.csi.driver"),
        ({"nfs": {"server": "s", "path": "/"}}, "spec.nfs"),
    ],
)
def test_a_volume_that_is_wrong_is_refused(server: ApiServer, changed: Object, field: str) -> None:
    """422 with the field (``ValidatePersistentVolume``)."""
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadOnlyMany"], "csi": SOURCE, **changed}
    body = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "v"}, "spec": spec}
    assert refused(server, "/api/v1/persistentvolumes?dryRun=All", body) == (422, [field])


MAIN = {"name": "main", "image": "busybox"}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"containers": []}, "spec.containers"),
        ({"containers": [{**MAIN, "name": "M_"}]}, "spec.containers[0].name"),
        ({"containers": [MAIN, MAIN]}, "spec.containers[1].name"),
        ({"containers": [{"name": "main"}]}, "spec.containers[0].image"),
        ({"containers": [MAIN], "initContainers": [MAIN]}, "spec.containers[0].name"),
        ({"containers": [MAIN], "restartPolicy": "Sometimes"}, "spec.restartPolicy"),
        ({"containers": [MAIN], "volumes": [{"name": "V"}]}, "spec.volumes[0].name"),
        ({"containers": [{**MAIN, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]},
         "spec.containers[0].volumeMounts[0].name"),
    ],
)  # fmt: skip
def test_a_pod_that_is_wrong_is_refused(server: ApiServer, spec: Object, field: str) -> None:
    """422 with the field (``ValidatePodSpec``)."""
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    assert refused(server, "/api/v1/namespaces/default/pods?dryRun=All", body) == (422, [field])


def test_of_a_running_pod_the_image_alone_is_changed(server: ApiServer) -> None:
    """And its deadline, and tolerations that are added (``ValidatePodUpdate``)."""
    path = "/api/v1/namespaces/default/pods"
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "fixed"}, "spec": {"containers": [MAIN]}}
    _, made, _ = server.ask("POST", path, body)
    made["spec"]["containers"][0]["image"] = "busybox:stable"
    status, made, _ = server.ask("PUT", f"{path}/fixed", made)
    assert (status, made["spec"]["containers"][0]["image"]) == (200, "busybox:stable")
    made["spec"]["serviceAccountName"] = "other"
    assert server.ask("PUT", f"{path}/fixed", made)[0] == 422


@pytest.mark.parametrize(
    ("labels", "field"),
    [
        ({"a" * 64: "x"}, "metadata.labels"),
        ({"/a": "x"}, "metadata.labels"),
        ({f"{'a' * 254}/a": "x"}, "metadata.labels"),
        ({"a..b/c": "x"}, "metadata.labels"),
        ({"a": "x" * 64}, "metadata.labels"),
        ({"a": "x y"}, "metadata.labels"),
    ],
)
def test_a_label_that_is_wrong_is_refused(server: ApiServer, labels: Object, field: str) -> None:
    """422 (Kubernetes documentation, "Labels and Selectors", syntax and character set)."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "l", "labels": labels}}
    status, fields = refused(server, CONFIGS, body)
    assert (status, set(fields)) == (422, {field})


def test_annotations_have_room_for_256_kib(server: ApiServer) -> None:
    """Keys and values together (``ValidateAnnotations``)."""
    body = config("annotated")
    body["metadata"]["annotations"] = {"a": "x" * (256 * 1024)}
    assert refused(server, CONFIGS, body) == (422, ["metadata.annotations"])


def test_configuration_that_is_immutable_stays(server: ApiServer) -> None:
    """ConfigMaps and Secrets alike; a Secret's type is fixed at any rate, and its plain text becomes data."""
    server.ask("POST", CONFIGS, config("fixed", data={"a": "1"}, immutable=True))
    for changed in ({"data": {"a": "2"}}, {"immutable": False}):
        assert server.ask("PATCH", f"{CONFIGS}/fixed", changed, kind=MERGE)[0] == 422
    assert server.ask("PATCH", f"{CONFIGS}/fixed", {"metadata": {"labels": {"a": "b"}}}, kind=MERGE)[0] == 200
    secrets = "/api/v1/namespaces/default/secrets"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "1"}}
    made = server.ask("POST", secrets, secret)[1]
    assert (made["data"], made["type"], "stringData" in made) == ({"a": "MQ=="}, "Opaque", False)
    assert server.ask("PATCH", f"{secrets}/s", {"type": "other"}, kind=MERGE)[0] == 422
    assert refused(server, CONFIGS, config("keys", data={"a/b": "1"})) == (422, ["data[a/b]"])


# --- reviews and selectors ----------------------------------------------------------------------------------------

REVIEWS = "/apis/authorization.k8s.io/v1"
ASKED = {"verb": "get", "resource": "pods"}


@pytest.mark.parametrize(
    ("kind", "spec", "code"),
    [
        ("SelfSubjectAccessReview", {}, 422),
        ("SelfSubjectAccessReview", {"resourceAttributes": ASKED, "nonResourceAttributes": {"path": "/"}}, 422),
        ("SelfSubjectAccessReview", {"resourceAttributes": "pods"}, 400),
        ("SelfSubjectAccessReview", {"resourceAttributes": {"verb": 1}}, 400),
        ("SubjectAccessReview", {"resourceAttributes": ASKED}, 422),
        ("SubjectAccessReview", {"user": "x"}, 422),
        ("SelfSubjectRulesReview", {}, 400),
    ],
)
def test_a_review_that_asks_nothing_is_refused(server: ApiServer, kind: str, spec: Object, code: int) -> None:
    """422 with the field, 400 for what cannot be read (``pkg/apis/authorization/validation``)."""
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    assert server.ask("POST", f"{REVIEWS}/{kind.lower()}s", body)[0] == code


@pytest.mark.parametrize("selector", ["a=-b", "a,", ",a", "-a", "a in (x y)", "a b", "a/b/c=d"])
def test_a_selector_that_cannot_be_read_is_refused(server: ApiServer, selector: str) -> None:
    """400: keys and values are those of labels (Kubernetes documentation, "Labels and Selectors")."""
    assert server.ask("GET", f"{CONFIGS}?labelSelector={selector}")[0] == 400


def test_each_right_to_impersonate_is_asked_for() -> None:
    """User, every group that is named, uid and extra values, each by its own right ("User Impersonation")."""
    asked: list[Attributes] = []
    admin = KubernetesUser("admin", ("system:authenticated",))
    headers = {
        "Impersonate-User": "system:serviceaccount:default:robot",
        "Impersonate-Group": "system:serviceaccounts, team",
        "Impersonate-Uid": "u",
        "Impersonate-Extra-Reason": "audit",
    }
    found = impersonated(admin, headers, lambda _, attributes: asked.append(attributes))
    assert [(one.qualified_resource, one.namespace, one.name) for one in asked] == [
        ("serviceaccounts", "default", "robot"),
        ("groups", "", "system:serviceaccounts"),
        ("groups", "", "team"),
        ("uids", "", "u"),
        ("userextras/reason", "", "audit"),
    ]
    assert (found.groups, found.uid) == (("system:serviceaccounts", "team", "system:authenticated"), "u")
    assert found.extra == {"reason": ["audit"]}

"""What clients need of a cluster's API before and beside reading and writing objects: forms, views, watches, patches."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from requests.structures import CaseInsensitiveDict

from podshare_sandbox.front_door import Request, Response
from podshare_sandbox.services import eks, kubernetes, sagemaker, sts
from podshare_sandbox.services.kubernetes import custom_resources, definitions, journal, tables
from podshare_sandbox.services.kubernetes.resources import RESOURCES
from sandbox.tests.eks_accounts import CLUSTER_ARN, client, running_cluster
from sandbox.tests.test_kubernetes import ADMIN, make_member, make_token, session_of

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
CONFIGS = "/api/v1/namespaces/default/configmaps"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
QUEUES = "/apis/kueue.x-k8s.io/v1beta1/namespaces/default/localqueues"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PATCH_TYPE = "application/{}-patch+json"


POD_SPEC = {
    "containers": [
        {"name": name, "image": "busybox", "env": [{"name": "A", "value": "1"}]} for name in ("x", "y", "z")
    ],
    "tolerations": [{"key": "a"}],
    "nodeSelector": {"a": "1"},
}


class Client:
    """Whoever may do everything in a cluster, with whatever headers."""

    def __init__(self) -> None:
        self._token = make_token(session_of(make_member("admin", policies=ADMIN)))
        self._endpoint = kubernetes.endpoint_of(CLUSTER_ARN)

    def send(self, method: str, path: str, body: Any = None, /, **headers: str) -> Response:
        """The answer to a request, whose body is sent as JSON unless it is bytes."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json", "User-Agent": "test/1.0"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        url = client("eks").describe_cluster(name="hyperpod-eks")["cluster"]["endpoint"] + path
        return self._endpoint.handle(Request(method, url, CaseInsensitiveDict(given), content))

    def ask(self, method: str, path: str, body: Any = None, /, **headers: str) -> tuple[int, Any]:
        """Status and body of the answer."""
        response = self.send(method, path, body, **headers)
        return response.status, json.loads(response.body)

    def watch(self, path: str, **query: Any) -> list[tuple[str, Any]]:
        """The events that a watch of a second tells."""
        given = urlencode({"watch": "true", "timeoutSeconds": 1, **query})
        response = self.send("GET", f"{path}?{given}")
        assert response.status == 200, response.body
        assert response.pieces is not None
        lines = b"".join(response.pieces).splitlines()
        return [(event["type"], event["object"]) for event in map(json.loads, lines)]

    def patch(self, kind: str, path: str, body: Any) -> tuple[int, Any]:
        """The answer to a patch of a kind."""
        return self.ask("PATCH", path, body, Content_Type=PATCH_TYPE.format(kind))


@pytest.fixture
def api() -> Iterator[Client]:
    """An administrator of a new cluster."""
    with running_cluster(sts, eks, kubernetes, sagemaker):
        yield Client()


def config(name: str, value: str = "", **labels: str) -> dict[str, Any]:
    """A ConfigMap."""
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}}


def job(name: str = "train") -> dict[str, Any]:
    """A suspended Job of two containers."""
    containers = [{"name": each, "image": "busybox", "env": [{"name": "A", "value": "1"}]} for each in ("main", "side")]
    spec = {"suspend": True, "template": {"spec": {"restartPolicy": "Never", "containers": containers}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def make_deployment(api: Client, **labels: str) -> str:
    """The path of a new Deployment whose pods have three containers."""
    template = {"metadata": {"labels": {"a": "b"}}, "spec": POD_SPEC}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    metadata = {"name": "d", "labels": labels}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    assert api.ask("POST", DEPLOYMENTS, body)[0] == 201
    return f"{DEPLOYMENTS}/d"


# --- forms and views ---


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/*", "application/vnd.kubernetes.protobuf,application/json", f"{TABLE};x=y,*/*"]
)
def test_objects_are_json_to_whoever_takes_it(api: Client, accept: str) -> None:
    """A client that would rather have protobuf gets JSON if it takes that (API Concepts, Alternate representations)."""
    response = api.send("GET", "/api/v1/namespaces/default", Accept=accept)
    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")


def test_what_no_client_takes_is_not_acceptable(api: Client) -> None:
    """406 (API Concepts, Kubernetes Protobuf encoding: a client has to handle it); nothing is written by such a call."""
    protobuf = "application/vnd.kubernetes.protobuf"
    status, answer = api.ask("POST", CONFIGS, config("a"), Accept=protobuf)
    assert (status, answer["reason"]) == (406, "NotAcceptable")
    assert api.ask("GET", f"{CONFIGS}/a")[0] == 404
    assert api.ask("GET", "/openapi/v2", Accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf")[0] == 406


def test_a_body_in_an_unknown_format_is_refused(api: Client) -> None:
    """415, with what is taken (API Concepts, Alternate representations of resources)."""
    status, answer = api.ask("POST", CONFIGS, config("a"), Content_Type="text/plain")
    assert (status, answer["reason"]) == (415, "UnsupportedMediaType")
    assert "application/json, application/yaml" in answer["message"]


def test_objects_are_yaml_on_request(api: Client) -> None:
    """application/yaml is one of the forms (API Concepts, YAML encoding)."""
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
    response = api.send("POST", CONFIGS, body, Content_Type="application/yaml", Accept="application/yaml")
    assert (response.status, response.headers["Content-Type"]) == (201, "application/yaml")
    assert b"\nkind: ConfigMap\n" in response.body


def test_tables_have_the_columns_that_kubectl_prints(api: Client) -> None:
    """A list as a Table (API Concepts, Receiving resources as Tables): cells in columns, metadata beside them."""
    api.ask("POST", JOBS, job())
    status, table = api.ask("GET", JOBS, Accept=f"{TABLE},application/json")
    assert (status, table["kind"], table["apiVersion"]) == (200, "Table", "meta.k8s.io/v1")
    assert [column["name"] for column in table["columnDefinitions"]] == [
        "Name", "Status", "Completions", "Duration", "Age",
    ]  # fmt: skip
    row = table["rows"][0]
    assert (row["cells"][0], row["cells"][2]) == ("train", "0/1")
    assert (row["object"]["kind"], row["object"]["metadata"]["name"]) == ("PartialObjectMetadata", "train")
    _, whole = api.ask("GET", f"{JOBS}/train?includeObject=Object", Accept=TABLE)
    assert whole["rows"][0]["object"]["spec"]["suspend"] is True


def test_workloads_have_kueues_columns() -> None:
    """Whether a workload is admitted and has finished is printed as its conditions say (Kueue, workload_types.go)."""
    resource = next(each for each in RESOURCES if each.kind == "Workload")
    body = {"metadata": {"name": "job-a"}, "spec": {"queueName": "queue"}}
    conditions = [{"type": "QuotaReserved", "status": "True"}, {"type": "Admitted", "status": "True"}]
    admitted = {**body, "status": {"admission": {"clusterQueue": "team"}, "conditions": conditions}}
    assert tables.table(resource, body, "None")["rows"][0]["cells"][:-1] == ["job-a", "queue", "", "", ""]
    assert tables.table(resource, admitted, "None")["rows"][0]["cells"][:-1] == ["job-a", "queue", "team", "True", ""]


def test_metadata_alone_is_a_view_too(api: Client) -> None:
    """PartialObjectMetadata (API Concepts, Metadata-only fetches) has no spec."""
    api.ask("POST", JOBS, job())
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    _, listed = api.ask("GET", JOBS, Accept=accept)
    assert [one.keys() for one in listed["items"]] == [{"kind", "apiVersion", "metadata"}]


# --- watches ---


def test_a_watch_tells_what_changes_after_its_list(api: Client) -> None:
    """From a list's resourceVersion on: ADDED, MODIFIED, DELETED (API Concepts, Efficient detection of changes)."""
    revision = api.ask("GET", CONFIGS)[1]["metadata"]["resourceVersion"]
    api.ask("POST", CONFIGS, config("a", "1"))
    api.ask("PUT", f"{CONFIGS}/a", config("a", "2"))
    api.ask("DELETE", f"{CONFIGS}/a")
    events = api.watch(CONFIGS, resourceVersion=revision)
    assert [kind for kind, _ in events] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(found["metadata"]["resourceVersion"]) for _, found in events]
    assert int(revision) < versions[0] < versions[1] < versions[2]


def test_a_watch_without_a_version_begins_with_what_there_is(api: Client) -> None:
    """Synthetic ADDED events (API Concepts, Semantics for watch: Get State and Start at Any)."""
    for name in ("a", "b"):
        api.ask("POST", CONFIGS, config(name))
    assert [(kind, found["metadata"]["name"]) for kind, found in api.watch(CONFIGS)] == [("ADDED", "a"), ("ADDED", "b")]


def test_a_watch_sees_what_fits_its_selectors(api: Client) -> None:
    """What ceases to fit is DELETED for the watch, what begins to is ADDED, as etcd's watch cache tells it."""
    revision = api.ask("GET", CONFIGS)[1]["metadata"]["resourceVersion"]
    api.ask("POST", CONFIGS, config("a", team="vision"))
    api.ask("POST", CONFIGS, config("b", team="audio"))
    api.ask("PUT", f"{CONFIGS}/a", config("a", team="audio"))
    events = api.watch(CONFIGS, resourceVersion=revision, labelSelector="team=vision")
    assert [(kind, found["metadata"]["name"]) for kind, found in events] == [("ADDED", "a"), ("DELETED", "a")]
    by_name = api.watch(CONFIGS, resourceVersion=revision, fieldSelector="metadata.name=b")
    assert [(kind, found["metadata"]["name"]) for kind, found in by_name] == [("ADDED", "b")]


def test_a_watch_that_is_too_far_behind_is_gone(api: Client) -> None:
    """An ERROR event with status 410 (API Concepts, 410 Gone responses); a version that is none is 400."""
    revision = api.ask("GET", CONFIGS)[1]["metadata"]["resourceVersion"]
    system = kubernetes.api_of(CLUSTER_ARN)
    for number in range(journal.KEPT + 1):
        system.apply({**config("a", str(number)), "metadata": {"name": "a", "namespace": "default"}})
    (kind, status), *more = api.watch(CONFIGS, resourceVersion=revision)
    assert (kind, status["code"], status["reason"], more) == ("ERROR", 410, "Expired", [])
    assert api.ask("GET", f"{CONFIGS}?watch=true&resourceVersion=x")[0] == 400


def test_bookmarks_tell_how_far_a_watch_has_come(api: Client) -> None:
    """On request only, with a resourceVersion alone; after the initial events if those are asked for (API Concepts)."""
    api.ask("POST", CONFIGS, config("a"))
    current = api.ask("GET", CONFIGS)[1]["metadata"]["resourceVersion"]
    (kind, shown), *_ = api.watch(CONFIGS, resourceVersion=current, allowWatchBookmarks="true")
    assert (kind, shown["kind"], shown["metadata"]["resourceVersion"]) == ("BOOKMARK", "ConfigMap", current)
    query = {"allowWatchBookmarks": "true", "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    streamed = api.watch(CONFIGS, **query)
    assert [kind for kind, _ in streamed[:2]] == ["ADDED", "BOOKMARK"]
    assert streamed[1][1]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_name_in_the_field_selector_counts_for_the_authorizer(api: Client) -> None:
    """Whoever may list one object by its name may watch it (RBAC documentation, Referring to resources)."""
    system = kubernetes.api_of(CLUSTER_ARN)
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"], "resourceNames": ["a"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": [rule]}
    subject = {"kind": "User", "name": "ana", "apiGroup": "rbac.authorization.k8s.io"}
    bound = {"apiVersion": role["apiVersion"], "kind": "RoleBinding", "subjects": [subject]}
    bound["roleRef"] = {"kind": "Role", "name": "one", "apiGroup": "rbac.authorization.k8s.io"}
    for manifest in (role, bound):
        system.apply({**manifest, "metadata": {"name": "one", "namespace": "default"}})
    for name, status in (("a", 200), ("b", 403)):
        query = urlencode({"watch": "true", "fieldSelector": f"metadata.name={name}"})
        assert api.send("GET", f"{CONFIGS}?{query}", Impersonate_User="ana").status == status
    assert api.send("GET", CONFIGS, Impersonate_User="ana").status == 403


# --- patches ---


def test_a_json_patch_does_its_operations_or_nothing(api: Client) -> None:
    """RFC 6902; an operation that fails is 422, what is no patch 400."""
    api.ask("POST", CONFIGS, config("a", "1"))
    test = {"op": "test", "path": "/data/value", "value": "1"}
    status, patched = api.patch("json", f"{CONFIGS}/a", [test, {"op": "add", "path": "/data/more", "value": "2"}])
    assert (status, patched["data"]) == (200, {"value": "1", "more": "2"})
    wrong = [{"op": "remove", "path": "/data/more"}, {**test, "value": "3"}]
    assert api.patch("json", f"{CONFIGS}/a", wrong)[0] == 422
    assert api.ask("GET", f"{CONFIGS}/a")[1]["data"] == {"value": "1", "more": "2"}
    assert api.patch("json", f"{CONFIGS}/a", [{"op": "no such"}])[0] == 400


def test_a_strategic_merge_patch_merges_lists_by_their_keys(api: Client) -> None:
    """containers and env merge by name, command is replaced (Update API Objects in Place Using kubectl patch)."""
    path = make_deployment(api, a="1")
    container = {"name": "y", "image": "new", "command": ["a"], "env": [{"name": "B", "value": "2"}]}
    spec = {"template": {"spec": {"containers": [container]}}}
    status, patched = api.patch("strategic-merge", path, {"metadata": {"labels": {"a": None, "b": "2"}}, "spec": spec})
    assert (status, patched["metadata"]["labels"]) == (200, {"b": "2"})
    x, y, _ = patched["spec"]["template"]["spec"]["containers"]
    assert (x["name"], x["image"], y["image"], y["command"]) == ("x", "busybox", "new", ["a"])
    assert [one["name"] for one in y["env"]] == ["A", "B"]


@pytest.mark.parametrize(
    ("patch", "field", "expected"),
    [
        ({"containers": [{"name": "y", "$patch": "delete"}]}, "containers", ["x", "z"]),
        ({"containers": [{"$patch": "replace"}, {"name": "w", "image": "i"}]}, "containers", ["w"]),
        (
            {
                "$setElementOrder/containers": [{"name": name} for name in ("z", "w", "x", "y")],
                "containers": [{"name": "w", "image": "i"}],
            },
            "containers",
            ["z", "w", "x", "y"],
        ),
        ({"tolerations": [{"key": "b"}]}, "tolerations", [{"key": "b"}]),
        ({"nodeSelector": {"$patch": "replace", "b": "2"}}, "nodeSelector", {"b": "2"}),
        ({"nodeSelector": {"b": "2"}}, "nodeSelector", {"a": "1", "b": "2"}),
        ({"nodeSelector": {"$retainKeys": ["b"], "b": "2"}}, "nodeSelector", {"b": "2"}),
    ],
)
def test_directives_of_strategic_merge_patches(api: Client, patch: Any, field: str, expected: Any) -> None:
    """$patch, $setElementOrder and $retainKeys (community, strategic-merge-patch.md), as kubectl apply sends them."""
    status, patched = api.patch("strategic-merge", make_deployment(api), {"spec": {"template": {"spec": patch}}})
    found = patched["spec"]["template"]["spec"][field]
    names = [one["name"] for one in found] if field == "containers" else found
    assert (status, names) == (200, expected)


def test_primitive_lists_are_merged_as_sets(api: Client) -> None:
    """finalizers has the merge strategy without a key: additions unite, $deleteFromPrimitiveList removes."""
    api.ask("POST", CONFIGS, {**config("a"), "metadata": {"name": "a", "finalizers": ["x.io/1", "x.io/2"]}})
    patch = {"metadata": {"finalizers": ["x.io/3"], "$deleteFromPrimitiveList/finalizers": ["x.io/1"]}}
    _, patched = api.patch("strategic-merge", f"{CONFIGS}/a", patch)
    assert patched["metadata"]["finalizers"] == ["x.io/2", "x.io/3"]


def test_a_strategic_merge_patch_without_a_key_is_refused(api: Client) -> None:
    """422: the element cannot be told from others."""
    api.ask("POST", JOBS, job())
    patch = {"spec": {"template": {"spec": {"containers": [{"image": "new"}]}}}}
    status, answer = api.patch("strategic-merge", f"{JOBS}/train", patch)
    assert (status, "does not contain declared merge key: name" in answer["message"]) == (422, True)


def test_custom_resources_take_no_strategic_merge_patch(api: Client) -> None:
    """415, on which kubectl falls back to a merge patch (Extend the Kubernetes API with CustomResourceDefinitions)."""
    status, answer = api.patch("strategic-merge", f"{QUEUES}/q", {})
    assert (status, answer["reason"]) == (415, "UnsupportedMediaType")
    assert "strategic" not in answer["message"]


# --- discovery and OpenAPI ---


def test_discovery_is_aggregated_for_whoever_asks(api: Client) -> None:
    """One document for all groups (The Kubernetes API, Aggregated discovery); others get each group by itself."""
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    response = api.send("GET", "/apis", Accept=accept)
    assert response.headers["Content-Type"].endswith("as=APIGroupDiscoveryList")
    batch = next(one for one in json.loads(response.body)["items"] if one["metadata"]["name"] == "batch")
    jobs = next(one for one in batch["versions"][0]["resources"] if one["resource"] == "jobs")
    assert (jobs["scope"], jobs["responseKind"]["kind"], "watch" in jobs["verbs"]) == ("Namespaced", "Job", True)
    core = json.loads(api.send("GET", "/api", Accept=accept).body)["items"][0]["versions"][0]["resources"]
    pods = next(one for one in core if one["resource"] == "pods")
    assert {"exec", "log", "status"} == {one["subresource"] for one in pods["subresources"]}
    assert api.ask("GET", "/apis")[1]["kind"] == "APIGroupList"


def test_the_version_is_told_whole(api: Client) -> None:
    """The members of version.Info (Kubernetes API reference, getCodeVersion) that every release has had."""
    version = api.ask("GET", "/version")[1]
    whole = {
        "major",
        "minor",
        "gitVersion",
        "gitCommit",
        "gitTreeState",
        "buildDate",
        "goVersion",
        "compiler",
        "platform",
    }
    assert whole <= version.keys()
    assert version["gitVersion"].startswith(f"v{version['major']}.{version['minor']}.")


def test_every_group_version_has_its_openapi_document(api: Client) -> None:
    """The index of OpenAPI v3 names a document for each (The Kubernetes API, OpenAPI V3), whose references all lead on."""
    index = api.ask("GET", "/openapi/v3")[1]["paths"]
    assert {"api/v1", "apis/batch/v1", "apis/kubeflow.org/v1"} <= index.keys()
    for named in index.values():
        status, document = api.ask("GET", named["serverRelativeURL"])
        schemas = document["components"]["schemas"]
        referred = set(filter(None, _references(document)))
        assert (status, referred - {f"#/components/schemas/{name}" for name in schemas}) == (200, set())
    assert api.send("GET", "/openapi/v3/apis/absent.example.com/v1").status == 404


def _references(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        if isinstance(document.get("$ref"), str):
            yield document["$ref"]
        document = list(document.values())
    if isinstance(document, list):
        for each in document:
            yield from _references(each)


def test_openapi_names_the_options_on_which_clients_rely(api: Client) -> None:
    """kubectl validates on the server if PATCH of a kind takes fieldValidation, and on its own side if not."""
    document = api.ask("GET", "/openapi/v3/apis/batch/v1")[1]
    patch = document["paths"]["/apis/batch/v1/namespaces/{namespace}/jobs/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "batch", "version": "v1", "kind": "Job"}
    assert {"dryRun", "fieldManager", "fieldValidation", "force"} == {one["name"] for one in patch["parameters"]}
    spec = document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert (spec["x-kubernetes-patch-merge-key"], spec["x-kubernetes-patch-strategy"]) == ("name", "merge")


def test_openapi_v2_is_one_document(api: Client) -> None:
    """Of all kinds, in JSON (The Kubernetes API, OpenAPI V2)."""
    document = api.ask("GET", "/openapi/v2")[1]
    assert (document["swagger"], document["info"]["title"]) == ("2.0", "Kubernetes")
    assert "io.k8s.api.batch.v1.Job" in document["definitions"]
    assert set(filter(None, _references(document))) <= {f"#/definitions/{name}" for name in document["definitions"]}


# --- custom resource definitions ---


def test_definitions_of_custom_resources_can_be_read(api: Client) -> None:
    """What HyperPod's operators and Kueue install is in the apiextensions API, established, with a schema for each."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    listed = {each["metadata"]["name"]: each for each in api.ask("GET", path)[1]["items"]}
    wanted = {"hyperpodpytorchjobs.sagemaker.amazonaws.com", "pytorchjobs.kubeflow.org", "localqueues.kueue.x-k8s.io"}
    assert wanted <= listed.keys()
    found = api.ask("GET", f"{path}/hyperpodpytorchjobs.sagemaker.amazonaws.com")[1]
    assert {one["type"]: one["status"] for one in found["status"]["conditions"]}["Established"] == "True"
    for definition in listed.values():
        for version in definition["spec"]["versions"]:
            assert not set(_references(version["schema"]["openAPIV3Schema"]))
    assert api.ask("POST", path, found)[0] == 405


def test_every_custom_resource_is_defined() -> None:
    """Each kind that is not Kubernetes' own has a definition, from which its OpenAPI schema comes."""
    others = [each for each in RESOURCES if definitions.name_of("1.34", each.group, each.version, each.kind) is None]
    assert {custom_resources.name_of(each) for each in others} <= custom_resources.definitions().keys()
    assert {each.qualified for each in others} == {each["metadata"]["name"] for each in custom_resources.manifests()}

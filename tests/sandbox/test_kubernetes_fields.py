"""What clients write is held against the fields of its kind: unknown ones, wrong types, and maps that are merged."""

from collections.abc import Iterator
from typing import Any

import pytest

from podshare_sandbox.services.kubernetes import schemas
from podshare_sandbox.services.kubernetes.resources import BY_KIND
from tests.sandbox.kubernetes_servers import Answer, ApiServer, sandbox

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

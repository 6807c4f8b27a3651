"""RBAC of the sandbox's clusters: default roles, aggregation, valid roles and bindings, and who may grant what."""

from collections.abc import Iterator
from typing import Any

import pytest

from podshare_sandbox.services.kubernetes import default_roles
from podshare_sandbox.services.kubernetes.api import KubernetesApi
from podshare_sandbox.services.kubernetes.authentication import KubernetesUser
from podshare_sandbox.services.kubernetes.authorizer import Attributes, authorize
from podshare_sandbox.services.kubernetes.errors import KubernetesError
from podshare_sandbox.services.kubernetes.resources import BY_KIND
from sandbox.tests.kubernetes_servers import ApiServer, sandbox

Object = dict[str, Any]
CLUSTER_ROLE = BY_KIND["ClusterRole"]
RBAC = "rbac.authorization.k8s.io"
TEAM = "default"
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


@pytest.fixture
def api() -> KubernetesApi:
    return KubernetesApi()


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """One API server for all tests that write nothing but their own objects."""
    with sandbox() as started:
        yield started


def role(name: str = "r", kind: str = "ClusterRole", **body: Any) -> Object:
    metadata = {"name": name, **({"namespace": TEAM} if kind == "Role" else {})}
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata, **body}


def binding(name: str, target: tuple[str, str], *subjects: Object, kind: str = "RoleBinding") -> Object:
    role_ref = {"apiGroup": RBAC, "kind": target[0], "name": target[1]}
    made = role(name, "Role" if kind == "RoleBinding" else "ClusterRole", roleRef=role_ref, subjects=list(subjects))
    return {**made, "kind": kind}


def subject(name: str, kind: str = "User") -> Object:
    return {"apiGroup": RBAC, "kind": kind, "name": name}


def may_get_pods(api: KubernetesApi, user: str) -> bool:
    return authorize(api, KubernetesUser(user, ()), Attributes("get", "", "pods", namespace=TEAM)).allowed


# --- default roles and aggregation --------------------------------------------------------------------------------


def test_a_cluster_starts_with_the_default_roles(api: KubernetesApi) -> None:
    """All of Kubernetes' ("Using RBAC Authorization", default roles; ``bootstrappolicy``), each bound as there."""
    names = {each["metadata"]["name"] for each in api.objects("ClusterRole")}
    assert {"cluster-admin", "admin", "edit", "view", "system:monitoring", "system:node-proxier"} <= names
    assert sum(name.startswith("system:controller:") for name in names) == 36
    bound = {each["metadata"]["name"]: each for each in api.objects("ClusterRoleBinding")}
    assert bound["system:public-info-viewer"]["subjects"] == [
        subject("system:authenticated", "Group"),
        subject("system:unauthenticated", "Group"),
    ]
    assert "subjects" not in bound["system:node"]
    assert all(binding["roleRef"]["name"] in names for binding in bound.values())
    roles = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in api.objects("Role")}
    assert ("kube-system", "extension-apiserver-authentication-reader") in roles
    for each in api.objects("RoleBinding"):
        assert (each["metadata"]["namespace"], each["roleRef"]["name"]) in roles


def test_every_line_of_the_default_roles_is_a_rule() -> None:
    """Each has verbs, and either URLs or API groups and resources: what the table leaves out would go unseen."""
    for each in default_roles.manifests():
        for rule in each.get("rules", []):
            assert rule["verbs"]
            assert bool(rule.get("nonResourceURLs")) != bool(
                rule.get("apiGroups") is not None and rule.get("resources")
            )


@pytest.mark.parametrize(
    ("name", "right", "allowed"),
    [
        ("view", ("get", "", "pods"), True),
        ("view", ("get", "", "secrets"), False),
        ("view", ("get", RBAC, "roles"), False),
        ("view", ("list", "coordination.k8s.io", "leases"), True),
        ("edit", ("get", "", "secrets"), True),
        ("edit", ("create", "", "serviceaccounts/token"), True),
        ("edit", ("create", "", "pods/eviction"), True),
        ("edit", ("create", "", "endpoints"), False),
        ("edit", ("update", RBAC, "roles"), False),
        ("admin", ("update", RBAC, "roles"), True),
        ("admin", ("list", "", "pods"), True),
        ("admin", ("create", "", "resourcequotas"), False),
        ("cluster-admin", ("escalate", RBAC, "clusterroles"), True),
    ],
)  # fmt: skip
def test_user_facing_roles_grant_what_is_documented(
    api: KubernetesApi, name: str, right: tuple[str, str, str], allowed: bool
) -> None:
    """Kubernetes documentation, "Using RBAC Authorization", user-facing roles: view within edit within admin."""
    api.apply(binding("b", ("ClusterRole", name), subject("ann")))
    verb, group, resource = right
    plural, _, sub = resource.partition("/")
    asked = Attributes(verb, group, plural, sub, namespace=TEAM)
    assert authorize(api, KubernetesUser("ann", ()), asked).allowed is allowed


def test_roles_aggregate_as_they_are_labelled(api: KubernetesApi) -> None:
    """A role joins and leaves, also through one that is aggregated itself; rules written by hand are replaced."""
    widgets = {"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["get"]}
    labelled = role("widgets", rules=[widgets])
    labelled["metadata"]["labels"] = {f"{RBAC}/aggregate-to-view": "true"}
    api.apply(labelled)
    roles = {each["metadata"]["name"]: each for each in api.objects("ClusterRole")}
    assert all(widgets in roles[name]["rules"] for name in ("view", "edit", "admin"))
    api.merge_patch(CLUSTER_ROLE, "", "view", {"rules": [PODS]}, "test")
    assert widgets in (api.get("ClusterRole", None, "view") or {})["rules"]
    api.delete("ClusterRole", None, "widgets")
    roles = {each["metadata"]["name"]: each for each in api.objects("ClusterRole")}
    assert not any(widgets in roles[name]["rules"] for name in ("view", "edit", "admin"))


def test_an_aggregated_role_selects_by_any_of_its_selectors(api: KubernetesApi) -> None:
    """``clusterRoleSelectors`` are alternatives (Kubernetes API reference, AggregationRule)."""
    for name in ("a", "b", "c"):
        part = role(name, rules=[{**PODS, "resources": [name]}])
        part["metadata"]["labels"] = {"part": name}
        api.apply(part)
    chosen = [
        {"matchLabels": {"part": "a"}},
        {"matchExpressions": [{"key": "part", "operator": "In", "values": ["b"]}]},
    ]
    api.apply(role("all", aggregationRule={"clusterRoleSelectors": chosen}))
    made = api.get("ClusterRole", None, "all")
    assert made
    assert [rule["resources"] for rule in made["rules"]] == [["a"], ["b"]]


# --- valid roles and bindings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "causes"),
    [
        (role(rules=[{"apiGroups": [""], "resources": ["pods"]}]), {"rules[0].verbs": "FieldValueRequired"}),
        (role(rules=[{"verbs": ["get"]}]),
         {"rules[0].apiGroups": "FieldValueRequired", "rules[0].resources": "FieldValueRequired"}),
        (role(kind="Role", rules=[{"nonResourceURLs": ["/x"], "verbs": ["get"]}]),
         {"rules[0].nonResourceURLs": "FieldValueInvalid"}),
        (role(rules=[{**PODS, "nonResourceURLs": ["/x"]}]), {"rules[0].nonResourceURLs": "FieldValueInvalid"}),
        (role(aggregationRule={}), {"aggregationRule.clusterRoleSelectors": "FieldValueRequired"}),
        (role(aggregationRule={"clusterRoleSelectors": [{"matchExpressions": [{"key": "a", "operator": "Is"}]}]}),
         {"aggregationRule.clusterRoleSelectors[0].matchExpressions[0].operator": "FieldValueInvalid"}),
        (binding("b", ("Role", "r"), {**subject("a"), "apiGroup": "x"}), {"subjects[0].apiGroup": "FieldValueNotSupported"}),
        (binding("b", ("Role", "r"), {"kind": "ServiceAccount", "name": "a", "apiGroup": RBAC}),
         {"subjects[0].apiGroup": "FieldValueNotSupported"}),
        (binding("b", ("Role", "r"), {"kind": "Robot", "name": "a"}), {"subjects[0].kind": "FieldValueNotSupported"}),
        (binding("b", ("Role", "r"), {"kind": "User"}), {"subjects[0].name": "FieldValueRequired"}),
        (binding("b", ("Robot", "r")), {"roleRef.kind": "FieldValueNotSupported"}),
        (binding("b", ("Role", "")), {"roleRef.name": "FieldValueRequired"}),
        (binding("b", ("Role", "r"), kind="ClusterRoleBinding"), {"roleRef.kind": "FieldValueNotSupported"}),
        (binding("b", ("ClusterRole", "r"), {"kind": "ServiceAccount", "name": "a"}, kind="ClusterRoleBinding"),
         {"subjects[0].namespace": "FieldValueRequired"}),
    ],
)  # fmt: skip
def test_a_role_or_binding_that_is_wrong_is_refused(api: KubernetesApi, wrong: Object, causes: dict[str, str]) -> None:
    """422 with every field and its reason (``pkg/apis/rbac/validation``)."""
    with pytest.raises(KubernetesError) as refused:
        api.apply(wrong)
    assert refused.value.code == 422
    assert {cause["field"]: cause["reason"] for cause in refused.value.status["details"]["causes"]} == causes


def test_a_service_account_without_namespace_is_of_the_binding(api: KubernetesApi) -> None:
    """A RoleBinding's own namespace is meant (``appliesToUser`` of Kubernetes' RBAC authorizer)."""
    api.apply(binding("b", ("ClusterRole", "view"), {"kind": "ServiceAccount", "name": "robot"}))
    assert may_get_pods(api, f"system:serviceaccount:{TEAM}:robot")
    assert not may_get_pods(api, "system:serviceaccount:other:robot")


# --- who may grant what -------------------------------------------------------------------------------------------

ROLES, BINDINGS = f"/apis/{RBAC}/v1/namespaces/{TEAM}/roles", f"/apis/{RBAC}/v1/namespaces/{TEAM}/rolebindings"
APPLY = "application/apply-patch+yaml"


def grant(server: ApiServer, user: str, *rules: Object) -> None:
    """Let a user write roles and bindings, and what is given beside it."""
    write = {"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": ["create", "patch", "update", "get"]}
    server.apply(role(f"of-{user}", "Role", rules=[write, *rules]))
    server.apply(binding(f"of-{user}", ("Role", f"of-{user}"), subject(user)))


def test_escalation_by_name_needs_the_name_in_the_url(server: ApiServer) -> None:
    """``escalate`` with resourceNames allows an apply of that role and no creation: a POST has no name in its URL."""
    allowed = {"apiGroups": [RBAC], "resources": ["roles"], "verbs": ["escalate"], "resourceNames": ["wide"]}
    grant(server, "ann", allowed)
    wide = role("wide", "Role", rules=[{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])
    assert server.ask("POST", ROLES, wide, user="ann")[0] == 403
    assert server.ask("PATCH", f"{ROLES}/wide?fieldManager=t", wide, user="ann", kind=APPLY)[0] == 201
    other = role("other", "Role", rules=wide["rules"])
    assert server.ask("PATCH", f"{ROLES}/other?fieldManager=t", other, user="ann", kind=APPLY)[0] == 403


def test_binding_by_name_is_of_the_role(server: ApiServer) -> None:
    """``bind`` with resourceNames allows every binding of those roles, and of no other."""
    rule = {"apiGroups": [RBAC], "resources": ["clusterroles"], "verbs": ["bind"], "resourceNames": ["view"]}
    grant(server, "ben", rule)
    assert (
        server.ask("POST", BINDINGS, binding("ben-view", ("ClusterRole", "view"), subject("x")), user="ben")[0] == 201
    )
    assert (
        server.ask("POST", BINDINGS, binding("ben-edit", ("ClusterRole", "edit"), subject("x")), user="ben")[0] == 403
    )


def test_a_binding_to_a_role_that_does_not_exist(server: ApiServer) -> None:
    """Its rules cannot be compared: 404 for whoever may not ``bind`` it, and stored for whoever may."""
    grant(server, "eve")
    absent = binding("to-nothing", ("Role", "absent"), subject("x"))
    status, answer, _ = server.ask("POST", BINDINGS, absent, user="eve")
    assert (status, answer["message"]) == (404, f'roles.{RBAC} "absent" not found')
    assert server.ask("POST", BINDINGS, absent)[0] == 201


def test_what_the_garbage_collector_looks_at_is_changed_without_rights(server: ApiServer) -> None:
    """An update of owner references and finalizers alone compares no rules (``IsOnlyMutatingGCFields``)."""
    grant(server, "gus")
    server.apply(role("wide-too", "Role", rules=[{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]))
    path, kind = f"{ROLES}/wide-too", "application/merge-patch+json"
    held = {"metadata": {"finalizers": ["example.com/hold"]}}
    assert server.ask("PATCH", path, held, user="gus", kind=kind)[0] == 200
    assert server.ask("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, user="gus", kind=kind)[0] == 403


def test_who_aggregates_holds_everything(server: ApiServer) -> None:
    """An aggregationRule needs cluster-admin in RBAC, or ``escalate`` (``policybased`` storage of ClusterRoles)."""
    rule = {"apiGroups": [RBAC], "resources": ["clusterroles"], "verbs": ["create"]}
    server.apply(role("aggregating", rules=[rule]))
    server.apply(binding("aggregating", ("ClusterRole", "aggregating"), subject("amy"), kind="ClusterRoleBinding"))
    body = role("sum", aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]})
    status, answer, _ = server.ask("POST", f"/apis/{RBAC}/v1/clusterroles", body, user="amy")
    assert (status, "must have cluster-admin privileges" in answer["message"]) == (403, True)
    assert server.ask("POST", f"/apis/{RBAC}/v1/clusterroles", body)[0] == 201

"""What accounts/cluster-rbac.yaml lets podshare and the teams do: asked of the sandbox, and of a real API server."""

import time
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
import yaml

from podshare.domain import rbac
from tests.checks.expanded_template import ROOT
from tests.sandbox.kubernetes_servers import ApiServer, path_of, started

Object = dict[str, Any]
TEAM, OTHER = "hyperpod-ns-vision", "hyperpod-ns-audio"
RBAC = "rbac.authorization.k8s.io"
OWN = {"app.kubernetes.io/managed-by": "podshare", "podshare/team": "vision"}
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
            thing(kind, "podshare-x", {**OWN, "app.kubernetes.io/managed-by": "helm"}, **more),
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

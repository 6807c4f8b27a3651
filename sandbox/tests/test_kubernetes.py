"""A cluster's API lets in whom the access entries name, lets them do what policies and RBAC say, and keeps objects."""

import base64
import json
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from lightkube import ApiError, Client
from lightkube.config.kubeconfig import KubeConfig
from lightkube.generic_resource import create_global_resource, create_namespaced_resource
from lightkube.models.authorization_v1 import ResourceAttributes, SelfSubjectAccessReviewSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.authorization_v1 import SelfSubjectAccessReview
from lightkube.resources.core_v1 import Namespace, ServiceAccount
from requests.structures import CaseInsensitiveDict

from podshare_sandbox import clock
from podshare_sandbox.front_door import FrontDoor, Request
from podshare_sandbox.services import eks, kubernetes, sagemaker, sts
from sandbox.tests.eks_accounts import (
    CLUSTER,
    CLUSTER_ARN,
    HUB,
    REGION,
    SCIENTIST,
    client,
    make_cluster,
    make_role,
    running_cluster,
)

NAMESPACE, OTHER = "hyperpod-ns-vision", "hyperpod-ns-audio"
POLICY = "arn:aws:eks::aws:cluster-access-policy/"
PYTORCH_JOB = {"group": "kubeflow.org", "resource": "pytorchjobs"}
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


@pytest.fixture(autouse=True)
def cluster() -> Iterator[None]:
    """A cluster with the namespaces of two teams."""
    with running_cluster(sts, eks, kubernetes, sagemaker):
        for name in (NAMESPACE, OTHER):
            system().apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        yield


def system() -> kubernetes.KubernetesApi:
    """The API as the system itself uses it."""
    return kubernetes.api_of(CLUSTER_ARN)


# --- callers ---


def session_of(role: str, name: str = "ana@example.com") -> Credentials:
    """Credentials of a role's session."""
    made = client("sts").assume_role(RoleArn=role, RoleSessionName=name)["Credentials"]
    return Credentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def make_token(
    credentials: Credentials,
    cluster_name: str = CLUSTER,
    *,
    host: str = f"sts.{REGION}.amazonaws.com",
    header: str = "x-k8s-aws-id",
    expires: int = 60,
    action: str = "GetCallerIdentity",
) -> str:
    """An EKS token, made as ``aws eks get-token`` makes it."""
    query = urlencode({"Action": action, "Version": "2011-06-15"})
    request = AWSRequest("GET", f"https://{host}/?{query}", headers={header: cluster_name})
    SigV4QueryAuth(credentials, "sts", REGION, expires=expires).add_auth(request)
    return "k8s-aws-v1." + base64.urlsafe_b64encode(str(request.url).encode()).decode().rstrip("=")


def make_member(
    name: str = "vision",
    *,
    groups: tuple[str, ...] = (),
    policies: dict[str, dict[str, Any]] | None = None,
    **entry: Any,
) -> str:
    """The ARN of a role with an access entry; ``policies`` maps a policy's name to its scope."""
    role = make_role(name, path="/podshare/")
    calls = client("eks")
    calls.create_access_entry(clusterName=CLUSTER, principalArn=role, kubernetesGroups=list(groups), **entry)
    for policy, scope in (policies or {}).items():
        calls.associate_access_policy(
            clusterName=CLUSTER, principalArn=role, policyArn=POLICY + policy, accessScope=scope
        )
    return role


def within(*namespaces: str) -> dict[str, Any]:
    """A scope of namespaces."""
    return {"type": "namespace", "namespaces": list(namespaces)}


ADMIN = {"AmazonEKSClusterAdminPolicy": {"type": "cluster"}}
TRAINER = {
    "AmazonSagemakerHyperpodTrainingPolicy": within(NAMESPACE),
    "AmazonSagemakerHyperpodUserClusterPolicy": {"type": "cluster"},
}

Call = Callable[..., tuple[int, dict[str, Any]]]


def caller(token: str) -> Call:
    """Send requests with ``token`` to the cluster's endpoint; the answer is status and body."""
    endpoint = kubernetes.endpoint_of(CLUSTER_ARN)
    url = client("eks").describe_cluster(name=CLUSTER)["cluster"]["endpoint"]

    def call(
        method: str, path: str, body: Any = None, content_type: str = "application/json", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        sent = CaseInsensitiveDict(
            {
                "Authorization": f"Bearer {token}",
                "Content-Type": content_type,
                "User-Agent": "test/1.0",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            }
        )
        content = b"" if body is None else json.dumps(body).encode()
        answer = endpoint.handle(Request(method, url + path, sent, content))
        is_json = answer.headers["Content-Type"] == "application/json"
        return answer.status, json.loads(answer.body) if is_json else {"text": answer.body.decode()}

    return call


def as_role(role: str) -> Call:
    """Requests of a session of ``role``."""
    return caller(make_token(session_of(role)))


@pytest.fixture
def admin() -> Call:
    """Requests of a cluster administrator."""
    return as_role(make_member("platform", policies=ADMIN))


def may(call: Call, verb: str, namespace: str = "", **attributes: str) -> bool:
    """What SelfSubjectAccessReview answers."""
    spec = {"resourceAttributes": {"verb": verb, "namespace": namespace, **attributes}}
    status, review = call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": spec})
    assert status == 201
    return bool(review["status"]["allowed"])


def account(name: str = "trainer", **metadata: Any) -> dict[str, Any]:
    """A ServiceAccount."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, **metadata}}


ACCOUNTS = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"

# --- authentication ---


def test_a_session_is_the_user_whom_its_entry_names() -> None:
    """SelfSubjectReview answers the entry's username with the session's name, its groups, and EKS's extra fields."""
    role = make_member(groups=("hyperpod-users",))
    status, review = as_role(role)("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    user = review["status"]["userInfo"]
    assert status == 201
    assert user["username"] == f"arn:aws:sts::{HUB}:assumed-role/vision/ana-example.com"
    assert user["groups"] == ["hyperpod-users", "system:authenticated"]
    assert user["extra"]["arn"] == [f"arn:aws:sts::{HUB}:assumed-role/vision/ana@example.com"]
    assert user["extra"]["canonicalArn"] == [role]
    assert user["extra"]["sessionName"] == ["ana-example.com"]
    assert user["uid"] == f"aws-iam-authenticator:{HUB}:{eks.principal_id(role)}"
    assert user["extra"]["principalId"] == [eks.principal_id(role)]


def test_a_custom_username_keeps_what_it_is_told_to() -> None:
    """{{SessionNameRaw}} keeps the characters that {{SessionName}} replaces."""
    role = make_member(username="team:{{SessionNameRaw}}")
    _, review = as_role(role)("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert review["status"]["userInfo"]["username"] == "team:ana@example.com"


def test_an_iam_user_signs_in_too() -> None:
    """An entry for a user works with the user's own access key."""
    client("eks").create_access_entry(clusterName=CLUSTER, principalArn=f"arn:aws:iam::{SCIENTIST}:user/admin")
    key = Credentials(f"AKIA{SCIENTIST}0000", f"secret-of-{SCIENTIST}")
    _, review = caller(make_token(key))("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert review["status"]["userInfo"]["username"] == f"arn:aws:iam::{SCIENTIST}:user/admin"


def mapped(**parts: Any) -> None:
    """Write the ConfigMap aws-auth."""
    data = {part: json.dumps(lines) for part, lines in parts.items()}
    metadata = {"name": "aws-auth", "namespace": "kube-system"}
    system().apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def who_is(call: Call) -> dict[str, Any]:
    """What SelfSubjectReview answers; empty where the caller is let in by nothing."""
    status, review = call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    return dict(review["status"]["userInfo"]) if status == 201 else {}


def test_whoever_has_no_entry_gets_in_by_the_config_map() -> None:
    """A line names a role without its path, and gives any group and a name with what the session is called.

    aws-iam-authenticator, "Full configuration format"; EKS user guide, "Grant IAM users access to Kubernetes with a
    ConfigMap".
    """
    make_role("visitor", path="/people/")
    role = f"arn:aws:iam::{HUB}:role/visitor"
    line = {"username": "{{AccountID}}:{{SessionName}}", "groups": ["system:masters"]}
    mapped(mapRoles=[{"rolearn": f"arn:aws:iam::{HUB}:role/people/visitor", **line}])
    visitor = as_role(f"arn:aws:iam::{HUB}:role/people/visitor")
    assert who_is(visitor) == {}
    mapped(mapRoles=[{"rolearn": role, **line}])
    user = who_is(visitor)
    assert user["username"] == f"{HUB}:ana-example.com"
    assert user["groups"] == ["system:masters", "system:authenticated"]
    assert may(visitor, "create", "kube-system", resource="secrets")


def test_a_line_names_its_fields_in_any_case_and_groups_by_placeholders() -> None:
    """The name of a field counts in any case, and a group's name may have placeholders.

    aws-iam-authenticator, pkg/mapper/configmap/configmap.go (ParseMap: YAML to JSON, then Go's encoding/json, Unmarshal:
    "accepting case-insensitive matches"), pkg/config/types.go ("Each group name can include placeholders").
    """
    role = make_role("visitor")
    mapped(mapRoles=[{"RoleARN": role, "Username": "ana", "Groups": ["of:{{SessionName}}"]}])
    user = who_is(as_role(role))
    assert (user["username"], user["groups"]) == ("ana", ["of:ana-example.com", "system:authenticated"])


def test_an_entry_comes_before_the_config_map() -> None:
    """Whoever has an entry comes by that alone (EKS user guide, "Change authentication mode to use access entries")."""
    role = make_member()
    mapped(mapRoles=[{"rolearn": role.replace("/podshare", ""), "username": "root", "groups": ["system:masters"]}])
    assert who_is(as_role(role))["groups"] == ["system:authenticated"]


def test_the_config_map_counts_only_where_the_mode_says_so() -> None:
    """In mode API entries alone count; a whole account comes under each principal's ARN, with no groups."""
    mapped(mapAccounts=[SCIENTIST])
    user = caller(make_token(Credentials(f"AKIA{SCIENTIST}0000", f"secret-of-{SCIENTIST}")))
    found = who_is(user)
    assert (found["username"], found["groups"]) == (
        f"arn:aws:iam::{SCIENTIST}:user/admin",
        ["system:authenticated"],
    )
    client("eks").update_cluster_config(name=CLUSTER, accessConfig={"authenticationMode": "API"})
    assert who_is(user) == {}


def audited() -> list[dict[str, Any]]:
    """The events of the cluster's audit log; none where it has none."""
    logs, group = client("logs"), f"/aws/eks/{CLUSTER}/cluster"
    if group not in {each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]}:
        return []
    return [json.loads(each["message"]) for each in logs.filter_log_events(logGroupName=group)["events"]]


def test_requests_are_in_the_audit_log_while_it_is_on(admin: Call) -> None:
    """By whom, what, and how it was answered (Kubernetes documentation, "kube-apiserver Audit Configuration (v1)")."""
    assert admin("POST", ACCOUNTS, account("before"))[0] == 201
    wanted = {"clusterLogging": [{"types": ["audit"], "enabled": True}]}
    client("eks").update_cluster_config(name=CLUSTER, logging=wanted)
    assert admin("POST", ACCOUNTS, account())[0] == 201
    assert admin("POST", ACCOUNTS, account())[0] == 409
    assert admin("POST", ACCOUNTS, account("tried"), Impersonate_User="ben")[0] == 403
    created, conflict, tried = audited()
    assert created["user"]["username"] == f"arn:aws:sts::{HUB}:assumed-role/platform/ana-example.com"
    assert (created["verb"], created["stage"], created["requestURI"]) == ("create", "ResponseComplete", ACCOUNTS)
    reference = {"resource": "serviceaccounts", "namespace": NAMESPACE, "name": "trainer", "apiVersion": "v1"}
    assert created["objectRef"] == reference
    assert [each["responseStatus"]["code"] for each in (created, conflict, tried)] == [201, 409, 403]
    assert (tried["user"], tried["impersonatedUser"]["username"]) == (created["user"], "ben")


def bad_tokens() -> list[tuple[str, Callable[[Credentials], str]]]:
    """Ways to spoil a token."""
    foreign = Credentials(f"AKIA{HUB}0000", "not the secret")

    def tampered(good: Credentials) -> str:
        url = base64.urlsafe_b64decode(make_token(good).removeprefix("k8s-aws-v1.") + "==").decode()
        changed = url.replace("X-Amz-Expires=60", "X-Amz-Expires=61")
        return "k8s-aws-v1." + base64.urlsafe_b64encode(changed.encode()).decode().rstrip("=")

    return [
        ("empty", lambda _: ""),
        ("no prefix", lambda good: make_token(good).removeprefix("k8s-aws-v1.")),
        ("no base64", lambda _: "k8s-aws-v1.!!!"),
        ("another cluster", lambda good: make_token(good, "other-cluster")),
        ("header not signed", lambda good: make_token(good, header="x-something")),
        ("another host", lambda good: make_token(good, host="sts.evil.example.com")),
        ("another action", lambda good: make_token(good, action="GetSessionToken")),
        ("expires too late", lambda good: make_token(good, expires=901)),
        ("wrong secret", lambda _: make_token(foreign)),
        ("no session token", lambda good: make_token(Credentials(good.access_key, good.secret_key))),
        ("unknown key", lambda _: make_token(Credentials("AKIAUNKNOWN", "secret"))),
        ("tampered", tampered),
    ]


@pytest.mark.parametrize(("why", "spoil"), bad_tokens(), ids=[name for name, _ in bad_tokens()])
def test_a_bad_token_is_unauthorized(why: str, spoil: Callable[[Credentials], str]) -> None:
    """Every part of the token counts, and 401 does not tell which was wrong."""
    good = session_of(make_member(policies=ADMIN))
    status, answer = caller(spoil(good))("GET", "/api/v1/namespaces")
    assert (status, answer["reason"], answer["message"], answer["kind"]) == (
        401,
        "Unauthorized",
        "Unauthorized",
        "Status",
    ), why


def test_a_token_lives_for_fifteen_minutes() -> None:
    """Not for the shorter X-Amz-Expires, which STS does not go by."""
    token = make_token(session_of(make_member(policies=ADMIN)), expires=60)
    for minutes, expected in ((14, 200), (2, 401)):
        clock.advance(minutes * 60)
        assert caller(token)("GET", "/api/v1/namespaces")[0] == expected


def test_access_ends_with_the_entry() -> None:
    """A live session is refused once its entry is deleted, and while it has none."""
    role = make_member(policies=ADMIN)
    call = as_role(role)
    assert call("GET", "/api/v1/namespaces")[0] == 200
    client("eks").delete_access_entry(clusterName=CLUSTER, principalArn=role)
    assert call("GET", "/api/v1/namespaces")[0] == 401


def test_a_recreated_role_does_not_get_in_by_the_old_entry() -> None:
    """The entry means the role that there was; made anew, the role is another."""
    role = make_member(policies=ADMIN)
    client("iam").delete_role(RoleName="vision")
    make_role("vision", path="/podshare/")
    assert as_role(role)("GET", "/api/v1/namespaces")[0] == 401


# --- authorization ---

CONNECTION = "connection.access.sagemaker.amazonaws.com"
GRANTS = [
    # policy, verb, group, resource, allowed
    ("AmazonEKSViewPolicy", "get", "", "pods", True),
    ("AmazonEKSViewPolicy", "get", "", "secrets", False),
    ("AmazonEKSViewPolicy", "create", "", "pods", False),
    ("AmazonEKSViewPolicy", "list", "kubeflow.org", "pytorchjobs", False),
    ("AmazonEKSEditPolicy", "create", "", "secrets", True),
    ("AmazonEKSEditPolicy", "patch", "", "serviceaccounts", True),
    ("AmazonEKSEditPolicy", "create", "kubeflow.org", "pytorchjobs", False),
    ("AmazonEKSEditPolicy", "create", "rbac.authorization.k8s.io", "roles", False),
    ("AmazonEKSEditPolicy", "create", "", "resourcequotas", False),
    ("AmazonEKSAdminPolicy", "create", "rbac.authorization.k8s.io", "roles", True),
    ("AmazonEKSAdminPolicy", "get", "kueue.x-k8s.io", "localqueues", False),
    ("AmazonEKSAdminViewPolicy", "get", "", "secrets", True),
    ("AmazonEKSAdminViewPolicy", "delete", "", "pods", False),
    ("AmazonSagemakerHyperpodTrainingPolicy", "create", "kubeflow.org", "pytorchjobs", True),
    ("AmazonSagemakerHyperpodTrainingPolicy", "create", "sagemaker.amazonaws.com", "hyperpodpytorchjobs", True),
    ("AmazonSagemakerHyperpodTrainingPolicy", "list", "kueue.x-k8s.io", "localqueues", True),
    ("AmazonSagemakerHyperpodTrainingPolicy", "get", "", "serviceaccounts", True),
    ("AmazonSagemakerHyperpodTrainingPolicy", "create", "", "serviceaccounts", False),
    ("AmazonSagemakerHyperpodTrainingPolicy", "get", "", "secrets", False),
    ("AmazonSagemakerHyperpodTrainingPolicy", "create", "", "persistentvolumeclaims", False),
    ("AmazonSagemakerHyperpodTrainingPolicy", "deletecollection", "", "pods", False),
    ("AmazonSagemakerHyperpodTrainingPolicy", "create", CONNECTION, "raydashboardconnections", True),
    ("AmazonSagemakerHyperpodTrainingPolicy", "list", CONNECTION, "raydashboardconnections", False),
    ("AmazonSagemakerHyperpodTrainingPolicy", "create", "", "pods/exec", False),
    ("AmazonSagemakerHyperpodTrainingPolicy", "create", "", "configmaps", False),
    ("AmazonSagemakerHyperpodInferencePolicy", "create", CONNECTION, "raydashboardconnections", True),
    ("AmazonSagemakerHyperpodInferencePolicy", "create", "ray.io", "rayservices", True),
    ("AmazonSagemakerHyperpodInferencePolicy", "create", "ray.io", "rayjobs", False),
    ("AmazonSagemakerHyperpodSpacePolicy", "delete", "workspace.jupyter.org", "workspaces", True),
    ("AmazonSagemakerHyperpodSpacePolicy", "list", "workspace.jupyter.org", "workspaceaccessstrategies", True),
    ("AmazonSagemakerHyperpodSpacePolicy", "list", "workspace.jupyter.org", "workspaceintegrationtemplates", True),
    ("AmazonSagemakerHyperpodSpacePolicy", "create", "workspace.jupyter.org", "workspacetemplates", False),
    ("AmazonSagemakerHyperpodSpacePolicy", "create", "connection.workspace.jupyter.org", "workspaceconnections", True),
    ("AmazonSagemakerHyperpodSpacePolicy", "get", "connection.workspace.jupyter.org", "workspaceconnections", False),
    ("AmazonSagemakerHyperpodSpacePolicy", "get", "", "persistentvolumeclaims", True),
    ("AmazonSagemakerHyperpodSpacePolicy", "create", "", "pods", False),
    ("AmazonSagemakerHyperpodSpacePolicy", "get", "apps", "statefulsets", False),
    ("AmazonSagemakerHyperpodSpaceTemplatePolicy", "list", "workspace.jupyter.org", "workspacetemplates", True),
    ("AmazonSagemakerHyperpodSpaceTemplatePolicy", "create", "workspace.jupyter.org", "workspacetemplates", False),
    ("AmazonSagemakerHyperpodSpaceTemplatePolicy", "get", "workspace.jupyter.org", "workspaces", False),
]


def test_access_policies_grant_what_their_documentation_says() -> None:
    """In the scope's namespace as documented, in no other, and nothing at the cluster's scope.

    EKS user guide, "Review access policy permissions"; SageMaker AI developer guide, "Setting up an Amazon EKS cluster
    in Studio".
    """
    role = make_member()
    call = as_role(role)
    for policy in sorted({grant[0] for grant in GRANTS}):
        named = {"clusterName": CLUSTER, "principalArn": role, "policyArn": POLICY + policy}
        client("eks").associate_access_policy(**named, accessScope=within(NAMESPACE))
        for _, verb, group, resource, allowed in (grant for grant in GRANTS if grant[0] == policy):
            asked = {"group": group, "resource": resource}
            assert may(call, verb, NAMESPACE, **asked) == allowed, (policy, verb, resource)
            assert not may(call, verb, OTHER, **asked)
            assert not may(call, verb, **asked)
        client("eks").disassociate_access_policy(**named)


def test_a_scope_may_end_in_a_wildcard() -> None:
    """``hyperpod-ns-*`` reaches every namespace of that beginning."""
    call = as_role(make_member(policies={"AmazonEKSViewPolicy": within("hyperpod-ns-*")}))
    assert may(call, "get", NAMESPACE, resource="pods")
    assert may(call, "get", OTHER, resource="pods")
    assert not may(call, "get", "kube-system", resource="pods")


def test_the_user_cluster_policy_reads_what_has_no_namespace() -> None:
    """Namespaces, nodes and cluster queues may be listed by whoever holds it; nothing may be written."""
    call = as_role(make_member(policies=TRAINER))
    assert call("GET", "/api/v1/namespaces")[0] == 200
    assert call("GET", "/api/v1/nodes")[0] == 200
    assert call("GET", "/apis/kueue.x-k8s.io/v1beta1/clusterqueues")[0] == 200
    assert call("DELETE", f"/api/v1/namespaces/{NAMESPACE}")[0] == 403
    assert call("GET", f"/apis/kubeflow.org/v1/namespaces/{OTHER}/pytorchjobs")[0] == 403


def test_a_refusal_is_worded_as_kubernetes_words_it() -> None:
    """Who, verb, resource, API group and namespace are in the message, the names in the details."""
    call = as_role(make_member(policies=TRAINER))
    job = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": "llm"}}
    status, answer = call("POST", f"/apis/kubeflow.org/v1/namespaces/{OTHER}/pytorchjobs", job)
    user = f"arn:aws:sts::{HUB}:assumed-role/vision/ana-example.com"
    assert (status, answer["reason"], answer["details"]) == (
        403,
        "Forbidden",
        {"name": "", "group": "kubeflow.org", "kind": "pytorchjobs"},
    )
    assert answer["message"] == (
        f'pytorchjobs.kubeflow.org is forbidden: User "{user}" cannot create resource "pytorchjobs" '
        f'in API group "kubeflow.org" in the namespace "{OTHER}"'
    )
    assert call("DELETE", "/api/v1/nodes/n1")[1]["message"].endswith(
        'cannot delete resource "nodes" in API group "" at the cluster scope'
    )
    assert call("GET", "/metrics")[1]["message"] == f'forbidden: User "{user}" cannot get path "/metrics"'


def role_object(kind: str, name: str, rules: list[dict[str, Any]], **metadata: Any) -> dict[str, Any]:
    """A Role or ClusterRole."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "rules": rules,
    }


def binding(kind: str, role: tuple[str, str], subject: tuple[str, str], **metadata: Any) -> dict[str, Any]:
    """A binding of a role (kind, name) to a subject (kind, name)."""
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "metadata": {"name": "binding", **metadata},
        "roleRef": {"apiGroup": group, "kind": role[0], "name": role[1]},
        "subjects": [{"apiGroup": group, "kind": subject[0], "name": subject[1]}],
    }


READ_SECRETS = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["mine"]}]


def test_rbac_grants_by_group_and_username() -> None:
    """A RoleBinding reaches its namespace, a ClusterRoleBinding all of them; resourceNames narrow."""
    call = as_role(make_member(groups=("readers",)))
    assert not may(call, "get", NAMESPACE, resource="secrets", name="mine")
    system().apply(role_object("Role", "secrets", READ_SECRETS, namespace=NAMESPACE))
    system().apply(binding("RoleBinding", ("Role", "secrets"), ("Group", "readers"), namespace=NAMESPACE))
    assert may(call, "get", NAMESPACE, resource="secrets", name="mine")
    assert not may(call, "get", NAMESPACE, resource="secrets", name="other")
    assert not may(call, "get", OTHER, resource="secrets", name="mine")
    system().apply(binding("ClusterRoleBinding", ("ClusterRole", "view"), ("User", user_of("vision"))))
    assert may(call, "list", OTHER, resource="pods")
    assert may(call, "list", resource="pods")


def user_of(role: str) -> str:
    """The username of the tests' session of a role."""
    return f"arn:aws:sts::{HUB}:assumed-role/{role}/ana-example.com"


def test_rules_reviews_hide_access_policies() -> None:
    """``kubectl auth can-i --list`` shows RBAC's rules only, and says that it may be incomplete."""
    call = as_role(make_member(groups=("readers",), policies=TRAINER))
    system().apply(role_object("Role", "secrets", READ_SECRETS, namespace=NAMESPACE))
    system().apply(binding("RoleBinding", ("Role", "secrets"), ("Group", "readers"), namespace=NAMESPACE))
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    _, review = call("POST", path, {"spec": {"namespace": NAMESPACE}})
    resources = {resource for rule in review["status"]["resourceRules"] for resource in rule["resources"]}
    assert "secrets" in resources
    assert "pytorchjobs" not in resources
    assert review["status"]["incomplete"] is True


def test_a_subject_access_review_knows_rbac_only(admin: Call) -> None:
    """Access policies belong to IAM principals, which a username is not."""
    make_member(policies=TRAINER)
    spec = {"resourceAttributes": {"verb": "create", "namespace": NAMESPACE, **PYTORCH_JOB}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert not admin("POST", path, {"spec": {**spec, "user": user_of("vision")}})[1]["status"]["allowed"]
    _, masters = admin("POST", path, {"spec": {**spec, "user": "x", "groups": ["system:masters"]}})
    assert masters["status"]["allowed"]
    assert as_role(make_member("audio"))("POST", path, {"spec": {**spec, "user": "x"}})[0] == 403


def test_impersonation_drops_access_policies(admin: Call) -> None:
    """Whoever may impersonate gets the other's RBAC and nothing of their own."""
    assert admin("GET", "/api/v1/namespaces", Impersonate_User="ana")[0] == 403
    assert admin("GET", "/api/v1/namespaces", Impersonate_User="ana", Impersonate_Group="system:masters")[0] == 200
    nobody = as_role(make_member("nobody"))
    assert nobody("GET", "/api/v1/namespaces", Impersonate_User="ana")[0] == 403


def test_nobody_grants_more_than_rbac_gives_them(admin: Call) -> None:
    """A namespace's admin by access policy holds nothing in RBAC's eyes; a cluster admin may escalate."""
    call = as_role(make_member(policies={"AmazonEKSAdminPolicy": within(NAMESPACE)}))
    roles = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles"
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings"
    status, answer = call("POST", roles, role_object("Role", "secrets", READ_SECRETS))
    assert status == 403
    assert "is attempting to grant RBAC permissions not currently held" in answer["message"]
    mine = binding("RoleBinding", ("ClusterRole", "cluster-admin"), ("User", user_of("vision")))
    assert call("POST", bindings, mine)[0] == 403
    assert admin("POST", roles, role_object("Role", "secrets", READ_SECRETS))[0] == 201
    system().apply(binding("RoleBinding", ("ClusterRole", "admin"), ("User", user_of("vision")), namespace=NAMESPACE))
    assert call("POST", roles, role_object("Role", "own", READ_SECRETS))[0] == 201
    wide = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    assert call("POST", roles, role_object("Role", "wide", wide))[0] == 403


# --- objects ---


def test_objects_get_what_the_server_gives(admin: Call) -> None:
    """uid, creation time and a growing resourceVersion; a second object of the name is 409, an absent one 404."""
    status, made = admin("POST", ACCOUNTS, account())
    assert status == 201
    assert {"uid", "creationTimestamp", "resourceVersion"} <= made["metadata"].keys()
    assert made["metadata"]["namespace"] == NAMESPACE
    _, other = admin("POST", ACCOUNTS, account("other"))
    assert int(other["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    status, answer = admin("POST", ACCOUNTS, account())
    assert (status, answer["reason"]) == (409, "AlreadyExists")
    assert answer["message"] == 'serviceaccounts "trainer" already exists'
    status, answer = admin("GET", f"{ACCOUNTS}/absent")
    assert (status, answer["reason"], answer["message"]) == (404, "NotFound", 'serviceaccounts "absent" not found')
    assert answer["details"] == {"name": "absent", "kind": "serviceaccounts"}
    status, answer = admin("POST", "/api/v1/namespaces/absent/serviceaccounts", account())
    assert (status, answer["message"]) == (404, 'namespaces "absent" not found')
    assert admin("GET", "/api/v1/widgets")[1]["message"] == "the server could not find the requested resource"


@pytest.mark.parametrize(
    "wrong",
    [
        account("Bad_Name"),
        account("x" * 254),
        account("trainer", labels={"team": "not a label!"}),
        account("trainer", labels={"-key": "value"}),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {}},
    ],
)
def test_invalid_objects_are_unprocessable(admin: Call, wrong: dict[str, Any]) -> None:
    """Names are DNS-1123, labels are labels: 422 Invalid."""
    status, answer = admin("POST", ACCOUNTS, wrong)
    assert (status, answer["reason"]) == (422, "Invalid")


def test_an_object_must_be_what_its_url_says(admin: Call) -> None:
    """Another kind, namespace or name than the URL's is 400 BadRequest."""
    assert admin("POST", ACCOUNTS, {**account(), "kind": "Pod"})[0] == 400
    assert admin("POST", ACCOUNTS, account(namespace=OTHER))[0] == 400
    admin("POST", ACCOUNTS, account())
    assert admin("PUT", f"{ACCOUNTS}/trainer", account("other"))[0] == 400
    assert admin("POST", ACCOUNTS, "not an object")[0] == 400


def test_an_update_needs_the_latest_version(admin: Call) -> None:
    """A stale resourceVersion is 409 Conflict, and an update that changes nothing keeps the version."""
    _, made = admin("POST", ACCOUNTS, account())
    _, same = admin("PUT", f"{ACCOUNTS}/trainer", made)
    assert same == made
    changed = {**made, "automountServiceAccountToken": False}
    _, second = admin("PUT", f"{ACCOUNTS}/trainer", changed)
    assert second["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
    status, answer = admin("PUT", f"{ACCOUNTS}/trainer", {**made, "automountServiceAccountToken": True})
    assert (status, answer["reason"]) == (409, "Conflict")
    assert "the object has been modified; please apply your changes to the latest version" in answer["message"]


def test_a_merge_patch_merges_and_removes(admin: Call) -> None:
    """RFC 7386; what is no patch format is 415."""
    admin("POST", ACCOUNTS, account(labels={"a": "1", "b": "2"}))
    patch = {"metadata": {"labels": {"a": None, "c": "3"}}}
    _, patched = admin("PATCH", f"{ACCOUNTS}/trainer", patch, MERGE)
    assert patched["metadata"]["labels"] == {"b": "2", "c": "3"}
    status, answer = admin("PATCH", f"{ACCOUNTS}/trainer", patch, "application/json")
    assert (status, answer["reason"]) == (415, "UnsupportedMediaType")


def apply(call: Call, manifest: dict[str, Any], manager: str = "podshare", query: str = "") -> tuple[int, Any]:
    """Apply a ServiceAccount on the server."""
    name = manifest["metadata"]["name"]
    return call("PATCH", f"{ACCOUNTS}/{name}?fieldManager={manager}{query}", manifest, APPLY)


def test_applying_again_changes_nothing(admin: Call) -> None:
    """The first apply creates (201), the same again writes nothing, a field that is left out goes."""
    labels = {"podshare/team": "vision", "app.kubernetes.io/name": "x"}
    status, made = apply(admin, account(labels=labels))
    assert status == 201
    assert apply(admin, account(labels=labels)) == (200, made)
    _, fewer = apply(admin, account(labels={"podshare/team": "vision"}))
    assert fewer["metadata"]["labels"] == {"podshare/team": "vision"}
    _, none = apply(admin, account())
    assert "labels" not in none["metadata"]


def test_fields_of_other_managers_are_not_taken_silently(admin: Call) -> None:
    """A different value for another manager's field is 409 unless forced; the same value is shared."""
    apply(admin, account(labels={"team": "vision"}))
    assert apply(admin, account(labels={"team": "vision"}), "other")[0] == 200
    status, answer = apply(admin, account(labels={"team": "audio"}), "other")
    assert (status, answer["reason"]) == (409, "Conflict")
    assert answer["message"] == 'Apply failed with 1 conflict: conflict with "podshare": .metadata.labels.team'
    assert answer["details"]["causes"][0]["reason"] == "FieldManagerConflict"
    status, forced = apply(admin, account(labels={"team": "audio"}), "other", "&force=true")
    assert (status, forced["metadata"]["labels"]) == (200, {"team": "audio"})
    owners = {entry["manager"]: entry["fieldsV1"] for entry in forced["metadata"]["managedFields"]}
    assert owners == {"other": {"f:metadata": {"f:labels": {"f:team": {}}}}}
    admin("PATCH", f"{ACCOUNTS}/trainer", {"metadata": {"labels": {"team": "x"}}}, MERGE)
    assert apply(admin, account(labels={"team": "audio"}), "other")[0] == 409


def test_an_apply_names_its_manager(admin: Call) -> None:
    """Without fieldManager it is 422, and it takes the right to create what does not exist."""
    assert admin("PATCH", f"{ACCOUNTS}/trainer", account(), APPLY)[0] == 422
    rule = {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["patch"]}
    system().apply(role_object("Role", "patch", [rule], namespace=NAMESPACE))
    system().apply(binding("RoleBinding", ("Role", "patch"), ("User", user_of("vision")), namespace=NAMESPACE))
    call = as_role(make_member())
    assert apply(call, account())[0] == 403
    apply(admin, account())
    assert apply(call, account(), "other")[0] == 200


def test_a_dry_run_stores_nothing(admin: Call) -> None:
    """``dryRun=All`` checks and answers like the real thing."""
    assert apply(admin, account(), query="&dryRun=All")[0] == 201
    assert admin("GET", f"{ACCOUNTS}/trainer")[0] == 404


def test_lists_are_selected_and_come_in_pages(admin: Call) -> None:
    """Label and field selectors, limit and continue; a page says how many remain."""
    for number in range(5):
        admin("POST", ACCOUNTS, account(f"sa-{number}", labels={"parity": "even" if number % 2 == 0 else "odd"}))

    def names(query: str) -> list[str]:
        return [each["metadata"]["name"] for each in admin("GET", f"{ACCOUNTS}?{query}")[1]["items"]]

    assert names("labelSelector=parity%3Dodd") == ["sa-1", "sa-3"]
    assert names("labelSelector=parity%20in%20(odd,even)") == [f"sa-{number}" for number in range(5)]
    assert names("labelSelector=!parity") == ["default"]
    assert names("labelSelector=parity,parity!%3Dodd") == ["sa-0", "sa-2", "sa-4"]
    assert names("fieldSelector=metadata.name%3Dsa-4") == ["sa-4"]
    assert admin("GET", f"{ACCOUNTS}?fieldSelector=spec.x%3D1")[0] == 400
    seen, token, remaining = [], "", []
    while True:
        _, page = admin("GET", f"{ACCOUNTS}?limit=4&continue={token}")
        seen += [each["metadata"]["name"] for each in page["items"]]
        remaining.append(page["metadata"].get("remainingItemCount"))
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert seen == ["default", *(f"sa-{number}" for number in range(5))]
    assert remaining == [2, None]
    assert admin("GET", f"{ACCOUNTS}?continue=nonsense")[0] == 400


def test_a_namespace_has_a_service_account_and_takes_all_with_it(admin: Call) -> None:
    """A new namespace has ``default``; deleting it removes what is in it."""
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}
    assert admin("POST", "/api/v1/namespaces", manifest)[0] == 201
    assert admin("GET", "/api/v1/namespaces/team/serviceaccounts/default")[0] == 200
    assert admin("POST", "/api/v1/namespaces", {**manifest, "metadata": {"name": "a.b"}})[0] == 422
    assert admin("DELETE", "/api/v1/namespaces/team")[1]["status"] == {"phase": "Terminating"}
    assert admin("GET", "/api/v1/namespaces/team")[0] == 404
    assert system().objects("ServiceAccount", "team") == []
    assert admin("DELETE", "/api/v1/namespaces/kube-system")[0] == 403


def test_a_pod_needs_its_service_account(admin: Call) -> None:
    """It runs as ``default`` unless it says otherwise, and an absent account is 403."""
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
    spec = {"containers": [{"name": "main", "image": "busybox"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "job-"}, "spec": spec}
    status, made = admin("POST", pods, pod)
    assert (status, made["spec"]["serviceAccountName"], made["status"]["phase"]) == (201, "default", "Running")
    assert made["metadata"]["name"].startswith("job-")
    status, answer = admin("POST", pods, {**pod, "spec": {**spec, "serviceAccountName": "absent"}})
    assert status == 403
    assert f"error looking up service account {NAMESPACE}/absent" in answer["message"]
    assert admin("POST", pods, {**pod, "spec": {}})[0] == 422
    assert admin("DELETE", pods)[0] == 200
    assert system().objects("Pod") == []


def test_a_binding_keeps_its_role(admin: Call) -> None:
    """roleRef cannot be changed."""
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings"
    admin("POST", path, binding("RoleBinding", ("ClusterRole", "view"), ("Group", "g")))
    status, answer = admin("PUT", f"{path}/binding", binding("RoleBinding", ("ClusterRole", "edit"), ("Group", "g")))
    assert (status, answer["reason"]) == (422, "Invalid")
    assert "cannot change roleRef" in answer["message"]


def test_a_delete_may_have_preconditions(admin: Call) -> None:
    """Another uid is 409, and nothing is deleted."""
    admin("POST", ACCOUNTS, account())
    status, answer = admin("DELETE", f"{ACCOUNTS}/trainer", {"preconditions": {"uid": "another"}})
    assert (status, answer["reason"]) == (409, "Conflict")
    assert admin("DELETE", f"{ACCOUNTS}/trainer")[0] == 200
    assert admin("DELETE", f"{ACCOUNTS}/trainer")[0] == 404


def test_discovery_tells_what_is_served() -> None:
    """Whoever is signed in may ask for versions, groups and resources."""
    call = as_role(make_member())
    assert call("GET", "/version")[1]["gitVersion"].startswith("v1.")
    assert call("GET", "/api")[1]["versions"] == ["v1"]
    groups = {group["name"] for group in call("GET", "/apis")[1]["groups"]}
    assert {"batch", "kubeflow.org", "kueue.x-k8s.io", "authorization.k8s.io"} <= groups
    listed = call("GET", "/apis/kubeflow.org/v1")[1]["resources"]
    assert [(each["name"], each["kind"], each["namespaced"]) for each in listed] == [
        ("pytorchjobs", "PyTorchJob", True),
        ("pytorchjobs/status", "PyTorchJob", True),
    ]
    assert call("GET", "/apis/absent.example.com/v1")[0] == 404
    assert call("GET", "/healthz") == (200, {"text": "ok"})


def test_nodes_are_the_instances_of_the_hyperpod_cluster(admin: Call) -> None:
    """Named hyperpod-<instance>, with their accelerators."""
    client("sagemaker").create_cluster(
        ClusterName="hyperpod",
        Orchestrator={"Eks": {"ClusterArn": CLUSTER_ARN}},
        InstanceGroups=[
            {
                "InstanceGroupName": "gpu",
                "InstanceType": "ml.p5.48xlarge",
                "InstanceCount": 2,
                "LifeCycleConfig": {"SourceS3Uri": "s3://sagemaker-x/y", "OnCreate": "on_create.sh"},
                "ExecutionRole": make_role("nodes"),
            }
        ],
    )
    nodes = admin("GET", "/api/v1/nodes")[1]["items"]
    assert len(nodes) == 2
    assert all(node["metadata"]["name"].startswith("hyperpod-i-") for node in nodes)
    assert {node["status"]["capacity"]["nvidia.com/gpu"] for node in nodes} == {"8"}


# --- through the front door ---


@contextmanager
def light_client(role: str) -> Iterator[Client]:
    """A lightkube client that goes through the front door, trusting the cluster's CA and nothing else."""
    front_door = FrontDoor()
    kubernetes.publish(front_door)
    front_door.start()
    described = client("eks").describe_cluster(name=CLUSTER)["cluster"]
    config = KubeConfig.from_dict(
        {
            "current-context": "eks",
            "contexts": [{"name": "eks", "context": {"cluster": "eks", "user": "me"}}],
            "clusters": [
                {
                    "name": "eks",
                    "cluster": {
                        "server": described["endpoint"],
                        "certificate-authority-data": described["certificateAuthority"]["data"],
                    },
                }
            ],
            "users": [{"name": "me", "user": {"token": make_token(session_of(role))}}],
        }
    )
    try:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in front_door.environment().items():
                environment.setenv(name, value)
            yield Client(config, field_manager="podshare")
    finally:
        front_door.stop()


def names_of(listed: Iterable[Any]) -> list[str]:
    """The names of the objects."""
    return [each.metadata.name for each in listed]


def test_lightkube_works_through_the_front_door() -> None:
    """TLS by the cluster's CA, an EKS token, access reviews, apply, list, custom resources and errors."""
    admin_role = make_member("platform", policies=ADMIN)
    job_kind = create_namespaced_resource("kubeflow.org", "v1", "PyTorchJob", "pytorchjobs")
    queue_kind = create_global_resource("kueue.x-k8s.io", "v1beta1", "ClusterQueue", "clusterqueues")
    with light_client(admin_role) as kube:
        kube.apply(ServiceAccount(metadata=ObjectMeta(name="trainer", namespace=NAMESPACE)))
        template = {"spec": {"containers": [{"name": "pytorch", "image": "train"}]}}
        spec = {"pytorchReplicaSpecs": {"Master": {"template": template}}}
        kube.create(job_kind(metadata=ObjectMeta(name="llm", namespace=NAMESPACE), spec=spec))
        assert names_of(kube.list(ServiceAccount, namespace=NAMESPACE)) == ["default", "trainer"]
        assert NAMESPACE in names_of(kube.list(Namespace, chunk_size=2))
        assert list(kube.list(queue_kind)) == []
        attributes = ResourceAttributes(
            verb="create", namespace=NAMESPACE, group="kubeflow.org", resource="pytorchjobs"
        )
        review = kube.create(SelfSubjectAccessReview(SelfSubjectAccessReviewSpec(resourceAttributes=attributes)))
        assert review.status is not None
        assert review.status.allowed
        kube.delete(job_kind, "llm", namespace=NAMESPACE)
        with pytest.raises(ApiError) as caught:
            kube.get(job_kind, "llm", namespace=NAMESPACE)
        assert (caught.value.status.code, caught.value.status.reason) == (404, "NotFound")


def test_each_cluster_has_a_ca_of_its_own() -> None:
    """The certificate that DescribeCluster shows for one cluster does not verify another's endpoint."""
    first = client("eks").describe_cluster(name=CLUSTER)["cluster"]
    second = make_cluster("second")
    authority = first["certificateAuthority"]["data"]
    assert authority != second["certificateAuthority"]["data"]
    context = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
    assert len(context.get_ca_certs()) == 1
    endpoint = kubernetes.endpoint_of(CLUSTER_ARN)
    assert endpoint.serves(first["endpoint"].removeprefix("https://").lower())
    assert not endpoint.serves(second["endpoint"].removeprefix("https://").lower())

"""Pod identity associations, and the credentials that pods get by them, are EKS's."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from podshare_sandbox import authorization, clock
from podshare_sandbox.services import eks, kubernetes, pod_identity, sts
from podshare_sandbox.services.kubernetes import KubernetesError
from podshare_sandbox.services.pod_identity import PodIdentityError, credentials_of_pod
from sandbox.tests.eks_accounts import (
    CLUSTER,
    CLUSTER_ARN,
    EVERYTHING,
    HUB,
    REGION,
    SCIENTIST,
    client,
    make_role,
    refused,
    running_cluster,
)

NAMESPACE, ACCOUNT = "hyperpod-ns-vision", "trainer"
TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "pods.eks.amazonaws.com"},
    "Action": ["sts:AssumeRole", "sts:TagSession"],
    "Condition": {
        "StringEquals": {
            "aws:RequestTag/eks-cluster-arn": CLUSTER_ARN,
            "aws:RequestTag/kubernetes-namespace": NAMESPACE,
            "aws:RequestTag/kubernetes-service-account": ACCOUNT,
        }
    },
}


@pytest.fixture(autouse=True)
def cluster() -> Iterator[None]:
    """A cluster with the agent, whose namespace has a service account and a pod; IAM decides every call."""
    with running_cluster(sts, eks, pod_identity, kubernetes, authorization):
        client("eks").create_addon(clusterName=CLUSTER, addonName=pod_identity.AGENT_ADDON)
        clock.advance(eks.ADDON_SECONDS)
        api = kubernetes.api_of(CLUSTER_ARN)
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        metadata = {"name": ACCOUNT, "namespace": NAMESPACE}
        api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        api.run_pod(NAMESPACE, "pod-1", ACCOUNT)
        yield
    authorization.uninstall()


def create(role: str, namespace: str = NAMESPACE, service_account: str = ACCOUNT, **more: Any) -> dict[str, Any]:
    """A new association."""
    made = client("eks").create_pod_identity_association(
        clusterName=CLUSTER, namespace=namespace, serviceAccount=service_account, roleArn=role, **more
    )
    return dict(made["association"])


def identity(credentials: authorization.Credentials) -> authorization.Principal:
    """Whose credentials they are."""
    return authorization.identify(credentials.access_key)


# --- control plane ---


def test_an_association_is_shown_as_it_was_made() -> None:
    """Create and Describe agree; the summary in lists has no role, times or tags."""
    role = make_role("data", trust=TRUST)
    made = create(role, tags={"podshare:team": "vision"})
    assert made["associationId"].startswith("a-")
    assert made["associationArn"] == (
        f"arn:aws:eks:{REGION}:{HUB}:podidentityassociation/{CLUSTER}/{made['associationId']}"
    )
    assert (made["roleArn"], made["disableSessionTags"], made["tags"]) == (role, False, {"podshare:team": "vision"})
    assert "externalId" not in made
    calls = client("eks")
    described = calls.describe_pod_identity_association(clusterName=CLUSTER, associationId=made["associationId"])
    assert described["association"] == made
    [summary] = calls.list_pod_identity_associations(clusterName=CLUSTER)["associations"]
    assert summary.keys() == {"clusterName", "namespace", "serviceAccount", "associationArn", "associationId"}
    assert calls.list_tags_for_resource(resourceArn=made["associationArn"])["tags"] == {"podshare:team": "vision"}


def test_a_service_account_has_one_association() -> None:
    """A second one is ResourceInUseException 409 naming the first, unless token and parameters are the same."""
    role = make_role("data", trust=TRUST)
    first = create(role, clientRequestToken="one")
    assert create(role, clientRequestToken="one") == first
    code, status, message = refused(create, role)
    assert (code, status) == ("ResourceInUseException", 409)
    assert message == f"Association already exists: {first['associationId']}"


def test_the_role_must_exist_in_the_clusters_account() -> None:
    """An absent role is InvalidParameterException; one of another account cannot be passed at all."""
    code, status, message = refused(create, f"arn:aws:iam::{HUB}:role/absent")
    assert (code, status) == ("InvalidParameterException", 400)
    assert message.startswith("Role provided in the request does not exist")
    assert refused(create, make_role("foreign", SCIENTIST))[0] == "AccessDeniedException"  # by iam:PassRole


def test_a_policy_needs_session_tags_off() -> None:
    """A policy comes with disableSessionTags and, in the sandbox, with a target role; it must be JSON."""
    role = make_role("data", trust=TRUST)
    policy = json.dumps(EVERYTHING)
    assert refused(create, role, policy=policy)[0] == "InvalidParameterException"
    assert refused(create, role, policy="{", disableSessionTags=True)[0] == "InvalidParameterException"
    assert refused(create, role, policy=policy, disableSessionTags=True)[0] == "InvalidParameterException"
    target = f"arn:aws:iam::{SCIENTIST}:role/target"
    assert create(role, policy=policy, disableSessionTags=True, targetRoleArn=target)["policy"] == policy


def test_associations_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The association beyond the limit (5,000 per cluster) is ResourceLimitExceededException."""
    assert pod_identity.MAX_ASSOCIATIONS == 5000
    monkeypatch.setattr(pod_identity, "MAX_ASSOCIATIONS", 1)
    role = make_role("data", trust=TRUST)
    create(role)
    assert refused(create, role, service_account="other")[:2] == ("ResourceLimitExceededException", 400)


def test_update_changes_the_role_and_delete_ends_it() -> None:
    """Update needs something to change, delete answers the association, and then it is not found."""
    one, two = make_role("one", trust=TRUST), make_role("two", trust=TRUST)
    named = {"clusterName": CLUSTER, "associationId": create(one)["associationId"]}
    calls = client("eks")
    assert refused(calls.update_pod_identity_association, **named)[0] == "InvalidParameterException"
    target = f"arn:aws:iam::{SCIENTIST}:role/target"
    changed = calls.update_pod_identity_association(**named, roleArn=two, targetRoleArn=target)["association"]
    assert (changed["roleArn"], changed["targetRoleArn"]) == (two, target)
    assert changed["externalId"] == f"{REGION}/{HUB}/{CLUSTER}/{NAMESPACE}/{ACCOUNT}"
    assert changed["modifiedAt"] > changed["createdAt"]
    assert refused(calls.update_pod_identity_association, **named, roleArn=f"{one}-absent")[0] == (
        "InvalidParameterException"
    )
    assert calls.delete_pod_identity_association(**named)["association"]["roleArn"] == two
    for call in (calls.describe_pod_identity_association, calls.delete_pod_identity_association):
        assert refused(call, **named)[:2] == ("ResourceNotFoundException", 404)


def test_lists_are_filtered_and_come_in_pages() -> None:
    """By namespace and service account; small pages hold everything once."""
    role = make_role("data", trust=TRUST)
    for namespace, account in (("a", "one"), ("a", "two"), ("b", "one")):
        create(role, namespace, account)
    calls = client("eks")

    def listed(**parameters: Any) -> list[list[str]]:
        pages = calls.get_paginator("list_pod_identity_associations").paginate(
            clusterName=CLUSTER, PaginationConfig={"PageSize": 2}, **parameters
        )
        return [[f"{each['namespace']}/{each['serviceAccount']}" for each in page["associations"]] for page in pages]

    assert listed() == [["a/one", "a/two"], ["b/one"]]
    assert listed(namespace="a", serviceAccount="two") == [["a/two"]]
    assert refused(calls.list_pod_identity_associations, clusterName="absent")[0] == "ResourceNotFoundException"


# --- data plane ---


def test_a_pod_gets_its_role_with_session_tags() -> None:
    """The session is the role's, tagged with cluster, namespace, service account and pod."""
    role = make_role("data", trust=TRUST)
    create(role)
    principal = identity(credentials_of_pod(CLUSTER_ARN, NAMESPACE, ACCOUNT, "pod-1"))
    pod = kubernetes.api_of(CLUSTER_ARN).get("Pod", NAMESPACE, "pod-1")
    assert pod is not None
    assert principal.role_arn == role
    assert principal.tags == {
        "eks-cluster-arn": CLUSTER_ARN,
        "eks-cluster-name": CLUSTER,
        "kubernetes-namespace": NAMESPACE,
        "kubernetes-service-account": ACCOUNT,
        "kubernetes-pod-name": "pod-1",
        "kubernetes-pod-uid": pod["metadata"]["uid"],
    }


def test_a_trust_for_another_service_account_gives_nothing() -> None:
    """The conditions on session tags keep the service accounts apart; without the tags nothing matches."""
    role = make_role("data", trust=TRUST)
    create(role, service_account="default")
    kubernetes.api_of(CLUSTER_ARN).run_pod(NAMESPACE, "pod-2")
    with pytest.raises(authorization.AccessDenied):
        credentials_of_pod(CLUSTER_ARN, NAMESPACE, "default", "pod-2")
    create(role, disableSessionTags=True)
    with pytest.raises(authorization.AccessDenied):
        credentials_of_pod(CLUSTER_ARN, NAMESPACE, ACCOUNT, "pod-1")


def test_a_pod_must_run_as_the_service_account() -> None:
    """No credentials without a pod, for another service account's pod, or without an association."""
    with pytest.raises(PodIdentityError, match="no association"):
        credentials_of_pod(CLUSTER_ARN, NAMESPACE, ACCOUNT, "pod-1")
    create(make_role("data", trust=TRUST))
    with pytest.raises(PodIdentityError, match="does not exist"):
        credentials_of_pod(CLUSTER_ARN, NAMESPACE, ACCOUNT, "pod-9")
    with pytest.raises(PodIdentityError, match="does not run as"):
        credentials_of_pod(CLUSTER_ARN, NAMESPACE, "default", "pod-1")
    with pytest.raises(KubernetesError, match="error looking up service account"):
        kubernetes.api_of(CLUSTER_ARN).run_pod(NAMESPACE, "pod-2", "absent")
    kubernetes.api_of(CLUSTER_ARN).delete("ServiceAccount", NAMESPACE, ACCOUNT)
    with pytest.raises(PodIdentityError, match=r"service account .* does not exist"):
        credentials_of_pod(CLUSTER_ARN, NAMESPACE, ACCOUNT, "pod-1")


def test_without_the_agent_there_are_no_credentials() -> None:
    """The add-on must be ACTIVE."""
    create(make_role("data", trust=TRUST))
    client("eks").delete_addon(clusterName=CLUSTER, addonName=pod_identity.AGENT_ADDON)
    with pytest.raises(PodIdentityError, match="eks-pod-identity-agent is not ACTIVE"):
        credentials_of_pod(CLUSTER_ARN, NAMESPACE, ACCOUNT, "pod-1")


def chain(target: str, trust: dict[str, Any], **more: Any) -> None:
    """Associate a role that may assume ``target``."""
    role = make_role("data", trust=trust)
    client("iam").put_role_policy(RoleName="data", PolicyName="chain", PolicyDocument=json.dumps(EVERYTHING))
    create(role, targetRoleArn=target, **more)


def test_a_target_role_is_reached_by_its_tags() -> None:
    """The chained session is the target role's, and its trust may ask for the session tags."""
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": {"aws:RequestTag/kubernetes-service-account": ACCOUNT}},
    }
    target = make_role("target", SCIENTIST, trust=trust)
    chain(target, TRUST)
    principal = identity(credentials_of_pod(CLUSTER_ARN, NAMESPACE, ACCOUNT, "pod-1"))
    assert principal.role_arn == target
    assert principal.tags["kubernetes-namespace"] == NAMESPACE


def test_a_target_role_is_reached_by_the_external_id() -> None:
    """Without session tags the external id tells the target role which service account comes."""
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": f"{REGION}/{HUB}/{CLUSTER}/{NAMESPACE}/{ACCOUNT}"}},
    }
    target = make_role("target", SCIENTIST, trust=trust)
    without_tags = {name: value for name, value in TRUST.items() if name != "Condition"}
    chain(target, without_tags, disableSessionTags=True)
    principal = identity(credentials_of_pod(CLUSTER_ARN, NAMESPACE, ACCOUNT, "pod-1"))
    assert (principal.role_arn, dict(principal.tags)) == (target, {})

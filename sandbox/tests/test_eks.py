"""Clusters, access entries, access policies, add-ons and tags answer, and refuse, as EKS does."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from moto import mock_aws

from podshare_sandbox import clock
from podshare_sandbox.services import eks
from sandbox.tests.eks_accounts import (
    CLUSTER,
    CLUSTER_ARN,
    HUB,
    REGION,
    SCIENTIST,
    add_administrators,
    client,
    make_cluster,
    make_role,
    refused,
)

VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
TRAINING = "arn:aws:eks::aws:cluster-access-policy/AmazonSagemakerHyperpodTrainingPolicy"


@pytest.fixture(autouse=True)
def accounts() -> Iterator[None]:
    """Two accounts, with nothing but their administrators."""
    clock.set_scale(0.001)
    with mock_aws():
        eks.install()
        add_administrators()
        yield
    clock.reset()


@pytest.fixture
def cluster() -> None:
    """A cluster without access entries."""
    make_cluster()


# --- clusters ---


def test_a_cluster_has_an_endpoint_a_real_ca_and_its_access_configuration() -> None:
    """DescribeCluster shows what a Kubernetes client needs: endpoint, CA certificate, status, mode."""
    make_cluster(bootstrapClusterCreatorAdminPermissions=True)
    described = client("eks").describe_cluster(name=CLUSTER)["cluster"]
    host = described["endpoint"].removeprefix("https://")
    hexadecimal, rest = host.split(".", 1)
    assert len(hexadecimal) == 32
    assert int(hexadecimal, 16)
    assert rest == f"gr7.{REGION}.eks.amazonaws.com"
    certificate = x509.load_pem_x509_certificate(base64.b64decode(described["certificateAuthority"]["data"]))
    assert certificate.subject == certificate.issuer
    assert described["status"] == "ACTIVE"
    assert described["accessConfig"] == {
        "authenticationMode": "API_AND_CONFIG_MAP",
        "bootstrapClusterCreatorAdminPermissions": True,
    }


def test_a_clusters_creator_becomes_its_administrator_by_an_entry() -> None:
    """Unless bootstrapping is off, CreateCluster makes the caller's entry with the cluster admin policy."""
    make_cluster(bootstrapClusterCreatorAdminPermissions=True)
    admin = f"arn:aws:iam::{HUB}:user/admin"
    assert client("eks").list_access_entries(clusterName=CLUSTER)["accessEntries"] == [admin]
    [policy] = client("eks").list_associated_access_policies(clusterName=CLUSTER, principalArn=admin)[
        "associatedAccessPolicies"
    ]
    assert policy["policyArn"].endswith("/AmazonEKSClusterAdminPolicy")
    assert policy["accessScope"] == {"type": "cluster", "namespaces": []}


@pytest.mark.usefixtures("cluster")
def test_logs_are_off_until_they_are_switched_on() -> None:
    """DescribeCluster shows which types are on; no change is refused (EKS API reference, Logging)."""
    types = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
    off = {"clusterLogging": [{"types": types, "enabled": False}]}
    assert client("eks").describe_cluster(name=CLUSTER)["cluster"]["logging"] == off
    wanted = {"clusterLogging": [{"types": ["audit"], "enabled": True}]}
    update = client("eks").update_cluster_config(name=CLUSTER, logging=wanted)["update"]
    assert (update["type"], update["params"][0]["type"]) == ("LoggingUpdate", "ClusterLogging")
    clock.advance(eks.UPDATE_SECONDS)
    shown = client("eks").describe_cluster(name=CLUSTER)["cluster"]["logging"]["clusterLogging"]
    assert shown[0] == {"types": ["audit"], "enabled": True}
    assert "audit" not in shown[1]["types"]
    code, _, message = refused(client("eks").update_cluster_config, name=CLUSTER, logging=wanted)
    assert (code, message) == ("InvalidParameterException", "No changes needed for the logging config provided")


@pytest.mark.usefixtures("cluster")
def test_a_cluster_is_created_once() -> None:
    """A second cluster of the name is ResourceInUseException 409, other names and accounts are free."""
    code, status, message = refused(make_cluster)
    assert (code, status) == ("ResourceInUseException", 409)
    assert message == f"Cluster already exists with name: {CLUSTER}"


def test_an_unknown_cluster_is_not_found() -> None:
    """Every operation on an absent cluster answers ResourceNotFoundException 404."""
    code, status, message = refused(client("eks").describe_cluster, name="absent")
    assert (code, status, message) == ("ResourceNotFoundException", 404, "No cluster found for name: absent.")
    assert refused(client("eks").list_access_entries, clusterName="absent")[0] == "ResourceNotFoundException"
    assert refused(client("eks").list_addons, clusterName="absent")[0] == "ResourceNotFoundException"


def test_access_entries_need_an_authentication_mode_that_uses_them() -> None:
    """CreateCluster's default is CONFIG_MAP, under which entries are InvalidRequestException."""
    client("eks").create_cluster(
        name="old", roleArn=f"arn:aws:iam::{HUB}:role/r", resourcesVpcConfig={"subnetIds": ["subnet-1"]}
    )
    role = make_role("team")
    code, status, message = refused(client("eks").create_access_entry, clusterName="old", principalArn=role)
    assert (code, status) == ("InvalidRequestException", 400)
    assert "authentication mode must be set to one of [API, API_AND_CONFIG_MAP]" in message
    assert refused(client("eks").list_access_entries, clusterName="old")[0] == "InvalidRequestException"


def test_the_authentication_mode_goes_one_way() -> None:
    """UpdateClusterConfig moves CONFIG_MAP to API, is UPDATING meanwhile, and never goes back."""
    client("eks").create_cluster(
        name="old", roleArn=f"arn:aws:iam::{HUB}:role/r", resourcesVpcConfig={"subnetIds": ["subnet-1"]}
    )
    clock.set_scale(1)
    change = {"authenticationMode": "API_AND_CONFIG_MAP"}
    update = client("eks").update_cluster_config(name="old", accessConfig=change)["update"]
    assert (update["type"], update["status"]) == ("AccessConfigUpdate", "InProgress")
    assert update["params"] == [{"type": "AuthenticationMode", "value": "API_AND_CONFIG_MAP"}]
    assert client("eks").describe_cluster(name="old")["cluster"]["status"] == "UPDATING"
    role = make_role("team")
    code, _, _ = refused(client("eks").create_access_entry, clusterName="old", principalArn=role)
    assert code == "InvalidRequestException"
    code, status, _ = refused(
        client("eks").update_cluster_config, name="old", accessConfig={"authenticationMode": "API"}
    )
    assert (code, status) == ("ResourceInUseException", 409)
    clock.advance(eks.UPDATE_SECONDS)
    assert client("eks").describe_update(name="old", updateId=update["id"])["update"]["status"] == "Successful"
    assert client("eks").list_access_entries(clusterName="old")["accessEntries"] == [f"arn:aws:iam::{HUB}:user/admin"]
    code, _, message = refused(
        client("eks").update_cluster_config, name="old", accessConfig={"authenticationMode": "CONFIG_MAP"}
    )
    assert code == "InvalidParameterException"
    assert message == "Unsupported authentication mode update from API_AND_CONFIG_MAP to CONFIG_MAP"


# --- access entries ---


@pytest.mark.usefixtures("cluster")
def test_an_entry_is_shown_as_it_was_made() -> None:
    """Create, Describe and List agree; a path is in the principal's ARN, not in the username and the entry's ARN."""
    role = make_role("vision", SCIENTIST, path="/podshare/")
    made = client("eks").create_access_entry(
        clusterName=CLUSTER, principalArn=role, kubernetesGroups=["hyperpod-users"], tags={"podshare:team": "vision"}
    )["accessEntry"]
    assert made["username"] == f"arn:aws:sts::{SCIENTIST}:assumed-role/vision/{{{{SessionName}}}}"
    assert made["accessEntryArn"].startswith(
        f"arn:aws:eks:{REGION}:{HUB}:access-entry/{CLUSTER}/role/{SCIENTIST}/vision/"
    )
    assert (made["type"], made["kubernetesGroups"]) == ("STANDARD", ["hyperpod-users"])
    assert made["tags"] == {"podshare:team": "vision"}
    described = client("eks").describe_access_entry(clusterName=CLUSTER, principalArn=role)["accessEntry"]
    assert described == made
    assert client("eks").list_access_entries(clusterName=CLUSTER)["accessEntries"] == [role]


@pytest.mark.parametrize(
    "principal",
    [
        f"arn:aws:iam::{HUB}:role/absent",
        f"arn:aws:iam::{HUB}:user/absent",
        f"arn:aws:iam::{HUB}:root",
        f"arn:aws:sts::{HUB}:assumed-role/team/session",
        "team",
    ],
)
@pytest.mark.usefixtures("cluster")
def test_a_principal_must_exist(principal: str) -> None:
    """Only roles and users that exist get an entry; sessions, roots and fancies do not."""
    code, status, message = refused(client("eks").create_access_entry, clusterName=CLUSTER, principalArn=principal)
    assert (code, status) == ("InvalidParameterException", 400)
    assert message == "The specified principalArn is invalid: invalid principal"


@pytest.mark.usefixtures("cluster")
def test_a_service_linked_role_gets_no_entry() -> None:
    """Access entries do not support service-linked roles."""
    client("iam").create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")
    [role] = [role["Arn"] for role in client("iam").list_roles()["Roles"] if "aws-service-role" in role["Arn"]]
    assert refused(client("eks").create_access_entry, clusterName=CLUSTER, principalArn=role)[0] == (
        "InvalidParameterException"
    )


@pytest.mark.usefixtures("cluster")
def test_a_repeated_create_is_the_same_entry_only_with_token_and_parameters() -> None:
    """The same clientRequestToken and parameters answer the entry, anything else is ResourceInUseException 409."""
    role = make_role("team")
    request = {"clusterName": CLUSTER, "principalArn": role, "clientRequestToken": "one"}
    first = client("eks").create_access_entry(**request)["accessEntry"]
    assert client("eks").create_access_entry(**request)["accessEntry"] == first
    for other in ({"clientRequestToken": "two"}, {"username": "somebody"}):
        code, status, message = refused(client("eks").create_access_entry, **{**request, **other})
        assert (code, status) == ("ResourceInUseException", 409)
        assert message == "The specified access entry resource is already in use on this cluster."


@pytest.mark.parametrize(
    "wrong",
    [
        {"username": "system:masters"},
        {"username": "eks:me"},
        {"username": "aws:me"},
        {"username": "amazon:me"},
        {"username": "iam:me"},
        {"username": "john{{SessionName}}"},
        {"username": "john{{SessionNameRaw}}:"},
        {"kubernetesGroups": ["system:masters"]},
        {"kubernetesGroups": ["ok", "eks:nodes"]},
        {"type": "GOLD"},
        {"type": "EC2_LINUX", "username": "node"},
        {"type": "EC2_LINUX", "kubernetesGroups": ["nodes"]},
        {"tags": {f"key-{number}": "" for number in range(51)}},
        {"tags": {"k" * 129: ""}},
        {"tags": {"key": "v" * 257}},
        {"tags": {"aws:key": ""}},
    ],
)
@pytest.mark.usefixtures("cluster")
def test_what_an_entry_cannot_be(wrong: dict[str, Any]) -> None:
    """Reserved prefixes, a session name without a colon, node entries with groups, and tags over the limits."""
    role = make_role("team")
    code, status, _ = refused(client("eks").create_access_entry, clusterName=CLUSTER, principalArn=role, **wrong)
    assert (code, status) == ("InvalidParameterException", 400)
    assert client("eks").list_access_entries(clusterName=CLUSTER)["accessEntries"] == []


@pytest.mark.usefixtures("cluster")
def test_a_node_entry_needs_a_role_of_the_clusters_account() -> None:
    """Types other than STANDARD take roles of the cluster's account, and but for EC2 no access policy.

    CDK API reference, GrantAccessOptions: EC2 for the node roles of EKS Auto Mode, with AmazonEKSAutoNodePolicy.
    """
    foreign = make_role("nodes", SCIENTIST)
    own = make_role("nodes")
    code, _, _ = refused(
        client("eks").create_access_entry, clusterName=CLUSTER, principalArn=foreign, type="HYPERPOD_LINUX"
    )
    assert code == "InvalidParameterException"
    entry = client("eks").create_access_entry(clusterName=CLUSTER, principalArn=own, type="HYPERPOD_LINUX")
    assert entry["accessEntry"]["username"] == "system:node:{{SessionName}}"
    code, _, _ = refused(associate, own)
    assert code == "InvalidParameterException"
    auto = make_role("auto-nodes")
    client("eks").create_access_entry(clusterName=CLUSTER, principalArn=auto, type="EC2")
    associate(auto)
    listed = client("eks").list_associated_access_policies(clusterName=CLUSTER, principalArn=auto)
    assert len(listed["associatedAccessPolicies"]) == 1


@pytest.mark.usefixtures("cluster")
def test_a_cluster_has_one_identity_provider() -> None:
    """One OpenID Connect provider at a time (EKS user guide, "Grant users access with an external OIDC provider")."""
    oidc = {"identityProviderConfigName": "corp", "issuerUrl": "https://id.example.com", "clientId": "kubernetes"}
    client("eks").associate_identity_provider_config(clusterName=CLUSTER, oidc=oidc)
    code, status, _ = refused(
        client("eks").associate_identity_provider_config,
        clusterName=CLUSTER,
        oidc={**oidc, "identityProviderConfigName": "two"},
    )
    assert (code, status) == ("ResourceInUseException", 409)
    corp = {"type": "oidc", "name": "corp"}
    assert client("eks").list_identity_provider_configs(clusterName=CLUSTER)["identityProviderConfigs"] == [corp]
    client("eks").disassociate_identity_provider_config(clusterName=CLUSTER, identityProviderConfig=corp)
    assert client("eks").list_identity_provider_configs(clusterName=CLUSTER)["identityProviderConfigs"] == []


@pytest.mark.usefixtures("cluster")
def test_entries_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry beyond the limit (3,000 per cluster) is ResourceLimitExceededException."""
    assert eks.MAX_ACCESS_ENTRIES == 3000
    monkeypatch.setattr(eks, "MAX_ACCESS_ENTRIES", 1)
    one, two = make_role("one"), make_role("two")
    client("eks").create_access_entry(clusterName=CLUSTER, principalArn=one)
    code, status, _ = refused(client("eks").create_access_entry, clusterName=CLUSTER, principalArn=two)
    assert (code, status) == ("ResourceLimitExceededException", 400)


@pytest.mark.usefixtures("cluster")
def test_update_changes_what_it_names() -> None:
    """UpdateAccessEntry replaces groups and username, each only if given, under the rules of creation."""
    role = make_role("team")
    before = client("eks").create_access_entry(clusterName=CLUSTER, principalArn=role, kubernetesGroups=["a"])
    changed = client("eks").update_access_entry(clusterName=CLUSTER, principalArn=role, username="team")["accessEntry"]
    assert (changed["username"], changed["kubernetesGroups"]) == ("team", ["a"])
    assert changed["modifiedAt"] > before["accessEntry"]["modifiedAt"]
    emptied = client("eks").update_access_entry(clusterName=CLUSTER, principalArn=role, kubernetesGroups=[])
    assert emptied["accessEntry"]["kubernetesGroups"] == []
    code, _, _ = refused(
        client("eks").update_access_entry, clusterName=CLUSTER, principalArn=role, kubernetesGroups=["system:masters"]
    )
    assert code == "InvalidParameterException"


@pytest.mark.usefixtures("cluster")
def test_an_absent_entry_is_not_found() -> None:
    """Describe, update, delete, associate and list of an absent entry are ResourceNotFoundException 404."""
    role = make_role("team")
    named = {"clusterName": CLUSTER, "principalArn": role}
    calls = client("eks")
    for call in (
        calls.describe_access_entry,
        calls.update_access_entry,
        calls.delete_access_entry,
        calls.list_associated_access_policies,
    ):
        code, status, message = refused(call, **named)
        assert (code, status) == ("ResourceNotFoundException", 404)
        assert message.startswith("The specified principalArn could not be found.")
    assert refused(associate, role)[0] == "ResourceNotFoundException"


@pytest.mark.usefixtures("cluster")
def test_delete_takes_the_associations_with_it() -> None:
    """An entry that is made again has no policies."""
    role = make_role("team")
    client("eks").create_access_entry(clusterName=CLUSTER, principalArn=role)
    associate(role)
    client("eks").delete_access_entry(clusterName=CLUSTER, principalArn=role)
    client("eks").create_access_entry(clusterName=CLUSTER, principalArn=role)
    assert associated(role) == []


@pytest.mark.usefixtures("cluster")
def test_an_entry_of_a_recreated_role_looks_healthy() -> None:
    """EKS keeps the role's unique id: the entry stays as it was, though the role of that name is another."""
    role = make_role("team")
    client("eks").create_access_entry(clusterName=CLUSTER, principalArn=role)
    before = client("eks").describe_access_entry(clusterName=CLUSTER, principalArn=role)["accessEntry"]
    client("iam").delete_role(RoleName="team")
    make_role("team")
    assert client("eks").describe_access_entry(clusterName=CLUSTER, principalArn=role)["accessEntry"] == before
    [entry] = eks.ClusterExtension.of(eks.cluster_of(CLUSTER_ARN)).resources(eks.AccessEntry).values()
    assert entry.principal_id != eks.principal_id(role)


# --- access policies ---


def associate(principal: str, policy: str = VIEW, **scope: Any) -> dict[str, Any]:
    """Associate a policy, by default with the namespace hyperpod-ns-vision."""
    accessed = scope or {"type": "namespace", "namespaces": ["hyperpod-ns-vision"]}
    answer = client("eks").associate_access_policy(
        clusterName=CLUSTER, principalArn=principal, policyArn=policy, accessScope=accessed
    )
    return dict(answer["associatedAccessPolicy"])


def associated(principal: str) -> list[tuple[str, list[str]]]:
    """The associated policies with their namespaces."""
    answer = client("eks").list_associated_access_policies(clusterName=CLUSTER, principalArn=principal)
    return [(each["policyArn"], each["accessScope"]["namespaces"]) for each in answer["associatedAccessPolicies"]]


@pytest.fixture
def entry() -> str:
    """The ARN of a role that has an entry."""
    make_cluster()
    role = make_role("team")
    client("eks").create_access_entry(clusterName=CLUSTER, principalArn=role)
    return role


def test_access_policies_carry_eks_and_hyperpod_names() -> None:
    """ListAccessPolicies knows the policies that podshare grants, under their real ARNs."""
    listed = {policy["name"]: policy["arn"] for policy in client("eks").list_access_policies()["accessPolicies"]}
    for name in (
        "AmazonEKSViewPolicy",
        "AmazonEKSEditPolicy",
        "AmazonEKSAdminPolicy",
        "AmazonSagemakerHyperpodInferencePolicy",
        "AmazonSagemakerHyperpodSpacePolicy",
        "AmazonSagemakerHyperpodSpaceTemplatePolicy",
        "AmazonSagemakerHyperpodTrainingPolicy",
        "AmazonSagemakerHyperpodUserClusterPolicy",
    ):
        assert listed[name] == f"arn:aws:eks::aws:cluster-access-policy/{name}"


def test_associating_again_replaces_the_scope(entry: str) -> None:
    """AssociateAccessPolicy is an upsert: one association per policy, with the latest scope."""
    first = associate(entry)
    associate(entry, TRAINING)
    second = associate(entry, type="namespace", namespaces=["hyperpod-ns-audio", "dev-*"])
    assert second["associatedAt"] == first["associatedAt"]
    assert associated(entry) == [(VIEW, ["hyperpod-ns-audio", "dev-*"]), (TRAINING, ["hyperpod-ns-vision"])]


@pytest.mark.parametrize(
    "scope",
    [
        {"type": "namespace"},
        {"type": "namespace", "namespaces": []},
        {"type": "cluster", "namespaces": ["hyperpod-ns-vision"]},
        {"namespaces": ["hyperpod-ns-vision"]},
        {"type": "namespace", "namespaces": ["No_Such_Name"]},
        {"type": "namespace", "namespaces": ["a*b"]},
        {"type": "galaxy"},
    ],
)
def test_a_scope_must_make_sense(entry: str, scope: dict[str, Any]) -> None:
    """Namespaces are required for a namespace scope, forbidden for the cluster's, and named like namespaces."""
    code, status, _ = refused(associate, entry, **scope)
    assert (code, status) == ("InvalidParameterException", 400)
    assert associated(entry) == []


def test_an_unknown_policy_is_refused(entry: str) -> None:
    """A HyperPod policy without AmazonSagemaker in its name does not exist."""
    wrong = "arn:aws:eks::aws:cluster-access-policy/HyperpodTrainingPolicy"
    assert refused(associate, entry, policy=wrong)[0] == "InvalidParameterException"


def test_disassociating_what_is_not_associated_is_not_found(entry: str) -> None:
    """DisassociateAccessPolicy works once, then answers ResourceNotFoundException 404."""
    associate(entry)
    named = {"clusterName": CLUSTER, "principalArn": entry, "policyArn": VIEW}
    client("eks").disassociate_access_policy(**named)
    assert associated(entry) == []
    code, status, _ = refused(client("eks").disassociate_access_policy, **named)
    assert (code, status) == ("ResourceNotFoundException", 404)


# --- add-ons ---


@pytest.mark.usefixtures("cluster")
def test_an_addon_takes_its_time() -> None:
    """CREATING, then ACTIVE; DELETING, then not found."""
    clock.set_scale(1)
    name = {"clusterName": CLUSTER, "addonName": "eks-pod-identity-agent"}
    assert client("eks").create_addon(**name)["addon"]["status"] == "CREATING"
    clock.advance(eks.ADDON_SECONDS)
    described = client("eks").describe_addon(**name)["addon"]
    assert (described["status"], described["health"]) == ("ACTIVE", {"issues": []})
    assert client("eks").delete_addon(**name)["addon"]["status"] == "DELETING"
    assert client("eks").describe_addon(**name)["addon"]["status"] == "DELETING"
    clock.advance(eks.ADDON_SECONDS)
    code, status, message = refused(client("eks").describe_addon, **name)
    assert (code, status) == ("ResourceNotFoundException", 404)
    assert message == f"No addon: eks-pod-identity-agent found in cluster: {CLUSTER}"


@pytest.mark.usefixtures("cluster")
def test_an_addon_must_be_known_and_new() -> None:
    """An unknown add-on is InvalidParameterException, a second one ResourceInUseException 409."""
    assert refused(client("eks").create_addon, clusterName=CLUSTER, addonName="magic")[:2] == (
        "InvalidParameterException",
        400,
    )
    client("eks").create_addon(clusterName=CLUSTER, addonName="vpc-cni")
    assert refused(client("eks").create_addon, clusterName=CLUSTER, addonName="vpc-cni")[:2] == (
        "ResourceInUseException",
        409,
    )


# --- lists, tags, models ---


@pytest.mark.usefixtures("cluster")
def test_lists_come_in_pages() -> None:
    """Small pages hold everything once, and the last has no token."""
    calls = client("eks")
    roles = [make_role(f"team-{number}") for number in range(5)]
    for role in roles:
        calls.create_access_entry(clusterName=CLUSTER, principalArn=role)
        associate(role, TRAINING if role == roles[3] else VIEW)
    for policy in (TRAINING, VIEW):
        associate(roles[0], policy)
    for addon in ("vpc-cni", "coredns", "kube-proxy"):
        calls.create_addon(clusterName=CLUSTER, addonName=addon)

    def pages(operation: str, member: str, **parameters: Any) -> list[list[Any]]:
        paginator = calls.get_paginator(operation)
        return [page[member] for page in paginator.paginate(PaginationConfig={"PageSize": 2}, **parameters)]

    entries = pages("list_access_entries", "accessEntries", clusterName=CLUSTER)
    assert entries == [roles[:2], roles[2:4], roles[4:]]
    filtered = pages("list_access_entries", "accessEntries", clusterName=CLUSTER, associatedPolicyArn=TRAINING)
    assert filtered == [[roles[0], roles[3]]]
    assert pages("list_addons", "addons", clusterName=CLUSTER) == [["coredns", "kube-proxy"], ["vpc-cni"]]
    first = calls.list_associated_access_policies(clusterName=CLUSTER, principalArn=roles[0], maxResults=1)
    assert first["associatedAccessPolicies"][0]["policyArn"] == VIEW
    rest = calls.list_associated_access_policies(
        clusterName=CLUSTER, principalArn=roles[0], maxResults=1, nextToken=first["nextToken"]
    )
    assert rest["associatedAccessPolicies"][0]["policyArn"] == TRAINING
    assert "nextToken" not in rest
    assert calls.list_access_policies(maxResults=2)["nextToken"]


@pytest.mark.parametrize("wrong", [{"maxResults": 101}, {"nextToken": "nonsense"}])
@pytest.mark.usefixtures("cluster")
def test_a_page_is_at_most_a_hundred_and_tokens_are_checked(wrong: dict[str, Any]) -> None:
    """maxResults over 100, or a token that nobody gave out, is InvalidParameterException."""
    code, _, _ = refused(client("eks").list_access_entries, clusterName=CLUSTER, **wrong)
    assert code == "InvalidParameterException"


def test_everything_of_a_cluster_can_be_tagged(entry: str) -> None:
    """Tags of the cluster, an entry and an add-on are added, read and removed by ARN; unknown ARNs are not found."""
    calls = client("eks")
    arns = [
        CLUSTER_ARN,
        calls.describe_access_entry(clusterName=CLUSTER, principalArn=entry)["accessEntry"]["accessEntryArn"],
        calls.create_addon(clusterName=CLUSTER, addonName="vpc-cni")["addon"]["addonArn"],
    ]
    for arn in arns:
        calls.tag_resource(resourceArn=arn, tags={"team": "vision", "stage": "test"})
        calls.untag_resource(resourceArn=arn, tagKeys=["stage"])
        assert calls.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "vision"}
    described = calls.describe_access_entry(clusterName=CLUSTER, principalArn=entry)["accessEntry"]
    assert described["tags"] == {"team": "vision"}
    assert refused(calls.list_tags_for_resource, resourceArn=arns[1] + "x")[:2] == ("NotFoundException", 404)
    too_many = {f"key-{number}": "" for number in range(50)}
    assert refused(calls.tag_resource, resourceArn=arns[1], tags=too_many)[:2] == ("BadRequestException", 400)

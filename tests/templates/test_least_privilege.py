"""Least privilege: no service is a confused deputy, no member role raises anybody's permissions, and the page is true."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from podshare.policy import policies
from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import authorization
from podshare_sandbox.authorization import catalog
from podshare_sandbox.cloudformation import template
from podshare_sandbox.organization import DATA, EKS_CLUSTER, HUB, HUB_REGION, IMAGES_BUCKET
from podshare_sandbox.sandbox import Sandbox
from tests.checks.expanded_template import ROOT, expanded
from tests.scenarios.test_permissions import UNUSED
from tests.templates import permissions_page
from tests.templates.test_permissions import (
    ACCOUNTS,
    EVERYTHING,
    MEMBER_ROLES,
    SCIENTIST,
    SYSTEM,
    Clients,
    assume_policy,
    boundary,
    denied,
    document,
    inline_policies,
    listed,
    member,
    system_roles,
    team_role,
    trust,
)

TEMPLATES = {
    path.name: template.read(path)
    for path in sorted((ROOT / "accounts").glob("*.yaml"))
    if "AWSTemplateFormatVersion" in path.read_text()
}
TEMPLATES["template.yaml"] = expanded()
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
SOURCE_KEYS = {"aws:SourceAccount", "aws:SourceArn"}


# --- services act for nobody else ---------------------------------------------------------------------------------


def of_type(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The resources of a type in all templates, with their names."""
    for path, found in TEMPLATES.items():
        for name, resource in found["Resources"].items():
            if resource["Type"] == kind:
                yield f"{path} {name}", resource["Properties"]


def by_services(policy: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The statements that admit a service of AWS."""
    for statement in listed(policy["Statement"]):
        if statement["Effect"] == "Allow" and "Service" in statement.get("Principal", {}):
            yield statement


def keys(statement: dict[str, Any]) -> set[str]:
    return {key for tests in statement.get("Condition", {}).values() for key in tests}


def test_no_service_is_a_confused_deputy() -> None:
    """Each role that trusts a service does so for this account and what is named, in all templates."""
    trusts = [
        (name, one) for name, role in of_type("AWS::IAM::Role") for one in by_services(role["AssumeRolePolicyDocument"])
    ]
    assert len(trusts) >= 20
    for name, statement in trusts:
        assert keys(statement) == SOURCE_KEYS, name
        for operator, tests in statement["Condition"].items():
            # whether these services send the keys is not documented; the others promise them
            lenient = statement["Principal"]["Service"] in ("lambda.amazonaws.com", "events.amazonaws.com")
            assert operator.endswith("IfExists") == lenient, name
            if account := tests.get("aws:SourceAccount"):
                assert account == {"Ref": "AWS::AccountId"}, name
            for arn in listed(tests.get("aws:SourceArn", [])):
                assert "${AWS::AccountId}" in json.dumps(arn), name


def test_no_queue_takes_from_a_service_for_others() -> None:
    """A queue takes messages of a service only for the rule, or the function, that is named."""
    queues = [
        (name, one)
        for name, policy in of_type("AWS::SQS::QueuePolicy")
        for one in by_services(policy["PolicyDocument"])
    ]
    assert queues
    for name, statement in queues:
        assert "aws:SourceArn" in keys(statement), name


def test_no_function_is_called_by_a_service_for_others() -> None:
    """A function is called only by the rule that is named."""
    permissions = list(of_type("AWS::Lambda::Permission"))
    assert permissions
    for name, permission in permissions:
        assert permission.get("SourceArn"), name


# --- conditions that hold when they should ---------------------------------------------------------------------------

# of requests that tell several values (IAM User Guide, "AWS global condition context keys")
MULTIVALUED = {"aws:TagKeys", "aws:CalledVia", "aws:PrincipalOrgPaths", "aws:ResourceOrgPaths", "aws:SourceOrgPaths"}
# a request without groups lets in nobody by a group
HARMLESS_WITHOUT = {"eks:kubernetesGroups"}


def conditions(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The effect and condition of every statement of any kind of policy within ``value``."""
    if isinstance(value, dict):
        if "Effect" in value and "Condition" in value:
            yield value["Effect"], value["Condition"]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from conditions(one)


def is_multivalued(key: str) -> bool:
    return key in MULTIVALUED or catalog.is_multivalued(key)


def test_keys_of_several_values_are_compared_as_sets() -> None:
    """A key that may hold several values needs a set operator, and no other key has one.

    Source: IAM User Guide, "Single-valued vs. multivalued context keys".
    """
    found = [
        (operator, key)
        for _, condition in conditions(list(TEMPLATES.values()))
        for operator, tests in condition.items()
        for key in tests
        if operator != "Null"
    ]
    assert {key for _, key in found if is_multivalued(key)} >= {"events:source", "eks:namespaces"}
    for operator, key in found:
        assert operator.startswith("For") == is_multivalued(key), (operator, key)


def test_what_holds_for_all_values_holds_for_none_only_where_that_is_harmless() -> None:
    """ForAllValues allows a request that does not tell the key at all, unless Null asks for it beside.

    Source: IAM User Guide, "Set operators for multivalued context keys".
    """
    for effect, condition in conditions(list(TEMPLATES.values())):
        keys_of_all = {key for operator, tests in condition.items() if operator.startswith("ForAll") for key in tests}
        there = {key for key, absent in condition.get("Null", {}).items() if absent == "false"}
        assert effect == "Deny" or keys_of_all <= there | HARMLESS_WITHOUT, condition


def test_pod_identity_is_no_confused_deputy() -> None:
    """The roles that podshare makes for pods name the cluster, the namespace, the service account and the account."""
    cluster = f"arn:aws:eks:{HUB_REGION}:{HUB}:cluster/{EKS_CLUSTER}"
    (statement,) = by_services(policies.trust_pod_identity(HUB, cluster, "hyperpod-ns-vision", "trainer"))
    assert keys(statement) >= SOURCE_KEYS
    assert {key for key in keys(statement) if key.startswith("aws:RequestTag/")} == {
        f"aws:RequestTag/{tag}" for tag in ("eks-cluster-arn", "kubernetes-namespace", "kubernetes-service-account")
    }


# --- ways to more permissions, each of them tried ------------------------------------------------------------------


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The organization with podshare's stacks."""
    with Sandbox(time_scale=0.001) as running:
        deploy_podshare(running, {"Notifications": "on"})
        yield running


@pytest.fixture(scope="module")
def identity(sandbox: Sandbox) -> Clients:
    return member(sandbox, "identity", HUB)


@pytest.fixture(scope="module")
def own(sandbox: Sandbox) -> str:
    """The name of a role as podshare makes them."""
    return team_role(sandbox, "podshare-vision-0e5ca1a7").rpartition("/")[2]


@pytest.fixture(scope="module")
def foreign(sandbox: Sandbox) -> str:
    """The name of a role of others, with a boundary of their own."""
    sandbox.client("iam").create_role(RoleName="payroll", AssumeRolePolicyDocument=trust())
    return "payroll"


def test_a_role_without_the_boundary(sandbox: Sandbox, identity: Clients) -> None:
    """None is made without it, with another, or under another path."""
    make, role = (
        identity("iam").create_role,
        {"RoleName": "podshare-more-00000000", "AssumeRolePolicyDocument": trust()},
    )
    assert denied(make, **role, Path="/podshare/")
    assert denied(make, **role, Path="/podshare/", PermissionsBoundary=ADMINISTRATOR)
    assert denied(make, **role, Path="/podshare/", PermissionsBoundary=assume_policy(sandbox, HUB))
    for path in ("/", SYSTEM, "/podshare", "/podshare-more/"):
        if path.endswith("/"):
            assert denied(make, **role, Path=path, PermissionsBoundary=boundary(sandbox, HUB))


def test_another_boundary(sandbox: Sandbox, identity: Clients, own: str, foreign: str) -> None:
    """It is neither changed, nor replaced, nor taken from a role."""
    iam, arn = identity("iam"), boundary(sandbox, HUB)
    assert denied(iam.create_policy_version, PolicyArn=arn, PolicyDocument=EVERYTHING, SetAsDefault=True)
    assert denied(iam.set_default_policy_version, PolicyArn=arn, VersionId="v1")
    assert denied(iam.delete_policy, PolicyArn=arn)
    assert denied(iam.create_policy, PolicyName="podshare-boundary", PolicyDocument=EVERYTHING)
    assert denied(iam.put_role_permissions_boundary, RoleName=own, PermissionsBoundary=ADMINISTRATOR)
    for role in (own, foreign):
        assert denied(iam.delete_role_permissions_boundary, RoleName=role)


@pytest.mark.parametrize("role", ["podshare-identity", "podshare-cluster", "podshare-read", "podshare-apply-identity"])
def test_the_roles_of_the_stacks(identity: Clients, role: str) -> None:
    """Neither trust nor policies of podshare's own roles change through them, nor their sessions or tags."""
    iam = identity("iam")
    assert denied(iam.update_assume_role_policy, RoleName=role, PolicyDocument=trust())
    assert denied(iam.put_role_policy, RoleName=role, PolicyName="more", PolicyDocument=EVERYTHING)
    assert denied(iam.delete_role_policy, RoleName=role, PolicyName="work")
    assert denied(iam.attach_role_policy, RoleName=role, PolicyArn=ADMINISTRATOR)
    assert denied(iam.detach_role_policy, RoleName=role, PolicyArn=ADMINISTRATOR)
    assert denied(iam.update_role, RoleName=role, MaxSessionDuration=43200)
    assert denied(iam.tag_role, RoleName=role, Tags=[{"Key": "podshare:boundary", "Value": ADMINISTRATOR}])
    assert denied(iam.delete_role, RoleName=role)


def test_a_role_of_others(identity: Clients, foreign: str) -> None:
    """It gets no policy but the stack's fixed one, no other trust, no inline policy and no end."""
    iam = identity("iam")
    assert denied(iam.attach_role_policy, RoleName=foreign, PolicyArn=ADMINISTRATOR)
    assert denied(iam.detach_role_policy, RoleName=foreign, PolicyArn=ADMINISTRATOR)
    assert denied(iam.update_assume_role_policy, RoleName=foreign, PolicyDocument=trust())
    assert denied(iam.put_role_policy, RoleName=foreign, PolicyName="more", PolicyDocument=EVERYTHING)
    assert denied(iam.delete_role, RoleName=foreign)


def test_other_principals(identity: Clients) -> None:
    """No user, group, key, profile or provider is made."""
    iam = identity("iam")
    assert denied(iam.create_user, UserName="eve")
    assert denied(iam.create_access_key, UserName="admin")
    assert denied(iam.create_login_profile, UserName="admin", Password="correct-horse-1")
    assert denied(iam.attach_user_policy, UserName="admin", PolicyArn=ADMINISTRATOR)
    assert denied(iam.put_user_policy, UserName="admin", PolicyName="more", PolicyDocument=EVERYTHING)
    assert denied(iam.create_group, GroupName="more")
    assert denied(iam.create_instance_profile, InstanceProfileName="more")


@pytest.mark.parametrize("work", sorted({work for works in MEMBER_ROLES.values() for work in works} - {"organization"}))
def test_a_role_is_passed_to_pods_alone(sandbox: Sandbox, work: str) -> None:
    """No member role hands a role to a service, but the one for clusters a team's role to EKS Pod Identity."""
    account = next(account for account, works in MEMBER_ROLES.items() if work in works and account != SCIENTIST)
    role = f"arn:aws:iam::{account}:role{SYSTEM}podshare-identity"
    clients = member(sandbox, work, account)
    code = {"ZipFile": b"PK"}
    make = {"FunctionName": "more", "Runtime": "python3.13", "Handler": "a.b", "Code": code}
    assert denied(clients("lambda").create_function, **make, Role=role)
    assert denied(clients("stepfunctions").create_state_machine, name="more", definition="{}", roleArn=role)
    place = {"clusterName": EKS_CLUSTER, "namespace": "hyperpod-ns-vision", "serviceAccount": "more"}
    tags = {"podshare:managed-by": f"podshare@{HUB}"}
    assert denied(clients("eks").create_pod_identity_association, **place, roleArn=role, tags=tags)


def test_an_entry_for_others(sandbox: Sandbox, foreign: str) -> None:
    """The cluster lets in nobody but teams' roles: no role, user or account of others, not podshare's own roles."""
    eks = member(sandbox, "cluster", HUB)("eks")
    for principal in (
        f"role/{foreign}",
        "user/admin",
        f"role{SYSTEM}podshare-cluster",
        f"role{SYSTEM}podshare-apply-cluster",
    ):
        assert denied(eks.create_access_entry, clusterName=EKS_CLUSTER, principalArn=f"arn:aws:iam::{HUB}:{principal}")
    other = f"arn:aws:iam::{SCIENTIST}:role/podshare/podshare-vision-scientist"
    assert denied(eks.create_access_entry, clusterName=EKS_CLUSTER, principalArn=other)


def test_an_entry_for_the_whole_cluster(sandbox: Sandbox, own: str) -> None:
    """A team's role gets no policy that spans the cluster but the one that shows it, and none of administrators."""
    eks = member(sandbox, "cluster", HUB)("eks")
    entry = {"clusterName": EKS_CLUSTER, "principalArn": f"arn:aws:iam::{HUB}:role/podshare/{own}"}
    eks.create_access_entry(**entry)
    policy = "arn:aws:eks::aws:cluster-access-policy/"
    for name in ("ClusterAdmin", "Admin", "Edit", "View", "AdminView"):
        given = {**entry, "policyArn": f"{policy}AmazonEKS{name}Policy"}
        assert denied(eks.associate_access_policy, **given, accessScope={"type": "cluster"})
    namespace = {"type": "namespace", "namespaces": ["kube-system"]}
    assert denied(eks.associate_access_policy, **entry, policyArn=f"{policy}AmazonEKSEditPolicy", accessScope=namespace)
    assert denied(eks.update_access_entry, **entry, kubernetesGroups=["system:masters"])


def test_a_cluster_made_weaker(sandbox: Sandbox) -> None:
    """The role for clusters changes nothing about the cluster itself."""
    clients = member(sandbox, "cluster", HUB)
    access = {"authenticationMode": "CONFIG_MAP"}
    assert denied(clients("eks").update_cluster_config, name=EKS_CLUSTER, accessConfig=access)
    assert denied(clients("eks").delete_cluster, name=EKS_CLUSTER)


def test_a_bucket_that_is_not_listed(sandbox: Sandbox) -> None:
    """Neither its policy nor its public access block changes; of a listed one the policy alone."""
    sandbox.client("s3", DATA).create_bucket(
        Bucket="payroll-333333333333", CreateBucketConfiguration={"LocationConstraint": HUB_REGION}
    )
    s3 = member(sandbox, "data", DATA)("s3")
    opened = document(Principal="*", Action="s3:GetObject", Resource="arn:aws:s3:::payroll-333333333333/*")
    assert denied(s3.put_bucket_policy, Bucket="payroll-333333333333", Policy=opened)
    assert denied(s3.delete_bucket_policy, Bucket="payroll-333333333333")
    for bucket in ("payroll-333333333333", IMAGES_BUCKET):
        assert denied(s3.delete_public_access_block, Bucket=bucket)
        assert denied(s3.put_bucket_acl, Bucket=bucket, ACL="public-read")
        assert denied(s3.get_object, Bucket=bucket, Key="private/README.md")


def test_each_other(sandbox: Sandbox) -> None:
    """A session of a member role assumes no other role of podshare's, whose trusts name functions alone."""
    for account, works in MEMBER_ROLES.items():
        for work in sorted(works):
            sts = member(sandbox, work, account)("sts")
            for other in sorted(works - {work}):
                arn = f"arn:aws:iam::{account}:role{SYSTEM}podshare-{other}"
                assert denied(sts.assume_role, RoleArn=arn, RoleSessionName="more"), (work, other)


def test_refusals_are_iams(sandbox: Sandbox) -> None:
    """All of the above was refused by IAM, to the member role itself: nothing was tried that would have passed."""
    refused = {one.principal.rpartition("/")[2] for one in authorization.decisions() if not one.allowed}
    works = {work for works in MEMBER_ROLES.values() for work in works} - {"organization"}
    assert {f"podshare-{work}" for work in works} <= refused
    assert not sandbox.client("iam").list_users(PathPrefix="/podshare")["Users"]


# --- the page -----------------------------------------------------------------------------------------------------


def test_the_page_is_what_the_templates_say(request: pytest.FixtureRequest) -> None:
    """docs/permissions.md lists every statement of every role and policy (make golden writes it anew)."""
    text = permissions_page.page()
    if request.config.getoption("--update-golden"):
        permissions_page.PAGE.write_text(text, encoding="utf-8")
    written = permissions_page.PAGE.read_text(encoding="utf-8") if permissions_page.PAGE.exists() else ""
    assert written == text, "docs/permissions.md differs; if that is right, run `make golden` and review the diff"


def test_every_wildcard_has_a_reason_and_every_reason_a_wildcard() -> None:
    """A reason that no statement needs any more goes."""
    assert permissions_page.wildcards() == set(permissions_page.WILDCARDS)


def test_the_page_is_what_iam_holds(sandbox: Sandbox) -> None:
    """The roles on the page are those that are deployed, and IAM holds the actions that are written, no more or fewer."""
    held: dict[str, set[str]] = {}
    attached: dict[str, set[str]] = {}
    for account in ACCOUNTS:
        iam = sandbox.client("iam", account)
        for role in system_roles(sandbox, account):
            name = role["RoleName"]
            actions = held.setdefault(name, set())
            for policy in inline_policies(sandbox, account, name):
                actions |= {action for one in policy["Statement"] for action in listed(one.get("Action", []))}
            policies_of_role = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
            attached[name] = {policy["PolicyName"] for policy in policies_of_role}
    told = {bearer.name: bearer for bearer in all_bearers() if bearer.trust}

    assert held == {name: actions_of(bearer) for name, bearer in told.items()}
    assert attached == {name: set(bearer.policies) for name, bearer in told.items()}


def test_what_is_not_always_used_is_granted() -> None:
    """Each exception of the test of use is of an action that the page lists for its role."""
    every = {bearer.name: bearer for bearer in all_bearers()}
    for role, action in UNUSED:
        held = actions_of(every[role]).union(*(actions_of(every[policy]) for policy in every[role].policies))
        assert action in {"*", *held}, (role, action)


def all_bearers() -> list[permissions_page.Bearer]:
    return [bearer for stack in permissions_page.STACKS.values() for bearer in permissions_page.bearers(stack)]


def actions_of(bearer: permissions_page.Bearer) -> set[str]:
    return {action for one in bearer.statements for action in listed(one.get("Action", []))}

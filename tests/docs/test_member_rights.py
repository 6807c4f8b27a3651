"""The security model says all that a member role may do, in AWS and in Kubernetes, and nothing else."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
import yaml

from tests.docs.pages import DEPLOY, ROOT, SANDBOX, SECURITY, code
from tests.docs.test_reference import DRIFT, MANAGEMENT, MEMBER, listed, name, of_type, roles, statements

RBAC = [*yaml.safe_load_all((ROOT / "accounts/cluster-rbac.yaml").read_text(encoding="utf-8"))]
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
# for each role: what the page says of it, and the actions that this is about
RIGHTS: dict[str, dict[str, str]] = {
    "podshare-read": {
        "read roles": "iam:GetRole iam:ListRoles iam:*RolePolic*",
        "what IAM returns of an account as a whole": "iam:GetAccountAuthorizationDetails iam:GetAccountSummary",
        "parameters `/podshare/teams/*`": "ssm:GetParameter ssm:ListTagsForResource",
        "the listed clusters": "eks:DescribeCluster sagemaker:DescribeCluster",
        "entries": "eks:ListAccessEntries eks:DescribeAccessEntry eks:ListAssociatedAccessPolicies",
        "identity providers": "eks:ListIdentityProviderConfigs",
        "associations": "eks:*PodIdentityAssociation*",
        "add-ons": "eks:DescribeAddon",
        "quotas": "sagemaker:*ComputeQuota* sagemaker:ListTags",
        "scheduler configs": "sagemaker:*ClusterSchedulerConfig*",
        "EC2's instance types": "ec2:DescribeInstanceTypes",
        "access points with their policies": "s3:*AccessPoint* s3:ListTagsForResource",
        "file systems with their links and zones": "fsx:Describe* ec2:DescribeSubnets",
        "buckets' policies and settings": "s3:GetBucket* s3:GetEncryptionConfiguration",
        "keys' grants and policies": "kms:DescribeKey kms:GetKeyPolicy kms:ListGrants",
    },
    "podshare-identity": {
        "create, change and delete roles under `/podshare/`": "iam:*Role iam:*RolePolic* iam:*AssumeRolePolicy"
        " iam:PutRolePermissionsBoundary",
        "attach the one policy": "iam:AttachRolePolicy",
        "detach it": "iam:DetachRolePolicy",
        "create, change and delete the parameters `/podshare/teams/*`": "ssm:*",
    },
    "podshare-cluster": {
        "access entries": "eks:*AccessEntry eks:*AccessPolic*",
        "pod identity associations": "eks:*PodIdentityAssociation*",
        "pass roles under `/podshare/` to pods": "iam:PassRole iam:GetRole",
        "tags": "eks:*agResource fsx:*agResource sagemaker:*Tags",
        "compute quotas": "sagemaker:*ComputeQuota*",
        "scheduler configs": "sagemaker:*ClusterSchedulerConfig*",
        "data repository associations": "fsx:*DataRepositoryAssociation*",
        "let Amazon FSx create and change its service-linked role": "iam:CreateServiceLinkedRole iam:*RolePolicy",
        "through a service": "s3:Get* s3:List* s3:PutObject",
    },
    "podshare-kubernetes": {"describe the listed clusters": "eks:DescribeCluster"},
    "podshare-data": {
        "create, change and delete access points `podshare-*`": "s3:*AccessPoint* s3:ListTagsForResource s3:*agResource",
        "edit the policies of the buckets in `BucketNames`": "s3:*BucketPolicy",
        "grant keys in `KmsKeyArns`": "kms:CreateGrant kms:ListGrants",
        "revoke their grants": "kms:RevokeGrant",
    },
    "podshare-forward-drift": {"put events on the hub's bus `podshare-drift`": "events:PutEvents"},
}


def allowed(role: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The actions that a role's policies allow, each with its statements, also those that hang on a condition."""
    actions: dict[str, list[dict[str, Any]]] = {}
    for each in statements(role):
        statement = each["Fn::If"][1] if "Fn::If" in each else each
        for action in listed(statement["Action"]) if statement["Effect"] == "Allow" else ():
            actions.setdefault(action, []).append(statement)
    return actions


@pytest.mark.parametrize("role", sorted(roles(MEMBER)))
def test_all_that_a_member_role_may_is_reported(role: str) -> None:
    """Each action that a role is allowed has its words in the role's row, and no words are about an action of nobody."""
    (may,) = (row[2] for row in SECURITY.table("The member roles") if code(row[0]) == [role])
    actions = allowed(roles(MEMBER)[role])
    patterns = {words: about.split() for words, about in RIGHTS[role].items()}

    assert [words for words in patterns if words not in may] == []
    every = [pattern for about in patterns.values() for pattern in about]
    assert [action for action in actions if not any(fnmatchcase(action, pattern) for pattern in every)] == []
    assert [pattern for pattern in every if not any(fnmatchcase(action, pattern) for action in actions)] == []


def test_access_policies_that_can_be_given_are_counted() -> None:
    """How many access policies an entry can get on a team's namespace is what the policy lists."""
    (may,) = (row[2] for row in SECURITY.table("The member roles") if code(row[0]) == ["podshare-cluster"])
    given = allowed(roles(MEMBER)["podshare-cluster"])["eks:AssociateAccessPolicy"]
    (policies,) = (
        each["Condition"]["StringEquals"]["eks:policyArn"] for each in given if each["Sid"] == "OpenNamespaces"
    )

    assert f"with {NUMBERS[len(policies)]} access policies on single namespaces `hyperpod-ns-*`" in may


def rules(cluster_role: str) -> dict[str, set[str]]:
    """The verbs of a ClusterRole by resource, and by name where it names one."""
    verbs: dict[str, set[str]] = {}
    (role,) = (each for each in RBAC if each["kind"] == "ClusterRole" and each["metadata"]["name"] == cluster_role)
    for rule in role["rules"]:
        for resource in rule["resources"]:
            for own_name in rule.get("resourceNames", [""]):
                verbs.setdefault(f"{resource} {own_name}".strip(), set()).update(rule["verbs"])
    return verbs


def test_verbs_in_the_cluster_are_reported() -> None:
    """The table of verbs is what both ClusterRoles allow, resource by resource."""
    table = SECURITY.tables("The member roles")[1]

    for place, cluster_role in enumerate(("podshare-kubernetes", "podshare-read"), start=1):
        reported = {resource: {*code(row[place])} for row in table for resource in code(row[0]) if code(row[place])}
        assert reported == rules(cluster_role), cluster_role


# ---- events ----------------------------------------------------------------------------------------------------


def sources(where: Any) -> Iterator[list[str]]:
    """The lists of event sources in a template, wherever one is matched or admitted."""
    if isinstance(where, dict):
        for key, value in where.items():
            if key in ("source", "events:source") and isinstance(value, list):
                yield value
            yield from sources(value)
    elif isinstance(where, list):
        for value in where:
            yield from sources(value)


def test_services_whose_calls_are_forwarded_are_reported() -> None:
    """The page names the services that the hub's bus admits, and as many as it counts."""
    (policy,) = (
        each for each in of_type("AWS::Events::EventBusPolicy") if each["StatementId"] == "FromTheOrganization"
    )
    (admitted,) = sources(policy)
    (paragraph,) = (
        part for part in SECURITY.section("The organization").split("\n\n") if part.startswith("**API calls**")
    )
    (row,) = (row for row in SECURITY.table("Who trusts whom") if "`podshare-drift`" in row[0])

    assert [span for span in code(paragraph) if span.startswith("aws.")] == admitted
    assert sorted(
        source for rule in of_type("AWS::Events::Rule", DRIFT) for source in rule["EventPattern"]["source"]
    ) == (sorted(admitted))
    assert f"one of {NUMBERS[len(admitted)]} services" in row[2]


def test_services_whose_calls_the_sandbox_records_are_reported() -> None:
    """The sandbox's page names the services whose calls CloudTrail records there."""
    names = {"aws.iam": "IAM", "aws.eks": "EKS", "aws.sagemaker": "SageMaker", "aws.s3": "S3", "aws.kms": "KMS"}
    names["aws.ssm"] = "Systems Manager"
    forwarded = [rule["EventPattern"]["source"][0] for rule in of_type("AWS::Events::Rule", DRIFT)]
    *most, last = (names[source] for source in forwarded)

    assert f"every mutating call to {', '.join(most)} and {last} at once" in SANDBOX.text


def test_function_roles_of_the_organizations_role_are_counted() -> None:
    """How many function roles may assume the role in the management account is what its trust policy names."""
    (row,) = (row for row in SECURITY.table("Who trusts whom") if row[0] == "`podshare-organization` (management)")
    (trust,) = roles(MANAGEMENT)["podshare-organization"]["AssumeRolePolicyDocument"]["Statement"]

    assert f"of {NUMBERS[len(trust['Condition']['ArnEquals']['aws:PrincipalArn'])]} function roles" in row[2]


def test_who_reads_the_history_is_reported() -> None:
    """The steps for people say of each policy whether it reads the history of who had access, as its statements do."""
    lines = re.findall(r"^- `(podshare-\w+)` (.+)$", DEPLOY.section("6. People"), re.MULTILINE)
    reading = {
        name(policy["ManagedPolicyName"])
        for policy in of_type("AWS::IAM::ManagedPolicy")
        if any(each.get("Sid") == "ReadTheHistory" for each in policy["PolicyDocument"]["Statement"])
    }

    assert {policy for policy, text in lines if "the history" in text and "except the history" not in text} == reading

"""IAM refuses what AWS refuses: documents, principals, boundaries, names, quotas and deletions out of order."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from podshare_sandbox import authorization
from podshare_sandbox.services import iam, sts
from sandbox.tests.iam_accounts import (
    HUB,
    SCIENTIST,
    add_administrators,
    allow,
    assume,
    client,
    make_role,
    policy,
    refused,
    session_client,
    trusting,
)

TRUST = trusting({"AWS": HUB})


@pytest.fixture(autouse=True)
def accounts() -> Iterator[None]:
    """Accounts with administrators, and IAM in force."""
    with mock_aws():
        authorization.install()
        iam.install()
        sts.install()
        add_administrators()
        yield
        authorization.uninstall()


# --- names and parameters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"RoleName": "team/role"}, "regular expression"),
        ({"RoleName": "x" * 65}, "less than or equal to 64"),
        ({"Path": "no-slashes"}, "regular expression"),
        ({"Path": "/" + "x" * 511 + "/"}, "less than or equal to 512"),
        ({"MaxSessionDuration": 3599}, "3600"),
        ({"MaxSessionDuration": 43201}, "less than or equal to 43200"),
        ({"Description": "x" * 1001}, "less than or equal to 1000"),
        ({"Tags": [{"Key": str(index), "Value": ""} for index in range(51)]}, "less than or equal to 50"),
    ],
)
def test_a_role_keeps_to_the_limits_of_its_parameters(request_: dict[str, Any], message: str) -> None:
    """Lengths, patterns and ranges are those of the API; the error is ValidationError."""
    request: dict[str, Any] = {"RoleName": "r", "AssumeRolePolicyDocument": TRUST, **request_}
    refused(client("iam").create_role, "ValidationError", 400, message, **request)


def test_role_names_are_unique_without_regard_to_case() -> None:
    """A second role of the name is refused, however it is spelt; either spelling finds it."""
    arn = make_role("Vision")
    request: dict[str, Any] = {"RoleName": "vision", "AssumeRolePolicyDocument": TRUST, "Path": "/other/"}
    refused(client("iam").create_role, "EntityAlreadyExists", 409, **request)
    assert client("iam").get_role(RoleName="VISION")["Role"]["Arn"] == arn


def test_an_absent_role_is_no_such_entity() -> None:
    """Every operation on an absent role answers NoSuchEntity."""
    admin = client("iam")
    message = "The role with name absent cannot be found."
    refused(admin.get_role, "NoSuchEntity", 404, message, RoleName="absent")
    refused(admin.delete_role, "NoSuchEntity", 404, message, RoleName="absent")
    refused(admin.update_assume_role_policy, "NoSuchEntity", 404, RoleName="absent", PolicyDocument=TRUST)
    refused(
        admin.put_role_policy, "NoSuchEntity", 404, RoleName="absent", PolicyName="p", PolicyDocument=policy(allow("*"))
    )


def test_updating_a_role_leaves_the_rest_as_it_is() -> None:
    """UpdateRole changes what it is given only."""
    make_role("r", Description="mine", MaxSessionDuration=7200)
    client("iam").update_role(RoleName="r", MaxSessionDuration=3600)
    role = client("iam").get_role(RoleName="r")["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("mine", 3600)


def test_tags_are_merged_without_regard_to_case() -> None:
    """A key is one key however it is spelt, and a role has 50 tags at most."""
    make_role("r", Tags=[{"Key": "Team", "Value": "a"}])
    admin = client("iam")
    admin.tag_role(RoleName="r", Tags=[{"Key": "team", "Value": "b"}])
    assert admin.get_role(RoleName="r")["Role"]["Tags"] == [{"Key": "team", "Value": "b"}]
    more = [{"Key": f"k{index}", "Value": ""} for index in range(50)]
    refused(admin.tag_role, "LimitExceeded", 409, "TagsPerRole", RoleName="r", Tags=more)


def test_get_role_tells_more_than_list_roles() -> None:
    """GetRole has boundary and tags, ListRoles has neither; details of the account have both."""
    boundary = client("iam").create_policy(PolicyName="b", PolicyDocument=policy(allow("*")))["Policy"]["Arn"]
    make_role("r", allow("s3:*"), PermissionsBoundary=boundary, Tags=[{"Key": "a", "Value": "b"}])
    admin = client("iam")
    described = admin.get_role(RoleName="r")["Role"]
    assert described["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    assert described["Tags"] == [{"Key": "a", "Value": "b"}]
    listed = admin.list_roles()["Roles"][0]
    assert "PermissionsBoundary" not in listed
    assert "Tags" not in listed
    details = admin.get_account_authorization_details(Filter=["Role"])["RoleDetailList"][0]
    assert details["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    assert details["Tags"] == described["Tags"]
    assert details["AssumeRolePolicyDocument"] == described["AssumeRolePolicyDocument"]
    assert details["RolePolicyList"][0]["PolicyDocument"]["Statement"] == [allow("s3:*")]
    assert "MaxSessionDuration" not in details


# --- documents ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "invalid Json"),
        ('{"Version": "2012-10-17", "Version": "2012-10-17", "Statement": []}', "invalid Json"),
        ([], "Syntax errors"),
        ({"Version": "2012-10-17"}, "Syntax errors"),
        ({"Statement": []}, "Syntax errors"),
        ({"Statement": [allow("*")], "Extra": 1}, "Syntax errors"),
        ({"Version": "2012-10-18", "Statement": [allow("*")]}, "must be version 2012-10-17"),
        ({"Statement": [allow("*", Extra="x")]}, "Syntax errors"),
        ({"Statement": [{**allow("*"), "Effect": "allow"}]}, "Syntax errors"),
        ({"Statement": [{**allow("*"), "Effect": "Maybe"}]}, "Syntax errors"),
        ({"Statement": [{"Action": "*", "Resource": "*"}]}, "Syntax errors"),
        ({"Statement": [{"Effect": "Allow", "Resource": "*"}]}, "must contain actions"),
        ({"Statement": [{"Effect": "Allow", "Action": [], "Resource": "*"}]}, "must contain actions"),
        ({"Statement": [{"Effect": "Allow", "Action": "*"}]}, "must contain resources"),
        ({"Statement": [allow("*", NotAction="s3:*")]}, "Syntax errors"),
        ({"Statement": [allow("s3")]}, "prefaced by a vendor"),
        ({"Statement": [allow("s3:Get:Object")]}, "one colon"),
        ({"Statement": [allow("*", "bucket")]}, 'must be in ARN format or "*"'),
        ({"Statement": [allow("*", [])]}, "must contain resources"),
        ({"Statement": [{"Effect": "Deny", "Action": "*", "NotResource": []}]}, "must contain resources"),
        (
            {"Statement": [allow("*", "arn:aws-cn:s3:::b")]},
            'Partition "aws-cn" is not valid for resource "arn:aws-cn:s3:::b".',
        ),
        ({"Statement": [allow("*", "arn:amazon:s3")]}, 'Partition "amazon" is not valid for resource'),
        ({"Statement": [allow("*", "arn:aws:*:::b")]}, "vendor must be fully qualified"),
        ({"Statement": [allow("*", "arn:aws:s?:::b")]}, "vendor must be fully qualified"),
        ({"Statement": [allow("*", "arn:aws")]}, "vendor must be fully qualified"),
        ({"Statement": [allow("*", "arn:aws:s3::b")]}, "legacy parsing"),
        (
            {"Statement": [allow("*", f"arn:aws:iam:us-east-1:{HUB}:role/r")]},
            f"IAM resource arn:aws:iam:us-east-1:{HUB}:role/r cannot contain region information.",
        ),
        ({"Statement": [allow("*", f"arn:aws:iam:*:{HUB}:role/r")]}, "cannot contain region information"),
        ({"Statement": [allow("*", f"arn:aws:iam::{HUB}:roles/r")]}, 'path must either be "*" or start with'),
        (
            {"Statement": [allow("*", "arn:aws:s3:us-west-2::b")]},
            "Resource arn:aws:s3:us-west-2::b can not contain region information.",
        ),
        ({"Statement": [allow("*", ["*", "arn:aws:s3:*::b/*"])]}, "can not contain region information"),
        ({"Statement": [allow("*", Principal="*")]}, "should not specify a principal"),
        ({"Statement": [allow("*", Sid="with space")]}, "alpha-numeric"),
        ({"Statement": [allow("*", Sid="a"), allow("*", Sid="a")]}, "must be unique"),
        ({"Statement": [allow("*", Condition={"StringMatches": {"aws:userid": "x"}})]}, "Condition type"),
        ({"Statement": [allow("*", Condition={"StringLike": {"userid": "x"}})]}, "prefaced by a vendor"),
        ({"Statement": [allow("*", Condition="x")]}, "Syntax errors"),
    ],
)
def test_an_identity_policy_must_be_one(document: Any, message: str) -> None:
    """Inline and managed policies are held against the grammar: MalformedPolicyDocument, with the reason."""
    make_role("r")
    text = document if isinstance(document, str) else json.dumps(document)
    admin = client("iam")
    refused(
        admin.put_role_policy,
        "MalformedPolicyDocument",
        400,
        message,
        RoleName="r",
        PolicyName="p",
        PolicyDocument=text,
    )
    refused(admin.create_policy, "MalformedPolicyDocument", 400, message, PolicyName="p", PolicyDocument=text)


@pytest.mark.parametrize(
    "document",
    [
        {"Statement": allow("s3:GetObject", "arn:aws:s3:::b/*")},
        {"Version": "2008-10-17", "Statement": [allow(["s3:*"])]},
        {"Version": "2012-10-17", "Id": "x", "Statement": [allow("*", Sid="")]},
        {"Statement": [{"Effect": "Deny", "NotAction": "iam:*", "NotResource": ["arn:aws:s3:::b"]}]},
        {"Statement": [allow("*", Condition={"Bool": {"aws:SecureTransport": True}})]},
        {"Statement": [allow("*", [f"arn:aws:s3:us-west-2:{HUB}:accesspoint/a/object/*", "arn:*:sqs:*:*:*"])]},
        {"Statement": [allow("*", [f"arn:aws:iam::{HUB}:*", "arn:aws:iam::*:mfa/*", "arn:aws:s3:::*"])]},
        {"Statement": [allow("*", Condition={"ForAllValues:StringLikeIfExists": {"aws:TagKeys": ["a", "b"]}})]},
    ],
)
def test_unusual_but_valid_documents_are_taken(document: dict[str, Any]) -> None:
    """Version may be absent, a single statement may stand alone, operators may be combined."""
    make_role("r")
    admin = client("iam")
    admin.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(document))
    assert admin.get_role_policy(RoleName="r", PolicyName="p")["PolicyDocument"] == document


def test_policies_have_a_largest_size() -> None:
    """10,240 characters inline for a role together, 6,144 managed, white space not counted."""
    make_role("r")
    admin = client("iam")
    half = json.dumps(json.loads(policy(allow("s3:*", f"arn:aws:s3:::{'x' * 5000}"))), indent=40)
    admin.put_role_policy(RoleName="r", PolicyName="one", PolicyDocument=half)
    admin.put_role_policy(RoleName="r", PolicyName="two", PolicyDocument=half)
    admin.put_role_policy(RoleName="r", PolicyName="two", PolicyDocument=half)
    small = policy(allow("s3:*", f"arn:aws:s3:::{'x' * 200}"))
    request: dict[str, Any] = {"RoleName": "r", "PolicyName": "three", "PolicyDocument": small}
    refused(admin.put_role_policy, "LimitExceeded", 409, "Maximum policy size of 10240 bytes", **request)
    admin.create_policy(PolicyName="m", PolicyDocument=half)
    large = policy(allow("s3:*", f"arn:aws:s3:::{'x' * 6100}"))
    refused(admin.create_policy, "LimitExceeded", 409, "PolicySize: 6144", PolicyName="n", PolicyDocument=large)


# --- trust policies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (policy(allow("sts:AssumeRole", Principal={"AWS": HUB})), "prohibited field Resource"),
        (policy({"Effect": "Allow", "Action": "sts:AssumeRole"}), "Missing required field Principal"),
        (trusting({"AWS": HUB}, "s3:GetObject"), "STS AssumeRole actions"),
        (trusting({"Who": HUB}), "Syntax errors"),
        (trusting("nobody"), "Syntax errors"),
        (
            trusting({"AWS": f"arn:aws:iam::{SCIENTIST}:role/absent"}),
            f'Invalid principal in policy: "AWS":"arn:aws:iam::{SCIENTIST}:role/absent"',
        ),
        (trusting({"AWS": f"arn:aws:iam::{HUB}:user/absent"}), "Invalid principal in policy"),
        (trusting({"AWS": f"arn:aws:iam::{HUB}:role/*"}), "Invalid principal in policy"),
        (trusting({"AWS": "arn:aws:iam::888888888888:role/r"}), "Invalid principal in policy"),
        (trusting({"AWS": "AROAQQQQQQQQQQQQQQQQQ"}), "Invalid principal in policy"),
        (trusting({"AWS": "vision"}), "Invalid principal in policy"),
        (trusting({"AWS": f"arn:aws:sts::{HUB}:assumed-role/absent/s"}), "Invalid principal in policy"),
        (trusting({"Service": "lambda"}), 'Invalid principal in policy: "SERVICE":"lambda"'),
        (
            trusting({"Service": "pod.eks.amazonaws.com"}),
            'Invalid principal in policy: "SERVICE":"pod.eks.amazonaws.com"',
        ),
        (trusting({"Service": "lamda.amazonaws.com"}), "Invalid principal in policy"),
        (trusting({"Service": "states.us-west-9.amazonaws.com"}), "Invalid principal in policy"),
        (trusting({"Service": "*.amazonaws.com"}), "Invalid principal in policy"),
        (trusting({"Service": []}), "cannot be empty"),
    ],
)
def test_a_trust_policy_must_be_one(document: str, message: str) -> None:
    """Creation and update hold the trust policy against the grammar, and its principals must exist."""
    admin = client("iam")
    code = "MalformedPolicyDocument"
    refused(admin.create_role, code, 400, message, RoleName="new", AssumeRolePolicyDocument=document)
    make_role("old")
    refused(admin.update_assume_role_policy, code, 400, message, RoleName="old", PolicyDocument=document)


@pytest.mark.parametrize(
    "service",
    [
        *(
            "pods.eks.amazonaws.com",
            "eks-fargate-pods.amazonaws.com",
            "lambda.amazonaws.com",
            "edgelambda.amazonaws.com",
        ),
        *("states.us-west-2.amazonaws.com", "logs.eu-south-1.amazonaws.com", "vpc-flow-logs.amazonaws.com"),
        *("ecs-tasks.amazonaws.com", "sagemaker.amazonaws.com", "s3.data-source.lustre.fsx.amazonaws.com"),
        *("member.org.stacksets.cloudformation.amazonaws.com", "monitoring.rds.amazonaws.com"),
    ],
)
def test_a_trust_policy_names_any_documented_service(service: str) -> None:
    """Service principals stand in each service's guide, some in a Region's form (IAM User Guide, "Principal")."""
    client("iam").create_role(RoleName="served", AssumeRolePolicyDocument=trusting({"Service": service}))
    assert service in json.dumps(client("iam").get_role(RoleName="served")["Role"]["AssumeRolePolicyDocument"])


def test_a_trust_policy_has_a_largest_size() -> None:
    """2,048 characters, white space included."""
    admin = client("iam")
    long = trusting({"AWS": HUB}, Condition={"StringEquals": {"sts:ExternalId": "x" * 2000}})
    request: dict[str, Any] = {"RoleName": "r", "AssumeRolePolicyDocument": long}
    refused(admin.create_role, "LimitExceeded", 409, "ACLSizePerRole: 2048", **request)
    fitting = TRUST + " " * (2048 - len(TRUST))
    admin.create_role(RoleName="r", AssumeRolePolicyDocument=fitting)
    refused(admin.update_assume_role_policy, "LimitExceeded", 409, RoleName="r", PolicyDocument=fitting + " ")


def test_a_trusted_role_made_anew_is_a_stranger() -> None:
    """Trust keeps unique ids: a deleted role shows as AROA…, and its successor is not trusted until written anew."""
    caller = make_role("caller", allow("sts:AssumeRole"))
    old_id = client("iam").get_role(RoleName="caller")["Role"]["RoleId"]
    trust = trusting({"AWS": caller}, Condition={"ArnEquals": {"aws:PrincipalArn": caller}})
    target = make_role("target", trust=trust)
    admin = client("iam")

    def trusted() -> str:
        document = admin.get_role(RoleName="target")["Role"]["AssumeRolePolicyDocument"]
        assert document["Statement"][0]["Condition"] == {"ArnEquals": {"aws:PrincipalArn": caller}}
        return str(document["Statement"][0]["Principal"]["AWS"])

    assert session_client("sts", assume(caller)).assume_role(RoleArn=target, RoleSessionName="s2")
    assert trusted() == caller
    admin.delete_role_policy(RoleName="caller", PolicyName="own")
    admin.delete_role(RoleName="caller")
    assert trusted() == old_id
    make_role("caller", allow("sts:AssumeRole"))
    assert trusted() == old_id
    session = session_client("sts", assume(caller))
    refused(session.assume_role, "AccessDenied", RoleArn=target, RoleSessionName="s2")
    shown = admin.get_role(RoleName="target")["Role"]["AssumeRolePolicyDocument"]
    request: dict[str, Any] = {"RoleName": "target", "PolicyDocument": json.dumps(shown)}
    refused(admin.update_assume_role_policy, "MalformedPolicyDocument", match="Invalid principal", **request)
    admin.update_assume_role_policy(RoleName="target", PolicyDocument=trust)
    assert trusted() == caller
    assert session.assume_role(RoleArn=target, RoleSessionName="s2")


def test_users_have_unique_ids_of_their_kind() -> None:
    """A user's id begins with AIDA and may stand as a principal while the user exists."""
    user = client("iam", SCIENTIST).get_user(UserName="admin")["User"]
    assert user["UserId"].startswith("AIDA")
    target = make_role("target", trust=trusting({"AWS": user["UserId"]}))
    assert assume(target, SCIENTIST)["AccessKeyId"]


# --- boundaries and managed policies --------------------------------------------------------------------------


def test_a_boundary_must_exist() -> None:
    """Creating a role with, or giving it, an absent boundary is refused."""
    absent = f"arn:aws:iam::{HUB}:policy/absent"
    admin = client("iam")
    request: dict[str, Any] = {"RoleName": "r", "AssumeRolePolicyDocument": TRUST}
    refused(admin.create_role, "NoSuchEntity", 404, "does not exist", PermissionsBoundary=absent, **request)
    make_role("r")
    refused(admin.put_role_permissions_boundary, "NoSuchEntity", 404, RoleName="r", PermissionsBoundary=absent)


def test_a_role_has_a_largest_number_of_attached_policies() -> None:
    """Twenty by default; attaching one twice counts once; an absent one is refused."""
    admin = client("iam")
    make_role("r")
    arns = [
        admin.create_policy(PolicyName=f"p{index}", PolicyDocument=policy(allow("s3:*")))["Policy"]["Arn"]
        for index in range(21)
    ]
    for arn in [*arns[:20], arns[0]]:
        admin.attach_role_policy(RoleName="r", PolicyArn=arn)
    refused(admin.attach_role_policy, "LimitExceeded", 409, "PoliciesPerRole: 20", RoleName="r", PolicyArn=arns[20])
    assert admin.get_policy(PolicyArn=arns[0])["Policy"]["AttachmentCount"] == 1
    absent = f"arn:aws:iam::{HUB}:policy/absent"
    refused(admin.attach_role_policy, "NoSuchEntity", 404, "is not attachable", RoleName="r", PolicyArn=absent)


def test_policies_of_aws_are_there_when_asked_for() -> None:
    """A managed policy of AWS's can be attached by its ARN, and then counts."""
    arn = make_role("r")
    client("iam").attach_role_policy(RoleName="r", PolicyArn="arn:aws:iam::aws:policy/IAMReadOnlyAccess")
    session = session_client("iam", assume(arn))
    assert session.list_roles()["Roles"]
    refused(session.delete_role, "AccessDenied", RoleName="r")


def test_a_managed_policy_has_five_versions_at_most() -> None:
    """The default version decides; a sixth version is refused, the default one cannot be deleted."""
    admin = client("iam")
    arn = admin.create_policy(PolicyName="p", PolicyDocument=policy(allow("iam:ListRoles")))["Policy"]["Arn"]
    role = make_role("r")
    admin.attach_role_policy(RoleName="r", PolicyArn=arn)
    session = session_client("iam", assume(role))
    assert session.list_roles()["Roles"]
    for _ in range(4):
        admin.create_policy_version(PolicyArn=arn, PolicyDocument=policy(allow("iam:ListUsers")), SetAsDefault=True)
    refused(session.list_roles, "AccessDenied")
    assert session.list_users()["Users"]
    document = policy(allow("*"))
    refused(admin.create_policy_version, "LimitExceeded", 409, PolicyArn=arn, PolicyDocument=document)
    refused(admin.delete_policy_version, "DeleteConflict", 409, PolicyArn=arn, VersionId="v5")


def test_names_of_managed_policies_are_unique() -> None:
    """A second policy of the name is refused, whatever its path and spelling."""
    admin = client("iam")
    admin.create_policy(PolicyName="p", PolicyDocument=policy(allow("*")))
    request: dict[str, Any] = {"PolicyName": "P", "Path": "/x/", "PolicyDocument": policy(allow("*"))}
    refused(admin.create_policy, "EntityAlreadyExists", 409, **request)


# --- deletion -------------------------------------------------------------------------------------------------


def test_a_role_is_deleted_bare_only() -> None:
    """Policies and instance profiles go first: DeleteConflict until then."""
    admin = client("iam")
    make_role("r", allow("s3:*"))
    admin.attach_role_policy(RoleName="r", PolicyArn="arn:aws:iam::aws:policy/IAMReadOnlyAccess")
    admin.create_instance_profile(InstanceProfileName="i")
    admin.add_role_to_instance_profile(InstanceProfileName="i", RoleName="r")
    refused(admin.delete_role, "DeleteConflict", 409, RoleName="r")
    admin.remove_role_from_instance_profile(InstanceProfileName="i", RoleName="r")
    refused(admin.delete_role, "DeleteConflict", 409, RoleName="r")
    admin.detach_role_policy(RoleName="r", PolicyArn="arn:aws:iam::aws:policy/IAMReadOnlyAccess")
    refused(admin.delete_role, "DeleteConflict", 409, RoleName="r")
    admin.delete_role_policy(RoleName="r", PolicyName="own")
    admin.delete_role(RoleName="r")
    refused(admin.get_role, "NoSuchEntity", 404, RoleName="r")


def test_a_managed_policy_is_deleted_unused_only() -> None:
    """Attachments, use as a boundary and further versions go first."""
    admin = client("iam")
    arn = admin.create_policy(PolicyName="p", PolicyDocument=policy(allow("*")))["Policy"]["Arn"]
    make_role("r", PermissionsBoundary=arn)
    admin.attach_role_policy(RoleName="r", PolicyArn=arn)
    refused(admin.delete_policy, "DeleteConflict", 409, "attached to entities", PolicyArn=arn)
    admin.detach_role_policy(RoleName="r", PolicyArn=arn)
    refused(admin.delete_policy, "DeleteConflict", 409, "boundary", PolicyArn=arn)
    admin.delete_role_permissions_boundary(RoleName="r")
    admin.create_policy_version(PolicyArn=arn, PolicyDocument=policy(allow("s3:*")))
    refused(admin.delete_policy, "DeleteConflict", 409, "more than one version", PolicyArn=arn)
    admin.delete_policy_version(PolicyArn=arn, VersionId="v2")
    admin.delete_policy(PolicyArn=arn)
    refused(admin.get_policy, "NoSuchEntity", 404, PolicyArn=arn)


def test_a_user_is_deleted_bare_only() -> None:
    """A user with an access key stays."""
    admin = client("iam")
    admin.create_user(UserName="ann")
    key = admin.create_access_key(UserName="ann")["AccessKey"]["AccessKeyId"]
    refused(admin.delete_user, "DeleteConflict", 409, "access keys", UserName="ann")
    admin.delete_access_key(UserName="ann", AccessKeyId=key)
    admin.delete_user(UserName="ann")
    refused(admin.get_user, "NoSuchEntity", 404, UserName="ann")


# --- pages -------------------------------------------------------------------------------------------------------

LISTS: list[tuple[str, dict[str, str], str]] = [
    ("list_role_policies", {"RoleName": "r"}, "PolicyNames"),
    ("list_attached_role_policies", {"RoleName": "r"}, "AttachedPolicies"),
    ("list_role_tags", {"RoleName": "r"}, "Tags"),
    ("list_roles", {"PathPrefix": "/many/"}, "Roles"),
    ("list_instance_profiles_for_role", {"RoleName": "r"}, "InstanceProfiles"),
    ("list_instance_profiles", {}, "InstanceProfiles"),
    ("list_policies", {"Scope": "Local"}, "Policies"),
    ("list_user_policies", {"UserName": "u"}, "PolicyNames"),
    ("list_users", {"PathPrefix": "/many/"}, "Users"),
    ("list_groups", {}, "Groups"),
]


@pytest.fixture
def three_of_each() -> None:
    """A role and a user with three of whatever is listed."""
    admin, document = client("iam"), policy(allow("s3:GetObject"))
    make_role("r", Path="/many/", Tags=[{"Key": name, "Value": ""} for name in "abc"])
    admin.create_user(UserName="u", Path="/many/")
    for name in "abc":
        admin.put_role_policy(RoleName="r", PolicyName=name, PolicyDocument=document)
        arn = admin.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"]
        admin.attach_role_policy(RoleName="r", PolicyArn=arn)
        admin.create_instance_profile(InstanceProfileName=name)
        admin.add_role_to_instance_profile(InstanceProfileName=name, RoleName="r")
        admin.put_user_policy(UserName="u", PolicyName=name, PolicyDocument=document)
        admin.create_group(GroupName=name)
    for name in "de":
        make_role(name, Path="/many/")
        admin.create_user(UserName=name, Path="/many/")


@pytest.mark.usefixtures("three_of_each")
@pytest.mark.parametrize(("call", "request_", "kind"), LISTS, ids=[row[0] for row in LISTS])
def test_a_list_has_pages(call: str, request_: dict[str, str], kind: str) -> None:
    """A page has MaxItems at most, and may have fewer although there are more: only IsTruncated says that it is the last.

    IAM API Reference, each of these operations: MaxItems, IsTruncated and Marker.
    """
    ask, pages = getattr(client("iam"), call), list[dict[str, Any]]()
    whole = ask(**request_)
    assert (len(whole[kind]), whole["IsTruncated"], "Marker" in whole) == (3, False, False)
    while not pages or pages[-1]["IsTruncated"]:
        marker = {"Marker": pages[-1]["Marker"]} if pages else {}
        pages.append(ask(**request_, MaxItems=2, **marker))
    assert [len(page[kind]) for page in pages] == [2, 1]
    with iam.short_pages(1):
        first = ask(**request_)
        assert (len(first[kind]), first["IsTruncated"]) == (1, True)
        every = (
            client("iam").get_paginator(call).paginate(**request_).build_full_result()
            if call != "list_role_tags"
            else whole
        )
    assert every[kind] == [item for page in pages for item in page[kind]] == whole[kind]
    refused(ask, "ValidationError", 400, "Invalid Marker", **request_, Marker="x")


# --- all of an account at once -----------------------------------------------------------------------------------


def test_an_account_is_read_page_by_page() -> None:
    """GetAccountAuthorizationDetails has of each role what single reads have, but for its session, MaxItems a page.

    IAM API Reference, GetAccountAuthorizationDetails and RoleDetail.
    """
    admin, names = client("iam"), ("a", "b", "c")
    for name in names:
        make_role(name)
        admin.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(allow("s3:GetObject")))
    admin.tag_role(RoleName="a", Tags=[{"Key": "team", "Value": "vision"}])
    pages, marker = list[dict[str, Any]](), dict[str, str]()
    while not pages or pages[-1]["IsTruncated"]:
        pages.append(admin.get_account_authorization_details(Filter=["Role"], MaxItems=1, **marker))
        marker = {"Marker": pages[-1].get("Marker", "")}
    details = {role["RoleName"]: role for page in pages for role in page["RoleDetailList"]}
    assert all(len(page["RoleDetailList"]) <= 1 for page in pages)
    assert details.keys() >= {*names}
    for name in names:
        single, detail = admin.get_role(RoleName=name)["Role"], details[name]
        assert "MaxSessionDuration" not in detail
        for field in ("Path", "RoleName", "RoleId", "Arn", "CreateDate", "AssumeRolePolicyDocument"):
            assert detail[field] == single[field]
        assert detail["Tags"] == single.get("Tags", [])
        document = admin.get_role_policy(RoleName=name, PolicyName="p")["PolicyDocument"]
        assert detail["RolePolicyList"] == [{"PolicyName": "p", "PolicyDocument": document}]
        assert detail["AttachedManagedPolicies"] == []


def test_an_account_has_no_more_roles_than_its_quota() -> None:
    """A role too many is refused, and told by the summary, until AWS raises the quota; linked roles go beyond it."""
    here = client("iam", HUB)
    taken = here.get_account_summary()["SummaryMap"]["Roles"]
    iam.allow_roles(HUB, taken + 1)
    here.create_role(RoleName="last", AssumeRolePolicyDocument=TRUST)
    one_more = {"RoleName": "one-too-many", "AssumeRolePolicyDocument": TRUST}
    refused(here.create_role, "LimitExceeded", 409, f"RolesPerAccount: {taken + 1}", **one_more)
    here.create_service_linked_role(AWSServiceName="eks.amazonaws.com")
    iam.allow_roles(HUB, taken + 3)
    here.create_role(**one_more)
    assert here.get_account_summary()["SummaryMap"]["RolesQuota"] == taken + 3

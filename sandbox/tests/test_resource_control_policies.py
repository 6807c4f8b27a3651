"""Resource control policies limit what anybody may do with a member's resources, whatever those allow.

Sources: AWS Organizations User Guide, "Resource control policies (RCPs)", "RCP evaluation" and "RCP syntax".
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from podshare_sandbox import Sandbox, authorization, organization
from podshare_sandbox.authorization import resource_control
from podshare_sandbox.authorization.principals import identify, role_by_arn
from podshare_sandbox.authorization.sessions import SessionRequest, open_session
from podshare_sandbox.organization import DATA, HUB, HUB_REGION, MANAGEMENT, ROOT_ID, SCIENTISTS
from sandbox.tests import control_policies
from sandbox.tests.iam_accounts import allow, refused, session_client, trusting
from sandbox.tests.iam_accounts import policy as document

DENIED = "with an explicit deny in a resource control policy"
KIND = {"Type": "RESOURCE_CONTROL_POLICY"}
FULL_ACCESS = control_policies.FULL_ACCESS[KIND["Type"]]
attached = partial(control_policies.attached, KIND["Type"])
DATA_UNIT = "ou-pods-datalake"
BUCKET = organization.TEXT_BUCKET
NO_READING = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
MEMBER = SCIENTISTS[0]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox without podshare, whose organization has resource control policies enabled."""
    with control_policies.enabled(KIND["Type"]) as running:
        yield running


@pytest.fixture
def management(sandbox: Sandbox) -> Any:
    """The management account's client of Organizations."""
    return sandbox.client("organizations", MANAGEMENT)


@pytest.mark.parametrize("target", [DATA, DATA_UNIT, ROOT_ID])
def test_a_deny_at_any_level_above_the_resource_wins(sandbox: Sandbox, management: Any, target: str) -> None:
    """A denial on the account, its unit or the root stops even the account's own administrator, and tells why."""
    s3 = sandbox.client("s3", DATA)
    with attached(management, target, NO_READING):
        message = refused(s3.list_objects_v2, "AccessDenied", 403, DENIED, Bucket=BUCKET)
        assert message.startswith(f"User: arn:aws:iam::{DATA}:user/admin is not authorized to perform: s3:ListBucket")
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"]


def test_the_resources_account_counts_not_the_callers(sandbox: Sandbox, management: Any) -> None:
    """It applies to callers of other accounts, and not to what the account's own principals do elsewhere."""
    visitor = {"Effect": "Allow", "Principal": {"AWS": MEMBER}, "Action": "s3:ListBucket"}
    grant = document({**visitor, "Resource": f"arn:aws:s3:::{BUCKET}"})
    sandbox.client("s3", DATA).put_bucket_policy(Bucket=BUCKET, Policy=grant)
    s3 = sandbox.client("s3", MEMBER)
    with attached(management, MEMBER, NO_READING):
        assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"]
    with attached(management, DATA, NO_READING):
        refused(s3.list_objects_v2, "AccessDenied", 403, DENIED, Bucket=BUCKET)
    sandbox.client("s3", DATA).delete_bucket_policy(Bucket=BUCKET)


def test_an_access_point_is_limited_by_its_own_account_and_by_its_buckets(sandbox: Sandbox, management: Any) -> None:
    """Both are resources of the request: the access point of one account, the bucket of another."""
    sandbox.client("s3", HUB).create_bucket(
        Bucket="own-111111111111", CreateBucketConfiguration={"LocationConstraint": HUB_REGION}
    )
    point = sandbox.client("s3control", HUB).create_access_point(AccountId=HUB, Name="own", Bucket="own-111111111111")
    s3, arn = sandbox.client("s3", HUB), point["AccessPointArn"]
    assert s3.list_objects_v2(Bucket=arn)["KeyCount"] == 0
    for resource in (arn, "arn:aws:s3:::own-111111111111"):
        with attached(management, HUB, {**NO_READING, "Resource": resource}):
            refused(s3.list_objects_v2, "AccessDenied", 403, DENIED, Bucket=arn)


def test_only_some_services_support_them(sandbox: Sandbox, management: Any) -> None:
    """IAM is not on the list of services that support them; Amazon SQS is."""
    sqs = sandbox.client("sqs", MEMBER)
    queue = sqs.create_queue(QueueName="limited")["QueueUrl"]
    everything = {**NO_READING, "Action": ["iam:*", "sqs:*", "sts:*"]}
    with attached(management, MEMBER, everything):
        assert sandbox.client("iam", MEMBER).list_users()["Users"]
        refused(sqs.send_message, "AccessDenied", 403, DENIED, QueueUrl=queue, MessageBody="m")


def test_the_management_accounts_resources_are_never_limited(sandbox: Sandbox, management: Any) -> None:
    """ "They have no effect on resources in the management account"."""
    sqs = sandbox.client("sqs", MANAGEMENT)
    with attached(management, ROOT_ID, {**NO_READING, "Action": "sqs:*"}):
        assert sqs.create_queue(QueueName="free")["QueueUrl"]
        refused(sandbox.client("sqs", DATA).create_queue, "AccessDenied", 403, DENIED, QueueName="bound")


def test_assuming_a_role_is_limited_by_the_roles_account(sandbox: Sandbox, management: Any) -> None:
    """The role is the resource of sts:AssumeRole: a common policy keeps strangers out, and lets services in."""
    trust = trusting({"AWS": MEMBER})
    role = sandbox.client("iam", DATA).create_role(RoleName="guest", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    sts = sandbox.client("sts", MEMBER)
    strangers = {
        "StringNotEqualsIfExists": {"aws:PrincipalOrgID": "o-elsewhere1"},
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
    }
    with attached(management, DATA, {**NO_READING, "Action": "sts:AssumeRole", "Condition": strangers}):
        refused(sts.assume_role, "AccessDenied", 403, DENIED, RoleArn=role, RoleSessionName="ann")
        served = sandbox.client("iam", DATA).create_role(
            RoleName="served", AssumeRolePolicyDocument=trusting({"Service": "lambda.amazonaws.com"})
        )
        assert authorization.assume_as_service(served["Role"]["Arn"], "lambda.amazonaws.com", session_name="s")
    assert sts.assume_role(RoleArn=role, RoleSessionName="ann")["Credentials"]


def test_services_are_limited_too(sandbox: Sandbox, management: Any) -> None:
    """The confused deputy is kept out by aws:SourceOrgID, whatever the queue's own policy allows."""
    arn = f"arn:aws:sqs:{HUB_REGION}:{MEMBER}:served"
    sandbox.client("sqs", MEMBER).create_queue(QueueName="served")
    opened = document(
        {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:*", "Resource": arn}
    )

    def send(account: str) -> None:
        rule = f"arn:aws:events:{HUB_REGION}:{account}:rule/r"
        authorization.check_service_call(
            "events.amazonaws.com", "sqs:SendMessage", arn, opened, source_arn=rule, source_account=account
        )

    deputies = {
        "StringNotEqualsIfExists": {"aws:SourceOrgID": organization.ORGANIZATION_ID},
        "Null": {"aws:SourceAccount": "false"},
        "Bool": {"aws:PrincipalIsAWSService": "true"},
    }
    send("123456789012")
    with attached(management, MEMBER, {**NO_READING, "Action": "sqs:*", "Condition": deputies}):
        send(HUB)
        with pytest.raises(authorization.AccessDenied, match=DENIED):
            send("123456789012")


def test_service_linked_roles_are_not_limited(sandbox: Sandbox, management: Any) -> None:
    """ "RCPs do not apply to calls made by service-linked roles", nor to a service that assumes one."""
    iam = sandbox.client("iam", DATA)
    arn = iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")["Role"]["Arn"]
    role = role_by_arn(arn)
    assert role is not None
    role.policies["own"] = document(allow("s3:*"))  # AWS gives it one; IAM lets nobody else
    session = open_session(role, SessionRequest("service"))
    keys = {"AccessKeyId": session.access_key, "SecretAccessKey": session.secret_key, "SessionToken": session.token}
    with attached(management, DATA, {**NO_READING, "Action": ["s3:*", "sts:*"]}):
        assert identify(session.access_key).role_arn == arn
        assert session_client("s3", keys).list_objects_v2(Bucket=BUCKET)["KeyCount"]
        assert authorization.assume_as_service(arn, "autoscaling.amazonaws.com", session_name="s")


def test_what_they_never_restrict(sandbox: Sandbox, management: Any) -> None:
    """Neither kms:RetireGrant, nor AWS managed keys, nor what has no resource ("… not restricted by RCPs")."""
    key = f"arn:aws:kms:{HUB_REGION}:{DATA}:key/1234"
    managed = sandbox.client("kms", DATA).describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["Arn"]
    with attached(management, DATA, {**NO_READING, "Action": ["kms:*", "s3:*"]}):
        assert resource_control.policies_for("kms:RevokeGrant", key, DATA)
        assert resource_control.policies_for("kms:RetireGrant", key, DATA) == ()
        assert resource_control.policies_for("kms:Decrypt", managed, DATA) == ()
        assert sandbox.client("s3", DATA).list_buckets()["Buckets"]


def test_the_type_has_to_be_enabled(sandbox: Sandbox, management: Any) -> None:
    """Disabled, it limits nothing; enabled again, everything has RCPFullAWSAccess alone."""
    s3 = sandbox.client("s3", DATA)
    made = management.create_policy(Name="limit", Description="", Content=document(NO_READING), **KIND)
    attach = {"PolicyId": made["Policy"]["PolicySummary"]["Id"], "TargetId": DATA}
    management.attach_policy(**attach)
    refused(s3.list_objects_v2, "AccessDenied", match=DENIED, Bucket=BUCKET)
    management.disable_policy_type(RootId=ROOT_ID, PolicyType=KIND["Type"])
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"]
    management.enable_policy_type(RootId=ROOT_ID, PolicyType=KIND["Type"])
    found = management.list_policies_for_target(TargetId=DATA, Filter=KIND["Type"])["Policies"]
    assert [one["Name"] for one in found] == ["RCPFullAWSAccess"]
    management.delete_policy(PolicyId=attach["PolicyId"])


def test_aws_own_policy_stays(management: Any) -> None:
    """RCPFullAWSAccess can be neither detached nor changed, also beside another policy."""
    with attached(management, DATA, NO_READING):
        refused(management.detach_policy, "ConstraintViolationException", PolicyId=FULL_ACCESS, TargetId=DATA)
    refused(management.update_policy, "InvalidInputException", PolicyId=FULL_ACCESS, Content=document(NO_READING))


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Allow"},
        {"Principal": {"AWS": "*"}},
        {"Principal": {"AWS": MEMBER}},
        {"Action": "*"},
        {"Action": ["s3:*", "*"]},
        {"Action": None, "NotAction": "s3:*"},
        {"Principal": None},
        {"Resource": None},
    ],
)
def test_policies_are_checked(management: Any, change: dict[str, Any]) -> None:
    """A customer's policy denies, to everybody, actions of services that it names ("RCP syntax")."""
    statement = {key: value for key, value in {**NO_READING, **change}.items() if value is not None}
    named = {"Name": "bad", "Description": "", **KIND}
    refused(management.create_policy, "MalformedPolicyDocumentException", Content=document(statement), **named)


SCIENCE_PATH = f"{organization.ORGANIZATION_ID}/{ROOT_ID}/ou-pods-science1/"
DATA_PATH = f"{organization.ORGANIZATION_ID}/{ROOT_ID}/{DATA_UNIT}/"


@pytest.mark.parametrize(
    ("pattern", "admitted"),
    [
        (SCIENCE_PATH, True),
        (f"{organization.ORGANIZATION_ID}/{ROOT_ID}/*", True),
        (DATA_PATH, False),
        (f"{organization.ORGANIZATION_ID}/{ROOT_ID}/", False),
    ],
)
def test_paths_tell_the_units_of_principal_and_resource(sandbox: Sandbox, pattern: str, admitted: bool) -> None:
    """Keys aws:PrincipalOrgPaths and aws:ResourceOrgPaths hold entity paths, each ending in a slash.

    Source: IAM User Guide, "AWS global condition context keys" and "Understand the AWS Organizations entity path".
    """
    told = {
        "ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": pattern},
        "ForAllValues:StringEquals": {"aws:ResourceOrgPaths": DATA_PATH},
        "Null": {"aws:ResourceOrgPaths": "false"},
    }
    grant = {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Condition": told}
    owner, visitor = sandbox.client("s3", DATA), sandbox.client("s3", MEMBER)
    owner.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration={"RestrictPublicBuckets": False})
    owner.put_bucket_policy(Bucket=BUCKET, Policy=document({**grant, "Resource": f"arn:aws:s3:::{BUCKET}"}))
    if admitted:
        assert visitor.list_objects_v2(Bucket=BUCKET)["KeyCount"]
    else:
        refused(visitor.list_objects_v2, "AccessDenied", 403, Bucket=BUCKET)
    owner.delete_bucket_policy(Bucket=BUCKET)


@pytest.mark.usefixtures("sandbox")
def test_a_services_request_tells_the_paths_of_resource_and_source() -> None:
    """Keys aws:ResourceOrgPaths and aws:SourceOrgPaths of a service's own request are those of the two accounts."""
    arn = f"arn:aws:sqs:{HUB_REGION}:{DATA}:told"
    told = {"aws:ResourceOrgPaths": DATA_PATH, "aws:SourceOrgPaths": SCIENCE_PATH}
    grant = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:*", "Resource": arn}
    opened = document({**grant, "Condition": {"ForAnyValue:StringEquals": told}})
    for account in (MEMBER, DATA):
        rule = f"arn:aws:events:{HUB_REGION}:{account}:rule/r"
        source = {"source_arn": rule, "source_account": account}
        if account == MEMBER:
            authorization.check_service_call("events.amazonaws.com", "sqs:SendMessage", arn, opened, **source)
        else:
            with pytest.raises(authorization.AccessDenied):
                authorization.check_service_call("events.amazonaws.com", "sqs:SendMessage", arn, opened, **source)

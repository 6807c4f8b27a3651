"""Service control policies limit what members may do, level by level, whatever their own policies say.

Sources: AWS Organizations User Guide, "Service control policies (SCPs)" and "SCP evaluation".
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from podshare_sandbox import Sandbox, new_accounts, organization
from podshare_sandbox.authorization import accounts, policy
from podshare_sandbox.authorization.policy import Authority, PrincipalNames, Request
from podshare_sandbox.authorization.principals import authority_of, identify, role_by_arn
from podshare_sandbox.authorization.sessions import SessionRequest, open_session
from podshare_sandbox.organization import DATA, MANAGEMENT, ROOT_ID, SCIENTISTS
from sandbox.tests import control_policies
from sandbox.tests.iam_accounts import allow, refused, session_client, trusting
from sandbox.tests.iam_accounts import policy as document

SCIENCE = "ou-pods-science1"
DENIED = "with an explicit deny in a service control policy"
KIND = {"Type": "SERVICE_CONTROL_POLICY"}
FULL_ACCESS = control_policies.FULL_ACCESS[KIND["Type"]]
attached = partial(control_policies.attached, KIND["Type"])
NO_IAM = {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}
MEMBER = SCIENTISTS[0]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox without podshare, whose organization has service control policies enabled."""
    with control_policies.enabled(KIND["Type"]) as running:
        yield running


@pytest.fixture
def management(sandbox: Sandbox) -> Any:
    """The management account's client of Organizations."""
    return sandbox.client("organizations", MANAGEMENT)


@pytest.mark.parametrize("target", [MEMBER, SCIENCE, ROOT_ID])
def test_a_deny_at_any_level_wins(sandbox: Sandbox, management: Any, target: str) -> None:
    """A deny on the account, its unit or the root stops even an administrator, and tells why."""
    iam = sandbox.client("iam", MEMBER)
    with attached(management, target, NO_IAM):
        message = refused(iam.list_roles, "AccessDenied", 403, DENIED)
        assert message.startswith(f"User: arn:aws:iam::{MEMBER}:user/admin is not authorized to perform: iam:ListRoles")
        assert sandbox.decisions[-1].reason == DENIED
        assert sandbox.client("s3", MEMBER).list_buckets()["Buckets"] == []
    assert iam.list_roles()["Roles"]


def test_other_accounts_do_not_notice(sandbox: Sandbox, management: Any) -> None:
    """A policy on one unit limits no account elsewhere; it follows from where an account stands now."""
    with attached(management, SCIENCE, NO_IAM):
        assert sandbox.client("iam", DATA).list_roles()["Roles"]
        move = {"AccountId": MEMBER, "SourceParentId": SCIENCE, "DestinationParentId": ROOT_ID}
        management.move_account(**move)
        assert sandbox.client("iam", MEMBER).list_roles()["Roles"]
        back = {"AccountId": MEMBER, "SourceParentId": ROOT_ID, "DestinationParentId": SCIENCE}
        management.move_account(**back)
        refused(sandbox.client("iam", MEMBER).list_roles, "AccessDenied", match=DENIED)


def test_every_level_must_allow(sandbox: Sandbox, management: Any) -> None:
    """Where FullAWSAccess is replaced, only what the replacement allows is left, though other levels allow all."""
    with attached(management, SCIENCE, allow(["s3:*", "sts:*"])):
        sandbox.client("iam", MEMBER).list_roles()
        management.detach_policy(PolicyId=FULL_ACCESS, TargetId=SCIENCE)
        reason = "because no service control policy allows the iam:ListRoles action"
        refused(sandbox.client("iam", MEMBER).list_roles, "AccessDenied", match=reason)
        assert sandbox.client("s3", MEMBER).list_buckets()["Buckets"] == []


def test_the_management_account_is_never_limited(sandbox: Sandbox, management: Any) -> None:
    """ "SCPs don't affect users or roles in the management account"."""
    with attached(management, ROOT_ID, {**NO_IAM, "Action": "*"}):
        assert sandbox.client("iam", MANAGEMENT).list_users()["Users"]
        refused(sandbox.client("iam", DATA).list_users, "AccessDenied", match=DENIED)


def test_sessions_are_limited_too(sandbox: Sandbox, management: Any) -> None:
    """The role's account counts, not that of whoever assumed it; a condition may spare a role."""
    iam, sts = sandbox.client("iam", MEMBER), sandbox.client("sts", MANAGEMENT)
    arns = {}
    for name in ("guest", "spared"):
        trust = trusting({"AWS": MANAGEMENT})
        arns[name] = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.attach_role_policy(RoleName=name, PolicyArn=new_accounts.ADMINISTRATOR_ACCESS)
    unless = {"Condition": {"ArnNotLike": {"aws:PrincipalArn": arns["spared"]}}}
    clients = {
        name: session_client("iam", sts.assume_role(RoleArn=arn, RoleSessionName="ann")["Credentials"])
        for name, arn in arns.items()
    }
    with attached(management, MEMBER, {**NO_IAM, **unless}):
        refused(clients["guest"].list_users, "AccessDenied", match=DENIED)
        assert clients["spared"].list_users()["Users"]


def test_a_bucket_of_another_account_is_no_way_round(sandbox: Sandbox, management: Any) -> None:
    """The caller's organization limits it wherever the resource is, also where that names the caller itself."""
    everybody = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{MEMBER}:user/admin"},
        "Action": "s3:ListBucket",
    }
    bucket = organization.TEXT_BUCKET
    arn = f"arn:aws:s3:::{bucket}"
    sandbox.client("s3", DATA).put_bucket_policy(Bucket=bucket, Policy=document({**everybody, "Resource": arn}))
    s3 = sandbox.client("s3", MEMBER)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"]
    with attached(management, MEMBER, {"Effect": "Deny", "Action": "s3:ListBucket", "Resource": arn}):
        refused(s3.list_objects_v2, "AccessDenied", 403, DENIED, Bucket=bucket)


def test_service_linked_roles_are_not_limited(sandbox: Sandbox, management: Any) -> None:
    """ "SCPs do not affect any service-linked role"."""
    iam = sandbox.client("iam", MEMBER)
    role = iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com")["Role"]["Arn"]
    with attached(management, MEMBER, NO_IAM):
        assert role.split(":role/")[1].startswith("aws-service-role/")
        assert accounts.control_policies(MEMBER) is not None
        assert _control_of(role) is None


def _control_of(role_arn: str) -> Any:
    """The control policies of a session of the role."""
    role = role_by_arn(role_arn)
    assert role is not None
    return authority_of(identify(open_session(role, SessionRequest("service")).access_key)).control


def test_nothing_is_evaluated_while_nothing_limits(sandbox: Sandbox, management: Any) -> None:
    """With FullAWSAccess alone, or the type not enabled, or outside of the organization there are no policies."""
    assert accounts.control_policies(MEMBER) is None
    assert accounts.control_policies("123456789012") is None
    with attached(management, SCIENCE, NO_IAM) as policy_id:
        assert [len(level) for level in accounts.control_policies(MEMBER) or ()] == [1, 2, 1]
        assert accounts.control_policies(MANAGEMENT) is None
        management.disable_policy_type(RootId=ROOT_ID, PolicyType=KIND["Type"])
        assert accounts.control_policies(MEMBER) is None
        assert sandbox.client("iam", MEMBER).list_roles()["Roles"]
        attach = {"PolicyId": policy_id, "TargetId": SCIENCE}
        refused(management.attach_policy, "PolicyTypeNotEnabledException", **attach)
        management.enable_policy_type(RootId=ROOT_ID, PolicyType=KIND["Type"])
        assert sandbox.client("iam", MEMBER).list_roles()["Roles"]  # disabling had detached it
        management.attach_policy(**attach)


def test_attachments_have_rules(management: Any) -> None:
    """A policy is attached once, only where it can be, detached only where it is, and never the last one."""
    refused(management.attach_policy, "TargetNotFoundException", PolicyId=FULL_ACCESS, TargetId="123456789012")
    refused(management.attach_policy, "DuplicatePolicyAttachmentException", PolicyId=FULL_ACCESS, TargetId=MEMBER)
    refused(management.detach_policy, "ConstraintViolationException", PolicyId=FULL_ACCESS, TargetId=MEMBER)
    with attached(management, MEMBER, NO_IAM) as policy_id:
        refused(management.detach_policy, "PolicyNotAttachedException", PolicyId=policy_id, TargetId=DATA)
        refused(management.delete_policy, "PolicyInUseException", PolicyId=policy_id)


def test_policies_are_checked(management: Any) -> None:
    """A control policy is written like an identity policy, and AWS's own cannot be changed."""
    named = {"Name": "bad", "Description": "", **KIND}
    malformed = "MalformedPolicyDocumentException"
    refused(management.create_policy, malformed, 400, Content="{}", **named)
    refused(management.create_policy, malformed, Content=document({**NO_IAM, "Principal": "*"}), **named)
    long = document({**NO_IAM, "Resource": [f"arn:aws:iam::*:role/{number:08d}" for number in range(200)]})
    refused(management.create_policy, "ConstraintViolationException", Content=long, **named)
    refused(management.update_policy, "InvalidInputException", PolicyId=FULL_ACCESS, Content=document(NO_IAM))


READ = Request("s3:GetObject", "arn:aws:s3:::b/k", {})
ALLOWS = policy.parse(document(allow("s3:*")))
DENIES = policy.parse(document({"Effect": "Deny", "Action": "s3:*", "Resource": "*"}))
SILENT = policy.parse(document(allow("iam:*")))


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        (None, "allowed"),
        (((ALLOWS,), (ALLOWS,)), "allowed"),
        (((ALLOWS, SILENT), (SILENT, ALLOWS)), "allowed"),
        (((ALLOWS,), (SILENT,)), "because no service control policy allows the s3:GetObject action"),
        (((SILENT,), (ALLOWS,)), "because no service control policy allows the s3:GetObject action"),
        (((), (ALLOWS,)), "because no service control policy allows the s3:GetObject action"),
        (((ALLOWS,), (ALLOWS, DENIES)), DENIED),
        (((SILENT,), (DENIES,)), DENIED),
    ],
)
def test_the_levels_are_joined_by_and(levels: Any, reason: str) -> None:
    """Each level allows by any of its policies, and any deny at any level wins."""
    findings = policy.find(Authority((ALLOWS,), control=levels), PrincipalNames(), READ, ())
    outcome = policy.decide(findings, READ.action, same_account=True)
    assert outcome.reason == reason
    assert outcome.allowed == (reason == "allowed")


def test_a_resource_that_names_the_session_is_limited_too() -> None:
    """Boundaries do not limit a grant to the very session, control policies do ("Policy evaluation logic")."""
    names = PrincipalNames("1" * 12, "arn:aws:sts::111111111111:assumed-role/r/s", "arn:aws:iam::111111111111:role/r")
    grant = {"Effect": "Allow", "Principal": {"AWS": names.arn}, "Action": "s3:*", "Resource": "*"}
    for levels, allowed in ((None, True), (((SILENT,),), False)):
        findings = policy.find(Authority((), SILENT, None, levels), names, READ, (policy.parse(document(grant)),))
        assert policy.decide(findings, READ.action, same_account=True).allowed == allowed

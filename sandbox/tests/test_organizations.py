"""AWS Organizations: what accounts go through, who may ask, and what EventBridge is told of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from podshare_sandbox import Sandbox, authorization, clock, delivery, new_accounts
from podshare_sandbox.authorization import accounts
from podshare_sandbox.organization import DATA, HUB, MANAGEMENT, ORGANIZATION_ID, ROOT_ID, SCIENTISTS
from podshare_sandbox.services import organizations
from sandbox.tests.iam_accounts import refused, session_client, trusting

SCIENCE = "ou-pods-science1"
SCALE = 0.01
DENIED = "You don't have permissions to access this resource."


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox without podshare; two accounts have a queue for what Organizations tells them."""
    with Sandbox(time_scale=SCALE) as running:
        for account in (MANAGEMENT, SCIENTISTS[0]):
            _listen(running, account)
        yield running


@pytest.fixture
def management(sandbox: Sandbox) -> Any:
    """The management account's client of Organizations; nothing was told yet."""
    for account in (MANAGEMENT, SCIENTISTS[0]):
        told(sandbox, account)
    return sandbox.client("organizations", MANAGEMENT)


def _listen(sandbox: Sandbox, account: str, region: str = "us-east-1") -> None:
    events, sqs = (sandbox.client(service, account, region) for service in ("events", "sqs"))
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": "*"}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    events.put_rule(Name="told", EventPattern=json.dumps({"source": ["aws.organizations"]}))
    events.put_targets(Rule="told", Targets=[{"Id": "told", "Arn": f"arn:aws:sqs:{region}:{account}:told"}])


def told(sandbox: Sandbox, account: str = MANAGEMENT) -> dict[str, Any]:
    """The events since the last look, by name."""
    sandbox.settle()
    sqs = sandbox.client("sqs", account, "us-east-1")
    url, events = sqs.get_queue_url(QueueName="told")["QueueUrl"], []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        events += [json.loads(message["Body"]) for message in messages]
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return {event["detail"]["eventName"]: event for event in events}


def new_account(sandbox: Sandbox, name: str, **request: Any) -> str:
    """The id of an account that is created now."""
    client = sandbox.client("organizations", MANAGEMENT)
    status = client.create_account(AccountName=name, Email=f"{name}@example.com", **request)["CreateAccountStatus"]
    sandbox.settle()
    done = client.describe_create_account_status(CreateAccountRequestId=status["Id"])["CreateAccountStatus"]
    told(sandbox)
    return str(done["AccountId"])


@contextmanager
def slowly() -> Iterator[None]:
    """Let what takes its time take long enough to be looked at."""
    clock.set_scale(0.1)
    try:
        yield
    finally:
        clock.set_scale(SCALE)


def state_and_status(management: Any, account: str) -> tuple[str, str]:
    """What DescribeAccount answers."""
    described = management.describe_account(AccountId=account)["Account"]
    return described["State"], described["Status"]


# --- creation -------------------------------------------------------------------------------------------------


def test_creation_takes_its_time(sandbox: Sandbox, management: Any) -> None:
    """CreateAccount answers IN_PROGRESS; in the end the account is in the root, with its id, role and administrator."""
    before = management.list_create_account_status(States=["SUCCEEDED"])["CreateAccountStatuses"]
    answer = management.create_account(AccountName="newcomer", Email="newcomer@example.com", RoleName="Landlord")
    pending = answer["CreateAccountStatus"]
    assert pending["State"] == "IN_PROGRESS"
    assert pending.keys().isdisjoint({"AccountId", "CompletedTimestamp"})
    sandbox.settle()
    done = management.describe_create_account_status(CreateAccountRequestId=pending["Id"])["CreateAccountStatus"]
    assert done["State"] == "SUCCEEDED"
    account = done["AccountId"]
    assert account == new_accounts.created_account(len(before) + 1)
    assert management.list_parents(ChildId=account)["Parents"] == [{"Id": ROOT_ID, "Type": "ROOT"}]
    assert sandbox.client("sts", account).get_caller_identity()["Account"] == account
    role = sandbox.client("sts", MANAGEMENT).assume_role(
        RoleArn=f"arn:aws:iam::{account}:role/Landlord", RoleSessionName="ann"
    )
    assert session_client("iam", role["Credentials"]).list_users()["Users"][0]["UserName"] == "admin"


def test_creation_is_told_without_names(sandbox: Sandbox, management: Any) -> None:
    """CreateAccountResult hides the account's name ("Logging and monitoring"), and a member has joined."""
    management.create_account(AccountName="secret", Email="secret@example.com")
    events = told(sandbox)
    assert events.keys() == {"CreateAccount", "CreateAccountResult", "AccountJoinedOrganization"}
    assert events["CreateAccount"]["detail"]["requestParameters"] == {"accountName": "****", "email": "****"}
    result = events["CreateAccountResult"]
    status = result["detail"]["serviceEventDetails"]["createAccountStatus"]
    joined = events["AccountJoinedOrganization"]["detail"]["serviceEventDetails"]
    assert status["state"] == "SUCCEEDED"
    assert status["accountName"] == "****"
    assert status["accountId"] == joined["accountId"]
    assert joined["joinedMethod"] == "Created"
    assert result["detail"]["eventType"] == "AwsServiceEvent"
    assert result["detail"]["userIdentity"] == {"accountId": MANAGEMENT, "invokedBy": "organizations.amazonaws.com"}
    assert "secret" not in json.dumps(events)


def test_creation_with_an_address_in_use_fails_later(sandbox: Sandbox, management: Any) -> None:
    """The request is taken, and its result is FAILED with EMAIL_ALREADY_EXISTS and no account ("CreateAccountStatus")."""
    new_account(sandbox, "original")
    pending = management.create_account(AccountName="copy", Email="Original@example.com")["CreateAccountStatus"]
    status = told(sandbox)["CreateAccountResult"]["detail"]["serviceEventDetails"]["createAccountStatus"]
    assert (status["state"], status["failureReason"]) == ("FAILED", "EMAIL_ALREADY_EXISTS")
    assert "accountId" not in status
    done = management.describe_create_account_status(CreateAccountRequestId=pending["Id"])["CreateAccountStatus"]
    assert done["FailureReason"] == "EMAIL_ALREADY_EXISTS"
    unknown = {"CreateAccountRequestId": "car-00000000"}
    refused(management.describe_create_account_status, "CreateAccountStatusNotFoundException", **unknown)


# --- events ---------------------------------------------------------------------------------------------------


def test_a_call_is_told_as_cloudtrail_records_it(sandbox: Sandbox, management: Any) -> None:
    """The envelope names the caller's account and us-east-1; the detail has who, what, and null for no answer."""
    account = new_account(sandbox, "recorded")
    move = {"AccountId": account, "SourceParentId": ROOT_ID, "DestinationParentId": SCIENCE}
    management.move_account(**move)
    event = told(sandbox)["MoveAccount"]
    detail = event["detail"]
    assert (event["source"], event["detail-type"]) == ("aws.organizations", "AWS API Call via CloudTrail")
    assert (event["account"], event["region"], event["resources"]) == (MANAGEMENT, "us-east-1", [])
    assert (detail["eventSource"], detail["eventType"]) == ("organizations.amazonaws.com", "AwsApiCall")
    assert detail["userIdentity"]["arn"] == f"arn:aws:iam::{MANAGEMENT}:user/admin"
    assert detail["requestParameters"] == {
        "accountId": account,
        "sourceParentId": ROOT_ID,
        "destinationParentId": SCIENCE,
    }
    assert detail["responseElements"] is None
    assert "errorCode" not in detail


def test_a_failed_call_is_told_with_its_error(sandbox: Sandbox, management: Any) -> None:
    """A record of a call that failed has errorCode and errorMessage, in the account that called."""
    move = {"AccountId": DATA, "SourceParentId": "r-none", "DestinationParentId": SCIENCE}
    refused(management.move_account, "SourceParentNotFoundException", 400, **move)
    detail = told(sandbox)["MoveAccount"]["detail"]
    assert detail["errorCode"] == "SourceParentNotFoundException"
    assert detail["errorMessage"]
    member = sandbox.client("organizations", SCIENTISTS[0])
    refused(member.move_account, "AccessDeniedException", 400, DENIED, **move)
    assert told(sandbox) == {}
    assert told(sandbox, SCIENTISTS[0])["MoveAccount"]["detail"]["errorCode"] == "AccessDenied"


@pytest.mark.usefixtures("management")
def test_a_roles_call_names_the_role(sandbox: Sandbox) -> None:
    """A session's record has the role as sessionIssuer ("CloudTrail userIdentity element")."""
    iam = sandbox.client("iam", MANAGEMENT)
    iam.create_role(RoleName="organizer", AssumeRolePolicyDocument=trusting({"AWS": MANAGEMENT}))
    iam.attach_role_policy(RoleName="organizer", PolicyArn=new_accounts.ADMINISTRATOR_ACCESS)
    arn = f"arn:aws:iam::{MANAGEMENT}:role/organizer"
    session = sandbox.client("sts", MANAGEMENT).assume_role(RoleArn=arn, RoleSessionName="ann")["Credentials"]
    session_client("organizations", session).tag_resource(ResourceId=DATA, Tags=[{"Key": "tier", "Value": "gold"}])
    detail = told(sandbox)["TagResource"]["detail"]
    assert detail["userIdentity"]["type"] == "AssumedRole"
    assert detail["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == arn
    assert detail["requestParameters"] == {"resourceId": DATA, "tags": [{"key": "tier", "value": "gold"}]}


def test_reading_is_not_told(sandbox: Sandbox, management: Any) -> None:
    """EventBridge gets no read-only management events by default ("Events from AWS services via CloudTrail")."""
    management.describe_account(AccountId=DATA)
    management.list_accounts()
    assert told(sandbox) == {}


def test_the_first_organization_is_told_to_nobody(sandbox: Sandbox) -> None:
    """The fixed accounts were there before anybody could listen: they have no requests of creation."""
    requests = sandbox.client("organizations", MANAGEMENT).list_create_account_status()["CreateAccountStatuses"]
    assert not {HUB, DATA, *SCIENTISTS} & {request.get("AccountId") for request in requests}


# --- who may --------------------------------------------------------------------------------------------------


def test_a_member_sees_its_organization_and_no_more(sandbox: Sandbox) -> None:
    """DescribeOrganization is for all; other reads are for the management account and delegated administrators."""
    member = sandbox.client("organizations", HUB)
    assert member.describe_organization()["Organization"]["MasterAccountId"] == MANAGEMENT
    refused(member.list_accounts, "AccessDeniedException", 400, DENIED)
    refused(member.describe_account, "AccessDeniedException", 400, DENIED, AccountId=HUB)
    refused(member.list_parents, "AccessDeniedException", 400, DENIED, ChildId=HUB)
    refused(member.list_tags_for_resource, "AccessDeniedException", 400, DENIED, ResourceId=HUB)
    refused(member.list_roots, "AccessDeniedException", 400, DENIED)


def test_a_delegated_administrator_reads(sandbox: Sandbox, management: Any) -> None:
    """Delegation opens the reads, by the member's own policies, and no write; it ends when it is taken back."""
    delegation = {"AccountId": HUB, "ServicePrincipal": "member.org.stacksets.cloudformation.amazonaws.com"}
    management.register_delegated_administrator(**delegation)
    member = sandbox.client("organizations", HUB)
    assert member.describe_account(AccountId=DATA)["Account"]["Name"] == "data-lake"
    assert member.list_parents(ChildId=DATA)["Parents"][0]["Id"] == "ou-pods-datalake"
    refused(member.tag_resource, "AccessDeniedException", 400, ResourceId=DATA, Tags=[{"Key": "a", "Value": "b"}])
    constraint = {"code": "ConstraintViolationException", "match": "delegated administrator"}
    refused(management.remove_account_from_organization, **constraint, AccountId=HUB)
    management.deregister_delegated_administrator(**delegation)
    refused(member.describe_account, "AccessDeniedException", AccountId=DATA)


# --- reading --------------------------------------------------------------------------------------------------


def test_an_account_tells_where_it_is(management: Any) -> None:
    """DescribeAccount and the lists have State, Status, JoinedMethod and the path from the organization down."""
    account = management.describe_account(AccountId=DATA)["Account"]
    assert account["Paths"] == [f"{ORGANIZATION_ID}/{ROOT_ID}/ou-pods-datalake/{DATA}/"]
    assert (account["State"], account["Status"], account["JoinedMethod"]) == ("ACTIVE", "ACTIVE", "CREATED")
    listed = management.list_accounts_for_parent(ParentId="ou-pods-datalake")["Accounts"]
    assert listed == [account]
    refused(management.describe_account, "AccountNotFoundException", 400, AccountId="123456789012")
    refused(management.list_parents, "ChildNotFoundException", 400, ChildId="123456789012")


def test_accounts_are_listed_in_small_pages(management: Any) -> None:
    """A page of ListAccounts holds 20 accounts at most, and its token leads to the rest without loss."""
    pages = list(management.get_paginator("list_accounts").paginate(PaginationConfig={"PageSize": 2}))
    assert all(len(page["Accounts"]) <= 2 for page in pages)
    ids = [account["Id"] for page in pages for account in page["Accounts"]]
    assert len(set(ids)) == len(ids) >= 5
    refused(management.list_accounts, "InvalidInputException", match="less than or equal to 20", MaxResults=21)


# --- the tree -------------------------------------------------------------------------------------------------


def test_moving_checks_where_an_account_is(sandbox: Sandbox, management: Any) -> None:
    """MoveAccount refuses a source where the account is not, a destination where it is, and what does not exist."""
    account = new_account(sandbox, "mover")
    move = {"AccountId": account, "SourceParentId": ROOT_ID, "DestinationParentId": SCIENCE}
    missing = {**move, "DestinationParentId": "ou-pods-nowhere1"}
    refused(management.move_account, "DestinationParentNotFoundException", **missing)
    refused(management.move_account, "AccountNotFoundException", **{**move, "AccountId": "123456789012"})
    refused(management.move_account, "SourceParentNotFoundException", **{**move, "SourceParentId": "ou-pods-platform"})
    management.move_account(**move)
    refused(management.move_account, "DuplicateAccountException", **move)
    assert management.list_parents(ChildId=account)["Parents"] == [{"Id": SCIENCE, "Type": "ORGANIZATIONAL_UNIT"}]


def test_units_are_a_tree_with_rules(sandbox: Sandbox, management: Any) -> None:
    """Siblings have different names, a unit with something in it stays, and its path is told."""
    unit = management.create_organizational_unit(ParentId=SCIENCE, Name="Robots")["OrganizationalUnit"]
    elements = told(sandbox)["CreateOrganizationalUnit"]["detail"]["responseElements"]["organizationalUnit"]
    assert elements["path"] == unit["Path"] == f"{ORGANIZATION_ID}/{ROOT_ID}/{SCIENCE}/{unit['Id']}/"
    twin = {"ParentId": SCIENCE, "Name": "Robots"}
    refused(management.create_organizational_unit, "DuplicateOrganizationalUnitException", **twin)
    refused(management.create_organizational_unit, "ParentNotFoundException", ParentId="ou-pods-nowhere1", Name="x")
    inner = management.create_organizational_unit(ParentId=unit["Id"], Name="Robots")["OrganizationalUnit"]
    refused(
        management.delete_organizational_unit, "OrganizationalUnitNotEmptyException", OrganizationalUnitId=unit["Id"]
    )
    renamed = management.update_organizational_unit(OrganizationalUnitId=inner["Id"], Name="Arms")
    assert renamed["OrganizationalUnit"]["Name"] == "Arms"
    for one in (inner, unit):
        management.delete_organizational_unit(OrganizationalUnitId=one["Id"])
    assert management.list_organizational_units_for_parent(ParentId=SCIENCE)["OrganizationalUnits"] == []


def test_units_nest_five_levels_deep(management: Any) -> None:
    """ "Organizational unit maximum nesting in a root: Five levels of OUs deep" ("Quotas for AWS Organizations")."""
    parents = [ROOT_ID]
    for level in range(5):
        unit = management.create_organizational_unit(ParentId=parents[-1], Name=f"level-{level}")
        parents.append(unit["OrganizationalUnit"]["Id"])
    refused(management.create_organizational_unit, "ConstraintViolationException", ParentId=parents[-1], Name="six")
    for unit_id in reversed(parents[1:]):
        management.delete_organizational_unit(OrganizationalUnitId=unit_id)


def test_tags_have_limits(sandbox: Sandbox, management: Any) -> None:
    """Tags given at creation stay; keys of AWS's own, keys given twice and more than 50 tags are refused."""
    account = new_account(sandbox, "tagged", Tags=[{"Key": "team", "Value": "vision"}])
    assert management.list_tags_for_resource(ResourceId=account)["Tags"] == [{"Key": "team", "Value": "vision"}]
    tags = [{"Key": f"key-{number}", "Value": "v"} for number in range(50)]
    refused(management.tag_resource, "ConstraintViolationException", ResourceId=account, Tags=tags)
    reserved = [{"Key": "aws:x", "Value": "v"}]
    refused(management.tag_resource, "InvalidInputException", ResourceId=account, Tags=reserved)
    refused(management.tag_resource, "InvalidInputException", ResourceId=account, Tags=[tags[0], tags[0]])
    management.untag_resource(ResourceId=account, TagKeys=["team"])
    untagged = told(sandbox)["UntagResource"]["detail"]["requestParameters"]
    assert untagged == {"resourceId": account, "tagKeys": ["team"]}
    assert management.list_tags_for_resource(ResourceId=account)["Tags"] == []


# --- suspension and closure -----------------------------------------------------------------------------------


def test_a_suspended_account_can_do_nothing(sandbox: Sandbox, management: Any) -> None:
    """No principal of a suspended account gets an answer, not even with a session from before; reinstated, it does."""
    account = new_account(sandbox, "debtor")
    iam, sts = sandbox.client("iam", account), sandbox.client("sts", account)
    iam.create_role(RoleName="worker", AssumeRolePolicyDocument=trusting({"AWS": account}))
    arn = f"arn:aws:iam::{account}:role/worker"
    session = sts.assume_role(RoleArn=arn, RoleSessionName="ann")["Credentials"]
    organizations.suspend(account)
    assert state_and_status(management, account) == ("SUSPENDED", "SUSPENDED")
    refused(sts.get_caller_identity, "AccessDenied", 403)
    refused(iam.list_roles, "AccessDenied", 403)
    refused(sandbox.client("dynamodb", account).list_tables, "AccessDeniedException", 400)
    refused(sandbox.client("s3", account).list_buckets, "AccountProblem", 403)
    refused(session_client("sts", session).get_caller_identity, "AccessDenied", 403)
    with pytest.raises(authorization.UnknownAccessKey):  # to an EKS cluster its tokens are nobody's
        authorization.identify(session["AccessKeyId"])
    assert told(sandbox) == {}
    organizations.reinstate(account)
    assert session_client("sts", session).get_caller_identity()["Account"] == account
    with pytest.raises(ValueError, match="not CLOSED"):
        organizations.clean(account)


def test_nobody_assumes_a_role_in_a_suspended_account(sandbox: Sandbox) -> None:
    """AssumeRole is refused as for a role that does not trust the caller, to people and services alike."""
    account = new_account(sandbox, "shut")
    role = f"arn:aws:iam::{account}:role/{new_accounts.ACCESS_ROLE}"
    trust = trusting({"Service": "lambda.amazonaws.com"})
    served = sandbox.client("iam", account).create_role(RoleName="served", AssumeRolePolicyDocument=trust)["Role"][
        "Arn"
    ]
    assert authorization.assume_as_service(served, "lambda.amazonaws.com", session_name="ann").access_key
    organizations.suspend(account)
    message = refused(
        sandbox.client("sts", MANAGEMENT).assume_role, "AccessDenied", 403, RoleArn=role, RoleSessionName="ann"
    )
    user = f"arn:aws:iam::{MANAGEMENT}:user/admin"
    assert message == f"User: {user} is not authorized to perform: sts:AssumeRole on resource: {role}"
    with pytest.raises(authorization.AccessDenied):
        authorization.assume_as_service(served, "lambda.amazonaws.com", session_name="ann")


def test_closure_is_pending_before_it_is_done(sandbox: Sandbox, management: Any) -> None:
    """CloseAccount: PENDING_CLOSURE at once, then CLOSED, which the retired Status calls SUSPENDED; both are told."""
    account = new_account(sandbox, "leaver")
    with slowly():
        management.close_account(AccountId=account)
        assert state_and_status(management, account) == ("PENDING_CLOSURE", "PENDING_CLOSURE")
        refused(sandbox.client("sts", account).get_caller_identity, "AccessDenied")
        refused(management.close_account, "ConflictException", AccountId=account)
    organizations.reinstate(account)  # the closure under way comes to nothing
    management.close_account(AccountId=account)
    events = told(sandbox)
    assert state_and_status(management, account) == ("CLOSED", "SUSPENDED")
    assert events["CloseAccount"]["detail"]["requestParameters"] == {"accountId": account}
    status = events["CloseAccountResult"]["detail"]["serviceEventDetails"]["closeAccountStatus"]
    assert (status["accountId"], status["state"]) == (account, "SUCCEEDED")
    refused(management.close_account, "AccountAlreadyClosedException", AccountId=account)
    refused(management.close_account, "ConstraintViolationException", AccountId=MANAGEMENT)
    refused(management.close_account, "AccountNotFoundException", AccountId="123456789012")


def test_a_closed_account_is_cleaned_in_the_end(sandbox: Sandbox, management: Any) -> None:
    """After 90 days AccountDepartedOrganization tells CLEANED, and nobody can use the account ever again."""
    account = new_account(sandbox, "closed")
    management.close_account(AccountId=account)
    told(sandbox)
    organizations.clean(account)
    departed = told(sandbox)["AccountDepartedOrganization"]["detail"]["serviceEventDetails"]
    assert (departed["accountId"], departed["departureMethod"]) == (account, "CLEANED")
    refused(management.describe_account, "AccountNotFoundException", AccountId=account)
    refused(sandbox.client("sts", account).get_caller_identity, "AccessDenied")


# --- departure and invitation ---------------------------------------------------------------------------------


def test_removal_is_told_and_leaves_an_account_outside(sandbox: Sandbox, management: Any) -> None:
    """A removed account goes on as an AWS account, of no organization: neither PrincipalOrgID nor Organizations."""
    account = new_account(sandbox, "removed", Tags=[{"Key": "a", "Value": "b"}])
    inside = {"StringEquals": {"aws:PrincipalOrgID": ORGANIZATION_ID}}
    trust = trusting({"AWS": account}, Condition=inside)
    arn = sandbox.client("iam").create_role(RoleName="for-members", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    sts = sandbox.client("sts", account)
    assert sts.assume_role(RoleArn=arn, RoleSessionName="ann")["Credentials"]
    management.remove_account_from_organization(AccountId=account)
    events = told(sandbox)
    assert events["RemoveAccountFromOrganization"]["detail"]["requestParameters"] == {"accountId": account}
    departed = events["AccountDepartedOrganization"]["detail"]["serviceEventDetails"]
    assert (departed["accountId"], departed["departureMethod"]) == (account, "REMOVED")
    assert sts.get_caller_identity()["Account"] == account
    refused(sts.assume_role, "AccessDenied", RoleArn=arn, RoleSessionName="ann")
    refused(management.describe_account, "AccountNotFoundException", AccountId=account)
    former = sandbox.client("organizations", account)
    refused(former.describe_organization, "AWSOrganizationsNotInUseException", 400)
    refused(management.remove_account_from_organization, "MasterCannotLeaveOrganizationException", AccountId=MANAGEMENT)


def test_a_role_in_an_account_outside_has_no_organization(sandbox: Sandbox, management: Any) -> None:
    """aws:ResourceOrgID is the organization of the resource's account, absent once that has departed."""
    account = new_account(sandbox, "apart")
    iam = sandbox.client("iam", account)
    arn = iam.create_role(RoleName="visited", AssumeRolePolicyDocument=trusting({"AWS": MANAGEMENT}))["Role"]["Arn"]
    own = {"StringEquals": {"aws:ResourceOrgID": ORGANIZATION_ID}}
    guard = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*", "Condition": own}
    hub = sandbox.client("iam", MANAGEMENT)
    hub.create_role(RoleName="guarded", AssumeRolePolicyDocument=trusting({"AWS": MANAGEMENT}))
    document = json.dumps({"Version": "2012-10-17", "Statement": [guard]})
    hub.put_role_policy(RoleName="guarded", PolicyName="own", PolicyDocument=document)
    role = f"arn:aws:iam::{MANAGEMENT}:role/guarded"
    session = sandbox.client("sts", MANAGEMENT).assume_role(RoleArn=role, RoleSessionName="ann")["Credentials"]
    guarded = session_client("sts", session)
    assert guarded.assume_role(RoleArn=arn, RoleSessionName="ann")["Credentials"]
    management.remove_account_from_organization(AccountId=account)
    refused(guarded.assume_role, "AccessDenied", RoleArn=arn, RoleSessionName="ann")


def test_a_member_leaves_by_itself(sandbox: Sandbox, management: Any) -> None:
    """LeaveOrganization is told in the member's account, without parameters, and LEFT in the management account."""
    account = SCIENTISTS[0]
    sandbox.client("organizations", account).leave_organization()
    left = told(sandbox, account)["LeaveOrganization"]
    assert (left["account"], left["region"]) == (account, "us-east-1")
    assert left["detail"]["requestParameters"] is None
    assert left["detail"]["recipientAccountId"] == account
    events = told(sandbox)
    assert events.keys() == {"AccountDepartedOrganization"}
    departed = events["AccountDepartedOrganization"]["detail"]["serviceEventDetails"]
    assert (departed["accountId"], departed["departureMethod"]) == (account, "LEFT")
    refused(management.leave_organization, "MasterCannotLeaveOrganizationException")


def test_an_invited_account_joins_by_accepting(sandbox: Sandbox, management: Any) -> None:
    """Only the invited account can accept, once; it joins in the root, as INVITED, with the invitation's tags."""
    account = SCIENTISTS[0]
    if accounts.path_of(account):
        sandbox.client("organizations", account).leave_organization()
    invitation = {"Target": {"Id": account, "Type": "ACCOUNT"}, "Tags": [{"Key": "a", "Value": "b"}]}
    handshake = management.invite_account_to_organization(**invitation)["Handshake"]
    assert (handshake["State"], handshake["Action"]) == ("OPEN", "INVITE")
    refused(management.invite_account_to_organization, "DuplicateHandshakeException", **invitation)
    told(sandbox)
    accept = {"HandshakeId": handshake["Id"]}
    refused(sandbox.client("organizations", DATA).accept_handshake, "HandshakeNotFoundException", **accept)
    invited = sandbox.client("organizations", account)
    assert invited.describe_handshake(**accept)["Handshake"]["State"] == "OPEN"
    told(sandbox, account)
    assert invited.accept_handshake(**accept)["Handshake"]["State"] == "ACCEPTED"
    accepted = told(sandbox, account)["AcceptHandshake"]["detail"]
    assert accepted["requestParameters"] == {"handshakeId": handshake["Id"]}
    parties = accepted["responseElements"]["handshake"]["parties"]
    assert {"type": "ACCOUNT", "id": account} in parties
    joined = told(sandbox)["AccountJoinedOrganization"]["detail"]["serviceEventDetails"]
    assert (joined["accountId"], joined["joinedMethod"]) == (account, "INVITED")
    described = management.describe_account(AccountId=account)["Account"]
    assert described["JoinedMethod"] == "INVITED"
    assert management.list_tags_for_resource(ResourceId=account)["Tags"] == [{"Key": "a", "Value": "b"}]
    refused(invited.accept_handshake, "HandshakeAlreadyInStateException", **accept)
    refused(management.invite_account_to_organization, "HandshakeConstraintViolationException", **invitation)


def test_what_is_under_way_is_waited_for(sandbox: Sandbox, management: Any) -> None:
    """settle() waits for creations and closures: they are among what is in flight."""
    with slowly():
        management.create_account(AccountName="awaited", Email="awaited@example.com")
        assert any("creation of an account" in one for one in delivery.in_flight())
    sandbox.settle()
    assert delivery.in_flight() == []

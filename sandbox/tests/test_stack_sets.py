"""StackSets follow the accounts of their organizational units, as service-managed ones with automatic deployment do."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from podshare_sandbox.cloudformation import StackError
from podshare_sandbox.cloudformation.stack_sets import StackSet
from podshare_sandbox.organization import DATA, MANAGEMENT, ROOT_ID, SCIENTISTS, UNITS
from podshare_sandbox.sandbox import Sandbox
from podshare_sandbox.services import organizations

PLATFORM, SCIENCE, LAKE = (unit.id for unit in UNITS)
TEMPLATE = """
Parameters: {Suffix: {Type: String, Default: ""}}
Resources:
  Boundary:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      ManagedPolicyName: !Sub boundary${Suffix}
      PolicyDocument: {Statement: [{Effect: Allow, Action: "s3:*", Resource: "*"}]}
  Kept:
    Type: AWS::IAM::ManagedPolicy
    DeletionPolicy: Retain
    Properties:
      ManagedPolicyName: !Sub kept-${AWS::StackName}
      PolicyDocument: {Statement: [{Effect: Allow, Action: "s3:*", Resource: "*"}]}
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: !Sub member${Suffix}
      PermissionsBoundary: !Ref Boundary
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: "sts:AssumeRole"}]
  Queue:
    Type: AWS::SQS::Queue
    Properties: {QueueName: !Sub "queue${Suffix}"}
"""
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


class Organization:
    """A sandbox without podshare, and short ways to move accounts about and to look for a set's role in them."""

    def __init__(self, sandbox: Sandbox, template: Path) -> None:
        self.sandbox = sandbox
        self.template = template
        self.api = sandbox.client("organizations", MANAGEMENT)

    def deploy(self, *units: str, name: str = "member", **parameters: str) -> StackSet:
        """Deploy a set of the template to units."""
        return self.sandbox.deploy_stack_set(name, self.template, parameters, units)

    def create(self, name: str, unit: str) -> str:
        """Create an account and move it to a unit; returns its id."""
        request = self.api.create_account(AccountName=name, Email=f"{name}@example.com")["CreateAccountStatus"]["Id"]
        self.sandbox.settle()
        told = self.api.describe_create_account_status(CreateAccountRequestId=request)["CreateAccountStatus"]
        self.move(told["AccountId"], unit, settle=False)
        return str(told["AccountId"])

    def move(self, account: str, unit: str, settle: bool = True) -> None:
        """Move an account, and wait until all is quiet."""
        parent = self.api.list_parents(ChildId=account)["Parents"][0]["Id"]
        self.api.move_account(AccountId=account, SourceParentId=parent, DestinationParentId=unit)
        if settle:
            self.sandbox.settle()

    def has_role(self, account: str, name: str = "member") -> bool:
        """Whether the role of a set's stack is in the account."""
        try:
            self.sandbox.client("iam", account).get_role(RoleName=name)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchEntity"
            return False
        return True


@pytest.fixture
def organization(tmp_path: Path) -> Iterator[Organization]:
    """A fresh organization, a thousand times as fast."""
    template = tmp_path / "member.yaml"
    template.write_text(TEMPLATE)
    with Sandbox(time_scale=0.001) as sandbox:
        yield Organization(sandbox, template)


def test_a_set_reaches_the_accounts_of_its_units_at_once(organization: Organization) -> None:
    """Each gets a stack named after the set, accounts elsewhere and the management account get none."""
    found = organization.deploy(SCIENCE)

    assert found.instances.keys() == set(SCIENTISTS)
    assert {instance.status for instance in found.instances.values()} == {"CURRENT"}
    assert all(instance.stack.name.startswith("StackSet-member-") for instance in found.instances.values())
    assert [organization.has_role(account) for account in (*SCIENTISTS, DATA, MANAGEMENT)] == [True, True, False, False]


def test_the_management_account_gets_no_stack(organization: Organization) -> None:
    """A set of the whole organization leaves it out (CloudFormation user guide, service-managed permissions)."""
    assert MANAGEMENT not in organization.deploy(ROOT_ID).instances


def test_an_account_that_arrives_gets_its_stack_later(organization: Organization) -> None:
    """Not with the move, but some minutes after it, in units below as well; settle waits for that."""
    found = organization.deploy(SCIENCE)
    below = organization.api.create_organizational_unit(ParentId=SCIENCE, Name="Below")["OrganizationalUnit"]["Id"]

    arrived = organization.create("genomics-lab", below)
    assert not organization.has_role(arrived)
    organization.sandbox.settle()

    assert organization.has_role(arrived)
    assert found.instances[arrived].status == "CURRENT"


def test_a_move_within_a_set_changes_nothing(organization: Organization) -> None:
    """Between two units of one set an account keeps its stack."""
    found = organization.deploy(SCIENCE, LAKE)
    before = found.instances[SCIENTISTS[0]].stack.resources["Role"].physical

    organization.move(SCIENTISTS[0], LAKE)

    assert found.instances[SCIENTISTS[0]].stack.resources["Role"].physical == before


def test_an_account_that_goes_loses_its_stack(organization: Organization) -> None:
    """All but what its template retains; back again, it gets a stack of another name."""
    found = organization.deploy(SCIENCE)
    account, iam = SCIENTISTS[0], organization.sandbox.client("iam", SCIENTISTS[0])
    before = found.instances[account].stack.name

    organization.move(account, PLATFORM)
    assert account not in found.instances
    assert not organization.has_role(account)
    assert [policy["PolicyName"] for policy in iam.list_policies(Scope="Local")["Policies"]] == [f"kept-{before}"]

    organization.move(account, SCIENCE)
    assert organization.has_role(account)
    assert found.instances[account].stack.name != before


def test_a_move_from_set_to_set_removes_before_it_deploys(organization: Organization) -> None:
    """Two sets of one template, whose names would meet, replace each other."""
    organization.deploy(SCIENCE, name="science")
    lake = organization.deploy(LAKE, name="lake")

    organization.move(SCIENTISTS[0], LAKE)

    assert lake.instances[SCIENTISTS[0]].status == "CURRENT"
    assert SCIENTISTS[0] not in organization.sandbox.stack_set("science").instances


def test_a_boundary_in_use_stays_with_its_stack(organization: Organization) -> None:
    """IAM refuses to delete it; all else goes, and the instance is INOPERABLE and left alone from then on."""
    found = organization.deploy(SCIENCE)
    account, iam = SCIENTISTS[0], organization.sandbox.client("iam", SCIENTISTS[0])
    boundary = found.instances[account].stack.resources["Boundary"].physical.ref
    iam.create_role(RoleName="user", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=boundary)

    organization.move(account, PLATFORM)

    assert found.instances[account].status == "INOPERABLE"
    assert "Boundary" in found.instances[account].reason
    assert found.instances[account].stack.resources.keys() == {"Boundary"}
    organization.move(account, SCIENCE)
    assert not organization.has_role(account)


@pytest.mark.parametrize("how", ["leave", "remove", "suspend"])
def test_an_account_out_of_reach_keeps_its_stack(organization: Organization, how: str) -> None:
    """StackSets can neither clean up in an account that has left, nor in one that is suspended."""
    found = organization.deploy(SCIENCE)
    account = SCIENTISTS[0]
    if how == "leave":
        organization.sandbox.client("organizations", account).leave_organization()
    elif how == "remove":
        organization.api.remove_account_from_organization(AccountId=account)
    else:
        organizations.suspend(account)
        organization.move(account, PLATFORM)
    organization.sandbox.settle()

    if how == "suspend":
        organizations.reinstate(account)
    assert organization.has_role(account)
    assert found.instances[account].status == "CURRENT"


def test_a_deployment_that_fails_is_not_tried_again(organization: Organization) -> None:
    """The instance is OUTDATED and says why, until the set itself is deployed again."""
    found = organization.deploy(SCIENCE)
    iam = organization.sandbox.client("iam", DATA)
    iam.create_role(RoleName="member", AssumeRolePolicyDocument=TRUST)

    organization.move(DATA, SCIENCE)
    assert found.instances[DATA].status == "OUTDATED"
    assert "Role with name member already exists" in found.instances[DATA].reason
    with pytest.raises(StackError, match="already exists"):
        organization.deploy(SCIENCE)

    iam.delete_role(RoleName="member")
    assert organization.deploy(SCIENCE).instances[DATA].status == "CURRENT"


def test_an_account_can_be_held_back(organization: Organization) -> None:
    """The sandbox lets no stack reach an account that is held, and settle does not wait for it, until it is released."""
    organization.deploy(SCIENCE)
    organization.sandbox.hold_stack_sets(DATA)

    organization.move(DATA, SCIENCE)
    assert not organization.has_role(DATA)

    organization.sandbox.release_stack_sets(DATA)
    organization.sandbox.settle()
    assert organization.has_role(DATA)


def test_a_set_can_be_changed(organization: Organization) -> None:
    """Deployed again, it updates the stacks that it has and keeps them."""
    before = organization.deploy(SCIENCE).instances[SCIENTISTS[0]].stack

    found = organization.deploy(SCIENCE, Suffix="-2")

    assert found.instances[SCIENTISTS[0]].stack is before
    assert organization.has_role(SCIENTISTS[0], "member-2")
    assert organization.sandbox.stack_set("member") is found

"""The guides' commands of CloudFormation, typed as they stand with the real AWS CLI into a fresh organization."""

import json
import re
import shlex
from collections.abc import Iterator

import pytest

from podshare_sandbox import Sandbox, organization
from podshare_sandbox.cloudformation.template import read
from podshare_sandbox.organization import DATA, HUB, HUB_REGION, MANAGEMENT, ORGANIZATION_ID, SCIENTISTS, UNITS
from sandbox.tests.clients import run
from tests.docs.pages import DEPLOY, ROOT, UNINSTALL, UPGRADE

GUIDES = (DEPLOY, UPGRADE, UNINSTALL)
MEMBER = read(ROOT / "accounts" / "member.yaml")["Parameters"]
SCIENCE = UNITS[1].id
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


class Reader:
    """Somebody who follows the guides in the sandbox's organization, with its ids in the place of the examples'."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        hyperpod = sandbox.client("sagemaker").describe_cluster(ClusterName=organization.HYPERPOD_CLUSTER)
        self.ids = {
            "o-a1b2c3d4e5": ORGANIZATION_ID,
            "ou-a1b2-science1": SCIENCE,
            "arn:aws:sagemaker:us-west-2:111111111111:cluster/abcdefghijkl": hyperpod["ClusterArn"],
            "arn:aws:kms:us-west-2:333333333333:key/1234abcd-12ab-34cd-56ef-1234567890ab": organization.SCANS_KEY,
        }

    def type(self, command: str, account: str) -> str:
        """Run a command of a guide as the administrator of an account; returns what it prints."""
        for example, real in self.ids.items():
            command = command.replace(example, real)
        ended = run(shlex.split(command), self.sandbox.environment(account, HUB_REGION))
        assert ended.returncode == 0, f"{command}\n{ended.stderr}"
        self.sandbox.settle()
        return ended.stdout

    def parameters(self) -> dict[str, str]:
        """The parameters of the set of member stacks."""
        api = self.sandbox.client("cloudformation", MANAGEMENT)
        described = api.describe_stack_set(StackSetName="podshare-member")["StackSet"]["Parameters"]
        return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in described}

    def member_roles(self, account: str) -> list[str]:
        """podshare's member roles in an account."""
        roles = self.sandbox.client("iam", account).list_roles(PathPrefix="/podshare-system/")["Roles"]
        return sorted(role["RoleName"] for role in roles)


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    """An organization with the hub, deployed from Python: `sam deploy` needs more of CloudFormation than is emulated."""
    with Sandbox(time_scale=0.001) as sandbox:
        own = {"OrganizationId": ORGANIZATION_ID, "ManagementAccountId": MANAGEMENT}
        sandbox.deploy(ROOT / "template.yaml", stack_name="podshare", parameters=own)
        yield Reader(sandbox)


def commands(*words: str) -> list[str]:
    """The guides' shell commands that have all of these words, in their order."""
    return [command for page in GUIDES for command in page.commands if all(word in command for word in words)]


def spans(*words: str) -> list[str]:
    """The guides' commands in prose that have all of these words."""
    return [span for page in GUIDES for span in page.spans if all(word in span for word in words)]


def test_single_stacks_are_deployed(reader: Reader) -> None:
    """Each `aws cloudformation deploy` makes its stack, in the account that its parameters are for."""
    (management,) = commands("cloudformation deploy", "accounts/management.yaml", "HubRegion")
    cluster_member, data_member = commands("cloudformation deploy", "accounts/member.yaml")
    (cluster,) = commands("cloudformation deploy", "accounts/cluster.yaml")
    (drift,) = commands("cloudformation deploy", "accounts/drift.yaml")

    reader.type(management, MANAGEMENT)
    reader.type(cluster_member, HUB)
    reader.type(data_member, DATA)
    reader.type(cluster, HUB)
    reader.type(drift, DATA)

    complete = {
        (account, region, stack["StackName"]): stack["StackStatus"]
        for account, region in ((MANAGEMENT, "us-east-1"), (HUB, HUB_REGION), (DATA, HUB_REGION), (DATA, "us-east-1"))
        for stack in reader.sandbox.client("cloudformation", account, region).describe_stacks()["Stacks"]
    }
    assert complete == {
        (MANAGEMENT, "us-east-1", "podshare-management"): "CREATE_COMPLETE",
        (HUB, HUB_REGION, "podshare"): "CREATE_COMPLETE",
        (HUB, HUB_REGION, "podshare-member"): "CREATE_COMPLETE",
        (HUB, HUB_REGION, "podshare-cluster"): "CREATE_COMPLETE",
        (DATA, HUB_REGION, "podshare-member"): "CREATE_COMPLETE",
        (DATA, "us-east-1", "podshare-drift"): "CREATE_COMPLETE",
    }


def test_the_set_of_member_stacks_lives_as_told(reader: Reader) -> None:
    """A failing account stops no other, an update keeps every parameter, and all of it can be removed."""
    broken, healthy = SCIENTISTS
    iam = reader.sandbox.client("iam", broken)
    iam.create_role(RoleName="podshare-read", AssumeRolePolicyDocument=TRUST)  # a name that the stack needs
    (create,) = commands("create-stack-set")
    reader.type(spans("activate-organizations-access")[0], MANAGEMENT)
    reader.type(f"{create} ParameterKey=ClusterAccountIds,ParameterValue={HUB}", MANAGEMENT)

    reader.type(commands("create-stack-instances")[0], MANAGEMENT)
    failed = json.loads(reader.type(spans("list-stack-instances")[0], MANAGEMENT))["Summaries"]
    assert [instance["Account"] for instance in failed] == [broken]
    assert "podshare-read" in failed[0]["StatusReason"]
    assert reader.member_roles(healthy)

    iam.delete_role(RoleName="podshare-read")
    before = reader.parameters()
    reader.type(commands("update-stack-set")[0], MANAGEMENT)
    assert reader.parameters() == before
    assert before["ClusterAccountIds"] == HUB
    assert reader.member_roles(broken) == reader.member_roles(healthy)

    for command in ("delete-stack-instances", "delete-stack-set"):
        reader.type(spans(command)[0], MANAGEMENT)
    assert [reader.member_roles(account) for account in SCIENTISTS] == [[], []]


def test_updates_name_every_parameter() -> None:
    """A set's update resets what it does not name, so the guide names all that the template declares."""
    (update,) = commands("update-stack-set")

    assert sorted(re.findall(r"ParameterKey=(\w+),UsePreviousValue=true", update)) == sorted(MEMBER)


def test_templates_fit_into_a_request() -> None:
    """The templates of the other accounts go without S3: CloudFormation takes 51,200 bytes (quotas, user guide)."""
    templates = [path for path in (ROOT / "accounts").glob("*.yaml") if path.name != "cluster-rbac.yaml"]

    assert {path.name: size for path in templates if (size := path.stat().st_size) > 51_200} == {}

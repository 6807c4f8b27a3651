"""The fixed organization, and the sandbox that holds it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from podshare_sandbox import Sandbox, new_accounts, organization
from podshare_sandbox.authorization import accounts
from podshare_sandbox.organization import ACCOUNTS, DATA, HUB, MANAGEMENT, SCIENTISTS


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox without podshare."""
    with Sandbox(time_scale=0.02) as running:
        yield running


def test_organization_has_its_fixed_identities(sandbox: Sandbox) -> None:
    """The organization's id, its accounts and their units are the documented ones, and no others."""
    organizations = sandbox.client("organizations", MANAGEMENT)
    described = organizations.describe_organization()["Organization"]
    assert described["Id"] == organization.ORGANIZATION_ID
    assert described["MasterAccountId"] == MANAGEMENT
    assert {account["Id"] for account in organizations.list_accounts()["Accounts"]} == set(ACCOUNTS)
    root = organizations.list_roots()["Roots"][0]["Id"]
    units = organizations.list_organizational_units_for_parent(ParentId=root)["OrganizationalUnits"]
    members = {
        unit["Name"]: {
            account["Id"] for account in organizations.list_accounts_for_parent(ParentId=unit["Id"])["Accounts"]
        }
        for unit in units
    }
    assert members == {"Platform": {HUB}, "Science": set(SCIENTISTS), "Data": {DATA}}


@pytest.mark.parametrize("account", ACCOUNTS)
def test_each_account_has_an_administrator(sandbox: Sandbox, account: str) -> None:
    """The client of an account acts as its user admin, whose access key is made at random for this process."""
    identity = sandbox.client("sts", account).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{account}:user/admin"
    assert sandbox.session(account).client("sts").get_caller_identity()["Account"] == account
    keys = sandbox.client("iam", account).list_access_keys(UserName="admin")["AccessKeyMetadata"]
    assert keys[0]["AccessKeyId"] == new_accounts.admin_credentials(account).access_key


def test_no_other_process_can_know_the_keys() -> None:
    """Keys follow from nothing that is public: another process has others."""
    ask = f"from podshare_sandbox.new_accounts import admin_credentials as keys; print(keys('{HUB}').secret_key)"
    others = {
        subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603  # our own
        for _ in range(2)
    }
    own = new_accounts.admin_credentials(HUB)
    assert len({*others, own.secret_key}) == 3
    assert (len(own.access_key), len(own.secret_key)) == (20, 40)  # as AWS's


def test_created_accounts_have_the_access_role(sandbox: Sandbox) -> None:
    """AWS makes OrganizationAccountAccessRole in created accounts, trusting the management account, and not in that."""
    role = sandbox.client("iam", DATA).get_role(RoleName="OrganizationAccountAccessRole")["Role"]
    assert role["Arn"] == f"arn:aws:iam::{DATA}:role/OrganizationAccountAccessRole"
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{MANAGEMENT}:root"}
    assert sandbox.client("iam", MANAGEMENT).list_roles()["Roles"] == []


def test_cluster_is_ready(sandbox: Sandbox) -> None:
    """The EKS cluster accepts access entries, its add-ons are ACTIVE, and the HyperPod cluster has its nodes."""
    cluster = sandbox.client("eks").describe_cluster(name="hyperpod-eks")["cluster"]
    assert cluster["status"] == "ACTIVE"
    assert cluster["arn"] == organization.EKS_CLUSTER_ARN
    assert cluster["accessConfig"]["authenticationMode"] == "API_AND_CONFIG_MAP"
    for name in organization.ADDONS:
        addon = sandbox.client("eks").describe_addon(clusterName="hyperpod-eks", addonName=name)["addon"]
        assert addon["status"] == "ACTIVE"
    hyperpod = sandbox.client("sagemaker").describe_cluster(ClusterName="hyperpod")
    assert hyperpod["ClusterStatus"] == "InService"
    assert hyperpod["Orchestrator"]["Eks"]["ClusterArn"] == cluster["arn"]
    groups = {group["InstanceType"]: group["CurrentCount"] for group in hyperpod["InstanceGroups"]}
    assert groups == {"ml.p5.48xlarge": 8, "ml.g5.12xlarge": 4}


def test_buckets_hold_data_and_somebody_elses_statement(sandbox: Sandbox) -> None:
    """Each bucket has objects under two prefixes and blocks public access; one has its owner's own policy."""
    s3 = sandbox.client("s3", DATA)
    for bucket, keys in organization.OBJECTS.items():
        listed = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
        assert listed == sorted(keys)
        assert len({key.partition("/")[0] for key in keys}) == 2
        block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert all(block.values())
    policy = json.loads(s3.get_bucket_policy(Bucket=organization.IMAGES_BUCKET)["Policy"])
    assert policy["Statement"] == [organization.OWNERS_AUDIT]


def test_account_that_leaves_loses_its_organization(sandbox: Sandbox) -> None:
    """path_of answers for members alone, as of now, from the organization on."""
    assert accounts.path_of(MANAGEMENT) == f"{organization.ORGANIZATION_ID}/r-pods/"
    assert accounts.path_of("555555555555") is None
    organizations = sandbox.client("organizations", MANAGEMENT)
    organizations.create_account(AccountName="visitor", Email="visitor@example.com")
    sandbox.settle()
    visitor = new_accounts.created_account(1)
    assert accounts.path_of(visitor) == f"{organization.ORGANIZATION_ID}/r-pods/"
    organizations.remove_account_from_organization(AccountId=visitor)
    assert accounts.path_of(visitor) is None


def test_the_ids_of_created_accounts_are_known_beforehand() -> None:
    """The n-th created account has the same twelve digits everywhere, and no two are alike."""
    ids = [new_accounts.created_account(number) for number in range(1, 101)]
    assert ids[:4] == ["555555555555", "666666666666", "777777777777", "888888888888"]
    assert ids[4] == new_accounts.created_account(5)
    assert len({*ids, *ACCOUNTS}) == 105
    assert all(len(one) == 12 and one.isdigit() for one in ids)


def test_environment_serves_any_process(sandbox: Sandbox) -> None:
    """A process with the environment of an account acts as its administrator, whatever it inherits."""
    program = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    finished = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", program], env=sandbox.environment(DATA), capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == f"arn:aws:iam::{DATA}:user/admin"


def test_condition_holds_until_its_write_is_done(sandbox: Sandbox) -> None:
    """Of many threads that put the same new item on condition that it is absent, one succeeds."""
    dynamodb = sandbox.client("dynamodb")
    dynamodb.create_table(
        TableName="leases",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )

    refused = dynamodb.exceptions.ConditionalCheckFailedException  # botocore makes it at its first use, in no lock

    def succeeds(lease: str) -> bool:
        try:
            dynamodb.put_item(
                TableName="leases", Item={"id": {"S": lease}}, ConditionExpression="attribute_not_exists(id)"
            )
        except refused:
            return False
        return True

    switch_interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # threads change places within moto's check and write
    try:
        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(succeeds, [str(number // 8) for number in range(80)]))
    finally:
        sys.setswitchinterval(switch_interval)
    assert sum(outcomes) == 10


_ENTRY = """
Resources:
  Person:
    Type: AWS::IAM::Role
    Properties:
      RoleName: person
      AssumeRolePolicyDocument:
        Version: 2012-10-17
        Statement:
          - {Effect: Allow, Principal: {AWS: !Ref AWS::AccountId}, Action: "sts:AssumeRole"}
  Entry:
    Type: AWS::EKS::AccessEntry
    Properties:
      ClusterName: hyperpod-eks
      PrincipalArn: !GetAtt Person.Arn
      KubernetesGroups: [readers]
      Username: person
      AccessPolicies: [{PolicyArn: "arn:aws:eks::aws:cluster-access-policy/POLICY", AccessScope: SCOPE}]
Outputs: {Entry: {Value: !GetAtt Entry.AccessEntryArn}}
"""


def test_stack_with_an_access_entry(sandbox: Sandbox, tmp_path: Path) -> None:
    """A stack creates an access entry with its groups and policies, updates it in place, and deletes it."""
    template = tmp_path / "entry.yaml"
    eks = sandbox.client("eks")
    person = f"arn:aws:iam::{HUB}:role/person"
    for policy, scope in (
        ("AmazonEKSViewPolicy", "{Type: namespace, Namespaces: [a]}"),
        ("AmazonEKSEditPolicy", "{Type: cluster}"),
    ):
        template.write_text(_ENTRY.replace("POLICY", policy).replace("SCOPE", scope))
        outputs = sandbox.deploy(template, HUB, stack_name="entry")
        associated = eks.list_associated_access_policies(clusterName="hyperpod-eks", principalArn=person)
        assert [one["policyArn"].rpartition("/")[2] for one in associated["associatedAccessPolicies"]] == [policy]
    entry = eks.describe_access_entry(clusterName="hyperpod-eks", principalArn=person)["accessEntry"]
    assert entry["accessEntryArn"] == outputs["Entry"]
    assert entry["kubernetesGroups"] == ["readers"]
    assert entry["username"] == "person"
    sandbox.stack("entry").delete()
    with pytest.raises(eks.exceptions.ResourceNotFoundException):
        eks.describe_access_entry(clusterName="hyperpod-eks", principalArn=person)


def test_stacks_deploy_with_the_administrators_permissions(sandbox: Sandbox, tmp_path: Path) -> None:
    """What a stack does is decided and logged like any call of the administrator who deploys it."""
    template = tmp_path / "queue.yaml"
    template.write_text("Resources: {Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: logged}}}")
    sandbox.deploy(template, DATA, stack_name="queue")
    decision = next(one for one in sandbox.decisions if one.action == "sqs:CreateQueue")
    assert decision.allowed
    assert decision.principal == f"arn:aws:iam::{DATA}:user/admin"


def test_second_sandbox_of_a_process_is_refused_while_one_runs(sandbox: Sandbox) -> None:
    """moto's state is the process's own, so two sandboxes at once would be one."""
    assert sandbox.url
    with pytest.raises(RuntimeError, match="runs in this process already"):
        Sandbox().start()


_TWO_SANDBOXES = """
import json, os, tempfile, threading, time
from podshare_sandbox import Sandbox

with tempfile.TemporaryDirectory() as folder:
    tempfile.tempdir = folder
    for _ in range(2):
        with Sandbox() as sandbox:
            machines = sandbox.client("stepfunctions")
            assert machines.list_state_machines()["stateMachines"] == []
            statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "states.amazonaws.com"}}
            trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            role = sandbox.client("iam").create_role(RoleName="machine", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
            states = {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}}
            machine = machines.create_state_machine(
                name="left-behind", roleArn=role, definition=json.dumps({"StartAt": "Wait", "States": states})
            )
            machines.start_execution(stateMachineArn=machine["stateMachineArn"])
    deadline = time.monotonic() + 5
    while len(threading.enumerate()) > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
    assert os.listdir(folder) == []
"""


def test_nothing_is_left_behind() -> None:
    """After stop the state is gone and no thread or file is left, even of an execution that was still running."""
    finished = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", _TWO_SANDBOXES], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr


def test_grants_of_a_key_are_listed_while_others_are_made(sandbox: Sandbox) -> None:
    """Requests at the same time do not meet each other half way, which moto's own state does not promise."""
    kms = sandbox.client("kms", DATA)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    grantee = f"arn:aws:iam::{DATA}:user/admin"

    def grant(number: int) -> int:
        kms.create_grant(KeyId=key, GranteePrincipal=grantee, Operations=["Decrypt"], Name=f"grant-{number}")
        return len(kms.list_grants(KeyId=key)["Grants"])

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(grant, range(40))) == 40

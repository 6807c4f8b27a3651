"""An organization with a data perimeter: its control policies keep strangers and foreign resources out, not podshare.

Source: AWS whitepaper "Building a data perimeter on AWS" and AWS's examples of control policies for it: resource
control policies for trusted identities and against confused deputies, a service control policy for trusted resources.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import ORGANIZATION_ID
from tests.scenarios.test_permissions import READER
from tests.scenarios.world import CLUSTER, DATA, DATASETS, LANGUAGE, ROOT, TEXT, VISION, World

SUPPORTED = ["s3:*", "sqs:*", "kms:*", "sts:AssumeRole", "sts:SetContext", "dynamodb:*", "events:*", "logs:*"]
TRUSTED_IDENTITIES = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": SUPPORTED,
    "Resource": "*",
    "Condition": {
        "StringNotEqualsIfExists": {"aws:PrincipalOrgID": ORGANIZATION_ID},
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
    },
}
NO_CONFUSED_DEPUTY = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": SUPPORTED,
    "Resource": "*",
    "Condition": {
        "StringNotEqualsIfExists": {"aws:SourceOrgID": ORGANIZATION_ID},
        "Null": {"aws:SourceAccount": "false"},
        "Bool": {"aws:PrincipalIsAWSService": "true"},
    },
}
TRUSTED_RESOURCES = {
    "Effect": "Deny",
    "Action": ["s3:*", "sqs:*", "kms:*", "sts:AssumeRole", "dynamodb:*", "events:*"],
    "Resource": "*",
    "Condition": {"StringNotEqualsIfExists": {"aws:ResourceOrgID": ORGANIZATION_ID}},
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """An organization whose root has the control policies of a data perimeter, with podshare and a trail."""
    with Sandbox(time_scale=0.02) as sandbox:
        found = World(sandbox)
        found.outputs = deploy_podshare(sandbox, {"DrainSeconds": "0"}, with_drift=True)
        _attach(found, "RESOURCE_CONTROL_POLICY", TRUSTED_IDENTITIES, NO_CONFUSED_DEPUTY)
        _attach(found, "SERVICE_CONTROL_POLICY", TRUSTED_RESOURCES)
        found.put(CLUSTER, *DATASETS)
        yield found


def _attach(world: World, kind: str, *statements: dict[str, Any]) -> None:
    world.organizations.enable_policy_type(RootId=ROOT, PolicyType=kind)
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    made = world.organizations.create_policy(Content=document, Description="perimeter", Name=kind.lower(), Type=kind)
    world.organizations.attach_policy(PolicyId=made["Policy"]["PolicySummary"]["Id"], TargetId=ROOT)


def test_a_team_works_within_the_perimeter(world: World) -> None:
    """People work and pods read, also encrypted data of another account; no control policy refuses podshare."""
    status = world.put_team("vision", members=[{"account": VISION}], service_accounts=READER)
    assert status["state"] == "READY"
    assert world.works("vision", VISION, "reader")
    s3, point = world.pod("vision", "reader").client("s3"), world.access_point("vision", "scans")
    (found, *_) = s3.list_objects_v2(Bucket=point, Prefix="scans/")["Contents"]
    assert s3.get_object(Bucket=point, Key=found["Key"])["Body"].read()
    world.delete("team#vision")
    assert world.status("vision")["state"] == "DELETED"
    assert not [one for one in world.sandbox.decisions if "control policy" in one.reason]


def test_who_is_outside_of_the_organization_is_refused(world: World) -> None:
    """An account that leaves is a stranger from then on, whatever the bucket's owner allows it."""
    opened = {"Effect": "Allow", "Principal": {"AWS": LANGUAGE}, "Action": "s3:GetObject"}
    document = {"Version": "2012-10-17", "Statement": [{**opened, "Resource": f"arn:aws:s3:::{TEXT}/*"}]}
    world.sandbox.client("s3", DATA).put_bucket_policy(Bucket=TEXT, Policy=json.dumps(document))
    s3 = world.sandbox.client("s3", LANGUAGE)
    (found, *_) = world.sandbox.client("s3", DATA).list_objects_v2(Bucket=TEXT)["Contents"]
    assert s3.get_object(Bucket=TEXT, Key=found["Key"])["Body"].read()
    world.organizations.remove_account_from_organization(AccountId=LANGUAGE)
    with pytest.raises(ClientError, match="with an explicit deny in a resource control policy"):
        s3.get_object(Bucket=TEXT, Key=found["Key"])

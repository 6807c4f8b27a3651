"""The sandbox's AWS organization: fixed accounts, one HyperPod cluster, two buckets with data.

======================  ============  ===========  ===================================================
account                 id            unit         holds
======================  ============  ===========  ===================================================
management              999999999999  (root)       AWS Organizations
platform                111111111111  Platform     the HyperPod cluster on EKS, and a file system of
                                                   FSx for Lustre
vision-lab              222222222222  Science      data scientists, and their role ``LanguageResearcher``
language-lab            444444444444  Science      data scientists, and their role ``Analyst``
data-lake               333333333333  Data         the buckets ``curated-images-…``, ``web-text-…`` and
                                                   ``clinical-scans-…``, which a KMS key encrypts
======================  ============  ===========  ===================================================

Everything regional is in us-west-2. Each account has an IAM user ``admin`` with AdministratorAccess; so has each
account that is created later, whose id is known beforehand (:func:`.new_accounts.created_account`).
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.organizations.models import organizations_backends

from podshare_sandbox.new_accounts import ACCESS_ROLE, add_administrator, fixed_id, open_account
from podshare_sandbox.services import eks, fsx

ORGANIZATION_ID = "o-podshare01"
ROOT_ID = "r-pods"

MANAGEMENT = "999999999999"
HUB = "111111111111"
SCIENTISTS = ("222222222222", "444444444444")
DATA = "333333333333"
HUB_REGION = "us-west-2"

EKS_CLUSTER = "hyperpod-eks"
EKS_CLUSTER_ARN = f"arn:aws:eks:{HUB_REGION}:{HUB}:cluster/{EKS_CLUSTER}"
ADDONS = ("eks-pod-identity-agent", "amazon-sagemaker-hyperpod-taskgovernance")
HYPERPOD_CLUSTER = "hyperpod"
FILE_SYSTEM = "fs-0a1b2c3d4e5f60001"
INSTANCE_GROUPS = {"ml.p5.48xlarge": 8, "ml.g5.12xlarge": 4}

IMAGES_BUCKET = f"curated-images-{DATA}"
SCANS_BUCKET = f"clinical-scans-{DATA}"
SCANS_KEY = f"arn:aws:kms:{HUB_REGION}:{DATA}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
TEXT_BUCKET = f"web-text-{DATA}"
OBJECTS = {
    IMAGES_BUCKET: (
        "imagenet/train/n01440764_18.jpg",
        "imagenet/train/n01440764_36.jpg",
        "imagenet/val/ILSVRC2012_val_00000001.jpg",
        "private/faces/0001.jpg",
        "private/README.md",
    ),
    TEXT_BUCKET: (
        "crawl/2026/01/segment-00000.jsonl.gz",
        "crawl/2026/01/segment-00001.jsonl.gz",
        "crawl/2026/02/segment-00000.jsonl.gz",
        "drafts/filtering.md",
        "drafts/sample.jsonl",
    ),
    SCANS_BUCKET: (
        "scans/2026/patient-0001.dcm",
        "scans/2026/patient-0002.dcm",
        "reports/2026/patient-0001.pdf",
    ),
}
# a statement of the bucket's owner
OWNERS_AUDIT = {
    "Sid": "OwnersAudit",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{DATA}:root"},
    "Action": "s3:GetBucketLocation",
    "Resource": f"arn:aws:s3:::{IMAGES_BUCKET}",
}

# what the accounts' own admins have made for their people: account, path, name
PEOPLES_ROLES = ((SCIENTISTS[0], "/research/", "LanguageResearcher"), (SCIENTISTS[1], "/", "Analyst"))

_BY_KEY = {
    "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": SCANS_KEY},
    "BucketKeyEnabled": True,
}


@dataclass(frozen=True)
class Unit:
    """An organizational unit below the root, and its accounts' ids with their names."""

    id: str
    name: str
    accounts: dict[str, str]


UNITS = (
    Unit("ou-pods-platform", "Platform", {HUB: "platform"}),
    Unit("ou-pods-science1", "Science", dict(zip(SCIENTISTS, ("vision-lab", "language-lab"), strict=True))),
    Unit("ou-pods-datalake", "Data", {DATA: "data-lake"}),
)
ACCOUNTS = (MANAGEMENT, HUB, *SCIENTISTS, DATA)


class Clients(Protocol):
    """Makes boto3 clients of an account's administrator."""

    def __call__(self, service: str, account: str, region: str = HUB_REGION) -> Any:
        """The client of ``service``."""


def seed(clients: Clients) -> None:
    """Make the organization, its administrators, the cluster and the buckets in moto's empty state."""
    _found_organization()
    create_cluster(clients, HUB, HUB_REGION, EKS_CLUSTER, HYPERPOD_CLUSTER)
    _add_file_system()
    _create_buckets(clients)
    _create_peoples_roles(clients)
    _start_trail(clients)


def _start_trail(clients: Clients) -> None:
    """The organization's trail, without which EventBridge would hear of no change of the organization."""
    bucket = f"trails-{MANAGEMENT}"
    clients("s3", MANAGEMENT, "us-east-1").create_bucket(Bucket=bucket)
    trail = clients("cloudtrail", MANAGEMENT, "us-east-1")
    settings = {"IsMultiRegionTrail": True, "IsOrganizationTrail": True}
    trail.create_trail(Name="organization", S3BucketName=bucket, **settings)
    trail.start_logging(Name="organization")


def _found_organization() -> None:
    # moto makes up the ids of an organization and its accounts; these are fixed
    backend = organizations_backends[MANAGEMENT]["aws"]
    with (
        fixed_id("make_random_org_id", ORGANIZATION_ID),
        fixed_id("make_random_root_id", ROOT_ID),
        fixed_id("make_random_account_id", MANAGEMENT),
    ):
        backend.create_organization(HUB_REGION, FeatureSet="ALL")
    backend.accounts[0].name = "management"
    # AWS makes the access role in created accounts only (Organizations user guide, "Accessing member accounts")
    iam_backends[MANAGEMENT]["aws"].delete_role(ACCESS_ROLE)
    add_administrator(MANAGEMENT)
    for unit in UNITS:
        with fixed_id("make_random_ou_id", unit.id):
            backend.create_organizational_unit(Name=unit.name, ParentId=ROOT_ID)
        for account, name in unit.accounts.items():
            open_account(backend, account, name, f"{name}@example.com").parent_id = unit.id


def create_cluster(clients: Clients, account: str, region: str, name: str, hyperpod: str) -> str:
    """Make an EKS cluster with its add-ons, and a HyperPod cluster on it, whose ARN is returned."""
    iam, eks, sagemaker = (clients(service, account, region) for service in ("iam", "eks", "sagemaker"))
    control_plane = _create_service_role(iam, f"{name}-control-plane-{region}", "eks.amazonaws.com")
    nodes = _create_service_role(iam, f"{hyperpod}-nodes-{region}", "sagemaker.amazonaws.com")
    network = {"subnetIds": ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"]}
    cluster = eks.create_cluster(
        name=name,
        roleArn=control_plane,
        resourcesVpcConfig={**network, "securityGroupIds": ["sg-0a1b2c3d4e5f60001"]},
        accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"},
    )["cluster"]
    for addon in ADDONS:
        eks.create_addon(clusterName=name, addonName=addon)
    _age_addons(cluster["arn"])
    made = sagemaker.create_cluster(
        ClusterName=hyperpod,
        Orchestrator={"Eks": {"ClusterArn": cluster["arn"]}},
        InstanceGroups=[_instance_group(kind, count, nodes) for kind, count in INSTANCE_GROUPS.items()],
        VpcConfig={"SecurityGroupIds": ["sg-0a1b2c3d4e5f60001"], "Subnets": network["subnetIds"]},
        NodeRecovery="Automatic",
    )
    return str(made["ClusterArn"])


def _age_addons(cluster_arn: str) -> None:
    """Let the add-ons be as old as the cluster: they would be CREATING for some seconds otherwise."""
    for addon in eks.addons(eks.cluster_of(cluster_arn)).values():
        addon.created_at -= timedelta(days=30)


def _add_file_system() -> None:
    """One beside the cluster's nodes."""
    fsx.add_file_system(HUB, HUB_REGION, FILE_SYSTEM, "subnet-0a1b2c3d4e5f60001")


def _instance_group(instance_type: str, count: int, role: str) -> dict[str, Any]:
    return {
        "InstanceGroupName": instance_type.removeprefix("ml.").replace(".", "-"),
        "InstanceType": instance_type,
        "InstanceCount": count,
        "LifeCycleConfig": {"SourceS3Uri": f"s3://sagemaker-hyperpod-{HUB}/lifecycle", "OnCreate": "on_create.sh"},
        "ExecutionRole": role,
        "ThreadsPerCore": 1,
    }


def _create_peoples_roles(clients: Clients) -> None:
    """Roles that the account's own principals may assume, and that may assume the account's other roles."""
    for account, path, name in PEOPLES_ROLES:
        iam = clients("iam", account)
        trusts = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
        assumes = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": f"arn:aws:iam::{account}:role/*"}
        iam.create_role(Path=path, RoleName=name, AssumeRolePolicyDocument=_document(trusts))
        iam.put_role_policy(RoleName=name, PolicyName="assume-roles-here", PolicyDocument=_document(assumes))


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _create_service_role(iam: Any, name: str, service: str) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))["Role"]
    return str(role["Arn"])


def _create_key() -> None:
    """The key that encrypts a bucket, with the policy that KMS gives: the account's own IAM policies decide.

    Through moto's backend, which gives ids at random: this one is fixed.
    """
    backend = kms_backends[DATA][HUB_REGION]
    key = backend.create_key(None, "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "clinical scans", None)
    del backend.keys[key.id]
    key.id, key.arn = SCANS_KEY.rpartition("/")[2], SCANS_KEY
    backend.keys[key.id] = key


def _create_buckets(clients: Clients) -> None:
    s3 = clients("s3", DATA)
    _create_key()
    for bucket, keys in OBJECTS.items():
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": HUB_REGION})
        if bucket == SCANS_BUCKET:
            s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [_BY_KEY]})
        for key in keys:
            s3.put_object(Bucket=bucket, Key=key, Body=f"{bucket}/{key}\n".encode())
    s3.put_bucket_policy(Bucket=IMAGES_BUCKET, Policy=_document(OWNERS_AUDIT))

"""FSx for Lustre: associations with AWS's limits and states, and buckets that decide what a file system reads and writes."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from podshare_sandbox import Sandbox
from podshare_sandbox.organization import DATA, FILE_SYSTEM, HUB, HUB_REGION, TEXT_BUCKET
from podshare_sandbox.services import fsx
from sandbox.tests.runtime import eventually

EVERYTHING = {"Events": ["NEW", "CHANGED", "DELETED"]}
BOTH = {"AutoImportPolicy": EVERYTHING, "AutoExportPolicy": EVERYTHING}
ROLE = fsx.role_arn(HUB, FILE_SYSTEM)
Statement = dict[str, Any]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The organization, with its one file system."""
    with Sandbox(time_scale=0.005) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Any]:
    """FSx as the administrator of the file system's account; afterwards no association is left."""
    found = sandbox.client("fsx", HUB)
    admit(sandbox, "s3:*")
    yield found
    for one in found.describe_data_repository_associations()["Associations"]:
        found.delete_data_repository_association(AssociationId=one["AssociationId"], DeleteDataInFileSystem=True)
    settle(found, lambda there: not there)


def admit(sandbox: Sandbox, *actions: str, principal: str = f"arn:aws:iam::{HUB}:root", under: str = "") -> None:
    """Let somebody do this in the bucket, and nobody else anything."""
    resources = [f"arn:aws:s3:::{TEXT_BUCKET}", f"arn:aws:s3:::{TEXT_BUCKET}/{under}*"]
    allowed = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": [*actions], "Resource": resources}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sandbox.client("s3", DATA).put_bucket_policy(Bucket=TEXT_BUCKET, Policy=policy)


def link(client: Any, path: str = "/crawl", prefix: str = "crawl", **more: Any) -> Any:
    asked = {"FileSystemId": FILE_SYSTEM, "FileSystemPath": path, "DataRepositoryPath": f"s3://{TEXT_BUCKET}/{prefix}"}
    asked |= {"BatchImportMetaDataOnCreate": True, "S3": BOTH, **more}
    return client.create_data_repository_association(**asked)["Association"]


def settle(client: Any, condition: Any) -> list[Any]:
    """The associations once they are as ``condition`` says."""
    return list(eventually(lambda: client.describe_data_repository_associations()["Associations"], condition))


def available(there: list[Any]) -> bool:
    return all(one["Lifecycle"] == "AVAILABLE" for one in there)


def held() -> set[str]:
    return set(fsx.files(HUB, HUB_REGION, FILE_SYSTEM))


def code(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    return str(refused.value.response["Error"]["Code"])


def test_a_link_imports_exports_and_takes_its_data_with_it(sandbox: Sandbox, client: Any) -> None:
    """What is in the bucket comes by and by, what is written goes there, and a deletion takes the data or leaves them."""
    made = link(client)
    assert (made["Lifecycle"], made["FileSystemPath"]) == ("CREATING", "/crawl/")
    assert held() == set()
    settle(client, available)
    assert "/crawl/2026/01/segment-00000.jsonl.gz" in held()
    fsx.write(HUB, HUB_REGION, FILE_SYSTEM, "/crawl/new", b"x")
    s3 = sandbox.client("s3", DATA)
    assert s3.get_object(Bucket=TEXT_BUCKET, Key="crawl/new")["Body"].read() == b"x"
    client.delete_data_repository_association(AssociationId=made["AssociationId"])
    settle(client, lambda there: not there)
    assert "/crawl/new" in held()
    s3.delete_object(Bucket=TEXT_BUCKET, Key="crawl/new")


def test_what_the_bucket_does_not_admit_is_neither_read_nor_written(sandbox: Sandbox, client: Any) -> None:
    """Objects by their prefix, exports by PutObject; without the bucket itself a link is MISCONFIGURED, until it is back."""
    link(client, "/all", "", S3=BOTH)
    (one,) = settle(client, available)
    admit(sandbox, "s3:Get*", "s3:List*", "s3:PutBucketNotification", principal=ROLE, under="drafts/")
    sandbox.client("s3", DATA).put_object(Bucket=TEXT_BUCKET, Key="crawl/late", Body=b"x")
    assert "/all/crawl/late" not in held()
    fsx.write(HUB, HUB_REGION, FILE_SYSTEM, "/all/drafts/new", b"x")
    assert code(sandbox.client("s3", DATA).head_object, Bucket=TEXT_BUCKET, Key="drafts/new") == "404"
    sandbox.client("s3", DATA).delete_bucket_policy(Bucket=TEXT_BUCKET)
    (one,) = client.describe_data_repository_associations(AssociationIds=[one["AssociationId"]])["Associations"]
    assert (one["Lifecycle"], "permissions" in one["FailureDetails"]["Message"]) == ("MISCONFIGURED", True)
    assert "/all/drafts/sample.jsonl" in held()  # what is held stays
    admit(sandbox, "s3:*")
    settle(client, available)
    sandbox.client("s3", DATA).delete_object(Bucket=TEXT_BUCKET, Key="crawl/late")


def test_a_file_system_links_nothing_twice_and_no_more_than_eight(client: Any) -> None:
    """Overlapping directories or data are refused, and so is a ninth link; a repeated token finds the first one."""
    first = link(client, "/a/", "crawl/2026", ClientRequestToken="once")
    assert link(client, "/a/", "crawl/2026", ClientRequestToken="once")["AssociationId"] == first["AssociationId"]
    for path, prefix in (("/a/b", "x"), ("/", "x"), ("/b", "crawl/2026/01"), ("/b", "crawl"), ("/b", "")):
        assert code(link, client=client, path=path, prefix=prefix) == "BadRequest", (path, prefix)
    for number in range(7):
        link(client, f"/{number}", f"other/{number}")
    assert code(link, client=client, path="/c", prefix="drafts") == "ServiceLimitExceeded"


def test_what_takes_no_link_says_so(client: Any) -> None:
    """A file system that is not there, of an old kind, or with backups; a bucket elsewhere; a link that is being made."""
    assert code(link, client=client, FileSystemId="fs-01234567") == "FileSystemNotFound"
    fsx.add_file_system(HUB, HUB_REGION, "fs-00000001", "subnet-0a1b2c3d4e5f60001", DeploymentType="SCRATCH_1")
    fsx.add_file_system(HUB, HUB_REGION, "fs-00000002", "subnet-0a1b2c3d4e5f60001", AutomaticBackupRetentionDays=7)
    assert code(link, client=client, FileSystemId="fs-00000001") == "UnsupportedOperation"
    assert code(link, client=client, FileSystemId="fs-00000002") == "BadRequest"
    made = link(client)["AssociationId"]
    assert code(client.update_data_repository_association, AssociationId=made, S3=BOTH) == "BadRequest"
    settle(client, available)
    client.update_data_repository_association(AssociationId=made, S3={"AutoExportPolicy": {"Events": []}})
    (one,) = settle(client, available)
    assert "AutoExportPolicy" not in one["S3"]


def test_whoever_links_must_be_let_into_the_bucket_and_may_make_the_role(sandbox: Sandbox, client: Any) -> None:
    """Amazon FSx looks at the bucket in the caller's name, as a service, and makes its role in that name ("s3-validation-error")."""
    admit(sandbox, "s3:Get*", "s3:List*")
    assert code(link, client=client) == "BadRequest"
    admit(sandbox, "s3:*")
    iam = sandbox.client("iam", HUB)
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "sts:AssumeRole"}
    iam.create_role(
        RoleName="linker", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    keys = sandbox.client("sts", HUB).assume_role(RoleArn=f"arn:aws:iam::{HUB}:role/linker", RoleSessionName="linker")
    given = keys["Credentials"]
    names = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    linker = boto3.Session(*names, region_name=HUB_REGION).client("fsx")
    allowed: list[Statement] = []
    for statement, then in (
        ({"Action": "fsx:*"}, "AccessDeniedException"),
        ({"Action": ["iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:CreateServiceLinkedRole"]}, "BadRequest"),
        ({"Action": "s3:*", "Condition": {"Bool": {"aws:ViaAWSService": "true"}}}, ""),
    ):
        allowed.append({"Effect": "Allow", "Resource": "*", **statement})
        document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
        iam.put_role_policy(RoleName="linker", PolicyName="own", PolicyDocument=document)
        assert (code(link, client=linker) if then else link(linker)["Lifecycle"] and "") == then
    settle(client, available)


def test_a_file_system_is_told_with_its_zone(sandbox: Sandbox, client: Any) -> None:
    """Its subnet is one that EC2 knows."""
    (found,) = client.describe_file_systems(FileSystemIds=[FILE_SYSTEM])["FileSystems"]
    (subnet,) = sandbox.client("ec2", HUB).describe_subnets(SubnetIds=found["SubnetIds"])["Subnets"]
    assert subnet["AvailabilityZone"] == f"{HUB_REGION}a"

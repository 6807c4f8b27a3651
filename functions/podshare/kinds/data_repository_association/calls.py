"""Data repository associations: the links from directories of FSx for Lustre file systems to prefixes of buckets.

The file systems are somebody else's. The server makes the id of an association: it is found by its directory, which no
two can share. All changes are asynchronous, one at a time for each file system, and take minutes: the run does not hold
its lease for so long, but ends and begins again.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from podshare.aws.errors import Retryable, Tolerated, Waiting, code_of
from podshare.kinds.base import Key, Resource
from podshare.kinds.context import Context, as_kind, tag_list, tag_map
from podshare.kinds.data_repository_association.shape import DataRepositoryAssociation
from podshare.kinds.observation import Foreign

if TYPE_CHECKING:
    from types_boto3_fsx import FSxClient

READS = frozenset({"fsx:DescribeDataRepositoryAssociations"})
WRITES = frozenset(
    {
        "fsx:CreateDataRepositoryAssociation",
        "fsx:UpdateDataRepositoryAssociation",
        "fsx:DeleteDataRepositoryAssociation",
        "fsx:TagResource",
        "fsx:UntagResource",
        # Amazon FSx asks for these in the caller's name, see accounts/member.yaml
        "iam:CreateServiceLinkedRole",
        "iam:AttachRolePolicy",
        "iam:PutRolePolicy",
        "s3:Get*",
        "s3:List*",
        "s3:PutObject",
    }
)
_STATUS = {"AVAILABLE": "settled", "MISCONFIGURED": "misconfigured", "FAILED": "failed"}
_GONE = ("FileSystemNotFound", "DataRepositoryAssociationNotFound")


def read(context: Context, key: Key, wanted: Resource | None) -> DataRepositoryAssociation | Foreign | None:
    """The association of the directory, whoever made it; one that is misconfigured neither imports nor exports."""
    association = _find(context, key)
    if association is None:
        return None
    tags = tag_map(association.get("Tags", []))
    if not context.owns(key, tags, association["AssociationId"]):
        return context.foreign(key, tags)
    s3 = association.get("S3", {})
    return DataRepositoryAssociation(
        key=key,
        identity=association["AssociationId"],
        tags=context.installation.compared_tags(tags),
        repository=association["DataRepositoryPath"],
        imports=frozenset(s3.get("AutoImportPolicy", {}).get("Events", ())),
        exports=frozenset(s3.get("AutoExportPolicy", {}).get("Events", ())),
        status=_STATUS.get(association["Lifecycle"], "moving"),
    )


def create(context: Context, wanted: Resource) -> None:
    """Ask for the association, with what is in the bucket already. Raises Waiting: it is made in the background."""
    association = as_kind(DataRepositoryAssociation, wanted)
    key = association.key
    try:
        _client(context, key).create_data_repository_association(
            FileSystemId=key.container,
            FileSystemPath=key.name,
            DataRepositoryPath=association.repository,
            BatchImportMetaDataOnCreate=True,
            S3=_policies(association),
            ClientRequestToken=_token(context, association),
            Tags=tag_list(association.tags),
        )
    except ClientError as error:
        # what overlaps is reported in the plan: it may be one that was asked for, or deleted, a moment ago
        if code_of(error) == "BadRequest":
            raise Retryable(f"file system {key.container} refuses the link of {key.name} for now: {error}") from error
        raise
    raise Waiting(f"file system {key.container} links {key.name} to {association.repository}")


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Ask for what differs; what Amazon FSx cannot recover is created again. Raises Waiting while it works on it.

    To ask again for the same policies makes it check again what it found misconfigured (FSx for Lustre user guide,
    "Data repository association lifecycle state").
    """
    old, new = as_kind(DataRepositoryAssociation, observed), as_kind(DataRepositoryAssociation, wanted)
    association = _find(context, new.key)
    if association is None or old.status == "moving":
        raise Waiting(f"the link of {new.key.name} is {association['Lifecycle'] if association else 'gone'}")
    reason = association.get("FailureDetails", {}).get("Message", "no reason given")
    _give_marks_back(context, association, old)
    if old.status == "failed":
        _delete(context, new.key, association["AssociationId"])
        raise Waiting(f"the link of {new.key.name} has failed ({reason}): podshare creates it again")
    _write_tags(_client(context, new.key), association["ResourceARN"], old.tags, new.tags)
    if {**old.facts(), "tags": None} == {**new.facts(), "tags": None}:
        return
    with Tolerated(*_GONE):  # lists may still hold it
        _client(context, new.key).update_data_repository_association(
            AssociationId=association["AssociationId"], S3=_policies(new), ClientRequestToken=_token(context, new)
        )
    was = f", which was misconfigured: {reason}" if old.status == "misconfigured" else ""
    raise Waiting(f"file system {new.key.container} updates the link of {new.key.name}{was}")


def delete(context: Context, observed: Resource) -> None:
    """Unlink the directory and release what the file system holds of it. Raises Waiting while Amazon FSx does so.

    What was not exported yet is lost.
    """
    association = _find(context, observed.key)
    if association is None:
        return
    if association["Lifecycle"] != "DELETING":
        _give_marks_back(context, association, observed)
        _delete(context, observed.key, association["AssociationId"])
    raise Waiting(f"file system {observed.key.container} releases what it holds in {observed.key.name}")


def _give_marks_back(context: Context, association: Mapping[str, Any], observed: Resource) -> None:
    """The member role changes and deletes only what carries podshare's tags."""
    if missing := context.missing_marks(observed.tags):
        _client(context, observed.key).tag_resource(ResourceARN=association["ResourceARN"], Tags=tag_list(missing))


def _delete(context: Context, key: Key, association: str) -> None:
    with Tolerated(*_GONE):
        _client(context, key).delete_data_repository_association(AssociationId=association, DeleteDataInFileSystem=True)


def _find(context: Context, key: Key) -> Mapping[str, Any] | None:
    """The association of the key's directory."""
    listed = (association for association in associations(context, key.account, key.region, key.container))
    return next(
        (association for association in listed if association["FileSystemPath"].strip("/") == key.name.strip("/")), None
    )


def associations(context: Context, account: str, region: str, file_system: str) -> list[Mapping[str, Any]]:
    """All of a file system's associations; none of one that is gone."""
    client = context.accounts.client("fsx", account, region)
    of_file_system: Any = {"Filters": [{"Name": "file-system-id", "Values": [file_system]}]}
    listed: list[Mapping[str, Any]] = []
    with Tolerated(*_GONE):
        page = client.describe_data_repository_associations(**of_file_system)
        listed += page["Associations"]
        while token := page.get("NextToken"):  # botocore has no paginator for it
            page = client.describe_data_repository_associations(**of_file_system, NextToken=token)
            listed += page["Associations"]
        return listed
    return []


def _client(context: Context, key: Key) -> "FSxClient":
    return context.accounts.client("fsx", key.account, key.region)


def _policies(association: DataRepositoryAssociation) -> Any:
    return {
        "AutoImportPolicy": {"Events": sorted(association.imports)},
        "AutoExportPolicy": {"Events": sorted(association.exports)},
    }


def _token(context: Context, association: DataRepositoryAssociation) -> str:
    return context.request_token(f"{association.key} {association.repository} {sorted(association.exports)}")


def _write_tags(client: "FSxClient", arn: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    if old == new:
        return
    if gone := sorted(old.keys() - new.keys()):
        client.untag_resource(ResourceARN=arn, TagKeys=gone)
    client.tag_resource(ResourceARN=arn, Tags=tag_list(new))

"""FSx for Lustre: file systems that are there, and their data repository associations.

moto knows file systems by their ids alone, and no associations. Here an association is asynchronous, as on AWS,
computed from the clock when somebody looks; its import and export are requests to S3 as the file system's
service-linked role, which bucket policies decide. ``files`` shows what a file system holds, and ``write`` is what a
client writes there.

Sources: Amazon FSx API Reference; FSx for Lustre User Guide, "Linking your file system to an S3 bucket", "Data
repository association lifecycle state", "Using service-linked roles", "Unable to validate access to an S3 bucket when
creating a DRA". The permissions that it wants of the caller are those of "Adding permissions to use data repositories
in Amazon S3"; the other ways there, over the bucket's policy, are not taken.

Assumptions: lists are behind creations and deletions, see ``consistency``; an association that has lost its access to
the bucket becomes MISCONFIGURED at the next look, and its data stay; a request that repeats another's token returns
what that one made, while it is there.
Not emulated: making file systems by the API, data repository tasks, event notifications, capacity, other kinds of FSx.
"""

# operations take their parameters by AWS's names

import json
import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from threading import RLock
from typing import Any

from moto.core.exceptions import ServiceException
from moto.fsx.models import fsx_backends
from moto.iam.models import iam_backends
from moto.s3.models import s3_backends

from podshare_sandbox import authorization, clock, consistency
from podshare_sandbox.authorization import actions, global_keys, registrations, s3_data
from podshare_sandbox.authorization.call import Call, Check
from podshare_sandbox.authorization.conditions import Values
from podshare_sandbox.authorization.s3_data import DataCheck, find_bucket
from podshare_sandbox.moto_extension import Caller, ServiceExtension, page
from podshare_sandbox.services import subnets

CHANGE_SECONDS = {"CREATING": 40.0, "UPDATING": 10.0, "DELETING": 20.0}
MOST_ASSOCIATIONS = 8  # of one file system (FSx for Lustre User Guide, "Quotas")
_SERVICE = "fsx.amazonaws.com"
LINK_SERVICE = "s3.data-source.lustre.fsx.amazonaws.com"
_EVENTS = ("NEW", "CHANGED", "DELETED")

_fsx = ServiceExtension("fsx", invalid_parameters="BadRequest")
_lock = RLock()

Fields = dict[str, Any]


@dataclass(eq=False)
class Association:
    """A data repository association, and what its directory of the file system holds."""

    id: str
    account: str
    region: str
    file_system: str
    path: str
    repository: str
    imports: list[str]
    exports: list[str]
    tags: dict[str, str]
    batch_import: bool
    doing: str | None
    since: datetime = field(default_factory=clock.now)
    created: datetime = field(default_factory=clock.now)
    delete_data: bool = False
    failure: str | None = None
    held: dict[str, bytes] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:fsx:{self.region}:{self.account}:association/{self.file_system}/{self.id}"

    @property
    def bucket(self) -> str:
        return self.repository.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        return self.repository.removeprefix("s3://").partition("/")[2]

    @property
    def lifecycle(self) -> str:
        return self.doing or ("MISCONFIGURED" if self.failure else "AVAILABLE")


@dataclass
class _Store:
    """What moto's backend of an account and Region lacks; moto's reset drops it with the backend."""

    file_systems: dict[str, Fields] = field(default_factory=dict)
    associations: dict[str, Association] = field(default_factory=dict)
    data: dict[str, dict[str, bytes]] = field(default_factory=dict)  # what no association holds, by file system
    tokens: dict[str, str] = field(default_factory=dict)


def _store(account: str, region: str) -> _Store:
    store: _Store = fsx_backends[account][region].__dict__.setdefault("_podshare", _Store())
    return store


# --- sandbox controls -------------------------------------------------------------------------------------


def add_file_system(account: str, region: str, file_system: str, subnet: str, **lustre: Any) -> None:
    """Let a file system of FSx for Lustre be there; ``lustre`` replaces members of its configuration."""
    _store(account, region).file_systems[file_system] = {
        "OwnerId": account,
        "CreationTime": clock.now(),
        "FileSystemId": file_system,
        "FileSystemType": "LUSTRE",
        "FileSystemTypeVersion": "2.15",
        "Lifecycle": "AVAILABLE",
        "StorageCapacity": 1200,
        "StorageType": "SSD",
        "VpcId": subnets.VPC,
        "SubnetIds": [subnet],
        "DNSName": f"{file_system}.fsx.{region}.amazonaws.com",
        "ResourceARN": f"arn:aws:fsx:{region}:{account}:file-system/{file_system}",
        "LustreConfiguration": {
            "DeploymentType": "PERSISTENT_2",
            "MountName": file_system[-8:],
            "AutomaticBackupRetentionDays": 0,
            **lustre,
        },
    }


def files(account: str, region: str, file_system: str) -> dict[str, bytes]:
    """What a file system holds now, by path: what was imported, and what clients wrote."""
    store = _store(account, region)
    found = dict(store.data.get(file_system, {}))
    for one in _settled(store):
        if one.file_system == file_system:
            found |= {f"{one.path}{name}": body for name, body in one.held.items()}
    return found


def associations(account: str, region: str) -> list[Association]:
    """All associations of an account and Region, as they are now; what is in their directories is not looked at."""
    return _settled(_store(account, region), importing=False)


def write(account: str, region: str, file_system: str, path: str, body: bytes) -> None:
    """What a client writes; it is exported if the directory's association does so and the bucket lets it."""
    store = _store(account, region)
    for one in _settled(store):
        if one.file_system == file_system and path.startswith(one.path):
            name = path.removeprefix(one.path)
            one.held[name] = body
            if one.lifecycle == "AVAILABLE" and {"NEW", "CHANGED"} & {*one.exports}:
                _export(one, name, body)
            return
    store.data.setdefault(file_system, {})[path] = body


# --- what an association does -----------------------------------------------------------------------------


def _settled(store: _Store, *, importing: bool = True) -> list[Association]:
    """The associations as they are now: changes whose time has passed are done, and what is in the bucket imported."""
    with _lock:
        for one in list(store.associations.values()):
            if one.doing and clock.passed(one.since, CHANGE_SECONDS[one.doing]):
                _finish(store, one)
            if importing and not one.doing:
                _import(one)
        return list(store.associations.values())


def _finish(store: _Store, association: Association) -> None:
    if association.doing == "DELETING":
        del store.associations[association.id]
        _known(association).changed(association.id, replace(association))
        if not association.delete_data:
            kept = {f"{association.path}{name}": body for name, body in association.held.items()}
            store.data.setdefault(association.file_system, {}).update(kept)
        return
    first = association.doing == "CREATING"
    association.doing = None
    if first and association.batch_import:
        _import_objects(association, _EVENTS)


def _known(association: Association) -> consistency.Known[Association]:
    return consistency.Known("data-repository-association", f"{association.account} {association.region}")


def _import(association: Association) -> None:
    """Bring the directory up to date; without access to the bucket the association is misconfigured."""
    if not association.imports and not association.exports:
        return
    if not _may(association, "s3:ListBucket") or not _may(association, "s3:GetBucketAcl"):
        association.failure = "Amazon FSx lacks the permissions to use the S3 bucket."
        return
    if association.imports and not _may(association, "s3:PutBucketNotification"):
        association.failure = "Amazon FSx lacks the permission to be notified of changes in the S3 bucket."
        return
    association.failure = None
    _import_objects(association, association.imports)


def _import_objects(association: Association, events: Collection[str]) -> None:
    bucket = find_bucket(association.bucket)
    there = {key: item for key, item in (bucket.keys.items() if bucket else ()) if key.startswith(association.prefix)}
    for key, item in there.items():
        name = key.removeprefix(association.prefix)
        wanted = "CHANGED" if name in association.held else "NEW"
        if wanted in events and name and _may(association, "s3:GetObject", key):
            association.held[name] = bytes(item.value)
    if "DELETED" in events:
        gone = {name for name in association.held if f"{association.prefix}{name}" not in there}
        for name in gone if not association.exports else ():  # what is to be exported is not taken for deleted
            del association.held[name]


def _export(association: Association, name: str, body: bytes) -> None:
    bucket = find_bucket(association.bucket)
    key = f"{association.prefix}{name}"
    if bucket and _may(association, "s3:PutObject", key):
        bucket.keys[key] = _stored(bucket, key, body)


def _stored(bucket: Any, key: str, body: bytes) -> Any:
    """As S3's own PutObject stores it."""
    return s3_backends[bucket.account_id]["aws"].put_object(bucket.name, key, body)


def _may(association: Association, action: str, key: str = "") -> bool:
    """Whether the file system's role may do ``action`` in the bucket, by all policies that have a say."""
    role = role_arn(association.account, association.file_system)
    try:
        session = authorization.assume_as_service(role, LINK_SERVICE, session_name="FSx")
        check = DataCheck(action, association.bucket, key, None, global_keys.in_role(_SERVICE))
        s3_data.authorize(authorization.identify(session.access_key), check, association.region)
    except authorization.AccessDenied:
        return False
    return True


# --- the service-linked role -----------------------------------------------------------------------------


def role_name(file_system: str) -> str:
    """The name of the role that a file system's links are used by."""
    return f"AWSServiceRoleForFSxS3Access_{file_system}"


def role_arn(account: str, file_system: str) -> str:
    """Its ARN."""
    return f"arn:aws:iam::{account}:role/aws-service-role/{LINK_SERVICE}/{role_name(file_system)}"


def has_role(account: str, file_system: str) -> bool:
    """Whether the role is there: Amazon FSx makes it with the first link."""
    return any(role.arn == role_arn(account, file_system) for role in list(iam_backends[account]["aws"].roles.values()))


def _let_role_use(account: str, file_system: str, bucket: str) -> None:
    backend = iam_backends[account]["aws"]
    name = role_name(file_system)
    if not has_role(account, file_system):
        trust = {"Effect": "Allow", "Principal": {"Service": LINK_SERVICE}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        backend.create_role(name, document, f"/aws-service-role/{LINK_SERVICE}/", None, "", [], "3600")
    actions = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:PutObject", "s3:Get*", "s3:List*"]
    allowed = {
        "Effect": "Allow",
        "Action": [*actions, "s3:PutBucketNotification"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    backend.get_role(name).put_policy(f"AmazonFSxS3Access_{bucket}", document)


# --- operations --------------------------------------------------------------------------------------------


def _error(code: str, message: str) -> ServiceException:
    return _fsx.error(code, message, 400)


def describe_file_systems(
    caller: Caller,
    *,
    FileSystemIds: list[str] | None = None,
    MaxResults: int | None = None,
    NextToken: str | None = None,
) -> Fields:
    """DescribeFileSystems. Errors: FileSystemNotFound."""
    subnets.tell_ec2(caller.account, caller.region)
    there = _store(caller.account, caller.region).file_systems
    for name in FileSystemIds or ():
        if name not in there:
            raise _error("FileSystemNotFound", f"File system '{name}' does not exist.")
    shown, token = _page([there[name] for name in FileSystemIds or there], MaxResults, NextToken)
    return {"FileSystems": shown, "NextToken": token}


def _page(items: list[Any], size: int | None, token: str | None) -> tuple[list[Any], str | None]:
    try:
        return page(items, size, token)
    except ValueError:
        raise _error("BadRequest", "Invalid NextToken") from None


def create_data_repository_association(
    caller: Caller,
    *,
    FileSystemId: str,
    DataRepositoryPath: str,
    FileSystemPath: str = "/",
    BatchImportMetaDataOnCreate: bool = False,
    ImportedFileChunkSize: int | None = None,  # noqa: ARG001  # how files are striped shows nowhere
    S3: Fields | None = None,
    ClientRequestToken: str | None = None,
    Tags: list[dict[str, str]] | None = None,
) -> Fields:
    """CreateDataRepositoryAssociation.

    Errors: FileSystemNotFound, ServiceLimitExceeded, BadRequest (overlaps, a Region that is not the bucket's with
    automatic import, a caller who may not use the bucket), UnsupportedOperation (a file system that takes none).
    """
    store = _store(caller.account, caller.region)
    found = _settled(store)
    if ClientRequestToken in store.tokens and store.tokens[ClientRequestToken] in store.associations:
        return {"Association": _described(store.associations[store.tokens[ClientRequestToken]])}
    wanted = Association(
        id=f"dra-{secrets.token_hex(9)[:17]}",
        account=caller.account,
        region=caller.region,
        file_system=FileSystemId,
        path=f"/{FileSystemPath.strip('/')}/".replace("//", "/"),
        repository=f"{DataRepositoryPath.rstrip('/')}/",
        imports=_events(S3, "AutoImportPolicy"),
        exports=_events(S3, "AutoExportPolicy"),
        tags={tag["Key"]: tag["Value"] for tag in Tags or ()},
        batch_import=BatchImportMetaDataOnCreate,
        doing="CREATING",
    )
    _check_file_system(store, FileSystemId)
    _check_distinct(wanted, [one for one in found if one.file_system == FileSystemId])
    _check_bucket(caller, wanted)
    _let_role_use(caller.account, FileSystemId, wanted.bucket)
    store.associations[wanted.id] = wanted
    _known(wanted).changed(wanted.id, None)
    if ClientRequestToken:
        store.tokens[ClientRequestToken] = wanted.id
    return {"Association": _described(wanted)}


def _check_file_system(store: _Store, name: str) -> None:
    there = store.file_systems.get(name)
    if there is None:
        raise _error("FileSystemNotFound", f"File system '{name}' does not exist.")
    lustre = there["LustreConfiguration"]
    if lustre["DeploymentType"] == "SCRATCH_1" or there["FileSystemTypeVersion"] == "2.10":
        raise _error("UnsupportedOperation", "Data repository associations are not supported on this file system.")
    if lustre["AutomaticBackupRetentionDays"]:
        raise _error("BadRequest", "Data repositories cannot be linked to file systems that have backups enabled.")


def _check_distinct(wanted: Association, others: list[Association]) -> None:
    if len(others) >= MOST_ASSOCIATIONS:
        raise _error("ServiceLimitExceeded", f"A file system has at most {MOST_ASSOCIATIONS} associations.")
    for other in others:
        if _overlap(wanted.path, other.path):
            raise _error("BadRequest", f"File system path {wanted.path} overlaps with {other.path} of {other.id}.")
        if _overlap(wanted.repository, other.repository):
            what = f"Data repository path {wanted.repository} overlaps with {other.repository} of {other.id}."
            raise _error("BadRequest", what)


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _check_bucket(caller: Caller, wanted: Association) -> None:
    bucket = find_bucket(wanted.bucket)
    if wanted.imports and bucket is not None and bucket.region_name != wanted.region:
        raise _error("BadRequest", "Automatic import needs a bucket in the file system's own Region.")
    try:
        principal = authorization.identify(caller.access_key)
        for action, key in (
            ("ListBucket", ""),
            ("GetObject", f"{wanted.prefix}any"),
            ("PutObject", f"{wanted.prefix}any"),
        ):
            check = DataCheck(f"s3:{action}", wanted.bucket, key, None, global_keys.on_behalf(_SERVICE))
            s3_data.authorize(principal, check, caller.region)
    except authorization.AccessDenied as denied:
        raise _error(
            "BadRequest",
            "Amazon FSx is unable to validate access to the S3 bucket. Ensure the IAM role or user you are using has "
            f"s3:Get*, s3:List* and s3:PutObject permissions to the S3 bucket prefix. ({denied})",
        ) from denied


def _events(s3: Fields | None, policy: str) -> list[str]:
    return list(((s3 or {}).get(policy) or {}).get("Events") or [])


def describe_data_repository_associations(
    caller: Caller,
    *,
    AssociationIds: list[str] | None = None,
    Filters: list[Fields] | None = None,
    MaxResults: int | None = None,
    NextToken: str | None = None,
) -> Fields:
    """DescribeDataRepositoryAssociations, 25 a page. Errors: DataRepositoryAssociationNotFound, BadRequest."""
    there = {one.id: one for one in _settled(_store(caller.account, caller.region))}
    place = f"{caller.account} {caller.region}"
    found = consistency.Known[Association]("data-repository-association", place).all_to("lists", there)
    for name in AssociationIds or ():
        if name not in found:
            raise _no_such(name)
    chosen = [found[name] for name in AssociationIds or found]
    for one in Filters or ():
        if one["Name"] not in ("file-system-id", "data-repository-type"):
            raise _error("BadRequest", f"Unsupported filter {one['Name']}")
        if one["Name"] == "file-system-id":
            chosen = [each for each in chosen if each.file_system in one["Values"]]
    shown, token = _page([_described(one) for one in chosen], min(MaxResults or 25, 25), NextToken)
    return {"Associations": shown, "NextToken": token}


def _described(one: Association) -> Fields:
    failed = one.lifecycle == "MISCONFIGURED"
    return {
        "AssociationId": one.id,
        "ResourceARN": one.arn,
        "FileSystemId": one.file_system,
        "Lifecycle": one.lifecycle,
        "FailureDetails": {"Message": one.failure} if failed else None,
        "FileSystemPath": one.path,
        "DataRepositoryPath": one.repository,
        "BatchImportMetaDataOnCreate": one.batch_import,
        "S3": {
            "AutoImportPolicy": {"Events": one.imports} if one.imports else None,
            "AutoExportPolicy": {"Events": one.exports} if one.exports else None,
        },
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(one.tags.items())] or None,
        "CreationTime": one.created,
    }


def _no_such(name: str) -> ServiceException:
    return _error("DataRepositoryAssociationNotFound", f"Data repository association '{name}' does not exist.")


def _association(caller: Caller, name: str) -> Association:
    for one in _settled(_store(caller.account, caller.region)):
        if one.id == name:
            return one
    raise _no_such(name)


def update_data_repository_association(
    caller: Caller,
    *,
    AssociationId: str,
    S3: Fields | None = None,
    ImportedFileChunkSize: int | None = None,  # noqa: ARG001  # as above
    ClientRequestToken: str | None = None,  # noqa: ARG001  # an update that is repeated changes nothing
) -> Fields:
    """UpdateDataRepositoryAssociation: its policies alone. Errors: BadRequest while it is being changed, …NotFound."""
    one = _association(caller, AssociationId)
    if one.doing:
        raise _error("BadRequest", f"{AssociationId} is {one.doing}.")
    for policy, name in (("AutoImportPolicy", "imports"), ("AutoExportPolicy", "exports")):
        if policy in (S3 or {}):
            setattr(one, name, _events(S3, policy))
    one.doing, one.since = "UPDATING", clock.now()
    return {"Association": _described(one)}


def delete_data_repository_association(
    caller: Caller,
    *,
    AssociationId: str,
    DeleteDataInFileSystem: bool = False,
    ClientRequestToken: str | None = None,  # noqa: ARG001  # as above
) -> Fields:
    """DeleteDataRepositoryAssociation. Errors: BadRequest while it is being changed, …NotFound."""
    one = _association(caller, AssociationId)
    if one.doing == "DELETING":
        raise _error("BadRequest", f"{AssociationId} is being deleted.")
    one.doing, one.since, one.delete_data = "DELETING", clock.now(), DeleteDataInFileSystem
    return {
        "AssociationId": one.id,
        "Lifecycle": one.lifecycle,
        "DeleteDataInFileSystem": DeleteDataInFileSystem,
    }


def tag_resource(caller: Caller, *, ResourceARN: str, Tags: list[dict[str, str]]) -> None:
    """TagResource, of associations. Errors: ResourceNotFound."""
    _tagged(caller, ResourceARN).tags.update({tag["Key"]: tag["Value"] for tag in Tags})


def untag_resource(caller: Caller, *, ResourceARN: str, TagKeys: list[str]) -> None:
    """UntagResource, of associations. Errors: ResourceNotFound."""
    for key in TagKeys:
        _tagged(caller, ResourceARN).tags.pop(key, None)


def _tagged(caller: Caller, arn: str) -> Association:
    return next(_by_arn(caller.account, caller.region, arn), None) or _raise_not_found(arn)


def _raise_not_found(arn: str) -> Association:
    raise _error("ResourceNotFound", f"The resource {arn} does not exist.")


def _by_arn(account: str, region: str, arn: str) -> Iterator[Association]:
    return (one for one in list(_store(account, region).associations.values()) if one.arn == arn)


# --- what authorization asks ------------------------------------------------------------------------------


def _tags(call: Call, arn: str) -> dict[str, str]:
    """The tags of an association; of anything else none."""
    return next((dict(one.tags) for one in _by_arn(call.account, call.region, arn)), {})


def _arns(call: Call) -> dict[str, tuple[str, ...]]:
    """An association's ARN holds its file system."""
    one = _store(call.account, call.region).associations.get(call.first("AssociationId"))
    return {"association": (one.arn,)} if one else {}


def _linked_role_checks(call: Call) -> Iterator[Check]:
    """A link to a bucket makes the file system's service-linked role, and lets it use the bucket, as the caller.

    FSx for Lustre User Guide, "Adding permissions to use data repositories in Amazon S3".
    """
    if call.operation != "CreateDataRepositoryAssociation":
        return
    file_system = call.first("FileSystemId")
    role = role_arn(call.account, file_system)
    context: dict[str, Values] = {
        "aws:requestedregion": call.region,
        **global_keys.on_behalf(_SERVICE),
        **actions.resource_context(call, role),
    }
    if not has_role(call.account, file_system):
        yield Check("iam:CreateServiceLinkedRole", role, {**context, "iam:awsservicename": LINK_SERVICE})
    yield from (Check(f"iam:{name}", role, context) for name in ("AttachRolePolicy", "PutRolePolicy"))


registrations.register("fsx", registrations.Service(arns=_arns, tags=_tags, checks=_linked_role_checks))


@cache
def install() -> None:
    """Put these operations in the place of moto's."""
    for operation in (
        describe_file_systems,
        create_data_repository_association,
        describe_data_repository_associations,
        update_data_repository_association,
        delete_data_repository_association,
        tag_resource,
        untag_resource,
    ):
        _fsx.operation(operation)

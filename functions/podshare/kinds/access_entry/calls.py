"""EKS access entries: who may enter a cluster, and what they may do there.

An EKS token proves identity, not permission (it is a presigned GetCallerIdentity, which cannot be denied), so that
only its access entry ends the Kubernetes access of a live session.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from podshare.aws.errors import Tolerated, code_of
from podshare.kinds.access_entry.shape import AccessEntry
from podshare.kinds.base import Key, Resource, calls_of
from podshare.kinds.context import Context, as_kind
from podshare.kinds.observation import Foreign

if TYPE_CHECKING:
    from types_boto3_eks import EKSClient

READS = calls_of("eks", "DescribeAccessEntry ListAssociatedAccessPolicies") | {"iam:GetRole"}
WRITES = calls_of(
    "eks",
    "CreateAccessEntry UpdateAccessEntry DeleteAccessEntry AssociateAccessPolicy "
    "DisassociateAccessPolicy TagResource UntagResource",
)


def read(context: Context, key: Key, wanted: Resource | None) -> AccessEntry | Foreign | None:
    """The entry and its access policies; dead if its role was made after it."""
    answer = described(context, key)
    if answer is None:
        return None
    entry, associated = answer
    identity = entry["accessEntryArn"]
    if not context.owns(key, entry.get("tags", {}), identity):
        return context.foreign(key, entry.get("tags", {}))
    return AccessEntry(
        key=key,
        identity=identity,
        tags=context.installation.compared_tags(entry.get("tags", {})),
        policies={
            policy["policyArn"]: tuple(sorted(policy["accessScope"].get("namespaces", []))) for policy in associated
        },
        groups=frozenset(entry.get("kubernetesGroups", [])),
        username=entry["username"],
        type=entry["type"],
        alive=_alive(context, key, entry["createdAt"].timestamp()),
    )


def all_principals(eks: "EKSClient", cluster: str) -> list[str]:
    """The principals of all entries of a cluster, whoever made them."""
    pages = eks.get_paginator("list_access_entries").paginate(clusterName=cluster)
    return [arn for page in pages for arn in page["accessEntries"]]


def described(context: Context, key: Key) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]] | None:
    """The entry as EKS describes it, whoever made it, with the access policies that it has; None if there is none."""
    eks = context.accounts.client("eks", key.account, key.region)
    with Tolerated():
        entry = eks.describe_access_entry(clusterName=key.container, principalArn=key.name)["accessEntry"]
        pages = eks.get_paginator("list_associated_access_policies").paginate(
            clusterName=key.container, principalArn=key.name
        )
        return entry, [policy for page in pages for policy in page["associatedAccessPolicies"]]
    return None


def _alive(context: Context, key: Key, made: float) -> bool:
    """EKS keeps the role's unique id: an entry made before its role admits nobody, and looks healthy."""
    iam = context.accounts.client("iam", key.account)
    with Tolerated():
        role = iam.get_role(RoleName=key.name.rpartition("/")[2])["Role"]
        return made >= role["CreateDate"].timestamp()
    return False


def create(context: Context, wanted: Resource) -> None:
    """Make the entry, then give it its access policies."""
    entry = as_kind(AccessEntry, wanted)
    eks = context.accounts.client("eks", entry.key.account, entry.key.region)
    try:
        eks.create_access_entry(
            clusterName=entry.key.container,
            principalArn=entry.key.name,
            type=entry.type,
            kubernetesGroups=sorted(entry.groups),
            tags=dict(entry.tags),
            # one token per run: a lost reply is harmless, and an entry that was deleted is created again
            clientRequestToken=context.request_token(str(entry.key)),
        )
    except ClientError as error:
        if code_of(error) != "ResourceInUseException":  # it is there: what it says is read again, and fixed
            raise
        return
    _associate(context, entry, entry.policies.keys())


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Write what differs; what is revoked goes first."""
    old, new = as_kind(AccessEntry, observed), as_kind(AccessEntry, wanted)
    eks = context.accounts.client("eks", new.key.account, new.key.region)
    for arn in sorted(old.policies.keys() - new.policies.keys()):
        eks.disassociate_access_policy(clusterName=new.key.container, principalArn=new.key.name, policyArn=arn)
    if old.groups != new.groups:
        eks.update_access_entry(
            clusterName=new.key.container, principalArn=new.key.name, kubernetesGroups=sorted(new.groups)
        )
    _associate(context, new, {arn for arn, scope in new.policies.items() if old.policies.get(arn) != scope})
    if old.tags != new.tags:
        entry = eks.describe_access_entry(clusterName=new.key.container, principalArn=new.key.name)
        arn = entry["accessEntry"]["accessEntryArn"]
        if gone := sorted(old.tags.keys() - new.tags.keys()):
            eks.untag_resource(resourceArn=arn, tagKeys=gone)
        eks.tag_resource(resourceArn=arn, tags=dict(new.tags))


def delete(context: Context, observed: Resource) -> None:
    """Remove the entry; its access policies go with it."""
    key = observed.key
    eks = context.accounts.client("eks", key.account, key.region)
    with Tolerated():
        eks.delete_access_entry(clusterName=key.container, principalArn=key.name)


def _associate(context: Context, entry: AccessEntry, arns: Collection[str]) -> None:
    """AssociateAccessPolicy replaces the scope of a policy that is associated already (EKS user guide)."""
    eks = context.accounts.client("eks", entry.key.account, entry.key.region)
    for arn, namespaces in sorted(entry.policies.items()):
        if arn in arns:
            eks.associate_access_policy(
                clusterName=entry.key.container,
                principalArn=entry.key.name,
                policyArn=arn,
                accessScope=(
                    {"type": "namespace", "namespaces": list(namespaces)} if namespaces else {"type": "cluster"}
                ),
            )

"""Tags and labels in the hands of somebody else: an account's or a cluster's administrator changes those of podshare's."""

import re
from collections.abc import Callable
from typing import Any

from podshare.kinds.base import Key, Kind
from podshare.kinds.shapes import SHAPES
from podshare.kinds.table import KINDS
from podshare_sandbox.services import kubernetes
from podshare_sandbox.services.kubernetes.resources import BY_KIND
from tests.scenarios.world import Item, World

Tags = dict[str, str]
Change = Callable[[Tags], Tags]

# a namespace is SageMaker's
OBJECTS = {
    kind: shape.object_kind for kind, shape in SHAPES.items() if shape.object_kind and kind is not Kind.NAMESPACE
}
# a scheduler config is all teams'
TAGGED = {kind for kind, one in KINDS.items() if any(re.search(":(Add)?Tag", action) for action in one.WRITES)} - {
    Kind.CLUSTER_SCHEDULER_CONFIG
}


def retag(world: World, key: Key, change: Change) -> None:
    """Let somebody with rights in the account change the tags of one resource."""
    former, put, take = tags_of(world, key)
    changed = change(dict(former))
    if gone := sorted(former.keys() - changed.keys()):
        take(gone)
    if changed:
        put(changed)


def tags_of(world: World, key: Key) -> tuple[Tags, Callable[[Tags], Any], Callable[[list[str]], Any]]:
    """The tags of one resource, and what puts some and takes some away."""
    client = world.sandbox.client
    match key.kind:
        case Kind.ROLE:
            iam = client("iam", key.account)
            return (
                of_list(iam.get_role(RoleName=key.name)["Role"].get("Tags", [])),
                lambda tags: iam.tag_role(RoleName=key.name, Tags=as_list(tags)),
                lambda names: iam.untag_role(RoleName=key.name, TagKeys=names),
            )
        case Kind.ACCESS_ENTRY | Kind.POD_IDENTITY_ASSOCIATION:
            eks = client("eks", key.account)
            arn, tags = _in_eks(eks, key)
            return (
                tags,
                lambda tags: eks.tag_resource(resourceArn=arn, tags=tags),
                lambda names: eks.untag_resource(resourceArn=arn, tagKeys=names),
            )
        case Kind.ACCESS_POINT:
            s3, arn = client("s3control", key.account), f"arn:aws:s3:{key.region}:{key.account}:accesspoint/{key.name}"
            about: Item = {"AccountId": key.account, "ResourceArn": arn}
            return (
                of_list(s3.list_tags_for_resource(**about)["Tags"]),
                lambda tags: s3.tag_resource(**about, Tags=as_list(tags)),
                lambda names: s3.untag_resource(**about, TagKeys=names),
            )
        case Kind.DATA_REPOSITORY_ASSOCIATION:
            fsx = client("fsx", key.account)
            links = fsx.describe_data_repository_associations()["Associations"]
            link = next(one for one in links if one["FileSystemPath"] == key.name)
            return (
                of_list(link.get("Tags") or []),
                lambda tags: fsx.tag_resource(ResourceARN=link["ResourceARN"], Tags=as_list(tags)),
                lambda names: fsx.untag_resource(ResourceARN=link["ResourceARN"], TagKeys=names),
            )
        case Kind.SSM_PARAMETER:
            ssm = client("ssm", key.account)
            named: Item = {"ResourceType": "Parameter", "ResourceId": key.name}
            return (
                of_list(ssm.list_tags_for_resource(**named)["TagList"]),
                lambda tags: ssm.add_tags_to_resource(**named, Tags=as_list(tags)),
                lambda names: ssm.remove_tags_from_resource(**named, TagKeys=names),
            )
        case _:
            sagemaker = client("sagemaker", key.account)
            quotas = sagemaker.list_compute_quotas()["ComputeQuotaSummaries"]
            arn = next(one["ComputeQuotaArn"] for one in quotas if one["Name"] == key.name.rpartition("/")[2])
            return (
                of_list(sagemaker.list_tags(ResourceArn=arn)["Tags"]),
                lambda tags: sagemaker.add_tags(ResourceArn=arn, Tags=as_list(tags)),
                lambda names: sagemaker.delete_tags(ResourceArn=arn, TagKeys=names),
            )


def _in_eks(eks: Any, key: Key) -> tuple[str, Tags]:
    if key.kind is Kind.ACCESS_ENTRY:
        entry = eks.describe_access_entry(clusterName=key.container, principalArn=key.name)["accessEntry"]
        return entry["accessEntryArn"], entry["tags"]
    namespace, _, name = key.name.partition("/")
    asked = {"clusterName": key.container, "namespace": namespace, "serviceAccount": name}
    (listed,) = eks.list_pod_identity_associations(**asked)["associations"]
    found = eks.describe_pod_identity_association(clusterName=key.container, associationId=listed["associationId"])
    return listed["associationArn"], found["association"]["tags"]


def as_list(tags: Tags) -> list[Any]:
    """Tags as most of AWS's operations take them."""
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def of_list(tags: list[Any]) -> Tags:
    """The reverse of ``as_list``."""
    return {tag["Key"]: tag["Value"] for tag in tags}


def relabel(key: Key, change: Change) -> None:
    """Let a cluster's admin change the labels of one object."""
    namespace, _, name = key.name.rpartition("/")
    api = kubernetes.api_of(f"arn:aws:eks:{key.region}:{key.account}:cluster/{key.container}")
    found = api.get(OBJECTS[key.kind], namespace, name) or {}
    found["metadata"]["labels"] = change(found["metadata"].get("labels") or {})
    api.replace(BY_KIND[OBJECTS[key.kind]], namespace, found, "kubectl-edit")

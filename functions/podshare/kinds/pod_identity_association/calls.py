"""EKS Pod Identity associations: the role that pods of a service account get."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from podshare.aws.clusters_ahead import read_associations_ahead
from podshare.aws.errors import Tolerated
from podshare.kinds.base import Key, Resource, calls_of
from podshare.kinds.context import Context, as_kind
from podshare.kinds.observation import Foreign
from podshare.kinds.pod_identity_association.shape import PodIdentityAssociation

if TYPE_CHECKING:
    from types_boto3_eks import EKSClient

READS = calls_of("eks", "ListPodIdentityAssociations DescribePodIdentityAssociation")
WRITES = calls_of("eks", "CreatePodIdentityAssociation DeletePodIdentityAssociation TagResource UntagResource") | {
    "iam:PassRole",
    "iam:GetRole",
}


def read(context: Context, key: Key, wanted: Resource | None) -> PodIdentityAssociation | Foreign | None:
    """The association of a namespace's service account; one that an add-on owns is foreign."""
    association = _find(context, key)
    if association is None:
        return None
    if association.get("ownerArn"):
        return Foreign(key, f"it belongs to the add-on {association['ownerArn']}")
    if not context.owns(key, association.get("tags", {}), association["associationId"]):
        return context.foreign(key, association.get("tags", {}))
    return PodIdentityAssociation(
        key=key,
        identity=association["associationId"],
        tags=context.installation.compared_tags(association.get("tags", {})),
        role_arn=association["roleArn"],
        target_role_arn=association.get("targetRoleArn"),
        session_tags=not association.get("disableSessionTags", False),
    )


def create(context: Context, wanted: Resource) -> None:
    """Associate the role with the service account, which need not exist yet."""
    association = as_kind(PodIdentityAssociation, wanted)
    namespace, _, name = association.key.name.partition("/")
    eks = context.accounts.client("eks", association.key.account, association.key.region)
    request: Any = {
        "clusterName": association.key.container,
        "namespace": namespace,
        "serviceAccount": name,
        "roleArn": association.role_arn,
        "tags": dict(association.tags),
        "clientRequestToken": context.request_token(f"{association.key} {association.target_role_arn}"),
    }
    if association.target_role_arn:
        request["targetRoleArn"] = association.target_role_arn
    with Tolerated("ResourceInUseException"):  # it is there: what it says is read again, and fixed
        eks.create_pod_identity_association(**request)


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Write the tags: an association that gives another role is created again, never turned."""
    old, new = as_kind(PodIdentityAssociation, observed), as_kind(PodIdentityAssociation, wanted)
    association = _find(context, new.key)
    if association is None or old.tags == new.tags:
        return
    eks = context.accounts.client("eks", new.key.account, new.key.region)
    if gone := sorted(old.tags.keys() - new.tags.keys()):
        eks.untag_resource(resourceArn=association["associationArn"], tagKeys=gone)
    eks.tag_resource(resourceArn=association["associationArn"], tags=dict(new.tags))


def delete(context: Context, observed: Resource) -> None:
    """Remove the association. Pods keep cached credentials for up to six hours: the data side is revoked before."""
    key = observed.key
    association = _find(context, key)
    if association is None:
        return
    eks = context.accounts.client("eks", key.account, key.region)
    if missing := context.missing_marks(observed.tags):  # the member role deletes only what carries podshare's tags
        eks.tag_resource(resourceArn=association["associationArn"], tags=missing)
    with Tolerated():
        eks.delete_pod_identity_association(clusterName=key.container, associationId=association["associationId"])


def _find(context: Context, key: Key) -> Mapping[str, Any] | None:
    """Summaries lack the role: the one that is listed is described."""
    namespace, _, name = key.name.partition("/")
    eks = context.accounts.client("eks", key.account, key.region)
    with Tolerated():
        for summary in in_namespace(context, key, namespace):
            if summary["serviceAccount"] == name:
                return eks.describe_pod_identity_association(
                    clusterName=key.container, associationId=summary["associationId"]
                )["association"]
    return None


def count(eks: "EKSClient", cluster: str) -> int:
    """How many associations a cluster has, whoever made them."""
    pages = eks.get_paginator("list_pod_identity_associations").paginate(clusterName=cluster)
    return sum(len(page["associations"]) for page in pages)


def in_namespace(context: Context, cluster: Key, namespace: str) -> list[Mapping[str, Any]]:
    """The summaries of all associations in a namespace, whoever made them, of the cluster that a key is in."""
    read_associations_ahead(context.accounts, cluster.account, cluster.region, cluster.container)
    eks = context.accounts.client("eks", cluster.account, cluster.region)
    pages = eks.get_paginator("list_pod_identity_associations").paginate(
        clusterName=cluster.container, namespace=namespace
    )
    return [summary for page in pages for summary in page["associations"]]

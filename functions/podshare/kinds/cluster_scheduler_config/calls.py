"""The scheduler config of a cluster, by which SageMaker HyperPod task governance orders tasks.

A cluster has one, and all its teams share it: each team's share is a row of the state table, and the config goes with
the last share. What it says follows from the cluster's record alone. CreateClusterSchedulerConfig has no client token
and the server makes the id: a config is found by its cluster, whatever its name. All changes are asynchronous.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from podshare.aws.errors import Failed, Pending, Terminal, Tolerated, is_absent
from podshare.aws.lease import document_lease
from podshare.installation import MANAGED_BY_TAG
from podshare.kinds.base import Key, Resource, calls_of
from podshare.kinds.cluster_scheduler_config.shape import ClusterSchedulerConfig
from podshare.kinds.compute_quota.calls import MOVING, cluster_arn, status_of, write_tags
from podshare.kinds.context import Context, as_kind, tag_list, tags_of
from podshare.kinds.observation import Foreign

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

READS = calls_of("sagemaker", "ListClusterSchedulerConfigs DescribeClusterSchedulerConfig ListTags")
WRITES = calls_of(
    "sagemaker",
    "CreateClusterSchedulerConfig UpdateClusterSchedulerConfig DeleteClusterSchedulerConfig AddTags DeleteTags",
)
_REMEDY = "A cluster has one: delete it, or take `scheduler` out of the cluster's record."


def read(context: Context, key: Key, wanted: Resource | None) -> ClusterSchedulerConfig | Foreign | None:
    """The cluster's config, if the team has a share in it."""
    client = context.accounts.client("sagemaker", key.account, key.region)
    described = _find(context, client, key)
    tags = _tags(client, described)
    foreign = described is not None and not _owned(context, tags)
    if described and foreign and wanted:
        return Foreign(
            key, f"the cluster's config is {described['Name']}, which does not carry podshare's tags", _REMEDY
        )
    if context.state.get(_document(key), _share(context, key)) is None:
        return None
    if described is None or foreign:
        return ClusterSchedulerConfig(key=key, config={}, status="absent")
    return ClusterSchedulerConfig(
        key=key,
        tags=context.installation.compared_tags(tags),
        config=_config(described),
        description=described.get("Description", ""),
        status=status_of(described),
    )


def create(context: Context, wanted: Resource) -> None:
    """Write down the team's share, and ask for the config. Raises Pending while SageMaker works on it."""
    config = as_kind(ClusterSchedulerConfig, wanted)
    key = config.key
    client = context.accounts.client("sagemaker", key.account, key.region)
    with document_lease(context.state, _document(key), context.function_timeout) as check:
        context.state.put(_document(key), _share(context, key))
        described = _find(context, client, key)
        check()
        if described:
            _change(context, client, described, config)
        else:
            if made := ask_for(context, config):
                context.state.put(_document(key), _made(key), config=made)
            raise Pending(f"scheduler config {key.name} is being created")


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Ask for what differs. Raises Pending while SageMaker works on it."""
    create(context, wanted)


def delete(context: Context, observed: Resource) -> None:
    """Take back the team's share. With the last one the config goes: raises Pending while SageMaker deletes it."""
    key = observed.key
    client = context.accounts.client("sagemaker", key.account, key.region)
    with document_lease(context.state, _document(key), context.function_timeout) as check:
        shares = {str(row["part"]) for row in context.state.query(_document(key), _shares(key))}
        if shares <= {_share(context, key)}:
            described = _find(context, client, key)
            if described and _owned(context, _tags(client, described)):
                check()
                _end(client, described)
            context.state.delete(_document(key), _made(key))
        context.state.delete(_document(key), _share(context, key))


def ask_for(context: Context, config: ClusterSchedulerConfig) -> str | None:
    """Ask for a config where there is none, and return its id; None if there is one, or one on its way."""
    client = context.accounts.client("sagemaker", config.key.account, config.key.region)
    with Tolerated("ConflictException"):
        made = client.create_cluster_scheduler_config(
            Name=config.key.name.partition("/")[2],
            ClusterArn=cluster_arn(context, config.key),
            Description=config.description,
            SchedulerConfig=_request(config),
            Tags=tag_list(config.tags),
        )
        return made.get("ClusterSchedulerConfigId")
    return None


def _change(
    context: Context, client: "SageMakerClient", described: Mapping[str, Any], config: ClusterSchedulerConfig
) -> None:
    """Make the config that is there the one that is wanted; what SageMaker could not make is created again."""
    tags, status = _tags(client, described), status_of(described)
    if not _owned(context, tags):
        raise Terminal(
            f"the cluster's scheduler config {described['Name']} is not podshare's. podshare leaves it unchanged."
        )
    if status == "moving":
        raise Pending(f"scheduler config {config.key.name} is {described['Status']}")
    if status == "failed":
        client.delete_cluster_scheduler_config(ClusterSchedulerConfigId=described["ClusterSchedulerConfigId"])
        reason = described.get("FailureReason", "no reason given")
        raise Failed(
            f"scheduler config {config.key.name} is {described['Status']} ({reason}): podshare creates it again"
        )
    write_tags(client, described["ClusterSchedulerConfigArn"], context.installation.compared_tags(tags), config.tags)
    if (described.get("Description", ""), _config(described)) == (config.description, dict(config.config)):
        return
    client.update_cluster_scheduler_config(
        ClusterSchedulerConfigId=described["ClusterSchedulerConfigId"],
        TargetVersion=described["ClusterSchedulerConfigVersion"],
        Description=config.description,
        SchedulerConfig=_request(config),
    )
    raise Pending(f"scheduler config {config.key.name} is being updated")


def _end(client: "SageMakerClient", described: Mapping[str, Any]) -> None:
    if described["Status"] not in MOVING:
        try:
            client.delete_cluster_scheduler_config(ClusterSchedulerConfigId=described["ClusterSchedulerConfigId"])
        except ClientError as error:
            if is_absent(error):
                return
            raise
    raise Pending(f"scheduler config {described['Name']} is being deleted")


def _find(context: Context, client: "SageMakerClient", key: Key) -> Mapping[str, Any] | None:
    """The cluster's config, whoever made it. The one that podshare made is known before it is listed."""
    made = context.state.get(_document(key), _made(key))
    if made and (described := _described(client, str(made["config"]))):
        return described
    pages = client.get_paginator("list_cluster_scheduler_configs").paginate(ClusterArn=cluster_arn(context, key))
    for page in pages:
        for summary in page["ClusterSchedulerConfigSummaries"]:
            if described := _described(client, summary["ClusterSchedulerConfigId"]):
                return described
    return None


def _described(client: "SageMakerClient", config: str) -> Mapping[str, Any] | None:
    """A config by its id; None for one that is gone, which lists may still hold."""
    with Tolerated():
        described = client.describe_cluster_scheduler_config(ClusterSchedulerConfigId=config)
        return described if described["Status"] != "Deleted" else None
    return None


def _tags(client: "SageMakerClient", described: Mapping[str, Any] | None) -> dict[str, str]:
    return tags_of(client, described["ClusterSchedulerConfigArn"]) if described else {}


def _owned(context: Context, tags: Mapping[str, str]) -> bool:
    """Whether this installation made it, for whichever team."""
    return tags.get(MANAGED_BY_TAG) == context.installation.manager


def _config(described: Mapping[str, Any]) -> dict[str, Any]:
    """What a config says, with the defaults that SageMaker may leave out, in an order of its own."""
    config = described.get("SchedulerConfig", {})
    classes = sorted(config.get("PriorityClasses", []), key=lambda priority_class: str(priority_class["Name"]))
    return {
        "PriorityClasses": [
            {"Name": priority_class["Name"], "Weight": priority_class["Weight"]} for priority_class in classes
        ],
        "FairShare": config.get("FairShare", "Enabled"),
        "IdleResourceSharing": config.get("IdleResourceSharing", "Disabled"),
    }


def _request(config: ClusterSchedulerConfig) -> Any:
    return dict(config.config)


def _document(key: Key) -> str:
    """All of an account and Region: whose teams to check for a call that names no cluster."""
    return f"scheduler#{key.account}/{key.region}"


def _made(key: Key) -> str:
    return f"made#{key.name.partition('/')[0]}"


def _shares(key: Key) -> str:
    return f"share#{key.name.partition('/')[0]}/"


def _share(context: Context, key: Key) -> str:
    return f"{_shares(key)}{context.team}"

"""Compute quotas of SageMaker HyperPod task governance.

CreateComputeQuota has no client token and the server makes the id: a quota is found by its name and cluster. All
changes are asynchronous.
"""

import contextlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from podshare.aws.answers import PAGES_OF
from podshare.aws.errors import Failed, Pending, Tolerated, Waiting, is_absent
from podshare.kinds.base import Key, Resource, Stage, calls_of
from podshare.kinds.compute_quota.shape import ComputeQuota
from podshare.kinds.context import Context, as_kind, tag_list, tags_of
from podshare.kinds.observation import Foreign
from podshare.kinds.shapes import SHAPES

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

READS = calls_of("sagemaker", "ListComputeQuotas DescribeComputeQuota ListTags")
WRITES = calls_of("sagemaker", "CreateComputeQuota UpdateComputeQuota DeleteComputeQuota AddTags DeleteTags")
MOVING = frozenset({"Creating", "Updating", "Deleting"})
# what SageMaker rolled back or never made has to be deleted and created again ("Troubleshoot task governance")
FAILED = frozenset({"CreateFailed", "CreateRollbackFailed", "UpdateRollbackFailed", "DeleteRollbackFailed"})


def read(context: Context, key: Key, wanted: Resource | None) -> ComputeQuota | Foreign | None:
    """The quota, in the fields that podshare wrote: SageMaker fills in vCPUs and memory pro rata."""
    client = context.accounts.client("sagemaker", key.account, key.region)
    quota = _find(context, client, key)
    if quota is None:
        return None
    tags = tags_of(client, quota["ComputeQuotaArn"])
    if not context.owns(key, tags, quota["ComputeQuotaId"]):
        return context.foreign(key, tags)
    config, target = quota.get("ComputeQuotaConfig", {}), quota.get("ComputeQuotaTarget", {})
    asked = wanted if isinstance(wanted, ComputeQuota) else None
    return ComputeQuota(
        key=key,
        identity=quota["ComputeQuotaId"],
        tags=context.installation.compared_tags(tags),
        team=target.get("TeamName", ""),
        resources=_lines(config.get("ComputeQuotaResources", []), asked.resources if asked else ()),
        sharing=_sharing(config.get("ResourceSharingConfig", {}), asked.sharing if asked else {}),
        fair_share_weight=target.get("FairShareWeight", 0),
        preempt_team_tasks=config.get("PreemptTeamTasks", "LowerPriority"),
        active=quota.get("ActivationState", "Enabled") == "Enabled",
        description=quota.get("Description", ""),
        status=status_of(quota),
    )


def read_ahead(context: Context, key: Key) -> None:
    """List all quotas of the cluster, as a plan does anyway, so that ``read`` need not list them by the name of one."""
    with contextlib.suppress(Exception):  # whoever lists them reports what it meets
        arn, name = cluster_arn(context, key), _name(key)
        page = {"ComputeQuotaSummaries": [summary for summary in all_of(context, key) if name in summary["Name"]]}
        asked = {"ClusterArn": arn, "NameContains": name}
        context.accounts.keep_answer(
            "sagemaker", key.account, key.region, PAGES_OF + "list_compute_quotas", [page], **asked
        )


def all_of(context: Context, key: Key) -> list[Mapping[str, Any]]:
    """The summaries of all quotas, whoever made them, of the cluster that a quota's key is in."""
    client = context.accounts.client("sagemaker", key.account, key.region)
    pages = client.get_paginator("list_compute_quotas").paginate(ClusterArn=cluster_arn(context, key))
    return [summary for page in pages for summary in page["ComputeQuotaSummaries"]]


def others_of_team(context: Context, quota: ComputeQuota) -> list[str]:
    """The names of the cluster's other quotas for the same team, or with the same name in another case."""
    return [
        summary["Name"]
        for summary in all_of(context, quota.key)
        if summary["Status"] != "Deleted"
        and summary["Name"] != _name(quota.key)
        and (_is_of(summary, quota.team) or summary["Name"].lower() == _name(quota.key).lower())
    ]


def create(context: Context, wanted: Resource) -> None:
    """Ask for the quota. Raises Pending: it is made in the background."""
    quota = as_kind(ComputeQuota, wanted)
    client = context.accounts.client("sagemaker", quota.key.account, quota.key.region)
    with Tolerated("ConflictException"):  # it is there, or on its way: look again
        client.create_compute_quota(
            Name=_name(quota.key),
            ClusterArn=cluster_arn(context, quota.key),
            Tags=tag_list(quota.tags),
            **_request(quota),
        )
    raise Pending(f"compute quota {quota.key.name} is being created")


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Ask for what differs. Raises Pending while SageMaker works on it.

    TargetVersion is the version that was just described, so that two writers cannot undo each other.
    """
    old, new = as_kind(ComputeQuota, observed), as_kind(ComputeQuota, wanted)
    client = context.accounts.client("sagemaker", new.key.account, new.key.region)
    quota = _find(context, client, new.key)
    if quota is None or old.status == "moving":
        raise Pending(f"compute quota {new.key.name} is {quota['Status'] if quota else 'gone'}")
    if old.status == "failed":
        client.delete_compute_quota(ComputeQuotaId=quota["ComputeQuotaId"])
        reason = quota.get("FailureReason", "no reason given")
        raise Failed(f"compute quota {new.key.name} is {quota['Status']} ({reason}): podshare creates it again")
    write_tags(client, quota["ComputeQuotaArn"], old.tags, new.tags)
    if {**old.facts(), "tags": None} == {**new.facts(), "tags": None}:
        return
    client.update_compute_quota(
        ComputeQuotaId=quota["ComputeQuotaId"], TargetVersion=quota["ComputeQuotaVersion"], **_request(new)
    )
    raise Pending(f"compute quota {new.key.name} is being updated")


def status_of(described: Mapping[str, Any]) -> str:
    """Whether SageMaker works on a quota or a scheduler config, has failed, or neither: as kinds report it."""
    return "moving" if described["Status"] in MOVING else "failed" if described["Status"] in FAILED else "settled"


def write_tags(client: "SageMakerClient", arn: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    """Make the tags ``new``, if they are not."""
    if old == new:
        return
    if gone := sorted(old.keys() - new.keys()):
        client.delete_tags(ResourceArn=arn, TagKeys=gone)
    client.add_tags(ResourceArn=arn, Tags=tag_list(new))


def delete(context: Context, observed: Resource) -> None:
    """Ask for the quota's deletion, which affects running work: only once all of the team's access there is revoked.

    Raises Waiting while some of it is left or work is not drained, and Pending while SageMaker deletes the quota.
    """
    key = observed.key
    if not context.inventory.is_drained(key, context.run):
        raise Waiting(f"compute quota {key.name} stays until the team's running work has ended")
    if left := _access_left(context, key):
        more = f" and {len(left) - 1} more" if left[1:] else ""
        raise Waiting(f"compute quota {key.name} stays until the team's access is revoked: {left[0]}{more}")
    client = context.accounts.client("sagemaker", key.account, key.region)
    quota = _find(context, client, key)
    if quota is None:
        return
    if quota["Status"] not in MOVING:
        if missing := context.missing_marks(observed.tags):  # the member role deletes only what carries these tags
            client.add_tags(ResourceArn=quota["ComputeQuotaArn"], Tags=tag_list(missing))
        try:
            client.delete_compute_quota(ComputeQuotaId=quota["ComputeQuotaId"])
        except ClientError as error:
            if is_absent(error):
                return
            raise
    raise Pending(f"compute quota {key.name} is being deleted")


def _access_left(context: Context, key: Key) -> list[Key]:
    """What the inventory still knows of the team's access in the quota's account, but for what is to stay."""
    return [
        item
        for item in sorted(set(context.inventory.keys()) - context.desired)
        if item.account == key.account and SHAPES[item.kind].revoke_stage < Stage.REMAINS
    ]


def _find(context: Context, client: "SageMakerClient", key: Key) -> Mapping[str, Any] | None:
    """The quota by its exact name in its cluster: NameContains also finds longer names, lists hold deleted ones."""
    pages = client.get_paginator("list_compute_quotas").paginate(
        ClusterArn=cluster_arn(context, key), NameContains=_name(key)
    )
    for page in pages:
        for summary in page["ComputeQuotaSummaries"]:
            if summary["Name"] == _name(key) and summary["Status"] != "Deleted":
                with Tolerated():
                    return client.describe_compute_quota(ComputeQuotaId=summary["ComputeQuotaId"])
    return None


def _is_of(summary: Mapping[str, Any], team: str) -> bool:
    """The API model has names of teams in lower case, and so has Kubernetes their namespaces (RFC 1123 label)."""
    return bool(summary["ComputeQuotaTarget"]["TeamName"].lower() == team.lower())


def _name(key: Key) -> str:
    return key.name.partition("/")[2]


def cluster_arn(context: Context, key: Key) -> str:
    """A key names the HyperPod cluster by its id, and its EKS cluster as the container."""
    cluster = key.name.partition("/")[0]
    return f"arn:{context.installation.partition}:sagemaker:{key.region}:{key.account}:cluster/{cluster}"


def _request(quota: ComputeQuota) -> dict[str, Any]:
    return {
        "Description": quota.description,
        "ComputeQuotaConfig": {
            "ComputeQuotaResources": [dict(line) for line in quota.resources],
            "ResourceSharingConfig": dict(quota.sharing),
            "PreemptTeamTasks": quota.preempt_team_tasks,
        },
        "ComputeQuotaTarget": {"TeamName": quota.team, "FairShareWeight": quota.fair_share_weight},
        "ActivationState": "Enabled" if quota.active else "Disabled",
    }


def _lines(observed: Iterable[Mapping[str, Any]], wanted: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """The lines, each without the fields that SageMaker filled in where the rest is as wanted."""
    asked = {_line_name(line): line for line in wanted}
    return tuple(sorted((_written(line, asked.get(_line_name(line), line)) for line in observed), key=str))


def _line_name(line: Mapping[str, Any]) -> tuple[str, str]:
    return line["InstanceType"], line.get("AcceleratorPartition", {}).get("Type", "")


def _written(observed: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    return wanted if all(observed.get(name) == value for name, value in wanted.items()) else observed


def _sharing(observed: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    limits = "AbsoluteBorrowLimits"
    compared = {name: value for name, value in observed.items() if name in wanted or not wanted}
    if compared.get(limits):
        compared[limits] = list(_lines(compared[limits], wanted.get(limits, ())))
    return compared

"""SSM parameters: what a team's people need to use its clusters and data, published in their own account."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from podshare.installation import Installation
from podshare.kinds import names
from podshare.kinds.base import ExecutionRole, Key, Kind, Resource, Stage, calls_of, listed
from podshare.kinds.data_access import access_point_arn, access_point_key
from podshare.kinds.team_on_cluster import CLUSTER_TAG, TeamOnCluster, tag_value
from podshare.registry.membership import Member
from podshare.registry.records import Dataset

SCHEMA = 1
MOST_BYTES = 4096  # of a standard parameter's value (Systems Manager user guide, "Managing parameter tiers")
_LONGEST_ALIAS = 63  # an alias takes the place of a bucket's name
_WHO = ("scientist_role", "existing_role", "permission_set")

Value = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class SsmParameter(Resource):
    """What one account's people need to use a team's clusters of one Region and their data; it holds no secret.

    ``value`` lacks the aliases of access points, which only S3 knows: ``points`` are the access points by
    ``<cluster>/<dataset>``, and what is written and read has their aliases, as they were just read or as the inventory
    remembers them.
    """

    execution_role = ExecutionRole.IDENTITY
    revoke_stage = remove_stage = Stage.TRUST
    gives = False
    reported_by = calls_of(
        "ssm", "PutParameter DeleteParameter DeleteParameters AddTagsToResource RemoveTagsFromResource"
    )

    value: Value
    type: str = "String"
    points: Mapping[str, Key] = field(default_factory=dict, compare=False)

    def intersection(self, desired: Self) -> Self | None:
        return self if self.type == desired.type else None  # it gives nothing, so that it is changed in place

    @classmethod
    def deletion(cls, key: Key) -> str:
        return f"aws ssm delete-parameter --region {key.region} --name {key.name}"

    @classmethod
    def marking(cls, installation: Installation, key: Key, marks: Mapping[str, str]) -> str:
        where = f"--region {key.region} --resource-type Parameter --resource-id {key.name}"
        return f"aws ssm add-tags-to-resource {where} --tags {listed(marks)}"


def team_parameter(on: TeamOnCluster, member: Member, access_role: Key) -> SsmParameter:
    """What one member needs on one cluster; ``joined`` makes one of all that an account has in a Region."""
    points = {
        f"{on.cluster.name}/{name}": access_point_key(on, on.datasets[name])
        for name in _datasets(on)
        if on.datasets[name].data_role != "target"
    }
    name = names.team_parameter(on.installation, on.team.name)
    return SsmParameter(
        key=Key(Kind.SSM_PARAMETER, member.account, on.cluster.region, "", name),
        tags=on.tags(),
        why=member.why,
        points=points,
        mentions=frozenset(points.values()),
        value={
            "schema": SCHEMA,
            "team": on.team.name,
            "owner": on.team.owner,
            "namespace": on.team.namespace,
            "members": [_member(on, member, access_role)],
            "clusters": [_cluster(on)],
        },
    )


def _member(on: TeamOnCluster, member: Member, access_role: Key) -> Value:
    """By which role of their own a member works, and which cluster access role it assumes."""
    installation = on.installation
    if member.permission_set:
        who = {"permission_set": member.permission_set}
    elif member.existing_role:
        who = {"existing_role": f"arn:{installation.partition}:iam::{member.account}:role/{member.existing_role}"}
    else:
        scientist = names.scientist_role(installation, on.team.name)
        who = {"scientist_role": installation.role_arn(member.account, scientist)}
    ends = [moment for moment in (on.team.expires, member.expires) if moment]
    selector = member.selector or on.selected_by
    return {
        **who,
        **({"selector": selector} if selector else {}),
        **({"until": _moment(min(ends))} if ends else {}),
        "roles": {on.cluster.name: installation.role_arn(access_role.account, access_role.name)},
    }


def _cluster(on: TeamOnCluster) -> Value:
    """The team on the cluster: its queue, its quota, and its data by the service accounts of its pods."""
    scheduler = on.cluster.scheduler
    return {
        "name": on.cluster.name,
        "arn": on.eks_arn,
        "region": on.cluster.region,
        "access": [kind.value for kind in on.team.access_kinds],
        "queue": f"{on.team.namespace}-localqueue",
        "priorities": [f"{priority.name}-priority" for priority in scheduler.priority_classes] if scheduler else [],
        "hardening": on.cluster.namespace_hardening,
        "quota": on.quota.model_dump(mode="json", exclude_defaults=True, exclude={"name", "description"}),
        "datasets": {name: _dataset(on, on.datasets[name]) for name in _datasets(on)},
        "service_accounts": {
            account.name: [
                {
                    "dataset": name,
                    "access": grant.access.value,
                    "prefix": grant.prefix or on.datasets[name].prefix,
                    **({"until": _moment(grant.expires)} if grant.expires else {}),
                }
                for name, grants in sorted(on.grants(account).items())
                for grant in grants
            ]
            for account in on.team.service_accounts
        },
    }


def _datasets(on: TeamOnCluster) -> list[str]:
    return sorted({name for account in on.team.service_accounts for name in on.grants(account)})


def _dataset(on: TeamOnCluster, dataset: Dataset) -> Value:
    if dataset.data_role == "target":
        return {"region": dataset.region, "bucket": dataset.bucket}
    return {"region": dataset.region, "arn": access_point_arn(on, dataset)}


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def joined(parameter: SsmParameter, other: SsmParameter) -> SsmParameter:
    """What two members, or two clusters, have in one account and Region."""
    members = {_who(member): member for member in parameter.value["members"]}
    for member in other.value["members"]:
        same = members.get(_who(member), member)
        members[_who(member)] = {**same, "roles": {**same["roles"], **member["roles"]}}
    clusters = {cluster["name"]: cluster for cluster in (*parameter.value["clusters"], *other.value["clusters"])}
    return replace(
        parameter,
        value={**parameter.value, "members": list(members.values()), "clusters": list(clusters.values())},
        points={**parameter.points, **other.points},
        mentions=parameter.mentions | other.mentions,
        tags={**parameter.tags, CLUSTER_TAG: tag_value(" ".join(clusters))},
    )


def _who(member: Value) -> tuple[str | None, ...]:
    """What distinguishes a member from the account's others."""
    return tuple(member.get(part) for part in _WHO)


def fitting(parameter: SsmParameter) -> SsmParameter:
    """The parameter with as much as a standard one holds; ``left_out`` names what its people have to ask for."""
    value = parameter.value
    for part in ("datasets", "service_accounts", "quota"):
        if _size(value, parameter.points) <= MOST_BYTES:
            break
        clusters = [{**cluster, part: {}} for cluster in value["clusters"]]
        value = {**value, "clusters": clusters, "left_out": [*value.get("left_out", ()), part]}
    return replace(parameter, value=value)


def _size(value: Value, points: Mapping[str, Key]) -> int:
    return len(text(with_aliases(value, dict.fromkeys(points, "x" * _LONGEST_ALIAS))).encode())


def text(value: Value) -> str:
    """A value as it is written."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def with_aliases(value: Value, aliases: Mapping[str, str]) -> Value:
    """The value with the aliases of access points, by ``<cluster>/<dataset>``."""
    return {**value, "clusters": [_with_aliases(cluster, aliases) for cluster in value["clusters"]]}


def _with_aliases(cluster: Value, aliases: Mapping[str, str]) -> Value:
    datasets = {
        name: {**dataset, "alias": alias} if (alias := aliases.get(f"{cluster['name']}/{name}")) else dataset
        for name, dataset in cluster["datasets"].items()
    }
    return {**cluster, "datasets": datasets}


def without_aliases(value: Value, aliases: Mapping[str, str]) -> Value:
    """The reverse of ``with_aliases``: a value with any other aliases, or without some, differs from what is desired.

    Raises LookupError, TypeError or AttributeError for a value that podshare has not written.
    """
    stripped = {
        **value,
        "clusters": [
            {
                **cluster,
                "datasets": {
                    name: {part: text for part, text in dataset.items() if part != "alias"}
                    for name, dataset in cluster["datasets"].items()
                },
            }
            for cluster in value["clusters"]
        ],
    }
    if with_aliases(stripped, aliases) == value:
        return stripped
    return value if value != stripped else {**value, "aliases": "missing"}

"""Who gains and loses what by a plan: people by cluster, service accounts by dataset, and the quota before and after.

Computed from effective access before and after, not from the changes: what a policy gives in another spelling is no
news, and what a repair gives back is.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from podshare.access.effective_access import (
    ANYBODY,
    Access,
    account_of,
    effective_access,
    in_bucket,
    in_cluster,
    in_file_system,
    in_order,
    is_service_linked,
)
from podshare.installation import Installation
from podshare.kinds.access_entry.shape import CLUSTER_POLICY, NAMESPACE_POLICIES, TEMPLATE_POLICY
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.compute_quota.shape import ComputeQuota
from podshare.kinds.observation import Foreign, Observation, Unreadable
from podshare.kinds.team_on_cluster import CLUSTER_TAG, DATASET_TAG
from podshare.policy import policies
from podshare.registry.records import Dataset

_LEVELS = {policy: access.value for access, policy in NAMESPACE_POLICIES.items()}
_OF_EVERYBODY = frozenset({CLUSTER_POLICY, TEMPLATE_POLICY})  # read what all teams share: no news beside the namespace
_PERMISSION_SET = "AWSReservedSSO_"
_QUOTA_FIELDS = {"Count": "count", "Accelerators": "accelerators", "VCpu": "vcpu", "MemoryInGiB": "memory_gib"}
_Place = tuple[str, str, str]  # who, where, and what it is there


@dataclass(frozen=True, slots=True)
class AccessChanges:
    """What a plan gives and revokes, in plain JSON.

    In ``gains`` and ``revocations`` a row says whose access to what (``of``: ``cluster``, ``data`` or ``file_system``)
    changes: ``who`` may do what (``may``) ``where`` (a cluster, dataset, bucket or file system by its name) and
    ``within`` what of it (the namespace, keys or paths; empty for a Kubernetes group, which has rows of its own), and
    ``keeps`` what lies in it of the same before and after; ``account`` is a person's. In ``quotas`` a row has a quota
    line ``before`` and ``after``.
    """

    gains: list[dict[str, Any]]
    revocations: list[dict[str, Any]]
    quotas: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """As a dry run returns it."""
        return {"gains": self.gains, "revocations": self.revocations, "quotas": self.quotas}


def access_changes(
    desired: Mapping[Key, Resource],
    observed: Mapping[Key, Observation],
    datasets: Mapping[str, Dataset],
    clusters: Mapping[str, str],
    installation: Installation,
) -> AccessChanges:
    """What becomes of everybody's access, and of quotas, once ``observed`` is as ``desired``.

    ``clusters`` are their names by ARN. What is not podshare's, or was not read, counts on neither side.
    """
    unknown = {key for key, observation in observed.items() if isinstance(observation, Foreign | Unreadable)}
    before = [resource for resource in observed.values() if isinstance(resource, Resource)]
    after = [resource for key, resource in desired.items() if key not in unknown]
    if not _differ(before, after):
        return AccessChanges([], [], [])
    known = {resource.key for resource in (*before, *after)}
    names = _Names(clusters, datasets, {str(resource.key): resource for resource in (*before, *after)}, installation)
    had = _by_place(effective_access(before, known, installation), names)
    has = _by_place(effective_access(after, known, installation), names)
    return AccessChanges(_beyond(has, had, names), _beyond(had, has, names), _quotas(before, after))


def _differ(before: Iterable[Resource], after: Iterable[Resource]) -> bool:
    return {resource.key: resource for resource in before} != {resource.key: resource for resource in after}


@dataclass(frozen=True)
class _Names:
    """What people call clusters, datasets and principals."""

    clusters: Mapping[str, str]
    datasets: Mapping[str, Dataset]
    resources: Mapping[str, Resource]
    installation: Installation

    def is_on_the_way(self, access: Access) -> bool:
        """Whether it is a role's that only stands between: one of podshare's for pods, or Amazon FSx' own."""
        return in_bucket(access) and (access.who in self._roles or is_service_linked(access.who))

    @cached_property
    def _roles(self) -> frozenset[str]:
        keys = (resource.key for resource in self.resources.values() if resource.key.kind is Kind.ROLE)
        return frozenset(self.installation.role_arn(key.account, key.name) for key in keys)

    def who(self, access: Access) -> str:
        """A role by its name, a permission set and a service account as records name them."""
        if access.who.startswith("system:serviceaccount:"):
            name = access.who.rpartition(":")[2]
            return f"service account {name}" if name != ANYBODY else "every pod"
        if access.who == ANYBODY:
            return "anybody"
        if not account_of(access.who):
            is_group = in_cluster(access) and " " not in access.who
            return f"Kubernetes group {access.who}" if is_group else access.who
        if access.who.endswith(":root"):
            return "everybody in the account"
        name = access.who.rpartition("/")[2]
        if name.startswith(_PERMISSION_SET):  # with a random end
            return f"permission set {name.removeprefix(_PERMISSION_SET).rpartition('_')[0]}"
        role = access.who.partition(":role/")[2].removeprefix(self.installation.role_path.removeprefix("/"))
        return f"role {role}" if role else access.who

    def where(self, access: Access) -> str:
        """A cluster's or dataset's name in the registry; what has none there by its name at AWS."""
        name = access.where.rpartition(":")[2].rpartition("/")[2]
        if in_cluster(access):
            return self.clusters.get(access.where, name)
        return self._dataset(access, name) if in_bucket(access) else name

    def _dataset(self, access: Access, bucket: str) -> str:
        tags = (self.resources[key].tags for key in access.by if key in self.resources)
        tagged = next((tag[DATASET_TAG] for tag in tags if DATASET_TAG in tag), "")
        if tagged:
            return tagged
        holding = (
            name
            for name, dataset in self.datasets.items()
            if dataset.bucket == bucket and access.what.startswith(dataset.prefix)
        )
        return next(holding, bucket)


def _by_place(accesses: Iterable[Access], names: _Names) -> dict[_Place, list[Access]]:
    """What people and pods may do, by who has it and where."""
    by_place = defaultdict[_Place, list[Access]](list)
    for access in accesses:
        is_shown = in_cluster(access) or in_bucket(access) or in_file_system(access)
        if is_shown and not {*access.may} & _OF_EVERYBODY and not names.is_on_the_way(access):
            by_place[account_of(access.who), names.who(access), access.where].append(_in_words(access))
    return by_place


def _in_words(access: Access) -> Access:
    """The levels of access and the groups in the words of records."""
    if access.what.startswith("group ") and in_cluster(access):
        return replace(access, may=(f"Kubernetes {access.what}",), what="")
    return replace(access, may=tuple(_LEVELS.get(verb, verb) for verb in access.may))


def _beyond(
    have: Mapping[_Place, list[Access]], others: Mapping[_Place, list[Access]], names: _Names
) -> list[dict[str, Any]]:
    """What is in ``have`` and in none of ``others``, a row for each place."""
    rows = defaultdict[tuple[str, ...], tuple[set[str], set[str]]](lambda: (set(), set()))
    for place, accesses in have.items():
        account, who, _ = place
        for access in accesses:
            other_accesses = others.get(place, ())
            if verbs := {verb for verb in access.may if not _is_among(access, verb, other_accesses)}:
                may, keeps = rows[_subject(access), account, who, names.where(access), access.what]
                may |= verbs
                keeps |= {other.what for other in other_accesses if _is_part(other, access, verbs)}
    return [
        {
            **dict(zip(("of", "account", "who", "where", "within"), row, strict=True)),
            "may": sorted(may, key=in_order),
            "keeps": sorted(keeps),
        }
        for row, (may, keeps) in sorted(rows.items())
    ]


def _is_part(other: Access, access: Access, verbs: set[str]) -> bool:
    return bool(verbs & {*other.may}) and policies.covers(access.what, other.what)


def _is_among(access: Access, verb: str, others: Collection[Access]) -> bool:
    return any(verb in other.may and policies.covers(other.what, access.what) for other in others)


def _subject(access: Access) -> str:
    if in_cluster(access):
        return "cluster"
    return "data" if in_bucket(access) else "file_system"


# ---- quotas ----------------------------------------------------------------------------------------------------


def _quotas(before: Iterable[Resource], after: Iterable[Resource]) -> list[dict[str, Any]]:
    """The quota lines that change, by cluster and instance type."""
    before, after = [*before], [*after]
    # one that was made by hand does not say of which record's cluster it is, the one that is to be in its place does
    names = {quota.key: quota.tags[CLUSTER_TAG] for quota in (*before, *after) if CLUSTER_TAG in quota.tags}
    had, has = _lines(before, names), _lines(after, names)
    return [
        {"cluster": cluster, "instance_type": instance_type, "before": had.get(line), "after": has.get(line)}
        for line in sorted(had.keys() | has.keys())
        if had.get(line) != has.get(line)
        for cluster, instance_type in (line[:2],)
    ]


def _lines(resources: Iterable[Resource], names: Mapping[Key, str]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Each line of the quotas in the fields of records; a type may have one whole and one partitioned."""
    lines = {}
    for quota in resources:
        if isinstance(quota, ComputeQuota):
            cluster = names.get(quota.key, quota.cluster)
            for line in quota.resources:
                partition = line.get("AcceleratorPartition") or {}
                amounts = {field: line[name] for name, field in _QUOTA_FIELDS.items() if name in line}
                if partition:
                    amounts["accelerator_partition"] = {"type": partition["Type"], "count": partition["Count"]}
                lines[cluster, str(line["InstanceType"]), str(partition.get("Type", ""))] = amounts
    return lines

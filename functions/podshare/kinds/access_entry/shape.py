"""EKS access entries: who may enter a cluster, and what they may do there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from podshare.installation import Installation
from podshare.kinds.base import Key, Resource, Stage, Work
from podshare.policy import policies


@dataclass(frozen=True, kw_only=True)
class AccessEntry(Resource):
    """A principal's entry to a cluster. ``policies`` maps the ARN of an access policy to its namespaces.

    No namespaces means the cluster scope. An entry that is older than its role is not ``alive``: EKS keeps the
    role's unique id, and the entry then looks healthy while it admits nobody.
    """

    work = Work.CLUSTER
    cut_stage = remove_stage = Stage.CLUSTER_ACCESS
    gives = is_access = True
    told_by = frozenset(
        f"eks:{name}"
        for name in (
            "CreateAccessEntry",
            "UpdateAccessEntry",
            "DeleteAccessEntry",
            "AssociateAccessPolicy",
            "DisassociateAccessPolicy",
            "TagResource",
            "UntagResource",
        )
    )

    policies: Mapping[str, tuple[str, ...]]
    groups: frozenset[str]
    username: str
    type: str = "STANDARD"
    alive: bool = True

    def common(self, desired: Self) -> Self | None:
        if not self.alive or self.type != desired.type or self.username != desired.username:
            return None
        shared = {
            arn: scope
            for arn in self.policies.keys() & desired.policies.keys()
            if (scope := _common_scope(self.policies[arn], desired.policies[arn])) is not None
        }
        return replace(self, policies=shared, groups=self.groups & desired.groups)

    @classmethod
    def deletion(cls, key: Key) -> str:
        where = f"--region {key.region} --cluster-name {key.container}"
        return f"aws eks delete-access-entry {where} --principal-arn {key.name}"

    @classmethod
    def marking(cls, installation: Installation, key: Key, marks: Mapping[str, str]) -> str:
        where, pairs = f"--region {key.region}", ",".join(f"{name}={value}" for name, value in sorted(marks.items()))
        asked = f"{where} --cluster-name {key.container} --principal-arn {key.name}"
        arn = f"aws eks describe-access-entry {asked} --query accessEntry.accessEntryArn --output text"
        return f"aws eks tag-resource {where} --resource-arn $({arn}) --tags {pairs}"


def _common_scope(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...] | None:
    """Namespaces in both scopes; the cluster scope (empty) holds them all. None where there are none."""
    if not one or not other:
        return one or other
    shared = {
        name for name in (*one, *other) if all(any(policies.covers(wide, name) for wide in s) for s in (one, other))
    }
    return tuple(sorted(shared)) or None

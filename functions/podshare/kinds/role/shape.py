"""IAM roles under podshare's path: cluster access, data scientist, data access and target roles."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from podshare.installation import Installation
from podshare.kinds.base import Key, Resource, Stage, Work, listed
from podshare.policy import policies
from podshare.policy.policies import Document


@dataclass(frozen=True, kw_only=True)
class Role(Resource):
    """An IAM role under podshare's path. ``policies`` are its inline policies by name.

    ``buckets`` are those that a target role uses by itself: name, Region, and the KMS key that its dataset names.
    """

    work = Work.IDENTITY
    cut_stage = Stage.TRUST
    remove_stage = Stage.REMAINS
    gives = True
    told_by = frozenset(
        f"iam:{name}"
        for name in (
            "CreateRole",
            "DeleteRole",
            "UpdateRole",
            "UpdateRoleDescription",
            "UpdateAssumeRolePolicy",
            "PutRolePolicy",
            "DeleteRolePolicy",
            "AttachRolePolicy",
            "DetachRolePolicy",
            "PutRolePermissionsBoundary",
            "DeleteRolePermissionsBoundary",
            "TagRole",
            "UntagRole",
        )
    )

    trust: Document
    policies: Mapping[str, Document]
    boundary: str
    closed_trust: Document = field(compare=False)
    attached: frozenset[str] = frozenset()
    max_session_seconds: int = 3600
    buckets: frozenset[tuple[str, str, str | None]] = field(default=frozenset(), compare=False)

    @property
    def purpose(self) -> str:
        """What it is for, as its tag says."""
        return self.tags.get("podshare:purpose", "")

    def common(self, desired: Self) -> Self | None:
        shared = {
            name: policy
            for name in self.policies.keys() & desired.policies.keys()
            if (policy := policies.common(self.policies[name], desired.policies[name]))
        }
        # two sets of prefixes may have more in common than either has: a cut that AWS refused would leave access alive
        return replace(
            self,
            trust=policies.common(self.trust, desired.trust) or self.closed_trust,
            policies=shared if policies.size(shared.values()) <= policies.INLINE_POLICIES else {},
            attached=self.attached & desired.attached,
            boundary=desired.boundary,
            max_session_seconds=min(self.max_session_seconds, desired.max_session_seconds),
        )

    def cut(self) -> Self | None:
        return replace(self, trust=self.closed_trust, policies={}, attached=frozenset())

    @classmethod
    def deletion(cls, key: Key) -> str:
        return f"aws iam delete-role --role-name {key.name}"

    @classmethod
    def marking(cls, installation: Installation, key: Key, marks: Mapping[str, str]) -> str:
        return f"aws iam tag-role --role-name {key.name} --tags {listed(marks)}"

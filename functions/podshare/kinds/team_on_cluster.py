"""A team on one of its clusters: what the kinds' shapes are computed from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from podshare.installation import MANAGED_BY_TAG, TEAM_TAG, Installation
from podshare.kinds import names
from podshare.kinds.base import Key, Kind
from podshare.kinds.facts import ClusterFacts
from podshare.registry.membership import Member
from podshare.registry.records import Dataset, DatasetGrant, Quota, ServiceAccount, Team, share_a_role

ALL_MEMBERS = "all members"  # share a cluster access role where a team has one
CLUSTER_TAG = "podshare:cluster"
DATASET_TAG = "podshare:dataset"


@dataclass(frozen=True)
class TeamOnCluster:
    """A team on one of its clusters, with everything that its resources there are computed from.

    Each of them asks for the ARN and the tags, so both are computed once.
    """

    team: Team
    quota: Quota
    members: tuple[Member, ...]
    cluster: ClusterFacts
    datasets: Mapping[str, Dataset]
    installation: Installation
    selected_by: str = ""  # what the enrollment that makes the team selects accounts by, in words

    @cached_property
    def eks_arn(self) -> str:
        """The ARN of the EKS cluster."""
        return self.cluster.eks_arn(self.installation)

    def tags(self, **more: str) -> dict[str, str]:
        """The organization's own; ownership and cost allocation: whose, by whom, for which part of the record."""
        return {
            **self._tags_of_all,
            **{f"podshare:{name.replace('_', '-')}": tag_value(value) for name, value in more.items()},
        }

    @cached_property
    def _tags_of_all(self) -> dict[str, str]:
        return {
            **self.installation.resource_tags,
            TEAM_TAG: self.team.name,
            MANAGED_BY_TAG: self.installation.manager,
            "podshare:owner": self.team.owner,
            CLUSTER_TAG: self.cluster.name,
        }

    @property
    def labels(self) -> dict[str, str]:
        """Ownership of objects in the cluster."""
        return names.labels(self.installation, self.team.name)

    def role_key(self, account: str, name: str) -> Key:
        """The key of a role in any account."""
        return Key(Kind.ROLE, account, "", "", name)

    def key(self, kind: Kind, name: str) -> Key:
        """The key of what the cluster has by this name."""
        return Key(kind, self.cluster.account, self.cluster.region, self.cluster.eks_cluster, name)

    def namespaced_key(self, kind: Kind, name: str) -> Key:
        """The key of an object in the team's namespace."""
        return self.key(kind, f"{self.team.namespace}/{name}")

    def role_arn(self, role: Key) -> str:
        """The ARN of a role of podshare's."""
        return self.installation.role_arn(role.account, role.name)

    def grants(self, account: ServiceAccount) -> dict[str, list[DatasetGrant]]:
        """The account's grants that count, by their dataset.

        An association has one target role: of datasets that cannot share one, those with access points count.
        """
        by_dataset: dict[str, list[DatasetGrant]] = {}
        for grant in account.datasets:
            dataset = self.datasets.get(grant.dataset)
            if dataset and dataset.holds(grant.prefix):
                by_dataset.setdefault(grant.dataset, []).append(grant)
        if share_a_role(self.datasets[name] for name in by_dataset):
            return by_dataset
        return {name: grants for name, grants in by_dataset.items() if self.datasets[name].data_role != "target"}


def tag_value(text: str) -> str:
    """``text`` as a tag can hold it: a role's name may have commas, and with its path be longer (IAM API, Tag)."""
    return text.replace(",", "_")[:256]


def role_holder(team: Team, member: Member) -> str:
    """Whose cluster access role a member assumes, as its name and its tag say."""
    return ALL_MEMBERS if team.access_role == "per_team" else member.identity

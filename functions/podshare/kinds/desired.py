"""What should be there for a team: a pure function of its records.

Revoking is no second path: what a record no longer asks for is not in the result.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from podshare.installation import Installation
from podshare.kinds.access_entry.shape import access_entry
from podshare.kinds.access_point.shape import access_point
from podshare.kinds.base import Key, Manifest, Resource
from podshare.kinds.bucket_delegation.shape import bucket_delegation
from podshare.kinds.facts import ClusterFacts
from podshare.kinds.file_systems import links
from podshare.kinds.kms_grant.shape import kms_grants
from podshare.kinds.kubernetes_role.shape import kubernetes_role, rules_of_groups
from podshare.kinds.kubernetes_role_binding.shape import kubernetes_role_binding
from podshare.kinds.namespace.shape import Namespace
from podshare.kinds.pod_identity_association.shape import association
from podshare.kinds.role.shape import Role, cluster_access_role, data_access_role, scientist_role, target_role
from podshare.kinds.role_attachment.shape import role_attachment
from podshare.kinds.service_account.shape import service_account
from podshare.kinds.shapes import DESIRED, is_by_hand
from podshare.kinds.ssm_parameter.shape import SsmParameter, fitting, joined, team_parameter
from podshare.kinds.team_on_cluster import ALL_MEMBERS, CLUSTER_TAG, TeamOnCluster, tag_value
from podshare.policy import policies
from podshare.registry.accounts import Account, is_gone, is_unreachable
from podshare.registry.membership import Member, members
from podshare.registry.records import (
    Dataset,
    Team,
    without_access,
)


def desired(
    team: Team,
    clusters: Iterable[ClusterFacts],
    datasets: Mapping[str, Dataset],
    accounts: Mapping[str, Account],
    installation: Installation,
    *,
    suspended: Collection[str] = (),
    selected_by: str = "",
) -> dict[Key, Resource]:
    """Everything that should be there for ``team`` on those of its clusters that are known.

    ``datasets`` holds the datasets that exist; a grant for one that it lacks is a revoked grant, and so is one for
    data of an account that takes no part any more. ``accounts`` is what is known of the organization's accounts.
    On the clusters in ``suspended`` the team has its quota, and nobody has access; on those in accounts that have gone
    it has nothing. Objects of a cluster whose API podshare
    does not use are ``by_hand``. ``selected_by`` is what the enrollment that makes the team selects accounts by.
    """
    granted = {name: datasets[name] for name in team.datasets if name in datasets}
    present = {name: dataset for name, dataset in granted.items() if not is_gone(accounts, dataset.account)}
    nobody = without_access(team)
    resources: dict[Key, Resource] = {}
    for cluster in sorted(clusters, key=lambda facts: facts.name):
        quota = team.quotas.get(cluster.name)
        if quota and not is_unreachable(accounts, cluster.account):
            here = nobody if cluster.name in suspended else team
            people = members(here.members, accounts)
            on = TeamOnCluster(here, quota, people, cluster, present, installation, selected_by)
            for resource in _on_one_cluster(on):
                if not is_by_hand(cluster, resource.key):
                    resources[resource.key] = _shared(resources.get(resource.key), resource)
    return {
        key: fitting(resource) if isinstance(resource, SsmParameter) else resource
        for key, resource in resources.items()
    }


def by_hand(
    team: Team, cluster: ClusterFacts, datasets: Mapping[str, Dataset], installation: Installation
) -> list[Resource]:
    """The objects of the team that a person applies, because podshare does not use the cluster's API."""
    quota = team.quotas.get(cluster.name)
    wanted = _on_one_cluster(TeamOnCluster(team, quota, (), cluster, datasets, installation)) if quota else ()
    return [resource for resource in wanted if is_by_hand(cluster, resource.key)]


def manifests(installation: Installation, resources: Iterable[Resource]) -> list[Manifest]:
    """All objects that ``resources`` are, namespaces first."""
    objects: list[Manifest] = []
    for resource in sorted(
        resources, key=lambda desired_resource: (not isinstance(desired_resource, Namespace), desired_resource.key)
    ):
        objects.append(resource.manifest())
        if isinstance(resource, Namespace) and resource.network_policy:
            objects.append(resource.network_policy_in(installation))
    return objects


def _on_one_cluster(on: TeamOnCluster) -> Iterator[Resource]:
    own = (
        *(resource for of_kind in DESIRED.values() for resource in of_kind(on)),
        *_members(on),
        *_service_accounts(on),
        *_kubernetes_roles(on),
        *_datasets(on),
        *links(on),
    )
    for resource in own:
        yield replace(resource, cluster=on.cluster.name)


def _shared(other: Resource | None, resource: Resource) -> Resource:
    """What several clusters of a team ask for: a data scientist role assumes the cluster access roles of them all."""
    if other is None:
        return resource
    if isinstance(other, Role) and isinstance(resource, Role):
        statements = {name: policies.statements(other.policies[name]) for name in resource.policies}
        for name, policy in resource.policies.items():
            statements[name] += [allowed for allowed in policies.statements(policy) if allowed not in statements[name]]
        clusters = tag_value(f"{other.tags[CLUSTER_TAG]} {resource.tags[CLUSTER_TAG]}")
        return replace(
            other,
            policies={name: policies.document(*allowed) for name, allowed in statements.items()},
            tags={**other.tags, CLUSTER_TAG: clusters},
            cluster="",
        )
    if isinstance(other, SsmParameter) and isinstance(resource, SsmParameter):
        cluster = other.cluster if other.cluster == resource.cluster else ""
        return replace(joined(other, resource), cluster=cluster)
    return replace(other, cluster="")


# ---- members -----------------------------------------------------------------------------------------------


def _members(on: TeamOnCluster) -> Iterator[Resource]:
    if not on.team.access_kinds:
        return
    for who, group in _sharing_a_role(on):
        access_role = cluster_access_role(on, who, group)
        yield access_role
        yield access_entry(on, who, access_role)
        for member in group:
            if member.existing_role:
                yield role_attachment(on, member, member.existing_role)
            elif not member.permission_set:
                yield scientist_role(on, member, access_role)
            yield team_parameter(on, member, access_role.key)


def _sharing_a_role(on: TeamOnCluster) -> Iterator[tuple[str, tuple[Member, ...]]]:
    """Who has a cluster access role together: each member has one, or all of them the same."""
    if on.team.access_role == "per_member":
        yield from ((member.identity, (member,)) for member in on.members)
    elif on.members:
        yield ALL_MEMBERS, on.members


# ---- service accounts and data -----------------------------------------------------------------------------


def _service_accounts(on: TeamOnCluster) -> Iterator[Resource]:
    for account in on.team.service_accounts:
        target = target_role(on, account)
        role = data_access_role(on, account, target)
        yield role
        yield service_account(on, account)
        yield association(on, account, role, target)
        if target:
            yield target
        else:
            yield from kms_grants(on, account, role)


def _datasets(on: TeamOnCluster) -> Iterator[Resource]:
    for name in sorted(on.team.datasets):
        users = {
            account.name: grants for account in on.team.service_accounts if (grants := on.grants(account).get(name))
        }
        if users and on.datasets[name].data_role != "target":
            yield access_point(on, on.datasets[name], users)
            yield bucket_delegation(on, on.datasets[name], users)


def _kubernetes_roles(on: TeamOnCluster) -> Iterator[Resource]:
    for group, rules in rules_of_groups(on).items():
        role = kubernetes_role(on, group, rules)
        yield from (role, kubernetes_role_binding(on, group, role))

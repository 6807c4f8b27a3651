"""The roles by which a team's members get into its clusters."""

from collections.abc import Mapping
from typing import Any

from podshare.installation import Installation
from podshare.kinds import names
from podshare.kinds.base import Key, Kind
from podshare.kinds.role.shape import member_principals
from podshare.kinds.team_on_cluster import role_holder
from podshare.registry.accounts import Account
from podshare.registry.membership import Member, members
from podshare.registry.parsing import parse, parse_team
from podshare.registry.problems import InvalidRecord
from podshare.registry.records import Cluster, Team
from podshare_cli.aws.connection import Connection
from podshare_cli.aws.tables import Registry, State


def ways_in(connection: Connection, item: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """For each member of an acceptable record, the role to work as and the cluster access role to assume from it.

    Only those whose access entry was there when podshare last looked, on the clusters where they were last found: what
    a cluster's record says meanwhile may be wrong. Whom selectors mean follows from the accounts as last read.
    """
    state = State(connection)
    try:
        team = parse_team(item or {"id": ""}, made_by_enrollment=True)
        clusters = [parse(state.accepted(f"cluster#{name}") or {"id": ""}) for name in team.quotas]
    except InvalidRecord:
        return []
    if not team.access_kinds:
        return []
    own = connection.installation
    accounts = {account.id: account for account in map(Account.of_row, state.accounts())}
    blocks = Registry(connection).blocks(member.account for member in members(team.members, accounts))
    seen = state.seen(team.name)
    ways = [
        (member, cluster, _cluster_access_role(own, team, cluster, member))
        for cluster in clusters
        if isinstance(cluster, Cluster)
        for member in members(team.members, accounts)
        if member.account not in blocks
    ]
    return [
        {
            "member": member.identity,
            "selector": member.selector,
            "cluster": cluster.name,
            "role": member_principals(own, team.name, member)[0],
            "cluster_access_role": role,
        }
        for member, cluster, role in ways
        if str(Key(Kind.ACCESS_ENTRY, cluster.account, cluster.region, cluster.eks_cluster, role)) in seen
    ]


def _cluster_access_role(own: Installation, team: Team, cluster: Cluster, member: Member) -> str:
    eks_arn = own.eks_arn(cluster.account, cluster.region, cluster.eks_cluster)
    name = names.cluster_access_role(own, team.name, eks_arn, role_holder(team, member))
    return own.role_arn(cluster.account, name)

"""The member stack's fixed policy on somebody else's role."""

from dataclasses import dataclass

from podshare.kinds.base import ExecutionRole, Key, Kind, Resource, Stage
from podshare.kinds.team_on_cluster import TeamOnCluster
from podshare.registry.membership import Member


@dataclass(frozen=True, kw_only=True)
class RoleAttachment(Resource):
    """The member stack's fixed policy on a role that somebody else made; nothing else of it is touched."""

    execution_role = ExecutionRole.IDENTITY
    revoke_stage = remove_stage = Stage.TRUST
    gives = False  # it lets a role ask; the trust of each cluster access role decides

    policy_arn: str


def role_attachment(on: TeamOnCluster, member: Member, role: str) -> RoleAttachment:
    """What lets a role that a member brings assume roles of podshare's."""
    arn = on.installation.assume_policy_arn(member.account)
    return RoleAttachment(
        key=Key(Kind.ROLE_ATTACHMENT, member.account, "", role, arn.rpartition("/")[2]),
        why=member.why,
        policy_arn=arn,
    )

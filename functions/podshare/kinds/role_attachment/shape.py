"""The member stack's fixed policy on somebody else's role."""

from dataclasses import dataclass

from podshare.kinds.base import Resource, Stage, Work


@dataclass(frozen=True, kw_only=True)
class RoleAttachment(Resource):
    """The member stack's fixed policy on a role that somebody else made; nothing else of it is touched."""

    work = Work.IDENTITY
    cut_stage = remove_stage = Stage.TRUST
    gives = False  # it lets a role ask; the trust of each cluster access role decides

    policy_arn: str

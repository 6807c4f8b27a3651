"""Grants of KMS keys to data roles."""

from dataclasses import dataclass

from podshare.kinds.base import Resource, Stage, Work


@dataclass(frozen=True, kw_only=True)
class KmsGrant(Resource):
    """A KMS grant that lets a data role perform one operation with a key; it cannot be changed once made.

    One grant for each operation, so that a change of access adds one or takes one away and never has to do both.
    ``constrained`` tells of a condition that podshare does not make.
    """

    work = Work.DATA
    cut_stage = remove_stage = Stage.DATA_ACCESS
    gives = False  # whoever has it still needs the objects, which access points give
    told_by = frozenset({"kms:CreateGrant", "kms:RevokeGrant", "kms:RetireGrant"})

    grantees: frozenset[str]
    operations: frozenset[str]
    constrained: bool = False

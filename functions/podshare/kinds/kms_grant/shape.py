"""Grants of KMS keys to data roles."""

from collections.abc import Iterator
from dataclasses import dataclass

from podshare.kinds import names
from podshare.kinds.base import ExecutionRole, Key, Kind, Resource, Stage, calls_of
from podshare.kinds.data_access import key_operations, keys_of
from podshare.kinds.role.shape import Role
from podshare.kinds.team_on_cluster import TeamOnCluster
from podshare.registry.records import ServiceAccount as ServiceAccountRecord


@dataclass(frozen=True, kw_only=True)
class KmsGrant(Resource):
    """A KMS grant that lets a data role perform one operation with a key; it cannot be changed once made.

    One grant for each operation, so that a change of access adds or revokes one and never has to do both.
    ``constrained`` reports a condition that podshare does not make.
    """

    execution_role = ExecutionRole.DATA
    revoke_stage = remove_stage = Stage.DATA_ACCESS
    gives = False  # whoever has it still needs the objects, which access points give
    reported_by = calls_of("kms", "CreateGrant RevokeGrant RetireGrant")

    grantees: frozenset[str]
    operations: frozenset[str]
    constrained: bool = False


def kms_grants(on: TeamOnCluster, account: ServiceAccountRecord, role: Role) -> Iterator[KmsGrant]:
    """For each key that the account's data are encrypted by: what reading, and where granted writing, needs of it."""
    needed = {
        (key, operation)
        for name, grants in on.grants(account).items()
        for key in keys_of(on.datasets[name])
        for operation in key_operations(grants)
    }
    for key, operation in sorted(needed):
        _, _, _, region, owner, resource = key.split(":")
        name = names.kms_grant(on.installation, on.team.name, role.key.name, operation)
        yield KmsGrant(
            key=Key(Kind.KMS_GRANT, owner, region, resource.removeprefix("key/"), name),
            why=f"service account {account.name}",
            needs=frozenset({role.key}),
            grantees=frozenset({on.installation.role_arn(on.cluster.account, role.key.name)}),
            operations=frozenset({operation}),
        )

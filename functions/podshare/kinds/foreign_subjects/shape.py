"""Subjects of other teams in the bindings of a team's namespace."""

from dataclasses import dataclass

from podshare.kinds.base import ExecutionRole, Resource, Stage


@dataclass(frozen=True, kw_only=True)
class ForeignSubjects(Resource):
    """Whom of other teams the RoleBindings in a team's namespace name, whoever made them; never desired.

    ``bound`` are a binding's name, its role and the subject, the latter two a kind and a name. Deleting it takes these
    subjects out of the bindings, which stay with all others.
    """

    execution_role = ExecutionRole.KUBERNETES
    revoke_stage = remove_stage = Stage.CLUSTER_ACCESS
    unwanted = "no record lets other teams in"
    gives = True

    bound: frozenset[tuple[str, str, str]]

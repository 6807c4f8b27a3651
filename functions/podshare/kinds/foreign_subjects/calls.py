"""Members and pods of other teams whom RoleBindings in a team's namespace name, whoever made the bindings.

Nobody's record gives that, and a member who is removed would return by it through another team. podshare takes these
subjects out, and leaves the binding with all others to whom it belongs; the admission policies in
accounts/cluster-rbac.yaml let it do no more. See decision record 0047.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.context import Context
from podshare.kinds.foreign_subjects.shape import ForeignSubjects
from podshare.kinds.subjects import subject_of, team_of

READS = frozenset({"eks:DescribeCluster"})
WRITES = frozenset({"eks:DescribeCluster"})


def key_in(namespace: Key) -> Key:
    """The key of those in the bindings of a team's namespace."""
    return replace(namespace, kind=Kind.FOREIGN_SUBJECTS)


def read(context: Context, key: Key, wanted: Resource | None) -> ForeignSubjects | None:
    """Each of them, with the binding and its role; None if no binding names any."""
    bindings = bindings_in(context, key, key.name)
    bound = frozenset(
        (binding["metadata"]["name"], _role(binding), subject_of(subject))
        for binding in bindings
        for subject in _foreign(context, binding)
    )
    return ForeignSubjects(key=key, bound=bound) if bound else None


def bindings_in(context: Context, key: Key, namespace: str) -> list[dict[str, Any]]:
    """The RoleBindings in a namespace of a cluster.

    Whoever reads for one team lists those of all namespaces, once, because doors are in several. Where answers serve
    many teams, those of each namespace are an answer already.
    """
    api, answers = context.kubernetes(key), context.accounts.answers
    if answers is None or answers.as_of:
        return api.objects("RoleBinding", namespace)
    return [binding for binding in api.everywhere("RoleBinding") if binding["metadata"]["namespace"] == namespace]


def create(context: Context, wanted: Resource) -> None:
    """Nothing of the kind is ever desired."""


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Nothing of the kind is ever desired."""


def delete(context: Context, observed: Resource) -> None:
    """Take them out of the bindings; whoever else is bound stays so."""
    api, namespace = context.kubernetes(observed.key), observed.key.name
    for binding in api.objects("RoleBinding", namespace):
        if foreign := [*_foreign(context, binding)]:
            kept = [subject for subject in binding["subjects"] if subject not in foreign]
            api.restrict_binding(namespace, binding["metadata"], kept)


def _foreign(context: Context, binding: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The subjects of a binding that are another team's."""
    for subject in binding.get("subjects") or ():
        if team_of(subject_of(subject), context.installation.prefix) not in ("", context.team):
            yield subject


def _role(binding: Mapping[str, Any]) -> str:
    return f"{binding['roleRef']['kind']} {binding['roleRef']['name']}"

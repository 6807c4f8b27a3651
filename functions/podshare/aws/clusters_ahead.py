"""Read what a cluster has of all teams at once, where answers serve many of them.

What is listed is kept as the answers to the calls for one team, or one object: whoever reads asks as ever. That an
object is absent, or a namespace has no associations, only its own call says; that it has no bindings is an answer. See
decision 0075.
"""

import contextlib
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from podshare.aws.answers import PAGES_OF, Answers, question_of
from podshare.aws.sessions import Accounts

READS = frozenset({"eks:ListPodIdentityAssociations"})
_OBJECTS = ("NetworkPolicy", "ServiceAccount")  # of which each is read by its name


def read_associations_ahead(accounts: Accounts, account: str, region: str, cluster: str) -> None:
    """List a cluster's associations, once, so that those of each namespace need not be. What fails is left out."""
    if accounts.answers is None or not accounts.answers.as_of:
        return
    with contextlib.suppress(Exception):  # whoever reads asks for it, and reports what it meets
        question = ("eks", account, region, cluster, "all associations")
        accounts.answers.once(question, lambda: _read_associations(accounts, account, region, cluster))


def _read_associations(accounts: Accounts, account: str, region: str, cluster: str) -> None:
    client, associations = accounts.as_of_now().client("eks", account, region), defaultdict[str, list[Any]](list)
    for page in client.get_paginator("list_pod_identity_associations").paginate(clusterName=cluster):
        for association in page["associations"]:
            associations[association["namespace"]].append(association)
    for namespace, those in associations.items():
        call, asked = PAGES_OF + "list_pod_identity_associations", {"clusterName": cluster, "namespace": namespace}
        accounts.keep_answer("eks", account, region, call, [{"associations": those}], **asked)


def read_objects_ahead(answers: Answers, kubernetes: Any, place: tuple[str, ...]) -> None:
    """List a cluster's namespaces, and in all of them what teams have there, once. What fails is left out.

    ``kubernetes`` asks each time; ``place`` is how questions to it begin.
    """
    with contextlib.suppress(Exception):  # as above
        answers.once((*place, "all objects"), lambda: _read_objects(answers, kubernetes, place))


def _read_objects(answers: Answers, kubernetes: Any, place: tuple[str, ...]) -> None:
    namespaces = {_name(manifest): manifest for manifest in kubernetes.namespaces()}
    bindings = defaultdict[str, list[Mapping[str, Any]]](list)
    for binding in kubernetes.everywhere("RoleBinding"):
        bindings[_namespace(binding)].append(binding)
    for name, manifest in namespaces.items():
        answers.keep(question_of(place, "namespace", (name,), {}), manifest)
        answers.keep(question_of(place, "objects", ("RoleBinding", name), {}), bindings[name])
    for kind in _OBJECTS:
        for manifest in kubernetes.everywhere(kind):
            answers.keep(question_of(place, "get", (kind, _namespace(manifest), _name(manifest)), {}), manifest)


def _name(manifest: Mapping[str, Any]) -> str:
    return str(manifest["metadata"]["name"])


def _namespace(manifest: Mapping[str, Any]) -> str:
    return str(manifest["metadata"]["namespace"])

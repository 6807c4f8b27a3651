"""Nobody grants by RBAC what RBAC does not grant them.

Kubernetes documentation, "Using RBAC Authorization", privilege escalation prevention and bootstrapping, and the
``policybased`` storage of ``pkg/registry/rbac``. Access policies of EKS let one ``escalate`` and ``bind``, and are no
rules that are held.
"""

from collections.abc import Iterator
from typing import Any

from podshare_sandbox.services.access_policies import Rule
from podshare_sandbox.services.kubernetes import errors
from podshare_sandbox.services.kubernetes.api import KubernetesApi
from podshare_sandbox.services.kubernetes.authentication import KubernetesUser
from podshare_sandbox.services.kubernetes.authorizer import (
    Attributes,
    authorize,
    covers,
    rule_object,
    rules_for,
    rules_in,
)
from podshare_sandbox.services.kubernetes.resources import BY_KIND, Resource

Object = dict[str, Any]

_BOOKKEEPING = ("finalizers", "managedFields", "ownerReferences", "resourceVersion")
_MASTERS = "system:masters"
_EVERYTHING = [Rule(("*",), ("*",), ("*",)), Rule(non_resource_urls=("*",), verbs=("*",))]


def check(
    api: KubernetesApi,
    user: KubernetesUser,
    resource: Resource,
    candidate: Object,
    *,
    before: Object | None,
    url_name: str,
) -> None:
    """Raise 403 where a role or a binding would give more than its writer holds, 404 for a role that does not exist.

    ``url_name`` is the name in the URL, empty when an object is posted to its collection: rights to ``escalate`` that
    are bound to names do not count then.
    """
    if _MASTERS in user.groups or (before and _without_bookkeeping(before) == _without_bookkeeping(candidate)):
        return
    namespace, name = candidate["metadata"].get("namespace", ""), candidate["metadata"]["name"]
    if resource.kind in ("Role", "ClusterRole"):
        asked = Attributes("escalate", resource.group, resource.plural, namespace=namespace, name=url_name)
        if authorize(api, user, asked).allowed:
            return
        aggregates = candidate.get("aggregationRule") or (before or {}).get("aggregationRule")
        if aggregates and _missing(rules_for(api, user, ""), _EVERYTHING):
            raise errors.forbidden(resource, name, "must have cluster-admin privileges to use the aggregationRule")
        wanted = rules_in(candidate)
    else:
        role = candidate["roleRef"]
        kind = BY_KIND[role["kind"]]
        asked = Attributes("bind", kind.group, kind.plural, namespace=namespace, name=role["name"])
        if authorize(api, user, asked).allowed:
            return
        wanted = rules_in(api.read(kind, namespace if kind.namespaced else "", role["name"]))
    if missing := _missing(rules_for(api, user, namespace), wanted):
        groups = " ".join(f'"{group}"' for group in user.groups)
        listed = "\n".join(str(rule_object(rule)) for rule in missing)
        who = f'user "{user.username}" (groups=[{groups}])'
        why = f"{who} is attempting to grant RBAC permissions not currently held:\n{listed}"
        raise errors.forbidden(resource, name, why)


def _without_bookkeeping(each: Object) -> Object:
    """An object without what only the garbage collector and the field managers look at."""
    metadata = {name: value for name, value in each["metadata"].items() if name not in _BOOKKEEPING}
    return {**each, "metadata": metadata}


def _missing(held: list[Rule], wanted: list[Rule]) -> list[Rule]:
    return [rule for rule in wanted if not all(any(covers(own, one) for own in held) for one in _single(rule))]


def _single(rule: Rule) -> Iterator[Attributes]:
    """A rule taken apart into single permissions; ``*`` stands for itself."""
    for verb in rule.verbs:
        for url in rule.non_resource_urls:
            yield Attributes(verb, path=url)
        for group in rule.api_groups:
            for resource in rule.resources:
                plural, _, subresource = resource.partition("/")
                for name in rule.resource_names or ("",):
                    yield Attributes(verb, group, plural, subresource, name=name)

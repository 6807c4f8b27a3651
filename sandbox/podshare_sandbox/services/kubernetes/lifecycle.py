"""How objects go: deletion, finalizers, namespaces that end, owners and those who depend on them.

Sources: Kubernetes documentation, "Finalizers", "Garbage Collection", "Owners and Dependents", "Namespaces" and
"Storage Object in Use Protection". The controllers act at once, where a cluster's take seconds; what they delete is
not shown to admission policies.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

from podshare_sandbox import clock
from podshare_sandbox.services.kubernetes import volumes
from podshare_sandbox.services.kubernetes.resources import BY_KIND, NAMESPACE, Resource
from podshare_sandbox.services.kubernetes.store import Store

Object = dict[str, Any]
Propagation = Literal["Background", "Foreground", "Orphan"]

_ORPHAN, _FOREGROUND = "orphan", "foregroundDeletion"
_FINALIZER_OF: dict[Propagation, str] = {"Orphan": _ORPHAN, "Foreground": _FOREGROUND}
# what the namespace controller does at once, in conditions of the namespace
_DONE = (
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
)
_JOB = BY_KIND["Job"]


def delete(store: Store, resource: Resource, live: Object, propagation: Propagation | None = None) -> Object:
    """Mark an object as deleted, and let it go unless something holds it. The last state is returned.

    Without ``propagation``, batch/v1 Jobs leave their pods, for the sake of old clients; all else takes them along.
    """
    metadata = live["metadata"]
    if propagation is None and resource == _JOB and not {_ORPHAN, _FOREGROUND} & {*metadata.get("finalizers", ())}:
        propagation = "Orphan"
    if propagation is not None:
        _set_finalizers(metadata, [one for one in _finalizers(live) if one not in (_ORPHAN, _FOREGROUND)])
        if propagation in _FINALIZER_OF:
            _set_finalizers(metadata, [*_finalizers(live), _FINALIZER_OF[propagation]])
    if "deletionTimestamp" not in metadata:
        metadata["deletionTimestamp"] = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        if resource == NAMESPACE:
            live["status"] = {**(live.get("status") or {}), "phase": "Terminating"}
        else:
            metadata["deletionGracePeriodSeconds"] = 0
    keep(store, resource, live)
    return live


def keep(store: Store, resource: Resource, state: Object) -> None:
    """Store a new state of an object; a deleted one that no finalizer holds goes in its place."""
    if "deletionTimestamp" in state["metadata"] and not is_held(resource, state):
        store.drop(resource, state)
    else:
        store.put(resource, state)


def is_held(resource: Resource, live: Object) -> bool:
    """Whether an object that is deleted stays for now: for a finalizer, of its metadata or of its namespace's spec."""
    return bool(_finalizers(live) or (resource == NAMESPACE and (live.get("spec") or {}).get("finalizers")))


def is_terminating(namespace: Object) -> bool:
    """Whether a namespace has been deleted, so that nothing is created in it any more."""
    return "deletionTimestamp" in namespace["metadata"]


def settle(store: Store) -> None:
    """Do what the controllers of garbage, of namespaces and of storage do, until nothing is left to do."""
    while _protect_storage(store) or _end_namespaces(store) or _collect(store):
        pass
    volumes.bind(store)


# --- namespaces and storage ---------------------------------------------------------------------------------------


def _end_namespaces(store: Store) -> bool:
    """Delete what is in namespaces that end, and finish those that are empty."""
    changed = [_end_namespace(store, each) for resource, each in store.leaving() if resource == NAMESPACE]
    return any(changed)


def _end_namespace(store: Store, namespace: Object) -> bool:
    inside = list(store.inside(namespace["metadata"]["name"]))
    staying = [(resource, each) for resource, each in inside if "deletionTimestamp" not in each["metadata"]]
    for resource, each in staying:
        delete(store, resource, each, "Background")
    if staying:
        return True
    conditions = list(_conditions(inside))
    finalizers = ["kubernetes"] if inside else []
    if namespace["status"].get("conditions") == conditions and namespace["spec"].get("finalizers", []) == finalizers:
        return False
    namespace["status"]["conditions"] = conditions
    namespace["spec"] = {"finalizers": finalizers} if finalizers else {}
    keep(store, NAMESPACE, namespace)
    return True


def _conditions(inside: list[tuple[Resource, Object]]) -> Iterator[Object]:
    """What a namespace's status says while it ends, as the namespace controller words it."""
    resources = Counter(resource.qualified for resource, _ in inside)
    finalizers = Counter(one for _, each in inside for one in _finalizers(each))
    remaining = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(resources.items()))
    holding = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(finalizers.items()))
    for kind, reason, message in _DONE:
        yield {"type": kind, "status": "False", "reason": reason, "message": message}
    if remaining:
        message = f"Some resources are remaining: {remaining}"
        yield _left("NamespaceContentRemaining", "SomeResourcesRemain", message)
    if holding:
        message = f"Some content in the namespace has finalizers remaining: {holding}"
        yield _left("NamespaceFinalizersRemaining", "SomeFinalizersRemain", message)


def _left(kind: str, reason: str, message: str) -> Object:
    return {"type": kind, "status": "True", "reason": reason, "message": message}


def _protect_storage(store: Store) -> bool:
    """Hold volumes and claims for as long as they are in use."""
    unused = [
        (resource, each)
        for resource, each in store.leaving()
        if volumes.PROTECTION.get(resource) in _finalizers(each) and not volumes.is_in_use(resource, each, store)
    ]
    for resource, each in unused:
        _remove_finalizer(store, resource, each, volumes.PROTECTION[resource])
    return bool(unused)


# --- owners -------------------------------------------------------------------------------------------------------


def _collect(store: Store) -> bool:
    """One round of the garbage collector; whether it changed something."""
    held_by = [(resource, each) for resource, each in store.leaving() if {_ORPHAN, _FOREGROUND} & {*_finalizers(each)}]
    changed = [_finish_owner(store, resource, owner) for resource, owner in held_by]
    changed += [_judge(store, resource, each) for resource, each in store.owned()]
    return any(changed)


def _finish_owner(store: Store, resource: Resource, owner: Object) -> bool:
    """Let an owner go once its dependents are orphans, or those that block it are gone."""
    uid = owner["metadata"]["uid"]
    dependents = [(kind, each) for kind, each in store.owned() if any(ref["uid"] == uid for ref in _references(each))]
    if _ORPHAN in _finalizers(owner):
        for kind, each in dependents:
            _keep_references(store, kind, each, [ref for ref in _references(each) if ref["uid"] != uid])
        _remove_finalizer(store, resource, owner, _ORPHAN)
        return True
    blocking = (ref for _, each in dependents for ref in _references(each) if ref["uid"] == uid)
    if any(ref.get("blockOwnerDeletion") for ref in blocking):
        return False
    _remove_finalizer(store, resource, owner, _FOREGROUND)
    return True


def _judge(store: Store, resource: Resource, dependent: Object) -> bool:
    """Delete a dependent without an owner that stays; of several owners forget those that have gone."""
    references = _references(dependent)
    if "deletionTimestamp" in dependent["metadata"] or not references:
        return False
    staying = [ref for ref in references if _stays(store, resource, dependent, ref)]
    if len(staying) == len(references):
        return False
    if staying:
        _keep_references(store, resource, dependent, staying)
    else:
        delete(store, resource, dependent, _inherited(store, dependent))
    return True


def _inherited(store: Store, dependent: Object) -> Propagation:
    """How a dependent is deleted: as its own finalizers say, else in the order in which its owner waits for it."""
    if _ORPHAN in _finalizers(dependent):
        return "Orphan"
    waiting = {each["metadata"]["uid"] for _, each in store.leaving()}
    in_order = any(ref["uid"] in waiting for ref in _references(dependent))
    return "Foreground" if in_order or _FOREGROUND in _finalizers(dependent) else "Background"


def _stays(store: Store, resource: Resource, dependent: Object, reference: Object) -> bool:
    """Whether an owner exists and is not about to go with its dependents.

    A reference that cannot be followed (a kind that is not served, an owner in a namespace of something that has none)
    counts as one that can: the garbage collector then leaves the object alone.
    """
    kind = BY_KIND.get(reference["kind"])
    group = reference["apiVersion"].rpartition("/")[0]
    if kind is None or kind.group != group or (kind.namespaced and not resource.namespaced):
        return True
    namespace = dependent["metadata"]["namespace"] if kind.namespaced else ""
    owner = store.find(kind, namespace, reference["name"])
    if owner is None or owner["metadata"]["uid"] != reference["uid"]:
        return False
    return not ("deletionTimestamp" in owner["metadata"] and _FOREGROUND in _finalizers(owner))


def _references(each: Object) -> list[Object]:
    return each["metadata"].get("ownerReferences") or []


def _keep_references(store: Store, resource: Resource, each: Object, references: list[Object]) -> None:
    each["metadata"]["ownerReferences"] = references
    if not references:
        del each["metadata"]["ownerReferences"]
    store.put(resource, each)


# --- finalizers ---------------------------------------------------------------------------------------------------


def _finalizers(each: Object) -> list[str]:
    return each["metadata"].get("finalizers") or []


def _set_finalizers(metadata: Object, finalizers: list[str]) -> None:
    metadata["finalizers"] = finalizers
    if not finalizers:
        del metadata["finalizers"]


def _remove_finalizer(store: Store, resource: Resource, each: Object, finalizer: str) -> None:
    _set_finalizers(each["metadata"], [one for one in _finalizers(each) if one != finalizer])
    keep(store, resource, each)

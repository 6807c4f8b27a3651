"""Who owns which field of an object: server-side apply and its conflicts.

A field is the path of a leaf: mappings are walked, everything else (lists too) is one value. That is coarser than
the API server only for lists that it merges by key. Ownership is kept where Kubernetes keeps it, in
``metadata.managedFields``, in its FieldsV1 encoding. See the Kubernetes page "Server-Side Apply".
"""

from collections.abc import Iterator
from typing import Any

from podshare_sandbox import clock
from podshare_sandbox.json_copy import json_copy
from podshare_sandbox.services.kubernetes import errors

Path = tuple[str, ...]
Owners = dict[tuple[str, str], set[Path]]  # (manager, operation) -> fields
Object = dict[str, Any]

_SYSTEM_FIELDS = {
    ("apiVersion",),
    ("kind",),
    *(
        ("metadata", name)
        for name in (
            "name",
            "generateName",
            "namespace",
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "generation",
            "managedFields",
        )
    ),
}


def fields(value: Object, path: Path = ()) -> Iterator[Path]:
    """The paths of all leaves that somebody can own."""
    for key, member in value.items():
        here = (*path, key)
        if here in _SYSTEM_FIELDS:
            continue
        if isinstance(member, dict) and member:
            yield from fields(member, here)
        else:
            yield here


def owners_of(live: Object) -> Owners:
    """Who owns what, from ``metadata.managedFields``."""
    return {
        (entry["manager"], entry["operation"]): set(_decode(entry["fieldsV1"]))
        for entry in live["metadata"].get("managedFields", [])
    }


def record_update(before: Object | None, after: Object, manager: str) -> None:
    """Give the fields in which ``after`` differs from ``before`` to ``manager``, who created or updated it."""
    owners = owners_of(before) if before else {}
    changed = {path for path in fields(after) if before is None or _value(before, path) != _value(after, path)}
    for owned in owners.values():
        owned.difference_update(changed)
    if changed:
        owners.setdefault((manager, "Update"), set()).update(changed)
    _record(after, owners)


def applied(live: Object | None, manifest: Object, manager: str, *, force: bool) -> Object:
    """``live`` after ``manager`` has applied ``manifest``. Raises a conflict where another manager owns a field."""
    if live is None:
        created = json_copy(manifest)
        created.setdefault("metadata", {})
        _record(created, {(manager, "Apply"): set(fields(manifest))})
        return created
    owners = owners_of(live)
    wanted = set(fields(manifest))
    _resolve_conflicts(live, manifest, owners, (manager, "Apply"), force=force)
    result = json_copy(live)
    for path in owners.get((manager, "Apply"), set()) - wanted:
        if not any(path in owned for owner, owned in owners.items() if owner != (manager, "Apply")):
            _remove(result, path)
    for path in sorted(wanted):
        _set(result, path, json_copy(_value(manifest, path)))
    owners[manager, "Apply"] = wanted
    _record(result, owners)
    return result


def _resolve_conflicts(
    live: Object, manifest: Object, owners: Owners, applier: tuple[str, str], *, force: bool
) -> None:
    conflicts = [
        (owner, path)
        for path in sorted(fields(manifest))
        for owner, owned in owners.items()
        if owner != applier
        for taken in owned
        if _overlap(path, taken) and not _agree(_value(live, path), _value(manifest, path))
    ]
    if conflicts and not force:
        raise errors.apply_conflict(
            [
                (manager if operation == "Apply" else f'{manager}" using {live["apiVersion"]}', "." + ".".join(path))
                for (manager, operation), path in conflicts
            ]
        )
    for owner, path in conflicts:
        owners[owner] = {taken for taken in owners[owner] if not _overlap(path, taken)}


def _agree(live: Any, applied: Any) -> bool:
    """Whether applying a value changes nothing: a mapping that is applied empty merges into what is there."""
    return bool(live == applied) or (applied == {} and isinstance(live, dict))


def _overlap(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _record(target: Object, owners: Owners) -> None:
    """Write ``owners`` into the object; an entry whose fields are as before keeps its time."""
    now = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    before = {(entry["manager"], entry["operation"]): entry for entry in target["metadata"].get("managedFields", [])}
    target["metadata"]["managedFields"] = [
        earlier
        if (earlier := before.get((manager, operation))) and earlier["fieldsV1"] == _encode(owned)
        else {
            "manager": manager,
            "operation": operation,
            "apiVersion": target["apiVersion"],
            "time": now,
            "fieldsType": "FieldsV1",
            "fieldsV1": _encode(owned),
        }
        for (manager, operation), owned in owners.items()
        if owned
    ]


def _encode(paths: set[Path]) -> Object:
    tree: Object = {}
    for path in sorted(paths):
        branch = tree
        for key in path:
            branch = branch.setdefault(f"f:{key}", {})
    return tree


def _decode(tree: Object, path: Path = ()) -> Iterator[Path]:
    for key, branch in tree.items():
        here = (*path, key.removeprefix("f:"))
        if branch:
            yield from _decode(branch, here)
        else:
            yield here


def _value(target: Object, path: Path) -> Any:
    value: Any = target
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def _set(target: Object, path: Path, value: Any) -> None:
    for key in path[:-1]:
        if not isinstance(target.get(key), dict):
            target[key] = {}
        target = target[key]
    if not (value == {} and isinstance(target.get(path[-1]), dict)):
        target[path[-1]] = value


def _remove(target: Object, path: Path) -> None:
    """Remove a leaf, and the mappings that it leaves empty; not what others have put into a mapping."""
    if path[0] not in target:
        return
    if len(path) == 1 and isinstance(target[path[0]], dict) and target[path[0]]:
        return
    if len(path) > 1 and isinstance(target[path[0]], dict):
        _remove(target[path[0]], path[1:])
        if not target[path[0]]:
            del target[path[0]]
    elif len(path) == 1:
        del target[path[0]]

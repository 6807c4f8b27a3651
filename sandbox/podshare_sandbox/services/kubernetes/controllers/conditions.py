"""Conditions of an object's status: one a type, with the time of its last change (Kubernetes API conventions)."""

from typing import Any

from podshare_sandbox import clock

Object = dict[str, Any]


def now() -> str:
    """The time as objects have it."""
    return clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def set_condition(
    conditions: list[Object], kind: str, status: str, *, reason: str, message: str, also: tuple[str, ...] = ()
) -> None:
    """Make the condition of a type what is given; its time changes with its status only.

    ``also`` names further members with the time of the last update, as older kinds have them.
    """
    fields = {"type": kind, "status": status, "reason": reason, "message": message}
    found = find(conditions, kind)
    if found and all(found[name] == value for name, value in fields.items()):
        return
    times = dict.fromkeys(also, now())
    if found is None:
        conditions.append({**fields, "lastTransitionTime": now(), **times})
        return
    if found["status"] != status:
        times["lastTransitionTime"] = now()
    found.update(fields, **times)


def find(conditions: list[Object], kind: str) -> Object | None:
    """The condition of a type."""
    return next((each for each in conditions if each["type"] == kind), None)


def is_true(holder: Object, kind: str) -> bool:
    """Whether a condition in an object's status is ``True``."""
    found = find((holder.get("status") or {}).get("conditions") or [], kind)
    return found is not None and found["status"] == "True"

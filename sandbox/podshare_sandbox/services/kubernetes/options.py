"""The options of a request, from its query and, for deletions, its body (meta/v1 CreateOptions … DeleteOptions)."""

from collections.abc import Iterator, Mapping
from typing import Any

from podshare_sandbox.services.kubernetes import errors
from podshare_sandbox.services.kubernetes.field_problems import Problem, forbidden, invalid, too_long, unsupported
from podshare_sandbox.services.kubernetes.lifecycle import Propagation
from podshare_sandbox.services.kubernetes.resources import Resource

Object = dict[str, Any]
Query = Mapping[str, str]

MAX_MANAGER = 128  # bytes
_KINDS = {
    "get": "GetOptions",
    "list": "ListOptions",
    "watch": "ListOptions",
    "create": "CreateOptions",
    "update": "UpdateOptions",
    "patch": "PatchOptions",
    "delete": "DeleteOptions",
    "deletecollection": "DeleteOptions",
}
_INTEGERS = ("limit", "timeoutSeconds", "gracePeriodSeconds")
_BOOLEANS = {"0": False, "1": True, "f": False, "t": True, "false": False, "true": True}  # as Go reads them


def validate(verb: str, query: Query, *, is_apply: bool = False) -> None:
    """Raise 400 for a parameter that cannot be read, and 422 for one whose value is not allowed."""
    for name in _INTEGERS:
        integer(query, name)
    found = list(_written(query)) if verb in ("create", "update", "patch") else []
    if verb == "patch":
        found += _patched(query, is_apply=is_apply)
    if verb in ("list", "deletecollection"):
        found += _listed(query)
    if verb == "watch":
        found += _watched(query)
    if found:
        raise _refused(_KINDS[verb], found)


def _refused(kind: str, found: list[Problem]) -> errors.KubernetesError:
    return errors.invalid_fields(Resource("meta.k8s.io", "v1", kind.lower(), kind), "", found)


def integer(query: Query, name: str) -> int | None:
    """The value of a parameter that is a number, None without one. Raises 400 for what is no number."""
    text = query.get(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def limit(query: Query) -> int:
    """How many objects a page of a list may have; 0 is no limit."""
    return integer(query, "limit") or 0


def is_set(query: Query, name: str) -> bool:
    """Whether a flag is on; one without a value is. Raises 400 for what is no flag."""
    if name not in query:
        return False
    text = query[name].lower()
    if text and text not in _BOOLEANS:
        raise errors.bad_request(f'strconv.ParseBool: parsing "{query[name]}": invalid syntax')
    return _BOOLEANS.get(text, True)


def _dry_run(stages: list[str]) -> Iterator[Problem]:
    yield from (unsupported("dryRun", stage, ["All"]) for stage in stages if stage != "All")


def _written(query: Query) -> Iterator[Problem]:
    if "dryRun" in query:
        yield from _dry_run([query["dryRun"]])
    manager = query.get("fieldManager", "")
    if len(manager.encode()) > MAX_MANAGER:
        yield too_long("fieldManager", MAX_MANAGER)
    if not manager.isprintable():
        yield invalid("fieldManager", manager, "should only contain printable characters")
    validation = query.get("fieldValidation", "")
    if validation not in ("", "Ignore", "Warn", "Strict"):
        yield unsupported("fieldValidation", validation, ["", "Ignore", "Strict", "Warn"])


def _patched(query: Query, *, is_apply: bool) -> Iterator[Problem]:
    if is_apply and not query.get("fieldManager"):
        yield Problem("fieldManager", "FieldValueRequired", "Required value: is required for apply patch")
    if not is_apply and "force" in query:
        yield forbidden("force", "may not be specified for non-apply patch")


def _watched(query: Query) -> Iterator[Problem]:
    """``validateWatchOptions`` of apimachinery."""
    match, streams = query.get("resourceVersionMatch", ""), "sendInitialEvents" in query
    if streams and match != "NotOlderThan":
        yield forbidden(
            "resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        )
    if match and not streams:
        detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        yield forbidden("resourceVersionMatch", detail)
    if match not in ("", "NotOlderThan"):
        yield unsupported("resourceVersionMatch", match, ["NotOlderThan"])


def _listed(query: Query) -> Iterator[Problem]:
    if "sendInitialEvents" in query:
        yield forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")
    match = query.get("resourceVersionMatch", "")
    if not match:
        return
    if not query.get("resourceVersion"):
        yield forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")
    elif match not in ("Exact", "NotOlderThan"):
        yield unsupported("resourceVersionMatch", match, ["Exact", "NotOlderThan", ""])
    elif match == "Exact" and query["resourceVersion"] == "0":
        detail = 'resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
        yield forbidden("resourceVersionMatch", detail)


# --- deletions ----------------------------------------------------------------------------------------------------


def deletion(query: Query, body: Object) -> Object:
    """The DeleteOptions of a request: its body, or its query if it has none. Raises 400 and 422 as :func:`validate`."""
    if body and body.get("kind", "DeleteOptions") != "DeleteOptions":
        raise errors.bad_request(f"no kind {body['kind']!r} is registered for deletions: DeleteOptions is")
    options = dict(body)
    if not body:
        if "propagationPolicy" in query:
            options["propagationPolicy"] = query["propagationPolicy"]
        if "orphanDependents" in query:
            options["orphanDependents"] = is_set(query, "orphanDependents")
        if "dryRun" in query:
            options["dryRun"] = [query["dryRun"]]
    if found := list(_deletion_problems(options)):
        raise _refused("DeleteOptions", found)
    return options


def _deletion_problems(options: Object) -> Iterator[Problem]:
    policy, orphans = options.get("propagationPolicy"), options.get("orphanDependents")
    if policy is not None and orphans is not None:
        detail = "orphanDependents and deletionPropagation cannot be both set"
        yield invalid("propagationPolicy", policy, detail)
    elif policy not in (None, "Foreground", "Background", "Orphan"):
        yield unsupported("propagationPolicy", policy, ["Foreground", "Background", "Orphan", "nil"])
    yield from _dry_run(options.get("dryRun") or [])


def propagation(options: Object) -> Propagation | None:
    """What happens to the dependents, None if the options leave it to the kind."""
    orphans = options.get("orphanDependents")
    policy: Propagation | None = options.get("propagationPolicy")
    return policy if orphans is None else "Orphan" if orphans else "Background"

"""JSON filter patterns of CloudWatch Logs, which moto takes for patterns that match everything, and stream prefixes.

Source: CloudWatch Logs User Guide, "Using filter patterns to match terms in JSON log events", and API Reference,
FilterLogEvents. Emulated are strings and numbers that are equal to a field, strings with ``*`` for anything, joined by
``&&``; all else is refused.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from moto.logs.exceptions import InvalidParameterException
from moto.logs.responses import LogsResponse
from moto.logs.utils import EventMessageFilter

from podshare_sandbox.moto_repair import repair

_GROUP = ("logGroupName", "logGroupIdentifier")
_TERM = re.compile(r'\$\.([A-Za-z0-9_.]+) *= *(?:"([^"]*)"|([0-9]+))')


@cache
def install() -> None:
    """Go by such patterns. Raises RuntimeError where moto has lost a symbol."""
    repair(EventMessageFilter, "matches", _by_json_too)
    repair(LogsResponse, "filter_log_events", _by_group_and_prefix)


def _by_json_too(original: Any) -> Any:
    def matches(event_filter: EventMessageFilter, message: str) -> bool:
        pattern = str(event_filter.filter_type.term).strip()
        return _matches(pattern, message) if pattern.startswith("{") else bool(original(event_filter, message))

    return matches


def _by_group_and_prefix(original: Any) -> Any:
    def filter_log_events(response: LogsResponse) -> str:
        asked = json.loads(response.body)
        named = [asked.pop(parameter) for parameter in _GROUP if asked.get(parameter)]
        if len(named) != 1 or (asked.get("logStreamNames") and "logStreamNamePrefix" in asked):
            message = (
                f"Specify either {' or '.join(_GROUP)}, and at most one of logStreamNames and logStreamNamePrefix."
            )
            raise InvalidParameterException(message)
        name = named[0].rpartition(":log-group:")[2]
        group, prefix = response.logs_backend.groups.get(name), asked.pop("logStreamNamePrefix", None)
        if group and prefix:
            asked["logStreamNames"] = [stream for stream in group.streams if stream.startswith(prefix)]
            if not asked["logStreamNames"]:  # moto takes no names for all
                return json.dumps({"events": [], "searchedLogStreams": []})
        response.body = json.dumps({**asked, "logGroupName": name})
        return str(original(response))

    return filter_log_events


def _matches(pattern: str, message: str) -> bool:
    terms = [_TERM.fullmatch(term.strip()) for term in pattern[1:-1].split("&&")]
    if not pattern.endswith("}") or not all(terms):
        raise InvalidParameterException(f"Invalid filter pattern, or one that the sandbox does not know: {pattern}")
    try:
        event = json.loads(message)
    except ValueError:
        return False
    return all(_holds(event, *term.groups()) for term in terms if term)


def _holds(event: Any, path: str, text: str | None, number: str | None) -> bool:
    """Whether a field is there and has a value, of which each ``*`` stands for anything."""
    for name in path.split("."):
        if not isinstance(event, Mapping) or name not in event:
            return False
        event = event[name]
    if number is not None:
        return isinstance(event, int) and event == int(number)
    anything = ".*".join(map(re.escape, (text or "").split("*")))
    return isinstance(event, str) and re.fullmatch(anything, event, re.DOTALL) is not None

"""Events that podshare puts on the hub's default bus, for rules of the operator's own."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from podshare.aws.errors import Retryable
from podshare.aws.sessions import hub_client

_MOST_ENTRIES = 10  # EventBridge API reference, PutEvents


def announce(team: str, detail_type: str, details: Iterable[Mapping[str, Any]]) -> None:
    """Say it on the hub's default event bus; twice rather than never. Raises Retryable if an event is not taken."""
    entries: list[Any] = [
        {"Source": "podshare", "DetailType": detail_type, "Detail": json.dumps({"team": team, **detail})}
        for detail in details
    ]
    for first in range(0, len(entries), _MOST_ENTRIES):
        answer = hub_client("events").put_events(Entries=entries[first : first + _MOST_ENTRIES])
        if answer["FailedEntryCount"]:
            raise Retryable(f"team {team}: an event was not taken: {answer['Entries']}")

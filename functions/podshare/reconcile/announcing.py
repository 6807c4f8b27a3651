"""Events that podshare puts on the hub's default bus, for rules of the operator's own."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

from podshare.aws.errors import Retryable
from podshare.aws.sessions import hub_client, impatient_hub_client
from podshare.reconcile.notices import Notice, detail_of

_MOST_ENTRIES = 10  # EventBridge API reference, PutEvents
MOST_UNTOLD = 50  # events that a team's status keeps for the next run; a row has at most 400 KB (DynamoDB quotas)


class Entry(TypedDict):
    """An event's ``detail-type``, and its ``detail`` as text."""

    type: str
    detail: str


def announce(notices: Iterable[Notice]) -> None:
    """Say it on the hub's default event bus; twice rather than never. Raises Retryable if an event is not taken."""
    for batch in _batches([entry_of(notice) for notice in notices]):
        answer = hub_client("events").put_events(Entries=_events(batch))
        if answer["FailedEntryCount"]:
            raise Retryable(f"an event was not taken: {answer['Entries']}")


def entry_of(notice: Notice) -> Entry:
    """An event as it is put on the bus, or kept for later."""
    return {"type": notice.detail_type, "detail": json.dumps(detail_of(notice))}


def untold(entries: Iterable[Entry]) -> list[Entry]:
    """Say what the bus takes at once, and return what it does not: nothing waits for an event, or fails with it."""
    left: list[Entry] = []
    for batch in _batches([*entries]):
        left += batch if left else _not_taken(batch)  # once the bus has not taken one, it is not asked again
    return left[:MOST_UNTOLD]


def _not_taken(batch: Sequence[Entry]) -> list[Entry]:
    try:
        answer = impatient_hub_client("events").put_events(Entries=_events(batch))
    except Exception:  # whatever it is: the next run tells
        return [*batch]
    return [entry for entry, result in zip(batch, answer["Entries"], strict=True) if "EventId" not in result]


def _batches(entries: Sequence[Entry]) -> Iterable[Sequence[Entry]]:
    return (entries[first : first + _MOST_ENTRIES] for first in range(0, len(entries), _MOST_ENTRIES))


def _events(batch: Iterable[Entry]) -> list[Any]:
    return [{"Source": "podshare", "DetailType": entry["type"], "Detail": entry["detail"]} for entry in batch]

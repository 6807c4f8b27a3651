"""What a plan hands over to those who apply it: everything that is desired, read once for a run.

It counts for the hold of the lease under which it was planned, and for a minute, since some of it expires; whoever
finds nothing that counts reads the records instead. See docs/decisions/0060.
"""

import datetime
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from podshare.access.access_report import packed, unpacked
from podshare.aws.lease import Hold
from podshare.aws.tables import State
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.shapes import SHAPES

_FRESH = datetime.timedelta(minutes=1)
_PART = "desired"
_LONGEST = 300_000  # characters; an item of DynamoDB holds 400 KB

Planned = tuple[datetime.datetime, Mapping[Key, Resource]]  # what is desired, as of when


def hand_over(state: State, hold: Hold, desired: Mapping[Key, Resource], as_of: datetime.datetime) -> None:
    """Write down what is desired as of a moment, unless it is longer than an item may be."""
    document = written(desired)
    if len(document) <= _LONGEST:
        numbers = {"fence": hold.fence, "generation": hold.generation}
        state.later(state.putting(_id(hold.team), _PART, **numbers, as_of=as_of.isoformat(), document=document))


def handed_over(state: State, hold: Hold) -> Planned | None:
    """What is desired under this hold, if that was handed over and is fresh."""
    row = state.get(_id(hold.team), _PART)
    if not row or (row["fence"], row["generation"]) != (hold.fence, hold.generation):
        return None
    as_of = datetime.datetime.fromisoformat(row["as_of"])
    if not is_fresh(as_of):
        return None
    return as_of, read(row["document"])


def is_fresh(as_of: datetime.datetime) -> bool:
    """Whether what was desired as of a moment still counts."""
    return datetime.datetime.now(datetime.UTC) - as_of < _FRESH


def end_handing_over(state: State, team: str) -> None:
    """Forget what was handed over for a team that was deleted."""
    state.later(state.deleting(_id(team), _PART))


def written(desired: Mapping[Key, Resource]) -> str:
    """Resources as a row of the state can hold them."""
    return packed(
        [(key.kind, _shape(key.kind).dump_python(resource, mode="json")) for key, resource in desired.items()]
    )


def read(document: str) -> dict[Key, Resource]:
    """The reverse of ``written``."""
    resources = [_shape(Kind(kind)).validate_python(fields) for kind, fields in unpacked(document)]
    return {resource.key: resource for resource in resources}


@cache
def _shape(kind: Kind) -> TypeAdapter[Any]:
    return TypeAdapter(SHAPES[kind])


def _id(team: str) -> str:
    return f"plan#{team}"

"""What is called for each kind of resource: the functions in the kinds' own folders."""

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol, cast

from botocore.exceptions import ClientError

from podshare.aws.errors import is_absent
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.context import Context
from podshare.kinds.observation import Foreign


class KindModule(Protocol):
    """What a kind's module offers. All four are safe to repeat at any time.

    ``read`` says what is there, in the shape of desired; ``wanted`` only says which of the fields that AWS fills
    in by itself are podshare's to compare. ``READS`` and ``WRITES`` are the IAM actions that they call.
    """

    READS: frozenset[str]
    WRITES: frozenset[str]

    # positional-only, so that each module may name and narrow its own shape
    def read(self, context: Context, key: Key, wanted: Resource | None, /) -> Resource | Foreign | None: ...
    def create(self, context: Context, wanted: Resource, /) -> None: ...
    def update(self, context: Context, observed: Resource, wanted: Resource, /) -> None: ...
    def delete(self, context: Context, observed: Resource, /) -> None: ...


KINDS: Mapping[Kind, KindModule] = {
    kind: cast(KindModule, import_module(f"podshare.kinds.{kind}.calls")) for kind in Kind
}


def read(context: Context, key: Key, wanted: Resource | None) -> Resource | Foreign | None:
    """What is there, in the shape of desired; what goes between two calls of one reading is read once more."""
    try:
        return KINDS[key.kind].read(context, key, wanted)
    except ClientError as error:
        if not is_absent(error):
            raise
    return KINDS[key.kind].read(context.as_of_now(), key, wanted)

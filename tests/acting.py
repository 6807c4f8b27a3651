"""Whom the command of a test acts as, and how its call ended."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

import pytest

from podshare_sandbox.organization import HUB_REGION


@dataclass(frozen=True)
class Ended:
    """How a call of the command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it printed as JSON."""
        return json.loads(self.out)

    @property
    def problems(self) -> list[dict[str, Any]]:
        """What it reported as JSON of the records that were given."""
        problems: list[dict[str, Any]] = json.loads(self.err)["error"]["problems"]
        return problems


def act_in_the_hub(patch: pytest.MonkeyPatch, access_key: str, secret_key: str) -> None:
    """Let the command of this process act with these keys in the hub's Region, and with nothing of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    patch.setenv("AWS_CONFIG_FILE", os.devnull)
    patch.setenv("AWS_REGION", HUB_REGION)
    patch.setenv("AWS_ACCESS_KEY_ID", access_key)
    patch.setenv("AWS_SECRET_ACCESS_KEY", secret_key)


@contextmanager
def unread_stdout() -> Iterator[None]:
    """Make stdout a pipe whose reader has gone, as `head` does; it has nothing left to write at the end."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream, redirect_stdout(stream):
        yield

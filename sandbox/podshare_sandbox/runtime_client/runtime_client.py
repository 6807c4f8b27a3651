"""The four calls of awslambdaric's native ``runtime_client`` module, in Python.

This directory goes on the Python path of a Lambda's process, before what is installed, so that awslambdaric imports
this file in the native module's place. The native module exists for Linux alone, and hands on no header of the
sandbox's own: with each event comes by how many seconds the sandbox's clock is ahead, and this process follows it.
"""

import http.client
import json
import os
import time
from datetime import timedelta
from typing import Any

_PREFIX = "/2018-06-01/runtime/invocation/"


class _RuntimeApi:
    """One keep-alive connection to the Runtime API."""

    def __init__(self, user_agent: str) -> None:
        self._user_agent = user_agent
        self._connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[bytes, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, _PREFIX + path, body, {"User-Agent": self._user_agent, **named})
        response = self._connection.getresponse()
        content = response.read()
        if response.status >= http.client.MULTIPLE_CHOICES:
            raise RuntimeError(f"the Runtime API answered {path} with {response.status}")
        return content, response.headers


class MovableClock:
    """A process's clock: real, unless it is ahead by way of time-machine. The sandbox's own process has one too."""

    def __init__(self) -> None:
        self.offset = 0.0
        """The seconds by which it is ahead of real time."""
        self._travel: Any = None
        self._traveller: Any = None

    def follow(self, offset: float) -> None:
        """Be ``offset`` seconds ahead of real time from now on; with 0 nothing is patched any more."""
        if offset == self.offset:
            return
        if not offset:
            self._travel.stop()
        elif not self.offset:
            import time_machine  # noqa: PLC0415  # few need it, and it imports pytest where that is installed

            self._travel = time_machine.travel(timedelta(seconds=offset))
            self._traveller = self._travel.start()
            time.time()  # its time passes from the first look on
        else:
            self._traveller.shift(timedelta(seconds=offset - self.offset))
        self.offset = offset


_api: _RuntimeApi
_clock = MovableClock()


def initialize_client(user_agent: str) -> None:
    """Called once, before any other."""
    global _api  # noqa: PLW0603  # the native module keeps its connection so, too
    _api = _RuntimeApi(user_agent)


def next() -> tuple[bytes, dict[str, Any]]:  # noqa: A001  # the native module's name
    """Wait for the next event; returns it with the headers that describe the invocation."""
    content, headers = _api.call("GET", "next")
    described: dict[str, Any] = {name.title(): value for name, value in headers.items()}
    _clock.follow(float(described.pop("Sandbox-Clock-Offset")))
    described["Lambda-Runtime-Deadline-Ms"] = int(described["Lambda-Runtime-Deadline-Ms"])
    return content, described


def post_invocation_result(
    request_id: str,
    result: bytes,
    content_type: str,
    invocation_id: str | None = None,  # noqa: ARG001  # only Lambda's own Runtime API knows it
) -> None:
    """Send a handler's result."""
    _api.call("POST", f"{request_id}/response", result, Content_Type=content_type)


def post_error(
    request_id: str,
    error: str,
    xray_fault: str | None = None,  # noqa: ARG001  # nothing traces here
    invocation_id: str | None = None,  # noqa: ARG001
) -> None:
    """Send the exception of a handler, as JSON with ``errorType`` and ``errorMessage``."""
    kind = json.loads(error).get("errorType", "Error")
    _api.call("POST", f"{request_id}/error", error.encode(), Lambda_Runtime_Function_Error_Type=kind)

"""Commands in running containers, over WebSocket: ``kubectl exec``.

Sources: the subprotocols of ``remotecommand`` in Kubernetes (``v4.channel.k8s.io``, ``v5.channel.k8s.io``: the first
byte of each message is its channel), and KEP-4006 for the way from SPDY to WebSocket. SPDY itself is refused.
"""

import contextlib
import json
import queue
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wsproto import WSConnection
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Request,
)
from wsproto.utilities import ProtocolError

from podshare_sandbox.services.kubernetes import errors

Object = dict[str, Any]

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _ERROR, _CLOSE = 0, 1, 2, 3, 255
_PAUSE_SECONDS = 0.02


class NotFoundInContainer(Exception):  # noqa: N818  # what the runtime says
    """There is no such program in the container."""


@dataclass
class Streams:
    """What a command reads and writes. ``gone`` is set once the client has hung up."""

    write: Callable[[str], None]
    complain: Callable[[str], None]
    stdin: "queue.Queue[bytes | None]" = field(default_factory=queue.Queue)  # None at its end
    gone: threading.Event = field(default_factory=threading.Event)

    def lines(self) -> Iterator[str]:
        """What comes on the standard input, line by line, until it ends."""
        text = ""
        while (data := self.stdin.get()) is not None:
            *whole, text = (text + data.decode(errors="replace")).split("\n")
            yield from whole
        if text:
            yield text


Run = Callable[[Streams], int]  # runs the command; its exit code


def conversation(headers: Mapping[str, str], path: str, run: Run) -> Callable[[socket.socket], None]:
    """What is said over the connection of a request to run a command.

    Raises 400 for a request that asks for no WebSocket, and 403 for one with no subprotocol that there is.
    """
    connection = WSConnection(ConnectionType.SERVER)
    if headers.get("Upgrade", "").lower() != "websocket":
        raise errors.bad_request("Upgrade request required: WebSocket, SPDY is not emulated")
    try:
        given = [(name.encode(), value.encode()) for name, value in headers.items()]
        connection.initiate_upgrade_connection(given, path)
    except ProtocolError as error:
        raise errors.bad_request(f"unable to upgrade: {error}") from None
    asked = next(event for event in connection.events() if isinstance(event, Request))
    chosen = next((one for one in PROTOCOLS if one in asked.subprotocols), None)
    if chosen is None:
        offered = ", ".join(asked.subprotocols)
        raise errors.KubernetesError(403, "Forbidden", f"unable to upgrade: unsupported subprotocols: {offered}")
    return lambda client: _Conversation(connection, client).hold(chosen, run)


class _Conversation:
    """One command of one client. One thread alone uses the connection: TLS in Python bears no two at once."""

    def __init__(self, connection: WSConnection, client: socket.socket) -> None:
        self._connection = connection
        self._client = client
        self._said: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._streams = Streams(
            lambda text: self._say(_STDOUT, text.encode()), lambda text: self._say(_STDERR, text.encode())
        )

    def hold(self, protocol: str, run: Run) -> None:
        """Accept, run the command, tell how it ended, and close."""
        self._client.sendall(self._connection.send(AcceptConnection(subprotocol=protocol)))
        threading.Thread(target=self._work, args=(run,), daemon=True, name="exec").start()
        with contextlib.suppress(OSError, ProtocolError):  # the client is gone
            self._exchange()
        self._streams.stdin.put(None)
        self._streams.gone.set()

    def _work(self, run: Run) -> None:
        self._say(_ERROR, json.dumps(_status(run, self._streams)).encode())
        self._said.put(CloseConnection(code=1000))

    def _say(self, channel: int, data: bytes) -> None:
        if data:
            self._said.put(BytesMessage(data=bytes([channel]) + data))

    def _exchange(self) -> None:
        """Send what is said and take what comes, until both sides have said that they close."""
        while self._connection.state != ConnectionState.CLOSED:
            while not self._said.empty():
                self._send(self._said.get())
            if select.select([self._client], [], [], _PAUSE_SECONDS)[0] or _is_buffered(self._client):
                data = self._client.recv(65536)
                self._connection.receive_data(data or None)
                for event in self._connection.events():
                    self._take(event)

    def _send(self, event: Event) -> None:
        if self._connection.state == ConnectionState.OPEN:
            self._client.sendall(self._connection.send(event))

    def _take(self, event: Event) -> None:
        if isinstance(event, Ping):
            self._send(event.response())
        elif isinstance(event, CloseConnection) and self._connection.state == ConnectionState.REMOTE_CLOSING:
            self._client.sendall(self._connection.send(event.response()))
        elif isinstance(event, BytesMessage) and event.data:
            self._input(bytes(event.data))

    def _input(self, message: bytes) -> None:
        channel, data = message[0], message[1:]
        if channel == _STDIN:
            self._streams.stdin.put(data)
        elif channel == _CLOSE and data == bytes([_STDIN]):
            self._streams.stdin.put(None)


def _is_buffered(client: socket.socket) -> bool:
    """Whether TLS has decrypted more than was read."""
    return isinstance(client, ssl.SSLSocket) and client.pending() > 0


def _status(run: Run, streams: Streams) -> Object:
    """How a command ended, as ``remotecommand`` tells it."""
    try:
        code = run(streams)
    except NotFoundInContainer as error:
        message = f"error executing command in container: {error}"
        return errors.internal(message).status
    if not code:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }

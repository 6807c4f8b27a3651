"""What only AWS can do, asked of the process that serves the sandbox: let an event, a record or a schedule happen.

A customer cannot put events whose source is AWS's own (EventBridge API reference, PutEvents), nor fire a schedule, nor
give out an account's access key. The asking process reaches the serving one on loopback; each proves to the other that
it knows a key, which is in the sandbox's private file. What goes over the line is JSON.
"""

import json
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import TYPE_CHECKING, Any

from podshare_cli.failures import Failure, invalid

if TYPE_CHECKING:
    from podshare_cli.commands.sandbox.running import RunningSandbox
    from podshare_sandbox import Sandbox

_HOST = "127.0.0.1"


def ask(running: "RunningSandbox", question: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the process that serves a sandbox, and wait for the answer. Raises Failure if it refuses, or is gone."""
    try:
        with Client((_HOST, running.control_port), authkey=bytes.fromhex(running.control_key)) as line:
            line.send_bytes(json.dumps(question).encode())
            answer: dict[str, Any] = json.loads(line.recv_bytes())
    except (OSError, EOFError, AuthenticationError) as error:
        raise Failure(f"The sandbox does not answer: {error}", "Start another one: podshare sandbox up") from None
    if refused := answer.get("refused"):
        raise invalid(refused["what"], refused["remedy"])
    return answer


class Control:
    """The serving end; a context manager. One question is answered after the other."""

    def __init__(self, sandbox: "Sandbox") -> None:
        key = secrets.token_bytes(32)
        self._sandbox = sandbox
        self._listener = Listener((_HOST, 0), authkey=key)
        self.port = int(self._listener.address[1])
        self.key = key.hex()

    def __enter__(self) -> "Control":
        threading.Thread(target=self._serve, daemon=True, name="sandbox-control").start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                line = self._listener.accept()
            except (AuthenticationError, EOFError, ConnectionError):  # somebody who does not know the key, or hung up
                continue
            except OSError:  # closed
                return
            with line, suppress(OSError, EOFError):
                self._answer(line)

    def _answer(self, line: "Connection[Any, Any]") -> None:
        try:
            answer = answered(self._sandbox, json.loads(line.recv_bytes()))
        except Failure as failure:
            answer = {"refused": {"what": failure.what, "remedy": failure.remedy}}
        except Exception as error:  # the asker shall learn of it, and the next question be answered
            answer = {"refused": {"what": f"The sandbox failed: {type(error).__name__}: {error}", "remedy": ""}}
        line.send_bytes(json.dumps(answer, default=str).encode())


def answered(sandbox: "Sandbox", question: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to one question. Raises Failure where there is none."""
    from podshare_cli.commands.sandbox import events  # the asking process needs none of it

    if account := question.get("keys_of"):
        return {"keys": events.keys_of(str(account))}
    return events.play(sandbox, question["sample"], str(question["name"]))

"""The page on this machine: read again for whoever loads it, and now and then for browsers that show it."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from podshare_cli.commands.report.page import page

_RENEWED_SECONDS = 10  # for pages that ask for news, facts that are younger are not read again
_HOSTS = ("127.0.0.1", "localhost")

Facts = dict[str, Any]
Answer = tuple[str, bytes]  # its type, and its text


@dataclass
class Served:
    """What ``read`` reads, as a page and as news for pages that are open; one reading at a time serves them all."""

    read: Callable[[], Facts]
    renewed_seconds: float = _RENEWED_SECONDS
    _facts: Facts = field(default_factory=dict)
    _digest: str = ""
    _at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def page(self) -> Answer:
        """The page of this moment."""
        facts, digest = self._read_again(0)
        return "text/html", page(facts, digest).encode()

    def news(self, digest: str) -> Answer:
        """The facts, if they are others than those of a digest; else the moment alone at which they were read."""
        facts, its = self._read_again(self.renewed_seconds)
        news = {"digest": its, "generated": facts["generated"], **({} if its == digest else {"facts": facts})}
        return "application/json", json.dumps(news, default=str, separators=(",", ":")).encode()

    def _read_again(self, youngest: float) -> tuple[Facts, str]:
        """The facts with their digest, read again unless that was done less than so many seconds ago."""
        asked = time.monotonic()
        with self._lock:
            if self._at < asked - youngest:
                facts, at = self.read(), time.monotonic()
                self._facts, self._digest, self._at = facts, _digest(facts), at
            return self._facts, self._digest


def _digest(facts: Mapping[str, Any]) -> str:
    """A digest of what facts say, whenever that was read."""
    lending = [{**row, "read_at": ""} for row in facts["lending"]]
    text = json.dumps({**facts, "generated": "", "lending": lending}, default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def answering(served: Served) -> type[BaseHTTPRequestHandler]:
    """Answers browsers of this machine that were sent to it by its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            if _host_in(self.headers.get("Host", "")) not in _HOSTS or asked.path not in (
                "/",
                "/facts",
            ):  # a foreign name may resolve to this machine
                self.send_error(404)
                return
            try:
                kind, text = served.page() if asked.path == "/" else served.news(_digest_in(asked.query))
                status = 200
            except Exception as error:  # the next load may be better: credentials end, and AWS throttles
                status, kind, text = 503, "text/plain", f"The report cannot be made: {error}\n".encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Cache-Control", "no-store")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Print nothing: the terminal is the user's."""

    return Handler


def _host_in(header: str) -> str | None:
    """The host's name, also where a browser leaves out the port: of port 80."""
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None


def _digest_in(query: str) -> str:
    return next(iter(parse_qs(query).get("digest", ())), "")

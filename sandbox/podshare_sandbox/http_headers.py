"""The headers of HTTP messages, read line by line.

The standard library reads them as it reads mail, with folded bodies and attachments in mind, and that was a twentieth
of what each request of a sandbox costs, on both of its sides.
"""

import http.client
from typing import IO

_LONGEST_LINE = 65536  # bytes, as http.client's own
_MOST_LINES = 100


def install() -> None:
    """Let all of this process's clients and servers of ``http`` read headers so."""
    http.client.parse_headers = parse_headers  # type: ignore[assignment]  # its classes are given by position too


def parse_headers(
    fp: IO[bytes], _class: type[http.client.HTTPMessage] = http.client.HTTPMessage
) -> http.client.HTTPMessage:
    """The headers up to the empty line. Raises as http.client's own does: LineTooLong, HTTPException."""
    found: list[tuple[str, str]] = []
    while (line := fp.readline(_LONGEST_LINE + 1)) not in (b"\r\n", b"\n", b""):
        if len(line) > _LONGEST_LINE:
            raise http.client.LineTooLong("header line")
        if len(found) == _MOST_LINES:
            raise http.client.HTTPException(f"got more than {_MOST_LINES} headers")
        text = line.decode("iso-8859-1").rstrip("\r\n")
        if text.startswith((" ", "\t")) and found:  # obs-fold of RFC 9112
            name, value = found.pop()
            found.append((name, f"{value} {text.strip()}"))
        else:
            name, _, value = text.partition(":")
            found.append((name, value.strip(" \t")))
    message = _class()
    for name, value in found:
        message[name] = value
    return message

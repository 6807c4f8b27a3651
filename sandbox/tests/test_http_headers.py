"""Headers are read as the standard library reads them, only sooner."""

import email.parser
import http.client
import io

import pytest

from podshare_sandbox.http_headers import parse_headers

HEADERS = (
    b"Host: iam.amazonaws.com\r\nX-Empty:\r\nX-Amz-Meta-Colon:  a: b \r\nSet-Cookie: one\r\nset-cookie: two\r\n"
    b"X-Folded: first\r\n  second\r\nX-Latin: caf\xe9\r\n\r\nbody"
)


def test_headers_are_what_the_standard_library_makes_of_them() -> None:
    """Names, values, repeated and folded lines, bytes beyond ASCII; the body is left to be read."""
    stream = io.BytesIO(HEADERS)
    ours = parse_headers(stream)
    head = HEADERS.partition(b"\r\n\r\n")[0].decode("iso-8859-1")
    theirs = email.parser.Parser(_class=http.client.HTTPMessage).parsestr(head)
    assert stream.read() == b"body"
    assert ours.keys() == theirs.keys()
    unfolded = [value.replace("\r\n ", "").strip() for value in theirs.values()]
    assert ours.values() == unfolded
    assert ours["host"] == "iam.amazonaws.com"
    assert ours.get_all("SET-COOKIE") == ["one", "two"]


def test_what_is_too_long_is_refused() -> None:
    """A line of more than 64 KiB, and more than a hundred headers."""
    with pytest.raises(http.client.LineTooLong):
        parse_headers(io.BytesIO(b"X-Long: " + b"x" * 65536 + b"\r\n\r\n"))
    with pytest.raises(http.client.HTTPException):
        parse_headers(io.BytesIO(b"X-Many: x\r\n" * 101 + b"\r\n"))


def test_a_connection_that_ends_early_has_the_headers_that_came() -> None:
    """Without the empty line nothing is lost, and nothing waited for."""
    assert parse_headers(io.BytesIO(b"A: 1\r\nB: 2")).items() == [("A", "1"), ("B", "2")]

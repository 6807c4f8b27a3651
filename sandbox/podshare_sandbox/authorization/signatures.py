"""Whether a request that came over the network was signed with its access key's secret, for a Region that exists.

A request is looked at as its client sent it, before the front door finds out which AWS host it meant; the service that
it then reaches refuses it in its own words. What bodies hold is not signed where S3 allows that: chunks' own signatures
are not looked at.

Sources: IAM User Guide, "Create a signed AWS API request"; S3 API Reference, "Authenticating requests".
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import botocore.session
from botocore.utils import normalize_url_path
from moto.iam.models import iam_backends

from podshare_sandbox.authorization.principals import UnknownAccessKey, account_of_key
from podshare_sandbox.authorization.sessions import PARTITION, session_of

_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_SAFE = "-_.~"

_verdict: ContextVar[str] = ContextVar("verdict", default="")


@dataclass(frozen=True)
class Signature:
    """What a request says of its signature."""

    access_key: str
    date: str
    region: str
    service: str
    headers: tuple[str, ...]
    value: str
    presigned: bool

    @property
    def scope(self) -> str:
        """The credential's scope: date, Region, service."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


@contextmanager
def looked_at(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Iterator[None]:
    """Let the services that the request reaches within this block know what is wrong with its signature."""
    token = _verdict.set(_wrong(method, url, headers, body))
    try:
        yield
    finally:
        _verdict.reset(token)


def what_is_wrong() -> str:
    """What is wrong with the signature of the request that is being answered; empty where nothing is."""
    return _verdict.get()


def region_exists(region: str) -> bool:
    """Whether AWS has a commercial Region of this name, so far as this botocore knows."""
    return region in _regions()


@cache
def _regions() -> frozenset[str]:
    endpoints = botocore.session.get_session().get_data("endpoints")
    partition = next(each for each in endpoints["partitions"] if each["partition"] == PARTITION)
    return frozenset({*partition["regions"], "aws-global"})


def signature_of(url: str, headers: Mapping[str, str]) -> Signature | None:
    """The signature in a request's header or query; None where there is none of version 4."""
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    if query.get("X-Amz-Algorithm") == _ALGORITHM:
        given = {
            "Credential": query.get("X-Amz-Credential", ""),
            "SignedHeaders": query.get("X-Amz-SignedHeaders", ""),
            "Signature": query.get("X-Amz-Signature", ""),
        }
    else:
        algorithm, _, rest = headers.get("Authorization", "").partition(" ")
        if algorithm != _ALGORITHM:
            return None
        given = dict(re.findall(r"(\w+)=([^,\s]+)", rest))
    parts = given.get("Credential", "").split("/")
    if len(parts) != len(("key", "date", "region", "service", "aws4_request")):
        return None
    signed = tuple(given.get("SignedHeaders", "").split(";"))
    access_key, date, region, service, _ = parts
    return Signature(access_key, date, region, service, signed, given.get("Signature", ""), "X-Amz-Algorithm" in query)


def _wrong(method: str, url: str, headers: Mapping[str, str], body: bytes) -> str:
    signature = signature_of(url, headers)
    if signature is None:
        return ""  # not signed: refused as such, or nobody's business
    if not region_exists(signature.region):
        return f"Credential should be scoped to a valid region, not '{signature.region}'."
    secret = _secret_of(signature.access_key)
    if secret is None:
        return ""  # an unknown key is refused as such
    expected = _signature(signature, secret, _string_to_sign(signature, method, url, headers, body))
    if not hmac.compare_digest(expected, signature.value):
        return (
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details."
        )
    return ""


def _secret_of(access_key: str) -> str | None:
    try:
        account = account_of_key(access_key)
    except UnknownAccessKey:
        return None
    if session := session_of(account, access_key):
        return session.secret_key
    key: Any = iam_backends[account][PARTITION].access_keys[access_key]
    return str(key.secret_access_key)


def _signature(signature: Signature, secret: str, to_sign: str) -> str:
    return hmac.new(_key(secret, signature.scope), to_sign.encode(), hashlib.sha256).hexdigest()


@lru_cache
def _key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _string_to_sign(signature: Signature, method: str, url: str, headers: Mapping[str, str], body: bytes) -> str:
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    moment = dict(query).get("X-Amz-Date") if signature.presigned else headers.get("X-Amz-Date")
    lines = (
        method,
        _path(signature.service, urlsplit(url).path),
        _query(query),
        *(f"{name}:{' '.join(headers.get(name, '').split())}" for name in signature.headers),
        "",
        ";".join(signature.headers),
        _payload(signature, headers, body),
    )
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return "\n".join((_ALGORITHM, moment or "", signature.scope, digest))


def _path(service: str, path: str) -> str:
    """S3 signs the path as it is sent, all others once more encoded."""
    return path or "/" if service == "s3" else quote(normalize_url_path(path), safe="/~")


def _query(pairs: list[tuple[str, str]]) -> str:
    encoded = sorted(
        (quote(name, safe=_SAFE), quote(value, safe=_SAFE)) for name, value in pairs if name != "X-Amz-Signature"
    )
    return "&".join(f"{name}={value}" for name, value in encoded)


def _payload(signature: Signature, headers: Mapping[str, str], body: bytes) -> str:
    """The hash of the body: as a header says it, if that is true, or that the body is not signed."""
    told = headers.get("X-Amz-Content-SHA256", "")
    if told == _UNSIGNED or told.startswith("STREAMING-"):
        return told
    if signature.presigned and signature.service == "s3":
        return told or _UNSIGNED
    return hashlib.sha256(body).hexdigest()

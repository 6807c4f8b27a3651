"""The network entry of the sandbox: any AWS client, in any process of this machine, reaches moto through it.

Two ways lead in. As an **HTTPS proxy** (``HTTPS_PROXY`` with ``AWS_CA_BUNDLE``) it ends the TLS of whatever AWS
host a client asks for, so that clients keep their real URLs, host names and signatures. In **endpoint mode**
(``AWS_ENDPOINT_URL=http://localhost:PORT``) it rebuilds the real URL from the scope of the signature. Both end in
:meth:`FrontDoor.handle`, which gives the request to a registered virtual host or to moto's in-process stubber,
just as a botocore client in this process would.

It listens on loopback only, and speaks HTTP/1.1.
"""

import http.server
import io
import logging
import re
import select
import socket
import socketserver
import ssl
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import parse_qs, urlsplit

import botocore.session
import trustme
from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from moto.core.models import botocore_stubber
from requests.structures import CaseInsensitiveDict

from podshare_sandbox import faults, traffic
from podshare_sandbox.authorization import registrations, signatures

logger = logging.getLogger(__name__)

_AWS_HOST = re.compile(r"[a-z0-9.-]+\.(amazonaws\.com|api\.aws)", re.IGNORECASE)
_SIGNATURE_SCOPE = re.compile(r"Credential=[^/\s]+/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_S3_HOST = re.compile(r"(^|\.)s3[.-]")
_LOCAL_NAMES = ("localhost", "127.0.0.1")
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "content-length",
    "expect",
}

_ANY_REGION = "us-east-1"

# Signing names that are not the first label of the service's host (botocore's endpointPrefix tells)
_HOST_PREFIXES = {"sagemaker": "api.sagemaker", "ecr": "api.ecr", "ses": "email"}


@dataclass(frozen=True)
class Request:
    """A request with the URL that its client meant, on whichever way it came. The body has no transfer encoding."""

    method: str
    url: str
    headers: CaseInsensitiveDict[str] = field(default_factory=CaseInsensitiveDict)
    body: bytes = b""

    @property
    def host(self) -> str:
        """The host name in the URL, in lower case and without a port."""
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True)
class Response:
    """What is sent back; the front door adds the length.

    ``pieces`` are sent in place of the body as they come, until they end or the client hangs up, which is seen at an
    empty piece. ``conversation`` speaks another protocol than HTTP over the connection, from the status line on.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: Iterator[bytes] | None = None
    conversation: Callable[[socket.socket], None] | None = None


class VirtualHost(Protocol):
    """A server other than AWS that lives behind the front door, such as a cluster's Kubernetes API."""

    @property
    def certificate_authority(self) -> trustme.CA:
        """Who signs this host's certificates; its clients must be given this CA."""

    def serves(self, host: str) -> bool:
        """Whether requests to the host name ``host`` (lower case) belong here."""

    def handle(self, request: Request) -> Response:
        """Answer one request; called from several threads."""


class EndpointError(Exception):
    """A request in endpoint mode does not tell which AWS host it means."""


class FrontDoor:
    """The server. ``port`` 0 takes a free port. ``start`` returns at once; ``stop`` closes the listening socket."""

    def __init__(self, port: int = 0) -> None:
        self._server = _Server(("127.0.0.1", port), self)
        self._virtual_hosts: list[VirtualHost] = []
        self._authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._contexts_lock = threading.Lock()
        self._directory = tempfile.TemporaryDirectory(prefix="podshare-sandbox-")

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The URL for ``HTTPS_PROXY``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoint(self) -> str:
        """The URL for ``AWS_ENDPOINT_URL``: a name, since SDKs put buckets and accounts before it."""
        return f"http://localhost:{self.port}"

    @cached_property
    def ca_bundle(self) -> str:
        """Path of a PEM file with the sandbox's CA alone, in a private temporary directory."""
        path = Path(self._directory.name) / "ca.pem"
        self._authority.cert_pem.write_to_path(str(path))
        return str(path)

    def environment(self) -> dict[str, str]:
        """Environment variables that lead the AWS CLI, boto3, requests and httpx of a process through the proxy."""
        return {
            "HTTPS_PROXY": self.url,
            "https_proxy": self.url,
            "NO_PROXY": "",
            "no_proxy": "",
            "AWS_CA_BUNDLE": self.ca_bundle,
            "REQUESTS_CA_BUNDLE": self.ca_bundle,
            "SSL_CERT_FILE": self.ca_bundle,
        }

    def register(self, virtual_host: VirtualHost) -> None:
        """Serve the hosts of ``virtual_host`` from now on, before AWS's."""
        self._virtual_hosts.append(virtual_host)

    def start(self) -> "FrontDoor":
        """Serve in the background; returns itself."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="front-door").start()
        return self

    def stop(self) -> None:
        """Stop listening, and remove the CA's file. Connections that are open end with their clients."""
        self._server.shutdown()
        self._server.server_close()
        self._directory.cleanup()

    def serves(self, host: str) -> bool:
        """Whether a client may be connected to ``host``."""
        return self._virtual_host(host) is not None or _AWS_HOST.fullmatch(host) is not None

    def tls_context(self, host: str) -> ssl.SSLContext:
        """A server context with a certificate for ``host``, made once for each host."""
        with self._contexts_lock:
            if host not in self._contexts:
                virtual_host = self._virtual_host(host)
                authority = virtual_host.certificate_authority if virtual_host else self._authority
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.set_alpn_protocols(["http/1.1"])
                context.num_tickets = 0  # Python's clients resume no session
                authority.issue_cert(host, key_type=trustme.KeyType.ECDSA).configure_cert(context)
                self._contexts[host] = context
            return self._contexts[host]

    def handle(self, request: Request) -> Response:
        """Answer a request that carries its real URL."""
        virtual_host = self._virtual_host(request.host)
        return virtual_host.handle(request) if virtual_host else _ask_moto(request)

    def _virtual_host(self, host: str) -> VirtualHost | None:
        return next((candidate for candidate in self._virtual_hosts if candidate.serves(host)), None)


def real_request(request: Request) -> Request:
    """The request as its client would have sent it to AWS, from one that was sent to an endpoint URL.

    Service and Region come from the signature's scope (header or presigned query). Raises EndpointError.
    """
    parts = urlsplit(request.url)
    signature = request.headers.get("Authorization", "") or f"Credential={_presigned_credential(parts.query)}"
    scope = _SIGNATURE_SCOPE.search(signature)
    if scope is None:
        raise EndpointError("the request has no Signature Version 4 scope that tells its service and Region")
    label = _leading_label(request.host)
    # a Region that AWS does not have is refused by the service, in its own words
    region = scope["region"] if signatures.region_exists(scope["region"]) else _ANY_REGION
    host = _aws_host(scope["service"], region, label, request)
    headers = request.headers.copy()
    headers["Host"] = host
    return replace(request, url=parts._replace(scheme="https", netloc=host).geturl(), headers=headers)


def _is_local(host: str) -> bool:
    return host in _LOCAL_NAMES or host.endswith(".localhost")


def _presigned_credential(query: str) -> str:
    return parse_qs(query).get("X-Amz-Credential", [""])[0]


def _leading_label(host: str) -> str:
    """What a client has put before ``localhost``, such as a bucket or ``<access point>-<account>``."""
    return host.removesuffix("localhost").rstrip(".") if host not in _LOCAL_NAMES else ""


def _aws_host(service: str, region: str, label: str, request: Request) -> str:
    if service == "s3":
        return _s3_host(region, label, request)
    if service == "dynamodb" and request.headers.get("X-Amz-Target", "").startswith("DynamoDBStreams"):
        return f"streams.dynamodb.{region}.amazonaws.com"
    return _hostname(_HOST_PREFIXES.get(service, service), region)


def _s3_host(region: str, label: str, request: Request) -> str:
    if account := request.headers.get("x-amz-account-id"):
        return f"{account}.s3-control.{region}.amazonaws.com"
    if label and _is_access_point(region, label):
        return f"{label}.s3-accesspoint.{region}.amazonaws.com"
    bucket = f"{label}." if label else ""
    return f"{bucket}s3.{region}.amazonaws.com"


def _is_access_point(region: str, label: str) -> bool:
    """Whether ``<name>-<account>`` is an access point; a bucket's name may look the same."""
    name, _, account = label.rpartition("-")
    return registrations.s3.access_point(f"arn:aws:s3:{region}:{account}:accesspoint/{name}") is not None


@lru_cache
def _hostname(prefix: str, region: str) -> str:
    resolver = botocore.session.get_session().get_component("endpoint_resolver")
    endpoint = resolver.construct_endpoint(prefix, region)
    if endpoint is None:
        raise EndpointError(f"there is no endpoint of {prefix} in {region}")
    return str(endpoint["hostname"])


def _ask_moto(request: Request) -> Response:
    headers = HTTPHeaders()
    for name, value in request.headers.items():
        headers[name] = value
    answer = botocore_stubber.process_request(
        AWSPreparedRequest(request.method, request.url, headers, request.body, stream_output=False)
    )
    if answer is None:
        return Response(501, {"Content-Type": "text/plain"}, f"{request.host} is not emulated".encode())
    status, answer_headers, body = answer
    return Response(
        int(status),
        _with_request_id({str(name): str(value) for name, value in answer_headers.items()}, request.host),
        body.encode() if isinstance(body, str) else bytes(body or b""),
    )


def _with_request_id(headers: dict[str, str], host: str) -> dict[str, str]:
    """Each answer of AWS has one (AWS General Reference, "Request identifiers"), S3's under a name of its own."""
    if {"x-amzn-requestid", "x-amz-request-id"} & {name.lower() for name in headers}:
        return headers
    name = "x-amz-request-id" if _S3_HOST.search(host) else "x-amzn-RequestId"
    return {**headers, name: str(uuid.uuid4())}


def _fault(request: Request, error: Exception) -> Response:
    """What a client is told of an exception: in the protocol of the service that it asked, or else as text."""
    try:
        told = faults.answer(request.method, request.url, request.headers, request.body, error)
    except Exception:
        logger.exception("no answer of a service can be made for %s %s", request.method, request.url)
        told = None
    if told is None:
        message = f"InternalFailure: {type(error).__name__}: {error}"
        return Response(500, {"Content-Type": "text/plain"}, message.encode())
    status, headers, body = told
    return Response(status, {str(name): str(value) for name, value in headers.items()}, body)


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], front_door: FrontDoor) -> None:
        self.front_door = front_door
        super().__init__(address, _Connection)

    def server_bind(self) -> None:
        # HTTPServer looks up the machine's own name here, which can take seconds without a name server
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:  # the base class's signature
        """A client that hangs up (a killed Lambda does) is no error of the sandbox's."""
        logger.debug("connection of %s ended", client_address, exc_info=True)


class _Connection(http.server.BaseHTTPRequestHandler):
    """One client connection; after CONNECT it carries TLS for the one host that was asked for."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # delayed acknowledgements cost 40 ms a request otherwise
    wbufsize = -1  # headers and body leave in one packet
    server: _Server
    tunnel: str | None = None

    def do_CONNECT(self) -> None:
        host = self.path.rpartition(":")[0].strip("[]").lower()
        if not self.server.front_door.serves(host):
            self._send(Response(502, {"Content-Type": "text/plain"}, f"{host} is not in the sandbox".encode()))
            return
        self.send_response_only(200, "Connection established")
        self.end_headers()
        self.wfile.flush()
        self._start_tls(host)

    def _start_tls(self, host: str) -> None:
        secured = self.server.front_door.tls_context(host).wrap_socket(self.connection, server_side=True)
        self.connection = self.request = secured
        self.rfile = cast(io.BufferedIOBase, secured.makefile("rb", self.rbufsize))
        self.wfile = secured.makefile("wb")
        self.tunnel = host
        self.close_connection = False

    def finish(self) -> None:
        super().finish()
        if isinstance(self.connection, ssl.SSLSocket):
            # the server closes only the socket that it accepted, which wrapping has detached
            self.connection.close()

    def handle_expect_100(self) -> bool:
        """``Expect: 100-continue``: the client sends its body only once this has left the buffer."""
        accepted = super().handle_expect_100()
        self.wfile.flush()
        return accepted

    def _serve(self) -> None:
        self._send(self._answer())

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815  # names of http.server's

    def _answer(self) -> Response:
        try:
            request = self._read()
        except ValueError as error:  # lengths that are no numbers
            self.close_connection = True
            return Response(400, {"Content-Type": "text/plain"}, f"Bad Request: {error}".encode())
        if refusal := self._refusal(request):
            return Response(403, {"Content-Type": "text/plain"}, refusal.encode())
        try:
            with traffic.answering(), signatures.looked_at(request.method, request.url, request.headers, request.body):
                request = request if self.tunnel else real_request(request)
                return self.server.front_door.handle(request)
        except EndpointError as error:
            return Response(403, {"Content-Type": "text/plain"}, f"MissingAuthenticationToken: {error}".encode())
        except Exception as error:
            logger.exception("%s %s failed in the sandbox", request.method, request.url)
            return _fault(request, error)

    def _refusal(self, request: Request) -> str:
        """Why a request is not one of a client on this machine; empty if it may be.

        Browsers send what any page tells them to, to names that the page's own DNS server chooses (DNS rebinding), and
        say so in these headers (Fetch Metadata Request Headers, W3C; RFC 6454, "The HTTP Origin Header Field").
        """
        if not self.tunnel and not _is_local(request.host):
            return f"{request.host} is not this machine: the sandbox answers localhost and names below it"
        site = request.headers.get("Sec-Fetch-Site", "none")
        if "Origin" in request.headers or site not in ("none", "same-origin"):
            return "the sandbox answers no web pages"
        return ""

    def _read(self) -> Request:
        headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        for name, value in self.headers.items():
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        chunked = headers.pop("Transfer-Encoding", "").lower() == "chunked"
        body = b"".join(self._chunks()) if chunked else self._exactly(int(headers.get("Content-Length", 0)))
        headers["Content-Length"] = str(len(body))
        scheme, authority = ("https", self.tunnel) if self.tunnel else ("http", headers.get("Host", "localhost"))
        return Request(self.command, f"{scheme}://{authority}{self.path}", headers, body)

    def _exactly(self, size: int) -> bytes:
        """What a client that dies while it sends has asked for is not carried out."""
        body = self.rfile.read(size)
        if len(body) < size:
            raise ConnectionAbortedError(f"{len(body)} of {size} bytes came")
        return body

    def _chunks(self) -> Iterator[bytes]:
        """The pieces of a body in HTTP's chunked transfer encoding (not ``aws-chunked``, which moto decodes)."""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self._exactly(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers

    def _send(self, response: Response) -> None:
        if response.conversation:
            self.close_connection = True
            response.conversation(self.connection)
            return
        self.send_response(response.status)
        declared_length = ""
        for name, value in response.headers.items():
            if name.lower() == "content-length":
                declared_length = value
            elif name.lower() not in _HOP_BY_HOP | {"server", "date"}:
                self.send_header(name, value)
        if response.pieces is not None:
            self._send_pieces(response.pieces)
            return
        is_head = self.command == "HEAD"
        if response.status != http.HTTPStatus.NO_CONTENT:
            # a HEAD tells the length of the body that it does not send
            self.send_header(
                "Content-Length", declared_length if is_head and declared_length else str(len(response.body))
            )
        self.end_headers()
        if not is_head and response.status != http.HTTPStatus.NO_CONTENT:
            self.wfile.write(response.body)
        self.wfile.flush()

    def _send_pieces(self, pieces: Iterator[bytes]) -> None:
        """Send a body in HTTP's chunked transfer encoding."""
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for piece in pieces:
            if piece:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
            elif self._has_hung_up():
                raise ConnectionAbortedError("the client is gone")
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _has_hung_up(self) -> bool:
        """Whether something came from a client that has nothing to say any more: the end of its connection."""
        return bool(select.select([self.connection], [], [], 0)[0])

    def log_request(self, *_: Any) -> None:
        """What is asked is in the log of decisions."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Formatted once a second."""
        return _date(int(time.time() if timestamp is None else timestamp))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        logger.debug(format, *args)


@lru_cache
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)

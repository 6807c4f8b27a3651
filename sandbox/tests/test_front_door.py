"""The front door: what a client in another process sends arrives as if it had been sent to AWS."""

import hashlib
import http.client
import io
import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import httpx2
import pytest
import trustme
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from podshare_sandbox.front_door import EndpointError, FrontDoor, Request, Response, real_request
from sandbox.tests.runtime import HUB, REGION, Runtime, running_runtime


@pytest.fixture(scope="module")
def aws() -> Iterator[Runtime]:
    """One runtime with a bucket ``things``."""
    with running_runtime() as runtime:
        where = {"LocationConstraint": REGION}
        runtime.client("s3").create_bucket(Bucket="things", CreateBucketConfiguration=where)
        yield runtime


def _proxied(aws: Runtime, service: str, region: str = REGION, **more: Any) -> Any:
    """A client whose requests really leave through the proxy: moto's hook in this process is taken off."""
    door = aws.front_door
    return _bare(aws, service, region, Config(proxies={"https": door.url}), verify=door.ca_bundle, **more)


def _bare(aws: Runtime, service: str, region: str, config: Config, **more: Any) -> Any:
    key = aws.key(HUB)
    make: Any = boto3.Session().client
    client = make(
        service,
        region_name=region,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        config=config.merge(Config(retries={"total_max_attempts": 1}, inject_host_prefix=True)),
        **more,
    )
    from moto.core.models import botocore_stubber  # noqa: PLC0415  # nothing else here may use it

    client.meta.events.unregister("before-send", botocore_stubber)
    return client


def test_calls_keep_service_region_and_caller(aws: Runtime) -> None:
    """Through the proxy a call is what it is in process."""
    assert _proxied(aws, "sts").get_caller_identity()["Arn"] == f"arn:aws:iam::{HUB}:user/admin"
    queue = _proxied(aws, "sqs", "eu-central-1").create_queue(QueueName="far")["QueueUrl"]
    assert queue == f"https://sqs.eu-central-1.amazonaws.com/{HUB}/far"
    assert aws.client("sqs", region="eu-central-1").list_queues()["QueueUrls"] == [queue]


def test_errors_keep_code_and_status(aws: Runtime) -> None:
    """A modelled exception arrives as such."""
    iam = _proxied(aws, "iam", "us-east-1")
    with pytest.raises(iam.exceptions.NoSuchEntityException) as refusal:
        iam.get_role(RoleName="absent")
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


@pytest.mark.usefixtures("aws")
def test_an_unknown_key_is_refused() -> None:
    """As AWS does, with InvalidClientTokenId."""
    make: Any = boto3.Session().client
    with pytest.raises(ClientError) as refusal:
        make(
            "sts", region_name=REGION, aws_access_key_id="AKIAAAAAAAAAAAAAAAAA", aws_secret_access_key="x"
        ).get_caller_identity()
    assert refusal.value.response["Error"]["Code"] == "InvalidClientTokenId"


def _refused(
    aws: Runtime, service: str, operation: str, secret: str = "x" * 40, region: str = REGION, **more: Any
) -> str:
    """The error code that a client gets which signs with this secret, for this Region."""
    make: Any = boto3.Session().client
    door = aws.front_door
    client = make(
        service,
        region_name=region,
        aws_access_key_id=aws.key(HUB).access_key_id,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, **more.pop("config", {})),
        **more,
    )
    from moto.core.models import botocore_stubber  # noqa: PLC0415  # nothing else here may use it

    client.meta.events.unregister("before-send", botocore_stubber)
    with pytest.raises(ClientError) as refusal:
        getattr(client, operation)()
    assert door
    return str(refusal.value.response["Error"]["Code"])


@pytest.mark.parametrize("way", ["proxy", "endpoint"])
@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sts", "get_caller_identity", "SignatureDoesNotMatch"),
        ("iam", "list_roles", "SignatureDoesNotMatch"),
        ("dynamodb", "list_tables", "InvalidSignatureException"),
        ("eks", "list_clusters", "InvalidSignatureException"),
        ("s3", "list_buckets", "SignatureDoesNotMatch"),
    ],
)
def test_a_wrong_secret_is_refused(aws: Runtime, way: str, service: str, operation: str, code: str) -> None:
    """The access key's own secret must have signed, in whichever protocol (IAM User Guide, "Create a signed AWS API request")."""
    door = aws.front_door
    if way == "proxy":
        more: dict[str, Any] = {"config": {"proxies": {"https": door.url}}, "verify": door.ca_bundle}
    else:
        more = {"endpoint_url": f"http://localhost:{door.port}"}
    assert _refused(aws, service, operation, **more) == code


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sts", "get_caller_identity", "SignatureDoesNotMatch"),
        ("dynamodb", "list_tables", "InvalidSignatureException"),
        ("s3", "list_buckets", "SignatureDoesNotMatch"),
    ],
)
def test_an_unknown_region_is_refused_in_aws_words(aws: Runtime, service: str, operation: str, code: str) -> None:
    """A signature for a Region that AWS does not have is none (IAM User Guide, "Troubleshoot signing issues")."""
    secret, endpoint = aws.key(HUB).secret_access_key, f"http://localhost:{aws.front_door.port}"
    assert _refused(aws, service, operation, secret, "us-west-9", endpoint_url=endpoint) == code


def test_presigned_links_are_checked_too(aws: Runtime) -> None:
    """A link whose object was changed after it was signed is refused with 403."""
    s3 = _bare(
        aws, "s3", REGION, Config(signature_version="s3v4"), endpoint_url=f"http://localhost:{aws.front_door.port}"
    )
    s3.put_object(Bucket="things", Key="mine", Body=b"x")
    link = s3.generate_presigned_url("get_object", Params={"Bucket": "things", "Key": "mine"})
    with urllib.request.urlopen(link) as answer:  # noqa: S310  # a link to the front door
        assert answer.read() == b"x"
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(link.replace("/mine?", "/other?"))  # noqa: S310  # a link to the front door
    assert refusal.value.code == 403


def test_s3_control_by_the_printed_endpoint(aws: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """An SDK puts the account before the endpoint's host, whose names below `localhost` are loopback (RFC 6761)."""
    stock = socket.getaddrinfo

    def resolve(host: str, *rest: Any, **named: Any) -> Any:
        return stock("127.0.0.1" if host.endswith(".localhost") else host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)  # not every system's resolver follows the RFC
    assert aws.front_door.endpoint == f"http://localhost:{aws.front_door.port}"
    control = _bare(aws, "s3control", REGION, Config(), endpoint_url=aws.front_door.endpoint)
    assert control.list_access_points(AccountId=HUB)["AccessPointList"] == []


@pytest.mark.parametrize("size", [0, 10, 300_000])
def test_streamed_uploads_arrive_as_they_are(aws: Runtime, size: int) -> None:
    """``aws-chunked`` with a trailing checksum and ``Expect: 100-continue`` is what boto3 sends for a file."""
    content = os.urandom(size)
    s3 = _proxied(aws, "s3")
    s3.put_object(Bucket="things", Key=f"file-{size}", Body=io.BytesIO(content))
    read = s3.get_object(Bucket="things", Key=f"file-{size}")["Body"].read()
    assert hashlib.sha256(read).digest() == hashlib.sha256(content).digest()
    assert s3.head_object(Bucket="things", Key=f"file-{size}")["ContentLength"] == size


def test_s3_control_keeps_its_account_in_the_host(aws: Runtime) -> None:
    """The account id is a label of the host name, which a plain endpoint would lose."""
    control = _proxied(aws, "s3control")
    assert control.list_access_points(AccountId=HUB)["AccessPointList"] == []


def test_hosts_outside_aws_are_refused(aws: Runtime) -> None:
    """The sandbox is no way to the internet: 502."""
    connection = http.client.HTTPSConnection("127.0.0.1", aws.front_door.port)
    connection.set_tunnel("example.com")
    with pytest.raises(OSError, match="502"):
        connection.request("GET", "/")


def test_other_processes_need_the_environment_alone(aws: Runtime) -> None:
    """boto3 in a fresh process, with nothing patched, reaches the sandbox by environment variables."""
    key = aws.key(HUB)
    program = "import boto3, json; print(json.dumps(boto3.client('s3').list_buckets()['Buckets'], default=str))"
    environment = {
        **aws.front_door.environment(),
        "PATH": os.environ["PATH"],
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_DEFAULT_REGION": REGION,
    }
    done = subprocess.run(  # noqa: S603  # a program of this file
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=30
    )
    assert [bucket["Name"] for bucket in json.loads(done.stdout)] == ["things"]


def test_the_ca_bundle_holds_the_sandboxs_ca_alone(aws: Runtime) -> None:
    """Clients that trust it trust nothing else."""
    with open(aws.front_door.ca_bundle) as bundle:  # noqa: PTH123  # a path as clients get it
        assert bundle.read().count("BEGIN CERTIFICATE") == 1


class _Cluster:
    """A virtual host that tells what it was asked."""

    def __init__(self) -> None:
        self.certificate_authority = trustme.CA()

    def serves(self, host: str) -> bool:
        return host.endswith(".eks.example")

    def handle(self, request: Request) -> Response:
        told = {"method": request.method, "url": request.url, "body": request.body.decode()}
        return Response(201, {"Content-Type": "application/json"}, json.dumps(told).encode())


def test_a_virtual_host_has_a_ca_of_its_own(aws: Runtime) -> None:
    """Its clients must trust its CA, not the sandbox's; a chunked body arrives whole."""
    cluster = _Cluster()
    aws.front_door.register(cluster)
    trusted = ssl.create_default_context()
    cluster.certificate_authority.configure_trust(trusted)
    with httpx2.Client(proxy=aws.front_door.url, verify=trusted) as client:
        answer = client.post("https://abc.eks.example/apis?dryRun=All", content=iter([b"some", b"thing"]))
    assert answer.status_code == 201
    assert answer.json() == {
        "method": "POST",
        "url": "https://abc.eks.example/apis?dryRun=All",
        "body": "something",
    }
    sandbox_only = ssl.create_default_context(cafile=aws.front_door.ca_bundle)
    with httpx2.Client(proxy=aws.front_door.url, verify=sandbox_only) as client, pytest.raises(httpx2.ConnectError):
        client.get("https://abc.eks.example/")


# --- endpoint mode ---------------------------------------------------------------------------------------------------


def test_a_plain_endpoint_url_serves_every_service(aws: Runtime) -> None:
    """Service and Region come from the signature."""
    endpoint = {"endpoint_url": f"http://localhost:{aws.front_door.port}"}
    assert _bare(aws, "sts", REGION, Config(), **endpoint).get_caller_identity()["Account"] == HUB
    s3 = _bare(aws, "s3", REGION, Config(s3={"addressing_style": "path"}, signature_version="s3v4"), **endpoint)
    s3.put_object(Bucket="things", Key="plain", Body=b"x")
    assert s3.get_object(Bucket="things", Key="plain")["Body"].read() == b"x"
    link = s3.generate_presigned_url("get_object", Params={"Bucket": "things", "Key": "plain"})
    with urllib.request.urlopen(link) as answer:  # noqa: S310  # a link to the front door
        assert answer.read() == b"x"


def test_an_unsigned_request_to_the_endpoint_is_refused(aws: Runtime) -> None:
    """Nothing tells which service it means."""
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(aws.front_door.url)  # noqa: S310  # the front door
    assert refusal.value.code == 403


def _signed(service: str, url: str = "http://localhost:1/path?x=1", **headers: str) -> Request:
    scope = f"AWS4-HMAC-SHA256 Credential=AKIA/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host"
    return Request("POST", url, _headers({"Authorization": scope, **headers}))


def _headers(values: dict[str, str]) -> Any:
    headers = Request("GET", "").headers.copy()
    headers.update(values)
    return headers


@pytest.mark.parametrize(
    ("request_", "url"),
    [
        (_signed("iam"), "https://iam.amazonaws.com/path?x=1"),
        (_signed("sagemaker"), f"https://api.sagemaker.{REGION}.amazonaws.com/path?x=1"),
        (_signed("states"), f"https://states.{REGION}.amazonaws.com/path?x=1"),
        (_signed("dynamodb"), f"https://dynamodb.{REGION}.amazonaws.com/path?x=1"),
        (
            _signed("dynamodb", **{"X-Amz-Target": "DynamoDBStreams_20120810.ListStreams"}),
            f"https://streams.dynamodb.{REGION}.amazonaws.com/path?x=1",
        ),
        (_signed("s3"), f"https://s3.{REGION}.amazonaws.com/path?x=1"),
        (_signed("s3", "http://127.0.0.1:9/b/k"), f"https://s3.{REGION}.amazonaws.com/b/k"),
        (
            _signed("s3", **{"x-amz-account-id": HUB}),
            f"https://{HUB}.s3-control.{REGION}.amazonaws.com/path?x=1",
        ),
    ],
)
def test_the_real_url_is_rebuilt(request_: Request, url: str) -> None:
    """From the signature's scope, the operation's target and the account header."""
    rebuilt = real_request(request_)
    assert rebuilt.url == url
    assert rebuilt.headers["host"] == rebuilt.host


def test_a_service_that_does_not_exist_is_refused() -> None:
    """EndpointError names what is missing."""
    with pytest.raises(EndpointError):
        real_request(Request("GET", "http://localhost/"))


def test_it_listens_on_loopback_only() -> None:
    """And on the port that was asked for, which is free again afterwards."""
    door = FrontDoor().start()
    assert door.url == f"http://127.0.0.1:{door.port}"
    port = door.port
    door.stop()
    again = FrontDoor(port).start()
    assert again.port == port
    again.stop()


def test_a_length_that_is_no_number_is_a_bad_request(aws: Runtime) -> None:
    """The connection is answered before it ends (RFC 9112, section 6.3: an invalid Content-Length is a 400)."""
    with closing(http.client.HTTPConnection("127.0.0.1", aws.front_door.port, timeout=10)) as connection:
        connection.request("POST", "/", headers={"Content-Length": "many"})
        assert connection.getresponse().status == 400


@pytest.mark.parametrize(
    ("headers", "path"),
    [
        ({"Origin": "https://evil.example"}, "/"),
        ({"Origin": "null"}, "/"),
        ({"Sec-Fetch-Site": "cross-site"}, "/things"),
        ({"Sec-Fetch-Site": "same-site"}, "/things"),
        ({"Host": "rebound.example"}, "/"),
        ({"Host": "localhost.evil.example"}, "/things"),
    ],
    ids=str,
)
def test_a_web_page_gets_no_answer(aws: Runtime, headers: dict[str, str], path: str) -> None:
    """What a browser sends for a page, signed or not, is refused before anybody looks at it (Fetch Metadata, DNS rebinding)."""
    connection = http.client.HTTPConnection("127.0.0.1", aws.front_door.port)
    with closing(connection):
        signed = AWSRequest("POST", f"http://localhost:{aws.front_door.port}{path}", data=b"Action=GetCallerIdentity")
        key = aws.key(HUB)
        SigV4Auth(Credentials(key.access_key_id, key.secret_access_key), "sts", REGION).add_auth(signed)
        connection.request("POST", path, body=b"Action=GetCallerIdentity", headers={**dict(signed.headers), **headers})
        answer = connection.getresponse()
        assert (answer.status, b"Access-Control" in b"".join(name.encode() for name, _ in answer.getheaders())) == (
            403,
            False,
        )
        told = answer.read().decode()
    assert "answers no web pages" in told or "is not this machine" in told

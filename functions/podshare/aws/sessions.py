"""AWS clients: one botocore session per process, clients cached per role.

A function acts in every account by the member role for its kind of work; where that role was created again since, the
client notices. Clients that may change something ask the team's lease first, on every call, so that a function that
outlives its execution changes nothing.
"""

import contextlib
import datetime
import json
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

import boto3
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.model import OperationModel

from podshare.aws.answers import Answers, Remembering, question_of
from podshare.aws.errors import NoMemberRole, Retryable, Terminal, code_of, message_of
from podshare.installation import Installation

if TYPE_CHECKING:  # stubs are no dependency of the functions
    from types_boto3_ec2 import EC2Client
    from types_boto3_eks import EKSClient
    from types_boto3_fsx import FSxClient
    from types_boto3_iam import IAMClient
    from types_boto3_kms import KMSClient
    from types_boto3_organizations import OrganizationsClient
    from types_boto3_s3 import S3Client
    from types_boto3_s3control import S3ControlClient
    from types_boto3_sagemaker import SageMakerClient
    from types_boto3_sts import STSClient

# a timeout shorter than the function's own leaves time to tell about it; botocore retries what is throttled
CONFIG = Config(
    user_agent="podshare",  # in the trails of all accounts; botocore would put its own together again for each call
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=3,
    read_timeout=20,
)
# for what nothing waits for
_IMPATIENT = Config(
    user_agent="podshare", retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=1, read_timeout=2
)
READING = ("Get", "List", "Describe", "Head", "Query", "Scan", "BatchGet", "AssumeRole")
_RENEW_BEFORE = datetime.timedelta(minutes=10)
# what services answer to credentials that they do not know (query APIs, JSON APIs, S3); that a session whose role is
# gone is answered so is observed in the sandbox, and documented nowhere
_GONE = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"})

_REQUEST_IDS = frozenset({"x-amzn-requestid", "x-amz-request-id"})  # the latter is S3's
_REFUSED = 300  # and above: botocore raises what the answer says

Guard = Callable[[], None]


class Accounts:
    """Clients in other accounts, by the member role for one kind of work.

    With ``answers`` they ask each question once, for as long as those are kept; without, each time.
    """

    def __init__(self, installation: Installation, execution_role: str, answers: Answers | None = None) -> None:
        self._installation = installation
        self._execution_role = execution_role
        self._tags: dict[str, dict[str, str]] = {}
        self.answers = answers

    def as_of_now(self) -> "Accounts":
        """The same, which ask each time."""
        return Accounts(self._installation, self._execution_role)

    @overload
    def client(self, service: Literal["iam"], account: str, region: str = ...) -> "IAMClient": ...
    @overload
    def client(self, service: Literal["eks"], account: str, region: str = ...) -> "EKSClient": ...
    @overload
    def client(self, service: Literal["sagemaker"], account: str, region: str = ...) -> "SageMakerClient": ...
    @overload
    def client(self, service: Literal["s3"], account: str, region: str = ...) -> "S3Client": ...
    @overload
    def client(self, service: Literal["s3control"], account: str, region: str = ...) -> "S3ControlClient": ...
    @overload
    def client(self, service: Literal["kms"], account: str, region: str = ...) -> "KMSClient": ...
    @overload
    def client(self, service: Literal["fsx"], account: str, region: str = ...) -> "FSxClient": ...
    @overload
    def client(self, service: Literal["ec2"], account: str, region: str = ...) -> "EC2Client": ...
    @overload
    def client(self, service: Literal["organizations"], account: str, region: str = ...) -> "OrganizationsClient": ...
    @overload
    def client(self, service: Literal["sts"], account: str, region: str = ...) -> "STSClient": ...
    @overload
    def client(self, service: str, account: str, region: str = ...) -> Any: ...
    def client(self, service: str, account: str, region: str = "") -> Any:
        """A client of ``service`` in ``account``.

        Raises NoMemberRole if the member role cannot be assumed, Retryable if STS could not answer.
        """
        with self.awaiting(("sts", account)):
            credentials = _credentials(self._installation, account, self._execution_role)

        def renew() -> dict[str, Any]:
            return _renewed(self._installation, account, self._execution_role, credentials)

        region = region or self._installation.region
        client = _client(service, region, credentials, renew)
        if self.answers is None:
            return client
        operations: Mapping[str, str] = client.meta.method_to_api_mapping
        reads = {method for method, operation in operations.items() if operation.startswith(READING)}
        return Remembering(client, self.answers, (service, account, region), reads)

    def awaiting(self, question: Hashable) -> contextlib.AbstractContextManager[None]:
        """Note what becomes of a question that is asked within this block, and whose answer is not kept."""
        return self.answers.awaiting(question) if self.answers is not None else contextlib.nullcontext()

    def keep_answer(self, service: str, account: str, region: str, call: str, answer: Any, **asked: str) -> None:
        """Keep the answer to a call that was learned in another way, unless it was made already."""
        if self.answers is not None:
            place = (service, account, region or self._installation.region)
            self.answers.keep(question_of(place, call, (), asked), answer)

    def credentials(self, account: str) -> dict[str, str]:
        """The access key, secret and token of the member role in ``account``. Errors as in ``client``."""
        credentials = _credentials(self._installation, account, self._execution_role)
        return {name: str(credentials[name]) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}

    def member_tags(self, account: str) -> Mapping[str, str]:
        """The tags of the member role in ``account``, read once: what its member stack says of itself.

        Errors as in ``client``; ClientError if IAM could not answer.
        """
        if account not in self._tags:
            name = self._installation.member_role_arn(account, self._execution_role).rpartition("/")[2]
            role = self.client("iam", account).get_role(RoleName=name)["Role"]
            self._tags[account] = {tag["Key"]: tag["Value"] for tag in role.get("Tags", [])}
        return self._tags[account]


if TYPE_CHECKING:
    hub_client = boto3.Session().client  # the stubs know a service's type by its name
else:

    def hub_client(service: str) -> Any:
        """A client in the hub's own account and Region, with the function's own role."""
        return _client(service, "")


def impatient_hub_client(service: str) -> Any:
    """As ``hub_client``, for calls that are made once, and given up after three seconds."""
    return _client(service, "", config=_IMPATIENT)


# ---- changes need a lease --------------------------------------------------------------------------------------

_guards: list[Guard] = []


@contextlib.contextmanager
def changes_guarded_by(guard: Guard) -> Iterator[None]:
    """Allow changes in member accounts, each after ``guard``, which raises Superseded if the lease is lost.

    A Lambda environment serves one invocation at a time, so one guard per process is enough.
    """
    _guards.append(guard)
    try:
        yield
    finally:
        _guards.remove(guard)


def ask_guard() -> None:
    """Ask whether a change may be made now. Raises Superseded if not, and Terminal where no lease is held."""
    if not _guards:
        raise Terminal("a change was attempted without the team's lease")
    for guard in _guards:
        guard()


def _ask_before_changes(model: OperationModel, **_: Any) -> None:
    if not model.name.startswith(READING):
        ask_guard()


def _require_an_answer(http_response: Any, model: OperationModel, **_: Any) -> None:
    """Raise Retryable for a success that AWS did not send, or not whole: botocore takes either for one without members.

    Each answer of AWS carries a request id (AWS General Reference, "Request identifiers").
    """
    if http_response.status_code >= _REFUSED:
        return
    if not _REQUEST_IDS & {name.lower() for name in http_response.headers}:
        raise Retryable(f"{model.name} was answered by something on the way to AWS: there is no request id")
    if "json" in model.service_model.protocol and http_response.content:
        try:
            json.loads(http_response.content)
        except ValueError as error:
            raise Retryable(f"the answer to {model.name} cannot be parsed: {error}") from error


# ---- one session, one client per role --------------------------------------------------------------------------

_lock = threading.Lock()
_session: list[boto3.Session] = []
_clients: dict[tuple[str, str, str, int], Any] = {}
_assumed: dict[tuple[str, str], dict[str, Any]] = {}


def _client(
    service: str,
    region: str,
    credentials: dict[str, Any] | None = None,
    renew: Callable[[], dict[str, Any]] | None = None,
    config: Config = CONFIG,
) -> Any:
    name = (service, region, credentials["AccessKeyId"] if credentials else "", id(config))
    with _lock:  # a boto3 session is not safe for threads, its clients are
        if name not in _clients:
            if not _session:
                _session.append(boto3.Session())
            keys = (
                {
                    "aws_access_key_id": credentials["AccessKeyId"],
                    "aws_secret_access_key": credentials["SecretAccessKey"],
                    "aws_session_token": credentials["SessionToken"],
                }
                if credentials
                else {}
            )
            session: Any = _session[0]
            client = session.client(service, region_name=region or None, config=config, **keys)
            client.meta.events.register("after-call", _require_an_answer)
            if credentials:
                client.meta.events.register("before-call", _ask_before_changes)
            if renew:
                client.meta.events.register_first("needs-retry", _signing_again(renew))
            _clients[name] = client
        return _clients[name]


def _credentials(installation: Installation, account: str, execution_role: str) -> dict[str, Any]:
    known = _assumed.get((account, execution_role))
    if known and known["Expiration"] - datetime.datetime.now(datetime.UTC) > _RENEW_BEFORE:
        return known
    arn = installation.member_role_arn(account, execution_role)
    sts = _client("sts", installation.region)
    try:
        response = sts.assume_role(RoleArn=arn, RoleSessionName=f"{installation.prefix}-{execution_role}")
    except ClientError as error:
        if code_of(error) == "AccessDenied":
            raise NoMemberRole(
                f"account {account}: {arn} cannot be assumed ({message_of(error)}). "
                f"Deploy {_stack_of(execution_role)} there, of this version and for this hub."
            ) from error
        raise Retryable(f"account {account}: {arn}: {error}") from error
    _assumed[account, execution_role] = response["Credentials"]
    return _assumed[account, execution_role]


def _renewed(installation: Installation, account: str, execution_role: str, gone: dict[str, Any]) -> dict[str, Any]:
    if _assumed.get((account, execution_role)) is gone:
        _assumed.pop((account, execution_role), None)  # another thread may have been faster
    return _credentials(installation, account, execution_role)


def _signing_again(renew: Callable[[], dict[str, Any]]) -> Callable[..., int | None]:
    """Repeats a call whose role is gone, once, by the role that has its name now.

    A member stack that goes and comes back makes its roles again, and the sessions of the old ones end.
    """

    def needs_retry(
        response: tuple[Any, Mapping[str, Any]] | None, attempts: int, request_dict: dict[str, Any], **_: Any
    ) -> int | None:
        code = response[1].get("Error", {}).get("Code") if response else ""
        if code not in _GONE or attempts > 1:
            return None
        keys = renew()
        request_dict["context"].setdefault("signing", {})["request_credentials"] = Credentials(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]
        )
        return 0  # seconds before the call is made again

    return needs_retry


def _stack_of(execution_role: str) -> str:
    return "accounts/management.yaml" if execution_role == "organization" else "accounts/member.yaml"

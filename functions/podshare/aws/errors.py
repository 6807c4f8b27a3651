"""Who should try again.

    Retryable    the same call may succeed in a moment: throttling, a fault of the service, something that
                 AWS has not made known everywhere yet
    Pending      the change was requested and is in progress: check again
    Waiting      nothing can be done before something outside happens: the run ends, and begins again later
    Terminal     it fails until a person changes something; NoMemberRole: until an account has its member role
    Superseded   somebody newer acts for this team: stop, quietly

The state machine retries and catches by these names.
"""

import contextlib
import datetime
from collections.abc import Iterator

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError


class Retryable(Exception):  # noqa: N818  # the state machine matches this name
    """The same call may succeed in a moment."""


class Pending(Exception):  # noqa: N818  # as above
    """The change is under way."""


class Failed(Pending):
    """What AWS was asked for has failed, and is asked for again."""


class Waiting(Exception):  # noqa: N818  # as above
    """Nothing can be done before something outside happens."""


class Terminal(Exception):  # noqa: N818  # as above
    """It fails until a person changes something."""


class NoMemberRole(Terminal):
    """An account has no member role, or does not let the hub assume it."""


class Superseded(Exception):  # noqa: N818  # as above
    """Somebody newer acts for this team."""


OURS = (Retryable, Pending, Waiting, Terminal, Superseded)

ABSENT = frozenset(
    {
        "NoSuchEntity",
        "ResourceNotFoundException",
        "ResourceNotFound",
        "NoSuchAccessPoint",
        "NoSuchAccessPointPolicy",
        "NoSuchBucketPolicy",
        "NotFoundException",
    }
)

# codes that botocore's standard mode does not retry by itself, or gives up on (each service's API reference)
_RETRYABLE = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "SlowDown",
        "ConcurrentModification",
        "ConflictException",
        "OperationAborted",
        "DeleteConflict",
        "ServiceFailure",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "ServerException",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "RequestTimeout",
        "RequestTimeoutException",
        "TransactionConflictException",
        "DependencyTimeoutException",  # of KMS
        "KMSInternalException",
        "InvalidArnException",  # of KMS: a grantee that was made a moment ago, as Terraform's provider found
    }
)
# codes that mean "not known here yet" with the one message, and a mistake of ours with any other
_EVENTUAL = {
    "InvalidParameterException": ("invalid principal", "does not exist", "could not be found"),
    "MalformedPolicyDocument": ("Invalid principal",),
    "MalformedPolicy": ("Invalid principal",),
    "ResourceNotFoundException": ("principalArn",),
    "InvalidRequestException": ("UPDATING",),
}
KNOWN_EVERYWHERE = datetime.timedelta(minutes=1)  # after which AWS tells what was changed; usually it is 5 to 15 s
_SERVER_FAULT = 500
# no answer, or one that is not AWS's, from something on the way
_NO_ANSWER = (BotoCoreError, ResponseParserError, OSError)


def code_of(error: ClientError) -> str:
    """The error code that AWS sent."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    """The message that AWS sent."""
    return str(error.response.get("Error", {}).get("Message", ""))


def is_absent(error: ClientError) -> bool:
    """Whether AWS says that there is no such resource."""
    return code_of(error) in ABSENT


def is_explicitly_denied(error: ClientError) -> bool:
    """Whether a policy says no, which no waiting changes (IAM User Guide, "Troubleshoot access denied errors")."""
    return "explicit deny" in message_of(error)


class Tolerated(contextlib.AbstractContextManager[None, bool]):
    """Within it, an answer with one of these error codes ends the block and is no error; by default, of absence."""

    def __init__(self, *codes: str) -> None:
        self._codes = codes or ABSENT

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, ClientError) and code_of(error) in self._codes


def reason_of(error: Exception) -> str:
    """What a reading met, in words; an answer that lacks what it must have fails as anything may, such as KeyError."""
    if isinstance(error, OURS + _NO_ANSWER + (ClientError,)):
        return str(error)
    return f"the answer is not as documented ({type(error).__name__}: {error})"


def classify(error: Exception, about: str) -> Exception:
    """The error in podshare's classes, saying what was attempted on what; unknown failures are worth a few retries."""
    if isinstance(error, OURS):
        return error
    text = f"{about}: {error}"
    if isinstance(error, ClientError):
        return Retryable(text) if _is_transient(error) else Terminal(text)
    if isinstance(error, _NO_ANSWER):
        return Retryable(text)
    return error


def may_pass(error: Exception) -> bool:
    """Whether the same call may succeed in a moment."""
    return isinstance(classify(error, ""), Retryable)


def remedy_for(error: Exception, remedy: str) -> str:
    """What helps against an error: the ``remedy``, unless it may pass."""
    return "podshare tries again." if may_pass(error) else remedy


@contextlib.contextmanager
def classified(about: str) -> Iterator[None]:
    """Raise errors in podshare's classes, saying what was attempted."""
    try:
        yield
    except Exception as error:
        failure = classify(error, about)
        if failure is error:
            raise
        raise failure from error


def _is_transient(error: ClientError) -> bool:
    code, message = code_of(error), message_of(error)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    eventual = any(part in message for part in _EVENTUAL.get(code, ()))
    is_from_elsewhere = not code or code == str(status)  # botocore's code for an error that does not tell AWS's
    return code in _RETRYABLE or eventual or is_from_elsewhere or status >= _SERVER_FAULT

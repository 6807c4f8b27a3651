"""What went wrong, to which resource, and what to do: how the command reports every error."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

FAILED, INVALID, INTERRUPTED = 1, 64, 130
PENDING = 2  # no failure: changes are pending, for those who ask by --detailed-exitcode


@dataclass(eq=False)
class Failure(Exception):  # noqa: N818  # it reports errors, and refusals that are none
    """The command ends here. ``problems`` are those of records, with their places in files."""

    what: str
    remedy: str = ""
    exit_code: int = FAILED
    problems: tuple[Mapping[str, Any], ...] = ()

    def __str__(self) -> str:
        return self.what

    def as_dict(self) -> dict[str, Any]:
        """The failure for machines."""
        told = {"what": self.what, "remedy": self.remedy, "problems": [dict(problem) for problem in self.problems]}
        return {"error": told}


def invalid(what: str, remedy: str = "", problems: Iterable[Mapping[str, Any]] = ()) -> Failure:
    """Something that was given is wrong; nothing was done."""
    return Failure(what, remedy, INVALID, tuple(problems))


def exclusive(*options: tuple[str, object]) -> None:
    """Options of which at most one may be given. Raises Failure for two."""
    if len(used := [name for name, value in options if value]) > 1:
        raise invalid(f"{used[0]} and {used[1]} exclude each other.", "Give one of them.")


def interrupted(*, has_written: bool) -> Failure:
    """The person at the command has pressed Ctrl-C, before or after it has written anything."""
    remedy = "What was written stays written, and podshare continues with it." if has_written else ""
    return Failure("Interrupted." if has_written else "Interrupted. No record was written.", remedy, INTERRUPTED)


_ABSENT = frozenset({"ResourceNotFoundException", "StateMachineDoesNotExist"})
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_UNKNOWN_KEY = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "InvalidSignatureException"})
_LOG_IN = "Log in again (for example with `aws sso login`), or use another profile with --profile."
# the least of podshare's managed policies that allows what the command calls
_LEAST = {
    **dict.fromkeys(("BatchGetItem", "GetItem", "Query", "Scan"), "auditor"),
    **dict.fromkeys(("ListExecutions", "DescribeExecution", "GetExecutionHistory"), "auditor"),
    **dict.fromkeys(("ListObjectsV2", "GetObject"), "auditor"),  # of the history
    "Invoke": "planner",
    "StartExecution": "operator",
    **dict.fromkeys(("TransactWriteItems", "DeleteItem"), "admin"),
}
_REFUSED = re.compile(
    r"User: (?P<who>arn:\S+) is not authorized to perform: (?P<action>\S+)"
    r"(?: on resource: (?P<resource>\S+))?(?: because (?P<why>.+))?"
)


def explain(error: Exception, prefix: str, place: str, least: str = "", who: str = "") -> Failure | None:
    """What an error of boto3 means to the command's user; None for an error that is not of AWS's making.

    ``place`` names the account and Region that were asked; ``least`` the managed policy that is needed for what the
    command was doing, where that is more than what was refused; ``who`` is the ARN of whoever asked, where it is known.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # only once it has gone wrong

    if isinstance(error, ClientError):
        failure = _explain_answer(error.response.get("Error", {}), error.operation_name, prefix, place, least)
        is_named = not who or who in failure.what
        return failure if is_named else replace(failure, what=f"{failure.what.rstrip('.')}. You are {who}.")
    if isinstance(error, BotoCoreError):
        return _explain_no_answer(error, place)
    return None


def _explain_answer(answer: Mapping[str, Any], operation: str, prefix: str, place: str, least: str) -> Failure:
    code, message = str(answer.get("Code", "")), str(answer.get("Message", ""))
    if code in _ABSENT and operation in _LEAST:  # of podshare's own tables, functions and state machines
        what = f"podshare with the prefix {prefix} is not deployed in {place} ({operation}: {message or code})."
        remedy = "If it is deployed elsewhere, correct --region, --profile (the hub's account) or --prefix."
        return Failure(what, remedy)
    if code in DENIED:
        return _explain_refusal(message, operation, prefix, place, least)
    if code in _EXPIRED:
        return Failure(f"Your AWS credentials have expired ({operation} in {place}).", _LOG_IN)
    if code in _UNKNOWN_KEY:
        return Failure(f"AWS does not recognize your credentials ({operation} in {place}): {message}", _LOG_IN)
    return Failure(f"{operation} in {place} failed: {code}: {message}")


def _explain_refusal(message: str, operation: str, prefix: str, place: str, least: str) -> Failure:
    """Who may not do what where, and the least policy that allows it."""
    match = _REFUSED.search(message)
    who, action = (match["who"], match["action"]) if match else ("You", operation)
    place = place.replace("this account", f"account {who.split(':')[4]}") if match else place
    reason = (match["why"] if match else message) or message
    what = f"{who} may not call {action} in {place}: {reason}"
    if "explicit deny" in message:
        return Failure(what, "A policy denies it, whatever others allow: ask whoever manages that policy.")
    policy = least or _LEAST.get(operation)
    if policy is None:
        return Failure(what, f"Allow {action}; podshare's own policies do not.")
    remedy = (
        f"Attach the managed policy {prefix}-{policy} (path /{prefix}-system/), the least that allows this. If you "
        f"have it, podshare is deployed elsewhere: correct --region, --profile or --prefix."
    )
    return Failure(what, remedy)


def _explain_no_answer(error: Exception, place: str) -> Failure:
    match type(error).__name__:
        case "NoCredentialsError" | "PartialCredentialsError" | "CredentialRetrievalError":
            return Failure(f"No AWS credentials: {error}", _LOG_IN)
        case "ProfileNotFound":
            remedy = "Use a profile of ~/.aws/config with --profile or AWS_PROFILE."
            return invalid(f"No such profile: {error}", remedy)
        case "NoRegionError":
            return invalid("No AWS Region is configured.", "Set podshare's Region with --region or AWS_REGION.")
        case "SSOTokenLoadError" | "UnauthorizedSSOTokenError" | "TokenRetrievalError" | "LoginRefreshRequired":
            return Failure(f"Your sign-in has expired: {error}", _LOG_IN)
        case "EndpointConnectionError" | "ConnectTimeoutError" | "ReadTimeoutError" | "ProxyConnectionError":
            remedy = "Check the network, AWS_ENDPOINT_URL and HTTPS_PROXY."
            return Failure(f"AWS cannot be reached in {place}: {error}", remedy)
        case _:
            return Failure(f"In {place}: {error}")

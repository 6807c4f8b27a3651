"""What a check found, and how a check that AWS refuses ends."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from podshare_cli.aws.accounts import Accounts

WARN_FROM = 0.8  # of a quota that cannot be raised at once

_NO_RESOURCE = ("NoSuchEntity", "NotFound", "ResourceNotFound", "ResourceNotFoundException")
_ABSENT = (*_NO_RESOURCE, "StateMachineDoesNotExist", "TrailNotFoundException", "AWSOrganizationsNotInUseException")


class Status(StrEnum):
    """The result of a check; UNKNOWN where the caller may not look, or nothing is there to check yet."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One resource that was checked: where, what it is, how it stands, and what to run about it."""

    where: str
    check: str
    status: Status
    what: str
    run: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The finding for scripts."""
        return {**asdict(self), "status": str(self.status)}


Check = Callable[[], Iterable[Finding]]
A = TypeVar("A")


def existing(call: Callable[..., A], **request: Any) -> A | None:
    """The answer to a call; None where what it asks for does not exist. Raises ClientError for any other refusal."""
    try:
        return call(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT:
            return None
        raise


@dataclass(frozen=True)
class Place:
    """Where findings are about: ``organization``, ``hub``, ``cluster main`` or ``account 222222222222``."""

    name: str

    def ok(self, check: str, message: str) -> Finding:
        """All is well."""
        return Finding(self.name, check, Status.OK, message)

    def warning(self, check: str, message: str, run: str = "") -> Finding:
        """Podshare works, and something should be checked."""
        return Finding(self.name, check, Status.WARNING, message, run)

    def problem(self, check: str, message: str, run: str = "") -> Finding:
        """Podshare does not work here until it is fixed."""
        return Finding(self.name, check, Status.PROBLEM, message, run)

    def unknown(self, check: str, message: str, run: str = "") -> Finding:
        """It could not be checked."""
        return Finding(self.name, check, Status.UNKNOWN, message, run)

    def room(self, check: str, present: int, most: int, remedy: str) -> Finding:
        """How much of a quota is in use: a warning from 80 percent, a problem where nothing is left."""
        usage = f"{present:,} of {most:,} in use"
        if present >= most:
            return self.problem(check, usage, remedy)
        return self.warning(check, usage, remedy) if present >= WARN_FROM * most else self.ok(check, usage)

    def refusal(self, accounts: Accounts, account: str) -> Finding | None:
        """Why nothing of an account can be checked; None where the caller gets into it."""
        if not accounts.reaches(account):
            message = f"not checked: no credentials for account {account}"
            return self.unknown("account", message, "podshare doctor --assume-role NAME")

        def enter() -> Iterable[Finding]:
            accounts.session(account)
            return ()

        return next(self.made("account", enter), None)

    def made(self, check: str, read: Check) -> Iterator[Finding]:
        """The findings of a check; one that AWS refuses is UNKNOWN, and stops no other."""
        try:
            yield from read()
        except ClientError as error:
            code, operation = error.response["Error"]["Code"], error.operation_name
            if code in _ABSENT:
                yield self.problem(check, f"{operation}: {error.response['Error'].get('Message', code)}")
            else:
                yield self.unknown(check, f"{operation} answered {code}: {error.response['Error'].get('Message', '')}")
        except BotoCoreError as error:
            yield self.unknown(check, f"not reached: {error}")

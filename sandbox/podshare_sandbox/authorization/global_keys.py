"""Global condition keys of a request's way to AWS, and of its resource; those of its principal: ``principals``.

Source: IAM User Guide, "AWS global condition context keys", the availability of each, and "Forward access sessions".
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from podshare_sandbox.authorization import accounts
from podshare_sandbox.authorization.conditions import Values

_LOOPBACK = "127.0.0.1"
"""Every client of the sandbox is on its machine."""
_ADDRESS_OF_SERVICES = "192.0.2.1"
"""Stands for the addresses of AWS's services; nobody has it (RFC 5737), so that no range of one's own covers it."""
_TELL_WHO_CALLED = {"cloudformation.amazonaws.com"}
"""Those of the services that the sandbox plays in a caller's name which set aws:CalledVia ("CalledVia services")."""
_HOME_OF_GLOBAL_SERVICES = "us-east-1"

_acting: ContextVar[str | None] = ContextVar("service that acts on the caller's behalf", default=None)


def of_client(user_agent: str, vpc: str | None = None) -> dict[str, Values]:
    """A request that a client makes itself; from a VPC it comes through an endpoint, and shows no public address.

    Within :func:`acting` it is one of a service.
    """
    if service := _acting.get():
        return on_behalf(service)
    network = {"aws:sourcevpc": vpc} if vpc else {"aws:sourceip": _LOOPBACK}
    return {"aws:viaawsservice": "false", "aws:useragent": user_agent, "aws:securetransport": "true", **network}


def on_behalf(service: str) -> dict[str, Values]:
    """A request that ``service`` makes with the caller's own permissions, from an address of its own.

    It does so with temporary credentials, a user's too ("aws:MultiFactorAuthPresent").
    """
    via: dict[str, Values] = {"aws:calledvia": (service,), "aws:calledviafirst": service, "aws:calledvialast": service}
    told = via if service in _TELL_WHO_CALLED else {}
    return {**_of_service(service), "aws:viaawsservice": "true", "aws:multifactorauthpresent": "false", **told}


@contextmanager
def acting(service: str) -> Iterator[None]:
    """Let what this thread asks of AWS meanwhile be asked by ``service`` on the caller's behalf."""
    token = _acting.set(service)
    try:
        yield
    finally:
        _acting.reset(token)


def in_role(service: str) -> dict[str, Values]:
    """A request of ``service`` in its own name, or in a service role or service-linked role."""
    return {**_of_service(service), "aws:viaawsservice": "false"}


def _of_service(service: str) -> dict[str, Values]:
    return {"aws:useragent": service, "aws:sourceip": _ADDRESS_OF_SERVICES, "aws:securetransport": "true"}


def of_resource(account: str) -> dict[str, Values]:
    """The account that the resource lies in, and where that is in its organization."""
    return {"aws:resourceaccount": account, **_organization("aws:resource", account)}


def of_source(arn: str | None, account: str | None) -> dict[str, Values]:
    """The resource for which a service makes its request, as far as it tells."""
    told = {"aws:sourcearn": arn, "aws:sourceaccount": account}
    known: dict[str, Values] = {key: value for key, value in told.items() if value}
    return {**known, **_organization("aws:source", account)} if account else known


def _organization(prefix: str, account: str) -> dict[str, Values]:
    path = accounts.path_of(account) if account else None
    return {f"{prefix}orgid": path.partition("/")[0], f"{prefix}orgpaths": (path,)} if path else {}


def region_of(*arns: str | None) -> str:
    """The Region of the first ARN that has one, else that of AWS's global services."""
    regions = (arn.split(":")[3] for arn in arns if arn and arn.startswith("arn:"))
    return next(filter(None, regions), _HOME_OF_GLOBAL_SERVICES)

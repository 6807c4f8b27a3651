"""What services tell authorization of their own resources.

Services stand on authorization, which therefore imports none of them: each registers here, when it is imported, what
only it can tell. What moto alone tells, the modules of this package read themselves.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from podshare_sandbox.authorization.call import Call, Check
from podshare_sandbox.authorization.conditions import Values

Document = str | Mapping[str, Any] | None


@dataclass(frozen=True)
class Service:
    """What one service tells; what it leaves out is nothing."""

    arns: Callable[[Call], Mapping[str, tuple[str, ...]]] = lambda _: {}
    """The ARNs, by resource type, of existing resources that a call names and whose ARNs it cannot know."""
    tags: Callable[[Call, str], Mapping[str, str]] = lambda _, arn: {}  # noqa: ARG005  # as the type says
    """The tags of the resource with an ARN."""
    policy: Callable[[str, str, str], Document] = lambda _, region, resource: None  # noqa: ARG005
    """The policy of a resource, by the account, Region and resource of its ARN."""
    keys: Callable[[Call], Mapping[str, Values]] = lambda _: {}
    """Condition keys (lower case) of a call."""
    checks: Callable[[Call], Iterable[Check]] = lambda _: ()
    """What a call must be allowed besides its own action."""
    refusal: Callable[[str], tuple[str, str] | None] = lambda _: None
    """Code and message with which the service refuses, to another service, any use of the resource with an ARN."""


class AccessPoint(Protocol):
    """An S3 access point as far as authorization looks at it."""

    name: str
    account: str
    region: str
    bucket: str

    @property
    def arn(self) -> str: ...

    @property
    def enforced_policy(self) -> Any: ...

    @property
    def network_origin(self) -> str: ...

    @property
    def restricts_cross_account(self) -> bool: ...


@dataclass
class ObjectStore:
    """What S3 tells of its data requests beyond moto's buckets."""

    access_point: Callable[[str], AccessPoint | None] = lambda _: None
    """The access point of an ARN, an alias or a request's host."""
    source_vpc: Callable[[], str | None] = lambda: None
    """The VPC that the request comes from; None for the internet."""
    restricts_cross_account: Callable[[str], bool] = lambda _: False
    """Whether RestrictPublicBuckets bars other accounts from a bucket."""


s3 = ObjectStore()
_services: dict[str, Service] = {}
_SILENT = Service()


def register(name: str, service: Service) -> None:
    """Let ``service`` tell of what lies in ARNs, and is called in IAM, under ``name``."""
    _services[name] = service


def of(name: str) -> Service:
    """What the service of this name tells; nothing where none has registered."""
    return _services.get(name, _SILENT)

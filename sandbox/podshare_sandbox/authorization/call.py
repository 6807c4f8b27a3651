"""One API call as authorization sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from podshare_sandbox.authorization.conditions import Values
from podshare_sandbox.authorization.principals import Principal


@dataclass(frozen=True)
class Call:
    """An operation of a service (botocore's name) with its parsed parameters, before it runs."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    region: str
    caller: Principal
    origin: Mapping[str, Values] = field(default_factory=dict)
    """The condition keys of the request's way to AWS (``global_keys``)."""

    @property
    def account(self) -> str:
        """The account that the call works in, unless an ARN says otherwise."""
        return self.caller.account

    def first(self, *names: str) -> str:
        """The first of the named parameters that has a value, else an empty string."""
        return next((str(self.parameters[name]) for name in names if self.parameters.get(name)), "")


@dataclass(frozen=True)
class Check:
    """One question to IAM: an action on one resource, with the context keys that the call brings."""

    action: str
    resource: str
    context: Mapping[str, Values] = field(default_factory=dict)


def unmapped(call: Call, why: str) -> NotImplementedError:
    """The error for a call whose permission the sandbox cannot name: it refuses rather than guess."""
    return NotImplementedError(f"authorization of {call.service}:{call.operation}: {why}")

"""The policies that resources carry themselves: of queues, topics, buses, functions, keys, tables and roles."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.models import lambda_backends
from moto.dynamodb.models import dynamodb_backends
from moto.events.models import events_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from podshare_sandbox.authorization import accounts, policy, registrations, signatures
from podshare_sandbox.authorization.policy import Policy
from podshare_sandbox.authorization.principals import role_as_known, role_by_arn
from podshare_sandbox.authorization.registrations import Document

_ARN_FIELDS = 6
_TRUSTED_ACTIONS = {"sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"}


@dataclass(frozen=True)
class ResourcePolicy:
    """A resource's policies; ``decides`` where even its own account needs their leave."""

    policies: tuple[Policy, ...] = ()
    decides: bool = False


def policy_of(action: str, arn: str) -> ResourcePolicy:
    """What the resource itself says about ``action``; nothing for kinds of resources without policies."""
    if action in _TRUSTED_ACTIONS:
        return _trust(arn)
    fields = arn.split(":", _ARN_FIELDS - 1)
    if len(fields) < _ARN_FIELDS:
        return ResourcePolicy()
    _, _, service, region, account, resource = fields
    if region and not signatures.region_exists(region):  # nothing is there, and the service itself says so
        return ResourcePolicy()
    read = _READERS.get(service, registrations.of(service).policy)
    document = read(account, region, resource)
    # of a key that is not there KMS itself tells
    return ResourcePolicy((policy.parse(document),) if document else (), decides=service == "kms" and bool(document))


def _trust(arn: str) -> ResourcePolicy:
    """Nobody can assume a role in an account that is suspended or closed, whomever it trusts."""
    role = role_by_arn(arn)
    known = role_as_known(role, "authorization") if role and accounts.is_usable(role.account_id) else None
    document = known.assume_role_policy_document if known else None
    return ResourcePolicy((policy.parse(document),) if document else (), decides=True)


def _queue(account: str, region: str, name: str) -> Document:
    queue: Any = sqs_backends[account][region].queues.get(name)
    return queue.policy if queue else None


def _topic(account: str, region: str, name: str) -> Document:
    topic: Any = sns_backends[account][region].topics.get(f"arn:aws:sns:{region}:{account}:{name}")
    return topic.policy if topic else None


def _bus(account: str, region: str, resource: str) -> Document:
    kind, _, name = resource.partition("/")
    bus: Any = events_backends[account][region].event_buses.get(name) if kind == "event-bus" else None
    return bus.policy if bus else None


def _function(account: str, region: str, resource: str) -> Document:
    kind, _, name = resource.partition(":")
    if kind != "function":
        return None
    try:
        statements = lambda_backends[account][region].get_function(name.partition(":")[0]).policy.statements
    except UnknownFunctionException:
        return None
    return {"Version": "2012-10-17", "Statement": statements} if statements else None


def _table(account: str, region: str, resource: str) -> Document:
    policies: Any = dynamodb_backends[account][region].resource_policies
    found = policies.get(f"arn:aws:dynamodb:{region}:{account}:{resource}")
    return found.policy_doc if found else None


_READERS: dict[str, Callable[[str, str, str], Document]] = {
    "sqs": _queue,
    "sns": _topic,
    "events": _bus,
    "lambda": _function,
    "dynamodb": _table,
}

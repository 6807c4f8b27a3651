"""The decisions themselves: may this principal, or this service, do this here and now? Each is recorded."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from moto.iam.models import Role

from podshare_sandbox import clock
from podshare_sandbox.authorization import decisions, global_keys, policy, resource_control, resource_policies
from podshare_sandbox.authorization.actions import account_of
from podshare_sandbox.authorization.call import Check
from podshare_sandbox.authorization.conditions import Context, Values
from podshare_sandbox.authorization.decisions import Decision
from podshare_sandbox.authorization.policy import Findings, Outcome, Policy, PrincipalNames, Request, Verdict
from podshare_sandbox.authorization.principals import (
    Principal,
    authority_of,
    context_of,
    is_service_linked,
    now_context,
    role_by_arn,
)
from podshare_sandbox.authorization.sessions import Session, SessionRequest, live_role, open_session

# Lambda, Step Functions and EventBridge hold credentials for longer than a caller of STS gets by default
_SERVICE_SESSION = timedelta(hours=6)
# EKS makes its session tags transitive (EKS User Guide, "Grant Pods access to AWS resources based on tags")
_TRANSITIVE_TAGS = {"pods.eks.amazonaws.com"}
# what IAM's refusals name by kind and name alone, whatever its path; by its ARN what is to be made, passed or tagged
# (org-formation/aws-resource-providers#66, fivexl/terraform-aws-sso-elevator#21, terraform-aws-eks#2517)
_IAM_ENTITY = re.compile(r"arn:aws:iam::\d{12}:(role|user|group)/(?:.*/)?([^/]+)")
_BY_ARN = ("iam:Create", "iam:PassRole", "iam:Tag")


class AccessDenied(Exception):  # noqa: N818  # AWS's own name
    """A refusal; the text is AWS's sentence."""


@dataclass(frozen=True)
class Credentials:
    """Temporary credentials of an assumed role."""

    access_key: str
    secret_key: str
    token: str
    expiration: datetime


def authorize(principal: Principal, checks: Iterable[Check]) -> None:
    """Allow all of ``checks``, or raise AccessDenied for the first that is refused."""
    for check in checks:
        request = request_of(principal, check)
        resource = resource_policies.policy_of(check.action, check.resource)
        findings = find(principal, request, resource.policies)
        outcome = policy.decide(
            findings,
            check.action,
            same_account=_is_own(principal, check),
            resource_policy_decides=resource.decides,
        )
        settle(principal, request, outcome)


def _is_own(principal: Principal, check: Check) -> bool:
    """ARNs of AWS Organizations hold the management account's id, whichever member's policies decide."""
    owner = "" if check.action.startswith("organizations:") else account_of(check.resource)
    return owner in ("", principal.account)


def request_of(principal: Principal, check: Check) -> Request:
    """The check in the context of its principal and of the moment."""
    return Request(check.action, check.resource, {**now_context(), **context_of(principal), **check.context})


def find(principal: Principal, request: Request, resource_policies_: Iterable[Policy]) -> Findings:
    """What each of the principal's policies, of the resource's and of the organization's says."""
    role = live_role(principal.session) if principal.session else None
    limits = () if role and is_service_linked(role) else _resource_control(request)
    return policy.find(authority_of(principal), principal.names, request, resource_policies_, limits)


def _resource_control(request: Request) -> tuple[Policy, ...]:
    """The resource control policies of the account that the resource lies in."""
    owner = account_of(request.resource) or str(request.context.get("aws:resourceaccount", ""))
    return resource_control.policies_for(request.action, request.resource, owner)


def settle(principal: Principal, request: Request, outcome: Outcome) -> None:
    """Record the outcome. Raises AccessDenied if it is a refusal."""
    _record(principal.identity_arn, request, outcome)
    if not outcome.allowed:
        raise AccessDenied(_sentence(principal.arn, request, outcome))


def _sentence(arn: str, request: Request, outcome: Outcome) -> str:
    """AWS's words: STS does not say why it refuses silently."""
    sentence = f"User: {arn} is not authorized to perform: {request.action} on resource: {_resource_in_words(request)}"
    silent = request.action.startswith("sts:") and outcome.reason.startswith("because")
    return sentence if silent else f"{sentence} {outcome.reason}"


def _resource_in_words(request: Request) -> str:
    """S3 puts the resource in quotation marks, IAM leaves the path of its entities out."""
    if request.action.startswith("s3:"):
        return f'"{request.resource}"'
    entity = _IAM_ENTITY.fullmatch(request.resource)
    if entity and request.action.startswith("iam:") and not request.action.startswith(_BY_ARN):
        return f"{entity[1]} {entity[2]}"
    return request.resource


def _record(who: str, request: Request, outcome: Outcome) -> None:
    decisions.record(Decision(who, request.action, request.resource, outcome.allowed, outcome.reason, clock.now()))


# --- AWS services as callers --------------------------------------------------------------------------------


def assume_as_service(
    role_arn: str,
    service: str,
    *,
    session_name: str,
    source_arn: str | None = None,
    source_account: str | None = None,
    request_tags: Mapping[str, str] | None = None,
    region: str | None = None,
) -> Credentials:
    """Credentials of ``role_arn`` for the AWS service ``service`` (such as ``lambda.amazonaws.com``).

    The role's trust policy decides, with aws:SourceArn, aws:SourceAccount and aws:RequestTag/… in context.
    ``region`` is that of STS which the service asks, by default its source's.
    Raises AccessDenied where there is no such role or its trust policy does not allow it.
    """
    tags = dict(request_tags or {})
    context: dict[str, Values] = {
        **global_keys.of_source(source_arn, source_account),
        "aws:requestedregion": region or global_keys.region_of(source_arn),
        **{f"aws:requesttag/{key.lower()}": value for key, value in tags.items()},
    }
    if tags:
        context["aws:tagkeys"] = tuple(tags)
    role = role_by_arn(role_arn)
    for action in ("sts:AssumeRole", "sts:TagSession") if tags else ("sts:AssumeRole",):
        trust = resource_policies.policy_of(action, role_arn).policies
        _settle_service(service, Request(action, role_arn, _service_context(service, role_arn, context)), trust)
    transitive = frozenset(tags) if service in _TRANSITIVE_TAGS else frozenset()
    return credentials_of(_open(role, SessionRequest(session_name, _SERVICE_SESSION, tags, transitive)))


def _open(role: Role | None, request: SessionRequest) -> Session:
    if role is None:  # deleted since its trust was read
        raise AccessDenied(f"the role to assume as {request.name} does not exist")
    return open_session(role, request)


def credentials_of(session: Session) -> Credentials:
    """What the session's holder is given."""
    return Credentials(session.access_key, session.secret_key, session.token, session.expiration)


def check_service_call(
    service: str,
    action: str,
    resource_arn: str,
    resource_policy: str | Mapping[str, Any] | None,
    *,
    source_arn: str | None,
    source_account: str | None,
) -> None:
    """Whether the AWS service ``service`` may do ``action`` by the policy of the resource alone.

    Such as ``events.amazonaws.com`` sending to a queue. ``resource_policy`` None is the policy that the
    resource has. Raises AccessDenied.
    """
    if resource_policy is None:
        policies = resource_policies.policy_of(action, resource_arn).policies
    else:
        policies = (policy.parse(resource_policy),)
    asked = {"aws:requestedregion": global_keys.region_of(resource_arn, source_arn)}
    source = global_keys.of_source(source_arn, source_account)
    context = _service_context(service, resource_arn, {**asked, **source})
    _settle_service(service, Request(action, resource_arn, context), policies)


def _service_context(service: str, resource_arn: str, context: Mapping[str, Values]) -> Context:
    return {
        **now_context(),
        **global_keys.in_role(service),
        **global_keys.of_resource(account_of(resource_arn)),
        "aws:principalisawsservice": "true",
        "aws:principalservicename": service,
        "aws:principalservicenameslist": (service,),
        **context,
    }


def _settle_service(service: str, request: Request, policies: Iterable[Policy]) -> None:
    names = PrincipalNames(service=service)
    limited = policy.evaluate_resource_control(_resource_control(request), request, names)
    verdict = policy.evaluate_for(policies, request, names)
    reasons = {
        Verdict.DENY: "with an explicit deny in a resource-based policy",
        Verdict.NOTHING: f"because no resource-based policy allows the {request.action} action",
    }
    outcome = Outcome(verdict not in reasons, reasons.get(verdict, "allowed"))
    if limited is Verdict.DENY:
        outcome = Outcome(False, "with an explicit deny in a resource control policy")
    _record(service, request, outcome)
    if not outcome.allowed:
        raise AccessDenied(
            f"{service} is not authorized to perform: {request.action} on resource: {request.resource} {outcome.reason}"
        )

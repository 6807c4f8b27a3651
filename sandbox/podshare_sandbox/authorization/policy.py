"""Evaluation of IAM policy documents: what a set of policies says about one request, without any AWS state.

Sources: IAM User Guide, "Policy evaluation logic" and its pages on requests within one account, across
accounts, permissions boundaries and session policies, "Principal" and "NotPrincipal"; AWS Organizations User Guide,
"SCP evaluation" and "RCP evaluation".
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

from podshare_sandbox.authorization.conditions import Context, arn_like, holds, like

Condition = tuple[str, str, tuple[str, ...]]
"""Operator, context key and the values that the policy expects."""


@dataclass(frozen=True)
class Statement:
    """One statement of a policy; ``None`` stands for an element that the statement does not have."""

    allow: bool
    actions: tuple[str, ...] | None
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    not_resources: tuple[str, ...] | None
    principals: Mapping[str, tuple[str, ...]] | None
    not_principals: Mapping[str, tuple[str, ...]] | None
    conditions: tuple[Condition, ...]
    variables: bool


Policy = tuple[Statement, ...]

_EVERYBODY = "*"


@dataclass(frozen=True)
class Request:
    """What is asked: one action on one resource, in a context (keys in lower case)."""

    action: str
    resource: str
    context: Context


@dataclass(frozen=True)
class PrincipalNames:
    """The names under which the ``Principal`` element of a policy may mean the caller.

    ``arn`` is a user's or a role session's ARN, ``unique_id`` the id of the user or role (AIDA…, AROA…).
    An AWS service has ``service`` alone.
    """

    account: str = ""
    arn: str = ""
    role_arn: str | None = None
    unique_id: str = ""
    service: str | None = None


class Verdict(IntEnum):
    """What a set of policies says; of several allowing statements the most direct one counts."""

    NOTHING = 0
    ACCOUNT = 1
    """A resource policy allows the account, which leaves it to the account's own policies."""
    ALLOW = 2
    """Allowed, within permissions boundary and session policy."""
    DIRECT = 3
    """A resource policy names the very user or role session, or everybody: no implicit deny limits that."""
    DENY = 4


def parse(document: str | Mapping[str, Any]) -> Policy:
    """The statements of a policy document, which must be valid (services/iam.py validates). Cached by its text."""
    return _parse_text(document if isinstance(document, str) else json.dumps(document))


@lru_cache(maxsize=4096)
def _parse_text(text: str) -> Policy:
    document = json.loads(text)
    variables = document.get("Version") == "2012-10-17"
    return tuple(_statement(statement, variables) for statement in _listed(document.get("Statement", [])))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _strings(statement: Mapping[str, Any], element: str) -> tuple[str, ...] | None:
    if element not in statement:
        return None
    return tuple(_text(value) for value in _listed(statement[element]))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _principals(statement: Mapping[str, Any], element: str) -> Mapping[str, tuple[str, ...]] | None:
    principals = statement.get(element)
    if principals is None:
        return None
    if principals == "*":
        return {"AWS": (_EVERYBODY,)}
    return {kind: tuple(_listed(names)) for kind, names in principals.items()}


def _statement(statement: Mapping[str, Any], variables: bool) -> Statement:
    return Statement(
        allow=statement["Effect"] == "Allow",
        actions=_strings(statement, "Action"),
        not_actions=_strings(statement, "NotAction"),
        resources=_strings(statement, "Resource"),
        not_resources=_strings(statement, "NotResource"),
        principals=_principals(statement, "Principal"),
        not_principals=_principals(statement, "NotPrincipal"),
        conditions=tuple(
            (operator, key, tuple(_text(value) for value in _listed(values)))
            for operator, tests in statement.get("Condition", {}).items()
            for key, values in tests.items()
        ),
        variables=variables,
    )


def evaluate(policies: Iterable[Policy], request: Request) -> Verdict:
    """What identity policies, a boundary or session policies say: NOTHING, ALLOW or DENY."""
    verdict = Verdict.NOTHING
    for statement in (statement for policy in policies for statement in policy):
        if _applies(statement, request):
            if not statement.allow:
                return Verdict.DENY
            verdict = Verdict.ALLOW
    return verdict


def evaluate_for(
    policies: Iterable[Policy], request: Request, names: PrincipalNames, *, is_bounded: bool = False
) -> Verdict:
    """What the policies of a resource say about the principal with ``names``, who may have a permissions boundary."""
    verdict = Verdict.NOTHING
    for statement in (statement for policy in policies for statement in policy):
        means = _means(statement, names, is_bounded)
        if means and _applies(statement, request):
            if not statement.allow:
                return Verdict.DENY
            verdict = max(verdict, means)
    return verdict


def _applies(statement: Statement, request: Request) -> bool:
    return (
        _covers_action(statement, request.action)
        and _covers_resource(statement, request)
        and all(
            holds(operator, key, expected, request.context, variables=statement.variables, denies=not statement.allow)
            for operator, key, expected in statement.conditions
        )
    )


def _covers_action(statement: Statement, action: str) -> bool:
    if statement.not_actions is not None:
        return not _is_one_of(statement.not_actions, action)
    return _is_one_of(statement.actions or (), action)


@lru_cache(maxsize=65536)
def _is_one_of(patterns: tuple[str, ...], action: str) -> bool:
    return any(like(pattern, action, ignore_case=True) for pattern in patterns)


def _covers_resource(statement: Statement, request: Request) -> bool:
    context = request.context if statement.variables else None
    if statement.not_resources is not None:
        return not any(arn_like(pattern, request.resource, context) for pattern in statement.not_resources)
    if statement.resources is None:  # a trust policy has no Resource: it speaks of its own role
        return True
    return any(arn_like(pattern, request.resource, context) for pattern in statement.resources)


def _means(statement: Statement, names: PrincipalNames, is_bounded: bool) -> Verdict:
    """How directly the statement's principal element means the caller; NOTHING if it does not."""
    if statement.not_principals is not None:
        return _excludes(statement, names, is_bounded)
    principals = statement.principals or {}
    if names.service:
        return _means_service(statement, principals, names.service)
    return max((_matches(name, names) for name in principals.get("AWS", ())), default=Verdict.NOTHING)


def _means_service(statement: Statement, principals: Mapping[str, tuple[str, ...]], service: str) -> Verdict:
    """A denial to everybody denies services too; what allows everybody is not documented to allow them."""
    everybody = not statement.allow and _EVERYBODY in principals.get("AWS", ())
    return Verdict.ALLOW if everybody or service in principals.get("Service", ()) else Verdict.NOTHING


def _matches(name: str, names: PrincipalNames) -> Verdict:
    # "Permissions boundaries and session policies do not limit permissions granted using the aws:PrincipalArn
    # condition key with a wildcard(*) in the Principal element" (on requests within a single account)
    if name in (_EVERYBODY, names.arn) or (names.role_arn is None and name == names.unique_id):
        return Verdict.DIRECT
    if name in (names.role_arn, names.unique_id):
        return Verdict.ALLOW
    return Verdict.ACCOUNT if _is_account(name, names.account) else Verdict.NOTHING


def _is_account(name: str, account: str) -> bool:
    return name in (account, f"arn:aws:iam::{account}:root")


def _excludes(statement: Statement, names: PrincipalNames, is_bounded: bool) -> Verdict:
    """NotPrincipal with Deny spares a principal only if its account, its role and itself are all listed.

    One with a permissions boundary it never spares: "… will always deny any IAM principal that has a permissions
    boundary policy attached, regardless of the values specified in the NotPrincipal element".
    """
    principals = statement.not_principals or {}
    if names.service:
        return Verdict.NOTHING if names.service in principals.get("Service", ()) else Verdict.ALLOW
    listed = principals.get("AWS", ())
    forms = [names.arn in listed, any(_is_account(name, names.account) for name in listed)]
    if names.role_arn:
        forms.append(names.role_arn in listed or names.unique_id in listed)
    spared = any(forms) if statement.allow else all(forms) and not is_bounded
    return Verdict.NOTHING if spared else Verdict.ALLOW


@dataclass(frozen=True)
class Authority:
    """The policies that speak for a principal; ``boundary``, ``session`` and ``control`` None where nothing limits.

    ``control`` are the service control policies, level by level from the account up to the organization's root.
    """

    identity: tuple[Policy, ...] = ()
    boundary: Policy | None = None
    session: tuple[Policy, ...] | None = None
    control: tuple[tuple[Policy, ...], ...] | None = None


@dataclass(frozen=True)
class Outcome:
    """Whether a request is allowed, and the end of AWS's sentence if it is not."""

    allowed: bool
    reason: str


@dataclass(frozen=True)
class Findings:
    """What each kind of policy says about one request."""

    identity: Verdict
    boundary: Verdict
    session: Verdict
    control: Verdict
    resource: Verdict
    resource_control: Verdict

    def explicit_deny(self) -> Outcome | None:
        for kind, verdict in self._by_kind():
            if verdict is Verdict.DENY:
                article = "an" if kind[0] == "i" else "a"
                return Outcome(False, f"with an explicit deny in {article} {kind}")
        return None

    def _by_kind(self) -> tuple[tuple[str, Verdict], ...]:
        return (
            ("resource control policy", self.resource_control),
            (_CONTROL, self.control),
            ("identity-based policy", self.identity),
            ("permissions boundary", self.boundary),
            ("session policy", self.session),
            ("resource-based policy", self.resource),
        )

    def first_silent(self, *kinds: str) -> str | None:
        """The first of ``kinds`` that does not allow."""
        return next((kind for kind, verdict in self._by_kind() if kind in kinds and not verdict), None)


_CONTROL = "service control policy"
_LIMITS = ("permissions boundary", "session policy")
_PRINCIPAL_SIDE = ("identity-based policy", *_LIMITS)
_RESOURCE_SIDE = "resource-based policy"


def find(
    authority: Authority,
    names: PrincipalNames,
    request: Request,
    resource_policies: Iterable[Policy],
    resource_control: Iterable[Policy] = (),
) -> Findings:
    """Each kind of policy's verdict; a limit that does not exist allows.

    ``resource_control`` are the resource control policies above the resource's account.
    """
    is_bounded = authority.boundary is not None
    return Findings(
        identity=evaluate(authority.identity, request),
        boundary=Verdict.ALLOW if authority.boundary is None else evaluate((authority.boundary,), request),
        session=Verdict.ALLOW if authority.session is None else evaluate(authority.session, request),
        control=Verdict.ALLOW if authority.control is None else _evaluate_levels(authority.control, request),
        resource=evaluate_for(resource_policies, request, names, is_bounded=is_bounded),
        resource_control=evaluate_resource_control(resource_control, request, names),
    )


def evaluate_resource_control(policies: Iterable[Policy], request: Request, names: PrincipalNames) -> Verdict:
    """DENY or ALLOW: RCPFullAWSAccess stays attached to every level, so that only a deny limits ("RCP syntax")."""
    denied = evaluate_for(policies, request, names) is Verdict.DENY
    return Verdict.DENY if denied else Verdict.ALLOW


def _evaluate_levels(levels: Iterable[tuple[Policy, ...]], request: Request) -> Verdict:
    """Every level must allow, and none deny ("SCP evaluation")."""
    verdicts = [evaluate(level, request) for level in levels]
    return Verdict.DENY if Verdict.DENY in verdicts else min(verdicts)


def decide(findings: Findings, action: str, *, same_account: bool, resource_policy_decides: bool = False) -> Outcome:
    """Allow or deny, by the rules for one account or for two.

    ``resource_policy_decides``: without leave from the resource's own policy nobody gets in, not even its
    account (trust policies of roles and key policies of KMS).
    """
    denied = findings.explicit_deny()
    if denied:
        return denied
    # no policy of a resource gets round what the organization does not allow
    silent = findings.first_silent(_CONTROL) or _silent_policy(findings, same_account, resource_policy_decides)
    if silent:
        return Outcome(False, f"because no {silent} allows the {action} action")
    return Outcome(True, "allowed")


def _silent_policy(findings: Findings, same_account: bool, resource_policy_decides: bool) -> str | None:
    if same_account and findings.resource is Verdict.DIRECT:
        return None
    if same_account and findings.resource is Verdict.ALLOW:
        return findings.first_silent(*_LIMITS)
    if same_account and not resource_policy_decides:
        return findings.first_silent(*_PRINCIPAL_SIDE)
    return findings.first_silent(*_PRINCIPAL_SIDE, _RESOURCE_SIDE)

"""Renders docs/permissions.md: what every role and policy of podshare's stacks allows, read from the templates.

``make golden`` writes the page anew; a wildcard that nobody has given a reason for is an error.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from podshare_sandbox.authorization import catalog
from podshare_sandbox.cloudformation import template
from tests.checks.expanded_template import ROOT
from tests.scenarios.test_permissions import UNUSED

PAGE = ROOT / "docs" / "permissions.md"
HUB, MEMBER, MANAGEMENT = (
    template.read(ROOT / path)["Resources"]
    for path in ("template.yaml", "accounts/member.yaml", "accounts/management.yaml")
)
STACKS = {
    "The hub": HUB,
    "Accounts that take part": MEMBER,
    "The management account": MANAGEMENT,
}
INTRODUCTION = """# Permissions

What every role and policy of podshare's stacks allows, and why nothing less would suffice. This page is written by `make golden` from the templates; a test fails where it differs from them, and another where a role on the running sandbox is granted or uses anything else. [The security model](security.md) explains the roles.

- `ACCOUNT` and `REGION` are those of the stack, `HUB`, `HUB_REGION`, `MANAGEMENT` and `ORGANIZATION` those that its parameters name. Other words in capitals are parameters too. The prefix is `podshare`.
- **On `*`**: AWS authorizes these actions on no resource (Service Authorization Reference), so no narrower one exists. A test looks each of them up.
- Permissions that depend on a parameter, such as the ways to read the organization, are listed whatever its value.
- **Not in every life**: an action that a usual team does not need, and when it is needed. A test finds all others used over a team's life.
"""

# what a wildcard within a resource stands for, and why it cannot be spelled out
_ANY_ACCOUNT = "any account of the organization may take part; each role's own trust, and the Deny, draw the line"
_RANDOM = "its ARN ends in a random id"
_TAGGED = f"{_RANDOM}; the conditions ask for a cluster's Region, and for podshare's tag where one is changed"
_RUN = "an execution's name is not known before"
WILDCARDS = {
    "access-entry/* of EKS_CLUSTER_ARNS (each)": "reads any entry, so that foreign ones are reported",
    "arn:aws:eks:*:ACCOUNT:access-entry/*/role/ACCOUNT/podshare-*": (
        "the name of a team's role, and a random id; the conditions ask for podshare's path, the Deny for the clusters"
    ),
    "arn:aws:eks:*:ACCOUNT:*": (
        "what EKS holds the tags of a creation against is not documented; the Denies leave the listed clusters, their "
        "entries and associations, and paths of the API, and of tags the known ones"
    ),
    "access-entry/role/* of EKS_CLUSTER_ARNS (each)": "a limit: the role's own policy names its entry",
    "addon/* of EKS_CLUSTER_ARNS (each)": _RANDOM,
    "podidentityassociation/* of EKS_CLUSTER_ARNS (each)": _RANDOM,
    "arn:aws:events:*:HUB:event-bus/podshare-drift": "the Region of the hub is no parameter of this stack",
    **{
        f"arn:aws:iam::*:role/podshare-system/podshare-{work}": _ANY_ACCOUNT
        for work in ("cluster", "data", "identity", "kubernetes", "read")
    },
    "arn:aws:fsx:*:ACCOUNT:association/*": f"{_RANDOM}; the condition asks for podshare's tag where one is changed",
    "arn:aws:iam::*:role/podshare/*": "the cluster accounts' roles; the trust of each names the one role that it admits",
    "arn:aws:iam::ACCOUNT:role/*": "a role that people made, by any name; the policy that may be attached is one",
    "arn:aws:iam::ACCOUNT:role/aws-service-role/s3.data-source.lustre.fsx.amazonaws.com/*": (
        "Amazon FSx makes one for each file system, and lets nobody else change it"
    ),
    "arn:aws:iam::ACCOUNT:role/podshare-*": "IAM asks for a role that does not exist by its name alone",
    "arn:aws:iam::ACCOUNT:role/podshare-system/*": "reads the stack's own roles",
    "arn:aws:iam::ACCOUNT:role/podshare/*": "roles of teams, which come and go",
    "arn:aws:kms:*:*:key/*": "a limit, through S3 alone: the role's own policy names its keys",
    "arn:aws:organizations::ACCOUNT:account/ORGANIZATION/*": "any account may be selected",
    "arn:aws:organizations::ACCOUNT:ou/ORGANIZATION/ou-*": "any unit may be selected",
    "arn:aws:organizations::MANAGEMENT:account/ORGANIZATION/*": "any account may be selected",
    "arn:aws:organizations::MANAGEMENT:ou/ORGANIZATION/ou-*": "any unit may be selected",
    "arn:aws:s3:*:*:accesspoint/podshare-*": "a limit: the role's own policy names its access points",
    "arn:aws:s3:*:*:accesspoint/podshare-*/object/*": "a limit: the role's own policy names its prefixes",
    "arn:aws:s3:*:ACCOUNT:accesspoint/*": "whoever made one, it may lead into a bucket of a dataset",
    "arn:aws:s3:*:ACCOUNT:accesspoint/podshare-*": "access points of teams, in the Region of their bucket",
    "arn:aws:s3:::*": "the bucket of a dataset, in any account; its policy names the prefixes, and only services may ask",
    "arn:aws:s3:::BUCKET_NAMES/* (each)": "a limit: the role's own policy names its prefixes",
    "arn:aws:s3:::podshare-history-ACCOUNT-REGION/*": "what is kept is not known before",
    "arn:aws:s3:::podshare-history-ACCOUNT-REGION/records/v1/*": "an object for each version of a record",
    "arn:aws:s3:::podshare-history-ACCOUNT-REGION/runs/v1/*": "an object for each run",
    "arn:aws:sagemaker:*:ACCOUNT:cluster-scheduler-config/*": _TAGGED,
    "arn:aws:sagemaker:*:ACCOUNT:compute-quota/*": _TAGGED,
    "arn:aws:scheduler:REGION:ACCOUNT:schedule/default/podshare-team-*": "the schedule of a team, by the team's name",
    "arn:aws:ssm:*:ACCOUNT:parameter/podshare/teams*": "what is published of the account's teams, and their path",
    "arn:aws:ssm:*:ACCOUNT:parameter/podshare/teams/*": "what is published of teams, in the Regions of their clusters",
    "arn:aws:states:REGION:ACCOUNT:execution:podshare-account-lifecycle:*": _RUN,
    "arn:aws:states:REGION:ACCOUNT:execution:podshare-reconcile-team:*": _RUN,
    "arn:aws:states:REGION:ACCOUNT:execution:podshare-sweep-teams/*": _RUN,
    "arn:aws:states:REGION:ACCOUNT:execution:podshare-sweep-teams:*": _RUN,
    "arn:aws:states:REGION:ACCOUNT:stateMachine:podshare-sweep-teams/*": "the machine with the label of a Map of its own",
}


@dataclass(frozen=True)
class Bearer:
    """A role or a managed policy with its statements, each with the name of the policy that it stands in."""

    name: str
    trust: str
    policies: tuple[str, ...]
    statements: tuple[dict[str, Any], ...]


def page() -> str:
    """The page. Raises KeyError for a wildcard without a reason."""
    parts = [INTRODUCTION]
    for heading, resources in STACKS.items():
        parts.append(f"## {heading}\n")
        parts += [_section(bearer) for bearer in bearers(resources)]
    return "\n".join(parts)


def bearers(resources: dict[str, Any]) -> Iterator[Bearer]:
    """The roles and managed policies of a template, in its order."""
    for resource in resources.values():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            yield Bearer(_policy(properties), "", (), tuple(_statements(properties["PolicyDocument"])))
        elif resource["Type"] == "AWS::IAM::Role":
            inline = [one for policy in properties.get("Policies", []) for one in _alternatives(policy)]
            yield Bearer(
                _text(properties["RoleName"]),
                _trust(properties["AssumeRolePolicyDocument"]["Statement"]),
                tuple(_policy(resources[one["Ref"]]["Properties"]) for one in properties.get("ManagedPolicyArns", [])),
                tuple(one for policy in inline for one in _statements(policy["PolicyDocument"])),
            )


def wildcards() -> set[str]:
    """The resources with a wildcard in them that anything is allowed on, as the page writes them."""
    return {
        resource
        for resources in STACKS.values()
        for bearer in bearers(resources)
        for statement in bearer.statements
        if statement["Effect"] == "Allow"
        for resource in _listed(statement["Resource"])
        if "*" in resource and resource != "*"
    }


def _section(bearer: Bearer) -> str:
    lines = [f"### `{bearer.name}`\n"]
    if bearer.trust:
        lines.append(f"Assumed by {bearer.trust}.\n")
    if bearer.policies:
        lines.append(f"Has the policies {', '.join(f'`{name}`' for name in bearer.policies)} too.\n")
    lines += [
        "| statement | actions | on | only if | why a wildcard | not in every life |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_row(bearer, statement) for statement in bearer.statements), ""])


def _row(bearer: Bearer, statement: dict[str, Any]) -> str:
    actions = _listed(statement.get("Action", []))
    resources = _listed(statement["Resource"] if "Resource" in statement else statement["NotResource"])
    cells = (
        statement["Sid"] + (" (Deny)" if statement["Effect"] == "Deny" else ""),
        _code(actions) or f"all but<br>{_code(_listed(statement['NotAction']))}",
        _code(resources) if "Resource" in statement else f"all but<br>{_code(resources)}",
        "<br>".join(_conditions(statement.get("Condition", {}))),
        "<br>".join(dict.fromkeys(_reasons(statement["Effect"], actions, resources))),
        "<br>".join(_unused(bearer.name, actions)),
    )
    return f"| {' | '.join(cell or '-' for cell in cells)} |"


def _reasons(effect: str, actions: list[str], resources: list[str]) -> Iterator[str]:
    for resource in resources:
        if effect == "Deny":
            yield "a Deny is meant to be wide"
        elif resource == "*":
            if any(_action(name).resource_types for name in actions):
                raise LookupError(f"{actions} could name what they are allowed on")
            yield "no resource-level permissions"
        elif "*" in resource:
            yield WILDCARDS[resource]


def _unused(role: str, actions: list[str]) -> Iterator[str]:
    whole = UNUSED.get((role, "*"))
    for action in actions:
        reason = UNUSED.get((role, action), whole if not action.startswith(("logs:", "xray:")) else None)
        if reason:
            yield f"`{action}`: {reason}"


def _action(name: str) -> catalog.Action:
    found = catalog.action(*name.split(":"))
    if found is None:
        raise LookupError(f"AWS has no action {name}")
    return found


def _conditions(conditions: dict[str, Any]) -> Iterator[str]:
    for operator, keys in conditions.items():
        for key, value in keys.items():
            yield f"{operator} `{_text(key)}` {_code(_listed(value))}"


def _trust(statements: list[dict[str, Any]]) -> str:
    (statement,) = statements
    who = _code([one for named in statement["Principal"].values() for one in _listed(named)])
    return f"{who} if {'; '.join(_conditions(statement['Condition']))}"


def _policy(properties: dict[str, Any]) -> str:
    """A policy's name; the id that tells a member stack's from its predecessor's is left out."""
    name = properties["ManagedPolicyName"]["Fn::Sub"]
    return _text({"Fn::Sub": name if isinstance(name, str) else name[0].removesuffix("-${Stack}")})


def _statements(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for statement in document["Statement"]:
        yield from _alternatives(statement)


def _alternatives(value: dict[str, Any]) -> list[dict[str, Any]]:
    """What hangs on a condition, whether or not it holds."""
    return [one for one in value["Fn::If"][1:] if "Ref" not in one] if "Fn::If" in value else [value]


def _listed(value: Any) -> list[str]:
    match value:
        case {"Fn::If": [_, then, otherwise]}:
            return [*_listed(then), *_listed(otherwise)]
        case {"Fn::Split": [",", {"Fn::If": [_, {"Fn::Sub": str(then)}, _]}]}:
            return [_text({"Fn::Sub": part}) for part in then.split(",")]
        case {"Fn::Split": [":", {"Fn::Join": [":", arns]}]}:
            return [f"the Regions of {_text(arns)}"]
        case {"Fn::Split": [",", {"Fn::Join": [",", list(parts)]}]}:
            return [text for part in parts for text in _several(part)]
        case {"Fn::Split": [",", {"Fn::Join": ["", [{"Fn::Join": _} as kind, "/*" | "/role/*" as tail]]}]}:
            return [_replaced(kind, tail)]
    values = value if isinstance(value, list) else [value]
    return [_text(one) for one in values if not (isinstance(one, dict) and one.get("Ref") == "AWS::NoValue")]


def _several(part: Any) -> list[str]:
    """What stands for one ARN or more in a list that is joined by commas."""
    match part:
        case {"Fn::Join": [",", arns]}:
            return [_text(arns)]
        case {"Fn::Join": ["", [{"Fn::Join": ["/*,", list(kinds)]}, "/*"]]}:
            return [_replaced(kind) for kind in kinds]
    return [_text(part)]


def _replaced(value: Any, tail: str = "/*") -> str:
    """What a cluster has of a kind, for each of a list of clusters: their ARNs with the kind's name in them."""
    kind, split = value["Fn::Join"]
    arns = split["Fn::Split"][1]["Fn::Join"][1]
    return f"{kind.removeprefix(':')}{tail[1:]} of {_text(arns)} (each)"


_WORDS = {
    "AWS::AccountId": "ACCOUNT",
    "AWS::Region": "REGION",
    "AWS::Partition": "aws",
    "Prefix": "podshare",
    "HubAccountId": "HUB",
    "HubRegion": "HUB_REGION",
    "ManagementAccountId": "MANAGEMENT",
    "OrganizationId": "ORGANIZATION",
    "EksClusterArns": "EKS_CLUSTER_ARNS",
    "HyperPodClusterArns": "HYPERPOD_CLUSTER_ARNS",
    "BucketNames": "BUCKET_NAMES",
    "KmsKeyArns": "KMS_KEY_ARNS",
    "ClusterAccountIds": "CLUSTER_ACCOUNTS",
    "ResourceTagKeys": "RESOURCE_TAG_KEYS",
}


def _text(value: Any) -> str:
    """A value of a template in words: parameters in capitals, a resource by its logical id."""
    match value:
        case {"Fn::Sub": str(text)}:
            for name, word in _WORDS.items():
                text = text.replace(f"${{{name}}}", word)
            return text
        case {"Ref": name}:
            return _WORDS.get(str(name), str(name))
        case {"Fn::GetAtt": [name, "Arn"] | str(name)}:
            return str(name).removesuffix(".Arn")
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::Split": [_, {"Fn::Join": ["", list(parts)]}]}:
            named = [part["Fn::Join"][1] if isinstance(part, dict) else part for part in parts]
            return f"{''.join(map(_text, named))} (each)"
        case dict():
            raise LookupError(f"a function that the page does not know: {json.dumps(value)}")
    return str(value)


def _code(values: list[str]) -> str:
    return "<br>".join(f"`{value}`" for value in values)

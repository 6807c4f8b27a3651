"""What podshare publishes of a team in its people's account, and by which way somebody there gets in."""

import datetime
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podshare_cli.failures import Failure

if TYPE_CHECKING:
    from podshare_cli.aws.connection import Connection

SCHEMA = 1
_SESSION = re.compile(r"arn:[^:]+:sts::(?P<account>\d{12}):assumed-role/(?P<role>[^/]+)/(?P<session>.+)")
_WHAT_NO_NAME_HOLDS = re.compile(r"[^\w+=,.@-]", re.ASCII)
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_ROLE = re.compile(r"arn:[a-z-]+:iam::\d{12}:role/[\w+=,.@/-]+", re.ASCII)


@dataclass(frozen=True)
class Caller:
    """Whoever calls; ``role`` is the name of the role of a session, without its path, empty for users."""

    arn: str

    @property
    def account(self) -> str:
        """The account that they belong to."""
        return self.arn.split(":")[4]

    @property
    def partition(self) -> str:
        """The partition of AWS."""
        return self.arn.split(":")[1]

    @property
    def role(self) -> str:
        """The name of the role that a session has, without its path; empty for a user."""
        match = _SESSION.fullmatch(self.arn)
        return match["role"] if match else ""

    @property
    def session_name(self) -> str:
        """What sessions of further roles are called, so that the cluster's audit log says who it was."""
        return _WHAT_NO_NAME_HOLDS.sub("-", self.arn.rpartition("/")[2].rpartition(":")[2])[:64] or "podshare"


@dataclass(frozen=True)
class Way:
    """How the caller becomes a member: by assuming ``role``, or as what they are already."""

    member: Mapping[str, Any]
    role: str = ""

    @property
    def until(self) -> str:
        """When it ends; empty if it does not."""
        return str(self.member.get("until", ""))


@dataclass(frozen=True)
class Team:
    """A team as it is published in one account and Region."""

    value: Mapping[str, Any]
    account: str
    region: str

    @property
    def name(self) -> str:
        return str(self.value["team"])

    @property
    def owner(self) -> str:
        """Whom to ask."""
        return str(self.value["owner"])

    @property
    def namespace(self) -> str:
        return str(self.value["namespace"])

    @property
    def members(self) -> list[Mapping[str, Any]]:
        return list(self.value["members"])

    def clusters(self, way: Way) -> list[Mapping[str, Any]]:
        """The clusters that a member gets into, each with the ARN of the role for it."""
        roles = way.member["roles"]
        return [{**each, "role": roles[each["name"]]} for each in self.value["clusters"] if each["name"] in roles]

    def way_of(self, caller: Caller) -> Way | None:
        """How ``caller`` gets in: as what they are, else by a role that they may assume; None if neither is known."""
        ways = [*self._ways(caller)]
        return next((way for way in ways if not way.role), ways[0] if ways else None)

    def _ways(self, caller: Caller) -> Iterator[Way]:
        for member in self.members:
            if permission_set := member.get("permission_set"):
                if re.fullmatch(rf"AWSReservedSSO_{re.escape(permission_set)}_[0-9a-f]{{16}}", caller.role):
                    yield Way(member)
                continue
            role = str(member.get("scientist_role") or member.get("existing_role"))
            yield Way(member, "" if caller.role == role.rpartition("/")[2] else role)


def state_of(until: str, now: datetime.datetime) -> str:
    """``ENDED`` once a member's time is over, else ``ACTIVE``."""
    return "ENDED" if until and datetime.datetime.fromisoformat(until) <= now else "ACTIVE"


def name_of(prefix: str, team: str) -> str:
    """The parameter of a team (functions/podshare/kinds/names.py, which would import more than a start may take)."""
    return f"/{prefix}/teams/{team}"


def region_of(connection: "Connection") -> str:
    """The Region to ask. Raises Failure where none is known."""
    if not connection.region:
        raise Failure("No Region is set.", "Name that of the cluster: --region us-west-2 (or AWS_REGION).")
    return connection.region


def all_teams(connection: "Connection") -> list[Team]:
    """The teams that are published in the caller's account and Region. Raises botocore's errors."""
    region, account = region_of(connection), connection.account
    pages = (
        connection.client("ssm").get_paginator("get_parameters_by_path").paginate(Path=f"/{connection.prefix}/teams")
    )
    values = [parameter["Value"] for page in pages for parameter in page["Parameters"]]
    return sorted(_read(values, account, region), key=lambda team: team.name)


def _read(values: Iterable[str], account: str, region: str) -> Iterator[Team]:
    for value in values:
        parsed = parsed_value(value)
        if parsed:
            yield Team(parsed, account, region)


def parsed_value(text: str) -> Mapping[str, Any] | None:
    """What is published, None for what this version does not understand.

    It becomes lines of a config file: names and ARNs that are none, and control characters anywhere, are refused.
    """
    try:
        value = json.loads(text)
        names = [value["team"], value["namespace"], *(cluster["name"] for cluster in value["clusters"])]
        roles = [role for member in value["members"] for role in (*_own_roles(member), *member["roles"].values())]
        is_understood = value["schema"] == SCHEMA and isinstance(value["owner"], str)
        is_safe = (
            all(_NAME.fullmatch(name) for name in names)
            and all(_ROLE.fullmatch(role) for role in roles)
            and not any(map(_has_control_characters, _texts(value)))
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return value if is_understood and is_safe else None


def _own_roles(member: Mapping[str, Any]) -> list[str]:
    return [str(member[kind]) for kind in ("scientist_role", "existing_role") if kind in member]


def _texts(value: object) -> Iterator[str]:
    """Every text in a value, keys as well."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from (str(key), *_texts(item))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def _has_control_characters(text: str) -> bool:
    return not text.isprintable()


def team_of(text: str, name: str, account: str, region: str) -> Team:
    """A team by its parameter's value. Raises Failure for one that this version does not understand."""
    value = parsed_value(text)
    if value is None:
        raise Failure(
            f"What is published of team {name} in account {account} has a form that this version does not know.",
            "Update the command: pip install --upgrade podshare",
        )
    return Team(value, account, region)

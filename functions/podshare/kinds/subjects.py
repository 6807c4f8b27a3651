"""Whom a binding names, and which team's members or pods these are."""

import re
from collections.abc import Mapping
from typing import Any

from podshare.registry.items import TEAM_NAMESPACES

_OF_TEAMS = (
    r"Group {prefix}:([^:]+):.*",
    r"User arn:[^:]+:sts::[0-9]{{12}}:assumed-role/{prefix}-(.+)-[0-9a-f]{{8}}/.*",
)
# each of its names; without "Group" as the principal of a door
_SERVICE_ACCOUNTS = re.compile(
    r"ServiceAccount ([^/]+)/.*|User system:serviceaccount:([^:]+):.*|(?:Group )?system:serviceaccounts:(.+)"
)


def subject_of(subject: Mapping[str, Any]) -> str:
    """A binding's subject as a kind and a name; that of a service account with its namespace."""
    inside = f"{subject['namespace']}/" if subject.get("namespace") else ""
    return f"{subject['kind']} {inside}{subject['name']}"


def service_accounts_in(subject: str) -> str:
    """The namespace of the service accounts that a subject names, or a door's principal; empty for anybody else.

    A service account has a user name and a group as well (Kubernetes, "Authenticating", service account tokens).
    """
    match = _SERVICE_ACCOUNTS.fullmatch(subject)
    return match[match.lastindex or 0] if match else ""


def team_of(subject: str, prefix: str) -> str:
    """The team whose members or pods a binding's subject names, a kind and a name; empty for anybody else.

    They are groups and sessions that podshare alone gives, and service accounts of a team's namespace.
    """
    namespace = service_accounts_in(subject)
    if namespace.startswith(TEAM_NAMESPACES):
        return namespace.removeprefix(TEAM_NAMESPACES)
    matches = (re.fullmatch(pattern.format(prefix=re.escape(prefix)), subject) for pattern in _OF_TEAMS)
    return next((match[1] for match in matches if match), "")

"""The ConfigMap ``aws-auth``, by which a cluster lets in principals that have no access entry.

It counts in the authentication modes ``CONFIG_MAP`` and ``API_AND_CONFIG_MAP``. Unlike an access entry it can give any
group and user name, those that Kubernetes reserves too, and names principals of any account (aws-iam-authenticator,
"Full configuration format"; EKS user guide, "Grant IAM users access to Kubernetes with a ConfigMap"). It decodes its
lines by Go's encoding/json, which takes the name of a field in any case (pkg/mapper/configmap/configmap.go, ParseMap).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from podshare.access.doors import RESERVED
from podshare.access.effective_access import ANYBODY

NAMESPACE, NAME = "kube-system", "aws-auth"
# what nodes come as, whom Kubernetes' node authorizer holds to their own pods (EKS user guide, "EKS node IAM role")
OF_NODES = "system:nodes"
_NODES = frozenset({"system:bootstrappers", OF_NODES, "system:node-proxier", "eks:kube-proxy-windows"})
_A_ROLE = re.compile(r"arn:[^:]+:iam::\d{12}:role/.+")  # no node comes as a user
_PLACEHOLDER = re.compile(r"\{\{\w+\}\}")
_NODE_NAME = "system:node:"
_EVERYBODYS = "system:authenticated"  # whoever gets in is in it


@dataclass(frozen=True, slots=True)
class Line:
    """Whom a line lets in, an ARN, and as whom; every principal of an account under its ARN if ``account`` is given."""

    principal: str
    username: str
    groups: frozenset[str]
    account: str = ""

    @property
    def reserved(self) -> tuple[str, ...]:
        """What it gives that Kubernetes or EKS reserves, and no node needs: it leads everywhere that these do."""
        groups = [f"group {group}" for group in sorted(self.groups) if _is_reserved(group)]
        user = [f"user {self.username}"] if _is_reserved(self.username) and not self._is_node else []
        return (*(group for group in groups if group not in self.of_nodes), *user)

    @property
    def of_nodes(self) -> tuple[str, ...]:
        """What it gives that nodes need; a user gets it as anything else."""
        return tuple(f"group {group}" for group in sorted(self.groups & _NODES) if _A_ROLE.fullmatch(self.principal))

    @property
    def _is_node(self) -> bool:
        return self.username.startswith(_NODE_NAME) and bool(self.of_nodes)


def _is_reserved(name: str) -> bool:
    """Whether a name is reserved, or may turn out to be: what stands for a session's name has no colon."""
    begin, colon, _ = name.partition(":")
    pieces = _PLACEHOLDER.split(begin.replace("{{AccountID}}", "0" * 12))
    pattern = "[^:]*".join(map(re.escape, pieces))
    return bool(colon) and name != _EVERYBODYS and any(re.fullmatch(pattern, prefix[:-1]) for prefix in RESERVED)


def pattern_of(template: str) -> str:
    """What a user name, or a group, in which placeholders may stand for parts of it can turn out to be."""
    return _PLACEHOLDER.sub(ANYBODY, template)


def lines(data: Mapping[str, str], partition: str) -> Iterator[Line]:
    """Every line of the ConfigMap. Raises ValueError for what is no such line: nobody knows whom it lets in."""
    for part, arn in (("mapRoles", "rolearn"), ("mapUsers", "userarn")):
        for line in _listed(data, part):
            try:
                yield _line(line, arn)
            except (AttributeError, LookupError, TypeError) as error:
                raise ValueError(f"{part} of ConfigMap {NAME} has a line that gives nobody access") from error
    for number in _listed(data, "mapAccounts"):
        account = str(number).zfill(12) if isinstance(number, int | str) else ""
        everybody = f"arn:{partition}:*::{account}:{ANYBODY}"
        yield Line(f"arn:{partition}:iam::{account}:root", everybody, frozenset(), account)


def _line(line: Mapping[str, Any], arn: str) -> Line:
    fields = dict[str, Any]()
    for name, value in line.items():
        if fields.setdefault(name.casefold(), value) is not value:
            raise TypeError(f"{name} in two ways")
    principal, username, groups = fields[arn], fields.get("username") or "", fields.get("groups") or []
    if not all(isinstance(value, str) for value in (principal, username, *groups)):
        raise TypeError("not a text")
    return Line(principal, username, frozenset(groups))


def _listed(data: Mapping[str, str], part: str) -> list[Any]:
    try:
        entries = yaml.safe_load(data.get(part) or "[]")
    except yaml.YAMLError as error:
        raise ValueError(f"{part} of ConfigMap {NAME} is no YAML: {error}") from error
    if isinstance(entries, list):
        return entries
    raise ValueError(f"{part} of ConfigMap {NAME} is no list")

"""What keeps the pods of a team to their namespace: Pod Security, no instance metadata, and the team's own queue.

The labels say how far: Kubernetes goes by its own, the admission policies in accounts/cluster-rbac.yaml by podshare's.
"""

import re
from collections.abc import Mapping
from typing import Any

from podshare.installation import TEAM_LABEL

HARDENING_LABEL = "podshare/hardening"
_NO_API = "kubernetes_api: false"
_NOT_VERIFIED = re.compile(
    rf"isolation is not verified: (?:podshare does not look into cluster (?P<unread>\S+) \({_NO_API}\)"
    r"|namespace_hardening of cluster (?P<cluster>\S+) is (?P<hardening>\S+), .*)"
)
_POD_SECURITY = "pod-security.kubernetes.io/"
POD_SECURITY_LABELS = tuple(f"{_POD_SECURITY}{mode}" for mode in ("audit", "enforce", "warn"))
# Kubernetes documentation, "Pod Security Standards"; and the levels of podshare's own label
_STRICTNESS = {"privileged": 0, "baseline": 1, "restricted": 2, "off": 0, "report": 1, "enforce": 2}
LABELS = frozenset({TEAM_LABEL, HARDENING_LABEL, *POD_SECURITY_LABELS})

# Amazon EC2 User Guide, "Access instance metadata for an EC2 instance". EKS Pod Identity's agent has other addresses
# (169.254.170.23 and fd00:ec2::23; EKS User Guide, "EKS Pod Identity considerations"), which stay within reach.
_METADATA = {"0.0.0.0/0": "169.254.169.254/32", "::/0": "fd00:ec2::254/128"}  # a range, no address to bind to


def labels(team: str, hardening: str) -> dict[str, str]:
    """The labels of a team's namespace at ``off``, ``report`` or ``enforce``."""
    modes = {"off": (), "report": ("audit", "warn"), "enforce": ("audit", "enforce", "warn")}[hardening]
    hardening_label = {HARDENING_LABEL: hardening} if modes else {}
    return {TEAM_LABEL: team, **hardening_label, **{f"{_POD_SECURITY}{mode}": "baseline" for mode in modes}}


def stricter(observed: Mapping[str, str], desired: Mapping[str, str]) -> dict[str, str]:
    """Labels that allow no more than either of these do."""
    stays = {
        label
        for label, value in observed.items()
        if _STRICTNESS.get(value, 0) > _STRICTNESS.get(desired.get(label, ""), 0)
    }
    return {**observed, **{label: value for label, value in desired.items() if label not in stays}}


def network_policy(hardening: str) -> Mapping[str, Any] | None:
    """The spec of a NetworkPolicy by which pods reach everything but instance metadata; none unless enforced.

    Some networks do not take pods for a part of any range of addresses, hence all namespaces beside them.
    """
    if hardening != "enforce":
        return None
    ranges = [{"ipBlock": {"cidr": cidr, "except": [metadata]}} for cidr, metadata in _METADATA.items()]
    return {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{"to": [*ranges, {"namespaceSelector": {}}]}],
    }


def not_verified(cluster: str, hardening: str, *, kubernetes_api: bool) -> str | None:
    """What a team has to know where nothing keeps its pods from reaching further; None if something does."""
    if not kubernetes_api:
        return f"isolation is not verified: podshare does not look into cluster {cluster} ({_NO_API})"
    if hardening == "enforce":
        return None
    why = "a pod may take the role of its node, and dodge the quota"
    return f"isolation is not verified: namespace_hardening of cluster {cluster} is {hardening}, so that {why}"


def isolation_of(note: str) -> tuple[str, str] | None:
    """The cluster that such a note is about, and how far its isolation goes; None for any other note."""
    match = _NOT_VERIFIED.fullmatch(note)
    if not match:
        return None
    return (match["cluster"], match["hardening"]) if match["cluster"] else (match["unread"], f"unknown ({_NO_API})")

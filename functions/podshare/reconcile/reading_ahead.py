"""Read at once what the last run of a team read by its keys.

Which rows a plan needs follows from others: a team's record names datasets, these name accounts and buckets. A plan
writes down what it asked for; the next plan and verification read that in one batch. What they do not ask for any more
costs nothing, and what they ask for besides is read when they do: a list that is out of date is never wrong.
"""

from collections.abc import Iterable

from podshare.aws.rows import STATUSES
from podshare.aws.settings import Settings
from podshare.aws.tables import Registry, Snapshot
from podshare.installation import Installation
from podshare.kinds.base import Key, Kind
from podshare.kinds.bucket_policy import EDITS
from podshare.kinds.facts import ClusterFacts
from podshare.reconcile.access_reports import ACCESS_REPORTS
from podshare.reconcile.data_door_readers import first_reading
from podshare.reconcile.team_records import TeamRecords
from podshare.registry.items import namespace_of
from podshare.registry.records import Dataset

_PART = "reads"  # of the team in the state table
_MOST = 500  # rows, and as many records: five batches
_OF_PLANNERS = ("capacity#", "freed#", STATUSES)  # which a verifier may not read

Place = tuple[str, str]


def read_ahead(settings: Settings, state: Snapshot, team: str, *, plans: bool) -> None:
    """Read what the last plan asked for, for a plan or a verification; without one what is read for each team."""
    row = state.get(f"team#{team}", _PART) or {"rows": [[ACCESS_REPORTS, f"team#{team}"]], "records": [f"team#{team}"]}
    rows = [(item_id, part) for item_id, part in row["rows"] if plans or not item_id.startswith(_OF_PLANNERS)]
    state.read_ahead(rows, Registry(settings.registry), row["records"])


def keep_reads(state: Snapshot, team: str, more: Iterable[Place]) -> None:
    """Write down what was asked for, and what more the next run will ask for, unless the row has exactly that."""
    asked, records = state.asked
    rows = sorted({*asked, *more})
    kept = {"rows": [[*row] for row in rows][:_MOST], "records": records[:_MOST]}
    row = state.get(f"team#{team}", _PART) or {}
    if {name: row.get(name) for name in kept} != kept:
        state.later(state.putting(f"team#{team}", _PART, **kept))


def forget_reads(state: Snapshot, team: str) -> None:
    """Forget what was asked for a team that was deleted."""
    if state.get(f"team#{team}", _PART):
        state.later(state.deleting(f"team#{team}", _PART))


def decided_with(team: str, clusters: Iterable[ClusterFacts], new: Iterable[Key]) -> Iterable[Place]:
    """What deciding on a plan asks for; ``new`` is what is desired and not there."""
    yield ACCESS_REPORTS, f"team#{team}"
    for facts in clusters:
        yield from ((f"capacity#{facts.hyperpod_arn.rpartition('/')[2]}", part) for part in ("record", "claims"))
    yield from ((f"freed#{team}", str(key)) for key in new if key.kind is Kind.NAMESPACE)


def new_on_clusters(records: TeamRecords) -> Iterable[Place]:
    """What deciding on a plan asks for, if it is the team's first on these clusters."""
    clusters = () if records.accepted_before.get(f"team#{records.name}") else records.known_facts.values()
    namespace = namespace_of(records.name)
    places = [(cluster.account, cluster.region, cluster.eks_cluster, namespace) for cluster in clusters]
    return decided_with(records.name, clusters, (Key(Kind.NAMESPACE, *place) for place in places))


def verified_with(
    installation: Installation, team: str, facts: Iterable[ClusterFacts], datasets: Iterable[Dataset]
) -> Iterable[Place]:
    """What verifying a team and recording the outcome ask for, which a plan with changes does not."""
    yield STATUSES, f"team#{team}"
    yield ACCESS_REPORTS, f"team#{team}"
    yield from ((ACCESS_REPORTS, f"cluster#{cluster.eks_arn(installation)}") for cluster in facts)
    for bucket in {dataset.bucket for dataset in datasets}:
        yield ACCESS_REPORTS, first_reading(installation.bucket_arn(bucket))
        yield EDITS, bucket

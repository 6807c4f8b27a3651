"""Verify a team: read everything back, and compare it with what is desired and against the isolation rules."""

import datetime
from collections.abc import Mapping
from itertools import islice
from typing import Any

from podshare.access.isolation import Boundaries, violations
from podshare.aws.settings import Settings
from podshare.aws.tables import Snapshot
from podshare.kinds.base import Key, Resource
from podshare.kinds.context import Context
from podshare.kinds.facts import ClusterFacts
from podshare.kinds.observation import Observation, Unreadable
from podshare.kinds.role.shape import member_principals
from podshare.reconcile.access_reports import keep_access_report
from podshare.reconcile.door_readers import Found, doors
from podshare.reconcile.observing import answers_may_come, observe_resources, reading_context
from podshare.reconcile.plan import carried, observed_blockers, plan
from podshare.reconcile.reading_ahead import read_ahead
from podshare.reconcile.team_records import TeamRecords, desired_resources, read_records
from podshare.registry.items import namespace_of

MOST_SHOWN = 20  # violations and differences in the execution's history; a status names them all by their number


def verify_team(settings: Settings, team: str) -> dict[str, Any]:
    """Read everything of a team back, verify it, and keep its proof."""
    state = Snapshot(settings.state)
    context = reading_context(settings, team, state)
    read_ahead(settings, state, team, plans=False)
    records = read_records(settings, state, team)
    desired = desired_resources(records, records.known_facts, settings.installation)
    known = context.inventory.keys()
    observed = observe_resources(context, desired, known, named=records.accounts, facts=records.known_facts)
    verification, read_doors = verified(context, records, records.known_facts, desired, observed)
    verification = keep_access_report(context, records, desired, observed, verification, read_doors)
    state.flush()
    return verification


def verified(
    context: Context,
    records: TeamRecords,
    facts: Mapping[str, ClusterFacts],
    desired: Mapping[Key, Resource],
    observed: Mapping[Key, Observation],
) -> tuple[dict[str, Any], Found]:
    """Whether what is there is what is desired and keeps teams apart, and all that is not so; and the doors."""
    existing = [observation for observation in observed.values() if isinstance(observation, Resource)]
    broken = violations(_boundaries(context, records, facts), existing, desired)
    read_doors = doors(context, records, facts, desired, observed)
    left = carried(plan(desired, observed))
    unread = {key: observation for key, observation in observed.items() if isinstance(observation, Unreadable)}
    changes = [change.as_dict() for change in left.changes]
    verification = {
        "verified": not read_doors.violations and not broken and not changes and not left.blockers and not unread,
        "at": _read_at(context).isoformat(timespec="seconds"),
        "resources": len(existing),
        "violations": [*read_doors.violations, *(violation.as_dict() for violation in broken)][:MOST_SHOWN],
        "differences": changes[:MOST_SHOWN],
        "unread": [
            {"what": blocker.what, "remedy": blocker.remedy}
            for blocker in islice(observed_blockers(desired, unread), MOST_SHOWN)
        ],
        "may_pass": answers_may_come(context),
    }
    return verification, read_doors


def _read_at(context: Context) -> datetime.datetime:
    """From when what was read is: now, unless it was read for other teams already."""
    answers = context.accounts.answers
    return (answers.as_of if answers else None) or datetime.datetime.now(datetime.UTC)


def _boundaries(context: Context, records: TeamRecords, facts: Mapping[str, ClusterFacts]) -> Boundaries:
    principals: dict[str, frozenset[str]] = {}
    for member in records.members:
        own = member_principals(context.installation, records.name, member)
        principals[member.account] = principals.get(member.account, frozenset()) | {*own}
    return Boundaries(
        team=records.name,
        namespace=namespace_of(records.name),
        cluster_arns=frozenset(cluster.eks_arn(context.installation) for cluster in facts.values()),
        member_principals=principals,
        installation=context.installation,
    )

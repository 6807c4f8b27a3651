"""What podshare announces by events: each type with its fields, and which of them a run gives rise to.

The fields are those of ``docs/podshare-events.json``, a JSON Schema for each type. Every event has a ``message`` for
people. None carries documents, credentials or data: names, ARNs and sentences alone.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from podshare.access.doors import RULE
from podshare.kinds.base import Key
from podshare.kinds.shapes import SHAPES
from podshare.reconcile.outcome import Pass, TeamState, change_text
from podshare.reconcile.plan import REVOKING
from podshare.registry.sentences import counted, in_words

MOST_LISTED = 20  # items of a list in an event; an entry has at most 256 KiB (EventBridge quotas, PutEvents)
LONGEST_ITEM = 1000
LONGEST_SUBJECT = 99  # characters: SNS takes fewer than 100 (API reference, Publish, Subject)
_DOCUMENTED = {"use_attribute_docstrings": True}  # pydantic's name for what the schemas are made from


@dataclass(frozen=True, kw_only=True)
class Message:
    """What a person reads."""

    __pydantic_config__: ClassVar = _DOCUMENTED

    subject: str
    """What happened, in fewer than 100 characters."""
    text: str
    """What happened, to which team, account and resource."""
    remedy: str
    """What to do; empty if nothing has to be done."""
    link: str
    """The execution in the AWS console: trigger, plan and every change."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One event, whatever its type."""

    __pydantic_config__: ClassVar = _DOCUMENTED
    detail_type: ClassVar[str]

    id: str
    """The same if the event comes again: ignore the second."""
    message: Message
    """The event for people."""


@dataclass(frozen=True, kw_only=True)
class TeamNotice(Notice):
    """One event that is about a team."""

    team: str
    """The team."""


@dataclass(frozen=True, kw_only=True)
class TeamReady(TeamNotice):
    """A team that was not ready has all that its record asks for, verified, and nothing else."""

    detail_type = "Team Ready"

    resources: int
    """How many resources it has."""


@dataclass(frozen=True, kw_only=True)
class TeamDegraded(TeamNotice):
    """Something of a team could not be done, or its record is wrong; again when the problems change."""

    detail_type = "Team Degraded"

    state: str
    """`DEGRADED`, or `REJECTED` if the record is wrong."""
    count: int
    """How many problems there are."""
    problems: tuple[str, ...]
    """The first twenty, in words."""


@dataclass(frozen=True, kw_only=True)
class TeamHeld(TeamNotice):
    """Revocations of a team wait for a person; again when they change."""

    detail_type = "Team Held"

    hash: str
    """The plan that an approval names."""
    since: str
    """Since when they wait."""
    count: int
    """How many grants would be revoked."""
    losses: tuple[str, ...]
    """The first twenty, in words."""
    approve: str
    """The command that approves exactly this plan."""


@dataclass(frozen=True, kw_only=True)
class ApprovalNeeded(TeamHeld):
    """A sweep has found revocations of a team that still wait for a person: once a sweep, until they are approved."""

    detail_type = "Approval Needed"


@dataclass(frozen=True, kw_only=True)
class AccessRevoked(TeamNotice):
    """Access of a team's people or pods was revoked or restricted."""

    detail_type = "Access Revoked"

    count: int
    """How many revocations the run made."""
    revocations: tuple[str, ...]
    """The first twenty, in words."""
    trigger: str
    """What started the run: `registry`, `organization`, `schedule`, `drift`, `sweep`, `admin` or `recovery`."""
    by: str
    """Who did, as the trigger says: an ARN, or empty."""


@dataclass(frozen=True, kw_only=True)
class DriftRepaired(TeamNotice):
    """Somebody changed a resource of podshare's, and podshare has changed it back."""

    detail_type = "Drift Repaired"

    call: str
    """The call that CloudTrail reported; empty if a sweep found the drift."""
    by: str
    """Who made it, by CloudTrail: an ARN, or empty."""
    count: int
    """How many changes repaired it."""
    changes: tuple[str, ...]
    """The first twenty, in words."""


@dataclass(frozen=True, kw_only=True)
class UnexpectedAccess(TeamNotice):
    """Somebody gets into a team's namespace or data whom no record lets in; again when the doors change."""

    detail_type = "Unexpected Access"

    count: int
    """By how many doors."""
    doors: tuple[str, ...]
    """The first twenty, in words, each with the command that closes it."""


@dataclass(frozen=True, kw_only=True)
class AccountWaiting(TeamNotice):
    """Nothing can be done in an account yet: what a team gets there waits."""

    detail_type = "Account Waiting"

    account: str
    """The account's id."""


@dataclass(frozen=True, kw_only=True)
class AccessReportFailed(TeamNotice):
    """A team's access report found access that podshare never granted."""

    detail_type = "Proof Failed"

    found: tuple[str, ...]
    """The first twenty of what was found, in words."""
    at: str
    """When it was read."""
    taken_away: bool
    """Whether it was gone when the run ended."""


@dataclass(frozen=True, kw_only=True)
class AccessEndsSoon(TeamNotice):
    """A team, a member or a grant ends within days."""

    detail_type = "Access Ends Soon"

    what: str
    """What ends, in words."""
    ends: str
    """When."""


@dataclass(frozen=True, kw_only=True)
class SweepDone(Notice):
    """A sweep has ended: every account was read, and every team reconciled."""

    detail_type = "Sweep Done"

    counts: Mapping[str, int]
    """How many teams ended how, such as `in_sync`, `repaired`, `degraded`."""
    failed: str
    """What was mostly missed; empty if nothing was."""


TYPES: tuple[type[Notice], ...] = (
    TeamReady,
    TeamDegraded,
    TeamHeld,
    ApprovalNeeded,
    AccessRevoked,
    AccessEndsSoon,
    DriftRepaired,
    UnexpectedAccess,
    AccessReportFailed,
    AccountWaiting,
    SweepDone,
)


def detail_of(notice: Notice) -> dict[str, Any]:
    """The ``detail`` of its event, in plain JSON."""
    return asdict(notice)


def identity(*parts: object) -> str:
    """An event's id: the same for the same parts."""
    return hashlib.sha256("\n".join(str(part) for part in parts).encode()).hexdigest()[:32]


def message(subject: str, text: str, remedy: str, link: str) -> Message:
    """What a person reads; subjects are of one line, in ASCII."""
    line = " ".join(subject.encode("ascii", "replace").decode().split())
    return Message(subject=line[:LONGEST_SUBJECT], text=text, remedy=remedy, link=link)


def execution_link(execution: str) -> str:
    """An execution in the console, by its ARN; empty for none."""
    if not execution:
        return ""
    region = execution.split(":")[3]
    return f"https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/{execution}"


def listed(texts: Iterable[str]) -> tuple[str, ...]:
    """The first texts of a list, none of them endless."""
    return tuple(str(text)[:LONGEST_ITEM] for text in [*texts][:MOST_LISTED])


# ---- what a run gives rise to ----------------------------------------------------------------------------------


def _id(run: Pass, kind: type[Notice], *parts: object) -> str:
    return identity(kind.detail_type, run.team, run.event["execution"], run.fence, *parts)


def _message(run: Pass, subject: str, text: str, remedy: str = "") -> Message:
    return message(subject, text, remedy, execution_link(str(run.event["execution"])))


def notices(run: Pass) -> list[Notice]:
    """The events of a pass that has ended: what the team's status said before it is no news."""
    rules = (_ready, _degraded, _approval_needed, _revoked, _repaired, _unexpected, _waiting)
    return [notice for rule in rules for notice in rule(run)]


def _ready(run: Pass) -> Iterator[Notice]:
    if run.result.state is not TeamState.READY or run.before.get("state") == TeamState.READY:
        return
    resources = int(run.verification.get("resources", 0))
    sentence = f"Team {run.team} is READY: {counted(resources, 'resource')} in place and verified."
    for_people = _message(run, f"Team {run.team} is ready", sentence)
    yield TeamReady(id=_id(run, TeamReady), message=for_people, team=run.team, resources=resources)


def _degraded(run: Pass) -> Iterator[Notice]:
    state, problems = run.result.state, run.result.problems
    if state not in (TeamState.DEGRADED, TeamState.REJECTED):
        return
    texts = [in_words(problem) for problem in problems]
    known = listed(in_words(problem) for problem in run.before.get("problems", ()))
    if run.before.get("state") == state and known == listed(texts):
        return
    remedy = str(problems[0].get("remedy", "")) if problems else ""
    for_people = _message(
        run, f"Team {run.team} is {state.lower()}", f"Team {run.team} is {run.result.summary}", remedy
    )
    yield TeamDegraded(
        id=_id(run, TeamDegraded),
        message=for_people,
        team=run.team,
        state=state.value,
        count=len(texts),
        problems=listed(texts),
    )


def _approval_needed(run: Pass) -> Iterator[Notice]:
    held = run.plan.get("held")
    if not held or run.trigger.get("event") != "sweep" or (run.before.get("held") or {}).get("hash") != held["hash"]:
        return
    yield held_notice(ApprovalNeeded, run.team, held, _id(run, ApprovalNeeded), str(run.event["execution"]))


def held_notice(
    kind: type[TeamHeld], team: str, held: Mapping[str, Any], notice_id: str, execution: str = ""
) -> TeamHeld:
    """That revocations wait for a person; ``held`` as a plan has it."""
    approve = approval_command(team, str(held["hash"]))
    grants = counted(int(held["count"]), "grant")
    sentence = f"Team {team} waits for approval of a plan that revokes {grants}, since {held['since']}."
    remedy = f"If they should be revoked: {approve}. If not, restore the records."
    for_people = message(f"Team {team}: revocations wait for approval", sentence, remedy, execution_link(execution))
    return kind(
        id=notice_id,
        message=for_people,
        team=team,
        hash=held["hash"],
        since=held["since"],
        count=int(held["count"]),
        losses=listed(held["losses"]),
        approve=approve,
    )


def approval_command(team: str, plan_hash: str) -> str:
    """What lets a team lose just what this plan revokes."""
    return f"podshare approve {team} {plan_hash}"


def ends_soon_notice(team: str, expiring: str, ends: str) -> AccessEndsSoon:
    """That a team, a member or a grant ends within days."""
    for_people = message(
        f"Team {team}: access ends soon",
        f"Team {team}: {expiring} ends at {ends}.",
        "To keep it, set a later `expires` in the record.",
        "",
    )
    return AccessEndsSoon(
        id=identity(AccessEndsSoon.detail_type, team, expiring, ends),
        message=for_people,
        team=team,
        what=expiring,
        ends=ends,
    )


def access_report_failed_notice(team: str, accesses: Sequence[str], at: str, *, taken_away: bool) -> AccessReportFailed:
    """That access was found which podshare never granted."""
    sentence = f"Team {team} had access that no record granted: {accesses[0]}"
    now = "podshare has revoked it." if taken_away else "It is still there."
    remedy = f"{now} Find out in CloudTrail who granted it; podshare access proof {team} shows what is there now."
    return AccessReportFailed(
        id=identity(AccessReportFailed.detail_type, team, at, *accesses),
        message=message(f"Team {team}: access that nobody granted", sentence, remedy, ""),
        team=team,
        found=tuple(accesses),
        at=at,
        taken_away=taken_away,
    )


def _revoked(run: Pass) -> Iterator[Notice]:
    first = {str(result["key"]): result for result in reversed(run.done) if _is_revocation(result)}
    # what was revoked is deleted later: it is one loss, told as what came first
    texts = [change_text(result) for result in run.done if result in first.values()]
    if not texts:
        return
    cause, by = str(run.trigger.get("event", "")), str(run.trigger.get("by") or "")
    reason = str(run.trigger.get("reason") or "")
    why = f" Reason given: {reason}" if reason else ""
    sentence = f"Team {run.team} has lost access: {_summed_up(texts)}. Started by {by or cause or 'an event'}.{why}"
    yield AccessRevoked(
        id=_id(run, AccessRevoked),
        message=_message(run, f"Team {run.team}: access was revoked", sentence),
        team=run.team,
        count=len(texts),
        revocations=listed(texts),
        trigger=cause,
        by=by,
    )


def _summed_up(texts: Sequence[str]) -> str:
    return f"{texts[0]} and {len(texts) - 1} more" if texts[1:] else texts[0]


def _is_revocation(result: Mapping[str, Any]) -> bool:
    """Whether a change revoked access: of what lets people or pods in, not of what is deleted after it."""
    return str(result.get("action")) in REVOKING and SHAPES[Key.parse(str(result["key"])).kind].is_access


# by the event of a run's trigger; of a call of somebody else the trigger says which, and whose
_FINDS_DRIFT = {"drift": "", "sweep": "A sweep", "admin": "A reconciliation that a person asked for"}


def _repaired(run: Pass) -> Iterator[Notice]:
    was_ready = run.before.get("state") == TeamState.READY
    if run.trigger.get("event") not in _FINDS_DRIFT or not was_ready or not run.done:
        return
    texts = [change_text(result) for result in run.done]
    call, by = str(run.trigger.get("change") or ""), str(run.trigger.get("by") or "")
    cause = f"{by or 'Somebody'} called {call}"
    if searched := _FINDS_DRIFT[run.trigger["event"]]:
        call = by = ""  # who asked for it has changed nothing
        cause = f"{searched} found what no event had reported"
    sentence = f"{cause}; podshare has changed it back: {_summed_up(texts)}."
    remedy = f"Find out in CloudTrail why; podshare drift {run.team} shows what differs now."
    yield DriftRepaired(
        id=_id(run, DriftRepaired),
        message=_message(run, f"Team {run.team}: drift was repaired", sentence, remedy),
        team=run.team,
        call=call,
        by=by,
        count=len(texts),
        changes=listed(texts),
    )


def _unexpected(run: Pass) -> Iterator[Notice]:
    doors = [item for item in run.verification.get("violations", ()) if item["rule"] == RULE]
    texts = [str(door["found"]) for door in doors]
    known = " ".join(in_words(problem) for problem in run.before.get("problems", ()))
    if all(text[: LONGEST_ITEM // 2] in known for text in texts):
        return
    sentence = f"Somebody gets into team {run.team} whom no record lets in: {texts[0][:LONGEST_ITEM]}"
    for_people = _message(run, f"Team {run.team}: unexpected access", sentence, str(doors[0].get("remedy", "")))
    yield UnexpectedAccess(
        id=_id(run, UnexpectedAccess), message=for_people, team=run.team, count=len(texts), doors=listed(texts)
    )


def _waiting(run: Pass) -> Iterator[Notice]:
    known = {str(problem.get("account")) for problem in run.before.get("problems", ())}
    waiting = {
        str(blocker["account"]): blocker
        for blocker in run.plan.get("obstacles", ())
        if blocker.get("account") and blocker.get("waits")
    }
    for account in sorted(waiting.keys() - known):
        sentence = f"Team {run.team} waits for account {account}: {waiting[account]['what']}"
        remedy = str(waiting[account]["remedy"])
        for_people = _message(run, f"Team {run.team} waits for account {account}", sentence, remedy)
        yield AccountWaiting(id=_id(run, AccountWaiting, account), message=for_people, team=run.team, account=account)


def sweep_notice(sweep: str, execution: str, summary: Mapping[str, Any]) -> SweepDone:
    """That a sweep has ended, from its summary."""
    counts = {name: int(count) for name, count in summary["counts"].items() if count}
    outcomes = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()) or "no teams"
    failed = str(summary["failed"])
    remedy = "podshare sweep --last shows each team with its reason." if failed or counts.get("degraded") else ""
    for_people = message("The sweep is done", f"{outcomes}. {failed}".strip(), remedy, execution_link(execution))
    return SweepDone(id=identity(SweepDone.detail_type, sweep), message=for_people, counts=counts, failed=failed)

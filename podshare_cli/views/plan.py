"""A plan for people: who gains and loses what, what blocks it, how much it is, and then resource by resource.

It is put together once, as sections of marked lines; here they become text, in ``plan_markdown`` a comment.
"""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from rich.markup import escape

from podshare.reconcile.field_changes import LONGEST, changed_fields
from podshare.reconcile.outcome import ACTIONS
from podshare.registry.items import namespace_of
from podshare.registry.sentences import counted, sentence
from podshare_cli import words
from podshare_cli.plans.prices import Prices, hourly
from podshare_cli.plans.record_plan import RecordPlan, TeamPlan, count_of, effects_of
from podshare_cli.records.changes import Effect, RecordChange, content

ADDED, REMOVED, CHANGED, BLOCKED, WAITS, PLAIN = "+", "-", "~", "!", "…", " "
_STYLES = {ADDED: "green", REMOVED: "red", CHANGED: "yellow", BLOCKED: "bold yellow", WAITS: "yellow"}
_ACTION_MARKS = {
    "cut": REMOVED, "delete": REMOVED, "drain": REMOVED, "narrow": CHANGED, "update": CHANGED, "create": ADDED
}  # fmt: skip
_EFFECT_MARKS = {Effect.CREATE: ADDED, Effect.CHANGE: CHANGED, Effect.DELETE: REMOVED, Effect.TRACK: PLAIN}
_MOST_NAMED = 12  # accounts or teams of one line, verbs of a Kubernetes group; -v names all
_PART = ", "  # between the parts of a value in words


@dataclass(frozen=True)
class Line:
    """A line with what it means: added, removed, changed, blocked, waiting, or nothing of these."""

    text: str
    mark: str = PLAIN
    depth: int = 0

    @property
    def visible(self) -> str:
        """The text; what no terminal and no page shows, such as an escape sequence, is spelled out."""
        return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in self.text)


@dataclass(frozen=True)
class Section:
    """Lines below a title."""

    title: str
    lines: Sequence[Line] = ()


@dataclass(frozen=True)
class View:
    """A plan, put into sections: ``verbose`` leaves nothing out, ``named`` shows unchanged teams too.

    With ``prices`` changed quotas say what they cost.
    """

    plan: RecordPlan
    verbose: bool = False
    named: bool = False
    prices: Prices = dataclasses.field(default_factory=dict)

    @property
    def shown(self) -> list[TeamPlan]:
        """The teams whose plan is shown one by one."""
        every = self.verbose or self.named
        return [team_plan for team_plan in self.plan.teams.values() if every or count_of(team_plan)]

    @property
    def isolation(self) -> str:
        """How far the isolation of the teams goes that are shown, where it does not go all the way; else empty."""
        known, _ = words.isolation(note for plan in self.shown for note in plan.get("notes", ()))
        return f"isolation: {known}" if known else ""

    def summary(self) -> Iterator[Section]:
        """What matters, before how much it is."""
        later = ", with what is blocked or waits" if any(plan["obstacles"] for plan in self.shown) else ""
        yield Section("Loses access", [*self._access("revocations", REMOVED)])
        yield Section(f"Gains access{later}", [*self._access("gains", ADDED)])
        yield Section("Quota", [*self._quotas()])
        yield Section("Warnings", [*self._warnings()])
        yield Section("Blocked by", [*self._blockers(BLOCKED)])
        yield Section("Waits for", [*self._blockers(WAITS)])
        yield Section("Notes", [*self._notes()])

    def conclusion(self) -> list[str]:
        """How much the plan is, in a line; and how many teams it leaves alone."""
        counts = self.plan.counts
        resources, teams = counts["resources"], counts["teams"]
        if self.plan.is_empty:
            checked = [counted(number, noun) for number, noun in self._checked() if number]
            return [f"Nothing would change: {' and '.join(checked) or 'no team'} checked."]
        first = "Plan: {add} to add, {change} to change, {revoke} to revoke".format(**resources)
        lines = [f"{first}, {resources['later']} more in later runs" if resources["later"] else first]
        if teams["unchanged"]:
            unchanged = [team for team, plan in self.plan.teams.items() if not count_of(plan)]
            names = f": {', '.join(unchanged)}" if self.verbose else ""
            lines.append(f"{counted(teams['unchanged'], 'team')} unchanged{names}")
        return lines

    def _checked(self) -> tuple[tuple[int, str], ...]:
        return (len(self.plan.records), "record"), (len(self.plan.teams), "team")

    def details(self) -> Iterator[Section]:
        """The records that change, and each team resource by resource."""
        if self.plan.records:
            yield self._records()
        for plan in self.shown:
            yield Section(self._team_title(plan), [*self._team_lines(plan)])

    # ---- who gains and loses what ----

    def _access(self, field: str, mark: str) -> Iterator[Line]:
        """Rows that differ by their accounts alone share a line."""
        accounts = defaultdict[tuple[str, str], list[str]](list)
        for plan in self.plan.teams.values():
            for row in plan.get(field, ()):
                accounts[row["of"], self._access_text(plan["team"], row)] += [row["account"]] if row["account"] else []
        for (_, text), ids in sorted(accounts.items(), key=lambda line: (line[0][0], line[1], line[0][1])):
            yield Line(f"{self._named('account', ids)}: {text}" if ids else text, mark)

    def _access_text(self, team: str, row: Mapping[str, Any]) -> str:
        may = self._several(row["may"])
        if row["of"] == "cluster":
            within = "" if row["within"] in ("", namespace_of(team)) else f" in namespace {row['within']}"
            return f"{row['who']} on cluster {row['where']} as team {team}{within} ({may})"
        subject = f"{row['of'].replace('_', ' ').replace('data', 'dataset')} {row['where']}"
        keeps = f" (keeps {self._several(row['keeps'])})" if row.get("keeps") else ""
        return f"{subject}: team {team}, {row['who']}: {may} {row['within']}{keeps}"

    def _quotas(self) -> Iterator[Line]:
        costs = []
        for team, plan in self.plan.teams.items():
            for row in plan.get("quotas", ()):
                cost = hourly(self.prices, row)
                costs += [cost] if cost else []
                price = f" ({cost[0]:,.2f} → {cost[1]:,.2f} an hour)" if cost else ""
                before, after = (
                    words.quota_line({"instance_type": row["instance_type"], **row[when]}) if row[when] else "none"
                    for when in ("before", "after")
                )
                yield Line(f"team {team} on cluster {row['cluster']}: {before} → {after}{price}", CHANGED)
        if costs:
            before, after = (f"{sum(side):,.2f}" for side in zip(*costs, strict=True))
            yield Line(f"whole instances that are guaranteed: {before} → {after} an hour", CHANGED)

    # ---- what is wrong, and what there is to know ----

    def _warnings(self) -> Iterator[Line]:
        for plan in self.shown:
            for resource in plan.get("left_behind", ()):
                yield Line(f"{plan['team']}: {resource['what']}", BLOCKED)
                yield Line(resource["remedy"], depth=1)

    def _blockers(self, mark: str) -> Iterator[Line]:
        """Each blocker once, with all teams that it blocks."""
        teams = defaultdict[tuple[str, str], list[str]](list)
        for team, reason in self.plan.failures.items() if mark == BLOCKED else ():
            teams[reason, ""].append(team)
        for team, plan in self.plan.teams.items():
            for problem in plan.get("problems", ()) if mark == BLOCKED else ():
                teams[f"invalid record {problem['record']}: {sentence(problem)}", problem["remedy"]].append(team)
            for blocker in plan["obstacles"]:
                if bool(blocker.get("waits")) is (mark == WAITS):
                    teams[blocker["what"], blocker["remedy"]].append(team)
        for (reason, remedy), names in teams.items():
            yield Line(f"{self._named('team', names)}: {reason}", mark)
            yield from [Line(remedy, depth=1)] if remedy else ()

    def _notes(self) -> Iterator[Line]:
        """Each note once; one that holds for all teams needs no names."""
        teams = defaultdict[str, list[str]](list)
        for plan in self.shown:
            for note in words.isolation(plan.get("notes", ()))[1]:
                teams[note].append(plan["team"])
        for note, names in teams.items():
            of_all = len(names) == len(self.shown)
            yield Line(note if of_all else f"{self._named('team', names)}: {note}")

    def _named(self, noun: str, names: Sequence[str]) -> str:
        return f"{noun} {names[0]}" if len(names) == 1 else f"{noun}s {self._several(names)}"

    def _several(self, names: Sequence[str]) -> str:
        if self.verbose or len(names) <= _MOST_NAMED:
            return ", ".join(names)
        return f"{', '.join(names[:_MOST_NAMED])} and {len(names) - _MOST_NAMED} more"

    # ---- record by record, resource by resource ----

    def _records(self) -> Section:
        counts = self.plan.counts["records"]
        effects = [
            f"{counts[effect]} to {effect}" for effect in ("create", "change", "delete", "track") if counts[effect]
        ]
        unchanged = [f"{counts['unchanged']} unchanged"] if counts["unchanged"] else []
        lines = [line for record in self.plan.changes for line in _record_lines(record, whole=self.verbose)]
        if self.verbose:
            unchanged_records = (record for record in self.plan.records if record.effect is Effect.UNCHANGED)
            lines += [Line(record.record_id) for record in unchanged_records]
        return Section(f"Records: {', '.join([*effects, *unchanged])}", lines)

    def _team_title(self, plan: TeamPlan) -> str:
        effects = [*effects_of(plan).values()]
        counts = [f"{effects.count(name)} to {name}" for name in ("add", "change", "revoke") if name in effects]
        state = " (deleted)" if plan.get("deleted") else " (ended)" if plan.get("ended") else ""
        digest = f" ({plan['hash']})" if self.verbose else ""
        return f"{plan['team']}{state}: {', '.join(counts) or 'nothing would change'}{digest}"

    def _team_lines(self, plan: TeamPlan) -> Iterator[Line]:
        """The changes in the order in which they would be carried out."""
        stages = [stage for stage in plan["revoke"] if stage["changes"]]
        restricted = {change["key"] for stage in stages for change in stage["changes"] if change["action"] == "narrow"}
        if stages:
            yield Line("Revoke, in stages:")
        for number, stage in enumerate(stages, 1):
            yield Line(f"{number}. {words.STAGES.get(stage['stage'], stage['stage'].replace('_', ' '))}", depth=1)
            for change in stage["changes"]:
                yield from self._change(plan, change, restricted)
        provisions = _by_reason([*plan["allocate"], *plan["grant"]])
        if provisions:
            yield Line(f"{'Then provision' if stages else 'Provision'} (independent changes in parallel):")
        for reason, changes in provisions.items():
            yield Line(f"• {reason}", depth=1)
            for change in changes:
                yield from self._change(plan, change, restricted)
        if plan.get("left"):
            yield Line(f"{plan['left']} more changes follow in the next run.", WAITS)
        if self.verbose or self.named:
            yield from map(Line, words.access_points(plan.get("access_points", ())))

    def _change(self, plan: TeamPlan, change: Mapping[str, Any], restricted: set[str]) -> Iterator[Line]:
        reason = f" — {change['why']}" if self.verbose and change.get("why") else ""
        action = change["action"]
        name = ACTIONS.get(action, action)
        yield Line(f"{name} {words.resource(change)}{reason}", _ACTION_MARKS.get(action, CHANGED), depth=3)
        if action not in ("narrow", "update") and not (action == "create" and self.verbose):  # it is all of it
            return
        fields = defaultdict[str, tuple[list[str], list[str]]](lambda: ([], []))
        for field in plan.get("fields", {}).get(change["key"], ()):
            removed, added = fields[field["field"]]
            removed += () if action == "update" and change["key"] in restricted else field["removed"]
            added += () if action == "narrow" and _is_updated(plan, change["key"]) else field["added"]
        for name, (removed, added) in fields.items():
            yield from _field_lines(name, removed, added, whole=self.verbose)


def text(view: View) -> Iterator[str]:
    """The whole plan as lines of markup."""
    yield from brief_text(view)
    for section in view.details():
        if section.lines or view.verbose or view.named:
            yield from ("", *_text_of(section))


def brief_text(view: View) -> Iterator[str]:
    """What matters and how much it is, as lines of markup."""
    yield from [f"[dim]{escape(view.isolation)}[/]"] if view.isolation else []
    for section in filter(lambda section: section.lines, view.summary()):
        yield from _text_of(section)
    yield from (f"[bold]{escape(line)}[/]" for line in view.conclusion())


def _text_of(section: Section) -> Iterator[str]:
    yield f"[bold]{escape(section.title)}[/]"
    for line in section.lines:
        style = _STYLES.get(line.mark)
        marked = escape(f"{line.mark} {line.visible}".rstrip())
        yield f"{'  ' * line.depth}{f'[{style}]{marked}[/]' if style else marked}"


def _record_lines(record: RecordChange, *, whole: bool) -> Iterator[Line]:
    yield Line(record.record_id, _EFFECT_MARKS[record.effect])
    if record.item and record.before:
        for field in sorted(changed_fields(content(record.before), content(record.item)), key=lambda each: each.field):
            yield from _field_lines(field.field, field.removed, field.added, depth=1, whole=whole)


def _field_lines(
    path: str, removed: Sequence[str], added: Sequence[str], depth: int = 5, *, whole: bool
) -> Iterator[Line]:
    """A field with a short old and new value is a line, any other has what goes and what comes below it.

    Of a long value in the place of another one only the parts that differ are shown, unless it is to be ``whole``.
    """
    name = re.sub("arn:[^:]+:eks::aws:cluster-access-policy/", "", path)
    if len(removed) == len(added) == 1 and not whole and max(map(len, (*removed, *added))) > LONGEST:
        removed, added = _differing(removed[0], added[0])
    if len(removed) == len(added) == 1 and max(map(len, (*removed, *added))) <= LONGEST:
        yield Line(f"{name}: {removed[0]} → {added[0]}", CHANGED, depth)
    elif len(removed) + len(added) == 1 and len([*removed, *added][0]) <= LONGEST:
        yield Line(f"{name}: {[*removed, *added][0]}", REMOVED if removed else ADDED, depth)
    elif removed or added:
        yield Line(f"{name}:", depth=depth)
        yield from (Line(value, REMOVED, depth + 1) for value in removed)
        yield from (Line(value, ADDED, depth + 1) for value in added)


def _differing(old: str, new: str) -> tuple[Sequence[str], Sequence[str]]:
    """The parts of two values that only one of them has, in their order; both whole where they share none."""
    parts = old.split(_PART), new.split(_PART)
    blocks = SequenceMatcher(None, *parts, autojunk=False).get_opcodes()
    if all(kind != "equal" for kind, *_ in blocks):
        return (old,), (new,)
    removed = [_PART.join(parts[0][begin:end]) for kind, begin, end, _, _ in blocks if kind != "equal" and begin < end]
    added = [_PART.join(parts[1][begin:end]) for kind, _, _, begin, end in blocks if kind != "equal" and begin < end]
    return tuple(f"… {text} …" for text in removed), tuple(f"… {text} …" for text in added)


def _is_updated(plan: TeamPlan, key: str) -> bool:
    chains = (*plan["allocate"], *plan["grant"])
    return any(change["key"] == key for chain in chains for batch in chain["waves"] for change in batch["changes"])


def _by_reason(chains: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The changes of dependency chains, in their order, by what asks for the first change of each chain."""
    reasons, changes = dict[int, str](), dict[str, list[Mapping[str, Any]]]()
    for chain in chains:
        for change in (change for batch in chain["waves"] for change in batch["changes"]):
            reason = reasons.setdefault(change["lane"], change["why"])
            changes.setdefault(reason, []).append(change)
    return changes

"""Which teams a change may affect. False positives are harmless; a missed team is not."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from podshare.aws.rows import Item
from podshare.aws.settings import Settings
from podshare.aws.tables import Registry, State
from podshare.reconcile.organization_accounts import all_known_accounts, all_users, users_of
from podshare.registry.accounts import Account
from podshare.registry.enrollments import team_name
from podshare.registry.items import clusters_of, enrolled, is_name, name_of, plain
from podshare.registry.parsing import understood
from podshare.registry.records import Membership, Selection
from podshare.registry.values import LONGEST_TEAM


def teams_of_record(settings: Settings, kind: str, name: str) -> list[str]:
    """The teams that a cluster, dataset or enrollment affects, also by records that are not acceptable."""
    items = list(Registry(settings.registry).scan())
    using = [item for item in items if _uses(item, kind, name)] if kind != "enrollment" else []
    teams = {name_of(item) for item in using if _is(item, "team")}
    enrollments = {name} if kind == "enrollment" else {name_of(item) for item in using if _is(item, "enrollment")}
    if enrollments:
        teams |= {*_enrolled_by(items, enrollments, settings), *_made_by(all_users(settings), enrollments)}
    if kind != "enrollment":
        teams |= _without_record(items, settings)
    return sorted(teams)


def teams_of_account(settings: Settings, account: Account) -> list[str]:
    """The teams that an account affects: those that have something for it, and those that name or select it now."""
    items = list(Registry(settings.registry).scan())
    places = [item for item in items if str(item.get("account")) == account.id]
    datasets = {name_of(item) for item in places if _is(item, "dataset")}
    clusters = {name_of(item) for item in places if _is(item, "cluster")}
    teams = users_of(settings, account.id)
    for item in items:
        touched = _selects(item, account) or any(_mentions(item, dataset) for dataset in datasets)
        touched = touched or any(_uses(item, "cluster", cluster) for cluster in clusters)
        if touched and _is(item, "team"):
            teams.add(name_of(item))
        elif _is(item, "enrollment") and _selects(item, account):
            teams.add(team_name(name_of(item), account.id))
    return sorted(teams)


def clusters_by_team(settings: Settings) -> dict[str, str]:
    """Every team that has a record, or that an enrollment makes now, with the names of its clusters."""
    items = list(Registry(settings.registry).scan())
    enrollments = {name_of(item): _clusters(item.get("team")) for item in items if _is(item, "enrollment")}
    enrolled_teams = _enrolled_by(items, {*enrollments}, settings)
    own = {name_of(item): _clusters(item) for item in items if _is(item, "team")}
    return {**{team: enrollments.get(_enrollment(team), "") for team in enrolled_teams}, **own}


def _clusters(fields: Any) -> str:
    return " ".join(sorted(clusters_of(fields))) if isinstance(fields, Mapping) else ""


def _enrollment(team: str) -> str:
    """The enrollment that makes a team."""
    made_by = enrolled(team)
    return made_by[0] if made_by else ""


def _enrolled_by(items: Iterable[Item], enrollments: set[str], settings: Settings) -> Iterator[str]:
    accounts = all_known_accounts(State(settings.state))
    for item in items:
        if _is(item, "enrollment") and name_of(item) in enrollments:
            yield from (
                team_name(name_of(item), account.id) for account in accounts.values() if _selects(item, account)
            )


def _without_record(items: Iterable[Item], settings: Settings) -> set[str]:
    """The teams that have something, and no record or enrollment: what their last accepted record named is not read.

    Deletion protection keeps such a team as it was.
    """
    teams = all_users(settings) - {name_of(item) for item in items if _is(item, "team")}
    if teams:
        enrollments = {name_of(item) for item in items if _is(item, "enrollment")}
        teams -= {*_enrolled_by(items, enrollments, settings)}
    return teams


def _made_by(teams: Iterable[str], enrollments: set[str]) -> Iterator[str]:
    for team in teams:
        if (enrollment_and_account := enrolled(team)) and enrollment_and_account[0] in enrollments:
            yield team


def _selects(item: Item, account: Account) -> bool:
    """Whether a record names or selects the account, as far as the record can be understood."""
    fields = plain(item)
    if _is(item, "enrollment"):
        selection = understood(Selection, fields)
        return selection is not None and selection.selects(account)
    rows = fields.get("members") if _is(item, "team") else None
    lines = [understood(Membership, row) for row in rows] if isinstance(rows, list) else []
    return any(line and (line.account == account.id or line.selects(account)) for line in lines)


def _uses(item: Item, kind: str, name: str) -> bool:
    fields = item.get("team", {}) if _is(item, "enrollment") else item
    if not isinstance(fields, Mapping):
        return False
    if kind == "cluster":
        return name in clusters_of(fields)
    return any(_mentions(fields.get(field), name) for field in ("service_accounts", "file_systems"))


def _mentions(value: Any, dataset: str) -> bool:
    if isinstance(value, Mapping):
        return value.get("dataset") == dataset or any(_mentions(item, dataset) for item in value.values())
    return isinstance(value, list) and any(_mentions(item, dataset) for item in value)


def _is(item: Item, kind: str) -> bool:
    """Whether a record is of this kind; one that is called as no team can be is none."""
    record_kind, _, name = str(item["id"]).partition("#")
    return record_kind == kind and (kind != "team" or is_name(name, LONGEST_TEAM))

"""The team that an enrollment makes for an account, as an item that could be in the registry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podshare.registry.accounts import Account
from podshare.registry.items import plain
from podshare.registry.parsing import parse, understood
from podshare.registry.problems import InvalidRecord, Problem, bounded
from podshare.registry.records import Enrollment, Selection
from podshare.registry.templates import MissingTag, facts_of, rendered

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The item of an account's team (None: the account has none) and what keeps it from being granted anything.

    ``selector`` is what the enrollment selects accounts by, in words.
    """

    item: dict[str, Any] | None
    problems: tuple[Problem, ...] = ()
    selector: str = ""


def team_name(enrollment: str, account: str) -> str:
    """The name of the team that an enrollment makes for an account."""
    return f"{enrollment}-{account}"


def team_of(enrollment: Item, account: Account) -> Enrolled:
    """The team of ``account`` by the registry item ``enrollment``.

    Of an enrollment that breaks a rule counts what can be understood: an account that it no longer selects has no team,
    and where not even that is plain the team asks for nothing.
    """
    name = str(enrollment.get("id", "")).partition("#")[2]
    try:
        record = parse(enrollment)
        problems: tuple[Problem, ...] = ()
    except InvalidRecord as error:
        record, problems = None, error.problems
    selection = record if isinstance(record, Enrollment) else _selection(enrollment)
    if selection and not selection.selects(account):
        return Enrolled(None, problems)
    fields = plain(enrollment).get("team")
    item: dict[str, Any] = {"id": f"team#{team_name(name, account.id)}", "schema": 1}
    if not selection or not isinstance(fields, Mapping):
        return Enrolled(item, problems)
    role = fields.get("member", {})
    item |= {key: value for key, value in fields.items() if key != "member"}
    item["members"] = [{**role, "account": account.id}] if isinstance(role, Mapping) else []
    try:
        return Enrolled(_filled(item, account), problems, selection.selector)
    except MissingTag as missing:
        remedy = "Tag the account in AWS Organizations, or exclude it."
        problem = Problem(str(enrollment["id"]), "team", "a placeholder", str(missing), remedy)
        return Enrolled(item, bounded((problem, *problems)), selection.selector)


def _selection(enrollment: Item) -> Selection | None:
    selection = understood(Selection, plain(enrollment))
    return selection if selection and selection.selector else None


def _filled(item: dict[str, Any], account: Account) -> dict[str, Any]:
    """Only these fields take placeholders; anywhere else one is refused by the field's own rule."""
    fact = facts_of(account)

    def filled(fields: Item) -> dict[str, Any]:
        filling = ("owner", "reason", "quota")
        return {name: rendered(value, fact) if name in filling else value for name, value in fields.items()}

    if isinstance(item.get("cluster"), list):
        item = {**item, "cluster": [filled(row) if isinstance(row, Mapping) else row for row in item["cluster"]]}
    return filled(item)

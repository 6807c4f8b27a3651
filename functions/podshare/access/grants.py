"""Which line of which record gives an access, by what the resources on its way are for."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from podshare.access.effective_access import Access, account_of, in_bucket
from podshare.kinds.team_on_cluster import ALL_MEMBERS
from podshare.policy import policies
from podshare.registry.lines import TEAM, Line, member_line
from podshare.registry.membership import Member

_MEMBER, _ACCOUNT, _DATASET, _SELECTED = "member ", "service account ", "dataset ", ", by "
_ACCOUNT_DIGITS = 12


def grants_of(
    access: Access,
    whys: Mapping[str, str],
    lines: Collection[Line],
    members: Collection[Member],
    places: Mapping[str, tuple[str, str]],
) -> tuple[Line, ...]:
    """The lines of the team's record that give an access; the team itself where no line of its own does.

    ``whys`` is what each resource that podshare wants is for, by its key; ``places`` the ARN of each dataset's bucket,
    and the prefix in it.
    """
    reasons = {whys[key] for key in access.by if key in whys}
    named = {text for reason in reasons for text in _named(reason, access, members)}
    people = [line for line in lines if line.text in named]
    data = [line for line in lines if line.dataset and _is_data(line, reasons) and _is_of(line, access, places)]
    return tuple(sorted({*people, *data})) or tuple(line for line in lines if line.text == TEAM)


def as_dicts(record: str, lines: Collection[Line]) -> list[dict[str, Any]]:
    """Lines as the history has them."""
    return [{"record": record, "line": line.text, "until": line.until or None} for line in lines]


def _named(reason: str, access: Access, members: Collection[Member]) -> Iterator[str]:
    """The lines that a resource of members names."""
    if reason == ALL_MEMBERS:
        account = account_of(access.who)
        yield from (_line_of(member) for member in members if member.account == account)
    elif reason.startswith(_MEMBER):
        identity, _, selector = reason.removeprefix(_MEMBER).partition(_SELECTED)
        account, role = identity[:_ACCOUNT_DIGITS], identity[_ACCOUNT_DIGITS:]
        yield member_line(account, role, selector)


def _line_of(member: Member) -> str:
    return member_line(member.account, member.role, member.selector)


def _is_data(line: Line, reasons: Collection[str]) -> bool:
    """Whether a grant's resources are among those on the way."""
    if line.service_account:
        return f"{_ACCOUNT}{line.service_account}" in reasons
    return f"{_DATASET}{line.dataset} in file system {line.file_system}" in reasons


def _is_of(line: Line, access: Access, places: Mapping[str, tuple[str, str]]) -> bool:
    """Whether a grant's data are those that are reached; of what is no bucket every grant of its resources is."""
    if not in_bucket(access):
        return True
    where, prefix = places.get(line.dataset, ("", ""))
    return where == access.where and policies.overlap(f"{line.prefix or prefix}*", access.what)

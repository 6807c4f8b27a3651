"""What a record gives, line by line, and which version of it says so: the words by which the history finds a grant."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from podshare.registry.declared import declaration_of, digest_of
from podshare.registry.items import clusters_of, part, plain, rows

TEAM = "the team"


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """A line of a record, in the words of its expiration; ``until`` is when it ends, empty for never.

    Of a member ``account`` or ``selector`` says whose accounts are meant; of a grant ``dataset`` and ``prefix`` what is
    given, and ``service_account`` or ``file_system`` to whom.
    """

    text: str
    until: str = ""
    account: str = ""
    selector: str = ""
    dataset: str = ""
    prefix: str = ""
    service_account: str = ""
    file_system: str = ""

    def in_enrollment(self, selector: str) -> "Line":
        """The line of an enrollment from which an account's own team has this one: there the selector lets it in."""
        if not self.account:
            return self
        text = self.text.replace(f"member {self.account}", f"member {selector}", 1)
        return replace(self, text=text, account="", selector=selector)


def lines_of(record: Mapping[str, Any]) -> tuple[Line, ...]:
    """The lines of a team's record, or of an enrollment, however wrong the rest of it is; each once."""
    fields = plain(record)
    team = fields.get("team") if isinstance(fields.get("team"), Mapping) else fields
    lines = [Line(TEAM, _text(team.get("expires")))] if "cluster" in team else []
    lines += [Line(f"cluster {name}") for name in clusters_of(team)]
    if team is not fields:  # an enrollment selects the accounts, and says by which role their people work
        lines += _member({**part(team, "member"), **fields})
    for row in rows(team.get("members")):
        lines += _member(row)
    for account in rows(team.get("service_accounts")):
        lines += [_of_service_account(_text(account.get("name")), row) for row in rows(account.get("datasets"))]
    lines += [_in_file_system(row) for row in rows(team.get("file_systems"))]
    return tuple({line.text: line for line in lines}.values())


def version_of(record: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Which version of a record this is: who wrote it and why, as its writer declared, and a digest of what it says.

    Of what somebody changed without declaring it, the digest alone is known. ``before`` is what the record was before.
    """
    declared = declaration_of(record, before)
    return {
        "id": _text(plain(record).get("id")),
        "version": declared.get("version"),
        "writer": declared.get("by", ""),
        "author": declared.get("author", ""),
        "reason": declared.get("reason", ""),
        "commit_id": declared.get("commit", ""),
        "written_at": declared.get("at", ""),
        "digest": digest_of(record),
    }


def member_line(account: str, role: str, selector: str = "") -> str:
    """The line that lets a member in; ``role`` as its identity has it, empty for podshare's own."""
    return f"member {selector or account}{role}"


def _member(row: Mapping[str, Any]) -> Iterator[Line]:
    tag = row.get("account_tag")
    account, selector = _text(row.get("account")), ""
    if row.get("organizational_unit"):
        selector = f"organizational unit {_text(row['organizational_unit'])}"
    elif isinstance(tag, Mapping):
        selector = f"account tag {_text(tag.get('key'))}={_text(tag.get('value'))}"
    role = ""
    if row.get("existing_role"):
        role = f"/role/{_text(row['existing_role'])}"
    elif row.get("permission_set"):
        role = f"/permission-set/{_text(row['permission_set'])}"
    if account or selector:
        text = member_line(account, role, selector)
        yield Line(text, _text(row.get("expires")), account="" if selector else account, selector=selector)


def _of_service_account(name: str, row: Mapping[str, Any]) -> Line:
    dataset, prefix = _text(row.get("dataset")), _prefix(row)
    identity = f"{dataset} at {prefix}" if prefix else dataset
    text = f"dataset {identity} of service account {name}"
    return Line(text, _text(row.get("expires")), dataset=dataset, prefix=prefix, service_account=name)


def _in_file_system(row: Mapping[str, Any]) -> Line:
    dataset, file_system, cluster = (_text(row.get(name)) for name in ("dataset", "file_system", "cluster"))
    identity = f"{dataset} on {cluster}" if cluster else dataset
    text = f"dataset {identity} in file system {file_system}"
    return Line(text, _text(row.get("expires")), dataset=dataset, prefix=_prefix(row), file_system=file_system)


def _prefix(row: Mapping[str, Any]) -> str:
    """A prefix as a record counts it: with its final slash."""
    prefix = _text(row.get("prefix"))
    return prefix if not prefix or prefix.endswith("/") else f"{prefix}/"


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else repr(value)

"""Which part of a record counts while something in it is wrong.

Until a bad record is fixed nothing that it adds is granted, and everything that it removes is removed. The last
accepted record bounds what may exist; of that stays only what the new record, as far as it can be understood, still
asks for. What cannot be understood asks for nothing: a typo never keeps access alive. The compute quota is
capacity and no access: it stays as it was accepted, because removing it affects running work.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations, product
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from podshare.registry.enrollments import Enrolled
from podshare.registry.items import clusters_of, plain, rows
from podshare.registry.parsing import parse, parse_team, understood
from podshare.registry.problems import InvalidRecord, Problem, bounded
from podshare.registry.records import (
    MOST_MEMBERS,
    Access,
    Dataset,
    DatasetAccess,
    DatasetGrant,
    FileSystemGrant,
    GroupRules,
    Membership,
    RbacRule,
    ServiceAccount,
    Team,
    as_rule,
    overlap,
    share_a_role,
    without_access,
)
from podshare.registry.values import Moment
from podshare.registry.wording import closest

Item = Mapping[str, Any]
R = TypeVar("R", bound=BaseModel)
P = TypeVar("P", bound=BaseModel)
V = TypeVar("V")
_EXPIRES: TypeAdapter[datetime | None] = TypeAdapter(Moment | None)


@dataclass(frozen=True, slots=True)
class Accepted(Generic[R]):
    """The record that counts (None: nothing is desired) and what is wrong with the one that was written.

    ``suspended`` names the clusters of a team on which it keeps its quota, and nobody has access.
    """

    record: R | None
    problems: tuple[Problem, ...] = ()
    suspended: frozenset[str] = frozenset()


def accept_dataset(item: Item | None, last: Dataset | None) -> Accepted[Dataset]:
    """The dataset that counts. A deleted dataset is a revocation, a bad one keeps no more than it still says."""
    if item is None:
        return Accepted(None)
    try:
        record = parse(item)
    except InvalidRecord as error:
        return Accepted(_restricted_dataset(item, last), error.problems)
    return Accepted(record if isinstance(record, Dataset) else None)


def _restricted_dataset(item: Item, last: Dataset | None) -> Dataset | None:
    written = understood(Dataset, {**plain(item), "name": last.name}) if last else None
    if not last or not written:
        return None
    fixed = ("account", "region", "bucket", "kms_key", "vpc", "data_role")
    if any(getattr(written, name) != getattr(last, name) for name in fixed):
        return None
    if written.prefix.startswith(last.prefix):
        # nobody is expected by a bad record; without any, whoever was there first would be
        both = tuple(each for each in last.other_principals if each in written.other_principals)
        return written.model_copy(update={"other_principals": both or last.other_principals})
    return last if last.prefix.startswith(written.prefix) else None


def accept_team(
    item: Item | None,
    last: Team | None,
    clusters: Collection[str],
    datasets: Mapping[str, Dataset | None],
    own_paths: Sequence[str] = (),
    *,
    enrolled: Enrolled | None = None,
    suspended: Collection[str] = (),
    prefix: str = "",
) -> Accepted[Team]:
    """The team that counts.

    ``last`` is what was accepted before, with the clusters that were ``suspended`` then. ``own_paths`` are the IAM
    paths of podshare's own roles, by which nobody may be a member. ``enrolled`` is what an enrollment makes of the
    team, in place of ``item``. ``prefix`` is what the team's Kubernetes groups begin with.
    ``clusters`` names the clusters that exist; ``datasets`` holds each dataset that ever existed, None where it
    was deleted. A reference to anything else is a problem of the record.
    """
    item = enrolled.item if enrolled else item
    if item is None:
        return _deleted_team(last)
    problems = enrolled.problems if enrolled else ()
    if not problems:
        try:
            team = parse_team(item, made_by_enrollment=enrolled is not None)
        except InvalidRecord as error:
            problems = error.problems
        else:
            broken = (*_broken_references(team, clusters, datasets), *_mixed_roles(team, datasets))
            broken = (*broken, *_overlapping_links(team, datasets))
            problems = bounded((*broken, *_own_roles(team, own_paths), *_own_groups(team, prefix)))
            if not problems:
                return Accepted(team)
    if last is None:
        return Accepted(None, problems)
    asked_for = {*clusters_of(plain(item))} & {*clusters} - {*suspended}
    if not last.quotas.keys() & asked_for:
        return Accepted(without_access(last), problems)
    return Accepted(_restricted_team(item, last, datasets), problems, frozenset(last.quotas.keys() - asked_for))


def _deleted_team(last: Team | None) -> Accepted[Team]:
    """A team whose record is gone: nothing, unless the record said that its deletion is a mistake."""
    if last is None or not last.deletion_protection:
        return Accepted(None)
    rule = "the record was deleted while deletion_protection was true: the team stays as last accepted"
    remedy = "Restore the record. To delete the team, first set deletion_protection to false."
    return Accepted(last, (Problem(f"team#{last.name}", "deletion_protection", "true", rule, remedy),))


def _broken_references(
    team: Team, clusters: Collection[str], datasets: Mapping[str, Dataset | None]
) -> Iterable[Problem]:
    record = f"team#{team.name}"
    for row, name in enumerate(team.quotas):
        if name not in clusters:
            field = "cluster" if isinstance(team.cluster, str) else f"cluster.{row}.cluster"
            remedy = _remedy_for_unknown("cluster", name, clusters)
            yield Problem(record, field, name, f"no cluster {name}", remedy)
    for field, grant in _grants(team):
        dataset = datasets.get(grant.dataset)
        if grant.dataset not in datasets:
            remedy = _remedy_for_unknown("dataset", grant.dataset, datasets)
            yield Problem(record, f"{field}.dataset", grant.dataset, f"no dataset {grant.dataset}", remedy)
        elif dataset and not dataset.holds(grant.prefix):
            rule = f"is outside of dataset {dataset.name}, which is {dataset.prefix} of {dataset.bucket}"
            remedy = f"Prefixes count from the bucket's root: begin it with {dataset.prefix}"
            yield Problem(record, f"{field}.prefix", grant.prefix, rule, remedy)


def _remedy_for_unknown(kind: str, name: str, known: Iterable[str]) -> str:
    likely = closest(name, known)
    first = f"Write {kind}#{name} first"
    return f"Did you mean {likely}? Else {first[0].lower()}{first[1:]}." if likely else f"{first}, or correct the name."


def _grants(team: Team) -> Iterable[tuple[str, DatasetGrant | FileSystemGrant]]:
    """Every grant of a dataset, with its place in the record."""
    for row, account in enumerate(team.service_accounts):
        yield from (
            (f"service_accounts.{row}.datasets.{column}", grant) for column, grant in enumerate(account.datasets)
        )
    yield from ((f"file_systems.{row}", grant) for row, grant in enumerate(team.file_systems))


def _overlapping_links(team: Team, datasets: Mapping[str, Dataset | None]) -> Iterable[Problem]:
    """A file system links no two directories to data of which one's lie in the other's (FSx for Lustre user guide)."""
    for (row, grant), (other_row, other) in combinations(enumerate(team.file_systems), 2):
        links = [(datasets.get(each.dataset), each) for each in (grant, other)]
        places = [f"{dataset.bucket}/{each.prefix or dataset.prefix}" for dataset, each in links if dataset]
        if grant.file_system == other.file_system and len(places) > 1 and overlap(*places):
            rule = f"overlaps with file_systems.{row}, and {other.file_system} links each prefix once"
            remedy = "Remove one of them, or link it to another file system."
            yield Problem(f"team#{team.name}", f"file_systems.{other_row}.dataset", other.dataset, rule, remedy)


def _mixed_roles(team: Team, datasets: Mapping[str, Dataset | None]) -> Iterable[Problem]:
    for row, account in enumerate(team.service_accounts):
        used = [dataset for grant in account.datasets if (dataset := datasets.get(grant.dataset))]
        if not share_a_role(used):
            targets = sorted({dataset.name for dataset in used if dataset.data_role == "target"})
            rule = (
                "have data_role target: they cannot be combined with other datasets, or with those of another account"
            )
            remedy = "Pods use one role: give these datasets their own service accounts, one for each account."
            field = f"service_accounts.{row}.datasets"
            yield Problem(f"team#{team.name}", field, ", ".join(targets), rule, remedy)


def _own_roles(team: Team, own_paths: Sequence[str]) -> Iterable[Problem]:
    """A member by a role that podshare made would get in by another team's membership."""
    for row, member in enumerate(team.members):
        if member.existing_role and f"/{member.existing_role}".startswith(tuple(own_paths)):
            rule = "is one of podshare's own roles"
            remedy = "Remove existing_role: podshare creates the team's own data scientist role."
            yield Problem(f"team#{team.name}", f"members.{row}.existing_role", member.existing_role, rule, remedy)


def _own_groups(team: Team, prefix: str) -> Iterable[Problem]:
    """A group of another installation's prefix is that one's, whatever team it names."""
    for row, group in enumerate(team.kubernetes_groups):
        if prefix and not group.startswith(f"{prefix}:"):
            remedy = f"Begin it with {prefix}:{team.name}:"
            yield Problem(f"team#{team.name}", f"kubernetes_groups.{row}", group, "is not the team's", remedy)


# ---- what a record that breaks a rule still asks for ----------------------------------------------------------


def _restricted_team(item: Item, last: Team, datasets: Mapping[str, Dataset | None]) -> Team:
    written = plain(item)
    expires = _understood_value(_EXPIRES, written.get("expires"))
    if expires is None and written.get("expires") is not None:
        return without_access(last)
    return last.model_copy(
        update={
            "expires": _sooner(last.expires, expires),
            "access": _lesser_access(last, written),
            "members": tuple(_restricted_members(last.members, _elements(Membership, written.get("members")))),
            "service_accounts": tuple(_restricted_accounts(last, written.get("service_accounts"), datasets)),
            "file_systems": tuple(_restricted_links(last, written.get("file_systems"), datasets)),
            **_restricted_groups(last, written),
        }
    )


def _sooner(left: datetime | None, right: datetime | None) -> datetime | None:
    return min((moment for moment in (left, right) if moment), default=None)


def _lesser_access(last: Team, written: Item) -> Access | tuple[Access, ...]:
    """The kinds in both records, of view, edit and admin the narrower; no other kind holds another."""
    requested = written.get("access", Access.TRAINING)
    read = (_understood_value(Access, kind) for kind in (requested if isinstance(requested, list) else [requested]))
    now = [kind for kind in read if kind is not None]
    ladder = (Access.VIEW, Access.EDIT, Access.ADMIN)
    both = {kind for kind in last.access_kinds if kind in now}
    both |= {
        min(kind, other, key=ladder.index) for kind in last.access_kinds for other in now if {kind, other} <= {*ladder}
    }
    widest = max((kind for kind in both if kind in ladder), key=ladder.index, default=None)
    kept = tuple(kind for kind in Access if kind in both and (kind not in ladder or kind is widest))
    return kept if len(kept) > 1 else kept[0] if kept else Access.NONE


def _restricted_members(last: Iterable[Membership], written: Iterable[Membership]) -> Iterable[Membership]:
    by_identity = {member.identity: member for member in written}
    for member in last:
        now = by_identity.get(member.identity)
        if now is None:
            continue
        excluded = tuple(sorted({*member.exclude_accounts, *now.exclude_accounts}))
        if len(excluded) > MOST_MEMBERS:
            continue  # more than a line can say, and to leave some out would let them in
        for trusted_by in _trust_intersection(member.trusted_by, now.trusted_by):
            yield member.model_copy(
                update={
                    "trusted_by": trusted_by,
                    "exclude_accounts": excluded,
                    "expires": _sooner(member.expires, now.expires),
                }
            )


def _trust_intersection(
    left: tuple[str, ...] | None, right: tuple[str, ...] | None
) -> Iterable[tuple[str, ...] | None]:
    """Whom both lines trust; None stands for the whole account. Nothing where they agree on nobody."""
    if left is None or right is None:
        yield right if left is None else left
    elif both := tuple(name for name in left if name in right):
        yield both


def _restricted_accounts(
    last: Team, written: object, datasets: Mapping[str, Dataset | None]
) -> Iterable[ServiceAccount]:
    by_name = {name: row for row in rows(written) if isinstance(name := row.get("name"), str)}
    for account in last.service_accounts:
        if row := by_name.get(account.name):
            grants = _restricted_grants(account.datasets, _elements(DatasetGrant, row.get("datasets")), datasets)
            yield account.model_copy(update={"datasets": tuple(grants)})


def _restricted_grants(
    last: Iterable[DatasetGrant], written: Iterable[DatasetGrant], datasets: Mapping[str, Dataset | None]
) -> Iterable[DatasetGrant]:
    """What any of the last accepted grants and any of those written have in common.

    Of several with one dataset and prefix, of which a record may name one, the most that is sure to be one of them.
    """
    grants: dict[str, DatasetGrant] = {}
    for grant, now in product(last, list(written)):
        dataset = datasets.get(grant.dataset)
        if grant.dataset != now.dataset or dataset is None or not dataset.holds(now.prefix):
            continue
        both = _grant_intersection(grant, now)
        if both and (both.identity not in grants or _gives(both, grants[both.identity])):
            grants[both.identity] = both
    return grants.values()


def _grant_intersection(left: DatasetGrant, right: DatasetGrant) -> DatasetGrant | None:
    """What two grants of a dataset both give; None if neither's prefix lies in the other's."""
    outer, inner = sorted((left.prefix, right.prefix))  # a prefix comes before all that lies in it
    if not inner.startswith(outer):
        return None
    access = left.access if left.access is right.access else DatasetAccess.READ
    expires = _sooner(left.expires, right.expires)
    return DatasetGrant(dataset=left.dataset, access=access, prefix=inner, expires=expires)


def _restricted_links(last: Team, written: object, datasets: Mapping[str, Dataset | None]) -> Iterable[FileSystemGrant]:
    """What the last accepted grants through file systems and those written have in common; one for each claim."""
    by_claim = {(now.file_system, now.identity): now for now in _elements(FileSystemGrant, written)}
    for grant in last.file_systems:
        now, dataset = by_claim.get((grant.file_system, grant.identity)), datasets.get(grant.dataset)
        if now and dataset and dataset.holds(now.prefix):
            both = _grant_intersection(_plain_grant(grant), _plain_grant(now))
            if both:
                yield grant.model_copy(update=both.model_dump())


def _plain_grant(grant: FileSystemGrant) -> DatasetGrant:
    return DatasetGrant(dataset=grant.dataset, access=grant.access, prefix=grant.prefix, expires=grant.expires)


def _gives(left: DatasetGrant, right: DatasetGrant) -> bool:
    """Whether ``left`` gives all that ``right``, of the same dataset and prefix, does."""
    lasts = left.expires is None or _sooner(left.expires, right.expires) == right.expires
    return lasts and left.access in (right.access, DatasetAccess.READ_WRITE)


def _restricted_groups(last: Team, written: Mapping[str, Any]) -> dict[str, Any]:
    """The groups in both records, and of what they may do the rules that lie within one of the written ones."""
    named = written.get("kubernetes_groups")
    groups = tuple(group for group in last.kubernetes_groups if isinstance(named, list) and group in named)
    allowed: dict[str, list[RbacRule]] = {}
    for row in rows(written.get("rbac")):
        if isinstance(group := row.get("group"), str):
            allowed.setdefault(group, []).extend(_elements(RbacRule, row.get("rules")))
    lines = [_restricted_rules(line, allowed.get(line.group, [])) for line in last.rbac_lines if line.group in groups]
    rules = tuple(line for line in lines if line.rules)
    same_preset = isinstance(last.rbac, str) and written.get("rbac") == last.rbac
    return {"kubernetes_groups": groups, "rbac": last.rbac if same_preset else rules}


def _restricted_rules(last: GroupRules, allowed: Iterable[RbacRule]) -> GroupRules:
    outer = [as_rule(rule) for rule in allowed]
    return last.model_copy(
        update={
            "rules": tuple(
                rule for rule in last.rules if any(allowed_rule.covers(as_rule(rule)) for allowed_rule in outer)
            )
        }
    )


def _elements(part: type[P], written: object) -> list[P]:
    elements = written if isinstance(written, list) else []
    return [element for row in elements if (element := understood(part, row)) is not None]


def _understood_value(kind: type[V] | TypeAdapter[V], value: object) -> V | None:
    adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
    try:
        return adapter.validate_python(value)
    except ValidationError:
        return None

"""Several grants of one dataset: together they give what any of them gives, and none takes another's with it."""

from datetime import UTC, datetime
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from podshare.kinds import limits
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Resource
from podshare.kinds.desired import desired
from podshare.kinds.role.shape import Role
from podshare.policy import policies
from podshare.registry.acceptance import accept_team
from podshare.registry.expiry import expirations, in_force
from podshare.registry.parsing import parse_team
from podshare.registry.records import Team
from tests.builders import CLUSTER, INSTALLATION, a_dataset, a_team, a_team_item

Reach = set[tuple[str, str, str]]

DATASETS = {"data": a_dataset("data", prefix=""), "inner": a_dataset("inner", prefix="a/")}
ACTIONS = {"get": "s3:GetObject", "put": "s3:PutObject", "list": "s3:ListBucket"}
KEYS = ["x", "a/x", "a/b/x", "a/c/x", "ab/x", "c/x"]
ENDS = ["2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z"]
LATER = datetime(2027, 1, 15, tzinfo=UTC)

grants = st.fixed_dictionaries(
    {
        "dataset": st.just("data"),
        "access": st.sampled_from(["read", "read_write"]),
        "prefix": st.sampled_from(["", "a/", "a/b/", "a/c/", "ab/", "c/"]),
    },
    optional={"expires": st.sampled_from(ENDS)},
) | st.fixed_dictionaries(
    {"dataset": st.just("inner"), "access": st.sampled_from(["read", "read_write"])},
    optional={"prefix": st.sampled_from(["a/", "a/b/"]), "expires": st.sampled_from(ENDS)},
)
several = st.lists(grants, max_size=5, unique_by=lambda grant: (grant["dataset"], grant.get("prefix", "")))
teams = st.fixed_dictionaries({"trainer": several, "reader": several})


def item(accounts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    rows = [{"name": name, "datasets": granted} for name, granted in accounts.items()]
    return a_team_item(members=[], service_accounts=rows, **fields)


def wanted(team: Team) -> dict[Any, Resource]:
    return dict(desired(team, [CLUSTER], DATASETS, {}, INSTALLATION))


def asked(team: Team) -> Reach:
    """Who may do what with which key of which access point, as the record says."""
    found: Reach = set()
    for account, key in product(team.service_accounts, KEYS):
        for grant in account.datasets:
            if key.startswith(grant.prefix or DATASETS[grant.dataset].prefix):
                actions = ["get", "list", *(["put"] if grant.access == "read_write" else [])]
                found |= {(f"{account.name} {grant.dataset}", action, key) for action in actions}
    return found


def given_by(resources: dict[Any, Resource]) -> Reach:
    """The same as the policies say: that of the service account's role, and that of the access point."""
    found: Reach = set()
    roles = {one.why.removeprefix("service account "): one for one in resources.values() if isinstance(one, Role)}
    points = [one for one in resources.values() if isinstance(one, AccessPoint)]
    for (name, role), point in product(roles.items(), points):
        dataset = point.tags["podshare:dataset"]
        arn = f"arn:aws:s3:{point.key.region}:{point.key.account}:accesspoint/{point.key.name}"
        who = INSTALLATION.role_arn(role.key.account, role.key.name)
        for (action, iam), key in product(ACTIONS.items(), KEYS):
            own = any(_allows(policy, iam, arn, key) for policy in role.policies.values())
            if own and _allows(point.policy, iam, arn, key, who):
                found.add((f"{name} {dataset}", action, key))
    return found


def _allows(policy: policies.Document | None, action: str, arn: str, key: str, who: str = "") -> bool:
    resource = arn if action == "s3:ListBucket" else f"{arn}/object/{key}"
    for statement in policies.canonical(policy):
        listed = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix", ["*"])
        if (
            statement.get("Principal", {"AWS": [who]}) == {"AWS": [who]}
            and action in statement["Action"]
            and any(policies.covers(pattern, resource) for pattern in statement["Resource"])
            and (action != "s3:ListBucket" or any(policies.covers(pattern, key) for pattern in listed))
        ):
            return True
    return False


@given(teams)
def test_a_service_account_has_what_any_of_its_grants_gives(accounts: Any) -> None:
    """For every key: who may get, put and list it is who has a grant that says so, whatever the grants overlap."""
    team = parse_team(item(accounts))
    assert given_by(wanted(team)) == asked(team)


@given(teams, teams)
def test_a_narrowing_takes_away_exactly_what_is_granted_no_more(before: Any, after: Any) -> None:
    """What is written first leaves all that both records grant, and nothing else: no grant goes with another."""
    old, new = parse_team(item(before)), parse_team(item(after))
    there, then = wanted(old), wanted(new)
    narrowed = {key: both for key in there.keys() & then.keys() if (both := there[key].intersection(then[key]))}
    assert given_by(narrowed) == asked(old) & asked(new)


@given(teams)
def test_grants_end_one_by_one(accounts: Any) -> None:
    """A grant that has ended takes nothing of another one with it, and is told by its dataset and prefix."""
    team = parse_team(item(accounts))
    left = in_force(team, LATER)
    assert left
    lasting = {
        name: [grant for grant in granted if grant.get("expires") != ENDS[0]] for name, granted in accounts.items()
    }
    assert left == parse_team(item(lasting))
    assert len({term.what for term in expirations(team)}) == len(expirations(team))


@given(teams, teams)
def test_of_a_bad_record_counts_what_both_grant(before: Any, after: Any) -> None:
    """While a record is wrong nothing counts that it, or the last one, does not grant; what it repeats stays."""
    last, written = parse_team(item(before)), parse_team(item(after))
    found = accept_team(item(after, owner=""), last, ["main"], DATASETS).record
    assert found
    assert Team.model_validate_json(found.model_dump_json(by_alias=True)) == found
    assert asked(found) <= asked(last) & asked(written)
    for moment in (LATER, LATER.replace(year=2028)):
        left, *both = (in_force(team, moment) for team in (found, last, written))
        assert left
        assert asked(left) <= set.intersection(*(asked(team) for team in both if team))
    if before == after:
        assert asked(found) == asked(last)


def test_prefixes_that_would_not_fit_are_told() -> None:
    """Long prefixes are more than a role's and an access point's policies may hold: told before anything is made."""
    granted = [{"dataset": "data", "access": "read", "prefix": f"{'p' * 200}{number:02}/"} for number in range(50)]
    told = [one.what for one in limits.sizes(wanted(parse_team(item({"trainer": granted}))).values())]
    assert ["the limit is 10,240" in one for one in told] == [True, False]
    assert ["the limit is 20,480" in one for one in told] == [False, True]


def test_a_narrowing_always_fits() -> None:
    """Where old and new prefixes cross, and have more in common than a policy holds, all is cut before it is added."""
    inner = [f"{'p' * 150}{number:02}/" for number in range(18)]
    old, new = (
        wanted(parse_team(item({"trainer": [{"dataset": "data", "access": "read", "prefix": p} for p in prefixes]})))
        for prefixes in (["a/", *(f"b/{p}" for p in inner)], ["b/", *(f"a/{p}" for p in inner)])
    )
    assert [*limits.sizes([*old.values(), *new.values()])] == []
    narrowed = [both for key in old if (both := old[key].intersection(new[key]))]
    assert [*limits.sizes(narrowed)] == []
    assert [one.policies for one in narrowed if isinstance(one, Role)] == [{}]


def test_a_grant_is_refused_twice_and_not_a_dataset() -> None:
    """A dataset may be granted several times to one service account, each prefix once."""
    one = {"dataset": "data", "access": "read", "prefix": "a/"}
    assert a_team(service_accounts=[{"name": "t", "datasets": [one, {**one, "prefix": "b/"}]}])
    found = accept_team(item({"t": [one, {**one, "access": "read_write"}]}), None, ["main"], DATASETS)
    assert "datasets.1: names data at a/ twice" in str(found.problems[0])

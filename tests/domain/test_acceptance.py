"""A bad record: nothing that it adds is granted, everything that it removes is removed."""

from datetime import datetime
from typing import Any

import pytest

from podshare.registry.acceptance import Accepted, accept_dataset, accept_team
from podshare.registry.parsing import parse_team
from podshare.registry.problems import InvalidRecord, Problem
from podshare.registry.records import Access, Dataset, Team
from tests.builders import KMS_KEY, ROOT, SCIENCE, a_dataset, a_team, a_team_item, a_team_item_on

DATASETS: dict[str, Dataset | None] = {"imagenet": a_dataset(), "web": a_dataset("web")}


def accepted(item: dict[str, Any] | None, last: Team | None = None) -> Team | None:
    found = accept_team(item, last or a_team(), ["main"], DATASETS)
    if item is not None:
        assert found.problems
    return found.record


def test_a_good_record_counts_as_written() -> None:
    """An acceptable record counts, whatever counted before."""
    found = accept_team(a_team_item(access="admin"), a_team(), ["main"], DATASETS)
    assert found.problems == ()
    assert found.record == a_team(access="admin")


def test_a_deleted_record_revokes() -> None:
    """No record, no team."""
    assert accepted(None) is None


def test_a_bad_record_of_a_new_team_grants_nothing() -> None:
    """What was never accepted waits until it is mended."""
    assert accept_team(a_team_item(owner=""), None, ["main"], DATASETS).record is None


def test_an_unrelated_mistake_removes_nothing() -> None:
    """A bad owner leaves the team as it was."""
    assert accepted(a_team_item(owner="")) == a_team()


def test_what_a_bad_record_adds_waits() -> None:
    """A new member, more access and a bigger quota wait while another field is wrong."""
    item = a_team_item(
        owner="",
        members=[*a_team_item()["members"], {"account": "555555555555"}],
        quota={"resources": [{"instance_type": "ml.p5.48xlarge", "count": 8}]},
        service_accounts=[
            {"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read_write"}, {"dataset": "web", "access": "read"}]},
            {"name": "new", "datasets": []},
        ],
    )  # fmt: skip
    assert accepted(item) == a_team()


def test_what_a_bad_record_removes_is_removed() -> None:
    """A member and a grant that are gone from it go, though another field is wrong."""
    item = a_team_item(owner="", members=[{"account": "222222222222"}], service_accounts=[])
    found = accepted(item)
    assert found
    assert [member.account for member in found.members] == ["222222222222"]
    assert found.service_accounts == ()


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("vew", Access.NONE),
        ("view", Access.VIEW),
        ("edit", Access.EDIT),
        ("admin", Access.EDIT),
        ("training", Access.NONE),
    ],
)
def test_a_typo_never_keeps_access_alive(written: str, left: Access) -> None:
    """From `edit`, with another field wrong: less is understood, more waits, and a typo leaves none."""
    found = accepted(a_team_item(owner="", access=written), a_team(access="edit"))
    assert found
    assert found.access is left


@pytest.mark.parametrize(
    ("last", "written", "left"),
    [
        (["training", "space"], ["space", "inference"], Access.SPACE),
        (["training", "space", "view"], ["training", "space", "view"], ("training", "space", "view")),
        (["training", "edit"], "training", Access.TRAINING),
        (["training", "edit"], ["admin", "training"], ("training", "edit")),
        (["training", "edit"], ["view", "trainig"], Access.VIEW),
        (["edit", "view"], ["admin"], Access.EDIT),
        (["training", "space"], "none", Access.NONE),
        (["training", "space"], [], Access.NONE),
        (["training", "space"], {"training": True}, Access.NONE),
        (["training", "space"], [["training"], "space"], Access.SPACE),
    ],
)
def test_of_lists_of_access_the_kinds_in_both_count(last: list[str], written: Any, left: Any) -> None:
    """While something else is wrong, a kind that is in one list alone gives nothing."""
    found = accepted(a_team_item(owner="", access=written), a_team(access=last))
    assert found
    assert found.access == left


def test_a_member_with_a_typo_in_its_account_loses_access() -> None:
    """An element that cannot be understood asks for nothing; the others stay."""
    found = accepted(a_team_item(members=[{"account": "22222222222"}, {"account": "444444444444"}]))
    assert found
    assert [member.account for member in found.members] == ["444444444444"]


def test_an_unknown_field_in_a_member_keeps_it() -> None:
    """What is understood of an element counts, though the record is refused for the rest of it."""
    found = accepted(a_team_item(members=[{"account": "222222222222", "nmae": "x"}, {"account": "444444444444"}]))
    assert found == a_team()


def test_a_selection_is_narrowed_by_what_is_excluded() -> None:
    """In a bad record, an account that is excluded now or was before stays out; a selector that changed selects nobody."""
    last = a_team(members=[{"organizational_unit": SCIENCE, "exclude_accounts": ["555555555555"]}])
    item = a_team_item(owner="", members=[{"organizational_unit": SCIENCE, "exclude_accounts": ["666666666666"]}])
    found = accepted(item, last)
    assert found
    assert found.members[0].exclude_accounts == ("555555555555", "666666666666")
    moved = accepted(a_team_item(owner="", members=[{"organizational_unit": ROOT}]), last)
    assert moved
    assert moved.members == ()


def test_fewer_trusted_principals_count_at_once() -> None:
    """Of two lists of principals the intersection stays; a list narrows an account that was trusted whole."""
    wide = a_team(members=[{"account": "222222222222"}])
    item = a_team_item(owner="", members=[{"account": "222222222222", "trusted_by": ["role/A"]}])
    found = accepted(item, wide)
    assert found
    assert found.members[0].trusted_by == ("role/A",)
    both = a_team(members=[{"account": "222222222222", "trusted_by": ["role/A", "role/B"]}])
    item = a_team_item(owner="", members=[{"account": "222222222222", "trusted_by": ["role/B", "role/C"]}])
    found = accepted(item, both)
    assert found
    assert found.members[0].trusted_by == ("role/B",)


def test_a_narrower_grant_counts_at_once() -> None:
    """A prefix inside the former one, and read instead of write, count while another field is wrong."""
    last = a_team(service_accounts=[{"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read_write"}]}])
    row = {"dataset": "imagenet", "access": "read", "prefix": "imagenet/train/"}
    found = accepted(a_team_item(owner="", service_accounts=[{"name": "trainer", "datasets": [row]}]), last)
    assert found
    grant = found.service_accounts[0].datasets[0]
    assert (grant.access, grant.prefix) == ("read", "imagenet/train/")


def test_another_cluster_that_does_not_exist_cuts_and_keeps_the_quota() -> None:
    """Who leaves a cluster for one that never existed leaves it; capacity is no access, and running work stays."""
    found = accepted(a_team_item(cluster="typo"))
    assert found
    assert (found.members, found.service_accounts, found.quota) == ((), (), a_team().quota)


def test_a_bad_record_closes_the_clusters_that_it_names_no_more() -> None:
    """A typo in one cluster's name ends access there alone, keeps all quotas, and what was closed stays so."""
    last = parse_team(a_team_item_on("main", "east"))
    found = accept_team(a_team_item_on("main", "eats"), last, ["main", "east"], DATASETS)
    assert found.record
    assert (found.suspended, found.record.members, found.record.quotas) == ({"east"}, last.members, last.quotas)
    (problem,) = found.problems
    assert (problem.field, problem.value) == ("cluster.1.cluster", "eats")
    again = accept_team(
        a_team_item_on("main", "east", owner=""), found.record, ["main", "east"], DATASETS, suspended=found.suspended
    )
    assert again.suspended == {"east"}
    mended = accept_team(
        a_team_item_on("main", "east"), found.record, ["main", "east"], DATASETS, suspended=found.suspended
    )
    assert (mended.record, mended.suspended) == (last, frozenset())


def test_one_quota_for_each_cluster() -> None:
    """A single cluster needs a quota beside it, a list has one for each and names each cluster once."""
    item, several = a_team_item(), a_team_item_on("main", "east")
    for wrong, field in (
        ({name: value for name, value in item.items() if name != "quota"}, "quota"),
        ({**several, "quota": item["quota"]}, "quota"),
        (a_team_item_on("main", "main"), "cluster.1"),
        ({**several, "cluster": []}, "cluster"),
    ):
        with pytest.raises(InvalidRecord) as refused:
            parse_team(wrong)
        assert field in [problem.field for problem in refused.value.problems]


def test_a_reference_to_a_dataset_that_never_existed_is_an_error() -> None:
    """The problem names the field, the dataset and the remedy."""
    accounts = [{"name": "trainer", "datasets": [{"dataset": "nowhere", "access": "read"}]}]
    found = accept_team(a_team_item(service_accounts=accounts), None, ["main"], DATASETS)
    assert "no dataset nowhere. Write dataset#nowhere first" in str(found.problems[0])


def test_a_reference_to_a_deleted_dataset_is_a_revocation() -> None:
    """A dataset that was there once and is deleted is no mistake of the team's record."""
    found = accept_team(a_team_item(), a_team(), ["main"], {"imagenet": None})
    assert found.problems == ()
    assert found.record == a_team()


def test_nobody_is_a_member_by_a_role_of_podshares_own() -> None:
    """Another team's scientist role, or a member role, as `existing_role` would let one team in by another's door."""
    for role in ("podshare/podshare-language-scientist", "podshare-system/podshare-read"):
        item = a_team_item(members=[{"account": "222222222222", "existing_role": role}])
        found = accept_team(item, None, ["main"], DATASETS, ("/podshare/", "/podshare-system/"))
        assert "is one of podshare's own roles" in str(found.problems[0])
        assert found.record is None


def test_a_prefix_outside_of_the_dataset_is_an_error() -> None:
    """Prefixes count from the bucket's root: the remedy says how to write it."""
    accounts = [{"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read", "prefix": "train/"}]}]
    found = accept_team(a_team_item(service_accounts=accounts), None, ["main"], DATASETS)
    assert "begin it with imagenet/" in str(found.problems[0])


def test_one_service_account_has_one_way_to_its_data() -> None:
    """Datasets with a target role go neither with others nor with those of another account: the problem says so."""
    known = {
        "imagenet": a_dataset(),
        "scans": a_dataset("scans", data_role="target"),
        "reports": a_dataset("reports", data_role="target"),
        "other": a_dataset("other", data_role="target", account="555555555555"),
    }

    def problems(*names: str) -> tuple[Any, ...]:
        rows = [{"name": "t", "datasets": [{"dataset": name, "access": "read"} for name in names]}]
        return accept_team(a_team_item(service_accounts=rows), None, ["main"], known).problems

    assert (problems("imagenet"), problems("scans", "reports")) == ((), ())
    (mixed,), (apart,) = problems("imagenet", "scans"), problems("scans", "other")
    assert (mixed.field, mixed.value, apart.value) == ("service_accounts.0.datasets", "scans", "other, scans")
    assert "their own service accounts" in mixed.remedy


def dataset_item(**fields: Any) -> dict[str, Any]:
    return {"id": "dataset#imagenet", **a_dataset().model_dump(by_alias=True, exclude={"name"}), **fields}


def test_a_bad_dataset_keeps_what_it_still_says() -> None:
    """An unknown field leaves the dataset; another bucket, not yet acceptable, ends the old one."""
    assert accept_dataset(dataset_item(oops=1), a_dataset()).record == a_dataset()
    assert accept_dataset(dataset_item(oops=1, bucket="elsewhere"), a_dataset()).record is None
    assert accept_dataset(dataset_item(prefix="/bad"), a_dataset()).record is None


def test_a_bad_dataset_narrows_at_once() -> None:
    """A narrower prefix counts while another field is wrong, a wider one waits."""
    narrow = accept_dataset(dataset_item(oops=1, prefix="imagenet/a/"), a_dataset()).record
    assert narrow
    assert narrow.prefix == "imagenet/a/"
    assert accept_dataset(dataset_item(oops=1, prefix=""), a_dataset()).record == a_dataset()


def test_a_protected_team_outlives_its_record() -> None:
    """A team with deletion protection stays as it was accepted when its record is deleted, and says how to go on."""
    protected = a_team(deletion_protection=True)
    found = accept_team(None, protected, ["main"], DATASETS)
    assert found.record == protected
    assert "set deletion_protection to false" in found.problems[0].remedy


def test_protection_that_was_turned_off_protects_nothing() -> None:
    """What counts is the last accepted record: one without protection goes with its record."""
    assert accept_team(None, a_team(deletion_protection=False), ["main"], DATASETS).record is None


# ---- each problem in words ----------------------------------------------------------------------------------------


def a_link(dataset: str = "imagenet", access: str = "read", **fields: Any) -> dict[str, Any]:
    return {"file_system": "fs-0123456789abcdef0", "dataset": dataset, "access": access, **fields}


def an_account(*grants: dict[str, Any], name: str = "trainer") -> dict[str, Any]:
    return {"name": name, "datasets": [{"dataset": "imagenet", "access": "read", **grant} for grant in grants]}


TARGETS = {**DATASETS, "scans": a_dataset("scans", data_role="target"), "gone": None}
CLUSTER_REMEDY = "Write cluster#typo first, or correct the name."


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({}, []),
        ({"cluster": "typo"}, [("cluster", "typo", "no cluster typo", CLUSTER_REMEDY)]),
        ({"cluster": "mian"}, [("cluster", "mian", "no cluster mian", "Did you mean main? Else write cluster#mian first.")]),
        (
            {"service_accounts": [an_account({"dataset": "nowhere"})]},
            [("service_accounts.0.datasets.0.dataset", "nowhere", "no dataset nowhere", "Write dataset#nowhere first, or correct the name.")],
        ),
        ({"service_accounts": [an_account({"dataset": "gone", "prefix": "anything/"})]}, []),
        (
            {"service_accounts": [an_account(), an_account({}, {"prefix": "train/"}, name="other")]},
            [
                (
                    "service_accounts.1.datasets.1.prefix",
                    "train/",
                    "is outside of dataset imagenet, which is imagenet/ of curated-images-333333333333",
                    "Prefixes count from the bucket's root: begin it with imagenet/",
                )
            ],
        ),
        (
            {"service_accounts": [an_account(), an_account({}, {"dataset": "scans"}, name="other")]},
            [
                (
                    "service_accounts.1.datasets",
                    "scans",
                    "have data_role target: they cannot be combined with other datasets, or with those of another account",
                    "Pods use one role: give these datasets their own service accounts, one for each account.",
                )
            ],
        ),
        ({"file_systems": [a_link("nowhere")]}, [("file_systems.0.dataset", "nowhere", "no dataset nowhere", "Write dataset#nowhere first, or correct the name.")]),
        (
            {"file_systems": [a_link(prefix="imagenet/a/"), a_link("web"), a_link("inner", prefix="imagenet/a/b/")]},
            [
                (
                    "file_systems.2.dataset",
                    "inner",
                    "overlaps with file_systems.0, and fs-0123456789abcdef0 links each prefix once",
                    "Remove one of them, or link it to another file system.",
                )
            ],
        ),
        ({"file_systems": [a_link(), a_link("inner", file_system="fs-0123456789abcdef1")]}, []),
        ({"file_systems": [a_link(prefix="imagenet/a/"), a_link("inner", prefix="imagenet/b/")]}, []),
        ({"file_systems": [a_link(), a_link("gone")]}, []),
        (
            {"members": [{"account": "222222222222", "existing_role": "Researcher"}, {"account": "444444444444", "existing_role": "podshare/x"}]},
            [
                (
                    "members.1.existing_role",
                    "podshare/x",
                    "is one of podshare's own roles",
                    "Remove existing_role: podshare creates the team's own data scientist role.",
                )
            ],
        ),
        ({"kubernetes_groups": ["podshare:vision:ops"]}, []),
        (
            {"kubernetes_groups": ["podshare:vision:ops", "another:vision:ops"]},
            [("kubernetes_groups.1", "another:vision:ops", "is not the team's", "Begin it with podshare:vision:")],
        ),
    ],
)  # fmt: skip
def test_each_problem_is_told_by_its_field_with_a_remedy(
    fields: dict[str, Any], problems: list[tuple[str, str, str, str]]
) -> None:
    """A reference that leads nowhere, data in two places at once, and others' roles and groups; each in words of its own."""
    known = {**TARGETS, "inner": a_dataset("inner", prefix="imagenet/")}
    found = accept_team(a_team_item(**fields), None, ["main"], known, ["/podshare/"], prefix="podshare")
    assert [*found.problems] == [Problem("team#vision", *problem) for problem in problems]
    assert (found.record is None) is bool(problems)


def test_a_group_of_any_prefix_counts_where_none_is_known() -> None:
    """What a team's groups begin with is held only by who knows the installation's prefix."""
    item = a_team_item(kubernetes_groups=["another:vision:ops"])
    assert accept_team(item, None, ["main"], DATASETS).problems == ()


def test_a_protected_team_says_in_full_how_it_goes() -> None:
    """The problem of a record that was deleted under protection names the field that was on."""
    problem = Problem(
        "team#vision",
        "deletion_protection",
        "true",
        "the record was deleted while deletion_protection was true: the team stays as last accepted",
        "Restore the record. To delete the team, first set deletion_protection to false.",
    )
    assert accept_team(None, a_team(deletion_protection=True), ["main"], DATASETS).problems == (problem,)


# ---- of a bad record, what both say -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account", "444444444444"),
        ("region", "us-east-2"),
        ("bucket", "elsewhere"),
        ("kms_key", KMS_KEY),
        ("vpc", "vpc-0123456789abcdef0"),
        ("data_role", "target"),
        ("prefix", "other/"),
    ],
)
def test_a_bad_dataset_that_is_elsewhere_ends_the_last_one(field: str, value: str) -> None:
    """What a bad record says of the place of its data, and of the way to them, is another dataset; none waits in its stead."""
    found = accept_dataset(dataset_item(oops=1, **{field: value}), a_dataset())
    assert found.record is None
    assert [problem.field for problem in found.problems] == ["oops"]


PARTNER, STRANGER = (f"arn:aws:iam::{account}:root" for account in ("777777777777", "666666666666"))


@pytest.mark.parametrize(
    ("last", "written", "expected"),
    [
        ([PARTNER], [PARTNER, STRANGER], [PARTNER]),
        ([PARTNER, STRANGER], [PARTNER], [PARTNER]),
        ([PARTNER], [], [PARTNER]),
        ([PARTNER], [STRANGER], [PARTNER]),
        ([], [STRANGER], []),
    ],
    ids=["added", "removed", "missing, as by a typo", "exchanged", "added to none"],
)
def test_nobody_is_expected_in_data_by_a_bad_record(last: list[str], written: list[str], expected: list[str]) -> None:
    """What it adds waits, what it removes is removed, and an empty list, which expects whoever was there first, waits."""
    found = accept_dataset(dataset_item(oops=1, other_principals=written), a_dataset(other_principals=last)).record
    assert found
    assert [*found.other_principals] == expected


def test_a_good_dataset_counts_as_written() -> None:
    """An acceptable dataset counts whatever counted before; a bad one that was never accepted does not."""
    moved = dataset_item(bucket="elsewhere")
    assert accept_dataset(moved, a_dataset()) == Accepted(a_dataset(bucket="elsewhere"))
    assert accept_dataset(dataset_item(oops=1), None).record is None
    assert accept_dataset(None, a_dataset()) == Accepted(None)


def test_a_record_of_another_kind_is_no_dataset() -> None:
    """What stands at a dataset's place and is a good record of something else gives no data."""
    assert accept_dataset(a_team_item(), a_dataset()) == Accepted(None)


SOON, LATER = "2026-12-01T00:00:00+00:00", "2026-12-31T00:00:00+00:00"
SOONEST = datetime.fromisoformat(SOON)


@pytest.mark.parametrize(
    ("last", "now", "left"),
    [
        ({}, {"trusted_by": ["role/A"]}, [("role/A",)]),
        ({"trusted_by": ["role/A"]}, {}, [("role/A",)]),
        ({"trusted_by": ["role/A", "role/B"]}, {"trusted_by": ["role/B"]}, [("role/B",)]),
        ({"trusted_by": ["role/A"]}, {"trusted_by": ["role/B"]}, []),
        ({}, {}, [None]),
    ],
)
def test_a_member_trusts_whom_both_records_trust(last: Any, now: Any, left: list[Any]) -> None:
    """The whole account counts only if both records say so; where the two agree on nobody the member is out."""
    before = a_team(members=[{"account": "222222222222", **last}])
    found = accepted(a_team_item(owner="", members=[{"account": "222222222222", **now}]), before)
    assert found
    assert [member.trusted_by for member in found.members] == left


@pytest.mark.parametrize(("last", "now"), [(SOON, LATER), (LATER, SOON), (SOON, ...), (..., SOON)])
def test_the_earlier_end_counts(last: Any, now: Any) -> None:
    """Of two ends of a member, of a grant and of a link the earlier one counts, and one end rather than none."""

    def ends(at: Any) -> dict[str, Any]:
        return {} if at is ... else {"expires": at}

    def fields(at: Any) -> dict[str, Any]:
        return {
            "members": [{"account": "222222222222", **ends(at)}],
            "service_accounts": [an_account(ends(at))],
            "file_systems": [a_link(**ends(at))],
        }

    found = accepted(a_team_item(owner="", **fields(now)), a_team(**fields(last)))
    assert found
    grants = (*found.members, *found.service_accounts[0].datasets, *found.file_systems)
    assert [grant.expires for grant in grants] == [SOONEST] * 3


@pytest.mark.parametrize(("excluded_before", "members"), [(250, 2), (251, 1)])
def test_a_line_that_cannot_exclude_all_selects_nobody(excluded_before: int, members: int) -> None:
    """As many accounts are excluded as a line can say; one more, and the line goes, and no other one with it."""

    def lines(first: int, count: int) -> list[dict[str, Any]]:
        excluded = [f"{number:012}" for number in range(first, first + count)]
        return [{"organizational_unit": SCIENCE, "exclude_accounts": excluded}, {"account": "222222222222"}]

    found = accepted(a_team_item(owner="", members=lines(1000, 250)), a_team(members=lines(1, excluded_before)))
    assert found
    assert len(found.members) == members


@pytest.mark.parametrize("written", [3, "trainer", None, {"name": "trainer"}, ["trainer"], [{"name": ["trainer"]}]])
def test_service_accounts_that_are_no_list_of_accounts_ask_for_nothing(written: Any) -> None:
    """Whatever stands in their place, nothing of it is taken for a service account."""
    found = accepted(a_team_item(service_accounts=written))
    assert found
    assert found.service_accounts == ()


def grants_of(last: list[dict[str, Any]], now: list[dict[str, Any]], **datasets: Any) -> list[tuple[Any, ...]]:
    """What a service account keeps: dataset, access, prefix and whether it ends."""
    before = a_team(service_accounts=[an_account(*last)])
    item = a_team_item(owner="", service_accounts=[an_account(*now)])
    record = accept_team(item, before, ["main"], {**DATASETS, **datasets}).record
    assert record
    found = record.service_accounts[0].datasets
    return [(grant.dataset, str(grant.access), grant.prefix, bool(grant.expires)) for grant in found]


IMAGENET = ("imagenet", "read", "", False)


@pytest.mark.parametrize(
    ("last", "now", "left"),
    [
        ([{}], [{}], [IMAGENET]),
        ([{}], [], []),
        ([{}], [{"dataset": "web"}], []),
        ([{"dataset": "web"}, {}], [{}], [IMAGENET]),
        ([{}], [{"dataset": "web"}, {}], [IMAGENET]),
        ([{}], [{"prefix": "other/"}], []),
        ([{}], [{"prefix": "other/"}, {"prefix": "imagenet/a/"}], [("imagenet", "read", "imagenet/a/", False)]),
        ([{"prefix": "imagenet/a/"}], [{}], [("imagenet", "read", "imagenet/a/", False)]),
        ([{"prefix": "imagenet/a/"}], [{"prefix": "imagenet/b/"}], []),
        ([{"prefix": "imagenet/b/"}], [{"prefix": "imagenet/a/"}], []),
        ([{"prefix": "imagenet/b/b/"}], [{"prefix": "imagenet/a/"}], []),
        ([{"access": "read_write"}], [{}], [IMAGENET]),
        ([{}], [{"access": "read_write"}], [IMAGENET]),
        ([{"access": "read_write"}], [{"access": "read_write"}], [("imagenet", "read_write", "", False)]),
    ],
)
def test_a_grant_counts_as_far_as_both_records_give_it(
    last: list[dict[str, Any]], now: list[dict[str, Any]], left: list[tuple[Any, ...]]
) -> None:
    """The same dataset, the narrower of two prefixes inside of it, and to write only where both say so."""
    assert grants_of(last, now) == left


def test_a_grant_of_a_deleted_dataset_asks_for_nothing() -> None:
    """While something else is wrong, what was deleted is no dataset that a prefix could lie in; other grants stay."""
    assert grants_of([{}, {"dataset": "web"}], [{}, {"dataset": "web"}], imagenet=None) == [("web", "read", "", False)]


WRITE = {"access": "read_write"}


@pytest.mark.parametrize(
    ("now", "left"),
    [
        ([{}, WRITE], ("read_write", False)),
        ([WRITE, {}], ("read_write", False)),
        ([{"expires": SOON}, {}], ("read", False)),
        ([{}, {"expires": SOON}], ("read", False)),
        ([{"expires": SOON}, {"expires": LATER, **WRITE}], ("read_write", True)),
        ([{"expires": LATER}, {"expires": SOON, **WRITE}], ("read", True)),
        ([{"expires": LATER, **WRITE}, {"expires": SOON}], ("read_write", True)),
        ([{}, {"expires": SOON, **WRITE}], ("read", False)),
        ([{"expires": SOON, **WRITE}, {}], ("read_write", True)),
    ],
)
def test_of_two_grants_of_one_prefix_the_greater_counts(now: list[dict[str, Any]], left: tuple[Any, ...]) -> None:
    """A record may name a prefix once: of two the one that gives all of the other is kept, else the one written first."""
    ((_, access, _, ends),) = grants_of([WRITE], now)
    assert (access, ends) == left


@pytest.mark.parametrize(
    ("last", "now", "left"),
    [
        ({}, {}, ("read", "")),
        ({"access": "read_write"}, {}, ("read", "")),
        ({"access": "read_write"}, {"access": "read_write"}, ("read_write", "")),
        ({}, {"prefix": "imagenet/a/"}, ("read", "imagenet/a/")),
        ({"prefix": "imagenet/a/"}, {}, ("read", "imagenet/a/")),
        ({"prefix": "imagenet/a/"}, {"prefix": "imagenet/b/"}, None),
        ({}, {"prefix": "other/"}, None),
        ({}, {"file_system": "fs-0123456789abcdef1"}, None),
        ({}, {"dataset": "web"}, None),
    ],
)
def test_a_link_counts_as_far_as_both_records_give_it(last: Any, now: Any, left: Any) -> None:
    """A grant through a file system is narrowed as a service account's; another file system is another grant."""
    before = a_team(file_systems=[a_link(**last)])
    found = accepted(a_team_item(owner="", file_systems=[a_link(**now)]), before)
    assert found
    told = [(str(grant.access), grant.prefix) for grant in found.file_systems]
    assert told == ([left] if left else [])
    assert {(grant.file_system, grant.dataset) for grant in found.file_systems} <= {
        ("fs-0123456789abcdef0", "imagenet")
    }

"""A bad record: nothing that it adds is granted, everything that it removes is removed."""

from typing import Any

import pytest

from podshare.domain.acceptance import accept_dataset, accept_team
from podshare.domain.records import Access, Dataset, InvalidRecord, Team, parse_team
from tests.builders import ROOT, SCIENCE, a_dataset, a_team, a_team_item, a_team_item_on

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
    assert (found.closed, found.record.members, found.record.quotas) == ({"east"}, last.members, last.quotas)
    (problem,) = found.problems
    assert (problem.field, problem.value) == ("cluster.1.cluster", "eats")
    again = accept_team(
        a_team_item_on("main", "east", owner=""), found.record, ["main", "east"], DATASETS, closed=found.closed
    )
    assert again.closed == {"east"}
    mended = accept_team(a_team_item_on("main", "east"), found.record, ["main", "east"], DATASETS, closed=found.closed)
    assert (mended.record, mended.closed) == (last, frozenset())


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
        assert "is a role of podshare's own" in str(found.problems[0])
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
    assert "service accounts of their own" in mixed.remedy


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
    assert "turn deletion_protection off first" in found.problems[0].remedy


def test_protection_that_was_turned_off_protects_nothing() -> None:
    """What counts is the last accepted record: one without protection goes with its record."""
    assert accept_team(None, a_team(deletion_protection=False), ["main"], DATASETS).record is None

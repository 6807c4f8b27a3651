"""One fault gives one problem, at its place and in podshare's words, however the record came into the registry."""

from decimal import Decimal
from typing import Any

import pytest

from podshare.registry.parsing import parse
from podshare.registry.problems import InvalidRecord
from podshare.registry.wording import closest
from tests.builders import a_team_item, an_enrollment_item

Item = dict[str, Any]
GRANT = {"dataset": "imagenet", "access": "read"}


def problems_of(item: Item) -> list[str]:
    with pytest.raises(InvalidRecord) as refused:
        parse(item)
    return [str(problem).removeprefix(f"{item['id']}: ") for problem in refused.value.problems]


def a_quota(**line: Any) -> Item:
    return a_team_item(quota={"resources": [{"instance_type": "ml.g5.12xlarge", **line}]})


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({**a_team_item(owner=...), "ownr": "me"}, "ownr: unknown field. Did you mean owner?"),
        ({**a_team_item(quota=...), "qouta": {"resources": []}}, "qouta: unknown field. Did you mean quota?"),
        (
            a_team_item(quota={"resources": [{"instance-type": "ml.g5.12xlarge", "count": 2}]}),
            "quota.resources.0.instance-type: unknown field. Did you mean instance_type?",
        ),
        (
            a_team_item(service_accounts=[{"name": "s", "datasets": [{"dataset": "imagenet", "acess": "read"}]}]),
            "service_accounts.0.datasets.0.acess: unknown field. Did you mean access?",
        ),
        (
            a_team_item(cluster=[{"cluster": "main", "qouta": {}}], quota=...),
            "cluster.0.qouta: unknown field. Did you mean quota?",
        ),
        (
            an_enrollment_item(team={**an_enrollment_item()["team"], "quota": {"resources": [{"instance-type": "ml.g5.12xlarge", "count": 1}]}}),
            "team.quota.resources.0.instance-type: unknown field. Did you mean instance_type?",
        ),
    ],
)  # fmt: skip
def test_a_misspelled_field_is_one_problem(item: Item, told: str) -> None:
    """The field that is missing because another is misspelled is named in that problem, and is no second one."""
    assert problems_of(item) == [told]


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (a_quota(count="two"), 'count: must be a whole number; got the text "two"'),
        (a_quota(count="010"), 'count: must be a whole number; got the text "010"'),
        (a_quota(count="1:30"), 'count: must be a whole number; got the text "1:30"'),
        (a_quota(count="0x10"), 'count: must be a whole number; got the text "0x10"'),
        (a_quota(count="1_0"), 'count: must be a whole number; got the text "1_0"'),
        (a_quota(count=Decimal("2.5")), "count: must be a whole number; got the number 2.5"),
        (a_quota(count=True), "count = True: must be a whole number; got true"),
        (a_quota(vcpu="1e3"), 'vcpu: must be a number; got the text "1e3"'),
        (a_quota(vcpu="012.5"), 'vcpu: must be a number; got the text "012.5"'),
        (a_quota(count=10**8), "count: must be at most 10,000,000; got the number 100000000"),
        (a_quota(count="9" * 5_000), "count: must be a whole number"),
        (a_quota(count=10**5_000), "count: must be a whole number"),
        (a_quota(count=-1), "count: must be at least 0"),
        (a_team_item(members=[{"account": "44444444444"}]), "members.0.account = '44444444444': an account id has twelve digits"),
        (a_team_item(members=[{"account": "4" * 13}]), "an account id has twelve digits"),
        (a_team_item(service_accounts=[{"name": "s", "datasets": [{**GRANT, "access": "write"}]}]), 'access: "write" is not a valid access; valid are read, read_write'),
        (a_team_item("Robots"), "id = team#Robots: a name has lowercase letters, digits and hyphens between them"),
        (a_team_item(quota=...), "quota: is missing: a team needs quota.resources"),
        (a_team_item(quota={}), "quota.resources: is missing"),
        (a_team_item(owner=5), "owner: must be text; got the number 5"),
        (a_team_item(members="me"), 'members: must be a list; got the text "me"'),
        (a_team_item(members=["222222222222"]), 'members.0: must have fields; got the text "222222222222"'),
        (a_team_item(deletion_protection="perhaps"), 'deletion_protection: must be true or false; got the text "perhaps"'),
        (a_team_item(reason="r" * 1025), "must have at most 1,024 characters; it has 1,025"),
        (a_team_item(members=[{"account": "2" * 12}] * 2), "members.1: names 222222222222 twice"),
        (a_team_item(service_accounts=[{"name": "s", "datasets": [GRANT, GRANT]}]), "service_accounts.0.datasets.1: names imagenet twice"),
        (a_team_item(members=[{"account": "2" * 12, "trusted_by": []}]), "members.0.trusted_by: is empty"),
        ({**a_team_item(), "id": "teem#vision"}, "Did you mean team#vision?"),
        ({**a_team_item(), "id": "robots"}, "id = robots: is not a record id; use KIND#NAME"),
    ],
)  # fmt: skip
def test_a_fault_is_told_in_words(item: Item, told: str) -> None:
    """Each wrong value is one problem, with its whole path, what it must be and what stands there instead."""
    (problem,) = problems_of(item)
    assert told in problem
    assert "Input should" not in problem
    assert "String should" not in problem


def test_an_account_id_that_was_read_as_an_octal_number_is_told_as_it_was_written() -> None:
    """YAML 1.1 makes 4908534052 of 044444444444: the problem names what stands in the file."""
    (problem,) = problems_of(a_team_item(members=[{"account": Decimal(0o44444444444)}]))
    assert "members.0.account" in problem
    assert "as it is in its file: it is 044444444444 there" in problem


@pytest.mark.parametrize(
    "bucket",
    [
        "images--usw2-az1--x-s3", "images--usw2-az1--xa-s3", "images-1234567890abcdef-s3alias", "images--ol-s3",
        "mfzwi23gnjvgw.mrap", "63b8--table-s3", "192.168.5.4", "xn--images", "sthree-images", "amzn-s3-demo-images",
        "s3://images", "arn:aws:s3:::images",
    ],
)  # fmt: skip
def test_a_bucket_is_a_general_purpose_bucket(bucket: str) -> None:
    """Directory buckets, aliases of access points, addresses and reserved names are no buckets that can be shared."""
    item = {"id": "dataset#d", "account": "333333333333", "region": "us-west-2", "bucket": bucket}
    (problem,) = problems_of(item)
    assert problem.startswith("bucket")


def test_a_name_in_the_record_hides_no_other_problem() -> None:
    """`name` stands in the id; the rest of the record is judged all the same."""
    assert len(problems_of({**a_team_item(owner=""), "name": "vision"})) == 2


def test_nothing_is_suggested_where_nothing_is_near() -> None:
    """A suggestion is a likely one, or none."""
    assert closest("fotos", ["photos", "web"]) == "photos"
    assert closest("Web-Crawll", ["web-crawl", "web"]) == "web-crawl"
    assert closest("zone", ["region", "account", "bucket"]) == ""

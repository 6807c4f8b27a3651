"""What would not fit is told with the count, the limit and the remedy."""

from podshare.kinds import limits
from podshare.kinds.base import Kind
from podshare.kinds.desired import desired
from podshare.policy import policies
from tests.builders import CLUSTER, INSTALLATION, a_dataset, a_team


def test_an_ordinary_team_fits() -> None:
    """Nothing is said of a team within all limits."""
    assert list(limits.sizes(desired(a_team(), [CLUSTER], {"imagenet": a_dataset()}, {}, INSTALLATION).values())) == []


def test_a_trust_with_too_many_principals_is_told() -> None:
    """Forty principals make a trust policy of more than 2,048 characters."""
    members = [{"account": "222222222222", "trusted_by": [f"role/Analyst-{number:03}" for number in range(40)]}]
    (found,) = limits.sizes(desired(a_team(members=members), [CLUSTER], {}, {}, INSTALLATION).values())
    assert "the limit is 2,048" in found.what
    assert "trusted_by" in found.remedy


def test_a_service_account_with_too_many_datasets_is_told() -> None:
    """Fifty datasets make inline policies of more than 10,240 characters."""
    names = [f"dataset-{number}" for number in range(50)]
    accounts = [{"name": "trainer", "datasets": [{"dataset": name, "access": "read"} for name in names]}]
    datasets = {name: a_dataset(name) for name in names}
    found = list(
        limits.sizes(desired(a_team(service_accounts=accounts), [CLUSTER], datasets, {}, INSTALLATION).values())
    )
    assert ["the limit is 10,240" in one.what for one in found] == [True]


def test_a_bucket_policy_that_nobody_can_write_is_told() -> None:
    """A deleted principal in a foreign statement matters where podshare's has to be written, and nowhere else."""
    dead = {"Sid": "Former", "Effect": "Allow", "Principal": {"AWS": "AROAEXAMPLEEXAMPLE01"}, "Action": "s3:GetObject"}
    ours = {"Sid": "ours", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
    before, after = policies.document(dead), policies.document(dead, ours)
    (found,) = limits.bucket_policy("images", "333333333333", before, after)
    assert "statement Former names AROAEXAMPLEEXAMPLE01" in found.what
    assert "Ask its owner" in found.remedy
    assert [*limits.bucket_policy("images", "333333333333", after, after)] == []
    assert [*limits.bucket_policy("images", "333333333333", None, policies.document(ours))] == []


def test_the_last_place_may_be_taken_and_no_more() -> None:
    """A count that reaches its limit is fine, one more is told."""
    room = limits.Room(Kind.ACCESS_ENTRY, "111111111111", "us-west-2", 2_998, limits.ACCESS_ENTRIES, "remedy")
    place = (Kind.ACCESS_ENTRY, "111111111111", "us-west-2")
    assert list(limits.counts({place: 2}, [room])) == []
    (found,) = limits.counts({place: 3}, [room])
    assert "3,001" in found.what
    assert "3,000" in found.what

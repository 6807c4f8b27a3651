"""The registry's records: what is accepted, and what the refusal of a bad one says."""

from decimal import Decimal
from typing import Any

import pytest

from podshare.registry.parsing import parse, parse_team
from podshare.registry.problems import InvalidRecord
from podshare.registry.records import Team
from tests.builders import a_team, a_team_item


def problems_of(item: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidRecord) as refused:
        parse(item)
    return [str(problem) for problem in refused.value.problems]


def test_a_record_means_the_same_however_its_numbers_are_spelled() -> None:
    """2, 2.0, Decimal('2.00') and '2' are one number."""
    spellings = (2, 2.0, Decimal("2.00"), "2")
    teams = {
        a_team(quota={"resources": [{"instance_type": "ml.p5.48xlarge", "count": count}]}).model_dump_json()
        for count in spellings
    }
    assert len(teams) == 1


def test_every_problem_is_told_at_once() -> None:
    """A record with three mistakes is refused with three problems, each naming field, value, rule and remedy."""
    item = a_team_item(owner="", members=[{"account": "12"}], acces="view")
    found = problems_of(item)
    assert len(found) == 3
    assert any("members.0.account = '12'" in problem for problem in found)
    assert any("acces: unknown field. Did you mean access?" in problem for problem in found)


@pytest.mark.parametrize(
    ("fields", "about"),
    [
        ({"members": [{"account": 123}]}, "account"),
        ({"members": [{"account": "222222222222", "existing_role": "Data*"}]}, "existing_role"),
        ({"members": [{"account": "222222222222", "existing_role": "${aws:username}"}]}, "existing_role"),
        ({"members": [{"account": "222222222222", "permission_set": "Data*"}]}, "permission_set"),
        ({"members": [{"account": "222222222222", "existing_role": "aws-reserved/x/AWSReservedSSO_y"}]}, "permission_set"),
        ({"members": [{"account": "222222222222", "existing_role": "A", "permission_set": "B"}]}, "exclude"),
        ({"members": [{"account": "222222222222", "trusted_by": []}]}, "empty"),
        ({"members": [{"account": "222222222222", "trusted_by": ["role/*"]}]}, "trusted_by"),
        ({"members": [{"account": "222222222222"}, {"account": "222222222222"}]}, "twice"),
        ({"quota": {"resources": []}}, "quota.resources"),
        ({"quota": {"resources": [{"instance_type": "ml.p5.48xlarge"}]}}, "needs count"),
        ({"quota": {"resources": [{"instance_type": "ml.p5.48xlarge", "count": 1, "vcpu": 2}]}}, "whole instances"),
        ({"quota": {"resources": [{"instance_type": "ml.p5.48xlarge", "count": 1}] * 2}}, "twice"),
        ({"quota": {"resources": [{"instance_type": "ml.p5.48xlarge", "count": -1}]}}, "count"),
        ({"quota": {"resources": [{"instance_type": "m5.large", "count": 1}]}}, "instance_type"),
        ({"access": "root"}, "access"),
        ({"access": []}, "access"),
        ({"access": ["training", "root"]}, "access.1"),
        ({"access": ["training", "training"]}, "access"),
        ({"access": ["training", "none"]}, "access"),
        ({"access": {"training": True}}, "access"),
        ({"owner": "a\u0301da"}, "owner"),
        ({"members": [{"account": "222222222222", "existing_role": "R\u00f4le"}]}, "existing_role"),
        ({"members": [{"account": "222222222222", "permission_set": "D\u0430ta"}]}, "permission_set"),
        ({"members": [{"account": "\u0662" * 12}]}, "account"),
        ({"service_accounts": [{"name": "a..b"}]}, "name"),
        ({"reason": ...}, "reason"),
        ({"schema": 2}, "schema"),
        ({"service_accounts": [{"name": "Trainer"}]}, "name"),
        ({"service_accounts": [{"name": "default"}]}, "default"),
        ({"service_accounts": [{"name": "t", "datasets": [{"dataset": "d", "access": "write"}]}]}, "access"),
        ({"service_accounts": [{"name": "t", "datasets": [{"dataset": "d", "access": "read", "prefix": "/x"}]}]}, "prefix"),
        ({"service_accounts": [{"name": "t", "datasets": [{"dataset": "d", "access": "read", "prefix": "x*"}]}]}, "prefix"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_by_name(fields: dict[str, Any], about: str) -> None:
    """A value that AWS would refuse, or that would mean more than it says, never gets further than the registry."""
    assert any(about in problem for problem in problems_of(a_team_item(**fields)))


@pytest.mark.parametrize("name", ["Vision", "vision_1", "-vision", "vision-", "v" * 41, "", "\uff56ision", "vision\n"])
def test_a_team_name_is_a_label(name: str) -> None:
    """A team's name has 1 to 40 of a-z, 0-9 and dashes inside: `hyperpod-ns-<team>-localqueue` is a label value."""
    assert problems_of(a_team_item(name))


def test_the_longest_name_fits() -> None:
    """A name of 40 characters is accepted."""
    assert a_team("v" * 40).namespace == "hyperpod-ns-" + "v" * 40


def test_an_unquoted_account_id_is_understood() -> None:
    """YAML makes a number of 222222222222; twelve digits are an account id either way."""
    assert a_team(members=[{"account": 222222222222}]).members[0].account == "222222222222"


def test_a_prefix_ends_with_a_slash() -> None:
    """`imagenet` does not open `imagenet-private/`: a prefix is a directory."""
    item = {"id": "dataset#d", "account": "333333333333", "region": "us-west-2", "bucket": "bkt", "prefix": "imagenet"}
    assert getattr(parse(item), "prefix", None) == "imagenet/"


OTHERS = {
    "arn:aws:iam::444444444444:root": True,
    "arn:aws:s3:*:444444444444:accesspoint/*": True,
    "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1EXAMPLE": True,
    "service:logging.s3.amazonaws.com": True,
    "anybody with aws:principalorgid o-a1b2c3": True,
    "arn:aws:iam::*:role/reader": False,
    "*": False,
    "444444444444": False,
}


@pytest.mark.parametrize("principal", OTHERS)
def test_a_dataset_names_principals_as_the_audit_does(principal: str) -> None:
    """A dataset's other principals are of one account, a service, or bound by a condition; nobody can name everybody."""
    item = {"id": "dataset#d", "account": "333333333333", "region": "us-west-2", "bucket": "bkt"}
    item |= {"other_principals": [principal]}
    if OTHERS[principal]:
        assert getattr(parse(item), "other_principals", ()) == (principal,)
    else:
        assert problems_of(item)


def test_every_example_is_acceptable() -> None:
    """What examples/registry shows can be written as it stands."""
    from pathlib import Path  # noqa: PLC0415

    import yaml  # noqa: PLC0415

    files = sorted(Path("examples/registry").rglob("*.yaml"))
    records = [parse(item) for file in files for item in yaml.safe_load_all(file.read_text())]
    assert sum(isinstance(record, Team) for record in records) >= 2


def test_a_record_of_another_kind_is_no_team() -> None:
    """Only team# records are teams."""
    with pytest.raises(InvalidRecord):
        parse_team({"id": "robot#r2d2"})


@pytest.mark.parametrize("bucket", ["ab", "A-bucket", "a..b", "-bucket", "bucket-", "under_score", "b" * 64, "a*b"])
def test_a_bucket_name_is_one_that_s3_allows(bucket: str) -> None:
    """Bucket names are 3 to 63 of a-z, 0-9, dots and dashes, each label whole (S3 user guide, naming rules)."""
    assert problems_of({"id": "dataset#d", "account": "333333333333", "region": "us-west-2", "bucket": bucket})


def test_owners_have_names_in_any_script() -> None:
    """An owner is a tag's value, in which AWS allows letters of any script."""
    assert a_team(owner="Zo\u00eb \u6797").owner == "Zo\u00eb \u6797"

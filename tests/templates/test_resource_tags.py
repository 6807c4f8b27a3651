"""Tags of the organization's own, as the hub's parameter names them."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from podshare.aws.settings import Settings
from podshare.installation import TEAM_TAG
from podshare.kinds.base import Kind, Resource
from podshare.kinds.desired import desired
from podshare.kinds.table import KINDS
from podshare.registry.records import Scheduler
from podshare.resource_tags import LONGEST, MOST, not_allowed, parse
from podshare_sandbox.cloudformation import template
from tests.builders import CLUSTER, FILE_SYSTEM, INSTALLATION, a_dataset, a_team
from tests.checks.expanded_template import ROOT
from tests.domain.aws_requests import wrong_requests

HUB = template.read(ROOT / "template.yaml")["Parameters"]["ResourceTags"]
MEMBER = template.read(ROOT / "accounts" / "member.yaml")["Parameters"]["ResourceTagKeys"]
TAGGED = {kind for kind, one in KINDS.items() if any(re.search(":(Add)?Tag", action) for action in one.WRITES)}
ENVIRONMENT = {
    "AWS_REGION": "us-west-2",
    "PODSHARE_PREFIX": "podshare",
    "PODSHARE_ACCOUNT": "111111111111",
    "PODSHARE_ORGANIZATION": "o-podshare01",
    "PODSHARE_MANAGEMENT_ACCOUNT": "999999999999",
    "PODSHARE_ORGANIZATION_ACCESS": "management-role",
    "PODSHARE_IDENTITY_CENTER_REGION": "us-west-2",
    "PODSHARE_REGISTRY": "registry",
    "PODSHARE_STATE": "state",
    "PODSHARE_HISTORY_BUCKET": "history",
    "PODSHARE_MACHINE": "machine",
    "PODSHARE_LIFECYCLE": "lifecycle",
    "PODSHARE_MEMBER_ROLE_WAIT": "3600",
    "PODSHARE_MOST_TEAMS_LOSING": "10",
    "PODSHARE_MOST_PERCENT_LOSING": "10",
    "PODSHARE_DRAIN_SECONDS": "0",
    "PODSHARE_FUNCTION_TIMEOUT": "60",
}
FULL = ",".join(f"{number}{'k' * 20}={'v' * 60}" for number in range(MOST))


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", {}),
        ("CostCenter=42", {"CostCenter": "42"}),
        ("CostCenter=42,Owner=ml-platform", {"CostCenter": "42", "Owner": "ml-platform"}),
        ("acme:cost center=a=b c,Empty=", {"acme:cost center": "a=b c", "Empty": ""}),
        ("aws=1,podshare=2", {"aws": "1", "podshare": "2"}),
        (f"{'k' * 128}={'v' * 256}", {"k" * 128: "v" * 256}),
        (FULL, {f"{number}{'k' * 20}": "v" * 60 for number in range(MOST)}),
    ],
)
def test_tags_are_read_as_they_are_written(text: str, tags: dict[str, str]) -> None:
    """A key ends at its first equals sign, a value at the comma; nothing is no tag."""
    assert parse(text) == tags
    assert list(parse(text)) == list(tags)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("CostCenter", "'CostCenter' is no tag: write Key=value"),
        ("A=1,", "'' is no tag"),
        (",A=1", "'' is no tag"),
        ("=1", "key '' is not one to 128"),
        ("A=1, B=2", "key ' B' is not one to 128"),
        ("A =1", "key 'A ' is not one to 128"),
        ("A*=1", "key 'A\\*' is not one to 128"),
        (f"{'k' * 129}=1", "is not one to 128"),
        ("aws:cost=1", "begins with aws: or podshare:"),
        ("AWS:cost=1", "begins with aws: or podshare:"),
        ("podshare:team=1", "begins with aws: or podshare:"),
        ("Podshare:team=1", "begins with aws: or podshare:"),
        ("A=aws:1", "the value of A is not up to 256"),
        ("A=x\n", "the value of A is not up to 256"),
        (f"A={'v' * 257}", "the value of A is not up to 256"),
        ("CostCenter=1,B=2,costcenter=3", "key 'costcenter' is there twice"),
        (f"{FULL},more=1", "has 11 tags, 10 at most"),
        (
            f"A={'v' * 250},B={'v' * 250},C={'v' * 250},D={'v' * 250},E={'v' * 11}",
            "has 1,025 characters, 1,024 at most",
        ),
    ],
)
def test_a_mistake_is_told_by_its_key(text: str, told: str) -> None:
    """What AWS would refuse, or podshare keeps for itself, is refused in words, in the stack and in the functions."""
    with pytest.raises(ValueError, match=told):
        parse(text)
    assert not is_taken(text)


def is_taken(text: str) -> bool:
    return len(text) <= int(HUB["MaxLength"]) and bool(re.fullmatch(HUB["AllowedPattern"], text))


_WORDS = st.sampled_from(["A", "a", "aws", "AWS", "podshare", "b", " ", ":", "=", "=", ",", ",", "1", "*", "é", "\n"])


@settings(max_examples=3000, derandomize=True)
@given(st.lists(_WORDS, max_size=14).map("".join))
def test_the_stack_takes_what_the_functions_take(text: str) -> None:
    """The template's pattern and the functions agree: no deployment succeeds with which no function would start."""
    try:
        tags = parse(text)
    except ValueError:
        assert not is_taken(text)
    else:
        assert is_taken(text)
        assert re.fullmatch(MEMBER["AllowedPattern"], ",".join(tags))


def test_limits_are_the_templates() -> None:
    """The limits in the code are those of the template."""
    assert int(HUB["MaxLength"]) == LONGEST
    assert HUB["AllowedPattern"].endswith(f"{{0,{MOST}}}")
    assert MEMBER["AllowedPattern"].endswith(f"{{0,{MOST}}}")


def test_functions_read_them_from_their_environment() -> None:
    """Settings hold the tags; without the variable there are none, and a mistake names itself."""
    given_tags = {**ENVIRONMENT, "PODSHARE_RESOURCE_TAGS": "CostCenter=42"}
    assert Settings.from_environment(given_tags).installation.resource_tags == {"CostCenter": "42"}
    assert Settings.from_environment(ENVIRONMENT).installation.resource_tags == {}
    with pytest.raises(ValidationError, match="ResourceTags: key 'aws:x' begins with aws:"):
        Settings.from_environment({**ENVIRONMENT, "PODSHARE_RESOURCE_TAGS": "aws:x=1"})


def everything(tags: str) -> list[Resource]:
    """A team with each kind that there is on one cluster."""
    link = {"file_system": FILE_SYSTEM.file_system, "dataset": "imagenet", "access": "read"}
    rules = [
        {"group": "podshare:vision:more", "rules": [{"api_groups": [""], "resources": ["pods"], "verbs": ["get"]}]}
    ]
    team = a_team(file_systems=[link], kubernetes_groups=["podshare:vision:more"], rbac=rules)
    cluster = replace(CLUSTER, scheduler=Scheduler())
    installation = replace(INSTALLATION, resource_tags=parse(tags))
    found = list(desired(team, [cluster], {"imagenet": a_dataset()}, {}, installation).values())
    assert wrong_requests(installation, team.name, found) == []
    return found


@pytest.mark.parametrize(
    "tags", ["CostCenter=42,Owner=ml-platform", FULL, f"{'k' * 128}={'v' * 256}", "A_.:/+@- z=_.:/=+@- "]
)
def test_all_that_aws_can_tag_is_tagged(tags: str) -> None:
    """Every kind that AWS can tag carries them beside podshare's own; Kubernetes' objects carry labels, and none of these."""
    wanted, found = parse(tags), everything(tags)
    assert {one.key.kind for one in found} >= TAGGED | {Kind.NAMESPACE, Kind.SERVICE_ACCOUNT, Kind.PERSISTENT_VOLUME}
    for one in found:
        own = {key: value for key, value in one.tags.items() if not key.startswith(("podshare:", "podshare/"))}
        own = {key: value for key, value in own.items() if "kubernetes.io" not in key}
        assert own == (wanted if one.key.kind in TAGGED else {}), one.key
    plain = {one.key: one.facts() for one in everything("")}
    assert {one.key: {**one.facts(), "tags": None} for one in found} == {
        key: {**facts, "tags": None} for key, facts in plain.items()
    }


def test_tags_of_others_are_not_compared() -> None:
    """podshare compares its own tags and the configured ones: what somebody else gave, or gives no more, stays."""
    installation = replace(INSTALLATION, resource_tags={"CostCenter": "42"})
    there = {TEAM_TAG: "vision", "CostCenter": "41", "Owner": "ml-platform", "costcenter": "40"}
    assert installation.compared_tags(there) == {TEAM_TAG: "vision", "CostCenter": "41"}
    assert INSTALLATION.compared_tags(there) == {TEAM_TAG: "vision"}


@pytest.mark.parametrize(
    ("allowed", "missing"),
    [
        ("", ["CostCenter", "Owner"]),
        ("Owner", ["CostCenter"]),
        ("Owner=CostCenter=More", []),
        ("costcenter=Owner", ["CostCenter"]),
    ],
)
def test_keys_that_a_member_stack_lacks(allowed: str, missing: list[str]) -> None:
    """What a member stack's tag does not name, its roles may not give; keys differ in case too."""
    assert not_allowed({"Owner": "x", "CostCenter": "42"}, allowed) == missing
    assert not_allowed({}, allowed) == []

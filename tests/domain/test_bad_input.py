"""Bad input: whatever stands in the registry is refused in words before anything is touched, or works.

Works means: every name, tag, ARN and policy of what is desired is one that AWS takes.
"""

import copy
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import Any, get_args

import botocore.session
import pytest
from boto3.dynamodb.types import Binary
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podshare.aws.rows import from_item, to_item
from podshare.kinds import limits
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Key, Resource
from podshare.kinds.desired import desired
from podshare.kinds.facts import ClusterFacts
from podshare.kinds.role.shape import Role
from podshare.policy import policies
from podshare.registry.acceptance import accept_dataset, accept_team
from podshare.registry.accounts import Account
from podshare.registry.enrollments import Enrolled, team_of
from podshare.registry.items import datasets_of, plain
from podshare.registry.membership import members
from podshare.registry.parsing import MODELS, MOST_BYTES, Record, parse, parse_team
from podshare.registry.problems import MOST_PROBLEMS, InvalidRecord, Problem
from podshare.registry.records import Cluster, Dataset, Enrollment, Profile, Team
from tests.builders import (
    CLUSTER,
    EAST,
    INSTALLATION,
    KMS_KEY,
    SCIENCE,
    a_dataset,
    a_team,
    a_team_item,
    an_account,
    an_enrollment_item,
)
from tests.domain.aws_requests import wrong_requests

Item = dict[str, Any]

DATASETS: dict[str, Dataset | None] = {"imagenet": a_dataset(), "web": a_dataset("web")}
OWN_PATHS = (INSTALLATION.role_path, INSTALLATION.system_path)
LONGEST_PROBLEM = 120 + 300 + 120 + 600 + 600
generated: Counter[str] = Counter()


def thorough(examples: int) -> settings:
    """So many examples, the same in every run."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples, derandomize=True, database=None, suppress_health_check=slow)


# ---- what holds of every record -------------------------------------------------------------------------------


def judged(item: Mapping[str, Any]) -> Record | None:
    """The record in ``item``, None if it is refused; either way what a person and podshare rely on holds."""
    try:
        record = parse(item)
    except InvalidRecord as error:
        assert error.problems
        assert len(error.problems) <= MOST_PROBLEMS
        for problem in error.problems:
            assert all(text and text.isprintable() and text.isascii() for text in problem.as_dict().values())
            assert sum(map(len, problem.as_dict().values())) <= LONGEST_PROBLEM
        return None
    kept = record.model_dump_json(by_alias=True)
    assert len(kept.encode()) <= MOST_BYTES
    assert type(record).model_validate(json.loads(kept)) == record, "what was accepted cannot be read again"
    return record


def holds(
    team: Team, datasets: Mapping[str, Dataset | None] = DATASETS, cluster: ClusterFacts = CLUSTER
) -> dict[Key, Resource]:
    """What is desired for a team, all of which AWS would take or podshare refuse for its size."""
    resources = desired(team, [cluster, EAST], {name: one for name, one in datasets.items() if one}, {}, INSTALLATION)
    assert wrong_requests(INSTALLATION, team.name, resources.values()) == []
    too_large = {obstacle.what for obstacle in limits.sizes(resources.values())}
    for one in resources.values():
        if isinstance(one, Role):
            fits = len(policies.text(one.trust)) <= 2048
            fits &= sum(len(policies.text(policy)) for policy in one.policies.values()) <= 10_240
            assert fits or any(one.key.name in what for what in too_large)
        if isinstance(one, AccessPoint):
            fits = len(policies.text(one.policy or {})) <= 20_480
            assert fits or any(one.key.name in what for what in too_large)
    return resources


def accepted(item: Mapping[str, Any], last: Team | None) -> Team | None:
    """What counts of a team's item; of a wrong one nothing that was not accepted before."""
    found = accept_team(item, last, ["main", "east"], DATASETS, OWN_PATHS)
    assert len(found.problems) <= MOST_PROBLEMS
    if found.record is None:
        return None
    assert Team.model_validate(json.loads(found.record.model_dump_json(by_alias=True))) == found.record
    if found.problems:
        assert last
        assert granted(found.record, found.suspended) <= granted(last)
        assert found.record.quotas == last.quotas
    return found.record


def granted(team: Team, closed: Collection[str] = ()) -> set[tuple[str, ...]]:
    """Who gets in, and which service account may use which dataset, on each cluster of a team's record."""
    people = {("member", member.identity) for member in members(team.members, {})}
    pods = {("pod", account.name, grant.dataset) for account in team.service_accounts for grant in account.datasets}
    groups = {("group", group) for group in team.kubernetes_groups}
    rules = {("rule", line.group, str(rule)) for line in team.rbac for rule in line.rules}
    everything = people | pods | groups | rules
    there = team.quotas.keys() - {*closed}
    links = {
        (cluster, "link", one.file_system, one.dataset) for cluster in there for one in team.file_systems_on(cluster)
    }
    return {(cluster, *one) for cluster in there for one in everything} | links


# ---- records that are nearly right ------------------------------------------------------------------------------

A_FULL_TEAM = a_team_item(
    members=[
        {"account": "222222222222", "existing_role": "research/LanguageResearcher"},
        {"account": "222222222222", "permission_set": "Pretraining", "expires": "2033-01-31T18:00:00Z"},
        {"account": "444444444444", "trusted_by": ["role/Analyst", "user/ada"]},
        {"organizational_unit": SCIENCE, "exclude_accounts": ["666666666666"]},
        {"account_tag": {"key": "pool", "value": "shared"}, "permission_set": "Pretraining"},
    ],
    quota={
        "resources": [
            {"instance_type": "ml.p5.48xlarge", "count": 2},
            {"instance_type": "ml.g5.12xlarge", "accelerators": 8, "vcpu": 12.5, "memory_gib": 64},
            {"instance_type": "ml.p4d.24xlarge", "accelerator_partition": {"type": "mig-1g.5gb", "count": 3}},
        ],
        "fair_share_weight": 40,
        "sharing": {
            "strategy": "LendAndBorrow",
            "borrow_limit": 200,
            "absolute_borrow_limits": [{"instance_type": "ml.p5.48xlarge", "count": 1}],
        },
        "preempt_team_tasks": "Never",
        "active": True,
    },
    access="edit",
    access_role="per_member",
    service_accounts=[
        {
            "name": "trainer",
            "datasets": [{"dataset": "imagenet", "access": "read", "expires": "2033-01-31T19:00:00+01:00"}],
        },
        {"name": "curator", "datasets": [{"dataset": "web", "access": "read_write", "prefix": "web/clean/"}]},
    ],
    file_systems=[
        {"file_system": "fs-0123456789abcdef0", "dataset": "imagenet", "access": "read"},
        {
            "file_system": "fs-0123456789abcdef0",
            "dataset": "web",
            "access": "read_write",
            "prefix": "web/clean/",
            "expires": "2033-01-31T18:00:00Z",
        },
    ],
    kubernetes_groups=["podshare:vision:operators", "podshare:vision:auditors"],
    rbac=[
        {
            "group": "podshare:vision:operators",
            "rules": [
                {"api_groups": [""], "resources": ["configmaps", "pods/exec"], "verbs": ["get", "create"]},
                {"api_groups": [""], "resources": ["secrets"], "verbs": ["get"], "resource_names": ["registry"]},
            ],
        }
    ],
    deletion_protection=False,
    expires="2034-01-31T18:00Z",
    changed_by="arn:aws:iam::111111111111:user/admin",
    change={
        "version": 3,
        "at": "2026-11-29T20:00:00Z",
        "reason": "More nodes",
        "author": "priya",
        "commit": "0a1b2c3d",
        "source": {"repository": "github.com/example/records", "path": "teams/vision.yaml"},
    },
)
A_TEAM_ON_TWO = {
    **{name: value for name, value in A_FULL_TEAM.items() if name != "quota"},
    "access_role": "per_team",
    "file_systems": [{**line, "cluster": "main"} for line in A_FULL_TEAM["file_systems"]],
    "cluster": [
        {"cluster": "main", "quota": A_FULL_TEAM["quota"]},
        {"cluster": "east", "quota": {"resources": [{"instance_type": "ml.p5.48xlarge", "count": 2}]}},
    ],
}
A_TEMPLATE = an_enrollment_item()["team"]
AN_ENROLLMENT_ON_TWO = an_enrollment_item(
    team={
        **{name: value for name, value in A_TEMPLATE.items() if name != "quota"},
        "cluster": [{"cluster": name, "quota": A_TEMPLATE["quota"]} for name in ("main", "east")],
    }
)
A_CLUSTER = {
    "id": "cluster#main",
    "schema": 1,
    "account": "111111111111",
    "region": "us-west-2",
    "eks_cluster": "hyperpod-eks",
    "hyperpod_cluster": "hyperpod",
    "over_commitment": "refuse",
    "scheduler": {
        "priority_classes": [{"name": "training", "weight": 60}, {"name": "inference", "weight": 90}],
        "fair_share": True,
        "idle_resource_sharing": False,
    },
    "namespace_hardening": "enforce",
    "kubernetes_api": True,
}
A_DATASET = {
    "id": "dataset#imagenet",
    "account": "333333333333",
    "region": "us-west-2",
    "bucket": "images",
    "prefix": "a/",
    "kms_key": KMS_KEY,
    "vpc": "vpc-0123456789abcdef0",
}
A_PAUSE = {"id": "pause#all", "reason": "moving house", "owner": "priya@example.com"}
BASES: list[Item] = [
    A_FULL_TEAM,
    A_TEAM_ON_TWO,
    an_enrollment_item(),
    AN_ENROLLMENT_ON_TWO,
    A_CLUSTER,
    A_DATASET,
    A_PAUSE,
]

UGLY_TEXTS = [
    "", " ", "\n", "\x00", "*", "?", "..", "../../x", "/", "//", "a//b", "'", '"', "\\", "a\nb", "\u202e", "\u200b",
    "${aws:username}", "${account.id}", "${account.tags.x}", "${", "$ {x}", "arn:aws:iam::222222222222:root",
    '"},{"Effect":"Allow","Principal":"*"', "visi\u043en", "\u0430", "\uff11" * 12, "a\u0301", "e\u0301cole",
    "\U0001f600", "\ufeff", "x" * 300, "x" * 20_000, "1e400", "nan", "-1", "0x10", "1_0", " 2 ", "true", "null",
    "team#vision", "team#", "#", "r-pods", "ou-pods-science1", "aws:x", "role/*", "role/../x", "podshare/podshare-x",
    "222222222222", "000000000000", "2" * 13, "\u0662" * 12, "2222 2222222", "\ud800",
]  # fmt: skip
UGLY_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2.5, -0.0, 1e308, float("nan"), float("inf"), 10**30, 222222222222,
    Decimal("2.00"), Decimal("1E+125"), Decimal("1E-130"), Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"),
    [], {}, [[]], [None], [{}], {"": ""}, {"x": {"y": [1]}}, {"a", "b"}, {1, 2}, {"1", 2}, b"bytes", Binary(b"x"),
    {Binary(b"x"), Binary(b"y")}, [""] * 2_000, [{"account": "222222222222"}] * 600, ["222222222222"] * 501,
]  # fmt: skip
FITTING = [
    *range(5), 2.0, Decimal(3), "4", "2.0", True, "yes", "training", "view", "read", "read_write", "imagenet", "web", "main",
    "imagenet/train/", "role/Analyst", "research/Analyst", "Pretraining", "555555555555", 555555555555, "us-west-2", [],
    {"account": "555555555555"}, {"account_tag": {"key": "pool", "value": ""}}, "LendAndBorrow", "Lend", "mig-7g.80gb",
    "ml.g5.12xlarge", "Zo\u00eb", "${account.name}", "${account.tags.gpus}", "name", "owner", "r-pods", "ou-pods-genomics",
]  # fmt: skip
texts = st.sampled_from(UGLY_TEXTS) | st.text(max_size=70)
scalars = texts | st.sampled_from(UGLY_VALUES) | st.integers() | st.floats() | st.decimals() | st.binary(max_size=8)
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)
ids = st.sampled_from(list(MODELS)).flatmap(lambda kind: texts.map(lambda name: f"{kind}#{name}")) | texts


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a record, the record itself left out."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in inner for place in ((*path, key), *places(item, (*path, key)))]


@st.composite
def spoiled(draw: st.DrawFn, bases: list[Item]) -> Item:
    """A good record with one to three things changed: by what may fit there or by anything, removed, doubled, added."""
    item = copy.deepcopy(draw(st.sampled_from(bases)))
    for _ in range(draw(st.sampled_from([1, 1, 1, 1, 2, 3]))):
        spot = places(item)
        if not spot:
            break
        *way, last = draw(st.sampled_from(spot))
        holder: Any = item
        for key in way:
            holder = holder[key]
        match draw(
            st.sampled_from(["replace", "replace", "fit", "fit", "fit", "remove", "remove", "double", "add", "id"])
        ):
            case "fit":
                alike = [value for value in FITTING if type(value) is type(holder[last])]
                holder[last] = copy.deepcopy(draw(st.sampled_from(alike or FITTING)))
            case "replace":
                holder[last] = copy.deepcopy(draw(junk))
            case "remove":
                del holder[last]
            case "double" if isinstance(holder, list):
                holder += [copy.deepcopy(holder[last])] * draw(st.sampled_from([1, 2, 60, 600]))
            case "add" if isinstance(holder, dict):
                holder[draw(texts)] = copy.deepcopy(draw(junk))
            case _:
                item["id"] = draw(ids)
    return item


@thorough(1_200)
@given(spoiled(BASES))
def test_every_record_is_refused_in_words_or_works(item: Item) -> None:
    """1,200 records of all kinds with one to three things wrong: no other exception, and AWS would take what is made."""
    record = judged(item)
    generated["refused" if record is None else "accepted"] += 1
    if isinstance(record, Team):
        found = accepted(item, None)
        if found:
            holds(found)
    if isinstance(record, Cluster):
        hardening = record.namespace_hardening
        holds(a_team(), cluster=replace(CLUSTER, scheduler=record.scheduler, namespace_hardening=hardening))


@thorough(600)
@given(spoiled([A_FULL_TEAM, A_TEAM_ON_TWO]))
def test_what_is_left_of_a_spoiled_team_was_granted_before(item: Item) -> None:
    """600 bad edits of a team that was accepted: what still counts was granted before, and can be made and read again."""
    generated["edits of a team"] += 1
    last = parse_team(A_TEAM_ON_TWO if isinstance(item.get("cluster"), list) else A_FULL_TEAM)
    item["id"] = "team#vision"
    found = accepted(item, last)
    assert found
    holds(found)


@thorough(300)
@given(spoiled([A_DATASET]))
def test_what_is_left_of_a_spoiled_dataset_lies_in_the_last_one(item: Item) -> None:
    """300 bad edits of a dataset: what still counts is in the same bucket, within the accepted prefix."""
    generated["edits of a dataset"] += 1
    last = parse(A_DATASET)
    assert isinstance(last, Dataset)
    item["id"] = "dataset#imagenet"
    found = accept_dataset(item, last)
    if found.problems and found.record:
        assert (found.record.account, found.record.region, found.record.bucket) == (
            last.account,
            last.region,
            last.bucket,
        )
        assert found.record.prefix.startswith(last.prefix)
        assert Dataset.model_validate(json.loads(found.record.model_dump_json(by_alias=True))) == found.record


@thorough(400)
@given(
    spoiled([an_enrollment_item(), AN_ENROLLMENT_ON_TWO]),
    st.dictionaries(st.sampled_from(["owner", "gpus"]), texts),
    texts,
)
def test_an_enrolled_team_is_refused_in_words_or_works(item: Item, tags: dict[str, str], name: str) -> None:
    """400 spoiled enrollments, of accounts with any name and tags: each team is refused, or AWS takes what it gets."""
    generated["enrollments"] += 1
    item["id"] = "enrollment#science"
    made = team_of(item, an_account(tags=tags, name=name))
    assert len(made.problems) <= MOST_PROBLEMS
    found = accept_team(None, None, ["main", "east"], DATASETS, OWN_PATHS, enrolled=made)
    if found.record:
        holds(found.record)


@thorough(300)
@given(junk | spoiled(BASES))
def test_what_dynamodb_holds_comes_out_plain(value: Any) -> None:
    """300 values as DynamoDB can hold them come out without Decimals and sets, and again the same."""
    generated["items of DynamoDB"] += 1
    try:
        item = to_item({"id": "team#x", "value": value})
    except (TypeError, ValueError, ArithmeticError):
        return  # DynamoDB has no such value
    found = from_item(item)
    assert plain(found) == found or "nan" in repr(found)
    assert not any(isinstance(one, Decimal | set) for one in _leaves(found))


def _leaves(value: Any) -> Iterator[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        yield from _leaves(item)
    if not isinstance(value, dict | list):
        yield value


def a_link(dataset: str = "imagenet", **fields: Any) -> Item:
    return {"file_system": "fs-0123456789abcdef0", "dataset": dataset, "access": "read_write", **fields}


# ---- teams at every limit -----------------------------------------------------------------------------------------


def _named(length: int) -> st.SearchStrategy[str]:
    middle = st.text("abcxyz0189-", min_size=length, max_size=length)
    return middle.map(lambda name: re.sub("^-|-$", "a", name))


names = st.sampled_from([1, 2, 39, 40]).flatmap(_named).filter(lambda name: not re.search("-[0-9]{12}$", name))
role_parts = st.text("AZaz09_+=,.@-", min_size=1, max_size=64)
roles = st.lists(role_parts, min_size=1, max_size=9).map("/".join).filter(lambda role: len(role) <= 512)
prefixes = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="*?$/"), max_size=511)
people = st.fixed_dictionaries(
    {"account": st.from_regex("[0-9]{12}", fullmatch=True)},
    optional={"trusted_by": st.lists(roles.map("role/{}".format), min_size=1, max_size=40, unique=True)},
) | st.fixed_dictionaries(
    {"account": st.from_regex("[0-9]{12}", fullmatch=True), "existing_role": roles},
) | st.fixed_dictionaries(
    {"account": st.from_regex("[0-9]{12}", fullmatch=True), "permission_set": st.text("Az0_+=,.@-", min_size=1, max_size=32)},
)  # fmt: skip


@thorough(150)
@given(
    name=names,
    owner=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=256),
    who=st.lists(people, max_size=4),
    pods=st.lists(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True), max_size=4, unique=True),
    prefix=prefixes,
)
def test_what_is_as_long_as_it_may_be_works(
    name: str, owner: str, who: list[Item], pods: list[str], prefix: str
) -> None:
    """150 teams at the limits of their fields: what is accepted is taken by AWS, or told to be too large."""
    grants = [{"dataset": "whole", "access": "read_write", "prefix": prefix}]
    accounts = [{"name": pod, "datasets": grants} for pod in pods]
    links = [a_link("whole", prefix=prefix)]
    record = judged(a_team_item(name, owner=owner, members=who, service_accounts=accounts, file_systems=links))
    generated["at the limits, refused" if record is None else "at the limits, accepted"] += 1
    if isinstance(record, Team):
        holds(record, {"whole": a_dataset("whole", prefix="")})


@pytest.mark.parametrize(
    ("fits", "too_long"),
    [
        ({"id": "team#" + "t" * 40}, {"id": "team#" + "t" * 41}),
        ({"owner": "o" * 256}, {"owner": "o" * 257}),
        ({"reason": "r" * 1024}, {"reason": "r" * 1025}),
        ({"changed_by": "c" * 2048}, {"changed_by": "c" * 2049}),
        ({"cluster": "c" * 63}, {"cluster": "c" * 64}),
        ({"service_accounts": [{"name": "s" * 63}]}, {"service_accounts": [{"name": "s" * 64}]}),
        ({"members": [{"account": "2" * 12}]}, {"members": [{"account": "2" * 13}]}),
        ({"members": [{"account": "2" * 12, "existing_role": "r" * 64}]}, {"members": [{"account": "2" * 12, "existing_role": "r" * 65}]}),
        ({"members": [{"account": "2" * 12, "permission_set": "p" * 32}]}, {"members": [{"account": "2" * 12, "permission_set": "p" * 33}]}),
        ({"members": [{"account": "2" * 12, "existing_role": "p" * 447 + "/" + "r" * 64}]}, {"members": [{"account": "2" * 12, "existing_role": "p" * 448 + "/" + "r" * 64}]}),
        ({"members": [{"account": f"{n:012}"} for n in range(500)]}, {"members": [{"account": f"{n:012}"} for n in range(501)]}),
        ({"quota": {"resources": [{"instance_type": f"ml.p{n}.48xlarge", "count": 1} for n in range(15)]}}, {"quota": {"resources": [{"instance_type": f"ml.p{n}.48xlarge", "count": 1} for n in range(16)]}}),
        ({"quota": {"resources": [{"instance_type": "ml.p5.48xlarge", "count": 10**7}]}}, {"quota": {"resources": [{"instance_type": "ml.p5.48xlarge", "count": 10**7 + 1}]}}),
        ({"kubernetes_groups": [f"podshare:vision:g{n}" for n in range(10)]}, {"kubernetes_groups": [f"podshare:vision:g{n}" for n in range(11)]}),
        ({"file_systems": [a_link(f"d{n}") for n in range(40)]}, {"file_systems": [a_link(f"d{n}") for n in range(41)]}),
        ({"file_systems": [a_link(file_system="fs-" + "0" * 18)]}, {"file_systems": [a_link(file_system="fs-" + "0" * 19)]}),
        ({"file_systems": [a_link(prefix="imagenet/" + "p" * 502)]}, {"file_systems": [a_link(prefix="imagenet/" + "p" * 503)]}),
        ({"kubernetes_groups": ["podshare:vision:" + "g" * 40]}, {"kubernetes_groups": ["podshare:vision:" + "g" * 41]}),
        ({"service_accounts": [{"name": f"s{n}"} for n in range(100)]}, {"service_accounts": [{"name": f"s{n}"} for n in range(101)]}),
        ({"service_accounts": [{"name": "s", "datasets": [{"dataset": "imagenet", "access": "read", "prefix": "imagenet/" + "p" * 502}]}]}, {"service_accounts": [{"name": "s", "datasets": [{"dataset": "imagenet", "access": "read", "prefix": "imagenet/" + "p" * 503}]}]}),
    ],
    ids=["name", "owner", "reason", "changed_by", "cluster", "service account", "account", "role", "permission set", "path", "members", "lines", "count", "groups", "links", "file system", "prefix of a link", "group", "accounts", "prefix"],
)  # fmt: skip
def test_one_more_than_the_longest_is_refused(fits: Item, too_long: Item) -> None:
    """What is as long as it may be makes what AWS takes; one more is refused."""
    record = judged({**a_team_item(), **fits})
    assert isinstance(record, Team)
    holds(record)
    assert judged({**a_team_item(), **too_long}) is None


@pytest.mark.parametrize(
    ("base", "fits", "too_long"),
    [
        (A_DATASET, {"bucket": "b" * 63}, {"bucket": "b" * 64}),
        (A_DATASET, {"bucket": "bbb"}, {"bucket": "bb"}),
        (A_DATASET, {"prefix": "p" * 511}, {"prefix": "p" * 512}),
        (A_DATASET, {"prefix": "p" * 511 + "/"}, {"prefix": "p" * 512 + "/"}),
        (A_DATASET, {"kms_key": KMS_KEY.replace("1234abcd-12ab-34cd-56ef-1234567890ab", f"mrk-{'0' * 32}")}, {"kms_key": f"{KMS_KEY}0"}),
        (A_DATASET, {"vpc": "vpc-01234567"}, {"vpc": "vpc-0123456789abcdef01"}),
        (A_DATASET, {"id": "dataset#" + "d" * 63}, {"id": "dataset#" + "d" * 64}),
        (A_CLUSTER, {"eks_cluster": "e" * 100}, {"eks_cluster": "e" * 101}),
        (A_CLUSTER, {"hyperpod_cluster": "h" * 63}, {"hyperpod_cluster": "h" * 64}),
        (A_CLUSTER, {"scheduler": {"priority_classes": [{"name": "p" * 40, "weight": 100}]}}, {"scheduler": {"priority_classes": [{"name": "p" * 41, "weight": 100}]}}),
        (A_CLUSTER, {"scheduler": {"priority_classes": [{"name": f"p{n}", "weight": 0} for n in range(10)]}}, {"scheduler": {"priority_classes": [{"name": f"p{n}", "weight": 0} for n in range(11)]}}),
        (A_CLUSTER, {"scheduler": {"priority_classes": [{"name": "p", "weight": 100}]}}, {"scheduler": {"priority_classes": [{"name": "p", "weight": 101}]}}),
        (A_CLUSTER, {"region": "ap-southeast-2"}, {"region": f"us-{'a' * 60}-2"}),
        (an_enrollment_item(), {"id": "enrollment#" + "e" * 27}, {"id": "enrollment#" + "e" * 28}),
        (an_enrollment_item(organizational_unit=...), {"account_tag": {"key": "k" * 128, "value": "v" * 256}}, {"account_tag": {"key": "k", "value": "v" * 257}}),
        (A_PAUSE, {"reason": "r" * 1024}, {"reason": ""}),
    ],
)  # fmt: skip
def test_the_limits_of_other_records(base: Item, fits: Item, too_long: Item) -> None:
    """The longest values of clusters, datasets, enrollments and pauses are accepted, one more is refused."""
    assert judged({**base, **fits})
    assert judged({**base, **too_long}) is None


def test_a_prefix_keeps_its_length_with_its_slash() -> None:
    """A prefix that only its slash makes too long is refused: what was accepted must be acceptable when it is read."""
    assert judged({**A_DATASET, "prefix": "p" * 512}) is None


def test_an_item_of_400_kilobytes_is_refused_or_read_again() -> None:
    """A team that fits into an item, but not with its defaults written out, is refused with its size."""
    grants = [{"dataset": f"dataset-{number}", "access": "read"} for number in range(50)]
    accounts = [{"name": f"s{number}", "datasets": grants} for number in range(100)]
    assert judged(a_team_item(service_accounts=accounts))
    for account in accounts:
        account["datasets"] = [{**grant, "prefix": "p" * 60} for grant in grants]
    item = a_team_item(service_accounts=accounts)
    with pytest.raises(InvalidRecord) as refused:
        parse(item)
    assert "the limit is 380,000" in str(refused.value)


def test_very_many_problems_are_told_as_the_first_ones() -> None:
    """Ten thousand mistakes are fifty problems, the last of which tells how many more: a status has an end."""
    with pytest.raises(InvalidRecord) as refused:
        parse(a_team_item() | {f"field-{number}": number for number in range(10_000)})
    assert len(refused.value.problems) == MOST_PROBLEMS
    assert refused.value.problems[-1].value == "9,951 more"
    grants = [{"dataset": f"absent-{number}", "access": "read"} for number in range(50)]
    item = a_team_item(service_accounts=[{"name": f"s{number}", "datasets": grants} for number in range(50)])
    found = accept_team(item, None, ["main"], {})
    assert len(found.problems) == MOST_PROBLEMS


# ---- injection ------------------------------------------------------------------------------------------------------

INJECTIONS = [
    "*", "?", "${aws:username}", "${account.id}", "a*", "../*", "a\nb", 'a"b', "a'b", "a:b/../*", "a\x00b",
    'x","Resource":"*', "a\u200bb", "\u0430dmin", "a b", "a|b", "a#b",
]  # fmt: skip


def a_rule(**fields: Any) -> Item:
    rule = {"api_groups": [""], "resources": ["pods"], "verbs": ["get"], **fields}
    group = "podshare:vision:ops"
    return a_team_item(kubernetes_groups=[group], rbac=[{"group": group, "rules": [rule]}])


NAMING: Mapping[str, Callable[[str], Item]] = {
    "id": lambda text: {**a_team_item(), "id": f"team#{text}"},
    "cluster": lambda text: a_team_item(cluster=text),
    "account": lambda text: a_team_item(members=[{"account": f"22222222222{text}"}]),
    "existing_role": lambda text: a_team_item(members=[{"account": "2" * 12, "existing_role": f"Data{text}"}]),
    "trusted_by": lambda text: a_team_item(members=[{"account": "2" * 12, "trusted_by": [f"role/Data{text}"]}]),
    "permission_set": lambda text: a_team_item(members=[{"account": "2" * 12, "permission_set": f"Data{text}"}]),
    "service account": lambda text: a_team_item(service_accounts=[{"name": f"s{text}"}]),
    "kubernetes_groups": lambda text: a_team_item(kubernetes_groups=[f"podshare:vision:o{text}"]),
    "verbs": lambda text: a_rule(verbs=["get", f"list{text}"]),
    "resources": lambda text: a_rule(resources=[f"pods{text}"]),
    "resource_names": lambda text: a_rule(resource_names=[f"one{text}"]),
    "dataset": lambda text: a_team_item(service_accounts=[{"name": "s", "datasets": [{"dataset": f"d{text}", "access": "read"}]}]),
    "instance_type": lambda text: a_team_item(quota={"resources": [{"instance_type": f"ml.p5.48xlarge{text}", "count": 1}]}),
    "bucket": lambda text: {**A_DATASET, "bucket": f"bucket{text}"},
    "kms_key": lambda text: {**A_DATASET, "kms_key": f"{KMS_KEY}{text}"},
    "vpc": lambda text: {**A_DATASET, "vpc": f"vpc-0123456789abcdef0{text}"},
    "region": lambda text: {**A_DATASET, "region": f"us-west-2{text}"},
    "eks_cluster": lambda text: {**A_CLUSTER, "eks_cluster": f"c{text}"},
    "hyperpod_cluster": lambda text: {**A_CLUSTER, "hyperpod_cluster": f"c{text}"},
    "organizational_unit": lambda text: an_enrollment_item(organizational_unit=f"{SCIENCE}{text}"),
}  # fmt: skip


@pytest.mark.parametrize("field", NAMING)
def test_what_becomes_part_of_a_name_or_arn_is_held_to_its_letters(field: str) -> None:
    """Wildcards, variables, quotes, line ends, look-alikes: refused wherever a value becomes part of a name or ARN."""
    refused = {text for text in INJECTIONS if judged(NAMING[field](text)) is None}
    assert refused == {*INJECTIONS}


def test_a_prefix_says_only_what_it_says() -> None:
    """Quotes, brackets and dots in a prefix stay characters of it; wildcards and variables are refused."""
    for text in ("*", "a?", "${aws:username}/", "/a", "a//b", "a\nb", "a\x00"):
        assert judged({**A_DATASET, "prefix": text}) is None, text
    for text in (
        '"},{"Effect":"Allow"',
        "../private/",
        "'\\",
        "\u0430/",
        "a\u0301/",
        "a\u200b/",
        "[!x]/",
        "$/{x}/",
        "a b/",
    ):
        record = judged({**A_DATASET, "prefix": text})
        assert isinstance(record, Dataset), text
        grant = {"name": "s", "datasets": [{"dataset": "imagenet", "access": "read"}]}
        team = a_team(service_accounts=[grant])
        resources = holds(team, {"imagenet": record})
        (point,) = (one for one in resources.values() if isinstance(one, AccessPoint))
        (_, objects) = policies.statements(json.loads(policies.text(point.policy or {})))
        assert objects["Resource"] == [f"{ARN}{point.key.name}/object/{record.prefix}*"]


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (KMS_KEY.replace("key/1234abcd-12ab-34cd-56ef-1234567890ab", "alias/scans"), "names an alias"),
        ("alias/aws/s3", "names an alias"),
        (KMS_KEY.replace("333333333333", "444444444444"), "must be a key of account 333333333333 in us-west-2"),
        (KMS_KEY.replace("us-west-2", "us-east-1"), "must be a key of account 333333333333 in us-west-2"),
        (KMS_KEY.rpartition("/")[2], "a key is named by its ARN"),
    ],
)
def test_a_key_is_one_that_podshare_may_grant(key: str, told: str) -> None:
    """An alias, and a key of another account or Region than the bucket's, are refused in words."""
    with pytest.raises(InvalidRecord) as refused:
        parse({**A_DATASET, "kms_key": key})
    assert told in str(refused.value.problems[0])


def test_a_role_with_a_comma_and_a_long_path_is_a_member() -> None:
    """IAM allows commas in a role's name and 512 characters of path, and a tag neither: the tag gives way."""
    role = "p" * 400 + "/Data,Scientist"
    resources = holds(a_team(members=[{"account": "222222222222", "existing_role": role}]))
    trusts = [json.dumps(one.trust) for one in resources.values() if isinstance(one, Role)]
    assert any(role in trust for trust in trusts)


def test_an_owner_is_no_reserved_tag() -> None:
    """AWS keeps values that begin with `aws:` to itself, in any case."""
    assert judged(a_team_item(owner="aws:me")) is None
    assert judged(a_team_item(owner="AWS:me")) is None
    assert judged(a_team_item(owner="laws: me"))


# ---- sizes of policies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"members": [{"account": "2" * 12, "trusted_by": [f"role/{'r' * 60}{n:03}" for n in range(30)]}]}, "trust policy"),
        ({"service_accounts": [{"name": "s", "datasets": [{"dataset": f"d{n}", "access": "read_write", "prefix": "p" * 60} for n in range(20)]}]}, "inline policies"),
        ({"service_accounts": [{"name": f"s{n}", "datasets": [{"dataset": "d0", "access": "read_write", "prefix": "p" * 60}]} for n in range(40)]}, "policy"),
    ],
)  # fmt: skip
def test_a_policy_over_its_limit_is_an_obstacle(fields: Item, what: str) -> None:
    """Trust, inline and access point policies that AWS would refuse are named, with size, limit and remedy."""
    team = a_team(**{"members": [], "service_accounts": [], **fields})
    datasets: dict[str, Dataset | None] = {f"d{n}": a_dataset(f"d{n}", prefix="") for n in range(20)}
    found = [*limits.sizes(holds(team, datasets).values())]
    assert found
    assert all(f"the {what} of" in one.what and "the limit is" in one.what and one.remedy for one in found)


# ---- overlapping prefixes ------------------------------------------------------------------------------------------

ARN = "arn:aws:s3:us-west-2:333333333333:accesspoint/"
INNER = {"outer": a_dataset("outer", prefix="data/"), "inner": a_dataset("inner", prefix="data/private/")}


def allowed(resources: Mapping[Key, Resource]) -> set[tuple[str, str, str]]:
    """What access points let which role do: action, role, and the pattern of objects or the prefixes to list."""
    found: set[tuple[str, str, str]] = set()
    for point in (one for one in resources.values() if isinstance(one, AccessPoint)):
        for statement in policies.statements(point.policy):
            role = statement["Principal"]["AWS"].rpartition("/")[2]
            if statement["Action"] == "s3:ListBucket":
                found |= {("s3:ListBucket", role, where) for where in statement["Condition"]["StringLike"]["s3:prefix"]}
            else:
                wheres = [resource.partition("/object/")[2] for resource in statement["Resource"]]
                found |= {(action, role, where) for action, where in product(statement["Action"], wheres)}
    return found


def test_datasets_that_overlap_give_each_what_its_own_grant_says() -> None:
    """One dataset inside another: who may write the inner one writes nothing else of the outer, in whichever team."""
    datasets: dict[str, Dataset | None] = {**INNER}
    both = [{"dataset": "outer", "access": "read"}, {"dataset": "inner", "access": "read_write"}]
    one = holds(a_team("one", service_accounts=[{"name": "s", "datasets": both}]), datasets)
    assert len({point.key for point in one.values() if isinstance(point, AccessPoint)}) == 2
    writes = {where for action, _, where in allowed(one) if action == "s3:PutObject"}
    reads = {where for action, _, where in allowed(one) if action == "s3:GetObject"}
    assert writes == {"data/private/*"}
    assert reads == {"data/*", "data/private/*"}
    two = holds(a_team("two", service_accounts=[{"name": "s", "datasets": both[1:]}]), datasets)
    assert {where for action, _, where in allowed(two) if action == "s3:GetObject"} == {"data/private/*"}
    assert not {key for key in one if isinstance(one[key], AccessPoint)} & two.keys()


def test_grants_that_overlap_within_a_dataset_are_each_service_accounts_own() -> None:
    """Two service accounts with prefixes of which one lies in the other: each role has its own statement and prefix."""
    rows = [
        {"name": "wide", "datasets": [{"dataset": "outer", "access": "read"}]},
        {"name": "narrow", "datasets": [{"dataset": "outer", "access": "read_write", "prefix": "data/private/"}]},
    ]
    found = allowed(holds(a_team(service_accounts=rows), {**INNER}))
    wheres = {
        role: {where for action, one, where in found if one == role and "Object" in action} for _, role, _ in found
    }
    assert sorted(wheres.values(), key=str) == [{"data/*"}, {"data/private/*"}]


# ---- templates --------------------------------------------------------------------------------------------------------


@thorough(200)
@given(st.text(max_size=30) | st.sampled_from(["${account.id}", "${account.tags.owner}", "${account.tags.other}"]))
def test_what_was_rendered_is_never_rendered_again(text: str) -> None:
    """A name or tag that looks like a placeholder stays text, or is refused: there are no cycles."""
    generated["templates"] += 1
    item = an_enrollment_item()
    item["team"] |= {"owner": "${account.tags.owner}", "reason": "${account.tags.other}|${account.name}"}
    tags = {"owner": text, "other": text, "gpus": "1"}
    made = team_of(item, an_account(tags=tags, name=text))
    assert made.item
    assert made.item["owner"] == text
    shown, _, name = made.item["reason"].rpartition("|")
    assert shown == text
    assert "$" not in name
    if "$" in text:
        assert accept_team(None, None, ["main"], DATASETS, enrolled=made).record is None


def test_an_enrollment_cannot_name_another_team() -> None:
    """Fields that are no template's (an id, a name, members) make the enrollment wrong and reach no team."""
    for field, value in (("id", "team#victim"), ("name", "victim"), ("members", [{"account": "666666666666"}])):
        item = an_enrollment_item()
        item["team"] |= {field: value}
        assert judged(item) is None
        made = team_of(item, _an_account())
        assert made.problems
        assert accept_team(None, None, ["main"], DATASETS, enrolled=made).record is None


@pytest.mark.parametrize("figure", ["", "-1", "1e400", "nan", "two", "1_000", "\uff12", "99999999999", "2.5", " 2"])
def test_a_tag_that_is_no_figure_rejects_that_team_alone(figure: str) -> None:
    """A tag whose value is no number leaves its account without a new team, in words."""
    item = an_enrollment_item()
    made: Enrolled = team_of(item, an_account(tags={"owner": "ada", "gpus": figure}))
    assert made.problems == ()
    found = accept_team(None, None, ["main"], DATASETS, enrolled=made)
    assert found.record is None
    assert any("accelerators" in problem.field for problem in found.problems)


def _an_account() -> Account:
    return an_account(tags={"owner": "ada", "gpus": "2"})


# ---- hand-made --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "record_id",
    ["team#", "team##x", "TEAM#x", "team#a/b", "unknown#x", "", "#", "team", "team#\u0430lpha", "team#a\n", "team#a b",
     " team#a", "team#A", "cluster#", "dataset##", "pause#", "pause#none", "enrollment#", "approval#X", "team#" + "x" * 2_000],
)  # fmt: skip
def test_an_id_that_is_no_records_is_told_so(record_id: str) -> None:
    """An id of no kind, without a name, or with one that is no name, is refused whatever the record says."""
    assert judged({**a_team_item(), "id": record_id}) is None


@pytest.mark.parametrize("value", [None, 5, True, b"team#x", Binary(b"team#x"), ["team#x"], {"S": "team#x"}])
def test_an_id_that_is_no_text_is_refused(value: Any) -> None:
    """Only text is an id; what stands there instead is shown."""
    assert judged({**a_team_item(), "id": value}) is None


def test_true_is_no_number() -> None:
    """Python would count with True; a record that says `count: true` is mistaken."""
    for field in ("count", "accelerators", "vcpu", "memory_gib"):
        assert judged(a_team_item(quota={"resources": [{"instance_type": "ml.p5.48xlarge", field: True}]})) is None
    assert judged(a_team_item(schema=True)) is None


def test_binaries_and_sets_are_no_texts() -> None:
    """Bytes that spell a good value are refused; a set of texts is a list, whose order has no meaning."""
    assert judged(a_team_item(owner=b"priya")) is None
    assert judged(a_team_item(owner=Binary(b"priya"))) is None
    assert judged(a_team_item(service_accounts={Binary(b"x"), Binary(b"y")})) is None
    line = {"organizational_unit": SCIENCE, "exclude_accounts": {"666666666666", "555555555555"}}
    assert isinstance(judged(a_team_item(members=[line])), Team)


def test_a_binary_can_be_spelled() -> None:
    """boto3's binary has no text; as bytes it is named in messages, and holds up no other team's plan."""
    grants = [{"dataset": Binary(b"x")}]
    assert datasets_of(plain(a_team_item(service_accounts=[{"datasets": grants}], file_systems=grants))) == {"b'x'"}


def test_what_nests_without_end_is_refused() -> None:
    """A value deeper than DynamoDB allows, or within itself, is no error of ours."""
    deep: Item = {}
    for _ in range(5_000):
        deep = {"x": deep}
    assert judged(a_team_item(owner=deep)) is None
    endless: Item = {}
    endless["x"] = endless
    assert judged(a_team_item(**endless)) is None
    quota = {"resources": [], "x": deep}
    item = an_enrollment_item(team={**an_enrollment_item()["team"], "quota": quota})
    assert judged(item) is None
    assert team_of(item, _an_account()).problems


def test_a_look_alike_shows() -> None:
    """In a problem, what is not ASCII is spelled out: `vis\u0456on` does not look like `vision`."""
    with pytest.raises(InvalidRecord) as refused:
        parse({**a_team_item(cluster="m\u0430in"), "\u200baccess": "view"})
    told = str(refused.value)
    assert "m\\u0430in" in told
    assert "\\u200baccess" in told


def test_a_problem_is_never_empty_or_endless() -> None:
    """Each text of a problem says something, prints, and has an end."""
    problem = Problem("", "\x1b[2J", "x" * 10_000, "\n", "\u202e")
    assert problem.as_dict() == {
        "record": "(empty)",
        "field": "\\x1b[2J",
        "value": "x" * 117 + "...",
        "rule": "\\n",
        "remedy": "\\u202e",
    }


def test_a_service_account_without_a_proper_name_asks_for_nothing() -> None:
    """In a bad record, a service account whose name is a list or a map counts as removed."""
    for name in (["trainer"], {"trainer": 1}, None, 5):
        found = accepted(a_team_item(service_accounts=[{"name": name}]), a_team())
        assert found
        assert found.service_accounts == ()


def test_a_line_that_would_exclude_too_many_goes() -> None:
    """Where what either record excludes is more than one line can say, the line goes: nobody slips in."""

    def line(first: int) -> Item:
        return {"organizational_unit": SCIENCE, "exclude_accounts": [f"{n:012}" for n in range(first, first + 300)]}

    found = accepted(a_team_item(owner="", members=[line(1000)]), a_team(members=[line(0)]))
    assert found
    assert found.members == ()


def test_partitions_are_those_of_the_api() -> None:
    """The profiles of accelerator partitions are those that SageMaker's model names."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    assert [*get_args(Profile)] == model.shape_for("MIGProfileType").metadata["enum"]


def test_an_enrollment_is_an_enrollment() -> None:
    """The records that are spoiled here are right before they are."""
    kinds = [type(judged(base)) for base in BASES]
    assert None not in kinds
    assert Enrollment in kinds


def test_enough_was_generated(record_property: Callable[[str, object], None]) -> None:
    """At least 2,000 records were made here, and both of those that work and of those that are refused there are many."""
    record_property("bad input, generated records", dict(generated))
    if generated.keys() >= {"refused", "templates"}:  # the whole file has run
        assert sum(generated.values()) >= 2_000
        assert generated["refused"] > 500
        assert generated["accepted"] > 50

"""Bad input through the real stream, handlers and state machine: each is refused, and nobody else is held up."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from boto3.dynamodb.types import Binary, TypeSerializer

from podshare.aws.rows import LONGEST_PART
from tests.builders import a_team_item, an_enrollment_item
from tests.scenarios.world import CLUSTER, DATASETS, HUB, LANGUAGE, VISION, World

Item = dict[str, Any]
pytestmark = pytest.mark.usefixtures("made")
BYTES = Binary(b"\x00\xff")
READER = [{"name": "reader", "datasets": [{"dataset": "imagenet", "access": "read"}]}]
NESTED: Any = "x"
for _ in range(28):  # DynamoDB allows 32 levels
    NESTED = {"x": NESTED}

UGLY_IDS = [
    "team#", "team##x", "team#a/b", "team#\u0430lpha", "team#a b", "team#a_b", "team#A", "team#${aws:username}", "team#*",
    "team#" + "x" * 1_500, "TEAM#x", "unknown#x", "robot", "#", "cluster#", "dataset##", "enrollment#", "pause#none",
    "approval#X",
]  # fmt: skip
UGLY_FIELDS: list[Item] = [
    {"owner": BYTES},
    {"service_accounts": {BYTES, Binary(b"x")}},
    {"members": {"222222222222", "444444444444"}},
    {"members": None, "quota": 10**30},
    {"quota": NESTED},
    {"name": BYTES},
    {"cluster": ["main"]},
    {"cluster": "c" * 5_000},
    {"service_accounts": [{"name": ["s"], "datasets": [{"dataset": "d" * 5_000}]}]},
    {"reason": "r" * 390_000},
    {"changed_by": "c" * 300_000},
    {"changed_by": BYTES},
    {"changed_by": {"S": "me"}},
    {f"field-{number}": number for number in range(9_000)},
    {"change": BYTES},
    {"change": {"version": 10**30, "reason": "r" * 300_000, "commit": {BYTES}, "source": NESTED}},
]
UGLY_OTHERS: list[Item] = [
    {**DATASETS[0], "id": "dataset#ugly", "bucket": BYTES, "prefix": {BYTES, Binary(b"x")}},
    {**CLUSTER, "id": "cluster#ugly", "account": [HUB]},
    {**an_enrollment_item("ugly"), "team": {"quota": {BYTES, Binary(b"x")}, "id": "team#good-one"}},
]
UGLY = [
    *(a_team_item(service_accounts=READER) | {"id": record} for record in UGLY_IDS),
    *(a_team_item(f"ugly-{number}") | fields for number, fields in enumerate(UGLY_FIELDS)),
    *UGLY_OTHERS,
]
GOOD = [
    a_team_item("good-one", members=[{"account": VISION}], service_accounts=READER),
    a_team_item("a-b", members=[{"account": LANGUAGE}], service_accounts=READER),
]


NO_RECORDS = {f"team#ugly-{number}" for number in (0, 1, 5, 10, 11)} | {"dataset#ugly", "enrollment#ugly", "pause#none"}
NO_RECORDS |= {record for record in UGLY_IDS if len(record) > 1_000}


@pytest.fixture(scope="module")
def made(world: World) -> list[str]:
    """Everything written at once, good records between ugly ones; what podshare then did beside its own tables."""
    serialize, table = TypeSerializer().serialize, world.sandbox.client("dynamodb")
    with world.calls() as calls:
        for item in [*UGLY[:18], GOOD[0], *UGLY[18:], GOOD[1]]:
            typed = {name: serialize(value) for name, value in item.items()}
            table.put_item(TableName="podshare-registry", Item=typed)
        world.sandbox.settle()
    return calls


def verdict(world: World, record: str) -> Item:
    """What podshare says of a record: a team's as the end of its last run, another's as it was written."""
    part = record[:LONGEST_PART]  # of an id that is too long to be one
    return world.state("status", part) or world.state("record", part)


def not_rejected(world: World, records: Iterable[str]) -> dict[str, Any]:
    """Those of the records that have no status REJECTED with at least one whole problem."""
    statuses = {record: verdict(world, record) for record in records}
    return {
        record[:80]: status
        for record, status in statuses.items()
        if status.get("state") != "REJECTED"
        or not status["problems"]
        or not all(problem[name] for problem in status["problems"] for name in ("record", "field", "rule", "remedy"))
    }


def test_good_records_among_ugly_ones_are_not_held_up(world: World) -> None:
    """Two teams, written among thirty-six ugly items, are READY."""
    assert {item["id"]: verdict(world, item["id"])["state"] for item in GOOD} == {
        "team#good-one": "READY",
        "team#a-b": "READY",
    }


def test_ugly_records_are_rejected_in_words(world: World) -> None:
    """Ids that are none, texts without end, numbers, sets and maps in wrong places: each is told what is wrong."""
    assert not_rejected(world, {item["id"] for item in UGLY} - NO_RECORDS) == {}


def test_what_is_no_record_at_all_is_rejected_too(world: World) -> None:
    """Binaries, a writer's name of 300 KB, an id of 1,500 characters, a pause of nothing: told, and none given up."""
    assert not_rejected(world, NO_RECORDS) == {}
    assert set_aside(world) == 0


def test_nothing_is_made_for_an_ugly_record(world: World, made: list[str]) -> None:
    """Whatever there is belongs to the good teams: nothing was begun for any other."""
    assert made
    iam = world.sandbox.client("iam", HUB)
    found = [role["RoleName"] for role in iam.list_roles(PathPrefix="/podshare/")["Roles"]]
    assert found
    assert [name for name in found if not name.startswith(("podshare-good-one-", "podshare-a-b-"))] == []
    quotas = world.sandbox.client("sagemaker", HUB).list_compute_quotas()["ComputeQuotaSummaries"]
    assert {quota["Name"] for quota in quotas} == {"podshare-good-one", "podshare-a-b"}


def test_the_sweep_ends_among_ugly_records(world: World) -> None:
    """A sweep over ugly records succeeds, and leaves the good teams in sync."""
    swept = world.sweep()
    assert swept["status"] == "SUCCEEDED"
    assert swept["counts"]["in_sync"] == len(GOOD)


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ({}, "team: Field required"),
        ({"team": 5}, "team: Input should be a valid string"),
        ({"team": "good-one", "records": "all"}, "records: Input should be a valid list"),
        ({"team": "good-one", "records": [{"owner": "me"}]}, "records.0.id: Field required"),
    ],
)
def test_a_dry_run_says_what_it_is_to_be_asked(world: World, question: Item, problem: str) -> None:
    """Whoever asks the function without the command is told the first mistake, and how to ask."""
    client = world.sandbox.client("lambda", HUB)
    answer = client.invoke(FunctionName="podshare-dry-run", Payload=json.dumps(question).encode())
    failure = json.loads(answer["Payload"].read())
    assert failure["errorType"] == "Terminal"
    assert problem in failure["errorMessage"]
    assert 'Ask {"team": NAME' in failure["errorMessage"]


def set_aside(world: World) -> int:
    """How many records of the stream were given up."""
    sqs = world.sandbox.client("sqs", HUB)
    url = sqs.get_queue_url(QueueName="podshare-registry-changed-failures")["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(found["Attributes"]["ApproximateNumberOfMessages"])

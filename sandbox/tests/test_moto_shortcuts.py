"""What moto need not work out for each request: the answers stay the same."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
from botocore.compat import HTTPHeaders
from moto.core import request as moto_request
from moto.core import responses
from moto.core.parse import QueryParser
from moto.core.routing import SmithyRule, _create_map
from moto.core.serialize import JSONSerializer, XFormedAttributePicker
from moto.core.utils import get_service_model
from moto.dynamodb.exceptions import ConditionalCheckFailed, ItemSizeTooLarge
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.ec2.models import ec2_backends
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.path import result_path
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventHistoryContext, EventManager
from werkzeug.wrappers import Request

from podshare_sandbox import moto_shortcuts
from podshare_sandbox.json_copy import json_copy
from podshare_sandbox.moto_shortcuts import tables

TABLE: dict[str, Any] = {
    "throughput": None,
    "global_indexes": None,
    "indexes": None,
    "streams": None,
    "billing_mode": "PAY_PER_REQUEST",
    "sse_specification": None,
    "tags": [],
    "deletion_protection_enabled": False,
    "warm_throughput": None,
}
EVENT = {"id": 1, "type": "ExecutionStarted", "timestamp": 0, "execution_started_event_details": {"input": "{}"}}


@pytest.fixture(autouse=True)
def shortcuts() -> None:
    """All of them, as every sandbox takes them."""
    moto_shortcuts.install()


def serialized(result: Any) -> str:
    """The body of an answer to GetExecutionHistory."""
    operation = get_service_model("stepfunctions").operation_model("GetExecutionHistory")
    return str(JSONSerializer(operation, value_picker=XFormedAttributePicker()).serialize(result)["body"])


def test_the_names_of_members_are_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second answer needs none anew, and says the same; a name in moto's own spelling is found too."""
    first = serialized({"events": [EVENT]})
    monkeypatch.setattr(XFormedAttributePicker, "get_possible_keys", lambda *_: pytest.fail("worked out again"))
    assert serialized({"events": [EVENT]}) == first
    assert '"executionStartedEventDetails": {"input": "{}"}' in first


def test_objects_are_read_as_ever() -> None:
    """What is no dictionary says by itself how its members are called."""

    class Event:
        id = 1
        type = "ExecutionStarted"

    assert serialized({"events": [Event()]}) == '{"events": [{"type": "ExecutionStarted", "id": 1}]}'


@pytest.mark.parametrize(
    "value",
    [
        {"S": "name"},
        {"N": "1"},
        {"NULL": True},
        {"SS": ["a", "b"]},
        {"M": {"deep": {"L": [{"BOOL": False}, {"M": {}}]}}},
        {"B": "AQI="},
        {"L": [{"B": "AQI="}, {"S": ""}]},
    ],
)
def test_an_item_is_sent_as_moto_would_send_it(monkeypatch: pytest.MonkeyPatch, value: Any) -> None:
    """Values that are stored as they are sent, and binary ones, which are not, come out as without the shortcut."""
    model = get_service_model("dynamodb").operation_model("GetItem")

    def body() -> str:
        serializer = JSONSerializer(model, value_picker=XFormedAttributePicker())
        return str(serializer.serialize({"Item": {"name": value}})["body"])

    short = body()
    monkeypatch.setattr(tables, "_is_sent_as_stored", lambda _value: False)
    assert body() == short


def test_parameters_are_read_as_ever() -> None:
    """Lists, structures and what is absent come out of a form as they were sent."""
    sent = "RoleName=a&Path=/x/&Tags.member.1.Key=team&Tags.member.1.Value=&Tags.member.2.Key=b&Tags.member.2.Value=c"
    values = Request.from_values(method="POST", data=dict(parse_qsl(sent, keep_blank_values=True))).values
    parser = QueryParser(get_service_model("iam").operation_model("CreateRole"))
    asked = {"method": "POST", "values": values, "headers": {}, "body": b"", "url_path": "/", "url_params": {}}
    tags = [{"Key": "team", "Value": ""}, {"Key": "b", "Value": "c"}]
    assert parser.parse(asked) == {"RoleName": "a", "Path": "/x/", "Tags": tags}


def test_methods_are_looked_up_by_name() -> None:
    """Functions count, inherited and added later too; other members do not."""

    class Handler(responses.BaseResponse):
        attribute = "not a method"

    names = responses.method_names_from_class(Handler)
    assert "added" not in names
    Handler.added = lambda _: None  # type: ignore[attr-defined]  # as operations are added to moto
    assert "added" in names
    assert "call_action" in names
    assert "attribute" not in names


def test_urls_are_matched_and_never_built() -> None:
    """No code is compiled for building a URL, which moto never does."""
    operation = get_service_model("eks").operation_model("DescribeCluster")
    rule = SmithyRule("/clusters/<name>", operations=[operation], methods=["GET"])
    urls = _create_map([rule]).bind("localhost")
    assert urls.match("/clusters/main", method="GET")[1] == {"name": "main"}
    with pytest.raises(NotImplementedError):
        rule.build({"name": "main"})


def test_a_look_at_a_history_copies_no_event() -> None:
    """The list is the reader's own, its events are those that were added."""
    manager = EventManager()
    manager.add_event(EventHistoryContext.of_program_start(), HistoryEventType.ExecutionStarted)
    looks = [manager.get_event_history() for _ in range(2)]
    assert looks[0][0] is looks[1][0]
    assert looks[0] is not looks[1]


def test_an_item_is_measured_once_and_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """An item of many attributes may be as large as moto lets it be, and not a byte larger."""
    key, names = DynamoType({"S": "x"}), [f"{number:04}" for number in range(9_000)]
    measured: list[DynamoType] = []
    stock = DynamoType.size
    monkeypatch.setattr(DynamoType, "size", lambda value: measured.append(value) or stock(value))
    largest = {name: {"S": "x" * 41} for name in names}
    assert Item(key, None, largest).size() == 405_000
    assert len(measured) < 3 * len(names)
    with pytest.raises(ItemSizeTooLarge):
        Item(key, None, largest | {"0000": {"S": "x" * 42}})


@pytest.mark.parametrize(
    ("method", "url", "headers", "body"),
    [
        ("POST", "https://dynamodb.us-west-2.amazonaws.com/", {"X-Amz-Target": "DynamoDB_20120810.GetItem"}, b"{}"),
        ("POST", "https://iam.amazonaws.com/", {"Content-Type": "application/x-www-form-urlencoded"}, b"Action=ListRoles"),
        ("GET", "https://b.s3.us-west-2.amazonaws.com/a%20b//c%2Fd%C3%A9?prefix=x%2Fy&policy", {"x-amz-meta-a_b": "1"}, b""),
        ("PUT", "http://localhost:4566/key", {"Host": "b.s3.amazonaws.com", "Content-Length": "3"}, b"abc"),
        ("GET", "https://eks.us-west-2.amazonaws.com", {"Transfer-Encoding": "chunked"}, b""),
    ],
)  # fmt: skip
def test_a_requests_environment_is_that_of_werkzeug(
    method: str, url: str, headers: dict[str, str], body: bytes
) -> None:
    """Paths, queries, headers, lengths and bodies are what the test client makes of them."""
    given = HTTPHeaders()
    for name, value in headers.items():
        given[name] = value
    ours = moto_request.Request.from_primitives(method, url, given, body)
    theirs = moto_request.Request.from_primitives(method, url, given, body.decode())  # the way around is for bytes
    assert ours.get_data() == theirs.get_data() == body
    assert (ours.raw_url, ours.url) == (theirs.raw_url, theirs.url)
    differing = {name for name in ours.environ | theirs.environ if ours.environ.get(name) != theirs.environ.get(name)}
    assert differing <= {"wsgi.input", "werkzeug.request"}


def test_an_update_is_parsed_once_and_fills_copies() -> None:
    """The second of two updates of one text leaves the first's values alone, in all kinds of clauses."""
    backend = DynamoDBBackend("us-west-2", "111111111111")
    keys = [{"AttributeName": "id", "KeyType": "HASH"}]
    backend.create_table("t", schema=keys, attr=[{"AttributeName": "id", "AttributeType": "S"}], **TABLE)
    text = "SET a = :a, b = if_not_exists(b, :b) ADD n :n REMOVE gone"
    for number in ("1", "2"):
        values = {":a": {"S": number}, ":b": {"S": f"first {number}"}, ":n": {"N": number}}
        found = backend.update_item("t", {"id": {"S": "x"}}, text, {}, values, condition_expression="a <> :a")
    told = found.to_json()["Attributes"]
    assert told == {"id": {"S": "x"}, "a": {"S": "2"}, "b": {"S": "first 1"}, "n": {"N": "3"}}
    with pytest.raises(ConditionalCheckFailed):
        backend.update_item("t", {"id": {"S": "x"}}, text, {}, values, condition_expression="a <> :a")


def test_a_query_looks_under_its_key_alone() -> None:
    """It finds the items of its key in order, none where there is no such key, and copies of them."""
    backend = DynamoDBBackend("us-west-2", "111111111111")
    keys = [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "part", "KeyType": "RANGE"}]
    attributes = [{"AttributeName": name, "AttributeType": "S"} for name in ("id", "part")]
    table: Any = backend.create_table("t", schema=keys, attr=attributes, **TABLE)
    for key, part in (("a", "2"), ("b", "1"), ("a", "1"), ("a", "3")):
        backend.put_item("t", {"id": {"S": key}, "part": {"S": part}})

    def parts(key: str, limit: int) -> list[str]:
        found, _, _ = table.query(DynamoType({"S": key}), None, [], limit, None, False, None)
        assert all(one is not kept for one in found for kept in table.all_items())
        return [one.attrs["part"].value for one in found]

    assert (parts("a", 9), parts("a", 2), parts("b", 9), parts("c", 9)) == (["3", "2", "1"], ["3", "2"], ["1"], [])


def test_values_are_compared_as_ever() -> None:
    """Texts by their letters, numbers by what they are worth, and neither with the other."""
    assert DynamoType({"S": "10"}) < DynamoType({"S": "9"})
    assert DynamoType({"N": "9"}) < DynamoType({"N": "10"})
    assert DynamoType({"S": "9"}) != DynamoType({"N": "9"})


def test_what_an_execution_knows_is_copied_all_the_way_down() -> None:
    """A copy of JSON is equal and shares no object or list; what is no JSON is copied too."""
    known = {"a": [{"b": 1}, None, "c"], "at": datetime(2026, 1, 1, tzinfo=UTC)}
    copied = json_copy(known)
    assert copied == known
    copied["a"][0]["b"] = 2
    assert known["a"][0]["b"] == 1  # type: ignore[index]  # a list


def test_a_program_is_named_shortly() -> None:
    """Neither a thread's name nor a logged error holds the whole program."""
    assert str(result_path.ResultPath("$")) == "ResultPath"


def test_an_image_is_made_for_nobody() -> None:
    """EC2 of a new account knows no machine image until one is registered."""
    assert ec2_backends["111111111111"]["us-west-2"].describe_images() == []

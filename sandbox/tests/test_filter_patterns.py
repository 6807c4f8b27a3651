"""FilterLogEvents by fields of JSON events."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from podshare_sandbox import Sandbox
from podshare_sandbox.organization import HUB


@pytest.fixture(scope="module")
def logs() -> Iterator[Any]:
    """A log group with two events of an audit log, and a line of text."""
    with Sandbox() as sandbox:
        client = sandbox.client("logs")
        client.create_log_group(logGroupName="group")
        client.create_log_stream(logGroupName="group", logStreamName="stream")
        events = [event("hyperpod-ns-vision", 201), event("hyperpod-ns-vision", 409), event("kube-system", 201)]
        messages = [*map(json.dumps, events), "no JSON"]
        listed = [{"timestamp": number, "message": message} for number, message in enumerate(messages)]
        now = 1000 * int(time.time())
        client.put_log_events(
            logGroupName="group",
            logStreamName="stream",
            logEvents=[{**each, "timestamp": now + each["timestamp"]} for each in listed],
        )
        yield client


def event(namespace: str, code: int) -> dict[str, Any]:
    return {"objectRef": {"namespace": namespace}, "responseStatus": {"code": code}}


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("{ $.responseStatus.code = 201 }", 2),
        ('{ $.objectRef.namespace = "hyperpod-ns-*" }', 2),
        ('{ $.responseStatus.code = 201 && $.objectRef.namespace = "hyperpod-ns-*" }', 1),
        ('{ $.responseStatus.code = "201" }', 0),
        ('{ $.objectRef.absent = "*" }', 0),
        ("JSON", 1),
    ],
)
def test_fields_are_compared(logs: Any, pattern: str, count: int) -> None:
    """Numbers, strings and ``*`` (CloudWatch Logs User Guide, "Using filter patterns to match terms in JSON")."""
    assert len(logs.filter_log_events(logGroupName="group", filterPattern=pattern)["events"]) == count


@pytest.mark.parametrize("pattern", ["{ $.code >= 201 }", "{ $.code = 201 || $.code = 200 }", "{ $.code = 201"])
def test_what_is_not_emulated_is_refused(logs: Any, pattern: str) -> None:
    """As an invalid pattern is, so that none matches by accident."""
    with pytest.raises(ClientError, match="Invalid filter pattern"):
        logs.filter_log_events(logGroupName="group", filterPattern=pattern)


@pytest.mark.parametrize(("prefix", "count"), [("str", 4), ("stream", 4), ("other", 0)])
def test_a_prefix_chooses_the_streams(logs: Any, prefix: str, count: int) -> None:
    """Only events of streams that begin with it; none where no stream does (API Reference, FilterLogEvents)."""
    answer = logs.filter_log_events(logGroupName="group", logStreamNamePrefix=prefix)
    assert len(answer["events"]) == count


@pytest.mark.parametrize(
    "asked",
    [
        {"logGroupName": "group", "logStreamNamePrefix": "stream", "logStreamNames": ["stream"]},
        {"logGroupName": "group", "logGroupIdentifier": "group"},
        {},
    ],
)
def test_what_excludes_each_other_is_refused(logs: Any, asked: dict[str, Any]) -> None:
    """Names and a prefix of streams, a group's name and identifier, and neither (API Reference, FilterLogEvents)."""
    with pytest.raises(ClientError, match="InvalidParameterException"):
        logs.filter_log_events(**asked)


@pytest.mark.parametrize("identifier", ["group", f"arn:aws:logs:us-west-2:{HUB}:log-group:group"])
def test_a_group_may_be_named_by_its_identifier(logs: Any, identifier: str) -> None:
    """Its name or its ARN (API Reference, FilterLogEvents)."""
    assert len(logs.filter_log_events(logGroupIdentifier=identifier)["events"]) == 4

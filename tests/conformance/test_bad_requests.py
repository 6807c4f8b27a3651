"""Whatever breaks an operation's model is refused over HTTP, in a way that every SDK can read.

Source: botocore's service models; "Common Errors" of the services' API references.
"""

import random
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.httpsession
import pytest

from podshare_sandbox import Sandbox
from podshare_sandbox.organization import HUB, HUB_REGION, MANAGEMENT
from tests.conformance.bad_requests import Answer, Violation, answer, unchecked_client, violations

SAMPLE = 25  # requests of each service


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The organization, which nothing here is meant to change."""
    with Sandbox(time_scale=0.02) as running:
        yield running


def over_http(sandbox: Sandbox, service: str, account: str) -> Any:
    """The administrator's client, whose requests leave through the proxy: moto's hook in this process is taken off."""
    environment = sandbox.environment(account)
    session = boto3.Session(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], None, HUB_REGION)
    client = unchecked_client(session, service)
    door = {"https": environment["HTTPS_PROXY"]}
    client.meta.events.unregister("before-send", unique_id=None, handler=_moto())
    client._endpoint.http_session = botocore.httpsession.URLLib3Session(environment["AWS_CA_BUNDLE"], door)
    return client


def _moto() -> Any:
    from moto.core.models import botocore_stubber  # noqa: PLC0415  # the hook that this process has while it mocks AWS

    return botocore_stubber


def sampled(client: Any, service: str) -> list[tuple[str, Violation]]:
    model = client.meta.service_model
    found = [(name, one) for name in model.operation_names for one in violations(model.operation_model(name))]
    return random.Random(service).sample(found, SAMPLE)  # noqa: S311  # a fixed sample


def answers(sandbox: Sandbox, service: str) -> dict[str, Answer]:
    """What each sampled request is answered; without those that botocore cannot send."""
    client = over_http(sandbox, service, MANAGEMENT if service == "organizations" else HUB)
    made = {
        f"{name} {one.kind} {one.path}": answer(client, name, one.parameters) for name, one in sampled(client, service)
    }
    return {request: told for request, told in made.items() if told is not None}


@pytest.mark.parametrize(
    "service", ["cloudformation", "eks", "events", "iam", "kms", "organizations", "sagemaker", "scheduler", "sts"]
)
def test_a_bad_request_is_no_fault_of_the_sandbox(sandbox: Sandbox, service: str) -> None:
    """Each is answered, readably, and none by HTTP 500 (services' API references, "Common Errors")."""
    told = answers(sandbox, service)
    assert len(told) > SAMPLE // 3
    assert {request: one for request, one in told.items() if one.is_fault} == {}
    assert any(one.is_refusal for one in told.values())


@pytest.mark.parametrize("service", ["s3", "iam", "sts", "sqs", "sns", "dynamodb", "lambda"])
def test_every_answer_can_be_read(sandbox: Sandbox, service: str) -> None:
    """No connection is cut and no error is text, in XML and in JSON, faults of the sandbox included."""
    client = over_http(sandbox, service, HUB)
    told = answers(sandbox, service)
    assert client.meta.service_model.service_name == service
    assert {request: one for request, one in told.items() if not one.is_readable and one.status != 404} == {}

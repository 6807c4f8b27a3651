"""The sandbox accepts what operations' models allow and refuses what they forbid, for a fixed sample of requests.

Source: botocore's service models; Smithy's tests of malformed requests; "Common Errors" of the API references.
All requests: `make conformance`.
"""

import random
from collections.abc import Iterator

import pytest

from podshare_sandbox import Sandbox
from tests.conformance.agreement import VALID, check, over_http, requests
from tests.conformance.operations import called

SAMPLE = 15  # violations of each service


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The organization; what is asked of it names nothing that is there."""
    with Sandbox(time_scale=0.02) as running:
        yield running


def test_operations_are_derived() -> None:
    """Permissions, the command's code, the documents' commands, and the tools that podshare's users run, each add some."""
    names = {f"{service}:{operation.name}" for service, operations in called().items() for operation in operations}
    assert {
        "organizations:DescribeAccount",  # a permission of a template
        "stepfunctions:StopExecution",  # the command calls it
        "cloudformation:CreateStackSet",  # docs/deploy.md types it
        "sagemaker:ListClusters",  # hyp calls it
        "iam:CreatePolicy",  # the post's walk
        "lambda:Invoke",  # its permission is named otherwise
    } <= names
    assert "iam:PassRole" not in names  # a permission without an operation


@pytest.mark.parametrize("service", sorted(called()))
def test_answers_agree_with_the_models(sandbox: Sandbox, service: str) -> None:
    """Valid requests are not refused for their shape; a violation is refused with an error that services have for it."""
    client = over_http(sandbox, service)
    every = [(operation, one) for operation in called()[service] for one in requests(operation)]
    valid = [(operation, one) for operation, one in every if one.kind == VALID]
    broken = [(operation, one) for operation, one in every if one.kind != VALID]
    sample = random.Random(service).sample(broken, min(SAMPLE, len(broken)))  # noqa: S311  # a fixed sample

    checked = [answered for operation, one in [*sample, *valid] if (answered := check(client, operation, one))]

    assert checked
    assert [str(one) for one in checked if not one.agrees] == []

"""Which errors are worth another try."""

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from botocore.parsers import ResponseParserError

from podshare.aws.errors import Retryable, Superseded, Terminal, classify


def aws(code: str, message: str = "", status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]  # the parts that are read
        "Operation",
    )


@pytest.mark.parametrize(
    "error",
    [
        aws("Throttling"),
        aws("ThrottlingException"),
        aws("ConcurrentModification"),
        aws("OperationAborted", status=409),
        aws("Whatever", status=503),
        aws("404", status=404),  # as botocore calls what a proxy answers
        aws("", status=403),
        aws("InvalidParameterException", "The specified principalArn is invalid: invalid principal"),
        aws("InvalidParameterException", "Role provided in the request does not exist."),
        aws("MalformedPolicyDocument", 'Invalid principal in policy: "AWS":"arn"'),
        aws("MalformedPolicy", "Invalid principal in policy"),
        aws("ResourceNotFoundException", "The specified principalArn could not be found"),
        ConnectTimeoutError(endpoint_url="https://eks.us-west-2.amazonaws.com"),
        ResponseParserError("Unable to parse response: <html>Bad Gateway</html>"),
        ConnectionResetError(),
    ],
)
def test_what_may_pass_is_retried(error: Exception) -> None:
    """Throttling, faults of the service, and what AWS has not made known everywhere yet."""
    found = classify(error, "team vision, account 1: create role x")
    assert isinstance(found, Retryable)
    assert "team vision, account 1: create role x" in str(found)


@pytest.mark.parametrize(
    "error",
    [
        aws("AccessDenied", status=403),
        aws("MalformedPolicyDocument", "Syntax errors in policy"),
        aws("LimitExceeded", status=409),
        aws("InvalidParameterException", "kubernetesGroups is invalid"),
        aws("ValidationException"),
    ],
)
def test_what_needs_a_person_is_not_retried(error: Exception) -> None:
    """A refusal, a limit or a malformed request fails until something changes."""
    assert isinstance(classify(error, "x"), Terminal)


def test_our_own_errors_stay_what_they_are() -> None:
    """Superseded is no failure, and a mistake in the code is not dressed up as AWS's."""
    ours, mistake = Superseded("newer"), KeyError("x")
    assert classify(ours, "x") is ours
    assert classify(mistake, "x") is mistake

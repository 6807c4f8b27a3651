"""What AWS's errors mean to the person at the command."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError

from podshare_cli.failures import Failure, explain

PLACE = "account 111111111111, us-west-2"


def _explained(error: Exception) -> Failure:
    found = explain(error, "podshare", PLACE)
    assert found is not None
    return found


def _answer(code: str, operation: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def test_a_refusal_names_the_policies_that_allow_it() -> None:
    """Who lacks access learns what was refused, where, and which managed policy gives it."""
    failure = _explained(_answer("AccessDeniedException", "PutItem", "User: x is not authorized"))
    assert "PutItem in account 111111111111, us-west-2" in failure.what
    assert "podshare-admin" in failure.remedy
    assert "podshare-auditor" in failure.remedy


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "StateMachineDoesNotExist"])
def test_what_is_not_deployed_is_told_as_such(code: str) -> None:
    """An absent table is most often another Region, profile or prefix."""
    failure = _explained(_answer(code, "Scan", "Requested resource not found"))
    assert "not deployed" in failure.what
    assert all(option in failure.remedy for option in ("--region", "--profile", "--prefix"))


@pytest.mark.parametrize("error", [NoCredentialsError(), _answer("ExpiredTokenException", "Scan")])
def test_who_has_no_credentials_is_told_to_log_in(error: Exception) -> None:
    """Absent and expired credentials have the same remedy."""
    assert "Log in" in _explained(error).remedy


def test_no_region_is_wrong_input() -> None:
    """The caller can name one."""
    assert _explained(NoRegionError()).exit_code == 64


def test_an_unreachable_endpoint_names_what_leads_there() -> None:
    """A sandbox that has ended leaves its variables behind."""
    failure = _explained(EndpointConnectionError(endpoint_url="http://127.0.0.1:1"))
    assert "AWS_ENDPOINT_URL" in failure.remedy


def test_other_errors_keep_their_code_and_message() -> None:
    """What is not known is told as AWS tells it."""
    assert "Weird: so it is" in _explained(_answer("Weird", "Scan", "so it is")).what


def test_an_error_of_our_own_is_not_explained_away() -> None:
    """A defect of the command keeps its traceback."""
    assert explain(KeyError("x"), "podshare", PLACE) is None

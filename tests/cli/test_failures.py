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


SAM = "arn:aws:iam::111111111111:user/sam"
NO_POLICY = "because no identity-based policy allows the states:StartExecution action"


@pytest.mark.parametrize(
    ("operation", "least", "policy"),
    [
        ("Scan", "", "auditor"),
        ("GetExecutionHistory", "", "auditor"),
        ("Invoke", "", "planner"),
        ("StartExecution", "", "operator"),
        ("TransactWriteItems", "operator", "operator"),
        ("DeleteItem", "", "admin"),
        ("Invoke", "admin", "admin"),
    ],
)
def test_a_refusal_names_the_least_policy_that_allows_it(operation: str, least: str, policy: str) -> None:
    """One policy is named, and who has it already is told what else it may be."""
    message = f"User: {SAM} is not authorized to perform: x:{operation} on resource: arn:aws:x {NO_POLICY}"
    failure = explain(_answer("AccessDeniedException", operation, message), "podshare", PLACE, least)
    assert failure is not None
    assert [name for name in ("auditor", "planner", "operator", "admin") if f"podshare-{name} " in failure.remedy] == [
        policy
    ]
    assert "If you have it, podshare is deployed elsewhere" in failure.remedy


def test_a_refusal_names_who_what_and_where() -> None:
    """Identity, action, account and Region are told, the account also where only the refusal tells it."""
    message = f"User: {SAM} is not authorized to perform: states:StartExecution on resource: arn:aws:states {NO_POLICY}"
    for place in (PLACE, "this account, us-west-2"):
        failure = explain(_answer("AccessDeniedException", "StartExecution", message), "podshare", place)
        assert failure is not None
        assert failure.what == (
            f"{SAM} may not call states:StartExecution in account 111111111111, us-west-2: "
            "no identity-based policy allows the states:StartExecution action"
        )


def test_a_refusal_in_other_words_is_told_as_it_is() -> None:
    """What AWS says without naming anybody stays, with the place; an action of no policy of podshare's is named."""
    failure = _explained(_answer("AccessDenied", "ListQueues", "Access Denied"))
    assert failure.what == f"You may not call ListQueues in {PLACE}: Access Denied"
    assert "podshare's own policies do not" in failure.remedy


def test_an_explicit_deny_is_lifted_by_no_policy_of_podshares() -> None:
    """Where a service control policy denies, nobody is told to attach anything."""
    message = (
        f"User: {SAM} is not authorized to perform: dynamodb:Scan with an explicit deny in a service control policy"
    )
    failure = _explained(_answer("AccessDeniedException", "Scan", message))
    assert "explicit deny in a service control policy" in failure.what
    assert "Attach" not in failure.remedy


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "StateMachineDoesNotExist"])
def test_what_is_not_deployed_is_told_as_such(code: str) -> None:
    """An absent table is most often another Region, profile or prefix."""
    failure = _explained(_answer(code, "Scan", "Requested resource not found"))
    assert "not deployed" in failure.what
    assert all(option in failure.remedy for option in ("--region", "--profile", "--prefix"))


@pytest.mark.parametrize("operation", ["DescribeComputeQuota", "DescribeAddon", "DescribePodIdentityAssociation"])
def test_what_is_gone_elsewhere_says_nothing_of_the_deployment(operation: str) -> None:
    """Only podshare's own tables, functions and state machines show whether it is deployed."""
    failure = _explained(_answer("ResourceNotFoundException", operation, "No such quota"))
    assert failure.what == f"{operation} in {PLACE} failed: ResourceNotFoundException: No such quota"


def test_an_answer_names_who_asked_once() -> None:
    """Whoever has several profiles sees by the account and the identity which one was used."""
    absent = explain(_answer("ResourceNotFoundException", "Scan", "No table"), "podshare", PLACE, "", SAM)
    assert absent is not None
    assert absent.what == (
        f"podshare with the prefix podshare is not deployed in {PLACE} (Scan: No table). You are {SAM}."
    )
    message = f"User: {SAM} is not authorized to perform: dynamodb:Scan on resource: arn:aws:x {NO_POLICY}"
    refused = explain(_answer("AccessDeniedException", "Scan", message), "podshare", PLACE, "", SAM)
    assert refused is not None
    assert refused.what.count(SAM) == 1


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

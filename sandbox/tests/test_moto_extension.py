"""Operations are added to moto under the rules of botocore's model."""

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from podshare_sandbox import moto_repair
from podshare_sandbox.moto_extension import ServiceExtension, broken_constraints, operation_model, page, python_pattern
from podshare_sandbox.services import eks
from sandbox.tests.eks_accounts import CLUSTER, add_administrators, client, make_cluster, refused


@pytest.fixture
def cluster() -> Iterator[None]:
    """A cluster, and clients that do not validate what they send."""
    with mock_aws():
        eks.install()
        add_administrators()
        make_cluster()
        yield


def broken(service: str, operation: str, **parameters: Any) -> list[str]:
    """What in the parameters breaks the operation's model."""
    shape = operation_model(service, operation).input_shape
    assert shape is not None
    return list(broken_constraints(parameters, shape))


QUOTA = "arn:aws:sagemaker:us-west-2:111111111111:compute-quota/abcdefghijkl"
ASSOCIATION = {
    "clusterName": CLUSTER,
    "principalArn": "arn:aws:iam::111111111111:role/r",
    "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
}


def test_constraints_that_clients_do_not_check_are_checked() -> None:
    """Lengths, ranges, patterns and enumerations of the model hold, at any depth, in AWS's words."""
    assert broken("eks", "ListAddons", clusterName=CLUSTER, maxResults=100) == []
    assert broken("eks", "ListAddons", clusterName=CLUSTER, maxResults=101) == [
        "Value '101' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 100"
    ]
    [pattern] = broken("eks", "ListAddons", clusterName="-no-")
    assert "satisfy regular expression pattern" in pattern
    [enumeration] = broken("eks", "AssociateAccessPolicy", **ASSOCIATION, accessScope={"type": "galaxy"})
    assert enumeration == (
        "Value 'galaxy' at 'accessScope.type' failed to satisfy constraint: "
        "Member must satisfy enum value set: [cluster, namespace]"
    )
    [length] = broken("sagemaker", "AddTags", ResourceArn=QUOTA, Tags=[{"Key": "", "Value": "x"}])
    assert length.startswith("Value '' at 'Tags.1.member.Key'")
    [required] = broken("sagemaker", "AddTags", ResourceArn=QUOTA, Tags=[{"Key": "x"}])
    assert required == "Value null at 'Tags.1.member.Value' failed to satisfy constraint: Member must not be null"


def test_patterns_written_for_java_are_understood() -> None:
    """Unicode classes such as \\p{L} match letters of any script."""
    assert broken("sagemaker", "AddTags", ResourceArn=QUOTA, Tags=[{"Key": "équipe 1", "Value": "größe"}]) == []
    assert broken("sagemaker", "AddTags", ResourceArn=QUOTA, Tags=[{"Key": "team!", "Value": ""}]) != []


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        (r"\p{ASCII}*", "Root=1", "größe"),
        (r"[\w-_]*", "a-b", "a b"),
        (r"^(?i)(true|false)$", "TRUE", "maybe"),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "é𐀀", "\x00"),
    ],
)
def test_javas_own_syntax_of_patterns_is_read(pattern: str, fitting: str, other: str) -> None:
    """Classes, hyphens, flags and surrogates that Python's patterns lack (java.util.regex.Pattern)."""
    assert python_pattern(pattern).fullmatch(fitting)
    assert not python_pattern(pattern).fullmatch(other)


@pytest.mark.usefixtures("cluster")
def test_a_request_that_breaks_the_model_gets_the_services_error() -> None:
    """A client that validates nothing is refused by the sandbox, with the service's code and status."""
    code, status, message = refused(client("eks").list_addons, clusterName=CLUSTER, maxResults=1000)
    assert (code, status) == ("InvalidParameterException", 400)
    assert message.startswith("1 validation error detected: Value '1000' at 'maxResults'")


@pytest.mark.usefixtures("cluster")
def test_an_answer_that_breaks_the_model_is_a_mistake_of_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result with a member that the output shape lacks raises instead of reaching the client."""
    monkeypatch.setattr(eks.ClusterExtension, "running_update", None)
    monkeypatch.setattr(eks, "_described", lambda _: {"nme": "typo"})
    with pytest.raises(RuntimeError, match="nme"):
        client("eks").describe_cluster(name=CLUSTER)


def test_pages_hold_everything_once() -> None:
    """Each token leads to the next page, the last has none, and a token that nobody gave out raises ValueError."""
    first, token = page("abcde", 2, None)
    second, token = page("abcde", 2, token)
    last, end = page("abcde", 2, token)
    assert (first, second, last, end) == (["a", "b"], ["c", "d"], ["e"], None)
    assert page(range(250), None, None)[0] == list(range(100))
    with pytest.raises(ValueError, match="invalid literal"):
        page("abcde", 2, "token")


def test_an_error_carries_its_status_and_members() -> None:
    """A code without a shape answers with the status that it is given."""
    error = ServiceExtension("eks").error("TeapotException", "no coffee", 418, clusterName=CLUSTER)
    assert (error.code, error.message) == ("TeapotException", "no coffee")
    assert (error.http_status, error.clusterName) == (418, CLUSTER)  # type: ignore[attr-defined]  # set by name


def test_a_symbol_that_moto_lost_is_told() -> None:
    """Replacing a symbol that is not there raises RuntimeError naming it."""
    with pytest.raises(RuntimeError, match=r"ServiceExtension\.vanished"):
        moto_repair.replace(ServiceExtension, "vanished", None)

"""The documents that podshare writes, word for word, and the edges of their comparison.

Whatever a small change of a builder does is seen here: one word less in a condition lets somebody in.
"""

from collections.abc import Callable
from fnmatch import fnmatchcase
from itertools import product
from typing import Any

import pytest

from podshare.policy import policies
from tests.builders import INSTALLATION, KMS_KEY

EKS = "arn:aws:eks:us-west-2:111111111111:cluster/hyperpod-eks"
HYPERPOD = "arn:aws:sagemaker:us-west-2:111111111111:cluster/abc123"
ROLE = "arn:aws:iam::111111111111:role/podshare/podshare-vision-0a1b2c3d"
POINT = "arn:aws:s3:us-west-2:333333333333:accesspoint/podshare-vision-0a1b2c3d4e5f"
BUCKET = "arn:aws:s3:::images"
POINTS = "arn:aws:s3:us-west-2:333333333333:accesspoint/podshare-*"


def data(**more: Any) -> list[policies.Statement]:
    return [*policies.data_statements(POINT, f"{POINT}/object", sid="Imagenet", **more)]


def linked(**more: Any) -> list[policies.Statement]:
    arns = {"root_arn": INSTALLATION.root_arn("111111111111"), "role_arn": ROLE, "caller_arn": f"{ROLE}-caller"}
    return [*policies.file_system_delegation("Link", BUCKET, **arns, **more)]


def documents() -> dict[str, Any]:
    """Every document that podshare writes, by what it is."""
    return {
        "trust in accounts": policies.trust_in_accounts(
            INSTALLATION, ["333333333333", "222222222222", "222222222222"], [f"{ROLE}-b", f"{ROLE}-a"]
        ),
        "trust a whole account": policies.trust_whole_account(INSTALLATION, "222222222222"),
        "trust pod identity": policies.trust_pod_identity("111111111111", EKS, "hyperpod-ns-vision", "trainer"),
        "trust a data role": policies.trust_data_role(INSTALLATION, ROLE, EKS, "hyperpod-ns-vision", "trainer"),
        "trust nobody": policies.trust_nobody(INSTALLATION, "111111111111"),
        "may assume": policies.may_assume(ROLE),
        "may assume a target": policies.may_assume(ROLE, policies.CHAIN),
        "may describe a cluster": policies.may_describe_cluster(EKS, HYPERPOD, ROLE),
        "reads everything": data(reads=[""]),
        "reads and writes prefixes": data(reads=["a/", "a/b/", "c/"], writes=["c/"]),
        "an access point's own": data(reads=["a/"], writes=["a/"], principal=ROLE, organization="o-podshare01"),
        "an access point to everything": data(reads=[""], principal=ROLE, organization="o-podshare01"),
        "may use a key": policies.may_use_key(KMS_KEY, ["GenerateDataKey", "Decrypt"]),
        "delegation to read": policies.delegation(
            "podshareAccessPoints", BUCKET, "333333333333", POINTS, organization="o-podshare01", write=False
        ),
        "delegation to write": policies.delegation(
            "podshareAccessPoints", BUCKET, "333333333333", POINTS, organization="o-podshare01", write=True
        ),
        "a file system that reads": linked(reads=["a/", "a/b/"], writes=[]),
        "a file system that writes": linked(reads=["a/"], writes=["w/", "v/"]),
        "a file system without prefixes": linked(reads=[], writes=[]),
    }


def test_documents_are_as_reviewed(golden: Callable[[str, Any], None]) -> None:
    """Every document that podshare writes is the one that was read by a person."""
    golden("policy_documents", documents())


def test_a_text_is_a_policy_only_with_statements() -> None:
    """A null, a list, a text or an object without statements is no policy that could be taken for an empty one."""
    assert policies.parse('{"Statement": []}') == {"Statement": []}
    for text in ("null", "[]", '"Statement"', "{}", '{"statement": []}'):
        with pytest.raises(ValueError, match=r"^the answer is no policy$"):
            policies.parse(text)


def test_a_document_is_as_long_as_aws_counts_it() -> None:
    """White space and documents that are not there count nothing."""
    one = policies.document({"Sid": "B", "Effect": "Allow"})
    assert policies.text(one) == '{"Statement":[{"Effect":"Allow","Sid":"B"}],"Version":"2012-10-17"}'
    assert policies.size([one, None, one]) == 2 * len(policies.text(one))


@pytest.mark.parametrize("element", ["Principal", "NotPrincipal"])
def test_what_names_the_deleted_is_told(element: str) -> None:
    """The unique id of a role or user that is gone is told with its statement (IAM user guide, "Principal")."""
    gone, user = "AROAEXAMPLEEXAMPLE12", "AIDAEXAMPLEEXAMPLE12"
    named = {element: {"AWS": [gone, "arn:aws:iam::111111111111:root", "AROASHORT", f"x{gone}", f"{gone}:x"]}}
    policy = policies.document(
        {"Sid": "Old", "Effect": "Deny", **named},
        {"Effect": "Allow", "Principal": {"AWS": user}},
        {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}},
        {"Effect": "Allow"},
    )
    told = {f"statement Old names {gone}", f"statement without a Sid names {user}"}
    assert {*policies.dead_principals(policy)} == told


def allowing(**more: Any) -> policies.Document:
    return policies.document({"Effect": "Allow", **more})


@pytest.mark.parametrize(
    "unprovable", [{"NotAction": ["b"]}, {"NotResource": ["b"]}, {"NotPrincipal": {"AWS": ["b"]}}], ids=str
)
@pytest.mark.parametrize("turned", [False, True])
def test_what_cannot_be_proven_to_overlap_is_not_shared(unprovable: Any, turned: bool) -> None:
    """An element that says what it does not name has nothing in common with another statement."""
    one, other = allowing(Resource="a"), allowing(**unprovable)
    assert policies.intersection(*((other, one) if turned else (one, other))) is None
    assert policies.intersection(other, other) == other


NAMES = {"AWS": ["arn:aws:iam::111111111111:root"], "Service": ["s3.amazonaws.com"]}


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ({"Principal": NAMES}, {"Principal": {"AWS": NAMES["AWS"], "Federated": "x"}}, {"Principal": {"AWS": NAMES["AWS"]}}),
        ({"Principal": NAMES}, {"Principal": {"Federated": "x"}}, None),
        ({"Principal": NAMES}, {"Resource": "a"}, None),
        ({"Action": "s3:*"}, {"Action": ["s3:GetObject", "sts:AssumeRole"]}, {"Action": ["s3:GetObject"]}),
        ({"Action": "a"}, {"Action": "b"}, None),
        ({"Resource": "a"}, {}, {"Resource": ["a"]}),
        ({"Condition": {"StringEquals": {"k": "a"}}}, {}, {"Condition": {"StringEquals": {"k": ["a"]}}}),
        ({"Condition": {"StringEquals": {"k": ["a", "b"]}}}, {"Condition": {"StringEquals": {"K": "b"}}}, {"Condition": {"StringEquals": {"k": ["b"]}}}),
        ({"Condition": {"StringEquals": {"k": "a"}}}, {"Condition": {"StringEquals": {"k": "b"}}}, None),
        ({"Condition": {"StringEquals": {"k": "a"}}}, {"Condition": {"StringLike": {"j": "b"}}}, {"Condition": {"StringEquals": {"k": ["a"]}, "StringLike": {"j": ["b"]}}}),
        ({"Condition": {"StringNotLike": {"k": "a*"}}}, {"Condition": {"StringNotLike": {"k": "ab"}}}, None),
        ({"Condition": {"StringNotLike": {"k": "a*"}}, "Action": "s3:*"}, {"Condition": {"StringNotLike": {"k": "a*"}}, "Action": "s3:Get*"}, {"Action": ["s3:Get*"], "Condition": {"StringNotLike": {"k": ["a*"]}}}),
        ({"Condition": {"StringNotLike": {"k": "a*"}}}, {}, {"Condition": {"StringNotLike": {"k": ["a*"]}}}),
        ({"Condition": {"Bool": {"k": True}}}, {"Condition": {"Bool": {"k": "true"}}}, {"Condition": {"Bool": {"k": ["true"]}}}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("turned", [False, True])
def test_the_intersection_is_exactly_what_both_grant(one: Any, other: Any, both: Any, turned: bool) -> None:
    """Each element is narrowed by itself; what the two share is all that is left, in either order."""
    first, second = (other, one) if turned else (one, other)
    found = policies.intersection(allowing(**first), allowing(**second))
    assert found == (None if both is None else policies.document({"Effect": "Allow", **both}))


def test_a_sid_stays_with_the_first_statement_that_has_it() -> None:
    """Both statements stay; IAM takes a Sid once (IAM user guide, "Sid"), and statements without one many times."""
    one = policies.document({"Sid": "A", "Effect": "Allow", "Action": ["x", "y"]}, {"Effect": "Deny", "Action": "z"})
    other = policies.document(
        {"Sid": "A", "Effect": "Allow", "Action": "x"},
        {"Sid": "A", "Effect": "Allow", "Action": "y"},
        {"Effect": "Deny", "Action": "v"},
    )
    assert policies.intersection(one, other) == policies.document(
        {"Sid": "A", "Effect": "Allow", "Action": ["x"]},
        {"Effect": "Allow", "Action": ["y"]},
        {"Effect": "Deny", "Action": ["z"]},
        {"Effect": "Deny", "Action": ["v"]},
    )


def test_one_statement_or_a_list_is_no_difference() -> None:
    """A document may have no statement, one, or a list of them."""
    statement = {"Effect": "Allow"}
    assert policies.statements(None) == policies.statements({}) == []
    assert (
        policies.statements({"Statement": statement}) == policies.statements({"Statement": [statement]}) == [statement]
    )


@pytest.mark.parametrize(
    ("wide", "narrow", "is_covered"),
    [
        ("a", "a", True), ("a", "b", False), ("a*", "ab", True), ("a*", "a*", True), ("a*", "a?", True),
        ("a?", "ab", True), ("a?", "a?", True), ("?a", "*a", False), ("*a", "?a", False), ("a?", "a*", False),
        ("*", "", True), ("[ab]", "a", False), ("[ab]*", "[ab]c", True), ("A*", "ab", False), ("", "*", False),
        ("*", "?", True), ("*b", "a*b", False), ("a?X", "aXX", True), ("a?", "aX", True),
    ],
)  # fmt: skip
def test_a_pattern_covers_what_it_surely_matches(wide: str, narrow: str, is_covered: bool) -> None:
    """Wildcards in the narrower pattern are covered by a trailing one alone; brackets and case are text."""
    assert policies.covers(wide, narrow) is is_covered


def test_short_patterns_overlap_exactly_if_a_text_matches_both() -> None:
    """Of all patterns of up to three characters, against all texts of two letters that could match two of them."""
    patterns = ["".join(each) for length in range(4) for each in product("ab*?", repeat=length)]
    texts = ["".join(each) for length in range(7) for each in product("ab", repeat=length)]
    matched = {pattern: {text for text in texts if fnmatchcase(text, pattern)} for pattern in patterns}
    wrong = [
        (one, other)
        for one, other in product(patterns, repeat=2)
        if policies.overlap(one, other) is not bool(matched[one] & matched[other])
    ]
    assert wrong == []


@pytest.mark.parametrize("element", ["Action", "NotAction", "Resource", "NotResource"])
def test_one_value_or_a_list_of_it_is_no_difference(element: str) -> None:
    """So it is for each element that may have either, those that are turned round among them."""
    one, other = ({"Statement": {"Effect": "Allow", element: value}} for value in ("a", ["a"]))
    assert policies.canonical(one) == policies.canonical(other)


@pytest.mark.parametrize("element", ["Principal", "NotPrincipal"])
def test_everybody_is_written_in_several_ways(element: str) -> None:
    """A star, a star among AWS principals, and a list of it mean the same; so does one account or a list of it."""
    for spellings in (("*", {"AWS": "*"}, {"AWS": ["*"]}), ({"AWS": "a"}, {"AWS": ["a"]})):
        meanings = [policies.canonical({"Statement": {"Effect": "Deny", element: value}}) for value in spellings]
        assert all(meaning == meanings[0] for meaning in meanings)


def test_what_is_shared_in_two_ways_is_one_statement() -> None:
    """A statement that both documents have, and that lies in a wider one beside it, stands once."""
    narrow, wide = ({"Effect": "Allow", "Action": ["a"], "Resource": [what]} for what in ("b", "*"))
    shared = policies.intersection(policies.document(narrow, wide), policies.document(narrow))
    assert shared == policies.document(narrow)

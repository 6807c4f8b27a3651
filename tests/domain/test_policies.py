"""Policy documents: compared by meaning, narrowed without ever granting more."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podshare.policy import policies

ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:ListBucket"]
RESOURCES = ["arn:aws:s3:::b/*", "arn:aws:s3:::b/a/*", "arn:aws:s3:::b/a/b/*", "arn:aws:s3:::c/*"]
PROBES = ["arn:aws:s3:::b/x", "arn:aws:s3:::b/a/x", "arn:aws:s3:::b/a/b/x", "arn:aws:s3:::c/x"]
PREFIXES = ["", "a/", "a/b/", "c/"]

statements = st.fixed_dictionaries(
    {
        "Effect": st.just("Allow"),
        "Action": st.lists(st.sampled_from(ACTIONS), min_size=1, unique=True),
        "Resource": st.lists(st.sampled_from(RESOURCES), min_size=1, unique=True),
    },
    optional={
        "Condition": st.sampled_from(PREFIXES).map(lambda prefix: {"StringLike": {"s3:prefix": [prefix, f"{prefix}*"]}})
    },
)
documents = st.lists(statements, max_size=3).map(lambda found: policies.document(*found))


def grants(document: policies.Document | None, action: str, resource: str, prefix: str) -> bool:
    """What IAM would say, for the few elements that these documents use."""
    return any(
        action in statement["Action"]
        and any(policies.covers(pattern, resource) for pattern in statement["Resource"])
        and all(
            any(policies.covers(pattern, prefix) for pattern in values)
            for keys in statement.get("Condition", {}).values()
            for values in keys.values()
        )
        for statement in policies.statements(document)
    )


@given(documents, documents)
def test_what_two_documents_have_in_common_is_granted_by_both(one: Any, other: Any) -> None:
    """A narrowing never grants what either document withholds."""
    both = policies.intersection(one, other)
    for action, resource, prefix in product(ACTIONS, PROBES, ["a/x", "c/x", "x"]):
        if grants(both, action, resource, prefix):
            assert grants(one, action, resource, prefix)
            assert grants(other, action, resource, prefix)


@given(documents)
def test_a_document_has_itself_in_common_with_itself(document: Any) -> None:
    """What does not change loses nothing."""
    both = policies.intersection(document, document)
    for action, resource, prefix in product(ACTIONS, PROBES, ["a/x", "c/x", "x"]):
        assert grants(both, action, resource, prefix) == grants(document, action, resource, prefix)


def test_spelling_and_order_are_no_difference() -> None:
    """A string against a list of one, and the order of statements and values, mean the same."""
    one = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": ["b", "a"], "Principal": "*"},
            {"Effect": "Deny", "Action": ["x"], "Resource": "y", "Condition": {"Bool": {"aws:SecureTransport": False}}},
        ],
    }
    other = {
        "Statement": [
            {
                "Resource": ["y"],
                "Effect": "Deny",
                "Action": "x",
                "Condition": {"Bool": {"aws:securetransport": "false"}},
            },
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["a", "b"], "Principal": {"AWS": "*"}},
        ]
    }
    assert policies.same(one, other)


def test_a_narrower_prefix_is_what_both_have_in_common() -> None:
    """From `a/` to `a/b/` leaves `a/b/` open all the time."""
    arn = "arn:aws:s3:us-west-2:333333333333:accesspoint/p"
    wide = policies.document(
        *policies.data_statements(arn, f"{arn}/object", reads=["a/"], writes=["a/"], sid="x", principal="arn:r")
    )
    narrow = policies.document(
        *policies.data_statements(arn, f"{arn}/object", reads=["a/b/"], sid="x", principal="arn:r")
    )
    assert policies.same(policies.intersection(wide, narrow), narrow)
    assert policies.same(policies.intersection(narrow, wide), narrow)


def test_no_sid_stands_twice_in_what_is_common() -> None:
    """AWS refuses a document with a Sid twice: where two statements of one overlap with one of the other, one keeps it."""
    ours = {"Sid": "Read", "Effect": "Allow", "Action": ["a", "b"], "Resource": "r/*"}
    theirs = [{"Effect": "Allow", "Action": action, "Resource": "r/*"} for action in ("a", "b")]
    both = policies.intersection(policies.document(*theirs), policies.document(ours))
    assert sorted(one.get("Sid", "") for one in policies.statements(both)) == ["", "Read"]


def test_a_denial_stays() -> None:
    """What either document denies stays denied in what they have in common."""
    allow = {"Effect": "Allow", "Action": "a", "Resource": "r"}
    deny = {"Effect": "Deny", "Action": "a", "Resource": "r"}
    both = policies.intersection(policies.document(allow, deny), policies.document(allow))
    assert deny["Effect"] in {statement["Effect"] for statement in policies.statements(both)}


def test_nothing_in_common_is_none() -> None:
    """Documents for different principals share nothing."""
    one, other = (policies.trust_pod_identity("1", "c", "ns", name) for name in ("a", "b"))
    assert policies.intersection(one, other) is None


@pytest.mark.parametrize(
    ("change", "within"),
    [
        ({}, True),
        ({"Action": ["s3:GetObject", "s3:PutObject"]}, False),
        ({"Action": "s3:Get*"}, False),
        ({"Resource": ["arn:aws:s3:::b/a/x*"]}, True),
        ({"Resource": "*"}, False),
        ({"Principal": "*"}, False),
        ({"Principal": {"AWS": ["arn:aws:iam::111111111111:root", "arn:aws:iam::222222222222:root"]}}, False),
        ({"Condition": {}}, False),
        ({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-2"}}}, False),
        ({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}, "Bool": {"aws:SecureTransport": "true"}}}, True),
        ({"NotAction": "s3:PutObject"}, False),
        ({"Effect": "Deny", "Principal": "*"}, True),
    ],
)
def test_a_statement_is_within_another_only_if_it_allows_no_more(change: dict[str, Any], within: bool) -> None:
    """What cannot be proven to be narrower is wider; a denial allows nothing."""
    own = {
        "Sid": "Own",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
        "Action": ["s3:GetObject"],
        "Resource": ["arn:aws:s3:::b/a/*"],
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
    }
    assert policies.is_within({**own, **change}, own) is within

"""The isolation rules notice what would let one team into another's."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from podshare.access.isolation import violations
from podshare.kinds.access_entry.shape import AccessEntry
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.desired import desired
from podshare.kinds.kms_grant.shape import KmsGrant
from podshare.kinds.kubernetes_role.shape import KubernetesRole
from podshare.kinds.pod_identity_association.shape import PodIdentityAssociation
from podshare.kinds.role.shape import Role
from podshare.policy.rbac import KubernetesRule
from tests.builders import CLUSTER, INSTALLATION, KMS_KEY, a_dataset, a_team, own_boundaries

TEAM = a_team()
WANTED = desired(TEAM, [CLUSTER], {"imagenet": a_dataset(kms_key=KMS_KEY)}, {}, INSTALLATION)
OWN = own_boundaries(TEAM)


def role(why: str) -> Role:
    return next(one for one in WANTED.values() if isinstance(one, Role) and one.why == why)


def entry() -> AccessEntry:
    return next(one for one in WANTED.values() if isinstance(one, AccessEntry))


def trusting(statement: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", **statement}]}


def with_condition(one: Role, operator: str, key: str, value: str) -> Role:
    statement = dict(one.trust["Statement"][0])
    condition = {**statement["Condition"], operator: {**statement["Condition"][operator], key: value}}
    return replace(one, trust={"Statement": [{**statement, "Condition": condition}]})


def test_what_is_desired_breaks_no_rule() -> None:
    """A team as podshare makes it keeps every rule."""
    assert violations(OWN, WANTED.values(), WANTED) == []


def test_the_templates_of_spaces_are_no_teams_own() -> None:
    """Their policy may reach the namespace that all teams read, and no other policy may."""
    shared = "jupyter-k8s-shared"
    team = desired(a_team(access=["training", "space"]), [CLUSTER], {"imagenet": a_dataset()}, {}, INSTALLATION)
    assert violations(OWN, team.values(), team) == []
    templates = "arn:aws:eks::aws:cluster-access-policy/AmazonSagemakerHyperpodSpaceTemplatePolicy"
    widened = {
        "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy": (shared,),
        templates: (shared, "hyperpod-ns-language"),
    }
    found = violations(OWN, [replace(entry(), policies=widened)], WANTED)
    assert [one.rule for one in found] == ["an entry's scope lies in its own team's namespace"] * 2


def test_what_is_not_desired_is_a_violation() -> None:
    """Something owned that nothing asks for is told."""
    found = violations(OWN, WANTED.values(), {})
    assert len(found) >= len(WANTED)


BREAKS: list[tuple[str, Callable[[], Resource]]] = [
    ("scope lies in its own", lambda: replace(entry(), policies={**entry().policies, "arn:x": ("hyperpod-ns-language",)})),
    ("scope lies in its own", lambda: replace(entry(), policies={**entry().policies, "arn:x": ("hyperpod-ns-*",)})),
    ("spans the cluster", lambda: replace(entry(), policies={**entry().policies, "arn:x": ()})),
    ("groups are its own", lambda: replace(entry(), groups=frozenset({"system:masters"}))),
    ("groups are its own", lambda: replace(entry(), groups=frozenset({"podshare:vision-labs:x"}))),
    ("role that exists now", lambda: replace(entry(), alive=False)),
    ("falls when its account leaves", lambda: replace(role("member 222222222222"), trust=trusting({"Principal": {"AWS": "arn:aws:iam::222222222222:root"}, "Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::222222222222:role/podshare/podshare-vision-scientist"}}}))),
    ("account's root with conditions", lambda: replace(role("member 222222222222"), trust=trusting({"Principal": {"AWS": "arn:aws:iam::222222222222:role/x"}, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-podshare01"}}}))),
    ("account's root with conditions", lambda: replace(role("member 222222222222"), trust=trusting({"Principal": {"AWS": "*"}, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-podshare01"}}}))),
    ("own members", lambda: replace(role("member 222222222222"), trust=trusting({"Principal": {"AWS": "arn:aws:iam::555555555555:root"}, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-podshare01"}, "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::555555555555:role/x"}}}))),
    ("own members", lambda: with_condition(role("member 222222222222"), "ArnLike", "aws:PrincipalArn", "arn:aws:iam::222222222222:role/*")),
    ("own cluster", lambda: with_condition(role("service account trainer"), "StringEquals", "aws:RequestTag/eks-cluster-arn", "arn:aws:eks:us-west-2:999999999999:cluster/x")),
    ("own namespace", lambda: with_condition(role("service account trainer"), "StringEquals", "aws:RequestTag/kubernetes-namespace", "hyperpod-ns-language")),
    ("EKS Pod Identity's", lambda: replace(role("service account trainer"), trust=trusting({"Principal": {"Service": "ec2.amazonaws.com"}}))),
    ("accounts or EKS Pod Identity", lambda: replace(role("service account trainer"), trust=trusting({"Principal": {"Federated": "arn:x"}}))),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "broken"), BREAKS)
def test_each_rule_notices_its_breach(rule: str, broken: Callable[[], Resource]) -> None:
    """A trust, scope or group that reaches further than the team's own is told, by its rule."""
    resource = broken()
    found = violations(OWN, [resource], WANTED)
    assert any(rule in violation.rule for violation in found), found


def test_an_access_point_names_the_teams_own_data_roles() -> None:
    """The role of a team whose name begins alike is somebody else's."""
    point = next(one for one in WANTED.values() if isinstance(one, AccessPoint))
    assert point.policy
    for principal in ("podshare-vision-labs-12345678", "podshare-language-12345678", "Admin"):
        statements = [
            {**statement, "Principal": {"AWS": f"arn:aws:iam::111111111111:role/podshare/{principal}"}}
            for statement in point.policy["Statement"]
        ]
        found = violations(OWN, [replace(point, policy={"Statement": statements})], WANTED)
        assert any("own data roles" in violation.rule for violation in found)


def test_an_access_point_grants_no_more_than_asked() -> None:
    """A wider prefix, a lifted public access block: both are told."""
    point = next(one for one in WANTED.values() if isinstance(one, AccessPoint))
    assert point.policy
    wide = [{**statement, "Condition": {}} for statement in point.policy["Statement"]]
    rules = {
        one.rule
        for one in violations(OWN, [replace(point, policy={"Statement": wide}, public_access_blocked=False)], WANTED)
    }
    assert rules == {"public access is blocked", "an access point's prefixes and actions lie within the grants"}


def test_a_target_role_trusts_the_teams_own_data_role() -> None:
    """Another team's role, everybody in the account, or another namespace's pods, are told."""
    wanted = desired(TEAM, [CLUSTER], {"imagenet": a_dataset(data_role="target")}, {}, INSTALLATION)
    assert violations(OWN, wanted.values(), wanted) == []
    target = next(one for one in wanted.values() if isinstance(one, Role) and one.key.account == "333333333333")
    language = "arn:aws:iam::111111111111:role/podshare/podshare-language-12345678"
    own, tag = "a target role trusts the team's own data role", "aws:RequestTag/kubernetes-namespace"
    for broken, rule in (
        (with_condition(target, "ArnLike", "aws:PrincipalArn", language), own),
        (with_condition(target, "ArnLike", "aws:PrincipalArn", "*"), own),
        (with_condition(target, "StringEquals", tag, "hyperpod-ns-language"), "its own namespace"),
        (with_condition(target, "StringEquals", "aws:PrincipalOrgID", "o-other"), "falls when its account leaves"),
    ):
        assert any(rule in one.rule for one in violations(OWN, [broken], wanted)), rule
    association = next(one for one in wanted.values() if isinstance(one, PodIdentityAssociation))
    stolen = replace(association, target_role_arn=language)
    assert any("own data role" in found.rule for found in violations(OWN, [stolen], wanted))


def test_a_key_is_granted_to_the_teams_own_data_roles() -> None:
    """A grant for another team's role, for an account, or for a role that is gone, is told."""
    grant = next(one for one in WANTED.values() if isinstance(one, KmsGrant))
    for grantee in (
        "arn:aws:iam::111111111111:role/podshare/podshare-vision-labs-12345678",
        "arn:aws:iam::111111111111:root",
        "AROAEXAMPLEEXAMPLE01",
    ):
        found = violations(OWN, [replace(grant, grantees=grant.grantees | {grantee})], WANTED)
        assert [one.rule for one in found] == ["a key is granted to the team's own data roles"]


def test_an_association_stays_at_home() -> None:
    """An association in another namespace, or to another team's role, is told."""
    one = next(one for one in WANTED.values() if isinstance(one, PodIdentityAssociation))
    key = Key(
        Kind.POD_IDENTITY_ASSOCIATION, "111111111111", "us-west-2", "hyperpod-eks", "hyperpod-ns-language/trainer"
    )
    away = replace(one, key=key)
    stolen = replace(one, role_arn="arn:aws:iam::111111111111:role/podshare/podshare-language-12345678")
    assert any("own team's namespace" in found.rule for found in violations(OWN, [away], {key: away}))
    assert any("own data role" in found.rule for found in violations(OWN, [stolen], WANTED))


def test_a_rule_that_a_record_may_name_breaks_nothing() -> None:
    """A secret by its name is a team's to have; what is read back is judged with the names in it."""
    key = replace(entry().key, kind=Kind.KUBERNETES_ROLE, name="hyperpod-ns-vision/podshare-ops")
    named = KubernetesRule(("",), ("secrets",), ("get",), ("one",))
    for rule, broken in ((named, 0), (replace(named, resource_names=()), 1)):
        role = KubernetesRole(key=key, rules=(rule,))
        assert len(violations(OWN, [role], {key: role})) == broken

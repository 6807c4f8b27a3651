"""What single documents let somebody do: trusts, entries, associations, policies, bindings and file systems, one at a time."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from podshare.access.effective_access import (
    Access,
    account_of,
    by_pods,
    effective_access,
    in_bucket,
    in_cluster,
    in_file_system,
)
from podshare.kinds.access_entry.shape import AccessEntry
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.data_repository_association.shape import DataRepositoryAssociation
from podshare.kinds.file_system_delegation.shape import FileSystemDelegation
from podshare.kinds.foreign_subjects.shape import ForeignSubjects
from podshare.kinds.kubernetes_role.shape import KubernetesRole
from podshare.kinds.kubernetes_role_binding.shape import KubernetesRoleBinding
from podshare.kinds.persistent_volume.shape import PersistentVolume
from podshare.kinds.pod_identity_association.shape import PodIdentityAssociation
from podshare.kinds.role.shape import Role
from podshare.policy import policies
from podshare.policy.rbac import KubernetesRule
from tests.builders import INSTALLATION

HUB, MEMBER, OWNER = "111111111111", "222222222222", "333333333333"
CLUSTER = f"arn:aws:eks:us-west-2:{HUB}:cluster/hp"
BUCKET = "arn:aws:s3:::images"
POINT = f"arn:aws:s3:us-west-2:{OWNER}:accesspoint/images"
SCIENTIST = f"arn:aws:iam::{MEMBER}:role/Scientist"
ROOT = f"arn:aws:iam::{MEMBER}:root"
PODS = "pods.eks.amazonaws.com"
TRAINER = "system:serviceaccount:hyperpod-ns-vision:trainer"
OURS = {"StringEquals": {"aws:PrincipalOrgID": "o-podshare01"}}
TAGS = {
    "aws:RequestTag/eks-cluster-arn": CLUSTER,
    "aws:RequestTag/kubernetes-namespace": "hyperpod-ns-vision",
    "aws:RequestTag/kubernetes-service-account": "trainer",
}


def allow(**statement: Any) -> dict[str, Any]:
    return {"Effect": "Allow", **statement}


def role_arn(name: str, account: str = HUB) -> str:
    return f"arn:aws:iam::{account}:role/podshare/{name}"


def a_role(
    name: str = "data",
    account: str = HUB,
    *,
    trust: Iterable[dict[str, Any]] = (),
    may: Iterable[dict[str, Any]] = (),
    attached: Iterable[str] = (),
) -> Role:
    closed = policies.trust_nobody(INSTALLATION, account)
    return Role(
        key=Key(Kind.ROLE, account, "", "", name),
        trust=policies.document(*trust),
        policies={"inline": policies.document(*may)},
        attached=frozenset(attached),
        boundary="",
        revoked_trust=closed,
    )


def trusting(*principals: str) -> list[dict[str, Any]]:
    return [allow(Principal={"AWS": [*principals]}, Action="sts:AssumeRole", Condition=OURS)]


def an_entry(arn: str, given: Mapping[str, tuple[str, ...]], *groups: str, alive: bool = True) -> AccessEntry:
    return AccessEntry(
        key=Key(Kind.ACCESS_ENTRY, HUB, "us-west-2", "hp", arn),
        policies={f"arn:aws:eks::aws:cluster-access-policy/{name}": scope for name, scope in given.items()},
        groups=frozenset(groups),
        username="",
        alive=alive,
    )


def an_association(arn: str, target: str | None = None, pods: str = "hyperpod-ns-vision/trainer") -> Resource:
    key = Key(Kind.POD_IDENTITY_ASSOCIATION, HUB, "us-west-2", "hp", pods)
    return PodIdentityAssociation(key=key, role_arn=arn, target_role_arn=target)


def a_point(*statements: dict[str, Any], account: str = OWNER, name: str = "images") -> AccessPoint:
    key = Key(Kind.ACCESS_POINT, account, "us-west-2", "", name)
    return AccessPoint(key=key, bucket="images", policy=policies.document(*statements))


def told(*things: Resource, known: Iterable[Key] = ()) -> list[tuple[Any, ...]]:
    """What is reached by ``things``, without the trusts that lead to it, in full."""
    found = effective_access(things, [*(one.key for one in things), *known], INSTALLATION)
    return [(one.who, one.may, one.where, one.what, one.through, one.by) for one in found if "assume" not in one.may]


def test_whom_of_other_teams_a_binding_names_has_its_role_in_the_namespace() -> None:
    """A group by its name, anybody else with the kind; the access is there by what takes them out of the bindings."""
    key = Key(Kind.FOREIGN_SUBJECTS, HUB, "us-west-2", "hp", "hyperpod-ns-vision")
    bound = {
        ("one", "ClusterRole edit", "Group podshare:audio:ops"),
        ("two", "Role view", "ServiceAccount hyperpod-ns-audio/pod"),
    }
    found = told(ForeignSubjects(key=key, bound=frozenset(bound)))
    assert sorted(found) == [
        ("ServiceAccount hyperpod-ns-audio/pod", ("Role view",), CLUSTER, "hyperpod-ns-vision", (), (str(key),)),
        ("podshare:audio:ops", ("ClusterRole edit",), CLUSTER, "hyperpod-ns-vision", (), (str(key),)),
    ]


# ---- one access beside another --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "words"),
    [
        (Access("x", ("list", "read"), BUCKET, "a/*"), f"x may list, read in {BUCKET} a/*"),
        (Access("x", ("assume",), SCIENTIST, "*"), f"x may assume in {SCIENTIST}"),
        (Access("x", ("s3:*",), "", POINT), f"x may s3:* in {POINT}"),
        (Access("x", ("*",), "", "*"), "x may * in *"),
    ],
)
def test_access_is_told_with_its_place_once(access: Access, words: str) -> None:
    """A place that is everything within another is not told beside it."""
    assert str(access) == words


def test_access_comes_back_from_its_document() -> None:
    """What a stored proof says is read as it was written, with what it is by."""
    access = Access("x", ("list", "read"), BUCKET, "a/*", (SCIENTIST, POINT), ("role|1|||r", "access_point|2|r||p"))
    document = access.as_dict()
    assert document == {
        "who": "x",
        "may": ["list", "read"],
        "where": BUCKET,
        "what": "a/*",
        "through": [SCIENTIST, POINT],
        "by": ["role|1|||r", "access_point|2|r||p"],
    }
    back = Access.of_dict(document)
    assert (back, back.by) == (access, access.by)


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        (ROOT, SCIENTIST, True),
        (ROOT, ROOT, True),
        (ROOT, "arn:aws:iam::333333333333:role/Scientist", False),
        (ROOT, TRAINER, False),
        (SCIENTIST, ROOT, False),
        (SCIENTIST, SCIENTIST, True),
        ("arn:aws:iam::222222222222:role/*", SCIENTIST, True),
        ("*", TRAINER, True),
        ("system:serviceaccount:hyperpod-ns-vision:*", TRAINER, True),
        (TRAINER, "system:serviceaccount:hyperpod-ns-vision:*", False),
    ],
)
def test_an_account_stands_for_all_in_it_and_a_pattern_for_all_it_matches(
    wide: str, narrow: str, covered: bool
) -> None:
    """Access of a principal is no more than another's if that one means this one too."""
    given, asked = Access(wide, ("read",), BUCKET, "a/*"), Access(narrow, ("read",), BUCKET, "a/*")
    assert given.covers(asked) is covered
    assert given.is_of(narrow) is (covered or narrow.endswith("vision:*"))


@pytest.mark.parametrize(
    ("other", "covered", "touched"),
    [
        (Access("x", ("read",), BUCKET, "a/*"), True, True),
        (Access("x", ("read",), BUCKET, "a/b/*"), True, True),
        (Access("x", ("read",), BUCKET, "*"), False, True),
        (Access("x", ("read",), BUCKET, "b/*"), False, False),
        (Access("x", ("read", "write"), BUCKET, "a/*"), False, True),
        (Access("x", ("read",), f"{BUCKET}-2", "a/*"), False, False),
        (Access("y", ("read",), BUCKET, "a/*"), False, True),
    ],
)
def test_access_is_no_more_than_another_in_who_what_and_where(other: Access, covered: bool, touched: bool) -> None:
    """It covers another only if principal, actions, place and keys all do; it touches whatever shares a key in one place."""
    access = Access("x", ("list", "read"), BUCKET, "a/*")
    assert (access.covers(other), access.touches(other)) == (covered, touched)


@pytest.mark.parametrize(
    ("principal", "account"),
    [
        (SCIENTIST, MEMBER),
        (ROOT, MEMBER),
        ("arn:aws:iam::222222222222:saml-provider/a:b", MEMBER),
        ("arn:aws:iam", ""),
        (TRAINER, ""),
        ("system:serviceaccount:ns:a:b:c", ""),
        ("*", ""),
    ],
)
def test_only_an_arn_has_an_account(principal: str, account: str) -> None:
    """The account stands in a principal's ARN; a service account, a group and everybody have none."""
    assert account_of(principal) == account


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (CLUSTER, (True, False, False)),
        (BUCKET, (False, True, False)),
        (f"arn:aws:fsx:us-west-2:{HUB}:file-system/fs-1", (False, False, True)),
        (SCIENTIST, (False, False, False)),
    ],
)
def test_access_is_about_what_its_place_is(where: str, found: tuple[bool, bool, bool]) -> None:
    """Clusters, data and file systems are told apart by the ARN of the place."""
    access = Access("x", ("read",), where, "*")
    assert (in_cluster(access), in_bucket(access), in_file_system(access)) == found


@pytest.mark.parametrize(
    ("may", "makes"),
    [
        (("AmazonEKSViewPolicy",), False),
        (("AmazonSagemakerHyperpodTrainingPolicy",), True),
        (("SomePolicyOfTomorrow",), True),
        (("AmazonEKSViewPolicy", "AmazonEKSEditPolicy"), True),
        (("get pods", "watch pods"), False),
        (("get configmaps named a, b",), False),
        (("get pods/log",), False),
        (("get pods/exec",), True),
        (("get pods/attach named a, b",), True),
        (("list *",), True),
        (("AmazonEKSAdminViewPolicy",), True),
        (("get pods", "create jobs"), True),
        (("what RBAC grants",), True),
    ],
)
def test_whoever_may_write_in_a_namespace_may_make_pods(may: tuple[str, ...], makes: bool) -> None:
    """Only who is known to read alone makes no pods; the others reach what the namespace's service accounts do, by them.

    Before Kubernetes 1.35 whoever may get pods/exec runs commands in pods, over a WebSocket.
    """
    reader = Access(f"arn:aws:iam::{HUB}:role/Reader", ("read",), BUCKET, "a/*", ("first",))
    person = Access("person", may, CLUSTER, "hyperpod-ns-vision", ("entry role",))
    data = Access(TRAINER, ("list", "read"), BUCKET, "a/*", ("data role", POINT), ("why",))
    found = [*by_pods([reader, person], [reader, data])]
    path = ("entry role", TRAINER, "data role", POINT)
    assert found == ([Access("person", ("list", "read"), BUCKET, "a/*", path)] if makes else [])
    assert [one.by for one in found] == [("why",)] * makes


# ---- who gets into a role -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "entrants"),
    [
        ({"Principal": {"AWS": ROOT}, "Condition": OURS}, [(ROOT, ("assume",))]),
        ({"Principal": {"AWS": ROOT}}, [(ROOT, ("assume", "from outside of the organization"))]),
        (
            {"Principal": {"AWS": ROOT}, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-another"}}},
            [(ROOT, ("assume", "from outside of the organization"))],
        ),
        (
            {"Principal": {"AWS": ROOT}, "Condition": {"StringEqualsIfExists": OURS["StringEquals"]}},
            [(ROOT, ("assume", "from outside of the organization"))],
        ),
        (
            {"Principal": {"AWS": ROOT}, "Condition": {**OURS, "ArnLike": {"aws:principalARN": [SCIENTIST, "b"]}}},
            [(SCIENTIST, ("assume",)), ("b", ("assume",))],
        ),
        *(
            ({"Principal": {"AWS": ROOT}, "Condition": {operator: {**values, "aws:PrincipalArn": SCIENTIST}}}, [(SCIENTIST, may)])
            for operator, values, may in (
                ("StringEquals", OURS["StringEquals"], ("assume",)),
                ("StringLike", OURS["StringEquals"], ("assume",)),
                ("ArnEquals", {}, ("assume", "from outside of the organization")),
                ("ArnLike", {}, ("assume", "from outside of the organization")),
            )
        ),
        ({"Principal": {"AWS": ROOT}, "Condition": {**OURS, "ArnNotLike": {"aws:PrincipalArn": "x"}}}, [(ROOT, ("assume",))]),
        ({"Principal": "*", "Condition": OURS}, [("*", ("assume",))]),
        ({"Condition": OURS}, [("*", ("assume",))]),
        ({"NotPrincipal": {"AWS": ROOT}, "Condition": OURS}, [("*", ("assume",))]),
        ({"Principal": {"Service": "ec2.amazonaws.com"}}, [("service:ec2.amazonaws.com", ("assume",))]),
        ({"Principal": {"Federated": "cognito"}}, [("federated:cognito", ("assume",))]),
        ({"Principal": {"Service": PODS}, "Condition": {"StringEquals": TAGS}}, [(TRAINER, ("assume", f"from {CLUSTER}"))]),
        ({"Principal": {"Service": PODS}}, [("system:serviceaccount:*:*", ("assume", "from any cluster"))]),
        ({"Principal": {"AWS": "AROAEXAMPLEEXAMPLE123"}, "Condition": OURS}, []),
        ({"Effect": "Deny", "Principal": {"AWS": ROOT}}, []),
    ],
)  # fmt: skip
def test_a_trust_lets_in_whom_it_names_under_its_strict_conditions(
    statement: dict[str, Any], entrants: list[tuple[str, tuple[str, ...]]]
) -> None:
    """A condition narrows only where it must hold and is understood; without the organization's, others get in too."""
    role = a_role(trust=[allow(**statement)])
    found = effective_access([role], [role.key], INSTALLATION)
    assert found == tuple(sorted(Access(who, may, role_arn("data"), "*") for who, may in entrants))
    assert {one.by for one in found} <= {("role|111111111111|||data",)}


POD_TRUST = [allow(Principal={"Service": PODS}, Action="sts:AssumeRole", Condition={"StringEquals": TAGS})]
MANAGED = "arn:aws:iam::aws:policy/ReadOnlyAccess"


@pytest.mark.parametrize(
    ("associations", "entrants"),
    [
        ([], set()),
        ([an_association(role_arn("data"))], {TRAINER}),
        ([an_association(role_arn("data"), pods="hyperpod-ns-vision/other")], set()),
        ([an_association(role_arn("data"), pods="hyperpod-ns-language/trainer")], set()),
        ([an_association(role_arn("other"))], set()),
    ],
)
def test_pods_get_into_a_role_by_an_association_that_its_trust_admits(
    associations: list[Resource], entrants: set[str]
) -> None:
    """Neither the trust in EKS Pod Identity nor an association lets a service account in without the other."""
    found = told(a_role(trust=POD_TRUST, attached=[MANAGED]), *associations)
    keys = ("pod_identity_association|111111111111|us-west-2|hp|hyperpod-ns-vision/trainer", "role|111111111111|||data")
    assert found == [(who, ("whatever it allows",), "", MANAGED, (role_arn("data"),), keys) for who in entrants]


@pytest.mark.parametrize(
    ("trusted", "association", "gets_in"),
    [
        (role_arn("data"), an_association(role_arn("data"), role_arn("target", OWNER)), True),
        (f"arn:aws:iam::{HUB}:root", an_association(role_arn("data"), role_arn("target", OWNER)), True),
        (role_arn("data"), an_association(role_arn("data")), False),
        (role_arn("data"), an_association(role_arn("data"), role_arn("other", OWNER)), False),
        (role_arn("data"), an_association(role_arn("other"), role_arn("target", OWNER)), False),
    ],
)
def test_pods_get_into_a_target_role_by_the_role_that_it_trusts(
    trusted: str, association: Resource, gets_in: bool
) -> None:
    """An association leads to its target role if that one trusts the association's first role."""
    target = a_role("target", OWNER, trust=trusting(trusted), attached=[MANAGED])
    assert [who for who, *_ in told(target, association) if who == TRAINER] == [TRAINER] * gets_in


# ---- what a role gives ----------------------------------------------------------------------------------------


def test_an_entry_gives_its_policies_where_they_are_scoped_and_its_groups() -> None:
    """A policy without namespaces spans the cluster; a group has what RBAC grants; of a role's entries only its own count."""
    role = a_role("access", trust=trusting(SCIENTIST))
    given = {"AmazonEKSEditPolicy": ("ns-a", "ns-b"), "AmazonEKSViewPolicy": ()}
    entry = an_entry(role_arn("access"), given, "podshare:vision:ops")
    keys = (f"access_entry|{HUB}|us-west-2|hp|{role_arn('access')}", f"role|{HUB}|||access")
    others = [an_entry(role_arn("gone"), given, alive=False), an_entry(role_arn("other"), given)]
    assert told(role, *others, entry) == [
        (SCIENTIST, (may,), CLUSTER, what, (role_arn("access"),), keys)
        for may, what in (
            ("AmazonEKSEditPolicy", "ns-a"),
            ("AmazonEKSEditPolicy", "ns-b"),
            ("AmazonEKSViewPolicy", "*"),
            ("what RBAC grants", "group podshare:vision:ops"),
        )
    ]
    assert not told(role, an_entry(role_arn("access"), given, alive=False))


READ = {"Action": "s3:GetObject", "Resource": f"{POINT}/object/a/*"}
READ_ALL = {"Action": "s3:GetObject", "Resource": f"{POINT}/object/*"}
LIST = {"Action": "s3:ListBucket", "Resource": POINT}
TO_ROLE = {"Principal": {"AWS": role_arn("data")}}
Uses = list[tuple[tuple[str, ...], str]]


@pytest.mark.parametrize(
    ("may", "given", "uses"),
    [
        ([READ], [{**TO_ROLE, **READ_ALL}], [(("read",), "a/*")]),
        ([READ_ALL], [{**TO_ROLE, **READ}], [(("read",), "a/*")]),
        ([READ], [{"Principal": "*", **READ_ALL}], [(("read",), "a/*")]),
        ([READ], [{"Principal": {"AWS": role_arn("other")}, **READ_ALL}], []),
        ([], [{**TO_ROLE, **READ_ALL}], []),
        ([READ], [], []),
        ([READ], [{**TO_ROLE, "Action": "s3:PutObject", "Resource": f"{POINT}/object/*"}], []),
        ([READ], [{**TO_ROLE, "Action": "s3:GetObject", "Resource": f"{POINT}/object/b/*"}], []),
        ([{"Action": "s3:*", "Resource": "*"}], [{**TO_ROLE, **READ}], [(("read",), "a/*")]),
        ([{"Action": "s3:GetObject", "Resource": f"{POINT[:-6]}*"}], [{**TO_ROLE, **READ}], [(("read",), "a/*")]),
        ([{"NotAction": "iam:*", "Resource": "*"}], [{**TO_ROLE, **READ}], [(("read",), "a/*")]),
        ([LIST], [{**TO_ROLE, **LIST}], [(("list",), "*")]),
        ([LIST, READ_ALL], [{**TO_ROLE, **LIST}, {**TO_ROLE, **READ_ALL}], [(("list", "read"), "*")]),
    ],
)
def test_from_another_account_role_and_access_point_must_both_allow(
    may: list[dict[str, Any]], given: list[dict[str, Any]], uses: Uses
) -> None:
    """Of two sets of keys for one verb the narrower counts, and what only one of the two documents gives does not."""
    role = a_role(trust=trusting(SCIENTIST), may=[allow(**one) for one in may])
    elsewhere = a_point(account=OWNER, name="elsewhere")
    found = told(role, elsewhere, a_point(*(allow(**one) for one in given)))
    keys = (f"access_point|{OWNER}|us-west-2||images", f"role|{HUB}|||data")
    through = (role_arn("data"), POINT)
    assert [one for one in found if one[2] == BUCKET and one[0] == SCIENTIST] == [
        (SCIENTIST, verbs, BUCKET, what, through, keys) for verbs, what in uses
    ]


def test_within_an_account_role_and_access_point_add_up() -> None:
    """In the account of the data, a role reaches what either document gives it (IAM user guide, policy evaluation)."""
    role = a_role(account=OWNER, trust=trusting(SCIENTIST), may=[allow(**READ)])
    named = {"Principal": {"AWS": role_arn("data", OWNER)}}
    point = a_point(allow(**named, Action="s3:PutObject", Resource=f"{POINT}/object/b/*"))
    assert [(one[1], one[3]) for one in told(role, point)] == [(("read",), "a/*"), (("write",), "b/*")]
    assert [(one[1], one[3]) for one in told(role, a_point())] == [(("read",), "a/*")]


@pytest.mark.parametrize(
    ("statement", "uses"),
    [
        ({"Action": ["s3:GetObject"], "Resource": f"{BUCKET}/a/*"}, [(("read",), "a/*")]),
        ({"Action": ["S3:getobject"], "Resource": f"{BUCKET}/a/*"}, [(("read", "S3:getobject"), "a/*")]),
        ({"Action": ["s3:DeleteObject"], "Resource": f"{BUCKET}/a/*"}, [(("write",), "a/*")]),
        ({"Action": ["s3:ListBucket"], "Resource": BUCKET}, [(("list",), "*")]),
        ({"Action": ["s3:ListBucket"], "Resource": f"{BUCKET}/a/*"}, []),
        (
            {
                "Action": ["s3:ListBucket"],
                "Resource": BUCKET,
                "Condition": {"StringLike": {"s3:prefix": ["a/*", "a/", "b/"]}},
            },
            [(("list",), "a/*"), (("list",), "b/*")],
        ),
        (
            {
                "Action": ["s3:ListBucket"],
                "Resource": BUCKET,
                "Condition": {"StringLike": {"s3:prefix": ["${aws:PrincipalTag/team}/*"]}},
            },
            [(("list",), "*/*")],
        ),
        (
            {"Action": ["s3:ListBucket"], "Resource": BUCKET, "Condition": {"StringEquals": {"s3:prefix": ["", "a"]}}},
            [(("list",), "*")],
        ),
        ({"Action": ["s3:GetObject"], "Resource": f"{BUCKET}/${{aws:PrincipalTag/team}}/*"}, [(("read",), "*/*")]),
        ({"Action": ["s3:GetObjectTagging"], "Resource": f"{BUCKET}/a/*"}, [(("s3:GetObjectTagging",), "a/*")]),
        ({"Action": ["s3:PutBucketPolicy"], "Resource": BUCKET}, [(("s3:PutBucketPolicy",), "*")]),
        ({"Action": ["iam:PassRole"], "Resource": BUCKET}, []),
        ({"Action": ["s3:Get*"], "Resource": f"{BUCKET}/a/*"}, [(("read", "s3:Get*"), "a/*")]),
        (
            {"Action": ["s3:*"], "Resource": [BUCKET, f"{BUCKET}/*"]},
            [(("list", "read", "write", "s3:*"), "*")],
        ),
        ({"Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::other/a/*"}, []),
        ({"Action": ["s3:GetObject"], "Resource": [f"{BUCKET}/a/*", "arn:aws:s3:::other/*"]}, [(("read",), "a/*")]),
        ({"Action": ["s3:GetObject"], "Resource": BUCKET}, []),
    ],
)
def test_a_role_reaches_the_buckets_that_its_policies_name(statement: dict[str, Any], uses: Uses) -> None:
    """List, read and write with their keys, and each other action on S3 by its name; other services' are none of a bucket."""
    role = a_role(trust=trusting(SCIENTIST), may=[allow(**statement)])
    expected = [(SCIENTIST, verbs, BUCKET, what, (role_arn("data"),), (f"role|{HUB}|||data",)) for verbs, what in uses]
    assert [one for one in told(role) if one[2] == BUCKET] == expected


@pytest.mark.parametrize(
    ("statement", "actions", "resources"),
    [
        ({"Action": ["sts:AssumeRole"], "Resource": SCIENTIST}, ("sts:AssumeRole",), [SCIENTIST]),
        ({"Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "*"}, ("s3:GetObject", "s3:ListBucket"), ["*"]),
        ({"NotAction": ["iam:*"], "Resource": "*"}, ("*",), ["*"]),
        ({"Action": ["s3:*"], "NotResource": BUCKET}, ("s3:*",), ["*"]),
        ({"Action": ["s3:*"], "Resource": f"{BUCKET}*/x"}, ("s3:*",), [f"{BUCKET}*/x"]),
        ({"Action": ["s3:*"], "Resource": f"{BUCKET}?"}, ("s3:*",), [f"{BUCKET}?"]),
        ({"Action": ["s3:*"], "Resource": f"{POINT}/object/*"}, (), []),
        ({"Action": ["s3:*"], "Resource": f"{BUCKET}/a/*"}, (), []),
        ({"Action": ["s3:*"], "Resource": f"{POINT}-2/object/*"}, ("s3:*",), [f"{POINT}-2/object/*"]),
    ],
)
def test_whatever_else_a_role_may_is_told_as_its_policy_says_it(
    statement: dict[str, Any], actions: tuple[str, ...], resources: list[str]
) -> None:
    """What is about neither a known access point nor one bucket counts by the policy alone."""
    role = a_role(trust=trusting(SCIENTIST), may=[allow(**statement)])
    expected = [(SCIENTIST, actions, "", one, (role_arn("data"),), (f"role|{HUB}|||data",)) for one in resources]
    found = told(role, known=[Key(Kind.ACCESS_POINT, OWNER, "us-west-2", "", "images"), role.key])
    assert [one for one in found if one[2] != BUCKET] == expected


# ---- what others are given ------------------------------------------------------------------------------------


def test_an_access_point_gives_to_principals_that_are_no_role_of_the_teams() -> None:
    """Whom it names beside the team's roles is told by itself; a role that is there or shall be counts by its own policies."""
    stranger = "arn:aws:iam::999999999999:role/Stranger"
    point = a_point(
        allow(Principal={"AWS": stranger}, **LIST),
        allow(Principal={"AWS": stranger}, Action="s3:*", Resource=f"{POINT}/object/a/*"),
        allow(Principal={"AWS": [role_arn("data"), role_arn("next")]}, **READ),
    )
    keys = (f"access_point|{OWNER}|us-west-2||images",)
    role_to_be = Key(Kind.ROLE, HUB, "", "", "next")
    assert told(a_role(), point, known=[role_to_be]) == [
        (stranger, ("list",), BUCKET, "*", (POINT,), keys),
        (stranger, ("read", "write", "s3:*"), BUCKET, "a/*", (POINT,), keys),
    ]
    assert [one[0] for one in told(a_role(), point)] == [role_arn("next"), stranger, stranger]


RULES = (
    KubernetesRule(("",), ("pods", "pods/log"), ("get", "list")),
    KubernetesRule(("",), ("configmaps",), ("get",), ("one", "two")),
    KubernetesRule((), (), ("get",), non_resource_urls=("/healthz",)),
)
TOLD_RULES = (
    "get /healthz",
    "get configmaps named one, two",
    "get pods",
    "get pods/log",
    "list pods",
    "list pods/log",
)


@pytest.mark.parametrize(
    ("role", "rules", "may", "by_role"),
    [
        ("Role ops", RULES, TOLD_RULES, True),
        ("Role ops", (), None, True),
        ("Role ops team", RULES, TOLD_RULES, True),
        ("Role other", RULES, ("whatever Role other allows",), False),
        ("ClusterRole admin", RULES, ("whatever ClusterRole admin allows",), False),
        ("ClusterRole ops", RULES, ("whatever ClusterRole ops allows",), False),
    ],
)
def test_a_binding_gives_its_subjects_what_its_role_says(
    role: str, rules: tuple[KubernetesRule, ...], may: tuple[str, ...] | None, by_role: bool
) -> None:
    """By a Role of the team's a verb on a resource each; of any other role only that it allows something is known."""
    place = (HUB, "us-west-2", "hp")
    binding = KubernetesRoleBinding(
        key=Key(Kind.KUBERNETES_ROLE_BINDING, *place, "hyperpod-ns-vision/ops"),
        role=role,
        subjects=frozenset({"Group podshare:vision:ops", "User eve"}),
    )
    name = role.removeprefix("Role ") if by_role else "ops"
    own = KubernetesRole(key=Key(Kind.KUBERNETES_ROLE, *place, f"hyperpod-ns-vision/{name}"), rules=rules)
    keys = (str(binding.key), *([str(own.key)] if by_role else []))
    expected = [(who, may, CLUSTER, "hyperpod-ns-vision", (), keys) for who in ("User eve", "podshare:vision:ops")]
    assert told(binding, own) == (expected if may else [])


@pytest.mark.parametrize(
    ("read", "write", "may"),
    [(True, True, ("list", "read", "write")), (True, False, ("list", "read")), (False, True, ("write",)), (False, False, ())],
)  # fmt: skip
def test_a_file_systems_role_may_in_a_bucket_what_it_is_delegated(
    read: bool, write: bool, may: tuple[str, ...]
) -> None:
    """A bucket admits the service-linked role of one file system to read, to write, or to both; one that was cut to nothing."""
    key = Key(Kind.FILE_SYSTEM_DELEGATION, OWNER, "us-west-2", "images", "fs-1/a")
    given = FileSystemDelegation(key=key, account=HUB, file_system="fs-1", prefix="a/", read=read, write=write)
    path = "aws-service-role/s3.data-source.lustre.fsx.amazonaws.com/AWSServiceRoleForFSxS3Access_fs-1"
    expected = [(f"arn:aws:iam::{HUB}:role/{path}", may, BUCKET, "a/*", (), (str(key),))]
    assert told(given) == (expected if may else [])


def a_volume(*options: str, mount: str = "abcdefgh/hyperpod-ns-vision") -> PersistentVolume:
    attributes = {"mountname": mount, "dnsname": "fs-1.fsx.us-west-2.amazonaws.com"}
    spec = {
        "claimRef": {"namespace": "hyperpod-ns-vision", "name": "images"},
        "csi": {"volumeAttributes": attributes},
        "mountOptions": [*options],
    }
    return PersistentVolume(key=Key(Kind.PERSISTENT_VOLUME, HUB, "us-west-2", "hp", "v"), spec=spec, capacity_gib=1200)


def a_link(directory: str, *exports: str, file_system: str = "fs-1") -> DataRepositoryAssociation:
    return DataRepositoryAssociation(
        key=Key(Kind.DATA_REPOSITORY_ASSOCIATION, HUB, "us-west-2", file_system, directory),
        repository="s3://images/a/",
        imports=frozenset({"NEW"}),
        exports=frozenset(exports),
    )


@pytest.mark.parametrize(
    ("volume", "link", "in_directory", "in_data"),
    [
        (a_volume(), a_link("/hyperpod-ns-vision/a/", "NEW"), ("list", "read", "write"), ("list", "read", "write")),
        (a_volume(), a_link("/hyperpod-ns-vision/a/"), ("list", "read", "write"), ("list", "read")),
        (a_volume("ro"), a_link("/hyperpod-ns-vision/a/", "NEW"), ("list", "read"), ("list", "read")),
        (a_volume(), a_link("/hyperpod-ns-language/a/", "NEW"), ("list", "read", "write"), None),
        (a_volume(), a_link("/hyperpod-ns-vision/a/", file_system="fs-2"), ("list", "read", "write"), None),
        (a_volume(mount="abcdefgh"), a_link("/hyperpod-ns-language/a/"), ("list", "read", "write"), ("list", "read")),
    ],
)
def test_pods_reach_a_directory_that_they_mount_and_the_data_that_is_linked_to_it(
    volume: PersistentVolume,
    link: DataRepositoryAssociation,
    in_directory: tuple[str, ...],
    in_data: tuple[str, ...] | None,
) -> None:
    """All pods of the claim's namespace, read-only where it is mounted so, and to the bucket only where the link exports."""
    who, system = "system:serviceaccount:hyperpod-ns-vision:*", f"arn:aws:fsx:us-west-2:{HUB}:file-system/fs-1"
    directory = "/*" if volume.mounts == "/" else "/hyperpod-ns-vision/*"
    own = (who, in_directory, system, directory, (), (str(volume.key),))
    data = (who, in_data, BUCKET, "a/*", (system,), (str(volume.key), str(link.key)))
    assert sorted(told(volume, link)) == sorted([own, *([data] if in_data else [])])

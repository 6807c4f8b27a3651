"""Which doors no record grants, by the effective access of what is desired and by who may span a cluster."""

import dataclasses

import pytest

from podshare.access.doors import (
    Administrators,
    Door,
    is_stranger,
    kept_at_first,
    namespace_of_controller,
    principal_of,
    spans_as_stranger,
    unexpected,
)
from podshare.access.effective_access import ANYBODY, Access
from podshare.kinds.subjects import service_accounts_in, team_of

CLUSTER = "arn:aws:eks:us-west-2:111111111111:cluster/hyperpod-eks"
ROLE = "arn:aws:iam::111111111111:role/podshare/podshare-vision-0123abcd"
SCIENTIST = "arn:aws:iam::222222222222:role/podshare/podshare-vision-scientist"
NOBODY = Administrators()
GRANTED = [Access(SCIENTIST, ("AmazonEKSEditPolicy",), CLUSTER, "hyperpod-ns-vision", through=(ROLE,))]
DOOR = Door(
    kind="access entry",
    account="111111111111",
    region="us-west-2",
    container="hyperpod-eks",
    principal="arn:aws:iam::111111111111:user/eve",
    gives=("AmazonEKSEditPolicy",),
    where=CLUSTER,
    what="hyperpod-ns-vision",
    written_at="arn:aws:iam::111111111111:user/eve",
    closed_by="aws eks delete-access-entry …",
)


def test_what_no_record_grants_is_unexpected() -> None:
    """A principal that nothing desired lets in is unexpected, and told with account, place, door and command."""
    found = unexpected(DOOR, GRANTED, NOBODY)
    assert found == DOOR
    told = found.violation()["found"]
    assert all(part in told for part in ("account 111111111111", "user/eve", "hyperpod-ns-vision", CLUSTER, "Close it"))
    assert Door.of_dict(found.as_dict()) == found


@pytest.mark.parametrize("principal", [ROLE, SCIENTIST])
def test_what_is_desired_is_granted(principal: str) -> None:
    """A role of the team's, and who is in it, may have what the desired entry gives, and no more and nowhere else."""
    door = dataclasses.replace(DOOR, principal=principal)
    assert unexpected(door, GRANTED, NOBODY) is None
    for more in ({"gives": ("AmazonEKSAdminPolicy",)}, {"what": ANYBODY}, {"where": f"{CLUSTER}-2"}):
        wider = dataclasses.replace(door, **more)  # type: ignore[arg-type]  # each is the field's type
        assert unexpected(wider, GRANTED, NOBODY) == wider


def test_an_administrator_is_expected_for_the_whole_cluster_alone() -> None:
    """Who may span the cluster is no reason for a scope that names the team's namespace."""
    wide, administrators = dataclasses.replace(DOOR, what=ANYBODY), Administrators([DOOR.principal])
    assert unexpected(wide, GRANTED, administrators) is None
    assert unexpected(DOOR, GRANTED, administrators) == DOOR


def bound(who: str, role: str, *behind: str) -> Door:
    """A binding in the whole cluster."""
    kind = {"kind": "cluster role binding", "written_at": role, "what": ANYBODY, "behind": behind}
    return dataclasses.replace(DOOR, principal=who, gives=(f"ClusterRole {role}",), **kind)  # type: ignore[arg-type]


def entered(who: str, policy: str, *behind: str) -> Door:
    """An access entry for the whole cluster."""
    return dataclasses.replace(DOOR, principal=who, gives=(policy,), what=ANYBODY, behind=behind)


@pytest.mark.parametrize(
    ("door", "strange"),
    [
        (entered("arn:viewer", "AmazonEKSViewPolicy"), None),
        (entered("arn:viewer", "AmazonEKSAdminPolicy"), ()),
        (entered("arn:viewer", "AmazonEKSViewPolicy", "arn:aws:iam::222222222222:root"), None),
        (entered("arn:root", "AmazonEKSAdminPolicy"), None),
        (bound("ops", "edit", "arn:ada (arn:b may assume it)"), None),
        (bound("ops", "edit", "arn:ada", "arn:root (by ConfigMap aws-auth)"), None),
        (bound("ops", "edit", "arn:ada", "arn:eve (arn:b may assume it)"), ("arn:eve (arn:b may assume it)",)),
        (bound("ops", "edit", "every principal of account 1"), ("every principal of account 1",)),
        (bound("ops", "admin", "arn:ada"), ("arn:ada",)),
        (bound("Group arn:root", "admin"), ()),
        (bound("devs", "edit"), ()),
    ],
)
def test_whoever_was_there_first_has_no_more_than_then(door: Door, strange: tuple[str, ...] | None) -> None:
    """A principal has what it had, a group or user name lets in who had it, and who could do everything still can."""
    first = [
        entered("arn:viewer", "AmazonEKSViewPolicy"),
        entered("arn:root", "AmazonEKSClusterAdminPolicy"),
        bound("ops", "edit", "arn:ada (arn:b may assume it)"),
        DOOR,
    ]
    found = unexpected(door, (), Administrators((), kept_at_first(first)))
    assert (found and found.behind) == strange


@pytest.mark.parametrize(
    ("door", "strange"),
    [
        (bound("ops", "admin", "arn:ada", "arn:root"), None),
        (bound("ops", "admin", "arn:ada", "arn:eve"), ("arn:eve",)),
        (bound("devs", "view", "arn:ada"), ("arn:ada",)),
    ],
)
def test_a_name_in_the_record_lets_in_who_had_it_first(door: Door, strange: tuple[str, ...] | None) -> None:
    """A group that the record names counts for those behind it at the first reading, and those whom it names too."""
    first = [bound("ops", "edit", "arn:ada"), bound("devs", "view", "arn:ada")]
    found = unexpected(door, (), Administrators(("ops", "arn:root"), kept_at_first(first)))
    assert (found and found.behind) == strange


def test_a_group_is_nobody_elses_name() -> None:
    """A group whose name could be an ARN, or another subject's, is told as a group."""
    names = ("Group arn:aws:iam::111111111111:user/admin", "Group User eve", "Group a b", "User eve")
    assert [*map(principal_of, names)] == [*names]
    assert principal_of("Group platform-admins") == "platform-admins"


def test_bindings_in_a_namespace_name_the_teams_own() -> None:
    """The team's own groups and own service accounts are no strangers; a team whose name begins alike is one."""
    own = "podshare:vision:"
    for subject in ("Group podshare:vision:member", "ServiceAccount hyperpod-ns-vision/trainer"):
        assert not is_stranger(subject, "hyperpod-ns-vision", own)
    strangers = ("Group podshare:vision-labs:member", "ServiceAccount hyperpod-ns-vision-labs/trainer", "User eve")
    assert all(is_stranger(subject, "hyperpod-ns-vision", own) for subject in strangers)


def test_what_spans_a_cluster_is_told_by_its_subject() -> None:
    """Names that no access entry can have, and controllers, are the cluster's own.

    EKS user guide, "Create access entries"; Kubernetes, "Using RBAC Authorization".
    """
    own = ("User system:kube-scheduler", "Group eks:kube-proxy", "ServiceAccount kube-system/x", "Group podshare:read")
    assert not any(spans_as_stranger(subject, "view", "podshare") for subject in own)
    strangers = ("User eve", "Group podshare:vision:member", "ServiceAccount hyperpod-ns-vision/trainer")
    assert all(spans_as_stranger(subject, "view", "podshare") for subject in strangers)
    assert spans_as_stranger("Group system:authenticated", "view", "podshare")
    assert not spans_as_stranger("Group system:authenticated", "system:discovery", "podshare")
    assert spans_as_stranger("User podshare:read", "view", "podshare")


@pytest.mark.parametrize(
    "subject",
    [
        "ServiceAccount hyperpod-ns-language/default",
        "User system:serviceaccount:hyperpod-ns-language:default",
        "Group system:serviceaccounts:hyperpod-ns-language",
    ],
)
def test_pods_of_a_team_are_told_by_each_of_their_names(subject: str) -> None:
    """A service account is a user and in a group, by which a binding may know it; no reading makes it administrator."""
    assert spans_as_stranger(subject, "edit", "podshare")
    door = bound(principal_of(subject), "edit")
    assert unexpected(door, (), Administrators((), kept_at_first([door]))) == door


@pytest.mark.parametrize("who", ["system:authenticated", "system:serviceaccounts", "User system:anonymous"])
def test_everybody_is_no_administrator(who: str) -> None:
    """Who was there first does not include everybody, whom a record names with what they have alone."""
    door, named = (
        bound(who, "calico-tiered-policy-passthrough"),
        f"{who} has ClusterRole calico-tiered-policy-passthrough",
    )
    assert unexpected(door, (), Administrators((), kept_at_first([door]))) == door
    assert unexpected(door, (), Administrators([who])) == door
    assert unexpected(door, (), Administrators([named])) is None
    assert unexpected(bound(who, "edit"), (), Administrators([named])) is not None


def test_what_services_bring_is_expected() -> None:
    """SageMaker's user is its service-linked role's, whenever its charts are installed; whoever else gets it is not."""
    service = "User hyperpod-service-linked-role"
    assert unexpected(bound(service, "hyperpod-patching"), (), NOBODY) is None
    assert unexpected(bound(service, "hyperpod-patching", "arn:eve"), (), NOBODY) is not None
    authenticated = "Group system:authenticated"  # of clusters that had pod security policies
    assert not spans_as_stranger(authenticated, "eks:podsecuritypolicy:privileged", "podshare")


@pytest.mark.parametrize(
    ("subject", "namespace"),
    [
        ("ServiceAccount kube-system/job-controller", "kube-system"),
        ("User system:serviceaccount:kueue-system:manager", "kueue-system"),
        ("Group system:serviceaccounts:flux-system", "flux-system"),
        ("ServiceAccount hyperpod-ns-vision/trainer", ""),
        ("Group system:serviceaccounts", ""),
        ("User eve", ""),
    ],
)
def test_the_namespace_of_a_controller_is_told_by_each_of_its_names(subject: str, namespace: str) -> None:
    """Whoever acts as one of these service accounts is what a binding of the whole cluster makes it."""
    assert namespace_of_controller(subject, "edit") == namespace
    assert namespace_of_controller(subject, "system:service-account-issuer-discovery") == ""


@pytest.mark.parametrize(
    ("subject", "namespace"),
    [
        ("ServiceAccount hyperpod-ns-vision/trainer", "hyperpod-ns-vision"),
        ("User system:serviceaccount:kueue-system:manager", "kueue-system"),
        ("Group system:serviceaccounts:flux-system", "flux-system"),
        ("User system:serviceaccounts:flux-system", ""),
        ("Group system:serviceaccounts", ""),
        ("User eve", ""),
    ],
)
def test_service_accounts_are_named_alike_by_bindings_and_doors(subject: str, namespace: str) -> None:
    """A binding's subject and the principal of its door name the same service accounts, and the same team's pods."""
    for spelling in (subject, principal_of(subject)):
        assert service_accounts_in(spelling) == namespace
        assert team_of(spelling, "podshare") == ("vision" if namespace == "hyperpod-ns-vision" else "")
    group = "Group system:serviceaccounts:hyperpod-ns-vision"
    assert team_of(principal_of(group), "podshare") == team_of(group, "podshare") == "vision"


@pytest.mark.parametrize(
    ("subject", "team"),
    [
        ("Group podshare:vision:member", "vision"),
        ("Group podshare:vision-labs:", "vision-labs"),
        ("User arn:aws:sts::111111111111:assumed-role/podshare-vision-0123abcd/ada", "vision"),
        ("User arn:aws:sts::111111111111:assumed-role/podshare-vision-labs-0123abcd/ada", "vision-labs"),
        ("ServiceAccount hyperpod-ns-vision/trainer", "vision"),
        ("User system:serviceaccount:hyperpod-ns-vision:trainer", "vision"),
        ("Group system:serviceaccounts:hyperpod-ns-vision", "vision"),
        ("Group podshare:read", ""),
        ("Group friends:podshare:vision:member", ""),
        ("User podshare:vision:member", ""),
        ("User arn:aws:sts::111111111111:assumed-role/podshare-vision-0123abcd", ""),
        ("User arn:aws:sts::111111111111:assumed-role/podshare-vision-admin/ada", ""),
        ("User arn:aws:iam::111111111111:user/podshare-vision-0123abcd/ada", ""),
        ("ServiceAccount kube-system/hyperpod-ns-vision", ""),
        ("User system:serviceaccount:kube-system:x", ""),
        ("Group system:serviceaccounts", ""),
    ],
)
def test_a_subject_names_the_team_that_it_is_given_for(subject: str, team: str) -> None:
    """Groups and sessions that podshare gives, and service accounts of a team's namespace, are that team's alone."""
    assert team_of(subject, "podshare") == team

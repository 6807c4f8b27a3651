"""Who gains and loses what by a plan, from what is desired and what is there."""

from dataclasses import replace
from typing import Any

from podshare.kinds.access_entry.shape import AccessEntry
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.desired import desired
from podshare.kinds.observation import Foreign, Observation, Unreadable
from podshare.policy import policies
from podshare.reconcile.access_changes import AccessChanges, access_changes
from podshare.registry.records import Team
from tests.builders import CLUSTER, INSTALLATION, a_dataset, a_team

Row = dict[str, Any]
PROJECT = {"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read_write"}]}
SUBSET = {"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read", "prefix": "imagenet/train/"}]}


def wanted(team: Team | None) -> dict[Key, Resource]:
    return desired(team, [CLUSTER], {"imagenet": a_dataset()}, {}, INSTALLATION) if team else {}


def changes(after: Team | None, before: Team | None = None) -> AccessChanges:
    return changes_of(wanted(after), {**wanted(before)})


def changes_of(want: dict[Key, Resource], there: dict[Key, Observation]) -> AccessChanges:
    names = {CLUSTER.eks_arn(INSTALLATION): "main"}
    return access_changes(want, there, {"imagenet": a_dataset()}, names, INSTALLATION)


def person(account: str, *may: str, who: str = "role podshare-vision-scientist") -> Row:
    place = {"where": "main", "within": "hyperpod-ns-vision"}
    return {"of": "cluster", "account": account, "who": who, **place, "may": [*may], "keeps": []}


def data(within: str, *may: str, keeps: tuple[str, ...] = (), where: str = "imagenet") -> Row:
    subject = {"of": "data", "account": "", "who": "service account trainer", "where": where}
    return {**subject, "within": within, "may": [*may], "keeps": [*keeps]}


def test_a_new_team_gains_its_cluster_its_data_and_its_quota() -> None:
    """People are named by account and role, data by dataset and prefix, quota lines as the record has them."""
    changed = changes(a_team())
    assert changed.gains == [
        person("222222222222", "training"),
        person("444444444444", "training"),
        data("imagenet/*", "list", "read"),
    ]
    assert changed.revocations == []
    assert changed.quotas == [
        {"cluster": "main", "instance_type": "ml.p5.48xlarge", "before": None, "after": {"count": 2}}
    ]


def test_a_deleted_team_loses_everything_that_it_gained() -> None:
    """What is revoked is told as what was given was."""
    gone, new = changes(None, a_team()), changes(a_team())
    assert (gone.gains, gone.revocations) == ([], new.gains)
    assert gone.quotas[0]["after"] is None


def test_nothing_changes_for_a_team_that_is_as_it_should_be() -> None:
    """What is there is no gain, and neither is what is only spelled in another way."""
    assert changes(a_team(), a_team()) == AccessChanges([], [], [])
    assert changes(a_team(owner="sam@example.com"), a_team()).as_dict() == {
        "gains": [],
        "revocations": [],
        "quotas": [],
    }


def test_only_the_member_who_leaves_loses_access() -> None:
    """Nobody else's access is named."""
    changed = changes(a_team(members=[{"account": "222222222222"}]), a_team())
    assert (changed.gains, changed.revocations) == ([], [person("444444444444", "training")])


def test_another_level_of_access_is_gained_and_the_former_lost() -> None:
    """The levels are those of records, not the names of EKS' policies."""
    changed = changes(a_team(access="admin"), a_team())
    assert changed.gains == [person(account, "admin") for account in ("222222222222", "444444444444")]
    assert changed.revocations == [person(account, "training") for account in ("222222222222", "444444444444")]


def test_a_restricted_prefix_is_lost_and_what_is_kept_of_it_named() -> None:
    """What lies in what is lost and stays is no gain; writing, which is new, is one."""
    restricted = changes(a_team(service_accounts=[SUBSET]), a_team())
    assert restricted.gains == []
    assert restricted.revocations == [data("imagenet/*", "list", "read", keeps=("imagenet/train/*",))]
    assert changes(a_team(service_accounts=[PROJECT]), a_team()).gains == [data("imagenet/*", "write")]


def test_a_permission_set_is_called_by_its_name() -> None:
    """The role that IAM Identity Center makes of it has a random end, and two possible paths."""
    members = [{"account": "222222222222", "permission_set": "DataScientist"}]
    assert changes(a_team(members=members)).gains[0] == person(
        "222222222222", "training", who="permission set DataScientist"
    )


def test_a_group_of_kubernetes_is_gained_with_the_membership() -> None:
    """A preset gives its members a group, and the group its verbs; both are named."""
    changed = changes(a_team(rbac="debug"), a_team())
    assert {row["who"] for row in changed.gains} == {
        "role podshare-vision-scientist",
        "Kubernetes group podshare:vision:debug",
    }
    assert {verb for row in changed.gains for verb in row["may"]} >= {
        "Kubernetes group podshare:vision:debug",
        "create pods/exec",
    }


def test_what_was_tampered_with_is_lost_when_it_is_repaired() -> None:
    """An entry that somebody widened gives more than any record says; its repair revokes just that."""
    want = wanted(a_team())
    there: dict[Key, Observation] = {**want}
    key, entry = next((key, entry) for key, entry in want.items() if isinstance(entry, AccessEntry))
    admin = {"arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy": ()}
    there[key] = replace(entry, policies={**entry.policies, **admin})
    changed = changes_of(want, there)
    assert changed.gains == []
    assert [(row["may"], row["within"]) for row in changed.revocations] == [(["AmazonEKSClusterAdminPolicy"], "*")]


def test_a_public_access_point_is_lost_by_anybody() -> None:
    """What somebody opened to everybody is named as that, and not as one of podshare's own roles."""
    want = wanted(a_team())
    there: dict[Key, Observation] = {**want}
    key, point = next((key, point) for key, point in want.items() if isinstance(point, AccessPoint))
    arn = f"arn:aws:s3:us-west-2:333333333333:accesspoint/{key.name}"
    public = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{arn}/object/*"}
    there[key] = replace(point, policy=policies.document(*policies.statements(point.policy), public))
    assert ("anybody", "imagenet", "*", ["read"]) in [
        (row["who"], row["where"], row["within"], row["may"]) for row in changes_of(want, there).revocations
    ]


def test_what_was_not_read_or_is_anothers_is_no_news() -> None:
    """Nobody gains what may be there already, and nobody loses what nobody knows."""
    want = wanted(a_team())
    there: dict[Key, Observation] = {**want}
    entries = [key for key in want if key.kind is Kind.ACCESS_ENTRY]
    there |= {entries[0]: Unreadable(entries[0], "denied"), entries[1]: Foreign(entries[1], "another's")}
    assert changes_of(want, there).gains == []


def test_a_quota_has_its_line_before_and_after() -> None:
    """Each instance type is a line, also where only a part of it changes."""
    quota = {
        "resources": [
            {"instance_type": "ml.p5.48xlarge", "count": 4},
            {"instance_type": "ml.g5.12xlarge", "accelerators": 2, "vcpu": 8},
        ]
    }
    assert changes(a_team(quota=quota), a_team()).quotas == [
        {
            "cluster": "main",
            "instance_type": "ml.g5.12xlarge",
            "before": None,
            "after": {"accelerators": 2, "vcpu": 8},
        },
        {"cluster": "main", "instance_type": "ml.p5.48xlarge", "before": {"count": 2}, "after": {"count": 4}},
    ]

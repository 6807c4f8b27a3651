"""What somebody else does meanwhile: an administrator of an account or a cluster, a member, a tool that rewrites labels."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from podshare.kinds.base import Key
from podshare_sandbox.services import kubernetes
from tests.scenarios.marks import OBJECTS, TAGGED, Change, Tags, relabel, retag
from tests.scenarios.world import DATA, EKS_ARN, HUB, MANAGEMENT, REGION, SCANS, TEXT, World
from tests.simulation import trials
from tests.simulation.reality import CLUSTERS

RBAC = "rbac.authorization.k8s.io"
GUESTS = "beta"  # the team whose people try the doors that are opened in a cluster


def _lost(_: Tags) -> Tags:
    return {}


def _changed(tags: Tags) -> Tags:
    """As if it all were the other team's."""
    others = {"alpha": "beta", "beta": "alpha"}
    return {name: others.get(value, value) for name, value in tags.items()}


def _as_helm_does(labels: Tags) -> Tags:
    return {**labels, "app.kubernetes.io/managed-by": "Helm"}


def make_team(world: World, team: str) -> None:
    """Let an admin of the first cluster make a HyperPod team that podshare knows nothing of."""
    sagemaker = world.sandbox.client("sagemaker")
    sagemaker.create_compute_quota(
        Name="by-hand",
        ClusterArn=sagemaker.describe_cluster(ClusterName="hyperpod")["ClusterArn"],
        ComputeQuotaConfig={"ComputeQuotaResources": [{"InstanceType": "ml.g5.12xlarge", "Count": 1}]},
        ComputeQuotaTarget={"TeamName": team},
    )
    world.sandbox.settle()


# ---- doors for others, which an admin closes once they are told ------------------------------------------------


@dataclass(frozen=True)
class Opened:
    """A door that somebody has opened for others: its key, the words that tell of it, and how an admin closes it.

    ``lets_in`` tells whether others get in, by trying; ``is_open`` whether they would, since podshare may have closed it.
    """

    key: str
    what: str
    told: str
    lets_in: Callable[[], bool]
    close: Callable[[], object]
    is_open: Callable[[], bool] = lambda: True


def bind(world: World) -> Opened:
    """Let an admin of the first cluster bind everybody in the namespace of team alpha."""
    return _bound(world, "everybody", "system:authenticated")


def bind_members(world: World) -> Opened:
    """Let an admin bind the other team's members, some of whom have been members of team alpha too."""
    return _bound(world, "friends", "podshare:beta:friends")


def _bound(world: World, name: str, group: str) -> Opened:
    api, namespace = kubernetes.api_of(EKS_ARN), "hyperpod-ns-alpha"
    api.apply(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"},
            "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": group}],
        }
    )
    return Opened(
        key=f"kubernetes_role_binding|{HUB}|{REGION}|hyperpod-eks|{namespace}/{name}",
        what=f"group {group} is let in",
        told=f"kubectl delete rolebinding {name}",
        lets_in=lambda: any(GUESTS in role and team == "alpha" for _, role, team, _ in trials.people(world)),
        close=lambda: api.delete("RoleBinding", namespace, name),
        is_open=lambda: bool((api.get("RoleBinding", namespace, name) or {}).get("subjects")),
    )


def publish(world: World) -> Opened:
    """Let the owner of team alpha's data let everybody read one of its buckets."""
    s3 = world.sandbox.client("s3", DATA)
    s3.delete_public_access_block(Bucket=TEXT)
    told = f"the policy of bucket {TEXT} is public"
    opened = _shared(world, "Everybody", "everybody reads its data", told, Principal="*")

    def close() -> None:
        opened.close()
        blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        s3.put_public_access_block(Bucket=TEXT, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True))

    return replace(opened, close=close)


def share(world: World) -> Opened:
    """Let the owner of team alpha's data let an account without any record read one of its buckets."""
    return _shared_with_partner(world, "Partner")


def share_by_pattern(world: World) -> Opened:
    """The same, by a condition whose pattern names the account and is of none: its ``*`` may stand for colons."""
    pattern = {"StringLike": {"aws:PrincipalArn": f"arn:aws:iam::{MANAGEMENT}*"}}
    return _shared_with_partner(world, "PartnersPeople", Condition=pattern)


def share_what_target_roles_reach(world: World) -> Opened:
    """The same of a bucket that pods of team alpha use by a role in the account of its owner.

    Its objects are encrypted by a key that is not shared, so that the account sees their names alone.
    """
    listing = {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{SCANS}"}
    opened = _shared_with_partner(world, "PartnersReports", SCANS, **listing)
    return replace(opened, lets_in=lambda: trials.lists(world, MANAGEMENT, SCANS))


def _shared_with_partner(world: World, sid: str, bucket: str = TEXT, **elements: Any) -> Opened:
    root = f"arn:aws:iam::{MANAGEMENT}:root"
    what = f"account {MANAGEMENT} reads its data in {bucket} by statement {sid}"
    return _shared(world, sid, what, root, bucket=bucket, Principal={"AWS": root}, **elements)


def _shared(world: World, sid: str, what: str, told: str, *, bucket: str = TEXT, **elements: Any) -> Opened:
    """Let the principals of ``elements`` read a bucket by a statement of that Sid."""
    allow = {"Sid": sid, "Effect": "Allow", "Action": "s3:GetObject"}
    added = {**allow, "Resource": f"arn:aws:s3:::{bucket}/*", **elements}
    _put_statements(world, bucket, [*world.bucket_statements(bucket), added])

    def close() -> None:
        kept = [one for one in world.bucket_statements(bucket) if one.get("Sid") != sid]
        _put_statements(world, bucket, kept)

    return Opened(
        key=f"statement|{DATA}|{REGION}|{bucket}|{sid}",
        what=what,
        told=told,
        lets_in=lambda: bool(trials.outsiders(world)),
        close=close,
    )


def _put_statements(world: World, bucket: str, statements: list[Any]) -> None:
    s3 = world.sandbox.client("s3", DATA)
    if statements:
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    else:
        s3.delete_bucket_policy(Bucket=bucket)


# ---- work that a team leaves in its namespace ------------------------------------------------------------------

_POD = {
    "spec": {"restartPolicy": "Never", "serviceAccountName": "trainer", "containers": [{"name": "x", "image": "x"}]}
}
_WORK = {
    "CronJob": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": _POD}}},
    "Job": {"suspend": True, "template": _POD},
}
_NAME = "left"


def leave_work(teams: Iterable[str]) -> None:
    """Let members leave what would run as the next team of their name, wherever they have a namespace."""
    for cluster, team in ((cluster, team) for team in teams for cluster in CLUSTERS):
        api, namespace = kubernetes.api_of(cluster), f"hyperpod-ns-{team}"
        for kind, spec in _WORK.items() if api.get("Namespace", None, namespace) else ():
            metadata = {"name": _NAME, "namespace": namespace}
            api.apply({"apiVersion": "batch/v1", "kind": kind, "metadata": metadata, "spec": spec})


def work_left(team: str) -> list[str]:
    """What of it is there, on whichever cluster."""
    namespace = f"hyperpod-ns-{team}"
    found = [(cluster, kind) for cluster in CLUSTERS for kind in _WORK]
    return [f"{kind} of {cluster}" for cluster, kind in found if kubernetes.api_of(cluster).get(kind, namespace, _NAME)]


# ---- tags and labels -------------------------------------------------------------------------------------------

CHANGES: dict[str, Change] = {"lost": _lost, "changed": _changed}


def take_marks(world: World, keys: Iterable[str], change: str) -> None:
    """Change the tags of everything among ``keys`` that has some, and let Helm write its label on every object."""
    for key in (Key.parse(text) for text in sorted(keys) if text.partition("|")[0] in {*TAGGED, *OBJECTS}):
        if key.kind in TAGGED:
            retag(world, key, CHANGES[change])
        elif key.kind in OBJECTS:
            relabel(key, _as_helm_does)

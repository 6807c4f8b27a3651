"""What somebody else does to podshare's resources meanwhile: an account's administrator, or a tool that rewrites labels."""

from collections.abc import Iterable

from podshare.domain.kinds import Key
from podshare_sandbox.services import kubernetes
from tests.scenarios.marks import OBJECTS, TAGGED, Change, Tags, relabel, retag
from tests.scenarios.world import EKS_ARN, HUB, REGION, World

RBAC = "rbac.authorization.k8s.io"


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


CLOSED_BY = "kubectl delete rolebinding friends"


def bind(team: str) -> str:
    """Let an admin of the first cluster bind a group of team beta's in a team's namespace; the binding's key."""
    group = {"apiGroup": RBAC, "kind": "Group", "name": "podshare:beta:friends"}
    kubernetes.api_of(EKS_ARN).apply(
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "friends", "namespace": f"hyperpod-ns-{team}"},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"},
            "subjects": [group],
        }
    )
    return _binding(team)


def unbind(team: str) -> str:
    """Let the admin take the binding away; its key."""
    kubernetes.api_of(EKS_ARN).delete("RoleBinding", f"hyperpod-ns-{team}", "friends")
    return _binding(team)


def _binding(team: str) -> str:
    return f"kubernetes_role_binding|{HUB}|{REGION}|hyperpod-eks|hyperpod-ns-{team}/friends"


CHANGES: dict[str, Change] = {"lost": _lost, "changed": _changed}


def take_marks(world: World, keys: Iterable[str], change: str) -> None:
    """Change the tags of everything among ``keys`` that has some, and let Helm write its label on every object."""
    for key in (Key.parse(text) for text in sorted(keys) if text.partition("|")[0] in {*TAGGED, *OBJECTS}):
        if key.kind in TAGGED:
            retag(world, key, CHANGES[change])
        elif key.kind in OBJECTS:
            relabel(key, _as_helm_does)

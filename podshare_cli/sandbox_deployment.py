"""podshare's real stacks in a sandbox: the hub, every account's, and what a cluster needs."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from podshare_sandbox import Sandbox, concurrency, functions, organization, trail
from podshare_sandbox.cloudformation.template import SafeLoader
from podshare_sandbox.organization import HUB, HUB_REGION, MANAGEMENT
from podshare_sandbox.services import kubernetes

PROJECT = Path(__file__).resolve().parents[1]
# all of podshare but the handlers: it reads its environment when it is called, and not when it is imported
_IMPORTED_ONCE = "podshare.registry podshare.access podshare.policy podshare.kinds podshare.aws podshare.reconcile"
_SCIENCE = next(unit.id for unit in organization.UNITS if unit.name == "Science")


def deploy_podshare(
    sandbox: Sandbox, parameters: Mapping[str, Any] | None = None, *, with_drift: bool = False
) -> dict[str, str]:
    """Deploy podshare's stacks, hub first, and the cluster's RBAC; returns the hub stack's outputs.

    The scientists' accounts get theirs from the StackSet ``podshare-member``, now and when further ones come.
    ``parameters`` are the hub stack's, beside the organization's and its management account's id; a prefix
    goes to all stacks, the keys of tags to those of members. ``with_drift``: the stacks that inform the hub of
    calls too, and a trail, see ``Sandbox.start_trail``.
    """
    its_own = {
        "OrganizationId": organization.ORGANIZATION_ID,
        "ManagementAccountId": MANAGEMENT,
        "LambdaConcurrency": concurrency.limit(HUB, HUB_REGION),
    }
    hub_parameters: dict[str, Any] = {**its_own, **(parameters or {})}
    functions.preload(_IMPORTED_ONCE, PROJECT / "functions")
    outputs = sandbox.deploy(PROJECT / "template.yaml", HUB, HUB_REGION, "podshare", hub_parameters)
    for function in sandbox.client("lambda").list_functions()["Functions"]:
        functions.warm(function["FunctionArn"])  # on the core that the member stacks leave idle
    accounts = PROJECT / "accounts"
    shared: dict[str, Any] = {
        name: hub_parameters[name] for name in ("OrganizationId", "Prefix") if name in hub_parameters
    }
    shared["HubAccountId"] = HUB
    management = {**shared, "HubRegion": HUB_REGION}
    members = {**shared, "ResourceTagKeys": _keys(hub_parameters.get("ResourceTags", ""))}
    # where AWS Organizations reports its events
    sandbox.deploy(accounts / "management.yaml", MANAGEMENT, "us-east-1", "podshare-management", management)
    for account, own in _member_parameters(sandbox).items():
        sandbox.deploy(accounts / "member.yaml", account, HUB_REGION, "podshare-member", {**members, **own})
    sandbox.deploy_stack_set("podshare-member", accounts / "member.yaml", members, [_SCIENCE])
    _open_cluster(sandbox, organization.EKS_CLUSTER_ARN)
    if with_drift:
        _deploy_drift(sandbox, {name: value for name, value in management.items() if name != "OrganizationId"})
        sandbox.start_trail()
    return outputs


def _keys(tags: str) -> str:
    """The keys of tags, both as the stacks' parameters have them."""
    return ",".join(tag.partition("=")[0] for tag in tags.split(","))


def _deploy_drift(sandbox: Sandbox, parameters: Mapping[str, Any]) -> None:
    """Where IAM reports its calls in every account, where the cluster and the data are, and where people's are."""
    path = PROJECT / "accounts" / "drift.yaml"
    for account in (HUB, organization.DATA):
        for region in (HUB_REGION, trail.REGION_OF_IAM):
            sandbox.deploy(path, account, region, "podshare-drift", parameters)
    for account in organization.SCIENTISTS:
        sandbox.deploy(path, account, HUB_REGION, "podshare-drift-teams", parameters)
    sandbox.deploy_stack_set("podshare-drift", path, parameters, [_SCIENCE], trail.REGION_OF_IAM)


def _member_parameters(sandbox: Sandbox) -> dict[str, dict[str, str]]:
    """What the member stacks of the accounts that hold something get of their own."""
    hyperpod = sandbox.client("sagemaker").describe_cluster(ClusterName=organization.HYPERPOD_CLUSTER)
    cluster = {
        "EksClusterArns": organization.EKS_CLUSTER_ARN,
        "HyperPodClusterArns": hyperpod["ClusterArn"],
        "FileSystemArns": f"arn:aws:fsx:{HUB_REGION}:{HUB}:file-system/{organization.FILE_SYSTEM}",
    }
    data = {
        "BucketNames": ",".join(organization.OBJECTS),
        "KmsKeyArns": organization.SCANS_KEY,
        "TargetRoles": "true",
    }
    return {HUB: cluster, organization.DATA: data}


def add_cluster(sandbox: Sandbox, account: str, region: str, name: str, hyperpod: str) -> None:
    """Make a further cluster, and let podshare share it: the account's member stack, and what the cluster needs.

    Scientists' accounts may use it once its account is among ``ClusterAccountIds`` of their member stack.
    """
    eks_arn = f"arn:aws:eks:{region}:{account}:cluster/{name}"
    arns = (eks_arn, organization.create_cluster(sandbox.client, account, region, name, hyperpod))
    hub = sandbox.stack("podshare").parameters
    shared = {"OrganizationId": hub["OrganizationId"], "Prefix": hub["Prefix"], "HubAccountId": HUB}
    shared["ResourceTagKeys"] = _keys(hub["ResourceTags"])
    before = sandbox.stack("podshare-member", account).parameters
    listed = {
        parameter: ",".join(filter(None, (before.get(parameter, ""), arn)))
        for parameter, arn in zip(("EksClusterArns", "HyperPodClusterArns"), arns, strict=True)
    }
    template = PROJECT / "accounts" / "member.yaml"
    sandbox.deploy(template, account, HUB_REGION, "podshare-member", {**shared, **listed})
    _open_cluster(sandbox, eks_arn)


def _open_cluster(sandbox: Sandbox, cluster_arn: str) -> None:
    """Let podshare's own roles into a cluster, as its admin does: entries, and ``kubectl apply``.

    The prefix in the manifests is replaced as the file says.
    """
    prefix = sandbox.stack("podshare").parameters["Prefix"]
    region, account, cluster = cluster_arn.split(":", 5)[3:]
    name = cluster.removeprefix("cluster/")
    parameters = {"Prefix": prefix, "EksClusterName": name}
    sandbox.deploy(PROJECT / "accounts" / "cluster.yaml", account, region, f"podshare-cluster-{name}", parameters)
    api = kubernetes.api_of(cluster_arn)
    manifests = (PROJECT / "accounts" / "cluster-rbac.yaml").read_text(encoding="utf-8")
    for manifest in yaml.load_all(re.sub("podshare(?!/)", prefix, manifests), SafeLoader):
        api.apply(manifest)

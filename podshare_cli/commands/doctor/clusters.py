"""The clusters of the registry: whether each can be shared, and how much room it has.

Sources: EKS user guide, access entries, add-ons and quotas; SageMaker developer guide, HyperPod task governance.
"""

import re
from collections.abc import Iterator
from typing import Any

from podshare.kinds import limits
from podshare.kinds.access_entry import calls as access_entry
from podshare.kinds.access_entry.shape import NAMESPACE_POLICIES
from podshare.kinds.pod_identity_association import calls as pod_identity_association
from podshare.reconcile.preconditions import ADD_ONS
from podshare.registry.items import name_of
from podshare_cli.aws.accounts import Accounts
from podshare_cli.commands.doctor.findings import Finding, Place, existing

_OLDEST_KUBERNETES = (1, 30)  # that task governance runs on
_FIXED = "EKS fixes this number: use another cluster, or fewer members or service accounts"


def findings(accounts: Accounts, record: dict[str, Any]) -> Iterator[Finding]:
    """All checks of one cluster record."""
    account, region = str(record["account"]), str(record["region"])
    place = Place(f"cluster {name_of(record)}")
    if refusal := place.refusal(accounts, account):
        yield refusal
        return
    eks = accounts.client("eks", account, region)
    sagemaker = accounts.client("sagemaker", account, region)
    name = str(record["eks_cluster"])
    yield from place.made("HyperPod cluster", lambda: _hyperpod(place, sagemaker, record))
    yield from place.made("EKS cluster", lambda: _eks(place, eks, name))
    yield from place.made("add-ons", lambda: _add_ons(place, eks, name))
    yield from place.made("access policies", lambda: _access_policies(place, eks, region))
    yield from place.made("own entries", lambda: _own_entries(accounts, place, eks, account, name))
    yield from place.made("room", lambda: _room(place, eks, name))


def _hyperpod(place: Place, sagemaker: Any, record: dict[str, Any]) -> Iterator[Finding]:
    name = str(record["hyperpod_cluster"])
    cluster = existing(sagemaker.describe_cluster, ClusterName=name)
    if cluster is None:
        yield place.problem("HyperPod cluster", f"there is no HyperPod cluster {name}", "aws sagemaker list-clusters")
        return
    if cluster["ClusterStatus"] == "InService":
        yield place.ok("HyperPod cluster", f"{name} is InService")
    else:
        yield place.problem("HyperPod cluster", f"{name} is {cluster['ClusterStatus']}, not InService")
    arn = cluster.get("Orchestrator", {}).get("Eks", {}).get("ClusterArn", "")
    if not arn.endswith(f"cluster/{record['eks_cluster']}"):
        message = f"{name} runs on {arn or 'no EKS cluster'}, not on {record['eks_cluster']}"
        yield place.problem("HyperPod cluster", message, f"Correct eks_cluster in {record['id']}")
    sagemaker.list_compute_quotas(ClusterArn=cluster["ClusterArn"], MaxResults=1)
    yield place.ok("compute quotas", "task governance is available in this Region")


def _eks(place: Place, eks: Any, name: str) -> Iterator[Finding]:
    cluster = eks.describe_cluster(name=name)["cluster"]
    mode = cluster.get("accessConfig", {}).get("authenticationMode", "CONFIG_MAP")
    if mode == "CONFIG_MAP":
        remedy = (
            f"aws eks update-cluster-config --name {name} --access-config authenticationMode=API_AND_CONFIG_MAP "
            "(it cannot be undone)"
        )
        yield place.problem("authentication mode", "CONFIG_MAP does not support access entries", remedy)
    else:
        yield place.ok("authentication mode", mode)
    yield from _version(place, str(cluster.get("version", "")))
    network = cluster.get("resourcesVpcConfig", {})
    ranges = network.get("publicAccessCidrs", ["0.0.0.0/0"])
    if not network.get("endpointPublicAccess", True):
        message = "the endpoint is private: podshare's functions do not reach the Kubernetes API"
        yield place.warning("endpoint", message, "Set `kubernetes_api: false`, and see docs/operations.md")
    elif "0.0.0.0/0" not in ranges:
        message = f"the endpoint admits {', '.join(ranges)} only, and Lambda has no fixed addresses"
        yield place.warning("endpoint", message, "Set `kubernetes_api: false`, and see docs/operations.md")
    else:
        yield place.ok("endpoint", f"{cluster.get('endpoint', '')} is public")


def _version(place: Place, version: str) -> Iterator[Finding]:
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers >= _OLDEST_KUBERNETES:
        yield place.ok("Kubernetes version", version)
    else:
        message = f"Kubernetes {version or 'of unknown version'}: task governance needs 1.30 or newer"
        yield place.problem("Kubernetes version", message, "aws eks update-cluster-version")


def _add_ons(place: Place, eks: Any, name: str) -> Iterator[Finding]:
    for add_on in ADD_ONS:
        answer = existing(eks.describe_addon, clusterName=name, addonName=add_on)
        if answer is None:
            remedy = f"aws eks create-addon --cluster-name {name} --addon-name {add_on}"
            yield place.problem("add-ons", f"{add_on} is not installed", remedy)
            continue
        addon = answer["addon"]
        issues = "; ".join(issue.get("message", "") for issue in addon.get("health", {}).get("issues", []))
        if addon["status"] in ("ACTIVE", "UPDATING"):
            yield place.ok("add-ons", f"{add_on} {addon.get('addonVersion', '')} is {addon['status']}")
        else:
            remedy = f"aws eks describe-addon --cluster-name {name} --addon-name {add_on}"
            yield place.problem("add-ons", f"{add_on} is {addon['status']}. {issues}".strip(), remedy)


def _access_policies(place: Place, eks: Any, region: str) -> Iterator[Finding]:
    pages = eks.get_paginator("list_access_policies").paginate()
    offered = {policy["name"] for page in pages for policy in page["accessPolicies"]}
    missing = sorted({*NAMESPACE_POLICIES.values(), "AmazonSagemakerHyperpodUserClusterPolicy"} - offered)
    if missing:
        yield place.problem("access policies", f"EKS does not offer {', '.join(missing)} in {region}")
    else:
        yield place.ok("access policies", "EKS offers all access policies that records may name")


def _own_entries(accounts: Accounts, place: Place, eks: Any, account: str, name: str) -> Iterator[Finding]:
    for execution_role in ("kubernetes", "read"):
        arn = accounts.connection.installation.member_role_arn(account, execution_role)
        role = arn.rpartition("/")[2]
        if existing(eks.describe_access_entry, clusterName=name, principalArn=arn):
            yield place.ok("own entries", f"{role} has its access entry")
        else:
            remedy = f"aws cloudformation deploy --template-file accounts/cluster.yaml … EksClusterName={name}"
            yield place.problem("own entries", f"{role} has no access entry", remedy)


def _room(place: Place, eks: Any, name: str) -> Iterator[Finding]:
    present = len(access_entry.all_principals(eks, name))
    yield place.room("access entries", present, limits.ACCESS_ENTRIES, _FIXED)
    present = pod_identity_association.count(eks, name)
    yield place.room("pod identity associations", present, limits.POD_IDENTITY_ASSOCIATIONS, _FIXED)

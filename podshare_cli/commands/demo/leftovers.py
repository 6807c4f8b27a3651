"""What is left of a team, looked for in every account by its names, as somebody would who trusts no report."""

from collections.abc import Iterator
from typing import Any

from podshare.registry.items import namespace_of
from podshare_cli.commands.demo.attempts import Check, Question
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import (
    ACCOUNTS,
    DATA,
    EKS_CLUSTER,
    EKS_CLUSTER_ARN,
    HUB,
    IMAGES_BUCKET,
    PEOPLES_ROLES,
)
from podshare_sandbox.services import kubernetes


def leftovers_of(sandbox: Sandbox, team: str, prefix: str) -> Iterator[str]:
    """Everything of a team's that still exists, in words."""
    begins, namespace = f"{prefix}-{team}-", namespace_of(team)
    for account in ACCOUNTS:
        for role in _listed(sandbox.client("iam", account), "list_roles", "Roles", PathPrefix=f"/{prefix}/"):
            if role["RoleName"].startswith(begins):
                yield f"role {role['RoleName']} in {account}"
        published = f"/{prefix}/teams/{team}"
        if sandbox.client("ssm", account).get_parameters(Names=[published])["Parameters"]:
            yield f"SSM parameter {published} in {account}"
    eks = sandbox.client("eks", HUB)
    for arn in _listed(eks, "list_access_entries", "accessEntries", clusterName=EKS_CLUSTER):
        if f"/{begins}" in arn:
            yield f"access entry of {arn}"
    associations = _listed(
        eks, "list_pod_identity_associations", "associations", clusterName=EKS_CLUSTER, namespace=namespace
    )
    yield from (f"pod identity association of {association['serviceAccount']}" for association in associations)
    for quota in _listed(sandbox.client("sagemaker", HUB), "list_compute_quotas", "ComputeQuotaSummaries"):
        if quota["Name"] == f"{prefix}-{team}":
            yield f"compute quota {quota['Name']}"
    for point in _listed(sandbox.client("s3control", DATA), "list_access_points", "AccessPointList", AccountId=DATA):
        if point["Name"].startswith(begins):
            yield f"access point {point['Name']}"
    for service_account in kubernetes.api_of(EKS_CLUSTER_ARN).objects("ServiceAccount", namespace):
        if service_account["metadata"]["name"] != "default":  # Kubernetes makes that one in every namespace
            yield f"service account {service_account['metadata']['name']}"


def accounts_own(sandbox: Sandbox) -> Iterator[Check]:
    """That what belongs to the accounts themselves is as it was."""
    account, _, role = PEOPLES_ROLES[0]
    iam = sandbox.client("iam", account)
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    yield Check(
        Question.OTHERS_KEEP,
        f"the account's own role {role} stands, without podshare's policy",
        not attached,
        str(attached),
    )
    policy = sandbox.client("s3", DATA).get_bucket_policy(Bucket=IMAGES_BUCKET)["Policy"]
    claim = f"the owner's statement OwnersAudit in {IMAGES_BUCKET} stands"
    yield Check(Question.OTHERS_KEEP, claim, "OwnersAudit" in policy)


def _listed(client: Any, operation: str, member: str, **request: Any) -> Iterator[Any]:
    if not client.can_paginate(operation):
        yield from getattr(client, operation)(**request)[member]
        return
    for page in client.get_paginator(operation).paginate(**request):
        yield from page[member]

"""EKS Pod Identity: associations of service accounts with roles, and the credentials that pods get by them.

The control plane follows the EKS API reference (botocore's model). The data plane, which on AWS is the agent on
a node calling ``eks-auth:AssumeRoleForPodIdentity``, is :func:`credentials_of_pod`; its session tags and the
external id are those of the user guide's pages "Grant Pods access to AWS resources based on tags" and "Access
AWS resources using EKS Pod Identity Target IAM Roles".
"""

# operations take their parameters by AWS's names

import json
import re
import uuid
from dataclasses import dataclass, replace
from typing import Any

import boto3
from moto.eks.models import Cluster

from podshare_sandbox import authorization, clock, consistency
from podshare_sandbox.moto_extension import Caller
from podshare_sandbox.services import eks, kubernetes
from podshare_sandbox.services.eks import ClusterExtension, ClusterResource, error, operation

MAX_ASSOCIATIONS = 5000
AGENT_ADDON = "eks-pod-identity-agent"
SERVICE = "pods.eks.amazonaws.com"

_ROLE = re.compile(r"arn:aws[\w-]*:iam::(?P<account>\d{12}):role/.+")


class PodIdentityError(Exception):
    """A pod gets no credentials; the message says why, as the agent's log would."""


@dataclass(kw_only=True)
class Association(ClusterResource):
    """The role that the pods of one service account get."""

    cluster_arn: str
    id: str
    namespace: str
    service_account: str
    role_arn: str
    target_role_arn: str | None
    disable_session_tags: bool
    policy: str | None
    request: dict[str, Any]

    @property
    def subject(self) -> str:
        """Whose association it is."""
        return f"{self.namespace}/{self.service_account}"

    @property
    def cluster_name(self) -> str:
        """The cluster's name."""
        return self.cluster_arn.rpartition("/")[2]

    @property
    def external_id(self) -> str:
        """What a target role may require as ``sts:ExternalId``: Region, account, cluster, namespace, account."""
        _, _, _, region, account, _ = self.cluster_arn.split(":")
        return f"{region}/{account}/{self.cluster_name}/{self.namespace}/{self.service_account}"

    def summarized(self) -> dict[str, Any]:
        """The association as ListPodIdentityAssociations shows it: without its role."""
        return {
            "clusterName": self.cluster_name,
            "namespace": self.namespace,
            "serviceAccount": self.service_account,
            "associationArn": self.arn,
            "associationId": self.id,
        }

    def described(self) -> dict[str, Any]:
        """The association in the shape of the API."""
        return {
            **self.summarized(),
            "roleArn": self.role_arn,
            "tags": self.tags,
            "createdAt": self.created_at,
            "modifiedAt": self.modified_at,
            "disableSessionTags": self.disable_session_tags,
            "targetRoleArn": self.target_role_arn,
            "externalId": self.external_id if self.target_role_arn else None,
            "policy": self.policy,
        }


def install() -> None:
    """Nothing is left to do: the operations are added when this module is imported."""


# --- control plane ------------------------------------------------------------------------------------------


def _associations(cluster: Cluster) -> dict[str, Association]:
    return ClusterExtension.of(cluster).resources(Association)


def _known(cluster: Cluster) -> consistency.Known[Association]:
    return consistency.Known("pod-identity-association", cluster.arn)


def _association(caller: Caller, cluster_name: str, association_id: str, *, to_change: bool = False) -> Association:
    """The association as it is known by now, or, to be changed, as it is. Raises ResourceNotFoundException."""
    cluster = eks.find_cluster(caller, cluster_name)
    association = _associations(cluster).get(association_id)
    known = _known(cluster).to("eks", association.subject, association) if association else None
    if association is None or known is None or known.id != association_id:
        message = f"No pod identity association found for associationId: {association_id}"
        raise error("ResourceNotFound", message, clusterName=cluster_name)
    if to_change:
        _known(cluster).changed(association.subject, replace(association, tags=dict(association.tags)))
    return association if to_change else known


@operation
def create_pod_identity_association(caller: Caller, clusterName: str, **request: Any) -> dict[str, Any]:
    """CreatePodIdentityAssociation. Namespace and service account need not exist."""
    cluster = eks.find_cluster(caller, clusterName)
    earlier = _find(cluster, request["namespace"], request["serviceAccount"])
    if earlier and eks.is_repeat(request, earlier.request):
        return {"association": earlier.described()}
    if earlier:
        raise error("ResourceInUse", f"Association already exists: {earlier.id}", clusterName=clusterName)
    if len(_associations(cluster)) >= MAX_ASSOCIATIONS:
        message = f"The limit of {MAX_ASSOCIATIONS} pod identity associations per cluster has been reached."
        raise error("ResourceLimitExceeded", message, clusterName=clusterName)
    eks.check_tags(request.get("tags", {}))
    _check_role(request["roleArn"], caller.account)
    identifier = f"a-{uuid.uuid4().hex[:17]}"
    association = Association(
        arn=f"{cluster.arn.replace(':cluster/', ':podidentityassociation/')}/{identifier}",
        tags=dict(request.get("tags", {})),
        cluster_arn=cluster.arn,
        id=identifier,
        namespace=request["namespace"],
        service_account=request["serviceAccount"],
        role_arn=request["roleArn"],
        target_role_arn=request.get("targetRoleArn"),
        disable_session_tags=request.get("disableSessionTags", False),
        policy=request.get("policy"),
        request=request,
    )
    _check_target_and_policy(association)
    _associations(cluster)[identifier] = association
    _known(cluster).changed(association.subject, None)
    return {"association": association.described()}


def _find(cluster: Cluster, namespace: str, service_account: str) -> Association | None:
    return next(
        (
            association
            for association in list(_associations(cluster).values())
            if (association.namespace, association.service_account) == (namespace, service_account)
        ),
        None,
    )


def _check_role(role_arn: str, account: str) -> None:
    """The role must be there, and be the account's own: the caller passes it to the service."""
    role = _ROLE.fullmatch(role_arn)
    if role is None or eks.principal_id(role_arn) is None:
        raise error("InvalidParameter", "Role provided in the request does not exist.")
    if role["account"] != account:
        raise error("InvalidParameter", "Role provided in the request must be in the account of the cluster.")


def _check_target_and_policy(association: Association) -> None:
    if association.target_role_arn and not _ROLE.fullmatch(association.target_role_arn):
        raise error("InvalidParameter", "The targetRoleArn is not the ARN of an IAM role.")
    if association.policy is None:
        return
    if not association.disable_session_tags:
        raise error("InvalidParameter", "A policy can be used only if disableSessionTags is true.")
    if association.target_role_arn is None:
        raise error("InvalidParameter", "The sandbox applies a policy to the session of a target role only.")
    try:
        json.loads(association.policy)
    except ValueError:
        raise error("InvalidParameter", "The policy is not valid JSON.") from None


@operation
def describe_pod_identity_association(caller: Caller, clusterName: str, associationId: str) -> dict[str, Any]:
    """DescribePodIdentityAssociation."""
    return {"association": _association(caller, clusterName, associationId).described()}


@operation
def update_pod_identity_association(
    caller: Caller, clusterName: str, associationId: str, **changes: Any
) -> dict[str, Any]:
    """UpdatePodIdentityAssociation; pods see it when their agent's credentials are renewed."""
    association = _association(caller, clusterName, associationId, to_change=True)
    names = {
        "roleArn": "role_arn",
        "targetRoleArn": "target_role_arn",
        "disableSessionTags": "disable_session_tags",
        "policy": "policy",
    }
    given = {names[key]: value for key, value in changes.items() if key in names}
    if not given:
        raise error("InvalidParameter", "At least one of roleArn, targetRoleArn, disableSessionTags must be given.")
    if "role_arn" in given:
        _check_role(given["role_arn"], caller.account)
    changed = Association(**{**vars(association), **given, "modified_at": clock.now()})
    _check_target_and_policy(changed)
    vars(association).update(vars(changed))
    return {"association": association.described()}


@operation
def delete_pod_identity_association(caller: Caller, clusterName: str, associationId: str) -> dict[str, Any]:
    """DeletePodIdentityAssociation. Credentials that pods hold stay valid until they expire."""
    association = _association(caller, clusterName, associationId, to_change=True)
    del _associations(eks.find_cluster(caller, clusterName))[associationId]
    return {"association": association.described()}


@operation
def list_pod_identity_associations(
    caller: Caller,
    *,
    clusterName: str,
    namespace: str | None = None,
    serviceAccount: str | None = None,
    maxResults: int | None = None,
    nextToken: str | None = None,
) -> dict[str, Any]:
    """ListPodIdentityAssociations: summaries, which leave out the role, the times and the tags."""
    cluster = eks.find_cluster(caller, clusterName)
    now = {association.subject: association for association in list(_associations(cluster).values())}
    summaries = [
        association.summarized()
        for association in _known(cluster).all_to("lists", now).values()
        if namespace in (None, association.namespace) and serviceAccount in (None, association.service_account)
    ]
    listed, token = eks.one_page(summaries, maxResults, nextToken)
    return {"associations": listed, "nextToken": token}


# --- data plane ---------------------------------------------------------------------------------------------


def credentials_of_pod(
    cluster_arn: str, namespace: str, service_account: str, pod_name: str
) -> authorization.Credentials:
    """The credentials that the agent hands to a pod: of the association's role, or of its target role.

    Raises PodIdentityError where there is no such pod, no agent or no association, and what STS raises where
    a role does not trust.
    """
    cluster = eks.cluster_of(cluster_arn)
    pod = _pod(cluster_arn, namespace, service_account, pod_name)
    agent = eks.addons(cluster).get(AGENT_ADDON)
    if agent is None or agent.status != "ACTIVE":
        raise PodIdentityError(f"the add-on {AGENT_ADDON} is not ACTIVE on cluster {cluster.name}")
    subject = f"{namespace}/{service_account}"
    association = _known(cluster).to("pods", subject, _find(cluster, namespace, service_account))
    if association is None:
        raise PodIdentityError(f"no association for service account {namespace}/{service_account} on {cluster.name}")
    tags = {} if association.disable_session_tags else _session_tags(association, pod)
    credentials = authorization.assume_as_service(
        association.role_arn,
        SERVICE,
        source_arn=cluster_arn,
        source_account=cluster_arn.split(":")[4],
        session_name=_session_name(association, pod_name),
        request_tags=tags,
    )
    if association.target_role_arn is None:
        return credentials
    return _assume_target(association, credentials, pod_name)


def _pod(cluster_arn: str, namespace: str, service_account: str, pod_name: str) -> dict[str, Any]:
    api = kubernetes.api_of(cluster_arn)
    pod = api.get("Pod", namespace, pod_name)
    if pod is None:
        raise PodIdentityError(f"pod {namespace}/{pod_name} does not exist")
    if pod["spec"]["serviceAccountName"] != service_account:
        raise PodIdentityError(f"pod {namespace}/{pod_name} does not run as service account {service_account}")
    if api.get("ServiceAccount", namespace, service_account) is None:
        raise PodIdentityError(f"service account {namespace}/{service_account} does not exist")
    return pod


def _session_tags(association: Association, pod: dict[str, Any]) -> dict[str, str]:
    return {
        "eks-cluster-arn": association.cluster_arn,
        "eks-cluster-name": association.cluster_name,
        "kubernetes-namespace": association.namespace,
        "kubernetes-service-account": association.service_account,
        "kubernetes-pod-name": pod["metadata"]["name"],
        "kubernetes-pod-uid": pod["metadata"]["uid"],
    }


def _session_name(association: Association, pod_name: str) -> str:
    """``eks-<cluster>-<pod>-<uuid>``, cut to what STS takes."""
    return f"eks-{association.cluster_name[:8]}-{pod_name[:14]}-{uuid.uuid4()}"


def _assume_target(
    association: Association, own: authorization.Credentials, pod_name: str
) -> authorization.Credentials:
    """Chain to the target role; the session tags come along since they are transitive, the external id stands in."""
    sts = boto3.client(
        "sts",
        region_name=association.cluster_arn.split(":")[3],
        aws_access_key_id=own.access_key,
        aws_secret_access_key=own.secret_key,
        aws_session_token=own.token,
    )
    request: dict[str, Any] = {
        "RoleArn": association.target_role_arn,
        "RoleSessionName": _session_name(association, pod_name),
    }
    if association.disable_session_tags:
        request["ExternalId"] = association.external_id
    if association.policy:
        request["Policy"] = association.policy
    target = sts.assume_role(**request)["Credentials"]
    return authorization.Credentials(
        target["AccessKeyId"], target["SecretAccessKey"], target["SessionToken"], target["Expiration"]
    )

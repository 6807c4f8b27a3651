"""EKS as clusters with access entries need it: entries, access policies, add-ons and the access configuration.

moto knows clusters, node groups and Fargate profiles; everything else here is added to its backend. Behaviour
is that of the EKS API reference (botocore's model) and of the user guide's pages "Create access entries",
"Associate access policies with access entries" and "Change authentication mode to use access entries".
What belongs to a cluster hangs on moto's cluster object and goes with it.
"""

# operations take their parameters by AWS's names

import base64
import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self, TypeVar

import trustme
from moto.core.exceptions import ServiceException
from moto.eks import exceptions as moto_exceptions
from moto.eks.models import Cluster, EKSBackend, eks_backends
from moto.iam.models import Role, iam_backends
from moto.utilities.utils import get_partition

from podshare_sandbox import authorization, clock, consistency
from podshare_sandbox.authorization import registrations
from podshare_sandbox.authorization.call import Call
from podshare_sandbox.authorization.principals import role_as_known
from podshare_sandbox.moto_extension import Caller, ServiceExtension, page
from podshare_sandbox.services.access_policies import ACCESS_POLICIES, CLUSTER_ADMIN

MAX_ACCESS_ENTRIES = 3000
MAX_TAGS = 50
KUBERNETES_VERSION = "1.34"
UPDATE_SECONDS = 10.0
ADDON_SECONDS = 5.0

# The add-ons that can be created, with the version that they get. Others are refused, as EKS does.
ADDON_VERSIONS = {
    "amazon-cloudwatch-observability": "v4.5.0-eksbuild.1",
    "amazon-sagemaker-hyperpod-taskgovernance": "v1.3.0-eksbuild.1",
    "amazon-sagemaker-hyperpod-training-operator": "v1.2.0-eksbuild.1",
    "aws-ebs-csi-driver": "v1.51.0-eksbuild.1",
    "coredns": "v1.12.4-eksbuild.1",
    "eks-pod-identity-agent": "v1.3.9-eksbuild.3",
    "kube-proxy": "v1.34.0-eksbuild.4",
    "vpc-cni": "v1.20.4-eksbuild.1",
}

_CLUSTER = "{0}/clusters/(?P<name>[^/]+)"
_extension = ServiceExtension(
    "eks",
    paths=(
        f"{_CLUSTER}/access-entries$",
        f"{_CLUSTER}/access-entries/(?P<entry>.+)$",
        f"{_CLUSTER}/addons$",
        f"{_CLUSTER}/addons/(?P<addonName>[^/]+)$",
        f"{_CLUSTER}/identity-provider-configs$",
        f"{_CLUSTER}/identity-provider-configs/(associate|disassociate)$",
        f"{_CLUSTER}/updates$",
        f"{_CLUSTER}/updates/(?P<updateId>[^/]+)$",
        f"{_CLUSTER}/pod-identity-associations$",
        f"{_CLUSTER}/pod-identity-associations/(?P<associationId>[^/]+)$",
        "{0}/access-policies$",
    ),
    invalid_parameters="InvalidParameterException",
)
operation = _extension.operation

_PRINCIPAL = re.compile(r"arn:aws[\w-]*:iam::(?P<account>\d{12}):(?P<kind>role|user)/(?P<name>.+)")
_NODE_USERNAMES = {
    "EC2_LINUX": "system:node:{{EC2PrivateDNSName}}",
    "EC2_WINDOWS": "system:node:{{EC2PrivateDNSName}}",
    "EC2": "system:node:{{EC2PrivateDNSName}}",
    "FARGATE_LINUX": "system:node:{{SessionName}}",
    "HYBRID_LINUX": "system:node:{{SessionName}}",
    "HYPERPOD_LINUX": "system:node:{{SessionName}}",
}
# CDK API reference, GrantAccessOptions (accessEntryType); the user guide and the API reference name the first alone
_TAKE_POLICIES = ("STANDARD", "EC2")
_RESERVED_PREFIXES = ("system:", "eks:", "aws:", "amazon:", "iam:")
_LOGS = frozenset({"api", "audit", "authenticator", "controllerManager", "scheduler"})  # EKS API reference, LogSetup
_MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")  # each leads only to those behind it

Resource = TypeVar("Resource", bound="ClusterResource")


@dataclass(kw_only=True)
class ClusterResource:
    """What EKS keeps beside a cluster and can tag."""

    arn: str
    tags: dict[str, str] = field(default_factory=dict)
    created_at: datetime = field(default_factory=clock.now)
    modified_at: datetime = field(default_factory=clock.now)


@dataclass(kw_only=True)
class AccessEntry(ClusterResource):
    """Who may sign in to a cluster; ``policies`` maps the ARN of an access policy to its association.

    ``principal_id`` is the role's or user's unique id when the entry was made: a principal that is made anew
    under the same ARN is another one, and the entry is dead.
    """

    cluster_name: str
    principal_arn: str
    principal_id: str
    type: str
    username: str
    groups: list[str]
    request: dict[str, Any]
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """The entry in the shape of the API."""
        return {
            "clusterName": self.cluster_name,
            "principalArn": self.principal_arn,
            "kubernetesGroups": self.groups,
            "accessEntryArn": self.arn,
            "createdAt": self.created_at,
            "modifiedAt": self.modified_at,
            "tags": self.tags,
            "username": self.username,
            "type": self.type,
        }


@dataclass(kw_only=True)
class Addon(ClusterResource):
    """An add-on; it is created and deleted over some seconds."""

    cluster_name: str
    name: str
    version: str
    optional: dict[str, Any]
    request: dict[str, Any]
    deleted_at: datetime | None = None

    @property
    def status(self) -> str:
        """The status at this moment."""
        if self.deleted_at:
            return "DELETING"
        return "ACTIVE" if clock.passed(self.created_at, ADDON_SECONDS) else "CREATING"

    @property
    def is_gone(self) -> bool:
        """Whether its deletion is complete."""
        return self.deleted_at is not None and clock.passed(self.deleted_at, ADDON_SECONDS)

    def described(self) -> dict[str, Any]:
        """The add-on in the shape of the API."""
        return {
            "addonName": self.name,
            "clusterName": self.cluster_name,
            "status": self.status,
            "addonVersion": self.version,
            "health": {"issues": []},
            "addonArn": self.arn,
            "createdAt": self.created_at,
            "modifiedAt": self.modified_at,
            "tags": self.tags,
            "publisher": "eks",
            "owner": "aws",
            **self.optional,
        }


@dataclass(kw_only=True)
class IdentityProvider(ClusterResource):
    """An OpenID Connect provider of a cluster. Nobody comes by its tokens here: the sandbox takes none."""

    name: str


@dataclass
class Update:
    """A change of a cluster's configuration under way."""

    type: str
    params: dict[str, str]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: datetime = field(default_factory=clock.now)

    @property
    def is_done(self) -> bool:
        """Whether the cluster is ACTIVE again."""
        return clock.passed(self.created_at, UPDATE_SECONDS)

    def described(self) -> dict[str, Any]:
        """The update in the shape of the API."""
        return {
            "id": self.id,
            "status": "Successful" if self.is_done else "InProgress",
            "type": self.type,
            "params": [{"type": name, "value": value} for name, value in self.params.items()],
            "createdAt": self.created_at,
            "errors": [],
        }


class ClusterExtension:
    """What the sandbox adds to one of moto's clusters: its access configuration, resources, CA and endpoint."""

    def __init__(self, cluster: Cluster, access_config: dict[str, Any], creator: authorization.Principal) -> None:
        self.access_config = access_config
        self.creator = creator
        self.certificate_authority = trustme.CA(organization_name="kubernetes", key_type=trustme.KeyType.ECDSA)
        self.host = f"{uuid.uuid4().hex.upper()}.gr7.{cluster.arn.split(':')[3]}.eks.amazonaws.com"
        self.updates: dict[str, Update] = {}
        self._resources: dict[type[ClusterResource], dict[str, Any]] = {}

    @classmethod
    def of(cls, cluster: Cluster) -> Self:
        """The extension of ``cluster``. Raises RuntimeError for a cluster that was not created through EKS's API."""
        extension = cluster.__dict__.get("_podshare_extension")
        if extension is None:
            raise RuntimeError(f"cluster {cluster.name} was not created by the sandbox's CreateCluster")
        return extension  # type: ignore[no-any-return]  # what create_cluster has put there

    @property
    def uses_entries(self) -> bool:
        """Whether access entries count at all."""
        return bool(self.access_config["authenticationMode"] != "CONFIG_MAP")

    @property
    def running_update(self) -> Update | None:
        """The update that keeps the cluster UPDATING."""
        return next((update for update in self.updates.values() if not update.is_done), None)

    def resources(self, kind: type[Resource]) -> dict[str, Resource]:
        """The cluster's resources of one kind, by their key within the cluster."""
        return self._resources.setdefault(kind, {})

    def all_resources(self) -> Iterator[ClusterResource]:
        """Everything that has tags, but the cluster itself."""
        for resources in list(self._resources.values()):
            yield from list(resources.values())


# Called with each new cluster; the Kubernetes API comes up this way.
cluster_listeners: list[Callable[[Cluster], None]] = []


def install() -> None:
    """Nothing is left to do: the operations are added when this module is imported.

    Raises RuntimeError if moto no longer has what they stand on.
    """
    for owner, name in ((EKSBackend, "create_cluster"), (EKSBackend, "tag_resource"), (Cluster, "is_active")):
        if not hasattr(owner, name):
            raise RuntimeError(f"moto's {owner.__name__}.{name} is gone: services.eks must be looked at again")


def error(code: str, message: str, **members: Any) -> ServiceException:
    """EKS's exception ``code`` (without the suffix ``Exception``)."""
    return _extension.error(f"{code}Exception", message, **members)


def clusters() -> Iterator[Cluster]:
    """Every cluster of every account and Region."""
    for regions in list(eks_backends.values()):
        for backend in list(regions.values()):
            yield from list(backend.clusters.values())


def cluster_of(cluster_arn: str) -> Cluster:
    """The cluster with this ARN. Raises KeyError."""
    for cluster in clusters():
        if cluster.arn == cluster_arn:
            return cluster
    raise KeyError(cluster_arn)


def principal_id(principal_arn: str) -> str | None:
    """The unique id (AROA…, AIDA…) of the role or user that has this ARN, None if EKS knows of nobody."""
    match = _PRINCIPAL.fullmatch(principal_arn)
    if match is None:
        return None
    backend = iam_backends[match["account"]][get_partition("us-east-1")]
    principals: dict[str, Any] = backend.roles if match["kind"] == "role" else backend.users
    found = next((each for each in list(principals.values()) if each.arn == principal_arn), None)
    known = role_as_known(found, "eks") if isinstance(found, Role) else found
    return str(known.id) if known else None


def find_cluster(caller: Caller, name: str) -> Cluster:
    """The caller's cluster ``name``. Raises ResourceNotFoundException."""
    cluster = eks_backends[caller.account][caller.region].clusters.get(name)
    if cluster is None:
        raise error("ResourceNotFound", f"No cluster found for name: {name}.", clusterName=name)
    return cluster


def check_tags(tags: dict[str, str], code: str = "InvalidParameter") -> None:
    """Raise ``code`` where tags break EKS's limits: 50 tags, keys of 128, values of 256 characters, no ``aws:``."""
    if len(tags) > MAX_TAGS:
        raise error(code, f"The number of tags exceeds the limit of {MAX_TAGS} per resource")
    for key, value in tags.items():
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise error(code, f"The tag {key} is too long: keys have up to 128, values up to 256 characters")
        if key.lower().startswith("aws:"):
            raise error(code, f"The tag key {key} is invalid: aws: is reserved for AWS use")


def one_page(items: list[Any], max_results: int | None, token: str | None) -> tuple[list[Any], str | None]:
    """A page of at most 100 items. Raises InvalidParameterException for a token that no page handed out."""
    try:
        return page(items, max_results, token)
    except ValueError:
        raise error("InvalidParameter", "The nextToken parameter is invalid") from None


def is_repeat(request: dict[str, Any], earlier: dict[str, Any]) -> bool:
    """Whether a request carries the clientRequestToken and the parameters of one that has been served."""
    return "clientRequestToken" in request and request == earlier


# --- clusters -----------------------------------------------------------------------------------------------


@operation
def create_cluster(caller: Caller, **request: Any) -> dict[str, Any]:
    """CreateCluster; the cluster is ACTIVE at once. A cluster made by the API has the mode CONFIG_MAP."""
    backend = eks_backends[caller.account][caller.region]
    earlier = backend.clusters.get(request["name"])
    if earlier and is_repeat(request, earlier.__dict__["_podshare_request"]):
        return {"cluster": _described(earlier)}
    if earlier:
        raise error("ResourceInUse", f"Cluster already exists with name: {earlier.name}", clusterName=earlier.name)
    check_tags(request.get("tags", {}))
    access_config = {
        "authenticationMode": "CONFIG_MAP",
        "bootstrapClusterCreatorAdminPermissions": True,
        **request.get("accessConfig", {}),
    }
    creator = authorization.identify(caller.access_key)
    cluster = _moto_cluster(backend, request)
    cluster.__dict__["_podshare_request"] = request
    extension = ClusterExtension(cluster, access_config, creator)
    cluster.__dict__["_podshare_extension"] = extension
    cluster.endpoint = f"https://{extension.host}"
    ca = base64.b64encode(extension.certificate_authority.cert_pem.bytes()).decode()
    cluster.certificate_authority = {"data": ca}
    issuer = extension.host.partition(".")[0]
    cluster.identity = {"oidc": {"issuer": f"https://oidc.eks.{caller.region}.amazonaws.com/id/{issuer}"}}
    _bootstrap_creator(cluster)
    for listener in cluster_listeners:
        listener(cluster)
    return {"cluster": _described(cluster)}


def _moto_cluster(backend: EKSBackend, request: dict[str, Any]) -> Cluster:
    try:
        return backend.create_cluster(
            name=request["name"],
            role_arn=request["roleArn"],
            resources_vpc_config=request["resourcesVpcConfig"],
            version=request.get("version", KUBERNETES_VERSION),
            kubernetes_network_config=request.get("kubernetesNetworkConfig"),
            logging=request.get("logging"),
            client_request_token=request.get("clientRequestToken"),
            tags=dict(request.get("tags", {})),
            encryption_config=request.get("encryptionConfig"),
        )
    except moto_exceptions.InvalidParameterException:
        raise error("InvalidParameter", "Invalid Role Arn: '" + request["roleArn"] + "'") from None


def _bootstrap_creator(cluster: Cluster) -> None:
    """Give the cluster's creator its administrator entry, unless its access configuration says no."""
    extension = ClusterExtension.of(cluster)
    creator = extension.creator.role_arn or extension.creator.arn
    if not extension.uses_entries or not extension.access_config["bootstrapClusterCreatorAdminPermissions"]:
        return
    if creator in extension.resources(AccessEntry):
        return
    entry = _new_entry(cluster, {"principalArn": creator})
    scope = {"type": "cluster", "namespaces": []}
    entry.policies[CLUSTER_ADMIN] = _association(CLUSTER_ADMIN, scope, clock.now())


@operation
def describe_cluster(caller: Caller, name: str) -> dict[str, Any]:
    """DescribeCluster."""
    return {"cluster": _described(find_cluster(caller, name))}


# what a cluster has unless its creation says otherwise (EKS API reference, VpcConfigRequest)
_OPEN_ENDPOINT = {
    "endpointPublicAccess": True,
    "endpointPrivateAccess": False,
    "publicAccessCidrs": ["0.0.0.0/0"],
}


def _described(cluster: Cluster) -> dict[str, Any]:
    extension = ClusterExtension.of(cluster)
    return {
        "name": cluster.name,
        "arn": cluster.arn,
        "createdAt": cluster.created_at,
        "version": cluster.version,
        "endpoint": cluster.endpoint,
        "roleArn": cluster.role_arn,
        "resourcesVpcConfig": {**_OPEN_ENDPOINT, **cluster.resources_vpc_config},
        "kubernetesNetworkConfig": cluster.kubernetes_network_config,
        "logging": _logging(cluster),
        "identity": cluster.identity,
        "status": "UPDATING" if extension.running_update else cluster.status,
        "certificateAuthority": cluster.certificate_authority,
        "clientRequestToken": cluster.client_request_token,
        "platformVersion": cluster.platformVersion,
        "tags": cluster.tags,
        "encryptionConfig": cluster.encryption_config or None,
        "health": {"issues": []},
        "accessConfig": dict(extension.access_config),
    }


def enabled_logs(cluster: Cluster) -> frozenset[str]:
    """The types of control plane logs that a cluster writes."""
    enabled: set[str] = set()
    setups: list[dict[str, Any]] = (cluster.logging or {}).get("clusterLogging") or []
    for setup in setups:
        types = set(setup.get("types") or ())
        enabled = enabled | types if setup.get("enabled") else enabled - types
    return frozenset(enabled)


def _logging(cluster: Cluster) -> dict[str, Any]:
    """Which logs are on and which are off (EKS API reference, Logging and LogSetup)."""
    enabled = enabled_logs(cluster)
    parts: list[tuple[bool, list[str]]] = [(True, sorted(enabled)), (False, sorted(_LOGS - enabled))]
    return {"clusterLogging": [{"types": types, "enabled": is_on} for is_on, types in parts if types]}


def _change_logging(cluster: Cluster, change: dict[str, Any]) -> Update:
    extension, before = ClusterExtension.of(cluster), enabled_logs(cluster)
    if running := extension.running_update:
        message = f"Cannot LoggingUpdate because cluster {cluster.name} currently has update {running.id} in progress"
        raise error("ResourceInUse", message, clusterName=cluster.name)
    setups = [*_logging(cluster)["clusterLogging"], *(change.get("clusterLogging") or ())]
    former, cluster.logging = cluster.logging, {"clusterLogging": setups}
    if enabled_logs(cluster) == before:
        cluster.logging = former
        message = "No changes needed for the logging config provided"
        raise error("InvalidParameter", message, clusterName=cluster.name)
    update = Update("LoggingUpdate", {"ClusterLogging": json.dumps(_logging(cluster))})
    extension.updates[update.id] = update
    return update


@operation
def update_cluster_config(
    caller: Caller,
    name: str,
    accessConfig: dict[str, Any] | None = None,
    logging: dict[str, Any] | None = None,
    **others: Any,
) -> dict[str, Any]:
    """UpdateClusterConfig for ``accessConfig`` or ``logging``; moto's other changes answer in a wrong shape."""
    cluster = find_cluster(caller, name)
    extension = ClusterExtension.of(cluster)
    if (accessConfig is None) is (logging is None) or set(others) - {"clientRequestToken"}:
        what = "The sandbox changes either the accessConfig or the logging of a cluster, and nothing else"
        raise error("InvalidParameter", what)
    if logging is not None or accessConfig is None:
        return {"update": _change_logging(cluster, logging or {}).described()}
    mode = accessConfig.get("authenticationMode")
    current = extension.access_config["authenticationMode"]
    if running := extension.running_update:
        message = f"Cannot AccessConfigUpdate because cluster {name} currently has update {running.id} in progress"
        raise error("ResourceInUse", message, clusterName=name)
    if mode not in _MODES or _MODES.index(mode) <= _MODES.index(current):
        message = f"Unsupported authentication mode update from {current} to {mode}"
        raise error("InvalidParameter", message, clusterName=name)
    extension.access_config["authenticationMode"] = mode
    update = Update("AccessConfigUpdate", {"AuthenticationMode": mode})
    extension.updates[update.id] = update
    _bootstrap_creator(cluster)
    return {"update": update.described()}


@operation
def describe_update(caller: Caller, name: str, updateId: str, **_: Any) -> dict[str, Any]:
    """DescribeUpdate."""
    update = ClusterExtension.of(find_cluster(caller, name)).updates.get(updateId)
    if update is None:
        raise error("ResourceNotFound", f"No update found for ID: {updateId}", clusterName=name)
    return {"update": update.described()}


# --- access entries -----------------------------------------------------------------------------------------


def _cluster_with_entries(caller: Caller, name: str, *, changes: bool = False) -> Cluster:
    cluster = find_cluster(caller, name)
    extension = ClusterExtension.of(cluster)
    if not extension.uses_entries:
        message = (
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] "
            "to perform this operation."
        )
        raise error("InvalidRequest", message, clusterName=name)
    if changes and extension.running_update:
        raise error("InvalidRequest", f"Cluster '{name}' is not in ACTIVE status", clusterName=name)
    return cluster


def known_entries(cluster: Cluster) -> consistency.Known[AccessEntry]:
    """What is known of the cluster's access entries, by their principals."""
    return consistency.Known("access-entry", cluster.arn)


def _entry(cluster: Cluster, principal_arn: str, *, to_change: bool = False) -> AccessEntry:
    """The entry as it is known by now, or, to be changed, as it is. Raises ResourceNotFoundException."""
    now = ClusterExtension.of(cluster).resources(AccessEntry).get(principal_arn)
    known = known_entries(cluster).to("eks", principal_arn, now)
    entry = now if known and to_change else known
    if entry is None:
        message = (
            "The specified principalArn could not be found. You can view your available access entries "
            "with 'list-access-entries'."
        )
        raise error("ResourceNotFound", message, clusterName=cluster.name)
    if to_change:
        former = replace(entry, policies=dict(entry.policies), groups=list(entry.groups), tags=dict(entry.tags))
        known_entries(cluster).changed(principal_arn, former)
    return entry


@operation
def create_access_entry(caller: Caller, clusterName: str, **request: Any) -> dict[str, Any]:
    """CreateAccessEntry."""
    cluster = _cluster_with_entries(caller, clusterName, changes=True)
    entries = ClusterExtension.of(cluster).resources(AccessEntry)
    earlier = entries.get(request["principalArn"])
    if earlier and is_repeat(request, earlier.request):
        return {"accessEntry": earlier.described()}
    if earlier:
        message = "The specified access entry resource is already in use on this cluster."
        raise error("ResourceInUse", message, clusterName=clusterName)
    if len(entries) >= MAX_ACCESS_ENTRIES:
        message = f"The limit of {MAX_ACCESS_ENTRIES} access entries per cluster has been reached."
        raise error("ResourceLimitExceeded", message, clusterName=clusterName)
    _check_entry_type(request, caller.account)
    _check_username(request.get("username", ""))
    _check_groups(request.get("kubernetesGroups", []))
    check_tags(request.get("tags", {}))
    return {"accessEntry": _new_entry(cluster, request).described()}


def _new_entry(cluster: Cluster, request: dict[str, Any]) -> AccessEntry:
    """The entry that ``request`` asks for. Raises InvalidParameterException unless its principal exists."""
    arn = request["principalArn"]
    principal = _PRINCIPAL.fullmatch(arn)
    identifier = principal_id(arn)
    if principal is None or identifier is None or principal["name"].startswith("aws-service-role/"):
        message = "The specified principalArn is invalid: invalid principal"
        raise error("InvalidParameter", message, clusterName=cluster.name)
    kind, account, name = principal["kind"], principal["account"], principal["name"].rpartition("/")[2]
    entry_type = request.get("type", "STANDARD")
    prefix = cluster.arn.replace(":cluster/", ":access-entry/")
    entry = AccessEntry(
        arn=f"{prefix}/{kind}/{account}/{name}/{uuid.uuid4()}",
        tags=dict(request.get("tags", {})),
        cluster_name=cluster.name,
        principal_arn=arn,
        principal_id=identifier,
        type=entry_type,
        username=request.get("username") or _NODE_USERNAMES.get(entry_type) or _default_username(principal),
        groups=list(request.get("kubernetesGroups", ["system:nodes"] if entry_type != "STANDARD" else [])),
        request=request,
    )
    ClusterExtension.of(cluster).resources(AccessEntry)[arn] = entry
    known_entries(cluster).changed(arn, None)
    return entry


def _default_username(principal: re.Match[str]) -> str:
    """A user's ARN; for a role its STS ARN, which has no path."""
    if principal["kind"] == "user":
        return principal.string
    partition = principal.string.split(":")[1]
    name = principal["name"].rpartition("/")[2]
    return f"arn:{partition}:sts::{principal['account']}:assumed-role/{name}/{{{{SessionName}}}}"


def _check_entry_type(request: dict[str, Any], account: str) -> None:
    entry_type = request.get("type", "STANDARD")
    if entry_type == "STANDARD":
        return
    if entry_type not in _NODE_USERNAMES:
        raise error("InvalidParameter", f"The specified access entry type is invalid: {entry_type}")
    if "username" in request or request.get("kubernetesGroups"):
        message = f"kubernetesGroups and username can't be set for access entries of type {entry_type}"
        raise error("InvalidParameter", message)
    if f"::{account}:role/" not in request["principalArn"]:
        message = f"An access entry of type {entry_type} needs an IAM role in the cluster's account"
        raise error("InvalidParameter", message)


def _check_username(username: str) -> None:
    if username.startswith(_RESERVED_PREFIXES):
        message = f"The username is invalid: it can't start with {', '.join(_RESERVED_PREFIXES)}"
        raise error("InvalidParameter", message)
    before, session, _ = username.partition("{{SessionName")
    if session and ":" not in before:
        message = "The username is invalid: it must include a colon before {{SessionName}} or {{SessionNameRaw}}"
        raise error("InvalidParameter", message)


def _check_groups(groups: list[str]) -> None:
    for group in groups:
        if not group or group.startswith(_RESERVED_PREFIXES):
            message = f"The kubernetes group name {group} is invalid, it cannot start with system:"
            raise error("InvalidParameter", message)


@operation
def describe_access_entry(caller: Caller, clusterName: str, principalArn: str) -> dict[str, Any]:
    """DescribeAccessEntry. An entry whose principal was made anew looks healthy here, as on EKS."""
    return {"accessEntry": _entry(_cluster_with_entries(caller, clusterName), principalArn).described()}


@operation
def update_access_entry(
    caller: Caller,
    clusterName: str,
    principalArn: str,
    kubernetesGroups: list[str] | None = None,
    username: str | None = None,
    **_: Any,
) -> dict[str, Any]:
    """UpdateAccessEntry: groups and username, each replaced if given."""
    entry = _entry(_cluster_with_entries(caller, clusterName, changes=True), principalArn, to_change=True)
    if entry.type != "STANDARD":
        raise error("InvalidRequest", f"An access entry of type {entry.type} can't be updated")
    _check_username(username or "")
    _check_groups(kubernetesGroups or [])
    entry.groups = entry.groups if kubernetesGroups is None else list(kubernetesGroups)
    entry.username = username or entry.username
    entry.modified_at = clock.now()
    return {"accessEntry": entry.described()}


@operation
def delete_access_entry(caller: Caller, clusterName: str, principalArn: str) -> None:
    """DeleteAccessEntry; its associations go with it."""
    cluster = _cluster_with_entries(caller, clusterName, changes=True)
    _entry(cluster, principalArn, to_change=True)
    del ClusterExtension.of(cluster).resources(AccessEntry)[principalArn]


@operation
def list_access_entries(
    caller: Caller,
    clusterName: str,
    associatedPolicyArn: str | None = None,
    maxResults: int | None = None,
    nextToken: str | None = None,
) -> dict[str, Any]:
    """ListAccessEntries."""
    cluster = _cluster_with_entries(caller, clusterName)
    entries = known_entries(cluster).all_to("lists", ClusterExtension.of(cluster).resources(AccessEntry))
    arns = [arn for arn, entry in entries.items() if associatedPolicyArn in (None, *entry.policies)]
    listed, token = one_page(arns, maxResults, nextToken)
    return {"accessEntries": listed, "nextToken": token}


# --- access policies ----------------------------------------------------------------------------------------


@operation
def list_access_policies(caller: Caller, maxResults: int | None = None, nextToken: str | None = None) -> dict[str, Any]:
    """ListAccessPolicies: the policies whose rules the sandbox knows."""
    partition = get_partition(caller.region)
    policies = [{"name": policy.name, "arn": policy.arn(partition)} for policy in ACCESS_POLICIES.values()]
    listed, token = one_page(policies, maxResults, nextToken)
    return {"accessPolicies": listed, "nextToken": token}


@operation
def associate_access_policy(
    caller: Caller, clusterName: str, principalArn: str, policyArn: str, accessScope: dict[str, Any]
) -> dict[str, Any]:
    """AssociateAccessPolicy; a policy that is associated already gets the new scope."""
    entry = _entry(_cluster_with_entries(caller, clusterName, changes=True), principalArn, to_change=True)
    if entry.type not in _TAKE_POLICIES:
        message = f"Access policies can't be associated to access entries of type {entry.type}"
        raise error("InvalidParameter", message, clusterName=clusterName)
    if policyArn not in ACCESS_POLICIES:
        raise error("InvalidParameter", "The policyArn parameter is not valid", clusterName=clusterName)
    scope = _checked_scope(accessScope)
    associated_at = entry.policies.get(policyArn, {}).get("associatedAt", clock.now())
    entry.policies[policyArn] = _association(policyArn, scope, associated_at)
    return {
        "clusterName": clusterName,
        "principalArn": principalArn,
        "associatedAccessPolicy": entry.policies[policyArn],
    }


def _association(policy_arn: str, scope: dict[str, Any], associated_at: datetime) -> dict[str, Any]:
    return {
        "policyArn": policy_arn,
        "accessScope": scope,
        "associatedAt": associated_at,
        "modifiedAt": clock.now(),
    }


def _checked_scope(scope: dict[str, Any]) -> dict[str, Any]:
    """EKS does not check that a namespace exists, only that its name (with a ``*`` at its end) could."""
    kind, namespaces = scope.get("type"), scope.get("namespaces", [])
    if kind == "cluster" and namespaces:
        raise error("InvalidParameter", "Namespaces can't be specified for an access scope of type cluster")
    if kind == "namespace" and not namespaces:
        message = "At least one namespace must be specified for an access scope of type namespace"
        raise error("InvalidParameter", message)
    if kind not in ("cluster", "namespace"):
        raise error("InvalidParameter", "The type of the access scope must be cluster or namespace")
    for namespace in namespaces:
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?|([a-z0-9][a-z0-9-]{0,61})?\*", namespace):
            raise error("InvalidParameter", f"The namespace {namespace} of the access scope is invalid")
    return {"type": kind, "namespaces": list(namespaces)}


@operation
def disassociate_access_policy(caller: Caller, clusterName: str, principalArn: str, policyArn: str) -> None:
    """DisassociateAccessPolicy."""
    entry = _entry(_cluster_with_entries(caller, clusterName, changes=True), principalArn, to_change=True)
    if entry.policies.pop(policyArn, None) is None:
        message = "No access policy association was found for the specified policyArn and principalArn"
        raise error("ResourceNotFound", message, clusterName=clusterName)


@operation
def list_associated_access_policies(
    caller: Caller,
    clusterName: str,
    principalArn: str,
    maxResults: int | None = None,
    nextToken: str | None = None,
) -> dict[str, Any]:
    """ListAssociatedAccessPolicies."""
    entry = _entry(_cluster_with_entries(caller, clusterName), principalArn)
    listed, token = one_page(list(entry.policies.values()), maxResults, nextToken)
    return {
        "clusterName": clusterName,
        "principalArn": principalArn,
        "associatedAccessPolicies": listed,
        "nextToken": token,
    }


# --- add-ons ------------------------------------------------------------------------------------------------


def addons(cluster: Cluster) -> dict[str, Addon]:
    """The add-ons of ``cluster`` whose deletion is not complete, by name."""
    known = ClusterExtension.of(cluster).resources(Addon)
    for name in [name for name, addon in list(known.items()) if addon.is_gone]:
        del known[name]
    return known


def _addon(caller: Caller, cluster_name: str, name: str) -> Addon:
    addon = addons(find_cluster(caller, cluster_name)).get(name)
    if addon is None:
        message = f"No addon: {name} found in cluster: {cluster_name}"
        raise error("ResourceNotFound", message, clusterName=cluster_name, addonName=name)
    return addon


@operation
def create_addon(caller: Caller, clusterName: str, **request: Any) -> dict[str, Any]:
    """CreateAddon; CREATING for some seconds, then ACTIVE. Pod identity associations of its own are refused."""
    cluster = find_cluster(caller, clusterName)
    name = request["addonName"]
    earlier = addons(cluster).get(name)
    if earlier and is_repeat(request, earlier.request):
        return {"addon": earlier.described()}
    if earlier:
        raise error("ResourceInUse", "Addon already exists.", clusterName=clusterName, addonName=name)
    if name not in ADDON_VERSIONS or request.get("addonVersion", ADDON_VERSIONS[name]) != ADDON_VERSIONS[name]:
        message = "Addon version specified is not supported"
        raise error("InvalidParameter", message, clusterName=clusterName, addonName=name)
    if "podIdentityAssociations" in request:
        raise error("InvalidParameter", "The sandbox has no add-ons with pod identity associations of their own")
    check_tags(request.get("tags", {}))
    optional = ("serviceAccountRoleArn", "configurationValues", "namespaceConfig")
    addon = Addon(
        arn=f"{cluster.arn.replace(':cluster/', ':addon/')}/{name}/{uuid.uuid4()}",
        tags=dict(request.get("tags", {})),
        cluster_name=clusterName,
        name=name,
        version=ADDON_VERSIONS[name],
        optional={key: request[key] for key in optional if key in request},
        request=request,
    )
    addons(cluster)[name] = addon
    return {"addon": addon.described()}


@operation
def describe_addon(caller: Caller, clusterName: str, addonName: str) -> dict[str, Any]:
    """DescribeAddon."""
    return {"addon": _addon(caller, clusterName, addonName).described()}


@operation
def delete_addon(caller: Caller, clusterName: str, addonName: str, **_: Any) -> dict[str, Any]:
    """DeleteAddon; DELETING for some seconds."""
    addon = _addon(caller, clusterName, addonName)
    addon.deleted_at = addon.deleted_at or clock.now()
    return {"addon": addon.described()}


@operation
def list_addons(
    caller: Caller, clusterName: str, maxResults: int | None = None, nextToken: str | None = None
) -> dict[str, Any]:
    """ListAddons."""
    listed, token = one_page(sorted(addons(find_cluster(caller, clusterName))), maxResults, nextToken)
    return {"addons": listed, "nextToken": token}


# --- identity providers -------------------------------------------------------------------------------------


@operation
def associate_identity_provider_config(
    caller: Caller, clusterName: str, oidc: dict[str, Any], tags: dict[str, str] | None = None, **_: Any
) -> dict[str, Any]:
    """AssociateIdentityProviderConfig: one for each cluster (EKS user guide, "Grant users access with an external OIDC
    provider").
    """
    cluster = find_cluster(caller, clusterName)
    providers = ClusterExtension.of(cluster).resources(IdentityProvider)
    if providers:
        raise error("ResourceInUse", "Identity provider config is already associated", clusterName=clusterName)
    check_tags(tags or {})
    name = oidc["identityProviderConfigName"]
    arn = f"{cluster.arn.replace(':cluster/', ':identityproviderconfig/')}/oidc/{name}/{uuid.uuid4()}"
    providers[name] = IdentityProvider(arn=arn, tags=dict(tags or {}), name=name)
    update = Update("AssociateIdentityProviderConfig", {"IdentityProviderConfig": json.dumps([oidc])})
    return {"update": update.described(), "tags": tags or {}}


@operation
def disassociate_identity_provider_config(
    caller: Caller, clusterName: str, identityProviderConfig: dict[str, str], **_: Any
) -> dict[str, Any]:
    """DisassociateIdentityProviderConfig."""
    providers = ClusterExtension.of(find_cluster(caller, clusterName)).resources(IdentityProvider)
    if providers.pop(identityProviderConfig["name"], None) is None:
        raise error("ResourceNotFound", "Identity provider config is not associated", clusterName=clusterName)
    config = json.dumps([identityProviderConfig])
    return {"update": Update("DisassociateIdentityProviderConfig", {"IdentityProviderConfig": config}).described()}


@operation
def list_identity_provider_configs(
    caller: Caller, clusterName: str, maxResults: int | None = None, nextToken: str | None = None
) -> dict[str, Any]:
    """ListIdentityProviderConfigs."""
    providers = ClusterExtension.of(find_cluster(caller, clusterName)).resources(IdentityProvider)
    configs = [{"type": "oidc", "name": name} for name in providers]
    listed, token = one_page(configs, maxResults, nextToken)
    return {"identityProviderConfigs": listed, "nextToken": token}


# --- tags ---------------------------------------------------------------------------------------------------


def _tags_of(caller: Caller, resource_arn: str) -> dict[str, str]:
    for cluster in list(eks_backends[caller.account][caller.region].clusters.values()):
        if cluster.arn == resource_arn:
            tags: dict[str, str] = cluster.tags
            return tags
        for resource in ClusterExtension.of(cluster).all_resources():
            if resource.arn == resource_arn:
                return resource.tags
    raise error("NotFound", "The specified resource could not be found.")


@operation
def tag_resource(caller: Caller, resourceArn: str, tags: dict[str, str]) -> None:
    """TagResource, for clusters, access entries, add-ons and pod identity associations."""
    current = _tags_of(caller, resourceArn)
    check_tags(current | tags, "BadRequest")
    current.update(tags)


@operation
def untag_resource(caller: Caller, resourceArn: str, tagKeys: list[str]) -> None:
    """UntagResource."""
    current = _tags_of(caller, resourceArn)
    for key in tagKeys:
        current.pop(key, None)


@operation
def list_tags_for_resource(caller: Caller, resourceArn: str) -> dict[str, Any]:
    """ListTagsForResource."""
    return {"tags": dict(_tags_of(caller, resourceArn))}


# --- what authorization asks ----------------------------------------------------------------------------------


def _extension_in(call: Call, cluster_name: str) -> ClusterExtension | None:
    cluster = eks_backends[call.account][call.region].clusters.get(cluster_name)
    return ClusterExtension.of(cluster) if cluster is not None and "_podshare_extension" in vars(cluster) else None


def _arns(call: Call) -> dict[str, tuple[str, ...]]:
    """The ARN, with its UUID, of an access entry, add-on or identity provider that exists."""
    extension = _extension_in(call, call.first("clusterName", "name"))
    if extension is None:
        return {}
    entry = extension.resources(AccessEntry).get(call.first("principalArn"))
    addon = extension.resources(Addon).get(call.first("addonName"))
    named = call.parameters.get("identityProviderConfig")
    provider = extension.resources(IdentityProvider).get(named["name"]) if named else None
    return {
        **({"access-entry": (entry.arn,)} if entry else {}),
        **({"addon": (addon.arn,)} if addon else {}),
        **({"identityproviderconfig": (provider.arn,)} if provider else {}),
    }


def _tags(call: Call, arn: str) -> dict[str, str]:
    name = arn.split("/")[1]
    cluster = eks_backends[call.account][call.region].clusters.get(name)
    if cluster is not None and arn == cluster.arn:
        return dict(cluster.tags or {})
    extension = _extension_in(call, name)
    return next((each.tags for each in extension.all_resources() if each.arn == arn), {}) if extension else {}


registrations.register("eks", registrations.Service(arns=_arns, tags=_tags))

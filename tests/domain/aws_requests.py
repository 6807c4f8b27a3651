"""What podshare would ask of AWS for a team, held against the models of the services' APIs."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Annotated, Any, cast

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from pydantic import StringConstraints, TypeAdapter, ValidationError

from podshare.aws.errors import Pending, Waiting
from podshare.aws.sessions import Accounts
from podshare.aws.tables import State
from podshare.installation import Installation
from podshare.kinds.access_entry import calls as access_entry
from podshare.kinds.access_entry.shape import AccessEntry
from podshare.kinds.access_point import calls as access_point
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Kind, Resource
from podshare.kinds.cluster_scheduler_config import calls as cluster_scheduler_config
from podshare.kinds.cluster_scheduler_config.shape import ClusterSchedulerConfig
from podshare.kinds.compute_quota import calls as compute_quota
from podshare.kinds.compute_quota.shape import ComputeQuota
from podshare.kinds.context import Context
from podshare.kinds.data_repository_association import calls as data_repository_association
from podshare.kinds.data_repository_association.shape import DataRepositoryAssociation
from podshare.kinds.kms_grant import calls as kms_grant
from podshare.kinds.kms_grant.shape import KmsGrant
from podshare.kinds.kubernetes_role.shape import KubernetesRole
from podshare.kinds.kubernetes_role_binding.shape import KubernetesRoleBinding
from podshare.kinds.namespace.shape import Namespace
from podshare.kinds.persistent_volume.shape import PersistentVolume
from podshare.kinds.persistent_volume_claim.shape import PersistentVolumeClaim
from podshare.kinds.pod_identity_association import calls as pod_identity_association
from podshare.kinds.pod_identity_association.shape import PodIdentityAssociation
from podshare.kinds.role import calls as role
from podshare.kinds.role.shape import Role
from podshare.policy import policies, rbac

CREATE: Mapping[type[Resource], Any] = {
    Role: role.create,
    AccessEntry: access_entry.create,
    PodIdentityAssociation: pod_identity_association.create,
    AccessPoint: access_point.create,
    ComputeQuota: compute_quota.create,
    KmsGrant: kms_grant.create,
    DataRepositoryAssociation: data_repository_association.create,
    ClusterSchedulerConfig: cluster_scheduler_config.ask_for,
}
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
TAG_VALUE = re.compile(r"[\w .:/=+\-@]{0,256}")


_right: set[str] = set()  # resources that were found right before: many teams have the same
_wrong: list[str] = []  # what the clients, which are made once, were asked wrongly since it was last emptied


class _Clients:
    """AWS clients that check what they are asked, as botocore does and beyond, and go no further."""

    def client(self, service: str, account: str, region: str = "us-west-2") -> Any:
        """A client of any account."""
        return _client(service, region)

    def member_tags(self, account: str) -> dict[str, str]:
        """What the member stack of an account names."""
        return {"podshare:boundary": f"arn:aws:iam::{account}:policy/podshare-system/podshare-boundary-0123456789ab"}


@cache
def _client(service: str, region: str) -> Any:
    session: Any = boto3.Session("AKIAIOSFODNN7EXAMPLE", "secret", region_name=region)
    client = session.client(service)
    client.meta.events.register("before-parameter-build", _check)
    client.meta.events.register("before-call", _answer)
    return client


def _check(params: dict[str, Any], model: Any, **_: Any) -> None:
    _wrong.extend(f"{model.name}{problem}" for problem in _problems(model.input_shape, params, ""))


def _answer(**_: Any) -> tuple[AWSResponse, dict[str, Any]]:
    return AWSResponse("https://example.com", 200, HTTPHeaders(), None), {"ResponseMetadata": {"HTTPStatusCode": 200}}


def _problems(shape: Any, value: Any, where: str) -> Iterator[str]:
    """What breaks the lengths, numbers, names and patterns of a service's model."""
    if shape.type_name == "structure":
        for name, member in value.items():
            if name in shape.members:  # botocore refuses any other
                yield from _problems(shape.members[name], member, f"{where}.{name}")
    elif shape.type_name == "list":
        yield from _out_of_bounds(shape, len(value), where)
        for item in value:
            yield from _problems(shape.member, item, f"{where}[]")
    elif shape.type_name == "map":
        yield from _out_of_bounds(shape, len(value), where)
        for name, item in value.items():
            yield from _problems(shape.key, name, f"{where} key")
            yield from _problems(shape.value, item, f"{where}.{name}")
    elif shape.type_name == "string":
        yield from _out_of_bounds(shape, len(value), where)
        named = shape.metadata.get("enum") if shape.name != "ClusterInstanceType" else None  # new ones come every month
        if named and value not in named:
            yield f"{where}: {value!r} is none of {named}"
        if (pattern := shape.metadata.get("pattern")) and not _matches(pattern, value):
            yield f"{where}: {value!r} does not match {pattern}"
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _out_of_bounds(shape, value, where)


def _out_of_bounds(shape: Any, size: float, where: str) -> Iterator[str]:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
    if not size >= least or (most is not None and not size <= most):
        yield f"{where}: {size} is not in {least} to {most}"


@cache
def _pattern(pattern: str) -> TypeAdapter[str]:
    return TypeAdapter(Annotated[str, StringConstraints(pattern=f"^(?:{pattern})$")])  # knows \p{L}, as AWS does


def _matches(pattern: str, value: str) -> bool:
    try:
        return bool(_pattern(pattern).validate_python(value) == value)
    except ValidationError:
        return False


def wrong_requests(installation: Installation, team: str, resources: Iterable[Resource]) -> list[str]:
    """What AWS would refuse of the requests that make ``resources``."""
    _wrong.clear()
    context = Context(installation, team, "", cast(Accounts, _Clients()), State("none"), 60, "run")
    unknown = {text: resource for resource in resources if (text := f"{team} {resource}") not in _right}
    for resource in unknown.values():
        if create := CREATE.get(type(resource)):
            with suppress(Pending, Waiting):  # it was asked for
                create(context, resource)
        _wrong.extend(_wrong_names(resource))
    if not _wrong:
        _right.update(unknown)
    return [*_wrong]


def _wrong_names(resource: Resource) -> Iterator[str]:
    """What AWS's models do not tell: names of Kubernetes, values of tags, the state table's key, policy variables."""
    key = resource.key
    if len(f"resource#{key}".encode()) > 1024:
        yield f"{key} is no sort key: longer than 1,024 bytes"
    if key.kind in (Kind.SERVICE_ACCOUNT, Kind.POD_IDENTITY_ASSOCIATION):
        namespace, _, name = key.name.partition("/")
        if not LABEL.fullmatch(namespace) or not SUBDOMAIN.fullmatch(name) or max(map(len, (namespace, name))) > 63:
            yield f"{key.name} is no service account"
    if isinstance(resource, Namespace) and (not LABEL.fullmatch(key.name) or len(key.name) > 63):
        yield f"{key.name} is no namespace"
    if isinstance(resource, PersistentVolume | PersistentVolumeClaim):
        yield from _wrong_volume(resource)
    if isinstance(resource, KubernetesRole | KubernetesRoleBinding):
        yield from _wrong_rbac(resource)
    for name, value in resource.tags.items():
        if not TAG_VALUE.fullmatch(value) or value.lower().startswith("aws:"):
            yield f"tag {name} = {value!r}"
    documents = [resource.policy] if isinstance(resource, AccessPoint) else []
    documents += [resource.trust, *resource.policies.values()] if isinstance(resource, Role) else []
    for document in documents:
        if not re.fullmatch(r"[\t\n\r\x20-\xff]+", policies.text(document or {})) or "${" in policies.text(
            document or {}
        ):
            yield f"policy {document}"


def _wrong_volume(resource: PersistentVolume | PersistentVolumeClaim) -> Iterator[str]:
    """What the API server or podshare's admission policies would refuse of a volume or a claim."""
    name = resource.key.name.rpartition("/")[2]
    if not SUBDOMAIN.fullmatch(name) or len(name) > 253:
        yield f"{name} is no name of a volume or claim"
    if isinstance(resource, PersistentVolume):
        team, attributes = resource.claim.partition("/")[0], resource.spec["csi"]["volumeAttributes"]
        directory = f"[A-Za-z0-9_-]{{1,8}}/podshare/{team.removeprefix('hyperpod-ns-')}/[a-z0-9-]+"
        if not re.fullmatch(directory, attributes["mountname"]):
            yield f"{attributes['mountname']} is not the team's directory"


def _wrong_rbac(resource: KubernetesRole | KubernetesRoleBinding) -> Iterator[str]:
    """What the API server or podshare's admission policies would refuse of a Role or its binding."""
    name = resource.key.name.partition("/")[2]
    if not SUBDOMAIN.fullmatch(name) or len(name) > 253:
        yield f"{name} is no name of a role"
    for rule in resource.rules if isinstance(resource, KubernetesRole) else ():
        if why := rbac.refusal(rule.api_groups, rule.resources, rule.verbs, rule.resource_names):
            yield f"{rule}: {why}"

"""Who gets in, by trying: every role that people can become, and every service account's pods, at every door.

Nothing is asked of podshare: who there is, what there is and what is allowed come from IAM, EKS, Kubernetes and S3.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import boto3
from botocore.exceptions import ClientError
from moto.iam.models import iam_backends

from podshare_sandbox.authorization import AccessDenied
from podshare_sandbox.services import access_points, kubernetes, pod_identity
from tests.scenarios.world import (
    DATA,
    EKS_ARN,
    HUB,
    IMAGES,
    LANGUAGE,
    MANAGEMENT,
    SCANS,
    TEXT,
    VISION,
    World,
    answered,
)
from tests.simulation.reality import CLUSTERS

WORK, LOOK = "submits work", "looks"
_ASKED = {WORK: ("create", "kubeflow.org", "pytorchjobs"), LOOK: ("list", "", "pods")}
_OBJECT = "trial"
PREFIXES = {IMAGES: ("imagenet/",), TEXT: ("crawl/", "drafts/alpha/"), SCANS: ("scans/", "reports/")}

Person = tuple[str, str, str, str]
Pod = tuple[str, str, str, str, str]


def prepare(world: World) -> None:
    """Let the owner of the data put an object to try at under every prefix."""
    s3 = world.sandbox.client("s3", DATA)
    for bucket, prefixes in PREFIXES.items():
        for prefix in prefixes:
            s3.put_object(Bucket=bucket, Key=prefix + _OBJECT, Body=b"trial")


def people(world: World) -> frozenset[Person]:
    """(account, role name, team, what they may do) of everybody who gets into a team's namespace.

    Everybody: each role that an account's administrator can become, and each role that one of these can become.
    """
    entries = world.sandbox.client("eks", HUB).list_access_entries(clusterName="hyperpod-eks")["accessEntries"]
    found = set()
    for account in (VISION, LANGUAGE, DATA):
        for name, person in _roles_of(world, account):
            sts = person.client("sts")
            inside = (_become(world, entry, sts) for entry in entries)
            for session in [person, *(one for one in inside if one)]:
                found |= {(account, name, team, does) for team, does in _abilities(world, session)}
    return frozenset(found)


def _roles_of(world: World, account: str) -> Iterator[tuple[str, boto3.Session]]:
    sts = world.sandbox.client("sts", account)
    for role in list(iam_backends[account]["aws"].roles.values()):
        if session := _become(world, role.arn, sts):
            yield role.arn.partition(":role/")[2], session


def _become(world: World, role: str, sts: Any) -> boto3.Session | None:
    try:
        given = sts.assume_role(RoleArn=role, RoleSessionName="ada")["Credentials"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return None
    return world.sandbox.session_of(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def _abilities(world: World, session: boto3.Session) -> Iterator[tuple[str, str]]:
    """What a session may do in each team's namespace; the most that is asked of it."""
    kubectl = world.kubernetes(session)
    for namespace in _namespaces(EKS_ARN):
        try:
            able = [does for does, asked in _ASKED.items() if answered(kubectl, *asked, namespace)]
        except PermissionError:
            return
        if able:
            yield namespace.removeprefix("hyperpod-ns-"), able[0]


def _namespaces(cluster: str) -> list[str]:
    found = [str(one["metadata"]["name"]) for one in kubernetes.api_of(cluster).objects("Namespace")]
    return [name for name in found if name.startswith("hyperpod-ns-")]


def pods(world: World) -> frozenset[Pod]:
    """(cluster, team, service account, access, prefix) of all that pods of a team's namespace can read or write.

    Each is tried by every access point there is, and at the buckets themselves.
    """
    doors = _doors()
    found = set()
    for cluster, namespace in ((arn, name) for arn in CLUSTERS for name in _namespaces(arn)):
        for account in kubernetes.api_of(cluster).objects("ServiceAccount", namespace):
            team, name = namespace.removeprefix("hyperpod-ns-"), str(account["metadata"]["name"])
            if session := _pod(world, cluster, namespace, name):
                place = cluster.rpartition("/")[2]
                s3 = session.client("s3")
                found |= {(place, team, name, access, prefix) for access, prefix in _data(s3, doors)}
    return frozenset(found)


def outsiders(world: World) -> frozenset[str]:
    """The prefixes that somebody in an account without any record can read."""
    s3 = world.sandbox.client("s3", MANAGEMENT)
    return frozenset(prefix for door, prefix in _doors() if _reads(s3, door, prefix))


def lists(world: World, account: str, bucket: str) -> bool:
    """Whether somebody in an account sees what is in a bucket."""
    return _succeeds(partial(world.sandbox.client("s3", account).list_objects_v2, Bucket=bucket))


ALL = (people, pods, outsiders)


def _pod(world: World, cluster: str, namespace: str, account: str) -> boto3.Session | None:
    """What EKS Pod Identity gives to a pod, by its target role too, which runs no longer than it takes to ask for it."""
    api = kubernetes.api_of(cluster)
    api.run_pod(namespace, _OBJECT, account)
    try:
        given = pod_identity.credentials_of_pod(cluster, namespace, account, _OBJECT)
    except (pod_identity.PodIdentityError, AccessDenied):  # nothing is associated with it, or its role trusts no more
        return None
    except ClientError as error:  # of the target role
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return None
    finally:
        api.delete("Pod", namespace, _OBJECT)
    return world.sandbox.session_of(given.access_key, given.secret_key, given.token)


def _doors() -> list[tuple[str, str]]:
    """(where to ask, what to ask for) of every prefix, by each access point of its bucket and at the bucket itself."""
    points = [(point.bucket, point.arn) for point in access_points._all_access_points()]
    ways = [*((bucket, bucket) for bucket in PREFIXES), *points]
    return [(door, prefix) for bucket, door in ways for prefix in PREFIXES.get(bucket, ())]


def _data(s3: Any, doors: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for door, prefix in doors:
        if _reads(s3, door, prefix):
            yield "read", prefix
        if _succeeds(partial(s3.put_object, Bucket=door, Key=prefix + _OBJECT, Body=b"")):
            yield "write", prefix


def _reads(s3: Any, door: str, prefix: str) -> bool:
    return _succeeds(partial(s3.get_object, Bucket=door, Key=prefix + _OBJECT))


def _succeeds(call: Callable[[], object]) -> bool:
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return False
    return True

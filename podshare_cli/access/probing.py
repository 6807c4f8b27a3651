"""The hand test of AWS's guide, done by pods: what a service account shall reach is reached, and all else is refused.

The pods run under the team's own service account, by the credentials of whoever calls, and never write.
"""

import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import httpx2
import lightkube
from botocore.exceptions import ClientError
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, Context, User
from lightkube.core.exceptions import ApiError
from lightkube.resources.core_v1 import Pod

from podshare.access.effective_access import ANYBODY, Access, in_bucket
from podshare.kinds.base import Key, Kind
from podshare_cli.access.reports import Known, Line
from podshare_cli.aws.connection import Connection
from podshare_cli.aws.kubernetes import token_of
from podshare_cli.failures import Failure

SECONDS = 180  # for a pod to start and to end; then it ends itself
MOST_STRANGERS = 10  # access points of other teams that are tried
_POLL_SECONDS = 1
_REFUSALS = ("(AccessDenied)", "(403)", "(Forbidden)")
_OVER = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True)
class Check:
    """One call of the AWS CLI by a pod: what it tries, and whether it shall be refused."""

    what: str
    command: tuple[str, ...]
    refused: bool


@dataclass(frozen=True)
class Result:
    """What came of a check; ``found`` is ``allowed``, ``refused``, or why neither is known."""

    service_account: str
    check: Check
    found: str

    @property
    def holds(self) -> bool:
        """Whether it is as it shall be."""
        return self.found == ("refused" if self.check.refused else "allowed")

    def as_dict(self) -> dict[str, Any]:
        """The result for machines."""
        wanted = "refused" if self.check.refused else "allowed"
        outcome = {"what": self.check.what, "wanted": wanted, "found": self.found, "holds": self.holds}
        return {"service_account": self.service_account, **outcome}


@dataclass(frozen=True)
class _Ended:
    """How a container ended: its exit code, and what it printed."""

    code: int
    printed: str


def service_accounts(known: Known, team: str) -> dict[str, list[Line]]:
    """What each service account of a team was granted in buckets, by its name in the cluster."""
    grants: dict[str, list[Line]] = {}
    for line in known.access_reports[team].lines:
        if line.granted and in_bucket(line.access) and _is_of_one_account(line.access):
            grants.setdefault(line.access.who.rpartition(":")[2], []).append(line)
    return grants


def _is_of_one_account(access: Access) -> bool:
    """Whether a service account reaches it by its role, and not every pod of the namespace by a volume."""
    return access.who.startswith("system:serviceaccount:") and not access.who.endswith(ANYBODY)


def probe(connection: Connection, known: Known, team: str, name: str, image: str) -> Iterator[Result]:
    """Let a pod try what a service account shall reach and what it shall not; the pods are deleted, whatever happens.

    Yields what each pod has tried once that has ended. Raises Failure if a pod cannot be made or does not end.
    """
    lines = service_accounts(known, team)[name]
    place = _association(lines)
    cluster = _Cluster(connection, place)
    listing = [*_listings(lines), *_elsewhere(lines), *_of_strangers(known, team, lines)]
    ended = cluster.run(name, image, [check.command for check in listing])
    yield from _results(name, listing, ended)
    reading = [*_readings(lines, listing, ended)]
    if reading:
        yield from _results(name, reading, cluster.run(name, image, [check.command for check in reading]))


def _results(name: str, checks: Sequence[Check], ended: Sequence[_Ended]) -> Iterator[Result]:
    return (Result(name, check, _judged(container)) for check, container in zip(checks, ended, strict=True))


# ---- what is tried ---------------------------------------------------------------------------------------------


def _listings(lines: Iterable[Line]) -> Iterator[Check]:
    """Each prefix that was granted is listed, through its access point if it has one."""
    for line in lines:
        if "list" in line.access.may:
            way = " through its access point" if _has_point(line.access) else ""
            prefix = line.access.what.removesuffix("*")
            yield Check(f"list {_url(line.access)}{way}", _list(_door(line.access), prefix), False)


def _elsewhere(lines: Sequence[Line]) -> Iterator[Check]:
    """What lies beside a prefix, and the bucket without the access point, are refused."""
    whole = {_door(line.access) for line in lines if line.access.what == "*"}
    for door in sorted({_door(line.access) for line in lines} - whole):
        yield Check(f"list all of {_short(door)}", _list(door, ""), True)
        yield Check(f"read beside the prefixes of {_short(door)}", _get(door, "podshare-probe"), True)
    behind = {(_bucket(line.access), _door(line.access).split(":")[3]) for line in lines if _has_point(line.access)}
    for bucket, region in sorted(behind):
        yield Check(f"list bucket {bucket} itself", (*_LIST, "--bucket", bucket, "--region", region), True)


def _of_strangers(known: Known, team: str, lines: Iterable[Line]) -> Iterator[Check]:
    """The access points of other teams are refused, and buckets that they reach without one, shared datasets too."""
    others = [line for name, report in sorted(known.access_reports.items()) if name != team for line in report.lines]
    by_roles = [line for line in others if in_bucket(line.access) and not line.access.who.endswith(ANYBODY)]
    granted = [line.access for line in lines if not _has_point(line.access)]
    strange = [role for role in by_roles if _has_point(role.access) or not any(map(role.access.touches, granted))]
    by_door = {(_door(line.access), line) for line in strange if line.access.through}
    doors = dict(sorted(by_door, key=lambda pair: (pair[1].team, pair[1].access)))
    for door, line in list(doors.items())[:MOST_STRANGERS]:
        way = "through team {}'s access point" if _has_point(line.access) else "itself, which team {} reads"
        attempt = f"list {_url(line.access)} {way.format(line.team)}"
        yield Check(attempt, _list(door, line.access.what.removesuffix("*")), True)


def _readings(lines: Iterable[Line], listing: Sequence[Check], ended: Sequence[_Ended]) -> Iterator[Check]:
    """The first object of each prefix that could be listed is read."""
    printed = {
        check.command: container.printed for check, container in zip(listing, ended, strict=True) if not container.code
    }
    for line in lines:
        command = _list(_door(line.access), line.access.what.removesuffix("*"))
        keys = [str(listed["Key"]) for listed in json.loads(printed.get(command) or "{}").get("Contents", [])]
        if "read" in line.access.may and (objects := [key for key in keys if not key.endswith("/")]):
            way = " through its access point" if _has_point(line.access) else ""
            attempt = f"read {objects[0]} of {_bucket(line.access)}{way}"
            yield Check(attempt, _get(_door(line.access), objects[0]), False)


_LIST = ("s3api", "list-objects-v2", "--output", "json", "--max-keys", "10")


def _list(door: str, prefix: str) -> tuple[str, ...]:
    wanted = ("--prefix", prefix) if prefix else ()
    return (*_LIST, "--bucket", door, *_region(door), *wanted)


def _get(door: str, key: str) -> tuple[str, ...]:
    first_byte = ("--range", "bytes=0-0")
    return ("s3api", "get-object", "--bucket", door, "--key", key, *first_byte, *_region(door), "/dev/null")


def _has_point(access: Access) -> bool:
    """Whether it is reached through an access point, and not by a role that the data's owner chose."""
    return bool(access.through) and ":accesspoint/" in access.through[-1]


def _door(access: Access) -> str:
    """What is in a bucket's place in a call: the access point's ARN, or the bucket's own name."""
    return access.through[-1] if _has_point(access) else _bucket(access)


def _region(door: str) -> tuple[str, ...]:
    """The Region of an access point; a bucket's the AWS CLI finds by itself (S3 redirects it)."""
    return ("--region", door.split(":")[3]) if door.startswith("arn:") else ()


def _bucket(access: Access) -> str:
    return access.where.rpartition(":")[2]


def _url(access: Access) -> str:
    return f"s3://{_bucket(access)}/{access.what}"


def _short(door: str) -> str:
    return f"access point {door.rpartition('/')[2]}" if door.startswith("arn:") else f"bucket {door}"


def _judged(ended: _Ended) -> str:
    if ended.code == 0:
        return "allowed"
    if any(refusal in ended.printed for refusal in _REFUSALS):
        return "refused"
    lines = ended.printed.strip().splitlines()
    return lines[-1] if lines else f"exit code {ended.code}, and nothing was printed"


# ---- the cluster -----------------------------------------------------------------------------------------------


def _association(lines: Iterable[Line]) -> Key:
    """The pod identity association by which a service account gets its role: it names cluster and namespace."""
    keys = (Key.parse(text) for line in lines for text in line.access.by)
    return next(key for key in keys if key.kind is Kind.POD_IDENTITY_ASSOCIATION)


class _Cluster:
    """A namespace of a cluster, as the caller sees it."""

    def __init__(self, connection: Connection, place: Key) -> None:
        self.namespace = place.name.partition("/")[0]
        described = _described(connection, place)
        self._caller, self._name = connection.caller, place.container
        self._client = lightkube.Client(
            config=SingleConfig(
                context_name=place.container,
                context=Context(cluster=place.container, user="podshare"),
                cluster=Cluster(
                    server=described["endpoint"], certificate_auth_data=described["certificateAuthority"]["data"]
                ),
                user=User(token=token_of(connection.session, place.region, place.container)),
            ),
            timeout=httpx2.Timeout(20),
        )

    def run(self, service_account: str, image: str, commands: Sequence[Sequence[str]]) -> list[_Ended]:
        """Run each command in a container of one pod, and delete it. Raises Failure."""
        name = f"podshare-probe-{secrets.token_hex(4)}"
        manifest = _manifest(name, self.namespace, service_account, image, commands)
        with self._explained():
            self._client.create(cast(Pod, Pod.from_dict(manifest)))
            try:
                codes = self._awaited(name)
                return [
                    _Ended(code, "\n".join(self._client.log(name, namespace=self.namespace, container=container)))
                    for container, code in codes.items()
                ]
            finally:
                self._client.delete(Pod, name, namespace=self.namespace)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Raise Failure for what the cluster refuses."""
        try:
            yield
        except ApiError as error:
            message = f"{self._caller} cannot run a pod in {self.namespace} of {self._name}: {error.status.message}"
            raise Failure(message, "You need an access entry that may create, read and delete pods there.") from error
        except httpx2.HTTPError as error:
            raise Failure(f"Cluster {self._name} cannot be reached: {error!r}") from error

    def _awaited(self, name: str) -> dict[str, int]:
        """The exit code of each container, once all have ended."""
        deadline = time.monotonic() + SECONDS
        while True:
            pod = self._client.get(Pod, name, namespace=self.namespace).to_dict()
            status = pod.get("status", {})
            if status.get("phase") in _OVER:
                return _exit_codes(status)
            if time.monotonic() > deadline:
                why = "; ".join(_reasons(status)) or f"it is {status.get('phase')}"
                raise Failure(
                    f"Pod {name} has not ended within {SECONDS} s: {why}", "Check that the cluster can pull its image."
                )
            time.sleep(_POLL_SECONDS)


def _described(connection: Connection, place: Key) -> Mapping[str, Any]:
    try:
        eks = connection.session.client("eks", region_name=place.region)
        return eks.describe_cluster(name=place.container)["cluster"]
    except ClientError as error:
        message = f"Cluster {place.container} of account {place.account} cannot be described: {error}"
        raise Failure(message, "Use credentials of that account that may call eks:DescribeCluster.") from error


def _exit_codes(status: Mapping[str, Any]) -> dict[str, int]:
    statuses = status.get("containerStatuses", [])
    codes = {
        container["name"]: int(container["state"].get("terminated", {}).get("exitCode", -1)) for container in statuses
    }
    if not codes:
        raise Failure(f"The pod failed before its containers ran: {'; '.join(_reasons(status)) or status}")
    return dict(sorted(codes.items()))


def _reasons(status: Mapping[str, Any]) -> Iterator[str]:
    """Why a pod waits or has failed: its own word, its conditions' and its containers'."""
    yield from (str(status[name]) for name in ("reason", "message") if name in status)
    yield from (str(condition["message"]) for condition in status.get("conditions", []) if condition.get("message"))
    for container in status.get("containerStatuses", []):
        waiting = container["state"].get("waiting", {})
        yield from (str(waiting[name]) for name in ("reason", "message") if name in waiting)


def _manifest(
    name: str, namespace: str, service_account: str, image: str, commands: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """A pod that needs little, may do nothing on its node, queues as the team's work does, and ends itself."""
    small = {"cpu": "50m", "memory": "128Mi"}
    confined = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    containers = [
        {
            "name": f"check-{number:02}",
            "image": image,
            "args": [*command],
            "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108  # the image's user has none of its own
            "resources": {"requests": small, "limits": {"memory": "256Mi"}},
            "securityContext": confined,
        }
        for number, command in enumerate(commands)
    ]
    labels = {
        "app.kubernetes.io/managed-by": "podshare",
        "kueue.x-k8s.io/queue-name": f"{namespace}-localqueue",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "serviceAccountName": service_account,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": SECONDS,
            "automountServiceAccountToken": False,  # pod identity has a token of its own
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": containers,
        },
    }

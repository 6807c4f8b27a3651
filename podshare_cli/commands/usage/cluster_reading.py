"""Reads of clusters what was used, with the caller's own credentials: Kueue's workloads, pods and nodes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from podshare.aws.eks_token import token
from podshare.registry.items import name_of
from podshare_cli.aws.accounts import Accounts
from podshare_cli.aws.kubernetes import UNREACHABLE, Answer, Cluster
from podshare_cli.history.cluster_work import Objects, Reading

Object = Mapping[str, Any]
_PAGE = 500  # objects of one answer
_SERVED, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404
_KUEUE = "/apis/kueue.x-k8s.io"


class UnreadableError(Exception):
    """Why a cluster cannot be read."""


def read_clusters(accounts: Accounts, records: Sequence[Object], count: Callable[[int, int], None]) -> list[Reading]:
    """What each cluster has; ``count`` is called with how many of them are done."""
    readings = []
    for number, record in enumerate(records, 1):
        readings.append(_reading(accounts, record))
        count(number, len(records))
    return readings


def _reading(accounts: Accounts, record: Object) -> Reading:
    name, account = name_of(record), str(record["account"])
    if not accounts.reaches(account):
        return Reading(name, problem=f"it is in account {account} (--profile-of {account}=PROFILE)")
    try:
        cluster = _cluster(accounts, record)
        group = cluster.get(_KUEUE)
        if group.status not in (_SERVED, _NOT_FOUND):
            raise _refused(_KUEUE, group)
        kueue = str(group.body.get("preferredVersion", {}).get("groupVersion", ""))
        queued = [
            _listed(cluster, f"/apis/{kueue}/{kinds}") if kueue else [] for kinds in ("workloads", "resourceflavors")
        ]
        others = [_listed(cluster, f"/api/v1/{kinds}") for kinds in ("pods", "nodes")]
    except (UnreadableError, ClientError, BotoCoreError) as error:
        return Reading(name, problem=str(error))
    return Reading(name, Objects(*queued, *others), has_kueue=bool(kueue))


def _cluster(accounts: Accounts, record: Object) -> Cluster:
    """A cluster's API. Raises botocore's errors."""
    account, region, name = str(record["account"]), str(record["region"]), str(record["eks_cluster"])
    described = accounts.client("eks", account, region).describe_cluster(name=name)["cluster"]
    credentials = accounts.session(account).get_credentials()
    if credentials is None:
        raise TypeError("they have just been used")
    keys = credentials.get_frozen_credentials()
    made = {"AccessKeyId": str(keys.access_key), "SecretAccessKey": str(keys.secret_key)}
    made |= {"SessionToken": str(keys.token)} if keys.token else {}
    return Cluster(described["endpoint"], described["certificateAuthority"]["data"], token(made, region, name))


def _listed(cluster: Cluster, path: str) -> list[Object]:
    """All objects of a kind, page by page. Raises UnreadableError."""
    listed: list[Object] = []
    after = ""
    while True:
        answer = cluster.get(f"{path}?limit={_PAGE}{f'&continue={quote(after)}' if after else ''}")
        if answer.status != _SERVED:
            raise _refused(path, answer)
        listed += answer.body.get("items") or []
        after = str((answer.body.get("metadata") or {}).get("continue") or "")
        if not after:
            return listed


def _refused(path: str, answer: Answer) -> UnreadableError:
    if answer.status == UNREACHABLE:
        return UnreadableError(f"it cannot be reached: {answer.message}")
    if answer.status == _UNAUTHORIZED:
        return UnreadableError("it does not let you in (401): you need an access entry")
    if answer.status == _FORBIDDEN:
        return UnreadableError(f"you may not list {path.rpartition('/')[2]} in all its namespaces: {answer.message}")
    return UnreadableError(f"it answers {answer.status} to {path}: {answer.message}")

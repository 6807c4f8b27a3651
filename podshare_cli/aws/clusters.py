"""Objects of clusters, listed with the caller's own credentials."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from podshare.registry.parsing import problems_of
from podshare_cli.aws.accounts import Accounts
from podshare_cli.aws.kubernetes import UNREACHABLE, Answer, Cluster, token_of

Object = Mapping[str, Any]
PAGE = 500  # objects of one answer
_SERVED, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404
_KUEUE = "/apis/kueue.x-k8s.io"


class UnreadableError(Exception):
    """Why a cluster cannot be read."""


def opened(accounts: Accounts, record: Object) -> Cluster:
    """The API of the cluster of a record. Raises botocore's errors and UnreadableError."""
    if problems := problems_of(record):
        raise UnreadableError(f"its record is invalid: {problems[0]}")
    account, region, name = str(record["account"]), str(record["region"]), str(record["eks_cluster"])
    if not accounts.reaches(account):
        raise UnreadableError(f"it is in account {account} (--profile-of {account}=PROFILE)")
    described = accounts.client("eks", account, region).describe_cluster(name=name)["cluster"]
    bearer = token_of(accounts.session(account), region, name)
    return Cluster(described["endpoint"], described["certificateAuthority"]["data"], bearer)


def kueue_path(cluster: Cluster) -> str:
    """Where the cluster serves Kueue's objects, in the version that it prefers; empty if it has no Kueue.

    Raises UnreadableError.
    """
    group = cluster.get(_KUEUE)
    if group.status not in (_SERVED, _NOT_FOUND):
        raise _refused(_KUEUE, group)
    version = str(group.body.get("preferredVersion", {}).get("groupVersion", ""))
    return f"/apis/{version}" if version else ""


def listed(cluster: Cluster, path: str, *, is_served: bool = True) -> list[Object]:
    """All objects of a kind, page by page; none if it is not served and need not be. Raises UnreadableError."""
    objects: list[Object] = []
    after = ""
    while True:
        answer = cluster.get(f"{path}?limit={PAGE}{f'&continue={quote(after)}' if after else ''}")
        if answer.status == _NOT_FOUND and not is_served:
            return []
        if answer.status != _SERVED:
            raise _refused(path, answer)
        objects += answer.body.get("items") or []
        after = str((answer.body.get("metadata") or {}).get("continue") or "")
        if not after:
            return objects


def _refused(path: str, answer: Answer) -> UnreadableError:
    if answer.status == UNREACHABLE:
        return UnreadableError(f"it cannot be reached: {answer.message}")
    if answer.status == _UNAUTHORIZED:
        return UnreadableError("it does not let you in (401): you need an access entry")
    if answer.status == _FORBIDDEN:
        return UnreadableError(f"you may not list {path.rpartition('/')[2]} in all its namespaces: {answer.message}")
    return UnreadableError(f"it answers {answer.status} to {path}: {answer.message}")

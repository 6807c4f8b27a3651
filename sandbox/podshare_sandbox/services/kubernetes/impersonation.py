"""Acting as somebody else: ``Impersonate-User`` and its companions.

Kubernetes documentation, "User Impersonation". Each user, group, uid and extra value that is asked for takes a right of
its own; an impersonated user has no access policies of EKS.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import unquote

from podshare_sandbox.services.kubernetes import errors
from podshare_sandbox.services.kubernetes.authentication import (
    ANONYMOUS,
    AUTHENTICATED,
    UNAUTHENTICATED,
    KubernetesUser,
)
from podshare_sandbox.services.kubernetes.authorizer import Attributes

_USER, _GROUP, _UID, _EXTRA = "impersonate-user", "impersonate-group", "impersonate-uid", "impersonate-extra-"
_GROUP_OF_USERS = "authentication.k8s.io"
_SERVICE_ACCOUNT = "system:serviceaccount:"


def impersonated(
    user: KubernetesUser, headers: Mapping[str, str], require: Callable[[KubernetesUser, Attributes], None]
) -> KubernetesUser:
    """Whom ``user`` wants to be. ``require`` raises 403 for a right that is missing; 400 where no user is named."""
    asked = {name.lower(): value for name, value in headers.items() if name.lower().startswith("impersonate-")}
    name = asked.get(_USER)
    groups = [group.strip() for group in asked.get(_GROUP, "").split(",") if group.strip()]
    extra = {unquote(key.removeprefix(_EXTRA)): [value] for key, value in asked.items() if key.startswith(_EXTRA)}
    if not name:
        if asked:
            raise errors.bad_request(f"requested {sorted(asked)} without impersonating a user")
        return user
    require(user, _attributes(name))
    for group in groups:
        require(user, Attributes("impersonate", "", "groups", name=group))
    if uid := asked.get(_UID, ""):
        require(user, Attributes("impersonate", _GROUP_OF_USERS, "uids", name=uid))
    for key, values in extra.items():
        for value in values:
            require(user, Attributes("impersonate", _GROUP_OF_USERS, "userextras", key, name=value))
    found = KubernetesUser(name, tuple(groups) or _default_groups(name), uid, extra)
    everybody = UNAUTHENTICATED if name == ANONYMOUS else AUTHENTICATED
    if {AUTHENTICATED, UNAUTHENTICATED} & {*found.groups}:
        return found
    return replace(found, groups=(*found.groups, everybody))


def _attributes(name: str) -> Attributes:
    if name.startswith(_SERVICE_ACCOUNT):
        namespace, _, account = name.removeprefix(_SERVICE_ACCOUNT).partition(":")
        return Attributes("impersonate", "", "serviceaccounts", namespace=namespace, name=account)
    return Attributes("impersonate", "", "users", name=name)


def _default_groups(name: str) -> tuple[str, ...]:
    if not name.startswith(_SERVICE_ACCOUNT):
        return ()
    namespace = name.removeprefix(_SERVICE_ACCOUNT).partition(":")[0]
    return "system:serviceaccounts", f"system:serviceaccounts:{namespace}"

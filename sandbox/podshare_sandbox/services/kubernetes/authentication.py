"""Who is behind a bearer token: what EKS's authenticator makes of a presigned GetCallerIdentity request.

The rules are those of aws-iam-authenticator, which EKS runs: the token is ``k8s-aws-v1.`` and the base64url of a
URL of an STS endpoint, presigned over the header ``x-k8s-aws-id`` with the cluster's name, not older than 15
minutes. The caller's unique id then leads to the access entry; names do not count, so a role that was made anew
does not get in by the entry of the old one. Whoever has no entry may get in by the ConfigMap ``aws-auth``, where the
cluster's authentication mode lets it count; there it is the ARN that counts.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import yaml
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.eks.models import Cluster
from moto.iam.models import iam_backends

from podshare_sandbox import authorization, clock
from podshare_sandbox.services.eks import AccessEntry, ClusterExtension, known_entries
from podshare_sandbox.services.kubernetes import errors

ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED = "system:anonymous", "system:authenticated", "system:unauthenticated"
TOKEN_PREFIX = "k8s-aws-v1."  # noqa: S105  # a prefix, no secret
CLUSTER_HEADER = "x-k8s-aws-id"
LIFETIME = timedelta(minutes=15)
MAX_TOKEN_LENGTH = 16 * 1024

_STS_HOST = re.compile(r"sts(\.(?P<region>[a-z0-9-]+))?\.amazonaws\.com")
_PARAMETERS = {
    "Action",
    "Version",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
}


@dataclass(frozen=True)
class KubernetesUser:
    """Who asks, in Kubernetes' terms; ``entry`` carries the access policies, None for who has no access entry."""

    username: str
    groups: tuple[str, ...]
    uid: str = ""
    extra: dict[str, list[str]] = field(default_factory=dict)
    entry: AccessEntry | None = None

    def info(self) -> dict[str, Any]:
        """``UserInfo`` of authentication.k8s.io/v1."""
        return {"username": self.username, "uid": self.uid, "groups": list(self.groups), "extra": self.extra}


# EKS, from Kubernetes 1.32 on, takes requests without a token for /healthz, /livez and /readyz only (EKS user guide)
ANONYMOUS_USER = KubernetesUser(ANONYMOUS, (UNAUTHENTICATED,))


class _BadTokenError(Exception):
    """The token proves nothing."""


def authenticate(
    cluster: Cluster, authorization_header: str, aws_auth: Callable[[], Mapping[str, str]]
) -> KubernetesUser:
    """The user behind ``Authorization: Bearer …``; ``aws_auth`` gives the data of that ConfigMap.

    Raises 401, which tells nobody why.
    """
    scheme, _, token = authorization_header.partition(" ")
    if scheme.lower() != "bearer":
        raise errors.unauthorized()
    try:
        caller, access_key = _caller(token.strip(), cluster.name)
        # an access entry comes first: what the ConfigMap says of its principal is ignored (EKS user guide,
        # "Change authentication mode to use access entries")
        if entry := _entry_of(cluster, caller):
            return _user(caller, access_key, entry)
        return _mapped(caller, access_key, _lines(aws_auth()) if _uses_config_map(cluster) else ())
    except (_BadTokenError, authorization.UnknownAccessKey, authorization.ExpiredToken):
        raise errors.unauthorized() from None


def _caller(token: str, cluster_name: str) -> tuple[authorization.Principal, str]:
    """Who signed the token, and with which access key. Raises if it was not signed for this cluster, or is stale."""
    if not token.startswith(TOKEN_PREFIX) or len(token) > MAX_TOKEN_LENGTH:
        raise _BadTokenError
    encoded = token.removeprefix(TOKEN_PREFIX)
    try:
        url = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True).decode()
        parts = urlsplit(url)
        parameters = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True))
    except (ValueError, binascii.Error):
        raise _BadTokenError from None
    host = _STS_HOST.fullmatch(parts.netloc)
    if parts.scheme != "https" or host is None or parts.path not in ("", "/"):
        raise _BadTokenError
    _check_parameters(parameters)
    _check_age(parameters)
    access_key = parameters["X-Amz-Credential"].split("/")[0]
    caller = authorization.identify(access_key)
    _check_signature(parts.netloc, parameters, cluster_name, caller)
    return caller, access_key


def _check_parameters(parameters: dict[str, str]) -> None:
    required = _PARAMETERS - {"X-Amz-Security-Token"}
    if not required <= parameters.keys() <= _PARAMETERS:
        raise _BadTokenError
    if (parameters["Action"], parameters["X-Amz-Algorithm"]) != ("GetCallerIdentity", "AWS4-HMAC-SHA256"):
        raise _BadTokenError
    # the authenticator sends just these two headers, so a signature over others never verifies
    if parameters["X-Amz-SignedHeaders"] != f"host;{CLUSTER_HEADER}":
        raise _BadTokenError


def _check_age(parameters: dict[str, str]) -> None:
    """Within 15 minutes of its date. STS does not go by the lower X-Amz-Expires that clients send."""
    try:
        signed_at = datetime.strptime(parameters["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        expires = int(parameters["X-Amz-Expires"])
    except ValueError:
        raise _BadTokenError from None
    age = clock.now() - signed_at
    if not 0 <= expires <= LIFETIME.total_seconds() or not -LIFETIME < age < LIFETIME:
        raise _BadTokenError


def _check_signature(host: str, parameters: dict[str, str], cluster_name: str, caller: authorization.Principal) -> None:
    try:
        access_key, date, region, service, _ = parameters["X-Amz-Credential"].split("/")
    except ValueError:
        raise _BadTokenError from None
    secret, session_token = _secret(caller, access_key)
    if service != "sts" or not parameters["X-Amz-Date"].startswith(date):
        raise _BadTokenError
    if parameters.get("X-Amz-Security-Token") != session_token:
        raise _BadTokenError
    signed = {name: value for name, value in parameters.items() if name != "X-Amz-Signature"}
    request = AWSRequest("GET", f"https://{host}/?{urlencode(signed)}", headers={CLUSTER_HEADER: cluster_name})
    request.context["timestamp"] = parameters["X-Amz-Date"]
    signer = SigV4QueryAuth(Credentials(access_key, secret), service, region)
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    if not hmac.compare_digest(signer.signature(to_sign, request), parameters["X-Amz-Signature"]):
        raise _BadTokenError


def _secret(caller: authorization.Principal, access_key: str) -> tuple[str, str | None]:
    """The secret key behind an access key and, for a session, its token."""
    if caller.session:
        return caller.session.secret_key, caller.session.token
    return str(iam_backends[caller.account]["aws"].access_keys[access_key].secret_access_key), None


def _entry_of(cluster: Cluster, caller: authorization.Principal) -> AccessEntry | None:
    extension = ClusterExtension.of(cluster)
    unique_id = caller.user_id.split(":")[0]
    for entry in known_entries(cluster).all_to("cluster", extension.resources(AccessEntry)).values():
        if extension.uses_entries and entry.principal_id == unique_id:
            return entry
    return None


# ---- the ConfigMap aws-auth, as aws-iam-authenticator reads it ---------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """Whom a line of ``mapRoles``, ``mapUsers`` or ``mapAccounts`` names, and as whom that one comes."""

    principal: str
    username: str
    groups: tuple[str, ...]


def _uses_config_map(cluster: Cluster) -> bool:
    return bool(ClusterExtension.of(cluster).access_config["authenticationMode"] != "API")


def _lines(data: Mapping[str, str]) -> Iterator[_Line]:
    """Every line; a part that is no YAML list is left out whole, as the authenticator does with what it cannot read."""
    for part, arn in (("mapRoles", "rolearn"), ("mapUsers", "userarn")):
        for line in _listed(data.get(part)):
            fields = _fields(line) if isinstance(line, dict) else {}
            if fields.get(arn):
                groups = tuple(str(group) for group in fields.get("groups") or ())
                yield _Line(str(fields[arn]), str(fields.get("username") or ""), groups)
    yield from (_Line(str(account), "", ()) for account in _listed(data.get("mapAccounts")))


def _fields(line: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a line: a name counts in any case (Go, encoding/json, Unmarshal), the last in order of two."""
    return {str(name).casefold(): line[name] for name in sorted(line, key=str) if line[name] is not None}


def _listed(text: str | None) -> list[Any]:
    try:
        found = yaml.safe_load(text or "")
    except yaml.YAMLError:
        return []
    return found if isinstance(found, list) else []


def _mapped(caller: authorization.Principal, access_key: str, lines: Iterable[_Line]) -> KubernetesUser:
    """By the line of the caller's ARN, a role's without its path, else by that of its account, under the ARN's name."""
    canonical = _canonical(caller)
    by_principal = {line.principal.lower(): line for line in lines}
    if line := by_principal.get(canonical.lower()):
        username, groups = line.username, line.groups
    elif caller.account in by_principal:
        username, groups = canonical, ()
    else:
        raise _BadTokenError
    return _known_as(caller, access_key, username, groups, canonical)


def _canonical(caller: authorization.Principal) -> str:
    """The ARN of a user, or of the role behind a session, which names no path."""
    if not caller.session_name:
        return caller.arn
    partition, role = caller.arn.split(":")[1], caller.arn.split("/")[1]
    return f"arn:{partition}:iam::{caller.account}:role/{role}"


# ---- as whom a caller comes ------------------------------------------------------------------------------------


def _user(caller: authorization.Principal, access_key: str, entry: AccessEntry) -> KubernetesUser:
    user = _known_as(caller, access_key, entry.username, entry.groups, entry.principal_arn)
    return replace(user, entry=entry)


def _known_as(
    caller: authorization.Principal, access_key: str, template: str, groups: Iterable[str], canonical: str
) -> KubernetesUser:
    unique_id = caller.user_id.split(":")[0]
    raw_session = caller.session_name or ""
    session = raw_session.replace("@", "-")

    def rendered(name: str) -> str:
        name = name.replace("{{SessionNameRaw}}", raw_session).replace("{{SessionName}}", session)
        return name.replace("{{AccountID}}", caller.account)

    return KubernetesUser(
        username=rendered(template),
        groups=(*map(rendered, groups), AUTHENTICATED),
        uid=f"aws-iam-authenticator:{caller.account}:{unique_id}",
        extra={
            "accessKeyId": [access_key],
            "arn": [caller.arn],
            "canonicalArn": [canonical],
            "principalId": [unique_id],
            "sessionName": [session],
            "sigs.k8s.io/aws-iam-authenticator/principalId": [unique_id],
        },
    )

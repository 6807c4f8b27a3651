"""A cluster's Kubernetes API, asked with a person's own token; only what ``connect`` and ``usage`` ask."""

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import boto3

_SECONDS = 10
UNREACHABLE = 0  # in the place of a status: nothing answered


def token_of(session: "boto3.Session", region: str, cluster: str) -> str:
    """The token by which an EKS cluster knows whoever a session acts as."""
    from podshare.aws.eks_token import token  # botocore takes its time

    credentials = session.get_credentials()
    if credentials is None:
        raise TypeError("a session that has called AWS has credentials")
    keys = credentials.get_frozen_credentials()
    named = {"AccessKeyId": keys.access_key, "SecretAccessKey": keys.secret_key, "SessionToken": keys.token}
    return token({name: str(value) for name, value in named.items() if value}, region, cluster)


@dataclass(frozen=True)
class Answer:
    """A status of HTTP, or ``UNREACHABLE``, with the object that came, or the reason in words."""

    status: int
    body: Mapping[str, Any]

    @property
    def message(self) -> str:
        """What the cluster said, in a line."""
        return " ".join(str(self.body.get("message", "")).split())


@dataclass(frozen=True)
class Cluster:
    """How it is reached."""

    endpoint: str
    authority: str  # base64 of a certificate
    token: str

    def get(self, path: str) -> Answer:
        """What is at a path."""
        return self._ask("GET", path, None)

    def create(self, path: str, manifest: Mapping[str, Any]) -> Answer:
        """What comes of creating an object."""
        return self._ask("POST", path, manifest)

    def may(self, verb: str, group: str, resource: str, namespace: str) -> Answer:
        """A review of the caller's own access."""
        attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
        kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        return self.create(path, {**kind, "spec": {"resourceAttributes": attributes}})

    def _ask(self, method: str, path: str, manifest: Mapping[str, Any] | None) -> Answer:
        request = urllib.request.Request(  # noqa: S310  # EKS names the endpoint, and it is https
            self.endpoint + path,
            data=json.dumps(manifest).encode() if manifest else None,
            headers={
                "Authorization": f"Bearer {self.token}",
                "Accept": "application/json",
                "Content-Type": "application/json",
            },
            method=method,
        )
        trusted = ssl.create_default_context(cadata=base64.b64decode(self.authority).decode())
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trusted))
        try:
            with opener.open(request, timeout=_SECONDS) as response:
                return Answer(response.status, _object(response.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, _object(error.read()))
        except (OSError, http.client.HTTPException) as error:
            return Answer(UNREACHABLE, {"message": str(getattr(error, "reason", error))})


def _object(text: bytes) -> Mapping[str, Any]:
    try:
        parsed = json.loads(text)
    except ValueError:
        return {"message": text.decode(errors="replace")[:300]}
    return parsed if isinstance(parsed, dict) else {}

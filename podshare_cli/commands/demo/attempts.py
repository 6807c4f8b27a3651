"""Who can reach what, proven by doing it: as scientists and as pods do, with credentials of their own.

Every step is a real call by the sandbox's rules: a role is assumed, an EKS token made, the cluster's API asked,
objects listed, read and written through an access point.
"""

import base64
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, partial
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import ClientError

from podshare.aws.eks_token import token
from podshare.installation import Installation
from podshare.kinds import names
from podshare.registry.membership import Member, members
from podshare.registry.records import Dataset, DatasetAccess, DatasetGrant, ServiceAccount, Team
from podshare_cli.failures import DENIED
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import EKS_CLUSTER, EKS_CLUSTER_ARN, HUB, HUB_REGION, OBJECTS
from podshare_sandbox.services import pod_identity

Keys = Mapping[str, Any]  # AccessKeyId, SecretAccessKey, SessionToken
_POD = "podshare-demo"
_UNAUTHORIZED = 401
_AWS_ITSELF = Config(ignore_configured_endpoint_urls=True)  # type: ignore[call-arg]  # the stubs lack it


class Question(Enum):
    """What the demo asks, and the answer that it expects."""

    OWN_NAMESPACE = ("Can scientists create jobs in their team's namespace?", "yes")
    OTHER_NAMESPACE = ("Can they create jobs in another team's namespace?", "no")
    OTHER_ROLE = ("Can they assume another team's cluster access role?", "no")
    GRANTED_DATA = ("Can pods use the data that their team is granted?", "yes")
    OTHER_DATA = ("Can pods use any other data, or write what they may only read?", "no")
    OPEN_SESSION = ("Offboarded: can open kubectl sessions still use the cluster?", "no")
    OPEN_POD = ("Offboarded: can running pods still use the data?", "no")
    NEW_SESSION = ("Offboarded: can scientists start a new session?", "no")
    LEFTOVERS = ("Offboarded: is anything left that podshare can delete?", "no")
    OTHERS_KEEP = ("Do everybody else's resources and access stay as they were?", "yes")

    def __init__(self, text: str, expected: str) -> None:
        self.text = text
        self.expected = expected  # the answer: yes or no


@dataclass(frozen=True)
class Check:
    """One attempt at a question: a claim, and whether what really happened bears it out."""

    question: Question
    claim: str
    held: bool
    found: str = ""
    seconds: float | None = None  # from the trigger of an offboarding until it held


@dataclass(frozen=True)
class OpenSession:
    """A session of a person's or a pod's that is open, and the attempt to use it."""

    team: str
    attempt: Callable[[], Check]


@dataclass(frozen=True)
class CheckedAccess:
    """What one member, or one grant of a service account, reaches: in a line, and proven."""

    title: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Checker:
    """Acts as people and pods. ``teams`` are all teams: none may reach another one's resources."""

    sandbox: Sandbox
    installation: Installation
    datasets: Mapping[str, Dataset]
    teams: Mapping[str, Team]

    # ---- people --------------------------------------------------------------------------------------------

    def people(self, team: Team) -> Iterator[CheckedAccess]:
        """What each member's scientists may do in the cluster."""
        for member in _members(team):
            scientist, cluster_role = self._roles(team, member)
            path = f"{member.account}  {scientist.rpartition(':')[2]} → {cluster_role.rpartition('/')[2]}"
            title = f"{path} → {team.namespace} ({', '.join(team.access_kinds)})"
            yield CheckedAccess(title, tuple(self._checks_of_person(team, member)))

    def _checks_of_person(self, team: Team, member: Member) -> Iterator[Check]:
        other = self._neighbor(team)
        try:
            keys = self._cluster_keys(team, member)
        except ClientError as error:
            yield Check(Question.OWN_NAMESPACE, "assumes its roles", held=False, found=_error_text(error))
            return
        yield self._may_create_jobs(keys, team.namespace, expected=True)
        yield self._may_create_jobs(keys, other.namespace, expected=False)
        yield self._may_not_assume(team, member, other)

    def refused_people(self, team: Team) -> Iterator[Check]:
        """That no member of a deleted team comes through any more."""
        for member in _members(team):
            assume = partial(self._cluster_keys, team, member)
            claim = f"scientists of {member.account} can no longer assume their cluster access role"
            yield _refused(Question.NEW_SESSION, claim, assume)

    def _is_revoked_in_cluster(self, team: Team, member: Member, keys: Keys) -> Check:
        status, _ = self._ask_cluster(keys, "POST", _REVIEWS, _review(team.namespace))
        claim = f"the open session of a scientist of {member.account} is refused by the cluster"
        return Check(Question.OPEN_SESSION, claim, status == _UNAUTHORIZED, f"HTTP {status}")

    def _may_create_jobs(self, keys: Keys, namespace: str, *, expected: bool) -> Check:
        status, answer = self._ask_cluster(keys, "POST", _REVIEWS, _review(namespace))
        allowed = bool(answer.get("status", {}).get("allowed"))
        claim = f"{'may' if expected else 'may not'} create PyTorchJobs in {namespace}"
        question = Question.OWN_NAMESPACE if expected else Question.OTHER_NAMESPACE
        return Check(question, claim, allowed is expected, "" if allowed is expected else f"HTTP {status}: {answer}")

    def _neighbor(self, team: Team) -> Team:
        """Another team, whose resources this one must not reach."""
        return next(other for other in self.teams.values() if other.name != team.name)

    def _may_not_assume(self, team: Team, member: Member, other: Team) -> Check:
        keys, (_, foreign) = self._scientist_keys(team, member), self._roles(other, _members(other)[0])
        claim = f"may not assume a cluster access role of {other.name}"
        return _refused(Question.OTHER_ROLE, claim, partial(self._assume, keys, foreign))

    def _roles(self, team: Team, member: Member) -> tuple[str, str]:
        """The ARNs of a member's data scientist role and of its cluster access role."""
        name = names.cluster_access_role(self.installation, team.name, EKS_CLUSTER_ARN, member.identity)
        if member.existing_role:
            scientist = f"arn:aws:iam::{member.account}:role/{member.existing_role}"
        else:
            scientist = self.installation.role_arn(member.account, names.scientist_role(self.installation, team.name))
        return scientist, self.installation.role_arn(HUB, name)

    def _scientist_keys(self, team: Team, member: Member) -> Keys:
        scientist, _ = self._roles(team, member)
        principal: Keys | None = None
        if member.trusted_by:
            principal = self._assume(None, f"arn:aws:iam::{member.account}:{member.trusted_by[0]}", member.account)
        return self._assume(principal, scientist, member.account)

    def _cluster_keys(self, team: Team, member: Member) -> Keys:
        return self._assume(self._scientist_keys(team, member), self._roles(team, member)[1])

    def _assume(self, keys: Keys | None, role: str, account: str = HUB) -> Keys:
        sts = self._client("sts", keys) if keys else self.sandbox.client("sts", account)
        answer: Keys = sts.assume_role(RoleArn=role, RoleSessionName="demo")["Credentials"]
        return answer

    # ---- pods ----------------------------------------------------------------------------------------------

    def pods(self, team: Team) -> Iterator[CheckedAccess]:
        """What the pods of each service account reach; the pods are started, and ended again, by a scientist."""
        scientist = self._cluster_keys(team, _members(team)[0])
        for account in team.service_accounts:
            with self._pod(scientist, team, account) as keys:
                for grant in account.datasets:
                    yield self._grant(team, account, grant, keys)

    def _grant(self, team: Team, account: ServiceAccount, grant: DatasetGrant, keys: Keys) -> CheckedAccess:
        dataset = self.datasets[grant.dataset]
        prefix = grant.prefix or dataset.prefix
        writes = grant.access is DatasetAccess.READ_WRITE
        title = (
            f"{account.name} → {grant.dataset}: s3://{dataset.bucket}/{prefix} ({'read, write' if writes else 'read'})"
        )
        granted = tuple(held.prefix or dataset.prefix for held in account.datasets if held.dataset == grant.dataset)
        outside = next(key for key in OBJECTS[dataset.bucket] if not key.startswith(granted))
        checks = self._checks_of_grant(team, dataset, prefix, outside, keys, writes=writes)
        return CheckedAccess(title, tuple(checks))

    def _checks_of_grant(
        self, team: Team, dataset: Dataset, prefix: str, outside: str, keys: Keys, *, writes: bool
    ) -> Iterator[Check]:
        s3, point = self._client("s3", keys), self._way_to(team, dataset)
        sample = f"{prefix}{_POD}.txt"
        inside = sample if writes else next(key for key in OBJECTS[dataset.bucket] if key.startswith(prefix))
        granted, other = partial(_allowed, Question.GRANTED_DATA), partial(_refused, Question.OTHER_DATA)
        put = partial(s3.put_object, Bucket=point, Key=sample, Body=b"demo")
        yield granted(f"writes {sample}", put) if writes else other(f"may not write {sample}", put)
        yield granted(f"lists {prefix}", lambda: s3.list_objects_v2(Bucket=point, Prefix=prefix))
        yield granted(f"reads {inside}", lambda: s3.get_object(Bucket=point, Key=inside))
        if writes:
            yield granted(f"deletes {sample}", lambda: s3.delete_object(Bucket=point, Key=sample))
        yield other(f"may not read {outside}", lambda: s3.get_object(Bucket=point, Key=outside))
        yield other("may not list the rest", lambda: s3.list_objects_v2(Bucket=point, Prefix=""))
        if dataset.data_role == "access_point":
            yield other("may not go around it", lambda: s3.get_object(Bucket=dataset.bucket, Key=outside))

    def open_sessions(self, team: Team) -> list[OpenSession]:
        """Sessions of all people and pods of a team; each attempt holds once its access is revoked."""
        people = [(member, self._cluster_keys(team, member)) for member in _members(team)]
        attempts: list[Callable[[], Check]] = [
            partial(self._is_revoked_in_cluster, team, member, keys) for member, keys in people
        ]
        for account in team.service_accounts:
            with self._pod(people[0][1], team, account) as keys:
                attempts += [
                    partial(self._is_revoked_in_data, team, account, grant, keys) for grant in account.datasets
                ]
        return [OpenSession(team.name, attempt) for attempt in attempts]

    def _is_revoked_in_data(self, team: Team, account: ServiceAccount, grant: DatasetGrant, keys: Keys) -> Check:
        dataset = self.datasets[grant.dataset]
        claim = f"the credentials of a pod of {account.name} no longer reach {grant.dataset}"
        prefix, point = grant.prefix or dataset.prefix, self._way_to(team, dataset)
        try:
            self._client("s3", keys).list_objects_v2(Bucket=point, Prefix=prefix)
        except ClientError as error:  # the access point may be unknown by now, or the keys, or the access denied
            return Check(Question.OPEN_POD, claim, held=True, found=_error_text(error))
        return Check(Question.OPEN_POD, claim, held=False, found="they do")

    @contextmanager
    def _pod(self, scientist: Keys, team: Team, account: ServiceAccount) -> Iterator[Keys]:
        """The credentials that a pod gets, which a scientist has started; it is ended in the end."""
        container = {"name": "train", "image": "public.ecr.aws/docker/library/python:3.13", "command": ["true"]}
        name, path = f"{_POD}-{account.name.replace('.', '-')}", f"/api/v1/namespaces/{team.namespace}/pods"
        labels = {"kueue.x-k8s.io/queue-name": f"{team.namespace}-localqueue"}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": team.namespace, "labels": labels},
            "spec": {"serviceAccountName": account.name, "restartPolicy": "Never", "containers": [container]},
        }
        status, answer = self._ask_cluster(scientist, "POST", path, pod)
        if status >= 300:
            raise RuntimeError(f"a scientist of {team.name} could not start a pod: HTTP {status}: {answer}")
        try:
            keys = pod_identity.credentials_of_pod(EKS_CLUSTER_ARN, team.namespace, account.name, name)
            yield {"AccessKeyId": keys.access_key, "SecretAccessKey": keys.secret_key, "SessionToken": keys.token}
        finally:
            self._ask_cluster(scientist, "DELETE", f"{path}/{name}", None)

    def _way_to(self, team: Team, dataset: Dataset) -> str:
        """What pods name as the bucket: the team's access point, or the bucket itself by a target role."""
        return self._access_point(team, dataset) if dataset.data_role == "access_point" else dataset.bucket

    def _access_point(self, team: Team, dataset: Dataset) -> str:
        place = f"{dataset.account}/{dataset.region}"
        name = names.access_point(self.installation, team.name, EKS_CLUSTER_ARN, place, dataset.name)
        return f"arn:aws:s3:{dataset.region}:{dataset.account}:accesspoint/{name}"

    # ---- calls ---------------------------------------------------------------------------------------------

    @cached_property
    def _session(self) -> Any:  # the stubs know a fixed set of literals only
        return self.sandbox.session(HUB, HUB_REGION)

    def _client(self, service: str, keys: Keys) -> Any:
        return self._session.client(
            service,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            config=_AWS_ITSELF,
        )

    def _ask_cluster(self, keys: Keys, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        """Ask the cluster's API, through the sandbox's front door, as kubectl would with these keys."""
        cluster = self.sandbox.client("eks", HUB).describe_cluster(name=EKS_CLUSTER)["cluster"]
        authority = base64.b64decode(cluster["certificateAuthority"]["data"]).decode()
        door, host = urlsplit(self.sandbox.url), urlsplit(cluster["endpoint"]).hostname or ""
        connection = HTTPSConnection(
            door.hostname or "", door.port, context=ssl.create_default_context(cadata=authority), timeout=20
        )
        connection.set_tunnel(host, 443)
        bearer = token(dict(keys), HUB_REGION, EKS_CLUSTER)
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(text) if text else {}


_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def _review(namespace: str) -> dict[str, Any]:
    about = {"verb": "create", "group": "kubeflow.org", "resource": "pytorchjobs", "namespace": namespace}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    return {**review, "spec": {"resourceAttributes": about}}


def _members(team: Team) -> tuple[Member, ...]:
    return members(team.members, {})


def _allowed(question: Question, claim: str, call: Callable[[], Any]) -> Check:
    try:
        call()
    except ClientError as error:
        return Check(question, claim, held=False, found=_error_text(error))
    return Check(question, claim, held=True)


def _refused(question: Question, claim: str, call: Callable[[], Any]) -> Check:
    try:
        call()
    except ClientError as error:
        return Check(question, claim, _is_denied(error), _error_text(error))
    return Check(question, claim, held=False, found="it was allowed")


def _is_denied(error: ClientError) -> bool:
    return error.response["Error"]["Code"] in DENIED


def _error_text(error: ClientError) -> str:
    return f"{error.response['Error']['Code']}: {error.response['Error'].get('Message', '')}"

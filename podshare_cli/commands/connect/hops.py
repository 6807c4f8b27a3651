"""The way from a person's own credentials to their team's queue, tried hop by hop; and what a hop that fails means.

What a scientist may see is the parameter in their account and AWS's own refusals. Whether podshare is paused, or holds
a plan, is not among it: where both are possible, the owner of the record is named, who can ask.
"""

import datetime
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from podshare_cli.aws.kubernetes import UNREACHABLE, Answer, Cluster, token_of
from podshare_cli.commands.connect import job
from podshare_cli.commands.connect.profiles import Memory
from podshare_cli.commands.connect.published import Caller, Team, Way, state_of
from podshare_cli.failures import DENIED

if TYPE_CHECKING:
    import boto3
    from botocore.exceptions import ClientError

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
_SERVED, _MADE = 200, 201
ADDED_LATELY = "If you were added lately, podshare may be paused or hold a plan: ask who added you."


@dataclass(frozen=True)
class Hop:
    """One step, tried: what it is, whether it works, what was seen, and what to do if it does not."""

    hop: str
    works: bool
    detail: str
    remedy: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Path:
    """The way of one person into one of a team's clusters, as far as it was gone."""

    team: Team
    way: Way
    caller: Caller
    cluster: Mapping[str, Any]
    session: "boto3.Session"
    endpoint: str = ""
    authority: str = ""
    networks: str = ""  # in words, from which the endpoint is reached
    kind: str = ""  # of a first job
    asked: Mapping[str, str] = field(default_factory=dict)  # by a first job
    priority: str = ""  # of a first job
    _keys: "boto3.Session | None" = None
    _api: Cluster | None = None

    def hops(self, kind: str | None, *, only_address: bool = False) -> Iterator[Hop]:
        """Each hop in its order, up to the first that does not work, or to the cluster's address."""
        steps: list[Callable[[], Hop]] = [self._identity, self._scientist, self._access, self._address]
        steps += (
            [] if only_address else [self._token, lambda: self._review(kind), self._queue, self._admission, self._data]
        )
        for step in steps:
            hop = step()
            yield hop
            if not hop.works:
                return

    # ---- roles ---------------------------------------------------------------------------------------------

    def _identity(self) -> Hop:
        state = state_of(self.way.until, datetime.datetime.now(datetime.UTC))
        if state == "ENDED":
            detail = f"access to team {self.team.name} ended at {self.way.until}, as its record says"
            return Hop("identity", False, detail, f"Ask {self.team.owner} for more time.")
        until = f", until {self.way.until}" if self.way.until else ""
        return Hop("identity", True, f"{self.caller.arn} is in team {self.team.name}{until}")

    def _scientist(self) -> Hop:
        if not self.way.role:
            self._keys = self.session
            return Hop("scientist role", True, f"{self.caller.role or self.caller.arn}: no role to assume")
        try:
            self._keys = assumed(self.session, self.way.role, self.caller.session_name, self.team.region)
        except _client_error() as error:
            return self._refused("scientist role", error, self.way.role, self._why_no_scientist())
        return Hop("scientist role", True, self.way.role)

    def _why_no_scientist(self) -> str:
        """STS does not say which of the two policies is missing."""
        return (
            f"Your own policies must allow sts:AssumeRole on it: ask who manages account {self.team.account}. If the "
            f"record has trusted_by, it must name you: ask {self.team.owner}."
        )

    def _access(self) -> Hop:
        role = str(self.cluster["role"])
        try:
            self._keys = assumed(self._session(), role, self.caller.session_name, self.team.region)
        except _client_error() as error:
            return self._refused("cluster access role", error, role, self._ended())
        return Hop("cluster access role", True, role)

    def _ended(self) -> str:
        """What it means that the way is published, and does not lead in."""
        return (
            "What is published still has you in the team: it is being changed at this moment, or somebody else removed "
            "it, or podshare is paused or holds a plan, or the cluster's account is blocked. Try again in a minute, "
            f"then ask {self.team.owner} (`podshare team status {self.team.name}` says which; `podshare drift` what "
            "was removed)."
        )

    def _refused(self, hop: str, error: "ClientError", subject: str, remedy: str) -> Hop:
        if error.response["Error"]["Code"] not in DENIED:
            return Hop(hop, False, f"{subject}: {_message(error)}", "Log in again, or try another profile.")
        return Hop(hop, False, f"{subject} may not be assumed: {_message(error)}", remedy)

    def _session(self) -> "boto3.Session":
        if self._keys is None:
            raise TypeError("a hop was left out")
        return self._keys

    # ---- the cluster ---------------------------------------------------------------------------------------

    def lets_in(self, credential: str) -> bool:
        """Whether the cluster takes the token of an ExecCredential, as kubectl gets it."""
        token = str(json.loads(credential)["status"]["token"])
        answer = Cluster(self.endpoint, self.authority, token).get("/version")
        return answer.status != _UNAUTHORIZED

    def _address(self) -> Hop:
        name = self.eks_name
        try:
            description = self._session().client("eks", region_name=self.cluster["region"]).describe_cluster(name=name)
        except _client_error() as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                remedy = f"The cluster is gone, or has another name now: ask {self.team.owner}."
                return Hop("cluster", False, f"there is no EKS cluster {name} in {self.cluster['region']}", remedy)
            return self._refused("cluster", error, f"EKS cluster {name}", self._ended())
        self.endpoint = str(description["cluster"]["endpoint"])
        self.authority = str(description["cluster"]["certificateAuthority"]["data"])
        self.networks = networks(description["cluster"].get("resourcesVpcConfig", {}))
        return Hop("cluster", True, f"{self.cluster['name']} at {self.endpoint}")

    @property
    def eks_name(self) -> str:
        """The cluster's name in EKS."""
        return str(self.cluster["arn"]).rpartition("/")[2]

    def _token(self) -> Hop:
        bearer = token_of(self._session(), str(self.cluster["region"]), self.eks_name)
        self._api = Cluster(self.endpoint, self.authority, bearer)
        return Hop("token", True, "an EKS token for 15 minutes")

    def _ask(self) -> Cluster:
        if self._api is None:
            raise TypeError("a hop was left out")
        return self._api

    def _review(self, kind: str | None) -> Hop:
        for name in [kind] if kind else [*job.KINDS]:
            group, resource = job.KINDS[name]
            served = self._ask().get(f"/apis/{group}/v1")
            if served.status in (UNREACHABLE, _UNAUTHORIZED):
                return self._failed("access review", served)
            if served.status != _SERVED or resource not in {
                listed["name"] for listed in served.body.get("resources", ())
            }:
                continue
            answer = self._ask().may("create", group, resource, self.team.namespace)
            if answer.status not in (_SERVED, _MADE):
                return self._failed("access review", answer)
            if answer.body.get("status", {}).get("allowed"):
                self.kind = name
                return Hop("access review", True, f"may create {resource} in {self.team.namespace}")
        level = ", ".join(self.cluster["access"])
        detail = f"no {kind or 'kind of job'} may be created in {self.team.namespace}"
        remedy = f"The record gives the access {level}: ask {self.team.owner} for training."
        return Hop("access review", False, detail, remedy)

    def _failed(self, hop: str, answer: Answer) -> Hop:
        name = self.cluster["name"]
        if answer.status == UNREACHABLE:
            remedy = f"{self.networks}, or ask {self.team.owner}. If nobody reaches it, it is down."
            return Hop(hop, False, f"cluster {name} cannot be reached at {self.endpoint}: {answer.message}", remedy)
        if answer.status == _UNAUTHORIZED:
            return Hop(
                hop, False, f"cluster {name} does not let your role in (401): it has no access entry", self._ended()
            )
        remedy = f"Ask {self.team.owner}."
        return Hop(hop, False, f"cluster {name} answers {answer.status}: {answer.message}", remedy)

    def _queue(self) -> Hop:
        name, namespace = str(self.cluster["queue"]), self.team.namespace
        group = self._ask().get("/apis/kueue.x-k8s.io")
        version = group.body.get("preferredVersion", {}).get("groupVersion", "kueue.x-k8s.io/v1beta1")
        answer = self._ask().get(f"/apis/{version}/namespaces/{namespace}/localqueues/{name}")
        if answer.status == _NOT_FOUND:
            remedy = f"The team's compute quota is being made, or removed: ask {self.team.owner}."
            return Hop("queue", False, f"there is no queue {name}", remedy)
        if answer.status == _FORBIDDEN:
            self.priority = job.priority(self.cluster["priorities"], None)
            return Hop("queue", True, f"{name}: your access does not show it")
        if answer.status != _SERVED:
            return self._failed("queue", answer)
        conditions = answer.body.get("status", {}).get("conditions", ())
        stopped = next((each for each in conditions if each["type"] == "Active" and each["status"] == "False"), None)
        if stopped:
            remedy = f"The compute quota is switched off or being changed: ask {self.team.owner}."
            return Hop("queue", False, f"queue {name} admits nothing: {stopped.get('message', '')}", remedy)
        whole = self._ask().get(f"/apis/{version}/clusterqueues/{answer.body['spec']['clusterQueue']}")
        self.asked = job.requests(whole.body if whole.status == _SERVED else None)
        classes = self._ask().get(f"/apis/{version}/workloadpriorityclasses")
        self.priority = job.priority(self.cluster["priorities"], classes.body if classes.status == _SERVED else None)
        pending = answer.body.get("status", {}).get("pendingWorkloads", 0)
        return Hop("queue", True, f"{name}, {pending} waiting")

    def _admission(self) -> Hop:
        manifest = self.manifest()
        group, resource = job.KINDS[self.kind]
        path = f"/apis/{group}/v1/namespaces/{self.team.namespace}/{resource}?dryRun=All"
        del manifest["metadata"]["name"]
        manifest["metadata"]["generateName"] = f"{job.NAME}-"
        answer = self._ask().create(path, manifest)
        if answer.status != _MADE:
            remedy = f"Ask {self.team.owner}; what the cluster asks of jobs is its administrator's choice."
            return Hop("admission", False, f"the cluster refuses a first job: {answer.message}", remedy)
        return Hop("admission", True, f"a first {self.kind} would be admitted to {self.cluster['queue']}")

    def manifest(self) -> job.Object:
        """A first job of the kind that the cluster serves."""
        data = [*job.sources(self.cluster)]
        return job.manifest(
            self.kind, self.team.namespace, self.cluster, self.asked, data, priority_class=self.priority
        )

    def _data(self) -> Hop:
        """Data is for pods: that their service account is there is all that a person can try."""
        data = [*job.sources(self.cluster)]
        if not data:
            return Hop("data", True, "no data is granted")
        for account in sorted({source.service_account for source in data}):
            answer = self._ask().get(f"/api/v1/namespaces/{self.team.namespace}/serviceaccounts/{account}")
            if answer.status == _NOT_FOUND:
                remedy = f"It is being made, or a person has to apply it: ask {self.team.owner}."
                return Hop("data", False, f"there is no service account {account}, by which pods read the data", remedy)
        first = job.listed(data)
        paths = ", ".join(source.path for source in data)
        return Hop("data", True, f"{paths}; the first job lists {first.dataset if first else 'none'}")


def networks(endpoint: Mapping[str, Any]) -> str:
    """What to do to reach a cluster's endpoint (EKS API reference, VpcConfigResponse)."""
    if endpoint.get("endpointPublicAccess") is False:
        return "Its endpoint is private: connect to its network (VPN)"
    blocks = [str(block) for block in endpoint.get("publicAccessCidrs") or ()]
    if blocks and not {"0.0.0.0/0", "::/0"} & {*blocks}:
        return f"Its endpoint is open to {', '.join(blocks)} alone: connect from there (VPN)"
    return "Its endpoint is public: look for a proxy or firewall in between"


def gone(team: str, caller: Caller, region: str, memory: Memory | None) -> tuple[str, str]:
    """What it means that nothing is published of a team any more, and what to do."""
    if memory is None:
        outcome = f"No team {team} is published in account {caller.account}, {region}."
        return (
            outcome,
            f"Check account, --region (that of the cluster) and --prefix (`podshare connect --list`). {ADDED_LATELY}",
        )
    if memory.account != caller.account:
        outcome = f"You are in account {caller.account}; you joined team {team} in account {memory.account}."
        return outcome, "Use the profile that you connected with (--profile)."
    if memory.region != region:
        outcome = f"No team {team} is published in account {caller.account}, {region}; you joined it in "
        return f"{outcome}{memory.region}.", f"Name that Region: --region {memory.region}."
    now, read_on = datetime.datetime.now(datetime.UTC), memory.read_on or "the day you connected"
    if state_of(memory.until, now) == "ENDED":
        outcome = f"Your access to team {team} ended at {memory.until}, as its record said on {read_on}."
        return outcome, f"Ask {memory.owner} for more time."
    reasons = [
        _no_longer_selected(memory.selector) if memory.selector else "it was removed from the record",
        f"its access was given an end after {read_on} that has passed",
        *("the team was deleted", "the account is blocked"),
    ]
    outcome = f"Account {caller.account} is no longer in team {team}: {', or '.join(reasons)}."
    return outcome, f"Nothing that you may read says which of these: ask {memory.owner}."


def _no_longer_selected(selector: str) -> str:
    """What has become of an account that a unit or a tag brought in."""
    if selector.startswith("organizational unit"):
        return f"it was moved out of {selector}, by which the record selects accounts, or left the organization"
    return f"it lost the {selector}, by which the record selects accounts, or left the organization"


def assumed(session: "boto3.Session", role: str, name: str, region: str) -> "boto3.Session":
    """A session of a role. Raises ClientError."""
    import boto3

    answer = session.client("sts", region_name=region).assume_role(RoleArn=role, RoleSessionName=name)
    keys = answer["Credentials"]
    return boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=region)


def _client_error() -> "type[ClientError]":
    from botocore.exceptions import ClientError  # boto3 takes its time

    return ClientError


def _message(error: "ClientError") -> str:
    return str(error.response.get("Error", {}).get("Message", error))

"""A whole organization: a thousand teams, or as many as asked for, and what each phase of their life takes.

The records of nine tenths of the teams are written by an admin, in the batches of ``podshare apply``; the others come
from an enrollment, one for each account of an organizational unit. Every written team has the same account as a
member, so that it has a role for each of them, beside one of a further account. Waits are shortened, and the rates of
``benchmarks/rates.yaml`` hold in seconds of the machine: who asks more often is throttled.
"""

import json
import math
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.calls import Calls
from benchmarks.counts import REVOKING
from benchmarks.life import MACHINE, SCALE, Record, Say, start_run
from benchmarks.rates import rates
from benchmarks.results import Group, Value
from podshare.aws.rows import from_item, to_item
from podshare.kinds import limits
from podshare_cli.sandbox_deployment import PROJECT, add_cluster, deploy_podshare
from podshare_sandbox import Sandbox
from podshare_sandbox.services import iam
from podshare_sandbox.traffic import ENTER_STATE, INVOKE, Asked
from tests.builders import a_team_item, an_enrollment_item
from tests.scenarios.world import CLUSTER, DATA, HUB, IMAGES, REGION, SCIENCE, VISION, World

TEAMS = 1000
BATCH = 100
"""Records that ``podshare apply`` writes in one transaction."""
SHARED = "imagenet"
"""The dataset that three tenths of the teams use, the only one of its bucket."""
MOST_API_ROWS = 10
_SWEEP_SCALE = 0.2  # a sweep counts a team as unfinished after ten minutes, which it must not take here
_LOOK = 20.0  # seconds between two reports of progress
_PATIENCE = (900.0, 30.0)  # seconds without regard to the number of teams, and for each team
_PER_BUCKET = 10  # datasets
_DRIFT = 0.05
_SWEEPER = f"arn:aws:states:{REGION}:{HUB}:stateMachine:podshare-sweep-teams"
_MEMBER_STACK = PROJECT / "accounts" / "member.yaml"
_PARAMETERS = {
    **{"MostTeamsLosingAccess": "100000", "MostPercentLosingAccess": "100", "DrainSeconds": "0"},
    # hundreds of functions at once wait for two cores here, and the time until a task is given up runs meanwhile
    "FunctionTimeoutSeconds": "600",
}
_OUTSIDER = "888888888888"  # whom a stranger lets into a team's role
_ROLES = 10_000  # that AWS lets an account have on request

REVOKING_PHASES = ("accounts moved", "dataset deleted")
QUOTAS = {
    "IAM roles of a cluster's account": (1_000, f"IAM; raised here to {_ROLES:,}, the most that AWS allows"),
    "IAM roles of the account that is a member of most teams": (1_000, f"IAM; raised here to {_ROLES:,}"),
    "access entries of a cluster": (limits.ACCESS_ENTRIES, "EKS, fixed: the teams are spread over three clusters"),
    "pod identity associations of a cluster": (limits.POD_IDENTITY_ASSOCIATIONS, "EKS, fixed"),
    "access points of the data account": (limits.ACCESS_POINTS, "S3"),
}
"""AWS's default, and how the organization gets along with it."""


@dataclass(frozen=True)
class Size:
    """How large the organization is, by its number of teams."""

    teams: int

    @property
    def enrolled(self) -> int:
        """Teams that an enrollment creates, one for each account of a unit."""
        return max(1, self.teams // 10)

    @property
    def written(self) -> int:
        """Teams whose records an admin writes."""
        return self.teams - self.enrolled

    @property
    def accounts(self) -> int:
        """Scientists' accounts, those of the unit included."""
        return max(self.enrolled + 1, self.teams // 2)

    @property
    def datasets(self) -> int:
        """Datasets, the shared one included."""
        return max(2, self.teams // 5)

    @property
    def buckets(self) -> int:
        """Buckets, the shared one included."""
        return 1 + math.ceil((self.datasets - 1) / _PER_BUCKET)

    @property
    def sharing(self) -> int:
        """Teams that use the shared bucket."""
        return max(1, self.teams * 3 // 10)

    @property
    def drifting(self) -> int:
        """Teams of which somebody changes a resource."""
        return max(1, round(self.teams * _DRIFT))


@dataclass(frozen=True)
class Run:
    """One execution: its team, when it began and ended, and how long it waited for its lease (None: it got none)."""

    team: str
    began: float
    ended: float
    lease: float | None


@dataclass(frozen=True)
class Phase:
    """What one phase took. ``ready``: seconds from each team's trigger to the end of its last execution."""

    name: str
    teams: int
    seconds: float
    requests: tuple[Asked, ...]
    runs: tuple[Run, ...]
    ready: tuple[float, ...]
    sandbox_megabytes: float
    function_megabytes: float
    first_revocation: float | None
    last_revocation: float | None

    def detail(self) -> dict[str, Any]:
        """The figures of the phase, as they are kept."""
        asked = [one for one in self.requests if one.name not in (ENTER_STATE, INVOKE)]
        calls = Calls.of(asked)
        return {
            "phase": self.name,
            "teams": self.teams,
            "seconds": self.seconds,
            "teams a minute": self.teams * 60 / self.seconds,
            "reads": calls.reads,
            "writes": calls.writes,
            "sessions": calls.sessions,
            "own": calls.own,
            "throttled": sum(one.throttled for one in asked),
            "retried": sum(one.attempt > 1 for one in asked),
            "executions": len(self.runs),
            "median": statistics.median(self.ready) if self.ready else None,
            "largest": max(self.ready, default=None),
            "lease": max((run.lease for run in self.runs if run.lease is not None), default=0.0),
            "sandbox megabytes": self.sandbox_megabytes,
            "function megabytes": self.function_megabytes,
            "first revocation": self.first_revocation,
            "last revocation": self.last_revocation,
            "operations": dict(Counter(one.name for one in asked).most_common(MOST_API_ROWS)),
        }


def measure(say: Say, teams: int) -> dict[str, Group]:
    """Let an organization of so many teams live; returns its group.

    Raises SystemExit where a team does not end well, and says how it ended.
    """
    size = Size(teams)
    with Sandbox(time_scale=SCALE) as sandbox:
        here = LargeOrganization(sandbox, size, say)
        phases = [phase.detail() for phase in here.phases()]
        needs = here.needs()
    (sweep,) = (phase for phase in phases if phase["phase"] == "sweep")
    return {
        figures.LARGE: Group(
            {
                "drift not repaired": Value(here.unrepaired, beside=f"{here.unrepaired} of {size.drifting}"),
                "sweep/reads": Value(sweep["reads"] / here.resources, beside=f"{sweep['reads']} / {here.resources}"),
            },
            {"size": here.table(), "resources": here.resources, "phases": phases, "needs": needs},
        )
    }


class LargeOrganization:
    """A sandbox with podshare, three clusters, and accounts and datasets for so many teams; no team yet."""

    def __init__(self, sandbox: Sandbox, size: Size, say: Say) -> None:
        self.sandbox, self.size, self._say = sandbox, size, say
        self.world = World(sandbox)
        self.unrepaired = self.resources = self._repaired = 0
        self._needs: dict[str, int] = {}
        self._written = [f"t{number:04}" for number in range(size.written)]
        say(f"{size.accounts} accounts are created")
        self._unit, self._other_unit = (self._new_unit(name) for name in ("enrolled", "left"))
        self._people = self._new_accounts("lab", size.accounts - size.enrolled, self._new_unit("labs"))
        self._enrolling = self._new_accounts("unit", size.enrolled, self._unit)
        (compute,) = self.world.create_accounts("compute")
        say("podshare is being deployed, and each account's stack")
        deploy_podshare(sandbox, _PARAMETERS)
        self._clusters = self._open_clusters(compute)
        self._datasets = self._open_buckets()
        for account in (HUB, compute, VISION):
            iam.allow_roles(account, _ROLES)
        self._teams_of_unit = [f"science-{account}" for account in self._enrolling]
        self.world.put(*self._clusters, *self._datasets)
        say("an empty sweep reads every account, so that the functions are warm")
        self.world.sweep()

    def phases(self) -> Iterator[Phase]:
        """Let the teams live, and tell what each phase took, the first one first."""
        teams = [*self._written, *self._teams_of_unit]
        yield self._phase("onboarding", teams, self._onboard)
        self._expect(teams, "READY")
        self.resources = sum(int(status["resources"]) for status in self._statuses().values())
        self._needs = self._count_needs()
        yield self._phase("nothing to do", teams, lambda: self._reconcile(teams))
        self._expect(teams, "READY")
        yield self._phase("sweep", teams, self._sweep, scale=_SWEEP_SCALE, expects_runs=False)
        before = self._drift()
        yield self._phase("sweep after drift", teams, self._sweep, scale=_SWEEP_SCALE, expects_runs=False)
        self.unrepaired = sum(not as_before() for as_before in before)
        if self._repaired != len(before):
            raise SystemExit(f"the sweep repaired {self._repaired} teams, and {len(before)} had drifted")
        self._expect(teams, "READY")
        yield self._phase("accounts moved", self._teams_of_unit, self._move_unit)
        self._expect(self._teams_of_unit, "DELETED")
        sharing = self._written[: self.size.sharing]
        yield self._phase("dataset deleted", sharing, self._delete_shared)
        self._expect(sharing, "READY")
        self._expect_nothing_shared()

    def needs(self) -> dict[str, int]:
        """What the teams took of AWS's quotas after their onboarding, where most was taken."""
        return self._needs

    def table(self) -> dict[str, int]:
        """How large the organization is."""
        names = ("teams", "enrolled", "accounts", "datasets", "buckets", "sharing", "drifting")
        return {name: getattr(self.size, name) for name in names} | {"clusters": len(self._clusters)}

    # ---- what is there before any team ---------------------------------------------------------------------------

    def _new_unit(self, name: str) -> str:
        made = self.world.organizations.create_organizational_unit(ParentId=SCIENCE, Name=name)
        return str(made["OrganizationalUnit"]["Id"])

    def _new_accounts(self, name: str, count: int, unit: str) -> list[str]:
        accounts = self.world.create_accounts(*(f"{name}-{number}" for number in range(count)))
        for account in accounts:
            self.world.move(account, unit, settle=False)
        return accounts

    def _open_clusters(self, compute: str) -> list[Record]:
        """One more in the hub's account, and one in an account of its own, which all others may use."""
        add_cluster(self.sandbox, HUB, REGION, "second-eks", "second")
        add_cluster(self.sandbox, compute, REGION, "third-eks", "third")
        shared = {"HubAccountId": HUB, "OrganizationId": "o-podshare01", "ClusterAccountIds": f"{HUB},{compute}"}
        self._say("each account may use the clusters of both accounts")
        self.sandbox.deploy_stack_set("podshare-member", _MEMBER_STACK, shared, [SCIENCE])
        self._shared_parameters = shared
        places = (("second", HUB), ("third", compute))
        more = [
            {**CLUSTER, "id": f"cluster#{name}", "account": account, "eks_cluster": f"{name}-eks",
             "hyperpod_cluster": name}
            for name, account in places
        ]  # fmt: skip
        return [CLUSTER, *more]

    def _open_buckets(self) -> list[Record]:
        s3 = self.sandbox.client("s3", DATA)
        buckets = [f"lake-{number}-{DATA}" for number in range(self.size.buckets - 1)]
        for bucket in buckets:
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        before = self.sandbox.stack("podshare-member", DATA).parameters
        names = {"BucketNames": ",".join([IMAGES, *buckets]), "TargetRoles": "false"}
        clusters = {"ClusterAccountIds": self._shared_parameters["ClusterAccountIds"]}
        self.sandbox.deploy(_MEMBER_STACK, DATA, REGION, "podshare-member", {**before, **names, **clusters})
        place = {"account": DATA, "region": REGION}
        more = [
            {"id": f"dataset#d{number:03}", **place, "bucket": buckets[number // _PER_BUCKET],
             "prefix": f"d{number:03}/"}
            for number in range(self.size.datasets - 1)
        ]  # fmt: skip
        return [{"id": f"dataset#{SHARED}", **place, "bucket": IMAGES, "prefix": "imagenet/"}, *more]

    def _record(self, number: int) -> Record:
        datasets = [self._datasets[1 + number % (len(self._datasets) - 1)]["id"].removeprefix("dataset#")]
        datasets += [SHARED] if number < self.size.sharing else []
        grants = [{"dataset": dataset, "access": "read"} for dataset in datasets]
        return a_team_item(
            self._written[number],
            cluster=self._clusters[number % len(self._clusters)]["id"].removeprefix("cluster#"),
            members=[{"account": VISION}, {"account": self._people[number % len(self._people)]}],
            quota={"resources": [{"instance_type": "ml.p5.48xlarge", "vcpu": 1}]},
            service_accounts=[{"name": "trainer", "datasets": grants}],
        )

    def _enrollment(self) -> Record:
        """Each account of the unit gets a team on the first cluster."""
        team = an_enrollment_item()["team"]
        grants = [{"dataset": self._datasets[1]["id"].removeprefix("dataset#"), "access": "read"}]
        ours = {
            "owner": "priya@example.com",
            "quota": {"resources": [{"instance_type": "ml.p5.48xlarge", "vcpu": 1}]},
            "service_accounts": [{"name": "trainer", "datasets": grants}],
        }
        return an_enrollment_item("science", organizational_unit=self._unit, team={**team, **ours})

    # ---- phases --------------------------------------------------------------------------------------------------

    def _phase(
        self,
        name: str,
        teams: Sequence[str],
        act: Callable[[], Mapping[str, float]],
        scale: float = SCALE,
        *,
        expects_runs: bool = True,
    ) -> Phase:
        """Act, which returns when each team was triggered, and wait until everything is quiet.

        ``expects_runs``: each team has to have had one.
        """
        self._say(f"{name}: {len(teams)} teams")
        as_machine_seconds = {name: replace(rate, per_second=rate.per_second * scale) for name, rate in rates().items()}
        self.sandbox.set_pace({}, scale, as_machine_seconds)
        began, clock = time.time(), time.monotonic()
        triggered = act()
        self._settle(name)
        seconds, requests = time.monotonic() - clock, tuple(self.sandbox.requests)
        self._say(f"{name}: {seconds:.0f} s, {len(teams) * 60 / seconds:.0f} teams a minute; executions are read")
        runs = tuple(self._runs(began))
        ended: dict[str, float] = {}
        for run in runs:
            ended[run.team] = max(ended.get(run.team, 0.0), run.ended)
            triggered = {**triggered, run.team: run.began} if run.team not in triggered else triggered
        if expects_runs:
            self._expect_executions(name, teams, ended)
        revocations = [asked.at - clock for asked in requests if asked.name in REVOKING]
        ready = tuple(ended[team] - triggered[team] for team in teams if team in ended)
        return Phase(
            name, len(teams), seconds, requests, runs, ready, *_megabytes(),
            min(revocations, default=None), max(revocations, default=None),
        )  # fmt: skip

    def _onboard(self) -> dict[str, float]:
        triggered: dict[str, float] = {}
        for first in range(0, len(self._written), BATCH):
            numbers = range(first, min(first + BATCH, len(self._written)))
            triggered |= dict.fromkeys((self._written[number] for number in numbers), time.time())
            self._write([self._record(number) for number in numbers])
            self._settle("onboarding")
        triggered |= dict.fromkeys(self._teams_of_unit, time.time())
        self._write([self._enrollment()])
        return triggered

    def _write(self, records: Sequence[Record]) -> None:
        """In one transaction, as ``podshare apply``."""
        puts = [{"Put": {"TableName": "podshare-registry", "Item": to_item(record)}} for record in records]
        self.sandbox.client("dynamodb").transact_write_items(TransactItems=puts)

    def _reconcile(self, teams: Sequence[str]) -> dict[str, float]:
        triggered: dict[str, float] = {}
        for first in range(0, len(teams), BATCH):
            for team in teams[first : first + BATCH]:
                triggered[team] = time.time()
                start_run(self.sandbox, team)
            self._settle("nothing to do")
        return triggered

    def _sweep(self) -> dict[str, float]:
        """Sweep, and refuse a sweep that failed or left a team; a team is triggered when its execution begins."""
        states = self.sandbox.client("stepfunctions")
        arn = states.start_execution(stateMachineArn=_SWEEPER, input='{"by": "benchmark"}')["executionArn"]
        self._settle("sweep")
        found = states.describe_execution(executionArn=arn)
        counts = json.loads(found.get("output", "{}")).get("counts", {})
        self._say(f"sweep: {found['status']}, {counts}")
        done = counts.get("in_sync", 0) + counts.get("repaired", 0)
        if found["status"] != "SUCCEEDED" or done != self.size.teams:
            raise SystemExit(f"the sweep did not end well: {found['status']} {counts} {found.get('cause', '')}")
        self._repaired = counts["repaired"]
        return {}

    def _move_unit(self) -> dict[str, float]:
        triggered = {}
        for account, team in zip(self._enrolling, self._teams_of_unit, strict=True):
            triggered[team] = time.time()
            self.world.move(account, self._other_unit, settle=False)
        return triggered

    def _delete_shared(self) -> dict[str, float]:
        triggered = dict.fromkeys(self._written[: self.size.sharing], time.time())
        self.world.delete(f"dataset#{SHARED}", settle=False)
        return triggered

    # ---- drift ---------------------------------------------------------------------------------------------------

    def _drift(self) -> list[Callable[[], bool]]:
        """Let the accounts' owners change a resource of some teams; returns whether each is as it was before."""
        step = len(self._written) // self.size.drifting
        teams = self._written[::step][: self.size.drifting]
        roles = self._roles_by_team(teams)
        points = self._access_points_by_team(teams)
        kinds = (self._scientist_loses_policy, self._trust_is_widened, self._point_loses_policy)
        self._say(f"somebody changes a resource of {len(teams)} teams")
        return [kinds[number % len(kinds)](team, roles, points) for number, team in enumerate(teams)]

    def _scientist_loses_policy(self, team: str, _roles: Mapping[str, str], _points: object) -> Callable[[], bool]:
        client, role = self.sandbox.client("iam", VISION), f"podshare-{team}-scientist"
        (name,) = client.list_role_policies(RoleName=role)["PolicyNames"]
        client.delete_role_policy(RoleName=role, PolicyName=name)
        return lambda: client.list_role_policies(RoleName=role)["PolicyNames"] == [name]

    def _trust_is_widened(self, team: str, roles: Mapping[str, str], _points: object) -> Callable[[], bool]:
        account, role = roles[team].split(":")[4], roles[team].rpartition("/")[2]
        client = self.sandbox.client("iam", account)
        before = client.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        stranger = {"Effect": "Allow", "Principal": {"AWS": _OUTSIDER}, "Action": "sts:AssumeRole"}
        widened = {**before, "Statement": [*before["Statement"], stranger]}
        client.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(widened))

        def is_back() -> bool:
            return meaning(client.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]) == meaning(before)

        return is_back

    def _point_loses_policy(self, team: str, _roles: object, points: Mapping[str, str]) -> Callable[[], bool]:
        s3control, place = self.sandbox.client("s3control", DATA), {"AccountId": DATA, "Name": points[team]}
        before = s3control.get_access_point_policy(**place)["Policy"]
        s3control.delete_access_point_policy(**place)

        def is_back() -> bool:
            with suppress(s3control.exceptions.ClientError):
                found = s3control.get_access_point_policy(**place)["Policy"]
                return meaning(json.loads(found)) == meaning(json.loads(before))
            return False

        return is_back

    def _roles_by_team(self, teams: Iterable[str]) -> dict[str, str]:
        """A cluster access role of each team, by the accounts of the clusters."""
        found: dict[str, str] = {}
        for account in {cluster["account"] for cluster in self._clusters}:
            pages = self.sandbox.client("iam", account).get_paginator("list_roles").paginate(PathPrefix="/podshare/")
            for role in (role for page in pages for role in page["Roles"]):
                team = str(role["RoleName"]).removeprefix("podshare-").rpartition("-")[0]
                if "pods.eks.amazonaws.com" not in json.dumps(role["AssumeRolePolicyDocument"]):
                    found.setdefault(team, str(role["Arn"]))
        return {team: found[team] for team in teams}

    def _access_points_by_team(self, teams: Iterable[str]) -> dict[str, str]:
        names = [str(point["Name"]) for point in self._access_points()]
        found = {name.removeprefix("podshare-").rpartition("-")[0]: name for name in names}
        return {team: found[team] for team in teams}

    def _access_points(self, **only: str) -> list[dict[str, Any]]:
        s3control, more = self.sandbox.client("s3control", DATA), dict(only)
        found: list[dict[str, Any]] = []
        while True:
            page = s3control.list_access_points(AccountId=DATA, **more)
            found += page["AccessPointList"]
            if "NextToken" not in page:
                return found
            more = {**only, "NextToken": page["NextToken"]}

    # ---- what became of it ---------------------------------------------------------------------------------------

    def _settle(self, what: str) -> None:
        """Wait until everything is quiet, and report how far it is. Raises SystemExit with what is not done in time."""
        deadline = time.monotonic() + _PATIENCE[0] + _PATIENCE[1] * self.size.teams
        while True:
            try:
                self.sandbox.settle(_LOOK)
            except TimeoutError as running:
                states = Counter(str(status.get("state")) for status in self._statuses().values())
                self._say(f"{what}: {', '.join(f'{count} {state}' for state, count in states.most_common())}")
                if time.monotonic() > deadline:
                    raise SystemExit(f"{what}: {str(running)[:2000]}") from running
            else:
                return

    def _statuses(self) -> dict[str, dict[str, Any]]:
        """The status of each team, by its name."""
        asked = {"KeyConditionExpression": "id = :id", "ExpressionAttributeValues": {":id": {"S": "status"}}}
        pages = self.sandbox.client("dynamodb").get_paginator("query").paginate(TableName="podshare-state", **asked)
        items = [from_item(item) for page in pages for item in page["Items"]]
        return {str(item["part"]).removeprefix("team#"): item for item in items}

    def _expect(self, teams: Iterable[str], state: str) -> None:
        statuses = self._statuses()
        for team in teams:
            if statuses.get(team, {}).get("state") != state:
                raise SystemExit(f"{team} is not {state}: {statuses.get(team)}")

    def _expect_executions(self, phase: str, teams: Iterable[str], ended: Mapping[str, float]) -> None:
        if missing := [team for team in teams if team not in ended]:
            raise SystemExit(f"{phase}: no execution of {len(missing)} teams, {missing[0]} among them")

    def _expect_nothing_shared(self) -> None:
        if left := self._access_points(Bucket=IMAGES):
            raise SystemExit(f"{len(left)} access points of a deleted dataset are left: {left[0]}")

    def _runs(self, since: float) -> Iterator[Run]:
        """The executions of teams that began in the phase; no more than one history is in memory at once."""
        states = self.sandbox.client("stepfunctions")
        for page in states.get_paginator("list_executions").paginate(stateMachineArn=MACHINE):
            for listed in page["executions"]:
                if listed["startDate"].timestamp() < since - 1:
                    return
                if listed["status"] != "SUCCEEDED":
                    found = states.describe_execution(executionArn=listed["executionArn"])
                    raise SystemExit(f"{listed['name']}: {listed['status']} {found.get('error')} {found.get('cause')}")
                events = states.get_execution_history(executionArn=listed["executionArn"])["events"]
                yield run_of(listed, events)

    def _count_needs(self) -> dict[str, int]:
        """What the teams need where most of it is needed."""
        accounts = (HUB, *{cluster["account"] for cluster in self._clusters} - {HUB}, VISION)
        roles = {account: self._count_roles(account) for account in accounts}
        entries = [self._count(cluster, "list_access_entries", "accessEntries") for cluster in self._clusters]
        associations = [
            self._count(cluster, "list_pod_identity_associations", "associations") for cluster in self._clusters
        ]
        return {
            "IAM roles of a cluster's account": max(roles[cluster["account"]] for cluster in self._clusters),
            "IAM roles of the account that is a member of most teams": roles[VISION],
            "access entries of a cluster": max(entries),
            "pod identity associations of a cluster": max(associations),
            "access points of the data account": len(self._access_points()),
        }

    def _count_roles(self, account: str) -> int:
        pages = self.sandbox.client("iam", account).get_paginator("list_roles").paginate()
        return sum(len(page["Roles"]) for page in pages)

    def _count(self, cluster: Record, operation: str, key: str) -> int:
        eks = self.sandbox.client("eks", cluster["account"])
        pages = eks.get_paginator(operation).paginate(clusterName=cluster["eks_cluster"])
        return sum(len(page[key]) for page in pages)


def meaning(document: Any) -> list[Any]:
    """A policy in one spelling: keys without regard to case, one value as a list of one, lists in one order."""
    if isinstance(document, dict):
        return [{key.lower(): meaning(value) for key, value in document.items()}]
    if isinstance(document, list):
        return sorted(
            (one for value in document for one in meaning(value)), key=lambda one: json.dumps(one, sort_keys=True)
        )
    return [document]


def run_of(listed: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Run:
    """An execution that has ended, by how it is listed and by its history."""
    team = json.loads(events[0]["executionStartedEventDetails"]["input"])["team"]
    began, ended = listed["startDate"].timestamp(), listed["stopDate"].timestamp()
    leased = next((event for event in events if _is_leased(event)), None)
    return Run(team, began, ended, leased["timestamp"].timestamp() - began if leased else None)


def _is_leased(event: Mapping[str, Any]) -> bool:
    """Whether with this event an execution gets its team's lease."""
    left = event.get("stateExitedEventDetails", {})
    return bool(left.get("name") == "LeaseTeam" and json.loads(left["output"])["status"] == "held")


def _megabytes() -> tuple[float, float]:
    """The most memory that this process, and the largest of the functions' processes that still run, have had."""
    own = os.getpid()
    return _peak(own), max((_peak(one) for one in _descendants(own)), default=0.0)


def _descendants(process: int) -> Iterator[int]:
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, task.read_text(encoding="ascii").split()):
            yield child
            yield from _descendants(child)


def _peak(process: int) -> float:
    """Megabytes; none where the process has ended, or where there is no /proc."""
    with suppress(OSError):
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
    return 0.0

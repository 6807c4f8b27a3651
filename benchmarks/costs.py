"""What podshare costs per team and month, from the counts and list prices; and the quotas of AWS that it meets.

Nothing is measured here: the counts are those of the last run.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from benchmarks.latencies import latency
from benchmarks.results import Group
from podshare.kinds.limits import ACCESS_ENTRIES, ACCESS_POINTS, POD_IDENTITY_ASSOCIATIONS
from podshare_cli.sandbox_deployment import PROJECT
from podshare_sandbox.traffic import ENTER_STATE, INVOKE

FILE = PROJECT / "benchmarks" / "prices.yaml"
SIZES = (10, 1_000, 10_000)
_GIGABYTE = 1e9


@cache
def table() -> dict[str, Any]:
    """The prices and assumptions."""
    found: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def alarms() -> int:
    """How many alarms the hub's stack has."""
    return (PROJECT / "template.yaml").read_text(encoding="utf-8").count("Type: AWS::CloudWatch::Alarm")


def quantities(operations: Mapping[str, int], log_bytes: float) -> dict[str, float]:
    """What is paid for in one phase of one team, in the units of the prices.

    Functions are charged as if they made all calls one after the other, an upper bound.
    """
    function, units = table()["function"], table()["units"]
    outside = {name: count for name, count in operations.items() if name not in (ENTER_STATE, INVOKE)}
    invocations = operations.get(INVOKE, 0)
    seconds = sum(count * latency(name) for name, count in outside.items()) + invocations * function["own_seconds"]
    return {
        "transition": operations.get(ENTER_STATE, 0),
        "invocation": invocations,
        "gb_second": seconds * function["gigabytes"],
        "read_unit": sum(count * units.get(name, {}).get("read", 0) for name, count in outside.items()),
        "write_unit": sum(count * units.get(name, {}).get("write", 0) for name, count in outside.items()),
        "log_gigabyte": log_bytes / _GIGABYTE,
        "trace": operations.get("stepfunctions:StartExecution", 0) + 1,
    }


def month(counts: Group) -> dict[str, tuple[float, float]]:
    """The quantity and the dollars of each price, per team and month."""
    prices = table()["prices"]
    total: dict[str, float] = {}
    for phase, times in table()["month"].items():
        found = quantities(counts.detail["operations"][phase], counts.values[f"{phase}/log_bytes"].value)
        for name, quantity in found.items():
            total[name] = total.get(name, 0.0) + times * quantity
    return {name: (quantity, quantity * prices[name]["usd"]) for name, quantity in total.items()}


def dollars(counts: Group, teams: int) -> float:
    """What an installation with so many teams costs a month."""
    per_team = sum(usd for _, usd in month(counts).values())
    return float(teams * per_team + alarms() * table()["prices"]["alarm_month"]["usd"])


# ---- quotas ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quota:
    """A quota of AWS: what an installation with so many teams needs of it, and what podshare does as it gets near."""

    name: str
    limit: int
    need: Callable[[int], float]
    meets: str
    source: str

    def shown(self, teams: int) -> str:
        """How much of it so many teams need, in percent."""
        share = self.need(teams) / self.limit
        return f"{share:.1%}" if share <= 1 else f"**{share:.0%}**"


REFUSES = "The plan counts what is there, and is blocked with a remedy before anything is changed."
ONE_CLUSTER = "Use several clusters."
_QUOTAS = (
    Quota(
        "access entries of a cluster", ACCESS_ENTRIES, lambda teams: 2 * teams, f"{REFUSES} {ONE_CLUSTER}", "EKS, fixed"
    ),
    Quota(
        "pod identity associations of a cluster",
        POD_IDENTITY_ASSOCIATIONS,
        lambda teams: teams,
        f"{REFUSES} {ONE_CLUSTER}",
        "EKS, fixed",
    ),
    Quota(
        "access points of an account and Region",
        ACCESS_POINTS,
        lambda teams: teams,
        f"{REFUSES} Keep data in several accounts.",
        "S3",
    ),
    Quota(
        "IAM roles of the cluster's account",
        1_000,
        lambda teams: 3 * teams,
        f"{REFUSES} The quota is read from IAM; raise it, up to 10,000, or put clusters in several accounts.",
        "IAM, can be raised",
    ),
    Quota(
        "concurrent functions, during a sweep",
        1_000,
        lambda teams: min(10, teams) * 20,
        "A sweep runs ten teams at once at most, each with 20 functions at most; what is throttled is retried.",
        "Lambda, can be raised",
    ),
    Quota(
        "starts of executions per second, all teams changed in one minute",
        300,
        lambda teams: teams / 60,
        "A start that is throttled fails its batch of the stream, which is delivered again.",
        "Step Functions, us-west-2, refill rate",
    ),
)
"""A team has two members, one service account and one dataset; all are on one cluster and one data account."""


def _quotas_of_machines(states: float, events: float) -> Iterator[Quota]:
    yield Quota(
        "state transitions per second, all teams onboarded in ten minutes",
        5_000,
        lambda teams: teams * states / 600,
        "Step Functions delays transitions; nothing fails.",
        "Step Functions, us-west-2, refill rate",
    )
    yield Quota(
        "events in the history of a run",
        25_000,
        lambda _: events,
        "A run makes 250 changes at most, and starts again for the rest.",
        "Step Functions, fixed",
    )


def quota_rows(counts: Group) -> Iterator[tuple[str, ...]]:
    """The table of quotas: name, limit, the share of it that each size needs, what podshare does, source."""
    onboarding = {what: counts.values[f"onboarding/{what}"].value for what in ("states", "events")}
    for quota in (*_QUOTAS, *_quotas_of_machines(**onboarding)):
        yield (
            quota.name,
            f"{quota.limit:,}",
            *(quota.shown(teams) for teams in SIZES),
            quota.meets,
            quota.source,
        )

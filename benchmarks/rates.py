"""Many teams at once, with the rates of AWS's APIs and without: what is throttled, and how long a revocation waits.

The rates of ``benchmarks/rates.yaml`` are cut to a share of them, as if other programs of the accounts used the rest:
a machine of two cores does not ask as often as Lambda would. Time runs at the scale 1, with AWS's latencies, because
the pauses of SDKs are not scaled.
"""

import datetime
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from benchmarks.counts import REVOKING
from benchmarks.latencies import latencies
from benchmarks.life import Organization, Say, organization, record
from benchmarks.results import Group, Value
from podshare_cli.sandbox_deployment import PROJECT
from podshare_sandbox.throttling import Rate, name_of
from podshare_sandbox.traffic import ENTER_STATE, INVOKE, Asked

FILE = PROJECT / "benchmarks" / "rates.yaml"
TEAMS, LEAVERS = 8, 3
SHARE = 0.5
"""What is left for podshare of each rate and burst."""
MANY = 1000
SOURCES = ("documented", "reported", "assumed")
_ATTEMPTS = 4  # of podshare's SDK clients
_HEAD_START = 5.0  # seconds by which onboarding precedes the revocations
_PATIENCE = 900
_MOST_ROWS = 10


@cache
def table() -> dict[str, dict[str, Any]]:
    """Each bucket with its rate and where that comes from."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def rates(share: float = 1.0) -> dict[str, Rate]:
    """The rates as the sandbox takes them, or a share of them."""
    return {name: _rate(row, share) for name, row in table().items()}


def _rate(row: Mapping[str, Any], share: float) -> Rate:
    return Rate(row["per_second"] * share, max(1.0, row["burst"] * share), row["per"], bool(row.get("shared")))


@dataclass(frozen=True)
class Story:
    """What became of teams that came while others went: requests, seconds, states, and when each revocation began."""

    requests: tuple[Asked, ...]
    seconds: float
    states: Mapping[str, str]
    first_revocations: Mapping[str, float]
    last_revocations: Mapping[str, float]

    @property
    def calls(self) -> list[Asked]:
        """Requests of AWS's APIs and of Kubernetes'."""
        return [asked for asked in self.requests if asked.name not in (ENTER_STATE, INVOKE)]

    @property
    def throttled(self) -> list[Asked]:
        """Those that were refused by a rate."""
        return [asked for asked in self.calls if asked.throttled]


def measure(say: Say) -> dict[str, Group]:
    """Let the same story happen with rates and without; returns the group rates."""
    with organization(say) as here:
        onboarding = _leavers_come(here)
        say(f"{TEAMS} teams come and {LEAVERS} go, without rates")
        free = _story(here, {})
    with organization(say) as here:
        _leavers_come(here)
        say(f"{TEAMS} teams come and {LEAVERS} go, with {SHARE:.0%} of the rates")
        bound = _story(here, rates(SHARE))
    return {"rates": Group(_values(free, bound), _detail(free, bound, onboarding))}


def _leavers_come(here: Organization) -> Sequence[Asked]:
    """Onboard those that are to leave; returns what was asked for it."""
    before = len(here.sandbox.requests)
    here.put(*(record(name) for name in _leavers()))
    return here.sandbox.requests[before:]


def _leavers() -> list[str]:
    return [f"leaver{number}" for number in range(LEAVERS)]


def _story(here: Organization, limits: Mapping[str, Rate]) -> Story:
    comers, began = [f"comer{number}" for number in range(TEAMS)], time.monotonic()
    here.sandbox.set_pace(latencies(), 1.0, limits)
    here.world.put(*(record(name) for name in comers), settle=False)
    time.sleep(_HEAD_START)
    deleted = datetime.datetime.now(datetime.UTC)
    here.world.delete(*(f"team#{name}" for name in _leavers()), settle=False)
    here.sandbox.settle(_PATIENCE)
    seconds, requests = time.monotonic() - began, tuple(here.sandbox.requests)
    states = {name: str(here.world.state("status", f"team#{name}").get("state")) for name in (*comers, *_leavers())}
    revoked: dict[str, list[float]] = {name: [] for name in _leavers()}
    for decision in here.sandbox.decisions:
        name = next((name for name in revoked if f"podshare-{name}-" in decision.resource), "")
        if name and decision.action in _REVOKING_ACTIONS and decision.at >= deleted:
            revoked[name].append((decision.at - deleted).total_seconds())
    return Story(
        requests,
        seconds,
        states,
        {name: min(moments) for name, moments in revoked.items()},
        {name: max(moments) for name, moments in revoked.items()},
    )


_REVOKING_ACTIONS = frozenset(name.replace("s3control:", "s3:") for name in REVOKING)


def _values(free: Story, bound: Story) -> dict[str, Value]:
    calls, throttled = len(bound.calls), len(bound.throttled)
    given_up = sum(asked.attempt >= _ATTEMPTS for asked in bound.throttled)
    wanted = {name: "DELETED" if name in bound.first_revocations else "READY" for name in bound.states}
    wrong = [name for name, state in bound.states.items() if state != wanted[name]]
    waited, freely = (max(story.first_revocations.values()) for story in (bound, free))
    return {
        "throttled": Value(throttled / calls, beside=f"{throttled} / {calls}"),
        "given up": Value(given_up / calls, beside=f"{given_up} / {calls}"),
        "wrong": Value(len(wrong), beside=f"{len(wrong)} of {len(bound.states)}"),
        "first revocation": Value(waited / freely, beside=f"{waited:.1f} s / {freely:.1f} s"),
    }


def _detail(free: Story, bound: Story, onboarding: Sequence[Asked]) -> dict[str, Any]:
    asked, throttled = Counter(one.name for one in bound.calls), Counter(one.name for one in bound.throttled)
    given_up = Counter(one.name for one in bound.throttled if one.attempt >= _ATTEMPTS)
    return {
        "throttled": [
            {
                "api": name,
                "calls": asked[name],
                "throttled": count,
                "attempts": asked[name] / max(1, asked[name] - count),
                "given up": given_up[name],
                "source": source(name),
            }
            for name, count in throttled.most_common()
        ],
        "modes": {
            mode: {
                "seconds": story.seconds,
                "calls": len(story.calls),
                "a second": len(story.calls) / story.seconds,
                "first revocation": max(story.first_revocations.values()),
                "last revocation": max(story.last_revocations.values()),
            }
            for mode, story in (("without rates", free), (f"{SHARE:.0%} of the rates", bound))
        },
        "many": least_minutes(onboarding, LEAVERS),
    }


def least_minutes(onboarding: Iterable[Asked], teams: int) -> list[dict[str, Any]]:
    """The minutes that each API's rate makes a thousand teams take at least, the longest first.

    ``onboarding`` are the requests of some teams, of the same accounts; who is asked most in one account counts.
    """
    counted: Counter[tuple[str, str, str]] = Counter()
    for asked in onboarding:
        if name := name_of(asked.name, table()):
            operation = name if table()[name].get("shared") else asked.name
            counted[name, operation, asked.principal.split(":")[4]] += 1
    most: dict[str, tuple[int, str]] = {}
    for (name, operation, _account), count in counted.items():
        most[operation] = max(most.get(operation, (0, name)), (count, name))
    found = [
        {"api": operation, "per team": count / teams, "per second": table()[name]["per_second"],
         "minutes": max(0.0, count / teams * MANY - table()[name]["burst"]) / table()[name]["per_second"] / 60,
         "source": source(operation)}
        for operation, (count, name) in most.items()
    ]  # fmt: skip
    return sorted(found, key=lambda row: -row["minutes"])[:_MOST_ROWS]


def source(operation: str) -> str:
    """Whether the rate of an operation is documented, reported or assumed."""
    name = name_of(operation, table())
    return str(table()[name]["source"]).partition(":")[0] if name else ""

"""How long it takes to plan 1,000 teams, without AWS: ``python -m benchmarks.planning``.

Each team's record is parsed, its resources are computed, and compared with what is there, which is the same. The teams
are spread over 500 accounts, 200 datasets and 3 clusters; what is there, and the plans, are in memory all at once.
Seconds are of the CPU, the median of three processes; memory is the peak of a process, with the interpreter.
"""

import json
import random
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / "functions")]

from podshare.kinds.base import Key, Resource  # noqa: E402  # found on the path set above
from podshare.kinds.desired import desired  # noqa: E402
from podshare.kinds.facts import ClusterFacts  # noqa: E402
from podshare.reconcile.plan import plan  # noqa: E402
from podshare.registry.acceptance import accept_team  # noqa: E402
from podshare.registry.accounts import Account  # noqa: E402
from podshare.registry.expiry import in_force  # noqa: E402
from podshare.registry.parsing import parse  # noqa: E402
from podshare.registry.records import Dataset  # noqa: E402
from tests.builders import INSTALLATION  # noqa: E402

TEAMS, ACCOUNTS, DATASETS, CLUSTERS = 1_000, 500, 200, 3
BUDGET_SECONDS, BUDGET_MEGABYTES = 2.0, 200.0
_RUNS = 3
_MEGABYTE = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # in the unit of ru_maxrss
_NOW = datetime(2026, 11, 29, tzinfo=UTC)

Item = dict[str, Any]


def measure() -> dict[str, Any]:
    """The seconds and megabytes that planning takes, with their budgets."""
    runs = [_run_in_a_process() for _ in range(_RUNS)]
    seconds, megabytes = (statistics.median(run[unit] for run in runs) for unit in ("seconds", "megabytes"))
    return {
        "seconds": round(seconds, 2),
        "budget_seconds": BUDGET_SECONDS,
        "megabytes": round(megabytes),
        "budget_megabytes": BUDGET_MEGABYTES,
        "met": seconds <= BUDGET_SECONDS and megabytes <= BUDGET_MEGABYTES,
    }


def _run_in_a_process() -> dict[str, float]:
    ended = subprocess.run([sys.executable, __file__, "once"], check=True, capture_output=True, text=True)  # noqa: S603  # this file
    found: dict[str, float] = json.loads(ended.stdout)
    return found


def _peak_megabytes() -> float:
    """The peak of this process alone: to Linux's ru_maxrss also counts what the process had that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        (kibibytes,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status.read_text(encoding="utf-8"), re.MULTILINE)
        return int(kibibytes) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MEGABYTE


def plan_all(teams: int = TEAMS) -> dict[str, float]:
    """Plan each of ``teams`` teams once. Raises ValueError where a record is refused, or a plan is not empty."""
    accounts, datasets, clusters = _accounts(), _datasets(), _clusters()
    items = [*_teams(teams)]
    observed = [_desired(item, datasets, clusters, accounts) for item in items]
    began = time.process_time()
    plans = [
        plan(_desired(item, datasets, clusters, accounts), there) for item, there in zip(items, observed, strict=True)
    ]
    seconds = time.process_time() - began
    if not all(observed) or any(found.changes for found in plans):
        raise ValueError("a team has no resources, or a plan that is not empty")
    return {"seconds": seconds, "megabytes": _peak_megabytes()}


def _desired(
    item: Item, datasets: dict[str, Dataset], clusters: dict[str, ClusterFacts], accounts: dict[str, Account]
) -> dict[Key, Resource]:
    accepted = accept_team(item, None, clusters, datasets, prefix=INSTALLATION.prefix)
    if accepted.record is None:
        raise ValueError(f"{item['id']} is refused: {accepted.problems}")
    team = in_force(accepted.record, _NOW)
    return desired(team, clusters.values(), datasets, accounts, INSTALLATION) if team else {}


# ---- an organization -----------------------------------------------------------------------------------------


def _accounts() -> dict[str, Account]:
    ids = [f"{200_000_000_000 + number}" for number in range(ACCOUNTS)]
    units = [("r-pods", f"ou-pods-{number:08}") for number in range(20)]
    return {
        account: Account(account, f"science-{number}", path=units[number % len(units)], tags={"team": f"t{number}"})
        for number, account in enumerate(ids)
    }


def _datasets() -> dict[str, Dataset]:
    found = {}
    for number in range(DATASETS):
        account = f"{300_000_000_000 + number % 20}"
        item: Item = {"id": f"dataset#data-{number}", "schema": 1, "account": account, "region": "us-west-2"}
        item |= {"bucket": f"data-{number // 4}-{account}", "prefix": f"data-{number}/"}
        if number % 5 == 0:
            item["kms_key"] = f"arn:aws:kms:us-west-2:{account}:key/1234abcd-12ab-34cd-56ef-{number:012}"
        record = parse(item)
        if isinstance(record, Dataset):
            found[record.name] = record
    return found


def _clusters() -> dict[str, ClusterFacts]:
    return {
        f"cluster-{number}": ClusterFacts(
            name=f"cluster-{number}",
            account=f"{400_000_000_000 + number}",
            region="us-west-2",
            eks_cluster=f"eks-{number}",
            hyperpod_arn=f"arn:aws:sagemaker:us-west-2:{400_000_000_000 + number}:cluster/abcdefghijk{number}",
        )
        for number in range(CLUSTERS)
    }


def _teams(teams: int) -> Iterator[Item]:
    """One to four members and service accounts each; a tenth is on two clusters, a tenth selects a unit's accounts."""
    chance = random.Random(7)  # noqa: S311  # the same teams every time
    for number in range(teams):
        name = f"team-{number}"
        members: list[Item] = [
            {"account": f"{200_000_000_000 + account}"}
            for account in chance.sample(range(ACCOUNTS), chance.randint(1, 4))
        ]
        if number % 10 == 1:
            members.append({"organizational_unit": f"ou-pods-{chance.randrange(20):08}"})
        quota = {"resources": [{"instance_type": "ml.p5.48xlarge", "count": chance.randint(1, 8)}]}
        used = [f"cluster-{cluster}" for cluster in chance.sample(range(CLUSTERS), 2 if number % 10 == 0 else 1)]
        item: Item = {
            "id": f"team#{name}",
            "schema": 1,
            "cluster": used[0] if len(used) == 1 else [{"cluster": one, "quota": quota} for one in used],
            "owner": "priya@example.com",
            "reason": "Trains image models",
            "members": members,
            "service_accounts": [
                {
                    "name": f"trainer-{account}",
                    "datasets": [
                        {"dataset": f"data-{dataset}", "access": chance.choice(["read", "read_write"])}
                        for dataset in chance.sample(range(DATASETS), chance.randint(1, 3))
                    ],
                }
                for account in range(chance.randint(1, 4))
            ],
        }
        yield {**item, "quota": quota} if len(used) == 1 else item


if __name__ == "__main__":
    if sys.argv[1:] == ["once"]:
        print(json.dumps(plan_all()))  # noqa: T201  # for the process that measures
    else:
        found = measure()
        print(  # noqa: T201  # its purpose
            f"planning {TEAMS:,} teams: {found['seconds']} s of {found['budget_seconds']}, "
            f"{found['megabytes']} MB of {found['budget_megabytes']:.0f}: {'met' if found['met'] else 'NOT met'}"
        )

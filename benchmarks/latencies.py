"""The one table of how long AWS takes to answer, and what follows from it for a team: its critical path."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from benchmarks import least
from podshare.kinds.base import Key, Kind, Resource
from podshare_cli.sandbox_deployment import PROJECT
from podshare_sandbox.services.sagemaker import CHANGE_SECONDS

FILE = PROJECT / "benchmarks" / "latencies.yaml"
SESSION = "sts:AssumeRole"


@cache
def table() -> dict[str, dict[str, Any]]:
    """Each operation with its milliseconds and where they come from."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def latencies() -> dict[str, float]:
    """Seconds by operation, as the sandbox takes them."""
    return {name: row["ms"] / 1000 for name, row in table().items()}


def latency(name: str) -> float:
    """The seconds of one operation."""
    known = latencies()
    return known[name] if name in known else known.get(f"{name.partition(':')[0]}:*", known["*"])


def critical_path(resources: Mapping[Key, Resource]) -> tuple[float, list[str]]:
    """The longest chain of calls and waits that the resources' dependencies force, in seconds, and its calls.

    It begins with a session of the member role; the calls of one resource are made in their order; a compute quota is
    there once SageMaker has created it.
    """
    chains: dict[Key, tuple[float, list[str]]] = {}

    def chain(key: Key) -> tuple[float, list[str]]:
        if key not in chains:
            needed = [chain(need) for need in resources[key].needs if need in resources]
            before, calls = max(needed, default=(latency(SESSION), [SESSION]))
            own = least.WRITES.get(key.kind, least.WRITES_OF_A_BUCKET)
            seconds = before + sum(latency(name) for name in own)
            waits = ["SageMaker creates the quota"] if key.kind is Kind.COMPUTE_QUOTA else []
            chains[key] = (seconds + (CHANGE_SECONDS["Creating"] if waits else 0), [*calls, *own, *waits])
        return chains[key]

    return max((chain(key) for key in resources), key=lambda found: found[0])

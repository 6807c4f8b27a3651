"""How long the main job takes in the sandbox: ``python benchmarks/main_job.py``.

Prints the seconds of each phase, the CPU seconds of the sandbox and of the processes of its functions, and the peak
memory of the sandbox. CPU seconds compare machines and changes; the seconds of the phases also tell how loaded a
machine is.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / "functions")]

from podshare.aws.tables import to_item  # noqa: E402  # found on the path set above
from podshare_cli.sandbox_deployment import deploy_podshare  # noqa: E402
from podshare_sandbox import Sandbox  # noqa: E402
from podshare_sandbox.organization import HUB, HUB_REGION  # noqa: E402

_MACHINE = f"arn:aws:states:{HUB_REGION}:{HUB}:stateMachine:podshare-reconcile-team"
_SETTLE_SECONDS = 300  # a limit for slow machines
_MEGABYTE = 1 << (20 if sys.platform == "darwin" else 10)  # the unit of ru_maxrss differs

Record = dict[str, Any]


def main() -> None:
    """Run the phases and print the table."""
    records = _example_records()
    teams = [record for record in records if record["id"].startswith("team#")]
    others = [record for record in records if record not in teams]
    sandbox = Sandbox(time_scale=0.02)
    with _phase("start"):
        sandbox.start()
    try:
        with _phase("deploy"):
            deploy_podshare(sandbox, {"DrainSeconds": "20"})
        with _phase("cluster and datasets"):
            _put(sandbox, others)
        with _phase("onboard two teams"):
            _put(sandbox, teams)
        _expect_states(sandbox, teams, "READY")
        with _phase("reconcile, nothing to do"):
            _reconcile(sandbox, teams)
        with _phase("remove two teams"):
            _delete(sandbox, teams)
        _expect_states(sandbox, teams, "DELETED")
    finally:
        with _phase("stop"):
            sandbox.stop()
    _print_totals()


def _example_records() -> list[Record]:
    files = sorted((PROJECT / "examples" / "registry").glob("*.yaml"))
    return [record for file in files for record in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


def _put(sandbox: Sandbox, records: list[Record]) -> None:
    for record in records:
        sandbox.client("dynamodb").put_item(TableName="podshare-registry", Item=to_item(record))
    sandbox.settle(_SETTLE_SECONDS)


def _delete(sandbox: Sandbox, records: list[Record]) -> None:
    for record in records:
        sandbox.client("dynamodb").delete_item(TableName="podshare-registry", Key={"id": {"S": record["id"]}})
    sandbox.settle(_SETTLE_SECONDS)


def _reconcile(sandbox: Sandbox, teams: list[Record]) -> None:
    for team in teams:
        trigger = {"event": "admin", "record": team["id"], "change": "", "by": "", "at": "", "id": ""}
        given = {"team": team["id"].removeprefix("team#"), "trigger": trigger}
        sandbox.client("stepfunctions").start_execution(stateMachineArn=_MACHINE, input=json.dumps(given))
    sandbox.settle(_SETTLE_SECONDS)


def _expect_states(sandbox: Sandbox, teams: list[Record], state: str) -> None:
    """Figures of a job that failed would say nothing. Raises SystemExit."""
    for team in teams:
        key = {"id": {"S": "status"}, "part": {"S": team["id"]}}
        status = sandbox.client("dynamodb").get_item(TableName="podshare-state", Key=key).get("Item", {})
        if status.get("state", {}).get("S") != state:
            raise SystemExit(f"{team['id']} is not {state}: {status}")


@contextmanager
def _phase(name: str) -> Iterator[None]:
    wall, cpu = time.monotonic(), time.process_time()
    yield
    _print_row(name, f"{time.monotonic() - wall:8.1f} s", f"{time.process_time() - cpu:8.1f} s")


def _print_totals() -> None:
    own, functions = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    seconds = [used.ru_utime + used.ru_stime for used in (own, functions)]
    _print_row("CPU of the sandbox", "", f"{seconds[0]:8.1f} s")
    _print_row("CPU of the functions", "", f"{seconds[1]:8.1f} s")
    _print_row("CPU in total", "", f"{sum(seconds):8.1f} s")
    _print_row("peak memory of the sandbox", "", f"{own.ru_maxrss / _MEGABYTE:8.0f} MB")


def _print_row(name: str, *cells: str) -> None:
    print(f"{name:28}" + "".join(f"{cell:>12}" for cell in cells), flush=True)  # noqa: T201  # this is its purpose


if __name__ == "__main__":
    _print_row("", "wall clock", "own CPU")
    main()

"""How long access outlasts what takes it away, in the sandbox: ``python benchmarks/revocation.py``.

Prints the seconds from each trigger until a session of a scientist that is open, and a pod that runs with credentials
that it has, are refused. Waits of the state machine are fifty times shorter than in AWS, and functions are warm; what
AWS takes to make a change known everywhere comes on top (docs/security.md).
"""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

PROJECT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(PROJECT), str(PROJECT / "functions")]

from podshare_cli.sandbox_deployment import deploy_podshare  # noqa: E402
from podshare_sandbox import Sandbox  # noqa: E402  # found on the path set above
from podshare_sandbox.organization import FILE_SYSTEM, HUB, HUB_REGION  # noqa: E402
from podshare_sandbox.services import fsx  # noqa: E402
from tests.builders import a_team_item  # noqa: E402
from tests.scenarios.world import CLUSTER, DATASETS, LANGUAGE, VISION, World, refused  # noqa: E402

_TEAM = "alpha"
_BOTH = [{"account": VISION}, {"account": LANGUAGE}]
_IMAGES, _CRAWL = ({"dataset": dataset, "access": "read"} for dataset in ("imagenet", "crawl"))
_DRAFTS = {"file_system": FILE_SYSTEM, "dataset": "drafts", "access": "read_write"}
_PATIENCE = 120  # seconds
_GONE = ("AccessDenied", "NoSuchAccessPoint", "InvalidAccessKeyId")

Check = Callable[[], bool]


def main() -> None:
    """Take access away in each way, and print the table."""
    with Sandbox(time_scale=0.02) as sandbox:
        world = World(sandbox)
        deploy_podshare(sandbox, {"DrainSeconds": "0"})
        world.put(CLUSTER, *DATASETS)
        world.put(_record(_BOTH, [_IMAGES, _CRAWL], [_DRAFTS]))
        pod = world.pod(_TEAM, "trainer")
        leaver = world.cluster_access(_TEAM, LANGUAGE)
        _measure(world, "a member is taken out", lambda: _put(world, [_IMAGES, _CRAWL], [_DRAFTS]), _out(world, leaver))
        crawl, images = (world.access_point(_TEAM, dataset) for dataset in ("crawl", "imagenet"))
        _measure(
            world, "a grant is taken out", lambda: _put(world, [_IMAGES], [_DRAFTS]), _no_data(pod, crawl, "crawl/")
        )
        _measure(world, "a grant by file system is", lambda: _put(world, [_IMAGES]), _released)
        _measure(
            world,
            "a dataset is deleted",
            lambda: world.delete("dataset#imagenet", settle=False),
            _no_data(pod, images, "imagenet/"),
        )
        world.put(*DATASETS)
        _measure_the_end_of_a_term(world)
        leaver = _joined(world)
        spoiled = {**_record(_BOTH[:1], [_IMAGES]), "acces": "view"}
        _measure(world, "so it is by a bad record", lambda: world.put(spoiled, settle=False), _out(world, leaver))
        world.put(_record(_BOTH[:1], [_IMAGES]))
        pod, images = world.pod(_TEAM, "trainer"), world.access_point(_TEAM, "imagenet")
        scientist = world.cluster_access(_TEAM, VISION)
        gone = lambda: _out(world, scientist)() and _no_data(pod, images, "imagenet/")()  # noqa: E731  # one of many checks
        _measure(world, "the team is deleted", lambda: world.delete(f"team#{_TEAM}", settle=False), gone)


def _record(members: list[Any], datasets: list[Any], file_systems: list[Any] | None = None) -> dict[str, Any]:
    accounts = [{"name": "trainer", "datasets": datasets}]
    return a_team_item(_TEAM, members=members, service_accounts=accounts, file_systems=file_systems or [])


def _put(world: World, datasets: list[Any], file_systems: list[Any] | None = None) -> None:
    world.put(_record(_BOTH[:1], datasets, file_systems), settle=False)


def _joined(world: World, **more: str) -> boto3.Session:
    """The second account's scientist, at work in the cluster."""
    world.put(_record([_BOTH[0], {**_BOTH[1], **more}], [_IMAGES]))
    return world.cluster_access(_TEAM, LANGUAGE)


def _measure_the_end_of_a_term(world: World) -> None:
    end = (datetime.now(UTC) + timedelta(seconds=20)).replace(microsecond=0)
    leaver = _joined(world, expires=f"{end:%Y-%m-%dT%H:%M:%SZ}")
    _measure(world, "a member's term ends", lambda: _sleep_until(end), _out(world, leaver))


def _sleep_until(moment: datetime) -> None:
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


def _measure(world: World, name: str, trigger: Callable[[], None], is_gone: Check) -> None:
    """Print how long after ``trigger`` access is gone. Raises SystemExit if there was none, or if it stays."""
    if is_gone():
        raise SystemExit(f"{name}: there is no access that could be taken away")
    trigger()
    began = time.monotonic()
    while not is_gone():
        if time.monotonic() - began > _PATIENCE:
            raise SystemExit(f"{name}: access stays")
        time.sleep(0.02)
    print(f"{name:28}{time.monotonic() - began:8.1f} s", flush=True)  # noqa: T201  # this is its purpose
    world.sandbox.settle(_PATIENCE)


def _out(world: World, session: boto3.Session) -> Check:
    return lambda: refused(lambda: world.may_submit(session, _TEAM))


def _no_data(pod: boto3.Session, point: str, prefix: str) -> Check:
    def is_refused() -> bool:
        try:
            pod.client("s3").list_objects_v2(Bucket=point, Prefix=prefix)
        except ClientError as error:
            return error.response["Error"]["Code"] in _GONE
        return False

    return is_refused


def _released() -> bool:
    """Whether the file system holds nothing any more of what was linked."""
    return not [path for path in fsx.files(HUB, HUB_REGION, FILE_SYSTEM) if path.startswith("/podshare/")]


if __name__ == "__main__":
    main()

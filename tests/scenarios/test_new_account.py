"""A hub in a new account, which runs ten functions at once: everything is done, only later."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox, concurrency, functions
from sandbox.tests.runtime import eventually
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, DATASETS, HUB, LANGUAGE, REGION, VISION, World, refused

NEW_ACCOUNT = 10
MEMBERS = [{"account": VISION}, {"account": LANGUAGE}]
TEAMS = ("alpha", "bravo", "charlie", "delta")


class Throttles:
    """How often Lambda refused an invocation."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Count from now on."""
        invoke = functions.Fleet.invoke

        def counting(fleet: functions.Fleet, function: Any, payload: bytes) -> functions.Outcome:
            try:
                return invoke(fleet, function, payload)
            except concurrency.ThrottledError:
                with self._lock:
                    self.count += 1
                raise

        monkeypatch.setattr(functions.Fleet, "invoke", counting)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """An organization whose hub's account is new; podshare is deployed with the account's concurrency."""
    with Sandbox(time_scale=0.005) as sandbox:
        concurrency.set_limit(HUB, REGION, NEW_ACCOUNT)
        found = World(sandbox)
        found.outputs = deploy_podshare(sandbox, {"DrainSeconds": "1"})
        found.put(CLUSTER, *DATASETS)
        yield found


def test_many_records_at_once_are_all_made_true(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other functions of the account use all of its concurrency while four teams come; then every team becomes READY."""
    throttles = Throttles()
    throttles.watch(monkeypatch)
    concurrency.set_limit(HUB, REGION, 0)
    records = [a_team_item(name, members=MEMBERS, service_accounts=[]) for name in TEAMS]
    writing = threading.Thread(target=world.put, args=records)
    writing.start()
    eventually(lambda: throttles.count >= len(TEAMS))
    concurrency.set_limit(HUB, REGION, NEW_ACCOUNT)
    writing.join()
    world.sandbox.settle()
    assert {world.status(name)["state"] for name in TEAMS} == {"READY"}


def test_a_revocation_is_made_during_a_sweep(world: World) -> None:
    """A team that is deleted while a sweep goes on loses its access; the sweep succeeds."""
    leaver = world.cluster_access("alpha", VISION)
    assert world.may_submit(leaver, "alpha")
    sweep = threading.Thread(target=world.sweep)
    sweep.start()
    world.delete("team#alpha")
    sweep.join()
    world.sandbox.settle()
    assert refused(lambda: world.may_submit(leaver, "alpha"))
    assert world.status("alpha")["state"] == "DELETED"
    assert world.sweep()["status"] == "SUCCEEDED"

"""A team's namespace that somebody deletes: told with what holds it and what to do, and never waited for in vain."""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from podshare.aws.errors import Pending
from podshare.aws.kubernetes import Kubernetes
from podshare.aws.sessions import changes_guarded_by
from podshare_sandbox.front_door import FrontDoor, Request, Response
from podshare_sandbox.services import kubernetes
from tests.builders import a_team_item
from tests.scenarios.world import EKS_ARN, HUB, REGION, Item, World, awaited

TEAM = a_team_item("tango", members=[], service_accounts=[{"name": "trainer"}])
NAMESPACE = "hyperpod-ns-tango"
HOLD = "example.com/hold"


@pytest.fixture(scope="module")
def deployment() -> dict[str, str]:
    """Work is waited for longer than a test takes."""
    return {"DrainSeconds": "1800"}


@pytest.fixture
def api(world: World) -> Iterator[Any]:
    """The cluster, with the team on it."""
    world.put(TEAM)
    assert world.status("tango")["state"] == "READY", world.status("tango")
    yield kubernetes.api_of(EKS_ARN)


def until(world: World, state: str, text: str) -> dict[str, Any]:
    """The team's problem with ``text`` in it, once the team is in ``state``."""

    def found(status: Item) -> list[Item]:
        return [one for one in status.get("problems", []) if text in one["what"]]

    status = awaited(lambda: world.status("tango"), lambda status: status.get("state") == state and found(status))
    return found(status)[0]


def held(api: Any) -> None:
    """Delete the namespace, in which something stays for now."""
    metadata = {"name": "held", "namespace": NAMESPACE, "finalizers": [HOLD]}
    api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    api.delete("Namespace", None, NAMESPACE)
    assert api.get("Namespace", None, NAMESPACE)["status"]["phase"] == "Terminating"


def let_go(api: Any) -> None:
    config = api.get("ConfigMap", NAMESPACE, "held")
    del config["metadata"]["finalizers"]
    api.apply(config)
    assert api.get("Namespace", None, NAMESPACE) is None


def test_a_namespace_that_somebody_deletes_is_waited_for_and_then_told(world: World, api: Any) -> None:
    """While it ends the team waits, and hears of its finalizers; once it has gone the remedy makes it anew.

    Kubernetes documentation, "Namespaces" and "Finalizers": nothing is made in a namespace that is Terminating.
    """
    held(api)
    world.put({**TEAM, "reason": "Trains other models"}, settle=False)
    problem = until(world, "WAITING", f"namespace {NAMESPACE} is being deleted")
    assert HOLD in problem["remedy"]
    assert "cluster-rbac" not in str(world.status("tango")["problems"])
    let_go(api)
    problem = until(world, "DEGRADED", f"its namespace {NAMESPACE} does not")
    world.sandbox.settle()
    runs = len(world.executions("tango"))
    command = problem["remedy"].partition("with the next one. ")[2]
    assert shlex.split(command)[:3] == ["aws", "sagemaker", "delete-compute-quota"]
    environment = {**os.environ, **world.sandbox.environment()}
    subprocess.run(["bash", "-c", command], env=environment, check=True, timeout=60)  # noqa: S603, S607  # what a person types
    found = world.reconcile("tango")
    assert found["state"] == "READY", found
    assert len(world.executions("tango")) == runs + 1
    assert api.get("ServiceAccount", NAMESPACE, "trainer")


def test_a_namespace_that_comes_while_a_plan_is_made_is_not_lost(
    world: World, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SageMaker makes it with its quota: what was absent before the quota was read is read again before it is told."""
    assert api.get("Namespace", None, NAMESPACE)
    absent = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
    stock, asked = FrontDoor.handle, list[str]()

    def handle(door: FrontDoor, request: Request) -> Response:
        if ".gr7." in request.host and urlsplit(request.url).path.endswith(f"/namespaces/{NAMESPACE}"):
            asked.append(request.method)
            if len(asked) == 1:
                return Response(404, {"Content-Type": "application/json"}, json.dumps(absent).encode())
        return stock(door, request)

    monkeypatch.setattr(FrontDoor, "handle", handle)
    plan = world.plan("tango")
    assert plan["count"]
    assert asked == ["GET", "GET"]
    assert "somebody has deleted it" not in str(plan["obstacles"])


def test_a_team_whose_namespace_was_deleted_goes_without_draining(world: World, api: Any) -> None:
    """Nothing runs in a namespace that is not there: its quota waits for no work."""
    api.delete("Namespace", None, NAMESPACE)
    began = time.monotonic()
    world.delete("team#tango", settle=False)
    world.await_state("tango", "DELETED")
    assert time.monotonic() - began < 120
    world.sandbox.settle()
    assert world.leftovers() == []


def test_what_is_made_in_a_namespace_that_ends_is_pending(
    world: World, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API server answers 403 with the cause NamespaceTerminating (NamespaceLifecycle): no right is missing."""
    held(api)
    environment = world.sandbox.environment()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    keys = {
        "AccessKeyId": environment["AWS_ACCESS_KEY_ID"],
        "SecretAccessKey": environment["AWS_SECRET_ACCESS_KEY"],
        "SessionToken": None,
    }
    accounts: Any = SimpleNamespace(client=lambda *_: world.sandbox.client("eks", HUB), credentials=lambda _: keys)
    manifest = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "late", "namespace": NAMESPACE}}
    with changes_guarded_by(lambda: None), pytest.raises(Pending) as pending:
        Kubernetes(accounts, HUB, REGION, "hyperpod-eks").apply(manifest)
    assert f"namespace {NAMESPACE} is being deleted. It is held by" in str(pending.value)
    assert HOLD in str(pending.value)
    let_go(api)

"""A cluster's store tells every change, in order, to whoever follows it."""

import threading
from typing import Any

import pytest

from podshare_sandbox.services.kubernetes import KubernetesApi, journal
from podshare_sandbox.services.kubernetes.journal import Change, Expired

VOLUME = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "data"},
    "spec": {
        "accessModes": ["ReadOnlyMany"],
        "capacity": {"storage": "1Gi"},
        "csi": {"driver": "s3.csi.aws.com", "volumeHandle": "data"},
        "claimRef": {"namespace": "default", "name": "data"},
    },
}
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data", "namespace": "default"},
    "spec": {
        "accessModes": ["ReadOnlyMany"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "",
        "volumeName": "data",
    },
}


@pytest.fixture
def api() -> KubernetesApi:
    """The API of a new cluster."""
    return KubernetesApi()


def config(value: str) -> dict[str, Any]:
    """A ConfigMap that says ``value``."""
    metadata = {"name": "settings", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}}


def told(changes: list[Change]) -> list[tuple[str, str, str]]:
    """Type, kind and name of each change."""
    return [(change.type, change.resource.kind, change.object["metadata"]["name"]) for change in changes]


def test_every_write_gets_the_next_revision(api: KubernetesApi) -> None:
    """ADDED, MODIFIED and DELETED carry the resourceVersion that the write gave (Kubernetes API Concepts)."""
    before = int(api.revision)
    api.apply(config("one"))
    api.apply(config("two"))
    api.apply(config("two"))  # changes nothing
    api.delete("ConfigMap", "default", "settings")
    changes = api.journal.since(before)
    assert told(changes) == [(kind, "ConfigMap", "settings") for kind in ("ADDED", "MODIFIED", "DELETED")]
    assert [change.revision for change in changes] == [before + 1, before + 2, before + 3]
    assert [change.object["metadata"]["resourceVersion"] for change in changes] == [str(c.revision) for c in changes]
    assert [(change.before or {}).get("data") for change in changes] == [None, {"value": "one"}, {"value": "two"}]


def test_what_the_system_does_is_told_too(api: KubernetesApi) -> None:
    """Binding a claim and emptying a namespace are writes, as the controllers' are on a cluster."""
    before = int(api.revision)
    api.apply(VOLUME)
    api.apply(CLAIM)
    bound = {
        (kind, name)
        for kind, name in (
            (c.resource.kind, c.object["status"]["phase"]) for c in api.journal.since(before) if c.type == "MODIFIED"
        )
    }
    assert {("PersistentVolume", "Bound"), ("PersistentVolumeClaim", "Bound")} <= bound
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})
    before = int(api.revision)
    api.delete("Namespace", None, "team")
    deleted = told([change for change in api.journal.since(before) if change.type == "DELETED"])
    assert deleted == [("DELETED", "ServiceAccount", "default"), ("DELETED", "Namespace", "team")]


def test_a_dry_run_is_no_change(api: KubernetesApi) -> None:
    """What is not stored is not told."""
    before = int(api.revision)
    resource = next(change.resource for change in api.journal.since(0) if change.resource.kind == "Namespace")
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}
    api.create(resource, "", body, "test", dry_run=True)
    assert api.journal.since(before) == []


def test_subscribers_hear_of_changes_in_their_order(api: KubernetesApi) -> None:
    """A subscriber is called with each change once it is stored."""
    heard: list[Change] = []
    api.journal.subscribe(heard.append)
    before = int(api.revision)
    api.apply(config("one"))
    api.delete("ConfigMap", "default", "settings")
    assert heard == api.journal.since(before)


def test_whoever_waits_wakes_up_at_the_change(api: KubernetesApi) -> None:
    """Waiting ends with the first change, not with the time that it may take."""
    heard: list[Change] = []
    revision = int(api.revision)
    waiter = threading.Thread(target=lambda: heard.extend(api.journal.since(revision, timeout=60)))
    waiter.start()
    api.apply(config("one"))
    waiter.join(30)
    assert told(heard) == [("ADDED", "ConfigMap", "settings")]
    assert api.journal.since(int(api.revision), timeout=0.01) == []


def test_the_journal_does_not_reach_back_for_ever(api: KubernetesApi) -> None:
    """A revision older than what is kept is expired (Kubernetes API Concepts, 410 Gone responses)."""
    before = int(api.revision)
    for number in range(journal.KEPT + 1):
        api.apply(config(str(number)))
    with pytest.raises(Expired):
        api.journal.since(before)
    assert len(api.journal.since(before + 1)) == journal.KEPT

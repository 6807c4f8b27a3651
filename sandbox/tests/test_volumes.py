"""Persistent volumes and claims of the sandbox's clusters: bound, kept while in use, and never changed underneath."""

from typing import Any

import pytest

from podshare_sandbox.services.kubernetes.api import KubernetesApi
from podshare_sandbox.services.kubernetes.errors import KubernetesError

Object = dict[str, Any]
CSI = {"driver": "fsx.csi.aws.com", "volumeHandle": "fs-01234567"}


@pytest.fixture
def api() -> KubernetesApi:
    return KubernetesApi()


def volume(api: KubernetesApi, name: str = "v", **changed: Any) -> None:
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadOnlyMany"], "csi": CSI, "storageClassName": ""}
    spec["claimRef"] = {"namespace": "default", "name": "c"}
    spec = {key: value for key, value in {**spec, **changed}.items() if value is not ...}
    api.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec})


def claim(api: KubernetesApi, name: str = "c", **changed: Any) -> None:
    spec = {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": ""}
    spec = {**spec, "volumeName": "v", **changed}
    metadata = {"name": name, "namespace": "default"}
    api.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec})


def pod(api: KubernetesApi, phase: str = "Running") -> None:
    used = {"name": "data", "persistentVolumeClaim": {"claimName": "c"}}
    spec = {"containers": [{"name": "main", "image": "busybox"}], "volumes": [used]}
    api.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"}, "spec": spec})
    found = api.get("Pod", "default", "p") or {}
    api.apply({**found, "status": {"phase": phase}})


def phases(api: KubernetesApi) -> list[str]:
    found = [*api.objects("PersistentVolume"), *api.objects("PersistentVolumeClaim")]
    return [one["status"]["phase"] for one in found]


def test_a_claim_is_bound_to_the_volume_that_is_kept_for_it(api: KubernetesApi) -> None:
    """A volume with a claimRef is for that claim alone, whoever else names it."""
    volume(api)
    assert phases(api) == ["Available"]
    claim(api, "other")
    assert phases(api) == ["Available", "Pending"]
    claim(api)
    assert phases(api) == ["Bound", "Bound", "Pending"]
    claim(api, "wide", accessModes=["ReadWriteMany"])
    assert phases(api)[-1] == "Pending"


def test_a_volume_is_not_for_a_claim_that_was_made_anew(api: KubernetesApi) -> None:
    """Kubernetes writes the claim's uid into the volume: once the claim is gone, the volume is Released for good."""
    volume(api)
    claim(api)
    api.delete("PersistentVolumeClaim", "default", "c")
    assert phases(api) == ["Released"]
    claim(api)
    assert phases(api) == ["Released", "Pending"]
    api.delete("PersistentVolume", None, "v")
    volume(api)
    assert phases(api) == ["Bound", "Bound"]


def test_what_is_in_use_goes_last(api: KubernetesApi) -> None:
    """A claim that a pod uses, and a volume that a claim is bound to, are only marked; they go with their last user."""
    volume(api)
    claim(api)
    pod(api)
    assert api.delete("PersistentVolume", None, "v")
    assert api.delete("PersistentVolumeClaim", "default", "c")
    marked = [*api.objects("PersistentVolume"), *api.objects("PersistentVolumeClaim")]
    assert ["deletionTimestamp" in one["metadata"] for one in marked] == [True, True]
    api.delete("Pod", "default", "p")
    assert phases(api) == []


def test_a_pod_that_is_over_uses_nothing(api: KubernetesApi) -> None:
    """What has run to its end keeps no claim."""
    volume(api)
    claim(api)
    pod(api, "Succeeded")
    api.delete("PersistentVolumeClaim", "default", "c")
    assert phases(api) == ["Released"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"capacity": ...}, "spec.capacity"),
        ({"accessModes": ["ReadOnly"]}, "spec.accessModes"),
        ({"csi": ...}, "spec"),
        ({"hostPath": {"path": "/"}}, "spec"),
        ({"csi": {"driver": "fsx.csi.aws.com"}}, "spec.csi.volumeHandle"),
    ],
)
def test_a_volume_is_well_formed(api: KubernetesApi, changed: Object, field: str) -> None:
    """Capacity, modes, and one source (Kubernetes API reference, PersistentVolumeSpec)."""
    with pytest.raises(KubernetesError, match=field) as refused:
        volume(api, **changed)
    assert refused.value.code == 422


def test_what_a_volume_and_a_claim_are_is_never_changed(api: KubernetesApi) -> None:
    """The source of a volume and all of a claim are fixed; mount options may be changed."""
    volume(api)
    claim(api)
    for change in (lambda: volume(api, csi={**CSI, "volumeHandle": "x"}), lambda: claim(api, volumeName="other")):
        with pytest.raises(KubernetesError, match="immutable"):
            change()
    volume(api, mountOptions=["ro"])
    with pytest.raises(KubernetesError, match="Required value"):
        claim(api, "small", resources={})


def test_what_is_empty_or_false_is_left_out(api: KubernetesApi) -> None:
    """A volume of no class that is not read-only says neither; a claim of no class says so (Kubernetes' Go types)."""
    volume(api, csi={**CSI, "readOnly": False})
    claim(api)
    (made,), (asked,) = api.objects("PersistentVolume"), api.objects("PersistentVolumeClaim")
    assert made["spec"]["csi"] == CSI
    assert "storageClassName" not in made["spec"]
    assert (asked["spec"]["storageClassName"], asked["spec"]["volumeMode"]) == ("", "Filesystem")


def test_a_claim_of_a_volume_made_by_hand_never_grows(api: KubernetesApi) -> None:
    """Only what a storage class provisioned is resized (admission plugin PersistentVolumeClaimResize); less is 422."""
    volume(api)
    claim(api)
    for size, code in (("2Gi", 403), ("1Mi", 422)):
        with pytest.raises(KubernetesError) as refused:
            claim(api, resources={"requests": {"storage": size}})
        assert refused.value.code == code

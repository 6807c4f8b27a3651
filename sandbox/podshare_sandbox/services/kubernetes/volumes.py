"""Persistent volumes and claims: what is bound to what, and what stays while it is in use.

Source: Kubernetes documentation, "Persistent Volumes" (binding, reserving a volume, storage object in use protection).
Not emulated: classes, provisioners and reclaiming, which keep a volume as with
``Retain``.
"""

from typing import Any

from podshare_sandbox.json_copy import json_copy
from podshare_sandbox.services.kubernetes.resources import BY_KIND, Resource
from podshare_sandbox.services.kubernetes.store import Store

Object = dict[str, Any]

VOLUME, CLAIM = BY_KIND["PersistentVolume"], BY_KIND["PersistentVolumeClaim"]
_POD = BY_KIND["Pod"]
_OVER = ("Succeeded", "Failed")
# the finalizers that hold what is in use
PROTECTION = {VOLUME: "kubernetes.io/pv-protection", CLAIM: "kubernetes.io/pvc-protection"}


def fill_in(resource: Resource, candidate: Object) -> None:
    """Set the defaults, and leave out what the API's types leave out of their JSON: empty names, and what is false."""
    spec = candidate["spec"]
    spec.setdefault("volumeMode", "Filesystem")
    if resource == VOLUME:
        spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
        if not spec.get("storageClassName"):
            spec.pop("storageClassName", None)
        if not spec.get("csi", {}).get("readOnly", True):
            del spec["csi"]["readOnly"]


def protect(resource: Resource, created: Object) -> None:
    """Hold a new volume or claim while it is in use, as the admission plugin StorageObjectInUseProtection does."""
    metadata = created["metadata"]
    if PROTECTION[resource] not in (metadata.get("finalizers") or []):
        metadata["finalizers"] = [*(metadata.get("finalizers") or []), PROTECTION[resource]]


# --- controllers ----------------------------------------------------------------------------------------------


def is_in_use(resource: Resource, found: Object, store: Store) -> bool:
    """Whether a deletion has to wait: a claim for the pods that use it, a volume for the claim that is bound to it."""
    metadata = found["metadata"]
    if resource == CLAIM:
        pods = store.of(_POD, metadata["namespace"])
        return any(metadata["name"] in _claims_of(pod) for pod in pods if _is_on_a_node(pod))
    claim = found["spec"].get("claimRef") or {}
    bound = (one["metadata"] for one in store.of(CLAIM))
    return bool(claim.get("uid")) and any(one["uid"] == claim["uid"] for one in bound)


def _is_on_a_node(pod: Object) -> bool:
    """No pod is started whose claim is leaving, so one that waits for a node counts as little as one that is over."""
    phase = (pod.get("status") or {}).get("phase")
    return phase not in _OVER and (phase != "Pending" or bool(pod["spec"].get("nodeName")))


def _claims_of(pod: Object) -> set[str]:
    volumes = pod["spec"].get("volumes") or []
    return {one["persistentVolumeClaim"]["claimName"] for one in volumes if "persistentVolumeClaim" in one}


def bind(store: Store) -> None:
    """Bind each claim to the volume that it names and that is reserved for it, and set the phases of all of them."""
    volumes, claims = store.of(VOLUME), store.of(CLAIM)
    there = {one["metadata"]["name"]: one for one in volumes}
    bound = {one["metadata"]["uid"] for one in claims}
    for claim in claims:
        before = json_copy(claim)
        volume = there.get(claim["spec"].get("volumeName", ""))
        was_bound = (claim.get("status") or {}).get("phase") in ("Bound", "Lost")
        if volume and _reserved(volume, claim) and _fits(volume, claim):
            _name_claim(store, volume, claim)
            claim["status"] = {"phase": "Bound", "accessModes": volume["spec"]["accessModes"]}
        else:
            claim["status"] = {"phase": "Lost" if was_bound and not volume else "Pending"}
        if claim != before:
            store.put(CLAIM, claim)
    for volume in volumes:
        uid = (volume["spec"].get("claimRef") or {}).get("uid")
        status = {"phase": "Available" if not uid else "Bound" if uid in bound else "Released"}
        if volume.get("status") != status:
            volume["status"] = status
            store.put(VOLUME, volume)


def _name_claim(store: Store, volume: Object, claim: Object) -> None:
    """Write into a volume which claim it is bound to, by uid."""
    uid = claim["metadata"]["uid"]
    if (volume["spec"].get("claimRef") or {}).get("uid") != uid:
        volume["spec"].setdefault("claimRef", {})["uid"] = uid
        store.put(VOLUME, volume)


def _reserved(volume: Object, claim: Object) -> bool:
    """Whether a volume is for this claim, and for no other one that had its name before."""
    asked, metadata = volume["spec"].get("claimRef"), claim["metadata"]
    if not asked:
        return True
    same = (asked.get("namespace"), asked.get("name")) == (metadata["namespace"], metadata["name"])
    return same and asked.get("uid") in (None, metadata["uid"])


def _fits(volume: Object, claim: Object) -> bool:
    modes = {*claim["spec"]["accessModes"]} <= {*volume["spec"]["accessModes"]}
    return modes and volume["spec"].get("storageClassName", "") == claim["spec"].get("storageClassName", "")

"""Objects as Tables, whose rows ``kubectl get`` prints: the columns of ``pkg/printers/internalversion`` of Kubernetes.

Kueue's Workloads have those of its definition (``additionalPrinterColumns``). Of what has none here, other custom
resources among them, they are name and age.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from podshare_sandbox import clock
from podshare_sandbox.services.kubernetes.resources import Resource

Object = dict[str, Any]
Column = tuple[str, Callable[[Object], Any]]  # a name, and what stands in it


def table(resource: Resource, body: Object, include_object: str = "Metadata") -> Object:
    """A Table (meta.k8s.io) of an object or a list; its rows carry the objects' metadata, the objects or nothing."""
    columns = (("Name", _name), *_COLUMNS.get(resource.kind, (("Age", _age),)))
    items = body.get("items", [body])
    metadata = body["metadata"]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {
            key: metadata[key] for key in ("resourceVersion", "continue", "remainingItemCount") if key in metadata
        },
        "columnDefinitions": [_definition(name) for name, _ in columns],
        "rows": [{"cells": [cell(each) for _, cell in columns], **_shown(each, include_object)} for each in items],
    }


def _definition(name: str) -> Object:
    return {
        "name": name,
        "type": "string",
        "format": "name" if name == "Name" else "",
        "description": "",
        "priority": 0,
    }


def _shown(each: Object, include_object: str) -> Object:
    if include_object == "None":
        return {}
    if include_object == "Object":
        return {"object": each}
    shown = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": each["metadata"]}
    return {"object": shown}


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "y": 365 * 86400}
_SPANS = (
    (120, "s"), (600, "ms"), (3 * 3600, "m"), (8 * 3600, "hm"), (48 * 3600, "h"), (8 * 86400, "dh"),
    (2 * 365 * 86400, "d"), (8 * 365 * 86400, "yd"), (math.inf, "y"),
)  # fmt: skip


# --- cells --------------------------------------------------------------------------------------------------------


def _name(each: Object) -> str:
    return str(each["metadata"]["name"])


def _age(each: Object) -> str:
    return _since(each["metadata"].get("creationTimestamp"))


def _since(timestamp: str | None) -> str:
    return human(clock.now() - _time(timestamp)) if timestamp else "<unknown>"


def _time(timestamp: str) -> datetime:
    return datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def human(duration: timedelta) -> str:
    """A duration in the largest units, as ``HumanDuration`` of apimachinery has it: ``5m10s``, ``3d4h``."""
    seconds = max(int(duration.total_seconds()), 0)
    units = next(units for below, units in _SPANS if seconds < below)
    written: list[str] = []
    for letter in units:
        count, seconds = divmod(seconds, _SECONDS[letter])
        written.append(f"{count}{letter}" if count or not written else "")
    return "".join(written)


def field(path: str, default: Any = "") -> Callable[[Object], Any]:
    """The value at a path such as ``.status.phase``; a key with dots stands in ``['…']``."""
    keys = [one or two for one, two in re.findall(r"\['([^']+)'\]|\.([^.\[]+)", path)]

    def read(each: Object) -> Any:
        value: Any = each
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return default if value is None else value

    return read


def _count(path: str) -> Callable[[Object], Any]:
    return lambda each: str(len(field(path, ())(each)))


def _statuses(pod: Object) -> list[Object]:
    return list((pod.get("status") or {}).get("containerStatuses") or [])


def _pod_ready(pod: Object) -> str:
    return f"{sum(bool(one.get('ready')) for one in _statuses(pod))}/{len(pod['spec']['containers'])}"


def _pod_status(pod: Object) -> str:
    """The phase, or what a container waits for or ended with (``printPod``)."""
    status = pod.get("status") or {}
    reason = str(status.get("reason") or status.get("phase") or "Unknown")
    for one in reversed(_statuses(pod)):
        state = one.get("state") or {}
        for condition in ("waiting", "terminated"):
            reason = (state.get(condition) or {}).get("reason") or reason
    return "Terminating" if pod["metadata"].get("deletionTimestamp") else reason


def _pod_restarts(pod: Object) -> str:
    return str(sum(one.get("restartCount", 0) for one in _statuses(pod)))


def _condition(each: Object, *types: str) -> str | None:
    conditions = (each.get("status") or {}).get("conditions") or ()
    holding = [one["type"] for one in conditions if one.get("status") == "True"]
    return next((kind for kind in types if kind in holding), None)


def _status_of(name: str) -> Callable[[Object], str]:
    """The status of a condition, as a definition's ``.status.conditions[?(@.type=="…")].status``; empty without it."""

    def read(each: Object) -> str:
        conditions = (each.get("status") or {}).get("conditions") or ()
        return next((str(condition["status"]) for condition in conditions if condition["type"] == name), "")

    return read


def _job_status(job: Object) -> str:
    """``printJob``: the condition that holds, else Running."""
    found = _condition(job, "Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet")
    if found in (None, "FailureTarget", "SuccessCriteriaMet"):
        return "Terminating" if job["metadata"].get("deletionTimestamp") else found or "Running"
    return found


def _job_completions(job: Object) -> str:
    succeeded, spec = (job.get("status") or {}).get("succeeded", 0), job["spec"]
    if spec.get("completions") is not None:
        return f"{succeeded}/{spec['completions']}"
    parallelism = spec.get("parallelism") or 1
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job_duration(job: Object) -> str:
    status = job.get("status") or {}
    if not status.get("startTime"):
        return ""
    end = _time(status["completionTime"]) if status.get("completionTime") else clock.now()
    return human(end - _time(status["startTime"]))


def _last_schedule(job: Object) -> str:
    time = (job.get("status") or {}).get("lastScheduleTime")
    return _since(time) if time else "<none>"


def _node_status(node: Object) -> str:
    ready = "Ready" if _condition(node, "Ready") else "NotReady"
    return f"{ready},SchedulingDisabled" if (node.get("spec") or {}).get("unschedulable") else ready


def _node_roles(node: Object) -> str:
    prefix = "node-role.kubernetes.io/"
    labels: Mapping[str, str] = node["metadata"].get("labels") or {}
    roles = sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))
    return ",".join(roles) or "<none>"


def _modes(each: Object) -> str:
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    return ",".join(short.get(mode, mode) for mode in each["spec"].get("accessModes") or ())


def _claim(volume: Object) -> str:
    claim = volume["spec"].get("claimRef")
    return f"{claim['namespace']}/{claim['name']}" if claim else ""


def _role_ref(binding: Object) -> str:
    return f"{binding['roleRef']['kind']}/{binding['roleRef']['name']}"


def _quota(part: str) -> Callable[[Object], str]:
    """Used and hard figures of requests or of limits (``printResourceQuota``)."""

    def cell(quota: Object) -> str:
        hard = (quota.get("status") or {}).get("hard") or quota.get("spec", {}).get("hard") or {}
        used = (quota.get("status") or {}).get("used") or {}
        return ", ".join(
            f"{name}: {used.get(name, 0)}/{value}"
            for name, value in sorted(hard.items())
            if name.startswith("limits.") == (part == "limits")
        )

    return cell


def _selector(path: str) -> Callable[[Object], str]:
    def cell(each: Object) -> str:
        labels = field(path, {})(each)
        return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "<none>"

    return cell


_AGE: Column = ("Age", _age)
_COLUMNS: dict[str, tuple[Column, ...]] = {
    "Namespace": (("Status", field(".status.phase")), _AGE),
    "Node": (
        ("Status", _node_status),
        ("Roles", _node_roles),
        _AGE,
        ("Version", field(".status.nodeInfo.kubeletVersion")),
    ),
    "ServiceAccount": (("Secrets", _count(".secrets")), _AGE),
    "Pod": (("Ready", _pod_ready), ("Status", _pod_status), ("Restarts", _pod_restarts), _AGE),
    "ConfigMap": (("Data", _count(".data")), _AGE),
    "Secret": (("Type", field(".type")), ("Data", _count(".data")), _AGE),
    "ResourceQuota": (("Request", _quota("requests")), ("Limit", _quota("limits")), _AGE),
    "PersistentVolume": (
        ("Capacity", field(".spec.capacity.storage")),
        ("Access Modes", _modes),
        ("Reclaim Policy", field(".spec.persistentVolumeReclaimPolicy")),
        ("Status", field(".status.phase")),
        ("Claim", _claim),
        ("StorageClass", field(".spec.storageClassName")),
        ("VolumeAttributesClass", field(".spec.volumeAttributesClassName", "<unset>")),
        ("Reason", field(".status.reason")),
        _AGE,
    ),
    "PersistentVolumeClaim": (
        ("Status", field(".status.phase")),
        ("Volume", field(".spec.volumeName")),
        ("Capacity", field(".status.capacity.storage")),
        ("Access Modes", _modes),
        ("StorageClass", field(".spec.storageClassName")),
        ("VolumeAttributesClass", field(".spec.volumeAttributesClassName", "<unset>")),
        _AGE,
    ),
    "Job": (
        ("Status", _job_status),
        ("Completions", _job_completions),
        ("Duration", _job_duration),
        _AGE,
    ),
    "Workload": (
        ("Queue", field(".spec.queueName")),
        ("Reserved in", field(".status.admission.clusterQueue")),
        ("Admitted", _status_of("Admitted")),
        ("Finished", _status_of("Finished")),
        _AGE,
    ),
    "CronJob": (
        ("Schedule", field(".spec.schedule")),
        ("Timezone", field(".spec.timeZone", "<none>")),
        ("Suspend", lambda each: str(bool(each["spec"].get("suspend")))),
        ("Active", _count(".status.active")),
        ("Last Schedule", _last_schedule),
        _AGE,
    ),
    "NetworkPolicy": (("Pod-Selector", _selector(".spec.podSelector.matchLabels")), _AGE),
    "Role": (("Created At", field(".metadata.creationTimestamp")),),
    "ClusterRole": (("Created At", field(".metadata.creationTimestamp")),),
    "RoleBinding": (("Role", _role_ref), _AGE),
    "ClusterRoleBinding": (("Role", _role_ref), _AGE),
}  # fmt: skip

"""How changes are called when a person reads them: the same words in a plan, in progress and in a status."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.markup import escape

from podshare.kinds.hardening import isolation_of
from podshare.reconcile.outcome import ACTIONS
from podshare.registry.items import part

BY_NOBODY_KNOWN = "an unknown author, outside of podshare"  # of a record that declares nobody for what it says
STAGES = {
    "cluster_access": "cluster access",
    "data_access": "data access",
    "trust": "who may assume the roles",
    "pod_identity": "pods' identities",
    "cached_data": "contents of file systems",
    "remains": "roles and access points",
    "running_work": "running work",
    "compute": "compute quota",
    "namespace": "the namespace, once it is empty",
}
_ACTION_STYLES = {
    "cut": "red",
    "narrow": "red",
    "delete": "red",
    "drain": "yellow",
    "create": "green",
    "update": "green",
}


def resource(change: Mapping[str, Any]) -> str:
    """What a change is about: kind, name and place. It needs ``kind``, ``name``, ``account`` and ``key``.

    Objects of the history that are older than their ``key`` do not say what the resource is in.
    """
    kind, name = str(change["kind"]), str(change["name"])
    inside = str(change.get("key") or "||||").split("|")[3] or "(not recorded)"
    called = kind.replace("_", " ").replace("ssm ", "SSM ")
    match kind:
        case "access_entry":  # its name is the ARN of the role that it admits
            described = f"{called} of {name.rpartition('/')[2]}"
        case "compute_quota" | "cluster_scheduler_config":  # its name begins with the HyperPod cluster's id
            described = f"{called} {name.rpartition('/')[2]}"
        case "bucket_delegation":
            described = f"delegation in bucket {inside} to {name}"
        case "file_system_delegation":  # its name ends with the file system
            described = f"delegation in bucket {inside} to {name.rpartition('/')[2]} for {name.rpartition('/')[0]}"
        case "data_repository_association":
            described = f"{called} of {name} in {inside}"
        case "kms_grant":  # its name begins with the installation and the team
            described = f"grant of key {inside} for {' '.join(name.split('/')[-2:])}"
        case "role_attachment":
            described = f"attachment of policy {name} to role {inside}"
        case _:
            described = f"{called} {name}"
    return f"{described} in {change['account']}"


def resource_of_key(key: str) -> str:
    """The same for the key of a resource: ``kind|account|region|container|name``."""
    kind, account, _, _, name = key.split("|", 4)
    return resource({"kind": kind, "account": account, "name": name, "key": key})


def action(name: str) -> str:
    """An action, in markup: red revokes, green gives."""
    return f"[{_ACTION_STYLES.get(name, 'bold')}]{escape(ACTIONS.get(name, name))}[/]"


def access_points(points: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """By which names pods reach each dataset: the alias is what every tool takes in the place of a bucket."""
    for point in points:
        alias = f"s3://{point['alias']}/" if point["alias"] else "its alias is known once it is created"
        yield f"{point['dataset']} on {point['cluster']}: {alias} {point['arn']}"


_UNITS = {"accelerators": "accelerators", "vcpu": "vCPU", "memory_gib": "GiB"}


def quota_line(line: Mapping[str, Any]) -> str:
    """A line of a quota, as a record has it."""
    instance_type = str(line.get("instance_type"))
    if "count" in line:
        return f"{line['count']} x {instance_type}"
    parts = [f"{line[name]} {unit}" for name, unit in _UNITS.items() if name in line]
    if partition := part(line, "accelerator_partition"):
        parts.append(f"{partition.get('count')} x {partition.get('type')}")
    return f"{', '.join(parts)} of {instance_type}"


def isolation(notes: Iterable[str]) -> tuple[str, list[str]]:
    """How far isolation goes where it does not go all the way, in words, and the other notes: they may be news."""
    clusters, others = defaultdict[str, list[str]](list), []
    for note in dict.fromkeys(notes):
        if known := isolation_of(note):
            cluster, hardening = known
            clusters[hardening].append(cluster)
        else:
            others.append(note)
    parts = [
        f"{hardening} on cluster{'s' if len(names) > 1 else ''} {', '.join(sorted(names))}"
        for hardening, names in sorted(clusters.items())
    ]
    return "; ".join(parts), others

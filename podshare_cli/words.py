"""How changes are called when a person reads them: the same words in a plan, in progress and in a status."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.markup import escape

from podshare.registry.sentences import sentence

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
    """What a change is about: kind, name and place. It needs ``kind``, ``name``, ``account`` and ``key``."""
    kind, name = str(change["kind"]), str(change["name"])
    container = str(change.get("key", "")).split("|")[3:4]
    inside = container[0] if container else ""
    called = kind.replace("_", " ")
    match kind:
        case "access_entry":  # its name is the ARN of the role that it admits
            told = f"{called} of {name.rpartition('/')[2]}"
        case "compute_quota" | "cluster_scheduler_config":  # its name begins with the HyperPod cluster's id
            told = f"{called} {name.rpartition('/')[2]}"
        case "bucket_delegation":
            told = f"delegation in bucket {inside} to {name}"
        case "file_system_delegation":  # its name ends with the file system
            told = f"delegation in bucket {inside} to {name.rpartition('/')[2]} for {name.rpartition('/')[0]}"
        case "data_repository_association":
            told = f"{called} of {name} in {inside}"
        case "kms_grant":  # its name begins with the installation and the team
            told = f"grant of key {inside} for {' '.join(name.split('/')[-2:])}"
        case "role_attachment":
            told = f"attachment of policy {name} to role {inside}"
        case _:
            told = f"{called} {name}"
    return f"{told} in {change['account']}"


def resource_of_key(key: str) -> str:
    """The same for the key of a resource: ``kind|account|region|container|name``."""
    kind, account, _, _, name = key.split("|", 4)
    return resource({"kind": kind, "account": account, "name": name, "key": key})


def action(name: str) -> str:
    """An action, in markup: red revokes, green gives."""
    return f"[{_ACTION_STYLES.get(name, 'bold')}]{escape(name):<6}[/]"


def plan(found: Mapping[str, Any]) -> Iterator[str]:
    """A plan in words, in the order in which it would be carried out; lines of markup."""
    yield _heading(found)
    stages = [stage for stage in found["revoke"] if stage["changes"]]
    if stages:
        yield "  Revoke, in stages:"
    for number, stage in enumerate(stages, 1):
        yield f"    {number}. {STAGES.get(stage['stage'], stage['stage'].replace('_', ' '))}"
        for change in stage["changes"]:
            yield from _change(change)
    provisions = _by_reason([*found["allocate"], *found["grant"]])
    if provisions:
        yield f"  {'Then provision' if stages else 'Provision'} (independent changes in parallel):"
    for reason, changes in provisions.items():
        yield f"    • {escape(reason)}"
        for change in changes:
            yield from _change(change)
    for line in access_points(found.get("access_points", [])):
        yield f"  [dim]{escape(line)}[/]"
    if found.get("left"):
        yield f"  [yellow]{found['left']} more changes follow in the next run.[/]"
    yield from _hindrances(found)


def _by_reason(chains: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The changes of dependency chains, in their order, by what asks for the first change of each chain."""
    reasons, changes = dict[int, str](), dict[str, list[Mapping[str, Any]]]()
    for chain in chains:
        for change in (change for batch in chain["waves"] for change in batch["changes"]):
            reason = reasons.setdefault(change["lane"], change["why"])
            changes.setdefault(reason, []).append(change)
    return changes


def access_points(points: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """By which names pods reach each dataset: the alias is what every tool takes in the place of a bucket."""
    for point in points:
        alias = f"s3://{point['alias']}/" if point["alias"] else "its alias is known once it is created"
        yield f"{point['dataset']} on {point['cluster']}: {alias} {point['arn']}"


def _heading(found: Mapping[str, Any]) -> str:
    count = int(found["count"]) + int(found.get("left", 0))
    changes = "nothing would change" if not count else f"{count} change{'s' if count > 1 else ''}"
    deleted = " [red](deleted)[/]" if found.get("deleted") else " [red](ended)[/]" if found.get("ended") else ""
    return f"[bold]{escape(str(found['team']))}[/]{deleted}: {changes} [dim]({found['hash']})[/]"


def _change(change: Mapping[str, Any]) -> Iterator[str]:
    why = f" [dim]— {escape(change['why'])}[/]" if change.get("why") else ""
    yield f"       {action(change['action'])} {escape(resource(change))}{why}"
    # a revocation or a deletion removes all of it
    for one in change.get("differs", []) if change["action"] in ("narrow", "update") else ():
        yield f"              [dim]{escape(one['field'])}:[/] {escape(one['from'])} [dim]→[/] {escape(one['to'])}"


def _hindrances(found: Mapping[str, Any]) -> Iterator[str]:
    for problem in found.get("problems", []):
        told = f"{problem['record']}: {sentence(problem)}"
        yield f"  [bold red]✗ invalid record[/] {escape(told)}"
        yield f"      {escape(problem['remedy'])}"
    for blocker in found.get("obstacles", []):
        called = "… waits" if blocker.get("waits") else "! blocked by"
        yield f"  [bold yellow]{called}[/] {escape(blocker['what'])}"
        yield f"      {escape(blocker['remedy'])}"
    for resource in found.get("left_behind", []):
        yield f"  [yellow]-[/] {escape(resource['what'])}"
        yield f"      {escape(resource['remedy'])}"
    for note in found.get("notes", []):
        yield f"  [dim]note[/] {escape(note)}"

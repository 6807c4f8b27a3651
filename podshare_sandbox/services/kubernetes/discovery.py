"""What the API serves, as clients ask for it before they do anything else."""

from typing import Any

from podshare_sandbox.services.kubernetes.resources import RESOURCES, Resource
from podshare_sandbox.services.kubernetes.reviews import REVIEWS

Object = dict[str, Any]


def document(path: str, version: str) -> Object | None:
    """The discovery document at ``path`` on a cluster of Kubernetes ``version``, None if there is none."""
    groups = _groups()
    documents: dict[str, Object] = {
        "/version": _version(version),
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/api/v1": _resources("", "v1"),
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*each) for each in groups]},
        **{
            f"/apis/{name}": {"kind": "APIGroup", "apiVersion": "v1", **_group(name, served)} for name, served in groups
        },
        **{f"/apis/{name}/{served}": _resources(name, served) for name, served in groups},
    }
    return documents.get(path)


def _version(version: str) -> Object:
    major, _, minor = version.partition(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"v{version}.0-eks-sandbox",
        "platform": "linux/amd64",
    }


def _groups() -> list[tuple[str, str]]:
    """The named groups with their one version, each once."""
    served = [(resource.group, resource.version) for resource in RESOURCES if resource.group]
    return list(dict.fromkeys([*served, *((group, "v1") for group, _ in REVIEWS)]))


def _group(name: str, version: str) -> Object:
    served = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [served], "preferredVersion": served}


def _resources(group: str, version: str) -> Object:
    listed = [_entry(resource) for resource in RESOURCES if (resource.group, resource.version) == (group, version)]
    reviews = [
        {
            "name": plural,
            "singularName": kind.lower(),
            "namespaced": kind.startswith("Local"),
            "kind": kind,
            "verbs": ["create"],
        }
        for (review_group, plural), kind in REVIEWS.items()
        if review_group == group
    ]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed + reviews}


def _entry(resource: Resource) -> Object:
    return {
        "name": resource.plural,
        "singularName": resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
        **({"shortNames": list(resource.short_names)} if resource.short_names else {}),
    }

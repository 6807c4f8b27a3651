"""What the API serves, as clients ask for it before they do anything else.

Kubernetes documentation, "The Kubernetes API" (Discovery API): each group by itself, and all of them in one document
for clients that ask for it ("Aggregated discovery").
"""

import json
from typing import Any

from podshare_sandbox.front_door import Response
from podshare_sandbox.services.kubernetes.representations import negotiate
from podshare_sandbox.services.kubernetes.resources import RESOURCES, Resource
from podshare_sandbox.services.kubernetes.reviews import REVIEWS

Object = dict[str, Any]

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def response(path: str, version: str, accept: str) -> Response | None:
    """The discovery document at ``path`` on a cluster of Kubernetes ``version``, None if there is none."""
    if path in ("/api", "/apis") and _AGGREGATED in accept.replace(" ", ""):
        groups = [each for each in _groups() if bool(each) == (path == "/apis")]
        aggregated = {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": [_discovered(group) for group in groups],
        }
        return Response(200, {"Content-Type": _AGGREGATED, "Vary": "Accept"}, json.dumps(aggregated).encode())
    document = _documents(version).get(path)
    if document is None:
        return None
    answer = negotiate(accept).response(200, document)
    answer.headers["Vary"] = "Accept"
    return answer


def _documents(version: str) -> dict[str, Object]:
    named = [group for group in _groups() if group]
    return {
        "/version": _version(version),
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/api/v1": _resources("", "v1"),
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(group) for group in named]},
        **{f"/apis/{group}": {"kind": "APIGroup", "apiVersion": "v1", **_group(group)} for group in named},
        **{f"/apis/{group}/{served}": _resources(group, served) for group in named for served in _versions(group)},
    }


def _version(version: str) -> Object:
    """What ``version.Info`` of apimachinery has, as EKS fills it in."""
    major, _, minor = version.partition(".")
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": f"v{version}.0-eks-sandbox",
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "go1.24.0",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def _groups() -> list[str]:
    """The groups, each once; that of the core has no name."""
    return list(dict.fromkeys([*(resource.group for resource in RESOURCES), *(group for group, _ in REVIEWS)]))


def _versions(group: str) -> list[str]:
    return list(dict.fromkeys(resource.version for resource in RESOURCES if resource.group == group)) or ["v1"]


def _group(name: str) -> Object:
    served = [{"groupVersion": f"{name}/{version}", "version": version} for version in _versions(name)]
    return {"name": name, "versions": served, "preferredVersion": served[0]}


def _resources(group: str, version: str) -> Object:
    listed = [
        entry
        for resource in RESOURCES
        if (resource.group, resource.version) == (group, version)
        for entry in (_entry(resource), *_subresources(resource))
    ]
    reviews = [_review_entry(kind, plural) for (review_group, plural), kind in REVIEWS.items() if review_group == group]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed + reviews}


def _review_entry(kind: str, plural: str) -> Object:
    is_local = kind.startswith("Local")
    return {"name": plural, "singularName": kind.lower(), "namespaced": is_local, "kind": kind, "verbs": ["create"]}


def _entry(resource: Resource) -> Object:
    return {
        "name": resource.plural,
        "singularName": resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
        **({"shortNames": list(resource.short_names)} if resource.short_names else {}),
        **({"categories": list(resource.categories)} if resource.categories else {}),
    }


def _subresources(resource: Resource) -> list[Object]:
    return [
        {
            "name": f"{resource.plural}/{name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": kind,
            "verbs": list(verbs),
        }
        for name, (kind, verbs) in resource.subresources.items()
    ]


# --- aggregated ---------------------------------------------------------------------------------------------------


def _discovered(group: str) -> Object:
    versions = [
        {"version": version, "resources": _discovered_resources(group, version), "freshness": "Current"}
        for version in _versions(group)
    ]
    return {"metadata": {"name": group} if group else {}, "versions": versions}


def _discovered_resources(group: str, version: str) -> list[Object]:
    found: dict[str, Object] = {}
    for entry in _resources(group, version)["resources"]:
        plural, _, subresource = entry["name"].partition("/")
        kind = {"group": group, "version": version, "kind": entry["kind"]}
        if subresource:
            shown = {"subresource": subresource, "responseKind": kind, "verbs": entry["verbs"]}
            found[plural].setdefault("subresources", []).append(shown)
        else:
            found[plural] = {
                "resource": plural,
                "responseKind": kind,
                "scope": "Namespaced" if entry["namespaced"] else "Cluster",
                "singularResource": entry["singularName"],
                **{name: entry[name] for name in ("verbs", "shortNames", "categories") if name in entry},
            }
    return list(found.values())

"""What a deleted team leaves in its namespace: which kinds count, and what is told of them."""

from typing import Any

from podshare.aws.served_kinds import ServedKind, served_kinds
from podshare.kinds import cleanup

VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def served(*groups: tuple[str, dict[str, list[str]]], scope: str = "Namespaced") -> list[ServedKind]:
    """The kinds of an APIGroupDiscoveryList with these groups, each with resources and their verbs."""

    def resource(plural: str, verbs: list[str]) -> dict[str, Any]:
        return {"resource": plural, "scope": scope, "verbs": verbs, "responseKind": {"kind": plural.title()}}

    items = [
        {
            "metadata": {"name": group} if group else {},
            "versions": [
                {"version": version, "resources": [resource(*one) for one in resources.items()]}
                for version in ("v1", "v1beta1")
            ],
        }
        for group, resources in groups
    ]
    return list(served_kinds({"items": items}))


def test_a_kind_that_is_installed_tomorrow_counts() -> None:
    """Each kind that is discovered counts once, in the version that its group prefers (apidiscovery.k8s.io/v2)."""
    kinds = served(("", {"secrets": VERBS}), ("example.com", {"widgets": VERBS}))
    assert [(kind.version, kind.counted_as) for kind in kinds] == [
        ("v1", "count/secrets"),
        ("v1", "count/widgets.example.com"),
    ]
    assert cleanup.limits(kinds) == {"count/secrets": "0", "count/widgets.example.com": "0"}
    assert served(("example.com", {"widgets": VERBS}), scope="Cluster") == []


def test_what_kubernetes_makes_and_what_cannot_be_kept_is_not_counted() -> None:
    """Events, leases and endpoints tell of what was; reviews and metrics are no objects that stay."""
    kinds = served(
        ("", {"events": VERBS, "endpoints": VERBS, "bindings": ["create"]}),
        ("discovery.k8s.io", {"endpointslices": VERBS}),
        ("coordination.k8s.io", {"leases": VERBS}),
        ("events.k8s.io", {"events": VERBS}),
        ("metrics.k8s.io", {"pods": ["get", "list"]}),
    )
    assert cleanup.limits(kinds) == {}
    assert not any(kind.is_out_of_count for kind in kinds)


def test_a_name_that_is_too_long_for_a_quota_is_known_as_such() -> None:
    """Behind the slash a qualified name has 63 characters at most (Kubernetes documentation, "Object Names and IDs")."""
    fits, long = served(("x.example.com", {"a" * 49: VERBS, "b" * 50: VERBS}))
    assert (len(fits.counted_as), fits.is_out_of_count) == (len("count/") + 63, False)
    assert (long.counted_as, long.is_out_of_count) == ("", True)


def test_makers_are_deleted_before_what_they_make() -> None:
    """Of what is served only what makes pods is deleted, pods last."""
    kinds = served(
        ("", {"pods": VERBS, "secrets": VERBS, "persistentvolumeclaims": VERBS}),
        ("batch", {"jobs": VERBS, "cronjobs": VERBS}),
        ("example.com", {"widgets": VERBS}),
    )
    assert [kind.plural for kind in cleanup.what_runs(kinds)] == ["cronjobs", "jobs", "pods"]


def test_what_is_left_is_told_by_number() -> None:
    """What is expected is no work, what has not been counted is known, and a long list is cut."""
    used = {"count/secrets": "2", "count/configmaps": "1", "count/widgets.example.com": "0"}
    assert cleanup.left(used, {"count/configmaps": 1}) == "2 secrets"
    assert cleanup.left(used, {}) == "1 configmaps, 2 secrets"
    assert cleanup.left({}, {}) == ""
    many = {f"count/{letter}s": "1" for letter in "abcdefg"}
    assert cleanup.left(many, {}) == "1 as, 1 bs, 1 cs, 1 ds, 1 es, and objects of 2 other kinds"
    assert cleanup.uncounted(["count/pods", "count/secrets"], used) == ["pods"]

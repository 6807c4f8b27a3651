"""Objects of the sandbox's clusters go as Kubernetes' do: finalizers hold them, owners take their dependents along."""

from typing import Any

import pytest

from podshare_sandbox.services.kubernetes.api import KubernetesApi
from podshare_sandbox.services.kubernetes.errors import KubernetesError
from podshare_sandbox.services.kubernetes.resources import BY_KIND

Object = dict[str, Any]
TEAM = "team"
CONFIG, JOB, SPACE = BY_KIND["ConfigMap"], BY_KIND["Job"], BY_KIND["Namespace"]
HOLD = "example.com/hold"
ABSENT = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "8f1c2f0e-0000-4000-8000-000000000000"}


@pytest.fixture
def api() -> KubernetesApi:
    """A cluster with a namespace."""
    made = KubernetesApi()
    made.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}})
    return made


def config(api: KubernetesApi, name: str, **metadata: Any) -> Object:
    return api.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": TEAM, **metadata}}
    )


def owner(made: Object, **more: Any) -> Object:
    """A reference to an object."""
    metadata = made["metadata"]
    return {
        "apiVersion": made["apiVersion"],
        "kind": made["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        **more,
    }


def names(api: KubernetesApi) -> list[str]:
    return [each["metadata"]["name"] for each in api.objects("ConfigMap", TEAM)]


def patch(api: KubernetesApi, name: str, metadata: Object) -> Object:
    return api.merge_patch(CONFIG, TEAM, name, {"metadata": metadata}, "test")


# --- finalizers ---------------------------------------------------------------------------------------------------


def test_a_finalizer_holds_what_was_deleted(api: KubernetesApi) -> None:
    """It is marked, can still be read and changed, and goes with its last finalizer (Kubernetes, "Finalizers")."""
    config(api, "held", finalizers=[HOLD])
    deleted = api.remove(CONFIG, TEAM, "held")
    assert deleted["metadata"]["deletionGracePeriodSeconds"] == 0
    assert patch(api, "held", {"labels": {"x": "y"}})["metadata"]["deletionTimestamp"]
    again = api.remove(CONFIG, TEAM, "held")
    assert again["metadata"]["deletionTimestamp"] == deleted["metadata"]["deletionTimestamp"]
    assert names(api) == ["held"]
    patch(api, "held", {"finalizers": None})
    assert names(api) == []


def test_nothing_new_holds_what_was_deleted(api: KubernetesApi) -> None:
    """A finalizer cannot be added after the deletion, and nobody undoes it (``ValidateObjectMetaAccessorUpdate``)."""
    config(api, "held", finalizers=[HOLD])
    api.remove(CONFIG, TEAM, "held")
    with pytest.raises(
        KubernetesError, match="no new finalizers can be added if the object is being deleted"
    ) as refused:
        patch(api, "held", {"finalizers": [HOLD, "example.com/more"]})
    assert (refused.value.code, refused.value.reason) == (422, "Invalid")
    assert "deletionTimestamp" in patch(api, "held", {"deletionTimestamp": None})["metadata"]


def test_nobody_marks_an_object_as_deleted_by_writing_so(api: KubernetesApi) -> None:
    """``metadata.deletionTimestamp`` is the server's (Kubernetes API reference, ObjectMeta)."""
    body = {"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [HOLD]}}
    assert "deletionTimestamp" not in api.create(CONFIG, TEAM, body, "test")["metadata"]
    assert "deletionTimestamp" not in patch(api, "a", {"deletionTimestamp": "2026-01-01T00:00:00Z"})["metadata"]


@pytest.mark.parametrize("finalizer", ["hold", "example.com/", "/hold", "Example.com/hold", "example.com/a b"])
def test_a_finalizer_has_a_qualified_name(api: KubernetesApi, finalizer: str) -> None:
    """A name without a domain is one of Kubernetes' own (``ValidateFinalizerName``)."""
    with pytest.raises(KubernetesError) as refused:
        config(api, "a", finalizers=[finalizer])
    assert refused.value.code == 422
    assert refused.value.status["details"]["causes"][0]["field"].startswith("metadata.finalizers")


# --- namespaces ---------------------------------------------------------------------------------------------------


def test_a_namespace_ends_once_nothing_in_it_is_held(api: KubernetesApi) -> None:
    """Terminating, it says what is left, takes changes and no new objects, and then it is gone ("Namespaces")."""
    config(api, "held", finalizers=[HOLD])
    config(api, "free")
    api.delete("Namespace", None, TEAM)
    ending = api.get("Namespace", None, TEAM)
    assert ending
    assert ending["status"]["phase"] == "Terminating"
    conditions = {each["type"]: each for each in ending["status"]["conditions"]}
    message = "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    assert conditions["NamespaceFinalizersRemaining"]["message"] == message
    assert conditions["NamespaceContentRemaining"]["status"] == "True"
    assert names(api) == ["held"]
    api.merge_patch(SPACE, "", TEAM, {"metadata": {"labels": {"a": "b"}}}, "test")
    patch(api, "held", {"finalizers": None})
    assert api.get("Namespace", None, TEAM) is None
    assert api.objects("ServiceAccount", TEAM) == []


def test_nothing_is_created_in_a_namespace_that_ends(api: KubernetesApi) -> None:
    """403 with the cause NamespaceTerminating, also for an apply (admission plugin NamespaceLifecycle)."""
    config(api, "held", finalizers=[HOLD])
    api.delete("Namespace", None, TEAM)
    with pytest.raises(KubernetesError) as refused:
        config(api, "new")
    assert (refused.value.code, refused.value.reason) == (403, "Forbidden")
    message = (
        'configmaps "new" is forbidden: unable to create new content in namespace team because it is being terminated'
    )
    assert str(refused.value) == message
    cause = {"reason": "NamespaceTerminating", "message": "namespace team is being terminated"}
    assert refused.value.status["details"]["causes"] == [{**cause, "field": "metadata.namespace"}]
    with pytest.raises(KubernetesError) as exists:
        api.create(SPACE, "", {"metadata": {"name": TEAM}}, "test")
    assert exists.value.reason == "AlreadyExists"


def test_a_finalizer_of_the_namespace_itself_holds_it(api: KubernetesApi) -> None:
    """Its content goes, and it stays, Terminating and empty."""
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM, "finalizers": [HOLD]}})
    config(api, "free")
    api.delete("Namespace", None, TEAM)
    ending = api.get("Namespace", None, TEAM)
    assert ending
    assert (ending["spec"], ending["status"]["phase"], names(api)) == ({}, "Terminating", [])
    api.merge_patch(SPACE, "", TEAM, {"metadata": {"finalizers": None}}, "test")
    assert api.get("Namespace", None, TEAM) is None


# --- owners -------------------------------------------------------------------------------------------------------


def test_an_owner_that_does_not_exist_takes_the_object_with_it(api: KubernetesApi) -> None:
    """Also by the uid alone, and on creation as well as on a change (Kubernetes, "Garbage Collection")."""
    config(api, "born-an-orphan", ownerReferences=[ABSENT])
    config(api, "a")
    first = config(api, "b")
    patch(api, "a", {"ownerReferences": [owner(first, uid=ABSENT["uid"])]})
    assert names(api) == ["b"]


def test_a_namespace_goes_with_an_owner_that_does_not_exist(api: KubernetesApi) -> None:
    """With all that is in it: seen on a kube-apiserver 1.36 with its controllers."""
    config(api, "work", finalizers=[HOLD])
    gone = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": "gone", "uid": ABSENT["uid"]}
    api.merge_patch(SPACE, "", TEAM, {"metadata": {"ownerReferences": [gone]}}, "test")
    ending = api.get("Namespace", None, TEAM)
    assert ending
    assert ending["status"]["phase"] == "Terminating"


@pytest.mark.parametrize("kind", [{"kind": "Widget"}, {"apiVersion": "example.com/v1"}])
def test_an_owner_of_an_unknown_kind_takes_nothing_with_it(api: KubernetesApi, kind: Object) -> None:
    """Whether it exists cannot be found out, so the object stays ("Owners and Dependents")."""
    config(api, "a", ownerReferences=[{**ABSENT, **kind}])
    assert names(api) == ["a"]


def test_a_cluster_scoped_object_has_no_namespaced_owner(api: KubernetesApi) -> None:
    """Such a reference cannot be followed: the namespace stays."""
    api.merge_patch(SPACE, "", TEAM, {"metadata": {"ownerReferences": [owner(config(api, "a"))]}}, "test")
    api.delete("ConfigMap", TEAM, "a")
    assert api.get("Namespace", None, TEAM)


def test_owners_are_looked_for_in_the_namespace_of_the_dependent(api: KubernetesApi) -> None:
    """Owners in other namespaces are absent ("Owners and Dependents": cross-namespace references are disallowed)."""
    elsewhere = api.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "o", "namespace": "default"}})
    config(api, "a", ownerReferences=[owner(elsewhere)])
    assert names(api) == []


def test_of_several_owners_one_is_enough(api: KubernetesApi) -> None:
    """References to those that are gone are taken away."""
    first, second = config(api, "first"), config(api, "second")
    config(api, "a", ownerReferences=[owner(first), owner(second)])
    api.delete("ConfigMap", TEAM, "first")
    (left,) = [each for each in api.objects("ConfigMap", TEAM) if each["metadata"]["name"] == "a"]
    assert left["metadata"]["ownerReferences"] == [owner(second)]
    api.delete("ConfigMap", TEAM, "second")
    assert names(api) == []


def chain(api: KubernetesApi) -> None:
    """An owner, two dependents, of which one blocks and is held, and a dependent of the other."""
    top = config(api, "top")
    config(api, "blocking", ownerReferences=[owner(top, blockOwnerDeletion=True)], finalizers=[HOLD])
    below = config(api, "below", ownerReferences=[owner(top)])
    config(api, "lowest", ownerReferences=[owner(below)])


def test_background_deletion_takes_the_owner_first(api: KubernetesApi) -> None:
    """The owner is gone at once, its dependents follow, whatever holds them."""
    chain(api)
    api.remove(CONFIG, TEAM, "top", propagation="Background")
    assert names(api) == ["blocking"]


def test_foreground_deletion_takes_the_owner_last(api: KubernetesApi) -> None:
    """It waits for the dependents that block it."""
    chain(api)
    deleted = api.remove(CONFIG, TEAM, "top", propagation="Foreground")
    assert deleted["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert names(api) == ["blocking", "top"]
    patch(api, "blocking", {"finalizers": None})
    assert names(api) == []


def test_orphans_lose_their_owner(api: KubernetesApi) -> None:
    """The dependents stay, without the reference."""
    chain(api)
    api.remove(CONFIG, TEAM, "top", propagation="Orphan")
    assert names(api) == ["below", "blocking", "lowest"]
    assert all("ownerReferences" not in each["metadata"] for each in api.objects("ConfigMap", TEAM)[:2])


def test_a_job_leaves_its_pods_unless_told_otherwise(api: KubernetesApi) -> None:
    """batch/v1 orphans by default, for the sake of old clients; kubectl asks for Background (``jobStrategy``)."""
    spec = {"template": {"spec": {"containers": [{"name": "main", "image": "busybox"}], "restartPolicy": "Never"}}}
    for name in ("first", "second"):
        body = {"metadata": {"name": name}, "spec": spec}
        job = api.create(JOB, TEAM, body, "test")
        config(api, f"of-{name}", ownerReferences=[owner(job)])
    api.remove(JOB, TEAM, "first")
    api.remove(JOB, TEAM, "second", propagation="Background")
    assert names(api) == ["of-first"]


@pytest.mark.parametrize(
    ("references", "field"),
    [
        ([{**ABSENT, "uid": ""}], "metadata.ownerReferences[0].uid"),
        ([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a"}], "metadata.ownerReferences[0].uid"),
        ([{**ABSENT, "kind": ""}], "metadata.ownerReferences[0].kind"),
        ([{**ABSENT, "kind": "Event"}], "metadata.ownerReferences"),
        ([{**ABSENT, "controller": True}, {**ABSENT, "uid": "x", "controller": True}], "metadata.ownerReferences"),
    ],
)
def test_a_reference_to_an_owner_is_complete(api: KubernetesApi, references: list[Object], field: str) -> None:
    """``ValidateOwnerReferences`` of Kubernetes' apimachinery."""
    with pytest.raises(KubernetesError) as refused:
        config(api, "a", ownerReferences=references)
    assert refused.value.code == 422
    assert [cause["field"] for cause in refused.value.status["details"]["causes"]] == [field]

"""ResourceQuotas of object counts (Kubernetes documentation, "Resource Quotas", Quota on object count)."""

import pytest

from podshare_sandbox.services.kubernetes.api import KubernetesApi
from podshare_sandbox.services.kubernetes.controllers.client import ControllerClient
from podshare_sandbox.services.kubernetes.errors import KubernetesError


@pytest.fixture
def api() -> KubernetesApi:
    """A cluster with a secret in a namespace whose quota counts three kinds and has no room."""
    found = KubernetesApi()
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})
    found.apply(secret("one"))
    hard = {"count/secrets": "0", "count/pytorchjobs.kubeflow.org": 1, "count/events": "0", "requests.cpu": "4"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "counts", "namespace": "a"}}
    found.apply({**quota, "spec": {"hard": hard}})
    return found


def secret(name: str, namespace: str = "a") -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}}


def used(api: KubernetesApi) -> dict[str, str]:
    quota = api.get("ResourceQuota", "a", "counts")
    assert quota
    return dict(quota["status"]["used"])


def test_objects_are_counted_by_kind(api: KubernetesApi) -> None:
    """The core group's and custom resources, in the quota's namespace, as they come and go; no others."""
    assert used(api) == {"count/secrets": "1", "count/pytorchjobs.kubeflow.org": "0"}
    api.apply(secret("two"))
    api.apply(secret("three", "default"))
    assert used(api)["count/secrets"] == "2"
    api.delete("Secret", "a", "one")
    api.delete("Secret", "a", "two")
    assert used(api)["count/secrets"] == "0"


def test_what_a_quota_has_no_room_for_is_refused(api: KubernetesApi) -> None:
    """Admission plugin ResourceQuota: what is there stays, nothing is added, and a namespace beside it is not meant."""
    controller = ControllerClient(api, "kube-system", "some-controller")
    with pytest.raises(KubernetesError) as refused:
        controller.create(secret("two"))
    assert refused.value.code == 403
    assert "exceeded quota: counts, requested: count/secrets=1, used: count/secrets=1, limited: count/secrets=0" in str(
        refused.value
    )
    controller.create(secret("two", "default"))
    api.delete("ResourceQuota", "a", "counts")
    controller.create(secret("two"))

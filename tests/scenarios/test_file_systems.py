"""Data through file systems: pods mount what is linked, read or write it as granted, and lose it with the grant.

The tests are one story, in their order: a team comes, is tampered with, narrowed, hindered, and goes.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from podshare_sandbox.organization import FILE_SYSTEM
from podshare_sandbox.services import fsx, kubernetes
from tests.builders import a_team_item
from tests.scenarios.world import DATA, EKS_ARN, HUB, REGION, TEXT, VISION, World

MEMBERS: dict[str, Any] = {"members": [{"account": VISION}], "service_accounts": []}
NAMESPACE = "hyperpod-ns-vision"
CRAWL, DRAFTS = "/podshare/vision/crawl/", "/podshare/vision/drafts/"


def grant(dataset: str, access: str = "read", **more: Any) -> dict[str, Any]:
    return {"file_system": FILE_SYSTEM, "dataset": dataset, "access": access, **more}


def put(world: World, *grants: dict[str, Any]) -> Any:
    """Write the team with these grants, and return its status."""
    return world.put_team("vision", **MEMBERS, file_systems=[*grants])


def held(under: str = "") -> set[str]:
    """What the file system holds in a directory."""
    found = fsx.files(HUB, REGION, FILE_SYSTEM)
    return {path.removeprefix(under) for path in found if path.startswith(under)}


def link(world: World, path: str) -> dict[str, Any]:
    """The association of a directory."""
    found = world.sandbox.client("fsx", HUB).describe_data_repository_associations()["Associations"]
    return next(one for one in found if one["FileSystemPath"] == path)


def volumes() -> dict[str, Any]:
    """The specs of the cluster's volumes, by their claims."""
    found = kubernetes.api_of(EKS_ARN).objects("PersistentVolume")
    return {one["spec"]["claimRef"]["name"]: one["spec"] for one in found if one["status"]["phase"] == "Bound"}


def objects(world: World, prefix: str) -> set[str]:
    found = world.sandbox.client("s3", DATA).list_objects_v2(Bucket=TEXT, Prefix=prefix)
    return {one["Key"].removeprefix(prefix) for one in found.get("Contents", [])}


def sids(world: World) -> list[str]:
    return [one["Sid"] for one in world.bucket_statements(TEXT) if "FileSystem" in one["Sid"]]


@pytest.fixture
def mounted() -> Iterator[Any]:
    """A pod of the team that uses the claim to the drafts; called, it ends."""
    api = kubernetes.api_of(EKS_ARN)
    container = {"name": "main", "image": "busybox"}
    used = {"name": "data", "persistentVolumeClaim": {"claimName": "drafts"}}
    metadata = {"name": "writer", "namespace": NAMESPACE}
    spec = {"containers": [container], "volumes": [used]}
    api.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    yield lambda: api.delete("Pod", NAMESPACE, "writer")
    api.delete("Pod", NAMESPACE, "writer")


def test_pods_mount_their_teams_directories_and_nothing_else(world: World) -> None:
    """What is granted is imported, each volume mounts one directory of the team's, and a further run has nothing to do."""
    status = put(world, grant("crawl"), grant("drafts", "read_write"))
    assert status["state"] == "READY", status
    assert (held(CRAWL), held(DRAFTS)) == (objects(world, "crawl/"), objects(world, "drafts/"))
    mounts = {claim: spec["csi"]["volumeAttributes"]["mountname"] for claim, spec in volumes().items()}
    assert mounts == {"crawl": f"e5f60001{CRAWL[:-1]}", "drafts": f"e5f60001{DRAFTS[:-1]}"}
    with world.calls() as made:
        assert world.reconcile("vision")["summary"] == "READY: nothing to change"
    assert made == []
    assert world.denied() == []


def test_a_read_grant_never_exports(world: World) -> None:
    """What is written where the grant is to read stays out of the bucket; what is granted to write reaches it."""
    assert "ro" in volumes()["crawl"]["mountOptions"]
    assert "ro" not in volumes()["drafts"]["mountOptions"]
    fsx.write(HUB, REGION, FILE_SYSTEM, f"{CRAWL}new", b"x")
    fsx.write(HUB, REGION, FILE_SYSTEM, f"{DRAFTS}new", b"x")
    assert "new" not in objects(world, "crawl/")
    assert "new" in objects(world, "drafts/")
    # not even if somebody turns its export on: the bucket does not admit it
    client = world.sandbox.client("fsx", HUB)
    everything = {"AutoExportPolicy": {"Events": ["NEW", "CHANGED", "DELETED"]}}
    client.update_data_repository_association(AssociationId=link(world, CRAWL)["AssociationId"], S3=everything)
    fsx.write(HUB, REGION, FILE_SYSTEM, f"{CRAWL}newer", b"x")
    assert "newer" not in objects(world, "crawl/")


def test_tampering_is_found_and_mended(world: World) -> None:
    """An opened export, a bucket statement and a claim that somebody took away are as granted after one run."""
    s3, api = world.sandbox.client("s3", DATA), kubernetes.api_of(EKS_ARN)
    s3.delete_bucket_policy(Bucket=TEXT)
    assert link(world, DRAFTS)["Lifecycle"] == "MISCONFIGURED"
    api.delete("PersistentVolumeClaim", NAMESPACE, "crawl")
    tags = [{"Key": "podshare:owner", "Value": "x"}]
    world.sandbox.client("fsx", HUB).tag_resource(ResourceARN=link(world, CRAWL)["ResourceARN"], Tags=tags)
    assert world.reconcile("vision")["state"] == "READY"
    assert link(world, DRAFTS)["Lifecycle"] == "AVAILABLE"
    assert "AutoExportPolicy" not in link(world, CRAWL)["S3"]
    assert {*volumes()} == {"crawl", "drafts"}
    assert len(sids(world)) == 4
    with world.calls() as made:
        assert world.reconcile("vision")["summary"] == "READY: nothing to change"
    assert made == []


def test_a_narrowed_grant_exports_no_more_while_its_pods_run(world: World, mounted: Any) -> None:
    """From write to read the export ends at once; the claim, which nobody can change, is made anew after its pods."""
    narrowed = [grant("crawl"), grant("drafts")]
    world.put(a_team_item("vision", **MEMBERS, file_systems=narrowed), settle=False)
    waiting = world.await_state("vision", "WAITING")
    assert any("goes once nothing uses it any more" in one["what"] for one in waiting["problems"])
    fsx.write(HUB, REGION, FILE_SYSTEM, f"{DRAFTS}late", b"x")
    assert "late" not in objects(world, "drafts/")
    assert not [sid for sid in sids(world) if sid.endswith("Write")]
    mounted()
    world.sandbox.settle()
    assert world.status("vision")["state"] == "READY"
    assert "ro" in volumes()["drafts"]["mountOptions"]


def test_what_a_file_system_does_not_take_keeps_nothing_else_waiting(world: World) -> None:
    """What overlaps, lies elsewhere, is encrypted by a key or in no known file system is told, each for itself."""
    asked = [grant("crawl"), grant("scans"), grant("imagenet", file_system="fs-0123456789abcdef0")]
    status = put(world, *asked)
    told = " ".join(one["what"] for one in status["problems"])
    assert status["state"] == "DEGRADED"
    assert "dataset scans is encrypted with a KMS key" in told
    assert "fs-0123456789abcdef0 cannot be read" in told
    assert {*volumes()} == {"crawl"}
    other = world.plan("other", a_team_item("other", service_accounts=[], file_systems=[grant("crawl")]))
    (told,) = [one["what"] for one in other["obstacles"]]
    assert f"already links {CRAWL} to s3://{TEXT}/crawl/, and links must not overlap" in told
    assert other["count"] > 5


def test_what_is_revoked_is_released(world: World) -> None:
    """Without its grants a team has no volume, the bucket admits the file system no more, which holds nothing of it."""
    before = [one for one in world.bucket_statements(TEXT) if "FileSystem" not in one["Sid"]]
    fsx.write(HUB, REGION, FILE_SYSTEM, "/somebodys/file", b"x")
    with world.calls() as made:
        assert put(world)["state"] == "READY"
    assert held() == {"/somebodys/file"}
    assert world.sandbox.client("fsx", HUB).describe_data_repository_associations()["Associations"] == []
    assert kubernetes.api_of(EKS_ARN).objects("PersistentVolume") == []
    assert world.bucket_statements(TEXT) == before
    order = [call.partition(" ")[2] for call in made]
    cut, released = order.index("s3:PutBucketPolicy"), order.index("fsx:DeleteDataRepositoryAssociation")
    assert cut < released < len(order) - 1 - order[::-1].index("s3:DeleteBucketPolicy")
    world.delete("team#vision")
    assert world.status("vision")["state"] == "DELETED"
    assert world.leftovers() == []
    assert world.denied() == []

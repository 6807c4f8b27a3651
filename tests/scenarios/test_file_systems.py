"""Data through file systems: a team's pods mount what is linked, read or write it as granted, and lose it with its grant."""

from typing import Any

from podshare_sandbox.organization import FILE_SYSTEM
from podshare_sandbox.services import fsx, kubernetes
from tests.scenarios.world import EKS_ARN, HUB, REGION, VISION, World

NAMESPACE = "hyperpod-ns-vision"


def grant(dataset: str, access: str = "read", **more: Any) -> dict[str, Any]:
    return {"file_system": FILE_SYSTEM, "dataset": dataset, "access": access, **more}


def team(*grants: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"members": [{"account": VISION}], "service_accounts": [], "file_systems": [*grants], **more}


def held() -> set[str]:
    """The paths of what the file system holds."""
    return set(fsx.files(HUB, REGION, FILE_SYSTEM))


def test_a_life_with_a_file_system(world: World) -> None:
    """x."""
    status = world.put_team("vision", **team(grant("crawl"), grant("drafts", "read_write")))
    print(status)
    print(world.denied())
    print(held())
    api = kubernetes.api_of(EKS_ARN)
    print(api.objects("PersistentVolume"), api.objects("PersistentVolumeClaim", NAMESPACE))
    assert status["state"] == "READY", status

"""A sandbox with podshare deployed, made once for each file of scenarios."""

from collections.abc import Iterator

import pytest

from podshare_sandbox import Sandbox
from tests.scenarios.world import CLUSTER, DATASETS, World


@pytest.fixture(scope="module")
def deployment() -> dict[str, str]:
    """The hub stack's parameters; a file of scenarios may have its own. No work is waited for."""
    return {"DrainSeconds": "0"}


@pytest.fixture(scope="module")
def world(deployment: dict[str, str]) -> Iterator[World]:
    """An organization with podshare, one cluster and three datasets."""
    with Sandbox(time_scale=0.02) as sandbox:
        found = World(sandbox)
        found.outputs = sandbox.deploy_podshare(deployment)
        found.put(CLUSTER, *DATASETS)
        yield found

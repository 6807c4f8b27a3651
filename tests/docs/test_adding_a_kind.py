"""The walk through adding a kind works as it is printed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox
from tests.copying import copy
from tests.docs.pages import ROOT, Page
from tests.scenarios.world import CLUSTER, DATASETS, HUB, REGION, VISION, World

PAGE = Page(ROOT / "docs" / "adding-a-kind.md")
COPIED = ("template.yaml", "functions", "statemachines", "accounts", "pyproject.toml")
TOPIC = f"arn:aws:sns:{REGION}:{HUB}:podshare-main-vision"


def apply(project: Path, diff: str) -> None:
    """Add the lines of a diff behind the context that is printed before them, or before the one behind them."""
    target, *hunks = diff.split("@@\n")
    path = project / target.removeprefix("+++ ").strip()
    for hunk in hunks:
        former = "".join(line[1:] + "\n" for line in hunk.splitlines() if line[0] != "+")
        text = path.read_text(encoding="utf-8")
        assert text.count(former) == 1, former
        path.write_text(text.replace(former, "".join(line[1:] + "\n" for line in hunk.splitlines())), encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is deployed, and what the page adds to it."""
    folder = tmp_path_factory.mktemp("project")
    for name in COPIED:
        copy(ROOT / name, folder / name)
    for diff in PAGE.blocks("diff"):
        apply(folder, diff)
    for source in PAGE.blocks("python"):
        path = folder / source.partition("\n")[0].removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(source.partition("\n")[2], encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def world(project: Path) -> Iterator[World]:
    """An organization with that podshare, one cluster and three datasets."""
    with pytest.MonkeyPatch.context() as patch, Sandbox(time_scale=0.02) as sandbox:
        patch.setattr("podshare_cli.sandbox_deployment.PROJECT", project)
        made = World(sandbox)
        made.outputs = deploy_podshare(sandbox, {"DrainSeconds": "0"})
        made.put(CLUSTER, *DATASETS)
        yield made


def test_the_kind_is_written_as_the_others_are(project: Path) -> None:
    """What is printed keeps the project's rules of style."""
    for rules in (["check"], ["format", "--check"]):
        command = [Path(sys.executable).with_name("ruff"), *rules, "functions/podshare/kinds/sns_topic"]
        result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)  # noqa: S603  # our own tool
        assert result.returncode == 0, result.stdout


def test_the_kind_is_made_mended_and_removed(world: World) -> None:
    """A team gets its topic, a change by hand is taken back, and it goes with the team."""
    sns = world.sandbox.client("sns", HUB)

    def display_name() -> str:
        return str(sns.get_topic_attributes(TopicArn=TOPIC)["Attributes"]["DisplayName"])

    assert world.put_team("vision", members=[{"account": VISION}])["state"] == "READY"
    assert display_name() == "hyperpod-ns-vision"

    sns.set_topic_attributes(TopicArn=TOPIC, AttributeName="DisplayName", AttributeValue="language")
    assert world.reconcile("vision")["state"] == "READY"
    assert display_name() == "hyperpod-ns-vision"

    world.delete("team#vision")
    with pytest.raises(ClientError, match="NotFound"):
        display_name()
    assert world.leftovers() == []

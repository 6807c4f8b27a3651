"""The tutorial's commands, typed as they stand, as a newcomer does."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.tests.clients import client
from tests.docs.pages import ROOT, TUTORIAL

UP = "podshare sandbox up"
PATIENCE_SECONDS = 120


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A newcomer's shell with a sandbox served in another one: no configuration of AWS, podshare and aws on PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), str(Path(client("aws")).parent), os.environ["PATH"]])
    own = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": path, "NO_COLOR": "1"}
    up = [*shlex.split(UP), "--time-scale", "0.02"]
    with subprocess.Popen(up, env=own, cwd=ROOT, stdout=subprocess.DEVNULL) as serving:  # noqa: S603  # the page's own
        try:
            file, patience_ends = tmp_path / "podshare" / "sandbox.json", time.monotonic() + PATIENCE_SECONDS
            while not file.exists():
                assert serving.poll() is None
                assert time.monotonic() < patience_ends
                time.sleep(0.1)
            yield own
        finally:
            serving.send_signal(signal.SIGINT)


def test_every_command_of_the_tutorial_works(environment: dict[str, str]) -> None:
    """Each command ends with exit code 0 in the order of the page, and what it promises of the teams is so."""
    commands = [command for command in TUTORIAL.commands if command.startswith("podshare sandbox exec")]
    assert UP in TUTORIAL.commands
    assert len(commands) > 5
    printed = {}
    for command in commands:
        ended = subprocess.run(  # noqa: S603  # the page's own
            ["/bin/sh", "-c", command], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
        printed[command.partition(" -- ")[2]] = ended.stdout + ended.stderr
    assert printed["podshare team put examples/registry/*.yaml --wait"].count("READY") >= 2
    assert "podshare-vision-" in printed["podshare team status vision"]
    assert "DELETED" in printed["podshare team delete vision --wait --yes"]

"""The commands of the tutorial and of the page about the sandbox, typed as they stand, as a newcomer does."""

import shutil
from pathlib import Path

from tests.docs.newcomer import UP, served
from tests.docs.outputs import Outputs
from tests.docs.pages import ROOT, SANDBOX, TUTORIAL

JOB = ROOT / "first-job.yaml"  # which the tutorial writes


def test_every_command_of_the_tutorial_works(tmp_path: Path, outputs: Outputs) -> None:
    """Each command ends with exit code 0 in the order of the page, and prints what the page shows below it."""
    commands = [command for command in TUTORIAL.commands if command.startswith("podshare sandbox exec")]
    assert UP in TUTORIAL.commands
    assert len(commands) > 5
    printed = {}
    with served(tmp_path, ROOT) as shell:
        for command in commands:
            ended = shell.see(command)
            assert ended.code == 0, f"{command}\n{ended.out}"
            outputs.compare(command, ended.out)
            printed[command.partition(" -- ")[2]] = ended.out
    JOB.unlink()
    (logs,) = (text for command, text in printed.items() if command.startswith("kubectl logs"))
    assert '"Key": "imagenet/' in logs
    assert printed["podshare team put examples/registry/*.yaml --wait"].count("READY") >= 2
    assert "podshare-vision-" in printed["podshare team status vision"]
    assert "DELETED" in printed["podshare team delete vision --wait --yes"]


def test_every_command_about_the_sandbox_works(tmp_path: Path) -> None:
    """Each ends with exit code 0 in the order of the page, and an account that joins has a team."""
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    shutil.copytree(ROOT / "examples", folder / "examples")
    (folder / "my_script.py").write_text("import boto3\nprint(boto3.client('s3').list_buckets()['Buckets'])\n")
    commands = [
        command.removesuffix(" --watch") for command in SANDBOX.commands if command.startswith("podshare sandbox exec")
    ]
    assert len(commands) > 10
    printed = {}
    with served(home, folder) as shell:
        for command in commands:
            ended = shell.type(command)
            assert ended.code == 0, f"{command}\n{ended.out}\n{ended.err}"
            printed[command.partition(" -- ")[2]] = ended.out + ended.err
    assert "ACTIVE" in printed["podshare account get 555555555555"]
    assert "science-555555555555" in printed["podshare team status science-555555555555"]

"""The tutorial's commands, typed as they stand, as a newcomer does."""

from pathlib import Path

from tests.docs.newcomer import UP, served
from tests.docs.pages import ROOT, TUTORIAL

JOB = ROOT / "first-job.yaml"  # which the tutorial writes


def test_every_command_of_the_tutorial_works(tmp_path: Path) -> None:
    """Each command ends with exit code 0 in the order of the page, and what it promises of the teams is so."""
    commands = [command for command in TUTORIAL.commands if command.startswith("podshare sandbox exec")]
    assert UP in TUTORIAL.commands
    assert len(commands) > 5
    printed = {}
    with served(tmp_path, ROOT) as shell:
        for command in commands:
            ended = shell.type(command)
            assert ended.code == 0, f"{command}\n{ended.out}\n{ended.err}"
            printed[command.partition(" -- ")[2]] = ended.out + ended.err
    JOB.unlink()
    (logs,) = (text for command, text in printed.items() if command.startswith("kubectl logs"))
    assert '"Key": "imagenet/' in logs
    assert printed["podshare team put examples/registry/*.yaml --wait"].count("READY") >= 2
    assert "podshare-vision-" in printed["podshare team status vision"]
    assert "DELETED" in printed["podshare team delete vision --wait --yes"]

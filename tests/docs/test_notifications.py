"""The page about events, tried as it says: a queue of one's own gets what a person reads."""

import json
from pathlib import Path

from tests.docs.newcomer import UP, served
from tests.docs.pages import ROOT, Page

EVENTS = Page(ROOT / "docs" / "events.md")


def test_a_subscribed_queue_gets_notifications(tmp_path: Path) -> None:
    """Each command ends with 0 in the order of the page, and the last one prints that the teams are ready."""
    up, *commands = (command for command in EVENTS.commands if command.startswith("podshare sandbox "))
    assert up.startswith(UP)
    with served(tmp_path, ROOT, up) as shell:
        for command in commands:
            ended = shell.type(command)
            assert ended.code == 0, f"{command}\n{ended.out}{ended.err}"
    subjects = {json.loads(message["Body"])["Subject"] for message in json.loads(ended.out)["Messages"]}
    assert subjects >= {"Team vision is ready", "Team language is ready"}

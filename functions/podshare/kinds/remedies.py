"""What a person does about a resource without the tags or labels by which podshare knows its own."""

from collections.abc import Mapping

from podshare.installation import Installation
from podshare.kinds.base import Key
from podshare.kinds.shapes import SHAPES


def give_marks_back(installation: Installation, key: Key, marks: Mapping[str, str]) -> str:
    """What to do where a resource is at podshare's name without podshare's tags or labels."""
    command = SHAPES[key.kind].marking(installation, key, marks)
    if not command:
        return "Delete it if nobody needs it, or give the team another name."
    own = f"If it is podshare's, give it its tags back: {command}."
    return f"{own} If it is not, delete it, or give the team another name."

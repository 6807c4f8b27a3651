"""From a call that edited a bucket's policy to what a later reading of that policy is held against."""

from collections.abc import Mapping
from typing import Any

from podshare.aws.settings import Settings
from podshare.aws.tables import State
from podshare.kinds import bucket_policy
from podshare.kinds.bucket_edits import edit_in


def keep_edit(settings: Settings, event: Mapping[str, Any]) -> None:
    """Keep what somebody else wrote last into the policy of a bucket that podshare writes too."""
    edit = edit_in(event, settings.installation)
    if edit and bucket_policy.is_shared(State(settings.state), edit.bucket):
        bucket_policy.keep_edit(State(settings.state), edit)

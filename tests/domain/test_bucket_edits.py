"""Which edit of a bucket's policy podshare wrote over, by what CloudTrail tells and by when podshare read and wrote."""

import dataclasses
from typing import Any

import pytest

from podshare.kinds.bucket_edits import Edit, Window, changed, digest, edit_in, is_lost, others_of
from tests.builders import INSTALLATION

AUDIT = {"Sid": "Audit", "Effect": "Allow", "Principal": "*", "Action": "s3:GetBucketLocation", "Resource": "*"}
FEED = {**AUDIT, "Sid": "Feed", "Action": "s3:GetObject"}
OURS = {**AUDIT, "Sid": "podshareAccessPoints"}
EVENT = {
    "account": "333333333333",
    "detail": {
        "eventName": "PutBucketPolicy",
        "eventTime": "2026-11-29T10:00:05Z",
        "userIdentity": {"arn": "arn:aws:iam::333333333333:user/ada"},
        "requestParameters": {"bucketName": "images", "bucketPolicy": {"Statement": [AUDIT, FEED]}},
    },
}
EDIT = Edit(
    "333333333333", "images", "arn:aws:iam::333333333333:user/ada", "2026-11-29T10:00:05Z", {"Statement": [FEED]}
)


def window(*statements: Any, read_at: str = "10:00:05.2", written_at: str = "10:00:05.4") -> Window:
    times = (f"2026-11-29T{moment}00000+00:00" for moment in (read_at, written_at))
    return Window(*times, digest(statements))


def event(**detail: Any) -> dict[str, Any]:
    return {**EVENT, "detail": {**EVENT["detail"], **detail}}  # type: ignore[dict-item]  # a mapping


def test_an_edit_is_told_with_its_document() -> None:
    """CloudTrail's event of PutBucketPolicy holds the policy, and that of DeleteBucketPolicy stands for none."""
    edit = edit_in(EVENT, INSTALLATION)
    assert edit == dataclasses.replace(EDIT, policy={"Statement": [AUDIT, FEED]})
    assert Edit.of_dict(edit.as_dict()) == edit
    deleted = edit_in(event(eventName="DeleteBucketPolicy", requestParameters={"bucketName": "images"}), INSTALLATION)
    assert deleted == dataclasses.replace(EDIT, policy=None)
    assert Edit.of_dict(deleted.as_dict()) == deleted


OWN = {
    "type": "AssumedRole",
    "sessionContext": {
        "sessionIssuer": {
            "accountId": "333333333333",
            "arn": "arn:aws:iam::333333333333:role/podshare-system/podshare-data",
        }
    },
}
NO_EDIT = [
    event(userIdentity=OWN),
    event(errorCode="AccessDenied"),
    event(eventName="PutBucketAcl"),
    event(requestParameters=None),
    event(requestParameters={"bucketName": "images"}),
    # without a moment nothing can be held against podshare's own writes, and a row that says so would end every run
    event(eventTime=""),
    event(eventTime="yesterday"),
    event(eventTime="2026-11-29T10:00:05"),
    {"detail": "x"},
]


@pytest.mark.parametrize("told", NO_EDIT)
def test_what_podshare_or_nobody_wrote_is_no_edit(told: dict[str, Any]) -> None:
    """podshare's own calls, refused ones, other calls, and what holds no document tell of no edit."""
    assert edit_in(told, INSTALLATION) is None


LOST = [
    (EDIT, [window(AUDIT)], [AUDIT, OURS], True),
    # nothing differs: podshare has read it, or it was written after
    (EDIT, [window(FEED)], [FEED, OURS], False),
    # somebody has written since
    (EDIT, [window(AUDIT)], [AUDIT, FEED, OURS], False),
    (EDIT, [window(AUDIT)], [], False),
    # podshare wrote at another time
    (EDIT, [window(AUDIT, read_at="10:00:06.0", written_at="10:00:06.2")], [AUDIT], False),
    (EDIT, [window(AUDIT, read_at="10:00:04.1", written_at="10:00:04.9")], [AUDIT], False),
    (EDIT, [window(AUDIT, read_at="10:00:04.9", written_at="10:00:05.0")], [AUDIT], True),
    (EDIT, [window(FEED, read_at="10:00:01.0", written_at="10:00:02.0"), window(AUDIT)], [OURS, AUDIT], True),
    (dataclasses.replace(EDIT, policy=None), [window(AUDIT)], [AUDIT], True),
    (EDIT, [], [AUDIT], False),
]


@pytest.mark.parametrize(("edit", "windows", "now", "lost"), LOST)
def test_an_edit_is_lost_that_podshare_wrote_over(edit: Edit, windows: Any, now: Any, lost: bool) -> None:
    """An edit is lost if podshare read before and wrote after it, and the policy is still as podshare wrote it."""
    assert is_lost(edit, windows, INSTALLATION, {"Statement": now}) is lost


def test_podshares_statements_are_no_part_of_an_edit() -> None:
    """What differs are statements of others, by their meaning and not by their order."""
    assert others_of(INSTALLATION, {"Statement": [OURS, AUDIT]}) == [AUDIT]
    assert digest([AUDIT, FEED]) == digest([FEED, {**AUDIT, "Action": ["s3:GetBucketLocation"]}])
    assert changed(INSTALLATION, EDIT, {"Statement": [AUDIT, OURS]}) == ("Audit", "Feed")
    assert changed(INSTALLATION, EDIT, {"Statement": [OURS, FEED]}) == ()
    nameless = {name: value for name, value in AUDIT.items() if name != "Sid"}
    assert changed(INSTALLATION, EDIT, {"Statement": [FEED, nameless]}) == ("without a Sid",)

"""Writes of rows that others are writing, which the sandbox's DynamoDB never refuses: it makes one call at a time."""

from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from podshare.aws import tables
from podshare.aws.tables import State

CONFLICT = {"Code": "TransactionConflict"}
REFUSED = {"Code": "ConditionalCheckFailed"}
NONE = {"Code": "None"}


class Answers:
    """DynamoDB's answers to writes, one after the other: errors, or None."""

    def __init__(self, *errors: dict[str, Any] | None) -> None:
        self.left = [*errors]

    def answer(self, **_: Any) -> dict[str, Any]:
        error = self.left.pop(0)
        if error:
            raise ClientError(error, "Write")  # type: ignore[arg-type]  # with what a cancellation adds
        return {"Attributes": {"fence": {"N": "2"}}}

    transact_write_items = update_item = answer


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits."""
    monkeypatch.setattr(tables, "_CONFLICT_SECONDS", 0)


def cancelled(*reasons: dict[str, str]) -> dict[str, Any]:
    return {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": [*reasons]}


@pytest.mark.parametrize(
    ("errors", "is_written", "left"),
    [
        ([None], True, 0),
        ([cancelled(CONFLICT, NONE), cancelled(NONE, CONFLICT), None], True, 0),
        ([cancelled(CONFLICT)] * 5, False, 1),
        ([cancelled(REFUSED, CONFLICT), None], False, 1),
        ([cancelled(NONE, REFUSED), None], False, 1),
    ],
)
def test_a_transaction_in_conflict_is_made_again(
    monkeypatch: pytest.MonkeyPatch, errors: Sequence[dict[str, Any] | None], is_written: bool, left: int
) -> None:
    """Only a conflict is tried again, four times in all; a condition that fails is an answer."""
    answers = Answers(*errors)
    monkeypatch.setattr(tables, "hub_client", lambda _: answers)
    state = State("state")
    assert state.write_together([state.putting("lease", "team#vision")]) is is_written
    assert len(answers.left) == left


def test_a_trigger_is_not_held_up_by_a_transaction_on_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """An update waits for the transaction that has the row; one that never ends is reported."""
    conflict = {"Error": {"Code": "TransactionConflictException"}}
    for errors, is_made in (([conflict] * 3, True), ([conflict] * 4, False)):
        answers = Answers(*errors, None)
        monkeypatch.setattr(tables, "hub_client", lambda _, answers=answers: answers)
        if is_made:
            assert State("state").update("lease", "team#vision", "ADD generation :one", None, one=1) == {"fence": 2}
        else:
            with pytest.raises(ClientError):
                State("state").update("lease", "team#vision", "ADD generation :one", None, one=1)

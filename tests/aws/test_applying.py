"""What becomes of a change that is not over: how often it is looked at, or tried again, and what is told at last."""

import json
from typing import Any

from podshare.reconcile.applying import CHECK_INTERVAL_SECONDS, MOST_CHECKS, MOST_RETRIES, check_again, retry
from podshare.reconcile.plan import MOST_CHANGES

CHANGE: dict[str, Any] = {"action": "create", "key": "role|222222222222|||podshare-vision", "account": "222222222222"}


def test_a_change_that_aws_works_on_is_looked_at_for_a_while() -> None:
    """It is looked at every few seconds, and has failed after the last look, with what it was then."""
    change = CHANGE
    for _ in range(MOST_CHECKS - 1):
        change = check_again(change, "Creating", "")
        assert (change["status"], change["wait_seconds"]) == ("again", CHECK_INTERVAL_SECONDS)
    ended = check_again(change, "Creating", "")
    assert (ended["status"], ended["detail"]) == ("failed", "did not settle: Creating")


def test_what_aws_could_not_carry_out_is_kept() -> None:
    """The reason of an attempt that failed is told at last, although later looks do not tell it."""
    change = check_again(CHANGE, "CreateFailed: no capacity", "CreateFailed: no capacity")
    for _ in range(MOST_CHECKS - 1):
        change = check_again(change, "Creating", "")
    assert (change["status"], change["detail"]) == ("failed", "did not settle: CreateFailed: no capacity")


def test_a_change_that_may_succeed_in_a_moment_is_tried_again() -> None:
    """The pauses grow up to a limit, and after the last retry it has failed for now: outcome knows the word."""
    change, pauses = CHANGE, list[int]()
    for _ in range(MOST_RETRIES):
        change = retry(change, "Throttling")
        assert change["status"] == "again"
        pauses.append(change["wait_seconds"])
    assert all(0 <= pause <= min(20, 2**number) for number, pause in enumerate(pauses, 1))
    ended = retry(change, "Throttling")
    assert (ended["status"], ended["detail"]) == ("failed", "Retryable: Throttling")


def test_results_of_a_whole_plan_fit_into_a_state() -> None:
    """Whatever AWS says of each change, the results fit; its beginning and its end are kept, where a denial's cause is."""
    change = {**CHANGE, "name": "x" * 300, "retries": MOST_RETRIES}
    text = f"AccessDenied: {'x' * 5000} with an explicit deny in a service control policy"
    failed = retry(change, text)
    assert failed["status"] == "failed"
    assert failed["detail"].startswith("Retryable: AccessDenied")
    assert failed["detail"].endswith("explicit deny in a service control policy")
    assert len(json.dumps([failed] * MOST_CHANGES)) < 256 * 1024

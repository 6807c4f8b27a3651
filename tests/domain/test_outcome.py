"""How a run ended, and when READY may be said."""

from typing import Any

import pytest

from podshare.reconcile.outcome import TeamState, outcome, results_in

HELD = {"verified": True, "at": "2026-11-21T12:00:00+00:00", "resources": 3, "violations": [], "differences": []}
BROKEN = {**HELD, "verified": False, "violations": [{"key": "k", "rule": "r", "found": "f"}]}
LEFT = {
    **HELD,
    "verified": False,
    "differences": [{"key": "k", "kind": "role", "name": "n", "account": "1", "action": "update"}],
}
EXCESS = {
    **HELD,
    "verified": False,
    "proof": {"digest": "d", "holds": False, "broken": [{"what": "somebody may assume", "keys": ["role|x", "k"]}]},
}
DONE = {"status": "done", "action": "create", "key": "a"}
FAILED = {
    "status": "failed",
    "action": "create",
    "kind": "role",
    "name": "n",
    "account": "1",
    "detail": "d",
    "key": "k",
}
WAITING = {
    "status": "waiting",
    "action": "drain",
    "kind": "compute_quota",
    "name": "q",
    "account": "1",
    "detail": "d",
    "key": "k",
}
LATE = {"what": "account 5 waits for its member role", "remedy": "nothing", "waits": True}


@pytest.mark.parametrize(
    ("plan", "results", "verification", "error", "state"),
    [
        ({}, [DONE], HELD, "", TeamState.READY),
        ({"deleted": True}, [DONE], {**HELD, "resources": 0}, "", TeamState.DELETED),
        ({}, [DONE], BROKEN, "", TeamState.DEGRADED),
        ({}, [DONE], LEFT, "", TeamState.DEGRADED),
        ({}, [DONE], EXCESS, "", TeamState.DEGRADED),
        ({}, [DONE, WAITING], EXCESS, "", TeamState.WAITING),
        ({}, [DONE], {}, "", TeamState.DEGRADED),
        ({}, [DONE, FAILED], HELD, "", TeamState.DEGRADED),
        ({}, [DONE, WAITING], {**BROKEN}, "", TeamState.WAITING),
        ({}, [FAILED, WAITING], HELD, "", TeamState.DEGRADED),
        ({"obstacles": [{"what": "w", "remedy": "r"}]}, [DONE], HELD, "", TeamState.DEGRADED),
        ({"obstacles": [LATE]}, [DONE], HELD, "", TeamState.WAITING),
        ({"obstacles": [LATE, {"what": "w", "remedy": "r", "waits": False}]}, [], HELD, "", TeamState.DEGRADED),
        ({"problems": [{"rule": "r"}]}, [DONE], HELD, "", TeamState.REJECTED),
        ({}, [DONE], HELD, "the verifier failed", TeamState.DEGRADED),
    ],
)  # fmt: skip
def test_ready_means_verified(plan: Any, results: Any, verification: Any, error: str, state: TeamState) -> None:
    """READY is said only when everything was done and a verification held; each other state has its reason."""
    found = outcome(plan, results, verification, error)
    assert found.state is state
    if state not in (TeamState.READY, TeamState.DELETED) and verification:
        assert found.problems


def test_results_are_found_wherever_the_machine_puts_them() -> None:
    """Stages, branches, lanes and waves nest differently; a lane with one result may lose its list."""
    assert results_in([[[DONE], FAILED], [[[DONE, [WAITING]]]]]) == [DONE, FAILED, DONE, WAITING]


@pytest.mark.parametrize(("detail", "may_pass"), [("Retryable: throttled", True), ("Terminal: denied", False)])
def test_a_fault_that_may_pass_is_told_from_one_that_needs_a_person(detail: str, may_pass: bool) -> None:
    """Only what may succeed by itself is tried again by itself."""
    assert outcome({}, [{**FAILED, "detail": detail}], HELD, "").may_pass is may_pass


@pytest.mark.parametrize(
    ("plan", "verification", "may_pass"),
    [
        ({"may_pass": True, "obstacles": [{"what": "w", "remedy": "r"}]}, HELD, True),
        ({"may_pass": False, "obstacles": [{"what": "w", "remedy": "r"}]}, HELD, False),
        ({}, {**HELD, "verified": False, "may_pass": True}, True),
        ({"may_pass": True}, {**HELD, "may_pass": True}, False),
        ({"may_pass": True, "deleted": True}, {**HELD, "resources": 0}, False),
        ({"may_pass": True, "problems": [{"rule": "r"}]}, HELD, True),
    ],
)
def test_what_could_not_be_read_for_now_is_read_again(plan: Any, verification: Any, may_pass: bool) -> None:
    """What AWS throttled may pass as a change may, unless all is as it should be without it."""
    assert outcome(plan, [DONE], verification, "").may_pass is may_pass


def test_what_a_verification_could_not_read_is_told_once() -> None:
    """A status names it, unless the plan could not read it either."""
    unread = {"what": "role x cannot be read: throttled", "remedy": "r"}
    verification = {**HELD, "verified": False, "unread": [unread]}
    assert outcome({}, [DONE], verification, "").problems == (unread,)
    assert outcome({"obstacles": [{**unread, "waits": False}]}, [DONE], verification, "").problems == (
        {**unread, "waits": False},
    )


def test_what_waits_is_waited_for_whatever_else_failed() -> None:
    """A parked account does not end the wait for another one."""
    parked = {"what": "account 6 is parked", "remedy": "deploy", "waits": False}
    assert outcome({"obstacles": [LATE, parked]}, [], HELD, "").waits
    assert not outcome({"obstacles": [parked]}, [], HELD, "").waits


def test_what_an_obstacle_keeps_waiting_is_told_once() -> None:
    """A quota that is refused is no difference besides."""
    obstacle = {"what": "the quota does not fit", "remedy": "lower it", "waits": False, "only": "k"}
    found = outcome({"obstacles": [obstacle]}, [DONE], LEFT, "")
    assert [problem["what"] for problem in found.problems] == ["the quota does not fit"]


def test_what_nobody_granted_is_told_once() -> None:
    """A proof that fails names it, unless an isolation rule or an unfinished change has told of the same thing."""
    (problem,) = outcome({}, [DONE], EXCESS, "").problems
    assert "somebody may assume" in problem["what"]
    both = outcome({}, [DONE], {**EXCESS, "violations": BROKEN["violations"]}, "").problems
    assert [one["what"].partition(":")[0] for one in both] == ["isolation rule broken"]
    assert len(outcome({}, [FAILED], EXCESS, "").problems) == 1


def test_a_runs_changes_are_counted_over_all_its_passes() -> None:
    """The last pass of a run, which mostly has nothing left to do, reports what the passes before it have made."""
    found = outcome({}, [DONE, {**FAILED, "action": "create"}], HELD, "", {"create": 15, "cut": 1})
    assert found.made == {"create": 16, "cut": 1}
    assert outcome({}, [], HELD, "", {"create": 16}).summary == "READY: 16 create"


@pytest.mark.parametrize("words", ["with an explicit deny in a {}", "because no {} allows the iam:CreateRole action"])
@pytest.mark.parametrize(
    "kind",
    [
        "service control policy",
        "resource control policy",
        "permissions boundary",
        "resource-based policy",
        "VPC endpoint policy",
        "session policy",
    ],
)
def test_what_a_policy_denies_is_not_left_to_the_next_attempt(kind: str, words: str) -> None:
    """AWS names the kind of policy (IAM user guide, "Troubleshoot access denied error messages"), and so does the remedy."""
    detail = f"Terminal: not authorized to perform it {words.format(kind)}"
    denied = {**DONE, "status": "failed", "detail": detail}
    (problem,) = outcome({}, [denied], HELD, "").problems
    told = "policy of a VPC endpoint" if kind.startswith("VPC") else kind.removeprefix("resource-based ")
    assert told in problem["remedy"]
    assert "tries again" not in problem["remedy"]
    (other,) = outcome({}, [{**denied, "detail": "Terminal: something else"}], HELD, "").problems
    assert other["remedy"] == "The next reconciliation tries again."


def test_a_key_that_may_not_be_granted_names_the_parameters() -> None:
    """A member role may grant the listed keys to roles of the listed cluster accounts, and the remedy names both lists."""
    detail = "Terminal: AccessDeniedException: because no identity-based policy allows the kms:CreateGrant action"
    (problem,) = outcome({}, [{**DONE, "status": "failed", "detail": detail}], HELD, "").problems
    assert all(name in problem["remedy"] for name in ("KmsKeyArns", "ClusterAccountIds"))

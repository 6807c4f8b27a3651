"""How a reconciliation ended: one state for the team, and whether to go on."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

Result = Mapping[str, Any]


class TeamState(StrEnum):
    """What a team's status says.

    READY: all that the record asks for is there, and was verified. WAITING: something outside has to happen first.
    DEGRADED: something could not be done. HELD: too many teams have lost access at once, so that a person has to
    approve what this one would lose. REJECTED: the record is wrong; what it removed is removed. ENDED: the team's time
    is over, and nothing is left. DELETED: the record is gone, and nothing is left.
    """

    READY = "READY"
    WAITING = "WAITING"
    DEGRADED = "DEGRADED"
    HELD = "HELD"
    REJECTED = "REJECTED"
    ENDED = "ENDED"
    DELETED = "DELETED"


# the kinds of policies that AWS names in a refusal (IAM user guide, "Troubleshoot access denied error messages")
_DENYING = {
    "service control policy": (
        "A service control policy of the organization denies it: exempt the roles under /podshare-system/, or "
        "resources with the tag podshare:managed-by. If it requires tags, set them in the parameter ResourceTags. "
        "Then reconcile the team."
    ),
    "resource control policy": (
        "A resource control policy of the organization denies it: exempt the roles under /podshare-system/; "
        "then reconcile the team."
    ),
    "permissions boundary": "The member role's permissions boundary denies it: remove that boundary from the role.",
    "resource-based policy": "The resource's own policy denies it: ask its owner to exempt podshare's member roles.",
    "VPC endpoint policy": "The policy of a VPC endpoint denies it: exempt the roles under /podshare-system/.",
    "session policy": "A session policy denies it, and podshare uses none: find out who calls AWS instead of podshare.",
    "role trust policy": "The role's trust policy denies it: deploy accounts/member.yaml of this version there.",
}
_REFUSED_BY = re.compile(rf"(?:explicit deny in (?:an?|the)|because no) ({'|'.join(_DENYING)})")
_NO_GRANT = "because no identity-based policy allows the kms:CreateGrant action"
ACTIONS = {"cut": "revoke", "narrow": "restrict"}  # where the word for people is another one than a plan's
_AT_REST = (TeamState.READY, TeamState.ENDED, TeamState.DELETED)
# what begins the detail of a change that failed only for now: podshare's own word, and what Step Functions calls an
# invocation that Lambda refused, did not finish or did not answer
_MAY_PASS = ("Retryable:", "Lambda.", "Sandbox.Timedout:", "Runtime.ExitError:", "States.Timeout:")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The team's state after a run, in one sentence and with every problem.

    ``made`` counts the changes of all passes of the run by action. ``waits`` says whether anything waits for something
    outside, ``may_pass`` whether something failed that may succeed by itself after a while.
    """

    state: TeamState
    summary: str
    problems: tuple[Mapping[str, Any], ...]
    made: Mapping[str, int]
    waits: bool = False
    may_pass: bool = False


@dataclass(frozen=True)
class Pass:
    """A pass of a run that has ended: the run's ``event``, its outcome, and what the team's status said ``before``."""

    event: Mapping[str, Any]
    result: Outcome
    results: list[Result]
    verification: Mapping[str, Any]
    before: Mapping[str, Any]

    @property
    def team(self) -> str:
        """The team."""
        return str(self.event["team"])

    @property
    def fence(self) -> int:
        """What distinguishes it from other passes of the same run."""
        return int(self.event["lease"]["fence"])

    @property
    def trigger(self) -> Mapping[str, Any]:
        """What started the run."""
        return self.event.get("trigger") or {}

    @property
    def plan(self) -> Mapping[str, Any]:
        """What was planned; empty where planning failed."""
        return self.event.get("plan") or {}

    @property
    def done(self) -> list[Result]:
        """The changes that were made."""
        return [result for result in self.results if result["status"] == "done"]


def results_in(nested: Any) -> list[Result]:
    """The results of all changes, out of the state machine's nested lists."""
    if isinstance(nested, Mapping):
        return [nested] if "status" in nested else []
    if isinstance(nested, list):
        return [result for item in nested for result in results_in(item)]
    return []


def outcome(
    plan: Mapping[str, Any],
    results: Iterable[Result],
    verification: Mapping[str, Any],
    error: str,
    earlier: Mapping[str, int] = MappingProxyType({}),
) -> Outcome:
    """The state that follows from a plan, what became of its changes, and the verification.

    ``earlier`` counts what the run's passes before this one have made.
    """
    results = list(results)
    made = _made(results, earlier)
    failed = [_failure(result) for result in results if result["status"] == "failed"]
    waiting = [_failure(result) for result in results if result["status"] == "waiting"]
    problems: list[Mapping[str, Any]] = [*plan.get("problems", []), *plan.get("obstacles", []), *failed, *waiting]
    held = plan.get("held")
    if held:
        problems.append({"what": held["what"], "remedy": held["remedy"]})
    if error:
        problems.append({"what": error, "remedy": "See the execution; reconcile the team again."})
    # what is known to be unfinished is reported once, as that
    unfinished = {result.get("key") for result in results if result["status"] != "done"}
    unfinished |= set(held["keys"]) if held else set()
    unfinished |= {blocker["only"] for blocker in plan.get("obstacles", []) if blocker.get("only")}
    violations = [item for item in verification.get("violations", []) if item["key"] not in unfinished]
    problems += [_violation(item) for item in violations]
    reported = unfinished | {item["key"] for item in violations}
    unexpected_access = [
        item for item in verification.get("proof", {}).get("broken", []) if reported.isdisjoint(item["keys"])
    ]
    problems += [_unexpected_access(item) for item in unexpected_access]
    texts = {problem.get("what") for problem in problems}
    problems += [item for item in verification.get("unread", []) if item["what"] not in texts]
    problems += [_difference(item) for item in verification.get("differences", []) if item["key"] not in unfinished]
    blockers = plan.get("obstacles", [])
    waits = bool(waiting) or any(blocker.get("waits") for blocker in blockers)
    blocked = not all(blocker.get("waits") for blocker in blockers)
    state = _state(plan, bool(error or failed or violations or unexpected_access or blocked), waits, verification)
    may_pass = state not in _AT_REST and (
        any(str(result.get("detail", "")).startswith(_MAY_PASS) for result in results)
        or any(bool(reading.get("may_pass")) for reading in (plan, verification))
    )
    return Outcome(state, _summary(state, made, problems), tuple(problems), made, waits, may_pass)


def _state(plan: Mapping[str, Any], failed: bool, waits: bool, verification: Mapping[str, Any]) -> TeamState:
    if plan.get("problems"):
        return TeamState.REJECTED
    if plan.get("held"):
        return TeamState.HELD
    if failed:
        return TeamState.DEGRADED
    if waits:
        return TeamState.WAITING
    if not verification.get("verified"):
        return TeamState.DEGRADED
    return _at_rest(plan, verification)


def _at_rest(plan: Mapping[str, Any], verification: Mapping[str, Any]) -> TeamState:
    if not verification.get("resources") and plan.get("deleted"):
        return TeamState.DELETED
    if not verification.get("resources") and plan.get("ended"):
        return TeamState.ENDED
    return TeamState.READY


def change_text(result: Result) -> str:
    """A change in words."""
    resource = f"{result.get('kind', '')} {result.get('name', '')}".replace("_", " ").strip()
    action = str(result.get("action", "apply"))
    return f"{ACTIONS.get(action, action)} {resource} in account {result.get('account', '?')}"


def _failure(result: Result) -> dict[str, str]:
    problem = f"{change_text(result)}: {result.get('detail', '')}"
    return {"what": problem, "remedy": _remedy(problem), "account": str(result.get("account", ""))}


def _remedy(problem: str) -> str:
    """What helps: no attempt of podshare's own does where a policy of somebody's says no in so many words."""
    if match := _REFUSED_BY.search(problem):
        return _DENYING[match[1]]
    if _NO_GRANT in problem:
        return (
            "Add the key to KmsKeyArns of the data account's member stack, and to ClusterAccountIds the account of the "
            "cluster; then reconcile the team."
        )
    return "The next reconciliation tries again."


def _violation(item: Mapping[str, str]) -> dict[str, str]:
    if "remedy" in item:
        return {"what": f"{item['rule']}: {item['found']}", "remedy": item["remedy"]}
    problem = f"isolation rule broken: {item['rule']}: {item['found']} ({item['key']})"
    return {
        "what": problem,
        "remedy": "The next reconciliation repairs podshare's resources; find out in CloudTrail who changed them.",
    }


def _unexpected_access(item: Mapping[str, Any]) -> dict[str, str]:
    problem = f"unexpected access: {item['what']} ({', '.join(item['keys'])})"
    return {"what": problem, "remedy": "The next reconciliation revokes it; find out in CloudTrail who granted it."}


def _difference(item: Mapping[str, Any]) -> dict[str, str]:
    problem = f"{item['kind']} {item['name']} in account {item['account']} still has to be changed: {item['action']}"
    return {"what": problem.replace("_", " "), "remedy": "The next reconciliation tries again."}


def _made(results: list[Result], earlier: Mapping[str, int]) -> dict[str, int]:
    done = Counter(str(result.get("action")) for result in results if result["status"] == "done")
    return {action: done[action] + int(earlier.get(action, 0)) for action in sorted(done.keys() | earlier.keys())}


def _summary(state: TeamState, made: Mapping[str, int], problems: list[Mapping[str, Any]]) -> str:
    did = ", ".join(f"{count} {ACTIONS.get(action, action)}" for action, count in made.items()) or "nothing to change"
    if not problems:
        return f"{state}: {did}"
    return f"{state}: {did}; {problems[0].get('what') or problems[0].get('rule', '')}"[:500]

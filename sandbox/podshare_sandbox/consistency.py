"""Eventual consistency: how long a change takes until each of AWS's readers knows of it.

Off unless the sandbox is given a seed. Who reads sooner sees what was there before: nothing, if the thing is new, and
the thing as it was, if it was changed or deleted. A reader that has seen a change never goes back behind it. Every
delay is drawn from ``DELAYS`` by seed, reader, thing and the number of the change, and ends by itself.

Documented as eventual, without numbers:

- IAM: "Changes that I make are not always immediately visible" (IAM User Guide, "Troubleshoot IAM"), policies in
  authorization included. Other services refuse a principal that they do not know yet in the words that Terraform's
  provider waits for: "invalid principal" of EKS, "Role provided in the request does not exist" of Pod Identity,
  "Invalid principal in policy" of IAM and S3.
- EKS: "access entries are eventually consistent", and so are Pod Identity associations: several seconds (EKS User
  Guide, "Create access entries", "Assign an IAM role to a Kubernetes service account"). That an entry is not found
  right after its creation is what Terraform's provider waits for.
- S3: "Bucket configurations have an eventual consistency model" (S3 User Guide, "Amazon S3 data consistency model").
- KMS: "there might be a brief delay, usually less than five minutes, until the grant is available throughout KMS" (KMS
  API Reference, CreateGrant); a grantee that it does not know yet is an InvalidArnException to Terraform's provider.

Assumptions: all numbers; that lists are behind creations and deletions (those of SageMaker, FSx and S3 Control too),
while a compute quota or an access point is found by its own name or id at once; that GetBucketPolicy and
GetAccessPointPolicy answer what was written last, and only what is enforced is behind; that a role's deletion ends its
sessions at once; that creation meets the names of all that is there; how often a compute quota fails. Left out, that
is known at once: changes of users, groups and the versions of managed policies, SCPs, tags in conditions, and all of
the other services.

CloudFormation waits until what it makes is known, which :func:`at_once` stands for.
"""

import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from podshare_sandbox import clock

# the shortest and the longest, in seconds, of each kind of thing for each of its readers
DELAYS: dict[str, dict[str, tuple[float, float]]] = {
    "role": {"iam": (0, 4), "eks": (2, 15), "s3": (2, 15), "kms": (2, 15), "authorization": (2, 15)},
    "kms-grant": {"authorization": (0, 15)},
    "access-entry": {"eks": (0, 4), "lists": (0, 8), "cluster": (1, 10)},
    "pod-identity-association": {"eks": (0, 4), "lists": (0, 8), "pods": (1, 10)},
    "compute-quota": {"lists": (0, 8)},
    "cluster-scheduler-config": {"lists": (0, 8)},
    "data-repository-association": {"lists": (0, 8)},
    "access-point": {"lists": (0, 8)},
    "access-point-policy": {"requests": (0, 8)},
    "bucket-policy": {"requests": (0, 8)},
}
SHORT_PAGES = 0.2  # the share of IAM's pages that are shorter than asked for
FAILURES = 0.2  # the share of new compute quotas that end as CreateFailed, never twice running

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class _Change(Generic[Thing]):
    """A change, with what was there before (None: nothing)."""

    number: int
    at: datetime
    before: Thing | None


@dataclass
class _State:
    seed: int | None = None
    changes: dict[tuple[str, str, str], list[_Change[object]]] = field(default_factory=dict)
    numbers: dict[tuple[str, str, str], int] = field(default_factory=dict)
    failed: dict[str, tuple[int, bool]] = field(default_factory=dict)


_state = _State()
_lock = threading.RLock()
_exempt = threading.local()


def begin(seed: int | None) -> None:
    """Let changes become known late from now on, as ``seed`` says; None: at once."""
    global _state  # noqa: PLW0603  # one process has one sandbox
    _state = _State(seed)


@contextmanager
def at_once() -> Iterator[None]:
    """What this thread changes meanwhile is known at once, and it reads what is there."""
    before = getattr(_exempt, "on", False)
    _exempt.on = True
    try:
        yield
    finally:
        _exempt.on = before


def is_on() -> bool:
    """Whether changes of this thread become known late."""
    return _state.seed is not None and not getattr(_exempt, "on", False)


class Known(Generic[Thing]):
    """What readers know of things of one ``kind`` (see ``DELAYS``) that have their names within one ``place``."""

    def __init__(self, kind: str, place: str) -> None:
        self._kind, self._place = kind, place

    def changed(self, name: str, before: Thing | None) -> None:
        """Something has just been made of ``before``, or from nothing. ``before`` must not change any more."""
        if not is_on():
            return
        key = (self._kind, self._place, name)
        with _lock:
            number = _state.numbers[key] = _state.numbers.get(key, 0) + 1
            pending = [change for change in _state.changes.get(key, []) if not self._known_to_all(change)]
            _state.changes[key] = [*pending, _Change(number, clock.now(), before)]

    def to(self, reader: str, name: str, now: Thing | None) -> Thing | None:
        """What ``reader`` knows where ``now`` is: ``now``, what was there before, or None for nothing."""
        if not is_on():
            return now
        found = now
        with _lock:
            changes = list(_state.changes.get((self._kind, self._place, name), []))
        for change in reversed(changes):
            if clock.passed(change.at, self._delay(reader, name, change.number)):
                return found
            found = change.before  # type: ignore[assignment]  # what this kind has put there
        return found

    def all_to(self, reader: str, now: Mapping[str, Thing]) -> dict[str, Thing]:
        """All that ``reader`` knows of where ``now`` is, by name."""
        if not is_on():
            return dict(now)
        with _lock:
            former = [name for kind, place, name in _state.changes if (kind, place) == (self._kind, self._place)]
        seen = {name: self.to(reader, name, now.get(name)) for name in dict.fromkeys([*now, *former])}
        return {name: thing for name, thing in seen.items() if thing is not None}

    def _delay(self, reader: str, name: str, number: int) -> float:
        return _chance(reader, self._kind, self._place, name, number).uniform(*DELAYS[self._kind][reader])

    def _known_to_all(self, change: _Change[object]) -> bool:
        return clock.passed(change.at, max(longest for _, longest in DELAYS[self._kind].values()))


def fails(name: str) -> bool:
    """Whether the compute quota ``name`` that is being made is to end as CreateFailed."""
    if not is_on():
        return False
    with _lock:
        count, failed = _state.failed.get(name, (0, False))
        fails_now = not failed and _chance("failure", name, count).random() < FAILURES
        _state.failed[name] = (count + 1, fails_now)
        return fails_now


def shortened(most: int, *about: object) -> int:
    """How many items a page has that may have so many: some have fewer, although there are more."""
    chance = _chance("page", *about)
    return chance.randint(1, most) if is_on() and chance.random() < SHORT_PAGES else most


def _chance(*about: object) -> random.Random:
    """Always the same for the same seed and subject."""
    return random.Random(" ".join(map(str, (_state.seed, *about))))  # noqa: S311  # no secret

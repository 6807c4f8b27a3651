"""Which calls are podshare's own affair, and which go to the accounts that it manages."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Self

from podshare_sandbox.traffic import ENTER_STATE, Asked

OWN = frozenset({"dynamodb", "stepfunctions", "lambda", "sqs", "sns", "events", "scheduler", "logs", "cloudwatch"})
"""Services of the hub that podshare itself is made of: its tables, machines, functions and queues."""
HISTORY = "s3:PutObject"
"""What adds to the history of who had access: podshare puts objects nowhere else."""
MUTATING = (
    *("Create", "Put", "Update", "Delete", "Attach", "Detach", "Associate", "Disassociate", "Tag", "Untag", "Add"),
    *("Remove", "Revoke", "Set"),
)
_MUTATING_METHODS = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Calls:
    """How many calls were made (reads and writes elsewhere, sessions, podshare's own), and how many states entered."""

    reads: int = 0
    writes: int = 0
    sessions: int = 0
    own: int = 0
    states: int = 0

    @property
    def total(self) -> int:
        """All calls; a state that is entered is none."""
        return self.reads + self.writes + self.sessions + self.own

    @classmethod
    def of(cls, requests: Iterable[Asked]) -> Self:
        """Count what was asked."""
        counted = Counter(kind_of(asked.name) for asked in requests)
        return cls(**{item.name: counted[item.name] for item in fields(cls)})


def kind_of(name: str) -> str:
    """The field of ``Calls`` in which an operation counts."""
    service = name.partition(":")[0]
    if name == ENTER_STATE:
        return "states"
    if service == "sts":
        return "sessions"
    if service in OWN or name == HISTORY:
        return "own"
    return "writes" if is_write(name) else "reads"


def is_write(name: str) -> bool:
    """Whether an operation changes something; a review is posted to Kubernetes, and changes nothing."""
    service, _, operation = name.partition(":")
    if service == "kubernetes":
        method, _, resource = operation.partition(" ")
        return method in _MUTATING_METHODS and not resource.endswith("reviews")
    return operation.startswith(MUTATING)

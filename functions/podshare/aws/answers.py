"""What AWS and clusters answered to one invocation: each question is asked once, and its answer is for all who ask.

Comparison, preconditions, access reports and doors read the same resources. Who reads for them asks as ever; only the
client differs: one that remembers, or one that asks each time. What fails is not remembered, and that something is
absent is an answer. Whoever changes anything uses clients that do not remember, so that its own reading before a change
and after it is never older than the change. See decision record 0065.
"""

import contextlib
import copy
import datetime
import json
import threading
from collections.abc import Callable, Collection, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from podshare.aws.errors import is_absent, may_pass

PAGES_OF = "pages of "  # and an operation: the question of its paginator
_Answer = TypeVar("_Answer")


@dataclass
class _Question:
    """One question, with its answer once there is one: a value, or the error that says that nothing is there."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    is_answered: bool = False
    answer: Any = None
    absent: ClientError | None = None


class Answers:
    """The answers of one invocation. Threads that ask the same wait for one answer.

    ``as_of`` is from when the oldest may be, where they serve more than one team.
    """

    def __init__(self, as_of: datetime.datetime | None = None) -> None:
        self.as_of = as_of
        self._questions: dict[Hashable, _Question] = {}
        self._refused: set[Hashable] = set()
        self._lock = threading.Lock()

    @property
    def may_come(self) -> bool:
        """Whether a question has no answer although it may have one in a moment: AWS throttled it, or failed."""
        return bool(self._refused)

    @contextlib.contextmanager
    def awaiting(self, question: Hashable) -> Iterator[None]:
        """Note what becomes of a question that is asked within this block."""
        try:
            yield
        except Exception as error:
            if may_pass(error):
                self._refused.add(question)
            raise
        self._refused.discard(question)

    def once(self, question: Hashable, ask: Callable[[], _Answer]) -> _Answer:
        """The answer to ``question``, a copy that is the caller's own. Raises what ``ask`` raises."""
        with self._lock:
            asked = self._questions.setdefault(question, _Question())
        with asked.lock:
            if not asked.is_answered:
                try:
                    with self.awaiting(question):
                        asked.answer = ask()
                except ClientError as error:
                    if not is_absent(error):
                        raise
                    asked.absent = error
                asked.is_answered = True
        if asked.absent:
            raise type(asked.absent)(asked.absent.response, asked.absent.operation_name)
        answer: _Answer = copy.deepcopy(asked.answer)
        return answer

    def keep(self, question: Hashable, answer: Any) -> None:
        """Keep what is known to be the answer, unless the question has been asked already."""
        with self._lock:
            self._questions.setdefault(question, _Question(is_answered=True, answer=answer))

    def forget(self, question: Hashable) -> None:
        """Ask again next time: what was the answer is being changed."""
        with self._lock:
            self._questions.pop(question, None)


def question_of(place: tuple[str, ...], name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Hashable:
    """What distinguishes a question: of whom it is asked, the call, and with what."""
    return (*place, name, json.dumps([arguments, named], sort_keys=True, default=str))


class Remembering:
    """A client whose ``reads`` are asked once; everything else of it is as it was."""

    def __init__(self, client: Any, answers: Answers, place: tuple[str, ...], reads: Collection[str]) -> None:
        self._client, self._answers, self._place, self._reads = client, answers, place, reads

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return self._asked_once(name, method) if name in self._reads else method

    def get_paginator(self, operation: str) -> "_Pages":
        """As of a client of AWS: its pages are read whole, so that they are for everybody."""
        pages = self._client.get_paginator(operation)
        return _Pages(self._asked_once(PAGES_OF + operation, lambda **asked: [*pages.paginate(**asked)]))

    def _asked_once(self, name: str, ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any, **named: Any) -> Any:
            question = question_of(self._place, name, arguments, named)
            return self._answers.once(question, lambda: ask(*arguments, **named))

        return asked


@dataclass(frozen=True, slots=True)
class _Pages:
    paginate: Callable[..., list[dict[str, Any]]]

"""What CEL expressions of admission policies may cost: the budget that Kubernetes gives them.

The limits are those of ``k8s.io/apiserver/pkg/apis/cel``. The API server counts what an evaluation really costs; here
an expression costs as much as it could with the largest collection and the longest text that it is given, which is
never less. An expression that is refused here might still be cheap enough for a real server.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

PER_EXPRESSION = 1_000_000
PER_BINDING = 10_000_000
FOR_MATCH_CONDITIONS = 2_500_000  # of one binding

_LOOPS = ("all", "exists", "exists_one", "map", "filter")
_OF_TEXT = ("contains", "endsWith", "matches", "startsWith")
_TEXT_FACTOR = 0.1  # a character that is looked at, of what a step costs
_REGEX_FACTOR = 0.25  # a character of a pattern, for each of those
_WORD = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[A-Za-z_]\w*|\d+(?:\.\d+)?|[()]|[^\s\w()'"]+""")


class Budget:
    """What is left for the expressions of one binding."""

    def __init__(self, total: int) -> None:
        self._left = total

    def spend(self, expression: str, facts: Mapping[str, Any]) -> None:
        """Raise RuntimeError, in the API server's words, for an expression that is too expensive, or one too many."""
        cost = bound(expression, facts)
        if cost > PER_EXPRESSION:
            raise RuntimeError("operation cancelled: actual cost limit exceeded")
        self._left -= cost
        if self._left < 0:
            raise RuntimeError(
                "validation failed due to running out of cost budget, no further validation rules will be run"
            )


def bound(expression: str, facts: Mapping[str, Any]) -> int:
    """The most that an evaluation can cost, in Kubernetes' units: about one for each step."""
    used = {name: value for name, value in facts.items() if name in expression}
    if "managedFields" not in expression:
        used = {name: _without_managed_fields(value) for name, value in used.items()}
    largest, longest = 1, 1
    for size, length in _sizes(used):
        largest, longest = max(largest, size), max(longest, length)
    largest = max(largest, expression.count(",") + 1)  # the expression has lists of its own
    text = longest * _TEXT_FACTOR
    return sum(
        int(largest**depth * (1 + looks * text * max(1, len(expression) * _REGEX_FACTOR if regex else 1)))
        for depth, looks, regex in _steps(expression)
    )


@cache
def _steps(expression: str) -> tuple[tuple[int, bool, bool], ...]:
    """For each step: in how many loops it is, whether it looks at text, and whether by a pattern."""
    steps, loops, before = [], [False], ""  # loops: for each open parenthesis, whether it is a loop's
    for word in _WORD.findall(expression):
        if word == "(":
            loops.append(before in _LOOPS)
        elif word == ")":
            loops.pop()
        else:
            steps.append((sum(loops), word in _OF_TEXT, word == "matches"))
        before = word
    return tuple(steps)


def _without_managed_fields(value: Any) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
        return value
    metadata = {name: one for name, one in value["metadata"].items() if name != "managedFields"}
    return {**value, "metadata": metadata}


def _sizes(value: Any) -> Iterator[tuple[int, int]]:
    """How many members each collection has, and how many characters each text."""
    if isinstance(value, str):
        yield 1, len(value)
    elif isinstance(value, dict | list):
        yield len(value), 1
        for key in value if isinstance(value, dict) else ():
            yield 1, len(key)
        for member in value.values() if isinstance(value, dict) else value:
            yield from _sizes(member)

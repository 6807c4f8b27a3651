"""Whoever searches a page for what podshare has said finds it: pages quote messages and values as the code has them."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest
import yaml

from podshare.reconcile.notices import AccessRevoked
from tests.docs.events_schema import schema_of
from tests.docs.pages import OPERATIONS, ROOT, code

PLACE = "\0"  # of a value in a message
OF_OTHERS = {  # quoted, and not podshare's own words
    "with an explicit deny in a service control policy": "IAM",
    "violates PodSecurity": "Kubernetes",
    "in cluster …: … forbidden": "Kubernetes",
    "Unauthorized": "Kubernetes",
}
NO_MESSAGES = {"PendingDeletion", "report", "kubectl", "isolation: off"}  # values and names beside them


@cache
def messages() -> str:
    """All texts in the product's sources, one a line, with a sign in each place of a value."""
    sources = [path for folder in ("functions/podshare", "podshare_cli") for path in (ROOT / folder).rglob("*.py")]
    texts = [_text(node) for path in sources for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    cluster = yaml.safe_load_all((ROOT / "accounts/cluster-rbac.yaml").read_text(encoding="utf-8"))
    texts += [rule["message"] for each in cluster for rule in each.get("spec", {}).get("validations", ())]
    return "\n".join(" ".join(text.split()) for text in texts if " " in text)


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        parts = (part.value if isinstance(part, ast.Constant) else PLACE for part in node.values)
        return "".join(map(str, parts))
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def is_printed(message: str, texts: str) -> bool:
    """Whether a text has the fixed parts of a message in their order; one word of them after the first may be a value."""
    words = [(place, word) for place, part in enumerate(message.split("…")) for word in part.split()]
    for value in (None, *range(1, len(words) if len(words) > 2 else 0)):
        pattern, last = "", 0
        for number, (part, word) in enumerate(words):
            gap = "" if not number else ".*" if part != last else " "
            pattern += gap + (rf"\S*{PLACE}\S*" if number == value else re.escape(word))
            last = part
        if re.search(pattern, texts):
            return True
    return False


def quoted() -> Iterator[str]:
    """The messages in the first cells of the typical problems."""
    for row in OPERATIONS.table("Typical problems"):
        yield from (span for span in code(row[0]) if span not in NO_MESSAGES | OF_OTHERS.keys())


@pytest.mark.parametrize("message", quoted())
def test_a_quoted_message_is_one_that_podshare_prints(message: str) -> None:
    """The fixed parts of each message among the typical problems are in one text of the sources."""
    assert is_printed(message, messages())


def test_quoted_messages_differ() -> None:
    """Whoever finds a message finds the one row that is about it."""
    spans = [*quoted()]
    assert sorted(spans) == sorted({*spans})


def test_messages_in_running_text_are_those_that_podshare_prints() -> None:
    """A message with left-out values, anywhere else on the page, is quoted as it is printed."""
    spans = {
        span for span in OPERATIONS.spans if "…" in span and " " in span and not span.startswith(("podshare ", "arn:"))
    }
    assert {span for span in spans - OF_OTHERS.keys() if not is_printed(span, messages())} == set()


@pytest.mark.parametrize(
    ("message", "text", "is_found"),
    [
        ("account … has no role …", f"account {PLACE} has no role {PLACE}", True),
        ("account … is SUSPENDED: nobody", f"account {PLACE} is {PLACE}: nobody", True),
        ("account … is SUSPENDED: somebody", f"account {PLACE} is {PLACE}: nobody", False),
        ("is orphaned", f"{PLACE} {PLACE}", False),
        ("has no role … account", f"account {PLACE} has no role", False),
        ("is Disabled", f"is {PLACE}", False),
    ],
)
def test_a_message_that_nobody_prints_is_noticed(message: str, text: str, is_found: bool) -> None:
    """Every fixed word counts, in its order, and one alone may be a value."""
    assert is_printed(message, text) == is_found


# ---- triggers --------------------------------------------------------------------------------------------------


def written_events() -> set[str]:
    """The events of triggers that the sources write: in the trigger itself, or for it to be made of."""
    sources = [path for folder in ("functions/podshare", "podshare_cli") for path in (ROOT / folder).rglob("*.py")]
    nodes = (node for path in sources for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return {event.value for event in map(_event, nodes) if isinstance(event, ast.Constant)}


def _event(node: ast.AST) -> ast.expr | None:
    """The event of a trigger, if the node writes one."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "trigger_of":
        return node.args[1]
    if not isinstance(node, ast.Dict):
        return None
    fields = {
        key.value: value for key, value in zip(node.keys, node.values, strict=True) if isinstance(key, ast.Constant)
    }
    is_trigger = {"record", "change"} <= fields.keys() and {"by", "at"} & fields.keys()
    return fields.get("event") if is_trigger else None


def test_events_of_triggers_are_those_that_are_written() -> None:
    """The schema of podshare's events and the page name each event that starts a run, as the code writes it."""
    described = schema_of(AccessRevoked)["properties"]["trigger"]["description"]
    (answer,) = (
        row[1] for row in OPERATIONS.table("Reading an execution as an audit") if row[0].startswith("Who requested it")
    )
    on_the_page = code(answer.partition("`event` (")[2].partition(")")[0])

    assert "registry" in written_events()
    assert {*code(described)} == written_events()
    assert {*on_the_page} == written_events()

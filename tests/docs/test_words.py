"""Private words may not come back: pages, messages, docstrings and names use the terms of the glossary.

A private word is one that a reader has to learn here although the field has a term for it. To use a new term, define it
in ``docs/concepts.md``; to retire a word, add it with its replacement.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import PAGES, ROOT, Page

CONCEPTS = Page(ROOT / "docs/concepts.md")
PRIVATE = {  # what may not be written: what to write instead
    r"common ground": "intersection",
    r"narrow(s|ed|ing|ings)": "restrict",
    r"obstacles?": "blocker",
    r"(is|are|stands?) in (the|its) way": "blocks",
    r"left behind": "orphaned",
    r"parked": "gave up waiting",
    r"set aside": "dead-lettered",
    r"mend(s|ed|ing)?": "fix, repair",
    r"anew": "again",
    r"afresh": "again",
    r"tells?|told": "report, show, say",
    r"look(s|ed|ing)? (at|again)": "check, read",
    r"end(s|ed)? badly": "fail",
    r"teams? concerned|concern(s|ed|ing)?": "affect",
    r"things?": "resource",
    r"(takes?|taken|taking|took) (\w+ )?away": "revoke, delete",
    r"for want of": "because it lacks",
    r"survey(s|ed)?": "observe",
    r"wish(es)?": "what a team wants on a cluster",
    r"goals?": "target state",
    r"leads? nowhere": "unresolved",
    r"come to (its|their) end": "finish, complete",
    r"stands? (in|beside|with|below|there)": "is in, is next to",
    r"(then|first) is \w+ed": "subject before verb",
    r"waits for \w+ \w+( \w+)? since": "has been waiting since",
    r"the proof fails": "unexpected access",
}
PRIVATE_IN_NAMES = {  # what no name may have as a word: what to write instead
    r"reach": "effective_access",
    r"proofs?|prove|prover|proving": "access_report",
    r"excess": "unexpected_access",
    r"outlines?": "summary",
    r"widen(s|ed|ing)?": "drift",
    r"concern(s|ed|ing)?": "affected",
    r"terms?": "expirations",
    r"doubt(s|ed|ful)?|believed": "settling",
    r"survey(s|ed)?": "observe",
    r"obstacles?": "blocker",
    r"goals?": "target_state",
    r"wish(es)?": "team_on_cluster",
    r"cut|common": "revoke, intersection",
    r"narrow(s|ed|er|ing)?": "restrict",
    r"lanes?|waves?": "chain, batch",
    r"remains": "cleanup, orphaned",
    r"tells?": "report",
    r"look(s|ed|ing)?": "read, check, poll",
    r"parked": "gave_up",
    r"placed|closed|vacat(e|ing)": "located, suspended, draining",
    r"things": "resources",
    r"anew|mend(s|ed)?|afresh": "again, fix",
}
_PRIVATE_IN_NAMES = re.compile("|".join(PRIVATE_IN_NAMES))
EXEMPT = {  # a name that is stored or sent, or is another's
    "REMAINS": "a stage's name is in plans",
    "CLOSED": "a state of an AWS account",
    "closed_by": "a field of a door in access reports",
    "vacating": "a field of what differs in plans",
    "vacate": "writes the attribute vacating_since",
    "is_vacating": "reads the attribute vacating_since",
}
VAGUE = {"found", "one", "told", "what", "there", "given", "thing", "work"}
MOST_VAGUE = {  # per room, how many names still do not say what they hold: lower it, never raise it
    "functions/podshare/access": 6,
    "functions/podshare/kinds": 2,
    "functions/podshare/reconcile": 3,  # two of them are fields of events that others match
    "functions/podshare/registry": 2,
    "podshare_cli": 14,  # most are fields that JSON has by these names
}
_PRIVATE = re.compile(rf"\b({'|'.join(f'(?:{word})' for word in PRIVATE)})\b", re.IGNORECASE)
_QUOTED = re.compile(r"``[^`]*``|`[^`\n]+`|\]\([^)]*\)|\"[^\"\n]*\"")  # names, links and titles of others
# what was decided and what has changed is not rewritten
_HISTORY = [page.path for page in PAGES if page.path.parent.name == "decisions" or page.path.name == "CHANGELOG.md"]
SOURCES = sorted([*(ROOT / "functions/podshare").rglob("*.py"), *(ROOT / "podshare_cli").rglob("*.py")])
TEMPLATES = [
    ROOT / "template.yaml",
    *(ROOT / f"accounts/{name}.yaml" for name in ("cluster", "drift", "management", "member")),
]


def private_words(text: str) -> list[str]:
    """The private words of a text, each with what to write instead; what is quoted is not the text's own."""
    return [f"{match[0]}: {_instead(match[0])}" for match in _PRIVATE.finditer(_QUOTED.sub("", text))]


def _instead(private: str, terms: Mapping[str, str] = PRIVATE) -> str:
    return next(term for word, term in terms.items() if re.fullmatch(word, private, re.IGNORECASE))


@cache
def _strings(source: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A module's docstrings, and the texts among its other strings: those with a space."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    parents = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    docstrings = {id(node.body[0].value): ast.get_docstring(node) or "" for node in parents if _documented(node)}
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    messages = (str(text.value) for text in texts if id(text) not in docstrings)
    return tuple(docstrings.values()), tuple(message for message in messages if " " in message.strip())


def _documented(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> bool:
    return ast.get_docstring(node) is not None


@cache
def _names(source: Path) -> tuple[str, ...]:
    """What a module names, and how often: itself, classes, functions, arguments, variables, attributes and fields."""
    names = [source.stem]
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                names.append(node.name)
            case ast.arg():
                names.append(node.arg)
            case ast.Name(ctx=ast.Store()):
                names.append(node.id)
            case ast.Attribute(ctx=ast.Store()):
                names.append(node.attr)
            case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar() if node.name:
                names.append(node.name)
    return tuple(names)


def _words(name: str) -> list[str]:
    """The words of a name, in either spelling."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().strip("_").split("_")


def private_names(names: Iterable[str]) -> list[str]:
    """Those of the names that have a private word, each with what to write instead."""
    found = ((name, word) for name in names for word in _words(name) if _PRIVATE_IN_NAMES.fullmatch(word))
    return sorted({f"{name}: {_instead(word, PRIVATE_IN_NAMES)}" for name, word in found if name not in EXEMPT})


def _room(source: Path) -> str:
    """The folder of the product in which a module is; the command is one."""
    *folders, _ = source.relative_to(ROOT).parts
    return "/".join(folders[:1] if folders[0] == "podshare_cli" else folders[:3])


def _descriptions(template: object) -> Iterator[str]:
    """The descriptions in a template: of parameters, alarms, roles and outputs."""
    if isinstance(template, dict):
        for key, value in template.items():
            if key in ("Description", "AlarmDescription", "ConstraintDescription") and isinstance(value, str):
                yield value
            yield from _descriptions(value)
    elif isinstance(template, list):
        for value in template:
            yield from _descriptions(value)


@pytest.mark.parametrize("page", [page for page in PAGES if page.path not in _HISTORY], ids=str)
def test_pages_have_no_private_words(page: Page) -> None:
    """Every page can be read by an engineer of the field who has never seen the project."""
    assert private_words(page.prose) == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_messages_and_docstrings_have_no_private_words(source: Path) -> None:
    """What a person reads of podshare says it in the terms of the field, and so does what explains the code."""
    docstrings, messages = _strings(source)
    assert private_words("\n".join((*docstrings, *messages))) == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_have_no_private_words(source: Path) -> None:
    """What the code calls something is what the glossary calls it."""
    assert private_names(_names(source)) == []


def test_every_exempt_name_is_used() -> None:
    """A name that is gone needs no exemption."""
    assert EXEMPT.keys() - {name for source in SOURCES for name in _names(source)} == set()


@pytest.mark.parametrize("room", sorted({_room(source) for source in SOURCES}))
def test_names_say_what_they_hold(room: str) -> None:
    """Of names such as ``found`` and ``one`` there are only ever fewer: a value has a name of its own."""
    names = Counter(name for source in SOURCES if _room(source) == room for name in _names(source))
    vague = sum(count for name, count in names.items() if name.strip("_").lower() in VAGUE)
    most = MOST_VAGUE.get(room, 0)
    assert vague <= most, f"{room}: {vague} names such as found, one or what, {most} allowed: name what they hold"
    assert vague == most, f"{room}: lower MOST_VAGUE to {vague}"


@pytest.mark.parametrize(
    ("name", "noticed"),
    [
        ("_reach_of", ["_reach_of: effective_access"]),
        ("WideLane", ["WideLane: chain, batch"]),
        ("reaches_all", []),
        ("vacating", []),
    ],
)
def test_a_private_word_in_a_name_is_noticed(name: str, noticed: list[str]) -> None:
    """Each word of a name counts, in either spelling, and what is stored or sent does not."""
    assert private_names([name]) == noticed


def _uncounted(source: Path) -> Iterator[str]:
    """Lengths and sums before a noun that stays plural for one of it; "3 of 4 changes" does so rightly, and "1,024 tags"."""
    for text in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        parts = text.values if isinstance(text, ast.JoinedStr) else []
        for before, number, after in zip([None, *parts], parts, parts[1:], strict=False):
            code = ast.unparse(number.value) if isinstance(number, ast.FormattedValue) else ""
            noun = re.match(r" [a-z]+s\b", str(after.value)) if isinstance(after, ast.Constant) else None
            is_part = isinstance(before, ast.Constant) and str(before.value).endswith(" of ")
            is_great = isinstance(number, ast.FormattedValue) and number.format_spec
            if noun and code.startswith(("len(", "sum(")) and not is_part and not is_great:
                yield f"{code}{noun[0]}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_count_agrees_with_its_noun(source: Path) -> None:
    """One of something is no plural: `counted` writes a number with its noun."""
    assert [*_uncounted(source)] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_descriptions_in_templates_have_no_private_words(template: Path) -> None:
    """An alarm wakes somebody up who reads its description and nothing else."""

    class Loader(yaml.SafeLoader):
        """Reads CloudFormation's short forms as nothing: no description has one."""

    Loader.add_multi_constructor("!", lambda *_: None)
    found = yaml.load(template.read_text(encoding="utf-8"), Loader)  # noqa: S506  # a SafeLoader
    assert private_words("\n".join(_descriptions(found))) == []


def test_terms_in_headings_are_in_the_glossary() -> None:
    """A term of podshare's own that names a section of a page is defined where all terms are."""
    terms = {row[0] for row in CONCEPTS.table("Glossary")}
    own = {  # headings that are a term, as the glossary spells it
        "Access reports": "access report",
        "Blast-radius limit": "blast-radius limit",
        "Dead-letter queues": "dead-letter queue",
        "Doors": "door",
        "Drift": "drift",
        "Expirations": "expiration",
        "Isolation": "isolation rules",
        "Orphaned resources": "orphaned",
        "Placeholders": "placeholder",
        "Reserved team names": "reserved team name",
        "Revocation": "revoke, restrict",
        "Selectors": "selector",
        "The sweep": "sweep",
        "Unexpected access": "unexpected access",
    }
    headings = {heading for page in PAGES for heading in re.findall(r"^#+ (.+)$", page.prose, re.MULTILINE)}
    assert own.keys() <= headings
    assert {term for term in own.values() if term not in terms} == set()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Then it is mended.", ["mended: fix, repair"]),
        ("`told` is a name, and [this](told.md) a link.", []),
        ("What stands in its way is told.", ["stands in its way: blocks", "told: report, show, say"]),
        ("It is reported and fixed.", []),
        ("A narrower permission", []),
    ],
)
def test_a_private_word_is_noticed(text: str, words: list[str]) -> None:
    """A word counts where it is the text's own, whole, in any case."""
    assert private_words(text) == words

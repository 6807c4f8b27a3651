"""Placeholders in an enrollment's team: ``${account.id}``, ``${account.name}`` and ``${account.tags.KEY}``."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from podshare.registry.accounts import Account

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
FIGURES = re.compile(r"account\.tags\.[\w .:/=+\-@]{1,128}")
DISPLAY = re.compile(rf"account\.(id|name)|{FIGURES.pattern}")


class MissingTag(Exception):  # noqa: N818  # named for what it is
    """An account lacks a tag that a template needs."""


def refuse_unknown(value: Any, known: re.Pattern[str], *, alone: bool = False) -> None:
    """Raise ValueError for a placeholder that is not ``known``, is none, or does not stand ``alone`` as it must."""
    for text in _texts(value):
        if alone and "${" in text and not _PLACEHOLDER.fullmatch(text):
            raise ValueError(f"{text}: a placeholder must be the whole value here")
        for name in _PLACEHOLDER.findall(text):
            if not known.fullmatch(name):
                raise ValueError(f"${{{name}}} is not allowed here")
        if "${" in _PLACEHOLDER.sub("", text):
            raise ValueError("a placeholder lacks its closing '}'")


def rendered(value: Any, fact: Callable[[str], str]) -> Any:
    """``value`` with each placeholder replaced by the fact of its name."""
    match value:
        case str():
            return _PLACEHOLDER.sub(lambda match: fact(match[1]), value)
        case Mapping():
            return {name: rendered(item, fact) for name, item in value.items()}
        case list() | tuple():
            return [rendered(item, fact) for item in value]
        case _:
            return value


def facts_of(account: Account) -> Callable[[str], str]:
    """What placeholders stand for in an account's own team. The function raises MissingTag.

    A name is for display alone, so that characters which tags refuse are replaced rather than refused.
    """

    def fact(name: str) -> str:
        if name == "account.id":
            return account.id
        if name == "account.name":
            return re.sub(r"[^\w .:/=+\-@]", "_", account.name)[:100]
        key = name.removeprefix("account.tags.")
        if key not in account.tags:
            raise MissingTag(f'account {account.id} has no tag "{key}"')
        return account.tags[key]

    return fact


def _texts(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case Mapping():
            return [text for item in value.values() for text in _texts(item)]
        case list() | tuple():
            return [text for item in value for text in _texts(item)]
        case _:
            return []

"""How a symbol of moto is replaced: once, and only while it is there."""

from collections.abc import Callable
from typing import Any

_made: set[tuple[Any, str, Any]] = set()


def repair(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace ``owner.name`` (of a class or a module) by ``make(original)``; the second time does nothing.

    Raises RuntimeError where moto no longer has the symbol, since the repair then needs another look.
    """
    if (owner, name, make) in _made:
        return
    original = getattr(owner, name, None)
    if original is None:
        raise RuntimeError(f"moto's {owner.__name__}.{name} is gone: {make.__module__} repairs nothing")
    setattr(owner, name, make(original))
    _made.add((owner, name, make))

"""How a symbol of moto is replaced: only while it is there, so that an upgrade shows what needs another look."""

from collections.abc import Callable
from typing import Any

_made: set[tuple[Any, str, Any]] = set()


def replace(owner: Any, name: str, replacement: Any) -> Any:
    """Put ``replacement`` in the place of ``owner.name`` (of a class or a module); returns what was there.

    Raises RuntimeError where moto no longer has the symbol, since the repair then needs another look.
    """
    if not hasattr(owner, name):
        raise RuntimeError(f"moto's {owner.__name__}.{name} is gone: mend this repair")
    stock = getattr(owner, name)
    setattr(owner, name, replacement)
    return stock


def repair(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace ``owner.name`` by ``make(original)``; the second time does nothing. Errors as in ``replace``."""
    if (owner, name, make) not in _made:
        replace(owner, name, make(getattr(owner, name, None)))
        _made.add((owner, name, make))

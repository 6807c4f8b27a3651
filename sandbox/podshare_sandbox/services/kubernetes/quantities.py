"""Quantities of resources: ``500m``, ``8``, ``16Gi`` (Kubernetes API reference, "Quantity")."""

import re
from fractions import Fraction

_BINARY = {f"{letter}i": 1024**power for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1)}
_SUFFIXES = {
    **_BINARY,
    **_DECIMAL,
    **{letter: 1000**power for power, letter in enumerate("kMGTPE", start=1)},
}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([a-zA-Z]{0,2}))")


def parse(written: str | float) -> Fraction:
    """The amount in units of one. Raises ValueError for what is no quantity."""
    found = _QUANTITY.fullmatch(str(written))
    if found is None or (found[3] or "") not in _SUFFIXES:
        raise ValueError(f"{written!r} is no quantity")
    number, exponent, suffix = found.groups()
    return Fraction(f"{number}{exponent or ''}") * Fraction(_SUFFIXES[suffix or ""])


def written(amount: Fraction, resource: str) -> str:
    """The canonical form: whole units or thousandths of them, and binary units for memory."""
    if amount.denominator != 1:
        return f"{-(-amount * 1000 // 1)}m"
    if resource == "memory":
        for suffix, size in reversed(_BINARY.items()):
            if amount and amount % size == 0:
                return f"{amount // size}{suffix}"
    return str(amount)

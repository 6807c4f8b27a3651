"""Quantities of Kubernetes (Kubernetes API reference, Quantity)."""

import re
from fractions import Fraction

# exponents of three digits are more than any quantity has, and no number is too long to compute
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE]([+-]?[0-9]{1,3})|([A-Za-z]*))", re.ASCII)
_SUFFIXES = {"": Fraction(1), "m": Fraction(1, 10**3), "u": Fraction(1, 10**6), "n": Fraction(1, 10**9)}
_SUFFIXES |= {suffix: Fraction(1000**power) for power, suffix in enumerate("kMGTPE", 1)}
_SUFFIXES |= {f"{suffix}i": Fraction(1024**power) for power, suffix in enumerate("KMGTPE", 1)}


def quantity(text: object) -> Fraction:
    """A quantity as a number, such as ``8``, ``1500m`` or ``1e3``. Raises ValueError for anything else."""
    match = _QUANTITY.fullmatch(str(text))
    if not match or (match[3] or "") not in _SUFFIXES:
        raise ValueError(f"{text} is no quantity")
    number, exponent, suffix = match.groups()
    return Fraction(number) * (Fraction(10) ** int(exponent) if exponent else _SUFFIXES[suffix])

"""Quantities of Kubernetes."""

from fractions import Fraction

import pytest

from podshare_cli.aws.quantities import quantity
from podshare_cli.commands.connect.job import requests


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("8", 8),
        (8, 8),
        ("+.5", Fraction(1, 2)),
        ("1.", 1),
        ("1500m", Fraction(3, 2)),
        ("250u", Fraction(1, 4000)),
        ("5n", Fraction(5, 10**9)),
        ("1k", 1000),
        ("2Gi", 2 * 1024**3),
        ("1Ti", 1024**4),
        ("2P", 2 * 10**15),
        ("3E", 3 * 10**18),
        ("3Ei", 3 * 1024**6),
        ("1e3", 1000),
        ("12E-1", Fraction(6, 5)),
    ],
)
def test_quantities_are_read(text: object, amount: int | Fraction) -> None:
    """As Kubernetes writes them, with each of its suffixes and with exponents (Kubernetes API reference, Quantity)."""
    assert quantity(text) == amount


@pytest.mark.parametrize("text", ["", "apples", "8 apples", "1K", "1mi", "1e", "1e9999", ".", None])
def test_what_is_no_quantity_is_refused(text: object) -> None:
    """Nothing else is taken for a number, nor for nothing."""
    with pytest.raises(ValueError, match="no quantity"):
        quantity(text)


def test_a_first_job_asks_within_a_guarantee_of_any_suffix() -> None:
    """What a ClusterQueue guarantees in petabytes is room for a small job too."""
    flavor = {"resources": [{"name": "memory", "nominalQuota": "2P"}, {"name": "cpu", "nominalQuota": "1e1"}]}
    assert requests({"spec": {"resourceGroups": [{"flavors": [flavor]}]}}) == {"cpu": "1", "memory": "1Gi"}

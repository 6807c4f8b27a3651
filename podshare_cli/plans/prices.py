"""What guaranteed instances cost an hour, from a file of the admin's: AWS publishes no prices without an account."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from podshare_cli.failures import invalid

Prices = Mapping[str, float]  # of an instance-hour, by instance type, in whatever currency


def read_prices(file: Path) -> Prices:
    """The prices in a YAML file, such as ``ml.p5.48xlarge: 98.32``. Raises Failure (exit code 64) for anything else."""
    try:
        prices = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise invalid(f"{file} cannot be read: {error}") from None
    if not isinstance(prices, dict) or not all(_is_price(price) for price in prices.values()):
        raise invalid(f"{file} is no list of prices.", "Write one line for each instance type: ml.p5.48xlarge: 98.32")
    return {str(instance_type): float(price) for instance_type, price in prices.items()}


def hourly(prices: Prices, row: Mapping[str, Any]) -> tuple[float, float] | None:
    """What a changed quota line costs an hour before and after; None for parts of instances, and without a price."""
    amounts = [row["before"] or {"count": 0}, row["after"] or {"count": 0}]
    if row["instance_type"] not in prices or not all("count" in amount for amount in amounts):
        return None
    before, after = (prices[row["instance_type"]] * int(amount["count"]) for amount in amounts)
    return before, after


def _is_price(price: object) -> bool:
    return isinstance(price, int | float) and not isinstance(price, bool) and math.isfinite(price) and price >= 0

"""A plan says what changed quotas cost, where the admin gives prices."""

from pathlib import Path
from typing import Any

import pytest

from podshare_cli.application import main
from podshare_cli.plans.prices import read_prices
from podshare_cli.plans.record_plan import RecordPlan
from podshare_cli.views.plan import View

INSTALLATION = {"account": "111111111111", "region": "us-west-2", "prefix": "podshare"}
PRICES = {"ml.p5.48xlarge": 98.5}


def quota_lines(*rows: dict[str, Any]) -> list[str]:
    """What the section on quotas says of a plan that changes these lines."""
    plan = {"team": "vision", "count": 0, "obstacles": [], "quotas": [{"cluster": "main", **row} for row in rows]}
    sections = View(RecordPlan(INSTALLATION, teams={"vision": plan}), prices=PRICES).summary()
    return [line.text for section in sections if section.title == "Quota" for line in section.lines]


def test_whole_instances_cost_what_the_file_says() -> None:
    """Before and after, each line and their sum; a line that is new, or gone, costs nothing on the other side."""
    more = {"instance_type": "ml.p5.48xlarge", "before": {"count": 2}, "after": {"count": 4}}
    gone = {"instance_type": "ml.p5.48xlarge", "before": {"count": 1}, "after": None}
    assert [line.partition(" (")[2] or line for line in quota_lines(more, gone)] == [
        "197.00 → 394.00 an hour)",
        "98.50 → 0.00 an hour)",
        "whole instances that are guaranteed: 295.50 → 394.00 an hour",
    ]


@pytest.mark.parametrize(
    "row",
    [
        {"instance_type": "ml.g5.12xlarge", "before": None, "after": {"count": 1}},
        {"instance_type": "ml.p5.48xlarge", "before": {"count": 1}, "after": {"accelerators": 4}},
    ],
    ids=["no price", "parts"],
)
def test_what_has_no_price_is_not_guessed(row: dict[str, Any]) -> None:
    """A type without a price, and parts of instances, are shown without one, and without a sum."""
    (line,) = quota_lines(row)
    assert "hour" not in line


@pytest.mark.parametrize("text", ["- 1", "ml.p5: much", "ml.p5: -1", "ml.p5: .inf", "ml.p5: true", "a: [", ""])
def test_a_file_that_has_no_prices_is_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before AWS is asked for anything, with the file's name."""
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    assert main(["plan", "--prices", str(file)]) == 64
    assert "prices.yaml" in capsys.readouterr().err


def test_prices_are_read_by_instance_type(tmp_path: Path) -> None:
    """Whole numbers and fractions, in whatever currency."""
    file = tmp_path / "prices.yaml"
    file.write_text("ml.p5.48xlarge: 98.5\nml.g5.12xlarge: 7\n")
    assert read_prices(file) == {"ml.p5.48xlarge": 98.5, "ml.g5.12xlarge": 7.0}

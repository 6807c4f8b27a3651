"""Quota-hours as a report: for machines, as CSV, and for people."""

import csv
import datetime
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from rich.console import RenderableType
from rich.markup import escape

from podshare_cli.history.quota_hours import ACCOUNT, INSTANCES, Hours, Span
from podshare_cli.output import ListTable, stacked
from podshare_cli.plans.prices import Prices

Report = Mapping[str, Any]


def report(
    sums: Hours,
    spans: Iterable[Span],
    by: str,
    period: tuple[datetime.datetime, datetime.datetime],
    prices: Prices,
) -> Report:
    """The hours with what they cost, their totals, and of which teams the history does not say what they had."""
    since, until = (moment.isoformat(timespec="seconds") for moment in period)
    rows = [
        {
            **{by: who, "cluster": cluster, "instance_type": instance_type, "unit": unit, "hours": float(amount)},
            **{"cost": _cost(prices, instance_type, unit, amount), "estimated": by == ACCOUNT},
        }
        for (who, cluster, instance_type, unit), amount in sorted(sums.items())
    ]
    totals: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for (_, _, instance_type, unit), amount in sums.items():
        totals[instance_type, unit] += amount
    total_rows = [
        {
            **{"instance_type": instance_type, "unit": unit, "hours": float(amount)},
            "cost": _cost(prices, instance_type, unit, amount),
        }
        for (instance_type, unit), amount in sorted(totals.items())
    ]
    unknown = [
        {
            **{"team": span.team, "cluster": span.cluster},
            "since": span.since.isoformat(timespec="seconds"),
            "until": span.until.isoformat(timespec="seconds"),
        }
        for span in spans
        if span.lines is None
    ]
    return {"since": since, "until": until, "by": by, "rows": rows, "totals": total_rows, "unknown": unknown}


def _cost(prices: Prices, instance_type: str, unit: str, amount: Fraction) -> float | None:
    """What instance-hours cost; None for parts of instances, and without a price."""
    if unit != INSTANCES or instance_type not in prices:
        return None
    return round(float(amount * Fraction(str(prices[instance_type]))), 2)


def csv_text(made: Report) -> str:
    """The rows as CSV, with the period in each; a ``'`` keeps a spreadsheet from taking a name for a formula."""
    fields = ["since", "until", made["by"], *("cluster", "instance_type", "unit", "hours", "cost", "estimated")]
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    for row in made["rows"]:
        values = {**row, "since": made["since"], "until": made["until"], "estimated": str(row["estimated"]).lower()}
        writer.writerow({name: _cell(value) for name, value in values.items()})
    return text.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def table(made: Report) -> RenderableType:
    """The rows, the totals by instance type, and what is unknown."""
    by = made["by"]
    priced = any(row["cost"] is not None for row in made["rows"])
    estimated = ", estimated: equal shares of the accounts with access" if by == ACCOUNT else ""
    parts: list[RenderableType] = [f"[bold]Guaranteed[/] {made['since']} to {made['until']}[dim]{estimated}[/]"]
    shown = ListTable(by, "cluster", "instance type", "hours", "of", *(["cost"] if priced else []))
    for row in made["rows"]:
        shown.add_row(escape(row[by] or "no account"), escape(row["cluster"]), *_figures(row, priced=priced))
    for row in made["totals"]:
        shown.add_row("[bold]total[/]", "", *_figures(row, priced=priced))
    parts.append(shown if made["rows"] else "Nothing was guaranteed, as far as the history goes.")
    for gap in made["unknown"]:
        where = f" on {escape(gap['cluster'])}" if gap["cluster"] else ""
        parts.append(
            f"[yellow]? unknown[/] {escape(gap['team'])}{where}, {gap['since']} to {gap['until']}: not counted"
        )
    return stacked(parts)


def _figures(row: Mapping[str, Any], *, priced: bool) -> list[str]:
    cost = "[dim]-[/]" if row["cost"] is None else f"{row['cost']:,.2f}"
    figures = [escape(row["instance_type"]), f"{row['hours']:,.2f}", escape(row["unit"])]
    return [*figures, *([cost] if priced else [])]

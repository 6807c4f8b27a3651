"""Quota-hours and used hours as a report: for machines, as CSV, and for people."""

import csv
import datetime
import io
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from rich.console import RenderableType
from rich.markup import escape

from podshare_cli.history.cluster_work import Measured
from podshare_cli.history.quota_hours import ACCOUNT, INSTANCES, MEMBER, Hours, Span
from podshare_cli.history.used_hours import ACCELERATORS, Used
from podshare_cli.output import ListTable, stacked
from podshare_cli.plans.prices import Prices

Report = Mapping[str, Any]
Period = tuple[datetime.datetime, datetime.datetime]
_NO_CONTENT = Used()


def report(
    sums: Hours,
    spans: Iterable[Span],
    by: str,
    period: Period,
    prices: Prices,
    *,
    measured: Measured | None = None,
) -> Report:
    """The hours with what they cost, their totals, and of which teams the history does not say what they had.

    With ``measured``, also what was used: None where the cluster was not read.
    """
    since, until = (moment.isoformat(timespec="seconds") for moment in period)
    counts = measured.accelerators if measured else {}

    def figures(amount: Fraction, was_used: Used | None, instance_type: str, unit: str) -> dict[str, Any]:
        cost = _cost(prices, counts, instance_type, unit, amount)
        shown = {"instance_type": instance_type, "unit": unit, "hours": float(amount), "cost": cost}
        if by == MEMBER:  # nothing is guaranteed to members
            shown |= {"hours": None, "cost": None}
        if measured is None:
            return shown
        return {
            **shown,
            **_used_figures(was_used),
            "used_cost": _cost(prices, counts, instance_type, unit, was_used.hours) if was_used else None,
        }

    known = measured.hours if measured else {}
    rows = []
    guaranteed_totals: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    used_totals: dict[tuple[str, str], Used] = {}
    for key in sorted({*sums, *known}):
        who, cluster, instance_type, unit = key
        amount, was_used = sums.get(key, Fraction()), known.get(key)
        if was_used is None and measured and cluster in measured.clusters:
            was_used = _NO_CONTENT
        guaranteed_totals[instance_type, unit] += amount
        if was_used:
            used_totals[instance_type, unit] = used_totals.get((instance_type, unit), _NO_CONTENT) + was_used
        named = {by: who, "cluster": cluster}
        rows.append({**named, **figures(amount, was_used, instance_type, unit), "estimated": by == ACCOUNT})
    totals = [figures(amount, used_totals.get(key), *key) for key, amount in sorted(guaranteed_totals.items())]
    unknown = [
        {
            **{"team": span.team, "cluster": span.cluster},
            "since": span.since.isoformat(timespec="seconds"),
            "until": span.until.isoformat(timespec="seconds"),
        }
        for span in spans
        if span.lines is None
    ]
    shown = {"since": since, "until": until, "by": by, "rows": rows, "totals": totals, "unknown": unknown}
    return {**shown, "remarks": [*measured.remarks]} if measured else shown


def _used_figures(was_used: Used | None) -> dict[str, Any]:
    hours = (was_used.hours, was_used.borrowed, was_used.undetermined) if was_used else (None, None, None)
    figures = (None if each is None else float(each) for each in hours)
    return {**dict(zip(("used", "borrowed", "undetermined"), figures, strict=True)), "used_estimated": True}


def _cost(
    prices: Prices, accelerators: Mapping[str, int], instance_type: str, unit: str, amount: Fraction
) -> float | None:
    """What hours cost; None without a price, and for parts of instances unless it is known what part they are."""
    of_instance = {INSTANCES: 1, ACCELERATORS: accelerators.get(instance_type, 0)}.get(unit, 0)
    if instance_type not in prices or not of_instance:
        return None
    return round(float(amount * Fraction(str(prices[instance_type])) / of_instance), 2)


def csv_text(made: Report) -> str:
    """The rows as CSV, with the period in each; a ``'`` keeps a spreadsheet from taking a name for a formula."""
    fields = ["since", "until", made["by"], *("cluster", "instance_type", "unit", "hours", "cost", "estimated")]
    if "remarks" in made:
        fields += ["used", "borrowed", "undetermined", "used_cost", "used_estimated"]
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    for row in made["rows"]:
        values = {**row, "since": made["since"], "until": made["until"]}
        writer.writerow({name: _cell(value) for name, value in values.items()})
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def table(made: Report) -> RenderableType:
    """The rows, the totals by instance type, what is unknown, and what is to be known about what was used."""
    by, has_used = made["by"], "remarks" in made
    rows, totals = made["rows"], made["totals"]
    priced = [name for name in ("cost", "used_cost") if any(row.get(name) is not None for row in rows)]
    estimated = ", estimated: equal shares of the accounts with access" if by == ACCOUNT else ""
    heading = "Used" if by == MEMBER else "Guaranteed and used" if has_used else "Guaranteed"
    parts: list[RenderableType] = [f"[bold]{heading}[/] {made['since']} to {made['until']}[dim]{estimated}[/]"]
    columns = {"guaranteed" if has_used else "hours": "hours"} if by != MEMBER else {}
    columns |= {name: name for name in ("used", "borrowed") if has_used}
    columns |= {name: name for name in ("undetermined",) if any(row.get(name) for row in rows)}
    nobody = "unknown member" if by == MEMBER else f"no {by}"
    heads = (*columns, "of", *(name.replace("_", " ") for name in priced))
    shown = ListTable(by, "cluster", "instance type", *heads)
    for row in rows:
        shown.add_row(escape(row[by] or nobody), escape(row["cluster"]), *_figures(row, columns.values(), priced))
    for row in totals:
        shown.add_row("[bold]total[/]", "", *_figures(row, columns.values(), priced))
    nothing = "Nothing was guaranteed, as far as the history goes"
    nothing = "Nothing was used" if by == MEMBER else f"{nothing}{', or used' if has_used else ''}"
    parts.append(shown if rows else f"{nothing}.")
    return stacked([*parts, *remarks(made)])


def remarks(made: Report) -> Iterator[str]:
    """What is not counted, and what else is to be known about the rows, in markup."""
    for gap in made["unknown"]:
        where = f" on {escape(gap['cluster'])}" if gap["cluster"] else ""
        yield f"[yellow]? unknown[/] {escape(gap['team'])}{where}, {gap['since']} to {gap['until']}: not counted"
    yield from (f"[dim]{escape(remark)}[/]" for remark in made.get("remarks", ()))


def _figures(row: Mapping[str, Any], columns: Collection[str], priced: Collection[str]) -> list[str]:
    figures = {name: "[dim]-[/]" if row[name] is None else f"{row[name]:,.2f}" for name in (*columns, *priced)}
    hours, costs = ([figures[name] for name in names] for names in (columns, priced))
    return [escape(row["instance_type"] or "unknown type"), *hours, escape(row["unit"]), *costs]

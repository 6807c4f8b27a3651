"""Renders docs/benchmarks.md from what was measured last, and from the words in ``figures``."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from benchmarks import comparison, costs, figures, large_organization, rates, results
from benchmarks.counts import COUNTED
from benchmarks.figures import FIGURES, Figure
from benchmarks.life import PHASES
from benchmarks.results import Group, Results, Value
from podshare_cli.sandbox_deployment import PROJECT

PAGE = PROJECT / "docs" / "benchmarks.md"

_INTRODUCTION = """# Benchmarks

What podshare costs, in calls and in time, compared with budgets. `make bench` measures it in
[the sandbox](sandbox.md) and writes this page; nothing here was measured on AWS. Every figure is a count, or a ratio to
something measured next to it in the same run. A team has two members, one service account and one dataset.
`.venv/bin/python -m benchmarks --help` describes how to measure a part of it.

## Budgets

"Before" is the value in the last commit before the measurement.

| figure | value | budget | met | before |
|---|---|---|---|---|
"""
_PEERS = """## Peers

What a person would run instead, in the same sandbox: the steps of AWS's post as a boto3 script
(`benchmarks/peers/boto3_script.py`), as `aws` commands (`benchmarks/peers/aws_commands.sh`), and as a configuration for
Terraform (`benchmarks/peers/terraform/main.tf`). The first two make one call after the other, for one team after the
other, verify nothing and keep no record; with nothing to do they repeat their writes. Terraform has no compute quotas.
Members share one cluster access role, and the ServiceAccount is missing, as in the post.

Ratios are the peer's / podshare's: above 1, podshare makes fewer calls or is faster. With latencies, every answer
takes as long as `benchmarks/latencies.yaml` says (most of it assumed), waits included; without, waits are shortened to
2 % and the sandbox's own time dominates. podshare and Terraform work on all teams at once; the scripts take ten times
as long for ten teams.

"""
_COUNTED = {
    "reads": "reads in other accounts",
    "writes": "writes in other accounts",
    "sessions": "sessions (`sts:AssumeRole`)",
    "own": "podshare's own calls",
    "states": "states entered",
    "events": "history events",
    "event_bytes": "history bytes",
    "log_bytes": "log bytes",
}


def page() -> str:
    """The page for the results in the working tree."""
    return rendered(results.kept())


def rendered(measured: Results) -> str:
    """The page for some results."""
    rows = [_row(figure, value) for figure, value in _with_values(measured)]
    sections = [
        _INTRODUCTION + "".join(rows),
        _missed(measured),
        *(section(measured[name]) for name, section in _SECTIONS.items() if name in measured),
        *([_costs(measured)] if figures.COUNTS in measured else []),
        _runs(measured),
    ]
    return "\n".join(sections)


def _with_values(measured: Results) -> Iterator[tuple[Figure, Value]]:
    for figure in FIGURES.values():
        if value := _value(measured, figure):
            yield figure, value


def _value(measured: Results, figure: Figure) -> Value | None:
    group = measured.get(figure.group)
    return group.values.get(figure.id) if group else None


def _row(figure: Figure, value: Value) -> str:
    met = "yes" if figure.is_met(value.value) else "**no**"
    return _line(figure.what, _shown(value), figure.limit, met, number(value.before))


def _shown(value: Value) -> str:
    about = ", ".join(filter(None, (value.beside, _spread(value))))
    return f"{number(value.value)} ({about})" if about else number(value.value)


def _spread(value: Value) -> str:
    """The range of a median; nothing for a count."""
    if value.low is None:
        return ""
    return f"{number(value.low)} to {number(value.high)} in {value.of}" if value.of > 1 else "measured once"


def _missed(measured: Results) -> str:
    missed = [figure for figure, value in _with_values(measured) if not figure.is_met(value.value)]
    lines = [f"- **{figure.what}.** {figure.missed}\n" for figure in missed]
    return "### Not met, and what would be needed\n\n" + ("".join(lines) or "Every budget is met.\n")


# ---- the tables behind them --------------------------------------------------------------------------------------


def _counts(group: Group) -> str:
    def cell(phase: str, what: str) -> str:
        value = group.values[f"{phase}/{what}"]
        change = value.value - (value.value if value.before is None else value.before)
        return number(value.value) + (f" ({change:+,.0f})" if change else "")

    head = (
        "## Calls of one team\n\nA sweep also reads every account. In parentheses: the change since the last commit "
        "before the measurement.\n\n"
    )
    phases = [*PHASES, "sweep"]
    rows = [_line(words, *(cell(phase, what) for phase in phases)) for what, words in _COUNTED.items()]
    operations = [
        _line(phase, ", ".join(f"{count} `{name}`" for name, count in counted.items()))
        for phase, counted in group.detail["operations"].items()
    ]
    return head + _head("", *phases) + "".join(rows) + "\n" + _head("phase", "every operation") + "".join(operations)


def _growth(group: Group) -> str:
    head = "## Calls per team, by the number of teams at once\n\n"
    rows = [
        _line(phase, size, *(number(counted[what]) for what in (*COUNTED, "events")))
        for phase, sizes in group.detail["per team"].items()
        for size, counted in sizes.items()
    ]
    return head + _head("phase", "teams", *(_COUNTED[what] for what in (*COUNTED, "events"))) + "".join(rows)


def _revocation(group: Group) -> str:
    head = "## The first call after a trigger that revokes access\n\nNothing is provisioned before it.\n\n"
    rows = [_line(name, f"`{first}`") for name, first in group.detail["first calls"].items()]
    return head + _head("trigger", "first call that changes something") + "".join(rows)


def _peers(group: Group) -> str:
    calls = {(row["peer"], row["teams"], row["phase"]): row["calls"] for row in group.detail["table"]}
    rows = [
        _line(
            peer,
            phase,
            str(teams),
            number(ratio),
            *(_time(group, peer, teams, phase, mode) for mode in comparison.MODES),
        )
        for (peer, teams, phase), ratio in calls.items()
    ]
    absent = [f"- {name}: not measured, {why}\n" for name, why in group.detail["missing"].items()]
    return (
        _PEERS
        + _head("peer", "phase", "teams", "calls", *(f"seconds, {mode}" for mode in comparison.MODES))
        + "".join(rows)
        + "".join(["\n", *absent] if absent else [])
    )


def _time(group: Group, peer: str, teams: int, phase: str, mode: str) -> str:
    value = group.values.get(f"{peer}/{teams}/{phase}/{mode}")
    if value is None:
        return "-"
    return f"{number(value.value)} ({_spread(value)})"


def _rates(group: Group) -> str:
    modes = [
        _line(
            mode,
            number(story["calls"]),
            f"{story['a second']:.0f}",
            *(f"{story[what]:.0f}" for what in ("first revocation", "last revocation", "seconds")),
        )
        for mode, story in group.detail["modes"].items()
    ]
    throttled = [
        _line(
            f"`{row['api']}`", number(row["calls"]), number(row["throttled"]), f"{row['attempts']:.1f}",
            number(row["given up"]), row["source"],
        )
        for row in group.detail["throttled"]
    ]  # fmt: skip
    many = [
        _line(
            f"`{row['api']}`", f"{row['per team']:.1f}", number(row["per second"]), f"{row['minutes']:.0f}",
            row["source"],
        )
        for row in group.detail["many"]
    ]  # fmt: skip
    assumed = sum(rates.source(name) == "assumed" for name in rates.table())
    return (
        "## Rates\n\n"
        f"{rates.TEAMS} teams are onboarded at once, and seconds later {rates.LEAVERS} others are deleted, while AWS "
        "throttles as `benchmarks/rates.yaml` says, and again while it does not. "
        f"**{assumed} of the {len(rates.table())} rates are assumed**, among them all of IAM, EKS, "
        "SageMaker, buckets and access points, because AWS documents none. Of each rate and burst "
        f"{rates.SHARE:.0%} is left for podshare: a thousand teams ask more at once than two cores can. Latencies are "
        "those of `benchmarks/latencies.yaml`. Seconds, and how much is throttled, depend on the machine; that every "
        "team ends READY or DELETED by itself does not.\n\n"
        + _head(
            "",
            "calls",
            "a second",
            "s until each team has had its first revocation",
            "until the last one",
            "s in all",
        )
        + "".join(modes)
        + "\n"
        + _head("throttled API", "calls", "throttled", "attempts per call taken", "given up by the SDK", "rate")
        + "".join(throttled)
        + f"\nWhat the rates in full allow: the minutes that {rates.MANY:,} teams with the same two member accounts, "
        "cluster and data account take at least to onboard at once, by the calls of the account that is asked most.\n\n"
        + _head("API", "calls per team", "a second", "minutes at least", "rate")
        + "".join(many)
    )


def _organization(group: Group) -> str:
    size, phases = group.detail["size"], group.detail["phases"]
    rows = [
        _line(
            phase["phase"], number(phase["teams"]), f"{phase['seconds']:,.0f}", f"{phase['teams a minute']:.0f}",
            number(phase["executions"]), *(_seconds(phase[what]) for what in ("median", "largest", "lease")),
            _revoked(phase), *(f"{phase[f'{whose} megabytes']:,.0f}" for whose in ("sandbox", "function")),
        )
        for phase in phases
    ]  # fmt: skip
    called = [
        _line(
            phase["phase"],
            *(f"{phase[what] / phase['teams']:.1f}" for what in ("reads", "writes", "sessions", "own")),
            f"{phase['reads'] / group.detail['resources']:.2f}" if phase["teams"] == size["teams"] else "-",
            number(phase["throttled"]),
            number(phase["retried"]),
        )
        for phase in phases
    ]
    operations = [
        _line(phase["phase"], ", ".join(f"{count:,} `{name}`" for name, count in phase["operations"].items()))
        for phase in phases
    ]
    needs = [
        _line(what, number(needed), f"{large_organization.QUOTAS[what][0]:,}", large_organization.QUOTAS[what][1])
        for what, needed in group.detail["needs"].items()
    ]
    return (
        "## A large organization\n\n"
        f"**{size['teams']:,} teams** in {size['accounts']:,} accounts of scientists, with {size['datasets']:,} "
        f"datasets in {size['buckets']:,} buckets, on {size['clusters']} clusters in two accounts; "
        f"{group.detail['resources']:,} resources. One account is a member of all teams whose records are written "
        f"({size['teams'] - size['enrolled']:,}), one bucket is shared by {size['sharing']:,}, and "
        f"{size['enrolled']:,} teams come from an enrollment, one for each account of a unit. `make bench` leaves this "
        "part out: `.venv/bin/python -m benchmarks --only organization --teams N` measures it, for "
        f"{large_organization.TEAMS:,} teams in more than an hour.\n\n"
        "Records are written in the batches of `podshare apply`. Before the second sweep somebody changes a resource "
        f"of {size['drifting']:,} teams: a policy of a role, a trust policy, the policy of an access point. Then all "
        "accounts of the unit move to another one, and the dataset of the shared bucket is deleted. Waits are "
        "shortened to 2 % (sweeps: 20 %), answers come without latencies, functions may take ten minutes, because many "
        "wait for few cores, and the rates of `benchmarks/rates.yaml` hold in seconds of the machine. So it is the "
        "sandbox that bounds how many teams are done in a minute, and how long one waits for its lease.\n\n"
        + _head(
            "phase", "teams", "s", "teams a minute", "runs", "s from trigger to end, median", "longest",
            "longest wait for a lease", "s to the first revocation, last", "MB of the sandbox by then",
            "of the largest function",
        )
        + "".join(rows)
        + "\nCalls per team, and how many calls of all were throttled or were repetitions by the SDK:\n\n"
        + _head(
            "phase", "reads", "writes", "sessions", "podshare's own", "reads per resource", "throttled", "repeated"
        )
        + "".join(called)
        + "\n"
        + _head("phase", "the most frequent operations")
        + "".join(operations)
        + "\nWhat the teams take of AWS's quotas, where most is taken:\n\n"
        + _head("quota", "taken", "AWS's default", "")
        + "".join(needs)
    )  # fmt: skip


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _revoked(phase: Mapping[str, Any]) -> str:
    if phase["phase"] not in large_organization.REVOKING_PHASES:
        return "-"
    return f"{phase['first revocation']:.1f}, {phase['last revocation']:.1f}"


def _path(group: Group) -> str:
    calls = " → ".join(f"`{call}`" if ":" in call else call for call in group.detail["calls"])
    return f"## The critical path of an onboarding\n\n{calls}\n"


def _costs(measured: Results) -> str:
    counts = measured[figures.COUNTS]
    of_month = costs.month(counts)
    rows = [
        _line(
            costs.table()["prices"][name]["of"],
            f"{quantity:,.0f}" if quantity > 100 else f"{quantity:.3g}",
            f"{usd:.6f}",
        )
        for name, (quantity, usd) in of_month.items()
    ]
    sizes = [_line(f"{teams:,}", f"{costs.dollars(counts, teams):,.2f}") for teams in costs.SIZES]
    per_month = ", ".join(f"{phase} {times:g} times" for phase, times in costs.table()["month"].items())
    quotas = [_line(*row) for row in costs.quota_rows(counts)]
    return (
        "## Costs\n\n"
        f"Per team and month, from the counts above and `benchmarks/prices.yaml` (list prices in us-west-2, assumed): "
        f"{per_month}. Functions are charged as if they made their calls one after the other. "
        "Custom metrics, events, storage, trails and data transfer are left out.\n\n"
        + _head("what is paid for", "per team and month", "US dollars")
        + "".join(rows)
        + "\n"
        + _head("teams", f"US dollars a month, {costs.alarms()} alarms included")
        + "".join(sizes)
        + "\n## Quotas\n\nThe share of AWS's quotas that teams need on one cluster with one data account; in bold what "
        "does not fit there.\n\n"
        + _head("quota", "limit", *(f"{teams:,} teams" for teams in costs.SIZES), "as it is met", "source")
        + "".join(quotas)
    )


def _runs(measured: Results) -> str:
    head = (
        "## Where it was measured\n\nSeconds on a machine with load are longer for podshare than on a quiet one; "
        "counts are the same everywhere.\n\n"
    )
    rows = [
        _line(name, *(group.run.get(what, "-") for what in ("date", "commit", "machine", "python", "seconds")))
        for name, group in measured.items()
    ]
    return head + _head("part", "date", "commit", "machine", "Python", "seconds") + "".join(rows)


_SECTIONS = {
    figures.COUNTS: _counts,
    figures.GROWTH: _growth,
    figures.REVOCATION: _revocation,
    figures.PEERS: _peers,
    figures.PATH: _path,
    figures.RATES: _rates,
    figures.LARGE: _organization,
}


def number(value: float | None) -> str:
    """A figure as a reader wants it: counts whole, ratios with two digits after the point."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _head(*cells: str) -> str:
    return _line(*cells) + "|" + "---|" * len(cells) + "\n"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def summary(measured: Mapping[str, Group]) -> Iterable[str]:
    """The budgets as lines for a terminal."""
    for figure, value in _with_values(dict(measured)):
        mark = "✓" if figure.is_met(value.value) else "✗"
        yield f"{mark} {number(value.value):>8}  {figure.limit:>7}  {figure.what}"

"""``podshare sweep``: check every account and every team now, and sum up how they stand."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podshare_cli.failures import INTERRUPTED, Failure, exclusive
from podshare_cli.json_option import Commands
from podshare_cli.options import Options, examples, takes_options

if TYPE_CHECKING:
    from podshare_cli.progress.executions import FollowingSweep

app = Commands()

_BAD = ("degraded", "held", "rejected", "unfinished")


@app.command("sweep", epilog=examples("podshare sweep", "podshare sweep --no-wait", "podshare sweep --last --json"))
@takes_options
def sweep(
    options: Options,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until the sweep is over, or start it and return at once.")
    ] = True,
    last: Annotated[bool, typer.Option("--last", help="Show the summary of the last sweep; start none.")] = False,
) -> None:
    """Read every account of the organization, reconcile every team, and print one summary.

    It finds and repairs changes that no event reported; podshare runs it automatically every night. The exit code is 1
    if a team is DEGRADED, HELD or REJECTED, or was not finished.
    """
    exclusive(("--last", last), ("--no-wait", not wait))
    if last:
        _show(options, _last(options))
        return
    from podshare_cli.progress.executions import Executions, FollowingSweep

    executions = Executions(options.connection)
    arn = executions.start_sweep()
    options.say(f"sweeping ({arn})")
    if wait:
        following = FollowingSweep(executions, arn)
        _follow(options, following)
        _show(options, {**following.run.summary, "execution": arn})
    else:
        options.show({"execution": arn})


def _last(options: Options) -> Mapping[str, Any]:
    from podshare_cli.aws.tables import State

    sweep = State(options.connection).last_sweep()
    if sweep is None:
        raise Failure(f"No sweep has completed yet ({options.connection.place}).", "Start one: podshare sweep")
    return {name: value for name, value in sweep.items() if name not in ("id", "part")}


def _follow(options: Options, following: "FollowingSweep") -> None:
    """Follow it until it is over. Raises Failure unless every account and team was checked."""
    from podshare_cli.output import stderr
    from podshare_cli.progress.live import watch

    try:
        watch(None if options.is_silent else stderr(), [following])
    except KeyboardInterrupt:
        raise Failure("You stopped watching; the sweep continues.", "See podshare sweep --last.", INTERRUPTED) from None
    run = following.run
    if run.state == "PAUSED":
        raise Failure(f"The sweep was skipped: {run.reason}", "End the pause: podshare resume")
    if run.state == "FAILED":
        remedy = f"See the execution {following.arn}, and the last summary: podshare sweep --last"
        raise Failure(f"The sweep failed: {run.reason}", remedy)


def _show(options: Options, summary: Mapping[str, Any]) -> None:
    from podshare_cli.views import sweep as sweep_views

    options.show(summary, lambda: sweep_views.summary(summary))
    counts = summary.get("counts", {})
    if bad := [f"{counts[name]} {name}" for name in _BAD if counts.get(name)]:
        raise Failure(f"Some teams are not in sync: {', '.join(bad)}.", "See why: podshare team status NAME")

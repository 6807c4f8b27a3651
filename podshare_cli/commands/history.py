"""``podshare history``: what each run did, for as long as the history of who had access is kept."""

from typing import Annotated

import typer

from podshare_cli.options import Options, examples, group, takes_options

app = group("History: what each run found and did, beyond the 90 days that Step Functions keeps.")


@app.command(
    "show",
    epilog=examples(
        "podshare history show vision-0123456789abcdef0123456789abcdef",
        "podshare history show vision-0123456789abcdef0123456789abcdef --jq '.[].changes[].differs'",
    ),
)
@takes_options
def show(
    options: Options,
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's name or its execution's ARN.")],
) -> None:
    """Show what started a run, its plan, each change from and to and how long it took, how it ended, and the evidence.

    The evidence is the execution's ARN, the object of the history with its version and digest, and the digest of the
    access report. A deletion is by whoever confirmed it. `podshare team history TEAM --verbose` and `podshare access
    changes` show the names of runs. A run that found nothing new is not in the history; the next sweep's run is.
    """
    from podshare_cli.history.answers import Past
    from podshare_cli.history.objects import History
    from podshare_cli.progress.callers import is_proven
    from podshare_cli.progress.live import waiting
    from podshare_cli.views import past as past_views

    past = Past(History(options.connection))
    with waiting(options, "looking for the run in the history"):
        passes = [(stored, past.confirmation(stored.document)) for stored in past.run(run)]
    documents = [
        {
            **stored.document,
            "confirmed": confirmation.as_dict() if confirmation else None,
            "proven": is_proven(stored.document["cause"]["event"]),
            "object": {"key": stored.key, "version": stored.version, "sha256": stored.sha256},
        }
        for stored, confirmation in passes
    ]
    options.show(documents, lambda: past_views.run(passes))

"""``podshare pause`` and ``podshare resume``: no new reconciliation while somebody works on the accounts."""

from typing import Annotated

import typer

from podshare_cli.json_option import Commands
from podshare_cli.options import Options, WaitForAll, examples, takes_options

app = Commands()


@app.command("pause", epilog=examples('podshare pause --reason "moving the data account"'))
@takes_options
def pause(
    options: Options,
    reason: Annotated[str, typer.Option("--reason", help="The reason, shown in status.")],
) -> None:
    """Stop starting reconciliations; running ones finish.

    Requests during the pause are done after podshare resumes.
    """
    from podshare.registry.items import PAUSE_ID
    from podshare_cli.records.signed import owner_of, write

    item = {"id": PAUSE_ID, "schema": 1, "reason": reason, "owner": owner_of(options.connection)}
    write(options.connection, item, "The reason is invalid.")
    options.show({"paused": True})
    options.say(f"podshare is paused: {reason} (resume with `podshare resume`)")


@app.command("resume", epilog=examples("podshare resume"))
@takes_options
def resume(options: Options, wait: WaitForAll = False) -> None:
    """Start reconciliations again, beginning with every team that one was requested for during the pause.

    What was changed by hand meanwhile, and no event has reported, is found by the next sweep: `podshare sweep`.
    """
    from podshare.registry.items import PAUSE_ID
    from podshare_cli.aws.tables import Registry, State
    from podshare_cli.progress.following import Runs

    waiting = State(options.connection).waiting_for_resume() if wait else []
    runs = Runs(options, {team: [PAUSE_ID] for team in waiting})
    was_paused = Registry(options.connection).delete(PAUSE_ID)
    resumed = "podshare has resumed, and reconciles the teams that a reconciliation was requested for meanwhile"
    message = resumed if was_paused else "podshare was not paused"
    options.say(message)
    ended = runs.follow()
    options.show({"paused": False, "teams": ended.as_dicts})
    ended.require()

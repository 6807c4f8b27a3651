"""``podshare demo``: podshare's main job, played in a sandbox of its own."""

import time
from typing import Annotated

import typer

from podshare_cli.commands.sandbox.command import require_sandbox
from podshare_cli.failures import Failure
from podshare_cli.json_option import Commands
from podshare_cli.options import examples, flowing

app = Commands()


@app.command("demo", epilog=examples("podshare demo", "podshare demo --verbose"))
@flowing
def demo(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print each step, and each attempt.")] = False,
) -> None:
    """Run the end-to-end demo: onboard two teams and an account, verify access, offboard one of each.

    It takes half a minute and needs neither AWS nor Docker. The exit code is 0 only if everything was as expected.
    """
    began = time.monotonic()
    require_sandbox()
    from podshare_cli.commands.demo.story import run_demo

    if not run_demo(began, verbose=verbose):
        raise Failure("Not everything was as expected: see the lines marked ✗ above.")

"""``podshare report``: write the page, or serve it on this machine."""

import sys
from collections.abc import Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podshare_cli.failures import Failure, exclusive, invalid
from podshare_cli.json_option import Commands
from podshare_cli.options import Options, ProfileOf, examples, takes_options
from podshare_cli.whole_files import replaced, writable

if TYPE_CHECKING:
    from podshare_cli.aws.connection import Connection
    from podshare_cli.commands.report.serving import Served
    from podshare_cli.progress.executions import Executions

app = Commands()

_FILE = Path("podshare-report.html")


@app.command("report", epilog=examples("podshare report --out report.html", "podshare report --serve"))
@takes_options
def report(
    options: Options,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", callback=writable, help=f"Where to write the page; default: {_FILE}."),
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Serve it on this machine, renewed, until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port to serve on; 0: any.")] = 0,
    profile_of: ProfileOf = None,
) -> None:
    """Write a page that shows who can reach what: one file that needs no network and no server.

    It shows unexpected access first, then the organization as a picture, the teams, the access matrix, quotas against
    capacity, expirations ahead, and the latest changes as a timeline with revocations and as a table. It shows what
    podshare read last; nothing is reconciled. What is in use, borrowed and lent at the moment it reads of each
    cluster with your own credentials, or those of --profile-of, and says why where it may not.
    """
    from podshare_cli.aws.accounts import profiles
    from podshare_cli.progress.live import waiting

    exclusive(("--serve", serve), ("--out", out))
    if port and not serve:
        raise invalid("--port is where --serve serves.", "Add --serve.")
    profile_by_account = profiles(profile_of or [])
    if serve:
        _serve(options, profile_by_account, port)
        return
    file = out or writable(_FILE)
    with waiting(options, "reading who can reach what, and the clusters' quotas"):
        write(file, options.connection, profile_by_account)
    options.show({"file": str(file)})
    options.say(f"{file}: open it in a browser")


def _facts(executions: "Executions", profiles: Mapping[str, str]) -> dict[str, Any]:
    from podshare_cli.aws.accounts import Accounts
    from podshare_cli.aws.tables import Registry
    from podshare_cli.commands.capacity import read_clusters
    from podshare_cli.commands.report import facts
    from podshare_cli.commands.report.queues import read_lending

    connection = executions.connection
    lending = read_lending(Accounts(connection, None, profiles), Registry(connection).all_of("cluster"))
    return facts.read(executions, read_clusters(connection), lending)


def write(path: Path, connection: "Connection", profiles: Mapping[str, str]) -> None:
    """Write the page whole or not at all; only its writer may read it, because it says who can reach what.

    ``profiles`` are of the accounts of clusters.
    """
    from podshare_cli.commands.report.page import page
    from podshare_cli.progress.executions import Executions

    text = page(_facts(Executions(connection), profiles))
    with replaced(path) as file:
        file.write(text.encode())


def _serve(options: Options, profiles: Mapping[str, str], port: int) -> None:
    from podshare_cli.commands.report.serving import Served
    from podshare_cli.output import say
    from podshare_cli.progress.executions import Executions

    executions = Executions(options.connection)
    with _server(port, Served(lambda: _facts(executions, profiles))) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        if options.as_json:
            options.show_json({"address": address})
            sys.stdout.flush()  # whoever reads it waits for it
        else:
            say(f"{address} shows the report, and renews it. Ctrl-C ends it.")
        server.serve_forever()


def _server(port: int, served: "Served") -> ThreadingHTTPServer:
    from podshare_cli.commands.report.serving import answering

    try:
        return ThreadingHTTPServer(("127.0.0.1", port), answering(served))
    except OSError as error:
        raise Failure(f"Port {port} cannot be served: {error.strerror}", "Choose another --port, or none.") from None

"""``podshare report``: write the page, or serve it on this machine."""

import json
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podshare_cli.failures import Failure, invalid
from podshare_cli.json_option import Commands
from podshare_cli.options import Options, examples, takes_options
from podshare_cli.whole_files import replaced

if TYPE_CHECKING:
    from podshare_cli.aws.connection import Connection

app = Commands()

_FOLDER = Path(__file__).parent
_RENEWED_SECONDS = 15  # a page that is younger is served again


@app.command("report", epilog=examples("podshare report --out report.html", "podshare report --serve"))
@takes_options
def report(
    options: Options,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the page.")] = Path(
        "podshare-report.html"
    ),
    serve: Annotated[bool, typer.Option("--serve", help="Serve it on this machine until Ctrl-C instead.")] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port to serve on; 0: any.")] = 0,
    profile_of: Annotated[
        list[str] | None,
        typer.Option(
            "--profile-of",
            metavar="ID=PROFILE",
            help="The AWS profile for clusters in another account; may be repeated.",
        ),
    ] = None,
) -> None:
    """Write a page that shows who can reach what: one file that needs no network and no server.

    It shows unexpected access first, then the organization as a picture, the teams, the access matrix, quotas against
    capacity, expirations ahead, and the latest changes as a timeline with revocations and as a table. It shows what
    podshare read last; nothing is reconciled. What is in use, borrowed and lent at the moment it reads of each cluster
    with your own credentials, and says why where it may not.
    """
    from podshare_cli.aws.accounts import profiles

    profile_by_account = profiles(profile_of or [])
    if serve:
        _serve(options, profile_by_account, port)
        return
    folder = out.absolute().parent
    if not folder.is_dir():
        raise invalid(f"There is no folder {folder}.", "Create it, or choose another --out.")
    if out.is_dir():
        raise invalid(f"{out} is a folder.", "Name a file in it with --out.")
    from podshare_cli.progress.live import waiting

    with waiting(options, "reading who can reach what, and the clusters' quotas"):
        write(out, options.connection, profile_by_account)
    options.show({"file": str(out)})
    options.say(f"{out}: open it in a browser")


def page(facts: dict[str, Any]) -> str:
    """The page with these facts; no text in them can end its script."""
    text = json.dumps(facts, default=str, separators=(",", ":")).replace("<", "\\u003c")
    style, script = ((_FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    html = Template((_FOLDER / "page.html").read_text(encoding="utf-8"))
    return html.substitute(style=style, script=script, facts=text)


def _facts(connection: "Connection", profiles: Mapping[str, str]) -> dict[str, Any]:
    from podshare_cli.aws.accounts import Accounts
    from podshare_cli.aws.tables import Registry
    from podshare_cli.commands.capacity import read_clusters
    from podshare_cli.commands.report import facts
    from podshare_cli.commands.report.queues import read_lending

    lending = read_lending(Accounts(connection, None, profiles), Registry(connection).all_of("cluster"))
    return facts.read(connection, read_clusters(connection), lending)


def write(path: Path, connection: "Connection", profiles: Mapping[str, str]) -> None:
    """Write the page whole or not at all; only its writer may read it, because it says who can reach what.

    ``profiles`` are of the accounts of clusters.
    """
    text = page(_facts(connection, profiles))
    with replaced(path) as file:
        file.write(text.encode())


def _serve(options: Options, profiles: Mapping[str, str], port: int) -> None:
    made: dict[str, Any] = {"at": float("-inf"), "page": b""}

    def current() -> bytes:
        if time.monotonic() - made["at"] > _RENEWED_SECONDS:
            made.update(page=page(_facts(options.connection, profiles)).encode(), at=time.monotonic())
        return bytes(made["page"])

    with _server(port, current) as server:
        options.say(f"http://127.0.0.1:{server.server_port}/ shows the report, renewed at each load. Ctrl-C ends it.")
        server.serve_forever()


def _server(port: int, current: Callable[[], bytes]) -> ThreadingHTTPServer:
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), answering(current))
    except OSError as error:
        raise Failure(f"Port {port} cannot be served: {error.strerror}", "Choose another --port, or none.") from None


def answering(current: Callable[[], bytes]) -> type[BaseHTTPRequestHandler]:
    """Answers the page to browsers of this machine that were sent to it by its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = self.headers.get("Host", "").rpartition(":")[0]
            if host not in ("127.0.0.1", "localhost") or self.path != "/":  # a foreign name may resolve to this machine
                self.send_error(404)
                return
            try:
                status, kind, text = 200, "text/html", current()
            except Exception as error:  # the next load may be better: credentials end, and AWS throttles
                status, kind, text = 503, "text/plain", f"The report cannot be made: {error}\n".encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Cache-Control", "no-store")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            """Print nothing: the terminal is the user's."""

    return Handler

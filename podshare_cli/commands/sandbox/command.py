"""``podshare sandbox``: an AWS organization on this machine, with podshare deployed."""

import importlib.util
import json
import os
import re
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podshare_cli.failures import Failure, invalid
from podshare_cli.options import examples, flowing, group, in_force

if TYPE_CHECKING:
    from podshare_cli.commands.sandbox.control import Control
    from podshare_cli.commands.sandbox.running import RunningSandbox
    from podshare_sandbox import Sandbox


def _file_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
        raise typer.BadParameter("lowercase letters, digits and hyphens, at most 40")
    return name


Name = Annotated[
    str,
    typer.Option(
        "--name",
        envvar="PODSHARE_SANDBOX",
        callback=_file_name,
        help="The sandbox's name, if several are running.",
    ),
]

app = group("The sandbox: an AWS organization on this machine, with podshare deployed; no AWS account, no cost.")


@app.command(
    epilog=examples(
        "podshare sandbox up",
        "podshare sandbox up --port 4567 --time-scale 1",
        "podshare sandbox up --name second",
        "podshare sandbox up --parameter Notifications=on --parameter HistoryQueries=on",
    )
)
@flowing
def up(
    name: Name = "sandbox",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 selects a free one.")] = 0,
    time_scale: Annotated[
        float,
        typer.Option("--time-scale", min=0.001, max=10.0, help="The fraction of real time that AWS's waits take."),
    ] = 0.1,
    run_uploaded_code: Annotated[
        bool,
        typer.Option("--run-uploaded-code", help="Also run uploaded Lambda code, under your user."),
    ] = False,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", metavar="NAME=VALUE", help="A parameter of the hub's stack; may be repeated."),
    ] = None,
) -> None:
    """Serve the sandbox until Ctrl-C, and print how to reach it. It listens on loopback only.

    Each sandbox has its own keys, in a file that only you can read.
    """
    from podshare_cli.commands.sandbox.control import Control
    from podshare_cli.commands.sandbox.running import RunningSandbox, forget

    parameters = _parameters(parameter or [])
    if running := RunningSandbox.find(name):
        raise Failure(
            f"A sandbox runs already, as process {running.process} at http://{running.host}:{running.port}.",
            "Use it with `podshare sandbox exec`, end it first, or start another beside it with --name.",
        )
    stopped = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, lambda *_: stopped.set())
    with (
        _deployed(time_scale, port, parameters, run_uploaded_code=run_uploaded_code) as sandbox,
        Control(sandbox) as control,
        tempfile.TemporaryDirectory(prefix="podshare-sandbox-") as folder,
    ):
        path = _running(sandbox, control, name, Path(folder)).write()
        try:
            _print_how_to_connect(sandbox, name)
            while not stopped.wait(1.0):  # in short waits, so that a signal is seen on every platform
                pass
        finally:
            forget(path)


@app.command(
    "exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog=examples(
        "podshare sandbox exec --account 111111111111 -- podshare team put examples/registry/*.yaml --wait",
        "podshare sandbox exec --account 222222222222 -- aws iam list-roles --path-prefix /podshare/",
        "podshare sandbox exec --account 333333333333 -- python my_boto3_script.py",
    ),
)
@flowing
def execute(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND…", help="The command and its arguments.")],
    account: Annotated[str, typer.Option("--account", help="The account to act in.")],
    region: Annotated[str | None, typer.Option("--region", help="The Region to act in. [default: the hub's]")] = None,
    name: Name = "sandbox",
) -> None:
    """Run any command as the administrator of one of the sandbox's accounts. Its exit code is the command's."""
    running = _running_sandbox(name)
    environment = running.environment_of(_key_of(running, account), region or in_force().region or running.region)
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606  # the user's own command, without a shell
    except OSError as error:
        raise invalid(f"{command[0]} cannot be run: {error.strerror}") from None


@app.command(
    epilog=examples(
        "podshare sandbox send events/registry-changed.json",
        "podshare sandbox send events/move-account.json",
        "podshare sandbox send events/nightly-sweep.json",
    )
)
@flowing
def send(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A sample, such as those of events/.")],
    name: Name = "sandbox",
) -> None:
    """Play a sample trigger on the sandbox, as AWS would: an event, changes of a table, or a schedule.

    The sandbox puts an event on the default bus of the account and Region that it names, writes the changes of a
    stream's batch, or fires a schedule. The command waits until podshare is idle, and lists the executions that
    followed. An event is only a hint: podshare reads the account again, so a sample about an account that does not
    exist grants nobody anything, and one that is sent twice starts one execution.
    """
    from podshare_cli.commands.sandbox.control import ask

    sample = _sample(file)
    answer = ask(_running_sandbox(name), {"sample": sample, "name": file.stem})
    in_force().show(answer, lambda: _followed(answer))
    if answer["still"]:
        raise Failure(f"podshare is still running: {answer['still']}", "See podshare team status, in sandbox exec.")


def _running_sandbox(name: str) -> "RunningSandbox":
    from podshare_cli.commands.sandbox.running import MAIN, RunningSandbox

    running = RunningSandbox.find(name)
    if running is None:
        which = "" if name == MAIN else f" --name {name}"
        raise Failure("No sandbox is running.", f"Start one in another terminal: podshare sandbox up{which}")
    return running


def _key_of(running: "RunningSandbox", account: str) -> tuple[str, str]:
    """The access key of an account's administrator; accounts that were created since are asked for."""
    from podshare_cli.commands.sandbox.control import ask

    if account in running.keys:
        return running.keys[account]
    try:
        access_key, secret_key = ask(running, {"keys_of": account})["keys"]
    except Failure as failure:
        remedy = f"Those that it began with are {', '.join(sorted(running.keys))}."
        raise invalid(failure.what, remedy) from None
    return access_key, secret_key


def _sample(file: Path) -> dict[str, Any]:
    try:
        sample = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise invalid(f"{file} cannot be read: {error.strerror}", "Samples are in events/.") from None
    except ValueError as error:
        raise invalid(f"{file} is not JSON: {error}") from None
    if not isinstance(sample, dict):
        raise invalid(f"{file} contains no event.", "See events/README.md for the samples.")
    return sample


def _followed(answer: dict[str, Any]) -> Any:
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    happened = Text(f"{answer['happened']}")
    if not answer["executions"]:
        return Group(happened, Text("No execution followed: no rule takes it, or it was played before.", style="dim"))
    table = Table("machine", "execution", "status", "took", "what came of it", box=None, header_style="dim")
    for each in answer["executions"]:
        took = "" if each["seconds"] is None else f"{each['seconds']} s"
        name = each["execution"].rpartition(":")[2]
        table.add_row(each["machine"], name, each["status"], took, escape(each["outcome"]))
    return Group(happened, table)


def require_sandbox() -> None:
    """Raises Failure where only the command is installed: the sandbox deploys podshare's stacks from a checkout."""
    checkout = Path(__file__).resolve().parents[3]
    if not (checkout / "template.yaml").exists():
        raise Failure(
            "The sandbox deploys podshare's own stacks, which only a checkout has.",
            "Clone podshare, and run this command there: make setup, then .venv/bin/podshare sandbox up.",
        )
    if importlib.util.find_spec("podshare_sandbox") is None:
        raise Failure("The sandbox is not installed.", f"Run: pip install --editable '{checkout}[sandbox]'")


def _parameters(texts: list[str]) -> dict[str, str]:
    """What --parameter was given. Raises Failure for anything else."""
    pairs = [text.partition("=") for text in texts]
    if wrong := [name for name, separator, _ in pairs if not (name and separator)]:
        raise invalid(f"--parameter {wrong[0]} has no value.", "Write NAME=VALUE, such as Notifications=on.")
    return {name: value for name, _, value in pairs}


@contextmanager
def _deployed(
    time_scale: float, port: int, parameters: Mapping[str, str], *, run_uploaded_code: bool
) -> "Iterator[Sandbox]":
    require_sandbox()
    from podshare_cli.output import stderr
    from podshare_cli.sandbox_deployment import deploy_podshare
    from podshare_sandbox import Sandbox
    from podshare_sandbox.cloudformation.errors import TemplateError

    sandbox = Sandbox(time_scale=time_scale, port=port, run_uploaded_code=run_uploaded_code)
    try:
        with stderr().status("Starting an AWS organization, and deploying podshare in it"):
            try:
                sandbox.start()
            except OSError as error:
                message = f"The sandbox cannot listen on port {port}: {error.strerror}."
                raise Failure(message, "Choose another --port.") from None
            try:
                deploy_podshare(sandbox, parameters)
            except TemplateError as error:
                raise Failure(f"--parameter: {error}", "docs/deploy.md has the hub's parameters.") from None
        yield sandbox
    finally:
        sandbox.stop()


def _running(sandbox: "Sandbox", control: "Control", name: str, folder: Path) -> "RunningSandbox":
    """How to reach it; what commands write for aws and kubectl goes into ``folder``, not into the user's own files."""
    from urllib.parse import urlsplit

    from podshare_cli.commands.sandbox.running import RunningSandbox
    from podshare_sandbox.new_accounts import admin_credentials
    from podshare_sandbox.organization import ACCOUNTS, HUB, HUB_REGION

    address = urlsplit(sandbox.url)
    own = sandbox.environment(HUB, HUB_REGION)
    own |= {"AWS_CONFIG_FILE": str(folder / "aws-config"), "KUBECONFIG": str(folder / "kubeconfig")}
    keys = {account: admin_credentials(account) for account in ACCOUNTS}
    return RunningSandbox(
        process=os.getpid(),
        host=address.hostname or "127.0.0.1",
        port=address.port or 0,
        region=HUB_REGION,
        environment={
            name: value for name, value in own.items() if name.startswith("AWS_") or os.environ.get(name) != value
        },
        keys={account: (key.access_key, key.secret_key) for account, key in keys.items()},
        control_port=control.port,
        control_key=control.key,
        name=name,
    )


def _print_how_to_connect(sandbox: "Sandbox", name: str) -> None:
    from rich.text import Text

    from podshare_cli.commands.sandbox.running import MAIN
    from podshare_cli.output import print_lines, stdout
    from podshare_sandbox.organization import HUB, HUB_REGION

    def show(text: str, style: str = "") -> None:
        print_lines(console, (Text.from_markup(line, style=style) for line in text.split("\n")))

    console = stdout()
    bundle = sandbox.environment(HUB, HUB_REGION)["AWS_CA_BUNDLE"]
    show(f"[bold green]✓[/] The sandbox is up at [bold]{sandbox.url}[/], with podshare deployed. Ctrl-C ends it.\n")
    show("Any command, as an account's administrator:")
    which = "" if name == MAIN else f"--name {name} "
    show(f"  podshare sandbox exec {which}--account {HUB} -- podshare team list\n", "cyan")
    show("Any AWS SDK, with an access key from below:")
    show(f"  export AWS_ENDPOINT_URL={sandbox.endpoint} AWS_REGION={HUB_REGION}\n", "cyan")
    show("As an HTTPS proxy, which also serves access points and the cluster's Kubernetes API by their names:")
    show(f"  export HTTPS_PROXY={sandbox.url} AWS_CA_BUNDLE={bundle} AWS_REGION={HUB_REGION}\n", "cyan")
    console.print(_accounts())
    show("\n[dim]Not emulated:[/]")
    for limit in sandbox.not_emulated:
        show(f"  [dim]- {limit}[/]")


def _accounts() -> Any:
    from rich.table import Table

    from podshare_sandbox.new_accounts import admin_credentials
    from podshare_sandbox.organization import ACCOUNTS, DATA, HUB, MANAGEMENT, SCIENTISTS

    holds = {
        MANAGEMENT: "AWS Organizations",
        HUB: "podshare, the HyperPod cluster",
        DATA: "the buckets with data",
        **dict.fromkeys(SCIENTISTS, "data scientists"),
    }
    table = Table("account", "holds", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", box=None, header_style="dim")
    for account in ACCOUNTS:
        key = admin_credentials(account)
        table.add_row(account, holds[account], key.access_key, key.secret_key)
    return table

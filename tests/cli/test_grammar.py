"""One grammar: the same options mean the same in every command that they could be meant for."""

from typing import Any

from podshare_cli.application import command
from tests.cli.test_peoples_policies import leaves

EVERYWHERE = {"--json", "--quiet", "--no-color", "--query", "--jq", "--profile", "--region", "--prefix"}
# of an installation of its own, or of the sandbox that it talks to
OF_THEIR_OWN = {"demo", "sandbox exec", "sandbox send", "sandbox up"}
STARTS_RUNS = {
    "account block",
    "account unblock",
    "apply",
    "approve",
    "cluster put",
    "dataset delete",
    "dataset put",
    "enrollment delete",
    "enrollment put",
    "import",
    "resume",
    "sandbox send",
    "sweep",
    "team delete",
    "team put",
    "team reconcile",
}
NEVER_WAITS = {
    "account unblock": "who gets access back is known once podshare has read records and tags again",
    "apply": "always follows the runs, as terraform apply does",
    "import": "hands a team over without a run",
    "sandbox send": "always waits until podshare is idle",
}
PRINTS_RECORDS_OR_PLANS = {
    "account list",
    "apply",
    "approve",
    "cluster get",
    "cluster list",
    "cluster put",
    "dataset delete",
    "dataset get",
    "dataset list",
    "dataset put",
    "drift",
    "enrollment delete",
    "enrollment get",
    "enrollment list",
    "enrollment put",
    "import",
    "plan",
    "team delete",
    "team get",
    "team history",
    "team list",
    "team manifests",
    "team plan",
    "team put",
    "team status",
}
NEVER_VERBOSE = {
    **{f"{kind} get": "prints the record as it is" for kind in ("cluster", "dataset", "enrollment", "team")},
    "import": "prints whole records",
    "team manifests": "prints whole manifests",
}
TAKES_AWAY = {
    "account block",
    "apply",
    "approve",
    "cluster delete",
    "cluster put",
    "dataset delete",
    "dataset put",
    "enrollment delete",
    "enrollment put",
    "team delete",
    "team put",
}
NEVER_ASKS = {"apply": "says --auto-approve, as terraform apply does"}
# what neither starts runs, nor prints records or plans, nor takes away
OTHERS = {
    "access at",
    "access audit",
    "access changes",
    "access matrix",
    "access of",
    "access probe",
    "access proof",
    "access who-can",
    "account get",
    "audit export",
    "audit verify",
    "capacity",
    "connect",
    "demo",
    "doctor",
    "explain",
    "export",
    "help",
    "history show",
    "pause",
    "report",
    "sandbox exec",
    "sandbox up",
    "schema",
    "usage",
    "validate",
}


def options_of(path: str) -> set[str]:
    """All options that a command takes."""
    found: Any = command()
    for name in path.split():
        found = found.commands[name]
    return {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}


def lacking(paths: set[str], *options: str) -> dict[str, set[str]]:
    """What each command lacks of these options."""
    return {path: missing for path in sorted(paths) if (missing := {*options} - options_of(path))}


def test_every_command_is_placed() -> None:
    """A new command needs a line above, and no reason outlives its command."""
    assert sorted(STARTS_RUNS | PRINTS_RECORDS_OR_PLANS | TAKES_AWAY | OTHERS) == sorted(leaves())
    assert not OTHERS & (STARTS_RUNS | PRINTS_RECORDS_OR_PLANS | TAKES_AWAY)
    for exceptions, kind in (
        (NEVER_WAITS, STARTS_RUNS),
        (NEVER_VERBOSE, PRINTS_RECORDS_OR_PLANS),
        (NEVER_ASKS, TAKES_AWAY),
    ):
        assert exceptions.keys() <= kind


def test_every_command_takes_the_common_options() -> None:
    """Whatever it does, it can print JSON, and be quiet and without colors."""
    assert lacking({*leaves()} - OF_THEIR_OWN, *EVERYWHERE) == {}


def test_what_starts_runs_can_wait_for_them() -> None:
    """A script goes on when the teams are as the records say, whichever command wrote them."""
    assert lacking(STARTS_RUNS - NEVER_WAITS.keys(), "--wait") == {}


def test_what_prints_records_or_plans_can_leave_nothing_out() -> None:
    """-v means the same everywhere."""
    assert lacking(PRINTS_RECORDS_OR_PLANS - NEVER_VERBOSE.keys(), "-v", "--verbose") == {}


def test_what_takes_away_asks_unless_told_otherwise() -> None:
    """A script says --yes to each of them."""
    assert lacking(TAKES_AWAY - NEVER_ASKS.keys(), "-y", "--yes") == {}

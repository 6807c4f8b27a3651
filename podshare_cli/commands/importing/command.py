"""``podshare import``: describe what was set up by hand, and hand a team over to podshare."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from podshare_cli.failures import Failure, exclusive, invalid
from podshare_cli.json_option import Commands
from podshare_cli.options import AssumeRole, Options, ProfileOf, Yes, examples, takes_options
from podshare_cli.whole_files import writable_folder, write

if TYPE_CHECKING:
    from podshare_cli.commands.importing.describing import Description, Remark
    from podshare_cli.commands.importing.reading import Reader, Setup
    from podshare_cli.plans.record_plan import RecordPlan

app = Commands()


@app.command(
    "import",
    epilog=examples(
        "podshare import hyperpod",
        "podshare import hyperpod --out records --owner platform@example.com --assume-role ReadOnly",
        "podshare import hyperpod --adopt vision",
    ),
)
@takes_options
def import_records(
    options: Options,
    cluster: Annotated[str, typer.Argument(metavar="CLUSTER", help="The HyperPod cluster's name.")],
    *,
    account: Annotated[
        str | None, typer.Option("--account", metavar="ID", help="The cluster's account; default: podshare's.")
    ] = None,
    cluster_region: Annotated[
        str | None, typer.Option("--cluster-region", metavar="REGION", help="Its Region; default: podshare's.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", callback=writable_folder, help="Write a file for each record."),
    ] = None,
    owner: Annotated[str, typer.Option("--owner", help="The owner to write into the teams' records.")] = "unknown",
    adopt: Annotated[
        list[str] | None,
        typer.Option("--adopt", metavar="TEAM", help="Hand this team's compute quota over to podshare; repeatable."),
    ] = None,
    assume_role: AssumeRole = None,
    profile_of: ProfileOf = None,
    yes: Yes = False,
) -> None:
    """Describe a cluster that was set up by hand: its teams, people and data, as records to review and apply.

    It reads compute quotas, access entries with their roles, pod identity associations, access points with their
    buckets' policies, and namespaces with their RoleBindings. It prints what records cannot express, and what podshare
    would change once it has each team. Nothing is changed without --adopt, which marks a team's compute quota as
    podshare's: the team's record can then be applied. Nobody loses access: roles, entries and access points that exist
    stay, and are listed, until you delete them.
    """
    from podshare_cli.aws.accounts import Accounts, profiles
    from podshare_cli.aws.tables import Registry
    from podshare_cli.commands.importing.describing import describe
    from podshare_cli.commands.importing.reading import Reader
    from podshare_cli.plans import record_plan
    from podshare_cli.progress.live import counting, waiting

    exclusive(("--adopt", adopt), ("--out", out))
    connection = options.connection
    accounts = Accounts(connection, assume_role, profiles(profile_of or []))
    reader = Reader(accounts, account or connection.account, cluster_region or connection.region)
    with waiting(options, f"reading what was set up on cluster {cluster}"):
        setup = reader.read(cluster)
    description = describe(setup, Registry(connection).all_of("cluster", "dataset", "team"), owner)
    if adopt:
        _adopt(options, reader, setup, description, adopt, yes=yes)
        return
    with counting(options, "teams planned") as planned:
        plan = record_plan.make_as_adopted(connection, description.others, description.records, planned)
    files = _write(out, description) if out else []
    records = list(description.records)
    remarks = [remark.as_dict() for remark in description.remarks]
    described = {"records": records, "remarks": remarks, "others": description.others, "files": files}
    options.show({**described, "plan": plan.as_dict()})
    if not options.as_json:
        _print(description, plan, files, out)


def _write(folder: Path, description: "Description") -> list[str]:
    """Write a file for each record, with its remarks on top. Raises Failure if one exists already."""
    texts = {}
    for item in description.records:
        kind, _, name = str(item["id"]).partition("#")
        remarks = [remark for remark in description.remarks if kind == "team" and remark.team == name]
        texts[folder / f"{kind}-{name}.yaml"] = commented(remarks, item)
    if present := [str(path) for path in texts if path.exists()]:
        raise invalid(f"These files exist already: {', '.join(present)}", "Choose another --out, or move them.")
    for path, text in texts.items():
        write(path, text)
    return [str(path) for path in texts]


def commented(remarks: Iterable["Remark"], item: Mapping[str, object]) -> str:
    """A record with remarks on top, each of their lines a comment: they quote what others wrote into policies."""
    from podshare_cli.records.documents import to_yaml

    lines = (line for remark in remarks for line in remark.text.splitlines())
    return "".join([*(f"# {line}\n" for line in lines), to_yaml(item)])


def _print(description: "Description", plan: "RecordPlan", files: Iterable[str], folder: Path | None) -> None:
    from podshare_cli.output import print_lines, stderr
    from podshare_cli.records.documents import to_yaml
    from podshare_cli.views.plan import View, brief_text

    for path in files:
        typer.echo(path)
    if folder is None:
        typer.echo("---\n".join(map(to_yaml, description.records)), nl=False)
    for remark in description.remarks:
        typer.echo(f"{remark.team or 'cluster'}: {remark.text}", err=True)
    if plan.teams or plan.failures:
        typer.echo("Once handed over and applied, podshare would do this:", err=True)
        print_lines(stderr(), brief_text(View(plan)))
    where = folder or "the files"
    typer.echo(f"Review the records, then: podshare plan -f {where}", err=True)


def _adopt(
    options: Options, reader: "Reader", setup: "Setup", description: "Description", teams: Iterable[str], *, yes: bool
) -> None:
    from podshare.installation import MANAGED_BY_TAG, TEAM_TAG
    from podshare_cli.plans import confirming

    connection = options.connection
    manager = connection.installation.manager
    quotas = {quota.team: quota for quota in setup.quotas if quota.team in description.others}
    adopted = {
        team: {"quota": quotas[team].name, "others": list(description.others[team])} for team in _known(teams, quotas)
    }
    if not yes:
        names = ", ".join(sorted(adopted))
        question = f"podshare will own the compute quotas of these teams, and delete them with their records: {names}"
        confirming.ask(question, "Hand them over?", "Nothing was changed.")
    for team in adopted:
        reader.tag_quota(quotas[team], {TEAM_TAG: team, MANAGED_BY_TAG: manager})
        options.say(f"{team}: compute quota {quotas[team].name} is podshare's")
        for other in description.others[team]:
            options.say(f"  stays yours: {other}")
    options.show({"adopted": adopted})
    options.say("Apply their records now. `podshare access audit TEAM` then lists what to delete, with the commands.")


def _known(teams: Iterable[str], quotas: Mapping[str, object]) -> list[str]:
    named = sorted(set(teams))
    if unknown := [team for team in named if team not in quotas]:
        present = ", ".join(sorted(quotas)) or "none"
        problem = f"The cluster has no team {', '.join(unknown)} that was set up by hand."
        raise Failure(problem, f"Teams that podshare does not own: {present}.")
    return named

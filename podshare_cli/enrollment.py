"""``podshare enrollment``: a team of its own for each account of a unit, or with a tag, while it is that."""

# ruff: noqa: PLC0415  # commands import what they need when they run: `podshare --help` needs none of it

from podshare_cli.options import Options, examples, group, takes_options
from podshare_cli.record_commands import Files, Name, Yaml, Yes, delete, list_records, put, require, show_record

app = group("Enrollments: one team per account in an OU, or with a tag, for as long as the account matches.")


@app.command("put", epilog=examples("podshare enrollment put examples/registry/enrollment-science.yaml"))
@takes_options
def put_enrollment(options: Options, files: Files, yes: Yes = False) -> None:
    """Write enrollment records: each selected account gets a team, and loses it when it no longer matches.

    `podshare team plan FILE` shows beforehand what would change. If anybody would lose access, the command asks.
    """
    put(options, files, "enrollment", yes=yes)


@app.command("get", epilog=examples("podshare enrollment get science --yaml"))
@takes_options
def get_enrollment(options: Options, name: Name, as_yaml: Yaml = False) -> None:
    """Show an enrollment's record."""
    show_record(options, f"enrollment#{name}", as_yaml=as_yaml)


@app.command("list", epilog=examples("podshare enrollment list"))
@takes_options
def list_enrollments(options: Options) -> None:
    """List the enrollments, and the teams that each creates."""
    list_records(options, "enrollment", ("organizational_unit", "account_tag", "exclude_accounts"))


@app.command(
    "delete", epilog=examples("podshare enrollment delete science", "podshare enrollment delete science --yes")
)
@takes_options
def delete_enrollment(options: Options, name: Name, yes: Yes = False) -> None:
    """Delete an enrollment's record: every team that it created is deleted, with all of its access."""
    from podshare_cli.writing import teams_enrolled

    require(options, f"enrollment#{name}")
    losing = teams_enrolled(options.connection, [name])
    delete(options, f"enrollment#{name}", losing, f"These teams are deleted with enrollment {name}", yes=yes)

"""``podshare dataset``: the buckets, or parts of buckets, that teams may be granted."""

# ruff: noqa: PLC0415  # commands import what they need when they run: `podshare --help` needs none of it

from podshare_cli.options import Options, examples, group, takes_options
from podshare_cli.record_commands import Files, Name, Yaml, Yes, delete, list_records, put, require, show_record

app = group("Datasets: buckets, or prefixes of buckets, that teams can be granted.")


@app.command("put", epilog=examples("podshare dataset put examples/registry/datasets.yaml"))
@takes_options
def put_dataset(options: Options, files: Files, yes: Yes = False) -> None:
    """Write dataset records; the teams that use them are reconciled. If anybody would lose access, the command asks."""
    put(options, files, "dataset", yes=yes)


@app.command("get", epilog=examples("podshare dataset get imagenet --yaml"))
@takes_options
def get_dataset(options: Options, name: Name, as_yaml: Yaml = False) -> None:
    """Show a dataset's record."""
    show_record(options, f"dataset#{name}", as_yaml=as_yaml)


@app.command("list", epilog=examples("podshare dataset list"))
@takes_options
def list_datasets(options: Options) -> None:
    """List the datasets, and the teams that use each."""
    list_records(options, "dataset", ("account", "region", "bucket", "prefix"))


@app.command("delete", epilog=examples("podshare dataset delete drafts", "podshare dataset delete drafts --yes"))
@takes_options
def delete_dataset(options: Options, name: Name, yes: Yes = False) -> None:
    """Delete a dataset's record: every team's access to it is revoked."""
    from podshare_cli.writing import teams_naming

    require(options, f"dataset#{name}")
    losing = teams_naming(options.connection, f"dataset#{name}")
    delete(options, f"dataset#{name}", losing, f"These teams lose dataset {name}", yes=yes)

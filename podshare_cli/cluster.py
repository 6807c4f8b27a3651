"""``podshare cluster``: the HyperPod clusters that teams share."""

# ruff: noqa: PLC0415  # commands import what they need when they run: `podshare --help` needs none of it

from podshare_cli.failures import Failure
from podshare_cli.options import Options, examples, group, takes_options
from podshare_cli.record_commands import Files, Name, Yaml, Yes, delete, list_records, put, require, show_record

app = group("Clusters: the HyperPod clusters that teams share.")


@app.command("put", epilog=examples("podshare cluster put examples/registry/cluster-main.yaml"))
@takes_options
def put_cluster(options: Options, files: Files, yes: Yes = False) -> None:
    """Write cluster records; the teams that use them are reconciled. If anybody would lose access, the command asks."""
    put(options, files, "cluster", yes=yes)


@app.command("get", epilog=examples("podshare cluster get main --yaml"))
@takes_options
def get_cluster(options: Options, name: Name, as_yaml: Yaml = False) -> None:
    """Show a cluster's record."""
    show_record(options, f"cluster#{name}", as_yaml=as_yaml)


@app.command("list", epilog=examples("podshare cluster list"))
@takes_options
def list_clusters(options: Options) -> None:
    """List the clusters, and the teams that use each."""
    list_records(options, "cluster", ("account", "region", "eks_cluster", "hyperpod_cluster"))


@app.command("delete", epilog=examples("podshare cluster delete main"))
@takes_options
def delete_cluster(options: Options, name: Name) -> None:
    """Delete a cluster's record; refused while a team or an enrollment names it."""
    from podshare_cli.writing import enrollments_naming, teams_naming

    require(options, f"cluster#{name}")
    remedy = "move them to another cluster first."
    if users := teams_naming(options.connection, f"cluster#{name}"):
        many = f"{len(users)} team{'s' if len(users) > 1 else ''}"
        told = f"Cluster {name} is used by {many}: {', '.join(users)}."
        raise Failure(told, f"Delete these teams, or the enrollments that create them, or {remedy}")
    if users := enrollments_naming(options.connection, f"cluster#{name}"):
        told = f"Cluster {name} is used by enrollment {', '.join(users)}."
        raise Failure(told, f"Delete these enrollments, or {remedy}")
    delete(options, f"cluster#{name}", [], "", yes=True)

"""``podshare connect``: from "you have access" to the first job, with a scientist's own credentials alone."""

import datetime
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podshare_cli.commands.connect import files, job, profiles
from podshare_cli.failures import DENIED, Failure, exclusive, invalid
from podshare_cli.json_option import Commands
from podshare_cli.options import Options, examples, takes_options
from podshare_cli.records.known_names import completing_from
from podshare_cli.whole_files import writable

if TYPE_CHECKING:
    import boto3

    from podshare_cli.aws.connection import Connection
    from podshare_cli.commands.connect.hops import Hop
    from podshare_cli.commands.connect.hops import Path as PathIntoCluster
    from podshare_cli.commands.connect.published import Caller, Team, Way

app = Commands()

_SOURCES = {"env": "Environment", "container-role": "EcsContainer", "iam-role": "Ec2InstanceMetadata"}
# what each mode would not read
_IGNORED = {
    "--list": ("--cluster", "--kind", "--write-job"),
    "--print": ("--write-job",),
    "--undo": ("--kind", "--write-job"),
    "--check": ("--write-job",),
}


def _team_names(options: Options) -> list[str]:
    from podshare_cli.commands.connect.published import all_teams

    return [team.name for team in all_teams(options.connection)]


def _cluster_names(options: Options) -> list[str]:
    """The clusters of all published teams: with an option that has no value yet, the team before it is not known."""
    from podshare_cli.commands.connect.published import all_teams

    return sorted(
        {str(cluster["name"]) for team in all_teams(options.connection) for cluster in team.value["clusters"]}
    )


@app.command(
    "connect",
    epilog=examples(
        "podshare connect --list",
        "podshare connect vision --write-job first-job.yaml",
        "podshare connect vision --check",
        "podshare connect vision --undo",
    ),
)
@takes_options
def connect(
    options: Options,
    team: Annotated[
        str | None,
        typer.Argument(metavar="TEAM", help="The team, such as vision.", autocompletion=completing_from(_team_names)),
    ] = None,
    *,
    list_teams: Annotated[bool, typer.Option("--list", help="List the teams that your account is in.")] = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            metavar="NAME",
            help="Which of the team's clusters, if it has several.",
            autocompletion=completing_from(_cluster_names),
        ),
    ] = None,
    print_only: Annotated[bool, typer.Option("--print", help="Print what would be written; write nothing.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Remove what this command wrote for the team.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only try each hop, and say what a failure means.")] = False,
    write_job: Annotated[
        Path | None,
        typer.Option("--write-job", metavar="FILE", callback=writable, help="Write a first job that fits, to apply."),
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help=f"The job's kind: {', '.join(job.KINDS)}; default: what is served.")
    ] = None,
    shell: Annotated[bool, typer.Option("--shell", help="Open a shell in which aws and kubectl are set up.")] = False,
) -> None:
    """Set up aws and kubectl for a team that you are in, and try every hop from your credentials to its queue.

    It needs your own credentials and nothing else: any profile, SSO session or role of the account that is in the
    team. It adds AWS profiles to ~/.aws/config (or AWS_CONFIG_FILE) and a context to ~/.kube/config (or KUBECONFIG);
    what else is in these files stays as it is. A hop that fails says why, and whom to ask. --region is the cluster's.
    """
    modes = {"--list": list_teams, "--print": print_only, "--undo": undo, "--check": check, "--shell": shell}
    _check_modes(modes, {"--cluster": cluster, "--kind": kind, "--write-job": write_job})
    _check_names(team, kind, list_teams=list_teams)
    if team is None:
        _list(options)
    elif undo:
        _undo(options, team, cluster)
    else:
        run = _Run(options, team, cluster, kind)
        if print_only:
            run.show()
        elif check:
            run.check()
        else:
            run.connect(write_job, shell=shell)


def _check_modes(modes: Mapping[str, bool], only_with: Mapping[str, object]) -> None:
    """Raises Failure for what does not go together: modes, and a mode with an option that it would not read."""
    exclusive(*modes.items())
    for mode, options in _IGNORED.items():
        for option in options:
            exclusive((mode, modes[mode]), (option, only_with[option]))


def _check_names(team: str | None, kind: str | None, *, list_teams: bool) -> None:
    """Raises Failure for a team or a kind that cannot be."""
    if list_teams == (team is not None):
        raise invalid(
            "--list takes no team." if team else "Name a team, or list those that you are in.",
            "" if team else "podshare connect --list",
        )
    if team is not None and not re.fullmatch("[a-z0-9-]+", team):
        raise invalid(f"{team!r} is no team's name.", "Names are lowercase letters, digits and hyphens.")
    if kind is not None and kind not in job.KINDS:
        raise invalid(f"--kind {kind} is not known.", f"It is one of {', '.join(job.KINDS)}.")


# ---- the teams -------------------------------------------------------------------------------------------------


def _list(options: Options) -> None:
    from podshare_cli.commands.connect.published import Caller, all_teams, state_of

    connection = options.connection
    now = datetime.datetime.now(datetime.UTC)
    caller = Caller(connection.caller)
    with _explaining_denials(caller):
        teams = all_teams(connection)
    _remember(connection, [(team, way) for team in teams if (way := team.way_of(caller))])
    rows = []
    for team in teams:
        way = team.way_of(caller)
        until = way.until if way else min((str(member.get("until", "")) for member in team.members), default="")
        rows.append(
            {
                "team": team.name,
                "state": state_of(until, now) if way else "OTHERS",
                "until": until or None,
                "owner": team.owner,
                "namespace": team.namespace,
                "clusters": [each["name"] for each in team.value["clusters"]],
                "role": (way.role or caller.arn) if way else None,
            }
        )
    options.show(rows, lambda: _table(rows, caller, team_region=connection.region))


def _table(rows: Sequence[Mapping[str, Any]], caller: "Caller", team_region: str) -> Any:
    from rich.markup import escape

    from podshare_cli.output import ListTable

    if not rows:
        return f"Account {caller.account} is in no team in {team_region}. --region is that of the cluster."
    table = ListTable("TEAM", "STATE", "UNTIL", "CLUSTERS", "OWNER", expendable=("CLUSTERS",))
    for row in rows:
        until, clusters = row["until"] or "", ", ".join(row["clusters"])
        table.add_row(*map(escape, (row["team"], row["state"], until, clusters, row["owner"])))
    return table


@contextmanager
def _explaining_denials(caller: "Caller") -> Iterator[None]:
    """Turns SSM's refusal into what to do: to list needs a right that to connect does not."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in DENIED:
            raise
        raise Failure(
            f"{caller.arn} may not list what is published: {error.response['Error']['Message']}",
            "Name your team instead: podshare connect TEAM. To list, ssm:GetParametersByPath is needed.",
        ) from None


# ---- what is remembered ------------------------------------------------------------------------------------------


def _memories(connection: "Connection", team: str) -> list[tuple[str, profiles.Memory]]:
    """What was published of a team when it was last read, by the blocks that have it."""
    known = profiles.memories(files.read(files.aws_config()))
    return [(name, memory) for name, memory in known if name.startswith(f"{connection.prefix}-{team}@")]


def _memory_of(team: "Team", way: "Way", cluster: str) -> profiles.Memory:
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    selector = str(way.member.get("selector", ""))
    return profiles.Memory(team.name, team.account, team.region, cluster, team.owner, way.until, selector, today)


def _remember(connection: "Connection", ways: "Iterable[tuple[Team, Way]]") -> None:
    """Renew what blocks remember of teams, as these are published now: later it says why access has ended.

    Where the file cannot be written, it stays as it is: that is no reason to answer nothing.
    """
    config = files.aws_config()
    before = after = files.read(config) or ""
    for team, way in ways:
        for name, memory in _memories(connection, team.name):
            if (memory.account, memory.region) == (team.account, team.region):
                after = profiles.with_memory(after, name, _memory_of(team, way, memory.cluster))
    if after != before:
        with suppress(Failure):
            files.write(config, after)


# ---- one team ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """What is written for one cluster: the block of profiles, and the context."""

    name: str
    memory: profiles.Memory
    sections: Mapping[str, Mapping[str, str]]


class _Run:
    """The command for one team."""

    def __init__(self, options: Options, team: str, cluster: str | None, kind: str | None) -> None:
        from podshare_cli.commands.connect.published import Caller

        self.options, self.name, self.kind = options, team, kind
        self.connection = options.connection
        self.caller = Caller(self.connection.caller)
        self.team = self._read()
        self.path = self._path(cluster)

    # ---- what is published ---------------------------------------------------------------------------------

    def _read(self) -> "Team":
        """The team as it is published; by its scientist role where the caller's own policies do not show it."""
        from botocore.exceptions import ClientError

        from podshare_cli.commands.connect import published

        region = published.region_of(self.connection)
        try:
            text = self._parameter(self.connection.session, region)
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            if code == "ParameterNotFound":
                raise self._gone(region) from None
            if code not in DENIED:
                raise
            text = self._by_the_scientist_role(region, message)
        return published.team_of(text, self.name, self.caller.account, region)

    def _parameter(self, session: "boto3.Session", region: str) -> str:
        from podshare_cli.commands.connect.published import name_of

        ssm = session.client("ssm", region_name=region)
        return str(ssm.get_parameter(Name=name_of(self.connection.prefix, self.name))["Parameter"]["Value"])

    def _by_the_scientist_role(self, region: str, message: str) -> str:
        from botocore.exceptions import ClientError

        from podshare_cli.commands.connect.hops import ADDED_LATELY, assumed

        prefix, account = self.connection.prefix, self.caller.account
        role = f"arn:{self.caller.partition}:iam::{account}:role/{prefix}/{prefix}-{self.name}-scientist"
        try:
            return self._parameter(assumed(self.connection.session, role, self.caller.session_name, region), region)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ParameterNotFound":
                raise self._gone(region) from None
            if self._memory(region):
                raise self._gone(region, f"If it is not, you need the right to assume {role}.") from None
            raise Failure(
                f"{self.caller.arn} may neither read what is published of team {self.name} ({message}) nor assume "
                f"{role} ({error.response['Error']['Message']}).",
                f"If you are in the team, ask who manages account {account}; if you were, your access has ended. "
                f"{ADDED_LATELY}",
            ) from None

    def _gone(self, region: str, otherwise: str = "") -> Failure:
        from podshare_cli.commands.connect.hops import gone

        outcome, remedy = gone(self.name, self.caller, region, self._memory(region))
        return Failure(outcome, f"{remedy} {otherwise}".strip())

    def _memory(self, region: str) -> profiles.Memory | None:
        """What was published of the team when it was last read, best in this Region."""
        known = [memory for _, memory in _memories(self.connection, self.name)]
        return next((memory for memory in known if memory.region == region), known[0] if known else None)

    def _path(self, cluster: str | None) -> "PathIntoCluster":
        from podshare_cli.commands.connect.hops import Path as PathIntoCluster

        way = self.team.way_of(self.caller)
        if way is None:
            sets = sorted({member["permission_set"] for member in self.team.members if "permission_set" in member})
            raise Failure(
                f"{self.caller.arn} is not how people of account {self.caller.account} work for team {self.name}.",
                f"Log in with the permission set {' or '.join(sets)} (aws sso login), and name its profile.",
            )
        clusters = self.team.clusters(way)
        chosen = next((each for each in clusters if cluster in (None, each["name"])), None)
        if chosen is None:
            names = ", ".join(each["name"] for each in clusters)
            raise invalid(f"Team {self.name} has no cluster {cluster} in {self.team.region}.", f"It has {names}.")
        return PathIntoCluster(self.team, way, self.caller, chosen, self.connection.session)

    # ---- what is written -----------------------------------------------------------------------------------

    @property
    def context(self) -> str:
        """The name of the profile of the cluster access role, of the context and of the block."""
        return f"{self.connection.prefix}-{self.name}@{self.path.cluster['name']}"

    def written(self) -> Written:
        """The AWS profiles: the scientist role's, if one is assumed, and the cluster access role's on top of it."""
        settings = {"region": self.team.region, "role_session_name": self.caller.session_name}
        sections: dict[str, Mapping[str, str]] = {}
        source = self._source()
        if self.path.way.role:
            scientist = f"{self.connection.prefix}-{self.name}-scientist@{self.path.cluster['name']}"
            sections[scientist] = {"role_arn": self.path.way.role, **source, **settings}
            source = {"source_profile": scientist}
        sections[self.context] = {"role_arn": str(self.path.cluster["role"]), **source, **settings}
        return Written(self.context, _memory_of(self.team, self.path.way, str(self.path.cluster["name"])), sections)

    def _source(self) -> dict[str, str]:
        """Where the chain begins: the profile that was used, or where the credentials came from without one."""
        session = self.connection.session
        credentials = session.get_credentials()
        method = str(getattr(credentials, "method", ""))
        if source := _SOURCES.get(method):
            return {"credential_source": source}
        if session.profile_name.startswith(f"{self.connection.prefix}-{self.name}-scientist@"):
            remedy = "Name your own profile: --profile."
            raise invalid(f"Profile {session.profile_name} is one that this command has written.", remedy)
        if session.profile_name in session.available_profiles:
            return {"source_profile": session.profile_name}
        raise Failure(
            f"Your credentials come from {method or 'nowhere'}, which no AWS profile can name.",
            "Put them into a profile of the AWS CLI, and name it: --profile.",
        )

    def _context(self) -> Any:
        from podshare_cli.commands.connect.kubeconfig import Context

        command = ("aws", "eks", "get-token", "--cluster-name", self.path.eks_name)
        where = ("--region", str(self.path.cluster["region"]), "--profile", self.context, "--output", "json")
        config = os.environ.get("AWS_CONFIG_FILE")
        return Context(
            self.context,
            self.path.endpoint,
            self.path.authority,
            self.team.namespace,
            (*command, *where),
            {"AWS_CONFIG_FILE": str(Path(config).expanduser().absolute())} if config else {},
        )

    def _texts(self) -> list[tuple[Path, str]]:
        """Each file with what it is to hold. Raises Failure before anything is written."""
        from podshare_cli.commands.connect import kubeconfig

        config, own = files.aws_config(), self.written()
        profile_text = profiles.with_block(files.read(config), own.name, own.memory, own.sections)
        place = _kubeconfig_with(self.context) or files.kubeconfigs()[0]
        context_text = kubeconfig.with_context(files.read(place), self._context(), place)
        if reported := _unread_by_kubectl():
            raise kubeconfig.not_read(f"kubectl does not read the configuration that is there: {reported}.")
        return [(config, profile_text), (place, context_text)]

    # ---- the modes -----------------------------------------------------------------------------------------

    def _tried(self, *, only_address: bool = False) -> "list[Hop]":
        """The hops, each reported once it was tried. Raises Failure at the first that does not work."""
        hops = []
        for hop in self.path.hops(self.kind, only_address=only_address):
            hops.append(hop)
            self._report(hop)
            if not hop.works:
                if self.options.as_json:
                    self.options.show(self._described(hops))
                raise Failure(f"{hop.hop}: {hop.detail}.", hop.remedy)
        return hops

    def _report(self, hop: "Hop") -> None:
        if hop.works:  # what does not is the error
            self.options.say(f"✓ {hop.hop}: {hop.detail}")

    def check(self) -> None:
        """Try each hop, and what was written; what is remembered of the team is renewed, and nothing else written."""
        _remember(self.connection, [(self.team, self.path.way)])
        hops = self._tried()
        if self.context in {name for name, _ in profiles.memories(files.read(files.aws_config()))}:
            hops.append(self._by_kubectl())
            self._report(hops[-1])
        self.options.show(self._described(hops))
        if not hops[-1].works:
            raise Failure(f"{hops[-1].hop}: {hops[-1].detail}.", hops[-1].remedy)

    def show(self) -> None:
        """Print what would be written."""
        from podshare_cli.commands.connect import kubeconfig

        hops = self._tried(only_address=True)
        own = self.written()
        config = profiles.with_block(None, own.name, own.memory, own.sections)
        context = kubeconfig.with_context(None, self._context())
        if self.options.as_json:
            self.options.show({**self._described(hops), "aws_config": config, "kubeconfig": context})
            return
        place = _kubeconfig_with(self.context) or files.kubeconfigs()[0]
        typer.echo(
            f"# would be added to {files.aws_config()}\n{config}\n# would be added to {place}\n{context}", nl=False
        )

    def connect(self, job_file: Path | None, *, shell: bool) -> None:
        """Try each hop, write the profiles and the context, and try them as kubectl does."""
        if shell:
            _shell()
        _remember(self.connection, [(self.team, self.path.way)])  # also where a hop fails, and nothing is written
        hops = self._tried()
        texts = self._texts()
        manifest = self._job(job_file) if job_file else ""
        for path, text in texts:
            files.write(path, text)
        if job_file:
            files.write(job_file, manifest)
        hops.append(self._by_kubectl())
        self._report(hops[-1])
        described = {**self._described(hops), "files": [str(path) for path, _ in texts]}
        following = self._following(job_file)
        self.options.show({**described, "next": following})
        if not hops[-1].works:
            raise Failure(f"{hops[-1].hop}: {hops[-1].detail}.", hops[-1].remedy)
        if not self.options.is_silent:
            self.options.say(f"✓ {self.name} is set up: profile and context {self.context}. Next:")
            for line in following:
                self.options.say(f"  {line}")
        if shell:
            self._open_shell()

    def _described(self, hops: "Sequence[Hop]") -> dict[str, Any]:
        return {
            "team": self.name,
            "owner": self.team.owner,
            "until": self.path.way.until or None,
            "namespace": self.team.namespace,
            "context": self.context,
            "cluster": self.path.cluster["name"],
            "queue": self.path.cluster["queue"],
            "priorities": self.path.cluster["priorities"],
            "data": [
                {
                    "service_account": source.service_account,
                    "dataset": source.dataset,
                    "path": source.path,
                    "access": source.access,
                }
                for source in job.sources(self.path.cluster)
            ],
            "left_out": list(self.team.value.get("left_out", ())),
            "hops": [hop.as_dict() for hop in hops],
        }

    def _following(self, job_file: Path | None) -> list[str]:
        if job_file is None:
            return [f"podshare connect {self.name} --write-job first-job.yaml", "kubectl apply -f first-job.yaml"]
        return [f"kubectl apply -f {shlex.quote(str(job_file))}", job.logs_of(self.path.kind)]

    def _job(self, file: Path) -> str:
        """The job's text. Raises Failure where it would replace a file of the user's own."""
        import yaml

        if (written := files.read(file)) is not None and not job.is_first_job(written):
            raise Failure(f"{file} exists already, and podshare did not write it.", "Name another file by --write-job.")
        data = [*job.sources(self.path.cluster)]
        text = yaml.safe_dump(self.path.manifest(), sort_keys=False, default_flow_style=False)
        return job.comment(self.path.kind, data) + str(text)

    def _by_kubectl(self) -> "Hop":
        """The command in the kubeconfig, run as kubectl would run it."""
        from podshare_cli.commands.connect.hops import Hop

        if reported := _unread_by_kubectl():
            return Hop("kubectl", False, f"kubectl does not read its configuration: {reported}", "Correct that file.")
        if _kubeconfig_with(self.context) is None:
            remedy = f"Write it again: podshare connect {self.name}"
            return Hop("kubectl", False, f"no kubeconfig has the context {self.context}", remedy)
        command = self._context().command
        if shutil.which(command[0]) is None:
            remedy = "Install it: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"
            return Hop("kubectl", False, "kubectl needs the AWS CLI, and there is no command aws", remedy)
        ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own words
        if ended.returncode:
            reported = " ".join(ended.stderr.split())[:300]
            return Hop("kubectl", False, f"`{shlex.join(command)}` failed: {reported}", "Correct what it reports.")
        if not self.path.lets_in(ended.stdout):
            detail = f"cluster {self.path.cluster['name']} refuses the token that kubectl gets (401)"
            remedy = (
                "The AWS CLI keeps credentials for up to an hour, here those of an earlier role: delete the folder "
                "~/.aws/cli/cache, and run this again."
            )
            return Hop("kubectl", False, detail, remedy)
        return Hop("kubectl", True, f"context {self.context}, namespace {self.team.namespace}")

    def _open_shell(self) -> None:
        """A shell whose aws acts as the team's; where keys in the environment begin the chain, these stay, and win."""
        region = self.team.region
        environment = {**os.environ, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        hint = ""
        if self._source().get("credential_source") == _SOURCES["env"]:
            hint = f" The keys in its environment take precedence over profiles: use aws --profile {self.context}."
        else:
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_PROFILE"):
                environment.pop(name, None)  # each of them would take precedence
            environment["AWS_PROFILE"] = self.context
        program = _shell()
        self.options.say(f"{program} as {self.context}; exit ends it.{hint}")
        os.execvpe(program, [program], environment)  # noqa: S606  # the user's own shell


def _shell() -> str:
    """The user's shell. Raises Failure if there is no such program."""
    program = os.environ.get("SHELL") or "/bin/sh"
    if shutil.which(program) is None:
        raise invalid(f"SHELL is {program}, which is no program.", "Set SHELL, or leave out --shell.")
    return program


def _kubeconfig_with(context: str) -> Path | None:
    """The file in which podshare wrote the context."""
    from podshare_cli.commands.connect import kubeconfig

    paths = files.kubeconfigs()
    return next((path for path in paths if kubeconfig.former_of(files.read(path), context, path)), None)


def _unread_by_kubectl() -> str:
    """Why kubectl does not read the kubeconfigs that are there, with the file's name; empty if it does.

    One that it does not read makes it refuse all of them, also a context in another file.
    """
    program = shutil.which("kubectl")
    if program is None:
        return ""
    command = [program, "config", "get-contexts", "--output", "name"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own words
    return " ".join(ended.stderr.split())[:300] if ended.returncode else ""


def _undo(options: Options, team: str, cluster: str | None) -> None:
    """Remove the team's blocks and contexts, or those of one of its clusters; needs no credentials.

    A context may have no block any more: somebody deleted that, or it is in another file.
    """
    from podshare_cli.commands.connect import kubeconfig

    def is_meant(name: str) -> bool:
        of_team, _, of_cluster = name.partition("@")
        return of_team == f"{options.connection.prefix}-{team}" and cluster in (None, of_cluster)

    config = files.aws_config()
    text = files.read(config)
    changed, removed = {}, set()
    for name in [name for name, _ in profiles.memories(text) if is_meant(name)]:
        text = changed[config] = profiles.without_block(text or "", name)
        removed.add(name)
    for path in files.kubeconfigs():
        contexts = files.read(path)
        for name in filter(is_meant, kubeconfig.contexts_of(contexts, path)):
            contexts = changed[path] = kubeconfig.without_context(contexts or "", name, path)
            removed.add(name)
    for path, content in changed.items():
        files.write(path, content)
    of = f" on cluster {cluster}" if cluster else ""
    options.show({"team": team, "removed": sorted(removed), "files": sorted(map(str, changed))})
    options.say(f"Removed {', '.join(sorted(removed))}." if removed else f"Nothing was written for team {team}{of}.")

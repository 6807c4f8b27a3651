"""From "you have access" to the first job: `podshare connect`, with real `aws` and `kubectl`, by a scientist alone."""

import datetime
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from podshare_sandbox.services import kubernetes
from tests.builders import an_enrollment_item
from tests.docs.newcomer import on_terminal
from tests.docs.outputs import Outputs
from tests.docs.pages import ROOT, Page
from tests.scenarios.world import CLUSTER, EKS_ARN, HUB, LANGUAGE, PLATFORM, REGION, SCIENCE, VISION, World, awaited

CONNECT = Page(ROOT / "docs" / "connect.md")
BIN = ROOT / ".venv-clients" / "bin"
NAMESPACE, CONTEXT = "hyperpod-ns-vision", "podshare-vision@main"
READER = [{"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read"}]}]
TEAM: dict[str, Any] = {"members": [{"account": VISION, "expires": "2030-01-01T00:00:00Z"}], "service_accounts": READER}

pytestmark = pytest.mark.skipif(not BIN.exists(), reason="there is no .venv-clients: `make test` installs it")

Ended = subprocess.CompletedProcess[str]


class Scientist:
    """A person's terminal: an AWS profile with keys of their own, and home, config and kubeconfig of their own."""

    def __init__(
        self, world: World, account: str, home: Path, actions: tuple[str, ...] = ("sts:AssumeRole",), user: str = ""
    ) -> None:
        iam, user = world.sandbox.client("iam", account), user or f"ada-{home.name[-20:]}"
        iam.create_user(UserName=user)
        statement = {"Effect": "Allow", "Action": [*actions], "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=document)
        keys = iam.create_access_key(UserName=user)["AccessKey"]
        (home / ".aws").mkdir()
        credentials = f"aws_access_key_id = {keys['AccessKeyId']}\naws_secret_access_key = {keys['SecretAccessKey']}\n"
        (home / ".aws" / "credentials").write_text(f"[work]\n{credentials}")
        self.config, self.kubeconfig = home / ".aws" / "config", home / ".kube" / "config"
        self.config.write_text(f"# mine\n[profile work]\nregion = {REGION}")
        inherited = {name: value for name, value in world.sandbox.environment().items() if not name.startswith("AWS_")}
        kept = {name: world.sandbox.environment()[name] for name in ("AWS_CA_BUNDLE", "AWS_ACCOUNT_ID_ENDPOINT_MODE")}
        path = os.pathsep.join([str(Path(sys.executable).parent), str(BIN), os.environ["PATH"]])
        own = {"HOME": str(home), "PATH": path, "AWS_PROFILE": "work", "NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}
        inherited.pop("KUBECONFIG", None)
        self.environment = {**inherited, **kept, **own, "AWS_EC2_METADATA_DISABLED": "true"}
        self.home = home

    def __call__(self, *command: str, **environment: str) -> Ended:
        """Run ``command`` to its end."""
        return subprocess.run(  # noqa: S603  # a command of a test
            command,
            env={**self.environment, **environment},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def connect(self, *words: str, **environment: str) -> Any:
        """What `podshare connect` reports as JSON."""
        ended = self("podshare", "connect", *words, "--json", **environment)
        assert ended.returncode == 0, ended.stderr + ended.stdout
        return json.loads(ended.stdout)

    def refused(self, *words: str, **environment: str) -> str:
        """What `podshare connect` says, with its remedy, as it fails."""
        ended = self("podshare", "connect", *words, **environment)
        assert ended.returncode == 1, ended.stdout + ended.stderr
        return " ".join(ended.stderr.split())


@pytest.fixture(scope="module")
def vision(world: World) -> World:
    """A team whose cluster refuses work without the team's queue, and whose pods may read a dataset."""
    world.put({**CLUSTER, "namespace_hardening": "enforce"})
    assert world.put_team("vision", **TEAM)["state"] == "READY"
    return world


@pytest.fixture
def ada(vision: World, tmp_path: Path) -> Iterator[Scientist]:
    """A scientist who may assume roles, and nothing else."""
    yield Scientist(vision, VISION, tmp_path)
    api = kubernetes.api_of(EKS_ARN)
    for kind in ("Job", "HyperPodPyTorchJob", "PyTorchJob"):
        for found in api.objects(kind, NAMESPACE):
            api.delete(kind, NAMESPACE, found["metadata"]["name"])


@pytest.mark.parametrize(
    ("words", "name"), [("podshare connect vi", "vision"), ("podshare connect vision --cluster ma", "main")]
)
def test_a_scientists_shell_completes_what_is_published(vision: World, tmp_path: Path, words: str, name: str) -> None:
    """Teams and their clusters come from the parameters that the scientist may read, not from the hub."""
    ada = Scientist(vision, VISION, tmp_path, ("ssm:GetParametersByPath",))
    at = str(len(words.split()) - 1)
    completed = ada("podshare", _PODSHARE_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=at)
    assert completed.stdout.split() == [name], completed.stderr


# ---- the first job ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["HyperPodPyTorchJob", "PyTorchJob", "Job"])
def test_the_first_job_takes_three_commands(ada: Scientist, kind: str) -> None:
    """connect, apply, logs: the job is admitted by its queue, runs, and prints the data that its pods may read."""
    told = ada.connect("vision", "--write-job", "first-job.yaml", "--kind", kind)
    apply, show = (command.split() for command in told["next"])
    applied = ada(*apply)
    assert applied.returncode == 0, applied.stderr
    if kind != "Job":  # of a Job, kubectl logs waits for the pod
        (wait,) = (command for command in CONNECT.commands if command.startswith("kubectl wait"))
        waited = ada("/bin/sh", "-c", wait.replace("podshare-first-job-worker-0", show[-1]))
        assert waited.returncode == 0, waited.stderr
    logs = ada(*show)
    assert logs.returncode == 0, logs.stderr
    assert {one["Key"].partition("/")[0] for one in json.loads(logs.stdout)["Contents"]} == {"imagenet"}


def test_every_command_of_the_page_works(vision: World, tmp_path: Path, outputs: Outputs) -> None:
    """What sets up, lists, prints, checks and removes, and the job's submission, as they stand and in their order."""
    scientist = Scientist(vision, VISION, tmp_path, ("sts:AssumeRole", "ssm:GetParametersByPath"), user="ada")
    commands = [each for each in CONNECT.commands if each.startswith(("podshare connect ", "kubectl apply "))]
    assert len(commands) > 7
    for command in commands:
        ended = on_terminal(command, {**scientist.environment, "SHELL": "/bin/true"}, scientist.home)
        assert ended.code == 0, f"{command}\n{ended.out}"
        outputs.compare(command, ended.out)
    assert not scientist.kubeconfig.exists() or CONTEXT not in scientist.kubeconfig.read_text()


def test_a_file_of_ones_own_is_not_replaced(ada: Scientist) -> None:
    """A first job is written again, anything else stays, and then nothing else is written either."""
    ada.connect("vision", "--write-job", "job.yaml")
    ada.connect("vision", "--undo")
    ada.connect("vision", "--write-job", "job.yaml")
    ada.connect("vision", "--undo")
    (ada.home / "job.yaml").write_text("kind: Job\n")
    assert "job.yaml exists already" in ada.refused("vision", "--write-job", "job.yaml")
    assert ((ada.home / "job.yaml").read_text(), ada.kubeconfig.exists()) == ("kind: Job\n", False)


def test_a_job_beyond_the_quota_waits_and_says_so(ada: Scientist) -> None:
    """Its workload has a condition with the reason, as Kueue reports it (Kueue documentation, Workload)."""
    ada.connect("vision", "--write-job", "job.yaml", "--kind", "Job")
    job = yaml.safe_load((ada.home / "job.yaml").read_text())
    job["metadata"]["name"] = "too-much"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    container["resources"] = {name: {"nvidia.com/gpu": "1000"} for name in ("requests", "limits")}
    (ada.home / "job.yaml").write_text(yaml.safe_dump(job))
    assert ada("kubectl", "apply", "-f", "job.yaml").returncode == 0
    waiting = awaited(
        lambda: ada("kubectl", "get", "workloads", "-o", "json"),
        lambda ended: "QuotaReserved" in ended.stdout,
    )
    conditions = [one for item in json.loads(waiting.stdout)["items"] for one in item["status"]["conditions"]]
    (reserved,) = [one for one in conditions if one["type"] == "QuotaReserved"]
    assert (reserved["status"], reserved["reason"]) == ("False", "Pending")
    assert "insufficient quota" in reserved["message"]
    shown = ada("kubectl", "get", "workloads").stdout.splitlines()
    assert shown[0].split() == ["NAME", "QUEUE", "RESERVED", "IN", "ADMITTED", "FINISHED", "AGE"]
    (row,) = (row for row in shown[1:] if row.startswith("job-too-much"))
    assert "True" not in row
    assert json.loads(ada("kubectl", "get", "job", "too-much", "-o", "json").stdout)["spec"]["suspend"] is True


def test_a_job_without_the_queue_is_refused_with_what_to_do(ada: Scientist) -> None:
    """Under `enforce` the message names the label that is missing."""
    ada.connect("vision", "--write-job", "job.yaml", "--kind", "Job")
    job = yaml.safe_load((ada.home / "job.yaml").read_text())
    for labelled in (job["metadata"], job["spec"]["template"]["metadata"]):
        del labelled["labels"]
    (ada.home / "job.yaml").write_text(yaml.safe_dump(job))
    refused = ada("kubectl", "apply", "-f", "job.yaml")
    assert refused.returncode == 1
    assert "work carries the team's queue: label it kueue.x-k8s.io/queue-name" in refused.stderr


def test_a_first_job_has_what_the_team_has(ada: Scientist) -> None:
    """Queue, service account, requests within the quota, and the data by the access point's alias."""
    told = ada.connect("vision", "--write-job", "job.yaml")
    text = (ada.home / "job.yaml").read_text()
    job = yaml.safe_load(text)
    assert job["kind"] == "HyperPodPyTorchJob"  # the first of those that the cluster serves
    assert job["metadata"]["labels"] == {"kueue.x-k8s.io/queue-name": f"{NAMESPACE}-localqueue"}
    pod = job["spec"]["replicaSpecs"][0]["template"]["spec"]
    assert pod["serviceAccountName"] == "trainer"
    assert pod["containers"][0]["resources"]["requests"] == {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "1"}
    (data,) = told["data"]
    assert data["path"].startswith("s3://podshare-vision-")
    assert "-s3alias/imagenet/" in data["path"]
    assert f"#   trainer: {data['path']} (imagenet, read)" in text
    assert told["next"] == ["kubectl apply -f job.yaml", "kubectl logs --follow podshare-first-job-worker-0"]


def test_hyp_uses_the_context(ada: Scientist) -> None:
    """AWS's own command finds the namespace, and what was submitted, by the context that connect has written."""
    ada.connect("vision", "--write-job", "job.yaml")
    assert ada("kubectl", "apply", "-f", "job.yaml").returncode == 0
    listed = ada("hyp", "list", "hyp-pytorch-job", "--namespace", NAMESPACE)
    assert (listed.returncode, "podshare-first-job" in listed.stdout) == (0, True), listed.stdout + listed.stderr


# ---- files -----------------------------------------------------------------------------------------------------


def test_every_hop_is_tried_and_the_files_are_set_up(ada: Scientist) -> None:
    """Keys of somebody else in the environment do not win, and the namespace is set."""
    told = ada.connect("vision")
    assert [hop["hop"] for hop in told["hops"]] == [
        *("identity", "scientist role", "cluster access role", "cluster", "token"),
        *("access review", "queue", "admission", "data", "kubectl"),
    ]
    assert all(hop["works"] for hop in told["hops"])
    assert (told["context"], told["namespace"], told["until"]) == (CONTEXT, NAMESPACE, "2030-01-01T00:00:00Z")
    foreign = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "x"}
    allowed = ada("kubectl", "auth", "can-i", "create", "jobs.batch", **foreign)
    assert allowed.stdout.strip() == "yes", allowed.stderr
    assert ada("kubectl", "auth", "can-i", "create", "jobs.batch", "-n", "default").stdout.strip() == "no"
    identity = ada("aws", "sts", "get-caller-identity", "--profile", CONTEXT, "--query", "Arn", "--output", "text")
    assert identity.stdout.startswith(f"arn:aws:sts::{HUB}:assumed-role/podshare-vision-"), identity.stderr


def test_undo_leaves_the_files_as_they_were(ada: Scientist) -> None:
    """The config keeps every byte of its own; a kubeconfig that was not there is not there any more."""
    before = ada.config.read_bytes()
    ada.connect("vision")
    assert ada.config.read_bytes().startswith(before)
    ada.connect("vision")  # again, which changes nothing
    assert ada.config.read_text().count("# >>> ") == 1
    assert ada.connect("vision", "--undo", "--cluster", "other")["removed"] == []
    told = ada.connect("vision", "--undo")
    assert told["removed"] == [CONTEXT]
    assert (ada.config.read_bytes(), ada.kubeconfig.exists()) == (before, False)


def test_print_changes_nothing(ada: Scientist) -> None:
    """It shows both files' new parts, and neither file is touched."""
    before = ada.config.read_bytes()
    shown = ada("podshare", "connect", "vision", "--print")
    assert shown.returncode == 0, shown.stderr
    assert f"[profile {CONTEXT}]" in shown.stdout
    assert f"current-context: {CONTEXT}" in shown.stdout
    assert (ada.config.read_bytes(), ada.kubeconfig.exists()) == (before, False)


def test_the_places_of_files_are_those_of_the_environment(ada: Scientist) -> None:
    """AWS_CONFIG_FILE and KUBECONFIG are honored, and kubectl finds the profiles by the context alone."""
    places = {"AWS_CONFIG_FILE": str(ada.home / "aws"), "KUBECONFIG": f"{ada.home / 'kube'}:{ada.home / 'other'}"}
    Path(places["AWS_CONFIG_FILE"]).write_text(f"[profile work]\nregion = {REGION}\n")
    told = ada.connect("vision", **places)
    assert sorted(told["files"]) == [str(ada.home / "aws"), str(ada.home / "kube")]
    allowed = ada("kubectl", "auth", "can-i", "create", "pods", KUBECONFIG=places["KUBECONFIG"])
    assert allowed.stdout.strip() == "yes", allowed.stderr


@pytest.mark.parametrize(
    "text",
    [
        "clusters: [\n",
        "- a\n",
        "clusters: main\n",
        "contexts: {a: b}\n",
        "users: [a]\n",
        "apiVersion: v1\nkind: Pod\n",
        "clusters:\n- name: 1\n  cluster: {server: x}\n",
        "contexts:\n- name: a\n  context: {extensions: x}\n",
        "users:\n- name: a\n  user: {exec: [x]}\n",
    ],
)
def test_a_kubeconfig_that_kubectl_does_not_read_is_refused(ada: Scientist, text: str) -> None:
    """The sentence names the file, which of several it may be, and neither file is touched."""
    ada.kubeconfig.parent.mkdir()
    ada.kubeconfig.write_text(text)
    before = ada.config.read_bytes()
    for path in (str(ada.kubeconfig), f"{ada.home / 'new'}{os.pathsep}{ada.kubeconfig}"):
        told = ada.refused("vision", KUBECONFIG=path)
        assert str(ada.kubeconfig) in told
        assert "Nothing was written." in told
    assert (ada.config.read_bytes(), ada.kubeconfig.read_text()) == (before, text)
    assert not (ada.home / "new").exists()


def test_a_kubeconfig_that_broke_later_is_told_by_check(ada: Scientist) -> None:
    """What kubectl does not read, or no longer has, is no working hop."""
    ada.connect("vision")
    written = ada.kubeconfig.read_text()
    ada.kubeconfig.write_text(f"{written}preferences: x\n")
    told = ada.refused("vision", "--check")
    assert "kubectl: " in told
    assert str(ada.kubeconfig) in told
    ada.kubeconfig.write_text("kind: Config\n")
    told = ada.refused("vision", "--check")
    assert f"no kubeconfig has the context {CONTEXT}" in told
    assert "podshare connect vision" in told


def test_a_shell_acts_as_the_team(ada: Scientist) -> None:
    """aws and kubectl of the shell are the team's."""
    program = ada.home / "shell"
    program.write_text(
        "#!/bin/sh\naws sts get-caller-identity --query Arn --output text\nkubectl config current-context\n"
    )
    program.chmod(0o755)
    ended = ada("podshare", "connect", "vision", "--shell", "--quiet", SHELL=str(program))
    assert ended.returncode == 0, ended.stderr
    arn, context = ended.stdout.split()
    assert arn.startswith(f"arn:aws:sts::{HUB}:assumed-role/podshare-vision-")
    assert context == CONTEXT


def test_what_is_in_the_environment_does_not_take_the_shells_place(ada: Scientist) -> None:
    """Neither another profile nor another Region of the person's own."""
    program = ada.home / "shell"
    program.write_text("#!/bin/sh\necho $AWS_DEFAULT_REGION\naws sts get-caller-identity --query Arn --output text\n")
    program.chmod(0o755)
    others = {"AWS_DEFAULT_PROFILE": "work", "AWS_DEFAULT_REGION": "eu-west-1"}
    words = ("podshare", "connect", "vision", "--shell", "--quiet", "--region", REGION)
    ended = ada(*words, SHELL=str(program), **others)
    region, arn = ended.stdout.split()
    assert region == REGION
    assert arn.startswith(f"arn:aws:sts::{HUB}:assumed-role/podshare-vision-")


def test_a_shell_with_keys_in_its_environment_says_what_aws_needs(ada: Scientist) -> None:
    """They begin the chain, so that they stay, and aws prefers them to a profile that it is not told to use."""
    program = ada.home / "shell"
    program.write_text(
        "#!/bin/sh\naws sts get-caller-identity --query Arn --output text\n"
        f"aws --profile {CONTEXT} sts get-caller-identity --query Arn --output text\n"
        "kubectl auth can-i create jobs.batch\n"
    )
    program.chmod(0o755)
    lines = (ada.home / ".aws" / "credentials").read_text().splitlines()
    keys = {name.strip().upper(): value.strip() for name, _, value in (line.partition("=") for line in lines[1:])}
    del ada.environment["AWS_PROFILE"]
    ended = ada("podshare", "connect", "vision", "--shell", "--region", REGION, SHELL=str(program), **keys)
    own, of_the_team, allowed = ended.stdout.split()
    assert own.startswith(f"arn:aws:iam::{VISION}:user/")
    assert of_the_team.startswith(f"arn:aws:sts::{HUB}:assumed-role/podshare-vision-")
    assert allowed == "yes"
    assert f"take precedence over profiles: use aws --profile {CONTEXT}" in " ".join(ended.stderr.split())


def test_a_shell_that_does_not_exist_is_told_before_anything_is_written(ada: Scientist) -> None:
    """Wrong usage, and no traceback."""
    ended = ada("podshare", "connect", "vision", "--shell", SHELL="/bin/absent")
    assert (ended.returncode, ada.kubeconfig.exists()) == (64, False)
    assert "SHELL is /bin/absent, which is no program." in " ".join(ended.stderr.split())


def test_a_role_of_ones_own_is_the_way_in(vision: World, tmp_path: Path) -> None:
    """A profile that assumes the existing role is chained once more, and no role in between is assumed."""
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{LANGUAGE}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam = vision.sandbox.client("iam", LANGUAGE)
    iam.create_role(RoleName="Researcher", Path="/research/", AssumeRolePolicyDocument=document)
    member = {"account": LANGUAGE, "existing_role": "research/Researcher"}
    assert vision.put_team("vision", **{**TEAM, "members": [*TEAM["members"], member]})["state"] == "READY"
    researcher = Scientist(vision, LANGUAGE, tmp_path)
    role = f"role_arn = arn:aws:iam::{LANGUAGE}:role/research/Researcher\nsource_profile = work\nregion = {REGION}\n"
    researcher.config.write_text(f"[profile research]\n{role}")
    told = researcher.connect("vision", "--profile", "research")
    assert "no role to assume" in told["hops"][1]["detail"]
    assert "source_profile = research" in researcher.config.read_text()
    allowed = researcher("kubectl", "auth", "can-i", "create", "jobs.batch")
    assert allowed.stdout.strip() == "yes", allowed.stderr
    assert [team["state"] for team in researcher.connect("--list", "--profile", "research")] == ["ACTIVE"]
    vision.put_team("vision", **TEAM)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("vision", "--cluster", "other"), "has no cluster other in us-west-2. It has main."),
        (("vision", "--list"), "--list takes no team"),
        ((), "Name a team, or list those that you are in."),
        (("vision", "--print", "--undo"), "--print and --undo exclude each other"),
        (("vision", "--kind", "CronJob"), "--kind CronJob is not known"),
        (("Vision]",), "is no team's name"),
        (("vision", "--check", "--write-job", "job.yaml"), "--check and --write-job exclude each other"),
        (("vision", "--undo", "--write-job", "job.yaml"), "--undo and --write-job exclude each other"),
        (("vision", "--write-job", "jbos/job.yaml"), "jbos/job.yaml cannot be written: No such file"),
    ],
)
def test_wrong_usage_is_told(ada: Scientist, words: tuple[str, ...], what: str) -> None:
    """With the exit code of wrong usage, before anything is written."""
    ended = ada("podshare", "connect", *words)
    assert (ended.returncode, what in " ".join(ended.stderr.split())) == (64, True), ended.stderr


# ---- teams -----------------------------------------------------------------------------------------------------


def test_a_scientist_lists_their_teams(vision: World, tmp_path: Path) -> None:
    """State and end of each; without the right to list, the way on is named."""
    lister = Scientist(vision, VISION, tmp_path, ("sts:AssumeRole", "ssm:GetParametersByPath"))
    (team,) = lister.connect("--list")
    assert (team["team"], team["state"], team["until"]) == ("vision", "ACTIVE", "2030-01-01T00:00:00Z")
    assert (team["owner"], team["clusters"]) == ("priya@example.com", ["main"])
    assert "vision" in lister("podshare", "connect", "--list").stdout


def test_who_may_not_list_is_told_to_name_the_team(ada: Scientist) -> None:
    """The scientist role reads the team's own parameter, so that no right of one's own is needed."""
    assert "Name your team instead: podshare connect TEAM" in ada.refused("--list")


# ---- when access ends --------------------------------------------------------------------------------------------


def test_who_was_never_in_is_told_what_to_check(vision: World, tmp_path: Path) -> None:
    """Nothing is published there, and nothing was written before."""
    stranger = Scientist(vision, LANGUAGE, tmp_path, ("sts:AssumeRole", "ssm:GetParameter"))
    told = stranger.refused("vision", "--check")
    assert f"No team vision is published in account {LANGUAGE}, {REGION}." in told


def test_a_role_that_does_not_let_one_in_is_told(vision: World, tmp_path: Path) -> None:
    """With the right to read, and without the right to assume, the hop that fails is named, and whom to ask."""
    reader = Scientist(vision, VISION, tmp_path, ("ssm:GetParameter",))
    told = reader.refused("vision", "--check")
    assert "scientist role: " in told
    assert f"Your own policies must allow sts:AssumeRole on it: ask who manages account {VISION}." in told


def test_another_account_than_that_of_before_is_told(vision: World, ada: Scientist, tmp_path: Path) -> None:
    """Whoever connected with one profile, and checks with another, is told which account they joined the team in."""
    ada.connect("vision")
    (home := tmp_path / "other").mkdir()
    stranger = Scientist(vision, LANGUAGE, home)
    stranger.config.write_text(f"{stranger.config.read_text()}\n# >>> {ada.config.read_text().partition('# >>> ')[2]}")
    told = stranger.refused("vision", "--check")
    assert f"You are in account {LANGUAGE}; you joined team vision in account {VISION}." in told


def test_a_lost_entry_is_told_by_the_cluster(vision: World, ada: Scientist) -> None:
    """A 401 is a sentence: the role has no access entry, what that may mean, and whom to ask."""
    ada.connect("vision", "--check")
    entry = {"clusterName": "hyperpod-eks", "principalArn": vision.cluster_access_role("vision", VISION)}
    vision.sandbox.client("eks", HUB).delete_access_entry(**entry)
    told = ada.refused("vision", "--check")
    assert "does not let your role in (401): it has no access entry" in told
    assert "podshare is paused or holds a plan" in told
    assert "priya@example.com" in told
    assert vision.reconcile("vision")["state"] == "READY"


def test_credentials_of_an_earlier_role_are_told(ada: Scientist) -> None:
    """The AWS CLI keeps sessions for an hour: if kubectl's token comes from such a one, connect and --check say so."""
    ada.connect("vision")
    cache = ada.home / ".aws" / "cli" / "cache"
    for file in cache.iterdir():
        kept = json.loads(file.read_text())
        kept["Credentials"]["AccessKeyId"] = "ASIA" + "Q" * 16
        file.write_text(json.dumps(kept))
    for words in (("vision", "--check"), ("vision",)):
        told = ada.refused(*words)
        assert "cluster main refuses the token that kubectl gets (401)" in told
        assert "delete the folder ~/.aws/cli/cache" in told
    shutil.rmtree(cache)
    assert ada.connect("vision", "--check")["hops"][-1]["hop"] == "kubectl"


def test_an_unreachable_cluster_is_told(ada: Scientist) -> None:
    """Its name and address, and what may be between."""
    told = ada.refused("vision", "--check", NO_PROXY=".eks.amazonaws.com", no_proxy=".eks.amazonaws.com")
    assert "cluster main cannot be reached at https://" in told
    assert "Its endpoint is public: look for a proxy or firewall in between, or ask priya@example.com." in told


@pytest.mark.parametrize("actions", [("sts:AssumeRole", "ssm:GetParameter"), ("sts:AssumeRole",)])
def test_who_is_removed_is_told_so(vision: World, tmp_path: Path, actions: tuple[str, ...]) -> None:
    """The parameter is gone, and what was known when it was last read says what may have happened."""
    bob = Scientist(vision, VISION, tmp_path, actions)
    bob.connect("vision")
    vision.put_team("vision", members=[], service_accounts=READER)
    told = bob.refused("vision", "--check")
    assert f"Account {VISION} is no longer in team vision: it was removed from the record, or" in told
    assert "ask priya@example.com." in told
    bob.config.write_text(bob.config.read_text().replace("2030-01-01", "2020-01-01"))
    assert "Your access to team vision ended at 2020-01-01T00:00:00Z, as " in bob.refused("vision", "--check")
    refused = bob("kubectl", "get", "pods")
    assert refused.returncode == 1
    assert bob.connect("vision", "--undo")["removed"] == [CONTEXT]
    vision.put_team("vision", **TEAM)


def test_an_end_that_was_written_later_is_not_called_a_removal(vision: World, tmp_path: Path) -> None:
    """An end that nobody has seen published may be the reason, and the sentence says so, with whom to ask."""
    bob = Scientist(vision, VISION, tmp_path, ("sts:AssumeRole", "ssm:GetParameter"))
    vision.put_team("vision", **{**TEAM, "members": [{"account": VISION}]})
    bob.connect("vision")
    vision.put_team("vision", **{**TEAM, "members": [{"account": VISION, "expires": "2026-01-01T00:00:00Z"}]})
    told = bob.refused("vision", "--check")
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    assert f"or its access was given an end after {today} that has passed" in told
    assert "ask priya@example.com" in told
    vision.put_team("vision", **TEAM)


@pytest.mark.parametrize("words", [("vision", "--check"), ("--list",)])
def test_what_is_remembered_is_renewed_while_it_can_be_read(
    vision: World, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """An end that was moved is known after each look: what was remembered before does not mislead later."""
    bob = Scientist(vision, VISION, tmp_path, ("sts:AssumeRole", "ssm:GetParameter", "ssm:GetParametersByPath"))
    bob.connect("vision")
    fresh = bob.config.read_text()
    bob.config.write_text(fresh.replace("2030-01-01", "2020-01-01").replace("priya@", "pia@"))
    bob.connect(*words)
    assert bob.config.read_text() == fresh
    bob.config.write_text(fresh.replace("2030-01-01", "2020-01-01"))
    bob.connect("vision", "--print")  # which writes nothing
    assert "2020-01-01" in bob.config.read_text()


def test_an_account_of_an_enrollment_that_moved_is_told_so(vision: World, tmp_path: Path) -> None:
    """What the enrollment selects by is published and remembered: the sentence names the unit that the account left."""
    vision.sweep()
    vision.put(an_enrollment_item(exclude_accounts=[VISION, LANGUAGE]))
    account = vision.join("genomics-lab", tags={"owner": "rosalind@example.com", "gpus": "4"})
    team = f"science-{account}"
    rosalind = Scientist(vision, account, tmp_path)
    rosalind.connect(team)
    vision.move(account, PLATFORM)
    told = rosalind.refused(team, "--check")
    assert f"Account {account} is no longer in team {team}: it was moved out of organizational unit {SCIENCE}" in told
    assert "ask rosalind@example.com" in told
    vision.delete("enrollment#science")


def test_another_region_than_that_of_before_is_told(ada: Scientist) -> None:
    """What is published in the cluster's Region alone is not taken for a removal."""
    ada.connect("vision")
    told = ada.refused("vision", "--check", "--region", "eu-west-1")
    assert f"you joined it in {REGION}" in told
    assert f"--region {REGION}" in told


def test_connect_starts_within_a_second(ada: Scientist) -> None:
    """It imports neither the sandbox nor what takes long, whatever it is asked: counted, not timed."""
    program = (
        "import sys; from podshare_cli.application import main; main(['connect', 'vision', '--check', '--quiet']);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    ended = ada(sys.executable, "-c", program)
    assert ended.returncode == 0, ended.stderr
    loaded = set(ended.stdout.split())
    assert not loaded & {"podshare_sandbox", "moto", "lightkube", "httpx2"}, ended.stdout

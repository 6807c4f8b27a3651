"""The workflows of ``examples/gitops``: their own steps, run with bash in a repository, with the roles that they name."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from podshare.aws.rows import from_item
from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox
from podshare_sandbox.organization import EKS_CLUSTER, HUB, HUB_REGION
from tests.scenarios.world import World

PROJECT = Path(__file__).resolve().parents[2]
GITOPS, RECORDS = PROJECT / "examples/gitops", PROJECT / "examples/registry"
GITHUB = yaml.safe_load((GITOPS / "github/podshare.yml").read_text())
GITLAB = yaml.safe_load((GITOPS / "gitlab/gitlab-ci.yml").read_text())
POLICIES = {"records-plan": "podshare-planner", "records-apply": "podshare-admin"}  # as README.md attaches them
# what the runners have: no step of the workflows needs more
TOOLS = {
    "podshare": f'exec {sys.executable} -m podshare_cli "$@"',
    "pip": 'echo "pip $*" >> "$TOOLS/calls"',
    "gh": 'echo "gh $*" >> "$TOOLS/calls"',
}


@dataclass
class Repository:
    """A clone with records, and a runner for the jobs of its CI."""

    sandbox: Sandbox
    keys: Mapping[str, Mapping[str, str]]
    folder: Path
    tools: Path
    calls: list[str] = field(default_factory=list)

    def commit(self, *files: Path) -> None:
        """Let ``records/`` hold these files, and commit it."""
        shutil.rmtree(self.folder / "records", ignore_errors=True)
        (self.folder / "records").mkdir(parents=True)
        for file in files:
            shutil.copy(file, self.folder / "records")
        for words in (["add", "-A"], ["commit", "-q", "-m", "Change records"]):
            self._git(*words)

    def init(self, host: str) -> None:
        """A new repository on a host, as CI clones it."""
        self.folder.mkdir()
        for words in (
            ["init", "-q", "-b", "main"],
            ["config", "user.email", "ada@example.com"],
            ["config", "user.name", "Ada"],
            ["remote", "add", "origin", f"https://{host}/example/records.git"],
        ):
            self._git(*words)

    def run(self, script: str, environment: Mapping[str, str], role: str, *, flags: str) -> tuple[int, str]:
        """Run a script as a runner does, with the credentials of a role or none; its exit code, and what it printed."""
        bare = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GIT", "CI"))}
        network = {
            name: value for name, value in self.sandbox.environment(HUB, HUB_REGION).items() if "KEY" not in name
        }
        path = f"{self.tools}:{os.environ['PATH']}"
        own = {"PATH": path, "TOOLS": str(self.tools), "PYTHONPATH": os.pathsep.join(sys.path), "NO_COLOR": "1"}
        ended = subprocess.run(  # noqa: S603  # the project's own examples
            ["bash", *flags.split(), "-c", script],  # noqa: S607  # as the runners have it
            env={**bare, **network, **environment, **own, **self.keys.get(role, {})},
            cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return ended.returncode, ended.stdout + ended.stderr

    def _git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.folder, check=True)  # noqa: S603, S607  # fixed words


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """An organization with podshare."""
    with Sandbox(time_scale=0.02) as running:
        deploy_podshare(running, {"DrainSeconds": "0"})
        yield running


@pytest.fixture(scope="module")
def keys(sandbox: Sandbox) -> dict[str, dict[str, str]]:
    """Credentials for each role that the workflows name, with the policy that README.md attaches to it."""
    iam, found = sandbox.client("iam", HUB), {}
    for role, policy in POLICIES.items():
        iam.create_user(UserName=role)
        iam.attach_user_policy(UserName=role, PolicyArn=f"arn:aws:iam::{HUB}:policy/podshare-system/{policy}")
        key = iam.create_access_key(UserName=role)["AccessKey"]
        found[role] = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    return found


@pytest.fixture
def repository(sandbox: Sandbox, keys: dict[str, dict[str, str]], tmp_path: Path) -> Repository:
    """An empty clone, with the tools of a runner beside it."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, line in TOOLS.items():
        (tools / name).write_text(f"#!/bin/sh\n{line}\n")
        (tools / name).chmod(0o755)
    return Repository(sandbox, keys, tmp_path / "records-repository", tools)


# ---- how each CI runs a job -------------------------------------------------------------------------------------


def on_github(repository: Repository, job: str) -> tuple[int, str]:
    """A job of GitHub Actions: its steps one after the other until one fails ("Workflow syntax", `run`)."""
    values = {"github.token": "secret", "github.event.pull_request.number": "7", "env.AWS_REGION": HUB_REGION}

    def filled(value: str) -> str:
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: values[found[1]], value)

    variables = {
        "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "example/records", "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_ACTOR": "ada", "GITHUB_SHA": "0" * 40, "GITHUB_WORKSPACE": str(repository.folder),
    }  # fmt: skip
    role, printed = "", ""
    for step in GITHUB["jobs"][job]["steps"]:
        if "configure-aws-credentials" in step.get("uses", ""):
            assert filled(step["with"]["aws-region"]) == GITHUB["env"]["AWS_REGION"]
            role = step["with"]["role-to-assume"].rpartition("/")[2]
        if "run" in step:
            environment = {name: filled(str(value)) for name, value in {**GITHUB["env"], **step.get("env", {})}.items()}
            code, lines = repository.run(step["run"], {**variables, **environment}, role, flags="-e")
            printed += lines
            if code:
                return code, printed
    return 0, printed


def on_gitlab(repository: Repository, job: str) -> tuple[int, str]:
    """A job of GitLab CI: the lines of before_script and script in one shell ("CI/CD YAML syntax reference")."""
    default, own = GITLAB["default"], GITLAB[job]
    variables = {
        "CI_PROJECT_DIR": str(repository.folder), "CI_PROJECT_PATH": "example/records", "CI_SERVER_HOST": "gitlab.com",
        "GITLAB_USER_LOGIN": "ada", "CI_COMMIT_SHA": "0" * 40, **dict.fromkeys(default["id_tokens"], "token"),
    }  # fmt: skip
    given = {**GITLAB["variables"], **own["variables"]}
    environment = {name: value.replace("$CI_PROJECT_DIR", str(repository.folder)) for name, value in given.items()}
    role = own["variables"]["AWS_ROLE_ARN"].rpartition("/")[2]
    script = "\n".join([*default["before_script"], *own["script"]])
    return repository.run(script, {**variables, **environment}, role, flags="-e -o pipefail")


CI = {"github": ("github.com", on_github), "gitlab": ("gitlab.com", on_gitlab)}


# ---- the story --------------------------------------------------------------------------------------------------


def records(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """The registry."""
    items = map(from_item, sandbox.client("dynamodb").scan(TableName="podshare-registry")["Items"])
    return {item["id"]: item for item in items}


@pytest.mark.parametrize("kind", CI)
def test_records_go_from_a_pull_request_into_the_registry(repository: Repository, sandbox: Sandbox, kind: str) -> None:
    """A pull request plans and writes nothing, its merge applies it, drift fails the nightly job, a removed file prunes."""
    (host, job), world = CI[kind], World(sandbox)
    cluster, datasets, team = (RECORDS / f"{name}.yaml" for name in ("cluster-main", "datasets", "team-vision"))
    plan = repository.folder / "plan.md"
    repository.init(host)

    repository.commit(cluster, datasets, team)
    before = records(sandbox)
    code, printed = job(repository, "plan")
    assert code == 0, printed
    assert "vision" in plan.read_text()
    assert records(sandbox) == before

    code, printed = job(repository, "apply")
    assert code == 0, printed
    assert world.status("vision")["state"] == "READY"

    code, printed = job(repository, "drift")
    assert code == 0, printed
    entry = world.cluster_access_role("vision", "222222222222")
    sandbox.client("eks").delete_access_entry(clusterName=EKS_CLUSTER, principalArn=entry)
    code, printed = job(repository, "drift")
    assert code == 2, printed
    assert "vision" in printed

    repository.commit(cluster, datasets)
    before = records(sandbox)
    code, printed = job(repository, "plan")
    assert code == 0, printed
    assert "vision" in plan.read_text()
    assert records(sandbox) == before
    code, printed = job(repository, "apply")
    assert code == 0, printed
    assert "team#vision" not in records(sandbox)
    assert world.status("vision")["state"] == "DELETED"


def test_an_invalid_record_ends_a_pull_request_before_anything_is_asked(repository: Repository) -> None:
    """The job validates without credentials, and GitHub gets the file and line."""
    repository.init("github.com")
    repository.commit(RECORDS / "team-vision.yaml")
    file = repository.folder / "records/team-vision.yaml"
    file.write_text(file.read_text().replace("owner:", "ownr:"))

    code, printed = on_github(repository, "plan")

    assert code == 64
    assert "::error file=records/team-vision.yaml,line=" in printed
    assert not (repository.folder / "plan.md").exists()


def test_a_plan_becomes_one_comment_whatever_it_says(repository: Repository) -> None:
    """Also where it is blocked, and then the job fails."""
    repository.init("github.com")
    text = (RECORDS / "team-vision.yaml").read_text()
    repository.commit(RECORDS / "cluster-main.yaml", RECORDS / "datasets.yaml")
    (repository.folder / "records/team-more.yaml").write_text(
        text.replace("team#vision", "team#more").replace("count: 4", "count: 400")
    )

    code, printed = on_github(repository, "plan")

    assert code == 1, printed
    assert "more" in (repository.folder / "plan.md").read_text()
    calls = (repository.tools / "calls").read_text()
    assert "gh pr comment 7 --body-file plan.md" in calls


# ---- who may be whom --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CI)
def test_only_main_may_assume_the_role_that_writes(sandbox: Sandbox, kind: str) -> None:
    """IAM accepts both trust policies; both hold audience and repository, and the one that applies the very branch."""
    subjects = {}
    for name in ("plan", "apply"):
        text = (GITOPS / kind / f"trust-{name}.json").read_text()
        sandbox.client("iam", HUB).create_role(RoleName=f"{kind}-{name}", AssumeRolePolicyDocument=text)
        (statement,) = json.loads(text)["Statement"]
        provider = statement["Principal"]["Federated"].partition("oidc-provider/")[2]
        assert statement["Condition"]["StringEquals"][f"{provider}:aud"] == "sts.amazonaws.com"
        subjects[name] = {
            operator: keys[f"{provider}:sub"]
            for operator, keys in statement["Condition"].items()
            if f"{provider}:sub" in keys
        }
    main = {
        "github": "repo:example/records:ref:refs/heads/main",
        "gitlab": "project_path:example/records:ref_type:branch:ref:main",
    }
    assert subjects["apply"] == {"StringEquals": main[kind]}
    repository = main[kind].partition(":ref")[0]
    assert subjects["plan"] == {"StringLike": f"{repository}:*"}


def test_the_roles_are_those_that_the_readme_creates() -> None:
    """Each role that a workflow names is created and given one policy, of these two."""
    text = (GITOPS / "README.md").read_text().replace("\\\n", " ")
    created = re.findall(r"create-role --role-name (\S+)", text)
    attached = dict(re.findall(r"--role-name (\S+)\s+--policy-arn arn:aws:iam::\d+:policy/podshare-system/(\S+)", text))
    named = set(re.findall(r"arn:aws:iam::\d+:role/([\w-]+)", json.dumps([GITHUB, GITLAB])))
    assert named == {*created} == attached.keys()
    assert attached == POLICIES

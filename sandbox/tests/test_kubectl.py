"""kubectl as it is, as ``aws eks update-kubeconfig`` sets it up, does to a sandbox's cluster what users do with it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from podshare_sandbox import Sandbox
from sandbox.tests.clients import client
from sandbox.tests.clients import run as run_client

CLUSTER = "hyperpod-eks"
TEAM, OTHER = "team", "other"


NAMES_NAMESPACES = 34  # from this minor version on kubectl does, and writes no null timestamps


class Kubectl:
    """kubectl with a kubeconfig of the cluster, in the namespace of a team."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self.minor = int(
            yaml.safe_load(self("version", "--client", "-o", "yaml"))["clientVersion"]["minor"].rstrip("+")
        )

    def run(self, *words: str, given: Any = None) -> subprocess.CompletedProcess[str]:
        """Run it to its end; what is ``given`` is read from standard input, objects as YAML."""
        text = given if isinstance(given, str | None) else yaml.safe_dump(given)
        return subprocess.run(  # noqa: S603  # a command of a test
            [client("kubectl"), *words],
            env=self._environment, input=text or "", capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def __call__(self, *words: str, given: Any = None) -> str:
        """What it prints; it has to succeed."""
        done = self.run(*words, given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *words: str, given: Any = None) -> str:
        """Why it fails."""
        done = self.run(*words, given=given)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """Let it run."""
        command = [client("kubectl"), *words]
        return subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE, text=True)  # noqa: S603  # a test's


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """The administrator of the cluster's account."""
    folder = tmp_path_factory.mktemp("kubectl")
    with Sandbox(time_scale=0.02) as sandbox:
        environment = sandbox.environment()
        tools = os.pathsep.join(str(Path(client(name)).parent) for name in ("aws", "kubectl"))
        environment |= {"HOME": str(folder), "KUBECONFIG": str(folder / "config")}
        environment["PATH"] = f"{tools}{os.pathsep}{environment['PATH']}"
        made = run_client(["aws", "eks", "update-kubeconfig", "--name", CLUSTER], environment)
        assert made.returncode == 0, made.stderr
        kubectl = Kubectl(environment)
        for name in (TEAM, OTHER):
            kubectl("create", "namespace", name)
        kubectl("config", "set-context", "--current", f"--namespace={TEAM}")
        yield kubectl
    shutil.rmtree(folder, ignore_errors=True)


def job(name: str, command: list[str], **labels: str) -> dict[str, Any]:
    """A Job whose container runs a command."""
    container = {"name": "main", "image": "busybox", "command": command}
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}, "backoffLimit": 0}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": labels}, "spec": spec}


def deployment(image: str, **env: str) -> dict[str, Any]:
    """A Deployment of one container."""
    listed = [{"name": key, "value": value} for key, value in env.items()]
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": image, "env": listed}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def test_apply_creates_then_merges_then_leaves_alone(kubectl: Kubectl) -> None:
    """kubectl apply sends strategic merge patches of what has changed (Declarative Management Using Configuration Files)."""
    assert kubectl("apply", "-f", "-", given=deployment("web:1", A="1", B="2")) == "deployment.apps/web created\n"
    assert kubectl("apply", "-f", "-", given=deployment("web:1", A="1", B="2")) == "deployment.apps/web unchanged\n"
    kubectl("label", "deployment", "web", "by=hand")
    assert kubectl("apply", "-f", "-", given=deployment("web:2", B="3")) == "deployment.apps/web configured\n"
    found = yaml.safe_load(kubectl("get", "deployment", "web", "-o", "yaml"))
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["env"]) == ("web:2", [{"name": "B", "value": "3"}])
    assert found["metadata"]["labels"]["by"] == "hand"


def test_apply_on_the_server_and_by_dry_run(kubectl: Kubectl) -> None:
    """Server-side apply works, and a dry run on the server stores nothing (Server-Side Apply; kubectl reference)."""
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}}
    assert "(server dry run)" in kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", given=config)
    assert "NotFound" in kubectl.refused("get", "configmap", "settings")
    assert "serverside-applied" in kubectl("apply", "--server-side", "-f", "-", given=config)


def test_an_unknown_field_is_refused(kubectl: Kubectl) -> None:
    """kubectl lets a server that takes fieldValidation validate strictly, which OpenAPI v3 tells it (kubectl --validate)."""
    wrong = job("wrong", ["true"])
    wrong["spec"]["paralellism"] = 2
    assert 'unknown field "spec.paralellism"' in kubectl.refused("apply", "-f", "-", given=wrong)


def test_explain_reads_the_schemas(kubectl: Kubectl) -> None:
    """kubectl explain renders OpenAPI v3 of built-in kinds, down to nested fields (kubectl reference, explain)."""
    assert "FIELD: containers <[]Container>" in kubectl("explain", "job.spec.template.spec.containers")
    assert "pods" in kubectl("api-resources", "--api-group=", "-o", "name")
    assert "Server Version: v1." in kubectl("version")


def test_a_job_is_created_waited_for_and_read(kubectl: Kubectl) -> None:
    """create job sends protobuf, wait watches, logs and describe read what the controllers have made."""
    made = kubectl("create", "job", "hello", "--image=busybox", "--", "sh", "-c", "echo one; sleep 1; echo two")
    assert made == "job.batch/hello created\n"
    assert kubectl("logs", "-f", "job/hello", "--pod-running-timeout=60s") == "one\ntwo\n"
    assert "condition met" in kubectl("wait", "--for=condition=complete", "job/hello", "--timeout=60s")
    name, status, completions, *_ = kubectl("get", "job", "hello", "--no-headers").split()
    assert (name, status, completions) == ("hello", "Complete", "1/1")
    assert "Pods Statuses:    0 Active (0 Ready) / 1 Succeeded / 0 Failed" in kubectl("describe", "job", "hello")
    named = f" from {TEAM} namespace" if kubectl.minor >= NAMES_NAMESPACES else ""
    assert kubectl("delete", "job", "hello") == f'job.batch "hello" deleted{named}\n'


@pytest.mark.parametrize(
    "words",
    [
        ("cronjob", "nightly", "--image=busybox", "--schedule=0 3 * * *", "--", "date"),
        ("configmap", "files", "--from-literal=a=b"),
        ("secret", "generic", "hidden", "--from-literal=a=b"),
        ("quota", "pods", "--hard=pods=1,requests.cpu=500m"),
        ("serviceaccount", "trainer"),
        ("role", "reader", "--verb=get", "--resource=pods"),
        ("rolebinding", "reader", "--role=reader", "--user=ana"),
        ("deployment", "idle", "--image=busybox", "--replicas=0"),
    ],
    ids=lambda words: words[0],
)
def test_what_kubectl_creates_by_itself_arrives_whole(kubectl: Kubectl, words: tuple[str, ...]) -> None:
    """What is sent as protobuf is stored as the JSON of the same object would be (API Concepts, Protobuf encoding)."""
    given = [*words[:2], *words[2:]] if "--" not in words else list(words)
    position = given.index("--") if "--" in given else len(given)
    shown = yaml.safe_load(kubectl("create", *given[:position], "--dry-run=client", "-o", "yaml", *given[position:]))
    kubectl(
        "create", f"--namespace={OTHER}", "-f", "-", given=shown | {"metadata": {"name": shown["metadata"]["name"]}}
    )
    kubectl("create", *words)
    kind, name = shown["kind"], shown["metadata"]["name"]
    by_json, by_protobuf = (
        yaml.safe_load(kubectl("get", kind, name, "-n", namespace, "-o", "yaml")) for namespace in (OTHER, TEAM)
    )
    for found in (by_json, by_protobuf):
        del found["metadata"]
        found.pop("status", None)
    assert by_protobuf == (by_json if kubectl.minor >= NAMES_NAMESPACES else _without_nulls(by_json))


def _without_nulls(value: Any) -> Any:
    """Up to 1.33 kubectl writes a null creationTimestamp into the JSON of templates, which says nothing."""
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    return [_without_nulls(member) for member in value] if isinstance(value, list) else value


def test_auth_asks_access_reviews(kubectl: Kubectl) -> None:
    """auth can-i and whoami (Authorization, Checking API access); --list shows RBAC alone (EKS user guide, access policies)."""
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"
    asked = kubectl.run("auth", "can-i", "create", "pods", "--as=nobody")
    assert (asked.returncode, asked.stdout) == (1, "no\n")
    assert "the list may be incomplete" in kubectl.run("auth", "can-i", "--list").stderr
    assert "user/admin" in kubectl("auth", "whoami")


def test_get_watches_until_it_is_stopped(kubectl: Kubectl) -> None:
    """get -w prints a row for each change, as Tables (API Concepts, Efficient detection of changes)."""
    watching = kubectl.begin("get", "configmaps", "-w", "--no-headers", "--field-selector=metadata.name=watched")
    try:
        assert watching.stdout is not None
        kubectl("create", "configmap", "watched", "--from-literal=a=b")
        assert watching.stdout.readline().split()[:2] == ["watched", "1"]
        kubectl("patch", "configmap", "watched", "-p", '{"data": {"b": "c"}}')
        assert watching.stdout.readline().split()[:2] == ["watched", "2"]
    finally:
        watching.kill()
        watching.communicate()


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("strategic", '{"metadata": {"labels": {"a": "b"}}}'),
        ("merge", '{"metadata": {"labels": {"a": "b"}}}'),
        ("json", '[{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]'),
    ],
)
def test_patches_of_all_kinds(kubectl: Kubectl, kind: str, patch: str) -> None:
    """kubectl patch --type (Update API Objects in Place Using kubectl patch)."""
    name = f"patched-{kind}"
    kubectl("create", "configmap", name)
    assert kubectl("patch", "configmap", name, f"--type={kind}", "-p", patch) == f"configmap/{name} patched\n"
    assert kubectl("get", "configmap", name, "-o", "jsonpath={.metadata.labels.a}") == "b"


@pytest.fixture(scope="module")
def shell(kubectl: Kubectl) -> str:
    """A pod that waits."""
    container = {"name": "main", "image": "busybox", "command": ["sleep", "infinity"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shell"}, "spec": {"containers": [container]}}
    kubectl("apply", "-f", "-", given=pod)
    kubectl("wait", "--for=condition=Ready", "pod/shell", "--timeout=60s")
    return "shell"


def test_exec_runs_a_command_in_a_pod(kubectl: Kubectl, shell: str) -> None:
    """Output and exit code come back over a WebSocket (KEP-4006, v5.channel.k8s.io)."""
    assert kubectl("exec", shell, "--", "echo", "hello") == "hello\n"
    failed = kubectl.run("exec", shell, "--", "sh", "-c", "hostname; exit 3")
    assert (failed.returncode, failed.stdout) == (3, "shell\n")
    assert 'exec: "nvidia-smi": executable file not found in $PATH' in kubectl.refused(
        "exec", shell, "--", "nvidia-smi"
    )


def test_exec_hands_on_what_it_is_told(kubectl: Kubectl, shell: str) -> None:
    """Standard input reaches the shell, its end ends it, and errors come by the stream for them (exec -i)."""
    told = kubectl.run("exec", "-i", shell, "--", "sh", given="hostname\nnvidia-smi\nexit 4\n")
    assert (told.returncode, told.stdout) == (4, "shell\n")
    assert "sh: nvidia-smi: not found" in told.stderr
    assert kubectl("exec", "-i", shell, "--", "sh", given="echo a\necho b") == "a\nb\n"


def test_exec_needs_the_right_to_it(kubectl: Kubectl, shell: str) -> None:
    """Whoever may read pods may not run commands in them (RBAC documentation, Referring to resources)."""
    kubectl("create", "role", "looker", "--verb=get,list", "--resource=pods")
    kubectl("create", "rolebinding", "looker", "--role=looker", "--user=lou")
    assert kubectl("get", "pod", shell, "--as=lou")
    why = kubectl.refused("exec", shell, "--as=lou", "--", "echo", "hello")
    assert 'User "lou" cannot' in why
    assert 'resource "pods/exec"' in why


def test_what_is_not_emulated_is_refused_cleanly(kubectl: Kubectl, shell: str) -> None:
    """port-forward ends with an error that says so, instead of waiting for what never comes."""
    assert "portforward is not emulated" in kubectl.refused("port-forward", shell, "8080:80")


def test_run_and_delete_wait_for_the_end(kubectl: Kubectl) -> None:
    """run makes a pod; delete returns once a watch has told that it is gone (kubectl reference, delete --wait)."""
    assert kubectl("run", "once", "--image=busybox", "--command", "--", "sleep", "1000") == "pod/once created\n"
    assert "deleted" in kubectl("delete", "pod", "once", "--timeout=60s")
    assert "NotFound" in kubectl.refused("get", "pod", "once")

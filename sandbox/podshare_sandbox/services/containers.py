"""What the nodes run: the containers of pods, as far as the sandbox knows their commands.

Containers of the AWS CLI's image call AWS in the role that pod identity gives their pod. Of the AWS CLI it is the
commands that call one operation of a service (``s3api list-objects-v2 --bucket …``), with their errors and exit codes
as the AWS CLI user guide has them ("Command line return codes"). Commands of a shell end as
:mod:`podshare_sandbox.services.commands` knows them. Anything else, an image's own command too, does nothing: in a pod
that a controller has made it succeeds after a minute (scaled), in any other pod it goes on until the pod is deleted.
Containers that have ended start again as their pod's ``restartPolicy`` says. Not emulated: probes, lifecycle hooks,
environment from config maps and secrets.
"""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import OperationModel
from moto.eks.models import Cluster

from podshare_sandbox import clock
from podshare_sandbox.authorization import Credentials
from podshare_sandbox.json_copy import json_copy
from podshare_sandbox.services import commands, kubernetes, pod_identity
from podshare_sandbox.services.kubernetes import KubernetesApi, pods
from podshare_sandbox.services.kubernetes.exec_streams import NotFoundInContainer, Streams
from podshare_sandbox.services.kubernetes.journal import Change
from podshare_sandbox.services.kubernetes.resources import BY_KIND

IMAGE = "public.ecr.aws/aws-cli/aws-cli"
USAGE, NO_CREDENTIALS, REFUSED = 252, 253, 254
NOT_FOUND, KILLED = 127, 137
OTHER_SECONDS = 60.0  # what a program takes that is not known, in a pod that has to end
_FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS = 10.0, 300.0
_COMMANDS = {"s3api": "s3"}

Object = dict[str, Any]
Ended = tuple[int, str]  # an exit code, and what was printed

_running: dict[str, "_Pod"] = {}  # by the pod's uid
_lock = threading.Lock()


def install() -> None:
    """Run the containers of pods, in every cluster that comes up from now on."""
    kubernetes.api_listeners.append(_attend)


def close() -> None:
    """End all containers."""
    with _lock:
        for pod in _running.values():
            pod.stop()
        _running.clear()


def running() -> list[str]:
    """The uids of the pods whose containers the sandbox runs."""
    with _lock:
        return list(_running)


def _attend(cluster: Cluster, api: KubernetesApi) -> None:
    def notice(change: Change) -> None:
        if change.resource.kind != "Pod":
            return
        uid = change.object["metadata"]["uid"]
        if change.type == "ADDED" and _may_end(change.object):
            pod = _Pod(cluster.arn, api, json_copy(change.object))
            with _lock:
                _running[uid] = pod
            pod.start()
        elif change.type == "DELETED" or "deletionTimestamp" in change.object["metadata"]:
            with _lock:
                ended = _running.pop(uid, None)
            if ended:
                ended.stop()

    api.journal.subscribe(notice)
    api.execute = lambda pod, container, words, streams: _Pod(cluster.arn, api, pod).execute(container, words, streams)


def _may_end(pod: Object) -> bool:
    """Whether the sandbox knows of an end: what it does not know goes on by itself."""
    references = pod["metadata"].get("ownerReferences") or ()
    if any(each.get("controller") for each in references):
        return True
    containers = [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
    return any(_image(each) == IMAGE or commands.knows(_words(each)) for each in containers)


def _image(container: Object) -> str:
    return str(container["image"]).partition("@")[0].partition(":")[0]


def _words(container: Object) -> list[str]:
    """A container's command with its arguments; the AWS CLI's image has an entry point that is known."""
    entry_point = ["aws"] if _image(container) == IMAGE else []
    return [*(container.get("command") or entry_point), *(container.get("args") or ())]


class _Pod:
    """The containers of one pod while they run."""

    def __init__(self, cluster_arn: str, api: KubernetesApi, pod: Object) -> None:
        self._cluster_arn = cluster_arn
        self._api = api
        self._pod = pod
        self._metadata = pod["metadata"]
        self._must_end = any(each.get("controller") for each in self._metadata.get("ownerReferences") or ())
        self._policy = pod["spec"]["restartPolicy"]
        self._stopped = threading.Event()
        self._states = pods.States(pod)

    def start(self) -> None:
        """Run the containers in the background."""
        threading.Thread(target=self._run, daemon=True, name=f"pod {self._metadata['name']}").start()

    def stop(self) -> None:
        """End them."""
        self._stopped.set()

    def _run(self) -> None:
        try:
            for container in self._pod["spec"].get("initContainers", ()):
                if self._attempts(container, again=self._policy != "Never", initial=True):
                    self._tell("Failed")
                    return
            others = [
                threading.Thread(target=self._one, args=(container,), daemon=True)
                for container in self._pod["spec"]["containers"][1:]
            ]
            for thread in others:
                thread.start()
            self._one(self._pod["spec"]["containers"][0])
            for thread in others:
                thread.join()
        except commands.Killed:
            self._states.kill(KILLED)
            self._tell()
        with _lock:
            _running.pop(self._metadata["uid"], None)

    def _one(self, container: Object) -> None:
        try:
            self._attempts(container, again=True)
        except commands.Killed:
            self._states.kill(KILLED)
            self._tell()

    def _attempts(self, container: Object, *, again: bool, initial: bool = False) -> int:
        """Run a container as often as its pod's policy says; the last exit code. Raises Killed."""
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            self._states.run(container["name"])
            self._tell()
            code = self._once(container)
            ends = code == 0 if initial or self._policy == "OnFailure" else self._policy == "Never"
            if ends or not again:
                self._states.end(container["name"], code)
                self._tell()
                return code
            self._states.back_off(container["name"], code)
            self._tell()
            self._pause(clock.scaled(backoff))
            backoff = min(backoff * 2, _LONGEST_BACKOFF_SECONDS)

    def _once(self, container: Object) -> int:
        key = (self._metadata["namespace"], self._metadata["name"], container["name"])
        self._api.logs[key] = ""

        def say(text: str) -> None:
            self._api.logs[key] += text

        def other(words: Sequence[str]) -> int:
            if words and words[0] == "aws" and _image(container) == IMAGE:
                code, printed = aws(words[1:], self._credentials())
                say(f"{printed}\n")
                return code
            if self._must_end:
                told = " ".join(words) or f"the command of {container['image']}"
                say(f"[sandbox] {told} is not run here; it succeeds after {OTHER_SECONDS:g} s\n")
                self._pause(clock.scaled(OTHER_SECONDS))
                return 0
            self._pause(None)
            return KILLED

        where = self._where(container, say, self._pause, other)
        return commands.run(commands.expanded(_words(container), where.env), where)

    def execute(self, name: str, words: Sequence[str], streams: Streams) -> int:
        """Run a command beside those of a container, whose client reads what it prints; its exit code.

        Raises NotFoundInContainer for a program that is not known, unless a shell asks for it.
        """
        container = next(each for each in self._pod["spec"]["containers"] if each["name"] == name)

        def other(asked: Sequence[str]) -> int:
            if asked[0] == "aws" and _image(container) == IMAGE:
                code, printed = aws(asked[1:], self._credentials())
                streams.write(f"{printed}\n")
                return code
            if not commands.is_shell(words):
                raise NotFoundInContainer(f'exec: "{asked[0]}": executable file not found in $PATH')
            streams.complain(f"{words[0]}: {asked[0]}: not found\n")
            return NOT_FOUND

        def pause(seconds: float | None) -> None:
            if clock.wait(streams.gone, seconds):
                raise commands.Killed

        where = self._where(container, streams.write, pause, other)
        try:
            if commands.is_interactive(words):
                return commands.converse(streams.lines(), where)
            return commands.run(words, where)
        except commands.Killed:
            return KILLED

    def _where(
        self,
        container: Object,
        say: Callable[[str], None],
        pause: Callable[[float | None], None],
        other: Callable[[Sequence[str]], int],
    ) -> commands.Container:
        env = {each["name"]: str(self._value(each)) for each in container.get("env") or () if each.get("name")}
        hostname = self._pod["spec"].get("hostname") or self._metadata["name"]
        return commands.Container(hostname, {"HOSTNAME": hostname, **env}, say, pause, other)

    def _value(self, variable: Object) -> str:
        """What is given, or the pod's own name and namespace (Kubernetes documentation, "Downward API")."""
        path = ((variable.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath", "")
        known = {f"metadata.{name}": self._metadata[name] for name in ("name", "namespace", "uid")}
        known["spec.serviceAccountName"] = self._pod["spec"]["serviceAccountName"]
        return str(known.get(path, variable.get("value", "")))

    def _credentials(self) -> Credentials | None:
        account = self._pod["spec"]["serviceAccountName"]
        namespace, name = self._metadata["namespace"], self._metadata["name"]
        try:
            return pod_identity.credentials_of_pod(self._cluster_arn, namespace, account, name)
        except (pod_identity.PodIdentityError, ClientError):  # the agent gives none, and logs why
            return None

    def _pause(self, seconds: float | None) -> None:
        if clock.wait(self._stopped, seconds):
            raise commands.Killed

    def _tell(self, phase: str | None = None) -> None:
        """Let the pod's status tell of its containers, unless it is gone."""
        namespace, name = self._metadata["namespace"], self._metadata["name"]
        with self._api.lock:
            live = self._api.get("Pod", namespace, name)
            if live and live["metadata"]["uid"] == self._metadata["uid"]:
                live["status"] = self._states.status(live.get("status") or {}, phase)
                self._api.replace(BY_KIND["Pod"], namespace, live, "kubelet")


def aws(words: Sequence[str], credentials: Credentials | None) -> Ended:
    """What ``aws`` with these words does."""
    if credentials is None:
        return NO_CREDENTIALS, 'Unable to locate credentials. You can configure credentials by running "aws configure".'
    try:
        command, operation, *rest = words
        options, files = _options(rest)
        session = boto3.Session(
            credentials.access_key, credentials.secret_key, credentials.token, region_name=options.pop("region", None)
        )
        client = session.client(_COMMANDS.get(command, command))  # type: ignore[call-overload]  # any service
        name = client.meta.method_to_api_mapping[operation.replace("-", "_")]
        parameters = dict(_parameters(client.meta.service_model.operation_model(name), options, files))
        answer = getattr(client, operation.replace("-", "_"))(**parameters)
    except ClientError as error:
        return REFUSED, f"\n{error}"
    except (ValueError, KeyError) as error:
        return USAGE, f"aws: error: the sandbox does not understand {' '.join(words)}: {error}"
    told = {key: value for key, value in answer.items() if key not in ("ResponseMetadata", "Body")}
    return 0, json.dumps(told, default=str, indent=4)


def _options(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The named options, and the words that belong to none: the file that a body is written to."""
    rest, options, files = list(words), dict[str, str](), list[str]()
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            files.append(word)
            continue
        if word == "--no-paginate":  # one call is all that is made here
            continue
        if not rest:
            raise ValueError(f"{word} expects one argument")
        options[word[2:]] = rest.pop(0)
    if options.pop("output", "json") != "json":
        raise ValueError("the output is JSON here")
    return options, files


def _parameters(operation: OperationModel, options: dict[str, str], files: Sequence[str]) -> Iterator[tuple[str, Any]]:
    if len(files) != operation.has_streaming_output:
        raise ValueError("an answer with a body, and no other, is written to a file")
    shapes = operation.input_shape.members if operation.input_shape else {}
    members = {xform_name(name, "-"): (name, shape) for name, shape in shapes.items()}
    for option, value in options.items():
        name, shape = members[option]
        yield name, int(value) if shape.type_name in ("integer", "long") else value

"""What the nodes run: containers of the AWS CLI's image, as the pod that they belong to.

Containers of any other image do nothing until their pod is deleted. Of the AWS CLI it is the commands that call one
operation of a service (``s3api list-objects-v2 --bucket …``), with their errors and exit codes as the AWS CLI user
guide has them ("Command line return codes").
"""

import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.model import OperationModel

from podshare_sandbox.authorization import Credentials
from podshare_sandbox.services import pod_identity
from podshare_sandbox.services.kubernetes import KubernetesApi, endpoint

IMAGE = "public.ecr.aws/aws-cli/aws-cli"
USAGE, NO_CREDENTIALS, REFUSED = 252, 253, 254
_COMMANDS = {"s3api": "s3"}

Object = dict[str, Any]
Ended = tuple[int, str]  # an exit code, and what was printed


def install() -> None:
    """Run the containers of pods that clients make."""
    endpoint.pod_listeners[:] = [_start]


def _start(cluster_arn: str, api: KubernetesApi, pod: Object) -> None:
    if all(_image(container) == IMAGE for container in pod["spec"]["containers"]):
        threading.Thread(target=_run, args=(cluster_arn, api, pod), daemon=True, name="containers").start()


def _image(container: Object) -> str:
    return str(container["image"]).partition("@")[0].partition(":")[0]


def _run(cluster_arn: str, api: KubernetesApi, pod: Object) -> None:
    """Run a pod's containers one after the other, and let its status and logs tell how they ended."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    account = pod["spec"]["serviceAccountName"]
    try:
        credentials = pod_identity.credentials_of_pod(cluster_arn, namespace, account, name)
    except (pod_identity.PodIdentityError, ClientError):  # the agent gives none, and logs why
        credentials = None
    statuses = []
    for container in pod["spec"]["containers"]:
        code, printed = aws(container.get("args", []), credentials)
        api.logs[namespace, name, container["name"]] = printed
        statuses.append(_status(container, code))
    failed = any(one["state"]["terminated"]["exitCode"] for one in statuses)
    status = {"phase": "Failed" if failed else "Succeeded", "containerStatuses": statuses}
    metadata = {"name": name, "namespace": namespace, "uid": pod["metadata"]["uid"]}
    with api.lock:
        if api.get("Pod", namespace, name) is not None:  # whoever made it may have deleted it
            api.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status})


def _status(container: Object, code: int) -> Object:
    """A container that has ended, with the fields that the API requires (Kubernetes API, ContainerStatus)."""
    ended = {"exitCode": code, "reason": "Error" if code else "Completed"}
    required = {"name": container["name"], "image": container["image"], "imageID": "", "restartCount": 0}
    return {**required, "ready": False, "state": {"terminated": ended}}


def aws(words: Sequence[str], credentials: Credentials | None) -> Ended:
    """What ``aws`` with these words does."""
    if credentials is None:
        return NO_CREDENTIALS, 'Unable to locate credentials. You can configure credentials by running "aws configure".'
    try:
        command, operation, *rest = words
        options = dict(_options(rest))
        session = boto3.Session(
            credentials.access_key, credentials.secret_key, credentials.token, region_name=options.pop("region", None)
        )
        client = session.client(_COMMANDS.get(command, command))  # type: ignore[call-overload]  # any service
        name = client.meta.method_to_api_mapping[operation.replace("-", "_")]
        parameters = dict(_parameters(client.meta.service_model.operation_model(name), options))
        answer = getattr(client, operation.replace("-", "_"))(**parameters)
    except ClientError as error:
        return REFUSED, f"\n{error}"
    except (ValueError, KeyError) as error:
        return USAGE, f"aws: error: the sandbox does not understand {' '.join(words)}: {error}"
    told = {key: value for key, value in answer.items() if key not in ("ResponseMetadata", "Body")}
    return 0, json.dumps(told, default=str, indent=4)


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The named options; a word that no option stands before names the file that a body is written to."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--output":
            if rest.pop(0) != "json":
                raise ValueError("the output is JSON here")
        elif word.startswith("--"):
            yield word[2:], rest.pop(0)
        elif rest:
            raise ValueError(word)


def _parameters(operation: OperationModel, options: dict[str, str]) -> Iterator[tuple[str, Any]]:
    shapes = operation.input_shape.members if operation.input_shape else {}
    members = {xform_name(name, "-"): (name, shape) for name, shape in shapes.items()}
    for option, value in options.items():
        name, shape = members[option]
        yield name, int(value) if shape.type_name in ("integer", "long") else value

"""A first job that fits a team's queue: it lists the data that its service account may read, and ends."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from podshare_cli.aws.quantities import quantity

IMAGE = "public.ecr.aws/aws-cli/aws-cli"
NAME = "podshare-first-job"
_BY = "written by podshare connect"
KINDS = {  # the first that the cluster serves is written
    "HyperPodPyTorchJob": ("sagemaker.amazonaws.com", "hyperpodpytorchjobs"),
    "PyTorchJob": ("kubeflow.org", "pytorchjobs"),
    "Job": ("batch", "jobs"),
}
_DEVICES = ("nvidia.com/gpu", "aws.amazon.com/neurondevice", "aws.amazon.com/neuroncore")
_SMALL = {"cpu": "1", "memory": "1Gi"}
_QUEUE, _PRIORITY = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class"

Object = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """Data that pods of a service account may read: where they are read from, by which prefix."""

    service_account: str
    dataset: str
    bucket: str  # an access point's alias, or the bucket where a dataset has none
    prefix: str
    region: str
    access: str

    @property
    def path(self) -> str:
        """How tools name it."""
        return f"s3://{self.bucket}/{self.prefix}"


def sources(cluster: Mapping[str, Any]) -> Iterator[Source]:
    """All data of a team on a cluster. An access point without an alias is named by its ARN."""
    for account, grants in sorted(cluster["service_accounts"].items()):
        for grant in grants:
            where = cluster["datasets"].get(grant["dataset"])
            if where:
                bucket = where.get("alias") or where.get("bucket") or where["arn"]
                yield Source(
                    account, grant["dataset"], bucket, grant.get("prefix", ""), where["region"], grant["access"]
                )


def requests(queue: Mapping[str, Any] | None) -> dict[str, str]:
    """What the job asks for, within what its ClusterQueue guarantees; the least where that is not known."""
    if queue is None:
        return dict(_SMALL)
    guaranteed: dict[str, Fraction] = {}
    for flavor in _flavors(queue)[:1]:  # a pod runs on one
        for resource in flavor.get("resources", ()):
            guaranteed[resource["name"]] = quantity(resource.get("nominalQuota", 0))
    fitting = {name: amount for name, amount in _SMALL.items() if guaranteed.get(name, 0) >= quantity(amount)}
    device = next((name for name in _DEVICES if guaranteed.get(name, 0) >= 1), None)
    return {**fitting, **({device: "1"} if device else {})}


def _flavors(queue: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [flavor for group in queue.get("spec", {}).get("resourceGroups", ()) for flavor in group.get("flavors", ())]


def listed(data: Iterable[Source]) -> Source | None:
    """The data that the job lists: the first that may only be read, because that has something in it."""
    return min(data, key=lambda source: source.access != "read", default=None)


def priority(names: Sequence[str], classes: Mapping[str, Any] | None) -> str:
    """The lowest of the priority classes, so that a first job preempts nobody; the first where no value is known.

    ``classes`` is the cluster's list of WorkloadPriorityClasses, if the person may read it.
    """
    values = {each["metadata"]["name"]: each.get("value", 0) for each in (classes or {}).get("items", ())}
    return min((name for name in names if name in values), key=lambda name: values[name], default=[*names, ""][0])


def manifest(
    kind: str,
    namespace: str,
    cluster: Mapping[str, Any],
    asked: Mapping[str, str],
    data: list[Source],
    *,
    priority_class: str = "",
) -> Object:
    """The job."""
    labels = {_QUEUE: cluster["queue"]}
    if priority_class:
        labels[_PRIORITY] = priority_class
    first = listed(data)
    account = first.service_account if first else next(iter(sorted(cluster["service_accounts"])), None)
    container = {
        "name": "pytorch",
        "image": IMAGE,
        **_command(first),
        **({"resources": {"requests": dict(asked), "limits": dict(asked)}} if asked else {}),
    }
    pod: Object = {
        "restartPolicy": "Never",
        **({"serviceAccountName": account} if account else {}),
        "containers": [container],
    }
    group, _ = KINDS[kind]
    made: Object = {
        "apiVersion": f"{group}/v1",
        "kind": kind,
        "metadata": {"name": NAME, "namespace": namespace, "labels": labels},
    }
    template = {"metadata": {"labels": {**labels}}, "spec": pod}  # a copy, or YAML has an anchor and an alias
    if kind == "Job":
        return {**made, "spec": {"backoffLimit": 0, "template": template}}
    if kind == "PyTorchJob":
        replica = {"replicas": 1, "restartPolicy": "Never", "template": template}
        return {**made, "spec": {"pytorchReplicaSpecs": {"Master": replica}}}
    workers = {"name": "worker", "replicas": 1, "template": template}
    policy = {"cleanPodPolicy": "None"}  # else the operator deletes its pods with their logs
    return {**made, "spec": {"nprocPerNode": "1", "runPolicy": policy, "replicaSpecs": [workers]}}


def _command(first: Source | None) -> Object:
    """What the container runs: the AWS CLI's image lists the data; at most a page of it."""
    if first is None:
        return {"command": ["echo", "the team has no data that a pod may read"]}
    prefix = ["--prefix", first.prefix] if first.prefix else []
    listing = ["s3api", "list-objects-v2", "--bucket", first.bucket, *prefix, "--max-keys", "20", "--no-paginate"]
    return {"args": [*listing, "--region", first.region]}


def is_first_job(text: str) -> bool:
    """Whether a text is a first job as it was written."""
    return re.match(rf"# A first \w+, {_BY}", text) is not None


def comment(kind: str, data: list[Source]) -> str:
    """What is written above the job."""
    lines = [
        f"A first {kind}, {_BY}. Change image, command and requests to yours; keep the labels:",
        "without the queue's label a job is refused, or runs outside of the team's quota.",
        "Data that pods of the team may read, by their service account:",
        *(f"  {source.service_account}: {source.path} ({source.dataset}, {source.access})" for source in data),
        *([] if data else ["  none"]),
    ]
    return "".join(f"# {line}\n" for line in lines)


def logs_of(kind: str) -> str:
    """The command that shows what the job prints; of a Job it waits until the pod runs."""
    if kind == "Job":
        return f"kubectl logs --follow --pod-running-timeout 10m job/{NAME}"
    return f"kubectl logs --follow {NAME}-{'master' if kind == 'PyTorchJob' else 'worker'}-0"

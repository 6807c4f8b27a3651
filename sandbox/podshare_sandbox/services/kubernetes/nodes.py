"""The nodes of a cluster: the instances of the HyperPod clusters that it orchestrates."""

from typing import Any

from podshare_sandbox.services import sagemaker
from podshare_sandbox.services.kubernetes import quantities, task_governance
from podshare_sandbox.services.kubernetes.api import KubernetesApi

Object = dict[str, Any]


def settle(api: KubernetesApi, eks_cluster_arn: str) -> None:
    """Make the Node objects those of the HyperPod instances that run now."""
    _, _, _, region, account, _ = eks_cluster_arn.split(":", 5)
    wanted = {
        manifest["metadata"]["name"]: manifest
        for cluster in sagemaker.clusters(account, region).values()
        if cluster.eks_cluster_arn == eks_cluster_arn
        for manifest in map(_manifest, cluster.nodes)
    }
    for name in {node["metadata"]["name"] for node in api.objects("Node")} - wanted.keys():
        api.delete("Node", None, name)
    for manifest in wanted.values():
        api.apply(manifest)


def _manifest(instance: Object) -> Object:
    """Named and labelled as HyperPod does (SageMaker AI Developer Guide, "Resilience-related Kubernetes labels")."""
    kind = instance["InstanceType"]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": f"hyperpod-{instance['InstanceId']}",
            "labels": {
                "kubernetes.io/hostname": f"hyperpod-{instance['InstanceId']}",
                "node.kubernetes.io/instance-type": kind,
                "sagemaker.amazonaws.com/compute-type": "hyperpod",
                "sagemaker.amazonaws.com/instance-group-name": instance["InstanceGroupName"],
                "sagemaker.amazonaws.com/node-health-status": "Schedulable",
            },
        },
        "spec": {"providerID": f"aws:///{instance['Placement']['AvailabilityZone']}/{instance['InstanceId']}"},
        "status": {
            "capacity": _capacity(kind),
            "allocatable": _capacity(kind),
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    }


def _capacity(instance_type: str) -> dict[str, str]:
    amounts = task_governance.of_instance(sagemaker.capacity(instance_type))
    return {name: quantities.written(amount, name) for name, amount in amounts.items()}

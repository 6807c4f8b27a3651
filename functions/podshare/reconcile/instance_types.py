"""What one instance of a type offers, as Amazon EC2 publishes it.

HyperPod's types are EC2's with ``ml.`` before them. Source: EC2 API Reference, DescribeInstanceTypes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "ml."


@dataclass(frozen=True, slots=True)
class Instance:
    """What one instance offers; ``accelerator_memory`` is one GPU's in GiB, 0 where there are none.

    An accelerator is a GPU, or a device of AWS Trainium or AWS Inferentia.
    """

    accelerators: int
    vcpu: float
    memory_gib: float
    accelerator_memory: float = 0


Instances = Mapping[str, Instance]  # by HyperPod's name of the type


def instance(described: Mapping[str, Any]) -> Instance:
    """What a type offers, of which DescribeInstanceTypes says ``described``."""
    gpus = (described.get("GpuInfo") or {}).get("Gpus", [])
    devices = (described.get("NeuronInfo") or {}).get("NeuronDevices", [])
    others = (described.get("InferenceAcceleratorInfo") or {}).get("Accelerators", [])
    memory = max((gpu.get("MemoryInfo", {}).get("SizeInMiB", 0) for gpu in gpus), default=0)
    return Instance(
        sum(int(each.get("Count") or each.get("LogicalGpuCount", 0)) for each in (*gpus, *(devices or others))),
        float(described["VCpuInfo"]["DefaultVCpus"]),
        described["MemoryInfo"]["SizeInMiB"] / 1024,
        memory / 1024,
    )

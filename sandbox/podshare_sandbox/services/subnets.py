"""The subnets of the sandbox's clusters and file systems, which moto's EC2 is told of once somebody asks for them.

Importing moto's EC2 takes more than a second: nothing imports it before.
"""

from typing import Any

SUBNETS = {
    "subnet-0a1b2c3d4e5f60001": "a",
    "subnet-0a1b2c3d4e5f60002": "b",
    "subnet-0a1b2c3d4e5f60003": "c",  # of no cluster
}
VPC = "vpc-0a1b2c3d4e5f60001"


def tell_ec2(account: str, region: str) -> None:
    """Let EC2 know the subnets of an account and Region, each in a zone of its own."""
    from moto.ec2.models import ec2_backends  # noqa: PLC0415  # see above

    backend: Any = ec2_backends[account][region]
    for subnet_id, zone in SUBNETS.items():
        here = backend.subnets[f"{region}{zone}"]
        if subnet_id not in here:
            _, subnet = next(iter(here.items()))  # the default subnet of the zone
            here[subnet_id] = subnet
            del here[subnet.id]
            subnet.id = subnet_id

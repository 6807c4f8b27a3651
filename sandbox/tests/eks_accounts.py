"""Accounts with administrators, and a cluster: what the tests of EKS, S3 and SageMaker share."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.iam.models import iam_backends

from podshare_sandbox import clock

HUB, SCIENTIST, DATA = "111111111111", "222222222222", "333333333333"
REGION = "us-west-2"

CLUSTER = "hyperpod-eks"
CLUSTER_ARN = f"arn:aws:eks:{REGION}:{HUB}:cluster/{CLUSTER}"


EVERYTHING = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}

_session: Any = boto3.Session()  # parses the services' models once; its overloads want literal names


def add_administrators(*accounts: str) -> None:
    """Give each account, or hub and scientists', a user ``admin`` whose access key is always the same."""
    for account in accounts or (HUB, SCIENTIST):
        backend = iam_backends[account]["aws"]
        backend.create_user(REGION, "admin")
        backend.put_user_policy("admin", "all", json.dumps(EVERYTHING))
        key = backend.create_access_key("admin")
        key.access_key_id, key.secret_access_key = credentials_of(account)
        backend.access_keys[key.access_key_id] = key


def credentials_of(account: str) -> tuple[str, str]:
    """Access key and secret of the administrator of an account."""
    return f"AKIA{account}0000", f"secret-of-{account}"


@cache
def client(service: str, account: str = HUB, region: str = REGION) -> Any:
    """A client of the administrator of ``account``; making one takes longer than a test, so they are kept."""
    access_key, secret_key = credentials_of(account)
    return _session.client(service, region_name=region, aws_access_key_id=access_key, aws_secret_access_key=secret_key)


@contextmanager
def running_cluster(*services: ModuleType) -> Iterator[dict[str, Any]]:
    """A cluster in an AWS of its own, with two accounts and these services of the sandbox."""
    clock.set_scale(0.001)
    with mock_aws():
        for service in services:
            service.install()
        add_administrators()
        yield make_cluster()
    clock.reset()


def make_role(name: str, account: str = HUB, path: str = "/", trust: dict[str, Any] | None = None) -> str:
    """The ARN of a new role; without ``trust`` both accounts may assume it."""
    everybody = {"AWS": [f"arn:aws:iam::{trusted}:root" for trusted in (HUB, SCIENTIST)]}
    statement = {"Effect": "Allow", "Principal": everybody, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trust or statement]}
    made = client("iam", account).create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(document))
    return str(made["Role"]["Arn"])


def make_cluster(name: str = CLUSTER, **access_config: Any) -> dict[str, Any]:
    """A new cluster with access entries; its creator gets one only if asked for."""
    config = {"authenticationMode": "API_AND_CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": False}
    made = client("eks").create_cluster(
        name=name,
        roleArn=f"arn:aws:iam::{HUB}:role/control-plane",
        resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]},
        accessConfig=config | access_config,
    )
    return dict(made["cluster"])


def refused(call: Callable[..., Any], *arguments: Any, **parameters: Any) -> tuple[str, int, str]:
    """Code, HTTP status and message of the error that a call gets."""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]

"""Accounts with administrators, and roles with the policies that a test of IAM needs."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.iam.models import iam_backends

from podshare_sandbox import managed_policies

HUB, SCIENTIST, DATA = "111111111111", "222222222222", "333333333333"
REGION = "us-west-2"
ADMINISTRATOR_ACCESS = "arn:aws:iam::aws:policy/AdministratorAccess"

_boto3 = boto3.Session()


def add_administrators() -> None:
    """Give each account a user ``admin`` with AdministratorAccess."""
    for account in (HUB, SCIENTIST, DATA):
        backend = iam_backends[account]["aws"]
        backend.create_user("us-east-1", "admin")
        managed_policies.make_available(account, ADMINISTRATOR_ACCESS)
        backend.attach_user_policy(ADMINISTRATOR_ACCESS, "admin")
        key = backend.create_access_key("admin")
        backend.access_keys[_admin_key(account)] = backend.access_keys.pop(key.access_key_id)
        key.access_key_id = _admin_key(account)


def _admin_key(account: str) -> str:
    """The same in every test, so that clients serve them all."""
    return f"AKIAADMIN{account[:11]}"


@cache
def client(service: str, account: str = HUB, region: str = REGION) -> Any:
    """The administrator's client of a service."""
    return session_client(service, {"AccessKeyId": _admin_key(account), "SecretAccessKey": "secret"}, region)


def session_client(service: str, credentials: dict[str, Any], region: str = REGION) -> Any:
    """The client of whoever has ``credentials`` (as AssumeRole answers them)."""
    return _boto3.client(
        service,  # type: ignore[call-overload]  # boto3's stubs want a literal
        region_name=region,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials.get("SessionToken"),
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


def policy(*statements: dict[str, Any]) -> str:
    """A document of the current version."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **elements: Any) -> dict[str, Any]:
    """A statement that allows."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **elements}


def trusting(principal: Any, *actions: str, **elements: Any) -> str:
    """A trust policy for one AWS principal."""
    return policy(
        {"Effect": "Allow", "Principal": principal, "Action": list(actions or ["sts:AssumeRole"]), **elements}
    )


def make_role(name: str, *statements: dict[str, Any], account: str = HUB, trust: str = "", **request: Any) -> str:
    """A role that its own account may assume, with one inline policy; its ARN."""
    iam = client("iam", account)
    trust = trust or trusting({"AWS": f"arn:aws:iam::{account}:root"}, "sts:AssumeRole", "sts:TagSession")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **request)["Role"]["Arn"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy(*statements))
    return str(arn)


def assume(role_arn: str, account: str = HUB, **request: Any) -> dict[str, Any]:
    """The credentials of a session that the administrator of ``account`` opens."""
    return chain(client("sts", account), role_arn, **request)


def chain(sts: Any, role_arn: str, **request: Any) -> dict[str, Any]:
    """The credentials of a session that the holder of ``sts`` opens."""
    credentials: dict[str, Any] = sts.assume_role(RoleArn=role_arn, **{"RoleSessionName": "test", **request})[
        "Credentials"
    ]
    return credentials


def refused(call: Callable[..., Any], code: str, status: int | None = None, match: str = "", **request: Any) -> str:
    """The message with which a call is refused, after its code and status were held against what is expected."""
    with pytest.raises(ClientError) as refusal:
        call(**request)
    error = refusal.value.response
    assert error["Error"]["Code"] == code
    assert status in (None, error["ResponseMetadata"]["HTTPStatusCode"])
    assert match in error["Error"]["Message"]
    return str(error["Error"]["Message"])

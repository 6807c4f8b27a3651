"""The sandbox's runtime without its organization: moto, IAM, Lambda, Step Functions and delivery, for these tests."""

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from moto import mock_aws
from moto.iam.models import iam_backends

from podshare_sandbox import authorization, clock, delivery, functions, service_clients, state_machines
from podshare_sandbox.front_door import FrontDoor
from podshare_sandbox.services import sts

HUB = "111111111111"
OTHER = "222222222222"
REGION = "us-west-2"
Seen = TypeVar("Seen")
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


class Runtime:
    """One account or more with an administrator each, and short ways to what tests need there."""

    def __init__(self, front_door: FrontDoor) -> None:
        self.front_door = front_door
        self._session = boto3.Session()
        self._keys: dict[str, Any] = {}
        self._clients: dict[tuple[str, str, str], Any] = {}

    def client(self, service: str, account: str = HUB, region: str = REGION) -> Any:
        """The administrator's client."""
        key = (service, account, region)
        if key not in self._clients:
            make: Any = self._session.client
            self._clients[key] = make(
                service,
                region_name=region,
                aws_access_key_id=self.key(account).access_key_id,
                aws_secret_access_key=self.key(account).secret_access_key,
                config=Config(retries={"total_max_attempts": 1}, account_id_endpoint_mode="disabled"),
            )
        return self._clients[key]

    def key(self, account: str) -> Any:
        """The administrator's access key."""
        if account not in self._keys:
            backend = iam_backends[account]["aws"]
            backend.create_user("us-east-1", "admin")
            backend.put_user_policy("admin", "all", json.dumps(document(statement("*"))))
            self._keys[account] = backend.create_access_key("admin")
        return self._keys[account]

    def role(self, name: str, service: str, actions: Sequence[str] = (), account: str = HUB) -> str:
        """Make a role that ``service`` may assume, and return its ARN."""
        iam = self.client("iam", account)
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document(trust)))["Role"]["Arn"]
        if actions:
            policy = json.dumps(document(statement(*actions)))
            iam.put_role_policy(RoleName=name, PolicyName="allowed", PolicyDocument=policy)
        return str(arn)

    def function(self, name: str, source: str, role: str, **more: Any) -> str:
        """Make a function of one module ``app`` with a ``handler``, and return its ARN."""
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("app.py", source)
        settings = {"Handler": "app.handler", "Runtime": "python3.13", "Timeout": 10, **more}
        answer = self.client("lambda").create_function(
            FunctionName=name, Role=role, Code={"ZipFile": package.getvalue()}, **settings
        )
        return str(answer["FunctionArn"])

    def queue(self, name: str, account: str = HUB) -> tuple[str, str]:
        """Make a queue; returns URL and ARN."""
        url = self.client("sqs", account).create_queue(QueueName=name)["QueueUrl"]
        return url, f"arn:aws:sqs:{REGION}:{account}:{name}"

    def open_queue(self, url: str, arn: str, source_arn: str, account: str = HUB) -> None:
        """Let EventBridge send to the queue, for ``source_arn`` alone."""
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": source_arn}},
        }
        policy = {"Policy": json.dumps(document(allowed))}
        self.client("sqs", account).set_queue_attributes(QueueUrl=url, Attributes=policy)

    def messages(self, url: str, account: str = HUB) -> list[dict[str, Any]]:
        """All messages in a queue, with their attributes; they stay invisible for a while."""
        sqs, found = self.client("sqs", account), []
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
            "Messages"
        ):
            found += batch
        return found


def statement(*actions: str, resource: str = "*") -> dict[str, Any]:
    """An Allow statement."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


@contextmanager
def running_runtime() -> Iterator[Runtime]:
    """A fresh runtime whose clock runs five hundred times as fast."""
    moto = mock_aws(config={"stepfunctions": {"execute_state_machine": True}})
    moto.start()
    clock.set_scale(0.002)
    front_door = FrontDoor().start()
    authorization.install()
    sts.install()
    state_machines.install()
    functions.install(front_door, run_uploaded_code=True)
    delivery.install()
    try:
        yield Runtime(front_door)
    finally:
        delivery.close()
        functions.close()
        authorization.uninstall()
        service_clients.forget()
        front_door.stop()
        moto.stop()
        clock.set_scale(1.0)
        clock.reset()


def eventually(look: Callable[[], Seen], holds: Callable[[Seen], object] = bool) -> Seen:
    """What there is to see as soon as it is so. Raises AssertionError after two minutes: no machine is so slow."""
    deadline = time.monotonic() + 120
    while not holds(found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"it never happened: {found}")
        time.sleep(0.01)
    return found

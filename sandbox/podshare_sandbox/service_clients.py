"""boto3 clients with which an AWS service acts in a customer's role, as Lambda, Step Functions and EventBridge do.

Their calls are decided like anybody's. Credentials are kept until five minutes before they expire, so that a
narrowed trust policy is felt as late as it is on AWS; what the role permits is felt at once.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import boto3
from botocore.config import Config

from podshare_sandbox import authorization, clock

_RENEW_BEFORE = timedelta(minutes=5)
# retries are the calling service's own, and a task may run for as long as a Lambda function may
_CONFIG = Config(
    retries={"total_max_attempts": 1}, parameter_validation=False, read_timeout=900, account_id_endpoint_mode="disabled"
)


@dataclass(frozen=True)
class ServiceRole:
    """A role as one service assumes it: ``principal`` is the service's, such as ``lambda.amazonaws.com``.

    ``then`` is a further role, which the first one assumes (a task's ``Credentials``); ``region`` is the service's,
    where no ``source_arn`` tells it.
    """

    arn: str
    principal: str
    session_name: str
    source_arn: str | None = None
    then: str | None = None
    region: str | None = None

    def client(self, service: str, region: str) -> Any:
        """A client of ``service`` in ``region``.

        Raises what ``authorization.assume_as_service`` raises, or ClientError from the further role.
        """
        with _lock:
            known = _clients.get((self, service, region))
        if known is None or clock.now() > known.expiration - _RENEW_BEFORE:
            known = self._new_client(service, region)
            with _lock:
                _clients[self, service, region] = known
        return known.client

    def send(self, destination: str, text: str, **more: Any) -> None:
        """Send JSON ``text`` to a queue, topic, function (asynchronously), state machine or event bus.

        ``more`` are further parameters of the operation. Raises ClientError, and NotImplementedError for other kinds.
        """
        _, _, service, region, account, resource = destination.split(":", 5)
        if service not in _SENDERS:
            raise NotImplementedError(f"the sandbox does not send to {destination}")
        operation, parameters = _SENDERS[service](destination, account, resource, text)
        name = "stepfunctions" if service == "states" else service
        getattr(self.client(name, region), operation)(**parameters, **more)

    def check(self) -> None:
        """Assume the role once. Raises what ``authorization.assume_as_service`` raises."""
        self._credentials()

    def _new_client(self, service: str, region: str) -> "_Client":
        access_key, secret_key, token, expiration = self._then_credentials() if self.then else self._credentials()
        return _Client(_make_client(service, region, access_key, secret_key, token), expiration)

    def _credentials(self) -> tuple[str, str, str, datetime]:
        source_account = self.source_arn.split(":")[4] if self.source_arn else None
        assumed = authorization.assume_as_service(
            self.arn,
            self.principal,
            session_name=self.session_name,
            source_arn=self.source_arn,
            source_account=source_account,
            region=self.region,
        )
        return assumed.access_key, assumed.secret_key, assumed.token, assumed.expiration

    def _then_credentials(self) -> tuple[str, str, str, datetime]:
        first = ServiceRole(self.arn, self.principal, self.session_name, self.source_arn)
        sts = first.client("sts", "us-east-1")
        assumed = sts.assume_role(RoleArn=self.then, RoleSessionName=self.session_name)["Credentials"]
        return (
            assumed["AccessKeyId"],
            assumed["SecretAccessKey"],
            assumed["SessionToken"],
            cast(datetime, assumed["Expiration"]),
        )


def _to_queue(arn: str, account: str, name: str, text: str) -> tuple[str, dict[str, Any]]:
    url = f"https://sqs.{arn.split(':')[3]}.amazonaws.com/{account}/{name}"
    return "send_message", {"QueueUrl": url, "MessageBody": text}


def _to_topic(arn: str, _account: str, _name: str, text: str) -> tuple[str, dict[str, Any]]:
    return "publish", {"TopicArn": arn, "Message": text}


def _to_function(arn: str, _account: str, _name: str, text: str) -> tuple[str, dict[str, Any]]:
    return "invoke", {"FunctionName": arn, "Payload": text, "InvocationType": "Event"}


def _to_state_machine(arn: str, _account: str, _name: str, text: str) -> tuple[str, dict[str, Any]]:
    return "start_execution", {"stateMachineArn": arn, "input": text}


def _to_event_bus(arn: str, _account: str, _name: str, text: str) -> tuple[str, dict[str, Any]]:
    # what Lambda's destinations put; EventBridge and Scheduler name their own source and type
    entry = {"Source": "lambda", "DetailType": "Lambda Function Invocation Result", "Detail": text}
    return "put_events", {"Entries": [{**entry, "EventBusName": arn}]}


_SENDERS: dict[str, Callable[[str, str, str, str], tuple[str, dict[str, Any]]]] = {
    "sqs": _to_queue,
    "sns": _to_topic,
    "lambda": _to_function,
    "states": _to_state_machine,
    "events": _to_event_bus,
}


def forget() -> None:
    """Drop all clients, as after moto's state is reset."""
    global _session  # noqa: PLW0603  # one process has one moto
    with _lock:
        _clients.clear()
        _session = None


@dataclass(frozen=True)
class _Client:
    client: Any
    expiration: datetime


_lock = threading.Lock()
_clients: dict[tuple[ServiceRole, str, str], _Client] = {}
_session: boto3.Session | None = None


def _make_client(service: str, region: str, access_key: str, secret_key: str, token: str) -> Any:
    """One session makes all clients, since it holds the parsed service models; making one is not thread-safe."""
    global _session  # noqa: PLW0603
    with _lock:
        _session = _session or boto3.Session()
        make = cast(Any, _session).client  # the service's name is not a literal here
        return make(
            service,
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            aws_session_token=token,
            config=_CONFIG,
        )

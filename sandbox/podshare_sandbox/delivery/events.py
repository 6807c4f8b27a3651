"""EventBridge: rules, their targets, retries and dead-letter queues, and buses of other accounts.

Each delivery is authorised as on AWS: a target's role is assumed as ``events.amazonaws.com`` and its call decided; for
a function, queue or topic without one, the resource's policy decides. Sources: "EventBridge targets", "Input
transformation", "Using dead-letter queues", "Sending and receiving events between AWS accounts" in the EventBridge
User Guide.
"""

import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from botocore.exceptions import ClientError
from jsonpath_ng.ext.parser import parse as parse_path
from moto.awslambda.utils import get_backend as lambda_backend
from moto.events.exceptions import ValidationException
from moto.events.models import EventsBackend, Rule, events_backends
from moto.logs.models import logs_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from podshare_sandbox import authorization, clock
from podshare_sandbox.authorization import registrations
from podshare_sandbox.authorization.call import Call
from podshare_sandbox.authorization.conditions import Values
from podshare_sandbox.delivery import background
from podshare_sandbox.moto_repair import repair
from podshare_sandbox.service_clients import ServiceRole

Event = Any  # a dictionary; moto's own type of it lacks what services put there
Target = dict[str, Any]

EVENTS = "events.amazonaws.com"
_MOST_RETRIES = 185
_MOST_TARGETS = 5
_MOST_ENTRIES = 10
_OLDEST_EVENT = 86400  # seconds
_LONGEST_PAUSE = 60  # seconds between two attempts
_TRANSIENT = {"ThrottlingException", "TooManyRequestsException", "ServiceUnavailable", "InternalFailure"}
_SERVER_ERROR = 500
_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.\-]+)>")
_NEEDS_ROLE = {"states", "events"}
_POLICY_ACTIONS = {"lambda": "lambda:InvokeFunction", "sqs": "sqs:SendMessage", "sns": "sns:Publish"}


@dataclass(frozen=True)
class _Forwarded:
    """An event on its way from a bus of ``account`` to another; it keeps id, account, Region, time and resources."""

    event: Event
    account: str


_forwarded: ContextVar[_Forwarded | None] = ContextVar("forwarded event", default=None)
# those who hear of a source's events beside the rules: services that AWS tells by other ways
_listeners: dict[str, list[Callable[[], None]]] = {}
# the account that called PutEvents, perhaps for a bus of another
_sender: ContextVar[str | None] = ContextVar("sender", default=None)


class PermanentFailure(Exception):  # noqa: N818  # EventBridge's own notion
    """A delivery that no retry mends; ``code`` is what the dead-letter queue is told."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def install() -> None:
    """Deliver events to targets, and check targets when they are put."""
    repair(Rule, "send_to_targets", _sending_in_the_background)
    repair(Rule, "put_targets", _checking_targets)
    repair(EventsBackend, "put_events", _reaching_other_accounts)


def put_event(account: str, region: str, event: Mapping[str, Any], bus: str = "default") -> str:
    """Put an event of an AWS service's own on a bus; returns its id.

    ``event`` needs ``source``, ``detail-type`` and ``detail``; the envelope's other members are filled in.
    """
    whole: Event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "account": account,
        "time": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}",
        "region": region,
        "resources": [],
        **json.loads(json.dumps(event)),
    }
    _offer(whole, account, region, bus)
    for tell in _listeners.get(whole["source"], []):
        tell()
    return str(whole["id"])


def _keys(_: Call) -> dict[str, Values]:
    """Whether what is asked of EventBridge now is a rule's own request, which hands an event on to another bus."""
    return {"events:eventbusinvocation": "false" if _forwarded.get() is None else "true"}


registrations.register("events", registrations.Service(keys=_keys))


def listen(source: str, tell: Callable[[], None]) -> None:
    """Call ``tell`` after each event that the AWS service ``source`` puts on a bus, until :func:`forget`."""
    _listeners.setdefault(source, []).append(tell)


def forget() -> None:
    """Nobody listens any more."""
    _listeners.clear()


def _offer(event: Event, account: str, region: str, bus: str) -> None:
    for rule in list(events_backends[account][region].describe_event_bus(bus).rules.values()):
        rule.send_to_targets(event)


def _sending_in_the_background(_original: Any) -> Any:
    def send_to_targets(self: Rule, original_event: Any, transform_input: bool = True) -> None:  # noqa: ARG001
        event = _envelope(original_event)
        # a rule with a schedule alone has no pattern, and moto lets that match everything
        if self.state == "ENABLED" and self.event_pattern.dump() and self.event_pattern.matches_event(event):
            deliver(self, event)

    return send_to_targets


def deliver(rule: Rule, event: Event) -> None:
    """Send ``event`` to all targets of ``rule``, in the background."""
    for target in list(rule.targets):
        delivery = _Delivery(rule, target, event)
        background.run(f"event {event['detail-type']} to {target['Arn']}", delivery.run)


def _envelope(event: Mapping[str, Any]) -> Event:
    """The event as a target sees it: moto adds its ingestion time, and keeps ``time`` as a number."""
    told = {key: value for key, value in event.items() if key not in {"ingestion-time", "replay-name"}}
    moment = told["time"]
    if isinstance(moment, int | float):
        moment = datetime.fromtimestamp(moment, UTC)
    told["account"] = _sender.get() or told["account"]
    told["time"] = f"{moment:%Y-%m-%dT%H:%M:%SZ}" if isinstance(moment, datetime) else moment
    return told


class _Delivery:
    """One event on its way to one target."""

    def __init__(self, rule: Rule, target: Target, event: Event) -> None:
        self.rule, self.target, self.event = rule, target, event
        self.arn: str = target["Arn"]
        self._policy = target.get("RetryPolicy") or {}
        forwarded = _forwarded.get()
        self._came_from = forwarded.account if forwarded else None

    def run(self) -> None:
        """Try, try again as the retry policy says, and end in the dead-letter queue if need be."""
        started, attempt = clock.now(), 0
        while True:
            try:
                self._send()
            except PermanentFailure as failure:
                self._bury(failure.code, str(failure), {})
                return
            except Exception as failure:
                condition = self._exhausted(started, attempt)
                if condition:
                    self._bury(type(failure).__name__, str(failure), condition)
                    return
                background.pause(min(2**attempt, _LONGEST_PAUSE))
                attempt += 1
            else:
                return

    def _exhausted(self, started: datetime, attempt: int) -> dict[str, str]:
        retries = self._policy.get("MaximumRetryAttempts", _MOST_RETRIES)
        if attempt >= retries:
            return {"RETRY_ATTEMPTS": str(attempt), "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts"}
        if clock.passed(started, self._policy.get("MaximumEventAgeInSeconds", _OLDEST_EVENT)):
            return {"RETRY_ATTEMPTS": str(attempt), "EXHAUSTED_RETRY_CONDITION": "MaximumEventAgeInSeconds"}
        return {}

    def _send(self) -> None:
        service = self.arn.split(":")[2]
        text = input_of(self.target, self.event)
        if service == "events":
            self._forward()
        elif "RoleArn" in self.target:
            self._call(lambda: self._role().send(self.arn, text, **self._more()))
        else:
            self._authorise(self.arn)
            _put(self.arn, text, self.target)

    def _role(self) -> ServiceRole:
        return ServiceRole(self.target["RoleArn"], EVENTS, self.event["id"].replace("-", ""), self.rule.arn)

    def _more(self) -> dict[str, str]:
        group = (self.target.get("SqsParameters") or {}).get("MessageGroupId")
        return {"MessageGroupId": group} if group else {}

    def _forward(self) -> None:
        """To another bus: neither from another account on to a third, nor to a third bus of one account."""
        here, account = self.rule.account_id, self.arn.split(":")[4]
        if (self.event["account"] != here and account != here) or self._came_from == here == account:
            return
        detail = json.dumps(self.event["detail"])
        entry = {"Source": self.event["source"], "DetailType": self.event["detail-type"], "Detail": detail}
        token = _forwarded.set(_Forwarded(self.event, here))
        try:
            client = self._call(lambda: self._role().client("events", self.arn.split(":")[3]))
            self._call(lambda: client.put_events(Entries=[{**entry, "EventBusName": self.arn}]))
        finally:
            _forwarded.reset(token)

    def _call(self, call: Any) -> Any:
        try:
            return call()
        except ClientError as error:
            told, status = error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            if told["Code"] in _TRANSIENT or status >= _SERVER_ERROR:
                raise
            raise PermanentFailure(_failure_code(told["Code"]), told["Message"]) from error
        except NotImplementedError:
            raise
        except Exception as error:
            raise PermanentFailure("NO_PERMISSIONS", str(error)) from error

    def _authorise(self, arn: str) -> None:
        action = _POLICY_ACTIONS.get(arn.split(":")[2])
        if action is None:
            return  # CloudWatch Logs: its resource policies are not emulated
        try:
            authorization.check_service_call(
                EVENTS, action, arn, None, source_arn=self.rule.arn, source_account=self.rule.account_id
            )
        except Exception as error:
            raise PermanentFailure("NO_PERMISSIONS", str(error)) from error

    def _bury(self, code: str, message: str, condition: dict[str, str]) -> None:
        """Send the event to the target's dead-letter queue, if it has one that EventBridge may send to."""
        queue = (self.target.get("DeadLetterConfig") or {}).get("Arn")
        background.logger.info("event %s for %s: %s %s", self.event["id"], self.arn, code, message)
        if queue is None:
            return
        self._authorise(queue)
        told = {
            "RULE_ARN": self.rule.arn,
            "TARGET_ARN": self.arn,
            "ERROR_CODE": code,
            "ERROR_MESSAGE": message[:1024],
            **condition,
        }
        _put_on_queue(queue, json.dumps(self.event), None, told)


def _failure_code(error_code: str) -> str:
    if "AccessDenied" in error_code or "NotAuthorized" in error_code:
        return "NO_PERMISSIONS"
    if "NotFound" in error_code or "DoesNotExist" in error_code or "NonExistent" in error_code:
        return "NO_RESOURCE"
    return "SDK_CLIENT_ERROR"


def input_of(target: Target, event: Event) -> str:
    """What the target gets, as JSON text: the event, a part of it, something fixed, or what a template makes of it."""
    if target.get("Input") is not None:
        return str(target["Input"])
    if target.get("InputPath"):
        return json.dumps(_at(event, target["InputPath"]))
    transformer = target.get("InputTransformer")
    return _transformed(transformer, event) if transformer else json.dumps(event)


def _at(event: Event, path: str) -> Any:
    found = parse_path(path).find(event)
    return found[0].value if found else None


def _transformed(transformer: Mapping[str, Any], event: Event) -> str:
    """Fill the placeholders. Within a string of the template a value goes in bare, elsewhere as JSON."""
    values = {name: _at(event, path) for name, path in (transformer.get("InputPathsMap") or {}).items()}
    values["aws.events.event.json"] = event
    values["aws.events.event.ingestion-time"] = event["time"]
    template: str = transformer["InputTemplate"]

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            return match.group(0)
        within_string = _is_within_string(template, match.start())
        text = json.dumps(values[name])
        if not within_string:
            return text
        bare = values[name] if isinstance(values[name], str) else text
        return json.dumps(bare)[1:-1]

    return _PLACEHOLDER.sub(fill, template)


def _is_within_string(template: str, position: int) -> bool:
    return len(re.findall(r'(?<!\\)"', template[:position])) % 2 == 1


def _put(arn: str, text: str, target: Target) -> None:
    """Hand over what EventBridge sends in its own name."""
    _, _, service, region, account, resource = arn.split(":", 5)
    try:
        if service == "lambda":
            function = lambda_backend(account, region).get_function(arn)
            function.invoke(text, {"x-amz-invocation-type": "Event"}, {})
        elif service == "sqs":
            _put_on_queue(arn, text, (target.get("SqsParameters") or {}).get("MessageGroupId"))
        elif service == "sns":
            sns_backends[account][region].publish(text, arn=arn)
        else:
            _put_in_log_group(resource, account, region, text)
    except Exception as error:
        raise PermanentFailure("NO_RESOURCE", str(error)) from error


def _put_on_queue(arn: str, text: str, group: str | None, attributes: Mapping[str, str] | None = None) -> None:
    region, account, name = arn.split(":")[3:6]
    told = {key: {"DataType": "String", "StringValue": value} for key, value in (attributes or {}).items()}
    sqs_backends[account][region].send_message(name, text, message_attributes=told, group_id=group)


def _put_in_log_group(resource: str, account: str, region: str, text: str) -> None:
    group, stream = resource.removeprefix("log-group:").removesuffix(":*"), str(uuid.uuid4())
    backend = logs_backends[account][region]
    backend.create_log_stream(group, stream)
    backend.put_log_events(group, stream, [{"timestamp": int(time.time() * 1000), "message": text}])


def _checking_targets(original: Any) -> Any:
    """PutTargets refuses what the sandbox could not deliver, and targets without the role that they need."""

    def put_targets(self: Rule, targets: list[Target]) -> None:
        for target in targets:
            service = target["Arn"].split(":")[2]
            if service not in {*_POLICY_ACTIONS, *_NEEDS_ROLE, "logs"}:
                raise ValidationException(f"Parameter {target['Arn']} is not a target that the sandbox has")
            if service in _NEEDS_ROLE and not target.get("RoleArn"):
                raise ValidationException(f"RoleArn is required for target {target['Arn']}.")
        new = {target["Id"] for target in targets} | {target["Id"] for target in self.targets}
        if len(new) > _MOST_TARGETS:
            raise ValidationException("The requested resource exceeds the maximum number allowed.")
        original(self, targets)

    return put_targets


def _reaching_other_accounts(original: Any) -> Any:
    """moto looks for a bus in the caller's account whatever its ARN says, and makes each forwarded event anew."""

    def put_events(self: EventsBackend, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(events) > _MOST_ENTRIES:
            return cast(list[dict[str, Any]], original(self, events))
        return [answer for entry in events for answer in put_one(self, entry)]

    def put_one(sender: EventsBackend, entry: dict[str, Any]) -> list[dict[str, Any]]:
        owner = _owner_of(entry.get("EventBusName") or "default", sender)
        forwarded = _forwarded.get()
        if forwarded is not None:
            _offer(forwarded.event, owner.account_id, owner.region_name, entry["EventBusName"].split("/")[-1])
            return [{"EventId": forwarded.event["id"]}]
        if str(entry.get("Source")).startswith("aws."):
            # only AWS's services speak for themselves (EventBridge API, PutEvents)
            return [{"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}]
        token = _sender.set(sender.account_id)
        try:
            return cast(list[dict[str, Any]], original(owner, [entry]))
        finally:
            _sender.reset(token)

    return put_events


def _owner_of(bus: str, caller: EventsBackend) -> EventsBackend:
    if not bus.startswith("arn:"):
        return caller
    region, account = bus.split(":")[3:5]
    return events_backends[account][region]

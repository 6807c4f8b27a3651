"""Faults between podshare's functions and AWS, at calls that are named by who does what to which resource.

The place is the sandbox's front door, so that the product and its SDK see what they would see. A call is known by
name once IAM has decided it and before it takes effect: that is where a fault strikes that comes before the effect.
"""

import base64
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from podshare_sandbox import authorization, functions
from podshare_sandbox.authorization import Decision
from podshare_sandbox.authorization.authorize import decisions  # type: ignore[attr-defined]  # the package has another
from podshare_sandbox.delivery import background, events, streams
from podshare_sandbox.front_door import FrontDoor, Request, Response
from podshare_sandbox.throttling import REFUSALS

PLAIN = ("throttled", "denied", "failed", "unavailable", "lost_before", "lost_after", "killed_before", "killed_after")
"""What AWS, the network and Lambda do: refused by throttling, by IAM, by two service errors; no reply and no effect;
effect and no reply; the function killed right before the call and right after it."""
EVENTS = (
    "triggered",
    "rewritten",
    "contested",
    "tampered",
    "taken",
    "bound",
    "returned",
    "published",
    "shared",
    "masked",
    "targeted",
    "suspended",
    "aborted",
    "redriven",
)
"""What else happens meanwhile: one more trigger; the records deleted and written again; other records written by a
second admin, and these again at once; access taken away by hand; a name taken by somebody else; everybody, or another
team's members, bound in a namespace, a bucket made public or shared with an account (by itself, under a pattern that may mean
anybody, or a bucket that pods use by a target role), until podshare closes the door or an admin the one that is told; an
account suspended, and reinstated later; the runs stopped while their functions go on, and in addition redriven."""
DELIVERIES = ("twice", "late", "never")
"""What becomes of an event on its way to podshare."""
AFTER = frozenset({"lost_after", "killed_after"})

STREAM, BUS = "registry-stream", "event-bus"
_LATE_SECONDS = 400  # longer than a run takes here
_OWN_ROLE = ":role/podshare-system/"
_VOLATILE = re.compile(
    r"(?<=compute-quota/)[a-z0-9]+|(?<=/)(?:a-[a-z0-9]+|dra-[0-9a-f]+)$|(?<=:execution:podshare-reconcile-team:)\S+"
    r"|(?<=cluster-scheduler-config/)[a-z0-9]+|(?<= share#)[a-z0-9]{12}(?=/)|(?<= made#)[a-z0-9]{12}"
    r"|(?<=cluster/)[a-z0-9]{12}(?!\S)|(?<=-eks\|)[a-z0-9]{12}(?=/)|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(?<=/date=)[-0-9]{10}|(?<=/)[0-9]{8}T[0-9]{6}[^/ ]*\.json"  # of the history: when
)
_ACCESS_KEY = re.compile(r"Credential=([^/%]+)(?:/|%2F)")
_GIVEN_KEY = re.compile(rb"<AccessKeyId>(\w+)</AccessKeyId>")
_STOCK_HANDLE, _STOCK_RECORD = FrontDoor.handle, decisions.record
_STOCK_ADD, _STOCK_DELIVER = streams._Lane.add, events.deliver


@dataclass(frozen=True, order=True)
class Call:
    """The ``nth`` (from 0) of the same calls within a chapter."""

    chapter: str
    principal: str
    action: str
    resource: str
    nth: int = 0

    @property
    def first(self) -> "Call":
        """The same, whichever of them it is."""
        return Call(self.chapter, self.principal, self.action, self.resource)

    @property
    def kind(self) -> tuple[str, str, str]:
        """Its class: who does what to which kind of thing, in whichever chapter."""
        return self.principal, self.action, _kind_of(self.resource)

    @property
    def faults(self) -> tuple[str, ...]:
        """The faults that it can meet."""
        return DELIVERIES if self.principal in (STREAM, BUS) else PLAIN

    def __str__(self) -> str:
        return f"{self.chapter}: {self.principal} {self.action} {self.resource} ({self.nth + 1})"


def _kind_of(resource: str) -> str:
    thing, *item = resource.split(" ")
    if thing.startswith("/"):  # /api/v1/namespaces/<name>, and then /<kind>/<name>; /apis/<group>/v1/namespaces/… too
        _, *kind = thing.partition("/namespaces/")[2].split("/")
        return kind[0] if kind else "namespaces"
    if item:  # inventory#<team> resource#role|<account>|…, lease team#<name>
        return " ".join(re.split(r"\||(?<=#)(?!(?<=resource#))", part)[0] for part in item)
    return thing.split(":", 5)[-1].partition("/")[0] if "/" in thing else ""


@dataclass(frozen=True, order=True)
class Fault:
    """What happens at a call, and at the next ``times - 1`` of the same."""

    call: Call
    kind: str
    times: int = 1

    def __str__(self) -> str:
        return f"{self.kind} x{self.times} at {self.call}"


class _Refused(BaseException):  # moto catches Exception
    """Stops a call before its effect."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


@dataclass
class _Underway:
    """The request that a thread of the front door serves now."""

    request: Request
    call: Call | None = None
    fault: Fault | None = None


@dataclass
class Weather:
    """All faults of a schedule, and which calls were made, and were hit."""

    functions: "Functions"
    faults: list[Fault] = field(default_factory=list)
    chapter: str = ""
    made: Counter[Call] = field(default_factory=Counter)
    struck: list[tuple[Call, Fault]] = field(default_factory=list)
    on_call: Callable[[Call], None] = lambda _: None
    on_event: Callable[[str, Call], None] = lambda _kind, _call: None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.local = field(default_factory=threading.local)

    @contextmanager
    def blowing(self) -> Iterator[None]:
        """Let every request of podshare's functions pass here."""

        def handle(door: FrontDoor, request: Request) -> Response:
            return self._handle(door, request)

        def record(decision: Decision) -> None:
            _STOCK_RECORD(decision)
            underway: _Underway | None = getattr(self._thread, "underway", None)
            if underway and underway.call is None:
                self._identified(underway, decision.principal, decision.action, decision.resource)

        def add(lane: Any, records: Sequence[Any]) -> None:
            for one in records:
                self._bring(STREAM, one["dynamodb"]["Keys"]["id"]["S"], partial(_STOCK_ADD, lane, [one]))

        def deliver(rule: Any, event: Any) -> None:
            if not rule.name.startswith("podshare"):
                _STOCK_DELIVER(rule, event)
                return
            what = f"{rule.name} {event['detail'].get('eventName') or event['detail'].get('status')}"
            self._bring(BUS, what, partial(_STOCK_DELIVER, rule, event))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FrontDoor, "handle", handle)
            patch.setattr(decisions, "record", record)
            patch.setattr(streams._Lane, "add", add)
            patch.setattr(events, "deliver", deliver)
            yield

    def _bring(self, principal: str, what: str, bring: Callable[[], None]) -> None:
        """Bring an event to podshare: once and now, unless a fault says otherwise."""
        call, fault = self._meet(Call(self.chapter, principal, "deliver", what))
        kind = fault.kind if fault else ""
        if kind == "never":
            self.on_event(kind, call)
        elif kind == "late":
            background.run(f"{call}, late", lambda: _bring_late(bring))
        else:
            bring()
        if kind == "twice":
            bring()

    def _meet(self, first: Call) -> tuple[Call, Fault | None]:
        """Which of the same calls this is, and the fault that it meets."""
        with self._lock:
            call = replace(first, nth=self.made[first])
            self.made[first] += 1
            return call, self._due(call)

    def _handle(self, door: FrontDoor, request: Request) -> Response:
        underway = self._thread.underway = _Underway(request)
        try:
            if ".eks.amazonaws.com" in request.host and "bearer" in request.headers.get("authorization", "").lower():
                path = urlsplit(request.url).path
                self._identified(underway, _caller(request), f"kubernetes:{request.method}", path)
            response = _STOCK_HANDLE(door, request)
        except _Refused as refused:
            return refused.response
        finally:
            self._thread.underway = None
        self.functions.watch(request, response)
        if underway.call:
            self.on_call(underway.call)
        if underway.fault and underway.fault.kind in AFTER:
            self._strike_dead(underway)
        return response

    def _identified(self, underway: _Underway, principal: str, action: str, resource: str) -> None:
        if _OWN_ROLE not in principal:
            return
        named = _VOLATILE.sub("*", resource + _item(underway.request))
        underway.call, fault = self._meet(Call(self.chapter, principal.rpartition("/")[2], action, named))
        underway.fault = fault
        if fault is None or fault.kind in AFTER:
            return
        if fault.kind in EVENTS:
            self.on_event(fault.kind, underway.call)
        elif fault.kind in ("lost_before", "killed_before"):
            self._strike_dead(underway)
        else:
            raise _Refused(_refusal(fault.kind, underway.request))

    def _due(self, call: Call) -> Fault | None:
        fault = self._by_call.get(call.first)
        if fault is None or not fault.call.nth <= call.nth < fault.call.nth + fault.times:
            return None
        self.struck.append((call, fault))
        return fault

    @cached_property
    def _by_call(self) -> dict[Call, Fault]:
        """Each call meets one fault at most."""
        return {fault.call.first: fault for fault in self.faults}

    def _strike_dead(self, underway: _Underway) -> None:
        if underway.fault and underway.fault.kind.startswith("killed"):
            self.functions.kill(underway.request)
        raise SystemExit  # ends the connection's thread without a word, and with it the connection


def _bring_late(bring: Callable[[], None]) -> None:
    background.pause(_LATE_SECONDS)
    bring()


@dataclass
class Functions:
    """Which process makes a call: every process has credentials of its own, and assumes roles with them."""

    _origins: dict[str, str] = field(default_factory=dict)
    _killed: set[str] = field(default_factory=set)

    def start_anew(self) -> None:
        """End all functions that are idle: what has just started makes calls that it never makes again."""
        for pool in list(functions._running_fleet()._pools.values()):
            while pool.idle:
                pool.idle.pop().close()

    def watch(self, request: Request, response: Response) -> None:
        """Remember who was given which credentials."""
        for given in _GIVEN_KEY.findall(response.body) if "//sts." in request.url else ():
            key = _access_key(request)
            self._origins[given.decode()] = self._origins.get(key, key)

    def kill(self, request: Request) -> None:
        """Kill the process that makes a call; another of its threads may have met its end already."""
        key = self._origins.get(_access_key(request), _access_key(request))
        busy = [one for pool in list(functions._running_fleet()._pools.values()) for one in list(pool.busy)]
        found = [environment for environment in busy if environment._credentials.access_key == key]
        if not found and key not in self._killed:
            raise RuntimeError(f"no function at work has the access key {key}")
        self._killed.add(key)
        for environment in found:
            environment.close()


def _access_key(request: Request) -> str:
    header = request.headers.get("authorization", "")
    if header.lower().startswith("bearer"):
        token = header.rpartition("k8s-aws-v1.")[2]
        header = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    found = _ACCESS_KEY.search(header)
    return found[1] if found else ""


def _caller(request: Request) -> str:
    try:
        return authorization.identify(_access_key(request)).identity_arn
    except authorization.UnusableAccount:  # its account is closed, and it is answered so
        return ""


def _item(request: Request) -> str:
    """Which item of a table a call is about."""
    if "//dynamodb." not in request.url:
        return ""
    body: dict[str, Any] = json.loads(request.body)
    if "TransactItems" in body:
        return _items_of_transaction(body["TransactItems"])
    key = body.get("Key") or body.get("Item") or {}
    told = [next(iter(key[name].values())) for name in ("id", "part") if name in key]
    told += [str(*one.values()) for one in (body.get("ExpressionAttributeValues", {}) if not key else {}).values()]
    return "".join(f" {one}" for one in told)


def _items_of_transaction(operations: Sequence[Mapping[str, dict[str, Any]]]) -> str:
    """All items, whatever their order; of an inventory no single ones: which are written together is left to chance."""
    told = set()
    for operation in (one for kinds in operations for one in kinds.values()):
        key = operation.get("Key") or operation["Item"]
        names = [next(iter(key[name].values())) for name in ("id", "part") if name in key]
        told.add(" ".join(names[:1] if names[0].startswith("inventory#") else names))
    return "".join(f" {one}" for one in sorted(told))


# ---- in each service's words -----------------------------------------------------------------------------------

_NAMES = {"api": "sagemaker", "states": "stepfunctions"}  # botocore's, where hosts begin with another
_XML = ("iam", "sts", "s3")


def _refusal(kind: str, request: Request) -> Response:
    """What the service answers that was asked (its API reference, "Common errors")."""
    service = _service(request)
    if service == "kubernetes":
        status = {"throttled": 429, "denied": 403, "failed": 500, "unavailable": 503}[kind]
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "message": kind}
        return Response(status, {"Content-Type": "application/json"}, json.dumps(body).encode())
    xml = service in _XML
    throttled = REFUSALS.get(_NAMES.get(service, service), REFUSALS["dynamodb"])
    status, code = {
        "throttled": (throttled.status, throttled.code),
        "denied": (403, "AccessDenied") if xml else (400, "AccessDeniedException"),
        "failed": (500, "InternalError" if service == "s3" else "ServiceFailure" if xml else "InternalFailure"),
        "unavailable": (503, "ServiceUnavailable"),
    }[kind]
    if not xml:
        message = json.dumps({"__type": code, "message": "simulated", "Message": "simulated"})
        return Response(status, {"x-amzn-errortype": code, "Content-Type": "application/json"}, message.encode())
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>simulated</Message></Error>"
    if service != "s3" or "s3-control" in request.url:
        error = f"<ErrorResponse>{error}</ErrorResponse>"
    return Response(status, {"Content-Type": "text/xml"}, error.encode())


def _service(request: Request) -> str:
    """The service by its host, with S3 in all its forms as one."""
    if request.host.endswith(".eks.amazonaws.com") and ".gr7." in request.host:
        return "kubernetes"
    if re.search(r"(^|\.)s3[.-]", request.host):
        return "s3"
    return request.host.split(".")[0]

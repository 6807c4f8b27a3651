"""Schedules: EventBridge Scheduler's, and rules with a ``ScheduleExpression``.

Those of one moment, ``at(...)``, fire at that moment by the sandbox's clock; all others when they are told to. Source:
the EventBridge Scheduler User Guide, "Schedule types" and "Deletion after schedule completion"; the grammar of
expressions is that of "Cron expressions reference" and "Rate expressions" in the EventBridge User Guide.
"""

import json
import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from moto.events.exceptions import ValidationException
from moto.events.models import EventsBackend, Rule, events_backends
from moto.scheduler.exceptions import ValidationException as SchedulerValidationException
from moto.scheduler.models import EventBridgeSchedulerBackend, Schedule, scheduler_backends

from podshare_sandbox import clock
from podshare_sandbox.delivery import background, events
from podshare_sandbox.moto_repair import repair
from podshare_sandbox.service_clients import ServiceRole

_SCHEDULER = "scheduler.amazonaws.com"
_ONE_MOMENT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)(s?)\)")
_CRON = re.compile(r"cron\(([^()]+)\)")
_MONTHS = dict(
    zip(["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], range(1, 13), strict=True)
)
_DAYS = dict(zip(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], range(1, 8), strict=True))
# minutes, hours, day of month, month, day of week, year: smallest, largest, names, what else may stand there
_CRON_FIELDS: tuple[tuple[int, int, dict[str, int], str], ...] = (
    (0, 59, {}, ""),
    (0, 23, {}, ""),
    (1, 31, {}, r"\?|L|L?W|L-\d+|\d+W"),
    (1, 12, _MONTHS, ""),
    (1, 7, _DAYS, r"\?|L|[1-7]L|\w{1,3}#[1-5]"),
    (1970, 2199, {}, ""),
)
_DAY_OF_MONTH, _DAY_OF_WEEK = 2, 4


@dataclass(frozen=True)
class _Coming:
    """A schedule's one moment, and what then happens: by ``timer``, or at once where the clock was moved past it."""

    moment: datetime
    fire: Callable[[], None]
    timer: threading.Timer


_coming: dict[str, _Coming] = {}  # by the schedule's ARN
_lock = threading.Lock()


def install() -> None:
    """Let schedules of one moment fire by themselves, and refuse expressions that AWS refuses."""
    repair(EventsBackend, "put_rule", _checking_the_rule)
    repair(EventBridgeSchedulerBackend, "create_schedule", _awaited)
    repair(EventBridgeSchedulerBackend, "update_schedule", _awaited)


def forget() -> None:
    """Let no schedule fire any more."""
    while _coming:
        _coming.popitem()[1].timer.cancel()


def catch_up() -> None:
    """After the clock was moved: fire what is due by now, and await the rest for as much less."""
    for arn, coming in list(_coming.items()):
        coming.timer.cancel()
        _at(arn, coming.moment, coming.fire)


def is_rule_expression(expression: str) -> bool:
    """Whether a rule may have this expression: the unit of a rate of one is singular, that of others plural."""
    rate = _RATE.fullmatch(expression)
    if rate:
        return int(rate[1]) > 0 and (int(rate[1]) == 1) == (rate[3] == "")
    return _is_cron(expression)


def is_schedule_expression(expression: str) -> bool:
    """Whether a schedule of EventBridge Scheduler may have this expression."""
    if found := _ONE_MOMENT.fullmatch(expression):
        try:
            datetime.fromisoformat(found[1])
        except ValueError:
            return False
        return True
    rate = _RATE.fullmatch(expression)
    return int(rate[1]) > 0 if rate else _is_cron(expression)


def _is_cron(expression: str) -> bool:
    """Six fields, of which exactly one of the two for days is a question mark."""
    found = _CRON.fullmatch(expression)
    fields = found[1].split() if found else []
    if len(fields) != len(_CRON_FIELDS) or (fields[_DAY_OF_MONTH] == "?") == (fields[_DAY_OF_WEEK] == "?"):
        return False
    return all(
        re.fullmatch(more, text) or all(_is_span(part, smallest, largest, names) for part in text.split(","))
        for text, (smallest, largest, names, more) in zip(fields, _CRON_FIELDS, strict=True)
    )


def _is_span(text: str, smallest: int, largest: int, names: dict[str, int]) -> bool:
    """``*``, a value or a range, each perhaps in steps."""
    span, slash, step = text.partition("/")
    if slash and not (step.isascii() and step.isdigit() and int(step) > 0):
        return False
    if span == "*":
        return True
    values = [names.get(bound.upper(), bound) for bound in span.split("-")]
    if len(values) > 2 or not all(re.fullmatch(r"[0-9]+", str(value)) for value in values):
        return False
    return all(smallest <= int(value) <= largest for value in values)


def _checking_the_rule(original: Any) -> Any:
    def put_rule(self: EventsBackend, name: str, **settings: Any) -> Rule:
        expression = settings.get("scheduled_expression")
        if expression and not is_rule_expression(expression):
            raise ValidationException("Parameter ScheduleExpression is not valid.")
        rule: Rule = original(self, name, **settings)
        return rule

    return put_rule


def _check_schedule(settings: dict[str, Any]) -> None:
    expression, zone = settings["schedule_expression"], settings.get("schedule_expression_timezone")
    if not is_schedule_expression(expression):
        raise SchedulerValidationException(f"Invalid Schedule Expression {expression}.")
    if zone and zone not in available_timezones():
        raise SchedulerValidationException(f"Provided ScheduleExpressionTimezone {zone} is not valid.")


def _awaited(original: Any) -> Any:
    def changed(self: EventBridgeSchedulerBackend, **settings: Any) -> Schedule:
        _check_schedule(settings)
        schedule: Schedule = original(self, **settings)
        if settings.get("action_after_completion"):  # moto's update passes it by
            schedule.action_after_completion = settings["action_after_completion"]
        _await(self, schedule)
        return schedule

    return changed


def _await(backend: EventBridgeSchedulerBackend, schedule: Schedule) -> None:
    if former := _coming.pop(schedule.arn, None):
        former.timer.cancel()
    found = _ONE_MOMENT.fullmatch(schedule.schedule_expression)
    if not found:
        return
    moment = datetime.fromisoformat(found[1]).replace(tzinfo=ZoneInfo(schedule.schedule_expression_timezone))

    def fire() -> None:
        group = backend.schedule_groups.get(schedule.group_name)
        present = group.schedules.get(schedule.name) if group else None
        if present is not schedule or schedule.state != "ENABLED":
            return
        background.run(f"schedule {schedule.name}", lambda: _send(schedule))
        if schedule.action_after_completion == "DELETE":
            backend.delete_schedule(schedule.group_name, schedule.name)

    _at(schedule.arn, moment, fire)


def _at(arn: str, moment: datetime, fire: Callable[[], None]) -> None:
    """Await the moment; whichever of its timer and an advance comes first takes it out, and fires."""

    def come() -> None:
        with _lock:
            if _coming.get(arn) is not coming:
                return
            del _coming[arn]
        fire()

    left = (moment - clock.now()).total_seconds()
    coming = _Coming(moment, fire, threading.Timer(left, come))
    coming.timer.daemon = True
    with _lock:
        _coming[arn] = coming
    if left > 0:
        coming.timer.start()
    else:
        come()


def fire_schedule(name: str) -> None:
    """Let a schedule or a scheduled rule fire once, now; ``name`` is its name or ARN.

    Returns before the target is reached. Raises LookupError unless exactly one enabled one has the name.
    """
    found = [one for one in (*_rules(), *_schedules()) if name in {one.name, one.arn} and one.state == "ENABLED"]
    if len(found) != 1:
        raise LookupError(f"{len(found)} enabled schedules are named {name}")
    schedule = found[0]
    if isinstance(schedule, Rule):
        events.deliver(schedule, _event(schedule.arn, "aws.events", {}))
    else:
        background.run(f"schedule {schedule.name}", lambda: _send(schedule))


def _rules() -> list[Any]:
    backends: list[Any] = list(events_backends.iter_backends())
    buses = [bus for _, _, backend in backends for bus in backend.event_buses.values()]
    return [rule for bus in buses for rule in bus.rules.values() if rule.scheduled_expression]


def _schedules() -> list[Any]:
    backends: list[Any] = list(scheduler_backends.iter_backends())
    groups = [group for _, _, backend in backends for group in backend.schedule_groups.values()]
    return [schedule for group in groups for schedule in group.schedules.values()]


def _event(arn: str, source: str, detail: Any) -> events.Event:
    region, account = arn.split(":")[3:5]
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": source,
        "account": account,
        "time": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}",
        "region": region,
        "resources": [arn],
        "detail": detail,
    }


def _send(schedule: Schedule) -> None:
    """Call the target in the schedule's role; a failure goes to the dead-letter queue, in the same role."""
    target = schedule.target
    role = ServiceRole(target["RoleArn"], _SCHEDULER, schedule.name[:64], _group_arn(schedule))
    text = _filled(target.get("Input"), schedule) or json.dumps(_event(schedule.arn, "aws.scheduler", "{}"))
    try:
        role.send(target["Arn"], text)
    except Exception:
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        if queue is None:
            raise
        role.send(queue, text)


def _group_arn(schedule: Schedule) -> str:
    """EventBridge Scheduler's ``aws:SourceArn`` is the schedule group's."""
    return str(schedule.arn).replace(":schedule/", ":schedule-group/").rpartition("/")[0]


def _filled(text: str | None, schedule: Schedule) -> str | None:
    if text is None:
        return None
    attributes = {
        "schedule-arn": schedule.arn,
        "scheduled-time": f"{clock.now():%Y-%m-%dT%H:%M:%SZ}",
        "execution-id": str(uuid.uuid4()),
        "attempt-number": "1",
    }
    for name, value in attributes.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text

"""Schedules: EventBridge Scheduler's, and rules with a ``ScheduleExpression``.

Those of one moment, ``at(...)``, fire at that moment, in real time; all others when they are told to. Source: the
EventBridge Scheduler User Guide, "Schedule types" and "Deletion after schedule completion".
"""

import json
import re
import threading
import uuid
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from moto.events.models import Rule, events_backends
from moto.scheduler.models import EventBridgeSchedulerBackend, Schedule, scheduler_backends

from podshare_sandbox import clock
from podshare_sandbox.delivery import background, events
from podshare_sandbox.moto_repair import repair
from podshare_sandbox.service_clients import ServiceRole

_SCHEDULER = "scheduler.amazonaws.com"
_ONE_MOMENT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")


_timers: dict[str, threading.Timer] = {}  # by the schedule's ARN


def install() -> None:
    """Let schedules of one moment fire by themselves."""
    repair(EventBridgeSchedulerBackend, "create_schedule", _awaited)
    repair(EventBridgeSchedulerBackend, "update_schedule", _awaited)


def forget() -> None:
    """Let no schedule fire any more."""
    while _timers:
        _timers.popitem()[1].cancel()


def _awaited(original: Any) -> Any:
    def changed(self: EventBridgeSchedulerBackend, **settings: Any) -> Schedule:
        schedule: Schedule = original(self, **settings)
        if settings.get("action_after_completion"):  # moto's update passes it by
            schedule.action_after_completion = settings["action_after_completion"]
        _await(self, schedule)
        return schedule

    return changed


def _await(backend: EventBridgeSchedulerBackend, schedule: Schedule) -> None:
    if former := _timers.pop(schedule.arn, None):
        former.cancel()
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

    _timers[schedule.arn] = timer = threading.Timer(max(0.0, (moment - clock.now()).total_seconds()), fire)
    timer.daemon = True
    timer.start()


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

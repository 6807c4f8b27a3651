"""Jobs and cron jobs as the API server takes them: its defaults, and what it refuses.

Sources: Kubernetes API reference, "Job" and "CronJob"; defaults and messages as in ``pkg/apis/batch`` of Kubernetes.
Fields of a job that no controller of the sandbox heeds are refused.
"""

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from cronsim import CronSim, CronSimError

from podshare_sandbox.services.kubernetes import errors
from podshare_sandbox.services.kubernetes.resources import BY_KIND, Resource

Object = dict[str, Any]
Problem = tuple[str, str]  # a field, and why its value is refused

JOB, CRON_JOB = BY_KIND["Job"], BY_KIND["CronJob"]
LONGEST_CRON_JOB_NAME = 52  # the jobs' names append the time of their schedule
LONGEST_JOB_NAME = 63  # it is the value of a label of the job's pods
_COUNTS = ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished")
_NOT_EMULATED = ("podFailurePolicy", "successPolicy", "backoffLimitPerIndex", "maxFailedIndexes", "managedBy")
TEMPLATE_LABELS = ("batch.kubernetes.io/controller-uid", "controller-uid", "batch.kubernetes.io/job-name", "job-name")
# a job that has not started yet may still be told where its pods run: that is how Kueue starts it
_MUTABLE_IN_SUSPENSION = ("nodeSelector", "tolerations", "schedulingGates", "affinity")
_LABELLING = ("labels", "annotations")
_SCHEDULES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def fill_in(resource: Resource, candidate: Object) -> None:
    """Set the defaults of a job or a cron job that is new."""
    spec = candidate.get("spec")
    if not isinstance(spec, dict):
        return
    if resource == JOB:
        _fill_in_job(candidate["metadata"], spec)
    if resource == CRON_JOB:
        defaults = {"concurrencyPolicy": "Allow", "suspend": False}
        limits = {"successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1}
        candidate["spec"] = {**defaults, **limits, **spec}


def _fill_in_job(metadata: Object, spec: Object) -> None:
    template = spec.setdefault("template", {})
    labels = (template.get("metadata") or {}).get("labels")
    if labels and not metadata.get("labels"):
        metadata["labels"] = dict(labels)
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    defaults = {"parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False}
    for field, value in {**defaults, "podReplacementPolicy": "TerminatingOrFailed", "manualSelector": False}.items():
        spec.setdefault(field, value)
    if isinstance(template.get("spec"), dict):
        template["spec"].setdefault("restartPolicy", "Always")


def select_pods(job: Object) -> None:
    """Give a new job the selector, and its template the labels, by which its pods are known."""
    metadata, template = job["metadata"], job["spec"]["template"]
    values = (metadata["uid"], metadata["uid"], metadata["name"], metadata["name"])
    inner = template.setdefault("metadata", {})
    inner["labels"] = {**(inner.get("labels") or {}), **dict(zip(TEMPLATE_LABELS, values, strict=True))}
    job["spec"]["selector"] = {"matchLabels": {TEMPLATE_LABELS[0]: metadata["uid"]}}


def validate(resource: Resource, candidate: Object, before: Object | None) -> None:
    """Raise 422 for a job or a cron job that the API server would refuse."""
    if resource not in (JOB, CRON_JOB):
        return
    name, spec = candidate["metadata"]["name"], candidate.get("spec")
    if not isinstance(spec, dict):
        raise errors.invalid(resource, name, "spec", "Required value")
    if resource == JOB:
        problems = [*_job_problems(name, spec, before), *_changes(spec, before)]
    else:
        problems = list(_cron_job_problems(name, spec))
    for field, problem in problems:
        raise errors.invalid(resource, name, field, problem)


def _job_problems(name: str, spec: Object, before: Object | None) -> Iterator[Problem]:
    if len(name) > LONGEST_JOB_NAME:
        yield "spec.template.labels", f'Invalid value: "{name}": must be no more than {LONGEST_JOB_NAME} characters'
    for field in _COUNTS:
        value = spec.get(field)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            yield f"spec.{field}", f"Invalid value: {value}: must be greater than or equal to 0"
    for field in _NOT_EMULATED:
        if field in spec:
            yield f"spec.{field}", "Forbidden: not emulated in the sandbox"
    mode = spec.get("completionMode")
    if mode not in ("NonIndexed", "Indexed"):
        yield "spec.completionMode", f'Unsupported value: "{mode}": supported values: "Indexed", "NonIndexed"'
    if mode == "Indexed" and spec.get("completions") is None:
        yield "spec.completions", "Required value: when completion mode is Indexed"
    if before is None and (spec.get("selector") or spec.get("manualSelector")):
        yield "spec.selector", f"Invalid value: {spec.get('selector')}: `selector` not auto-generated"
    yield from _template_problems(spec.get("template"), "spec.template.spec")


def _template_problems(template: Any, path: str) -> Iterator[Problem]:
    yield from container_problems(template, path)
    policy = ((template or {}).get("spec") or {}).get("restartPolicy", "Always")
    if policy == "Always":
        yield f"{path}.restartPolicy", 'Required value: valid values: "OnFailure", "Never"'
    elif policy not in ("OnFailure", "Never"):
        yield f"{path}.restartPolicy", f'Unsupported value: "{policy}": supported values: "OnFailure", "Never"'


def container_problems(template: Any, path: str) -> Iterator[Problem]:
    """What the containers of a pod template lack; ``path`` is that of its spec."""
    containers = ((template or {}).get("spec") or {}).get("containers")
    if not containers:
        yield f"{path}.containers", "Required value"
    for index, container in enumerate(containers or ()):
        here = f"{path}.containers[{index}]"
        for key in ("name", "image"):
            if not container.get(key):
                yield f"{here}.{key}", "Required value"
        for number, variable in enumerate(container.get("env") or ()):
            if not variable.get("name"):
                yield f"{here}.env[{number}].name", "Required value"


def _changes(spec: Object, before: Object | None) -> Iterator[Problem]:
    """What may not change any more."""
    if before is None:
        return
    former = before["spec"]
    for field in ("completions", "completionMode", "selector"):
        if spec.get(field) != former.get(field):
            yield f"spec.{field}", f"Invalid value: {spec.get(field)}: field is immutable"
    waits = former.get("suspend") and not (before.get("status") or {}).get("startTime")
    if _fixed(spec["template"], waits=bool(waits)) != _fixed(former["template"], waits=bool(waits)):
        yield "spec.template", "Invalid value: field is immutable"


def _fixed(template: Object, *, waits: bool) -> Object:
    """What of a template may not change: all, or all but how its pods are scheduled."""
    if not waits:
        return template
    metadata = {key: value for key, value in (template.get("metadata") or {}).items() if key not in _LABELLING}
    pod = {key: value for key, value in template["spec"].items() if key not in _MUTABLE_IN_SUSPENSION}
    return {"metadata": metadata, "spec": pod}


def _cron_job_problems(name: str, spec: Object) -> Iterator[Problem]:
    if len(name) > LONGEST_CRON_JOB_NAME:
        yield "metadata.name", f'Invalid value: "{name}": must be no more than {LONGEST_CRON_JOB_NAME} characters'
    written = spec.get("schedule") or ""
    if not written:
        yield "spec.schedule", "Required value"
    else:
        try:
            schedule(written, datetime.now(UTC))
        except ValueError as error:
            yield "spec.schedule", f'Invalid value: "{written}": {error}'
    if spec.get("concurrencyPolicy") not in ("Allow", "Forbid", "Replace"):
        policy = spec.get("concurrencyPolicy")
        yield "spec.concurrencyPolicy", f'Unsupported value: "{policy}": supported values: "Allow", "Forbid", "Replace"'
    zone = spec.get("timeZone")
    if zone is not None and zone not in zoneinfo.available_timezones():
        yield "spec.timeZone", f'Invalid value: "{zone}": unknown time zone {zone}'
    for field in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        value = spec.get(field)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            yield f"spec.{field}", f"Invalid value: {value}: must be greater than or equal to 0"
    inner = (spec.get("jobTemplate") or {}).get("spec") or {}
    yield from _template_problems(inner.get("template"), "spec.jobTemplate.spec.template.spec")
    for field in _NOT_EMULATED:
        if field in inner:
            yield f"spec.jobTemplate.spec.{field}", "Forbidden: not emulated in the sandbox"


def schedule(written: str, after: datetime) -> Iterator[datetime]:
    """The times of a cron schedule after a time, in its zone. Raises ValueError for what Kubernetes does not parse."""
    fields = _SCHEDULES.get(written, written)
    if fields.startswith(("TZ=", "CRON_TZ=")):
        raise ValueError("cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
    if len(fields.split()) != 5 or any(character in fields for character in "#@"):
        raise ValueError(f"expected exactly 5 fields, found {len(fields.split())}: [{written}]")
    try:
        return CronSim(fields.replace("?", "*"), after)
    except CronSimError as error:
        raise ValueError(f"{error}: [{written}]") from None

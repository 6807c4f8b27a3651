"""Jobs and cron jobs as the API server takes them: asked of the sandbox, and of a real API server."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest

from podshare_sandbox.services.kubernetes import batch
from sandbox.tests.kubernetes_servers import ApiServer, path_of, started

Object = dict[str, Any]
NAMESPACE = "hyperpod-ns-vision"
QUEUED = {"kueue.x-k8s.io/queue-name": f"{NAMESPACE}-localqueue"}


@pytest.fixture(scope="module", params=["sandbox", "kube-apiserver"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A cluster with the namespace of a team."""
    with started(request.param, tmp_path_factory.mktemp("cluster")) as found:
        found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        yield found


def template(labels: Object | None = None, **spec: Any) -> Object:
    container = {"name": "main", "image": "public.ecr.aws/docker/library/busybox:stable", "command": ["true"]}
    return {"metadata": {"labels": labels or {}}, "spec": {"containers": [container], "restartPolicy": "Never", **spec}}


def job(name: str = "one", labels: Object | None = None, **spec: Any) -> Object:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels or {}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template(), **spec}}


def cron_job(name: str = "one", **spec: Any) -> Object:
    body = {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": template()}}, **spec}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": body}


def create(server: ApiServer, manifest: Object, *, dry: bool = True) -> tuple[int, Object]:
    status, answer, _ = server.ask(
        "POST", path_of(manifest, collection=True) + ("?dryRun=All" if dry else ""), manifest
    )
    return status, answer


def test_a_job_gets_the_defaults_of_its_kind(server: ApiServer) -> None:
    """One pod, six retries, not suspended, and a selector of its own (Kubernetes, pkg/apis/batch/v1/defaults.go)."""
    status, made = create(server, job())
    assert status == 201, made
    spec, uid = made["spec"], made["metadata"]["uid"]
    defaults = {"completions": 1, "parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False}
    assert {field: spec[field] for field in defaults} == defaults
    assert spec["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    labels = spec["template"]["metadata"]["labels"]
    assert labels["batch.kubernetes.io/job-name"] == labels["job-name"] == "one"
    assert create(server, job(parallelism=3))[1]["spec"].get("completions") is None


def test_a_job_without_labels_gets_those_of_its_template(server: ApiServer) -> None:
    """So a queue named in the template alone is the job's (Kubernetes, SetDefaults_Job)."""
    assert create(server, job(template=template(QUEUED)))[1]["metadata"]["labels"] == QUEUED
    labelled = create(server, job(labels={"app": "x"}, template=template(QUEUED)))[1]
    assert labelled["metadata"]["labels"] == {"app": "x"}


@pytest.mark.parametrize(
    ("manifest", "field"),
    [
        (job(template=template(restartPolicy="Always")), "spec.template.spec.restartPolicy"),
        (job(template={"spec": {"containers": template()["spec"]["containers"]}}), "spec.template.spec.restartPolicy"),
        (job(template=template(restartPolicy="Sometimes")), "spec.template.spec.restartPolicy"),
        (job(template=template(containers=[])), "spec.template.spec.containers"),
        (job(template=template(containers=[{"name": "main"}])), "spec.template.spec.containers[0].image"),
        (
            job(template=template(containers=[{"name": "main", "image": "x", "env": [{"value": "1"}]}])),
            "spec.template.spec.containers[0].env[0].name",
        ),
        (job(parallelism=-1), "spec.parallelism"),
        (job(backoffLimit=-1), "spec.backoffLimit"),
        (job(completionMode="Indexed", parallelism=1), "spec.completions"),
        (job(completionMode="Sorted"), "spec.completionMode"),
        (job(selector={"matchLabels": {"app": "x"}}), "spec.selector"),
        (job(name="x" * 64), "spec.template.labels"),
        (cron_job(schedule=""), "spec.schedule"),
        (cron_job(schedule="61 * * * *"), "spec.schedule"),
        (cron_job(schedule="0 3 * * * *"), "spec.schedule"),
        (cron_job(schedule="TZ=UTC 0 3 * * *"), "spec.schedule"),
        (cron_job(timeZone="Mars/Olympus"), "spec.timeZone"),
        (cron_job(concurrencyPolicy="Perhaps"), "spec.concurrencyPolicy"),
        (cron_job(successfulJobsHistoryLimit=-1), "spec.successfulJobsHistoryLimit"),
        (cron_job(name="x" * 53), "metadata.name"),
        (
            cron_job(jobTemplate={"spec": {"template": template(restartPolicy="Always")}}),
            "spec.jobTemplate.spec.template.spec.restartPolicy",
        ),
    ],
)
def test_what_no_job_can_be_is_refused(server: ApiServer, manifest: Object, field: str) -> None:
    """422 names the field (Kubernetes, pkg/apis/batch/validation)."""
    status, answer = create(server, manifest)
    assert (status, answer["reason"]) == (422, "Invalid"), answer
    assert field in answer["message"]


def test_a_jobs_template_is_fixed_once_it_has_been_made(server: ApiServer) -> None:
    """Only parallelism, suspension and limits change (Kubernetes, ValidateJobSpecUpdate)."""
    assert create(server, job("fixed"), dry=False)[0] == 201
    path, merge = path_of(job("fixed")), "application/merge-patch+json"

    def change(**spec: Any) -> tuple[int, Object]:
        status, answer, _ = server.ask("PATCH", f"{path}?dryRun=All", {"spec": spec}, kind=merge)
        return status, answer

    for spec in ({"template": {"spec": {"restartPolicy": "OnFailure"}}}, {"completions": 2}):
        status, answer = change(**spec)
        assert status == 422, answer
        assert "field is immutable" in answer["message"]
    assert change(template={"spec": {"nodeSelector": {"zone": "a"}}})[0] == 422
    for spec in ({"parallelism": 2}, {"suspend": True}, {"backoffLimit": 1}, {"activeDeadlineSeconds": 60}):
        assert change(**spec)[0] == 200, spec


def test_a_job_that_has_not_started_may_be_told_where_it_runs(server: ApiServer) -> None:
    """Node selectors of a suspended job change until it starts (Kubernetes, "Mutable Scheduling Directives")."""
    assert create(server, job("waiting", suspend=True), dry=False)[0] == 201
    path, merge = path_of(job("waiting")), "application/merge-patch+json"
    where = {"spec": {"template": {"spec": {"nodeSelector": {"zone": "a"}}}}}
    assert server.ask("PATCH", f"{path}?dryRun=All", where, kind=merge)[0] == 200
    other = {"spec": {"template": {"spec": {"serviceAccountName": "other"}}}}
    assert server.ask("PATCH", f"{path}?dryRun=All", other, kind=merge)[0] == 422


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("podFailurePolicy", {"rules": []}),
        ("successPolicy", {"rules": []}),
        ("backoffLimitPerIndex", 1),
        ("maxFailedIndexes", 1),
        ("managedBy", "example.com/controller"),
    ],
)
def test_fields_that_nothing_heeds_here_are_refused(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: Any
) -> None:
    """The sandbox refuses what it does not emulate, where a real server would take it."""
    with started("sandbox", tmp_path_factory.mktemp("cluster")) as server:
        server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        status, answer = create(server, job(**{field: value}))
    assert (status, "not emulated" in answer["message"]) == (422, True)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("*/30 * * * *", ["10:30", "11:00", "11:30"]),
        ("@hourly", ["11:00", "12:00", "13:00"]),
        ("15 9-12 * * MON-FRI", ["10:15", "11:15", "12:15"]),
        ("0 12 ? * 2", ["12:00", "12:00", "12:00"]),
    ],
)
def test_schedules_are_cron_expressions_of_five_fields(written: str, expected: list[str]) -> None:
    """Macros, steps, ranges and names (Kubernetes documentation, "CronJob", schedule syntax)."""
    found = islice(batch.schedule(written, datetime(2026, 1, 6, 10, 1, tzinfo=UTC)), 3)
    assert [f"{time:%H:%M}" for time in found] == expected

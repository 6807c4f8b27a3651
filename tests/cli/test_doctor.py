"""`podshare doctor` on the sandbox: nothing to tell of a sound environment, and each of a set of faults is found."""

import datetime
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto.eks.models import eks_backends
from moto.organizations.models import organizations_backends

from podshare.aws.rows import to_item
from podshare_cli.application import main
from podshare_cli.aws.connection import Connection
from podshare_cli.commands.doctor.findings import Place
from podshare_cli.history.objects import History
from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox
from podshare_sandbox.new_accounts import admin_credentials
from podshare_sandbox.organization import (
    DATA,
    EKS_CLUSTER,
    HUB,
    HUB_REGION,
    MANAGEMENT,
    SCIENTISTS,
)
from tests.acting import act_in_the_hub
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, DATASETS, VISION

ROLE = "Doctor"
READS = [
    *("cloudformation:Describe*", "cloudtrail:Describe*", "cloudtrail:Get*", "eks:Describe*", "eks:List*"),
    *("iam:Get*", "sagemaker:Describe*", "sagemaker:List*", "s3:ListAccessPoints"),
]
TOPIC = f"arn:aws:sns:{HUB_REGION}:{HUB}:platform-alarms"
NOTIFICATIONS = f"arn:aws:sns:{HUB_REGION}:{HUB}:podshare-notifications"
TODAY = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
Doctor = Callable[..., tuple[int, list[dict[str, str]]]]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """An organization with podshare, a team, a sweep, alarms that somebody hears of, and a reading role everywhere."""
    with Sandbox(time_scale=0.02) as running, pytest.MonkeyPatch.context() as patch:
        running.client("sns").create_topic(Name="platform-alarms")
        running.client("sns").subscribe(TopicArn=TOPIC, Protocol="email", Endpoint="ops@example.com")
        deploy_podshare(running, {"AlarmTopicArn": TOPIC, "Notifications": "on"})
        running.client("sns").subscribe(TopicArn=NOTIFICATIONS, Protocol="email", Endpoint="ops@example.com")
        for account in (MANAGEMENT, *SCIENTISTS, DATA):
            _make_role(running, account)
        for record in (*CLUSTER_AND_DATA, a_team_item("vision", members=[{"account": VISION}], service_accounts=[])):
            running.client("dynamodb").put_item(TableName="podshare-registry", Item=to_item(record))
        running.settle()
        running.client("stepfunctions").start_execution(
            stateMachineArn=f"arn:aws:states:{HUB_REGION}:{HUB}:stateMachine:podshare-sweep-teams", input="{}"
        )
        running.settle()
        keys = admin_credentials(HUB)
        act_in_the_hub(patch, keys.access_key, keys.secret_key)
        yield running


CLUSTER_AND_DATA = (CLUSTER, *DATASETS)


def _make_role(sandbox: Sandbox, account: str) -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "sts:AssumeRole"}
    reads = {"Effect": "Allow", "Action": READS, "Resource": "*"}
    iam = sandbox.client("iam", account)
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=_document(trust))
    iam.put_role_policy(RoleName=ROLE, PolicyName="read", PolicyDocument=_document(reads))


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def doctor(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> Doctor:  # noqa: ARG001  # it sets the environment
    """Calls the command; returns its exit code and its findings."""

    def call(*words: str) -> tuple[int, list[dict[str, str]]]:
        capsys.readouterr()
        code = main(["doctor", "--assume-role", ROLE, "--json", *words])
        return code, json.loads(capsys.readouterr().out)

    return call


def told(findings: list[dict[str, str]]) -> dict[tuple[str, str], str]:
    """What is not in order: where and which check, with its status."""
    return {(each["where"], each["check"]): each["status"] for each in findings if each["status"] != "ok"}


def test_a_sound_environment_has_no_problem(doctor: Doctor) -> None:
    """Everything that is checked is in order, and each member account sees the organization's trail."""
    code, findings = doctor()

    assert code == 0
    assert told(findings) == {}
    assert {each["where"] for each in findings} >= {
        *("organization", "hub", "cluster main", f"account {MANAGEMENT}", f"account {VISION}", f"account {DATA}")
    }


# ---- faults -------------------------------------------------------------------------------------------------

Fault = Callable[[Sandbox, pytest.MonkeyPatch], Callable[[], object]]


def consolidated_billing(_: Sandbox, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    patch.setattr(organizations_backends[MANAGEMENT]["aws"].org, "feature_set", "CONSOLIDATED_BILLING")
    return lambda: None


def no_trusted_access(sandbox: Sandbox, _: pytest.MonkeyPatch) -> Callable[[], object]:
    api = sandbox.client("cloudformation", MANAGEMENT)
    api.deactivate_organizations_access()
    return api.activate_organizations_access


def trail_stopped(sandbox: Sandbox, _: pytest.MonkeyPatch) -> Callable[[], object]:
    api = sandbox.client("cloudtrail", MANAGEMENT, "us-east-1")
    api.stop_logging(Name="organization")
    return lambda: api.start_logging(Name="organization")


def old_kubernetes(_: Sandbox, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    cluster = eks_backends[HUB][HUB_REGION].clusters[EKS_CLUSTER]
    patch.setattr(cluster, "version", "1.29")
    return lambda: None


def add_on_removed(sandbox: Sandbox, _: pytest.MonkeyPatch) -> Callable[[], object]:
    api, name = sandbox.client("eks"), "eks-pod-identity-agent"
    api.delete_addon(clusterName=EKS_CLUSTER, addonName=name)
    sandbox.settle()

    def back() -> None:
        api.create_addon(clusterName=EKS_CLUSTER, addonName=name)
        sandbox.settle()

    return back


def own_entry_removed(sandbox: Sandbox, _: pytest.MonkeyPatch) -> Callable[[], object]:
    api, arn = sandbox.client("eks"), f"arn:aws:iam::{HUB}:role/podshare-system/podshare-kubernetes"
    entry = api.describe_access_entry(clusterName=EKS_CLUSTER, principalArn=arn)["accessEntry"]
    api.delete_access_entry(clusterName=EKS_CLUSTER, principalArn=arn)
    groups = entry["kubernetesGroups"]
    return lambda: api.create_access_entry(clusterName=EKS_CLUSTER, principalArn=arn, kubernetesGroups=groups)


def old_member_stack(sandbox: Sandbox, _: pytest.MonkeyPatch) -> Callable[[], object]:
    iam = sandbox.client("iam", VISION)
    tags = {"RoleName": "podshare-identity", "Tags": [{"Key": "podshare:member-version", "Value": "1"}]}
    now = {tag["Key"]: tag["Value"] for tag in iam.get_role(RoleName="podshare-identity")["Role"]["Tags"]}
    iam.tag_role(**tags)
    version = [{"Key": "podshare:member-version", "Value": now["podshare:member-version"]}]
    return lambda: iam.tag_role(RoleName="podshare-identity", Tags=version)


def tags_of_the_hub_alone(sandbox: Sandbox, _: pytest.MonkeyPatch) -> Callable[[], object]:
    functions, name = sandbox.client("lambda"), "podshare-plan-team"
    before = functions.get_function_configuration(FunctionName=name)["Environment"]
    variables = {**before["Variables"], "PODSHARE_RESOURCE_TAGS": "CostCenter=42"}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    return lambda: functions.update_function_configuration(FunctionName=name, Environment=before)


def hub_of_an_earlier_version(_: Sandbox, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    stock = Connection.__init__

    def without(connection: Connection, *given: Any, **named: Any) -> None:
        stock(connection, *given, **named)
        connection.dry_run_function = "podshare-is-not-there-yet"

    patch.setattr(Connection, "__init__", without)
    return lambda: None


def dataset_of_another_bucket(sandbox: Sandbox, _: pytest.MonkeyPatch) -> Callable[[], object]:
    return _with_record(sandbox, {**DATASETS[0], "id": "dataset#other", "bucket": f"unlisted-{DATA}"})


def cluster_that_is_not_there(sandbox: Sandbox, _: pytest.MonkeyPatch) -> Callable[[], object]:
    return _with_record(sandbox, {**CLUSTER, "hyperpod_cluster": "gone"}, CLUSTER)


def nobody_hears(sandbox: Sandbox, _: pytest.MonkeyPatch) -> Callable[[], object]:
    sns = sandbox.client("sns")
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]
    sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    return lambda: sns.subscribe(TopicArn=TOPIC, Protocol="email", Endpoint="ops@example.com")


def bus_without_policy(sandbox: Sandbox, _: pytest.MonkeyPatch) -> Callable[[], object]:
    events = sandbox.client("events")
    policy = events.describe_event_bus(Name="podshare-organization")["Policy"]
    events.remove_permission(EventBusName="podshare-organization", RemoveAllPermissions=True)
    return lambda: events.put_permission(EventBusName="podshare-organization", Policy=policy)


def bus_open_to_everybody(sandbox: Sandbox, _: pytest.MonkeyPatch) -> Callable[[], object]:
    events = sandbox.client("events")
    policy = events.describe_event_bus(Name="podshare-drift")["Policy"]
    opened = json.loads(policy)
    for statement in opened["Statement"]:
        statement["Condition"].pop("ArnLike", None)
    events.put_permission(EventBusName="podshare-drift", Policy=json.dumps(opened))
    return lambda: events.put_permission(EventBusName="podshare-drift", Policy=policy)


def dead_letter(sandbox: Sandbox, _: pytest.MonkeyPatch) -> Callable[[], object]:
    sqs = sandbox.client("sqs")
    url = sqs.get_queue_url(QueueName="podshare-registry-changed-failures")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    return lambda: sqs.purge_queue(QueueUrl=url)


def old_sweep(sandbox: Sandbox, _: pytest.MonkeyPatch) -> Callable[[], object]:
    return _with_state(sandbox, "sweep", "summary", "at", "2026-01-01T03:00:00+00:00")


def refused_by_policy(sandbox: Sandbox, _: pytest.MonkeyPatch) -> Callable[[], object]:
    what = "CreateRole: with an explicit deny in a service control policy"
    return _with_state(sandbox, "status", "team#vision", "problems", [{"what": what, "remedy": ""}])


def nobody_is_notified(sandbox: Sandbox, _: pytest.MonkeyPatch) -> Callable[[], object]:
    api = sandbox.client("sns")
    (subscription,) = api.list_subscriptions_by_topic(TopicArn=NOTIFICATIONS)["Subscriptions"]
    api.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    return lambda: api.subscribe(TopicArn=NOTIFICATIONS, Protocol="email", Endpoint="ops@example.com")


def nothing_is_retained(sandbox: Sandbox, _: pytest.MonkeyPatch) -> Callable[[], object]:
    api, bucket = sandbox.client("s3"), f"podshare-history-{HUB}-{HUB_REGION}"
    before = api.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    none = {"ObjectLockEnabled": "Enabled"}
    api.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=none)
    return lambda: api.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=before)


def no_history(_: Sandbox, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    patch.setattr(History, "bucket", f"podshare-history-{HUB}-eu-west-1")
    return lambda: None


def _with_record(
    sandbox: Sandbox, record: dict[str, Any], before: dict[str, Any] | None = None
) -> Callable[[], object]:
    table = sandbox.client("dynamodb")
    table.put_item(TableName="podshare-registry", Item=to_item(record))

    def back() -> None:
        if before is None:
            table.delete_item(TableName="podshare-registry", Key=to_item({"id": record["id"]}))
        else:
            table.put_item(TableName="podshare-registry", Item=to_item(before))
        sandbox.settle()

    return back


def _with_state(sandbox: Sandbox, row: str, part: str, field: str, value: Any) -> Callable[[], object]:
    table, key = sandbox.client("dynamodb"), to_item({"id": row, "part": part})
    before = table.get_item(TableName="podshare-state", Key=key)["Item"]
    table.put_item(TableName="podshare-state", Item={**before, **to_item({field: value})})
    return lambda: table.put_item(TableName="podshare-state", Item=before)


FAULTS: dict[str, tuple[Fault, tuple[str, str, str]]] = {
    "consolidated billing": (consolidated_billing, ("organization", "features", "problem")),
    "no trusted access": (no_trusted_access, (f"account {MANAGEMENT}", "trusted access", "problem")),
    "trail stopped": (trail_stopped, (f"account {MANAGEMENT}", "trail in us-east-1", "problem")),
    "old Kubernetes": (old_kubernetes, ("cluster main", "Kubernetes version", "problem")),
    "add-on removed": (add_on_removed, ("cluster main", "add-ons", "problem")),
    "own entry removed": (own_entry_removed, ("cluster main", "own entries", "problem")),
    "no HyperPod cluster": (cluster_that_is_not_there, ("cluster main", "HyperPod cluster", "problem")),
    "old member stack": (old_member_stack, (f"account {VISION}", "member stack", "problem")),
    "tags of the hub alone": (tags_of_the_hub_alone, (f"account {VISION}", "parameters", "problem")),
    "hub of an earlier version": (hub_of_an_earlier_version, ("hub", "functions", "problem")),
    "unlisted bucket": (dataset_of_another_bucket, (f"account {DATA}", "parameters", "problem")),
    "alarms notify nobody": (nobody_hears, ("hub", "alarm topic", "problem")),
    "nobody is notified": (nobody_is_notified, ("hub", "notifications", "warning")),
    "nothing is retained": (nothing_is_retained, ("hub", "history", "problem")),
    "no history": (no_history, ("hub", "history", "problem")),
    "bus without policy": (bus_without_policy, ("hub", "event buses", "problem")),
    "bus open to everybody": (bus_open_to_everybody, ("hub", "event buses", "problem")),
    "dead letter": (dead_letter, ("hub", "failures", "warning")),
    "old sweep": (old_sweep, ("hub", "sweep", "warning")),
    "denied by an organization policy": (refused_by_policy, ("hub", "refusals", "problem")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(doctor: Doctor, sandbox: Sandbox, name: str) -> None:
    """Each fault is told where it is, with what to run, and only a problem makes the command fail."""
    (make, (where, check, status)) = FAULTS[name]
    with pytest.MonkeyPatch.context() as patch:
        mend = make(sandbox, patch)
        try:
            code, findings = doctor()
        finally:
            mend()

    assert told(findings).get((where, check)) == status
    (found, *_) = [
        each for each in findings if (each["where"], each["check"], each["status"]) == (where, check, status)
    ]
    assert found["what"]
    assert code == (1 if status == "problem" else 0)


@pytest.mark.usefixtures("sandbox")
def test_what_may_not_be_looked_at_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a way into the other accounts each is told as unknown with the option that gives one, and nothing fails."""
    code = main(["doctor", "--json"])

    findings = json.loads(capsys.readouterr().out)
    assert code == 0
    unknown = {each["where"]: each["run"] for each in findings if each["status"] == "unknown"}
    assert {f"account {account}" for account in (MANAGEMENT, VISION, DATA)} <= unknown.keys()
    assert "--assume-role" in unknown[f"account {DATA}"]


@pytest.mark.parametrize("account", [MANAGEMENT, VISION, DATA])
def test_an_account_that_refuses_the_role_is_unknown(doctor: Doctor, sandbox: Sandbox, account: str) -> None:
    """Where the role cannot be assumed the account and its clusters are unknown, and all else is checked as before."""
    elsewhere = {**CLUSTER, "id": "cluster#elsewhere", "account": account, "eks_cluster": "e", "hyperpod_cluster": "h"}
    forget = _with_record(sandbox, elsewhere)
    sandbox.client("iam", account).delete_role_policy(RoleName=ROLE, PolicyName="read")
    sandbox.client("iam", account).delete_role(RoleName=ROLE)
    try:
        _, findings = doctor()
    finally:
        forget()
        _make_role(sandbox, account)

    missing = {finding for finding in told(findings) if finding[1] == "parameters"}  # of the other accounts' stacks
    assert told(findings).keys() - missing == {(f"account {account}", "account"), ("cluster elsewhere", "account")}
    assert {each["where"] for each in findings} >= {"hub", "organization", "cluster main"}
    assert sum(each["where"].startswith("account ") and each["status"] == "ok" for each in findings) > 1


def test_whoever_may_read_nothing_is_told_so_of_each_check(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller without any right sees that the hub, the organization and the registry are unknown; nothing fails."""
    iam = sandbox.client("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    act_in_the_hub(monkeypatch, key["AccessKeyId"], key["SecretAccessKey"])
    code = main(["doctor", "--json"])

    findings = json.loads(capsys.readouterr().out)
    assert code == 0
    assert {each["status"] for each in findings} == {"unknown"}
    unknown = {(each["where"], each["check"]) for each in findings}
    assert unknown >= {("hub", "deployment"), ("hub", "tables"), ("hub", "registry"), ("organization", "membership")}


@pytest.mark.usefixtures("sandbox")
def test_before_a_deployment_the_hub_is_told_as_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a Region without podshare the organization is checked all the same, and how to deploy is told."""
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    main(["doctor", "--assume-role", ROLE, "--json"])

    findings = json.loads(capsys.readouterr().out)
    (deployment,) = [each for each in findings if each["check"] == "deployment"]
    assert (deployment["status"], deployment["where"]) == ("unknown", "hub")
    assert "sam deploy" in deployment["run"]
    assert ("organization", "features") in {(each["where"], each["check"]) for each in findings}


@pytest.mark.usefixtures("sandbox")
def test_people_get_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json what is not in order stands in a table, counts below, and --all shows the rest."""
    assert main(["doctor", "--assume-role", ROLE, "--all"]) == 0
    out = capsys.readouterr().out
    assert "o-podshare01 has all features" in out
    assert "0 problem" in out


@pytest.mark.parametrize(
    ("present", "status"), [(0, "ok"), (2_399, "ok"), (2_400, "warning"), (2_999, "warning"), (3_000, "problem")]
)
def test_room_is_a_warning_from_eighty_percent(present: int, status: str) -> None:
    """A quota of which 80 percent are in use is a warning, one without room a problem."""
    assert Place("cluster main").room("access entries", present, 3_000, "raise it").status == status

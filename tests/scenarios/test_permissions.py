"""Least privilege, by use: what is used is granted, what is granted is used, and what was tampered with is mended.

The module plays a team's whole life with every kind of tampering in between, and then holds the decisions that IAM
made against what the stacks grant.
"""

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import zip_longest
from typing import Any

import pytest

from podshare_sandbox import delivery
from podshare_sandbox.organization import FILE_SYSTEM
from podshare_sandbox.services import kubernetes
from podshare_sandbox.services.kubernetes.resources import BY_KIND
from tests.builders import a_team_item
from tests.scenarios.world import (
    CLUSTER,
    DATA,
    EKS_ARN,
    HUB,
    IMAGES,
    KMS_KEY,
    LANGUAGE,
    MANAGEMENT,
    REGION,
    SCIENCE,
    VISION,
    World,
)

ACCOUNTS = (HUB, VISION, DATA, MANAGEMENT)
READ_SCANS = {"dataset": "scans", "access": "read"}
LINKED = [{"file_system": FILE_SYSTEM, "dataset": "crawl", "access": "read_write"}]
READER = [{"name": "reader", "datasets": [{"dataset": "imagenet", "access": "read"}, READ_SCANS]}]

# granted, and not used by the life that this module plays; each with its reason
UNUSED = {
    ("podshare-registry-changed", "dynamodb:ListStreams"): "the event source mapping's own poller asks for it on AWS",
    ("podshare-registry-changed", "sqs:SendMessage"): "for a record that fails again and again (test_delivery)",
    ("podshare-execution-ended", "*"): "after a failed execution (test_takeover)",
    ("podshare-lease-team", "states:DescribeExecution"): "where another execution holds the lease (test_one_at_a_time)",
    ("podshare-lease-team", "dynamodb:GetItem"): "where a run starts over (test_one_at_a_time)",
    **{
        (f"podshare-apply-{kind}", "dynamodb:BatchGetItem"): "where no fresh plan is handed over (test_one_at_a_time)"
        for kind in ("cluster", "data", "identity", "kubernetes")
    },
    **{
        ("podshare-summarize-sweep", action): "for what the history's bucket did not take at once (test_history)"
        for action in ("s3:PutObject", "dynamodb:DeleteItem")
    },
    **{
        ("podshare-read", f"iam:{call}"): "where the roles of an account cannot be read at once (test_roles_ahead)"
        for call in ("GetRolePolicy", "ListRolePolicies")
    },
    ("podshare-organization-changed", "sqs:SendMessage"): "for an event that fails again and again",
    ("podshare-notify", "sqs:SendMessage"): "for an event that fails again and again",
    ("podshare-organization", "organizations:ListParents"): "where Organizations returns no path of an account",
    ("podshare-nightly-sweep", "sqs:SendMessage"): "for a sweep that cannot be started",
    ("podshare-sweep-teams", "states:DescribeExecution"): "a distributed Map asks for it on AWS",
    ("podshare-sweep-teams", "states:StopExecution"): "where a sweep is stopped",
    ("podshare-resource-changed", "*"): "for drift events, which need a trail (test_drift)",
    ("podshare-forward-drift", "*"): "for drift events, which need a trail (test_drift)",
    ("podshare-plan-team", "scheduler:CreateSchedule"): "where something of a team ends (test_expiry)",
    ("podshare-plan-team", "scheduler:UpdateSchedule"): "where it ends at another moment (test_expiry)",
    ("podshare-plan-team", "scheduler:DeleteSchedule"): "where it ends no more (test_expiry)",
    ("podshare-plan-team", "iam:PassRole"): "for the role in which the schedule starts a run (test_expiry)",
    ("podshare-plan-team", "events:PutEvents"): "where something ends soon (test_expiry)",
    ("podshare-team-schedule", "*"): "at the moment at which something ends (test_expiry)",
    ("podshare-cluster", "s3:Get*"): "Amazon FSx asks for single ones of these when it links a bucket",
    ("podshare-cluster", "s3:List*"): "as s3:Get*",
    ("podshare-plan-team", "dynamodb:DeleteItem"): "for what went without podshare and is no longer desired",
}


@pytest.fixture(scope="module")
def deployment() -> dict[str, str]:
    """With all that has a role of its own."""
    return {"DrainSeconds": "0", "Notifications": "on"}


def role_of(world: World, why: str) -> str:
    iam = world.sandbox.client("iam", HUB)
    for role in iam.list_roles(PathPrefix="/podshare/")["Roles"]:
        tags = {tag["Key"]: tag["Value"] for tag in iam.list_role_tags(RoleName=role["RoleName"])["Tags"]}
        if why in (tags.get("podshare:member"), tags.get("podshare:service-account")):
            return str(role["RoleName"])
    raise LookupError(why)


def quota(world: World) -> dict[str, Any]:
    found = world.sandbox.client("sagemaker").list_compute_quotas(NameContains="podshare-vision")
    described: dict[str, Any] = world.sandbox.client("sagemaker").describe_compute_quota(
        ComputeQuotaId=found["ComputeQuotaSummaries"][0]["ComputeQuotaId"]
    )
    return described


def iam(world: World) -> Any:
    return world.sandbox.client("iam", HUB)


def eks(world: World) -> Any:
    return world.sandbox.client("eks", HUB)


def entry(world: World) -> dict[str, str]:
    return {"clusterName": "hyperpod-eks", "principalArn": world.cluster_access_role("vision", VISION)}


def association(world: World) -> dict[str, Any]:
    found = eks(world).list_pod_identity_associations(clusterName="hyperpod-eks")["associations"][0]
    return {"clusterName": "hyperpod-eks", "associationId": found["associationId"]}


def open_trust(world: World) -> None:
    statement = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{DATA}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam(world).update_assume_role_policy(RoleName=role_of(world, VISION), PolicyDocument=document)


def open_policy(world: World) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam(world).put_role_policy(
        RoleName=role_of(world, "reader"), PolicyName="more", PolicyDocument=json.dumps(document)
    )


def altered_policy(world: World) -> None:
    name = role_of(world, "reader")
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam(world).put_role_policy(RoleName=name, PolicyName="dataset-imagenet", PolicyDocument=json.dumps(document))


def other_boundary(world: World) -> None:
    arn = "arn:aws:iam::aws:policy/AdministratorAccess"
    iam(world).put_role_permissions_boundary(RoleName=role_of(world, "reader"), PermissionsBoundary=arn)


def first_stacks_boundary(world: World) -> None:
    """By the name that member stacks of version 1 gave."""
    nothing = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [nothing]})
    made = iam(world).create_policy(PolicyName="podshare-boundary", Path="/podshare-system/", PolicyDocument=document)
    iam(world).put_role_permissions_boundary(
        RoleName=role_of(world, "reader"), PermissionsBoundary=made["Policy"]["Arn"]
    )


def wide_access_point(world: World) -> None:
    s3control, arn = world.sandbox.client("s3control", DATA), world.access_point("vision", "imagenet")
    name = arn.rpartition("/")[2]
    policy = json.loads(s3control.get_access_point_policy(AccountId=DATA, Name=name)["Policy"])
    policy["Statement"][1]["Resource"] = f"{arn}/object/*"
    s3control.put_access_point_policy(AccountId=DATA, Name=name, Policy=json.dumps(policy))


def no_statement(world: World) -> None:
    s3 = world.sandbox.client("s3", DATA)
    policy = {"Version": "2012-10-17", "Statement": world.bucket_statements(IMAGES)[:1]}
    s3.put_bucket_policy(Bucket=IMAGES, Policy=json.dumps(policy))


def other_statement(world: World) -> None:
    s3, statements = world.sandbox.client("s3", DATA), world.bucket_statements(IMAGES)
    statements[1]["Action"] = ["s3:GetObject", "s3:ListBucket", "s3:PutObject"]
    s3.put_bucket_policy(Bucket=IMAGES, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))


def other_quota(world: World) -> None:
    found = quota(world)
    world.sandbox.client("sagemaker").update_compute_quota(
        ComputeQuotaId=found["ComputeQuotaId"],
        TargetVersion=found["ComputeQuotaVersion"],
        ComputeQuotaTarget={"TeamName": "vision", "FairShareWeight": 99},
    )
    quota(world)


def scheduler(world: World) -> dict[str, Any]:
    found = world.sandbox.client("sagemaker").list_cluster_scheduler_configs()
    described: dict[str, Any] = world.sandbox.client("sagemaker").describe_cluster_scheduler_config(
        ClusterSchedulerConfigId=found["ClusterSchedulerConfigSummaries"][0]["ClusterSchedulerConfigId"]
    )
    return described


def other_scheduler(world: World) -> None:
    found = scheduler(world)
    world.sandbox.client("sagemaker").update_cluster_scheduler_config(
        ClusterSchedulerConfigId=found["ClusterSchedulerConfigId"],
        TargetVersion=found["ClusterSchedulerConfigVersion"],
        SchedulerConfig={"FairShare": "Disabled"},
    )


OPERATORS = ("hyperpod-ns-vision", "podshare-operators")
RBAC: dict[str, Any] = {
    "kubernetes_groups": ["podshare:vision:operators"],
    "rbac": [
        {
            "group": "podshare:vision:operators",
            "rules": [{"api_groups": [""], "resources": ["configmaps"], "verbs": ["get"]}],
        }
    ],
}


NO_METADATA = ("hyperpod-ns-vision", "podshare-no-instance-metadata")


def tampered(kind: str, place: tuple[str, str] = OPERATORS, **fields: Any) -> None:
    api = kubernetes.api_of(EKS_ARN)
    api.apply({**(api.get(kind, *place) or {}), **fields})


def labelled(labels: dict[str, str | None]) -> None:
    namespace, patch = BY_KIND["Namespace"], {"metadata": {"labels": labels}}
    kubernetes.api_of(EKS_ARN).merge_patch(namespace, "", "hyperpod-ns-vision", patch, "kubectl")


def deleted_role(world: World) -> None:
    name = role_of(world, "reader")
    for policy in iam(world).list_role_policies(RoleName=name)["PolicyNames"]:
        iam(world).delete_role_policy(RoleName=name, PolicyName=policy)
    iam(world).delete_role(RoleName=name)


def kms(world: World) -> Any:
    return world.sandbox.client("kms", DATA)


def key_grant(world: World) -> dict[str, Any]:
    found: dict[str, Any] = kms(world).list_grants(KeyId=KMS_KEY)["Grants"][0]
    return found


def revoked_grant(world: World) -> None:
    kms(world).revoke_grant(KeyId=KMS_KEY, GrantId=key_grant(world)["GrantId"])


def tampered_link(world: World) -> None:
    """Tags of an association changed, and the claim to its volume deleted."""
    client = world.sandbox.client("fsx", HUB)
    (link,) = client.describe_data_repository_associations()["Associations"]
    changed = {"podshare:owner": "x", "podshare:extra": "y"}
    client.tag_resource(
        ResourceARN=link["ResourceARN"], Tags=[{"Key": key, "Value": value} for key, value in changed.items()]
    )
    kubernetes.api_of(EKS_ARN).delete("PersistentVolumeClaim", "hyperpod-ns-vision", "crawl")


PARAMETER = "/podshare/teams/vision"
ADMIN_ACCESS = "arn:aws:iam::aws:policy/AdministratorAccess"
CLUSTER_ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
TRAINING = "arn:aws:eks::aws:cluster-access-policy/AmazonSagemakerHyperpodTrainingPolicy"
TAMPERING: dict[str, Callable[[World], object]] = {
    "trust opened": open_trust,
    "policy added to a role": open_policy,
    "policy of a role altered": altered_policy,
    "policy of a role removed": lambda w: iam(w).delete_role_policy(RoleName=role_of(w, "reader"), PolicyName="dataset-imagenet"),
    "managed policy attached": lambda w: iam(w).attach_role_policy(RoleName=role_of(w, "reader"), PolicyArn=ADMIN_ACCESS),
    "boundary replaced": other_boundary,
    "boundary of version 1": first_stacks_boundary,
    "boundary removed": lambda w: iam(w).delete_role_permissions_boundary(RoleName=role_of(w, "reader")),
    "longer sessions": lambda w: iam(w).update_role(RoleName=role_of(w, VISION), MaxSessionDuration=43200),
    "tag of a role changed": lambda w: iam(w).tag_role(RoleName=role_of(w, VISION), Tags=[{"Key": "podshare:owner", "Value": "x"}]),
    "tag added to a role": lambda w: iam(w).tag_role(RoleName=role_of(w, VISION), Tags=[{"Key": "podshare:extra", "Value": "x"}]),
    "role deleted": deleted_role,
    "entry scoped wider": lambda w: eks(w).associate_access_policy(**entry(w), policyArn=TRAINING, accessScope={"type": "namespace", "namespaces": ["hyperpod-ns-*"]}),
    "entry made cluster admin": lambda w: eks(w).associate_access_policy(**entry(w), policyArn=CLUSTER_ADMIN, accessScope={"type": "cluster"}),
    "entry without its policy": lambda w: eks(w).disassociate_access_policy(**entry(w), policyArn=TRAINING),
    "group added to an entry": lambda w: eks(w).update_access_entry(**entry(w), kubernetesGroups=["podshare:kubernetes"]),
    "entry renamed": lambda w: eks(w).update_access_entry(**entry(w), username="admin"),
    "entry deleted": lambda w: eks(w).delete_access_entry(**entry(w)),
    "tag of an entry changed": lambda w: eks(w).tag_resource(resourceArn=eks(w).describe_access_entry(**entry(w))["accessEntry"]["accessEntryArn"], tags={"podshare:owner": "x", "podshare:extra": "y"}),
    "association pointed elsewhere": lambda w: eks(w).update_pod_identity_association(**association(w), roleArn=w.cluster_access_role("vision", VISION)),
    "association deleted": lambda w: eks(w).delete_pod_identity_association(**association(w)),
    "tag of an association changed": lambda w: eks(w).tag_resource(resourceArn=eks(w).describe_pod_identity_association(**association(w))["association"]["associationArn"], tags={"podshare:owner": "x", "podshare:extra": "y"}),
    "access point policy widened": wide_access_point,
    "access point policy removed": lambda w: w.sandbox.client("s3control", DATA).delete_access_point_policy(AccountId=DATA, Name=w.access_point("vision", "imagenet").rpartition("/")[2]),
    "access point deleted": lambda w: w.sandbox.client("s3control", DATA).delete_access_point(AccountId=DATA, Name=w.access_point("vision", "imagenet").rpartition("/")[2]),
    "tag of an access point changed": lambda w: w.sandbox.client("s3control", DATA).tag_resource(AccountId=DATA, ResourceArn=w.access_point("vision", "imagenet"), Tags=[{"Key": "podshare:owner", "Value": "x"}, {"Key": "podshare:extra", "Value": "y"}]),
    "parameter changed": lambda w: w.sandbox.client("ssm", VISION).put_parameter(Name=PARAMETER, Value='{"team": "language"}', Overwrite=True),
    "parameter deleted": lambda w: w.sandbox.client("ssm", VISION).delete_parameter(Name=PARAMETER),
    "tag of a parameter changed": lambda w: w.sandbox.client("ssm", VISION).add_tags_to_resource(ResourceType="Parameter", ResourceId=PARAMETER, Tags=[{"Key": "podshare:owner", "Value": "x"}, {"Key": "podshare:extra", "Value": "y"}]),
    "our bucket statement removed": no_statement,
    "our bucket statement altered": other_statement,
    "bucket policy removed": lambda w: w.sandbox.client("s3", DATA).delete_bucket_policy(Bucket=IMAGES),
    "grant of a key revoked": revoked_grant,
    "grant of a key doubled": lambda w: kms(w).create_grant(KeyId=KMS_KEY, Name=key_grant(w)["Name"], GranteePrincipal=f"arn:aws:iam::{HUB}:root", Operations=["Decrypt"]),
    "link and claim of a file system": tampered_link,
    "quota changed": other_quota,
    "tag of a quota changed": lambda w: w.sandbox.client("sagemaker").add_tags(ResourceArn=quota(w)["ComputeQuotaArn"], Tags=[{"Key": "podshare:owner", "Value": "x"}, {"Key": "podshare:extra", "Value": "y"}]),
    "scheduler changed": other_scheduler,
    "scheduler deleted": lambda w: w.sandbox.client("sagemaker").delete_cluster_scheduler_config(ClusterSchedulerConfigId=scheduler(w)["ClusterSchedulerConfigId"]),
    "tag of the scheduler changed": lambda w: w.sandbox.client("sagemaker").add_tags(ResourceArn=scheduler(w)["ClusterSchedulerConfigArn"], Tags=[{"Key": "podshare:cluster", "Value": "x"}, {"Key": "podshare:extra", "Value": "y"}]),
    "service account deleted": lambda _: kubernetes.api_of(EKS_ARN).delete("ServiceAccount", "hyperpod-ns-vision", "reader"),
    "labels of the namespace removed": lambda _: labelled({"podshare/team": None, "pod-security.kubernetes.io/enforce": None}),
    "hardening lifted": lambda _: labelled({"podshare/hardening": "off"}),
    "network policy opened": lambda _: tampered("NetworkPolicy", NO_METADATA, spec={"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}),
    "network policy deleted": lambda _: kubernetes.api_of(EKS_ARN).delete("NetworkPolicy", *NO_METADATA),
    "role in the cluster widened": lambda _: tampered("Role", rules=[{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]),
    "role in the cluster deleted": lambda _: kubernetes.api_of(EKS_ARN).delete("Role", *OPERATORS),
    "binding in the cluster widened": lambda _: tampered("RoleBinding", subjects=[{"kind": "User", "name": "mallory", "apiGroup": "rbac.authorization.k8s.io"}]),
    "binding in the cluster deleted": lambda _: kubernetes.api_of(EKS_ARN).delete("RoleBinding", *OPERATORS),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def team(world: World) -> None:
    """A team with a scientist and a pod that reads, and a role of the account's own beside them."""
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{VISION}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    world.sandbox.client("iam", VISION).create_role(RoleName="Researcher", AssumeRolePolicyDocument=document)
    scheduler = {"priority_classes": [{"name": "training", "weight": 60}]}
    world.put({**CLUSTER, "scheduler": scheduler, "namespace_hardening": "enforce"})
    world.put_team("vision", members=[{"account": VISION}], service_accounts=READER, file_systems=LINKED, **RBAC)


# which of these touch the same thing, by its kind: of each thing one is tried at a time
TOUCHED = {
    ("role", "cluster access"): ("trust opened", "longer sessions", "tag of a role changed", "tag added to a role"),
    ("role", "pod"): (
        *("policy added to a role", "policy of a role altered", "policy of a role removed", "managed policy attached"),
        *("boundary replaced", "boundary of version 1", "boundary removed", "role deleted"),
    ),
    ("access_entry", ""): (
        *("entry scoped wider", "entry made cluster admin", "entry without its policy", "group added to an entry"),
        *("entry renamed", "entry deleted", "tag of an entry changed"),
    ),
    ("pod_identity_association", ""): (
        *("association pointed elsewhere", "association deleted", "tag of an association changed"),
    ),
    ("access_point", ""): (
        *("access point policy widened", "access point policy removed", "access point deleted"),
        "tag of an access point changed",
    ),
    ("ssm_parameter", ""): ("parameter changed", "parameter deleted", "tag of a parameter changed"),
    ("bucket_delegation", ""): (
        *("our bucket statement removed", "our bucket statement altered", "bucket policy removed"),
    ),
    ("kms_grant", ""): ("grant of a key revoked", "grant of a key doubled"),
    ("data_repository_association", ""): ("link and claim of a file system",),
    ("compute_quota", ""): ("quota changed", "tag of a quota changed"),
    ("cluster_scheduler_config", ""): ("scheduler changed", "scheduler deleted", "tag of the scheduler changed"),
    ("service_account", ""): ("service account deleted",),
    ("namespace", ""): (
        *("labels of the namespace removed", "hardening lifted", "network policy opened", "network policy deleted"),
    ),
    ("kubernetes_role", ""): ("role in the cluster widened", "role in the cluster deleted"),
    ("kubernetes_role_binding", ""): ("binding in the cluster widened", "binding in the cluster deleted"),
}
ROUNDS = [
    {kind: thing[0] for thing, kind in zip(TOUCHED, kinds, strict=True) if kind}
    for kinds in zip_longest(*TOUCHED.values())
]


def test_every_kind_of_tampering_has_its_round() -> None:
    """None of the kinds is left out, and none is tried twice."""
    assert sorted(kind for kinds in ROUNDS for kind in kinds) == sorted(TAMPERING)


@pytest.mark.parametrize("kinds", ROUNDS, ids=", ".join)
def test_tampering_is_found_and_mended(world: World, kinds: dict[str, str]) -> None:
    """What was changed behind podshare's back is planned, each thing; one run mends it, and the next finds nothing."""
    for kind in kinds:
        TAMPERING[kind](world)
    planned = Counter(change["kind"] for change in changes(world.plan("vision")))
    assert planned >= Counter(kinds.values()), planned
    assert world.reconcile("vision")["state"] == "READY"
    with world.calls() as made:
        assert world.reconcile("vision")["summary"] == "READY: nothing to change"
    assert made == []


def changes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """All changes of a plan, the revoking ones first."""
    waves = [wave for lane in (*plan["allocate"], *plan["grant"]) for wave in lane["waves"]]
    return [change for stage in (*plan["revoke"], *waves) for change in stage["changes"]]


def test_the_rest_of_a_life(world: World) -> None:
    """Narrowed, moved, lent a role of others, and deleted: nothing is left."""
    writer = [{"name": "reader", "datasets": [{"dataset": "imagenet", "access": "read_write"}, READ_SCANS]}]
    members = [{"account": VISION, "existing_role": "Researcher"}, {"account": VISION}]
    read = [{**link, "access": "read"} for link in LINKED]
    narrowed = {"members": members, "service_accounts": writer, "file_systems": read}
    assert world.put_team("vision", **narrowed)["state"] == "READY"
    more = {"resources": [{"instance_type": "ml.p5.48xlarge", "count": 4}]}
    assert world.put_team("vision", members=members[:1], service_accounts=READER, quota=more)["state"] == "READY"
    world.put_team(
        "other", members=[], service_accounts=[{"name": "r", "datasets": [{"dataset": "crawl", "access": "read"}]}]
    )
    parts = {"resources": [{"instance_type": "ml.g5.12xlarge", "accelerators": 2}]}
    world.plan("vision", a_team_item("vision", owner="somebody@example.com", quota=parts))
    world.sandbox.client("s3", DATA).put_bucket_policy(
        Bucket=IMAGES, Policy=json.dumps({"Version": "2012-10-17", "Statement": world.bucket_statements(IMAGES)[-1:]})
    )
    world.put({"id": "pause#all", "reason": "a look at it first", "owner": "priya@example.com"})
    world.delete("team#vision", "team#other")
    world.delete("pause#all")
    assert [world.status(name)["state"] for name in ("vision", "other")] == ["DELETED", "DELETED"]
    assert world.leftovers() == []


def test_the_organization_and_the_night(world: World) -> None:
    """An account joins a team that selects it, and the nightly sweep finds all in order."""
    world.sweep()
    unit = {"organizational_unit": SCIENCE, "exclude_accounts": [VISION, LANGUAGE]}
    assert world.put_team("unit", members=[unit], service_accounts=READER)["state"] == "READY"
    account = world.join("genomics-lab")
    assert world.may_submit(world.cluster_access("unit", account), "unit")
    world.advance(timedelta(minutes=1))  # what was reconciled a moment ago is not compared
    delivery.fire_schedule("podshare-nightly-sweep")
    world.sandbox.settle()
    assert world.state("sweep", "summary")["counts"]["in_sync"] == 1
    assert "podshare-sweep-teams" in world.status("unit")["execution"]


def granted(world: World, account: str, role: str) -> set[str]:
    """Every action that a role's policies allow."""
    client = world.sandbox.client("iam", account)
    documents = [
        client.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in client.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for policy in client.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        version = client.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
        found = client.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)
        documents.append(found["PolicyVersion"]["Document"])
    actions: set[str] = set()
    for document in documents:
        for statement in document["Statement"]:
            if statement["Effect"] == "Allow":
                named = statement["Action"]
                actions |= {named} if isinstance(named, str) else set(named)
    return {action for action in actions if not action.startswith(("logs:", "xray:"))}


def test_what_was_used_was_granted(world: World) -> None:
    """None of podshare's own roles was refused anything in all of this but a member role that was not there yet."""
    assert {denied.split()[1] for denied in world.denied()} <= {"sts:AssumeRole"}


def test_what_is_granted_is_used(world: World) -> None:
    """Each action that a function or member role is granted was used, but for those that are listed with a reason."""
    used: dict[tuple[str, str], set[str]] = {}
    for decision in world.sandbox.decisions:
        if decision.allowed and ":role/podshare-system/" in decision.principal:
            place = (decision.principal.split(":")[4], decision.principal.rpartition("/")[2])
            used.setdefault(place, set()).add(decision.action)
    by_role: dict[str, tuple[set[str], set[str]]] = {}
    for account in ACCOUNTS:
        for role in world.sandbox.client("iam", account).list_roles(PathPrefix="/podshare-system/")["Roles"]:
            name = role["RoleName"]
            grants, uses = by_role.setdefault(name, (set(), set()))
            grants |= granted(world, account, name)
            uses |= used.get((account, name), set())
    unused = {(name, action) for name, (grants, uses) in by_role.items() for action in grants - uses}
    unexplained = {pair for pair in unused if pair not in UNUSED and (pair[0], "*") not in UNUSED}
    listed = "\n".join(f"{role} {action}" for role, action in sorted(unexplained))
    assert listed == "", listed


def test_the_functions_act_in_their_own_region_and_account_only(world: World) -> None:
    """Of the management account podshare's roles only read what the organization is; no cluster is in another Region."""
    decisions = [one for one in world.sandbox.decisions if ":role/podshare-system/" in one.principal]
    resources = {one.resource for one in decisions}
    organization = f"arn:aws:iam::{MANAGEMENT}:role/podshare-system/podshare-organization"
    for one in decisions:
        if MANAGEMENT in one.resource and one.resource != organization and "event-bus/" not in one.resource:
            assert one.action.startswith(("organizations:Describe", "organizations:List"))
    assert not [
        resource for resource in resources if resource.startswith("arn:aws:eks:") and f":{REGION}:" not in resource
    ]

"""HyperPod clusters and task governance answer, refuse and take their time as SageMaker does."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from podshare_sandbox import clock
from podshare_sandbox.services import eks, kubernetes, sagemaker
from sandbox.tests.eks_accounts import HUB, REGION, add_administrators
from sandbox.tests.eks_accounts import client as client_of
from sandbox.tests.runtime import eventually

EKS_ARN = f"arn:aws:eks:{REGION}:{HUB}:cluster/hyperpod-eks"
ROLE = f"arn:aws:iam::{HUB}:role/hyperpod-nodes"
GROUPS = [
    {"InstanceGroupName": "p5", "InstanceType": "ml.p5.48xlarge", "InstanceCount": 8, "ExecutionRole": ROLE},
    {"InstanceGroupName": "g5", "InstanceType": "ml.g5.12xlarge", "InstanceCount": 4, "ExecutionRole": ROLE},
]
P5 = {"InstanceType": "ml.p5.48xlarge"}
ABSENT = f"arn:aws:sagemaker:{REGION}:{HUB}:cluster/aaaaaaaaaaaa"

ClientOf = Callable[..., Any]


@pytest.fixture
def client() -> Iterator[ClientOf]:
    """boto3 clients as an administrator of the hub, where an EKS cluster with the add-on runs."""
    clock.set_scale(0.01)
    with mock_aws():
        eks.install()
        sagemaker.install()
        add_administrators(HUB)
        client_of("eks").create_cluster(
            name="hyperpod-eks",
            roleArn=f"arn:aws:iam::{HUB}:role/control-plane",
            resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]},
            accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"},
        )
        add_task_governance(client_of("eks"))
        yield client_of
    clock.set_scale(1.0)


@pytest.fixture
def api(client: ClientOf) -> Any:
    """SageMaker in the hub."""
    return client("sagemaker")


@pytest.fixture
def cluster(api: Any) -> str:
    """The ARN of a HyperPod cluster."""
    return make_cluster(api)


def add_task_governance(eks_client: Any) -> None:
    """Install the add-on and wait until it is active."""
    addon = {"clusterName": "hyperpod-eks", "addonName": sagemaker.TASK_GOVERNANCE_ADDON}
    eks_client.create_addon(**addon)
    eventually(lambda: eks_client.describe_addon(**addon)["addon"]["status"] == "ACTIVE")


def make_cluster(api: Any, name: str = "hyperpod", **more: Any) -> str:
    """The ARN of a new HyperPod cluster."""
    request = {"InstanceGroups": GROUPS, "Orchestrator": {"Eks": {"ClusterArn": EKS_ARN}}} | more
    return str(api.create_cluster(ClusterName=name, **request)["ClusterArn"])


def quota(cluster: str, team: str = "vision", *resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A request for a compute quota that AWS accepts."""
    return {
        "Name": f"podshare-{team}",
        "ClusterArn": cluster,
        "ComputeQuotaConfig": {"ComputeQuotaResources": list(resources) or [P5 | {"Count": 2}]},
        "ComputeQuotaTarget": {"TeamName": team},
    } | more


def make_quota(api: Any, cluster: str, *arguments: Any, **more: Any) -> str:
    """The id of a new compute quota that is settled."""
    made = api.create_compute_quota(**quota(cluster, *arguments, **more))["ComputeQuotaId"]
    return settled(api, str(made))


def settled(api: Any, quota_id: str) -> str:
    """Wait until no change of the quota is under way."""
    eventually(lambda: not describe(api, quota_id)["Status"].endswith("ing"))
    return quota_id


def describe(api: Any, quota_id: str) -> dict[str, Any]:
    """The compute quota."""
    return dict(api.describe_compute_quota(ComputeQuotaId=quota_id))


def is_gone(call: Callable[[], Any]) -> bool:
    """Whether a description meets ResourceNotFound."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"] == "ResourceNotFound"
    return False


def refused(call: Callable[..., Any], **parameters: Any) -> str:
    """The code of the error that a call gets, always with status 400."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return str(response["Error"]["Code"])


# --- clusters -----------------------------------------------------------------------------------------


def test_a_cluster_is_described_by_name_and_by_arn(api: Any, cluster: str) -> None:
    """The ARN holds a 12-character id, not the name; groups tell their counts, and the orchestrator is named."""
    assert re.fullmatch(rf"arn:aws:sagemaker:{REGION}:{HUB}:cluster/[a-z0-9]{{12}}", cluster)
    found = api.describe_cluster(ClusterName="hyperpod")
    assert found["ClusterArn"] == cluster
    assert found["ClusterStatus"] == "InService"
    assert found["Orchestrator"] == {"Eks": {"ClusterArn": EKS_ARN}}
    counts = {each["InstanceType"]: (each["CurrentCount"], each["TargetCount"]) for each in found["InstanceGroups"]}
    assert counts == {"ml.p5.48xlarge": (8, 8), "ml.g5.12xlarge": (4, 4)}
    by_arn = api.describe_cluster(ClusterName=cluster)
    assert by_arn["InstanceGroups"] == found["InstanceGroups"]


def test_refused_clusters_answer_their_codes(api: Any, cluster: str) -> None:
    """A taken name is ResourceInUse, an absent cluster ResourceNotFound, an absent EKS cluster is not valid."""
    assert refused(make_cluster, api=api) == "ResourceInUse"
    assert refused(api.describe_cluster, ClusterName="absent") == "ResourceNotFound"
    assert refused(api.describe_cluster, ClusterName=ABSENT) == "ResourceNotFound"
    assert refused(api.delete_cluster, ClusterName="absent") == "ResourceNotFound"
    assert refused(api.list_cluster_nodes, ClusterName="absent") == "ResourceNotFound"
    orchestrator = {"Eks": {"ClusterArn": f"{EKS_ARN}-absent"}}
    assert refused(make_cluster, api=api, name="b", Orchestrator=orchestrator) == "ValidationException"
    groups = [GROUPS[0] | {"InstanceType": "ml.p9.huge"}]
    assert refused(make_cluster, api=api, name="b", InstanceGroups=groups) == "ValidationException"
    assert cluster


def test_nodes_are_listed_in_pages_and_described(api: Any, cluster: str) -> None:
    """Every instance runs, has an id of its own, and is found by it; pages have the asked size."""
    pages = api.get_paginator("list_cluster_nodes").paginate(ClusterName=cluster, PaginationConfig={"PageSize": 5})
    sizes, nodes = [], []
    for page in pages:
        sizes.append(len(page["ClusterNodeSummaries"]))
        nodes += page["ClusterNodeSummaries"]
    assert sizes == [5, 5, 2]
    assert {each["InstanceStatus"]["Status"] for each in nodes} == {"Running"}
    assert len({each["InstanceId"] for each in nodes}) == 12
    last = api.describe_cluster_node(ClusterName=cluster, NodeId=nodes[-1]["InstanceId"])["NodeDetails"]
    assert last["InstanceType"] == "ml.g5.12xlarge"
    g5 = api.list_cluster_nodes(ClusterName="hyperpod", InstanceGroupNameContains="g5")
    assert len(g5["ClusterNodeSummaries"]) == 4
    absent = {"ClusterName": cluster, "NodeId": "i-00000000000000000"}
    assert refused(api.describe_cluster_node, **absent) == "ResourceNotFound"
    assert refused(api.describe_cluster_node, ClusterName=cluster) == "ValidationException"


def test_clusters_are_listed_in_pages(api: Any) -> None:
    """ListClusters filters, sorts and pages."""
    arns = [make_cluster(api, f"pool-{number}") for number in range(3)]
    pages = api.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 2}, SortBy="NAME")
    assert [each["ClusterArn"] for page in pages for each in page["ClusterSummaries"]] == arns
    newest = api.list_clusters(SortOrder="Descending", NameContains="pool", MaxResults=1)
    assert newest["ClusterSummaries"][0]["ClusterArn"] == arns[-1]
    assert api.list_clusters(NameContains="nothing")["ClusterSummaries"] == []
    assert refused(api.list_clusters, NextToken="nonsense") == "ValidationException"


def test_a_cluster_with_quotas_stays(api: Any, cluster: str) -> None:
    """DeleteCluster is refused while quotas or a scheduler config exist."""
    quota_id = make_quota(api, cluster)
    assert refused(api.delete_cluster, ClusterName=cluster) == "ConflictException"
    api.delete_compute_quota(ComputeQuotaId=quota_id)
    eventually(lambda: is_gone(lambda: describe(api, quota_id)))
    assert api.delete_cluster(ClusterName=cluster)["ClusterArn"] == cluster
    assert api.list_clusters()["ClusterSummaries"] == []


# --- compute quotas: life cycle -----------------------------------------------------------------------


def test_a_quota_is_created_updated_and_deleted_in_time(api: Any, cluster: str) -> None:
    """Creating becomes Created, Updating Updated under the next version, Deleting ResourceNotFound."""
    clock.set_scale(0.02)
    made = api.create_compute_quota(**quota(cluster))
    quota_id = made["ComputeQuotaId"]
    assert made["ComputeQuotaArn"] == f"arn:aws:sagemaker:{REGION}:{HUB}:compute-quota/{quota_id}"
    assert describe(api, quota_id)["Status"] == "Creating"
    assert describe(api, settled(api, quota_id))["Status"] == "Created"

    config = {"ComputeQuotaResources": [P5 | {"Count": 3}]}
    updated = api.update_compute_quota(ComputeQuotaId=quota_id, TargetVersion=1, ComputeQuotaConfig=config)
    assert updated["ComputeQuotaVersion"] == 2
    assert describe(api, quota_id)["Status"] == "Updating"
    found = describe(api, settled(api, quota_id))
    assert (found["Status"], found["ComputeQuotaVersion"]) == ("Updated", 2)
    assert found["ComputeQuotaConfig"]["ComputeQuotaResources"] == [P5 | {"Count": 3}]
    earlier = api.describe_compute_quota(ComputeQuotaId=quota_id, ComputeQuotaVersion=1)
    assert earlier["ComputeQuotaConfig"]["ComputeQuotaResources"] == [P5 | {"Count": 2}]

    api.delete_compute_quota(ComputeQuotaId=quota_id)
    assert describe(api, quota_id)["Status"] == "Deleting"
    eventually(lambda: is_gone(lambda: describe(api, quota_id)))


def test_a_quota_in_transition_cannot_be_changed(api: Any, cluster: str) -> None:
    """Updating or deleting what is still Creating, Updating or Deleting is a conflict."""
    clock.set_scale(1.0)
    quota_id = api.create_compute_quota(**quota(cluster))["ComputeQuotaId"]
    update = {"ComputeQuotaId": quota_id, "TargetVersion": 1, "ActivationState": "Disabled"}
    assert refused(api.update_compute_quota, **update) == "ConflictException"
    assert refused(api.delete_compute_quota, ComputeQuotaId=quota_id) == "ConflictException"


def test_a_stale_version_is_a_conflict(api: Any, cluster: str) -> None:
    """An update names the version that it starts from."""
    quota_id = make_quota(api, cluster)
    update = {"ComputeQuotaId": quota_id, "TargetVersion": 1, "ActivationState": "Disabled"}
    api.update_compute_quota(**update)
    settled(api, quota_id)
    assert refused(api.update_compute_quota, **update) == "ConflictException"
    assert describe(api, quota_id)["ActivationState"] == "Disabled"


def test_names_and_teams_are_taken_once_a_cluster(api: Any, cluster: str) -> None:
    """There is no client token: a repeated call, or another quota for the team, is a conflict in that cluster."""
    make_quota(api, cluster)
    assert refused(api.create_compute_quota, **quota(cluster)) == "ConflictException"
    assert refused(api.create_compute_quota, **quota(cluster, Name="other-name")) == "ConflictException"
    same_name = quota(cluster, "language", Name="podshare-vision")
    assert refused(api.create_compute_quota, **same_name) == "ConflictException"
    assert make_quota(api, make_cluster(api, "second"))


def test_absent_quotas_are_not_found(api: Any, cluster: str) -> None:
    """Describe, update and delete of an id, or a version, that does not exist answer ResourceNotFound."""
    absent = {"ComputeQuotaId": "a" * 12}
    assert refused(api.describe_compute_quota, **absent) == "ResourceNotFound"
    assert refused(api.update_compute_quota, **absent, TargetVersion=1) == "ResourceNotFound"
    assert refused(api.delete_compute_quota, **absent) == "ResourceNotFound"
    quota_id = make_quota(api, cluster)
    version = {"ComputeQuotaId": quota_id, "ComputeQuotaVersion": 2}
    assert refused(api.describe_compute_quota, **version) == "ResourceNotFound"


def test_without_the_add_on_a_quota_fails(client: ClientOf, api: Any, cluster: str) -> None:
    """CreateFailed names the add-on; the quota keeps its name, refuses updates, and is deleted and made anew."""
    addon = {"clusterName": "hyperpod-eks", "addonName": sagemaker.TASK_GOVERNANCE_ADDON}
    client("eks").delete_addon(**addon)
    eventually(lambda: addon["addonName"] not in client("eks").list_addons(clusterName="hyperpod-eks")["addons"])
    quota_id = make_quota(api, cluster)
    found = describe(api, quota_id)
    assert found["Status"] == "CreateFailed"
    assert sagemaker.TASK_GOVERNANCE_ADDON in found["FailureReason"]
    assert refused(api.update_compute_quota, ComputeQuotaId=quota_id, TargetVersion=1) == "ConflictException"
    assert refused(api.create_compute_quota, **quota(cluster)) == "ConflictException"

    api.delete_compute_quota(ComputeQuotaId=quota_id)
    eventually(lambda: is_gone(lambda: describe(api, quota_id)))
    add_task_governance(client("eks"))
    assert describe(api, make_quota(api, cluster))["Status"] == "Created"


def test_changes_fail_on_demand(api: Any, cluster: str) -> None:
    """fail_next ends one change badly, with its reason; trying again succeeds."""
    sagemaker.fail_next("CreateComputeQuota", "no capacity")
    failed = make_quota(api, cluster, "language")
    assert (describe(api, failed)["Status"], describe(api, failed)["FailureReason"]) == (
        "CreateFailed",
        "no capacity",
    )

    quota_id = make_quota(api, cluster)
    sagemaker.fail_next("UpdateComputeQuota", "no luck")
    target = {"TeamName": "vision", "FairShareWeight": 7}
    api.update_compute_quota(ComputeQuotaId=quota_id, TargetVersion=1, ComputeQuotaTarget=target)
    found = describe(api, settled(api, quota_id))
    assert (found["Status"], found["FailureReason"]) == ("UpdateFailed", "no luck")
    assert found["ComputeQuotaTarget"]["FairShareWeight"] == 0
    version = found["ComputeQuotaVersion"]
    api.update_compute_quota(ComputeQuotaId=quota_id, TargetVersion=version, ComputeQuotaTarget=target)
    found = describe(api, settled(api, quota_id))
    assert (found["Status"], found["ComputeQuotaTarget"]) == ("Updated", target)
    assert "FailureReason" not in found

    sagemaker.fail_next("DeleteComputeQuota", "still in use")
    api.delete_compute_quota(ComputeQuotaId=quota_id)
    assert describe(api, settled(api, quota_id))["Status"] == "DeleteFailed"
    api.delete_compute_quota(ComputeQuotaId=quota_id)
    eventually(lambda: is_gone(lambda: describe(api, quota_id)))


# --- compute quotas: content --------------------------------------------------------------------------


def test_defaults_are_filled_in(api: Any, cluster: str) -> None:
    """What is left out comes back as AWS's defaults: weight, sharing, preemption, activation."""
    found = describe(api, make_quota(api, cluster, Description="A team's quota — 50%"))
    assert found["Description"] == "A team's quota — 50%"
    assert found["ComputeQuotaTarget"] == {"TeamName": "vision", "FairShareWeight": 0}
    assert found["ActivationState"] == "Enabled"
    assert found["ComputeQuotaConfig"] == {
        "ComputeQuotaResources": [P5 | {"Count": 2}],
        "ResourceSharingConfig": {"Strategy": "LendAndBorrow", "BorrowLimit": 50},
        "PreemptTeamTasks": "LowerPriority",
    }


@pytest.mark.parametrize(
    ("sent", "described"),
    [
        ({"Accelerators": 4}, {"Accelerators": 4, "VCpu": 96.0, "MemoryInGiB": 1024.0}),
        ({"Accelerators": 4, "VCpu": 10.0}, {"Accelerators": 4, "VCpu": 10.0, "MemoryInGiB": 1024.0}),
        ({"VCpu": 48.0}, {"Accelerators": 0, "VCpu": 48.0, "MemoryInGiB": 512.0}),
        ({"MemoryInGiB": 512.0}, {"Accelerators": 0, "VCpu": 48.0, "MemoryInGiB": 512.0}),
        ({"Count": 3}, {"Count": 3}),
        (
            {"AcceleratorPartition": {"Type": "mig-1g.10gb", "Count": 28}},
            {"AcceleratorPartition": {"Type": "mig-1g.10gb", "Count": 28}, "VCpu": 96.0, "MemoryInGiB": 1024.0},
        ),
    ],
)
def test_amounts_are_filled_in_pro_rata(
    api: Any, cluster: str, sent: dict[str, Any], described: dict[str, Any]
) -> None:
    """Describe answers more than was sent: vCPU and memory in proportion to the instance type."""
    found = describe(api, make_quota(api, cluster, "vision", P5 | sent))
    assert found["ComputeQuotaConfig"]["ComputeQuotaResources"] == [P5 | described]


OUT_OF_BOUNDS: list[Any] = [
    {"Name": "-bad"},
    {"Name": "x" * 64},
    {"ClusterArn": ABSENT},
    {"ClusterArn": "arn:aws:sagemaker:us-west-2:111111111111:cluster/hyperpod"},
    {"ComputeQuotaTarget": {"TeamName": "Vision"}},
    {"ComputeQuotaTarget": {"TeamName": "vision", "FairShareWeight": 101}},
    {"ActivationState": "Sleeping"},
    {"Tags": [{"Key": "k", "Value": "v"}] * 51},
]


def test_values_out_of_bounds_are_not_valid(api: Any, cluster: str) -> None:
    """Names, teams, weights, states and the cluster are held against the documented limits."""
    for change in OUT_OF_BOUNDS:
        assert refused(api.create_compute_quota, **quota(cluster, **change)) == "ValidationException"
        assert api.list_compute_quotas()["ComputeQuotaSummaries"] == []


BAD_RESOURCES: list[Any] = [
    [{"InstanceType": "ml.p9.huge", "Count": 1}],
    [P5],
    [P5 | {"Count": 1, "Accelerators": 8}],
    [P5 | {"Count": 1, "VCpu": 8.0}],
    [P5 | {"Accelerators": 1, "AcceleratorPartition": {"Type": "mig-1g.10gb", "Count": 1}}],
    [P5 | {"AcceleratorPartition": {"Type": "mig-9g.1gb", "Count": 1}}],
    [P5 | {"Count": 10_000_001}],
    [P5 | {"Count": 1}, P5 | {"Count": 2}],
    [{"InstanceType": "ml.m5.xlarge", "Accelerators": 1}],
    [{"InstanceType": f"ml.c5.{size}", "Count": 1} for size in ("large", "xlarge", "2xlarge", "4xlarge")] * 4,
]


def test_resources_are_checked(api: Any, cluster: str) -> None:
    """Types must exist, counts do not mix with finer amounts, and there are 15 entries at most."""
    for resources in BAD_RESOURCES:
        config = {"ComputeQuotaResources": resources}
        refusal = refused(api.create_compute_quota, **quota(cluster, ComputeQuotaConfig=config))
        assert refusal == "ValidationException"


@pytest.mark.parametrize(
    ("sharing", "is_valid"),
    [
        ({"Strategy": "DontLend"}, True),
        ({"Strategy": "Lend"}, True),
        ({"Strategy": "LendAndBorrow", "BorrowLimit": 10_000}, True),
        ({"Strategy": "LendAndBorrow", "AbsoluteBorrowLimits": [P5 | {"Accelerators": 8}]}, True),
        ({"Strategy": "DontLend", "BorrowLimit": 50}, False),
        ({"Strategy": "Lend", "BorrowLimit": 50}, False),
        ({"Strategy": "DontLend", "AbsoluteBorrowLimits": [P5 | {"Count": 1}]}, False),
        ({"Strategy": "LendAndBorrow", "BorrowLimit": 10_001}, False),
        ({"Strategy": "LendAndBorrow", "AbsoluteBorrowLimits": [P5]}, False),
        ({"Strategy": "Give"}, False),
    ],
)
def test_sharing_is_checked(api: Any, cluster: str, sharing: dict[str, Any], is_valid: bool) -> None:
    """Only who borrows has borrow limits, within 0 to 10,000 percent, or in amounts like resources."""
    config = {"ResourceSharingConfig": sharing, "PreemptTeamTasks": "Never"}
    request = quota(cluster, ComputeQuotaConfig=config)
    if is_valid:
        found = describe(api, api.create_compute_quota(**request)["ComputeQuotaId"])["ComputeQuotaConfig"]
        assert found["PreemptTeamTasks"] == "Never"
        assert found["ResourceSharingConfig"]["Strategy"] == sharing["Strategy"]
    else:
        assert refused(api.create_compute_quota, **request) == "ValidationException"


def test_a_team_keeps_its_quota(api: Any, cluster: str) -> None:
    """An update does not hand a quota to another team."""
    update = {"ComputeQuotaId": make_quota(api, cluster), "TargetVersion": 1}
    target = {"TeamName": "language"}
    assert refused(api.update_compute_quota, **update, ComputeQuotaTarget=target) == "ValidationException"


def test_quotas_are_listed_in_pages(api: Any, cluster: str) -> None:
    """Summaries carry the configuration, come newest first, and can be filtered, sorted and paged."""
    teams = ["c", "a", "b"]
    for team in teams:
        api.create_compute_quota(**quota(cluster, team))
    second = make_cluster(api, "second")
    last = make_quota(api, second, "d")
    pages = api.get_paginator("list_compute_quotas").paginate(PaginationConfig={"PageSize": 2})
    listed = [each for page in pages for each in page["ComputeQuotaSummaries"]]
    assert [each["ComputeQuotaTarget"]["TeamName"] for each in listed] == ["d", "b", "a", "c"]
    assert listed[0]["ComputeQuotaConfig"]["ComputeQuotaResources"] == [P5 | {"Count": 2}]

    def ids(**filters: Any) -> list[str]:
        return [each["ComputeQuotaId"] for each in api.list_compute_quotas(**filters)["ComputeQuotaSummaries"]]

    everything = [each["ComputeQuotaId"] for each in listed]
    assert ids(ClusterArn=second) == [last]
    assert ids(NameContains="share-d") == [last]
    assert ids(Status="Deleted") == []
    assert len(ids(Status="Created")) == 4
    assert ids(SortBy="Name", SortOrder="Ascending", MaxResults=1) == [everything[2]]
    assert ids(CreatedAfter=datetime.now(UTC) - timedelta(hours=1)) == everything
    assert ids(CreatedBefore=datetime.now(UTC) - timedelta(hours=1)) == []
    assert refused(api.list_compute_quotas, NextToken="nonsense") == "ValidationException"


def test_a_created_quota_makes_namespace_and_queues(api: Any, cluster: str) -> None:
    """The namespace and the queues come with Created, and only the queues go with the quota."""
    objects = kubernetes.api_of(EKS_ARN)
    names = ("hyperpod-ns-vision", "hyperpod-ns-vision-localqueue", "hyperpod-ns-vision-clusterqueue")

    def present() -> list[bool]:
        sagemaker.settle_quotas(EKS_ARN)
        return [
            objects.get("Namespace", None, names[0]) is not None,
            objects.get("LocalQueue", names[0], names[1]) is not None,
            objects.get("ClusterQueue", None, names[2]) is not None,
        ]

    quota_id = api.create_compute_quota(**quota(cluster))["ComputeQuotaId"]
    assert present() == [False, False, False]
    eventually(lambda: present() == [True, True, True])
    assert describe(api, quota_id)["Status"] == "Created"
    local_queue = objects.get("LocalQueue", names[0], names[1])
    assert local_queue is not None
    assert local_queue["spec"] == {"clusterQueue": names[2]}

    api.delete_compute_quota(ComputeQuotaId=quota_id)
    eventually(lambda: present() == [True, False, False])


# --- cluster scheduler configs ------------------------------------------------------------------------

CLASSES = [{"Name": "inference", "Weight": 100}, {"Name": "training", "Weight": 50}]


def make_config(api: Any, cluster: str, **more: Any) -> str:
    """The id of a new scheduler config that is settled."""
    request = {"Name": "policy", "ClusterArn": cluster, "SchedulerConfig": {"PriorityClasses": CLASSES}} | more
    made = api.create_cluster_scheduler_config(**request)["ClusterSchedulerConfigId"]
    eventually(lambda: config_status(api, made) not in ("Creating", "Updating"))
    return str(made)


def config_status(api: Any, config_id: str) -> str:
    """The status of a scheduler config."""
    found = api.describe_cluster_scheduler_config(ClusterSchedulerConfigId=config_id)
    return str(found["Status"])


def test_a_scheduler_config_lives_like_a_quota(api: Any, cluster: str) -> None:
    """It is created with defaults, updated by version, listed and deleted, each in time."""
    config_id = make_config(api, cluster)
    target = {"ClusterSchedulerConfigId": config_id}
    found = api.describe_cluster_scheduler_config(**target)
    assert (found["Status"], found["ClusterSchedulerConfigVersion"]) == ("Created", 1)
    assert found["SchedulerConfig"] == {
        "PriorityClasses": CLASSES,
        "FairShare": "Enabled",
        "IdleResourceSharing": "Disabled",
    }
    change = {"SchedulerConfig": {"PriorityClasses": CLASSES[:1], "FairShare": "Disabled"}}
    updated = api.update_cluster_scheduler_config(**target, TargetVersion=1, **change)
    assert updated["ClusterSchedulerConfigVersion"] == 2
    eventually(lambda: config_status(api, config_id) == "Updated")
    stale = refused(api.update_cluster_scheduler_config, **target, TargetVersion=1, **change)
    assert stale == "ConflictException"
    listed = api.list_cluster_scheduler_configs(ClusterArn=cluster, NameContains="pol", MaxResults=1)
    assert [each["ClusterSchedulerConfigId"] for each in listed["ClusterSchedulerConfigSummaries"]] == [config_id]
    api.delete_cluster_scheduler_config(**target)
    eventually(lambda: is_gone(lambda: api.describe_cluster_scheduler_config(**target)))


def test_priority_classes_become_objects(api: Any, cluster: str) -> None:
    """Each priority class is a WorkloadPriorityClass of the Kubernetes API, as long as it is in the config."""
    objects = kubernetes.api_of(EKS_ARN)

    def weights() -> dict[str, int]:
        sagemaker.settle_quotas(EKS_ARN)
        return {each["metadata"]["name"]: each["value"] for each in objects.objects("WorkloadPriorityClass")}

    target = {"ClusterSchedulerConfigId": make_config(api, cluster)}
    assert weights() == {"inference-priority": 100, "training-priority": 50}
    change = {"SchedulerConfig": {"PriorityClasses": [{"Name": "training", "Weight": 60}]}}
    api.update_cluster_scheduler_config(**target, TargetVersion=1, **change)
    eventually(lambda: weights() == {"training-priority": 60})
    api.delete_cluster_scheduler_config(**target)
    eventually(lambda: weights() == {})


def test_refused_scheduler_configs_answer_their_codes(api: Any, cluster: str) -> None:
    """A cluster has one; classes are at most ten, named once, of weight 100 at most."""
    make_config(api, cluster)
    again = {"Name": "other", "ClusterArn": cluster, "SchedulerConfig": {}}
    assert refused(api.create_cluster_scheduler_config, **again) == "ConflictException"
    for classes in (
        [{"Name": f"c{number}", "Weight": 1} for number in range(11)],
        [{"Name": "heavy", "Weight": 101}],
        [CLASSES[0], CLASSES[0]],
        [{"Name": "Upper", "Weight": 1}],
    ):
        request = again | {"SchedulerConfig": {"PriorityClasses": classes}}
        assert refused(api.create_cluster_scheduler_config, **request) == "ValidationException"
    absent = {"ClusterSchedulerConfigId": "a" * 12}
    assert refused(api.describe_cluster_scheduler_config, **absent) == "ResourceNotFound"
    assert refused(api.update_cluster_scheduler_config, **absent, TargetVersion=1) == "ResourceNotFound"
    assert refused(api.delete_cluster_scheduler_config, **absent) == "ResourceNotFound"


# --- tags ---------------------------------------------------------------------------------------------


def test_tags_are_added_listed_and_removed(api: Any, cluster: str) -> None:
    """Clusters, quotas and scheduler configs take tags; a key that is there gets the new value."""
    quota_id = make_quota(api, cluster, Tags=[{"Key": "podshare:team", "Value": "vision"}])
    arns = [cluster, describe(api, quota_id)["ComputeQuotaArn"]]
    config = api.describe_cluster_scheduler_config(ClusterSchedulerConfigId=make_config(api, cluster))
    arns.append(config["ClusterSchedulerConfigArn"])
    assert api.list_tags(ResourceArn=arns[1])["Tags"] == [{"Key": "podshare:team", "Value": "vision"}]
    for arn in arns:
        api.add_tags(ResourceArn=arn, Tags=[{"Key": "podshare:team", "Value": "a"}])
        added = api.add_tags(ResourceArn=arn, Tags=[{"Key": "podshare:team", "Value": "b"}])
        assert added["Tags"] == [{"Key": "podshare:team", "Value": "b"}]
        api.delete_tags(ResourceArn=arn, TagKeys=["podshare:team", "never there"])
        assert api.list_tags(ResourceArn=arn)["Tags"] == []


def test_refused_tags_answer_their_codes(api: Any, cluster: str) -> None:
    """An absent resource is ResourceNotFound; more than 50 tags, or a key twice, are not valid."""
    tag = {"Key": "a", "Value": "b"}
    assert refused(api.add_tags, ResourceArn=ABSENT, Tags=[tag]) == "ResourceNotFound"
    assert refused(api.list_tags, ResourceArn=ABSENT) == "ResourceNotFound"
    assert refused(api.add_tags, ResourceArn=cluster, Tags=[tag, tag]) == "ValidationException"
    api.add_tags(ResourceArn=cluster, Tags=[{"Key": str(number), "Value": ""} for number in range(50)])
    assert refused(api.add_tags, ResourceArn=cluster, Tags=[tag]) == "ValidationException"
    assert len(api.list_tags(ResourceArn=cluster, MaxResults=50)["Tags"]) == 50

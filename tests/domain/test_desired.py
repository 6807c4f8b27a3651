"""What should be there for a team."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from podshare.installation import MANAGED_BY_TAG, TEAM_TAG
from podshare.kinds.access_entry.shape import AccessEntry
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Kind, Resource
from podshare.kinds.bucket_delegation.shape import BucketDelegation
from podshare.kinds.cluster_scheduler_config.shape import ClusterSchedulerConfig
from podshare.kinds.compute_quota.shape import ComputeQuota
from podshare.kinds.desired import desired
from podshare.kinds.kms_grant.shape import KmsGrant
from podshare.kinds.pod_identity_association.shape import PodIdentityAssociation
from podshare.kinds.role.shape import Role
from podshare.kinds.role_attachment.shape import RoleAttachment
from podshare.kinds.team_on_cluster import CLUSTER_TAG
from podshare.policy import policies
from podshare.registry.parsing import parse_team
from podshare.registry.records import Scheduler, Team
from tests.builders import CLUSTER, EAST, INSTALLATION, KMS_KEY, a_dataset, a_team, a_team_item_on, an_account


def wanted(team: Team, *datasets: Any) -> list[Resource]:
    known = {dataset.name: dataset for dataset in datasets or (a_dataset(),)}
    return list(desired(team, [CLUSTER], known, {}, INSTALLATION).values())


T = TypeVar("T")


def of(found: list[Resource], shape: type[T]) -> list[T]:
    return [resource for resource in found if isinstance(resource, shape)]


def described(resources: list[Resource]) -> dict[str, Any]:
    return {str(resource.key): {"why": resource.why, **resource.facts()} for resource in resources}


def test_golden_team(golden: Callable[[str, Any], None]) -> None:
    """A team of two accounts and one dataset gets exactly this."""
    golden("team", described(wanted(a_team())))


def test_golden_member_kinds(golden: Callable[[str, Any], None]) -> None:
    """Each kind of member gets its own cluster access role, trusted by that member alone."""
    members = [
        {"account": "222222222222", "existing_role": "research/Scientist"},
        {"account": "444444444444", "permission_set": "Data"},
        {"account": "555555555555", "trusted_by": ["role/Analyst", "user/ada"]},
    ]
    golden("member_kinds", described(wanted(a_team(members=members, service_accounts=[]))))


def test_golden_grants(golden: Callable[[str, Any], None]) -> None:
    """Prefixes and actions are as granted, per service account, in one access point per dataset."""
    accounts = [
        {"name": "reader", "datasets": [{"dataset": "imagenet", "access": "read", "prefix": "imagenet/train/"}]},
        {"name": "writer", "datasets": [{"dataset": "imagenet", "access": "read_write"}]},
    ]
    golden("grants", described(wanted(a_team(members=[], service_accounts=accounts))))


def test_golden_keys(golden: Callable[[str, Any], None]) -> None:
    """Each data role has one grant for each operation of a key that its datasets need, and may use it by S3 alone."""
    datasets = [a_dataset(name, kms_key=KMS_KEY) for name in ("imagenet", "scans")]
    grants = [{"dataset": "imagenet", "access": "read"}, {"dataset": "scans", "access": "read_write"}]
    accounts = [{"name": "reader", "datasets": grants[:1]}, {"name": "writer", "datasets": grants}]
    found = wanted(a_team(members=[], service_accounts=accounts), *datasets)
    golden("keys", described([one for one in found if isinstance(one, KmsGrant | Role)]))


def test_a_grant_of_a_key_comes_after_its_role() -> None:
    """KMS refuses a grantee that does not exist, so each grant waits for the role that it names, and for nothing else."""
    accounts = [
        {"name": name, "datasets": [{"dataset": "imagenet", "access": "read"}]} for name in ("reader", "trainer")
    ]
    found = wanted(a_team(members=[], service_accounts=accounts), a_dataset(kms_key=KMS_KEY))
    roles = {INSTALLATION.role_arn(role.key.account, role.key.name): role.key for role in of(found, Role)}
    grants = of(found, KmsGrant)
    assert len({arn for grant in grants for arn in grant.grantees}) == len(accounts)
    assert all(grant.needs == {roles[arn] for arn in grant.grantees} for grant in grants)


def test_a_quota_says_all_that_its_record_says() -> None:
    """Each kind of line goes to SageMaker under its own name, in any order of the record, with the team's description."""
    lines = [
        {"instance_type": "ml.p5.48xlarge", "count": 2},
        {"instance_type": "ml.g5.12xlarge", "accelerators": 8, "vcpu": 96, "memory_gib": 384},
        {"instance_type": "ml.p4d.24xlarge", "accelerator_partition": {"type": "mig-1g.5gb", "count": 3}},
    ]

    def quota(ordered: list[dict[str, Any]]) -> ComputeQuota:
        sharing = {"strategy": "LendAndBorrow", "absolute_borrow_limits": ordered}
        team = a_team(quota={"resources": ordered, "sharing": sharing, "description": "For images"})
        return of(wanted(team), ComputeQuota)[0]

    one = quota(lines)
    assert one == quota(lines[::-1])
    assert one.description == "For images"
    assert one.sharing == {"Strategy": "LendAndBorrow", "AbsoluteBorrowLimits": list(one.resources)}
    assert sorted(one.resources, key=str) == [
        {"InstanceType": "ml.g5.12xlarge", "Accelerators": 8, "VCpu": 96, "MemoryInGiB": 384},
        {"InstanceType": "ml.p4d.24xlarge", "AcceleratorPartition": {"Type": "mig-1g.5gb", "Count": 3}},
        {"InstanceType": "ml.p5.48xlarge", "Count": 2},
    ]


def test_pods_get_their_role_once_all_that_it_leads_to_is_there() -> None:
    """EKS refuses an association whose roles do not exist: it waits for the data access role and for a target role."""
    grants = [{"dataset": "imagenet", "access": "read"}]
    team = a_team(members=[], service_accounts=[{"name": "trainer", "datasets": grants}])
    for dataset, roles in ((a_dataset(), 1), (a_dataset(data_role="target"), 2)):
        found = wanted(team, dataset)
        (association,) = of(found, PodIdentityAssociation)
        assert association.needs == {role.key for role in of(found, Role)}
        assert len(association.needs) == roles


def test_golden_target(golden: Callable[[str, Any], None]) -> None:
    """The pods of a service account end up in one role of the data account, which the data access role may assume."""
    datasets = [a_dataset(name, data_role="target", kms_key=KMS_KEY) for name in ("imagenet", "scans")]
    grants = [{"dataset": "imagenet", "access": "read"}, {"dataset": "scans", "access": "read_write"}]
    found = wanted(a_team(members=[], service_accounts=[{"name": "trainer", "datasets": grants}]), *datasets)
    assert {resource.key.kind for resource in found} == {
        Kind.COMPUTE_QUOTA,
        Kind.NAMESPACE,
        Kind.ROLE,
        Kind.SERVICE_ACCOUNT,
        Kind.POD_IDENTITY_ASSOCIATION,
    }
    golden("target", described(found))


def test_a_mixture_opens_nothing_that_an_owner_has_closed() -> None:
    """Beside datasets with access points, and of two accounts, those with a target role give nothing."""
    datasets = [a_dataset(), a_dataset("scans", data_role="target")]
    other = a_dataset("other", data_role="target", account="555555555555")
    grants = [{"dataset": name, "access": "read"} for name in ("imagenet", "scans", "other")]
    one, two = (
        a_team(members=[], service_accounts=[{"name": "t", "datasets": some}]) for some in (grants[:2], grants[1:])
    )
    alone = a_team(members=[], service_accounts=[{"name": "t", "datasets": grants[:1]}])
    assert wanted(one, *datasets) == wanted(alone, datasets[0])
    assert not [role for role in of(wanted(two, datasets[1], other), Role) if role.policies]


def test_golden_scheduler(golden: Callable[[str, Any], None]) -> None:
    """All teams of a cluster want the same scheduler config, which names none of them; without a record none."""
    classes = [{"name": "training", "weight": 60}, {"name": "inference", "weight": 90}]
    cluster = replace(CLUSTER, scheduler=Scheduler.model_validate({"priority_classes": classes}))
    one, other = (
        of([*desired(a_team(name), [cluster], {}, {}, INSTALLATION).values()], ClusterSchedulerConfig)
        for name in ("vision", "language")
    )
    assert one == other
    assert of(wanted(a_team()), ClusterSchedulerConfig) == []
    golden("scheduler", described([*one]))


def test_a_scheduler_says_all_that_the_clusters_record_says() -> None:
    """Description, switches and the hub's own tags go to SageMaker, and its classes in any order of the record."""
    classes = [{"name": name, "weight": weight} for name, weight in (("training", 60), ("inference", 90))]
    installation = replace(INSTALLATION, resource_tags={"CostCenter": "42"})

    def config(**fields: Any) -> ClusterSchedulerConfig:
        cluster = replace(CLUSTER, scheduler=Scheduler.model_validate(fields))
        return of([*desired(a_team(), [cluster], {}, {}, installation).values()], ClusterSchedulerConfig)[0]

    one = config(priority_classes=classes, description="By day", fair_share=False, idle_resource_sharing=True)
    assert (one.description, one.why) == ("By day", "the cluster's scheduler")
    assert one.tags == {"CostCenter": "42", MANAGED_BY_TAG: installation.manager, CLUSTER_TAG: "main"}
    assert one.config == {
        "PriorityClasses": [{"Name": "inference", "Weight": 90}, {"Name": "training", "Weight": 60}],
        "FairShare": "Disabled",
        "IdleResourceSharing": "Enabled",
    }
    assert config(priority_classes=classes[::-1]) == config(priority_classes=classes)


def test_a_permission_set_does_not_admit_a_longer_one() -> None:
    """`Data` admits AWSReservedSSO_Data_ and sixteen characters, in the two exact paths, and nothing else."""
    team = a_team(members=[{"account": "444444444444", "permission_set": "Data"}])
    trust = of(wanted(team), Role)[0].trust["Statement"][0]["Condition"]["ArnLike"]["aws:PrincipalArn"]
    home = "arn:aws:iam::444444444444:role/aws-reserved/sso.amazonaws.com"
    assert trust == [
        f"{home}/AWSReservedSSO_Data_{'?' * 16}",
        f"{home}/us-west-2/AWSReservedSSO_Data_{'?' * 16}",
    ]


@pytest.mark.parametrize(
    ("access", "policy"),
    [
        ("training", "AmazonSagemakerHyperpodTrainingPolicy"),
        ("inference", "AmazonSagemakerHyperpodInferencePolicy"),
        ("view", "AmazonEKSViewPolicy"),
        ("edit", "AmazonEKSEditPolicy"),
        ("admin", "AmazonEKSAdminPolicy"),
    ],
)
def test_access_is_scoped_to_the_namespace(access: str, policy: str) -> None:
    """Each access is one policy on the team's namespace and the user policy on the cluster, never `*`."""
    for entry in of(wanted(a_team(access=access)), AccessEntry):
        arns = {arn.rpartition("/")[2]: scope for arn, scope in entry.policies.items()}
        assert arns == {policy: ("hyperpod-ns-vision",), "AmazonSagemakerHyperpodUserClusterPolicy": ()}


def test_kinds_of_access_stand_side_by_side() -> None:
    """A list gives each kind's policy; the templates of spaces lie in a namespace that all teams read.

    SageMaker AI developer guide, "Setting up an Amazon EKS cluster in Studio", the table of cluster-access policies.
    """
    for entry in of(wanted(a_team(access=["training", "inference", "space"])), AccessEntry):
        assert {arn.rpartition("/")[2]: scope for arn, scope in entry.policies.items()} == {
            "AmazonSagemakerHyperpodTrainingPolicy": ("hyperpod-ns-vision",),
            "AmazonSagemakerHyperpodInferencePolicy": ("hyperpod-ns-vision",),
            "AmazonSagemakerHyperpodSpacePolicy": ("hyperpod-ns-vision",),
            "AmazonSagemakerHyperpodSpaceTemplatePolicy": ("jupyter-k8s-shared",),
            "AmazonSagemakerHyperpodUserClusterPolicy": (),
        }


@pytest.mark.parametrize(("word", "listed"), [("training", ["training"]), ("space", ["space"]), ("none", ["none"])])
def test_a_list_of_one_kind_means_the_word(word: str, listed: list[str]) -> None:
    """What a record with one word means does not depend on how it is spelled."""
    assert wanted(a_team(access=word)) == wanted(a_team(access=listed))


def test_a_role_asks_about_itself_alone() -> None:
    """hyp looks up the role that it acts as, and that role's entry: the policy names those, and no other's."""
    found = wanted(a_team())
    for role in (one for one in of(found, Role) if one.purpose == "cluster-access"):
        allowed = {one["Action"][0]: one["Resource"] for one in policies.canonical(role.policies["describe-cluster"])}
        assert allowed["iam:GetRole"] == [f"arn:aws:iam::111111111111:role/podshare/{role.key.name}"]
        entry = f"access-entry/hyperpod-eks/role/111111111111/{role.key.name}/*"
        assert allowed["eks:DescribeAccessEntry"] == [f"arn:aws:eks:us-west-2:111111111111:{entry}"]


def test_without_access_nobody_gets_in() -> None:
    """Access `none` makes no member's role, entry or attachment; the data side is not touched by it."""
    kinds = {resource.key.kind for resource in wanted(a_team(access="none"))}
    assert Kind.ACCESS_ENTRY not in kinds
    assert Kind.ROLE_ATTACHMENT not in kinds
    assert {Kind.ACCESS_POINT, Kind.SERVICE_ACCOUNT} <= kinds


def test_everything_is_tagged_bounded_and_under_the_path() -> None:
    """Every role has the boundary and, like all that has tags, says whose it is."""
    for resource in wanted(a_team()):
        if isinstance(resource, Role):
            assert resource.boundary == INSTALLATION.boundary_arn(resource.key.account)
        if not isinstance(resource, BucketDelegation | RoleAttachment) and resource.key.kind not in (
            Kind.SERVICE_ACCOUNT,
            Kind.NAMESPACE,
        ):
            assert resource.tags[TEAM_TAG] == "vision"
            assert resource.tags[MANAGED_BY_TAG] == "podshare@111111111111"


def test_names_fit_their_limits() -> None:
    """With the longest team name, role names have at most 64 characters and access point names at most 50."""
    found = wanted(a_team("v" * 40))
    assert max(len(role.key.name) for role in of(found, Role)) <= 64
    assert max(len(point.key.name) for point in of(found, AccessPoint)) <= 50


def test_names_tell_teams_apart() -> None:
    """Teams whose names begin alike share nothing."""
    one = {resource.key for resource in wanted(a_team("vision")) if resource.key.kind is not Kind.BUCKET_DELEGATION}
    other = {resource.key for resource in wanted(a_team("vision-labs"))}
    assert not one & other


def test_a_dataset_that_is_gone_is_a_revoked_grant() -> None:
    """A deleted dataset leaves the service account and takes its access point and statement."""
    gone = desired(a_team(), [CLUSTER], {}, {}, INSTALLATION)
    assert not [key for key in gone if key.kind in (Kind.ACCESS_POINT, Kind.BUCKET_DELEGATION)]
    assert [key for key in gone if key.kind is Kind.SERVICE_ACCOUNT]
    assert all(not role.policies for role in of(list(gone.values()), Role) if role.why == "service account trainer")


def test_the_data_of_an_account_that_has_gone_are_revoked() -> None:
    """A data account that takes no part any more takes its datasets out of every team; one not yet known does not."""
    accounts = {"333333333333": an_account("333333333333", state="SUSPENDED")}
    gone = desired(a_team(), [CLUSTER], {"imagenet": a_dataset()}, accounts, INSTALLATION)
    assert gone == desired(a_team(), [CLUSTER], {}, {}, INSTALLATION)


def test_a_member_whose_account_has_gone_has_nothing() -> None:
    """An account that takes no part has no role, no access entry and no cluster access role."""
    accounts = {"444444444444": an_account("444444444444", state="DEPARTED")}
    gone = desired(a_team(), [CLUSTER], {"imagenet": a_dataset()}, accounts, INSTALLATION)
    stayed = a_team(members=[{"account": "222222222222"}])
    assert gone == desired(stayed, [CLUSTER], {"imagenet": a_dataset()}, {}, INSTALLATION)


def test_a_grant_outside_of_its_dataset_opens_nothing() -> None:
    """A prefix that does not begin with the dataset's never falls back to the whole dataset."""
    accounts = [{"name": "t", "datasets": [{"dataset": "imagenet", "access": "read", "prefix": "private/"}]}]
    assert not of(wanted(a_team(service_accounts=accounts)), AccessPoint)


def test_golden_two_clusters(golden: Callable[[str, Any], None]) -> None:
    """On each cluster a team has all of its own; the data scientist role may assume the access roles of both."""
    team = parse_team(a_team_item_on("main", "east", members=[{"account": "222222222222"}]))
    found = desired(team, [EAST, CLUSTER], {"imagenet": a_dataset()}, {}, INSTALLATION)
    assert {resource.cluster for resource in found.values()} == {"main", "east", ""}
    golden("two_clusters", described([*found.values()]))


def test_a_cluster_more_changes_nothing_on_the_others() -> None:
    """What a team has on one cluster is the same with a second, but for what its people and its data share."""
    known = {"imagenet": a_dataset()}
    alone = desired(parse_team(a_team_item_on("main")), [CLUSTER], known, {}, INSTALLATION)
    both = desired(parse_team(a_team_item_on("main", "east")), [CLUSTER, EAST], known, {}, INSTALLATION)
    changed = {key for key, resource in alone.items() if both[key] != resource}
    assert {key.name for key in changed} == {"podshare-vision-scientist"}


def test_on_a_closed_cluster_there_is_a_quota_and_nothing_else() -> None:
    """Nobody has access where the record cannot be trusted, and running work stays, in the namespace that it has."""
    team = parse_team(a_team_item_on("main", "east"))
    found = desired(team, [CLUSTER, EAST], {"imagenet": a_dataset()}, {}, INSTALLATION, suspended={"east"})
    assert {key.kind for key, resource in found.items() if resource.cluster == "east"} == {
        Kind.COMPUTE_QUOTA,
        Kind.NAMESPACE,
    }
    assert not any("555555555555" in str(resource.facts()) for resource in found.values() if resource.cluster != "east")


def test_golden_one_role_for_all(golden: Callable[[str, Any], None]) -> None:
    """All members share a cluster access role, whose one statement names them, and an access entry."""
    members = [{"account": "222222222222", "existing_role": "research/Scientist"}, {"account": "444444444444"}]
    golden("one_role_for_all", described(wanted(a_team(members=members, access_role="per_team", service_accounts=[]))))


def test_a_member_less_narrows_a_shared_trust_and_nothing_else() -> None:
    """What two trusts of several accounts have in common is the trust of those that are in both."""
    more, fewer = (
        of(wanted(a_team(members=members, access_role="per_team")), Role)[0]
        for members in ([{"account": "222222222222"}, {"account": "444444444444"}], [{"account": "444444444444"}])
    )
    common = more.intersection(fewer)
    assert common
    assert common.facts()["trust"] == fewer.facts()["trust"]


def test_a_target_role_knows_its_buckets_and_how_it_is_closed() -> None:
    """In the data account: what it uses by itself, and a trust that nobody passes, for when it is revoked."""
    datasets = {"imagenet": a_dataset(data_role="target")}
    wanted = desired(a_team(members=[]), [CLUSTER], datasets, {}, INSTALLATION)
    (role,) = (one for one in wanted.values() if isinstance(one, Role) and one.key.account == "333333333333")
    assert role.buckets == {(datasets["imagenet"].bucket, "us-west-2", None)}
    assert role.revoked_trust == policies.trust_nobody(INSTALLATION, "333333333333")


def test_an_access_point_has_its_datasets_network_and_key() -> None:
    """The network is fixed in it; the key is kept beside it, for whoever is told how data are read."""
    key = "arn:aws:kms:us-west-2:333333333333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    datasets = {"imagenet": a_dataset(vpc="vpc-0123456789abcdef0", kms_key=key)}
    wanted = desired(a_team(members=[]), [CLUSTER], datasets, {}, INSTALLATION)
    (point,) = (one for one in wanted.values() if isinstance(one, AccessPoint))
    assert (point.vpc, point.kms_key) == ("vpc-0123456789abcdef0", key)

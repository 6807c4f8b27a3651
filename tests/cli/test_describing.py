"""Records that describe what somebody set up by hand say all that they can, and a remark says what they cannot."""

from typing import Any

import pytest
import yaml

from podshare_cli.commands.importing.command import commented
from podshare_cli.commands.importing.describing import Description, describe
from podshare_cli.commands.importing.reading import (
    AccessPoint,
    Association,
    Binding,
    ComputeQuota,
    Entry,
    HyperPod,
    Setup,
)

CLUSTER = HyperPod("arn:aws:sagemaker:us-west-2:111111111111:cluster/abcdefghijkl", "Shared", "eks")
ROLE = "arn:aws:iam::222222222222:role/research/Ada"
SSO = (
    "arn:aws:iam::222222222222:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Scientist_0123456789abcdef"
)
POINT = "arn:aws:s3:us-west-2:333333333333:accesspoint/images"
TRAINING = {"AmazonSagemakerHyperpodTrainingPolicy": ("hyperpod-ns-robots",)}


def quota(team: str = "robots", tags: dict[str, str] | None = None, **described: Any) -> ComputeQuota:
    """A quota of one instance, in the fields of DescribeComputeQuota."""
    config = {"ComputeQuotaResources": [{"InstanceType": "ml.p5.48xlarge", "Count": 1, "VCpu": 192.0}]}
    fields = {"Name": f"quota-of-{team}", "ComputeQuotaTarget": {"TeamName": team, "FairShareWeight": 7}}
    return ComputeQuota({**fields, "ComputeQuotaConfig": config, **described}, tags or {})


def trusting(*principals: str, kind: str = "AWS", **more: Any) -> dict[str, Any]:
    """A statement of a trust policy, in one spelling."""
    return {"Effect": "Allow", "Action": ["sts:AssumeRole"], "Principal": {kind: [*principals]}, **more}


def entry(*trust: dict[str, Any], groups: tuple[str, ...] = (), policies: Any = None) -> Entry:
    """An access entry of the team's namespace."""
    return Entry("arn:aws:iam::111111111111:role/robots-access", policies or TRAINING, groups, trust)


def pods(*resources: str, actions: tuple[str, ...] = ("s3:GetObject",)) -> Association:
    """A pod identity association whose role may do this with these."""
    statement = {"Effect": "Allow", "Action": [*actions], "Resource": [*resources]}
    return Association("hyperpod-ns-robots", "trainer", "arn:aws:iam::111111111111:role/robots-data", (statement,))


def described(*, known: tuple[dict[str, Any], ...] = (), **setup: Any) -> Description:
    """What is said of a cluster with the quota of one team."""
    return describe(Setup(CLUSTER, **{"quotas": [quota()], **setup}), known, "ada@example.com")


def record(found: Description, kind: str = "team") -> dict[str, Any]:
    """The record of a kind."""
    (only,) = (item for item in found.records if str(item["id"]).startswith(f"{kind}#"))
    return only


@pytest.mark.parametrize(
    ("trust", "members"),
    [
        (trusting(ROLE), [{"account": "222222222222", "existing_role": "research/Ada"}]),
        (trusting(SSO), [{"account": "222222222222", "permission_set": "Scientist"}]),
        (
            trusting("arn:aws:iam::222222222222:root", Condition={"ArnLike": {"aws:principalarn": [ROLE]}}),
            [{"account": "222222222222", "existing_role": "research/Ada"}],
        ),
        (
            trusting(
                "222222222222", Condition={"ArnLike": {"aws:principalarn": [SSO.replace("0123456789abcdef", "*")]}}
            ),
            [{"account": "222222222222", "permission_set": "Scientist"}],
        ),
        ({**trusting(ROLE), "Effect": "Deny"}, []),
        ({**trusting(ROLE), "Action": ["sts:TagSession"]}, []),
    ],
    ids=["role", "permission set", "account with a condition", "permission set by a pattern", "deny", "another action"],
)
def test_whoever_is_trusted_by_name_is_a_member(trust: dict[str, Any], members: list[Any]) -> None:
    """Roles, and roles of permission sets, by ARN or by the condition that narrows an account down to them."""
    found = described(entries=[entry(trust)])
    assert (record(found)["members"], [*found.remarks]) == (members, [])


@pytest.mark.parametrize(
    ("trust", "remark"),
    [
        (trusting("arn:aws:iam::222222222222:root"), "trusts all of account 222222222222"),
        (trusting("arn:aws:iam::222222222222:user/ada"), "trusts AWS arn:aws:iam::222222222222:user/ada"),
        (trusting("sagemaker.amazonaws.com", kind="Service"), "trusts Service sagemaker.amazonaws.com"),
        (
            trusting("222222222222", Condition={"ArnLike": {"aws:principalarn": ["arn:aws:iam::*:role/*"]}}),
            "trusts arn:aws:iam::*:role/*",
        ),
    ],
    ids=["account", "user", "service", "pattern"],
)
def test_whom_no_record_can_name_is_remarked(trust: dict[str, Any], remark: str) -> None:
    """Nobody is let in by a record who was not named before, and nobody is left out in silence."""
    found = described(entries=[entry(trust)])
    assert remark in found.remarks[0].text
    assert record(found)["members"] == ([{"account": "222222222222"}] if "all of" in remark else [])


def test_an_entry_that_is_no_role_is_remarked() -> None:
    """A user, or a role whose trust policy could not be read."""
    unknown = Entry("arn:aws:iam::111111111111:user/ada", TRAINING, (), None)
    assert "user/ada is unknown" in described(entries=[unknown]).remarks[0].text


def test_the_level_of_access_follows_from_the_policies() -> None:
    """One level by its name, several as a list; other policies, scopes and groups are remarked."""
    both = {**TRAINING, "AmazonEKSViewPolicy": ("hyperpod-ns-robots",), "AmazonSagemakerHyperpodUserClusterPolicy": ()}
    assert record(described(entries=[entry(trusting(ROLE))]))["access"] == "training"
    assert record(described(entries=[entry(trusting(ROLE), policies=both)]))["access"] == ["training", "view"]
    wide = described(entries=[entry(policies={**TRAINING, "AmazonEKSAdminPolicy": ()}, groups=("debuggers",))])
    texts = [remark.text for remark in wide.remarks]
    assert any("AmazonEKSAdminPolicy on the whole cluster" in text for text in texts)
    assert any("Kubernetes groups debuggers" in text for text in texts)
    other = entry(trusting(ROLE), policies={"AmazonEKSViewPolicy": ("hyperpod-ns-others",)})
    assert record(described(entries=[other]))["members"] == []


def test_nobody_gets_the_access_of_somebody_else() -> None:
    """A record has one level for all members: what every entry gives; what one gives besides is remarked."""
    viewer = Entry("arn:aws:iam::111111111111:role/viewers", {"AmazonEKSViewPolicy": ("hyperpod-ns-robots",)}, (), ())
    found = described(entries=[entry(trusting(ROLE)), viewer])
    assert record(found)["access"] == "none"
    assert [remark.text.partition(":role/")[2].split(" besides")[0] for remark in found.remarks] == [
        "robots-access has training",
        "viewers has view",
    ]


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"sts:externalid": ["secret"]}},
        {"Bool": {"aws:multifactorauthpresent": ["true"]}},
        {"StringNotLike": {"aws:principalarn": [ROLE]}},
    ],
)
def test_who_is_trusted_under_conditions_is_no_member(condition: dict[str, Any]) -> None:
    """A record would let them in without the condition, so that a person has to decide it."""
    found = described(entries=[entry(trusting(ROLE, Condition=condition))])
    assert (record(found)["members"], len(found.remarks)) == ([], 1)
    within = {"StringEquals": {"aws:principalorgid": ["o-podshare01"]}}
    assert record(described(entries=[entry(trusting(ROLE, Condition=within))]))["members"]


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": [f"{POINT}/object/*"]},
        {"Effect": "Allow", "NotAction": ["s3:DeleteObject"], "Resource": [f"{POINT}/object/*"]},
        {"Effect": "Deny", "Action": ["s3:GetObject"], "Resource": [f"{POINT}/object/*"]},
        {
            **{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"{POINT}/object/*"]},
            "Condition": {"IpAddress": {"aws:sourceip": ["10.0.0.0/8"]}},
        },
    ],
    ids=["writing alone", "all but", "deny", "condition"],
)
def test_what_a_statement_takes_back_is_not_granted(statement: dict[str, Any]) -> None:
    """Writing without reading, exceptions, denials and conditions are no record's: a person reads them."""
    reading = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"{POINT}/object/*"]}
    for statements in ((statement,), *(((reading, statement),) if statement["Effect"] == "Deny" else ())):
        pod = Association("hyperpod-ns-robots", "trainer", "arn:aws:iam::111111111111:role/robots-data", statements)
        found = described(associations=[pod], access_points={POINT: AccessPoint(POINT, "pictures")})
        assert record(found)["service_accounts"][0]["datasets"] == []
        assert len(found.remarks) == 1


def test_writing_is_granted_where_it_was() -> None:
    """A role that reads one prefix and writes another gets just that."""
    statements = (
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"{POINT}/object/in/*", f"{POINT}/object/out/*"]},
        {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": [f"{POINT}/object/out/*"]},
    )
    pod = Association("hyperpod-ns-robots", "trainer", "arn:aws:iam::111111111111:role/robots-data", statements)
    found = described(associations=[pod], access_points={POINT: AccessPoint(POINT, "pictures")})
    assert record(found)["service_accounts"][0]["datasets"] == [
        {"dataset": "pictures", "access": "read", "prefix": "in/"},
        {"dataset": "pictures", "access": "read_write", "prefix": "out/"},
    ]


@pytest.mark.parametrize(
    ("resources", "actions", "grants"),
    [
        ((f"{POINT}/object/*",), ("s3:GetObject",), [{"dataset": "pictures", "access": "read"}]),
        ((f"{POINT}/object/raw/*",), ("s3:GetObject",), [{"dataset": "pictures", "access": "read", "prefix": "raw/"}]),
        ((f"{POINT}/object/*",), ("s3:GetObject", "s3:PutObject"), [{"dataset": "pictures", "access": "read_write"}]),
        ((POINT,), ("s3:ListBucket",), []),
    ],
    ids=["all of it", "a prefix", "writing", "listing alone"],
)
def test_data_are_granted_as_they_were(resources: tuple[str, ...], actions: tuple[str, ...], grants: list[Any]) -> None:
    """Prefix and access of each access point, as the role's policy gives them, on a dataset of the point's bucket."""
    points = {POINT: AccessPoint(POINT, "pictures", "arn:aws:kms:us-west-2:333333333333:key/" + "1" * 8)}
    found = described(associations=[pods(*resources, actions=actions)], access_points=points)
    assert record(found)["service_accounts"] == [{"name": "trainer", "datasets": grants}]
    if grants:
        dataset = record(found, "dataset")
        assert (dataset["bucket"], dataset["account"], dataset["region"]) == ("pictures", "333333333333", "us-west-2")
        assert dataset["kms_key"].endswith("11111111")


@pytest.mark.parametrize("pattern", ["raw/*.jpg", "raw/part*", "raw/one.jpg", "*/raw/*", "r?w/*"])
def test_a_record_never_grants_more_than_there_was(pattern: str) -> None:
    """Where only a wider prefix could be written, nothing is, and a remark says so."""
    points = {POINT: AccessPoint(POINT, "pictures")}
    found = described(associations=[pods(f"{POINT}/object/{pattern}")], access_points=points)
    assert record(found)["service_accounts"] == [{"name": "trainer", "datasets": []}]
    assert pattern in found.remarks[0].text


def test_a_bucket_that_is_used_without_an_access_point_is_remarked() -> None:
    """podshare gives data through access points: which dataset this is, a person has to say."""
    found = described(associations=[pods("arn:aws:s3:::archive/*")])
    assert "arn:aws:s3:::archive/*" in found.remarks[0].text


def test_the_quota_is_what_sagemaker_has() -> None:
    """In the record's fields, with all that it has, by the quota's own name."""
    sharing = {"Strategy": "LendAndBorrow", "BorrowLimit": 30, "AbsoluteBorrowLimits": []}
    parts = [{"InstanceType": "ml.g5.12xlarge", "Accelerators": 2, "VCpu": 24.0, "MemoryInGiB": 96.0}]
    config = {"ComputeQuotaResources": parts, "ResourceSharingConfig": sharing, "PreemptTeamTasks": "Never"}
    found = described(quotas=[quota(ComputeQuotaConfig=config, Description="Robots", ActivationState="Disabled")])
    assert record(found)["quota"] == {
        "name": "quota-of-robots",
        "resources": [{"instance_type": "ml.g5.12xlarge", "accelerators": 2, "vcpu": 24, "memory_gib": 96}],
        "fair_share_weight": 7,
        "preempt_team_tasks": "Never",
        "description": "Robots",
        "active": False,
        "sharing": {"strategy": "LendAndBorrow", "borrow_limit": 30},
    }
    assert record(described())["quota"]["resources"] == [{"instance_type": "ml.p5.48xlarge", "count": 1}]


def test_a_quota_of_processors_stays_one() -> None:
    """AWS answers with a zero for what was not asked for: a zero takes the place of nothing."""
    parts = [{"InstanceType": "ml.c5.xlarge", "Count": 0, "Accelerators": 0, "VCpu": 1.0, "MemoryInGiB": 10.67}]
    found = described(quotas=[quota(ComputeQuotaConfig={"ComputeQuotaResources": parts})])
    resources = [{"instance_type": "ml.c5.xlarge", "vcpu": 1, "memory_gib": 10.67}]
    assert record(found)["quota"]["resources"] == resources


def test_podshares_own_teams_are_left_out() -> None:
    """A quota with podshare's tag is described by its record already."""
    found = described(quotas=[quota(tags={"podshare:managed-by": "podshare@111111111111"})])
    assert [item["id"] for item in found.records] == ["cluster#shared"]


def test_a_name_that_no_record_can_have_is_remarked() -> None:
    """HyperPod teams may have names that podshare's records may not."""
    found = described(quotas=[quota(team="Robots_1")])
    assert any(remark.team == "Robots_1" and "Robots_1" in remark.text for remark in found.remarks)


def test_records_that_exist_stay_as_they_are() -> None:
    """A bucket as a whole is described once; a cluster's record says what it said, without who wrote it."""
    where = {"account": "111111111111", "region": "us-west-2", "eks_cluster": "eks", "hyperpod_cluster": "Shared"}
    decided = {"namespace_hardening": "enforce", "scheduler": {"fair_share": False}}
    written = {"changed_by": "arn:aws:iam::111111111111:user/ada", "change": {"version": 3}}
    bucket = {"account": "333333333333", "region": "us-west-2", "bucket": "pictures"}
    points = {POINT: AccessPoint(POINT, "pictures")}
    found = described(
        known=({"id": "cluster#main", **where, **decided, **written}, {"id": "dataset#images", **bucket}),
        associations=[pods(f"{POINT}/object/*")],
        access_points=points,
    )
    assert [item["id"] for item in found.records] == ["cluster#main", "team#robots"]
    assert record(found, "cluster") == {"id": "cluster#main", "schema": 1, **where, **decided}
    assert record(found)["cluster"] == "main"
    assert record(found)["service_accounts"][0]["datasets"][0]["dataset"] == "images"


IMAGES = {"account": "333333333333", "region": "us-west-2", "bucket": "images"}


@pytest.mark.parametrize(
    "known",
    [
        {**IMAGES, "id": "dataset#images", "bucket": "other"},
        {**IMAGES, "id": "dataset#images", "prefix": "a/"},
        {"id": "dataset#images"},
    ],
    ids=["another bucket", "a prefix", "invalid"],
)
def test_no_dataset_of_the_registry_becomes_another(known: dict[str, Any]) -> None:
    """A bucket whose name another record has gets another name: else that record's teams would get the bucket."""
    found = described(
        known=(known,), associations=[pods(f"{POINT}/object/*")], access_points={POINT: AccessPoint(POINT, "images")}
    )
    assert record(found, "dataset")["id"] == "dataset#images-2"
    assert record(found)["service_accounts"][0]["datasets"] == [{"dataset": "images-2", "access": "read"}]


def test_two_buckets_are_two_datasets() -> None:
    """Also those whose names differ in characters that no record's name has."""
    points = {POINT: AccessPoint(POINT, "im.ages"), f"{POINT}-2": AccessPoint(f"{POINT}-2", "im-ages")}
    found = described(associations=[pods(*(f"{point}/object/*" for point in points))], access_points=points)
    buckets = {item["id"]: item["bucket"] for item in found.records if "bucket" in item}
    assert buckets == {"dataset#im-ages": "im.ages", "dataset#im-ages-2": "im-ages"}


def test_no_cluster_of_the_registry_becomes_another() -> None:
    """A cluster whose name another one has gets another name; an invalid record keeps its name too."""
    elsewhere = {"id": "cluster#shared", "account": "444444444444", "region": "us-west-2", "eks_cluster": "eks"}
    for known in (elsewhere, {"id": "cluster#shared"}):
        found = described(known=(known,))
        assert record(found, "cluster")["id"] == "cluster#shared-2"
        assert record(found)["cluster"] == "shared-2"


def test_a_team_of_the_registry_is_remarked() -> None:
    """A team's name is its namespace's, so that its record would replace the one that is there."""
    found = described(known=({"id": "team#robots", "cluster": "other"},))
    assert "team#robots is in the registry" in found.remarks[0].text


def test_no_remark_becomes_a_field() -> None:
    """Whoever writes a trust policy writes into the remark on it: all of its lines are comments in the team's file."""
    pattern = "arn:aws:iam::*:role/x\nowner: eve@example.com\u2028---"
    found = described(entries=[entry(trusting("222222222222", Condition={"ArnLike": {"aws:principalarn": [pattern]}}))])
    text = commented(found.remarks, {"id": "dataset#x"})
    assert "owner: eve@example.com" in text
    assert yaml.safe_load(text) == {"id": "dataset#x", "schema": 1}


@pytest.mark.parametrize(
    ("condition", "is_named"),
    [
        ({"StringEquals": {"s3:DataAccessPointAccount": "333333333333"}}, True),
        ({"ArnLike": {"s3:DataAccessPointArn": ["arn:aws:s3:*:333333333333:accesspoint/im*"]}}, True),
        ({"StringEquals": {"s3:DataAccessPointAccount": ["444444444444"]}}, False),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({}, False),
    ],
    ids=["account", "pattern", "another account", "another condition", "none"],
)
def test_the_statements_that_leave_access_to_a_point_are_named(condition: dict[str, Any], is_named: bool) -> None:
    """By their Sid, or their number where they have none; those that are about something else are nobody's to delete."""
    other = {"Sid": "Other", "Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "*"}
    policy = ({**other, "Sid": "ToPoints", "Condition": condition}, {**other, "Condition": condition, "Sid": ""}, other)
    found = described(
        associations=[pods(f"{POINT}/object/*")], access_points={POINT: AccessPoint(POINT, "images", policy=policy)}
    )
    statements = [line for line in found.others["robots"] if "policy of bucket" in line]
    named = ["statement ToPoints of the policy of bucket images", "statement number 2 of the policy of bucket images"]
    assert statements == (named if is_named else [])


def test_what_stands_in_the_namespace_is_remarked() -> None:
    """Bindings, labels of Pod Security, and a namespace that is not there; without the cluster's API nothing is known."""
    binding = Binding("hyperpod-ns-robots", "debug", "ClusterRole edit", ("Group debuggers", "User ada"))
    labels = {"kubernetes.io/metadata.name": "hyperpod-ns-robots", "pod-security.kubernetes.io/enforce": "restricted"}
    found = described(bindings=[binding], namespaces={"hyperpod-ns-robots": labels})
    bound, held = (remark.text for remark in found.remarks)
    assert bound == "RoleBinding debug gives ClusterRole edit to Group debuggers, User ada: see `rbac`"
    assert "has pod-security.kubernetes.io/enforce=restricted: see `namespace_hardening` of the cluster" in held
    assert found.others["robots"] == ("RoleBinding hyperpod-ns-robots/debug of ClusterRole edit",)
    (absent,) = described(namespaces={"default": {}}).remarks
    assert absent.text.startswith("the cluster has no namespace hyperpod-ns-robots")
    assert described(namespaces=None).remarks == ()

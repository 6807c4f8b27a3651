"""The steps of AWS's post "Multi-account support for Amazon SageMaker HyperPod task governance", as a boto3 script.

``python boto3_script.py onboard team-a team-b``: one team after the other, one call after the other, as such scripts
are written. Profiles ``a`` (cluster), ``b1``, ``b2``, ``b3`` (scientists) and ``c`` (data) come from the AWS
configuration, names and accounts from the environment. What is there already is overwritten where its API can do that,
and left alone where not. It prints the seconds of each team as JSON. The ServiceAccount is left out, as in the post.

Nothing is read back, waited for (but for the quota's creation) or kept: see docs/benchmarks.md.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError

REGION = os.environ["AWS_REGION"]
CLUSTER, HYPERPOD, BUCKET = os.environ["EKS_CLUSTER"], os.environ["HYPERPOD_ARN"], os.environ["BUCKET"]
A, C = os.environ["ACCOUNT_A"], os.environ["ACCOUNT_C"]
B = {name: os.environ[f"ACCOUNT_{name.upper()}"] for name in ("b1", "b2", "b3")}
POLICIES = "arn:aws:eks::aws:cluster-access-policy"
EXISTS = {"EntityAlreadyExists", "ResourceInUseException", "ConflictException", "AccessPointAlreadyOwnedByYou"}
POLL_SECONDS = 5 * float(os.environ.get("TIME_SCALE", "1"))


def clients() -> dict[tuple[str, str], Any]:
    """Every client that the steps need, by profile and service."""
    needed = {"a": ("iam", "eks", "sagemaker"), "c": ("s3", "s3control"), **dict.fromkeys(B, ("iam",))}
    found: dict[tuple[str, str], Any] = {}
    for profile, services in needed.items():
        session: Any = boto3.Session(profile_name=profile, region_name=REGION)
        found |= {(profile, service): session.client(service) for service in services}
    return found


AWS = clients()


def document(*statements: dict[str, Any]) -> str:
    """A policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = None, **more: Any) -> dict[str, Any]:
    """A statement."""
    return {"Effect": "Allow", "Action": action, **({"Resource": resource} if resource else {}), **more}


def ensure(create: Callable[..., Any], **given: Any) -> Any:
    """Create what is not there yet."""
    try:
        return create(**given)
    except ClientError as error:
        if error.response["Error"]["Code"] not in EXISTS:
            raise
        return None


def role(profile: str, name: str, trust: str, policy: str) -> None:
    """A role with one inline policy."""
    iam = AWS[profile, "iam"]
    ensure(iam.create_role, RoleName=name, AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName=name, PolicyName="access", PolicyDocument=policy)


def scientist_arn(team: str, profile: str) -> str:
    """The data scientist role of a member."""
    return f"arn:aws:iam::{B[profile]}:role/{team}-scientist"


def access_trust(team: str, members: tuple[str, ...]) -> str:
    """Who may assume the cluster access role, which all members share as in the post."""
    principals = [scientist_arn(team, member) for member in members]
    return document(allow("sts:AssumeRole", Principal={"AWS": principals}))


def add_scientist(team: str, member: str) -> None:
    """Step 1: the data scientist role in an account B."""
    trust = document(allow("sts:AssumeRole", Principal={"AWS": f"arn:aws:iam::{B[member]}:root"}))
    access = document(allow("sts:AssumeRole", f"arn:aws:iam::{A}:role/{team}-access"))
    role(member, f"{team}-scientist", trust, access)


def quota(team: str) -> None:
    """The team's compute quota, which the post presumes, and its creation."""
    sagemaker = AWS["a", "sagemaker"]
    made = ensure(
        sagemaker.create_compute_quota,
        Name=team,
        ClusterArn=HYPERPOD,
        ComputeQuotaConfig={"ComputeQuotaResources": [{"InstanceType": "ml.p5.48xlarge", "VCpu": 1.0}]},
        ComputeQuotaTarget={"TeamName": team},
    )
    while made and sagemaker.describe_compute_quota(ComputeQuotaId=made["ComputeQuotaId"])["Status"] != "Created":
        time.sleep(POLL_SECONDS)


def onboard(team: str) -> None:
    """All steps for a team of two members."""
    members = ("b1", "b2")
    namespace, access, data = f"hyperpod-ns-{team}", f"{team}-access", f"{team}-data"
    eks, s3, control = AWS["a", "eks"], AWS["c", "s3"], AWS["c", "s3control"]
    quota(team)
    for member in members:
        add_scientist(team, member)
    describe = document(allow(["eks:DescribeCluster", "sagemaker:DescribeCluster"], "*"))
    role("a", access, access_trust(team, members), describe)
    access_arn = f"arn:aws:iam::{A}:role/{access}"
    ensure(eks.create_access_entry, clusterName=CLUSTER, principalArn=access_arn)
    for policy, scope in (
        ("AmazonSagemakerHyperpodTrainingPolicy", {"type": "namespace", "namespaces": [namespace]}),
        ("AmazonSagemakerHyperpodUserClusterPolicy", {"type": "cluster"}),
    ):
        given = {"clusterName": CLUSTER, "principalArn": access_arn, "policyArn": f"{POLICIES}/{policy}"}
        eks.associate_access_policy(**given, accessScope=scope)
    point = f"arn:aws:s3:{REGION}:{C}:accesspoint/{team}"
    pods = document(allow(["sts:AssumeRole", "sts:TagSession"], Principal={"Service": "pods.eks.amazonaws.com"}))
    role("a", data, pods, document(allow(["s3:ListBucket", "s3:GetObject"], [point, f"{point}/object/*"])))
    data_arn = f"arn:aws:iam::{A}:role/{data}"
    given = {"clusterName": CLUSTER, "namespace": namespace, "serviceAccount": "trainer", "roleArn": data_arn}
    ensure(eks.create_pod_identity_association, **given)
    ensure(control.create_access_point, AccountId=C, Name=team, Bucket=BUCKET)
    who = {"Principal": {"AWS": data_arn}}
    granted = document(allow("s3:ListBucket", point, **who), allow("s3:GetObject", f"{point}/object/*", **who))
    control.put_access_point_policy(AccountId=C, Name=team, Policy=granted)
    delegation = allow(
        ["s3:ListBucket", "s3:GetObject"],
        [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        Sid="DelegateToAccessPoints",
        Principal="*",
        Condition={"StringEquals": {"s3:DataAccessPointAccount": C}},
    )
    found = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    others = [statement for statement in found if statement.get("Sid") != delegation["Sid"]]
    s3.put_bucket_policy(Bucket=BUCKET, Policy=document(*others, delegation))


def add(team: str) -> None:
    """A third member: its role, and the trust of the cluster access role."""
    add_scientist(team, "b3")
    trust = access_trust(team, ("b1", "b2", "b3"))
    AWS["a", "iam"].update_assume_role_policy(RoleName=f"{team}-access", PolicyDocument=trust)


def revoke(team: str) -> None:
    """Everything that was made for the team; the bucket's delegation is other teams' too."""
    eks, sagemaker, control = AWS["a", "eks"], AWS["a", "sagemaker"], AWS["c", "s3control"]
    eks.delete_access_entry(clusterName=CLUSTER, principalArn=f"arn:aws:iam::{A}:role/{team}-access")
    control.delete_access_point_policy(AccountId=C, Name=team)
    control.delete_access_point(AccountId=C, Name=team)
    listed = eks.list_pod_identity_associations(clusterName=CLUSTER, namespace=f"hyperpod-ns-{team}")
    for association in listed["associations"]:
        eks.delete_pod_identity_association(clusterName=CLUSTER, associationId=association["associationId"])
    roles = [("a", f"{team}-access"), ("a", f"{team}-data"), *((member, f"{team}-scientist") for member in B)]
    for profile, name in roles:
        AWS[profile, "iam"].delete_role_policy(RoleName=name, PolicyName="access")
        AWS[profile, "iam"].delete_role(RoleName=name)
    quotas = sagemaker.list_compute_quotas(ClusterArn=HYPERPOD, NameContains=team)["ComputeQuotaSummaries"]
    for found in quotas:
        if found["Name"] == team:
            sagemaker.delete_compute_quota(ComputeQuotaId=found["ComputeQuotaId"])


def main() -> None:
    """Do it for each team in turn."""
    action = {"onboard": onboard, "add": add, "revoke": revoke}[sys.argv[1]]
    seconds = []
    for team in sys.argv[2:]:
        began = time.monotonic()
        action(team)
        seconds.append(time.monotonic() - began)
    sys.stdout.write(json.dumps(seconds))


if __name__ == "__main__":
    main()

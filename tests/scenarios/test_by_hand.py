"""What podshare automates, typed by hand with AWS's own clients; then podshare's record in its place: the same rights.

The walk is that of AWS's blog post "Multi-account support for Amazon SageMaker HyperPod task governance", and of the
documentation that it leads to: account A has the cluster, account B the scientists, account C the data. Its access
policy, AmazonEKSEditPolicy, knows no training jobs, so that those of the page "Setting up in EKS" of the SageMaker AI
developer guide come beside it.
"""

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from lightkube import Client
from lightkube.models.authorization_v1 import ResourceAttributes, SelfSubjectAccessReviewSpec
from lightkube.resources.authorization_v1 import SelfSubjectAccessReview

from podshare_sandbox.authorization import AccessDenied
from podshare_sandbox.organization import EKS_CLUSTER, HYPERPOD_CLUSTER
from podshare_sandbox.services import kubernetes, pod_identity
from sandbox.tests.clients import client
from tests.scenarios.world import DATA, EKS_ARN, HUB, IMAGES, REGION, VISION, Item, World, refused

BY_HAND, RECORDED = "byhand", "recorded"
SCIENTIST = f"arn:aws:iam::{VISION}:role/DataScientist"
CLUSTER_ACCESS = f"arn:aws:iam::{HUB}:role/ByHandClusterAccess"
DATA_ACCESS = f"arn:aws:iam::{HUB}:role/ByHandDataAccess"
POINT = "byhand-imagenet"
POINT_ARN = f"arn:aws:s3:{REGION}:{DATA}:accesspoint/{POINT}"
POLICIES = "arn:aws:eks::aws:cluster-access-policy"
IMAGE = "public.ecr.aws/aws-cli/aws-cli"
PREFIX, OUTSIDE = "imagenet/", "private/"
IMAGE_KEY, OUTSIDE_KEY = f"{PREFIX}train/n01440764_18.jpg", f"{OUTSIDE}README.md"


def namespace(team: str) -> str:
    return f"hyperpod-ns-{team}"


# ---- terminals --------------------------------------------------------------------------------------------------


class Terminal:
    """A person's shell: their home folder, and their profiles in ``~/.aws``."""

    def __init__(self, environment: dict[str, str], home: Path) -> None:
        tools = os.pathsep.join(dict.fromkeys(str(Path(client(name)).parent) for name in ("aws", "kubectl")))
        own = {"HOME": str(home), "PATH": f"{tools}{os.pathsep}{environment['PATH']}", "PYTHONWARNINGS": "ignore"}
        self.environment = {**environment, **own}
        self.home = home

    def run(self, command: str, given: Any = None) -> subprocess.CompletedProcess[str]:
        """Type a command; what is ``given`` comes by standard input, as YAML."""
        name, *words = shlex.split(command)
        return subprocess.run(  # noqa: S603  # a command of a test
            [client(name), *words],
            env=self.environment, cwd=self.home, input=yaml.safe_dump(given) if given else "",
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def __call__(self, command: str, given: Any = None) -> str:
        """What a command prints that has to succeed."""
        ended = self.run(command, given)
        assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def refused(self, command: str, given: Any = None) -> str:
        """What a command that has to fail says."""
        ended = self.run(command, given)
        assert ended.returncode != 0, f"{command}\n{ended.stdout}"
        return ended.stdout + ended.stderr

    def write(self, name: str, document: Any) -> str:
        """A policy in a file, and what it is called in an option."""
        (self.home / name).write_text(json.dumps(document), encoding="utf-8")
        return f"file://{name}"


def allow(action: list[str] | str, resource: list[str] | str | None = None, **more: Any) -> Item:
    named = {"Resource": resource} if resource else {}
    return {"Effect": "Allow", "Action": action, **named, **more}


def policy(*statements: Item) -> Item:
    return {"Version": "2012-10-17", "Statement": list(statements)}


@pytest.fixture(scope="module")
def admins(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Terminal]:
    """The administrators of the accounts A, B and C."""
    return {
        account: Terminal(world.sandbox.environment(account), tmp_path_factory.mktemp(f"account-{account}"))
        for account in (HUB, VISION, DATA)
    }


PROFILES = """
[profile data-scientist]
role_arn = {scientist}
source_profile = science-account

[profile cluster-access]
role_arn = {cluster_access}
source_profile = data-scientist
"""
CREDENTIALS = """
[science-account]
aws_access_key_id = {AWS_ACCESS_KEY_ID}
aws_secret_access_key = {AWS_SECRET_ACCESS_KEY}
"""


def a_scientist(world: World, home: Path, scientist: str, cluster_access: str) -> Terminal:
    """Somebody in account B who goes by the data scientist role to the cluster access role in account A."""
    environment = world.sandbox.environment(VISION)
    files = {
        "config": PROFILES.format(scientist=scientist, cluster_access=cluster_access),
        "credentials": CREDENTIALS.format(**environment),
    }
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        del environment[name]
    (home / ".aws").mkdir()
    for name, content in files.items():
        (home / ".aws" / name).write_text(content, encoding="utf-8")
    found = Terminal({**environment, "AWS_PROFILE": "cluster-access"}, home)
    found(f"aws eks update-kubeconfig --name {EKS_CLUSTER} --profile cluster-access")
    return found


# ---- by hand ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def by_hand(world: World, admins: dict[str, Terminal], tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """All that the three administrators type; then the scientist's terminal."""
    allocate_compute(admins[HUB])
    let_scientists_in(admins[HUB], admins[VISION], world.sandbox.client("sagemaker"))
    share_the_data(admins[HUB], admins[DATA])
    give_pods_the_role(admins[HUB])
    world.sandbox.settle()
    return a_scientist(world, tmp_path_factory.mktemp("scientist"), SCIENTIST, CLUSTER_ACCESS)


def allocate_compute(a: Terminal) -> None:
    """Account A: a compute quota, from which SageMaker makes the namespace and its queues."""
    described = json.loads(a(f"aws sagemaker describe-cluster --cluster-name {HYPERPOD_CLUSTER}"))
    a(
        f"aws sagemaker create-compute-quota --name {BY_HAND} --cluster-arn {described['ClusterArn']}"
        " --compute-quota-config ComputeQuotaResources=[{InstanceType=ml.g5.12xlarge,Count=1}],"
        "ResourceSharingConfig={Strategy=LendAndBorrow,BorrowLimit=50},PreemptTeamTasks=LowerPriority"
        f" --compute-quota-target TeamName={BY_HAND},FairShareWeight=0 --activation-state Enabled"
    )
    a(f"aws eks update-kubeconfig --name {EKS_CLUSTER}")
    a(f"kubectl wait --for=create namespace/{namespace(BY_HAND)} --timeout=60s")


def let_scientists_in(a: Terminal, b: Terminal, sagemaker: Any) -> None:
    """Account B: the data scientist role; account A: the cluster access role that trusts it, and its access entry."""
    people = {"AWS": f"arn:aws:iam::{VISION}:root"}
    trust = b.write("trust.json", policy(allow("sts:AssumeRole", Principal=people)))
    b(f"aws iam create-role --role-name DataScientist --assume-role-policy-document {trust}")
    way = b.write("policy.json", policy(allow("sts:AssumeRole", CLUSTER_ACCESS)))
    b(f"aws iam put-role-policy --role-name DataScientist --policy-name cluster-access --policy-document {way}")

    trust = a.write("trust.json", policy(allow("sts:AssumeRole", Principal={"AWS": SCIENTIST})))
    a(f"aws iam create-role --role-name ByHandClusterAccess --assume-role-policy-document {trust}")
    hyperpod = sagemaker.describe_cluster(ClusterName=HYPERPOD_CLUSTER)["ClusterArn"]
    entry = f"arn:aws:eks:{REGION}:{HUB}:access-entry/{EKS_CLUSTER}/role/{HUB}/ByHandClusterAccess/*"
    rights = policy(
        allow("eks:DescribeCluster", EKS_ARN),
        allow("sagemaker:DescribeCluster", hyperpod),
        allow("sagemaker:ListClusters", "*"),
        allow("iam:GetRole", CLUSTER_ACCESS),
        allow("eks:DescribeAccessEntry", entry),
    )
    document = a.write("policy.json", rights)
    a(f"aws iam put-role-policy --role-name ByHandClusterAccess --policy-name cluster --policy-document {document}")

    entry = f"--cluster-name {EKS_CLUSTER} --principal-arn {CLUSTER_ACCESS}"
    a(f"aws eks create-access-entry {entry}")
    for name in ("AmazonEKSEditPolicy", "AmazonSagemakerHyperpodTrainingPolicy"):
        scope = f"type=namespace,namespaces={namespace(BY_HAND)}"
        a(f"aws eks associate-access-policy {entry} --policy-arn {POLICIES}/{name} --access-scope {scope}")
    cluster_wide = f"--policy-arn {POLICIES}/AmazonSagemakerHyperpodUserClusterPolicy --access-scope type=cluster"
    a(f"aws eks associate-access-policy {entry} {cluster_wide}")


def share_the_data(a: Terminal, c: Terminal) -> None:
    """Account A: the data access role; account C: the access point, its policy, and the bucket's delegation to it."""
    pods = {"Service": "pods.eks.amazonaws.com"}
    trust = a.write("trust.json", policy(allow(["sts:AssumeRole", "sts:TagSession"], Principal=pods)))
    a(f"aws iam create-role --role-name ByHandDataAccess --assume-role-policy-document {trust}")
    below = {"StringLike": {"s3:prefix": f"{PREFIX}*"}}
    reads = (
        allow("s3:ListBucket", POINT_ARN, Condition=below),
        allow("s3:GetObject", f"{POINT_ARN}/object/{PREFIX}*"),
    )
    document = a.write("policy.json", policy(*reads))
    a(f"aws iam put-role-policy --role-name ByHandDataAccess --policy-name data --policy-document {document}")

    c(f"aws s3control create-access-point --account-id {DATA} --name {POINT} --bucket {IMAGES}")
    who = {"Principal": {"AWS": DATA_ACCESS}}
    document = c.write("point.json", policy(*({**statement, **who} for statement in reads)))
    c(f"aws s3control put-access-point-policy --account-id {DATA} --name {POINT} --policy {document}")
    found = json.loads(c(f"aws s3api get-bucket-policy --bucket {IMAGES} --query Policy --output text"))
    through = {"Principal": "*", "Condition": {"StringEquals": {"s3:DataAccessPointAccount": DATA}}}
    bucket = [f"arn:aws:s3:::{IMAGES}", f"arn:aws:s3:::{IMAGES}/*"]
    found["Statement"].append(allow(["s3:ListBucket", "s3:GetObject"], bucket, Sid="AccessPoints", **through))
    c(f"aws s3api put-bucket-policy --bucket {IMAGES} --policy {c.write('bucket.json', found)}")


def give_pods_the_role(a: Terminal) -> None:
    """Account A: the service account, and the association that gives its pods the data access role."""
    a(f"kubectl create serviceaccount trainer -n {namespace(BY_HAND)}")
    a(
        f"aws eks create-pod-identity-association --cluster-name {EKS_CLUSTER}"
        f" --namespace {namespace(BY_HAND)} --service-account trainer --role-arn {DATA_ACCESS}"
    )


# ---- the scientist's work ---------------------------------------------------------------------------------------


def a_job(team: str, alias: str) -> Item:
    """A job of the team's queue, which lists what lies below the prefix, and gets an object."""
    commands = {
        "list": f"s3api list-objects-v2 --bucket {alias} --prefix {PREFIX}",
        "get": f"s3api get-object --bucket {alias} --key {IMAGE_KEY} /tmp/image",
    }
    containers = [
        {"name": name, "image": f"{IMAGE}:latest", "args": [*command.split(), "--region", REGION]}
        for name, command in commands.items()
    ]
    pod = {"serviceAccountName": "trainer", "restartPolicy": "Never", "containers": containers}
    labels = {"kueue.x-k8s.io/queue-name": f"{namespace(team)}-localqueue"}
    metadata = {"name": "read-data", "namespace": namespace(team), "labels": labels}
    spec = {"template": {"spec": pod}, "backoffLimit": 0}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def work(scientist: Terminal, team: str, alias: str) -> None:
    """Everything that a scientist types from the first day to the first result, with kubectl."""
    who = json.loads(scientist("aws sts get-caller-identity --profile cluster-access"))
    assert who["Account"] == HUB
    assert scientist(f"kubectl auth can-i create jobs.batch -n {namespace(team)}") == "yes\n"
    assert "no\n" in scientist.refused("kubectl auth can-i create jobs.batch -n default")
    scientist("kubectl apply -f -", a_job(team, alias))
    scientist(f"kubectl wait --for=condition=complete job/read-data -n {namespace(team)} --timeout=60s")
    listed = json.loads(scientist(f"kubectl logs job/read-data -c list -n {namespace(team)}"))
    assert {one["Key"].partition("/")[0] for one in listed["Contents"]} == {"imagenet"}
    assert "ContentLength" in json.loads(scientist(f"kubectl logs job/read-data -c get -n {namespace(team)}"))


def train(scientist: Terminal, team: str) -> None:
    """The same with HyperPod's own command."""
    scientist(f"hyp set-cluster-context --cluster-name {HYPERPOD_CLUSTER} --namespace {namespace(team)}")
    scientist(
        f"hyp create hyp-pytorch-job --job-name train --image train:1 --namespace {namespace(team)}"
        f" --queue-name {namespace(team)}-localqueue --service-account-name trainer --replica-count 1"
    )


def test_a_scientist_works_with_what_was_made_by_hand(world: World, by_hand: Terminal) -> None:
    """Each step of AWS's post works as it is typed, from the compute quota to the data that the job's pod has read."""
    point = world.sandbox.client("s3control", DATA).get_access_point(AccountId=DATA, Name=POINT)
    work(by_hand, BY_HAND, point["Alias"])


def test_hyp_works_with_what_was_made_by_hand(by_hand: Terminal) -> None:
    """hyp enters the cluster and makes a training job in the team's queue (sagemaker-hyperpod on PyPI)."""
    train(by_hand, BY_HAND)
    assert "train" in by_hand(f"hyp list hyp-pytorch-job --namespace {namespace(BY_HAND)}")


# ---- podshare's record in its place -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recorded(
    world: World,
    by_hand: Terminal,  # noqa: ARG001  # it has to be there before
    tmp_path_factory: pytest.TempPathFactory,
) -> Terminal:
    """The terminal of a scientist of a team with a record that asks for the same, beside the team made by hand."""
    status = world.put_team(
        RECORDED,
        members=[{"account": VISION}],
        access=["edit", "training"],
        quota={"resources": [{"instance_type": "ml.g5.12xlarge", "count": 1}]},
    )
    assert status["state"] == "READY", status
    scientist = f"arn:aws:iam::{VISION}:role/podshare/podshare-{RECORDED}-scientist"
    cluster_access = world.cluster_access_role(RECORDED, VISION)
    return a_scientist(world, tmp_path_factory.mktemp("recorded"), scientist, cluster_access)


def test_a_scientist_works_the_same_with_a_record(world: World, recorded: Terminal) -> None:
    """The commands that worked by hand work for a team of podshare's, which is READY beside what it did not make."""
    point = world.access_point(RECORDED, "imagenet").rpartition("/")[2]
    alias = world.sandbox.client("s3control", DATA).get_access_point(AccountId=DATA, Name=point)["Alias"]
    work(recorded, RECORDED, alias)


def test_hyp_works_the_same_with_a_record(recorded: Terminal) -> None:
    """hyp asks nothing of AWS that a role made by podshare may not do."""
    train(recorded, RECORDED)


VERBS = ("get", "list", "watch", "create", "update", "delete", "impersonate")
RESOURCES = (
    "pods", "pods/log", "pods/exec", "pods/portforward", "secrets", "configmaps", "serviceaccounts", "services",
    "persistentvolumeclaims", "resourcequotas", "nodes", "namespaces", "deployments.apps", "jobs.batch",
    "pytorchjobs.kubeflow.org", "hyperpodpytorchjobs.sagemaker.amazonaws.com", "rayclusters.ray.io",
    "localqueues.kueue.x-k8s.io", "workloads.kueue.x-k8s.io", "clusterqueues.kueue.x-k8s.io",
    "networkpolicies.networking.k8s.io", "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io",
    "customresourcedefinitions.apiextensions.k8s.io",
)  # fmt: skip


def access_reviews(api: Client, team: str, other: str) -> set[tuple[str, str, str]]:
    """What the cluster allows: verb, resource, and where."""
    places = {"own": namespace(team), "foreign": namespace(other), "default": "default", "cluster": ""}
    return {
        (verb, resource, place)
        for verb in VERBS
        for resource in RESOURCES
        for place, where in places.items()
        if _reviewed(api, verb, resource, where)
    }


def _reviewed(api: Client, verb: str, resource: str, where: str) -> bool:
    name, _, subresource = resource.partition("/")
    name, _, group = name.partition(".")
    asked = ResourceAttributes(verb=verb, group=group, resource=name, subresource=subresource, namespace=where)
    review = api.create(SelfSubjectAccessReview(spec=SelfSubjectAccessReviewSpec(resourceAttributes=asked)))
    return bool(review.status and review.status.allowed)


def sessions(world: World) -> dict[str, boto3.Session]:
    """A scientist's session of each team's cluster access role."""
    scientist = world.session(SCIENTIST, world.sandbox.session(VISION, REGION))
    return {BY_HAND: world.session(CLUSTER_ACCESS, scientist), RECORDED: world.cluster_access(RECORDED, VISION)}


@pytest.mark.usefixtures("recorded")
def test_the_cluster_answers_both_the_same(world: World) -> None:
    """Access reviews of all verbs and resources, in the own namespace and others: what podshare gives is what AWS has."""
    asked = sessions(world)
    by_hand = access_reviews(world.kubernetes(asked[BY_HAND]), BY_HAND, RECORDED)
    by_record = access_reviews(world.kubernetes(asked[RECORDED]), RECORDED, BY_HAND)
    assert by_record == by_hand
    assert ("create", "hyperpodpytorchjobs.sagemaker.amazonaws.com", "own") in by_hand
    assert ("list", "nodes", "cluster") in by_hand
    elsewhere = {resource for _, resource, place in by_hand if place != "own"}
    assert elsewhere == {
        "nodes",
        "namespaces",
        *(one for one in RESOURCES if one.startswith(("clusterqueues", "customres"))),
    }


def decisions(calls: dict[str, Callable[[], Any]]) -> dict[str, bool]:
    """Which of the calls IAM allows."""
    return {name: not refused(call) for name, call in calls.items()}


def calls_of_a_scientist(world: World, session: boto3.Session, own: str, other: str) -> dict[str, Callable[[], Any]]:
    """What a holder of the cluster access role ``own`` may ask AWS for, and what not."""
    iam, eks, sagemaker = session.client("iam"), session.client("eks"), session.client("sagemaker")
    quota = world.sandbox.client("sagemaker").list_compute_quotas()["ComputeQuotaSummaries"][0]["ComputeQuotaId"]
    return {
        "describe the EKS cluster": lambda: eks.describe_cluster(name=EKS_CLUSTER),
        "describe the HyperPod cluster": lambda: sagemaker.describe_cluster(ClusterName=HYPERPOD_CLUSTER),
        "list clusters": sagemaker.list_clusters,
        "get its role": lambda: iam.get_role(RoleName=own.rpartition("/")[2]),
        "describe its entry": lambda: eks.describe_access_entry(clusterName=EKS_CLUSTER, principalArn=own),
        "get the other role": lambda: iam.get_role(RoleName=other.rpartition("/")[2]),
        "describe the other entry": lambda: eks.describe_access_entry(clusterName=EKS_CLUSTER, principalArn=other),
        "list entries": lambda: eks.list_access_entries(clusterName=EKS_CLUSTER),
        "delete its entry": lambda: eks.delete_access_entry(clusterName=EKS_CLUSTER, principalArn=own),
        "delete a quota": lambda: sagemaker.delete_compute_quota(ComputeQuotaId=quota),
        "list roles": iam.list_roles,
        "read the bucket": lambda: session.client("s3").list_objects_v2(Bucket=IMAGES, Prefix=PREFIX),
        "assume the other role": lambda: world.session(other, session),
    }


@pytest.mark.usefixtures("recorded")
def test_aws_answers_the_scientists_of_both_the_same(world: World) -> None:
    """The cluster access roles may read their cluster, themselves and no more; neither gets into the other."""
    roles = {BY_HAND: CLUSTER_ACCESS, RECORDED: world.cluster_access_role(RECORDED, VISION)}
    asked = sessions(world)
    found = {
        team: decisions(calls_of_a_scientist(world, asked[team], roles[team], roles[other]))
        for team, other in ((BY_HAND, RECORDED), (RECORDED, BY_HAND))
    }
    assert found[RECORDED] == found[BY_HAND]
    assert [name for name, allowed in found[BY_HAND].items() if allowed] == [
        "describe the EKS cluster",
        "describe the HyperPod cluster",
        "list clusters",
        "get its role",
        "describe its entry",
    ]


def calls_of_a_pod(session: boto3.Session, own: str, other: str) -> dict[str, Callable[[], Any]]:
    """What a pod of the service account does through its own access point, around it, and through the other team's."""
    s3 = session.client("s3")
    return {
        "list below the prefix": lambda: s3.list_objects_v2(Bucket=own, Prefix=PREFIX),
        "get below the prefix": lambda: s3.get_object(Bucket=own, Key=IMAGE_KEY),
        "list everything": lambda: s3.list_objects_v2(Bucket=own),
        "list outside": lambda: s3.list_objects_v2(Bucket=own, Prefix=OUTSIDE),
        "get outside": lambda: s3.get_object(Bucket=own, Key=OUTSIDE_KEY),
        "put below the prefix": lambda: s3.put_object(Bucket=own, Key=f"{PREFIX}new", Body=b"x"),
        "delete below the prefix": lambda: s3.delete_object(Bucket=own, Key=IMAGE_KEY),
        "list without the access point": lambda: s3.list_objects_v2(Bucket=IMAGES, Prefix=PREFIX),
        "get without the access point": lambda: s3.get_object(Bucket=IMAGES, Key=IMAGE_KEY),
        "list by the other access point": lambda: s3.list_objects_v2(Bucket=other, Prefix=PREFIX),
        "get by the other access point": lambda: s3.get_object(Bucket=other, Key=IMAGE_KEY),
    }


@pytest.mark.usefixtures("recorded")
def test_aws_answers_the_pods_of_both_the_same(world: World) -> None:
    """The data access roles list and get below the prefix through their own access point, and nothing else."""
    points = {BY_HAND: POINT_ARN, RECORDED: world.access_point(RECORDED, "imagenet")}
    found = {
        team: decisions(calls_of_a_pod(world.pod(team, "trainer"), points[team], points[other]))
        for team, other in ((BY_HAND, RECORDED), (RECORDED, BY_HAND))
    }
    assert found[RECORDED] == found[BY_HAND]
    assert [name for name, allowed in found[BY_HAND].items() if allowed] == [
        "list below the prefix",
        "get below the prefix",
    ]


# ---- where the two differ ----------------------------------------------------------------------------------------


def data_access_role(world: World) -> str:
    """The role that podshare has associated with its team's service account."""
    eks = world.sandbox.client("eks", HUB)
    place = {"clusterName": EKS_CLUSTER, "namespace": namespace(RECORDED), "serviceAccount": "trainer"}
    (found,) = eks.list_pod_identity_associations(**place)["associations"]
    described = eks.describe_pod_identity_association(clusterName=EKS_CLUSTER, associationId=found["associationId"])
    return str(described["association"]["roleArn"])


def gets_role_elsewhere(world: World, role: str) -> bool:
    """Whether pods of another namespace act in a role, once somebody has associated it with their service account."""
    eks, api = world.sandbox.client("eks", HUB), kubernetes.api_of(EKS_ARN)
    place = {"clusterName": EKS_CLUSTER, "namespace": "default", "serviceAccount": "default"}
    made = eks.create_pod_identity_association(**place, roleArn=role)["association"]
    api.run_pod("default", "borrower", "default")
    try:
        pod_identity.credentials_of_pod(EKS_ARN, "default", "default", "borrower")
    except AccessDenied:
        return False
    finally:
        api.delete("Pod", "default", "borrower")
        eks.delete_pod_identity_association(clusterName=EKS_CLUSTER, associationId=made["associationId"])
    return True


def conditions_of_trust(world: World, role: str) -> set[str]:
    """The condition keys of a role's trust."""
    found = world.sandbox.client("iam", HUB).get_role(RoleName=role.rpartition("/")[2])["Role"]
    (statement,) = found["AssumeRolePolicyDocument"]["Statement"]
    return {key for operator in statement.get("Condition", {}).values() for key in operator}


@pytest.mark.usefixtures("recorded")
def test_podshares_trusts_have_conditions_that_the_posts_lack(world: World) -> None:
    """A data access role is of one service account on one cluster, and a member's of the organization (docs/security.md).

    By hand, whoever may make an association gives the data to any pods of the cluster.
    """
    role, cluster_access = data_access_role(world), world.cluster_access_role(RECORDED, VISION)
    assert (gets_role_elsewhere(world, DATA_ACCESS), gets_role_elsewhere(world, role)) == (True, False)
    assert conditions_of_trust(world, DATA_ACCESS) == conditions_of_trust(world, CLUSTER_ACCESS) == set()
    assert conditions_of_trust(world, cluster_access) == {"aws:PrincipalArn", "aws:PrincipalOrgID"}
    assert conditions_of_trust(world, role) == {
        "aws:RequestTag/eks-cluster-arn",
        "aws:RequestTag/kubernetes-namespace",
        "aws:RequestTag/kubernetes-service-account",
        "aws:SourceAccount",
        "aws:SourceArn",
    }


@pytest.mark.usefixtures("recorded")
def test_podshares_buckets_delegate_to_its_own_access_points(world: World) -> None:
    """By hand a bucket trusts all access points of its account; podshare's statement its own, for the organization alone."""
    statements = {statement["Sid"]: statement for statement in world.bucket_statements(IMAGES)}
    by_hand = statements.pop("AccessPoints")
    (own,) = (statement for sid, statement in statements.items() if "podshare" in sid)
    assert by_hand["Condition"] == {"StringEquals": {"s3:DataAccessPointAccount": DATA}}
    assert own["Condition"] == {
        "StringEquals": {"aws:PrincipalOrgID": "o-podshare01", "s3:DataAccessPointAccount": DATA},
        "ArnLike": {"s3:DataAccessPointArn": f"arn:aws:s3:{REGION}:{DATA}:accesspoint/podshare-*"},
    }


def make_anew(world: World, arn: str, cluster_access: str) -> None:
    """Account B deletes its data scientist role, and makes one of the same name."""
    path, _, name = arn.partition(":role")[2].rpartition("/")
    iam = world.sandbox.client("iam", VISION)
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    for document in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=document)
    iam.delete_role(RoleName=name)
    iam.create_role(RoleName=name, Path=f"{path}/", AssumeRolePolicyDocument=json.dumps(trust))
    way = json.dumps(policy(allow("sts:AssumeRole", cluster_access)))
    iam.put_role_policy(RoleName=name, PolicyName="cluster-access", PolicyDocument=way)


@pytest.mark.usefixtures("recorded")
def test_a_scientist_role_made_anew_gets_in_by_podshares_trust_alone(world: World) -> None:
    """A trust that names a role means that very role (IAM user guide, AWS JSON policy elements: Principal).

    podshare's names it by condition: what docs/security.md counts as its price, and mends a role that was lost.
    """
    cluster_access = world.cluster_access_role(RECORDED, VISION)
    make_anew(world, SCIENTIST, CLUSTER_ACCESS)
    make_anew(world, f"arn:aws:iam::{VISION}:role/podshare/podshare-{RECORDED}-scientist", cluster_access)
    scientist = world.session(SCIENTIST, world.sandbox.session(VISION, REGION))
    assert refused(lambda: world.session(CLUSTER_ACCESS, scientist))
    assert world.cluster_access(RECORDED, VISION)

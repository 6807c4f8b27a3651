"""Changes become known late where AWS's do: each to each reader after its own delay, which the seed draws."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from podshare_sandbox import Sandbox, clock, consistency
from podshare_sandbox.consistency import DELAYS, Known
from podshare_sandbox.organization import DATA, EKS_CLUSTER, HUB, HUB_REGION, HYPERPOD_CLUSTER
from podshare_sandbox.services import eks, pod_identity
from podshare_sandbox.services.kubernetes import authentication
from podshare_sandbox.services.kubernetes.errors import KubernetesError
from sandbox.tests.eks_accounts import refused

SCALE = 0.02
NEVER = 1e6  # seconds: until a test says otherwise
BUCKET = f"web-text-{DATA}"
TRUST = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "sts:AssumeRole"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """An organization in which changes become known late."""
    with Sandbox(time_scale=SCALE, lag_seed=7) as found:
        yield found


class Readers:
    """Who learns of changes at once, and who does not until further notice."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._set = monkeypatch.setitem

    def learn(self) -> None:
        """All know all that has been changed."""
        for readers in DELAYS.values():
            for reader in readers:
                self._set(readers, reader, (0.0, 0.0))

    def miss(self, kind: str, reader: str) -> None:
        """``reader`` knows nothing of the last change of such a thing, nor of those to come."""
        self._set(DELAYS[kind], reader, (NEVER, NEVER))


@pytest.fixture(autouse=True)
def readers(monkeypatch: pytest.MonkeyPatch) -> Readers:
    """Everybody learns of everything at once, and no quota fails, unless a test says otherwise."""
    monkeypatch.setattr(consistency, "FAILURES", 0.0)
    found = Readers(monkeypatch)
    found.learn()
    return found


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def a_role(sandbox: Sandbox, name: str) -> str:
    made = sandbox.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document(TRUST))
    return str(made["Role"]["Arn"])


def assumed(sandbox: Sandbox, role: str) -> boto3.Session:
    sts = sandbox.session(HUB).client("sts")
    keys = sts.assume_role(RoleArn=role, RoleSessionName="ada")["Credentials"]
    return sandbox.session_of(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


def answers(call: Callable[[], Any]) -> bool:
    """Whether a call is answered, rather than refused."""
    try:
        call()
    except (ClientError, pod_identity.PodIdentityError, KubernetesError):
        return False
    return True


# --- delays -------------------------------------------------------------------------------------------------


def test_a_seed_draws_the_same_delays_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delays follow from the seed, the reader, the thing and the number of its change, and from nothing else."""

    def drawn(seed: int) -> list[float]:
        consistency.begin(seed)
        roles = Known[str]("role", HUB)
        return [roles._delay(reader, name, 1) for reader in DELAYS["role"] for name in ("one", "other")]

    for reader in DELAYS["role"]:
        monkeypatch.setitem(DELAYS["role"], reader, (2.0, 15.0))
    try:
        assert drawn(7) == drawn(7) != drawn(8)
        assert len(set(drawn(7))) == len(drawn(7))
        assert all(2 <= delay <= 15 for delay in drawn(7))
    finally:
        consistency.begin(7)


def test_a_reader_never_goes_back_behind_what_it_has_seen(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes are seen in their order: what was before the first, then what was between, then what is."""
    clock.set_scale(20)
    consistency.begin(7)
    monkeypatch.setitem(DELAYS["role"], "iam", (20.0, 20.0))
    roles = Known[str]("role", "any")
    roles.changed("one", None)
    assert roles.to("iam", "one", "new") is None
    sandbox.advance(clock.scaled(10))
    roles.changed("one", "new")
    seen = [roles.to("iam", "one", "changed")]
    while seen[-1] != "changed":
        sandbox.advance(clock.scaled(1))
        seen.append(roles.to("iam", "one", "changed"))
    assert list(dict.fromkeys(seen)) == [None, "new", "changed"]
    assert roles.all_to("iam", {}) == {}
    clock.set_scale(SCALE)


def test_without_a_seed_everything_is_known_at_once(readers: Readers) -> None:
    """A sandbox that is given no seed is as consistent as it always was."""
    consistency.begin(None)
    try:
        readers.miss("role", "iam")
        Known[str]("role", "any").changed("one", None)
        assert Known[str]("role", "any").to("iam", "one", "new") == "new"
        assert not any(consistency.fails("quota") for _ in range(50))
    finally:
        consistency.begin(7)


def test_a_new_quota_fails_sometimes_and_never_twice_running(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes a failed compute quota anew gets one."""
    monkeypatch.setattr(consistency, "FAILURES", 0.5)
    consistency.begin(7)
    failed = [consistency.fails("quota") for _ in range(40)]
    assert 5 < sum(failed) < 20
    assert not any(one and other for one, other in itertools.pairwise(failed))
    consistency.begin(7)
    assert failed == [consistency.fails("quota") for _ in range(40)]


# --- roles --------------------------------------------------------------------------------------------------


def test_iam_itself_finds_a_new_role_late(sandbox: Sandbox, readers: Readers) -> None:
    """Its name is taken at once, while neither reads nor changes find it yet."""
    readers.miss("role", "iam")
    iam = sandbox.client("iam")
    role = a_role(sandbox, "late")
    assert refused(iam.get_role, RoleName="late")[:2] == ("NoSuchEntity", 404)
    details = iam.get_account_authorization_details(Filter=["Role"], MaxItems=1000)["RoleDetailList"]
    assert "late" not in {detail["RoleName"] for detail in details}
    policy = document({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
    assert refused(iam.put_role_policy, RoleName="late", PolicyName="p", PolicyDocument=policy)[0] == "NoSuchEntity"
    assert refused(iam.create_role, RoleName="late", AssumeRolePolicyDocument=document(TRUST))[0] == (
        "EntityAlreadyExists"
    )
    readers.learn()
    assert iam.get_role(RoleName="late")["Role"]["Arn"] == role


def test_iam_still_reads_a_role_that_is_gone(sandbox: Sandbox, readers: Readers) -> None:
    """It can be read, and listed, for a moment, but not changed."""
    iam = sandbox.client("iam")
    role = a_role(sandbox, "gone")
    iam.delete_role(RoleName="gone")
    readers.miss("role", "iam")
    assert iam.get_role(RoleName="gone")["Role"]["Arn"] == role
    assert "gone" in [one["RoleName"] for one in iam.list_roles()["Roles"]]
    assert refused(iam.delete_role, RoleName="gone")[0] == "NoSuchEntity"
    readers.learn()
    assert refused(iam.get_role, RoleName="gone")[0] == "NoSuchEntity"
    assert "gone" not in [one["RoleName"] for one in iam.list_roles()["Roles"]]


def test_who_may_act_on_a_path_is_denied_a_role_that_iam_does_not_know_yet(sandbox: Sandbox, readers: Readers) -> None:
    """A permission that names the path does not cover it, and the refusal is that of a role that is known."""
    iam = sandbox.client("iam")
    allowed = document({"Effect": "Allow", "Action": "iam:*", "Resource": f"arn:aws:iam::{HUB}:role/team/*"})
    keeper = a_role(sandbox, "keeper")
    iam.put_role_policy(RoleName="keeper", PolicyName="p", PolicyDocument=allowed)
    own = assumed(sandbox, keeper).client("iam")
    readers.miss("role", "iam")
    own.create_role(RoleName="fresh", Path="/team/", AssumeRolePolicyDocument=document(TRUST))
    code, _, message = refused(own.list_role_policies, RoleName="fresh")
    assert (code, "on resource: role fresh because no" in message) == ("AccessDenied", True)
    readers.learn()
    assert own.list_role_policies(RoleName="fresh")["PolicyNames"] == []


def test_eks_learns_of_a_new_role_late(sandbox: Sandbox, readers: Readers) -> None:
    """Until then it refuses the role in its own words, for access entries and for Pod Identity."""
    readers.miss("role", "eks")
    arn, client = a_role(sandbox, "for-eks"), sandbox.client("eks")
    code, status, message = refused(client.create_access_entry, clusterName=EKS_CLUSTER, principalArn=arn)
    assert (code, status) == ("InvalidParameterException", 400)
    assert message.endswith("The specified principalArn is invalid: invalid principal")
    given = {"clusterName": EKS_CLUSTER, "namespace": "any", "serviceAccount": "late", "roleArn": arn}
    assert refused(client.create_pod_identity_association, **given)[2].endswith(
        "Role provided in the request does not exist."
    )
    readers.learn()
    client.create_access_entry(clusterName=EKS_CLUSTER, principalArn=arn)
    assert client.create_pod_identity_association(**given)["association"]["roleArn"] == arn


def test_s3_learns_of_a_new_role_late(sandbox: Sandbox, readers: Readers) -> None:
    """Until then a policy that names it has an invalid principal."""
    readers.miss("role", "s3")
    reads = {"Effect": "Allow", "Principal": {"AWS": a_role(sandbox, "for-s3")}, "Action": "s3:ListBucket"}
    policy = document({**reads, "Resource": f"arn:aws:s3:::{BUCKET}"})
    put = sandbox.client("s3", DATA).put_bucket_policy
    code, status, message = refused(put, Bucket=BUCKET, Policy=policy)
    assert (code, status, message.endswith("Invalid principal in policy")) == ("MalformedPolicy", 400, True)
    readers.learn()
    assert answers(lambda: put(Bucket=BUCKET, Policy=policy))
    sandbox.client("s3", DATA).delete_bucket_policy(Bucket=BUCKET)


def test_trust_and_permissions_apply_late(sandbox: Sandbox, readers: Readers) -> None:
    """A new role is assumed by nobody at first; what it was allowed before still holds after it was taken away."""
    iam = sandbox.client("iam")
    readers.miss("role", "authorization")
    role = a_role(sandbox, "edited")
    assert not answers(lambda: assumed(sandbox, role))
    lists = document({"Effect": "Allow", "Action": "eks:ListClusters", "Resource": "*"})
    iam.put_role_policy(RoleName="edited", PolicyName="lists", PolicyDocument=lists)
    readers.learn()
    session = assumed(sandbox, role)
    assert answers(session.client("eks").list_clusters)
    iam.tag_role(RoleName="edited", Tags=[{"Key": "anything", "Value": "else"}])
    readers.miss("role", "authorization")
    iam.delete_role_policy(RoleName="edited", PolicyName="lists")
    iam.update_assume_role_policy(RoleName="edited", PolicyDocument=document({**TRUST, "Effect": "Deny"}))
    assert answers(session.client("eks").list_clusters)
    assert answers(lambda: assumed(sandbox, role))
    readers.learn()
    assert not answers(session.client("eks").list_clusters)
    assert not answers(lambda: assumed(sandbox, role))


# --- EKS ----------------------------------------------------------------------------------------------------


def test_the_cluster_honours_and_refuses_an_access_entry_late(sandbox: Sandbox, readers: Readers) -> None:
    """Its API lets people in some seconds after the entry was made, and out some seconds after it was deleted."""
    cluster, client = eks.cluster_of(f"arn:aws:eks:{HUB_REGION}:{HUB}:cluster/{EKS_CLUSTER}"), sandbox.client("eks")
    role = a_role(sandbox, "scientist")
    unique_id = sandbox.client("iam").get_role(RoleName="scientist")["Role"]["RoleId"]

    def is_let_in() -> bool:
        known = eks.known_entries(cluster).all_to(
            "cluster", eks.ClusterExtension.of(cluster).resources(eks.AccessEntry)
        )
        return unique_id in [entry.principal_id for entry in known.values()]

    assert authentication.known_entries is eks.known_entries  # which is what the authenticator asks
    readers.miss("access-entry", "cluster")
    client.create_access_entry(clusterName=EKS_CLUSTER, principalArn=role)
    assert not is_let_in()
    readers.learn()
    assert is_let_in()
    client.delete_access_entry(clusterName=EKS_CLUSTER, principalArn=role)
    readers.miss("access-entry", "cluster")
    assert is_let_in()
    readers.learn()
    assert not is_let_in()


def test_a_new_access_entry_is_not_found_at_first(sandbox: Sandbox, readers: Readers) -> None:
    """Neither described nor given a policy, while another of its kind is refused as a duplicate."""
    client = sandbox.client("eks")
    entry = {"clusterName": EKS_CLUSTER, "principalArn": a_role(sandbox, "unfound")}
    readers.miss("access-entry", "eks")
    client.create_access_entry(**entry)
    assert refused(client.describe_access_entry, **entry)[:2] == ("ResourceNotFoundException", 404)
    view = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
    scoped = {**entry, "policyArn": view, "accessScope": {"type": "cluster"}}
    assert refused(client.associate_access_policy, **scoped)[0] == "ResourceNotFoundException"
    assert refused(client.create_access_entry, **entry)[0] == "ResourceInUseException"
    readers.learn()
    assert answers(lambda: client.associate_access_policy(**scoped))


# --- lists --------------------------------------------------------------------------------------------------


def _entries(sandbox: Sandbox) -> tuple[Callable[[], Any], Callable[[], Any], Callable[[], list[Any]]]:
    client = sandbox.client("eks")
    entry = {"clusterName": EKS_CLUSTER, "principalArn": a_role(sandbox, "listed")}
    return (
        lambda: client.create_access_entry(**entry),
        lambda: client.delete_access_entry(**entry),
        lambda: [
            one for one in client.list_access_entries(clusterName=EKS_CLUSTER)["accessEntries"] if "listed" in one
        ],
    )


def _associations(sandbox: Sandbox) -> tuple[Callable[[], Any], Callable[[], Any], Callable[[], list[Any]]]:
    client, subject = sandbox.client("eks"), {"clusterName": EKS_CLUSTER, "namespace": "any", "serviceAccount": "one"}
    role, made = a_role(sandbox, "for-pods"), list[str]()

    def create() -> None:
        found = client.create_pod_identity_association(**subject, roleArn=role)["association"]
        made.append(found["associationId"])

    return (
        create,
        lambda: client.delete_pod_identity_association(clusterName=EKS_CLUSTER, associationId=made[-1]),
        lambda: client.list_pod_identity_associations(**subject)["associations"],
    )


def _quotas(sandbox: Sandbox) -> tuple[Callable[[], Any], Callable[[], Any], Callable[[], list[Any]]]:
    client, made = sandbox.client("sagemaker"), list[str]()
    cluster = client.describe_cluster(ClusterName=HYPERPOD_CLUSTER)["ClusterArn"]
    lines = [{"InstanceType": "ml.g5.12xlarge", "Count": 1}]

    def create() -> None:
        config, target = {"ComputeQuotaResources": lines}, {"TeamName": "listed"}
        made.append(
            client.create_compute_quota(
                Name="listed", ClusterArn=cluster, ComputeQuotaConfig=config, ComputeQuotaTarget=target
            )["ComputeQuotaId"]
        )

    def delete() -> None:
        """Once it may be deleted, until it is: nothing but lists is late to know."""
        while not answers(lambda: client.delete_compute_quota(ComputeQuotaId=made[-1])):
            time.sleep(0.01)
        while answers(lambda: client.describe_compute_quota(ComputeQuotaId=made[-1])):
            time.sleep(0.01)

    return create, delete, lambda: client.list_compute_quotas(NameContains="listed")["ComputeQuotaSummaries"]


def _points(sandbox: Sandbox) -> tuple[Callable[[], Any], Callable[[], Any], Callable[[], list[Any]]]:
    client = sandbox.client("s3control", DATA)
    return (
        lambda: client.create_access_point(AccountId=DATA, Name="listed", Bucket=BUCKET),
        lambda: client.delete_access_point(AccountId=DATA, Name="listed"),
        lambda: client.list_access_points(AccountId=DATA, Bucket=BUCKET)["AccessPointList"],
    )


@pytest.mark.parametrize(
    ("kind", "calls"),
    [
        ("access-entry", _entries),
        ("pod-identity-association", _associations),
        ("compute-quota", _quotas),
        ("access-point", _points),
    ],
)
def test_lists_are_behind_creations_and_deletions(
    sandbox: Sandbox, readers: Readers, kind: str, calls: Callable[[Sandbox], Any]
) -> None:
    """What was just made is not listed yet, what was just deleted still is; who asks for the truth gets it."""
    create, delete, listed = calls(sandbox)
    readers.miss(kind, "lists")
    create()
    assert listed() == []
    with consistency.at_once():
        assert len(listed()) == 1
    readers.learn()
    assert len(listed()) == 1
    delete()
    readers.miss(kind, "lists")
    assert len(listed()) == 1
    readers.learn()
    assert listed() == []


# --- S3 -----------------------------------------------------------------------------------------------------


def test_a_bucket_policy_reads_as_written_and_is_enforced_late(sandbox: Sandbox, readers: Readers) -> None:
    """GetBucketPolicy tells the new policy at once, while requests still meet the old one."""
    readers.miss("bucket-policy", "requests")
    owner = sandbox.client("s3", DATA)
    reader = {"AWS": f"arn:aws:iam::{HUB}:user/admin"}
    reads = {"Effect": "Allow", "Principal": reader, "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{BUCKET}"}
    owner.put_bucket_policy(Bucket=BUCKET, Policy=document(reads))
    assert json.loads(owner.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"] == [reads]
    assert not answers(lambda: sandbox.client("s3", HUB).list_objects_v2(Bucket=BUCKET))
    readers.learn()
    assert answers(lambda: sandbox.client("s3", HUB).list_objects_v2(Bucket=BUCKET))
    owner.delete_bucket_policy(Bucket=BUCKET)
    readers.miss("bucket-policy", "requests")
    assert answers(lambda: sandbox.client("s3", HUB).list_objects_v2(Bucket=BUCKET))
    readers.learn()
    assert not answers(lambda: sandbox.client("s3", HUB).list_objects_v2(Bucket=BUCKET))

"""What is set up on a HyperPod cluster, and by which roles and access points, as AWS's APIs return it.

Only what gives a HyperPod team compute, people or data is read: see docs/importing.md for the calls.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from podshare.kinds.subjects import subject_of
from podshare.policy.policies import canonical, parse, statements
from podshare.registry.items import TEAM_NAMESPACES
from podshare_cli.aws.accounts import Accounts
from podshare_cli.aws.clusters import UnreadableError, listed, opened
from podshare_cli.failures import Failure

_ROLE_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/rolebindings"
Statement = Mapping[str, Any]


@dataclass(frozen=True)
class HyperPod:
    """The cluster, by its names and where it is."""

    arn: str
    name: str
    eks_cluster: str

    @property
    def account(self) -> str:
        """The account of the cluster."""
        return self.arn.split(":")[4]

    @property
    def region(self) -> str:
        """The Region of the cluster."""
        return self.arn.split(":")[3]


@dataclass(frozen=True)
class ComputeQuota:
    """A compute quota as SageMaker describes it, with its tags."""

    described: Mapping[str, Any]
    tags: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.described["Name"])

    @property
    def team(self) -> str:
        """The HyperPod team that it is for."""
        return str(self.described["ComputeQuotaTarget"]["TeamName"])


@dataclass(frozen=True)
class Entry:
    """An access entry: the namespaces of each of its access policies (none: the whole cluster), and who may assume it.

    ``trust`` are the statements of its role's trust policy; None if its principal is no role, or cannot be read.
    """

    principal: str
    policies: Mapping[str, tuple[str, ...]]
    groups: tuple[str, ...]
    trust: tuple[Statement, ...] | None

    def reaches(self, namespace: str) -> bool:
        """Whether an access policy of the entry is scoped to the namespace."""
        return any(namespace in namespaces for namespaces in self.policies.values())


@dataclass(frozen=True)
class Association:
    """A pod identity association; ``access`` are the statements of its role, None if they cannot be read."""

    namespace: str
    service_account: str
    role: str
    access: tuple[Statement, ...] | None


@dataclass(frozen=True)
class AccessPoint:
    """An access point's bucket and the ARN of the key by which the bucket is encrypted; empty for S3's own.

    ``policy`` are the statements of the bucket's policy; none if they cannot be read.
    """

    arn: str
    bucket: str
    kms_key: str = ""
    policy: tuple[Statement, ...] = ()


@dataclass(frozen=True)
class Binding:
    """A RoleBinding: its role and its subjects, each by kind and name."""

    namespace: str
    name: str
    role: str
    subjects: tuple[str, ...]


@dataclass
class Setup:
    """All that was read of a cluster; ``unread`` says what could not be, and why.

    ``namespaces`` have their labels; None if the cluster's API lets nobody read them.
    """

    cluster: HyperPod
    quotas: Sequence[ComputeQuota] = ()
    entries: Sequence[Entry] = ()
    associations: Sequence[Association] = ()
    access_points: Mapping[str, AccessPoint] = field(default_factory=dict)
    bindings: Sequence[Binding] = ()
    namespaces: Mapping[str, Mapping[str, str]] | None = None
    unread: list[str] = field(default_factory=list)


class Reader:
    """Reads a cluster's account, and the accounts of the access points that its pods use."""

    def __init__(self, accounts: Accounts, account: str, region: str) -> None:
        self._accounts, self._account, self._region = accounts, account, region
        self._unread: list[str] = []

    def read(self, name: str) -> Setup:
        """Everything of the HyperPod cluster ``name``. Raises Failure if there is none that runs on EKS."""
        cluster = self._hyperpod(name)
        associations = list(self._associations(cluster))
        arns = sorted({arn for each in associations for line in each.access or () for arn in access_points_in(line)})
        points = {arn: point for arn in arns if (point := self._access_point(arn))}
        setup = Setup(
            cluster,
            list(self._quotas(cluster)),
            list(self._entries(cluster)),
            associations,
            points,
            unread=self._unread,
        )
        self._read_objects(setup)
        return setup

    def tag_quota(self, quota: ComputeQuota, tags: Mapping[str, str]) -> None:
        """Give tags to a compute quota."""
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        self._sagemaker.add_tags(ResourceArn=quota.described["ComputeQuotaArn"], Tags=pairs)

    def _hyperpod(self, name: str) -> HyperPod:
        try:
            described = self._sagemaker.describe_cluster(ClusterName=name)
        except ClientError as error:
            raise Failure(
                f"HyperPod cluster {name} cannot be read in account {self._account}, {self._region}: {error}",
                "Correct its name, --account or --region.",
            ) from None
        eks = described.get("Orchestrator", {}).get("Eks", {}).get("ClusterArn", "")
        if not eks:
            raise Failure(f"HyperPod cluster {name} does not run on EKS.", "podshare shares clusters on EKS only.")
        return HyperPod(described["ClusterArn"], described["ClusterName"], eks.rpartition("/")[2])

    def _quotas(self, cluster: HyperPod) -> Iterator[ComputeQuota]:
        pages = self._sagemaker.get_paginator("list_compute_quotas").paginate(ClusterArn=cluster.arn)
        for page in pages:
            for summary in page["ComputeQuotaSummaries"]:
                if summary["Status"] not in ("Deleting", "Deleted"):
                    described = self._sagemaker.describe_compute_quota(ComputeQuotaId=summary["ComputeQuotaId"])
                    tag_pages = self._sagemaker.get_paginator("list_tags").paginate(
                        ResourceArn=summary["ComputeQuotaArn"]
                    )
                    tags = {tag["Key"]: tag["Value"] for tag_page in tag_pages for tag in tag_page["Tags"]}
                    yield ComputeQuota(described, tags)

    def _entries(self, cluster: HyperPod) -> Iterator[Entry]:
        for page in self._eks.get_paginator("list_access_entries").paginate(clusterName=cluster.eks_cluster):
            for principal in page["accessEntries"]:
                where = {"clusterName": cluster.eks_cluster, "principalArn": principal}
                entry = self._eks.describe_access_entry(**where)["accessEntry"]
                if entry["type"] == "STANDARD":
                    policies = self._eks.get_paginator("list_associated_access_policies").paginate(**where)
                    associated = [each for page in policies for each in page["associatedAccessPolicies"]]
                    scopes = {
                        each["policyArn"].rpartition("/")[2]: tuple(each["accessScope"].get("namespaces", ()))
                        for each in associated
                    }
                    yield Entry(principal, scopes, tuple(entry["kubernetesGroups"]), self._trust(principal))

    def _trust(self, principal: str) -> tuple[Statement, ...] | None:
        if ":role/" not in principal:
            return None
        try:
            role = self._iam.get_role(RoleName=principal.rpartition("/")[2])["Role"]
        except (ClientError, BotoCoreError) as error:
            self._unread.append(f"trust policy of {principal}: {error}")
            return None
        return _statements(role["AssumeRolePolicyDocument"])

    def _associations(self, cluster: HyperPod) -> Iterator[Association]:
        pages = self._eks.get_paginator("list_pod_identity_associations").paginate(clusterName=cluster.eks_cluster)
        for page in pages:
            for summary in page["associations"]:
                where = {"clusterName": cluster.eks_cluster, "associationId": summary["associationId"]}
                described = self._eks.describe_pod_identity_association(**where)["association"]
                yield Association(
                    described["namespace"],
                    described["serviceAccount"],
                    described["roleArn"],
                    self._access(described["roleArn"]),
                )

    def _access(self, role: str) -> tuple[Statement, ...] | None:
        """The statements of a role's inline and attached policies."""
        name = role.rpartition("/")[2]
        try:
            return tuple(statement for document in self._documents(name) for statement in _statements(document))
        except (ClientError, BotoCoreError) as error:
            self._unread.append(f"policies of {role}: {error}")
            return None

    def _documents(self, role: str) -> Iterator[Any]:
        for page in self._iam.get_paginator("list_role_policies").paginate(RoleName=role):
            for policy in page["PolicyNames"]:
                yield self._iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        for page in self._iam.get_paginator("list_attached_role_policies").paginate(RoleName=role):
            for policy in page["AttachedPolicies"]:
                version = self._iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
                asked = {"PolicyArn": policy["PolicyArn"], "VersionId": version}
                yield self._iam.get_policy_version(**asked)["PolicyVersion"]["Document"]

    def _read_objects(self, setup: Setup) -> None:
        """Add what the cluster's own API says: its namespaces, and the bindings in those of teams."""
        cluster = setup.cluster
        record = {"id": f"cluster#{cluster.name.lower()}", "account": cluster.account, "region": cluster.region}
        record |= {"eks_cluster": cluster.eks_cluster, "hyperpod_cluster": cluster.name}
        try:
            api = opened(self._accounts, record)
            namespaces, bindings = listed(api, "/api/v1/namespaces"), listed(api, _ROLE_BINDINGS)
        except (UnreadableError, ClientError, BotoCoreError) as error:
            self._unread.append(f"namespaces and RoleBindings of EKS cluster {cluster.eks_cluster}: {error}")
            return
        setup.namespaces = {each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in namespaces}
        in_teams = (each for each in bindings if each["metadata"]["namespace"].startswith(TEAM_NAMESPACES))
        setup.bindings = [*map(_binding, in_teams)]

    def _access_point(self, arn: str) -> AccessPoint | None:
        _, _, _, region, account, name = arn.split(":", 5)
        try:
            control = self._accounts.client("s3control", account, region)
            bucket = control.get_access_point(AccountId=account, Name=name.partition("/")[2])["Bucket"]
            return AccessPoint(
                arn, bucket, self._key_of(bucket, account, region), self._policy_of(bucket, account, region)
            )
        except (ClientError, BotoCoreError, Failure) as error:
            self._unread.append(f"access point {arn}: {error}")
            return None

    def _key_of(self, bucket: str, account: str, region: str) -> str:
        s3 = self._accounts.client("s3", account, region)
        try:
            rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        except ClientError as error:
            self._unread.append(f"by which key bucket {bucket} is encrypted: {error}")
            return ""
        return str(rules[0].get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID", ""))

    def _policy_of(self, bucket: str, account: str, region: str) -> tuple[Statement, ...]:
        try:
            text = self._accounts.client("s3", account, region).get_bucket_policy(Bucket=bucket)["Policy"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
                self._unread.append(f"the policy of bucket {bucket}: {error}")
            return ()
        return tuple(statements(parse(text)))

    @cached_property
    def _sagemaker(self) -> Any:
        return self._accounts.client("sagemaker", self._account, self._region)

    @cached_property
    def _eks(self) -> Any:
        return self._accounts.client("eks", self._account, self._region)

    @cached_property
    def _iam(self) -> Any:
        return self._accounts.client("iam", self._account, self._region)


def _binding(manifest: Mapping[str, Any]) -> Binding:
    role, metadata = manifest["roleRef"], manifest["metadata"]
    subjects = tuple(subject_of(subject) for subject in manifest.get("subjects") or ())
    return Binding(metadata["namespace"], metadata["name"], f"{role['kind']} {role['name']}", subjects)


def access_points_in(statement: Statement) -> set[str]:
    """The ARNs of the access points that a statement names, without what comes after their names."""
    resources = statement.get("Resource", ())
    return {"/".join(resource.split("/")[:2]) for resource in resources if ":accesspoint/" in resource}


def _statements(document: Any) -> tuple[Statement, ...]:
    """The statements of a policy, which boto3 parses, in one spelling."""
    return tuple(canonical(parse(document) if isinstance(document, str) else document))

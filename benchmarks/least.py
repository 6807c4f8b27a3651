"""The least that the APIs of AWS and Kubernetes allow for a team's resources: what the counts are held against."""

from collections.abc import Collection, Mapping

from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.desired import desired
from podshare.kinds.facts import ClusterFacts
from podshare.registry.parsing import parse_team
from tests.builders import CLUSTER, INSTALLATION, a_dataset

WRITES: Mapping[Kind, tuple[str, ...]] = {
    Kind.COMPUTE_QUOTA: ("sagemaker:CreateComputeQuota",),
    # an inline policy is a call of its own; trust, boundary and tags come with the role
    Kind.ROLE: ("iam:CreateRole", "iam:PutRolePolicy"),
    # one for the namespace's policy, one for the cluster-scoped one; an entry is created without any
    Kind.ACCESS_ENTRY: ("eks:CreateAccessEntry", "eks:AssociateAccessPolicy", "eks:AssociateAccessPolicy"),
    # SageMaker makes it; who owns it is a label
    Kind.NAMESPACE: ("kubernetes:PATCH namespaces",),
    Kind.SERVICE_ACCOUNT: ("kubernetes:PATCH serviceaccounts",),
    Kind.POD_IDENTITY_ASSOCIATION: ("eks:CreatePodIdentityAssociation",),
    # a policy cannot come with the access point
    Kind.ACCESS_POINT: ("s3control:CreateAccessPoint", "s3control:PutAccessPointPolicy"),
    Kind.SSM_PARAMETER: ("ssm:PutParameter",),
}
"""The calls that create one resource of a kind, in their order."""
WRITES_OF_A_BUCKET = ("s3:PutBucketPolicy",)
"""The delegation, once for all teams of a bucket."""

READS: Mapping[Kind, tuple[str, ...]] = {
    Kind.ACCESS_ENTRY: ("eks:DescribeAccessEntry", "eks:ListAssociatedAccessPolicies"),
    Kind.POD_IDENTITY_ASSOCIATION: ("eks:DescribePodIdentityAssociation",),
    Kind.ACCESS_POINT: ("s3control:GetAccessPoint", "s3control:GetAccessPointPolicy"),
    Kind.SSM_PARAMETER: ("ssm:GetParameter", "ssm:ListTagsForResource"),
}
"""What no list tells of one resource of a kind."""
READS_OF_AN_ACCOUNT = ("iam:GetAccountAuthorizationDetails",)
READS_OF_A_CLUSTER = (
    *("eks:DescribeCluster", "eks:ListAccessEntries", "eks:ListPodIdentityAssociations"),
    *("sagemaker:DescribeCluster", "sagemaker:ListComputeQuotas"),
    *("kubernetes:GET namespaces", "kubernetes:GET serviceaccounts", "kubernetes:GET rolebindings"),
    *("kubernetes:GET clusterrolebindings", "kubernetes:GET configmaps"),
)
READS_OF_A_BUCKET = ("s3:GetBucketPolicy", "s3control:ListAccessPoints")


def resources(record: Mapping[str, object], cluster: ClusterFacts = CLUSTER) -> dict[Key, Resource]:
    """What should be there for a team's record, on the cluster and with the dataset of the tests."""
    return desired(parse_team(dict(record)), [cluster], {"imagenet": a_dataset()}, {}, INSTALLATION)


def writes(found: Collection[Key], teams: int) -> int:
    """The fewest calls that create the resources of ``teams`` teams, each with ``found``, on one bucket."""
    of_a_team = sum(len(WRITES[key.kind]) for key in found if key.kind is not Kind.BUCKET_DELEGATION)
    return teams * of_a_team + len(WRITES_OF_A_BUCKET)


def reads(found: Collection[Key]) -> int:
    """The fewest calls by which one team's resources can be compared with what should be there."""
    of_resources = sum(len(READS.get(key.kind, ())) for key in found)
    accounts = {key.account for key in found if key.kind is Kind.ROLE}
    buckets = {key.container for key in found if key.kind is Kind.BUCKET_DELEGATION}
    return (
        of_resources
        + len(accounts) * len(READS_OF_AN_ACCOUNT)
        + len(READS_OF_A_CLUSTER)
        + len(buckets) * len(READS_OF_A_BUCKET)
    )

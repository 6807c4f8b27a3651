"""Records and facts that tests start from: a cluster, datasets and a team of two accounts, as people would write them."""

from typing import Any

from podshare.access.isolation import Boundaries
from podshare.installation import Installation
from podshare.kinds.facts import ClusterFacts, FileSystemFacts
from podshare.kinds.role.shape import member_principals
from podshare.registry.accounts import Account
from podshare.registry.parsing import parse_team
from podshare.registry.records import Dataset, Team

INSTALLATION = Installation(
    prefix="podshare",
    partition="aws",
    account="111111111111",
    region="us-west-2",
    organization="o-podshare01",
    identity_center_region="us-west-2",
)
FILE_SYSTEM = FileSystemFacts(
    "fs-0123456789abcdef0", "fs-0123456789abcdef0.fsx.us-west-2.amazonaws.com", "abcdefgh", 1200
)
CLUSTER = ClusterFacts(
    name="main",
    account="111111111111",
    region="us-west-2",
    eks_cluster="hyperpod-eks",
    hyperpod_arn="arn:aws:sagemaker:us-west-2:111111111111:cluster/abcdefghijkl",
    file_systems=(FILE_SYSTEM,),
)
EAST = ClusterFacts(
    name="east",
    account="555555555555",
    region="us-east-2",
    eks_cluster="east-eks",
    hyperpod_arn="arn:aws:sagemaker:us-east-2:555555555555:cluster/mnopqrstuvwx",
)
KMS_KEY = "arn:aws:kms:us-west-2:333333333333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROOT, SCIENCE, BELOW_SCIENCE = "r-pods", "ou-pods-science1", "ou-pods-genomics"


def a_dataset(name: str = "imagenet", **fields: Any) -> Dataset:
    """A dataset: the prefix ``imagenet/`` of a bucket in the data account."""
    given = {
        "account": "333333333333",
        "region": "us-west-2",
        "bucket": "curated-images-333333333333",
        "prefix": f"{name}/",
    }
    return Dataset.model_validate({"name": name, **given, **fields})


def a_team_item(name: str = "vision", **fields: Any) -> dict[str, Any]:
    """A team's registry item, as a person would write it."""
    given: dict[str, Any] = {
        "id": f"team#{name}",
        "schema": 1,
        "cluster": "main",
        "owner": "priya@example.com",
        "reason": "Trains image models",
        "members": [{"account": "222222222222"}, {"account": "444444444444"}],
        "quota": {"resources": [{"instance_type": "ml.p5.48xlarge", "count": 2}]},
        "service_accounts": [{"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read"}]}],
    }
    return {key: value for key, value in {**given, **fields}.items() if value is not ...}


def a_team_item_on(*clusters: str, **fields: Any) -> dict[str, Any]:
    """A team's item as it would be written for several clusters, with the same quota on each."""
    item = a_team_item(**fields)
    quota = item.pop("quota")
    return {**item, "cluster": [{"cluster": cluster, "quota": quota} for cluster in clusters]}


def a_team(name: str = "vision", **fields: Any) -> Team:
    """The team of ``a_team_item``."""
    return parse_team(a_team_item(name, **fields))


def own_boundaries(team: Team) -> Boundaries:
    """What is the own of a team on the cluster of these builders."""
    return Boundaries(
        team=team.name,
        namespace=team.namespace,
        cluster_arns=frozenset({CLUSTER.eks_arn(INSTALLATION)}),
        member_principals={
            member.account: frozenset(member_principals(INSTALLATION, team.name, member)) for member in team.members
        },
        installation=INSTALLATION,
    )


def an_account(account: str = "555555555555", **fields: Any) -> Account:
    """An active account of the unit Science."""
    return Account(**{"id": account, "name": "genomics-lab", "path": (ROOT, SCIENCE), **fields})


def an_enrollment_item(name: str = "science", **fields: Any) -> dict[str, Any]:
    """An enrollment's registry item: each account of the unit Science gets a team of its own."""
    given: dict[str, Any] = {
        "id": f"enrollment#{name}",
        "schema": 1,
        "organizational_unit": SCIENCE,
        "team": {
            "cluster": "main",
            "owner": "${account.tags.owner}",
            "reason": "The people of ${account.name}",
            "quota": {"resources": [{"instance_type": "ml.g5.12xlarge", "accelerators": "${account.tags.gpus}"}]},
            "service_accounts": [{"name": "trainer", "datasets": [{"dataset": "imagenet", "access": "read"}]}],
        },
    }
    return {key: value for key, value in {**given, **fields}.items() if value is not ...}

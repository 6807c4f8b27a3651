"""What a call that CloudTrail tells of may have touched."""

from typing import Any

import pytest

from podshare.kinds.resource_events import Touched, access_point_stem, touched
from tests.builders import INSTALLATION

HUB, DATA = "111111111111", "333333333333"
ROLE = f"arn:aws:iam::{HUB}:role/podshare/podshare-vision-f738d0b5"


def a_call(service: str, name: str, asked: Any, answered: Any = None, account: str = HUB, **detail: Any) -> Touched:
    told = {
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-west-2",
        "recipientAccountId": account,
        "requestParameters": asked,
        "responseElements": answered,
        **detail,
    }
    return touched({"source": f"aws.{service}", "account": account, "detail": told}, INSTALLATION)


@pytest.mark.parametrize(
    ("service", "name", "asked", "answered"),
    [
        ("iam", "DeleteRole", {"roleName": "podshare-vision-scientist"}, None),
        ("iam", "PutRolePolicy", {"roleName": "podshare-vision-f738d0b5", "policyName": "more"}, None),
        ("eks", "DeleteAccessEntry", {"name": "main", "principalArn": ROLE.replace(":", "%3A").replace("/", "%2F")}, None),
        ("eks", "UpdateAccessEntry", {"clusterName": "main", "principalArn": ROLE}, None),
        ("eks", "CreatePodIdentityAssociation", {"name": "main", "namespace": "hyperpod-ns-vision"}, None),
        ("eks", "DeletePodIdentityAssociation", {"name": "main", "associationId": "a-1"}, {"association": {"namespace": "hyperpod-ns-vision"}}),
        ("eks", "TagResource", {"resourceArn": f"arn:aws:eks:us-west-2:{HUB}:access-entry/main/role/{HUB}/podshare-vision-f738d0b5/0"}, None),
        ("ssm", "PutParameter", {"name": "/podshare/teams/vision"}, None),
        ("ssm", "DeleteParameter", {"name": f"arn:aws:ssm:us-west-2:{HUB}:parameter/podshare/teams/vision"}, None),
        ("ssm", "DeleteParameters", {"names": ["/other/teams/language", "/podshare/teams/vision"]}, None),
        ("ssm", "AddTagsToResource", {"resourceType": "Parameter", "resourceId": "/podshare/teams/vision"}, None),
        ("sagemaker", "CreateComputeQuota", {"name": "podshare-vision"}, None),
        ("sagemaker", "UpdateComputeQuota", {"computeQuotaId": "h920ig0dk7tk", "computeQuotaTarget": {"teamName": "vision"}}, None),
    ],
)  # fmt: skip
def test_a_name_tells_the_team(service: str, name: str, asked: Any, answered: Any) -> None:
    """Roles, principals, namespaces and quotas bear the team's name, wherever in the event they stand."""
    found = a_call(service, name, asked, answered)
    assert (found.teams, found.account, found.region) == ({"vision"}, HUB, "us-west-2")
    assert not found.associations


def test_an_access_point_tells_what_it_has_room_for() -> None:
    """By its name or its ARN, and a long team's name is cut as the access point's is."""
    arn = f"arn:aws:s3:us-west-2:{DATA}:accesspoint/podshare-vision-02b19c41f267"
    assert a_call("s3", "DeleteAccessPoint", {"name": "podshare-vision-02b19c41f267"}).stems == {"vision"}
    assert a_call("s3", "TagResource", {"resourceArn": arn}).stems == {"vision"}
    assert access_point_stem(INSTALLATION, "vision") == "vision"
    assert access_point_stem(INSTALLATION, "a-team-with-a-name-of-its-own") == "a-team-with-a-name-of-it"


def test_a_bucket_is_told_by_its_name_alone() -> None:
    """The policy that is put names many, and none of them counts."""
    policy = {"Statement": [{"Principal": {"AWS": ROLE}, "roleName": "podshare-language-scientist"}]}
    found = a_call("s3", "PutBucketPolicy", {"bucketName": "images", "bucketPolicy": policy}, account=DATA)
    assert (found.buckets, found.teams, found.stems) == ({"images"}, frozenset(), frozenset())


def test_ids_are_kept_where_nothing_names_the_team() -> None:
    """A quota's and an association's id, from a key or from an ARN."""
    quota = f"arn:aws:sagemaker:us-west-2:{HUB}:compute-quota/h920ig0dk7tk"
    association = f"arn%3Aaws%3Aeks%3Aus-west-2%3A{HUB}%3Apodidentityassociation%2Fmain%2Fa-1"
    assert a_call("sagemaker", "DeleteComputeQuota", {"computeQuotaId": "h920ig0dk7tk"}).quotas == {"h920ig0dk7tk"}
    assert a_call("sagemaker", "AddTags", {"resourceArn": quota}).quotas == {"h920ig0dk7tk"}
    assert a_call("eks", "TagResource", {"resourceArn": association}).associations == {("main", "a-1")}
    asked = {"name": "main", "associationId": "a-1"}
    assert a_call("eks", "UpdatePodIdentityAssociation", asked).associations == {("main", "a-1")}


def test_a_scheduler_config_is_told_by_the_kind_of_call_or_by_its_arn() -> None:
    """Its id tells no cluster and no team: all that share one there are meant."""
    arn = f"arn:aws:sagemaker:us-west-2:{HUB}:cluster-scheduler-config/h920ig0dk7tk"
    asked = {"clusterSchedulerConfigId": "h920ig0dk7tk", "schedulerConfig": {"fairShare": "Disabled"}}
    for found in (
        a_call("sagemaker", "UpdateClusterSchedulerConfig", asked),
        a_call("sagemaker", "DeleteTags", {"resourceArn": arn}),
    ):
        assert (found.schedulers, found.teams, found.quotas, found.account) == (True, frozenset(), frozenset(), HUB)
    assert not a_call("sagemaker", "DeleteComputeQuota", {"computeQuotaId": "h920ig0dk7tk"}).schedulers


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("CreateGrant", {"keyId": "k-1", "granteePrincipal": ROLE, "operations": ["Decrypt"]}),
        ("RevokeGrant", {"keyId": "k-1", "grantId": "abcde"}),
        ("RetireGrant", None),
    ],
)
def test_a_grant_is_told_by_its_key(name: str, asked: Any) -> None:
    """The key stands among the resources of each of the calls, of one that retires a grant nowhere else."""
    key = f"arn:aws:kms:us-west-2:{DATA}:key/k-1"
    found = a_call("kms", name, asked, account=DATA, resources=[{"type": "AWS::KMS::Key", "ARN": key}, "?"])
    assert (found.keys, found.teams) == ({(DATA, "us-west-2", "k-1")}, frozenset())
    assert not a_call("kms", name, asked, account=DATA, resources=[{"ARN": f"{key}/x"}, {"ARN": 7}]).keys


@pytest.mark.parametrize(
    ("service", "name", "asked"),
    [
        ("iam", "DeleteRole", {"roleName": "backup"}),
        ("iam", "TagRole", {"roleName": "podshare-identity"}),
        ("iam", "DeleteRole", {"roleName": "podshare2-vision-scientist"}),
        ("eks", "CreateAccessEntry", {"name": "main", "principalArn": f"arn:aws:iam::{HUB}:role/admin"}),
        ("s3", "DeleteAccessPoint", {"name": "finance"}),
        ("sagemaker", "CreateComputeQuota", {"name": "finance"}),
        ("iam", "DeleteRole", None),
        ("iam", "DeleteRole", ["podshare-vision-scientist", 7]),
    ],
)
def test_what_bears_no_name_of_podshares_is_nothing(service: str, name: str, asked: Any) -> None:
    """Things of others, podshare's own stacks, and events of an unheard shape end with a reason."""
    assert a_call(service, name, asked) == Touched(reason=f"{name} names nothing of podshare's")


def test_a_failed_call_is_nothing() -> None:
    """It has changed nothing, whatever it names."""
    found = a_call("iam", "DeleteRole", {"roleName": "podshare-vision-scientist"}, errorCode="AccessDenied")
    assert found == Touched(reason="DeleteRole failed with AccessDenied: nothing has changed")


def an_identity(role: str, session: str = "podshare-identity", account: str = HUB) -> dict[str, Any]:
    issuer = {"type": "Role", "arn": f"arn:aws:iam::{account}:role/{role}", "accountId": account}
    arn = f"arn:aws:sts::{account}:assumed-role/{role.rpartition('/')[2]}/{session}"
    return {"type": "AssumedRole", "arn": arn, "sessionContext": {"sessionIssuer": issuer}}


@pytest.mark.parametrize(
    ("identity", "own"),
    [
        (an_identity("podshare-system/podshare-identity"), True),
        (an_identity("podshare-system/podshare-data", account=DATA), True),
        (an_identity("podshare-system/podshare-mine"), False),
        (an_identity("podshare-identity"), False),
        (an_identity("admin", session="podshare-identity"), False),
        ({"type": "IAMUser", "arn": f"arn:aws:iam::{HUB}:user/podshare-system/podshare-identity"}, False),
        ({"type": "Root"}, False),
        (None, False),
    ],
)
def test_own_calls_are_those_of_the_member_roles(identity: Any, own: bool) -> None:
    """By the role that was assumed: a session may be named as anybody likes."""
    found = a_call("iam", "TagRole", {"roleName": "podshare-vision-scientist"}, userIdentity=identity)
    assert found.own is own

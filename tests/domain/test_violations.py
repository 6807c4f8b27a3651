"""What is told of each breach of isolation, word for word: the rule, the resource, and what was seen there."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from podshare.access.isolation import violations
from podshare.kinds.access_entry.shape import AccessEntry
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Resource
from podshare.kinds.data_repository_association.shape import DataRepositoryAssociation
from podshare.kinds.desired import desired
from podshare.kinds.file_system_delegation.shape import FileSystemDelegation
from podshare.kinds.kms_grant.shape import KmsGrant
from podshare.kinds.kubernetes_role.shape import KubernetesRole
from podshare.kinds.kubernetes_role_binding.shape import KubernetesRoleBinding
from podshare.kinds.persistent_volume.shape import PersistentVolume
from podshare.kinds.persistent_volume_claim.shape import PersistentVolumeClaim
from podshare.kinds.pod_identity_association.shape import PodIdentityAssociation
from podshare.kinds.role.shape import Role
from podshare.policy.rbac import KubernetesRule
from tests.builders import CLUSTER, FILE_SYSTEM, INSTALLATION, KMS_KEY, a_dataset, a_team, own_boundaries

RULE = {"api_groups": [""], "resources": ["configmaps"], "verbs": ["get"]}
TEAM = a_team(
    kubernetes_groups=["podshare:vision:operators"],
    rbac=[{"group": "podshare:vision:operators", "rules": [RULE]}],
    file_systems=[{"file_system": FILE_SYSTEM.file_system, "dataset": "web", "access": "read"}],
)
DATASETS = {"imagenet": a_dataset(kms_key=KMS_KEY), "web": a_dataset("web")}
WANTED = desired(TEAM, [CLUSTER], DATASETS, {}, INSTALLATION)
TARGETS = desired(a_team(), [CLUSTER], {"imagenet": a_dataset(data_role="target")}, {}, INSTALLATION)
OWN = own_boundaries(TEAM)
OTHERS = "hyperpod-ns-language"
OTHER_ROLE = "arn:aws:iam::111111111111:role/podshare/podshare-language-12345678"
MEMBER = "arn:aws:iam::222222222222:role/podshare/podshare-vision-scientist"


def one(shape: type[Any], things: Any = WANTED, **fields: Any) -> Any:
    """The first desired resource of a kind whose fields are these."""
    return next(
        each
        for each in things.values()
        if isinstance(each, shape) and all(getattr(each, name) == value for name, value in fields.items())
    )


def trusting(role: Role, *statements: dict[str, Any]) -> Role:
    return replace(
        role, trust={"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"} | each for each in statements]}
    )


def conditioned(role: Role, operator: str, key: str, value: Any) -> Role:
    """The role with one condition of its trust changed, or taken out if ``value`` is None."""
    statement = dict(role.trust["Statement"][0])
    values = {**statement["Condition"][operator], key: value}
    condition = {**statement["Condition"], operator: {name: kept for name, kept in values.items() if kept is not None}}
    return replace(role, trust={"Statement": [{**statement, "Condition": condition}]})


def moved(resource: Any, name: str) -> Any:
    return replace(resource, key=replace(resource.key, name=name))


def in_organization(account: str, *principals: str, organization: str = "o-podshare01") -> dict[str, Any]:
    names = {"ArnLike": {"aws:PrincipalArn": [*principals]}} if principals else {}
    condition = {"StringEquals": {"aws:PrincipalOrgID": organization}, **names}
    return {"Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Condition": condition}


def breaches() -> Iterator[tuple[str, Resource]]:
    """Each with what was done."""
    yield from _entries()
    yield from _trusts()
    yield from _data()
    yield from _cluster()
    yield from _file_systems()


def _entries() -> Iterator[tuple[str, Resource]]:
    entry = one(AccessEntry)
    yield (
        "an entry with a policy on another namespace, and one on the cluster",
        replace(entry, policies={**entry.policies, "arn:a": ("hyperpod-ns-vision", OTHERS), "arn:b": ()}),
    )
    yield (
        "an entry with other groups",
        replace(entry, groups=frozenset({"system:masters", "podshare:vision-labs:x", "podshare:vision:x"})),
    )
    yield "an entry of a role that was made anew", replace(entry, alive=False)


def _trusts() -> Iterator[tuple[str, Resource]]:
    member, pods = one(Role, purpose="cluster-access"), one(Role, purpose="data-access")
    scientist, target = one(Role, purpose="data-scientist"), one(Role, TARGETS, purpose="data-target")
    account = scientist.key.account
    yield (
        "a denial and then a trust in a federation",
        trusting(member, {"Effect": "Deny", "Action": "iam:*"}, {"Principal": {"Federated": "x"}}),
    )
    yield "a trust in nobody that is named", trusting(member, {})
    yield (
        "a trust in a service and an account at once",
        trusting(member, {"Principal": {"Service": "pods.eks.amazonaws.com", "AWS": "*"}}),
    )
    yield "a trust in another service", trusting(pods, {"Principal": {"Service": "ec2.amazonaws.com"}})
    yield (
        "a trust in two services",
        trusting(pods, {"Principal": {"Service": ["pods.eks.amazonaws.com", "ec2.amazonaws.com"]}}),
    )
    for tag in ("eks-cluster-arn", "kubernetes-namespace", "kubernetes-service-account"):
        yield f"pods without {tag}", conditioned(pods, "StringEquals", f"aws:RequestTag/{tag}", None)
        yield f"pods with two of {tag}", conditioned(pods, "StringEquals", f"aws:RequestTag/{tag}", ["?", "trainer"])
    yield "a trust without conditions", trusting(member, {"Principal": {"AWS": "arn:aws:iam::222222222222:root"}})
    yield (
        "a trust in another organization",
        trusting(member, in_organization("222222222222", MEMBER, organization="o-x")),
    )
    yield "a trust in a whole member account", trusting(member, in_organization("222222222222"))
    yield (
        "a trust in a stranger's role",
        trusting(member, in_organization("555555555555", "arn:aws:iam::555555555555:role/x")),
    )
    yield (
        "a trust in strangers beside the member",
        trusting(
            member, in_organization("222222222222", MEMBER, "arn:aws:iam::222222222222:role/x", "*", "arn:aws:iam::x")
        ),
    )
    yield (
        "a trust in roles by their ARN, and in the root of the team's own",
        trusting(member, {**in_organization("222222222222", MEMBER), "Principal": {"AWS": [MEMBER, "111111111111"]}}),
    )
    yield (
        "a scientist role that trusts its own account and strangers",
        trusting(
            scientist,
            in_organization(account),
            in_organization(account, f"arn:aws:iam::{account}:role/own", "arn:aws:iam::555555555555:role/x"),
            in_organization("555555555555", "arn:aws:iam::555555555555:role/x"),
        ),
    )
    yield "a cluster access role that trusts its own account", trusting(member, in_organization(member.key.account))
    yield (
        "a role of two accounts, its own first",
        trusting(
            scientist,
            {
                **in_organization(account),
                "Principal": {"AWS": [f"arn:aws:iam::{account}:root", "arn:aws:iam::999999999999:root"]},
            },
        ),
    )
    yield (
        "a target role that trusts anybody's role",
        conditioned(target, "ArnLike", "aws:PrincipalArn", [OTHER_ROLE, "*"]),
    )
    yield "a target role that trusts no role", conditioned(target, "ArnLike", "aws:PrincipalArn", None)
    yield (
        "a target role for another namespace",
        conditioned(target, "StringEquals", "aws:RequestTag/kubernetes-namespace", OTHERS),
    )


def _data() -> Iterator[tuple[str, Resource]]:
    point = one(AccessPoint)
    policy = [dict(statement) for statement in point.policy["Statement"]]
    yield "a public access point", replace(point, public_access_blocked=False)
    yield (
        "an access point for others, and for nobody",
        replace(
            point,
            policy={
                "Statement": [{**each, "Principal": {"AWS": [OTHER_ROLE, "*"]}} for each in policy]
                + [{"Effect": "Allow"}]
            },
        ),
    )
    yield (
        "an access point to everything",
        replace(point, policy={"Statement": [{**each, "Action": "s3:*", "Condition": {}} for each in policy]}),
    )
    long = [{**each, "Sid": "x" * 300, "Action": "s3:*"} for each in policy]
    yield "an access point with a long policy", replace(point, policy={"Statement": long})
    association = one(PodIdentityAssociation)
    yield "an association elsewhere, with a slash", moved(association, f"{OTHERS}/trainer/hyperpod-ns-vision")
    yield "an association of others' roles", replace(association, role_arn=OTHER_ROLE, target_role_arn=f"{OTHER_ROLE}0")
    grant = one(KmsGrant)
    yield "a key for others", replace(grant, grantees=grant.grantees | {OTHER_ROLE, "AROAEXAMPLEEXAMPLE01"})


def _cluster() -> Iterator[tuple[str, Resource]]:
    role, binding = one(KubernetesRole), one(KubernetesRoleBinding)
    yield "a Kubernetes role elsewhere, with a slash", moved(role, f"{OTHERS}/hyperpod-ns-vision/x")
    yield (
        "a Kubernetes role that reads secrets",
        replace(
            role,
            rules=(KubernetesRule(("",), ("secrets",), ("get",)), KubernetesRule(("",), ("pods",), ("get",), ("one",))),
        ),
    )
    yield "a binding elsewhere", moved(binding, f"{OTHERS}/x")
    yield (
        "a binding of others",
        replace(binding, subjects=binding.subjects | {"User ada", "Group podshare:vision-labs:x", "ServiceAccount x"}),
    )


def _file_systems() -> Iterator[tuple[str, Resource]]:
    volume, claim = one(PersistentVolume), one(PersistentVolumeClaim)
    link, delegation = one(DataRepositoryAssociation), one(FileSystemDelegation)
    csi = volume.spec["csi"]
    whole = {**csi, "volumeAttributes": {**csi["volumeAttributes"], "mountname": FILE_SYSTEM.mount_name}}
    yield "a volume of the whole file system", replace(volume, spec={**volume.spec, "csi": whole})
    yield "a volume to write", replace(volume, spec={**volume.spec, "mountOptions": ["noatime", "flock"]})
    yield (
        "a volume for others",
        replace(volume, spec={**volume.spec, "claimRef": {"namespace": OTHERS, "name": "x/hyperpod-ns-vision"}}),
    )
    yield "a claim elsewhere", moved(claim, f"{OTHERS}/x/hyperpod-ns-vision")
    yield "a link elsewhere", moved(link, "/podshare/vision-labs/web/")
    yield (
        "a link of other data that exports",
        replace(link, repository="s3://other/", exports=frozenset({"NEW", "CHANGED"})),
    )
    yield "a bucket that admits to write, and more", replace(delegation, write=True, prefix="")


def test_each_breach_is_told_as_reviewed(golden: Callable[[str, Any], None]) -> None:
    """Whoever reads a violation learns which resource breaks which rule, and by what."""
    wanted = {**WANTED, **{key: one for key, one in TARGETS.items() if key not in WANTED}}
    told = {what: [each.as_dict() for each in violations(OWN, [resource], wanted)] for what, resource in breaches()}
    assert all(told.values()), [what for what, found in told.items() if not found]
    golden("violations", told)


def test_what_nobody_asks_for_is_told_with_its_key(golden: Callable[[str, Any], None]) -> None:
    """Every owned resource that no record asks for is a violation, and is held against the rules all the same."""
    found = violations(OWN, [*WANTED.values()], {})
    outside = [each for each in found if each.rule == "nothing owned exists outside of what is desired"]
    assert [each.key for each in outside] == [*WANTED]
    golden("undesired", [each.as_dict() for each in found if each not in outside or each.key.kind == "role"])

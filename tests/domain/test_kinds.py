"""What an observed resource and the desired one both give, and what is left of a resource whose access is cut."""

from collections.abc import Callable
from dataclasses import fields, replace
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from podshare import kinds
from podshare.kinds import hardening
from podshare.kinds.access_entry.shape import AccessEntry
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Key, Kind, Resource, calls_of, same
from podshare.kinds.bucket_delegation.shape import BucketDelegation
from podshare.kinds.cluster_scheduler_config.shape import ClusterSchedulerConfig
from podshare.kinds.compute_quota.shape import ComputeQuota
from podshare.kinds.data_repository_association.shape import DataRepositoryAssociation
from podshare.kinds.file_system_delegation.shape import FileSystemDelegation
from podshare.kinds.kms_grant.shape import KmsGrant
from podshare.kinds.kubernetes_role.shape import KubernetesRole
from podshare.kinds.kubernetes_role_binding.shape import KubernetesRoleBinding
from podshare.kinds.namespace.shape import Namespace
from podshare.kinds.persistent_volume.shape import PersistentVolume
from podshare.kinds.persistent_volume_claim.shape import PersistentVolumeClaim
from podshare.kinds.pod_identity_association.shape import PodIdentityAssociation
from podshare.kinds.role.shape import Role
from podshare.kinds.role_attachment.shape import RoleAttachment
from podshare.kinds.service_account.shape import ServiceAccount
from podshare.kinds.shapes import SHAPES
from podshare.kinds.ssm_parameter.shape import SsmParameter
from podshare.kinds.table import KINDS, KindModule
from podshare.policy import policies
from podshare.policy.rbac import KubernetesRule
from tests.builders import INSTALLATION

OFFERED = ("read", "create", "update", "delete")
KEY = Key(Kind.ROLE, "111111111111", "us-west-2", "container", "name")
OWN = {"key": KEY, "tags": {"podshare:team": "vision"}}


def reading(*prefixes: str) -> policies.Document:
    return policies.document(
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": [f"arn:aws:s3:::b/{prefix}*" for prefix in prefixes],
        }
    )


CLOSED = policies.document({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole"]})
TRUST = policies.document({"Effect": "Allow", "Principal": {"AWS": ["a", "b"]}, "Action": ["sts:AssumeRole"]})
TRUST_B = policies.document({"Effect": "Allow", "Principal": {"AWS": ["b", "c"]}, "Action": ["sts:AssumeRole"]})
ONLY_B = policies.document({"Effect": "Allow", "Principal": {"AWS": ["b"]}, "Action": ["sts:AssumeRole"]})
TRUST_C = policies.document({"Effect": "Allow", "Principal": {"AWS": ["c"]}, "Action": ["sts:AssumeRole"]})

ROLE = Role(
    **OWN, trust=TRUST, policies={"data": reading("a/", "b/")}, boundary="old", revoked_trust=CLOSED,
    attached=frozenset({"x", "y"}), max_session_seconds=7200,
)  # fmt: skip
ENTRY = AccessEntry(**OWN, policies={"p": ("m", "n")}, groups=frozenset({"g", "h"}), username="u")
RULE = KubernetesRule(("", "batch"), ("pods", "jobs"), ("get", "list"))
POINT = AccessPoint(**OWN, bucket="b", policy=reading("a/", "b/"))
SHARE = FileSystemDelegation(**OWN, account="111111111111", file_system="fs-1", prefix="a/", write=True)
LINK = DataRepositoryAssociation(
    **OWN, repository="s3://b/a/", imports=frozenset({"NEW"}), exports=frozenset({"NEW", "CHANGED"})
)
SPEC = {
    "accessModes": ["ReadWriteMany"], "claimRef": {"namespace": "n", "name": "c"}, "csi": {"driver": "fsx"},
    "volumeMode": "Filesystem", "mountOptions": ["ro"],
}  # fmt: skip
VOLUME = PersistentVolume(**OWN, spec=SPEC, capacity_gib=1200)
CLAIM = PersistentVolumeClaim(**OWN, spec={"volumeName": "v"}, capacity_gib=1200)
ASSOCIATION = PodIdentityAssociation(**OWN, role_arn="r")
BINDING = KubernetesRoleBinding(**OWN, role="Role r", subjects=frozenset({"Group g", "Group h"}))
QUOTA = ComputeQuota(
    **OWN, team="vision", resources=(), sharing={}, fair_share_weight=1, preempt_team_tasks="Never", active=True
)
ENFORCED = Namespace(
    key=KEY, tags=hardening.labels("vision", "enforce"), network_policy=hardening.network_policy("enforce")
)
LOOSE = {"podshare/hardening": "report", "pod-security.kubernetes.io/enforce": "privileged"}
RESTRICTED = {**ENFORCED.tags, "pod-security.kubernetes.io/enforce": "restricted"}
OLD_TAGS = {"tags": {"podshare:team": "vision", "podshare:owner": "former"}}


def with_spec(**more: Any) -> PersistentVolume:
    return replace(VOLUME, spec={**SPEC, **more})


def many_prefixes(start: int) -> policies.Document:
    return reading(*(f"{number:04}/{'x' * 40}/" for number in range(start, start + 400)))


# observed, desired, and what both give (None: it has to be made again)
INTERSECTIONS: list[tuple[str, Any, Any, Any]] = [
    ("a role's trust", ROLE, replace(ROLE, trust=TRUST_B), replace(ROLE, trust=ONLY_B)),
    ("a trust with nobody in common", ROLE, replace(ROLE, trust=TRUST_C), replace(ROLE, trust=CLOSED)),
    ("a role's policy", ROLE, replace(ROLE, policies={"data": reading("b/c/", "d/")}), replace(ROLE, policies={"data": reading("b/c/")})),
    ("a policy of another name", ROLE, replace(ROLE, policies={"more": reading("a/")}), replace(ROLE, policies={})),
    ("policies too long together", replace(ROLE, policies={"data": many_prefixes(0)}), replace(ROLE, policies={"data": many_prefixes(0)}), replace(ROLE, policies={})),
    ("attached policies", ROLE, replace(ROLE, attached=frozenset({"y", "z"})), replace(ROLE, attached=frozenset({"y"}))),
    ("the boundary is the desired one", ROLE, replace(ROLE, boundary="new"), replace(ROLE, boundary="new")),
    ("a shorter session", ROLE, replace(ROLE, max_session_seconds=3600), replace(ROLE, max_session_seconds=3600)),
    ("a longer session", ROLE, replace(ROLE, max_session_seconds=9000), ROLE),
    ("an entry that is dead", replace(ENTRY, alive=False), ENTRY, None),
    ("an entry of another type", replace(ENTRY, type="EC2_LINUX"), ENTRY, None),
    ("an entry of another user name", replace(ENTRY, username="v"), ENTRY, None),
    ("an entry's groups", ENTRY, replace(ENTRY, groups=frozenset({"h", "i"})), replace(ENTRY, groups=frozenset({"h"}))),
    ("an entry's namespaces", ENTRY, replace(ENTRY, policies={"p": ("m", "o")}), replace(ENTRY, policies={"p": ("m",)})),
    ("an entry of other namespaces", ENTRY, replace(ENTRY, policies={"p": ("o",)}), replace(ENTRY, policies={})),
    ("an entry with another policy", ENTRY, replace(ENTRY, policies={"q": ("m",)}), replace(ENTRY, policies={})),
    ("the cluster and a namespace", replace(ENTRY, policies={"p": ()}), replace(ENTRY, policies={"p": ("m",)}), replace(ENTRY, policies={"p": ("m",)})),
    ("a namespace and the cluster", replace(ENTRY, policies={"p": ("m",)}), replace(ENTRY, policies={"p": ()}), replace(ENTRY, policies={"p": ("m",)})),
    ("the cluster and the cluster", replace(ENTRY, policies={"p": ()}), replace(ENTRY, policies={"p": ()}), replace(ENTRY, policies={"p": ()})),
    ("a pattern and a namespace", replace(ENTRY, policies={"p": ("a*", "b")}), replace(ENTRY, policies={"p": ("aa", "c")}), replace(ENTRY, policies={"p": ("aa",)})),
    ("an access point's policy", POINT, replace(POINT, policy=reading("b/c/")), replace(POINT, policy=reading("b/c/"))),
    ("an access point without a policy", POINT, replace(POINT, policy=None), replace(POINT, policy=None)),
    ("an access point's policy that is too long", replace(POINT, policy=many_prefixes(0)), replace(POINT, policy=many_prefixes(0)), replace(POINT, policy=None)),
    ("an access point of another bucket", POINT, replace(POINT, bucket="c"), None),
    ("an access point of another network", POINT, replace(POINT, vpc="vpc-1"), None),
    ("an access point that is public", replace(POINT, public_access_blocked=False), POINT, None),
    ("a share to read", BucketDelegation(**OWN, write=True), BucketDelegation(**OWN, write=False), BucketDelegation(**OWN, write=False)),
    ("a share that reads", BucketDelegation(**OWN, write=False), BucketDelegation(**OWN, write=True), BucketDelegation(**OWN, write=False)),
    ("a share that writes", BucketDelegation(**OWN, write=True), BucketDelegation(**OWN, write=True), BucketDelegation(**OWN, write=True)),
    ("a share whose statement is widened", BucketDelegation(**OWN, write=False, in_policy=False, drift=reading("a/")), BucketDelegation(**OWN, write=False), BucketDelegation(**OWN, write=False)),
    ("a share whose statement is missing", BucketDelegation(**OWN, write=False, in_policy=False), BucketDelegation(**OWN, write=False), BucketDelegation(**OWN, write=False, in_policy=False)),
    ("a narrower share is written whole", BucketDelegation(**OWN, write=True, in_policy=False), BucketDelegation(**OWN, write=False), BucketDelegation(**OWN, write=False)),
    ("a file system's share that is widened", replace(SHARE, in_policy=False, drift=reading("a/")), SHARE, SHARE),
    ("a file system's share", SHARE, replace(SHARE, write=False), replace(SHARE, write=False)),
    ("a file system's share that only reads", replace(SHARE, write=False), SHARE, replace(SHARE, write=False)),
    ("a file system's share that is cut", replace(SHARE, read=False), SHARE, replace(SHARE, read=False)),
    ("a file system's share to be cut", SHARE, replace(SHARE, read=False), replace(SHARE, read=False)),
    ("a file system's share as it is", SHARE, SHARE, SHARE),
    ("a file system of another account", SHARE, replace(SHARE, account="222222222222"), None),
    ("a file system of another prefix", SHARE, replace(SHARE, prefix="a/b/"), None),
    ("a link's exports", LINK, replace(LINK, exports=frozenset({"NEW"})), replace(LINK, exports=frozenset({"NEW"}))),
    ("a link of other data", LINK, replace(LINK, repository="s3://b/"), None),
    ("a binding's subjects", BINDING, replace(BINDING, subjects=frozenset({"Group h", "User u"})), replace(BINDING, subjects=frozenset({"Group h"}))),
    ("a binding of another role", BINDING, replace(BINDING, role="ClusterRole r"), None),
    ("an association of another role", ASSOCIATION, replace(ASSOCIATION, role_arn="s"), None),
    ("an association to another target", ASSOCIATION, replace(ASSOCIATION, target_role_arn="s"), None),
    ("an association whose tags differ", ASSOCIATION, replace(ASSOCIATION, **OLD_TAGS), ASSOCIATION),
    ("a quota", QUOTA, replace(QUOTA, fair_share_weight=2), QUOTA),
    ("a share in a scheduler config", ClusterSchedulerConfig(**OWN, config={}), ClusterSchedulerConfig(**OWN, config={"a": 1}), ClusterSchedulerConfig(**OWN, config={})),
    ("a service account", ServiceAccount(**OWN), ServiceAccount(key=KEY), ServiceAccount(**OWN)),
    ("a namespace", Namespace(**OWN), Namespace(key=KEY), Namespace(**OWN)),
    ("a namespace whose labels were loosened", replace(ENFORCED, tags={**ENFORCED.tags, **LOOSE}), ENFORCED, ENFORCED),
    ("a namespace whose labels were removed", replace(ENFORCED, tags={}), ENFORCED, ENFORCED),
    ("a namespace whose labels hold more", replace(ENFORCED, tags=RESTRICTED), ENFORCED, replace(ENFORCED, tags=RESTRICTED)),
    ("a namespace whose network policy was removed", replace(ENFORCED, network_policy=None), ENFORCED, ENFORCED),
    ("a namespace whose network policy was edited", replace(ENFORCED, network_policy={}), ENFORCED, ENFORCED),
    ("a namespace that is no longer held", ENFORCED, Namespace(key=KEY, tags=hardening.labels("vision", "off")), ENFORCED),
    ("a namespace that is vacating", Namespace(**OWN, vacating=True), Namespace(**OWN), None),
    ("a parameter, which gives nothing", SsmParameter(**OWN, value={"team": "a"}), SsmParameter(**OWN, value={"team": "b"}), SsmParameter(**OWN, value={"team": "a"})),
    ("a parameter of another type", SsmParameter(**OWN, value={}, type="SecureString"), SsmParameter(**OWN, value={}), None),
    ("an attachment as it is", RoleAttachment(**OWN, policy_arn="p"), RoleAttachment(**OWN, policy_arn="p"), RoleAttachment(**OWN, policy_arn="p")),
    ("an attachment of another policy", RoleAttachment(**OWN, policy_arn="p"), RoleAttachment(**OWN, policy_arn="q"), None),
    ("a grant for others", KmsGrant(**OWN, grantees=frozenset("a"), operations=frozenset("d")), KmsGrant(**OWN, grantees=frozenset("b"), operations=frozenset("d")), None),
    ("a volume's options", VOLUME, with_spec(mountOptions=["rw"]), with_spec(mountOptions=["rw"])),
    *((f"a volume of another {name}", VOLUME, with_spec(**{name: "other"}), None) for name in ("accessModes", "claimRef", "csi", "volumeMode")),
    ("a volume that is not usable", replace(VOLUME, usable=False), VOLUME, None),
    ("a claim as it is", CLAIM, CLAIM, CLAIM),
    ("a claim to another volume", CLAIM, replace(CLAIM, spec={"volumeName": "w"}), None),
    ("a claim that is not usable", replace(CLAIM, usable=False), CLAIM, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("observed", "desired", "both"), [row[1:] for row in INTERSECTIONS], ids=[row[0] for row in INTERSECTIONS]
)
def test_the_intersection_is_what_both_give(observed: Resource, desired: Resource, both: Resource | None) -> None:
    """A narrowing leaves what is there and desired, field by field, and never more than either gives."""
    assert as_compared(observed.intersection(desired)) == as_compared(both)


def as_compared(resource: Resource | None) -> Any:
    """All that equality looks at, with documents by their meaning."""
    return resource and {**resource.facts(), "key": resource.key, "type": type(resource)}


@pytest.mark.parametrize(
    ("resource", "cut"),
    [
        (ROLE, replace(ROLE, trust=CLOSED, policies={}, attached=frozenset())),
        (POINT, replace(POINT, policy=None)),
        (SHARE, replace(SHARE, read=False, write=False)),
        *((each, None) for each in (ENTRY, LINK, VOLUME, CLAIM, ASSOCIATION, BINDING, QUOTA)),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_is_cut_gives_nothing(resource: Resource, cut: Resource | None) -> None:
    """What can be closed in place is closed whole; of the rest only the deletion takes access away."""
    assert resource.revoked() == cut


GET_ONE = KubernetesRule(("",), ("pods",), ("get",), ("one",))


@pytest.mark.parametrize(
    ("wide", "narrow", "is_covered"),
    [
        (RULE, RULE, True),
        (RULE, GET_ONE, True),
        (GET_ONE, RULE, False),
        (GET_ONE, replace(GET_ONE, resource_names=()), False),
        (GET_ONE, GET_ONE, True),
        (replace(GET_ONE, resource_names=("one", "two")), GET_ONE, True),
        (GET_ONE, replace(GET_ONE, resource_names=("one", "two")), False),
        (GET_ONE, replace(GET_ONE, resource_names=("two",)), False),
        *((RULE, replace(RULE, **{name: ("other",)}), False) for name in ("api_groups", "resources", "verbs", "non_resource_urls")),
    ],
)  # fmt: skip
def test_a_rule_covers_what_it_gives(wide: KubernetesRule, narrow: KubernetesRule, is_covered: bool) -> None:
    """A rule for named objects never covers one for all, nor one for other names."""
    assert wide.covers(narrow) is is_covered
    role = KubernetesRole(**OWN, rules=(narrow,)).intersection(KubernetesRole(**OWN, rules=(wide,)))
    assert role == KubernetesRole(**OWN, rules=(narrow,) if is_covered else ())


def test_a_key_is_read_as_it_was_written() -> None:
    """A name may hold the sign that separates the parts; anything that is no key is an error."""
    key = replace(KEY, name="a|b/c d")
    assert Key.parse(str(key)) == key
    assert str(key) == "role|111111111111|us-west-2|container|a|b/c d"
    for text in ("", "role|1|2|3", "nothing|1|2|3|4"):
        with pytest.raises(ValueError):  # its text is Python's
            Key.parse(text)


def test_nothing_is_the_same_as_nothing_alone() -> None:
    """What is absent differs from whatever is there; documents are the same by their meaning."""
    assert same(None, None)
    assert not same(None, ROLE)
    assert not same(ROLE, None)
    reordered = policies.document(
        {"Resource": "x", "Action": "b", "Effect": "Allow"}, {"Effect": "Deny", "Action": ["b", "a"]}
    )
    ordered = policies.document(
        {"Effect": "Deny", "Action": ["a", "b"]}, {"Effect": "Allow", "Action": ["b"], "Resource": ["x"]}
    )
    assert same(replace(ROLE, trust=reordered), replace(ROLE, trust=ordered))
    assert not same(ROLE, replace(ROLE, trust=reordered))


def test_facts_are_plain_json_in_one_order() -> None:
    """What is compared is told by field: sets sorted, rules whole, and nothing that is not compared."""
    role = KubernetesRole(**OWN, rules=(GET_ONE,), why="w", cluster="c")
    rule = {
        "api_groups": ("",),
        "resources": ("pods",),
        "verbs": ("get",),
        "resource_names": ("one",),
        "non_resource_urls": (),
    }
    assert role.facts() == {"tags": {"podshare:team": "vision"}, "rules": [rule]}
    assert BINDING.facts()["subjects"] == ["Group g", "Group h"]
    assert [*replace(ROLE, tags={"b": "1", "a": "2"}).facts()["tags"]] == ["a", "b"]
    assert {"revoked_trust", "buckets", "why", "needs", "mentions", "cluster", "identity", "key"} == {
        one.name for one in fields(ROLE)
    } - {*ROLE.facts()}


def test_what_is_read_from_a_volume() -> None:
    """The directory and the file system of a volume stand in its mount name and DNS name; without them it is all of it."""
    csi = {"volumeAttributes": {"dnsname": "fs-1.fsx.us-west-2.amazonaws.com", "mountname": "abc/podshare/vision"}}
    volume = with_spec(csi=csi)
    assert (volume.mounts, volume.file_system, volume.claim, volume.is_read_only) == (
        "/podshare/vision/",
        "fs-1",
        "n/c",
        True,
    )
    bare = replace(VOLUME, spec={})
    assert (bare.mounts, bare.file_system, bare.claim, bare.is_read_only) == ("/", "", "/", False)
    assert replace(VOLUME, spec={"csi": {"volumeAttributes": {"mountname": "abc"}}}).mounts == "/"
    assert ROLE.purpose == ""
    assert replace(ROLE, tags={"podshare:purpose": "data-access"}).purpose == "data-access"


@pytest.mark.parametrize(("more", "stays"), [(0, True), (1, False)])
def test_an_intersection_that_just_fits_stays(more: int, stays: bool) -> None:
    """A role's policies and an access point's stay to the last character that IAM and S3 take; beyond it all goes."""

    def of_size(size: int) -> policies.Document:
        return reading("x" * (size - policies.size([reading("")])))

    role = replace(ROLE, policies={"data": of_size(policies.INLINE_POLICIES + more)})
    assert bool(role.intersection(role).policies) is stays  # type: ignore[union-attr]
    point = replace(POINT, policy=of_size(policies.ACCESS_POINT_POLICY + more))
    assert bool(point.intersection(point).policy) is stays  # type: ignore[union-attr]


def test_each_kind_has_a_folder_of_its_name_and_each_folder_a_kind() -> None:
    """The folders of kinds are the table of kinds, and what a kind's calls offer has the same form in all of them."""
    folders = {path.parent.name for path in Path(kinds.__path__[0]).glob("*/shape.py")}
    parameters = {name: len(signature(getattr(KindModule, name)).parameters) - 1 for name in OFFERED}

    assert folders == {*Kind}
    assert {
        kind: {name: len(signature(getattr(module, name)).parameters) for name in OFFERED}
        for kind, module in KINDS.items()
    } == dict.fromkeys(Kind, parameters)
    assert all(isinstance(actions, frozenset) for module in KINDS.values() for actions in (module.READS, module.WRITES))


def test_people_are_told_how_to_delete_and_to_mark_each_kind_as_reviewed(golden: Callable[[str, Any], None]) -> None:
    """The commands by which a person deletes a resource, or gives it back the tags by which podshare knows it."""
    commands = {}
    for kind, shape in SHAPES.items():
        in_none = kind in (Kind.NAMESPACE, Kind.PERSISTENT_VOLUME)
        key = replace(KEY, kind=kind, name="podshare-vision" if in_none else "hyperpod-ns-vision/trainer")
        marks = {"podshare:team": "vision", "podshare:managed-by": "podshare@111111111111"}
        commands[kind] = [shape.deletion(key), shape.marking(INSTALLATION, key, marks)]
    golden("commands", commands)


def test_what_is_no_object_of_a_cluster_has_no_manifest() -> None:
    """Asked for one it says which resource it is."""
    with pytest.raises(TypeError, match=r"role\|111111111111\|us-west-2\|container\|name is no object"):
        ROLE.manifest()


def test_calls_carry_their_service() -> None:
    """As IAM and CloudTrail name them together."""
    assert calls_of("iam", "GetRole ListRoles") == {"iam:GetRole", "iam:ListRoles"}

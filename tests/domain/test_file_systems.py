"""Data through file systems: what is linked, mounted and exported follows from the grants, and from nothing else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from podshare.access.access_report import beyond, refusals
from podshare.access.effective_access import by_pods, effective_access
from podshare.access.isolation import Boundaries, violations
from podshare.kinds.base import Kind, Resource, Stage
from podshare.kinds.data_repository_association.shape import DataRepositoryAssociation
from podshare.kinds.desired import by_hand, desired, manifests
from podshare.kinds.file_system_delegation.shape import FileSystemDelegation
from podshare.kinds.persistent_volume.shape import PersistentVolume
from podshare.kinds.persistent_volume_claim.shape import PersistentVolumeClaim
from podshare.reconcile.plan import Action, plan
from podshare.registry.acceptance import accept_team
from podshare.registry.expiry import expirations, in_force
from podshare.registry.parsing import parse_team
from podshare.registry.problems import InvalidRecord
from podshare.registry.records import Dataset, Team
from tests.builders import (
    CLUSTER,
    EAST,
    FILE_SYSTEM,
    INSTALLATION,
    KMS_KEY,
    a_dataset,
    a_team,
    a_team_item,
    a_team_item_on,
)

KINDS = {
    Kind.FILE_SYSTEM_DELEGATION,
    Kind.DATA_REPOSITORY_ASSOCIATION,
    Kind.PERSISTENT_VOLUME,
    Kind.PERSISTENT_VOLUME_CLAIM,
}
BUCKET = "arn:aws:s3:::curated-images-333333333333"
PODS = "system:serviceaccount:hyperpod-ns-vision:*"
Things = dict[Any, Resource]


def link(dataset: str = "imagenet", access: str = "read", **fields: Any) -> dict[str, Any]:
    return {"file_system": FILE_SYSTEM.file_system, "dataset": dataset, "access": access, **fields}


def team(*links: dict[str, Any], **fields: Any) -> Team:
    return a_team(members=[], service_accounts=[], file_systems=[*links], **fields)


def linked(found: Team, *datasets: Dataset, cluster: Any = CLUSTER) -> Things:
    """What is desired for the team's grants through file systems."""
    known = {dataset.name: dataset for dataset in datasets or (a_dataset(), a_dataset("web"))}
    wanted = desired(found, [cluster], known, {}, INSTALLATION)
    return {key: one for key, one in wanted.items() if key.kind in KINDS}


def of(things: Things, shape: type[Any]) -> Any:
    return next(one for one in things.values() if isinstance(one, shape))


READ, WRITE = linked(team(link())), linked(team(link(access="read_write")))


def test_golden_links(golden: Callable[[str, Any], None]) -> None:
    """A link to read and one to write get exactly this: the bucket's share, the link, the volume and its claim."""
    found = linked(team(link(), link("web", "read_write", prefix="web/clean/")))
    described = {str(one.key): {"why": one.why, **one.facts()} for one in found.values()}
    golden("file_systems", {**described, "manifests": manifests(INSTALLATION, objects(found))})


def objects(things: Things) -> list[Resource]:
    return [one for one in things.values() if isinstance(one, PersistentVolume | PersistentVolumeClaim)]


def test_nothing_is_linked_before_the_bucket_admits_it_nor_mounted_before_it_is_linked() -> None:
    """Each thing waits for the one before it: share, link, volume, claim."""
    order = [change.key.kind for lane in plan(READ, {}).grant for wave in lane for change in wave]
    assert order == [
        Kind.FILE_SYSTEM_DELEGATION,
        Kind.DATA_REPOSITORY_ASSOCIATION,
        Kind.PERSISTENT_VOLUME,
        Kind.PERSISTENT_VOLUME_CLAIM,
    ]


def test_a_revocation_cuts_the_bucket_before_it_releases_what_is_held() -> None:
    """No object may be asked for any more and no pod mounts anew; then the data go, and last the rest of the share."""
    found = plan({}, READ).revoke
    told = {stage: [(change.action, change.key.kind) for change in wave] for stage, wave in found.items()}
    assert told == {
        Stage.DATA_ACCESS: [
            (Action.REVOKE, Kind.FILE_SYSTEM_DELEGATION),
            (Action.DELETE, Kind.PERSISTENT_VOLUME_CLAIM),
        ],
        Stage.CACHED_DATA: [
            (Action.DELETE, Kind.DATA_REPOSITORY_ASSOCIATION),
            (Action.DELETE, Kind.PERSISTENT_VOLUME),
        ],
        Stage.REMAINS: [(Action.DELETE, Kind.FILE_SYSTEM_DELEGATION)],
    }


def test_from_write_to_read_the_export_ends_first() -> None:
    """The share and the link are narrowed in place; volume and claim, whose sources are fixed, are made anew."""
    found = plan(READ, WRITE)
    narrowed = [(change.action, change.key.kind) for change in found.revoke[Stage.DATA_ACCESS]]
    assert (Action.RESTRICT, Kind.FILE_SYSTEM_DELEGATION) in narrowed
    assert (Action.RESTRICT, Kind.DATA_REPOSITORY_ASSOCIATION) in narrowed
    assert (Action.DELETE, Kind.PERSISTENT_VOLUME_CLAIM) in narrowed
    assert of(READ, DataRepositoryAssociation).exports == frozenset()
    assert of(WRITE, DataRepositoryAssociation).intersection(of(READ, DataRepositoryAssociation)).exports == frozenset()


@pytest.mark.parametrize(
    "dataset",
    [
        a_dataset(region="us-east-1"),
        a_dataset(kms_key=KMS_KEY),
        a_dataset(vpc="vpc-0123456789abcdef0"),
        a_dataset(data_role="target"),
    ],
    ids=["another Region", "a key", "a network", "a target role"],
)
def test_what_amazon_fsx_may_not_reach_is_not_linked(dataset: Dataset) -> None:
    """A dataset of another Region, behind a key, for one network or one role is in no file system, and no more if it was."""
    assert linked(team(link()), dataset) == {}


def test_a_file_system_that_nothing_is_known_of_gets_nothing() -> None:
    """Without its names no volume could be made: nothing of the grant is desired."""
    assert linked(team(link(file_system="fs-01234567"))) == {}
    assert linked(team(link()), cluster=replace(CLUSTER, file_systems=())) == {}


def test_without_the_api_a_person_applies_the_volumes() -> None:
    """Where podshare does not use the cluster's API, volume and claim are among the manifests that it prints."""
    cluster = replace(CLUSTER, kubernetes_api=False)
    assert {key.kind for key in linked(team(link()), cluster=cluster)} == {
        Kind.FILE_SYSTEM_DELEGATION,
        Kind.DATA_REPOSITORY_ASSOCIATION,
    }
    kinds = [one.key.kind for one in by_hand(team(link()), cluster, {"imagenet": a_dataset()}, INSTALLATION)]
    assert kinds == [Kind.NAMESPACE, Kind.PERSISTENT_VOLUME, Kind.PERSISTENT_VOLUME_CLAIM]


def test_a_team_of_several_clusters_says_whose_file_system_it_is() -> None:
    """A file system belongs to one cluster: a line that does not name it, or names another, is refused."""
    for lines in ([link()], [link(cluster="west")], [link(cluster="main"), link(cluster="main")]):
        with pytest.raises(InvalidRecord, match=r"file_systems(\.1)?: names"):
            parse_team(a_team_item_on("main", "east", file_systems=lines))
    found = parse_team(a_team_item_on("main", "east", file_systems=[link(cluster="main"), link("web", cluster="east")]))
    wanted = desired(found, [CLUSTER, EAST], {"imagenet": a_dataset(), "web": a_dataset("web")}, {}, INSTALLATION)
    assert {one.cluster for key, one in wanted.items() if key.kind in KINDS} == {"main"}  # nothing is known of east's


def test_a_file_system_links_no_data_twice() -> None:
    """Two grants of one file system of which one's data lie in the other's are refused, as Amazon FSx would."""
    datasets: dict[str, Dataset | None] = {
        "imagenet": a_dataset(),
        "train": a_dataset("train", prefix="imagenet/train/"),
    }
    found = accept_team(a_team_item(file_systems=[link(), link("train")]), None, ["main"], datasets)
    assert [(one.field, one.value) for one in found.problems] == [("file_systems.1.dataset", "train")]
    apart = [link(), link("train", file_system="fs-01234567")]
    assert not accept_team(a_team_item(file_systems=apart), None, ["main"], datasets).problems


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ([link(access="reed")], []),
        ([link(access="read")], ["read"]),
        ([link(access="read_write")], ["read_write"]),
        ([link(access="read_write", file_system="fs-01234567")], []),
        ([link(access="read_write", prefix="elsewhere/")], []),
        ("all", []),
        (None, []),
    ],
)
def test_a_typo_keeps_no_link_alive(written: Any, left: list[str]) -> None:
    """Of a record with a mistake counts what it still asks for, and was linked before; nothing else."""
    last = team(link(access="read_write"))
    item = {**a_team_item(members=[], service_accounts=[]), "acess": "view", "file_systems": written}
    found = accept_team(item, last, ["main"], {"imagenet": a_dataset()})
    assert found.record
    assert found.problems
    assert [str(one.access) for one in found.record.file_systems] == left


def test_a_link_ends_at_its_moment() -> None:
    """A grant through a file system has an end, like any other."""
    found = team(link(expires="2033-01-31T18:00:00Z"), link("web"))
    assert [str(one) for one in expirations(found)] == [
        f"dataset imagenet in file system {FILE_SYSTEM.file_system} 2033-01-31T18:00:00Z"
    ]
    later = in_force(found, datetime(2033, 2, 1, tzinfo=UTC))
    assert later
    assert [one.dataset for one in later.file_systems] == ["web"]


# ---- who reaches what -----------------------------------------------------------------------------------------


def reached(things: Things) -> dict[tuple[str, str, str], tuple[str, ...]]:
    return {(one.who, one.where, one.what): one.may for one in effective_access([*things.values()], READ, INSTALLATION)}


def test_every_pod_of_the_namespace_reaches_what_is_mounted() -> None:
    """A volume gives its directory to all pods of the team, and what is linked to it; to write where it is exported."""
    found, wider = reached(READ), reached(WRITE)
    assert found[PODS, BUCKET, "imagenet/*"] == ("list", "read")
    assert wider[PODS, BUCKET, "imagenet/*"] == ("list", "read", "write")
    role = INSTALLATION.file_system_role_arn("111111111111", FILE_SYSTEM.file_system)
    assert (found[role, BUCKET, "imagenet/*"], wider[role, BUCKET, "imagenet/*"]) == (
        ("list", "read"),
        ("list", "read", "write"),
    )


def test_whoever_may_make_pods_reaches_what_is_mounted() -> None:
    """The people of a team reach its directories by the pods that they may make."""
    wanted = desired(a_team(file_systems=[link("web")]), [CLUSTER], {"web": a_dataset("web")}, {}, INSTALLATION)
    found = effective_access([*wanted.values()], wanted, INSTALLATION)
    people = {one.who for one in by_pods(found, [one for one in found if one.what == "web/*" and one.who == PODS])}
    assert people == {
        f"arn:aws:iam::{account}:role/podshare/podshare-vision-scientist" for account in (2 * "222222", 2 * "444444")
    }


def test_a_volume_of_everything_is_beyond_what_was_granted() -> None:
    """One that somebody made anew for the whole file system, or to write, is found by the proof and by isolation."""
    granted = effective_access([*READ.values()], READ, INSTALLATION)
    volume = of(READ, PersistentVolume)
    csi = volume.spec["csi"]
    whole = {**csi, "volumeAttributes": {**csi["volumeAttributes"], "mountname": FILE_SYSTEM.mount_name}}
    own = Boundaries("vision", "hyperpod-ns-vision", frozenset(), {}, INSTALLATION)
    for spec, rule in (
        ({**volume.spec, "csi": whole}, "a volume mounts its own team's directory"),
        ({**volume.spec, "mountOptions": []}, "what is granted to read is mounted to be read"),
        ({**volume.spec, "claimRef": {"namespace": "hyperpod-ns-other", "name": "x"}}, "own team's namespace"),
    ):
        tampered = replace(volume, spec=spec)
        assert beyond(effective_access([*{**READ, volume.key: tampered}.values()], READ, INSTALLATION), granted)
        assert any(rule in one.rule for one in violations(own, [tampered], READ)), rule


def test_a_volume_of_another_teams_directory_breaks_that_teams_refusal() -> None:
    """Who mounts all of a file system is told with every team that has a directory there."""
    volume = of(READ, PersistentVolume)
    csi = volume.spec["csi"]
    whole = {**csi, "volumeAttributes": {**csi["volumeAttributes"], "mountname": FILE_SYSTEM.mount_name}}
    other = linked(a_team("audio", members=[], service_accounts=[], file_systems=[link("web")]))
    theirs = effective_access([*other.values()], other, INSTALLATION)
    proof = {"access": [{**one.as_dict(), "granted": True} for one in theirs]}
    for things, broken in ((READ, False), ({volume.key: replace(volume, spec={**volume.spec, "csi": whole})}, True)):
        found = effective_access([*things.values()], READ, INSTALLATION)
        excess = beyond(found, effective_access([*READ.values()], READ, INSTALLATION))
        (told,) = refusals(found, excess, {"audio": proof})
        assert bool(told.broken) == broken


def test_a_link_of_more_than_was_granted_is_told() -> None:
    """Other data, another team's directory, an export of what is to be read, a share to write: isolation tells each."""
    own = Boundaries("vision", "hyperpod-ns-vision", frozenset(), {}, INSTALLATION)
    assert violations(own, READ.values(), READ) == []
    association, delegation = of(READ, DataRepositoryAssociation), of(READ, FileSystemDelegation)
    away = replace(association, key=replace(association.key, name="/podshare/vision-labs/imagenet/"))
    for tampered, rule in (
        (replace(association, repository="s3://curated-images-333333333333/private/"), "links what is granted"),
        (replace(association, exports=frozenset({"NEW"})), "never exported"),
        (away, "its own team's directory"),
        (replace(delegation, write=True), "what is granted through it"),
    ):
        assert any(rule in one.rule for one in violations(own, [tampered], READ)), rule

"""What AWS would refuse for its size or number, reported before anything is changed.

Sizes are counted as AWS counts them: characters of the document without white space.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.bucket_edits import REVIVE, unwritable
from podshare.kinds.observation import Blocker
from podshare.kinds.role.shape import Role
from podshare.policy import policies
from podshare.policy.policies import ACCESS_POINT_POLICY, INLINE_POLICIES, Document

TRUST_POLICY = 2_048  # IAM quotas; can be raised to 8,192
BUCKET_POLICY = 20 * 1024  # S3 user guide, "Bucket policies"
ACCESS_ENTRIES = 3_000  # EKS quotas, per cluster; fixed
POD_IDENTITY_ASSOCIATIONS = 5_000  # EKS quotas, per cluster; fixed
DATA_REPOSITORY_ASSOCIATIONS = 8  # FSx for Lustre quotas, per file system; fixed
ACCESS_POINTS = 10_000  # S3 quotas, per account and Region


@dataclass(frozen=True, slots=True)
class Room:
    """How many resources of a kind there are in a place, and how many there may be."""

    kind: Kind
    account: str
    region: str
    present: int
    limit: int
    remedy: str


def sizes(desired: Iterable[Resource]) -> Iterator[Blocker]:
    """Every document that would be too large."""
    for resource in desired:
        match resource:
            case Role():
                yield from _role_sizes(resource)
            case AccessPoint() if resource.policy:
                remedy = "Split the dataset, or grant it to fewer service accounts."
                size = policies.size([resource.policy])
                yield from _too_large(resource.key, "policy", size, ACCESS_POINT_POLICY, remedy)


def bucket_policy(bucket: str, account: str, before: Document | None, after: Document) -> Iterator[Blocker]:
    """A bucket policy that S3 would refuse with podshare's statement in it, for its size or for another statement."""
    if (size := policies.size([after])) > BUCKET_POLICY:
        sentence = f"the policy of bucket {bucket} would have {size:,} characters, the limit is {BUCKET_POLICY:,}"
        yield Blocker(sentence, "Ask its owner to shorten it: podshare adds one statement.", account, bucket)
    dead = [*policies.dead_principals(after)]
    if dead and not policies.same(before, after):
        yield Blocker(unwritable(bucket, dead), REVIVE, account, bucket)


def _role_sizes(role: Role) -> Iterator[Blocker]:
    remedy = "Name fewer principals in trusted_by; with access_role: per_team, name fewer members or choose per_member."
    yield from _too_large(role.key, "trust policy", policies.size([role.trust]), TRUST_POLICY, remedy)
    inline = policies.size(role.policies.values())
    remedy = "Grant fewer datasets to one service account: give each its own."
    yield from _too_large(role.key, "inline policies", inline, INLINE_POLICIES, remedy)


def _too_large(key: Key, document: str, size: int, limit: int, remedy: str) -> Iterator[Blocker]:
    if size > limit:
        yield Blocker(f"the {document} of {key.name} would have {size:,} characters, the limit is {limit:,}", remedy)


def counts(creating: Mapping[tuple[Kind, str, str], int], rooms: Iterable[Room]) -> Iterator[Blocker]:
    """Every place in which there would be too many; ``creating`` counts by kind, account and Region."""
    for room in rooms:
        more = creating.get((room.kind, room.account, room.region), 0)
        if more and room.present + more > room.limit:
            kind = room.kind.replace("_", " ")
            where = f"account {room.account}{f', {room.region}' if room.region else ''}"
            sentence = (
                f"{more} more of kind {kind} would make {room.present + more:,} in {where}, the limit is {room.limit:,}"
            )
            yield Blocker(sentence, room.remedy)

"""What every kind's functions are given: where podshare is installed, clients, and for whom they work."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from podshare.aws.errors import Terminal
from podshare.aws.sessions import Accounts
from podshare.aws.tables import State
from podshare.installation import MANAGED_BY_TAG, TEAM_TAG, Installation
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.inventory import Inventory
from podshare.kinds.observation import Foreign
from podshare.kinds.remedies import give_marks_back

if TYPE_CHECKING:  # importing it costs half a second, and few functions talk to Kubernetes
    from types_boto3_sagemaker import SageMakerClient

    from podshare.aws.kubernetes import Kubernetes

Shape = TypeVar("Shape", bound=Resource)


@dataclass(frozen=True, slots=True)
class Context:
    """For whom and by which role a kind's functions work.

    ``run`` distinguishes one reconciliation's idempotency tokens from another's; ``desired`` names what stays.
    ``seen`` are identities that were read just now, and that the inventory may not have yet.
    """

    installation: Installation
    team: str
    execution_role: str
    accounts: Accounts
    state: State
    function_timeout: int
    run: str = ""
    desired: frozenset[Key] = frozenset()
    seen: Mapping[Key, str] = field(default_factory=dict)
    adopting: bool = False  # what would be if the team's compute quotas were handed over: for a plan alone

    def request_token(self, about: str) -> str:
        """The same for a request that is repeated in a run, another one in the next: 32 characters."""
        return hashlib.sha256(f"{about} {self.run}".encode()).hexdigest()[:32]

    def as_of_now(self) -> "Context":
        """The same, which reads again what was read before."""
        return replace(self, state=State(self.state.table), accounts=self.accounts.as_of_now())

    @property
    def inventory(self) -> Inventory:
        """The team's inventory."""
        return Inventory(self.state, self.team)

    def kubernetes(self, key: Key) -> "Kubernetes":
        """The API of the cluster that ``key`` is in."""
        from podshare.aws import kubernetes  # noqa: PLC0415  # see above: only where it is needed

        place = (key.account, key.region, key.container)
        with self.accounts.awaiting(("kubernetes", *place)):
            return kubernetes.connect(self.accounts, self.execution_role, *place)

    def member_policy(self, account: str, tag: str) -> str:
        """The ARN of the policy that the member stack of ``account`` names in ``tag``.

        Raises Terminal if the stack is of an earlier version, which names none.
        """
        arn = self.accounts.member_tags(account).get(tag)
        if arn is None:
            role = self.installation.member_role_arn(account, self.execution_role)
            raise Terminal(
                f"account {account}: {role} has no tag {tag}. Deploy accounts/member.yaml of this version there."
            )
        return arn

    def owns(self, key: Key, tags: Mapping[str, str], identity: str) -> bool:
        """Whether this installation made a resource for this team: by its tags, or as the inventory remembers it.

        Tags may be lost or changed. ``identity`` distinguishes the resource from one that somebody created later under
        its name.
        """
        if self.adopting and key.kind is Kind.COMPUTE_QUOTA and TEAM_TAG not in tags:
            return True
        return not self.missing_marks(tags) or self.remembers(key, identity)

    def missing_marks(self, tags: Mapping[str, str]) -> dict[str, str]:
        """The tags by which podshare knows its own that a resource lacks, or has with another value."""
        marks = {TEAM_TAG: self.team, MANAGED_BY_TAG: self.installation.manager}
        return {name: value for name, value in marks.items() if tags.get(name) != value}

    def remembers(self, key: Key, identity: str) -> bool:
        """Whether the inventory knows this very resource as the team's own."""
        return bool(identity) and self.inventory.identity(key) == identity

    def foreign(self, key: Key, tags: Mapping[str, str]) -> Foreign:
        """A foreign resource at podshare's name, recognized by its tags."""
        owner = tags.get(TEAM_TAG)
        if owner not in (None, self.team):
            return Foreign(key, f"it belongs to team {owner}")
        missing = self.missing_marks(tags)
        return Foreign(key, "it does not carry podshare's tags", give_marks_back(self.installation, key, missing))


def tag_list(tags: Mapping[str, str]) -> list[Any]:
    """Tags as IAM, SageMaker and S3 take them (any of their types: all have Key and Value)."""
    return [{"Key": name, "Value": value} for name, value in sorted(tags.items())]


def tag_map(tags: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The reverse of ``tag_list``."""
    return {str(tag["Key"]): str(tag["Value"]) for tag in tags}


def tags_of(sagemaker: "SageMakerClient", arn: str) -> dict[str, str]:
    """The tags of a resource of SageMaker's."""
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
    return tag_map(tag for page in pages for tag in page["Tags"])


def as_kind(shape: type[Shape], resource: Resource) -> Shape:
    """The resource, known to be of its module's kind. Raises TypeError for any other: a mistake in the table."""
    if not isinstance(resource, shape):
        raise TypeError(f"{resource.key} is a {type(resource).__name__}, not a {shape.__name__}")
    return resource

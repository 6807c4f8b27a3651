"""Doors: everything that leads into a team's namespace or data, whoever made it and whatever its tags say.

What podshare owns is planned and verified by its documents. A door is reported here because it is not, or not known to
be, podshare's: nobody's record lets anybody in by it, unless what is desired gives the same. See decision record "The
verification reads every door, not only labelled resources".
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from podshare.access.effective_access import ANYBODY, Access
from podshare.kinds.subjects import service_accounts_in, team_of
from podshare.policy import policies
from podshare.registry.items import TEAM_NAMESPACES

RULE = "unexpected access"
UNREAD = "all doors are read"
# User names and groups with these prefixes are Kubernetes' and EKS' own: no access entry can give them (EKS user guide,
# "Create access entries": username and group names), but a line of the ConfigMap aws-auth can
RESERVED = ("system:", "eks:", "aws:", "amazon:", "iam:")
# all of these stand for people or for pods of teams, although their names begin with system:
_ANYBODYS = ("system:authenticated", "system:unauthenticated", "system:serviceaccounts", "system:anonymous")
# what Kubernetes gives to everybody (Kubernetes documentation, "Using RBAC Authorization", API discovery roles)
# and EKS, in clusters that were made when it had pod security policies (EKS user guide, "Pod security policy")
DISCOVERY = frozenset(
    {
        "eks:podsecuritypolicy:privileged",
        "system:basic-user",
        "system:discovery",
        "system:public-info-viewer",
        "system:service-account-issuer-discovery",
    }
)
_EVERYBODY = frozenset(
    {"system:authenticated", "system:unauthenticated", "system:serviceaccounts", "User system:anonymous"}
)
# SageMaker's own, whose service-linked role alone comes by this name unless an entry gives it to others (charts
# hyperpod-patching and job-auto-restart of aws/sagemaker-hyperpod-cli)
_SERVICES = frozenset({"User hyperpod-service-linked-role"})
# whoever has one of these may do everything in a cluster already
_EVERYTHING = frozenset({"AmazonEKSClusterAdminPolicy", "ClusterRole cluster-admin", "group system:masters"})


@dataclass(frozen=True, slots=True, order=True)
class Door:
    """One way by which a principal gets into a place of a team.

    ``kind`` is its kind in words, such as ``access entry``; ``where`` the ARN of a cluster or a bucket (of a role for
    what pods get), ``what`` the namespace or the keys in it as a pattern (``*`` for all); ``gives`` what it gives, as
    ``Access.may`` says it; ``written_at`` where it is written: a principal's ARN, the name of a binding, a Sid;
    ``behind`` who is behind the principal: a role's trust, or the entries that give a group or a user name;
    ``closed_by`` the command that closes the door.
    """

    kind: str
    account: str
    region: str
    container: str
    principal: str
    gives: tuple[str, ...]
    where: str
    what: str
    written_at: str
    closed_by: str
    behind: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What identifies it, spelled as the key of a resource of podshare's."""
        return "|".join((self.kind.replace(" ", "_"), self.account, self.region, self.container, self.written_at))

    @property
    def is_binding(self) -> bool:
        """Whether it names a group or a user, which others give to principals."""
        return self.kind.endswith("binding")

    @property
    def access(self) -> Access:
        """The effective access that it gives, as a proof has it."""
        return Access(self.principal, self.gives, self.where, self.what, by=(self.key,))

    def __str__(self) -> str:
        place = self.where if self.what == ANYBODY else f"{self.what} of {self.where}"
        roles = ", ".join(self.behind)
        behind = f", given by access entries of {roles}," if self.is_binding else f", which {roles} may assume,"
        return (
            f"account {self.account}: {self.principal}{behind if roles else ''} has {', '.join(self.gives)} in {place} "
            f"by {self.kind} {self.written_at}"
        )

    def as_dict(self) -> dict[str, Any]:
        """In plain JSON."""
        return {**asdict(self), "gives": [*self.gives], "behind": [*self.behind]}

    @classmethod
    def of_dict(cls, document: Mapping[str, Any]) -> "Door":
        """The reverse of ``as_dict``, which leaves out what a proof says beside it: whether it is expected, and why."""
        fields = {name: value for name, value in document.items() if name not in ("expected", "record")}
        return cls(**{**fields, "gives": tuple(document["gives"]), "behind": tuple(document["behind"])})

    def violation(self) -> dict[str, str]:
        """The door as a rule that does not hold, with its remedy."""
        return {"key": self.key, "rule": RULE, "found": f"{self}. Close it: {self.closed_by}", "remedy": self.closed_by}


@dataclass(frozen=True, slots=True)
class Administrators:
    """Who may span a cluster: whom its record names, or, if it names nobody, who did at podshare's first reading.

    ``named`` are principals as doors have them, and such as stand for everybody or for pods with what they have.
    ``at_first`` are the doors of the first reading as ``kept_at_first`` returns them: whoever was there first has no
    more than then. A group or a user name lets in whoever an entry gives it to, so that it counts for those who had it
    at the first reading, and for other administrators.
    """

    named: Collection[str] = ()
    at_first: Collection[Access] = ()

    def beyond(self, door: Door) -> Door | None:
        """What is unexpected of a door that spans the cluster: itself, or it for some of those behind it; or None."""
        if not self._is_one(door.principal, door.gives):
            return door
        if not door.is_binding:
            return None
        had = {who for access in self.at_first if access.who == door.principal for who in access.through}
        behind = tuple(
            who for who in door.behind if _holder(who) not in had and not self._may_do_everything(_holder(who))
        )
        return replace(door, behind=behind) if behind else None

    def _is_one(self, principal: str, gives: Collection[str]) -> bool:
        if _is_never_expected(principal):
            return {f"{principal} has {may}" for may in gives} <= {*self.named}
        if principal in _SERVICES:
            return True
        return principal in self.named if self.named else self._had(principal, gives)

    def _may_do_everything(self, principal: str) -> bool:
        return principal in self.named if self.named else self._had(principal, ())

    def _had(self, principal: str, gives: Collection[str]) -> bool:
        had = {verb for access in self.at_first if access.who == principal for verb in access.may}
        return bool(had & _EVERYTHING) or (bool(gives) and {*gives} <= had)


def kept_at_first(doors: Iterable[Door]) -> list[Access]:
    """What ``Administrators`` takes for what was there at the first reading of a cluster, with who was behind it."""
    return sorted(
        {
            replace(door.access, through=tuple(sorted(map(_holder, door.behind))) if door.is_binding else (), by=())
            for door in doors
            if spans(door) and not _is_never_expected(door.principal)
        }
    )


def _is_never_expected(principal: str) -> bool:
    """Whether it stands for everybody, or for pods of teams: no reading makes them administrators."""
    return principal in _EVERYBODY or service_accounts_in(principal).startswith(TEAM_NAMESPACES)


def _holder(who: str) -> str:
    """The principal in what a door says of whoever is behind a binding: an ARN has no spaces."""
    return who.partition(" (")[0]


def spans(door: Door) -> bool:
    """Whether a door leads everywhere in a cluster."""
    return ":eks:" in door.where and door.what == ANYBODY


def unexpected(door: Door, granted: Collection[Access], administrators: Administrators) -> Door | None:
    """What of a door no record grants; None if all of it is granted or expected.

    ``granted`` is what ``effective_access`` computes from what is desired. Administrators are expected where a door
    spans the cluster; in a team's namespace alone nobody is.
    """
    if is_granted(door, granted):
        return None
    return administrators.beyond(door) if spans(door) else door


def is_granted(door: Door, granted: Collection[Access]) -> bool:
    """Whether what is desired gives as much to the same principal, or to whoever is in the same role."""
    return any(
        access.covers(door.access)
        or (
            door.principal == (access.through[0] if access.through else "")
            and access.where == door.where
            and {*door.gives} <= {*access.may}
            and policies.covers(access.what, door.what)
        )
        for access in granted
    )


def principal_of(subject: str) -> str:
    """A binding's subject as a door names it: a group by its name, unless that may be somebody else's."""
    name = subject.removeprefix("Group ")
    return subject if name.startswith("arn:") or " " in name else name


def is_stranger(subject: str, namespace: str, own_groups: str) -> bool:
    """Whether a subject of a RoleBinding in a team's namespace is neither the team's group nor its service account.

    ``subject`` is a kind and a name, ``own_groups`` the prefix of the names of the team's groups.
    """
    return not subject.startswith((f"Group {own_groups}", f"ServiceAccount {namespace}/"))


def spans_as_stranger(subject: str, role: str, prefix: str) -> bool:
    """Whether a subject of a ClusterRoleBinding lets people, or pods of teams, into every namespace.

    Kubernetes' and EKS' own users and groups, and the service accounts of controllers (those outside of teams'
    namespaces), are not; nor are podshare's own two groups, nor what lets everybody discover the API.
    """
    kind, _, name = subject.partition(" ")
    if name.startswith(_ANYBODYS):
        return role not in DISCOVERY
    if kind == "ServiceAccount" or name.startswith(RESERVED):
        return bool(team_of(subject, prefix))
    return subject not in (f"Group {prefix}:kubernetes", f"Group {prefix}:read")


def namespace_of_controller(subject: str, role: str) -> str:
    """The namespace of the service accounts outside of teams' namespaces that a ClusterRoleBinding names, if any."""
    namespace = service_accounts_in(subject)
    return "" if role in DISCOVERY or namespace.startswith(TEAM_NAMESPACES) else namespace

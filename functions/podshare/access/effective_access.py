"""Who reaches what, by the documents of a team's resources as they are: trusts, access entries, associations, policies.

The reach is never smaller than the truth. A Deny, a boundary, a service control policy, and a condition that is not
understood could only restrict it, and are ignored; a ``NotAction`` and its like count as everything.
What no document of the team's own resources grants (RBAC bindings, entries and statements of others) is no part of it.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from podshare.installation import Installation
from podshare.kinds.access_entry.shape import AccessEntry
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.data_repository_association.shape import DataRepositoryAssociation
from podshare.kinds.file_system_delegation.shape import FileSystemDelegation
from podshare.kinds.foreign_subjects.shape import ForeignSubjects
from podshare.kinds.kubernetes_role.shape import KubernetesRole
from podshare.kinds.kubernetes_role_binding.shape import KubernetesRoleBinding
from podshare.kinds.persistent_volume.shape import PersistentVolume
from podshare.kinds.pod_identity_association.shape import PodIdentityAssociation
from podshare.kinds.role.shape import Role
from podshare.policy import policies, rbac
from podshare.policy.policies import Statement

ANYBODY = "*"
ASSUME = "assume"
FROM_OUTSIDE = "from outside of the organization"
# access policies that let nobody make pods, or act in one (EKS user guide, "Review access policy permissions";
# SageMaker AI developer guide, "Setting up an Amazon EKS cluster in Studio")
MAKE_NO_PODS = frozenset(
    {
        "AmazonEKSSecretReaderPolicy",
        "AmazonEKSViewPolicy",
        "AmazonSagemakerHyperpodSpaceTemplatePolicy",
        "AmazonSagemakerHyperpodUserClusterPolicy",
    }
)
_VERBS = {"list": ("s3:ListBucket",), "read": policies.READ_OBJECTS, "write": policies.WRITE_OBJECTS}
_PODS = "pods.eks.amazonaws.com"
_OBJECT = "/object/"
_VARIABLE = re.compile(r"\$\{[^}]*\}")  # IAM user guide, "IAM policy elements: Variables and tags"
# only services make roles there; a path that others choose may have colons (IAM API reference, CreateRole, "Path")
_SERVICE_LINKED = re.compile(r"arn:[^:]+:iam::[0-9]{12}:role/aws-service-role/.+")
_DELETED = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,}")  # IAM user guide, "IAM identifiers", unique identifiers


@dataclass(frozen=True, slots=True, order=True)
class Access:
    """Somebody may do something somewhere.

    ``who`` is the ARN of a principal (``*`` and ``?`` allowed; an account's root stands for everybody in it), a
    service account by its Kubernetes user name, or a Kubernetes group. ``where`` is the ARN of a cluster, a bucket, a
    file system or a role, ``what`` the namespace, the keys or the paths in it, as a pattern; for the actions of a
    policy ``where`` is empty and ``what`` the policy's resource. ``through`` are the role and the access point, or the
    file system, on the way, ``by`` the keys of the resources that say so.
    """

    who: str
    may: tuple[str, ...]
    where: str
    what: str
    through: tuple[str, ...] = ()
    by: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        place = f"{self.where} {self.what}".strip() if self.what != ANYBODY else self.where or self.what
        return f"{self.who} may {', '.join(self.may)} in {place}"

    def as_dict(self) -> dict[str, Any]:
        """In plain JSON."""
        lists = {"may": [*self.may], "through": [*self.through], "by": [*self.by]}
        return {"who": self.who, "where": self.where, "what": self.what, **lists}

    @classmethod
    def of_dict(cls, document: Mapping[str, Any]) -> Self:
        """The reverse of ``as_dict``."""
        tuples = {name: tuple(document[name]) for name in ("may", "through", "by")}
        return cls(who=document["who"], where=document["where"], what=document["what"], **tuples)

    def covers(self, other: "Access") -> bool:
        """Whether ``other`` is no more than this."""
        return (
            self.where == other.where
            and {*other.may} <= {*self.may}
            and policies.covers(self.what, other.what)
            and includes_principal(self.who, other.who)
        )

    def touches(self, other: "Access") -> bool:
        """Whether both may reach the same resource."""
        return self.where == other.where and policies.overlap(self.what, other.what)

    def is_of(self, principal: str) -> bool:
        """Whether ``principal``, an ARN or a service account's user name, may be meant by ``who``."""
        return policies.overlap(self.who, principal) or includes_principal(self.who, principal)


def includes_principal(outer: str, inner: str) -> bool:
    """Whether one principal pattern means whoever the other means."""
    if outer.endswith(":root") and inner.startswith("arn:"):
        return outer.split(":")[4] == inner.split(":")[4]
    return policies.covers(outer, inner)


def account_of(principal: str) -> str:
    """The account in a principal's ARN; empty for anybody else."""
    return principal.split(":")[4] if principal.startswith("arn:") and principal.count(":") >= 5 else ""


def is_service_linked(principal: str) -> bool:
    """Whether it is a service-linked role, which its service alone can assume (IAM user guide)."""
    return _SERVICE_LINKED.fullmatch(principal) is not None


def service_account_user(namespace: str, name: str) -> str:
    """A service account's user name (Kubernetes, "Authenticating", service account tokens)."""
    return f"system:serviceaccount:{namespace}:{name}"


def in_cluster(access: Access) -> bool:
    """Whether it is about a cluster."""
    return ":eks:" in access.where


def in_bucket(access: Access) -> bool:
    """Whether it is about data."""
    return ":s3:::" in access.where


def in_file_system(access: Access) -> bool:
    """Whether it is about a directory of a file system."""
    return ":fsx:" in access.where


def by_pods(people: Iterable[Access], data: Collection[Access]) -> Iterator[Access]:
    """What people reach by pods: whoever may make pods in a namespace, or act in them, may use its service accounts.

    ``data`` is what service accounts reach. An access policy that is not known to do less may make pods, and so may
    whoever may write anything by a Role.
    """
    for person in people:
        if not in_cluster(person) or all(_makes_no_pods(verb) for verb in person.may):
            continue
        users = service_account_user(person.what, ANYBODY)
        for access in data:
            if policies.covers(users, access.who):
                yield replace(access, who=person.who, through=(*person.through, access.who, *access.through))


def _makes_no_pods(may: str) -> bool:
    verb, _, resource = may.partition(" ")
    return may in MAKE_NO_PODS or rbac.only_reads(verb, resource.partition(" ")[0])


def effective_access(
    resources: Collection[Resource], known: Collection[Key], installation: Installation
) -> tuple[Access, ...]:
    """Everything that anybody may do by the documents of ``resources``.

    ``known`` are the keys of all resources that are there or shall be: a role's policy about one of the access points
    counts as far as the access point's policy agrees, about anything else by itself, and nobody is in a role that is
    not there.
    """
    team_resources = _TeamResources(resources, known, installation)
    accesses = {*team_resources.trusted(), *team_resources.given_by_roles(), *team_resources.given_to_others()}
    accesses |= {*team_resources.given_to_groups(), *team_resources.given_to_other_teams()}
    return tuple(sorted({*accesses, *team_resources.given_to_file_systems(), *team_resources.given_by_volumes()}))


@dataclass(frozen=True, slots=True)
class _Gift:
    """What whoever enters a role may do by it; ``by`` are the keys of what says so beside the role."""

    may: tuple[str, ...]
    where: str
    what: str
    through: tuple[str, ...] = ()
    by: tuple[str, ...] = ()


class _TeamResources:
    """All resources of a team that are there, by what they have to do with each other."""

    def __init__(self, resources: Collection[Resource], known: Collection[Key], installation: Installation) -> None:
        self.installation = installation
        self.roles = {self._role_arn(role.key): role for role in resources if isinstance(role, Role)}
        self.entries = [resource for resource in resources if isinstance(resource, AccessEntry)]
        self.associations = [resource for resource in resources if isinstance(resource, PodIdentityAssociation)]
        self.bindings = [resource for resource in resources if isinstance(resource, KubernetesRoleBinding)]
        self.foreign_subjects = [resource for resource in resources if isinstance(resource, ForeignSubjects)]
        self.kubernetes_roles = {
            resource.key: resource for resource in resources if isinstance(resource, KubernetesRole)
        }
        self.volumes = [resource for resource in resources if isinstance(resource, PersistentVolume)]
        self.delegations = [resource for resource in resources if isinstance(resource, FileSystemDelegation)]
        self.links = [resource for resource in resources if isinstance(resource, DataRepositoryAssociation)]
        self.points = {
            self._point_arn(resource.key): resource for resource in resources if isinstance(resource, AccessPoint)
        }
        self.given_by_points = {arn: _by_principal(point.policy, arn) for arn, point in self.points.items()}
        named = {self._point_arn(key) for key in known if key.kind is Kind.ACCESS_POINT}
        self.known_points = frozenset({*self.points, *named})
        self.known_roles = frozenset({*self.roles, *(self._role_arn(key) for key in known if key.kind is Kind.ROLE)})

    def _role_arn(self, key: Key) -> str:
        return self.installation.role_arn(key.account, key.name)

    def _point_arn(self, key: Key) -> str:
        return self.installation.access_point_arn(key.account, key.region, key.name)

    def _cluster_arn(self, key: Key) -> str:
        return self.installation.eks_arn(key.account, key.region, key.container)

    # ---- who enters a role ----

    def trusted(self) -> Iterator[Access]:
        """Who may assume each role, by its trust alone."""
        for arn, role in self.roles.items():
            for who, may in _trusted(role, self.installation.organization):
                yield Access(who, may, arn, ANYBODY, by=(str(role.key),))

    def _entrants(self, arn: str, role: Role) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Who gets into a role, with the keys of what lets them in: people by its trust, pods by an association too."""
        trusted = {who for who, _ in _trusted(role, self.installation.organization)}
        yield from ((who, (str(role.key),)) for who in trusted if not who.startswith("system:"))
        for association in self.associations:
            namespace, _, name = association.key.name.partition("/")
            user = service_account_user(namespace, name)
            at_first = association.role_arn == arn and any(policies.covers(who, user) for who in trusted)
            as_target = association.target_role_arn == arn and any(
                includes_principal(who, association.role_arn) for who in trusted
            )
            if at_first or as_target:
                yield user, (str(role.key), str(association.key))

    # ---- what a role gives ----

    def given_by_roles(self) -> Iterator[Access]:
        """What each entrant of each role may do by it."""
        for arn, role in self.roles.items():
            gifts = [*self._in_clusters(arn), *self._in_data(arn, role), *self._in_buckets(role)]
            gifts += self._by_policies(role)
            for who, keys in self._entrants(arn, role):
                for gift in gifts:
                    through = (arn, *gift.through)
                    yield Access(who, gift.may, gift.where, gift.what, through, tuple(sorted({*keys, *gift.by})))

    def _in_clusters(self, arn: str) -> Iterator[_Gift]:
        for entry in self.entries:
            if entry.key.name != arn or not entry.alive:
                continue
            cluster, by = self._cluster_arn(entry.key), (str(entry.key),)
            for policy, namespaces in entry.policies.items():
                may = (policy.rpartition("/")[2],)
                yield from (_Gift(may, cluster, namespace, by=by) for namespace in namespaces or (ANYBODY,))
            yield from (_Gift(("what RBAC grants",), cluster, f"group {group}", by=by) for group in entry.groups)

    def _in_data(self, arn: str, role: Role) -> Iterator[_Gift]:
        statements = _by_resource(_allowed(role.policies.values()))
        for point_arn, point in self.points.items():
            by_point = self.given_by_points[point_arn]
            named = by_point.get(arn, set()) | by_point.get(ANYBODY, set())
            within = point.key.account == role.key.account
            if not named and not within:
                continue
            own = uses_of([*statements[point_arn], *statements[ANYBODY]], point_arn, f"{point_arn}{_OBJECT}")
            # within an account either policy suffices (IAM user guide, "Policy evaluation logic")
            yield from self._merged(point_arn, point, own | named if within else _agreed(own, named))

    def _in_buckets(self, role: Role) -> Iterator[_Gift]:
        """What a role may do in buckets without an access point, as one in the account of the data."""
        statements = _allowed(role.policies.values())
        buckets = {self._bucket_in(resource) for statement in statements for resource in _listed(statement, "Resource")}
        for bucket in sorted(buckets - {""}):
            yield from _gifts(uses_of(statements, bucket, f"{bucket}/"), bucket)

    def _bucket_in(self, resource: str) -> str:
        """The ARN of the bucket that a policy's resource is about; empty for anything else, a pattern of them too."""
        bucket = resource.partition("/")[0]
        is_bucket = bucket.startswith(self.installation.bucket_arn("")) and not _is_pattern(bucket)
        return bucket if is_bucket else ""

    def _by_policies(self, role: Role) -> Iterator[_Gift]:
        for statement in _allowed(role.policies.values()):
            for resource in _listed(statement, "Resource"):
                if resource.partition(_OBJECT)[0] not in self.known_points and not self._bucket_in(resource):
                    yield _Gift(tuple(_listed(statement, "Action")), "", resource)
        yield from (_Gift(("whatever it allows",), "", policy) for policy in role.attached)

    def given_to_others(self) -> Iterator[Access]:
        """What access points give to principals that are none of the team's roles."""
        for arn, point in self.points.items():
            for who, uses in self.given_by_points[arn].items():
                if who not in self.known_roles:
                    for gift in self._merged(arn, point, uses):
                        yield Access(who, gift.may, gift.where, gift.what, gift.through, gift.by)

    def given_to_groups(self) -> Iterator[Access]:
        """What the subjects of each binding, groups as a rule, may do by its Role."""
        for binding in self.bindings:
            namespace = binding.key.name.partition("/")[0]
            kind, _, name = binding.role.partition(" ")
            key = replace(binding.key, kind=Kind.KUBERNETES_ROLE, name=f"{namespace}/{name}")
            role = self.kubernetes_roles.get(key) if kind == "Role" else None
            may = _verbs(role) if role else (f"whatever {binding.role} allows",)
            by = (str(binding.key), *([str(role.key)] if role else []))
            for subject in binding.subjects if may else ():
                who = subject.removeprefix("Group ")
                yield Access(who, may, self._cluster_arn(binding.key), namespace, by=by)

    def given_to_other_teams(self) -> Iterator[Access]:
        """What people and pods of other teams may do by bindings in the namespace."""
        for subjects in self.foreign_subjects:
            for _, role, subject in subjects.bound:
                who = subject.removeprefix("Group ")
                yield Access(who, (role,), self._cluster_arn(subjects.key), subjects.key.name, by=(str(subjects.key),))

    def given_to_file_systems(self) -> Iterator[Access]:
        """What Amazon FSx may do in buckets, by the role of each file system."""
        for delegation in self.delegations:
            may = (*(["list", "read"] if delegation.read else []), *(["write"] if delegation.write else []))
            who = self.installation.file_system_role_arn(delegation.account, delegation.file_system)
            bucket = self.installation.bucket_arn(delegation.key.container)
            if may:
                yield Access(who, may, bucket, f"{delegation.prefix}{ANYBODY}", by=(str(delegation.key),))

    def given_by_volumes(self) -> Iterator[Access]:
        """What all pods of a claim's namespace may do: in a directory of a file system, and in what is linked to it.

        What is written there reaches the bucket where the link exports it.
        """
        for volume in self.volumes:
            user = service_account_user(volume.claim.partition("/")[0], ANYBODY)
            through, by = (self._file_system_arn(volume),), (str(volume.key),)
            may = ("list", "read") if volume.is_read_only else ("list", "read", "write")
            yield Access(user, may, through[0], f"{volume.mounts}{ANYBODY}", by=by)
            for link in self.links:
                if link.key.container == volume.file_system and policies.overlap(
                    f"{volume.mounts}{ANYBODY}", f"{link.key.name}{ANYBODY}"
                ):
                    bucket, _, prefix = link.repository.removeprefix("s3://").partition("/")
                    exported = may if link.exports else may[:2]
                    where = self.installation.bucket_arn(bucket)
                    yield Access(user, exported, where, f"{prefix}{ANYBODY}", through, (*by, str(link.key)))

    def _file_system_arn(self, volume: PersistentVolume) -> str:
        place = f"{volume.key.region}:{volume.key.account}"
        return f"arn:{self.installation.partition}:fsx:{place}:file-system/{volume.file_system}"

    def _merged(self, arn: str, point: AccessPoint, uses: Collection["Use"]) -> Iterator[_Gift]:
        """The uses of an access point, those of the same keys in one."""
        bucket = self.installation.bucket_arn(point.bucket)
        return _gifts(uses, bucket, (arn,), (str(point.key),))


def _gifts(
    uses: Collection["Use"], bucket: str, through: tuple[str, ...] = (), by: tuple[str, ...] = ()
) -> Iterator[_Gift]:
    """The uses of a bucket, those of the same keys in one."""
    for keys in sorted({pattern for _, pattern in uses}):
        may = sorted({verb for verb, pattern in uses if pattern == keys}, key=in_order)
        yield _Gift(tuple(may), bucket, keys, through, by)


def _verbs(role: KubernetesRole) -> tuple[str, ...]:
    """What a Role's rules allow, a verb on a resource each."""
    verbs = {
        " ".join((verb, resource, *([f"named {', '.join(rule.resource_names)}"] if rule.resource_names else [])))
        for rule in role.rules
        for verb in rule.verbs
        for resource in (*rule.resources, *rule.non_resource_urls)
    }
    return tuple(sorted(verbs))


# ---- documents ---------------------------------------------------------------------------------------------


def _allowed(documents: Iterable[policies.Document | None]) -> list[Statement]:
    return [
        statement
        for document in documents
        for statement in policies.canonical(document)
        if statement["Effect"] == "Allow"
    ]


def _listed(statement: Statement, element: str) -> list[str]:
    """What ``element`` lists, as patterns; everything where it is left out or turned round (``NotAction``)."""
    return _patterns(statement.get(element, [ANYBODY]))


def _patterns(values: Iterable[str]) -> list[str]:
    """A policy variable stands for whatever the caller brings, such as a tag of their own role."""
    return [_VARIABLE.sub(ANYBODY, value) for value in values]


def _by_resource(statements: Iterable[Statement]) -> Mapping[str, list[Statement]]:
    """Statements by the access point that they are about; those with a pattern of them by ``*``."""
    by_head = defaultdict[str, list[Statement]](list)
    for statement in statements:
        heads = {resource.partition(_OBJECT)[0] for resource in _listed(statement, "Resource")}
        for head in {ANYBODY if _is_pattern(head) else head for head in heads}:
            by_head[head].append(statement)
    return by_head


def _is_pattern(text: str) -> bool:
    return "*" in text or "?" in text


def principals_of(statement: Statement) -> set[str]:
    """Whom a statement names. The id that stands for a principal which was deleted is nobody's any more."""
    named = statement.get("Principal", {"AWS": [ANYBODY]})
    principals = {who if kind == "AWS" else f"{kind.lower()}:{who}" for kind, names in named.items() for who in names}
    return {who for who in principals if not is_deleted(who)}


def is_deleted(who: str) -> bool:
    """Whether it is the id that AWS shows for a principal which was deleted."""
    return _DELETED.fullmatch(who) is not None


def _trusted(role: Role, organization: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Whom a role's trust lets in, and what they may."""
    for statement in _allowed([role.trust]):
        conditions = keys_of(statement)
        outside = conditions.get("aws:principalorgid") != [organization]
        for who in principals_of(statement):
            if who == f"service:{_PODS}":
                yield from ((user, (ASSUME, *clusters)) for user, clusters in _pods(conditions))
            elif ":" in who and not who.startswith("arn:"):
                yield who, (ASSUME,)
            else:
                may = (ASSUME, FROM_OUTSIDE) if outside else (ASSUME,)
                yield from ((pattern, may) for pattern in conditions.get("aws:principalarn", [who]))


def _pods(conditions: Mapping[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
    """The service accounts that the session tags of EKS Pod Identity ask for, each with its clusters."""
    clusters = [f"from {arn}" for arn in conditions.get("aws:requesttag/eks-cluster-arn", ["any cluster"])]
    for namespace in conditions.get("aws:requesttag/kubernetes-namespace", [ANYBODY]):
        for name in conditions.get("aws:requesttag/kubernetes-service-account", [ANYBODY]):
            yield service_account_user(namespace, name), clusters


def keys_of(statement: Statement) -> dict[str, list[str]]:
    """What a statement's conditions compare positively and strictly, by key, as patterns."""
    strict = ("StringEquals", "StringLike", "ArnEquals", "ArnLike")
    compared = (statement.get("Condition", {}).get(operator, {}) for operator in strict)
    return {key: _patterns(values) for operands in compared for key, values in operands.items()}


Use = tuple[str, str]  # a verb, and the pattern of keys


def _by_principal(policy: policies.Document | None, point: str) -> dict[str, set[Use]]:
    """What an access point's policy gives to each principal that it names."""
    by_principal: dict[str, set[Use]] = {}
    for statement in _allowed([policy]):
        for who in principals_of(statement):
            by_principal[who] = by_principal.get(who, set()) | uses_of([statement], point, f"{point}{_OBJECT}")
    return by_principal


def uses_of(statements: Iterable[Statement], place: str, objects: str) -> set[Use]:
    """What statements allow with an access point or a bucket: verbs with the keys, and actions that are no verb.

    ``objects`` is what stands before the keys in the ARNs of its objects.
    """
    uses: set[Use] = set()
    for statement in statements:
        actions = _listed(statement, "Action")
        for resource in _listed(statement, "Resource"):
            itself, keys = policies.covers(resource, place), _keys_in(resource, objects)
            if itself and _any_is(actions, "list"):
                uses |= {("list", prefix) for prefix in _listed_prefixes(statement)}
            uses |= {(verb, keys) for verb in ("read", "write") if keys and _any_is(actions, verb)}
            if itself or keys:
                uses |= {
                    (action, keys or ANYBODY) for action in actions if _is_of_s3(action) and not _is_a_verb(action)
                }
    return uses


def _any_is(actions: Iterable[str], verb: str) -> bool:
    return any(
        policies.covers(action.lower(), known_action.lower()) for action in actions for known_action in _VERBS[verb]
    )


def _is_of_s3(action: str) -> bool:
    """Whether it may be done with a bucket: no action of another service is, whatever its statement's resource."""
    return policies.overlap(action.lower(), "s3:*")


def _is_a_verb(action: str) -> bool:
    return any(action in names for names in _VERBS.values())


def _listed_prefixes(statement: Statement) -> set[str]:
    """The keys that may be listed: all that begin with a prefix that may be asked for."""
    prefixes = {f"{prefix.rstrip(ANYBODY)}{ANYBODY}" for prefix in keys_of(statement).get("s3:prefix", [ANYBODY])}
    return {
        prefix
        for prefix in prefixes
        if not any(prefix != other and policies.covers(other, prefix) for other in prefixes)
    }


def _keys_in(resource: str, objects: str) -> str:
    """The keys of the objects that ``resource`` names; empty if none."""
    if resource.startswith(objects):
        return resource.removeprefix(objects)
    return ANYBODY if _is_pattern(resource) and policies.overlap(resource, f"{objects}*") else ""


def _agreed(ones: Iterable[Use], others: Iterable[Use]) -> set[Use]:
    """What both allow: for each pair of the same verb the narrower keys."""
    pairs = [(verb, keys, other_keys) for verb, keys in ones for also, other_keys in others if verb == also]
    covered = {(verb, keys) for verb, keys, other_keys in pairs if policies.covers(other_keys, keys)}
    return covered | {(verb, other_keys) for verb, keys, other_keys in pairs if policies.covers(keys, other_keys)}


def in_order(verb: str) -> tuple[int, str]:
    """What verbs are sorted by: list, read and write before what is no verb."""
    return ([*_VERBS, verb].index(verb), verb)

"""Read the doors into a team's namespaces and data: all that is there, not only what podshare made.

A reader of clusters takes a ``ClusterReading`` and yields each ``Door`` that it finds and that podshare does not know
as its own (what is ``ClusterReading.own`` is planned and verified by its documents). It reads by its ``context``, which
changes nothing, and lets errors pass: what cannot be read is reported as such, and the team is not verified. To add a
reader, append it to ``IN_CLUSTERS`` (called for each cluster of the team), or to ``IN_DATA`` of ``data_doors`` (called
for each bucket).

What the comparison has read of a resource in this invocation counts here too, and nothing older: a door that was closed
before must not be reported, and one that was opened must.
"""

import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from podshare.access import aws_auth, member_roles, node_roles
from podshare.access.access_report import packed, unpacked
from podshare.access.doors import (
    UNREAD,
    Administrators,
    Door,
    is_stranger,
    kept_at_first,
    namespace_of_controller,
    principal_of,
    spans_as_stranger,
    unexpected,
)
from podshare.access.effective_access import (
    ANYBODY,
    MAKE_NO_PODS,
    Access,
    account_of,
    effective_access,
    is_service_linked,
)
from podshare.aws.errors import Tolerated, reason_of
from podshare.kinds.access_entry import calls as access_entry
from podshare.kinds.access_entry.shape import AccessEntry
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.context import Context
from podshare.kinds.facts import ClusterFacts
from podshare.kinds.foreign_subjects import calls as foreign_subjects
from podshare.kinds.inventory import in_inventories
from podshare.kinds.kubernetes_role_binding.shape import KubernetesRoleBinding
from podshare.kinds.observation import Foreign, Observation, Orphaned
from podshare.kinds.pod_identity_association import calls as pod_identity_association
from podshare.kinds.role.shape import Role
from podshare.kinds.shapes import SHAPES
from podshare.kinds.subjects import subject_of
from podshare.policy import policies, rbac
from podshare.policy.policies import Document
from podshare.reconcile.data_door_readers import (
    ACCESS_REPORTS,
    IN_DATA,
    BucketReading,
    bucket_readings,
    first_reading,
    judged,
)
from podshare.reconcile.team_records import TeamRecords
from podshare.registry.items import namespace_of

READS = frozenset(
    {
        "eks:ListAccessEntries",
        "eks:ListIdentityProviderConfigs",
        "eks:DescribeAccessEntry",
        "eks:ListAssociatedAccessPolicies",
        "eks:ListPodIdentityAssociations",
        "eks:DescribeCluster",
        "eks:DescribePodIdentityAssociation",
        "iam:GetRole",
    }
)
READERS = 8  # as in the survey
Unread = Mapping[str, str]  # a rule that does not hold, as a violation is reported
L = TypeVar("L")
_HASH = 9  # characters at the end of a role's name, after the team's
_ROLES_IN_CLUSTERS = ("kubernetes", "read")  # whose member roles have entries, made by accounts/cluster.yaml
_EVERYBODY = "every principal of account "  # and its id: a line of mapAccounts
# whoever has one of these in a namespace may neither make pods, impersonate, nor read tokens there
_ACT_AS_NOBODY = MAKE_NO_PODS - {"AmazonEKSSecretReaderPolicy"}
_STANDARD = "STANDARD"  # the other types are nodes', which come under names and groups that Kubernetes reserves
# what nodes of EKS Auto Mode need, whose entries may have any other access policy as well (CDK API reference,
# GrantAccessOptions: of the nodes' types EC2 alone takes policies)
_AUTO_MODE_NODES = ("EC2", "AmazonEKSAutoNodePolicy")


@dataclass(frozen=True)
class ClusterReading:
    """What a reader is given: whose doors, what is desired, and what was observed of it and of the inventory."""

    context: Context
    desired: Mapping[Key, Resource]
    observed: Mapping[Key, Observation]
    facts: ClusterFacts

    @cached_property
    def own(self) -> Collection[Key]:
        """The keys of what is there and is podshare's."""
        return {key for key, observation in self.observed.items() if isinstance(observation, Resource)}

    @property
    def namespace(self) -> str:
        """The team's namespace in every cluster."""
        return namespace_of(self.context.team)

    def key(self, kind: Kind, name: str) -> Key:
        """The key of something in the cluster."""
        return Key(kind, self.facts.account, self.facts.region, self.facts.eks_cluster, name)

    def door(self, kind: str, principal: str, gives: Iterable[str], scope: str, by: tuple[str, str]) -> Door:
        """A door into the cluster; ``by`` is where it is written, and the command that closes it."""
        return Door(
            kind=kind,
            account=self.facts.account,
            region=self.facts.region,
            container=self.facts.eks_cluster,
            principal=principal,
            gives=tuple(gives),
            where=self.facts.eks_arn(self.context.installation),
            what=scope,
            written_at=by[0],
            closed_by=by[1],
        )

    @cached_property
    def authentication_mode(self) -> str:
        """Whether the cluster goes by access entries alone (``API``)."""
        eks = self.context.accounts.client("eks", self.facts.account, self.facts.region)
        cluster = eks.describe_cluster(name=self.facts.eks_cluster)["cluster"]
        return str(cluster["accessConfig"]["authenticationMode"])

    @cached_property
    def ruled_groups(self) -> Collection[str]:
        """The team's groups of which the record says what they may do, unless its members may bind them themselves."""
        wanted = self.desired.values()
        entries = (resource for resource in wanted if isinstance(resource, AccessEntry))
        access = {policy.rpartition("/")[2] for entry in entries for policy in entry.policies}
        bindings = (resource for resource in wanted if isinstance(resource, KubernetesRoleBinding))
        ruled = {subject for binding in bindings for subject in binding.subjects}
        return () if "AmazonEKSAdminPolicy" in access else ruled

    @cached_property
    def cluster_bindings(self) -> list[dict[str, Any]]:
        """Every ClusterRoleBinding."""
        return self.context.kubernetes(self.key(Kind.NAMESPACE, self.namespace)).objects("ClusterRoleBinding")

    @cached_property
    def namespaces_of_controllers(self) -> list[str]:
        """Those with a service account that is bound in the whole cluster, or may act as one of these in any way."""
        if not self.facts.kubernetes_api:
            return []
        known = {name for binding in self.cluster_bindings for name in _namespaces_of_service_accounts(binding)}
        to_read = [*known]
        while to_read:
            namespace = to_read.pop()
            for binding in self.bindings_in(namespace):
                more = _namespaces_of_service_accounts(binding) - known
                if more and not _acts_as_nobody(self, namespace, binding["roleRef"]):
                    known |= more
                    to_read += more
        return sorted(known)

    def bindings_in(self, namespace: str) -> list[dict[str, Any]]:
        """The RoleBindings in a namespace."""
        return foreign_subjects.bindings_in(self.context, self.key(Kind.NAMESPACE, namespace), namespace)

    @cached_property
    def aws_auth(self) -> tuple[aws_auth.Line, ...]:
        """Whom the ConfigMap aws-auth lets in. Raises ValueError if it cannot be understood."""
        if not self.facts.kubernetes_api or self.authentication_mode == "API":
            return ()
        kubernetes = self.context.kubernetes(self.key(Kind.NAMESPACE, self.namespace))
        config_map = kubernetes.get("ConfigMap", aws_auth.NAMESPACE, aws_auth.NAME) or {}
        return tuple(aws_auth.lines(config_map.get("data") or {}, self.context.installation.partition))

    def eks_command(self, action: str, *arguments: str) -> str:
        """A command of the AWS CLI about the cluster."""
        place = ("--region", self.facts.region, "--cluster-name", self.facts.eks_cluster)
        return shlex.join(("aws", "eks", action, *place, *arguments))


@dataclass(frozen=True, slots=True)
class Found:
    """All doors, each with why it is expected or ``""``, and what could not be read.

    ``spanning`` is who spans clusters (by their ARN), ``at_first`` who reaches buckets and keys at the first look,
    ``not_checked`` what may lead into clusters and has no reader there.
    """

    doors: Mapping[Door, str]
    spanning: Mapping[str, list[dict[str, Any]]]
    at_first: Mapping[str, list[dict[str, Any]]]
    unread: tuple[Unread, ...]
    not_checked: tuple[str, ...] = ()

    @property
    def unexpected(self) -> list[Door]:
        """The doors that no record grants."""
        return sorted(door for door, why in self.doors.items() if not why)

    @property
    def reported(self) -> list[dict[str, Any]]:
        """Each door with whether it is expected, and why, in plain JSON."""
        return [{**door.as_dict(), "expected": bool(why), "record": why} for door, why in sorted(self.doors.items())]

    @property
    def violations(self) -> list[dict[str, str]]:
        """All of it that keeps a team from being verified."""
        return [*(door.violation() for door in self.unexpected), *map(dict, self.unread)]


def doors(
    context: Context,
    records: TeamRecords,
    facts: Mapping[str, ClusterFacts],
    desired: Mapping[Key, Resource],
    observed: Mapping[Key, Observation],
) -> Found:
    """All doors into the team's namespaces and data that are not podshare's own, and which of them no record grants.

    A cluster in which the team has nothing, and shall have nothing, is not checked.
    """
    granted = effective_access([*desired.values()], desired.keys(), context.installation)
    places = [f"cluster#{cluster.eks_arn(context.installation)}" for cluster in facts.values()]
    buckets = [context.installation.bucket_arn(dataset.bucket) for dataset in records.datasets.values()]
    context.state.get_parts(ACCESS_REPORTS, [f"team#{context.team}", *places, *map(first_reading, buckets)])  # at once
    in_clusters = _in_clusters(context, records, facts, desired, observed, granted)
    return _together((*in_clusters, *_in_data(bucket_readings(context, records, desired, observed, granted), granted)))


def _together(parts: Iterable[Found]) -> Found:
    """What was found in each place, in one."""
    every = [*parts]
    return Found(
        {door: why for part in every for door, why in part.doors.items()},
        {arn: first for part in every for arn, first in part.spanning.items()},
        {arn: first for part in every for arn, first in part.at_first.items()},
        tuple(unread for part in every for unread in part.unread),
        tuple(sentence for part in every for sentence in part.not_checked),
    )


def _in_clusters(  # noqa: PLR0917  # whose doors, and what to compare them with
    context: Context,
    records: TeamRecords,
    facts: Mapping[str, ClusterFacts],
    desired: Mapping[Key, Resource],
    observed: Mapping[Key, Observation],
    granted: Collection[Access],
) -> Iterator[Found]:
    for cluster in facts.values():
        place = (cluster.account, cluster.region, cluster.eks_cluster)
        here = [
            observation for key, observation in observed.items() if (key.account, key.region, key.container) == place
        ]
        if all(isinstance(observation, Orphaned | None) for observation in here):
            continue
        reading = ClusterReading(context, desired, observed, cluster)
        read_doors, failed = _read(reading, IN_CLUSTERS, f"cluster {cluster.name}")
        arn = cluster.eks_arn(context.installation)
        at_first, known = _at_first(context, arn, read_doors)
        record = records.clusters.get(cluster.name)
        administrators = Administrators(record.administrators if record else (), at_first)
        first = {} if failed or known else {arn: [access.as_dict() for access in at_first]}
        doors = dict(_judged(reading, read_doors, granted, administrators))
        yield Found(doors, first, {}, tuple(failed), tuple(_not_checked(reading)))


def _judged(
    reading: ClusterReading, read_doors: Iterable[Door], granted: Collection[Access], administrators: Administrators
) -> Iterator[tuple[Door, str]]:
    """Each door with why it is expected or ``""``; a binding that is expected for some of those behind it is two."""
    for door in {*read_doors}:
        strange = unexpected(door, granted, administrators)
        if strange is None:
            yield door, _why(reading.context, door)
        elif strange is door:
            yield door, ""
        else:
            commands = [_letting_in_no_more(reading, who) for who in strange.behind]
            yield replace(strange, closed_by=" && ".join(commands)), ""
            others = tuple(who for who in door.behind if who not in strange.behind)
            yield replace(door, behind=others), _why(reading.context, door)


def _not_checked(reading: ClusterReading) -> Iterator[str]:
    """What may let somebody into a cluster and is not read, because its record rules it out."""
    facts = reading.facts
    if facts.kubernetes_api:
        return
    yield f"RoleBindings and ClusterRoleBindings of cluster {facts.name} (kubernetes_api: false)"
    try:
        mode = reading.authentication_mode
    except Exception as error:  # whatever it is, what else there is must be reported
        mode = f"authentication mode not read: {reason_of(error)}"
    if mode != "API":
        yield f"the ConfigMap aws-auth of cluster {facts.name}, which gives access that no access entry gives ({mode})"


def _why(context: Context, door: Door) -> str:
    """What lets an expected door into a cluster be: the cluster's administrators, or what the team's record gives."""
    return f"administrators of {door.container}" if door.what == ANYBODY else f"team#{context.team}"


def _in_data(readings: Iterable[BucketReading], granted: Collection[Access]) -> Iterator[Found]:
    for reading in readings:
        read_doors, failed = _read(reading, IN_DATA, f"bucket {reading.bucket}")
        doors, at_first = judged(reading, read_doors, granted, whole=not failed)
        yield Found(doors, {}, at_first, tuple(failed))


def keep_first_reading(
    context: Context, spanning: Mapping[str, list[dict[str, Any]]], at_first: Mapping[str, list[dict[str, Any]]]
) -> None:
    """Keep who spans a cluster, and who reaches a bucket or a key, when podshare first looks.

    A record of the cluster or the dataset may name others, and then counts alone.
    """
    _keep_administrators(context, spanning)
    for arn, doors in at_first.items():
        condition = "attribute_not_exists(doors)"
        context.state.update(ACCESS_REPORTS, first_reading(arn), "SET doors = :doors", condition, doors=packed(doors))


def _keep_administrators(context: Context, spanning: Mapping[str, list[dict[str, Any]]]) -> None:
    for arn, doors in spanning.items():
        context.state.update(
            ACCESS_REPORTS,
            f"cluster#{arn}",
            "SET doors = :doors, principals = if_not_exists(principals, :principals)",
            "attribute_not_exists(doors)",
            doors=packed(doors),
            principals=sorted({door["who"] for door in doors}),  # what earlier versions read
        )


def _at_first(context: Context, arn: str, read_doors: Collection[Door]) -> tuple[list[Access], bool]:
    """Who spanned a cluster, and how, when podshare first looked, and whether that is known.

    If it is not, it is what was just read; where an earlier version has kept names alone, of these.
    """
    row = context.state.get(ACCESS_REPORTS, f"cluster#{arn}") or {}
    if "doors" in row:
        return [Access.of_dict(access) for access in unpacked(str(row["doors"]))], True
    names = row.get("principals")
    return kept_at_first(door for door in read_doors if names is None or door.principal in names), False


def _read(reading: L, readers: Iterable[Callable[[L], Iterator[Door]]], place: str) -> tuple[list[Door], list[Unread]]:
    read_doors, unread = list[Door](), list[Unread]()
    for reader in readers:
        try:
            read_doors += reader(reading)
        except Exception as error:  # whatever it is, what else there is must be reported
            problem = (
                f"doors of {place} were not read ({reader.__name__.replace('_', ' ').strip()}): {reason_of(error)}"
            )
            unread.append({"key": f"doors|{place}|{reader.__name__}", "rule": UNREAD, "found": problem})
    return read_doors, unread


# ---- readers of clusters ---------------------------------------------------------------------------------------


def access_entries(reading: ClusterReading) -> Iterator[Door]:
    """Every access entry whose scopes or groups reach the team's namespace."""
    with ThreadPoolExecutor(READERS) as pool:
        for entry_doors in pool.map(lambda arn: [*_entry(reading, arn)], _strangers(reading)):
            yield from entry_doors


def _strangers(reading: ClusterReading) -> list[str]:
    """Whose entries no team's verification compares with what is desired."""
    facts = reading.facts
    eks = reading.context.accounts.client("eks", facts.account, facts.region)
    strangers = [arn for arn in access_entry.all_principals(eks, facts.eks_cluster) if not _is_known(reading, arn)]
    others = _in_inventories(reading, strangers)
    return [arn for arn in strangers if arn not in others]


def _is_known(reading: ClusterReading, arn: str) -> bool:
    """What is the team's own, or a service's."""
    return reading.key(Kind.ACCESS_ENTRY, arn) in reading.own or is_service_linked(arn)


def _team_in(reading: ClusterReading, arn: str) -> str:
    """The team that a role under podshare's path is named for; empty for any other principal."""
    start = reading.context.installation.role_arn(reading.facts.account, f"{reading.context.installation.prefix}-")
    return arn[len(start) : -_HASH] if arn.startswith(start) else ""


def _in_inventories(reading: ClusterReading, strangers: Iterable[str]) -> frozenset[str]:
    """Those of the principals whose entry is in the inventory of another team that they are named for.

    The verification of that team checks them, wherever they lead.
    """
    named = ((_team_in(reading, arn), reading.key(Kind.ACCESS_ENTRY, arn)) for arn in strangers)
    others = ((team, key) for team, key in named if team not in ("", reading.context.team))
    return frozenset(key.name for key in in_inventories(reading.context.state, others))


def _entry(reading: ClusterReading, arn: str) -> Iterator[Door]:
    described = access_entry.described(reading.context, reading.key(Kind.ACCESS_ENTRY, arn))
    if described is None:
        return
    entry, associated = described
    entry_doors = [
        *_by_policies(reading, arn, entry["type"], associated),
        *_by_groups(reading, arn, entry.get("kubernetesGroups", [])),
    ]
    behind = _behind(reading, arn) if entry_doors else ()
    yield from (replace(door, behind=behind) for door in entry_doors)
    yield from _by_trust(reading, arn, entry)


def _by_policies(
    reading: ClusterReading, arn: str, entry_type: str, associated: Iterable[Mapping[str, Any]]
) -> Iterator[Door]:
    named = _team_in(reading, arn) == reading.context.team
    for association in associated:
        policy = str(association["policyArn"])
        if (entry_type, policy.rpartition("/")[2]) == _AUTO_MODE_NODES:
            continue
        command = reading.eks_command("disassociate-access-policy", "--principal-arn", arn, "--policy-arn", policy)
        for scope in association["accessScope"].get("namespaces") or [ANYBODY]:
            # where a role of the team's name leads, nobody else looks
            if scope == ANYBODY or named or policies.overlap(scope, reading.namespace):
                reached = (
                    reading.namespace if scope != ANYBODY and policies.overlap(scope, reading.namespace) else scope
                )
                yield reading.door("access entry", arn, (policy.rpartition("/")[2],), reached, (arn, command))


def _by_groups(reading: ClusterReading, arn: str, groups: Collection[str]) -> Iterator[Door]:
    """By the groups that podshare binds: the team's own, and its own two, which reach every team's namespace."""
    by_groups = [*_own_groups(reading, arn, groups)]
    if by_groups:
        rest = sorted({*groups} - {group for group, _ in by_groups})
        command = reading.eks_command("update-access-entry", "--principal-arn", arn, "--kubernetes-groups")
        command = f"{command} {shlex.join(rest) if rest else shlex.quote('[]')}"
        for _, (gives, scope) in by_groups:
            yield reading.door("access entry", arn, (gives,), scope, (arn, command))


def _own_groups(reading: ClusterReading, arn: str, groups: Iterable[str]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Those of the groups that podshare binds, each with what it gives and where; its own two are its member roles'."""
    installation, account = reading.context.installation, reading.facts.account
    for group in sorted(groups):
        pattern = aws_auth.pattern_of(group)
        if policies.overlap(pattern, f"{installation.prefix}:{reading.context.team}:{ANYBODY}"):
            yield group, ("what RBAC grants", f"group {group}")
        for execution_role in _ROLES_IN_CLUSTERS:
            member_role = installation.member_role_arn(account, execution_role)
            if policies.covers(pattern, f"{installation.prefix}:{execution_role}") and arn != member_role:
                yield group, (f"group {group}", ANYBODY)


def _by_trust(reading: ClusterReading, arn: str, entry: Mapping[str, Any]) -> Iterator[Door]:
    """By the role of nodes, or a member role, that lets in others than services, or the hub's functions."""
    installation, account = reading.context.installation, reading.facts.account
    if entry["type"] != _STANDARD:
        trust, groups = _trust_of(reading, arn) or {}, [aws_auth.OF_NODES]
        behind, jq = node_roles.strangers(trust), node_roles.filter_without_strangers(trust)
    elif arn in {installation.member_role_arn(account, role) for role in _ROLES_IN_CLUSTERS}:
        trust, groups = _trust_of(reading, arn) or {}, sorted(entry.get("kubernetesGroups", []))
        behind = member_roles.strangers(installation, trust)
        jq = member_roles.filter_without_strangers(installation, trust)
    else:
        return
    if behind:
        command = _without(arn, jq) or reading.eks_command("delete-access-entry", "--principal-arn", arn)
        gives = [f"group {group}" for group in groups]
        yield replace(reading.door("access entry", arn, gives, ANYBODY, (arn, command)), behind=behind)


def _without(arn: str, jq: str) -> str:
    """The command that takes out of a role's trust what a filter of jq deletes; empty without one."""
    place, document = ("--role-name", arn.rpartition("/")[2]), ("--policy-document", "file://trust.json")
    read = ("aws", "iam", "get-role", *place, "--query", "Role.AssumeRolePolicyDocument")
    write = shlex.join(("aws", "iam", "update-assume-role-policy", *place, *document))
    return f"{shlex.join(read)} | {shlex.join(('jq', jq))} > trust.json && {write}" if jq else ""


def _behind(reading: ClusterReading, arn: str) -> tuple[str, ...]:
    """Who may assume the role of an entry, as its trust names them; nobody for a user."""
    trust = _trust_of(reading, arn)
    return _trusted_by(trust) if trust else ()


def _trust_of(reading: ClusterReading, arn: str) -> Document | None:
    """The trust of a role in the cluster's account; None for anybody else, whom a ConfigMap may name, too."""
    if account_of(arn) != reading.facts.account or not arn.split(":", 5)[5].startswith("role/"):
        return None
    iam = reading.context.accounts.client("iam", reading.facts.account)
    with Tolerated():
        role = iam.get_role(RoleName=arn.rpartition("/")[2])["Role"]
        trust: Any = role["AssumeRolePolicyDocument"]  # boto3 decodes it; the stubs say str
        return dict(trust)
    return None


def _trusted_by(trust: Any) -> tuple[str, ...]:
    allowed = (statement for statement in policies.canonical(trust) if statement["Effect"] == "Allow")
    named = (statement.get("Principal", {"AWS": [ANYBODY]}) for statement in allowed)
    return tuple(sorted({str(who) for principals in named for listed in principals.values() for who in listed}))


def roles(reading: ClusterReading) -> Iterator[Door]:
    """Whom a role of the team lets in that is not known as podshare's any more, beyond what its record says."""
    for key, observation in reading.observed.items():
        wanted = reading.desired.get(key)
        if not (isinstance(observation, Foreign) and isinstance(wanted, Role)) or key.account != reading.facts.account:
            continue
        arn = reading.context.installation.role_arn(key.account, key.name)
        meant = {*_trusted_by(wanted.trust)}
        for who in sorted({*_behind(reading, arn)} - meant):
            command = SHAPES[key.kind].marking(reading.context.installation, key, reading.context.missing_marks({}))
            door = reading.door("role", who, ("assume",), ANYBODY, (arn, command))
            yield replace(door, region="", container="", where=arn)


def associations(reading: ClusterReading) -> Iterator[Door]:
    """Every pod identity association in the team's namespace."""
    facts = reading.facts
    eks = reading.context.accounts.client("eks", facts.account, facts.region)
    place_key = reading.key(Kind.POD_IDENTITY_ASSOCIATION, "")
    for listed in pod_identity_association.in_namespace(reading.context, place_key, reading.namespace):
        name = f"{reading.namespace}/{listed['serviceAccount']}"
        if reading.key(Kind.POD_IDENTITY_ASSOCIATION, name) in reading.own:
            continue
        place = {"clusterName": facts.eks_cluster, "associationId": listed["associationId"]}
        association = eks.describe_pod_identity_association(**place)["association"]
        command = reading.eks_command("delete-pod-identity-association", "--association-id", listed["associationId"])
        who = f"system:serviceaccount:{name.replace('/', ':')}"
        for arn in filter(None, (association["roleArn"], association.get("targetRoleArn"))):
            door = reading.door("pod identity association", who, ("assume",), ANYBODY, (name, command))
            yield replace(door, where=arn)


def bindings(reading: ClusterReading) -> Iterator[Door]:
    """Every RoleBinding in the namespace, and each ClusterRoleBinding, that names others than who belongs there."""
    facts = reading.facts
    if not facts.kubernetes_api:
        return
    binding_doors = [*_in_namespace(reading), *_in_cluster(reading), *_beside_controllers(reading)]
    entries = [*_entries(reading), *_mapped(reading)] if binding_doors else []
    for subject, door in binding_doors:
        yield replace(door, behind=tuple(entry.who for entry in entries if entry.is_subject(subject)))


def _in_namespace(reading: ClusterReading) -> Iterator[tuple[str, Door]]:
    """Whom RoleBindings in the namespace name, each with the door."""
    own_groups = f"{reading.context.installation.prefix}:{reading.context.team}:"
    for binding in reading.bindings_in(reading.namespace):
        name = binding["metadata"]["name"]
        key = reading.key(Kind.KUBERNETES_ROLE_BINDING, f"{reading.namespace}/{name}")
        if key in reading.own:
            continue
        ruled = () if key in reading.desired else reading.ruled_groups
        command = f"kubectl delete rolebinding {shlex.quote(name)} --namespace {reading.namespace}"
        for subject in _subjects(binding):
            if is_stranger(subject, reading.namespace, own_groups) or subject in ruled:
                gives, who = (_bound(binding),), principal_of(subject)
                by = (f"{reading.namespace}/{name}", command)
                yield subject, reading.door("role binding", who, gives, reading.namespace, by)


def _in_cluster(reading: ClusterReading) -> Iterator[tuple[str, Door]]:
    """Whom ClusterRoleBindings name, each with the door."""
    for binding in reading.cluster_bindings:
        name = binding["metadata"]["name"]
        command = f"kubectl delete clusterrolebinding {shlex.quote(name)}"
        for subject in _subjects(binding):
            if spans_as_stranger(subject, binding["roleRef"]["name"], reading.context.installation.prefix):
                gives, who = (_bound(binding),), principal_of(subject)
                yield subject, reading.door("cluster role binding", who, gives, ANYBODY, (name, command))


# ---- who may act as a controller: a service account that is bound in the whole cluster, and no team's -----------


def controllers(reading: ClusterReading) -> Iterator[Door]:
    """Every access entry by whose scopes somebody may act as a controller, which leads wherever that one is bound."""
    namespaces = reading.namespaces_of_controllers
    for arn in _strangers(reading) if namespaces else ():
        described = access_entry.described(reading.context, reading.key(Kind.ACCESS_ENTRY, arn))
        if described is None:
            continue
        behind = _behind(reading, arn) if described[1] else ()
        for association in described[1]:
            policy = str(association["policyArn"])
            command = reading.eks_command("disassociate-access-policy", "--principal-arn", arn, "--policy-arn", policy)
            for scope in association["accessScope"].get("namespaces") or ():
                acts = policy.rpartition("/")[2] not in _ACT_AS_NOBODY
                if acts and any(policies.overlap(scope, namespace) for namespace in namespaces):
                    gives = (f"{policy.rpartition('/')[2]} in {scope}",)
                    yield replace(reading.door("access entry", arn, gives, ANYBODY, (arn, command)), behind=behind)


def _namespaces_of_service_accounts(binding: Mapping[str, Any]) -> set[str]:
    return {namespace_of_controller(subject, binding["roleRef"]["name"]) for subject in _subjects(binding)} - {""}


def _beside_controllers(reading: ClusterReading) -> Iterator[tuple[str, Door]]:
    """Whom RoleBindings name by which somebody may act as a controller, each with the door."""
    for namespace in reading.namespaces_of_controllers:
        for binding in reading.bindings_in(namespace):
            name, role = binding["metadata"]["name"], binding["roleRef"]
            command = f"kubectl delete rolebinding {shlex.quote(name)} --namespace {namespace}"
            for subject in _subjects(binding):
                if not spans_as_stranger(subject, role["name"], reading.context.installation.prefix):
                    continue
                if _acts_as_nobody(reading, namespace, role):
                    break
                gives, by = (f"{_bound(binding)} in {namespace}",), (f"{namespace}/{name}", command)
                yield subject, reading.door("role binding", principal_of(subject), gives, ANYBODY, by)


def _acts_as_nobody(reading: ClusterReading, namespace: str, role: Mapping[str, Any]) -> bool:
    """Whether whoever has a role only reads, and no secrets, which may be tokens of service accounts."""
    if role["kind"] == "ClusterRole":
        return bool(role["name"] == "view")
    kubernetes = reading.context.kubernetes(reading.key(Kind.NAMESPACE, namespace))
    rules = (kubernetes.get("Role", namespace, role["name"]) or {}).get("rules") or ()
    asked = [(verb, resource) for rule in rules for verb in rule["verbs"] for resource in rule.get("resources") or ()]
    return all(rbac.only_reads(verb, resource) and resource != "secrets" for verb, resource in asked)


@dataclass(frozen=True, slots=True)
class _Entry:
    """As whom an access entry lets its principal in; ``who`` is the principal, with whoever may assume it."""

    username: str
    groups: frozenset[str]
    who: str

    def is_subject(self, subject: str) -> bool:
        """Whether a binding that names ``subject`` is for whoever comes by the entry."""
        kind, _, name = subject.partition(" ")
        if kind == "Group":
            return any(policies.covers(aws_auth.pattern_of(group), name) for group in self.groups)
        return kind == "User" and policies.covers(aws_auth.pattern_of(self.username), name)


def _letting_in_no_more(reading: ClusterReading, who: str) -> str:
    """The command after which somebody who is behind a binding does not get in any more."""
    principal, _, way = who.partition(" (")
    if aws_auth.NAME not in way:
        return reading.eks_command("delete-access-entry", "--principal-arn", principal)
    everybody, _, account = principal.partition(_EVERYBODY)
    line = ("--arn", everybody, "--all") if everybody else ("--account", account)
    place = ("--region", reading.facts.region, "--cluster", reading.facts.eks_cluster)
    return shlex.join(("eksctl", "delete", "iamidentitymapping", *place, *line))


def _mapped(reading: ClusterReading) -> Iterator[_Entry]:
    """As whom each line of the ConfigMap aws-auth lets its principal in."""
    for line in reading.aws_auth:
        who = f"{_EVERYBODY}{line.account}" if line.account else line.principal
        yield _Entry(line.username, line.groups, f"{who} (by ConfigMap {aws_auth.NAME})")


def _entries(reading: ClusterReading) -> list[_Entry]:
    """All entries of the cluster but those of nodes and services."""
    facts = reading.facts
    eks = reading.context.accounts.client("eks", facts.account, facts.region)
    arns = [arn for arn in access_entry.all_principals(eks, facts.eks_cluster) if not is_service_linked(arn)]
    with ThreadPoolExecutor(READERS) as pool:
        entry_subjects = pool.map(lambda arn: _subjects_of(reading, arn), arns)
    return [entry for entry in entry_subjects if entry]


def _subjects_of(reading: ClusterReading, arn: str) -> _Entry | None:
    described = access_entry.described(reading.context, reading.key(Kind.ACCESS_ENTRY, arn))
    if described is None or described[0]["type"] != _STANDARD:
        return None
    entry, _ = described
    trusted = ", ".join(_behind(reading, arn))
    who = f"{arn} ({trusted} may assume it)" if trusted else arn
    return _Entry(entry["username"], frozenset(entry.get("kubernetesGroups", ())), who)


def _bound(binding: Mapping[str, Any]) -> str:
    return f"{binding['roleRef']['kind']} {binding['roleRef']['name']}"


def _subjects(binding: Mapping[str, Any]) -> list[str]:
    return [subject_of(subject) for subject in binding.get("subjects") or ()]


def config_map(reading: ClusterReading) -> Iterator[Door]:
    """Whom the ConfigMap aws-auth lets in by itself; what its groups and users get by a binding, ``bindings`` says."""
    place = ("--region", reading.facts.region, "--cluster", reading.facts.eks_cluster)
    for line in reading.aws_auth:
        command = shlex.join(("eksctl", "delete", "iamidentitymapping", *place, "--arn", line.principal, "--all"))
        by = (f"{aws_auth.NAMESPACE}/{aws_auth.NAME}:{line.principal}", command)
        own = [group_gives for _, group_gives in _own_groups(reading, line.principal, line.groups)]
        for gives, scope in (*own, *((reserved, ANYBODY) for reserved in line.reserved)):
            door = reading.door("config map", line.principal, (gives,), scope, by)
            yield replace(door, behind=_behind(reading, line.principal))
        if line.of_nodes:
            yield from _mapped_nodes(reading, line, by)


def _mapped_nodes(reading: ClusterReading, line: aws_auth.Line, by: tuple[str, str]) -> Iterator[Door]:
    """Who may assume the role of a line for nodes beside them; a role of another account is no nodes'."""
    trust = _trust_of(reading, line.principal) or {}
    behind = node_roles.strangers(trust)
    if behind or account_of(line.principal) != reading.facts.account:
        closing = (by[0], _without(line.principal, node_roles.filter_without_strangers(trust)) or by[1])
        yield replace(reading.door("config map", line.principal, line.of_nodes, ANYBODY, closing), behind=behind)


def identity_providers(reading: ClusterReading) -> Iterator[Door]:
    """Every OpenID Connect provider: it gives whom it wants any user name and group, but for those with ``system:``."""
    eks = reading.context.accounts.client("eks", reading.facts.account, reading.facts.region)
    pages = eks.get_paginator("list_identity_provider_configs").paginate(clusterName=reading.facts.eks_cluster)
    for config in (config for page in pages for config in page["identityProviderConfigs"]):
        named = f"type={config['type']},name={config['name']}"
        command = reading.eks_command("disassociate-identity-provider-config", "--identity-provider-config", named)
        who, gives = f"{config['type']} {config['name']}", ("users and groups of its choice",)
        yield reading.door("identity provider", who, gives, ANYBODY, (config["name"], command))


Reader = Callable[[ClusterReading], Iterator[Door]]
IN_CLUSTERS: tuple[Reader, ...] = (
    access_entries,
    roles,
    associations,
    bindings,
    controllers,
    config_map,
    identity_providers,
)

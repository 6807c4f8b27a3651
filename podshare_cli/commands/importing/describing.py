"""From what was set up by hand to the records that describe it, with remarks on what they cannot express. Pure."""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from podshare.installation import MANAGED_BY_TAG
from podshare.kinds.access_entry.shape import CLUSTER_POLICY, NAMESPACE_POLICIES
from podshare.kinds.hardening import POD_SECURITY_LABELS
from podshare.policy.policies import overlap
from podshare.registry.items import namespace_of
from podshare.registry.parsing import parse
from podshare.registry.problems import InvalidRecord
from podshare.registry.sentences import sentence
from podshare_cli.commands.importing.reading import (
    AccessPoint,
    Association,
    ComputeQuota,
    Entry,
    HyperPod,
    Setup,
    Statement,
    access_points_in,
)
from podshare_cli.records.changes import content

Item = dict[str, Any]
_LEVELS = {policy: str(level) for level, policy in NAMESPACE_POLICIES.items()}
_LINE = {"InstanceType": "instance_type", "Count": "count", "Accelerators": "accelerators"}
_QUANTITIES = {"VCpu": "vcpu", "MemoryInGiB": "memory_gib"}
_ROLE = re.compile(r"arn:[a-z-]+:iam::([0-9]{12}):role/(.+)")
_ROOT = re.compile(r"(?:arn:[a-z-]+:iam::)?([0-9]{12})(?::root)?")
_SSO_ROLE = re.compile(r"(?:aws-reserved/sso\.amazonaws\.com/(?:[a-z0-9-]+/)?)?AWSReservedSSO_(.+)_(?:[0-9a-f]{16}|\*)")
_NAMING = {"StringEquals", "ArnEquals", "StringLike", "ArnLike"}
_WRITES = ("s3:put", "s3:delete", "s3:*", "*")
_READS = {"s3:getobject", "s3:getobject*", "s3:get*", "s3:*", "*"}
# Amazon S3 User Guide, "Delegating access control to access points"
_OF_ACCESS_POINTS = {"s3:dataaccesspointaccount", "s3:dataaccesspointarn"}
_EXPRESSED = {"aws:principalarn", "aws:principalorgid"}  # conditions of a trust policy that podshare's have too


@dataclass(frozen=True)
class Remark:
    """What a record cannot express, or what a person has to decide, about a team or (empty) the cluster."""

    team: str
    text: str

    def as_dict(self) -> dict[str, str]:
        """The remark for machines."""
        return {"team": self.team, "what": self.text}


@dataclass(frozen=True)
class Description:
    """Records, what they leave out, and for each team what stays somebody else's once podshare has it."""

    records: tuple[Item, ...]
    remarks: tuple[Remark, ...]
    others: Mapping[str, tuple[str, ...]]


def describe(setup: Setup, known: Iterable[Item], owner: str) -> Description:
    """The records of a cluster, of its teams, and of the data that their pods reach through access points.

    ``known`` are the registry's records: a cluster that one of them describes keeps its record, a bucket its name, and
    no other gets the name. ``owner`` is written into the teams' records, which need one.
    """
    remarks = [Remark("", f"not read: {text}") for text in setup.unread]
    names = _Names(known)
    records = [_cluster(setup.cluster, names)]
    datasets: dict[str, Item] = {}
    others: dict[str, tuple[str, ...]] = {}
    for quota in sorted(setup.quotas, key=lambda quota: quota.team):
        if quota.tags.get(MANAGED_BY_TAG):
            continue
        team = _Team(setup, quota, names)
        records.append(team.record(owner, datasets))
        others[quota.team] = tuple(team.others())
        remarks += team.remarks
    records[1:1] = sorted(datasets.values(), key=lambda item: str(item["id"]))
    for item in records:
        try:
            parse(item)
        except InvalidRecord as error:
            remarks += [Remark(str(item["id"]).partition("#")[2], sentence(each.as_dict())) for each in error.problems]
    return Description(tuple(records), tuple(remarks), others)


class _Names:
    """What clusters and buckets are called in the registry, or will be."""

    def __init__(self, known: Iterable[Item]) -> None:
        self.clusters: dict[tuple[Any, ...], str] = {}
        self.described: dict[str, Item] = {}  # clusters, by name
        self.datasets: dict[str, Item] = {}
        self.taken = set[str]()  # ids: what has another's name would replace its record
        for item in known:
            kind, _, name = str(item["id"]).partition("#")
            self.taken.add(str(item["id"]))
            if kind == "cluster":
                self.clusters[item.get("account"), item.get("region"), item.get("eks_cluster")] = name
                self.described[name] = content(item)
            elif kind == "dataset" and not item.get("prefix"):
                self.datasets[str(item.get("bucket"))] = item

    def free(self, kind: str, name: str) -> str:
        """The name, with a number where a record of this kind has it already; it is taken from now on."""
        names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
        chosen = next(free for free in names if f"{kind}#{free}" not in self.taken)
        self.taken.add(f"{kind}#{chosen}")
        return chosen


def _cluster(cluster: HyperPod, names: _Names) -> Item:
    """The cluster's record: the registry's own, if it has one, or writing it would undo what somebody decided there."""
    place = (cluster.account, cluster.region, cluster.eks_cluster)
    if place in names.clusters:
        return names.described[names.clusters[place]]
    name = names.free("cluster", cluster.name.lower())
    names.clusters[place] = name
    where = {"account": cluster.account, "region": cluster.region}
    return {
        **{"id": f"cluster#{name}", "schema": 1, **where},
        **{"eks_cluster": cluster.eks_cluster, "hyperpod_cluster": cluster.name},
    }


class _Team:
    """A HyperPod team that was set up by hand."""

    def __init__(self, setup: Setup, quota: ComputeQuota, names: _Names) -> None:
        self._setup, self._quota, self._names = setup, quota, names
        self._namespace = namespace_of(quota.team)
        self._entries = [entry for entry in setup.entries if entry.reaches(self._namespace)]
        self._associations = [each for each in setup.associations if each.namespace == self._namespace]
        self._bindings = [each for each in setup.bindings if each.namespace == self._namespace]
        self.remarks: list[Remark] = []

    def record(self, owner: str, datasets: dict[str, Item]) -> Item:
        """The team's record; datasets that it names are added to ``datasets`` by the name of their bucket."""
        cluster = self._setup.cluster
        if f"team#{self._quota.team}" in self._names.taken:
            self._remark(f"team#{self._quota.team} is in the registry, and this record would replace it")
        self._remark_objects()
        place = (cluster.account, cluster.region, cluster.eks_cluster)
        return {
            **{"id": f"team#{self._quota.team}", "schema": 1, "cluster": self._names.clusters[place], "owner": owner},
            **{"reason": f"Set up by hand on HyperPod cluster {cluster.name}", "access": self._access()},
            **{"members": self._members(), "quota": self._quota_fields()},
            "service_accounts": [self._service_account(each, datasets) for each in self._associations],
        }

    def others(self) -> Iterator[str]:
        """What podshare does not take over, and a person deletes once podshare's own is there."""
        for entry in self._entries:
            yield f"access entry of {entry.principal}, and its role"
        for each in self._associations:
            yield f"pod identity association {each.namespace}/{each.service_account}, and role {each.role}"
        points = {arn for each in self._associations for line in each.access or () for arn in access_points_in(line)}
        for arn in sorted(points):
            yield f"access point {arn}"
            if point := self._setup.access_points.get(arn):
                yield from (f"{sid} of the policy of bucket {point.bucket}" for sid in _statements_for(point))
        for binding in self._bindings:
            yield f"RoleBinding {binding.namespace}/{binding.name} of {binding.role}"

    def _remark(self, text: str) -> None:
        remark = Remark(self._quota.team, text)
        if remark not in self.remarks:
            self.remarks.append(remark)

    def _remark_objects(self) -> None:
        """Say what is in the namespace that the record leaves out, and that there is none."""
        for binding in self._bindings:
            subjects = ", ".join(binding.subjects) or "nobody"
            self._remark(f"RoleBinding {binding.name} gives {binding.role} to {subjects}: see `rbac`")
        if self._setup.namespaces is None:
            return
        labels = self._setup.namespaces.get(self._namespace)
        if labels is None:
            self._remark(f"the cluster has no namespace {self._namespace}: SageMaker creates it with the compute quota")
        elif modes := sorted(f"{label}={labels[label]}" for label in labels if label in POD_SECURITY_LABELS):
            self._remark(
                f"namespace {self._namespace} has {', '.join(modes)}: see `namespace_hardening` of the cluster"
            )

    def _access(self) -> str | list[str]:
        """What every entry of the team gives: a record says it once for all members."""
        levels = {entry.principal: self._levels(entry) for entry in self._entries}
        shared = sorted(set.intersection(*levels.values())) if levels else []
        for principal, own in levels.items():
            if more := sorted(own - {*shared}):
                self._remark(f"{principal} has {', '.join(more)} besides: a team's members have the same access")
        return shared if len(shared) > 1 else next(iter(shared), "none")

    def _levels(self, entry: Entry) -> set[str]:
        """The levels of access that an entry gives in the team's namespace; what else it gives is remarked."""
        levels = set[str]()
        for policy, namespaces in entry.policies.items():
            if self._namespace in namespaces and policy in _LEVELS:
                levels.add(_LEVELS[policy])
            elif policy != CLUSTER_POLICY:
                self._remark(f"{entry.principal} has {policy} on {', '.join(namespaces) or 'the whole cluster'}")
        if entry.groups:
            self._remark(f"{entry.principal} is in the Kubernetes groups {', '.join(entry.groups)}: see `rbac`")
        return levels

    def _members(self) -> list[Item]:
        members: list[Item] = []
        for entry in self._entries:
            if entry.trust is None:
                self._remark(
                    f"who may use the access entry of {entry.principal} is unknown: it is no role that was read"
                )
            for statement in entry.trust or ():
                members += [member for member in self._trusted(entry, statement) if member not in members]
        return sorted(members, key=str)

    def _trusted(self, entry: Entry, statement: Statement) -> Iterator[Item]:
        """The members that a statement of a trust policy lets in."""
        if statement.get("Effect") != "Allow" or "sts:AssumeRole" not in statement.get("Action", ()):
            return
        if further := _further_conditions(statement):
            self._remark(f"{entry.principal} trusts somebody only by {', '.join(further)}, which no record can express")
            return
        for kind, principals in statement.get("Principal", {}).items():
            for principal in principals:
                if kind == "AWS" and (match := _ROLE.fullmatch(principal)):
                    yield _member(match[1], match[2])
                elif kind == "AWS" and (match := _ROOT.fullmatch(principal)):
                    yield from self._of_account(entry, match[1], statement)
                else:
                    self._remark(f"{entry.principal} trusts {kind} {principal}, which no record can express")

    def _of_account(self, entry: Entry, account: str, statement: Statement) -> Iterator[Item]:
        """The roles of an account that a condition names; without one everybody whom the account allows."""
        conditions = statement.get("Condition", {})
        named = [
            arn for operator in _NAMING & conditions.keys() for arn in conditions[operator].get("aws:principalarn", ())
        ]
        for arn in named:
            match = _ROLE.fullmatch(arn)
            if match and match[1] == account and ("*" not in match[2] or _SSO_ROLE.fullmatch(match[2])):
                yield _member(account, match[2])
            else:
                self._remark(f"{entry.principal} trusts {arn}, which no record can express")
        if not named:
            self._remark(
                f"{entry.principal} trusts all of account {account}: by the record, podshare creates a role there, and "
                "only who may assume that role gets in"
            )
            yield {"account": account}

    def _quota_fields(self) -> Item:
        described = self._quota.described
        config, target = described.get("ComputeQuotaConfig", {}), described.get("ComputeQuotaTarget", {})
        sharing = config.get("ResourceSharingConfig", {})
        fields: Item = {
            "name": self._quota.name,
            "resources": [_line(line) for line in config.get("ComputeQuotaResources", [])],
            "fair_share_weight": target.get("FairShareWeight", 0),
            "preempt_team_tasks": config.get("PreemptTeamTasks", "LowerPriority"),
        }
        if described.get("Description"):
            fields["description"] = described["Description"]
        if described.get("ActivationState") == "Disabled":
            fields["active"] = False
        if sharing:
            fields["sharing"] = {
                "strategy": sharing["Strategy"],
                **({"borrow_limit": sharing["BorrowLimit"]} if sharing.get("BorrowLimit") is not None else {}),
            }
            if limits := sharing.get("AbsoluteBorrowLimits"):
                fields["sharing"]["absolute_borrow_limits"] = [_line(line) for line in limits]
        return fields

    def _service_account(self, association: Association, datasets: dict[str, Item]) -> Item:
        allowed: dict[tuple[str, str], set[str]] = defaultdict(set)  # what may be done, by access point and prefix
        for statement in association.access or ():
            for arn, prefix in self._objects(association, statement):
                allowed[arn, prefix] |= {action.lower() for action in statement.get("Action", ())}
        if any(statement.get("Effect") == "Deny" and _data_in(statement) for statement in association.access or ()):
            allowed.clear()  # what it takes back is remarked, and may be any of it
        grants = [
            {
                "dataset": _dataset(self._setup.access_points[arn], datasets, self._names),
                "access": "read_write" if any(action.startswith(_WRITES) for action in actions) else "read",
                **({"prefix": prefix} if prefix else {}),
            }
            for (arn, prefix), actions in sorted(allowed.items())
            if arn in self._setup.access_points and self._reads(association, f"{arn}/object/{prefix}", actions)
        ]
        return {
            "name": association.service_account,
            "datasets": [grant for place, grant in enumerate(grants) if grant not in grants[:place]],
        }

    def _objects(self, association: Association, statement: Statement) -> Iterator[tuple[str, str]]:
        """The access points and prefixes whose objects a statement gives, as far as a record can say it."""
        role, about_data = association.role, _data_in(statement)
        if about_data and (statement.get("Effect") != "Allow" or "Action" not in statement or "Condition" in statement):
            self._remark(f"{role} has a statement on {about_data[0]} that denies, excepts or has conditions: read it")
            return
        for resource in about_data:
            arn, is_object, pattern = resource.partition("/object/")
            if ":accesspoint/" not in resource:
                actions = ", ".join(statement["Action"])
                self._remark(
                    f"{role} has {actions} on {resource}: write a dataset's record, by which podshare gives data "
                    "through access points"
                )
            elif is_object and (prefix := self._prefix(association, pattern)) is not None:
                yield arn, prefix

    def _reads(self, association: Association, objects: str, actions: Set[str]) -> bool:
        """Whether these actions read, as every grant of a record does; those that only write are remarked."""
        if actions & _READS:
            return True
        self._remark(f"{association.role} may not read {objects}: a record grants reading with writing")
        return False

    def _prefix(self, association: Association, pattern: str) -> str | None:
        """The prefix that a pattern of keys means; None, with a remark, if a record's prefix would be wider."""
        prefix = pattern.removesuffix("*")
        is_folder = not prefix or prefix.endswith("/")
        if pattern.endswith("*") and is_folder and not re.search(r"[*?]", prefix):
            return prefix
        self._remark(
            f"{association.role} names objects by {pattern}, and a record's prefix ends with a slash: grant one by hand"
        )
        return None


def _statements_for(point: AccessPoint) -> Iterator[str]:
    """The statements of a bucket's policy that leave access to this access point, or to those of its account."""
    names = (point.arn.split(":")[4], point.arn)
    for number, statement in enumerate(point.policy, 1):
        conditions = (each for keys in statement.get("Condition", {}).values() for each in keys.items())
        for key, values in conditions:
            patterns = [values] if isinstance(values, str) else values
            is_meant = any(overlap(pattern, name) for pattern in patterns for name in names)
            if key.lower() in _OF_ACCESS_POINTS and is_meant:
                yield f"statement {statement['Sid']}" if statement.get("Sid") else f"statement number {number}"
                break


def _data_in(statement: Statement) -> list[str]:
    """The resources of a statement that are, or may be, in S3."""
    return [resource for resource in statement.get("Resource", ()) if ":s3:" in resource or resource == "*"]


def _further_conditions(statement: Statement) -> list[str]:
    """The conditions under which a statement trusts, except by which role of which organization."""
    return sorted(
        f"{operator} {key}"
        for operator, keys in statement.get("Condition", {}).items()
        for key in keys
        if key not in _EXPRESSED or operator not in _NAMING
    )


def _member(account: str, role: str) -> Item:
    if match := _SSO_ROLE.fullmatch(role):
        return {"account": account, "permission_set": match[1]}
    return {"account": account, "existing_role": role}


def _line(line: Mapping[str, Any]) -> Item:
    """A line of a quota with all that it has: what was asked for and what SageMaker filled in pro rata look the same.

    Whole instances are all of them; a zero is what was not asked for.
    """
    fields: Item = {ours: line[theirs] for theirs, ours in _LINE.items() if line.get(theirs)}
    if "count" in fields:
        return {name: fields[name] for name in ("instance_type", "count")}
    fields |= {ours: _number(line[theirs]) for theirs, ours in _QUANTITIES.items() if line.get(theirs)}
    if partition := line.get("AcceleratorPartition"):
        fields.pop("accelerators", None)  # it says how many
        fields["accelerator_partition"] = {"type": partition["Type"], "count": partition["Count"]}
    return fields


def _number(value: float) -> float | int:
    return int(value) if float(value).is_integer() else float(value)


def _dataset(point: AccessPoint, datasets: dict[str, Item], names: _Names) -> str:
    """The name of the dataset that is the access point's bucket."""
    known = names.datasets.get(point.bucket) or datasets.get(point.bucket)
    if known is None:
        _, _, _, region, account, _ = point.arn.split(":", 5)
        name = names.free("dataset", re.sub(r"[^a-z0-9-]", "-", point.bucket))
        known = {"id": f"dataset#{name}", "schema": 1, "account": account, "region": region, "bucket": point.bucket}
        if point.kms_key:
            known["kms_key"] = point.kms_key
        datasets[point.bucket] = known
    return str(known["id"]).partition("#")[2]

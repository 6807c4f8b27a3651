"""What is really there, read from the sandbox's own state and not through podshare: the judge of every schedule.

Whose a thing is does not hang on its tags, labels, path or name: what was there before the story, or was made by
somebody else in it, is foreign; all else was made by podshare.
"""

import functools
import itertools
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.iam.models import iam_backends
from moto.scheduler.models import scheduler_backends
from moto.ssm.models import ssm_backends

from podshare.access.access_report import unpacked
from podshare.aws.rows import UNWRITTEN, from_item
from podshare.kinds.hardening import LABELS
from podshare_sandbox.authorization.s3_data import find_bucket
from podshare_sandbox.services import (
    access_points,
    buckets,
    eks,
    fsx,
    kms,
    kubernetes,
    organizations,
    pod_identity,
    sagemaker,
)
from tests.scenarios.world import (
    DATA,
    EKS_ARN,
    HISTORY,
    HUB,
    IMAGES,
    KMS_KEY,
    LANGUAGE,
    REGION,
    SCANS,
    TEXT,
    VISION,
    Item,
)

COMPUTE = "555555555555"  # the first account that the sandbox makes
SECOND_EKS_ARN = f"arn:aws:eks:{REGION}:{COMPUTE}:cluster/compute-eks"
CLUSTERS = (EKS_ARN, SECOND_EKS_ARN)
OWN_PATH, SYSTEM_PATH = "/podshare/", "/podshare-system/"
OWN_SID = "podshareAccessPoints"
_BY_CHANCE = re.compile(
    r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|(?<=:cluster/)[a-z0-9]{12}\b|(?<=-eks\|)[a-z0-9]{12}(?=/)"
)
"""A member stack's id, which ends the names of its policies, and the HyperPod cluster's: no two sandboxes have the same."""

_OBJECTS = {
    "Role": "kubernetes_role",
    "RoleBinding": "kubernetes_role_binding",
    "PersistentVolume": "persistent_volume",
    "PersistentVolumeClaim": "persistent_volume_claim",
}

_LOOKS = 5  # until what cannot be read is an error

Facts = dict[str, Any]
Grant = tuple[str, ...]


@dataclass(frozen=True)
class Reality:
    """Everything that podshare made and everything that it did not, by the key that its inventory would have."""

    owned: Mapping[str, Facts]
    foreign: Mapping[str, Facts]

    def of(self, team: str) -> dict[str, Facts]:
        """What was made for a team alone, and lies under its name; bucket policies are everybody's."""
        return {key: facts for key, facts in self.owned.items() if _is_of(key, team)}

    def untagged(self, team: str) -> dict[str, Facts]:
        """The same without tags, which give nobody anything: somebody may change them at any moment."""
        return {key: {**facts, "tags": {}} for key, facts in self.of(team).items()}

    def grants(self) -> frozenset[Grant]:
        """Everything that gives anybody anything, in pieces so small that each is given whole or not at all."""
        return frozenset(grant for key, facts in self.everything.items() for grant in _grants(key, facts))

    @property
    def everything(self) -> dict[str, Facts]:
        """What is there, whoever made it: a door lets in whoever built it."""
        return {**self.foreign, **self.owned}


@functools.lru_cache(maxsize=4096)
def _is_of(key: str, team: str) -> bool:
    return bool(re.search(rf"\b{team}\b", key))


def look(others: Collection[str] | None = None) -> Reality:
    """Everything in all accounts as it is now; ``others`` are the keys of what others made, by default of everything.

    While somebody looks others go on, so that what is listed may have gone before it is read: then all is read again.
    """
    for _ in range(_LOOKS - 1):
        with suppress(Exception):
            return _look(others)
    return _look(others)


def _look(others: Collection[str] | None) -> Reality:
    owned: dict[str, Facts] = {}
    foreign: dict[str, Facts] = {}
    found = (*_roles(), *_clusters(), *_quotas(), *_scheduler(), *_schedules(), *_data(), *_links(), *_parameters())
    for key, facts in found:
        (foreign if others is None or key in others else owned)[key] = facts
    return Reality(owned, foreign)


def state() -> list[Item]:
    """Every item of podshare's own table, read past its API: whoever looks at every call must look fast."""
    return [from_item(row.to_json()["Attributes"]) for row in _rows()]


def inventory() -> set[str]:
    """The keys of everything that podshare has written down as its own, by their rows: moto adds the rest bit by bit."""
    parts = (str(row.attrs["part"].value) for row in _rows())
    return {portable(part.removeprefix("resource#")) for part in parts if part.startswith("resource#")}


def history() -> dict[str, set[str]]:
    """The digests of the access reports that the history has of each team, or will have with the next sweep."""
    bucket: Any = find_bucket(HISTORY)
    bodies = [key.value.decode() for name, key in bucket.keys.items() if name.startswith("runs/")]
    bodies += [
        unpacked(str(row["body"])) for row in state() if row["id"] == UNWRITTEN and row["part"].startswith("runs/")
    ]
    kept: dict[str, set[str]] = {}
    for run in map(json.loads, bodies):
        if run["access"] is not None:
            kept.setdefault(run["team"], set()).add(run["digest"])
    return kept


def _rows() -> Iterator[Any]:
    for rows in list(dynamodb_backends[HUB][REGION].tables["podshare-state"].items.values()):
        yield from list(rows.values())


def portable(text: str) -> str:
    """A name as any sandbox would have it."""
    return _BY_CHANCE.sub("*", text)


Found = tuple[str, Facts]


def _roles() -> Iterator[Found]:
    """Roles; policies that podshare's stacks offer are told apart from the role that they are attached to."""
    for account in (HUB, VISION, LANGUAGE, DATA, COMPUTE):
        for role in list(iam_backends[account]["aws"].roles.values()):
            if role.path.startswith("/aws-service-role/"):  # Amazon FSx makes it with the first link, and keeps it
                continue
            attached = sorted(portable(arn) for arn in role.managed_policies)
            offered = [arn for arn in attached if "policy/podshare" in arn and role.path not in (OWN_PATH, SYSTEM_PATH)]
            facts = {
                "path": role.path,
                "trust": _document(role.assume_role_policy_document),
                "policies": {name: _document(text) for name, text in sorted(role.policies.items())},
                "boundary": portable(role.permissions_boundary_arn or ""),
                "seconds": role.max_session_duration,
                "attached": sorted({*attached} - {*offered}),
                "tags": _tags(role.tags),
            }
            yield f"role|{account}|||{role.name}", facts
            for arn in offered:
                name = arn.rpartition("/")[2].removesuffix("*")
                yield f"role_attachment|{account}||{role.name}|{name}", {"attached": arn}


def _clusters() -> Iterator[Found]:
    for arn in CLUSTERS:
        yield from _cluster(arn, f"{_account(arn)}|{REGION}|{arn.rpartition('/')[2]}")


def _account(arn: str) -> str:
    return arn.split(":")[4]


def _cluster(arn: str, place: str) -> Iterator[Found]:
    extension, api = eks.ClusterExtension.of(eks.cluster_of(arn)), kubernetes.api_of(arn)
    for entry in list(extension.resources(eks.AccessEntry).values()):
        facts = {
            "policies": {arn: one["accessScope"] for arn, one in sorted(entry.policies.items())},
            "groups": sorted(entry.groups),
            "username": entry.username,
            "tags": dict(entry.tags),
        }
        yield f"access_entry|{place}|{entry.principal_arn}", facts
    for association in list(extension.resources(pod_identity.Association).values()):
        key = f"pod_identity_association|{place}|{association.namespace}/{association.service_account}"
        roles = {"role": association.role_arn, "target": association.target_role_arn}
        yield key, {**roles, "tags": dict(association.tags)}
    for account in api.objects("ServiceAccount"):
        metadata = account["metadata"]
        if metadata["name"] == "default":  # comes with its namespace
            continue
        yield f"service_account|{place}|{metadata['namespace']}/{metadata['name']}", {"tags": _labels(metadata)}
    for one in api.objects("Namespace"):
        labels = {name: value for name, value in one["metadata"]["labels"].items() if name in LABELS}
        policies = [policy["spec"] for policy in api.objects("NetworkPolicy", _name(one))]
        if labels or policies:
            yield f"namespace|{place}|{_name(one)}", {"tags": labels, "network": policies}
    for kind, called in _OBJECTS.items():
        for one in api.objects(kind):
            metadata = one["metadata"]
            facts = {"tags": _labels(metadata)}
            facts |= {name: _without_ids(one[name]) for name in ("rules", "roleRef", "subjects", "spec") if name in one}
            name = "/".join(metadata[part] for part in ("namespace", "name") if part in metadata)
            yield f"{called}|{place}|{name}", facts


def _labels(metadata: Facts) -> dict[str, str]:
    """Those of podshare's own: what says for display who manages an object belongs to whoever writes it last."""
    return {name: value for name, value in metadata.get("labels", {}).items() if name.startswith("podshare/")}


def _without_ids(part: Any) -> Any:
    """Without what Kubernetes writes into a volume when it binds a claim, which no two claims have in common."""
    claim = part.get("claimRef") if isinstance(part, dict) else None
    return {**part, "claimRef": {key: claim[key] for key in ("namespace", "name")}} if claim else part


def _name(found: Facts) -> str:
    return str(found["metadata"]["name"])


def _quotas() -> Iterator[Found]:
    for arn in CLUSTERS:
        for quota in sagemaker._settled(sagemaker._store(_account(arn), REGION, sagemaker.QUOTA)):
            facts = {"asked": quota.fields, "status": quota.status, "tags": _tags(quota.tags)}
            yield f"compute_quota|{_account(arn)}|{REGION}|{arn.rpartition('/')[2]}|*/{quota.name}", facts


def _scheduler() -> Iterator[Found]:
    for config in sagemaker._settled(sagemaker._store(HUB, REGION, sagemaker.SCHEDULER)):
        key = f"cluster_scheduler_config|{HUB}|{REGION}|hyperpod-eks|*/{config.name}"
        yield key, {"config": config.fields["SchedulerConfig"]}


def _schedules() -> Iterator[Found]:
    """When a team is looked at because something of it ends; the state table, not the inventory, knows of it."""
    for group in list(scheduler_backends[HUB][REGION].schedule_groups.values()):
        for schedule in list(group.schedules.values()):
            if json.loads(schedule.target.get("Input", "{}")).get("team"):
                yield f"schedule|{HUB}|{REGION}||{schedule.name}", {"at": schedule.schedule_expression}


def _data() -> Iterator[Found]:
    for point in access_points._all_access_points():
        facts = {
            "bucket": point.bucket,
            "policy": _document(point.policy),
            "block": point.public_access_block,
            "tags": dict(point.tags),
        }
        yield f"access_point|{point.account}|{point.region}||{point.name}", facts
    key = kms.find(DATA, REGION, KMS_KEY.rpartition("/")[2])
    for grant in list(key.grants.values()) if key else ():
        grantee = buckets.shown_principal(grant.grantee_principal)
        facts = {"grantee": grantee, "operations": grant.operations}
        yield f"kms_grant|{DATA}|{REGION}|{KMS_KEY.rpartition('/')[2]}|{grant.name}", facts
    for name in (IMAGES, TEXT, SCANS):
        bucket = find_bucket(name)
        policy = _document(bucket.policy if bucket else None) or {"Statement": []}
        for statement in _as_list(policy["Statement"]):
            yield f"statement|{DATA}|{REGION}|{name}|{statement.get('Sid', '')}", {"policy": {"Statement": [statement]}}


def _links() -> Iterator[Found]:
    for one in fsx.associations(HUB, REGION):
        facts = {"repository": one.repository, "imports": one.imports, "exports": one.exports, "tags": dict(one.tags)}
        yield f"data_repository_association|{HUB}|{REGION}|{one.file_system}|{one.path}", facts


def _parameters() -> Iterator[Found]:
    """What people read of their teams; an alias, which no two sandboxes have in common, by whether it is the right one."""
    aliases = {point.alias for point in access_points._all_access_points()}
    for account in (HUB, VISION, LANGUAGE, DATA, COMPUTE):
        backend: Any = ssm_backends[account][REGION]
        for name, versions in list(backend._parameters.items()):
            if not name.startswith("/podshare/teams/"):
                continue
            if not versions:  # moto keeps an empty list of what was asked for
                continue
            value = json.loads(portable(versions[-1].value))
            for cluster in value.get("clusters", ()):
                for dataset in cluster["datasets"].values():
                    dataset["alias"] = dataset.get("alias") in aliases
            tags = backend.list_tags_for_resource(resource_type="Parameter", resource_id=name)
            yield f"ssm_parameter|{account}|{REGION}||{name}", {"value": value, "tags": dict(tags)}


# ---- what it gives ---------------------------------------------------------------------------------------------


def _grants(key: str, facts: Facts) -> Iterator[Grant]:
    kind, name = key.split("|", 1)
    if kind == "access_entry":
        for arn, scope in facts["policies"].items():
            for namespace in scope.get("namespaces") or ["the whole cluster"]:
                yield "may in the cluster", name, arn, namespace
        yield from (("is in the group", name, group) for group in facts["groups"])
    elif kind == "kubernetes_role":
        for rule in facts["rules"]:
            pieces = itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
            yield from (("has the right", name, *piece) for piece in pieces)
    elif kind == "kubernetes_role_binding":
        yield from (("is bound", name, one["kind"], one["name"], facts["roleRef"]["name"]) for one in facts["subjects"])
    elif kind == "pod_identity_association":
        yield "pods are", name, facts["role"]
        if facts["target"]:
            yield "pods become", name, facts["target"]
    elif kind == "role_attachment":
        yield "has the policy", name
    elif kind == "role":
        yield from (("trusts", name, *piece) for piece in _pieces(facts["trust"]))
        for policy in facts["policies"].values():
            yield from (("may", name, *piece) for piece in _pieces(policy))
        yield from (("has the policy", name, arn) for arn in facts["attached"])
    else:
        yield from _grants_of_data(kind, name, facts)


def _grants_of_data(kind: str, name: str, facts: Facts) -> Iterator[Grant]:
    if kind == "kms_grant" and not facts["grantee"].startswith("AROA"):
        yield from (("may use the key", name, facts["grantee"], operation) for operation in facts["operations"])
    elif kind in ("access_point", "statement"):
        yield from (("admits", name, *piece) for piece in _pieces(facts["policy"]))
    elif kind == "data_repository_association":
        yield "links", name, facts["repository"]
        yield from (("exports", name, facts["repository"], event) for event in facts["exports"])
    elif kind == "persistent_volume":
        spec = facts["spec"]
        mode = "read" if "ro" in spec["mountOptions"] else "write"
        yield "mounts", name, spec["csi"]["volumeAttributes"]["mountname"], spec["claimRef"]["namespace"], mode


def _pieces(document: Any) -> Iterator[Grant]:
    """What a policy allows, one action on one resource by one principal under one value of each condition at a time.

    A principal by its unique id (AROA…) is a role that is gone: nobody.
    """
    for statement in _as_list((document or {}).get("Statement", [])):
        if statement["Effect"] != "Allow":
            continue
        principals = [
            f"{kind} {one}"
            for kind, names in _principals(statement).items()
            for one in _as_list(names)
            if not str(one).startswith("AROA")
        ]
        conditions = [
            [f"{operator} {key} {value}" for value in _as_list(values)]
            for operator, keys in sorted(statement.get("Condition", {}).items())
            for key, values in sorted(keys.items())
        ]
        actions, resources = _as_list(statement["Action"]), _as_list(statement.get("Resource", ""))
        for piece in itertools.product(principals, actions, resources, *conditions):
            yield tuple(str(part) for part in piece)


def _principals(statement: Facts) -> dict[str, Any]:
    found = statement.get("Principal", {"": "the role"})
    return found if isinstance(found, dict) else {"": found}


def people(reality: Reality) -> frozenset[tuple[str, str, str, str]]:
    """Who may do what in which namespace, by the doors: every entry, and whoever the trust of its role admits."""
    found = set()
    for key, facts in reality.everything.items():
        if not key.startswith("access_entry|") or organizations.state_of(key.split("|")[1]) != "ACTIVE":
            continue  # a cluster in an account that is closed serves nobody
        principal = key.rpartition("|")[2]
        role = reality.everything.get(f"role|{principal.split(':')[4]}|||{key.rpartition('/')[2]}", {"trust": {}})
        for piece in _pieces(role["trust"]):
            named = [part.rpartition(" ")[2] for part in piece if "aws:principalarn" in part]
            for arn, scope in facts["policies"].items():
                for namespace in scope.get("namespaces") or []:
                    account, name = _person((named or [piece[0].rpartition(" ")[2]])[0])
                    found.add((account, name, namespace.removeprefix("hyperpod-ns-"), arn.rpartition("/")[2]))
    return frozenset(found)


def _person(arn: str) -> tuple[str, str]:
    """Account and name of a role; anybody else by the whole text."""
    account, _, name = arn.partition(":role/")
    return (account.split(":")[4], name) if name else ("", arn)


def pods(reality: Reality) -> frozenset[tuple[str, str, str, str, str]]:
    """Which pods may read or write which objects, by the doors: every association, and what admits its role."""
    found = set()
    everything = reality.everything
    doors = [facts for key, facts in everything.items() if key.startswith(("access_point|", "statement|"))]
    for key, facts in everything.items():
        if not key.startswith("pod_identity_association|"):
            continue
        _, _, _, cluster, name = key.split("|")
        namespace, account = name.split("/")
        admitted = [piece for door in doors for piece in _pieces(door["policy"]) if facts["role"] in piece[0]]
        for _, action, resource, *_ in [*admitted, *_given_to(everything, facts["target"])]:
            prefix = re.sub(r"^.*?(/object|:::[^/]+)/", "", resource).removesuffix("*")
            if access := {"s3:GetObject": "read", "s3:PutObject": "write"}.get(action):
                found.add((cluster, namespace.removeprefix("hyperpod-ns-"), account, access, prefix))
    return frozenset(found)


def _given_to(everything: Mapping[str, Facts], role: str | None) -> list[Grant]:
    """What the policies of a role give it: a role of the buckets' own account needs no door."""
    if role is None:
        return []
    facts = everything.get(f"role|{_account(role)}|||{role.rpartition('/')[2]}", {"policies": {}})
    return [piece for policy in facts["policies"].values() for piece in _pieces(policy)]


# ---- reading ---------------------------------------------------------------------------------------------------


def _document(text: Any) -> Any:
    """A policy document in one spelling: lists sorted, and lists of one element unwrapped. Nobody may change it."""
    if not text:
        return None
    if not isinstance(text, str | bytes):
        text = json.dumps(text)
    return _parsed(text if isinstance(text, str) else text.decode())


@functools.lru_cache(maxsize=4096)
def _parsed(text: str) -> Any:
    return _plain(json.loads(portable(text)))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(_conditions(one) if name == "Condition" else one) for name, one in sorted(value.items())}
    if isinstance(value, list):
        plain = sorted((_plain(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
        return plain[0] if len(plain) == 1 else plain
    return value


def _conditions(found: Facts) -> Facts:
    """Their keys are the same in any case (IAM user guide, "Condition")."""
    return {operator: {key.lower(): values for key, values in keys.items()} for operator, keys in found.items()}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _tags(tags: Any) -> dict[str, str]:
    return dict(tags) if isinstance(tags, dict) else {tag["Key"]: tag["Value"] for tag in tags or []}


def differences(one: Mapping[str, Facts], other: Mapping[str, Facts]) -> list[str]:
    """The keys of what is not the same in both, with the fields that differ."""
    return list(_differences(one, other, sorted(one.keys() | other.keys())))


def _differences(one: Mapping[str, Facts], other: Mapping[str, Facts], keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        if key not in one or key not in other:
            yield f"{key} is {'there' if key in one else 'missing'}"
        elif fields := [
            name for name in one[key].keys() | other[key].keys() if one[key].get(name) != other[key].get(name)
        ]:
            told = ", ".join(
                f"{name}: {one[key].get(name)} instead of {other[key].get(name)}" for name in sorted(fields)
            )
            yield f"{key}: {told}"[:600]

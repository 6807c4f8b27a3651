"""Whoever gets into a team's namespace by what others made in the cluster is found, however it is made.

Access entries, lines of the ConfigMap aws-auth and bindings are generated, and tried on the sandbox, which authenticates
and authorizes as EKS and Kubernetes document it: as soon as somebody without a record gets in, the team is not READY.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import lightkube
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from podshare_sandbox.services import kubernetes
from tests.builders import a_team_item
from tests.scenarios.test_administrators import bind
from tests.scenarios.test_doors import map_principals
from tests.scenarios.world import EKS_ARN, HUB, LANGUAGE, REGION, VISION, Item, World, answered

NAMESPACE, OTHERS = "hyperpod-ns-vision", "hyperpod-ns-language"
EVE = f"arn:aws:iam::{HUB}:role/eve"
_POLICY = "arn:aws:eks::aws:cluster-access-policy/"
POD = f"system:serviceaccount:{OTHERS}:default"
WATCHED = ("ops", "viewers", "podshare:vision:friends", "eve")  # groups and user names

GROUPS = st.lists(st.sampled_from((*WATCHED[:3], "aws:ops", "system:masters", "edit")), max_size=2, unique=True)
USER_NAMES = st.sampled_from(
    ("", "eve", "ops", "eve-{{SessionName}}", "system:serviceaccount:kube-system:job-controller")
)
POLICIES = (
    "EKSClusterAdmin",
    "EKSAdmin",
    "EKSEdit",
    "EKSView",
    "SagemakerHyperpodTraining",
    "SagemakerHyperpodUserCluster",
)
SCOPES = ("", NAMESPACE, "hyperpod-ns-*", "*", "kube-system", OTHERS)
ROLES = ("cluster-admin", "admin", "edit", "view", "system:discovery", "system:controller:job-controller")
SUBJECTS = (
    *(("Group", name) for name in (*WATCHED[:3], "aws:ops", "system:authenticated", "system:serviceaccounts")),
    *(("Group", name) for name in (f"system:serviceaccounts:{OTHERS}", "system:masters", EVE)),
    *(("User", name) for name in ("eve", "ops", POD, "eve-eve", f"arn:aws:sts::{HUB}:assumed-role/eve/eve")),
    ("ServiceAccount", f"{OTHERS}/default"),
)
entries = st.fixed_dictionaries(
    {
        "groups": GROUPS,
        "username": USER_NAMES,
        "policies": st.lists(st.tuples(st.sampled_from(POLICIES), st.sampled_from(SCOPES)), max_size=2, unique=True),
    }
)
lines = st.fixed_dictionaries({"groups": GROUPS, "username": USER_NAMES, "Groups": st.booleans()})
bindings = st.lists(
    st.tuples(st.sampled_from(("", "", NAMESPACE, "kube-system")), st.sampled_from(ROLES), st.sampled_from(SUBJECTS)),
    max_size=2,
    unique=True,
)


@pytest.fixture(scope="module")
def callers(world: World) -> dict[str, Callable[[], lightkube.Client]]:
    """A role that no record names, and another team's pod, as an admin acts for it; two teams are READY."""
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    for name in ("eve", "platform"):
        world.sandbox.client("iam", HUB).create_role(RoleName=name, AssumeRolePolicyDocument=document)
    platform = f"arn:aws:iam::{HUB}:role/platform"  # which is there before podshare first looks
    eks, place = world.sandbox.client("eks", HUB), {"clusterName": "hyperpod-eks", "principalArn": platform}
    eks.create_access_entry(**place)
    policy = f"{_POLICY}AmazonEKSClusterAdminPolicy"
    eks.associate_access_policy(**place, policyArn=policy, accessScope={"type": "cluster"})
    world.put(
        a_team_item("vision", members=[{"account": VISION}]),
        a_team_item("language", members=[{"account": LANGUAGE}]),
    )
    assert world.status("vision")["state"] == "READY", world.status("vision")

    def kubectl_of(role: str) -> lightkube.Client:
        return world.kubernetes(world.session(role, world.sandbox.session(HUB, REGION), "eve"))

    def pod() -> lightkube.Client:
        admin = kubectl_of(platform)
        admin._client._client.headers["Impersonate-User"] = POD  # lightkube has no way to act as somebody else
        return admin

    return {"eve": lambda: kubectl_of(EVE), "pod": pod}


def gets_in(kubectl: lightkube.Client) -> bool:
    """Whether somebody sees pods in the team's namespace, or makes work there."""
    try:
        return any(
            answered(kubectl, *asked, NAMESPACE) for asked in (("list", "", "pods"), ("create", "batch", "jobs"))
        )
    except PermissionError:
        return False


@contextmanager
def made(world: World, entry: Item | None, line: Item | None, bound: list[Any]) -> Iterator[None]:
    """What the cluster takes of it, until it is deleted again."""
    eks, api, place = world.sandbox.client("eks", HUB), kubernetes.api_of(EKS_ARN), {"clusterName": "hyperpod-eks"}
    names = [(f"generated-{number}", namespace) for number, (namespace, _, _) in enumerate(bound)]
    try:
        with suppress(
            ClientError, kubernetes.KubernetesError
        ):  # refused: names that are reserved, policies for one scope
            _let_in(eks, entry)
            if line:
                groups = "Groups" if line["Groups"] else "groups"
                map_principals(mapRoles=[{"rolearn": EVE, "username": line["username"], groups: line["groups"]}])
            for (name, namespace), (_, role, (kind, subject)) in zip(names, bound, strict=True):
                bind(
                    "RoleBinding" if namespace else "ClusterRoleBinding",
                    name,
                    role,
                    _subject(kind, subject),
                    namespace=namespace,
                )
        yield
    finally:
        if EVE in eks.list_access_entries(**place)["accessEntries"]:
            eks.delete_access_entry(**place, principalArn=EVE)
        map_principals(mapRoles=[])
        for name, namespace in names:
            kind = "RoleBinding" if namespace else "ClusterRoleBinding"
            if api.get(kind, namespace, name):
                api.delete(kind, namespace, name)


def _let_in(eks: Any, entry: Item | None) -> None:
    if entry is None:
        return
    place = {"clusterName": "hyperpod-eks", "principalArn": EVE}
    named = {"username": entry["username"]} if entry["username"] else {}
    eks.create_access_entry(**place, kubernetesGroups=entry["groups"], **named)
    for policy, scope in entry["policies"]:
        namespaces = {"type": "namespace", "namespaces": [scope]} if scope else {"type": "cluster"}
        eks.associate_access_policy(**place, policyArn=f"{_POLICY}Amazon{policy}Policy", accessScope=namespaces)


def _subject(kind: str, name: str) -> Item:
    if kind == "ServiceAccount":
        namespace, _, account = name.partition("/")
        return {"kind": kind, "name": account, "namespace": namespace}
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}


def test_whoever_gets_into_a_namespace_is_found(
    world: World, callers: dict[str, Callable[[], lightkube.Client]], record_property: Callable[[str, object], None]
) -> None:
    """Whoever gets into a team's namespace without a record keeps it from READY, or does not get in after the run."""
    got_in = Counter[str]()

    @settings(max_examples=100)
    @given(entry=st.none() | entries, line=st.none() | lines, bound=bindings)
    def hold(entry: Item | None, line: Item | None, bound: list[Any]) -> None:
        with made(world, entry, line, bound):
            inside = [who for who, kubectl in callers.items() if gets_in(kubectl())]
            got_in.update(inside)
            if inside and world.reconcile("vision")["state"] == "READY":  # subjects of other teams are taken out
                assert not [who for who in inside if gets_in(callers[who]())]

    hold()
    record_property("somebody got into a namespace by what was generated", got_in.total())
    assert len(got_in) == len(callers)

"""Custom RBAC: which rules a team may be given, to whom, and what is left of a record that is wrong."""

from dataclasses import replace
from typing import Any

import pytest

from podshare.access.isolation import Boundaries, violations
from podshare.kinds.access_entry.shape import AccessEntry
from podshare.kinds.base import Key, Resource, Stage
from podshare.kinds.desired import desired
from podshare.kinds.kubernetes_role.shape import PRESETS, KubernetesRole
from podshare.kinds.kubernetes_role_binding.shape import KubernetesRoleBinding
from podshare.policy.rbac import KubernetesRule, refusal
from podshare.reconcile.plan import Action, plan
from podshare.registry.acceptance import accept_team
from podshare.registry.parsing import parse_team
from podshare.registry.problems import InvalidRecord
from podshare.registry.records import Team
from tests.builders import CLUSTER, INSTALLATION, a_dataset, a_team, a_team_item

GROUP = "podshare:vision:operators"
CONFIG = {"api_groups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}
EXEC = {"api_groups": [""], "resources": ["pods/exec"], "verbs": ["create"]}
Fields = dict[str, Any]


def rbac(*rules: Fields, group: str = GROUP) -> Fields:
    return {"kubernetes_groups": [group], "rbac": [{"group": group, "rules": [*rules]}]}


def wanted(**fields: Any) -> dict[Key, Resource]:
    return desired(a_team(**fields), [CLUSTER], {"imagenet": a_dataset()}, {}, INSTALLATION)


def role_in(resources: dict[Key, Resource]) -> KubernetesRole:
    (found,) = (one for one in resources.values() if isinstance(one, KubernetesRole))
    return found


def binding_in(resources: dict[Key, Resource]) -> KubernetesRoleBinding:
    (found,) = (one for one in resources.values() if isinstance(one, KubernetesRoleBinding))
    return found


def problems(**fields: Any) -> str:
    with pytest.raises(InvalidRecord) as refused:
        parse_team(a_team_item(**fields))
    return str(refused.value)


def test_a_group_gets_a_role_in_its_own_namespace_and_everybodys_entry_is_in_it() -> None:
    """Rules become a Role and a RoleBinding of the group, in the team's namespace; each member's entry has the group."""
    found = wanted(**rbac(CONFIG))
    assert role_in(found).key.name == binding_in(found).key.name == "hyperpod-ns-vision/podshare-operators"
    assert role_in(found).manifest()["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}
    ]
    assert binding_in(found).manifest() == {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {
            "namespace": "hyperpod-ns-vision",
            "name": "podshare-operators",
            "labels": {
                "app.kubernetes.io/managed-by": "podshare",
                "podshare/managed-by": "podshare",
                "podshare/team": "vision",
            },
        },
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "podshare-operators"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": GROUP}],
    }
    entries = [one for one in found.values() if isinstance(one, AccessEntry)]
    assert len(entries) == 2
    assert {entry.groups for entry in entries} == {frozenset({GROUP})}


def test_the_debug_preset_is_a_group_of_all_members() -> None:
    """`rbac: debug` lets all members into pods and ConfigMaps, by rules that a record might spell out itself."""
    found = wanted(rbac="debug")
    entries = [one for one in found.values() if isinstance(one, AccessEntry)]
    assert {entry.groups for entry in entries} == {frozenset({"podshare:vision:debug"})}
    role = role_in(found)
    assert role.key.name == "hyperpod-ns-vision/podshare-debug"
    assert binding_in(found).subjects == frozenset({"Group podshare:vision:debug"})
    given = {(verb, resource) for rule in role.rules for resource in rule.resources for verb in rule.verbs}
    assert {("create", "pods/exec"), ("get", "pods/portforward"), ("create", "configmaps")} <= given
    assert {resource for _, resource in given} == {"pods/exec", "pods/portforward", "configmaps"}
    for preset in PRESETS.values():
        for rule in preset:
            assert refusal(rule.api_groups, rule.resources, rule.verbs, rule.resource_names) is None


def test_a_preset_is_named_in_full() -> None:
    """An unknown one is refused with those that there are; beside it stand groups without rules."""
    assert "valid are debug" in problems(rbac="debg")
    assert isinstance(parse_team(a_team_item(rbac="debug", kubernetes_groups=[GROUP])), Team)


def test_of_a_preset_nothing_is_kept_unless_it_is_still_named() -> None:
    """While something else is wrong, a preset counts where both records name it."""
    last = a_team(rbac="debug")
    for written, left in (("debug", "debug"), ([], ()), ("debg", ()), (None, ())):
        found = accept_team(a_team_item(owner="", rbac=written), last, ["main"], {"imagenet": a_dataset()})
        assert found.record
        assert found.record.rbac == left


def test_groups_are_the_teams_own() -> None:
    """A group begins with the installation's prefix and the team's name; rules name one of the team's groups."""
    assert "begin with podshare:vision:" in problems(kubernetes_groups=["podshare:language:operators"])
    assert "nobody is in it" in problems(rbac=[{"group": GROUP, "rules": [CONFIG]}])
    assert "twice" in problems(kubernetes_groups=[GROUP, GROUP])
    for text in ("system:masters", "podshare:kubernetes", "podshare:vision:", "podshare:vision:a:b", "vision"):
        assert "kubernetes_groups" in problems(kubernetes_groups=[text])
    item = a_team_item(kubernetes_groups=["acme:vision:operators"])
    (told,) = accept_team(item, None, ["main"], {"imagenet": a_dataset()}, prefix="podshare").problems
    assert (told.field, told.remedy) == (
        "kubernetes_groups.0",
        "Begin it with podshare:vision:",
    )


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({"verbs": ["*"]}, "spell out"),
        ({"resources": ["*"]}, "spell out"),
        ({"api_groups": ["*"]}, "spell out"),
        ({"resources": ["pods/*"]}, "spell out"),
        ({"verbs": ["escalate"]}, "verb escalate is refused"),
        ({"verbs": ["bind"]}, "verb bind is refused"),
        ({"verbs": ["impersonate"]}, "verb impersonate is refused"),
        ({"resources": ["secrets"]}, "secrets are given by name alone"),
        ({"resources": ["secrets"], "verbs": ["list"], "resource_names": ["one"]}, "secrets are given by name alone"),
        ({"resources": ["serviceaccounts/token"], "verbs": ["create"]}, "makes credentials"),
        ({"resources": ["services/proxy"]}, "leads out of the namespace"),
        ({"api_groups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create"]}, "only be read"),
        ({"resources": ["namespaces"], "verbs": ["patch"]}, "only be read"),
        ({"resources": ["pods/status"], "verbs": ["patch"]}, "only be read"),
        ({"api_groups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["create"]}, "only be read"),
        ({"api_groups": ["kueue.x-k8s.io"], "resources": ["localqueues"], "verbs": ["update"]}, "only be read"),
    ],
)  # fmt: skip
def test_what_reaches_further_is_refused_in_words(rule: Fields, why: str) -> None:
    """Rights over rights, all secrets, credentials, limits and ways out of the namespace are no rules of a team's."""
    assert why in problems(**rbac({**CONFIG, **rule}))


def test_what_stays_inside_is_allowed() -> None:
    """A secret by its name, reading of roles and queues, exec, and custom resources are a team's to have."""
    for rule in (
        {"api_groups": [""], "resources": ["secrets"], "verbs": ["get", "update"], "resource_names": ["registry"]},
        {"api_groups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["get", "list"]},
        {"api_groups": ["kueue.x-k8s.io"], "resources": ["workloads"], "verbs": ["watch"]},
        {"api_groups": ["ray.io"], "resources": ["rayclusters"], "verbs": ["create", "deletecollection"]},
        EXEC,
    ):
        assert isinstance(parse_team(a_team_item(**rbac(rule))), Team)


def test_a_group_that_goes_is_cut_before_its_role_is_removed() -> None:
    """The entries leave the group and the binding goes in the first stage; the role is tidied up later."""
    found = plan(wanted(), wanted(**rbac(CONFIG)))
    stages = {
        stage.name: sorted({f"{change.action} {change.key.kind}" for change in found.revoke[stage]})
        for stage in found.revoke
    }
    assert stages == {
        "CLUSTER_ACCESS": ["delete kubernetes_role_binding", "narrow access_entry"],
        "REMAINS": ["delete kubernetes_role"],
    }


def test_rules_are_narrowed_before_they_are_widened() -> None:
    """Of the rules that are there, those within a wanted one stay; the rest goes first, and what is new comes after."""
    now, then = wanted(**rbac(CONFIG, EXEC)), wanted(**rbac({**CONFIG, "verbs": ["get", "list", "watch"]}))
    found = plan(then, now)
    (narrowed,) = found.revoke[Stage.CLUSTER_ACCESS]
    assert (narrowed.action, narrowed.key.kind) == (Action.RESTRICT, "kubernetes_role")
    kept = role_in(now).intersection(role_in(then))
    assert kept
    assert kept.rules == (KubernetesRule(("",), ("configmaps",), ("get", "list")),)
    everything = replace(role_in(now), rules=(KubernetesRule(("*",), ("*",), ("*",)),))
    cut = everything.intersection(role_in(then))
    assert cut
    assert cut.rules == ()


def test_a_binding_to_another_role_is_made_anew() -> None:
    """Kubernetes changes no binding's role, so that one is deleted at once; foreign subjects are narrowed away."""
    own = binding_in(wanted(**rbac(CONFIG)))
    assert replace(own, role="ClusterRole cluster-admin").intersection(own) is None
    assert replace(own, subjects=own.subjects | {"User mallory"}).intersection(own) == own


def test_the_isolation_rules_hold_roles_and_bindings_to_their_team() -> None:
    """What is read back is held: no other team's group, user or service account, no other namespace, no wide rule."""
    found = wanted(**rbac(CONFIG))
    own = Boundaries("vision", "hyperpod-ns-vision", frozenset(), {}, INSTALLATION)
    role, binding = role_in(found), binding_in(found)
    assert violations(own, [role, binding], found) == []
    bad_role = replace(role, rules=(KubernetesRule(("",), ("secrets",), ("get",)),))
    bad_binding = replace(binding, subjects=frozenset({"Group podshare:vision-labs:operators", "User ada"}))
    elsewhere = replace(role, key=replace(role.key, name="hyperpod-ns-language/podshare-operators"))
    rules = [one.rule for one in violations(own, [bad_role, bad_binding, elsewhere], {})]
    assert rules.count("a Kubernetes role gives nothing that reaches further") == 1
    assert rules.count("a Kubernetes role is bound to its own team's groups") == 2
    assert rules.count("a Kubernetes role lies in its own team's namespace") == 1


def test_a_wrong_record_keeps_no_group_and_no_rule_that_it_does_not_name() -> None:
    """While something is wrong, groups of both records count, and rules that lie within one that is still written."""
    last = a_team(**rbac(CONFIG, EXEC))

    def left(**fields: Any) -> Team:
        found = accept_team(a_team_item(owner="", **fields), last, ["main"], {"imagenet": a_dataset()}).record
        assert found
        return found

    assert left(**rbac(CONFIG, EXEC)).rbac == last.rbac
    assert left().kubernetes_groups == left().rbac == ()
    narrower = left(**rbac(CONFIG, {**EXEC, "verbs": ["escalate"]}))
    assert [rule.resources for rule in narrower.rbac[0].rules] == [("configmaps",)]
    assert left(kubernetes_groups=[GROUP]).rbac == ()
    assert left(kubernetes_groups="x", rbac={"group": GROUP}).kubernetes_groups == ()

"""What keeps a team's pods to their namespace, by the cluster's record, and who applies it."""

import ipaddress
from dataclasses import replace

import pytest

from podshare.kinds import hardening
from podshare.kinds.base import ExecutionRole, Key, Kind, Resource, Stage
from podshare.kinds.desired import by_hand, desired, manifests
from podshare.kinds.namespace.shape import Namespace
from podshare.kinds.pod_identity_association.shape import PodIdentityAssociation
from podshare.reconcile.plan import Action, plan
from podshare.registry.parsing import parse
from podshare.registry.problems import InvalidRecord
from podshare.registry.records import Cluster
from tests.builders import CLUSTER, INSTALLATION, a_dataset, a_team

A_CLUSTER = {
    "id": "cluster#main",
    "account": "111111111111",
    "region": "us-west-2",
    "eks_cluster": "hyperpod-eks",
    "hyperpod_cluster": "hyperpod",
}


def wanted(**cluster: object) -> dict[Key, Resource]:
    facts = replace(CLUSTER, **cluster)  # type: ignore[arg-type]
    return desired(a_team(), [facts], {"imagenet": a_dataset()}, {}, INSTALLATION)


def namespace_in(resources: dict[Key, Resource]) -> Namespace:
    (found,) = (one for one in resources.values() if isinstance(one, Namespace))
    return found


def level(value: object) -> str:
    record = parse({**A_CLUSTER, "namespace_hardening": value})
    assert isinstance(record, Cluster)
    return record.namespace_hardening


def test_off_is_off_however_yaml_reads_it() -> None:
    """An unquoted `off` is false to a YAML reader; true is no level."""
    assert (level("off"), level(False), level("report"), level("enforce")) == ("off", "off", "report", "enforce")
    for wrong in (True, "on", "baseline", None, 0):
        with pytest.raises(InvalidRecord):
            level(wrong)


def test_a_report_warns_and_enforcement_denies() -> None:
    """`report` sets no label by which anything is refused; `enforce` sets them all, and the network policy."""
    off, report, enforce = (namespace_in(wanted(namespace_hardening=one)) for one in ("off", "report", "enforce"))
    assert off.tags == {"podshare/team": "vision"}
    assert report.tags.keys() - off.tags.keys() == {
        "podshare/hardening",
        "pod-security.kubernetes.io/audit",
        "pod-security.kubernetes.io/warn",
    }
    assert enforce.tags.keys() - report.tags.keys() == {"pod-security.kubernetes.io/enforce"}
    assert (off.network_policy, report.network_policy) == (None, None)
    assert enforce.network_policy == hardening.network_policy("enforce")


def test_pods_reach_everything_but_instance_metadata() -> None:
    """Both addresses of the metadata service are left out; those of EKS Pod Identity's agent and of pods are not."""
    peers = (hardening.network_policy("enforce") or {})["egress"][0]["to"]

    def reached(address: str) -> bool:
        one = ipaddress.ip_address(address)
        blocks = [peer["ipBlock"] for peer in peers if "ipBlock" in peer]
        return any(
            one in ipaddress.ip_network(block["cidr"])
            and not any(one in ipaddress.ip_network(out) for out in block["except"])
            for block in blocks
        )

    assert not any(map(reached, ("169.254.169.254", "fd00:ec2::254")))
    assert all(map(reached, ("169.254.170.23", "fd00:ec2::23", "10.0.0.7", "52.218.0.1", "169.254.169.253")))


def test_what_is_not_verified_is_told() -> None:
    """Only enforcement that podshare reads back says nothing."""
    told = [hardening.not_verified("main", one, kubernetes_api=True) for one in ("off", "report", "enforce")]
    assert [bool(one) for one in told] == [True, True, False]
    assert "does not look into" in (hardening.not_verified("main", "enforce", kubernetes_api=False) or "")


def test_a_namespace_is_let_go_last_and_one_that_was_left_is_made_anew() -> None:
    """It goes after the quota; one that a deleted team has left is emptied first, whoever wants it."""
    want = wanted()
    assert max(plan({}, want).revoke) is Stage.NAMESPACE
    left = replace(namespace_in(want), vacating=True)
    found = plan(want, {**want, left.key: left})
    assert [change.action for change in found.changes] == [Action.DELETE, Action.CREATE]
    assert {change.key for change in found.changes} == {left.key}


def test_without_the_api_a_person_applies_what_podshare_would() -> None:
    """No object of the cluster is podshare's then; the manifests are those that it would apply, the namespace first."""
    effective_access = wanted(namespace_hardening="enforce")
    without = wanted(namespace_hardening="enforce", kubernetes_api=False)
    assert {key.kind for key in effective_access.keys() - without.keys()} == {Kind.NAMESPACE, Kind.SERVICE_ACCOUNT}
    assert not [one for one in without.values() if one.execution_role is ExecutionRole.KUBERNETES]
    assert [one for one in without.values() if isinstance(one, PodIdentityAssociation)]
    facts = replace(CLUSTER, namespace_hardening="enforce", kubernetes_api=False)
    found = manifests(INSTALLATION, by_hand(a_team(), facts, {}, INSTALLATION))
    assert [one["kind"] for one in found] == ["Namespace", "NetworkPolicy", "ServiceAccount"]
    assert by_hand(a_team(), CLUSTER, {}, INSTALLATION) == []

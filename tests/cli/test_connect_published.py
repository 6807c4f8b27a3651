"""What `podshare connect` makes of a published team: who gets in by which way, what it refuses, and what it asks for."""

import datetime
import json
from typing import Any

import pytest
import yaml

from podshare_cli.commands.connect import job
from podshare_cli.commands.connect.hops import gone, networks
from podshare_cli.commands.connect.profiles import Memory
from podshare_cli.commands.connect.published import Caller, Team, parsed_value, state_of

B, A = "222222222222", "111111111111"
MADE, OWN = f"arn:aws:iam::{B}:role/podshare/podshare-vision-scientist", f"arn:aws:iam::{B}:role/research/Researcher"
ROLES = {"main": f"arn:aws:iam::{A}:role/podshare/podshare-vision-0fa5de82"}
CLUSTER: dict[str, Any] = {
    "name": "main",
    "arn": f"arn:aws:eks:us-west-2:{A}:cluster/hyperpod-eks",
    "region": "us-west-2",
    "access": ["training"],
    "queue": "hyperpod-ns-vision-localqueue",
    "priorities": ["training-priority"],
    "hardening": "off",
    "quota": {},
    "datasets": {},
    "service_accounts": {},
}


def value(*members: dict[str, Any], **changed: Any) -> dict[str, Any]:
    team = {"schema": 1, "team": "vision", "owner": "priya@example.com", "namespace": "hyperpod-ns-vision"}
    return {**team, "members": [{**member, "roles": ROLES} for member in members], "clusters": [CLUSTER], **changed}


def session(role: str) -> Caller:
    return Caller(f"arn:aws:sts::{B}:assumed-role/{role}/ada@example.com")


@pytest.mark.parametrize(
    ("member", "caller", "role"),
    [
        ({"scientist_role": MADE}, Caller(f"arn:aws:iam::{B}:user/ada"), MADE),
        ({"scientist_role": MADE}, session("podshare-vision-scientist"), ""),
        ({"existing_role": OWN}, session("Researcher"), ""),
        ({"existing_role": OWN}, session("Admin"), OWN),
        ({"permission_set": "Pretraining"}, session("AWSReservedSSO_Pretraining_0123456789abcdef"), ""),
        ({"permission_set": "Pretraining"}, session("AWSReservedSSO_PretrainingX_0123456789abcdef"), None),
        ({"permission_set": "Pretraining"}, session("Admin"), None),
    ],
)
def test_who_gets_in_by_which_way(member: dict[str, Any], caller: Caller, role: str | None) -> None:
    """As what they are, by the role of the account, or not at all: nobody can assume a permission set's role."""
    way = Team(value(member), B, "us-west-2").way_of(caller)
    assert (way.role if way else None) == role


def test_what_one_is_already_comes_before_what_one_may_assume() -> None:
    """In an account with several kinds of members the caller's own role counts."""
    team = Team(value({"scientist_role": MADE}, {"existing_role": OWN}), B, "us-west-2")
    way = team.way_of(session("Researcher"))
    assert way is not None
    assert way.member["existing_role"] == OWN


@pytest.mark.parametrize(
    "changed",
    [
        {"schema": 2},
        {"owner": "priya\n[profile x]\ncredential_process = sh"},
        {"team": "vision]\n"},
        {"members": [{"scientist_role": f"{MADE}\ncredential_process = sh", "roles": ROLES}]},
        {"members": [{"scientist_role": MADE, "roles": {"main": "sh -c x"}}]},
        {"clusters": [{**CLUSTER, "name": "main\x1b[2J"}]},
        {"clusters": [{**CLUSTER, "name": "main]"}]},
        {"clusters": "main"},
    ],
)
def test_what_would_write_lines_of_its_own_is_refused(changed: dict[str, Any]) -> None:
    """Whoever may write parameters in the account gets no line into a scientist's config, and no command."""
    assert parsed_value(json.dumps(value({"scientist_role": MADE}))) is not None
    assert parsed_value(json.dumps(value({"scientist_role": MADE}, **changed))) is None


def test_fields_of_later_versions_are_ignored() -> None:
    """A reader takes what it knows."""
    assert parsed_value(json.dumps(value({"scientist_role": MADE, "later": [1]}, later={"a": None}))) is not None


def test_a_session_name_is_one_that_sts_takes() -> None:
    """Whoever calls is told in the cluster's audit log, in the letters that RoleSessionName may have."""
    assert session("Admin").session_name == "ada@example.com"
    assert Caller(f"arn:aws:iam::{B}:user/path/ada").session_name == "ada"
    assert Caller(f"arn:aws:sts::{B}:assumed-role/x/{'ö' * 70}").session_name == "-" * 64


def queue(**nominal: str) -> dict[str, Any]:
    named = {"gpu": "nvidia.com/gpu", "neuron": "aws.amazon.com/neurondevice"}
    resources = [{"name": named.get(name, name), "nominalQuota": amount} for name, amount in nominal.items()]
    return {"spec": {"resourceGroups": [{"flavors": [{"name": "ml.p5.48xlarge", "resources": resources}]}]}}


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        (queue(cpu="192", memory="2Ti", gpu="8"), {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "1"}),
        (queue(cpu="500m", memory="512Mi", gpu="0"), {}),
        (queue(cpu="0", memory="0", neuron="16"), {"aws.amazon.com/neurondevice": "1"}),
        (None, {"cpu": "1", "memory": "1Gi"}),
    ],
)
def test_a_first_job_asks_for_no_more_than_is_guaranteed(found: dict[str, Any] | None, asked: dict[str, str]) -> None:
    """One accelerator, one CPU and one GiB where the quota has them."""
    assert job.requests(found) == asked


@pytest.mark.parametrize(
    ("names", "values", "chosen"),
    [
        (("inference-priority", "training-priority"), {"inference-priority": 90, "training-priority": 60, "x": 1}, 1),
        (("training-priority", "inference-priority"), {"inference-priority": 90, "training-priority": 60}, 0),
        (("inference-priority", "training-priority"), None, 0),
        (("inference-priority",), {"x": 1}, 0),
    ],
)
def test_a_first_job_preempts_nobody(names: tuple[str, ...], values: dict[str, int] | None, chosen: int) -> None:
    """It has the lowest of the team's priority classes, where the cluster shows their values."""
    items = [{"metadata": {"name": name}, "value": value} for name, value in (values or {}).items()]
    assert job.priority(names, None if values is None else {"items": items}) == names[chosen]
    assert not job.priority((), {"items": items})


@pytest.mark.parametrize("kind", job.KINDS)
def test_each_kind_of_job_carries_the_labels(kind: str) -> None:
    """Queue and priority are on the job, where Kueue looks, and the service account in its pods."""
    cluster = {
        **CLUSTER,
        "datasets": {"imagenet": {"region": "us-east-1", "arn": "arn:…", "alias": "x-s3alias"}},
        "service_accounts": {"trainer": [{"dataset": "imagenet", "access": "read", "prefix": "cats/"}]},
    }
    data = [*job.sources(cluster)]
    manifest = job.manifest(kind, "hyperpod-ns-vision", cluster, {"cpu": "1"}, data, priority_class="training-priority")
    assert "&id" not in yaml.safe_dump(manifest)
    assert manifest["metadata"]["labels"] == {
        "kueue.x-k8s.io/queue-name": "hyperpod-ns-vision-localqueue",
        "kueue.x-k8s.io/priority-class": "training-priority",
    }
    assert '"serviceAccountName": "trainer"' in json.dumps(manifest)
    listing = "s3api list-objects-v2 --bucket x-s3alias --prefix cats/ --max-keys 20 --no-paginate --region us-east-1"
    assert json.dumps(listing.split()) in json.dumps(manifest)


MEMORY = Memory("vision", B, "us-west-2", "main", "priya@example.com", read_on="2026-11-29")


@pytest.mark.parametrize(
    ("memory", "account", "told"),
    [
        (None, B, "No team vision is published"),
        (MEMORY, "444444444444", f"you joined team vision in account {B}"),
        (Memory(**{**vars(MEMORY), "region": "us-east-1"}), B, "you joined it in us-east-1"),
        (Memory(**{**vars(MEMORY), "until": "2020-01-01T00:00:00Z"}), B, "ended at 2020-01-01T00:00:00Z"),
        (Memory(**{**vars(MEMORY), "selector": "account tag team=x"}), B, "it lost the account tag team=x"),
        (
            Memory(**{**vars(MEMORY), "selector": "organizational unit ou-1"}),
            B,
            "it was moved out of organizational unit ou-1",
        ),
        (MEMORY, B, "it was removed from the record, or its access was given an end after 2026-11-29 that has passed"),
    ],
)
def test_what_is_gone_is_told_by_what_was_known(memory: Memory | None, account: str, told: str) -> None:
    """Expired, moved, removed, another account or Region, or never there: each is a sentence of its own."""
    outcome, remedy = gone("vision", Caller(f"arn:aws:iam::{account}:user/ada"), "us-west-2", memory)
    assert told in outcome
    assert remedy
    assert ("podshare may be paused or hold a plan: ask who added you" in remedy) == (memory is None)


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        (
            {"endpointPublicAccess": False, "publicAccessCidrs": ["0.0.0.0/0"]},
            "is private: connect to its network (VPN)",
        ),
        (
            {"endpointPublicAccess": True, "publicAccessCidrs": ["203.0.113.0/24", "198.51.100.7/32"]},
            "is open to 203.0.113.0/24, 198.51.100.7/32 alone: connect from there (VPN)",
        ),
        ({"endpointPublicAccess": True, "publicAccessCidrs": ["0.0.0.0/0", "::/0"]}, "is public: look for a proxy"),
        ({}, "is public: look for a proxy"),
    ],
)
def test_an_endpoint_says_from_where_it_is_reached(endpoint: dict[str, Any], told: str) -> None:
    """As EKS reports it (EKS API reference, VpcConfigResponse)."""
    assert told in networks(endpoint)


def test_a_member_ends_at_its_moment() -> None:
    """Until then it is active, from then on it has ended; without one it stays active."""
    now = datetime.datetime(2026, 11, 29, tzinfo=datetime.UTC)
    assert state_of("2026-11-29T00:00:00Z", now) == "ENDED"
    assert state_of("2026-11-29T00:00:01Z", now) == state_of("", now) == "ACTIVE"

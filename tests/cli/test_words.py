"""Changes in words: the same in a plan, in progress and in a status."""

from typing import Any

from podshare.kinds.hardening import not_verified
from podshare_cli import words


def _change(action: str, kind: str, name: str, container: str = "", **more: Any) -> dict[str, Any]:
    account = "111111111111"
    key = f"{kind}|{account}|us-west-2|{container}|{name}"
    return {"action": action, "kind": kind, "account": account, "region": "", "name": name, "key": key, **more}


def test_things_are_called_by_what_a_person_knows_them_by() -> None:
    """Shared documents and attachments are told as such, not as if they were podshare's whole."""
    delegation = _change("delete", "bucket_delegation", "vision/imagenet", "curated-images")
    attachment = _change("create", "role_attachment", "podshare-assume-cluster-access", "research/Researcher")
    assert words.resource(delegation) == "delegation in bucket curated-images to vision/imagenet in 111111111111"
    assert (
        words.resource_of_key(attachment["key"])
        == "attachment of policy podshare-assume-cluster-access to role research/Researcher in 111111111111"
    )


def test_isolation_is_read_from_the_notes_that_say_how_far_it_goes() -> None:
    """What always holds is a line of the header: a note for each cluster, whatever says it, and no other note."""
    levels = {"b": "off", "a": "off", "c": "report", "d": "enforce"}
    notes = [not_verified(cluster, level, kubernetes_api=True) for cluster, level in levels.items()]
    notes += [not_verified("e", "enforce", kubernetes_api=False), "dataset#x was deleted: its grants are revoked"]
    told, others = words.isolation(filter(None, notes))
    assert told == "off on clusters a, b; report on cluster c; unknown (kubernetes_api: false) on cluster e"
    assert others == notes[-1:]


def test_what_the_history_did_not_record_is_said_so() -> None:
    """A change without a key, as older objects of the history have it, is no delegation in a bucket without a name."""
    delegation = _change("delete", "bucket_delegation", "vision/imagenet", "curated-images")
    del delegation["key"]
    assert words.resource(delegation) == "delegation in bucket (not recorded) to vision/imagenet in 111111111111"


def test_a_quota_is_told_as_its_record_has_it() -> None:
    """Whole instances by their count, parts of one by their units, and partitions of accelerators by their type."""
    assert words.quota_line({"instance_type": "ml.p5.48xlarge", "count": 4}) == "4 x ml.p5.48xlarge"
    parts = {"accelerators": 2, "vcpu": 8, "memory_gib": 64}
    assert words.quota_line({"instance_type": "g5", **parts}) == "2 accelerators, 8 vCPU, 64 GiB of g5"
    partition = {"type": "mig-1g.10gb", "count": 3}
    assert words.quota_line({"instance_type": "p4d", "accelerator_partition": partition}) == "3 x mig-1g.10gb of p4d"

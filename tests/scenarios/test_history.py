"""The history of who had access: what each run found and did, in a bucket that nobody can take it out of."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.acting import Ended
from tests.builders import a_team_item, an_enrollment_item
from tests.scenarios.world import HISTORY as BUCKET
from tests.scenarios.world import HUB, LANGUAGE, SCIENCE, VISION, Item, World

ADA, BEN = f"arn:aws:iam::{HUB}:user/ada", f"arn:aws:iam::{HUB}:user/ben"


def team(*accounts: str, by: str, version: int, reason: str, **fields: Any) -> Item:
    """A team's record as the command writes it."""
    change = {"version": version, "at": "2026-11-29T00:00:00Z", "reason": reason}
    members = [{"account": account} for account in accounts]
    return a_team_item("vision", members=members, changed_by=by, change=change, **fields)


def objects(world: World, prefix: str = "") -> dict[str, Item]:
    """All that the history has, by key."""
    s3 = world.sandbox.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
    return {key: json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in keys}


def runs(world: World, team: str = "vision") -> list[Item]:
    """The objects of a team's runs, in the order of time."""
    found = [one for one in objects(world, "runs/v1/").values() if one["team"] == team]
    return sorted(found, key=lambda one: str(one["recorded_at"]))


def accounts_with_access(run: Item) -> set[str]:
    return {row["account"] for row in run["access"] if ":eks:" in row["place"] and not row["door"]} - {""}


@contextmanager
def bucket_denied(world: World) -> Iterator[None]:
    """Meanwhile nobody may add to the history."""
    s3 = world.sandbox.client("s3")
    before = s3.get_bucket_policy(Bucket=BUCKET)["Policy"]
    policy = json.loads(before)
    statement = {"Sid": "Closed", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"}
    policy["Statement"] = [*policy["Statement"], {**statement, "Resource": f"arn:aws:s3:::{BUCKET}/*"}]
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    try:
        yield
    finally:
        s3.put_bucket_policy(Bucket=BUCKET, Policy=before)


def test_a_run_is_kept_with_its_proof_and_what_grants_it(world: World) -> None:
    """The object has the cause, the changes from and to, and each access with the line of the record that gives it."""
    world.put(team(VISION, by=ADA, version=1, reason="first"))
    (run,) = runs(world)

    assert run["schema_version"] == 1
    assert run["state"] == "READY"
    assert run["cause"]["caller"] == ADA
    assert run["cause"]["reason"] == "first"
    assert run["records"][0]["id"] == "team#vision"
    assert (run["records"][0]["writer"], run["records"][0]["reason"]) == (ADA, "first")
    assert {change["status"] for change in run["changes"]} == {"done"}
    assert accounts_with_access(run) == {VISION}
    lines = {grant["line"] for row in run["access"] for grant in row["grants"]}
    assert f"member {VISION}" in lines
    assert any(line.startswith("dataset imagenet of service account") for line in lines)
    assert all(row["grants"] for row in run["access"])
    assert world.denied() == []


def test_each_version_of_a_record_is_kept(world: World) -> None:
    """Who wrote it and why, which lines came and which went: exact even where one run acts for several versions."""
    world.put(team(VISION, LANGUAGE, by=BEN, version=2, reason="language joins"), settle=False)
    world.put(team(VISION, LANGUAGE, by=ADA, version=3, reason="a typo", owner="ben@example.com"))
    versions = sorted(objects(world, "records/v1/kind=team/name=vision/").items())

    first, second, third = (one for _, one in versions)
    assert (second["writer"], second["reason"], second["added"]) == (BEN, "language joins", [f"member {LANGUAGE}"])
    assert (third["writer"], third["added"], third["removed"]) == (ADA, [], [])
    assert first["change"] == "created"
    assert json.loads(first["content"])["id"] == "team#vision"
    assert accounts_with_access(runs(world)[-1]) == {VISION, LANGUAGE}


def test_a_run_without_news_adds_nothing_and_a_sweep_always_does(world: World) -> None:
    """What has not changed is not written again, but each sweep proves it anew."""
    before = len(runs(world))
    world.reconcile("vision")
    assert len(runs(world)) == before
    world.sweep()
    assert len(runs(world)) == before + 1
    assert runs(world)[-1]["cause"]["event"] == "sweep"
    assert runs(world)[-1]["access"] == runs(world)[-2]["access"]


def test_nothing_is_taken_out_before_its_time(world: World) -> None:
    """No version can be deleted while it is retained, by an administrator either, and a deletion only hides it."""
    s3 = world.sandbox.client("s3")
    key = next(iter(objects(world, "runs/v1/")))
    (version,) = s3.list_object_versions(Bucket=BUCKET, Prefix=key)["Versions"]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=BUCKET, Key=key, VersionId=version["VersionId"])
    assert s3.head_object(Bucket=BUCKET, Key=key)["ObjectLockMode"] == "GOVERNANCE"
    s3.delete_object(Bucket=BUCKET, Key=key)
    assert s3.get_object(Bucket=BUCKET, Key=key, VersionId=version["VersionId"])["Body"].read()


def test_a_write_that_fails_delays_nothing_and_is_made_up_for(world: World) -> None:
    """With the bucket denied a member is out as soon as ever; the sweep counts the gaps, and the next one fills them."""
    known = set(objects(world))
    with bucket_denied(world):
        world.put(team(VISION, by=BEN, version=4, reason="language leaves"))
        assert world.status("vision")["state"] == "READY"
        assert not world.works("vision", LANGUAGE)
        assert set(objects(world)) == known
        told = world.sweep()
        assert told["status"] == "SUCCEEDED"
        assert told["history"]["gaps"] == told["history"]["left"] >= 3  # the version, its run, and the sweep's
    told = world.sweep()
    assert told["history"] == {"gaps": told["history"]["gaps"], "left": 0}
    assert world.sweep()["history"] == {"gaps": 0, "left": 0}
    made_up = {key: one for key, one in objects(world).items() if key not in known}
    (version,) = (one for key, one in made_up.items() if key.startswith("records/"))
    assert (version["writer"], version["removed"]) == (BEN, [f"member {LANGUAGE}"])
    leaving = next(one for one in made_up.values() if one.get("cause", {}).get("reason") == "language leaves")
    assert accounts_with_access(leaving) == {VISION}


def test_why_an_enrolled_account_has_access_is_said_of_that_account(
    call_as_auditor: Callable[..., Ended], world: World
) -> None:
    """The line, its writer and the reason are the enrollment's, and placeholders are filled in as in the team's record."""
    world.sweep()
    change = {"version": 1, "at": "2026-11-29T00:00:00Z"}
    world.put(an_enrollment_item(exclude_accounts=[VISION, LANGUAGE], changed_by=ADA, change=change))
    account = world.join("genomics-lab", tags={"owner": "rosalind@example.com", "gpus": "4"})
    answer = call_as_auditor("access", "at", "now", "of", account, "--json").data
    grants = [grant for one in answer["access"] for grant in one["grants"] if grant["record"] == "enrollment#science"]
    assert {grant["reason"] for grant in grants} == {"The people of genomics-lab"}
    assert f"member organizational unit {SCIENCE}" in {grant["line"] for grant in grants}
    assert {(grant["by"], grant["version"], grant["exact"]) for grant in grants} == {(ADA, 1, True)}

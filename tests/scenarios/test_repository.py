"""The whole life of a repository of records, by the installed command: pull request, merge, edits, drift, adoption."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.peers.running import Boto3Script, environment_of
from podshare_sandbox.organization import DATA, HYPERPOD_CLUSTER, SCIENTISTS
from tests.acting import Ended
from tests.builders import a_team_item
from tests.scenarios.world import CLUSTER, DATASETS, HUB, LANGUAGE, REGION, VISION, Item, World

COMMAND = Path(sys.executable).with_name("podshare")
DONE, FAILED, PENDING, INVALID = 0, 1, 2, 64
BOTH = [{"account": VISION}, {"account": LANGUAGE}]
BY_HAND = "robots"


As = Callable[..., Ended]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with a remote, in which the records of a cluster, its data and one team are committed."""
    folder = tmp_path_factory.mktemp("repository")
    _git(folder, "init", "-q", "-b", "main")
    _git(folder, "remote", "add", "origin", "https://git.example.com/platform/records.git")
    for item in ({**CLUSTER, "schema": 1}, *({**item, "schema": 1} for item in DATASETS)):
        write(folder, item)
    write(folder, a_team("vision"))
    _commit(folder, "Share the cluster with vision")
    return folder


@pytest.fixture(scope="module")
def run(world: World, repository: Path) -> Iterator[As]:
    """Runs the installed command in the repository, as CI of a branch (planner) or of main (admin), or as somebody."""
    iam, keys = world.sandbox.client("iam", HUB), {}
    for name in ("planner", "admin"):
        iam.create_user(UserName=f"ci-{name}")
        iam.attach_user_policy(
            UserName=f"ci-{name}", PolicyArn=f"arn:aws:iam::{HUB}:policy/podshare-system/podshare-{name}"
        )
        key = iam.create_access_key(UserName=f"ci-{name}")["AccessKey"]
        keys[name] = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    base = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GIT", "CI", "GITHUB"))}
    everybodys = {**world.sandbox.environment(HUB, REGION), "AWS_REGION": REGION}

    def call(who: str, *words: str, code: int = DONE, **more: str) -> Ended:
        environment = {**base, **everybodys, **keys.get(who, {}), **more}
        done = subprocess.run(  # noqa: S603  # our own command
            [str(COMMAND), *words], cwd=repository, env=environment, capture_output=True, text=True, check=False
        )
        world.sandbox.settle()
        assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
        return Ended(done.returncode, done.stdout, done.stderr)

    yield call


def a_team(name: str, **fields: Any) -> Item:
    """A small team of two accounts."""
    quota = {"resources": [{"instance_type": "ml.g5.12xlarge", "accelerators": 1}]}
    return {**a_team_item(name, **{"quota": quota, "members": BOTH, **fields}), "schema": 1}


def write(repository: Path, item: Item) -> None:
    """A record in a file of its own."""
    file = repository / "records" / f"{item['id'].replace('#', '-')}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(item, sort_keys=False), encoding="utf-8")


def _git(folder: Path, *words: str) -> None:
    own = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *own, *words], cwd=folder, check=True, capture_output=True)  # noqa: S603,S607  # fixed words


def _commit(folder: Path, subject: str) -> None:
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", subject)


def test_a_pull_request_shows_who_gains_what_and_can_grant_nothing(run: As, world: World) -> None:
    """CI of a branch plans with exit code 2 for pending changes, comments, and may not apply what its author wrote."""
    assert run("planner", "validate", "records").out.splitlines()[-1].endswith("0 problems")
    planned = run("planner", "plan", "-f", "records", "--detailed-exitcode", "--format", "markdown", code=PENDING)
    assert VISION in planned.out
    assert len(planned.out) < 65_536
    refused = run("planner", "apply", "-f", "records", "--auto-approve", code=FAILED)
    assert "podshare-admin" in refused.err
    assert world.record("team#vision") == {}


def test_a_merge_applies_what_was_planned_once(run: As, world: World, repository: Path) -> None:
    """CI of main makes the team READY; a second run, and a plan, have nothing to do."""
    applied = run("admin", "apply", "-f", "records", "--auto-approve", "--reason", "Vision trains its model")
    assert "READY" in applied.err + applied.out
    assert world.works("vision", VISION)
    change = world.record("team#vision")["change"]
    assert change["reason"] == "Vision trains its model"
    assert change["source"]["path"].endswith("records/team-vision.yaml")
    run("planner", "plan", "-f", "records", "--detailed-exitcode")
    run("admin", "apply", "-f", "records", "--auto-approve")
    assert repository.exists()


def test_what_somebody_changed_meanwhile_is_not_overwritten(run: As, world: World, repository: Path) -> None:
    """A plan that was reviewed is applied, or nothing is: an edit in between is named with who made it."""
    write(repository, a_team("vision", members=[{"account": VISION}]))
    _commit(repository, "Let language-lab go")
    run("planner", "plan", "-f", "records", "--out", "plan.json")
    (repository / "edited.yaml").write_text(yaml.safe_dump(a_team("vision", reason="Edited by hand")), encoding="utf-8")
    run("somebody", "team", "put", "edited.yaml", "--yes")
    refused = run("admin", "apply", "plan.json", "--auto-approve", code=FAILED)
    assert "team#vision has been changed" in refused.err
    assert f"arn:aws:iam::{HUB}:user/admin" in refused.err
    assert world.works("vision", LANGUAGE)
    run("planner", "plan", "-f", "records", "--out", "plan.json")
    run("admin", "apply", "plan.json", "--auto-approve")
    assert (world.works("vision", VISION), world.works("vision", LANGUAGE)) == (True, False)


def test_what_left_the_files_is_deleted_only_when_asked(run: As, world: World, repository: Path) -> None:
    """--prune deletes what apply wrote from these files, and nothing that somebody else wrote."""
    world.put(a_team("theirs", members=[], service_accounts=[]))
    write(repository, a_team("brief", members=[{"account": VISION}]))
    _commit(repository, "Share the cluster with brief")
    run("admin", "apply", "-f", "records", "--auto-approve")
    (repository / "records" / "team-brief.yaml").unlink()
    _commit(repository, "End brief")
    run("admin", "apply", "-f", "records", "--auto-approve")
    assert world.record("team#brief")
    assert "brief" in run("planner", "plan", "-f", "records", "--prune", "--detailed-exitcode", code=PENDING).out
    run("admin", "apply", "-f", "records", "--prune", "--auto-approve")
    assert world.record("team#brief") == {}
    assert world.status("brief")["state"] == "DELETED"
    assert world.record("team#theirs")


def test_drift_is_told_until_it_is_repaired(run: As, world: World) -> None:
    """The nightly job ends with 2 while something differs, names it, and with 0 once podshare has repaired it."""
    eks = world.sandbox.client("eks", HUB)
    run("admin", "pause", "--reason", "Somebody changes things by hand")
    role = world.cluster_access_role("vision", VISION)
    eks.delete_access_entry(clusterName="hyperpod-eks", principalArn=role)
    drifted = run("planner", "drift", "--detailed-exitcode", code=PENDING)
    assert "access entry" in drifted.out
    run("admin", "resume")
    world.reconcile("vision")
    assert world.works("vision", VISION)
    run("planner", "drift", "--detailed-exitcode")


def test_a_team_that_was_made_by_hand_comes_into_the_repository(run: As, world: World, repository: Path) -> None:
    """import writes its records, --adopt hands it over, apply makes podshare's access beside what was there.

    The team keeps the compute quota that it had, to the last field.
    """
    with environment_of(world.sandbox, SCIENTISTS[0], 0.02) as environment:
        Boto3Script().run("onboard", [BY_HAND], environment)
        own = {"AWS_CONFIG_FILE": environment["AWS_CONFIG_FILE"]}
        quota = quota_of(world, BY_HAND)
        words = ("import", HYPERPOD_CLUSTER, "--owner", "ada@example.com", "--profile-of", f"{DATA}=c")
        run("somebody", *words, "--out", "imported", **own)
        imported = {path.name: path for path in (repository / "imported").iterdir()}
        for name in (f"team-{BY_HAND}.yaml", "dataset-curated-images-333333333333.yaml"):
            imported[name].rename(repository / "records" / name)
        run("somebody", *words, "--adopt", BY_HAND, "--yes", **own)
    blocked = run("admin", "apply", "-f", "records", "--auto-approve", code=FAILED)
    assert BY_HAND in blocked.err + blocked.out
    assert quota_of(world, BY_HAND) == quota
    scientist = world.scientist(BY_HAND, VISION, f"{BY_HAND}-scientist")
    member = f"{VISION}/role/{BY_HAND}-scientist"
    assert world.may_submit(world.session(world.cluster_access_role(BY_HAND, member), scientist), BY_HAND)


def quota_of(world: World, team: str) -> Item:
    """What the team's compute quota guarantees, and its id; podshare writes a description of its own."""
    client = world.sandbox.client("sagemaker", HUB)
    (listed,) = (
        each
        for each in client.list_compute_quotas()["ComputeQuotaSummaries"]
        if each["ComputeQuotaTarget"]["TeamName"] == team
    )
    described = client.describe_compute_quota(ComputeQuotaId=listed["ComputeQuotaId"])
    kept = ("ComputeQuotaId", "Name", "ComputeQuotaConfig", "ComputeQuotaTarget", "ActivationState")
    return {field: described.get(field) for field in kept}


def test_the_registry_comes_back_as_it_was_written(run: As, repository: Path) -> None:
    """export updates files in place, after which there is nothing to apply."""
    before = (repository / "records" / "team-vision.yaml").read_text(encoding="utf-8")
    run("planner", "export", "records")
    assert (repository / "records" / "team-vision.yaml").read_text(encoding="utf-8") == before
    assert (repository / "records" / "team-theirs.yaml").exists()
    run("planner", "plan", "-f", "records/team-theirs.yaml", "--detailed-exitcode")
    assert run("planner", "plan", "-f", "absent.yaml", code=INVALID).err

"""Used hours: scientists' jobs within their quota, on borrowed compute, evicted and beside the queue, as a reader sees."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lightkube
import pytest
import yaml
from lightkube.codecs import from_dict
from lightkube.generic_resource import create_namespaced_resource

from podshare_cli.application import main
from podshare_cli.aws import clusters
from podshare_sandbox.services import kubernetes
from tests.acting import Ended, act_in_the_hub
from tests.builders import a_team_item
from tests.checks.expanded_template import ROOT
from tests.domain.test_aws_report import REPORT
from tests.scenarios.world import EKS_ARN, HUB, LANGUAGE, REGION, VISION, Item, World, awaited

Call = Callable[..., Ended]
G5 = "ml.g5.12xlarge"  # 4 GPUs
NAMESPACE = "hyperpod-ns-vision"
Workload = create_namespaced_resource("kueue.x-k8s.io", "v1beta1", "Workload", "workloads")
FIGURES = ("hours", "used", "borrowed", "undetermined")
SHARING = {"strategy": "LendAndBorrow", "borrow_limit": 100}
QUOTA = {"resources": [{"instance_type": G5, "count": 1}], "sharing": SHARING}


def pod(gpus: int, **more: Any) -> Item:
    amounts = {"limits": {"nvidia.com/gpu": str(gpus)}, "requests": {"nvidia.com/gpu": str(gpus)}}
    container = {"name": "main", "image": "busybox", "command": ["sleep", "infinity"], "resources": amounts}
    return {"containers": [container], "restartPolicy": "Never", **more}


def job(name: str, gpus: int, team: str = "vision") -> Any:
    """A job in the team's queue."""
    namespace = f"hyperpod-ns-{team}"
    metadata = {
        **{"name": name, "namespace": namespace},
        "labels": {"kueue.x-k8s.io/queue-name": f"{namespace}-localqueue"},
    }
    return from_dict(
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": pod(gpus)}}}
    )


def manifests() -> Iterator[Item]:
    """What the documentation tells an admin of the cluster to apply."""
    yield from yaml.safe_load_all((ROOT / "examples" / "usage" / "cluster-readers.yaml").read_text())


@pytest.fixture(scope="module")
def keys(world: World) -> tuple[str, str]:
    """Of an auditor who may also describe clusters, and whom the cluster lets in as the documentation says."""
    iam, eks = world.sandbox.client("iam", HUB), world.sandbox.client("eks", HUB)
    arn = iam.create_user(UserName="reader")["User"]["Arn"]
    iam.attach_user_policy(UserName="reader", PolicyArn=f"arn:aws:iam::{HUB}:policy/podshare-system/podshare-auditor")
    log = f"arn:aws:logs:{REGION}:{HUB}:log-group:/aws/eks/hyperpod-eks/cluster:*"
    statements = [
        {"Effect": "Allow", "Action": "eks:DescribeCluster", "Resource": EKS_ARN},
        {"Effect": "Allow", "Action": "logs:FilterLogEvents", "Resource": log},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="reader", PolicyName="describe", PolicyDocument=document)
    made = [*manifests()]
    for manifest in made:
        kubernetes.api_of(EKS_ARN).apply(manifest)
    group = next(each["subjects"][0]["name"] for each in made if "subjects" in each)
    eks.create_access_entry(clusterName="hyperpod-eks", principalArn=arn, kubernetesGroups=[group])
    created = iam.create_access_key(UserName="reader")["AccessKey"]
    return created["AccessKeyId"], created["SecretAccessKey"]


@pytest.fixture
def call_as_reader(
    world: World, keys: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Calls the command as that auditor."""
    act_in_the_hub(monkeypatch, *keys)
    monkeypatch.setenv("HTTPS_PROXY", world.sandbox.url)

    def call(*words: str) -> Ended:
        capsys.readouterr()
        code = main([*words])
        return Ended(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="module")
def begun(world: World, keys: tuple[str, str]) -> datetime:
    """Vision, whose quota is 4 GPUs, runs two jobs of 4 and a pod of 2 that does not queue; language lends its 4."""
    assert keys
    world.put(
        a_team_item("vision", members=[{"account": VISION}], owner="ada@example.com", quota=QUOTA),
        a_team_item("language", members=[{"account": LANGUAGE}], owner="ben@example.com", quota=QUOTA),
    )
    assert world.status("vision")["state"] == "READY", world.status("vision")
    scientist = world.kubernetes(world.cluster_access("vision", VISION))
    for name in ("within", "borrowing"):
        if name == "borrowing":
            log_requests(world)
        scientist.create(job(name, 4))
        awaited(lambda: len(admitted(scientist)), lambda count, name=name: count == 1 + (name == "borrowing"))
    metadata = {"name": "alone", "namespace": NAMESPACE}
    spec = pod(2, nodeSelector={"node.kubernetes.io/instance-type": G5})
    scientist.create(from_dict({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
    return datetime.now(UTC)


def log_requests(world: World) -> None:
    """Switch the cluster's audit log on."""
    wanted = {"clusterLogging": [{"types": ["audit"], "enabled": True}]}
    world.sandbox.client("eks", HUB).update_cluster_config(name="hyperpod-eks", logging=wanted)
    world.sandbox.settle(240)


def admitted(client: lightkube.Client) -> list[str]:
    """The names of the team's workloads that are admitted."""
    return [
        str(each["metadata"]["name"])
        for each in (one.to_dict() for one in client.list(Workload, namespace=NAMESPACE))
        for condition in (each.get("status") or {}).get("conditions") or ()
        if (condition["type"], condition["status"]) == ("Admitted", "True")
    ]


def rows(call: Call, *words: str, by: str = "team") -> dict[tuple[str, str], Item]:
    """The rows of all months since the jobs began, added up, by whose they are and the instance type."""
    months = {f"{datetime.now(UTC) - timedelta(days=days):%Y-%m}" for days in (0, 1)}
    found: dict[tuple[str, str], Item] = {}
    for month in sorted(months):
        answer = call("usage", "--used", "--by", by, "--month", month, *words, "--json")
        assert answer.code == 0, answer.err
        for row in answer.data["rows"]:
            key = row[by], row["instance_type"]
            added = {name: (row[name] or 0) + found.get(key, {}).get(name, 0) for name in FIGURES}
            found[key] = {**row, **added}
    return found


def test_used_and_borrowed_hours_are_those_of_the_jobs(
    world: World, begun: datetime, call_as_reader: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three hours: 4 + 4 + 2 GPUs for that long, of which all but the quota's 4 are borrowed."""
    world.advance(timedelta(hours=3))
    passed = (datetime.now(UTC) - begun) / timedelta(hours=1)
    row = rows(call_as_reader)["vision", G5]
    assert (row["cluster"], row["unit"]) == ("main", "accelerators")
    assert row["used"] == pytest.approx(10 * passed, abs=0.5)
    assert row["borrowed"] == pytest.approx(6 * passed, abs=0.5)
    assert row["undetermined"] == pytest.approx(0, abs=0.1)
    assert row["hours"] == pytest.approx(4 * passed, abs=0.5)  # the quota came to be a moment before
    by_owner = rows(call_as_reader, by="owner")["ada@example.com", G5]
    by_account = rows(call_as_reader, by="account")[VISION, G5]
    for other in (by_owner, by_account):
        assert other["used"] == pytest.approx(row["used"], abs=0.5)
    monkeypatch.setattr(clusters, "PAGE", 1)
    assert rows(call_as_reader)["vision", G5]["used"] == pytest.approx(row["used"], abs=0.5)  # page by page
    shown = call_as_reader("usage", "--used")
    assert "only of workloads and pods that the clusters still have" in " ".join(shown.out.split())
    assert "pods that do not queue" in " ".join(shown.out.split())


def lending(call: Call, page: Path) -> Item:
    """What the page of whoever calls has of the cluster's lending."""
    ended = call("report", "--out", str(page))
    assert ended.code == 0, ended.err
    facts = re.search(r'<script id="facts" type="application/json">(.*?)</script>', page.read_text(), re.DOTALL)
    assert facts
    [found] = json.loads(facts[1])["lending"]
    assert found["cluster"] == "main"
    return dict(found)


def test_the_report_shows_what_is_lent_and_borrowed_now(
    world: World, begun: datetime, keys: tuple[str, str], call_as_reader: Call, tmp_path: Path
) -> None:
    """Of 8 GPUs in queues vision has borrowed 4, which language has lent; the pod beside the queue Kueue does not count.

    For the page it takes the policy for planners, who may read quotas.
    """
    assert begun
    assert keys
    policy = f"arn:aws:iam::{HUB}:policy/podshare-system/podshare-planner"
    world.sandbox.client("iam", HUB).attach_user_policy(UserName="reader", PolicyArn=policy)
    found = lending(call_as_reader, tmp_path / "report.html")
    assert "problem" not in found, found
    common = {"instance_type": G5, "unit": "accelerators"}
    assert found["teams"] == [
        {"team": "language", **common, "used": 0, "borrowed": 0, "lent_at_least": 4, "lent_at_most": 4},
        {"team": "vision", **common, "used": 8, "borrowed": 4, "lent_at_least": 0, "lent_at_most": 0},
    ]
    assert abs(datetime.fromisoformat(found["read_at"]) - datetime.now(UTC)) < timedelta(minutes=5)


def test_the_audit_log_says_who_used_what(world: World, begun: datetime, call_as_reader: Call) -> None:
    """The job and the pod that were created after it was switched on are ada's; whose the first job is is unknown."""
    assert begun
    by_team = rows(call_as_reader)["vision", G5]["used"]
    by_member = rows(call_as_reader, by="member")
    role = world.cluster_access_role("vision", VISION).rpartition("/")[2]
    ada = f"arn:aws:sts::{HUB}:assumed-role/{role}/ada"
    assert by_member[ada, G5]["used"] == pytest.approx(by_team * 6 / 10, abs=0.5)
    assert by_member["", G5]["used"] == pytest.approx(by_team * 4 / 10, abs=0.5)
    shown = call_as_reader("usage", "--used", "--by", "member").out
    assert ("unknown member" in shown, "guaranteed" in shown) == (True, False)
    assert call_as_reader("usage", "--by", "member").code == 64


def test_without_its_log_members_are_unknown(world: World, begun: datetime, call_as_reader: Call) -> None:
    """A remark says why."""
    assert begun
    eks = world.sandbox.client("eks", HUB)
    off = {"clusterLogging": [{"types": ["audit"], "enabled": False}]}
    eks.update_cluster_config(name="hyperpod-eks", logging=off)
    answer = call_as_reader("usage", "--used", "--by", "member", "--json").data
    assert {row["member"] for row in answer["rows"]} == {""}
    assert "Members of cluster main are unknown: its audit log is off." in answer["remarks"]


def test_what_was_evicted_has_been_used(world: World, begun: datetime, call_as_reader: Call) -> None:
    """Language takes its GPUs back: the borrower's hours stay, of a type that Kueue remembers no more."""
    assert begun
    before = rows(call_as_reader)["vision", G5]
    owner = world.kubernetes(world.cluster_access("language", LANGUAGE))
    owner.create(job("own", 4, "language"))
    scientist = world.kubernetes(world.cluster_access("vision", VISION))
    awaited(lambda: len(admitted(scientist)), lambda count: count == 1)
    after = rows(call_as_reader)
    used = sum(row["used"] for (team, _), row in after.items() if team == "vision")
    assert used == pytest.approx(before["used"], abs=0.5)
    evicted = after["vision", ""]
    assert evicted["used"] == evicted["undetermined"] == pytest.approx(before["used"] * 4 / 10, abs=0.5)


def test_who_may_not_read_a_cluster_is_told_what_is_missing(call_as_auditor: Call) -> None:
    """The policy for auditors is enough for guaranteed hours alone."""
    ended = call_as_auditor("usage", "--used")
    told = " ".join(ended.err.split())
    assert (ended.code, "No cluster can be read" in told, "eks:DescribeCluster" in told) == (1, True, True)
    assert call_as_auditor("usage", "--cluster", "main").code == 64
    assert call_as_auditor("usage", "--used", "--cluster", "nowhere").code == 64
    assert call_as_auditor("usage").code == 0


def test_who_may_not_read_a_cluster_sees_in_the_report_why_its_lending_is_unknown(
    world: World, begun: datetime, call_as_auditor: Call, tmp_path: Path
) -> None:
    """The page is written all the same."""
    assert begun
    policy = f"arn:aws:iam::{HUB}:policy/podshare-system/podshare-planner"
    world.sandbox.client("iam", HUB).attach_user_policy(UserName="auditor", PolicyArn=policy)
    found = lending(call_as_auditor, tmp_path / "report.html")
    assert ("teams" in found, "eks:DescribeCluster" in found["problem"]) == (False, True)
    world.sandbox.client("iam", HUB).detach_user_policy(UserName="auditor", PolicyArn=policy)


def test_a_cluster_of_another_account_needs_a_profile(world: World, call_as_reader: Call) -> None:
    """What could be read is shown, and the command ends with 1 and says which profile it needs."""
    elsewhere = {"id": "cluster#east", "account": LANGUAGE, "region": "us-east-2"}
    world.put({**elsewhere, "eks_cluster": "east", "hyperpod_cluster": "east"})
    ended = call_as_reader("usage", "--used", "--json")
    assert (ended.code, len(ended.data["rows"]) > 0) == (1, True)
    assert f"--profile-of {LANGUAGE}=PROFILE" in ended.err
    assert call_as_reader("usage", "--used", "--cluster", "main").code == 0
    world.delete("cluster#east")


def test_awss_report_says_what_was_used_of_its_cluster(begun: datetime, call_as_auditor: Call, tmp_path: Path) -> None:
    """Without a way into the cluster; a report of another cluster, or a file of another kind, is refused."""
    file, today = tmp_path / "summary.csv", begun.strftime("%Y-%m-%d")
    line = f"{today},{NAMESPACE},vision,{G5},0.00,0.00,0.00,10.00,4.00,6.00,0.00,0.00,0.00"
    file.write_text("\n".join([*REPORT.splitlines()[:10], line]))
    month = ("--month", f"{begun:%Y-%m}")
    answer = call_as_auditor("usage", *month, "--report", str(file), "--json")
    (row,) = (row for row in answer.data["rows"] if row["used"])
    assert (row["team"], row["unit"], row["used"], row["borrowed"]) == ("vision", "accelerators", 10, 6)
    file.write_text(REPORT.replace("Cluster Name: hyperpod", "Cluster Name: other"))
    assert call_as_auditor("usage", *month, "--report", str(file)).code == 64
    file.write_text("team,hours\n")
    assert call_as_auditor("usage", *month, "--report", str(file)).code == 64


@pytest.mark.parametrize("first", [0, 1], ids=["with its title", "without its title"])
def test_awss_report_with_a_byte_order_mark_is_read(
    first: int, begun: datetime, call_as_auditor: Call, tmp_path: Path
) -> None:
    """As a spreadsheet saves CSV in UTF-8: the mark is no part of the first line, whichever that is."""
    file = tmp_path / "summary.csv"
    line = f"{begun:%Y-%m-%d},{NAMESPACE},vision,{G5},0.00,0.00,0.00,10.00,4.00,6.00,0.00,0.00,0.00"
    file.write_text("\n".join([*REPORT.splitlines()[first:10], line]), encoding="utf-8-sig")
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    answer = call_as_auditor("usage", "--month", f"{begun:%Y-%m}", "--report", str(file), "--json")
    assert [(row["team"], row["used"]) for row in answer.data["rows"] if row["used"]] == [("vision", 10)]

"""Commands that read, in a registry full of records that nobody has checked: anybody with PutItem may write them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from boto3.dynamodb.types import Binary, TypeSerializer
from botocore.client import BaseClient

from podshare_cli.application import main
from podshare_cli.history.objects import History
from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox
from podshare_sandbox.new_accounts import admin_credentials
from podshare_sandbox.organization import HUB
from tests.acting import act_in_the_hub
from tests.builders import a_team_item
from tests.cli.test_peoples_policies import AUDITOR, CALLS, HISTORIAN, PLANNER, SPARE_ENROLLMENT
from tests.scenarios.world import CLUSTER, DATASETS, VISION

Item = dict[str, Any]
BYTES = Binary(b"\x00\xff")
# a value of each type that DynamoDB has
WRONG: dict[str, Any] = {
    **{"null": None, "truth": True, "number": 7, "text": "x", "bytes": BYTES, "list": [7], "nulls": [None]},
    **{"map": {"x": 7}, "nothing": {}, "numbers": {1, 2}, "texts": {"x", "y"}, "binaries": {BYTES}},
}
LATE = "2036-11-01T00:00:00Z"
GRANT = {"dataset": "imagenet", "access": "read", "expires": LATE}
SIGNED = {"changed_by": "arn:aws:iam::1:user/ada", "change": {"at": LATE, "reason": "why", "commit": "c", "version": 1}}
QUOTA = {
    "resources": [
        {"instance_type": "ml.p5.48xlarge", "count": 2},
        {"instance_type": "ml.g5.12xlarge", "accelerator_partition": {"type": "mig-1g.5gb", "count": 1}},
    ]
}
FIELDS: Item = {
    **{"schema": 1, "owner": "ada@example.com", "reason": "Trains", "expires": LATE, "access": ["training"]},
    "members": [{"account": VISION, "expires": LATE}, {"account_tag": {"key": "k", "value": "v"}}],
    "service_accounts": [{"name": "trainer", "datasets": [GRANT]}],
    "file_systems": [{"file_system": "fs-1", "path": "/data", **GRANT}],
}
# a record of each kind with what the command reads of it
WHOLE: dict[str, Item] = {
    "team": {**FIELDS, **SIGNED, "cluster": "main", "quota": QUOTA},
    "enrollment": {
        **{"account_tag": {"key": "k", "value": "v"}, "exclude_accounts": [VISION], **SIGNED},
        "team": {**FIELDS, "member": {"expires": LATE}, "cluster": [{"cluster": "main", "quota": QUOTA}]},
    },
    "cluster": {**CLUSTER, **SIGNED},
    "dataset": {**DATASETS[0], **SIGNED, "kms_key": "k", "data_role": "target"},
}
DEEPEST = 6  # where the parts of a team in an enrollment end


def spoiled(value: Any, depth: int, wrong: Any) -> Any:
    """A record with ``wrong`` in the place of all that is so deep in it."""
    if depth == 0:
        return wrong
    match value:
        case dict():
            return {name: spoiled(part, depth - 1, wrong) for name, part in value.items()}
        case list():
            return [spoiled(part, depth - 1, wrong) for part in value]
        case _:
            return value


def ugly() -> Iterator[Item]:
    """Records with each wrong value at each depth, and some with nothing but an id."""
    for kind, record in WHOLE.items():
        fields = {name: value for name, value in record.items() if name != "id"}
        yield {"id": f"{kind}#bare"}
        for depth in range(1, DEEPEST + 1):
            for name, wrong in WRONG.items():
                if (item := spoiled(fields, depth, wrong)) != fields:
                    yield {"id": f"{kind}#{name}-{depth}", **item}
    listed = {**FIELDS, "cluster": [{"cluster": "main", "quota": QUOTA}]}
    for depth in range(2, 5):
        for name, wrong in WRONG.items():
            yield {
                "id": f"team#listed-{name}-{depth}",
                **listed,
                "cluster": spoiled(listed["cluster"], depth - 1, wrong),
            }
    for record in ("pause#all", f"block#{VISION}", "approval#vision"):
        yield {"id": record, "reason": BYTES, "owner": [7], "changed_by": {"x": 7}, "change": BYTES, "plan": None}


UGLY = {str(item["id"]): item for item in ugly()}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A team is READY; then ugly records are written, of which podshare hears nothing: its stream is cut off."""
    with Sandbox(time_scale=0.02) as running, pytest.MonkeyPatch.context() as patch:
        deploy_podshare(running)
        keys = admin_credentials(HUB)
        act_in_the_hub(patch, keys.access_key, keys.secret_key)
        functions, table = running.client("lambda"), running.client("dynamodb")
        serialize = TypeSerializer().serialize

        def put(item: Item) -> None:
            table.put_item(TableName="podshare-registry", Item={name: serialize(value) for name, value in item.items()})

        good = (CLUSTER, *DATASETS, a_team_item("vision", members=[{"account": VISION}]), SPARE_ENROLLMENT)
        for item in good:
            put(item)
        running.settle()
        assert main(["sweep", "--json"]) == 0
        mappings = functions.list_event_source_mappings(FunctionName="podshare-registry-changed")
        for mapping in mappings["EventSourceMappings"]:
            functions.delete_event_source_mapping(UUID=mapping["UUID"])
        for item in UGLY.values():
            put(item)
        yield running


def reading() -> Iterator[str]:
    """Every command that reads the registry, as the tests of policies call it."""
    for path, calls in CALLS.items():
        for words, least in calls:
            if least in (AUDITOR, HISTORIAN, PLANNER) and "{" not in words:
                yield f"{path} {words}".strip()
    yield from ("usage --used", "report --out {folder}/page.html", "export {folder}/exported")


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("words", [*reading()])
def test_no_record_ends_a_command_that_reads(words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever others have written, a command answers about everything else, for people and as JSON."""
    says_what_is_wrong = ("doctor", "plan", "usage --used", "export")
    for form in ([], ["--json"]):
        code = main([*words.format(folder=tmp_path).split(), *form])
        assert code == 0 or words.startswith(says_what_is_wrong), capsys.readouterr().err


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("kind", ["cluster", "dataset", "enrollment"])
def test_a_list_reads_each_table_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many records it lists, and teams use them, it asks no more often than for one."""
    scanned: list[str] = []
    stock = BaseClient._make_api_call

    def call(client: BaseClient, operation: str, request: dict[str, Any]) -> Any:
        scanned.extend([request["TableName"]] if operation == "Scan" else [])
        return stock(client, operation, request)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    assert main([kind, "list", "--json"]) == 0
    assert scanned.count("podshare-registry") <= 2  # for the records, and for those that name them
    assert scanned.count("podshare-state") <= 1


@pytest.mark.usefixtures("sandbox")
def test_a_cluster_that_cannot_be_read_hides_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the function that reads a cluster fails, the other clusters are shown, and that one with the reason."""
    names = ["main", "no such cluster", "main"]
    assert main(["capacity", "--json", *(word for name in names for word in ("--cluster", name))]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert [report["cluster"] for report in shown] == names
    assert ["problem" in report for report in shown] == [False, True, False]


def test_without_a_history_the_present_answers(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade, before the first sweep, the state table alone says who has access."""
    sandbox.client("s3").create_bucket(
        Bucket="empty-history", CreateBucketConfiguration={"LocationConstraint": sandbox.client("s3").meta.region_name}
    )
    monkeypatch.setattr(History, "bucket", "empty-history")
    for words in ("access changes", "access at now of vision", f"access at now of {VISION}"):
        for form in ([], ["--json"]):
            assert main([*words.split(), *form]) == 0, words
            assert "vision" in capsys.readouterr().out


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("kind", WHOLE)
def test_each_record_can_be_shown(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever looks for what is wrong sees the record as it is, and the team's status."""
    for record in UGLY:
        its, _, name = record.partition("#")
        calls = [(kind, "get")] + [("team", "status")] * (kind == "team")
        for call in calls if its == kind else ():
            assert main([*call, name]) == 0, (record, capsys.readouterr().err)

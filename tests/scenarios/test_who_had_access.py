"""An auditor's questions about the past, asked with the auditor's policy and no more."""

import datetime
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from podshare.access.history import body_of, run_key
from podshare_sandbox import delivery
from tests.acting import Ended
from tests.scenarios.test_history import ADA, BEN, bucket_denied, objects, runs, team
from tests.scenarios.world import DATASETS, HISTORY, HUB, IMAGES, LANGUAGE, REGION, TEXT, VISION, Item, World

ENDS = "2031-01-01T00:00:00Z"
A_MINUTE = datetime.timedelta(minutes=1)
PAGE = Path(__file__).parents[2] / "docs" / "who-had-access.md"
DRIFT = Path(__file__).parents[2] / "events" / "drift-iam.json"

Call = Callable[..., Ended]


@pytest.fixture(scope="module")
def deployment() -> dict[str, str]:
    """With the tables for queries."""
    return {"DrainSeconds": "0", "HistoryQueries": "on"}


@pytest.fixture(scope="module")
def story(world: World) -> dict[str, str]:
    """ADA lets vision in, BEN lets language in until a date, ADA takes it out again; when each was proven."""
    moments = {}
    lines = [{"account": VISION}, {"account": LANGUAGE, "expires": ENDS}]
    steps = (
        ("before", team(VISION, by=ADA, version=1, reason="vision begins")),
        ("between", {**team(by=BEN, version=2, reason="language helps"), "members": lines}),
        ("after", team(VISION, by=ADA, version=3, reason="language is done")),
    )
    for name, record in steps:
        world.put(record)
        assert world.status("vision")["state"] == "READY"
        moments[name] = str(runs(world)[-1]["proven_at"])
        world.advance(A_MINUTE)  # proofs have whole seconds
    return moments


def people(answer: Item) -> set[str]:
    """The accounts whose people could use the cluster."""
    return {one["who"].split(":")[4] for one in answer["access"] if ":eks:" in one["where"] and not one["door"]} - {""}


def test_who_could_before_between_and_after(call_as_auditor: Call, story: dict[str, str]) -> None:
    """Each moment is answered by the proof before it; the account that was let in and out had access in between."""
    expected = {"before": {VISION}, "between": {VISION, LANGUAGE}, "after": {VISION}}
    for name, accounts in expected.items():
        answer = call_as_auditor("access", "at", story[name], "of", "vision", "--json").data
        assert people(answer) == accounts, name
        assert answer["answered_by"]["vision"]["proven_at"] == story[name]
    of_language = {
        name: call_as_auditor("access", "at", story[name], "of", LANGUAGE, "--json").data["access"] for name in expected
    }
    assert [bool(of_language[name]) for name in expected] == [False, True, False]


def test_by_which_grant_by_whom_why_and_until_when(call_as_auditor: Call, story: dict[str, str]) -> None:
    """The line of the record, whoever wrote it, the reason and the end: exact for each, whoever wrote the record last."""
    answer = call_as_auditor("access", "at", story["between"], "of", LANGUAGE, "--json").data
    grants = {grant["line"]: grant for one in answer["access"] for grant in one["grants"]}
    joined = grants[f"member {LANGUAGE}"]
    assert (joined["by"], joined["reason"], joined["version"]) == (BEN, "language helps", 2)
    assert (joined["record"], joined["until"], joined["exact"]) == ("team#vision", ENDS, True)
    answer = call_as_auditor("access", "at", story["after"], "of", "team#vision", "--json").data
    grants = {grant["line"]: grant for one in answer["access"] for grant in one["grants"]}
    assert (grants[f"member {VISION}"]["reason"], grants[f"member {VISION}"]["version"]) == ("vision begins", 1)
    shown = call_as_auditor("access", "at", story["between"], "of", LANGUAGE).out
    assert f"team#vision member {LANGUAGE} by {BEN}" in shown
    assert f"language helps, until {ENDS}" in shown


def test_people_reach_data_by_pods_then_too(call_as_auditor: Call, story: dict[str, str]) -> None:
    """Who could read a dataset includes those who could make pods, with the grants of both."""
    answer = call_as_auditor("access", "at", story["between"], "of", "dataset#imagenet", "--json").data
    assert LANGUAGE not in people(answer)
    lines = {grant["line"] for one in answer["access"] if ":s3:::" in one["where"] for grant in one["grants"]}
    assert any(line.startswith("dataset imagenet of service account") for line in lines)
    of_account = call_as_auditor("access", "at", story["between"], "of", LANGUAGE, "--json").data["access"]
    by_pods = [one for one in of_account if ":s3:::" in one["where"]]
    assert by_pods
    assert {f"member {LANGUAGE}"} < {grant["line"] for one in by_pods for grant in one["grants"]}


def test_who_gained_and_who_lost(call_as_auditor: Call, story: dict[str, str]) -> None:
    """The changes from proof to proof have the run, and what started it."""
    found = call_as_auditor("access", "changes", "--since", story["before"], "--of", LANGUAGE, "--json").data
    in_cluster = [one for one in found if ":eks:" in one["where"]]
    assert [one["change"] for one in in_cluster] == ["gained"] * (len(in_cluster) // 2) + ["lost"] * (
        len(in_cluster) // 2
    )
    assert {one["at"] for one in in_cluster} == {story["between"], story["after"]}
    assert in_cluster[-1]["cause"]["reason"] == "language is done"
    shown = call_as_auditor("access", "changes", "--since", "1d").out
    assert "lost" in shown
    assert [one["run"] for one in found if one["run"] not in shown] == []


def test_what_a_run_did(call_as_auditor: Call, world: World, story: dict[str, str]) -> None:
    """Cause, records, plan, changes from and to, outcome and evidence; by its name or its ARN."""
    run = next(one for one in runs(world) if one["proven_at"] == story["between"])
    (shown,) = call_as_auditor("history", "show", run["run"], "--json").data
    assert (shown["cause"]["caller"], shown["cause"]["reason"]) == (BEN, "language helps")
    assert shown["plan"]["planned"] == len(shown["changes"]) > 0
    took = [change["seconds"] for change in shown["changes"]]
    assert 0 <= min(took) <= max(took) < 600
    head = world.sandbox.client("s3").head_object(Bucket=HISTORY, Key=shown["object"]["key"])
    assert shown["object"]["version"] == head["VersionId"]
    text = call_as_auditor("history", "show", run["execution"]).out
    for part in (shown["object"]["sha256"], run["execution"], "language helps", f"{took[0]} s"):
        assert part in text
    (first,) = (one for one in runs(world) if one["proven_at"] == story["before"])
    text = call_as_auditor("history", "show", first["run"]).out
    assert f"create delegation in bucket {IMAGES} to " in text
    assert {change["key"].split("|")[3] for change in first["changes"] if change["kind"] == "bucket_delegation"} == {
        IMAGES
    }
    leaving = next(one for one in runs(world) if one["proven_at"] == story["after"])
    differs = [each for change in leaving["changes"] for each in change["differs"]]
    assert any(each["before"] != each["after"] for each in differs)
    assert "→" in call_as_auditor("history", "show", leaving["run"]).out
    assert call_as_auditor("history", "show", "vision-" + 32 * "0").code == 1


def add_pass(world: World, like: Item, day: str, **fields: Any) -> None:
    """A pass of a run on a day, in the bucket."""
    document = {**like, "recorded_at": f"{day}T23:59:00+00:00", "access": None, "proven_at": None, **fields}
    world.sandbox.client("s3").put_object(Bucket=HISTORY, Key=run_key(document), Body=body_of(document).encode())


def test_a_run_of_several_days_is_shown_whole(call_as_auditor: Call, world: World, story: dict[str, str]) -> None:
    """All passes of a run are shown in their order, whether Step Functions knows it or has forgotten it."""
    run = next(one for one in runs(world) if one["proven_at"] == story["before"])
    began = datetime.datetime.fromisoformat(story["before"]) - datetime.timedelta(days=3)
    add_pass(world, run, began.date().isoformat(), fence=run["fence"] - 1, state="WAITING")
    forgotten = f"vision-{32 * 'a'}"
    for number, day in enumerate(("2026-01-02", "2026-01-05", "2026-01-10")):
        add_pass(world, run, day, run=forgotten, fence=number, state=f"PASS {number}")
    shown = call_as_auditor("history", "show", run["run"], "--json").data
    assert [one["state"] for one in shown] == ["WAITING", "READY"]
    shown = call_as_auditor("history", "show", forgotten, "--json").data
    assert [one["state"] for one in shown] == ["PASS 0", "PASS 1", "PASS 2"]


def test_the_present_answers_where_it_is_newer(call_as_auditor: Call, world: World, story: dict[str, str]) -> None:
    """What no object has yet is read from the state table: the last proof, confirmed by runs without news."""
    world.advance(A_MINUTE)
    world.reconcile("vision")
    answer = call_as_auditor("access", "at", "now", "of", "vision", "--json").data
    proof = answer["answered_by"]["vision"]
    assert proof["proven_at"] == story["after"] < proof["confirmed_at"]
    assert answer["uncertain"] == {}


def test_evidence_is_exported_and_verified(call_as_auditor: Call, story: dict[str, str], tmp_path: Path) -> None:
    """A pack is whole as it was exported; what is changed, added or missing is named, and the manifest is checked."""
    path, other = tmp_path / "evidence.zip", tmp_path / "other.zip"
    exported = call_as_auditor("audit", "export", "--since", story["between"], "--out", str(path), "--json").data
    assert path.stat().st_mode & 0o077 == 0
    digest = exported["manifest"]
    assert call_as_auditor("audit", "verify", str(path), "--manifest", digest).code == 0

    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    answers = json.loads(files["answers/access-changes.json"])
    assert {one["change"] for one in answers} == {"gained", "lost"}
    proofs = [name for name in files if name.startswith("objects/runs/")]
    versions = [name for name in files if name.startswith("objects/records/v1/kind=team/name=vision/")]
    assert len(proofs) >= 2
    assert len(versions) >= 3

    def tampered(changed: dict[str, bytes]) -> Ended:
        with zipfile.ZipFile(other, "w") as archive:
            for name, body in changed.items():
                archive.writestr(name, body)
        return call_as_auditor("audit", "verify", str(other), "--manifest", digest, "--json")

    without = {name: body for name, body in files.items() if name != proofs[0]}
    ended = tampered({**files, proofs[0]: files[proofs[0]].replace(VISION.encode(), b"999999999999")})
    assert (ended.code, ended.data["problems"]) == (1, [f"{proofs[0]}: changed"])
    ended = tampered(without)
    assert (ended.code, ended.data["problems"]) == (1, [f"{proofs[0]}: missing"])
    ended = tampered({**files, "objects/more.json": b"{}"})
    assert (ended.code, ended.data["problems"]) == (1, ["objects/more.json: added, the manifest does not name it"])
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = [entry for entry in manifest["files"] if entry["path"] != proofs[0]]
    ended = tampered({**without, "manifest.json": json.dumps(manifest).encode()})
    assert ended.code == 1
    assert ended.data["problems"][0].startswith("manifest.json: it was changed")
    lines = call_as_auditor("audit", "verify", str(path), "--manifest", "0" * 64).out.splitlines()
    assert lines == [f"manifest.json: it was changed, its digest is {digest}"]
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("manifest.json", files["manifest.json"])
    assert set(call_as_auditor("audit", "verify", str(other)).out.splitlines()) == {
        f"{name}: missing" for name in files if name != "manifest.json"
    }


@pytest.mark.usefixtures("story")
def test_a_question_that_has_no_answer_is_refused(call_as_auditor: Call, tmp_path: Path) -> None:
    """The future, a time that is none, a name that nobody has, and a file that is no pack are named."""
    assert call_as_auditor("access", "at", "2999-01-01", "of", "vision").code == 64
    assert call_as_auditor("access", "at", "yesterday", "of", "vision").code == 64
    assert call_as_auditor("access", "at", "now", "for", "vision").code == 64
    for nobody in ("nobody", "team#nobody", "dataset#nobody", "account#nobody", "cluster#main", "22222222222"):
        assert call_as_auditor("access", "at", "now", "of", nobody).code == 64, nobody
        assert call_as_auditor("access", "changes", "--of", nobody).code == 64, nobody
    assert call_as_auditor("access", "at", "2020-01-01", "of", "vision", "--json").data["access"] == []
    assert call_as_auditor("access", "changes", "--since", "now", "--until", "1d").code == 64
    out = str(tmp_path / "none.zip")
    assert call_as_auditor("access", "changes", "--since", "1d", "--until", "2999-01-01").code == 64
    assert call_as_auditor("audit", "export", "--since", "1d", "--until", "2999-01-01", "--out", out).code == 64
    (tmp_path / "none.zip").write_bytes(b"none")
    assert call_as_auditor("audit", "verify", str(tmp_path / "none.zip")).code == 1


@pytest.mark.usefixtures("story")
def test_what_the_bucket_has_not_taken_answers_too(call_as_auditor: Call, world: World) -> None:
    """While the bucket fails, the rows that wait for the sweep are part of the history."""
    with bucket_denied(world):
        world.put(team(VISION, LANGUAGE, by=BEN, version=4, reason="language again"))
        answer = call_as_auditor("access", "at", "now", "of", LANGUAGE, "--json").data
    grants = {grant["line"]: grant for one in answer["access"] for grant in one["grants"]}
    assert (grants[f"member {LANGUAGE}"]["reason"], grants[f"member {LANGUAGE}"]["exact"]) == ("language again", True)
    world.sweep()


def test_what_cloudtrail_reports_in_between_is_uncertain(
    call_as_auditor: Call, world: World, story: dict[str, str]
) -> None:
    """A call after a proof is named until the next proof: access may have been different since."""
    world.advance(A_MINUTE)
    called = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    event = json.loads(DRIFT.read_text())
    event["time"] = called.isoformat()
    world.advance(A_MINUTE)
    delivery.put_event(HUB, REGION, event, bus="podshare-drift")
    world.sandbox.settle()
    assert runs(world)[-1]["cause"]["event"] == "drift"
    at = called.isoformat()
    (text,) = call_as_auditor("access", "at", at, "of", "vision", "--json").data["uncertain"]["vision"]
    assert event["detail"]["eventName"] in text
    assert "? uncertain vision" in call_as_auditor("access", "at", at, "of", "vision").out
    assert call_as_auditor("access", "at", story["after"], "of", "vision", "--json").data["uncertain"] == {}


def test_a_dataset_that_moved_is_where_a_run_had_it(call_as_auditor: Call, world: World, story: dict[str, str]) -> None:
    """Until a run has revoked the old place it is the dataset's too; what was lost there is among its changes."""
    world.advance(A_MINUTE)
    moved = {**next(one for one in DATASETS if one["id"] == "dataset#imagenet"), "bucket": TEXT}
    old, new = f"arn:aws:s3:::{IMAGES}", f"arn:aws:s3:::{TEXT}"
    assert story
    world.put({"id": "pause#all", "reason": "a look at it first", "owner": "priya@example.com"})
    world.put(moved)
    world.advance(A_MINUTE)
    answer = call_as_auditor("access", "at", "now", "of", "dataset#imagenet", "--json").data
    world.delete("pause#all")
    assert {one["where"] for one in answer["access"]} == {old}
    world.sandbox.settle()
    changes = call_as_auditor("access", "changes", "--since", "1h", "--of", "dataset#imagenet", "--json").data
    last = [(one["change"], one["where"]) for one in changes if one["at"] == changes[-1]["at"]]
    assert {*last} == {("gained", new), ("lost", old)}
    answer = call_as_auditor("access", "at", "now", "of", "dataset#imagenet", "--json").data
    assert {one["where"] for one in answer["access"]} == {new}


STRANGER = "999999999999"


def test_what_names_nobody_is_uncertain_for_everybody(
    call_as_auditor: Call, world: World, story: dict[str, str]
) -> None:
    """A call, a run under way and one without a proof may have let in any account, into any team's data."""
    (first,) = (one for one in runs(world) if one["proven_at"] == story["before"])
    ghost = {**first, "team": "ghost", "access": [], "changes": [], "cause": {**first["cause"], "event": "sweep"}}

    def add(second: int, **fields: Any) -> None:
        moment, name = f"2025-06-01T12:00:{second:02}+00:00", f"ghost-{second:032}"
        document = {**ghost, "run": name, "fence": second, "recorded_at": moment, "proven_at": moment, **fields}
        world.sandbox.client("s3").put_object(Bucket=HISTORY, Key=run_key(document), Body=body_of(document).encode())

    drift = {"event": "drift", "change": "CreateAccessEntry", "id": "1", "happened_at": "2025-06-01T12:00:10+00:00"}
    row = {**first["access"][0], "who": f"arn:aws:iam::{STRANGER}:role/eve", "account": STRANGER, "granted": False}
    add(0)
    add(20, access=None, proven_at=None, state="DEGRADED")
    add(
        50, cause={**first["cause"], **drift}, access=[row], changes=first["changes"], started_at="2025-06-01T12:00:25Z"
    )
    shown = {}
    for subject in (STRANGER, LANGUAGE, "dataset#imagenet"):
        answer = call_as_auditor("access", "at", "2025-06-01T12:00:30Z", "of", subject, "--json").data
        assert answer["access"] == []
        shown[subject] = answer["uncertain"]["ghost"]
        for text in ("CreateAccessEntry", "without a proof", "was changing access"):
            assert any(text in each for each in shown[subject]), (subject, text)
    assert any("role/eve" in each for each in shown[STRANGER])
    assert not any("role/eve" in each for each in (*shown[LANGUAGE], *shown["dataset#imagenet"]))


def test_before_the_history_nothing_is_known(call_as_auditor: Call, story: dict[str, str]) -> None:
    """Where no proof is as old, the answer says so, and not that nobody had access."""
    assert story
    shown = call_as_auditor("access", "at", "2020-01-01", "of", LANGUAGE).out
    assert "there is no proof of any team from before that" in " ".join(shown.split())
    assert "Nobody had access" not in shown


# ---- queries ---------------------------------------------------------------------------------------------------


def columns(world: World, table: str) -> dict[str, str]:
    """The columns of a Glue table, with their types."""
    found = world.sandbox.client("glue").get_table(DatabaseName="podshare_history", Name=table)["Table"]
    return {column["Name"]: column["Type"] for column in found["StorageDescriptor"]["Columns"]}


def test_the_tables_have_the_fields_that_are_written(world: World, story: dict[str, str]) -> None:
    """Every field of an object is a column in its place, down to the last struct, and no column is without one."""
    assert story
    (run,) = (one for one in runs(world) if one["proven_at"] == story["after"])
    version = next(one for key, one in objects(world, "records/v1/kind=team/").items() if "name=vision" in key)
    for table, document in (("runs", run), ("records", version)):
        types = columns(world, table)
        assert sorted(types) == sorted(document), table
        for name, value in document.items():
            assert fields_of(types[name]) in (fields_in(value), []) or value in (None, []), (table, name)
    assert fields_of(columns(world, "runs")["access"]) == fields_in(run["access"])
    assert fields_of(columns(world, "runs")["changes"]) == fields_in(run["changes"])


def parts_of(struct: str) -> list[tuple[str, str]]:
    """The fields of a struct's type and their types, in their order."""
    parts, depth, last = [], 0, len("struct<")
    for place, letter in enumerate(struct[:-1]):
        depth += (letter == "<") - (letter == ">")
        if letter == "," and depth == 1:
            parts, last = [*parts, struct[last:place]], place + 1
    fields = (part.partition(":") for part in [*parts, struct[last:-1]])
    return [(name, kind) for name, _, kind in fields]


def fields_of(hive: str) -> list[str]:
    """The fields of a struct's type, or of the structs in a list."""
    inner = hive[6:-1] if hive.startswith("array<") else hive
    return [name for name, _ in parts_of(inner)] if inner.startswith("struct<") else []


def fields_in(value: Any) -> list[str]:
    """The fields of an object, or of the objects in a list, in their order."""
    one = value[0] if isinstance(value, list) and value else value
    return list(one) if isinstance(one, dict) else []


def duck_type(hive: str) -> str:
    """A type of Hive's as DuckDB writes it."""
    if hive.startswith("array<"):
        return f"{duck_type(hive[6:-1])}[]"
    if hive.startswith("struct<"):
        fields = [f'"{name}" {duck_type(kind)}' for name, kind in parts_of(hive)]
        return f"STRUCT({', '.join(fields)})"
    return {"string": "VARCHAR", "int": "INTEGER", "double": "DOUBLE", "boolean": "BOOLEAN"}[hive]


@pytest.fixture(scope="module")
def tables(world: World, story: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """DuckDB with the history as it is in the bucket, read by the columns of the Glue tables."""
    assert story
    folder, connection = tmp_path_factory.mktemp("history"), duckdb.connect()
    for key, document in objects(world).items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_text(json.dumps(document))
    for table in ("runs", "records"):
        kinds = ", ".join(f"'{name}': '{duck_type(kind)}'" for name, kind in columns(world, table).items())
        source = f"read_json('{folder}/{table}/v1/**/*.json', columns = {{{kinds}}}, filename = true)"
        day = "regexp_extract(filename, 'date=([^/]+)', 1) AS date"
        connection.execute(f"CREATE VIEW {table} AS SELECT *, {day} FROM {source}")  # noqa: S608  # our own names
    return connection


def queries(instead: dict[str, str]) -> list[str]:
    """The page's queries as DuckDB writes them, about other accounts and times."""
    texts = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    unnest = re.compile(r"UNNEST\((\S+)\) AS (\w) \(([^)]*)\)")
    structs = r"LATERAL (SELECT unnest(x) FROM (SELECT unnest(\1) AS x)) AS \2 (\3)"
    for old, new in instead.items():
        texts = [text.replace(old, new) for text in texts]
    return [unnest.sub(structs, text) for text in texts]


def test_the_queries_of_the_page_answer_alike(call_as_auditor: Call, tables: Any, story: dict[str, str]) -> None:
    """Who could, by which line, who wrote it and what was revoked: as the command answers."""
    moment, day = story["between"], story["after"][:10]
    times = {"2026-11-01T12:00:00+00:00": moment, "2026-11-01": day, "2026-10-31": day}
    begins = {"2026-10-25": "2026-01-01", "2026-10-01": "2026-01-01"}
    who_could, who_wrote, revoked = queries({**times, **begins, "222222222222": LANGUAGE})

    rows = tables.execute(who_could).fetchall()
    answer = call_as_auditor("access", "at", moment, "of", LANGUAGE, "--json").data["access"]
    direct = [one for one in answer if ":s3:::" not in one["where"]]
    assert {(row[1], row[3], row[7]) for row in rows} == {
        (one["who"], one["where"], grant["line"]) for one in direct for grant in one["grants"]
    }
    ((record, version, writer, reason, _),) = tables.execute(who_wrote).fetchall()
    assert (record, version, writer, reason) == ("team#vision", 2, BEN, "language helps")
    rows = tables.execute(revoked).fetchall()
    assert {row[7] for row in rows} == {"language is done"}
    assert {row[5] for row in rows} == {"done"}

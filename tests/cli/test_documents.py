"""Records in YAML files: what is refused, how it is told, and in which order they are written."""

import io
import json
import os
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from podshare_cli.application import main
from podshare_cli.failures import Failure
from podshare_cli.records.documents import WRITING_ORDER, read_records, to_yaml

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "registry"
CLUSTER = """
    id: cluster#main
    schema: 1
    account: "111111111111"
    region: us-west-2
    eks_cluster: hyperpod-eks
    hyperpod_cluster: hyperpod
"""


def _written(tmp_path: Path, text: str, name: str = "records.yaml") -> str:
    path = tmp_path / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return str(path)


def _refused(*files: str, kinds: tuple[str, ...] = WRITING_ORDER) -> Failure:
    with pytest.raises(Failure) as caught:
        read_records(files, kinds)
    assert caught.value.exit_code == 64
    return caught.value


def test_the_examples_are_read_in_the_order_in_which_they_refer_to_each_other() -> None:
    """Clusters come before datasets and datasets before teams, whatever the order of the files."""
    files = sorted((str(path) for path in EXAMPLES.glob("*.yaml")), reverse=True)
    kinds = [str(item["id"]).partition("#")[0] for item in read_records(files, WRITING_ORDER).items]
    assert kinds == sorted(kinds)
    assert kinds.count("team") == 2


def test_every_problem_of_every_record_is_told_at_once(tmp_path: Path) -> None:
    """Each problem has record, field, value, rule and remedy, and one bad record does not hide the next."""
    file = _written(
        tmp_path,
        """
        id: dataset#imagenet
        account: 12345
        region: us-west-2
        bucket: curated
        ---
        id: dataset#drafts
        account: "333333333333"
        region: us-west-2
        bucket: drafts
        prefx: drafts/
        """,
    )
    problems = _refused(file).problems
    assert {(problem["record"], problem["field"]) for problem in problems} == {
        ("dataset#imagenet", "account"),
        ("dataset#drafts", "prefx"),
    }
    assert all(problem[part] for problem in problems for part in ("value", "rule", "remedy"))


def test_a_field_that_is_written_twice_is_an_error(tmp_path: Path) -> None:
    """YAML readers keep the last of two in silence, which may be the one that was forgotten."""
    file = _written(tmp_path, f"{textwrap.dedent(CLUSTER)}region: us-east-1\n")
    (problem,) = _refused(file).problems
    assert (problem["field"], problem["line"], problem["rule"]) == ("region", 8, "is written twice, first in line 5")


def test_a_record_that_is_written_twice_is_an_error(tmp_path: Path) -> None:
    """Two files that both hold a record leave open which one counts."""
    one, two = _written(tmp_path, CLUSTER, "one.yaml"), _written(tmp_path, CLUSTER, "two.yaml")
    (problem,) = _refused(one, two).problems
    assert problem["file"] == two
    assert problem["rule"] == f"cluster#main is also in {one}, line 2"


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    """By itself, with its directory, or on the way through another one."""
    file = _written(tmp_path, CLUSTER)
    read = read_records([file, str(tmp_path), f"{tmp_path}/../{tmp_path.name}/records.yaml"], WRITING_ORDER)
    assert [item["id"] for item in read.items] == ["cluster#main"]


def test_a_record_of_another_kind_is_refused(tmp_path: Path) -> None:
    """`podshare dataset put` writes no clusters."""
    (problem,) = _refused(_written(tmp_path, CLUSTER), kinds=("dataset",)).problems
    assert problem["record"] == "cluster#main"
    assert "dataset#NAME" in problem["remedy"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a list", "is a list, not fields with values"),
        ("hello", 'is the text "hello", not fields with values'),
        ("7", "is the value 7, not fields with values"),
        ("account: '111111111111'", "is missing: each record needs an id"),
        ("id:\nschema: 1", "is empty, not the id of a record"),
        ("id: vision\nmembers: []", "has no kind: an id is KIND#NAME"),
        ("id: teem#vision", '"teem" is no kind of record'),
        ("id: [team, vision]", "is a list, not the id of a record"),
        ("id: pause#all\nreason: x\nowner: y", "cannot be written by this command"),
    ],
)
def test_what_is_no_record_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    """What has no usable id is told by its file and line like everything else."""
    file = _written(tmp_path, text)
    (problem,) = _refused(file).problems
    assert problem["rule"] == told
    assert (problem["file"], problem["line"]) == (file, 1)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("schema: 1\nmembers: []", "1:1 id: is missing: each record needs an id. Write KIND#NAME, such as team#vision."),
        ("bucket: b\nregion: r\nid: photos", "3:5 id = photos: has no kind: an id is KIND#NAME. Did you mean dataset#photos?"),
        ("schema: 1\nid: [team]", "2:5 id: is a list, not the id of a record. Write KIND#NAME, such as team#vision."),
        ("- x", "1:1 record: is a list, not fields with values. Write fields, such as `id: team#vision` first."),
    ],
)  # fmt: skip
def test_a_record_without_a_usable_id_is_told_what_ids_look_like(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, printed: str
) -> None:
    """With file, line and column, and an id as the record's other fields suggest it."""
    file = _written(tmp_path, text)
    assert main(["validate", file]) == 64
    assert capsys.readouterr().out.splitlines()[0] == f"{file}:{printed}"


def test_a_broken_file_hides_no_problem_of_another(tmp_path: Path) -> None:
    """What is wrong with a file as a whole is one problem among those of all files."""
    broken, bad = _written(tmp_path, "a: [", "broken.yaml"), _written(tmp_path, f"{CLUSTER}    zone: a", "bad.yaml")
    assert [(problem["file"], problem["field"]) for problem in _refused(broken, bad).problems] == [
        (broken, "YAML"),
        (bad, "zone"),
    ]


@pytest.mark.parametrize("text", ["", "---\n---\n", "# nothing\n", "null"])
def test_a_file_without_records_is_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    """It is said, and the records of other files are read."""
    empty, other = _written(tmp_path, text, "empty.yaml"), _written(tmp_path, CLUSTER)
    assert len(read_records([empty, other], WRITING_ORDER).items) == 1
    assert "empty.yaml contains no records: nothing to do." in capsys.readouterr().err


def test_a_directory_is_read_with_all_below_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its YAML files count, hidden ones do not; a directory without any is nothing to do, which is said."""
    for place in ("first", "first/below", "first/.hidden", "empty"):
        (tmp_path / place).mkdir()
        if place != "empty":
            _written(tmp_path / place, CLUSTER.replace("main", Path(place).name.strip(".")))
    (tmp_path / "first" / "notes.txt").write_text("no record")
    ids = [item["id"] for item in read_records([str(tmp_path / "first")], WRITING_ORDER).items]
    assert sorted(ids) == ["cluster#below", "cluster#first"]
    assert read_records([str(tmp_path / "empty")], WRITING_ORDER).items == []
    assert "empty contains no records: nothing to do." in capsys.readouterr().err


@pytest.mark.parametrize("target", ["elsewhere", "absent.yaml"])
def test_what_would_be_passed_over_in_silence_is_refused(tmp_path: Path, target: str) -> None:
    """A link to a directory, or to nothing: its records would look as if they were gone, and --prune deletes such."""
    (tmp_path / "elsewhere").mkdir()
    _written(tmp_path / "elsewhere", CLUSTER)
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "link.yaml").symlink_to(tmp_path / target)
    assert "link.yaml is a link to" in _refused(str(tmp_path / "records")).what


def test_a_directory_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One below another too, whoever may read the rest."""
    (tmp_path / "closed").mkdir()

    def scandir(place: str) -> Any:
        if str(place).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(place))
        return stock(place)

    stock = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)  # root may read every directory
    assert "closed cannot be read: Permission denied" in _refused(str(tmp_path)).what


def test_an_empty_pipe_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most likely the command that should have written records has failed."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert "Standard input is empty" in _refused("-").what


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{','.join([f'*{chr(97 + level)}'] * 9)}]\n" for level in range(20)
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, "400,000 characters"),
        ("a: &a [*a]", "the alias *a stands within itself"),
        ("a: &a {b: {c: *a}}", "the alias *a stands within itself"),
        ("[" * 10_000, "nests deeper than 32 levels"),
        ("- " * 10_000, "nests deeper than 32 levels"),
        ("a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 2_000)), "nests deeper than 32 levels"),
        ("a: !!python/object:os.system x", "is not read"),
        ("a: b\x07", "the character U+0007 is not allowed in it"),
        ('a: "\\ud83d"', "has half a character"),
        ("a: *b", "alias"),
        ("? [a]\n: b", "a field's name is text"),
        ("a:\n\tb: c", "tabs cannot indent YAML, line 2"),
    ],
    ids=["bomb", "itself", "its part", "brackets", "dashes", "chain", "tag", "bell", "half", "nothing", "key", "tab"],
)  # fmt: skip
def test_what_no_record_can_be_is_an_error_before_anything_is_expanded(tmp_path: Path, text: str, told: str) -> None:
    """Endless aliases, deep nesting, objects and broken characters are one problem with a place, and no traceback."""
    (problem,) = _refused(_written(tmp_path, text)).problems
    assert told in problem["rule"]
    assert problem["line"] >= 1


def test_an_alias_is_read_where_it_has_an_end(tmp_path: Path) -> None:
    """What is written once may be used twice, and be merged with what stands beside it."""
    classes = "[&one {name: a, weight: 5}, {<<: *one, name: b}]"
    file = _written(tmp_path, f"{textwrap.dedent(CLUSTER)}scheduler: {{priority_classes: {classes}}}\n")
    (item,) = read_records([file], WRITING_ORDER).items
    assert item["scheduler"] == {"priority_classes": [{"name": "a", "weight": 5}, {"name": "b", "weight": 5}]}


@pytest.mark.parametrize(
    "number", ["010", "1:30", "0x10", "1_0", "0b11", "0o7", "+5", "1e1", ".5", ".inf", "9" * 6_000]
)
def test_only_plain_decimals_are_numbers(tmp_path: Path, number: str) -> None:
    """Other notations mean other numbers to other readers: they are refused as they stand in the file."""
    file = _written(
        tmp_path, f"{textwrap.dedent(CLUSTER)}scheduler:\n  priority_classes:\n    - name: a\n      weight: {number}\n"
    )
    (problem,) = _refused(file).problems
    assert problem["field"] == "scheduler.priority_classes.0.weight"
    assert number[:50] in problem["rule"]
    assert (problem["line"], problem["column"]) == (11, 15)


def test_json_is_yaml(tmp_path: Path) -> None:
    """Indented with tabs, and with a character escaped in two halves, it is what another program wrote."""
    cluster = yaml.safe_load(textwrap.dedent(CLUSTER))
    file = _written(
        tmp_path, json.dumps({**cluster, "scheduler": {"description": "\U0001f600 x"}}, indent="\t"), "c.json"
    )
    (item,) = read_records([file], WRITING_ORDER).items
    assert item["scheduler"]["description"] == "\U0001f600 x"


@pytest.mark.parametrize("account", ["044444444444", "084444444444", "444444444444"])
def test_account_ids_are_got_in_quotes(account: str) -> None:
    """Every YAML reader takes what `get --yaml` prints for text, with the zeros that it begins with."""
    assert f'account: "{account}"' in to_yaml({"id": "team#x", "members": [{"account": account}]})


@pytest.mark.parametrize("account", ["044444444444", "084444444444", "444444444444"])
@pytest.mark.parametrize("line", ["account: {}", "exclude_accounts: [{}]"])
def test_account_ids_belong_in_quotes(tmp_path: Path, account: str, line: str) -> None:
    """Without quotes an id is refused as it is written, whatever number a YAML reader would make of it."""
    enrollment = "id: enrollment#e\norganizational_unit: ou-pods-science1\nteam: {cluster: main, owner: o, reason: r, quota: {resources: [{instance_type: ml.g5.12xlarge, count: 1}]}}\n"
    dataset = "id: dataset#d\nregion: us-west-2\nbucket: abc\n"
    text = (dataset if line.startswith("account") else enrollment) + line.format(account)
    (problem,) = _refused(_written(tmp_path, text)).problems
    assert problem["line"] == 4
    assert f"account ids belong in quotes: YAML readers take {account}" in problem["rule"]
    assert f'Write "{account}"' in problem["remedy"]


def test_a_file_that_is_not_there_is_refused() -> None:
    """The file's name is in the message."""
    assert "no-such-file.yaml" in _refused("no-such-file.yaml").what


def test_records_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads what is piped in."""
    monkeypatch.setattr("sys.stdin", io.StringIO(textwrap.dedent(CLUSTER)))
    assert [item["id"] for item in read_records(["-"], WRITING_ORDER).items] == ["cluster#main"]


def test_yaml_that_was_got_can_be_put_again(tmp_path: Path) -> None:
    """What `get --yaml` prints is the same record, without who wrote it."""
    (cluster,) = read_records([_written(tmp_path, CLUSTER)], WRITING_ORDER).items
    text = to_yaml({**cluster, "changed_by": "arn:aws:iam::111111111111:user/admin"})
    assert yaml.safe_load(text) == cluster
    assert text.startswith("id: cluster#main\nschema: 1\n")


def test_bad_records_are_refused_before_aws_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`team put` of a bad file ends with 2 and shows rule and remedy, without credentials or a Region."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    file = _written(tmp_path, f"{textwrap.dedent(CLUSTER)}zone: a\n")
    assert main(["team", "put", file]) == 64
    told: Any = capsys.readouterr().err
    assert "nothing was written" in told
    assert "zone" in told
    assert "Remove the field" in told

"""Records in YAML files: what is refused, how it is told, and in which order they are written."""

import io
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from podshare_cli.application import main
from podshare_cli.documents import WRITING_ORDER, read_records, to_yaml
from podshare_cli.failures import Failure

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
    assert caught.value.exit_code == 2
    return caught.value


def test_the_examples_are_read_in_the_order_in_which_they_refer_to_each_other() -> None:
    """Clusters come before datasets and datasets before teams, whatever the order of the files."""
    files = sorted((str(path) for path in EXAMPLES.glob("*.yaml")), reverse=True)
    kinds = [str(item["id"]).partition("#")[0] for item in read_records(files, WRITING_ORDER)]
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
    assert "'region' twice" in _refused(file).what


def test_a_record_that_is_written_twice_is_an_error(tmp_path: Path) -> None:
    """Two files that both hold a record leave open which one counts."""
    one, two = _written(tmp_path, CLUSTER, "one.yaml"), _written(tmp_path, CLUSTER, "two.yaml")
    assert [problem["rule"] for problem in _refused(one, two).problems] == ["is written twice"]


def test_a_record_of_another_kind_is_refused(tmp_path: Path) -> None:
    """`podshare dataset put` writes no clusters."""
    (problem,) = _refused(_written(tmp_path, CLUSTER), kinds=("dataset",)).problems
    assert problem["record"] == "cluster#main"
    assert "dataset#<name>" in problem["remedy"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a list", "is no record"),
        ("account: '111111111111'", "is no record's id"),
        ("id: [team, vision]", "is no record's id"),
        ("id: pause#all\nreason: x\nowner: y", "cannot be written by this command"),
    ],
)
def test_what_is_no_record_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    """A document without a usable id is named by its file and number, a record by its id."""
    (problem,) = _refused(_written(tmp_path, text)).problems
    assert problem["rule"] == told
    assert "document 1" in problem["record"] or problem["record"] == "pause#all"


@pytest.mark.parametrize(("text", "told"), [("a: [", "is not YAML"), ("", "no records"), ("---\n---\n", "no records")])
def test_a_file_without_records_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """Broken and empty files are no success."""
    assert told in _refused(_written(tmp_path, text)).what


def test_a_file_that_is_not_there_is_refused() -> None:
    """The file's name is in the message."""
    assert "no-such-file.yaml" in _refused("no-such-file.yaml").what


def test_records_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads what is piped in."""
    monkeypatch.setattr("sys.stdin", io.StringIO(textwrap.dedent(CLUSTER)))
    assert [item["id"] for item in read_records(["-"], WRITING_ORDER)] == ["cluster#main"]


def test_yaml_that_was_got_can_be_put_again(tmp_path: Path) -> None:
    """What `get --yaml` prints is the same record, without who wrote it."""
    (cluster,) = read_records([_written(tmp_path, CLUSTER)], WRITING_ORDER)
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
    assert main(["team", "put", file]) == 2
    told: Any = capsys.readouterr().err
    assert "nothing was written" in told
    assert "zone" in told
    assert "Remove the field" in told

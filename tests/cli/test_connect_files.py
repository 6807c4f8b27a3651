"""What ``podshare connect`` writes into files of other tools, and that nothing else of them changes."""

import configparser
import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from podshare_cli.application import main
from podshare_cli.commands.connect import files, kubeconfig, profiles
from podshare_cli.commands.connect.kubeconfig import Context
from podshare_cli.failures import Failure

NAME = "podshare-vision@main"
MEMORY = profiles.Memory("vision", "222222222222", "us-west-2", "main", "priya@example.com", "2030-01-01T00:00:00Z")
SECTIONS = {
    "podshare-vision-scientist@main": {"role_arn": "arn:aws:iam::222222222222:role/s", "source_profile": "default"},
    NAME: {"role_arn": "arn:aws:iam::111111111111:role/c", "source_profile": "podshare-vision-scientist@main"},
}
CONTEXT = Context(NAME, "https://x", "Q0E=", "hyperpod-ns-vision", ("aws", "eks", "get-token", "--profile", NAME), {})
OTHER = Context("podshare-language@main", "https://y", "Q0E=", "hyperpod-ns-language", ("aws",), {})

CONFIGS = {
    "no file": None,
    "an empty file": "",
    "a file": "[default]\nregion = us-east-1 # mine\n\n; a comment\n[profile work]\nsso_session = x\n",
    "a file without an end": "[default]\nregion = us-east-1",
}
BLOCK = """\
# my clusters
apiVersion: v1
kind: Config
clusters:
- cluster:
    server: https://one   # the first
  name: one
  # behind it
contexts:
  - context: {cluster: one, user: me}
    name: one
users:
- name: me
  user:
    token: |
      secret

current-context: one  # now
preferences: {}
"""
KUBECONFIGS = {
    "no file": None,
    "an empty file": "",
    "lists with lines": BLOCK,
    "lists without lines": "apiVersion: v1\nclusters: []  # none\ncontexts: null\nkind: Config\nusers:\ncurrent-context: \"\"\n",
    "lists that are missing": "apiVersion: v1\nkind: Config\n",
    "no end": BLOCK.removesuffix("preferences: {}\n") + "preferences: {}",
    "the lists at the end": "current-context: a\ncontexts:\n- name: a\n  context: {cluster: a, user: a}\nclusters:\n- name: a\n  cluster: {server: x}\nusers:\n- name: a\n  user: {}",
    "JSON": json.dumps({"clusters": [], "contexts": [], "users": [], "current-context": ""}, indent=2) + "\n",
}  # fmt: skip


@pytest.mark.parametrize("text", CONFIGS.values(), ids=CONFIGS)
def test_profiles_are_added_and_taken_out_again(text: str | None) -> None:
    """The config keeps every byte of its own; written twice it is as written once; undone it is as it was."""
    written = profiles.with_block(text, NAME, MEMORY, SECTIONS)
    assert written.startswith(text or "")
    assert profiles.with_block(written, NAME, MEMORY, SECTIONS) == written
    parsed = configparser.RawConfigParser()
    parsed.read_string(written)
    assert dict(parsed[f"profile {NAME}"]) == SECTIONS[NAME]
    assert [*profiles.memories(written)] == [(NAME, MEMORY)]
    assert profiles.without_block(written, NAME) == text


def test_what_comes_after_a_block_stays() -> None:
    """Profiles that a person or another team adds behind it are not touched, whichever block goes first."""
    one = profiles.with_block("[default]", NAME, MEMORY, SECTIONS) + "[profile mine]\nregion = x\n"
    both = profiles.with_block(one, "podshare-b@main", MEMORY, {"podshare-b@main": {"region": "y"}})
    assert profiles.without_block(both, "podshare-b@main") == one
    assert profiles.without_block(one, NAME) == "[default]\n[profile mine]\nregion = x\n"


@pytest.mark.parametrize("text", CONFIGS.values(), ids=CONFIGS)
def test_blocks_of_several_teams_go_in_any_order(text: str | None) -> None:
    """Whichever is undone first, after the last one the config is as it was."""
    other = "podshare-b@main"
    both = profiles.with_block(profiles.with_block(text, NAME, MEMORY, SECTIONS), other, MEMORY, {other: {"a": "b"}})
    for first, last in ((NAME, other), (other, NAME)):
        assert profiles.without_block(profiles.without_block(both, first) or "", last) == text


def test_a_profile_of_somebody_elses_is_not_replaced() -> None:
    """A name that is taken is reported, and nothing is written."""
    with pytest.raises(Failure, match=f"The profile {NAME} exists already"):
        profiles.with_block(f"[profile {NAME}]\nregion = x\n", NAME, MEMORY, SECTIONS)


@pytest.mark.parametrize("text", KUBECONFIGS.values(), ids=KUBECONFIGS)
def test_a_context_is_added_and_taken_out_again(text: str | None) -> None:
    """The kubeconfig has the context as its current one, all else means what it meant; undone it is as it was."""
    written = kubeconfig.with_context(text, CONTEXT)
    found, before = yaml.safe_load(written), yaml.safe_load(text or "") or {}
    assert found["current-context"] == NAME
    for part in kubeconfig.LISTS:
        assert [one["name"] for one in found[part]] == [*(one["name"] for one in before.get(part) or ()), NAME]
        assert found[part][:-1] == (before.get(part) or [])
    (context,) = [one["context"] for one in found["contexts"] if one["name"] == NAME]
    assert (context["cluster"], context["user"], context["namespace"]) == (NAME, NAME, "hyperpod-ns-vision")
    assert kubeconfig.with_context(written, CONTEXT) == written
    undone = kubeconfig.without_context(written, NAME)
    assert (undone or None) == (text or None)


@pytest.mark.parametrize("name", ["lists with lines", "no end", "the lists at the end"])
def test_comments_and_order_stay(name: str) -> None:
    """Of the lines that were there only that of the current context differs."""
    text = KUBECONFIGS[name] or ""
    written = kubeconfig.with_context(text, CONTEXT).splitlines()
    kept = [line for line in text.splitlines() if not line.startswith("current-context")]
    lines = iter(written)
    assert all(line in lines for line in kept)


@pytest.mark.parametrize("name", ["lists with lines", "no end", "JSON"])
def test_contexts_of_several_teams_go_in_any_order(name: str) -> None:
    """Whichever is undone first, the other stays as it is, and after the last one the file is as it was."""
    text = KUBECONFIGS[name] or ""
    both = kubeconfig.with_context(kubeconfig.with_context(text, CONTEXT), OTHER)
    left = kubeconfig.without_context(both, NAME) or ""
    assert yaml.safe_load(left)["current-context"] == OTHER.name
    assert [one["name"] for one in yaml.safe_load(left)["contexts"]][-1:] == [OTHER.name]
    assert yaml.safe_load(kubeconfig.without_context(left, OTHER.name) or "") == yaml.safe_load(text)
    if name == "lists with lines":
        assert kubeconfig.without_context(left, OTHER.name) == text
    other = kubeconfig.without_context(both, OTHER.name)
    assert other == kubeconfig.with_context(text, CONTEXT)


def test_a_current_context_that_a_person_chose_since_stays() -> None:
    """Undone, the file does not leave the context that somebody works in."""
    written = kubeconfig.with_context(BLOCK, CONTEXT).replace(f"current-context: {NAME}", "current-context: one")
    assert yaml.safe_load(kubeconfig.without_context(written, NAME) or "")["current-context"] == "one"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"contexts:\n- name: {NAME}\n  context: {{}}\n", "has context"),
        (f"users:\n- name: {NAME}\n  user: {{}}\n", "has user"),
        ("clusters: [{name: a}]\n", "in one line"),
        ("a: [", "no YAML"),
        ("- a\n", "no mapping"),
        ("kind: Pod\n", "its kind is 'Pod' instead of Config"),
        ("clusters: main\n", "its clusters are no list"),
        ("users:\n- name: 1\n  user: {}\n", "its users have an item that is no user with a name"),
    ],
)
def test_a_kubeconfig_that_cannot_take_it_is_left_alone(text: str, what: str) -> None:
    """What podshare did not write, or cannot add to, is reported with what to do."""
    with pytest.raises(Failure, match=what):
        kubeconfig.with_context(text, CONTEXT)


def test_files_are_written_whole_with_their_modes(tmp_path: Path) -> None:
    """A link stays one, a mode is kept, a new file is its owner's alone, and nothing else is left beside it."""
    real, link, new = tmp_path / "real", tmp_path / "link", tmp_path / "folder" / "new"
    real.write_text("a\r\nb", newline="")
    real.chmod(0o644)
    link.symlink_to(real)
    assert files.read(link) == "a\r\nb"
    files.write(link, "c\r\n")
    files.write(new, "d")
    assert (link.is_symlink(), real.read_bytes(), stat.S_IMODE(real.stat().st_mode)) == (True, b"c\r\n", 0o644)
    assert (stat.S_IMODE(new.stat().st_mode), stat.S_IMODE(new.parent.stat().st_mode)) == (0o600, 0o700)
    files.write(new, None)
    assert files.read(new) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "link", "real"]


def test_a_file_that_cannot_be_written_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in between leaves the former text, and no file of its own."""
    path = tmp_path / "config"
    path.write_text("before")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(Failure, match="No space left"):
        files.write(path, "after")
    assert (path.read_text(), [*tmp_path.iterdir()]) == ("before", [path])


@pytest.fixture(name="home")
def a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody's own folder, without credentials, with what connecting to two installations' teams has written."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_CONFIG_FILE", "KUBECONFIG", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    config: str | None = None
    contexts: str | None = None
    for name in (NAME, "other-vision@main"):
        config = profiles.with_block(config, name, MEMORY, {name: {"role_arn": "arn:aws:iam::1:role/x"}})
        contexts = kubeconfig.with_context(contexts, replace(CONTEXT, name=name))
    files.write(files.aws_config(), config)
    files.write(files.kubeconfigs()[0], contexts)
    return tmp_path


def test_undone_another_installations_team_stays(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A team of the same name, of an installation with another prefix, keeps its block and its context."""
    assert main(["connect", "vision", "--undo"]) == 0
    assert f"Removed {NAME}." in capsys.readouterr().err
    assert [name for name, _ in profiles.memories((home / ".aws/config").read_text())] == ["other-vision@main"]
    contexts = yaml.safe_load((home / ".kube/config").read_text())
    assert [one["name"] for one in contexts["contexts"]] == ["other-vision@main"]


@pytest.mark.parametrize("config", ["", "[default]\nregion = us-west-2\n"])
def test_a_context_is_undone_without_its_block(config: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the block was deleted by hand, or is in another file, the context that podshare wrote is removed all the same."""
    (home / ".aws/config").write_text(config)
    assert main(["connect", "vision", "--cluster", "other", "--undo"]) == 0
    assert "Nothing was written for team vision on cluster other." in capsys.readouterr().err
    assert main(["connect", "vision", "--cluster", "main", "--undo"]) == 0
    assert f"Removed {NAME}." in capsys.readouterr().err
    contexts = yaml.safe_load((home / ".kube/config").read_text())
    assert [one["name"] for one in contexts["contexts"]] == ["other-vision@main"]
    assert (home / ".aws/config").read_text() == config


def test_a_block_whose_lines_end_otherwise_is_undone(home: Path) -> None:
    """An editor may have written the file with carriage returns."""
    text = profiles.with_block("[default]\n", NAME, MEMORY, SECTIONS).replace("\n", "\r\n")
    files.write(home / ".aws/config", text)
    assert main(["connect", "vision", "--undo"]) == 0
    assert files.read(home / ".aws/config") == "[default]\r\n"

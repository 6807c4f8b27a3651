"""Files that commands write: refused before anything is read for them, and whole once they are written."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podshare_cli.application import command, main
from podshare_cli.failures import FAILED, INVALID, Failure
from podshare_cli.whole_files import SHARED, replaced, write
from tests.acting import act_in_the_hub
from tests.cli.test_peoples_policies import leaves

WRITING = {"--out", "--write-job"}
# what each command needs besides, to be called
NEEDED = {"audit export": "--since 1d", "connect": "vision", "import": "hyperpod"}
WRITES_FOLDERS = {"import": "--out", "export": ""}


def writing_files() -> Iterator[tuple[str, str]]:
    """Every command that writes a file that its caller names, and by which option."""
    for path in leaves():
        leaf: Any = command()
        for word in path.split():
            leaf = leaf.commands[word]
        for option in (option for parameter in leaf.params for option in parameter.opts):
            if option in WRITING and path not in WRITES_FOLDERS:
                yield path, option


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call of AWS is refused by itself."""
    act_in_the_hub(monkeypatch, "nobody", "nothing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


@pytest.fixture(name="folder")
def a_folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    (tmp_path / "file").write_text("before")
    return tmp_path


@pytest.mark.parametrize(
    "written", ["folder", "link", "absent/file", "file/file", "/dev/null", "/dev/stdout", "/proc/x"]
)
@pytest.mark.parametrize(("path", "option"), [*writing_files()])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_read(
    path: str, option: str, written: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A folder, a device, and a place where no file can be: the error names it, and nothing is left there."""
    before = sorted(folder.rglob("*"))
    assert main([*path.split(), *NEEDED.get(path, "").split(), option, str(folder / written)]) == INVALID
    assert str(folder / written) in " ".join(capfd.readouterr().err.split())
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("written", ["file", "file/below", "/dev/null", "/proc/x", "/proc/x/below"])
@pytest.mark.parametrize(("path", "option"), WRITES_FOLDERS.items())
def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_read(
    path: str, option: str, written: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file, a device, and a place where no folder can be made."""
    words = [*path.split(), *NEEDED.get(path, "").split(), *option.split()]
    assert main([*words, str(folder / written)]) == INVALID
    assert str(folder / written) in " ".join(capsys.readouterr().err.split())


def test_the_page_of_the_report_is_refused_where_its_folder_is_not_writable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that nobody named is tried too."""
    monkeypatch.chdir("/proc")
    assert main(["report"]) == INVALID
    assert "podshare-report.html cannot be written" in capsys.readouterr().err


def test_a_link_stays_and_its_file_keeps_its_mode(tmp_path: Path) -> None:
    """What others may read stays theirs to read, and a new file is as the umask says."""
    real, link, new = tmp_path / "real", tmp_path / "link", tmp_path / "folder" / "new"
    real.write_text("before")
    real.chmod(0o604)
    link.symlink_to(real)
    umask = os.umask(0o027)
    try:
        write(link, "after")
        write(new, "new")
    finally:
        os.umask(umask)
    assert (link.is_symlink(), real.read_text(), real.stat().st_mode & 0o777) == (True, "after", 0o604)
    assert (new.read_text(), new.stat().st_mode & 0o777) == ("new", SHARED & ~0o027)
    with replaced(link) as file:
        file.write(b"secret")
    assert (link.read_text(), real.stat().st_mode & 0o777) == ("secret", 0o600)


def test_of_what_fails_nothing_is_left(tmp_path: Path) -> None:
    """An error while a file is written is reported with its name, and leaves the file that it would have replaced."""
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(Failure, match=f"{path} cannot be written: No space left") as failed, replaced(path):
        raise OSError(28, "No space left on device")
    with pytest.raises(KeyboardInterrupt), replaced(path):
        raise KeyboardInterrupt
    assert failed.value.exit_code == FAILED
    assert (path.read_text(), [*tmp_path.iterdir()]) == ("before", [path])

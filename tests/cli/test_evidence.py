"""Evidence packs that were damaged on their way: what is not as it was exported is named, whatever happened to it."""

import zipfile
from pathlib import Path

import pytest

from podshare_cli.application import main
from podshare_cli.history import evidence
from podshare_cli.history.objects import Stored

KEY = "runs/v1/date=2026-11-01/team=vision/a.json"


@pytest.fixture(name="pack")
def an_exported_pack(tmp_path: Path) -> Path:
    path = tmp_path / "evidence.zip"
    body = b'{"team": "vision", "access": [' + b'"somebody", ' * 200 + b'"ada"]}'
    evidence.pack(path, {}, [Stored(KEY, "1", body)], {"access-changes": []})
    return path


def damaged(pack: Path, member: str) -> None:
    """Change some bytes of a member where it is in the file."""
    with zipfile.ZipFile(pack) as archive:
        entry = archive.getinfo(member)
    data = bytearray(pack.read_bytes())
    begin = entry.header_offset + 30 + len(member)
    data[begin : begin + 8] = b"\xff" * 8
    pack.write_bytes(data)


def test_a_damaged_file_is_named(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that can no longer be unpacked was changed: it is listed, and the exit code is 1."""
    damaged(pack, f"objects/{KEY}")
    assert main(["audit", "verify", str(pack), "--jq", ".problems[]"]) == 1
    assert capsys.readouterr().out.splitlines() == [f"objects/{KEY}: changed"]


def test_a_damaged_manifest_is_no_manifest(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without its manifest nothing can be checked, which is an error with a remedy."""
    damaged(pack, evidence.MANIFEST)
    assert main(["audit", "verify", str(pack)]) == 1
    assert "has no manifest of podshare's" in capsys.readouterr().err


@pytest.mark.parametrize("kept", [0, 3, 200, -40, -1])
def test_a_truncated_pack_is_refused(kept: int, pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that ends before its end is no ZIP file, wherever it was cut off."""
    pack.write_bytes(pack.read_bytes()[:kept])
    assert main(["audit", "verify", str(pack)]) == 1
    assert "cannot be read as a ZIP file" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["[/foo]", "[red]hidden[/red]", "a\x1b[2Jb", "../../etc/passwd"])
def test_an_added_file_is_named_as_text(name: str, pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever its name is, it is neither markup nor a command to the terminal, on stdout or stderr."""
    renamed = pack.rename(pack.with_name("pack[v1].zip"))
    with zipfile.ZipFile(renamed, "a") as archive:
        archive.writestr(name, b"x")
    assert main(["audit", "verify", str(renamed)]) == 1
    shown = capsys.readouterr()
    printable = name.replace("\x1b", "\\x1b")
    assert f"{printable}: added, the manifest does not name it" in shown.out
    assert printable in shown.err.replace("\n", "")
    assert "pack[v1].zip" in shown.err.replace("\n", "")
    assert "\x1b" not in shown.out + shown.err


def test_a_whole_pack_is_named_as_text(pack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file's own name is no markup."""
    renamed = pack.rename(pack.with_name("pack[v1].zip"))
    assert main(["audit", "verify", str(renamed)]) == 0
    assert "pack[v1].zip: 3 files as exported" in capsys.readouterr().out.replace("\n", "")


def test_a_manifest_that_is_nested_too_deep_is_no_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What Python does not read ends with the sentence for a file without a manifest."""
    path = tmp_path / "deep.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(evidence.MANIFEST, "[" * 100_000)
    assert main(["audit", "verify", str(path)]) == 1
    assert "has no manifest of podshare's" in capsys.readouterr().err

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

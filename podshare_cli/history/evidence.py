"""An evidence pack: objects of the history in a ZIP file, with a manifest of their digests."""

import datetime
import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from podshare_cli.failures import Failure
from podshare_cli.history.objects import Stored
from podshare_cli.whole_files import replaced

MANIFEST, README = "manifest.json", "README.txt"
SCHEMA = 1
_TEXT = """Evidence of who had access, exported by podshare.

objects/       objects of the history, byte by byte as they are in its bucket: runs/ and records/
answers/       what follows from them: who had access at the end, and who gained and lost access
manifest.json  the SHA-256 digest of every file, and the key and version of each object

To check it: podshare audit verify FILE.zip --manifest DIGEST
DIGEST is the manifest's own digest, which the export printed: keep it elsewhere than this file.
"""


def pack(path: Path, about: Mapping[str, Any], objects: Iterable[Stored], answers: Mapping[str, Any]) -> dict[str, Any]:
    """Write a pack, for its owner alone to read; returns the manifest and its digest."""
    stored = sorted(objects, key=lambda member: member.key)
    files = {README: _TEXT.encode()}
    files |= {f"objects/{member.key}": member.body for member in stored}
    files |= {f"answers/{name}.json": _json(answer) for name, answer in sorted(answers.items())}
    evidence = {f"objects/{member.key}": {"key": member.key, "version": member.version} for member in stored}
    manifest = {
        "schema_version": SCHEMA,
        **about,
        "files": [
            {"path": name, "bytes": len(body), "sha256": _digest(body), **evidence.get(name, {})}
            for name, body in sorted(files.items())
        ],
    }
    text = _json(manifest)
    _write(path, {**files, MANIFEST: text})
    return {**manifest, "manifest": _digest(text)}


def _write(path: Path, files: Mapping[str, bytes]) -> None:
    """Write the file whole or not at all."""
    with replaced(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, body in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), body, zipfile.ZIP_DEFLATED)


def problems(path: Path, manifest_digest: str = "") -> tuple[dict[str, Any], list[str]]:
    """A pack's manifest, and what is not as it says: in words, empty if the pack is whole.

    Raises Failure for a file that is no pack.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [entry.filename for entry in archive.infolist()]
            bodies = {name: _unpacked(archive, name) for name in names}
        text = bodies[MANIFEST]
        manifest: dict[str, Any] = json.loads(text)
        expected = {str(entry["path"]): str(entry["sha256"]) for entry in manifest["files"]}
    except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError) as error:
        raise Failure(
            f"{path} cannot be read as a ZIP file: {error}", "Export it again: podshare audit export"
        ) from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise Failure(f"{path} has no manifest of podshare's.", "Export it again: podshare audit export") from None
    twice = {name for name in names if names.count(name) > 1}
    problems_found = [f"{_printable(name)}: it is there twice" for name in sorted(twice)]
    if manifest_digest and _digest(text) != manifest_digest.removeprefix("sha256:"):
        problems_found.append(f"{MANIFEST}: it was changed, its digest is {_digest(text)}")
    problems_found += [f"{_printable(name)}: missing" for name in sorted(expected.keys() - bodies.keys())]
    problems_found += [
        f"{_printable(name)}: added, the manifest does not name it"
        for name in sorted(bodies.keys() - expected.keys() - {MANIFEST})
    ]
    changed = (name for name in expected.keys() & bodies.keys() if _digest(bodies[name]) != expected[name])
    return {**manifest, "manifest": _digest(text)}, problems_found + [
        f"{_printable(name)}: changed" for name in sorted(changed)
    ]


def _unpacked(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of a pack; one that is damaged has nothing in it, so that its digest is another."""
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):  # the last: it is encrypted
        return b""


def _printable(name: str) -> str:
    """A name as a terminal can show it: whoever adds a file to a pack chooses its name."""
    return name if name.isprintable() else repr(name)[1:-1]


def about(bucket: str, by: str, since: datetime.datetime, until: datetime.datetime) -> dict[str, Any]:
    """What a manifest says of its export."""
    now = datetime.datetime.now(datetime.UTC)
    moments = {"exported_at": now, "since": since, "until": until}
    return {
        "bucket": bucket,
        "exported_by": by,
        **{name: moment.isoformat(timespec="seconds") for name, moment in moments.items()},
    }


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=1, sort_keys=True, default=str) + "\n").encode()


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()

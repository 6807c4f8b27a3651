"""Where records come from: who changes them, why, and from which commit and file, as git or CI declare it.

It is declared, not proven: whoever runs the command can say anything. Nothing about access is decided by it.
"""

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from podshare.aws.rows import from_item, to_item
from podshare.registry.declared import digest_of
from podshare.registry.parsing import understood
from podshare.registry.records import MOST_VERSIONS, ChangeSource, LastChange
from podshare_cli.failures import invalid
from podshare_cli.records.documents import STDIN

_GIT_SECONDS = 10
_LIMITS = {"reason": 1024, "author": 256, "commit": 64, "repository": 512, "path": 1024}  # of LastChange, ChangeSource


@dataclass(frozen=True)
class Provenance:
    """What the records of one write have in common. ``root`` is the repository's directory, if there is one."""

    reason: str = ""
    author: str = ""
    commit: str = ""
    repository: str = ""
    root: Path | None = None

    def source(self, file: str) -> dict[str, str] | None:
        """A file of the repository, for the records in it; None for one that is in none."""
        path = self.path(file) if Path(file).is_file() else None
        if path is None or not self.repository:
            return None
        source = {"repository": _printable("repository", self.repository), "path": _printable("path", path)}
        return ChangeSource(**source).model_dump()

    def path(self, file: str) -> str | None:
        """A file's or a directory's path in the repository; None for one that is not in it."""
        resolved = Path(file).resolve()
        if self.root is None or not resolved.is_relative_to(self.root):
            return None
        return resolved.relative_to(self.root).as_posix()

    def as_dict(self) -> dict[str, str]:
        """Who made the records and from which commit, for a plan that is applied elsewhere."""
        return {"author": self.author, "commit": self.commit}

    @classmethod
    def of_dict(cls, document: Mapping[str, Any]) -> Self:
        """The reverse of ``as_dict``."""
        return cls(author=str(document["author"]), commit=str(document["commit"]))

    def change(
        self, item: Mapping[str, Any], before: Mapping[str, Any] | None, source: Mapping[str, str] | None
    ) -> dict[str, Any]:
        """The field ``change`` of ``item`` that was ``before``; without a source of its own it keeps the former."""
        former = last_change(before)
        change = LastChange(
            version=min(_version(former) + 1, MOST_VERSIONS),
            at=datetime.now(UTC).replace(microsecond=0),
            source=understood(ChangeSource, source or former.get("source")),
            digest=digest_of(from_item(to_item(item))),  # of the numbers as the table returns them
            **{name: _printable(name, getattr(self, name)) for name in ("reason", "author", "commit")},
        )
        return change.model_dump(mode="json", exclude_defaults=True)


def last_change(item: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What a record's last write was, as far as it is declared."""
    change = (item or {}).get("change")
    return change if isinstance(change, Mapping) else {}


def of_files(files: Iterable[str] = (), reason: str = "") -> Provenance:
    """The provenance of records: from CI's variables, or the git repository of the first file, if they are in files."""
    _refuse_long(reason)
    paths = [Path(file) for file in files if file != STDIN]
    folder = next((path if path.is_dir() else path.parent for path in paths), None)
    root = _git(folder, "rev-parse", "--show-toplevel") or _variable("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
    ci, cloned = _ci_repository(), repository_of(_git(folder, "remote", "get-url", "origin"))
    # a job may check out other repositories than its own, whose commit no variable has
    is_of_ci = not cloned or cloned.casefold() == ci.casefold()
    return Provenance(
        reason=reason,
        author=_variable("GITHUB_ACTOR", "GITLAB_USER_LOGIN") or _git(folder, "config", "user.email"),
        commit=(is_of_ci and _variable("GITHUB_SHA", "CI_COMMIT_SHA")) or _commit(folder, paths),
        repository=cloned or ci,
        root=Path(root).resolve() if root else None,
    )


def _refuse_long(reason: str) -> None:
    """Raises Failure for a reason that no record can hold."""
    if len(reason) > _LIMITS["reason"]:
        raise invalid(f"The reason has {len(reason):,} characters, the limit is {_LIMITS['reason']:,}.", "Shorten it.")


def _ci_repository() -> str:
    """The repository that a CI job is of, as :func:`repository_of` names it."""
    if name := _variable("GITHUB_REPOSITORY"):
        return f"{urlsplit(_variable('GITHUB_SERVER_URL') or 'https://github.com').hostname}/{name}"
    if name := _variable("CI_PROJECT_PATH"):
        return f"{_variable('CI_SERVER_HOST') or 'gitlab.com'}/{name}"
    return ""


def repository_of(remote: str) -> str:
    """``HOST/OWNER/NAME``, without a user's name or password, by the URL of a clone.

    Also as SSH writes it (git-clone, "GIT URLS").
    """
    address = remote if "://" in remote else f"ssh://{remote.replace(':', '/', 1)}"
    parts = urlsplit(address)
    path = parts.path.strip("/").removesuffix(".git")
    return f"{parts.hostname}/{path}" if remote and parts.hostname and path else ""


def _commit(folder: Path | None, paths: Iterable[Path]) -> str:
    commit = _git(folder, "rev-parse", "HEAD")
    changed = commit and _git(folder, "status", "--porcelain", "--", *(str(path.resolve()) for path in paths))
    return f"{commit}-dirty" if changed else commit


def _git(folder: Path | None, *words: str) -> str:
    """What git answers; empty without git, or outside of a repository."""
    if folder is None:
        return ""
    try:
        answer = subprocess.run(  # noqa: S603  # its words are this module's, and paths after `--`
            ["git", "-C", str(folder), *words],  # noqa: S607  # the user's own git
            capture_output=True, text=True, check=True, timeout=_GIT_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return answer.stdout.strip()


def _variable(*names: str) -> str:
    return next((value for name in names if (value := os.environ.get(name, ""))), "")


def _version(change: Mapping[str, Any]) -> int:
    version = change.get("version")
    return version if isinstance(version, int) and version > 0 else 0


def _printable(name: str, text: str) -> str:
    characters = "".join(character if character.isprintable() else " " for character in text)
    return characters.strip()[: _LIMITS[name]]

"""Copies of parts of the project, while others work in it."""

import shutil
from pathlib import Path


def copy(source: Path, target: Path) -> None:
    """Copy a file, or a folder in which somebody may be compiling modules: their files have other names meanwhile."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.pyc.*"))
    else:
        shutil.copy(source, target)

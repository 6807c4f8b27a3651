"""Which podshare this is: its version, and the commit that it was installed from or is checked out at."""

import json
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]
_SHORT = 12  # characters of a commit's hash


def described() -> str:
    """The version, with the commit where one is known."""
    try:
        installed = distribution("podshare")
    except PackageNotFoundError:  # a checkout is on the path without being installed
        return f"podshare (a checkout{_at(_checked_out())})"
    source = json.loads(installed.read_text("direct_url.json") or "{}")  # PEP 610
    commit = source.get("vcs_info", {}).get("commit_id") or _checked_out()
    return f"podshare {installed.version}{_at(commit)}"


def _at(commit: str) -> str:
    return f", commit {commit[:_SHORT]}" if commit else ""


def _checked_out() -> str:
    """The commit of the checkout that this file lies in; empty if it lies in none, or there is no git."""
    if not (_CHECKOUT / ".git").exists():
        return ""
    command = ["git", "-C", str(_CHECKOUT), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603  # fixed
    except (OSError, subprocess.CalledProcessError):
        return ""

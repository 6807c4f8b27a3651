"""Files of other tools: read as they are, and written whole or not at all, with the mode that they have."""

import os
from pathlib import Path

from podshare_cli.failures import Failure
from podshare_cli.whole_files import replaced


def aws_config() -> Path:
    """The AWS CLI's config file (AWS CLI user guide, AWS_CONFIG_FILE)."""
    return Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()


def kubeconfigs() -> list[Path]:
    """The files that kubectl merges; it writes what is new into the first (Kubernetes documentation, KUBECONFIG)."""
    named = [Path(part).expanduser() for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return named or [Path("~/.kube/config").expanduser()]


def read(path: Path) -> str | None:
    """The text with the ends of its lines, None if there is no file. Raises Failure for what is no text."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{path} cannot be read: {error}", "Nothing was written.") from None


def write(path: Path, text: str | None) -> None:
    """Replace the file's text, or delete the file; a link stays a link. Raises Failure where that is not allowed."""
    real = path.resolve()
    if real.exists() and not real.is_file():
        raise Failure(f"{path} is no file.", "Name one by AWS_CONFIG_FILE, and the kubeconfig by KUBECONFIG.")
    try:
        if text is None:
            real.unlink(missing_ok=True)
            return
        real.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from None
    with replaced(path, keeps_mode=True) as file:
        file.write(text.encode())

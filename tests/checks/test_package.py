"""What `pip install .` gives."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.copying import copy

ROOT = Path(__file__).parents[2]


def built(project: Path, folder: Path) -> dict[str, str]:
    """The files of a project's wheel by their names, the folder about the distribution being ``about``."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=project, check=True, capture_output=True)  # noqa: S603  # our own
    (wheel,) = folder.glob("*.whl")
    about = wheel.name.rpartition("-py3")[0] + ".dist-info"
    with zipfile.ZipFile(wheel) as archive:
        return {name.replace(about, "about"): archive.read(name).decode() for name in archive.namelist()}


def folders(files: dict[str, str]) -> set[str]:
    return {name.partition("/")[0] for name in files}


def test_the_wheel_holds_the_command_and_nothing_of_the_tests(tmp_path: Path) -> None:
    """A wheel has podshare and its command, the license, and one program: podshare; the sandbox is an extra."""
    files = built(ROOT, tmp_path)

    assert folders(files) == {"podshare", "podshare_cli", "about"}
    assert files["about/licenses/LICENSE"] == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert files["about/entry_points.txt"].split() == [
        "[console_scripts]",
        "podshare",
        "=",
        "podshare_cli.__main__:run",
    ]
    extra = f"Requires-Dist: podshare-sandbox@ {(ROOT / 'sandbox').as_uri()} ; extra == 'sandbox'"
    assert extra.replace(" ", "") in files["about/METADATA"].replace(" ", "").splitlines()


def test_the_sandbox_is_a_distribution_of_its_own(tmp_path: Path) -> None:
    """Its wheel has the sandbox's modules and data alone, the license, and needs nothing of podshare."""
    files = built(ROOT / "sandbox", tmp_path)

    assert folders(files) == {"podshare_sandbox", "about"}
    assert files["about/licenses/LICENSE"] == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "podshare_sandbox/services/kubernetes/custom_resources/kueue.yaml" in files
    assert not any(line.startswith("Requires-Dist: podshare") for line in files["about/METADATA"].splitlines())


def test_the_command_alone_says_that_the_sandbox_needs_a_checkout(tmp_path: Path) -> None:
    """Where only the command is installed, `podshare sandbox up` says what is missing instead of ending in a trace."""
    for package in ("podshare_cli", "functions/podshare"):
        copy(ROOT / package, tmp_path / Path(package).name)
    ended = subprocess.run(  # our own
        [sys.executable, "-P", "-c", "from podshare_cli.__main__ import run; run()", "sandbox", "up"],
        # no sandbox of somebody on this machine is found
        env={
            **os.environ,
            **dict.fromkeys(("PYTHONPATH", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "HOME", "TMPDIR"), str(tmp_path)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "which only a checkout has" in ended.stderr
    assert "Traceback" not in ended.stderr

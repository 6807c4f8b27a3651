"""What `pip install .` gives."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_holds_the_command_and_nothing_of_the_tests(tmp_path: Path) -> None:
    """A wheel has podshare, its command and the sandbox's modules, the license, and one program: podshare."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)  # noqa: S603  # our own
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (programs,) = [archive.read(name).decode() for name in names if name.endswith("entry_points.txt")]
    about = wheel.name.rpartition("-py3")[0] + ".dist-info"
    assert {name.partition("/")[0] for name in names} == {"podshare", "podshare_cli", "podshare_sandbox", about}
    assert f"{about}/licenses/LICENSE" in names
    assert programs.split() == ["[console_scripts]", "podshare", "=", "podshare_cli.__main__:run"]


def test_the_command_alone_says_that_the_sandbox_needs_a_checkout(tmp_path: Path) -> None:
    """Where only the command is installed, `podshare sandbox up` says what is missing instead of ending in a trace."""
    for package in ("podshare_cli", "functions/podshare"):
        shutil.copytree(ROOT / package, tmp_path / Path(package).name)
    ended = subprocess.run(  # our own
        [sys.executable, "-P", "-c", "from podshare_cli.__main__ import run; run()", "sandbox", "up"],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "which only a checkout has" in ended.stderr
    assert "Traceback" not in ended.stderr

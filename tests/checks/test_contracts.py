"""The import contracts of pyproject.toml: each can fail, and pure modules keep rules that import-linter cannot see."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("functions/podshare", "podshare_cli", "sandbox/podshare_sandbox")
PRODUCT = sorted((ROOT / "functions/podshare").rglob("*.py"))
CLOCKS = {"now", "today", "utcnow"}
VIOLATIONS = {
    "functions/podshare/registry/planted_upwards.py": "import podshare.aws",
    "functions/podshare/policy/planted_clock.py": "import time",
    "functions/podshare/access/planted_aws.py": "from botocore.exceptions import ClientError",
    "functions/podshare/aws/planted_upwards.py": "import podshare.kinds",
    "functions/podshare/aws/planted_sandbox.py": "import podshare_sandbox.clock",
    "functions/podshare/planted_without_layer.py": "",
    "sandbox/podshare_sandbox/planted_product.py": "from podshare.kinds import names",
    "sandbox/podshare_sandbox/authorization/planted_upwards.py": "import podshare_sandbox.services",
    "sandbox/podshare_sandbox/planted_without_layer.py": "",
    "sandbox/podshare_sandbox/services/planted_first.py": "import podshare_sandbox.services.planted_second",
    "sandbox/podshare_sandbox/services/planted_second.py": "import podshare_sandbox.services.planted_first",
    "podshare_cli/planted_without_layer.py": "",
    "podshare_cli/views/planted_upwards.py": "import podshare_cli.commands",
    "podshare_cli/access/planted_first.py": "import podshare_cli.access.planted_second",
    "podshare_cli/access/planted_second.py": "import podshare_cli.access.planted_first",
}


@pytest.fixture
def outline(tmp_path: Path) -> Path:
    """Every module of the packages, empty, beside the real contracts: imports can be planted there."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        for module in (ROOT / package).rglob("*.py"):
            empty = tmp_path / module.relative_to(ROOT)
            empty.parent.mkdir(parents=True, exist_ok=True)
            empty.touch()
    return tmp_path


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own tool with fixed arguments
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(folder / "functions"), str(folder / "sandbox"), str(folder)]),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_contracts_hold_without_imports(outline: Path) -> None:
    """Modules without imports break no contract, so a failure below is the planted imports'."""
    result = lint_imports(outline)

    assert result.returncode == 0, result.stdout
    assert "KEPT" in result.stdout


def test_every_contract_rejects_planted_violations(outline: Path) -> None:
    """Imports against the rules break every contract, and the output names each module at fault."""
    for module, statement in VIOLATIONS.items():
        (outline / module).write_text(statement)

    result = lint_imports(outline)

    assert result.returncode == 1
    assert "KEPT" not in result.stdout, result.stdout
    assert [module for module in VIOLATIONS if Path(module).stem not in result.stdout] == []


def pure_modules() -> set[Path]:
    """The modules that the contract holds to be pure."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [contract] = [one for one in about["tool"]["importlinter"]["contracts"] if "is pure" in one["name"]]
    places = [name.replace(".", "/") for name in contract["source_modules"]]
    patterns = [pattern for place in places for pattern in (f"{place}/**/*.py", f"{place}.py")]
    return {path for pattern in patterns for path in (ROOT / "functions").glob(pattern)}


def imported(path: Path) -> set[str]:
    """What a module imports, of podshare as modules."""
    nodes = [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    names = {f"{node.module}.{alias.name}" for node in froms for alias in node.names}
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {*names, *plain, *(str(node.module) for node in froms)}


def test_every_module_that_uses_only_pure_ones_is_held_to_it() -> None:
    """A module of the product that needs nothing but pure modules is on the list of pure modules."""
    pure = pure_modules()
    named = {".".join(path.relative_to(ROOT / "functions").with_suffix("").parts) for path in pure}
    impure = ("boto3", "botocore", "lightkube", "os", "random", "time")
    product = {".".join(path.relative_to(ROOT / "functions").with_suffix("").parts): path for path in PRODUCT}

    unlisted = [
        name
        for name, path in product.items()
        if path not in pure
        and path.stem != "__init__"
        and imported(path) & product.keys() <= named
        and not any(one.partition(".")[0] in impure for one in imported(path))
    ]

    assert len(pure) > 30
    assert unlisted == []


def test_pure_modules_read_no_clock() -> None:
    """Pure modules may use the types of datetime, but take the time as an argument."""
    calls = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in pure_modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in CLOCKS
    ]

    assert calls == []


def test_the_environment_is_read_in_one_place() -> None:
    """What many functions import once before they begin reads no variables: Settings does, when a handler asks."""
    readers = [
        str(path.relative_to(ROOT / "functions/podshare"))
        for path in PRODUCT
        if any(
            isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        )
    ]

    assert readers == ["aws/settings.py"]


def test_buckets_are_used_with_their_owner() -> None:
    """Whoever takes over a bucket's name in another account is neither read nor written: S3 is told whose it must be."""
    calls = [
        (f"{path.relative_to(ROOT)}:{node.lineno}", {keyword.arg for keyword in node.keywords})
        for path in (ROOT / "functions/podshare").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and any(keyword.arg == "Bucket" for keyword in node.keywords)
    ]

    assert len(calls) > 5
    assert [place for place, named in calls if "ExpectedBucketOwner" not in named] == []

"""What functions/Makefile ships to Lambda suffices for what the functions do."""

import ast
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.templates.test_resource_tags import ENVIRONMENT
from trim_dependencies import SERVICES, trim

ROOT = Path(__file__).parents[2]
FUNCTIONS = ROOT / "functions"
MAKES_A_CLIENT = {"client", "hub_client", "_client"}  # of podshare/aws/sessions.py
TAKES_THE_SERVICE = FUNCTIONS / "podshare/aws/sessions.py"

# runs without this environment's packages; a cluster that does not answer takes the way of a request to the network
PROGRAM = """
import importlib, pkgutil, sys
sys.path[:0] = sys.argv[1:3]
import boto3, httpx2, lightkube, podshare
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, Context, User
from lightkube.resources.core_v1 import Namespace

for module in pkgutil.walk_packages(podshare.__path__, "podshare."):
    importlib.import_module(module.name)
assert boto3.__file__.startswith(sys.argv[1])
for service in sys.argv[3:]:
    client = boto3.Session().client(service)
    client.waiter_names, client.can_paginate(next(iter(client.meta.method_to_api_mapping)))  # each reads a file
cluster = SingleConfig("c", Context(cluster="c", user="u"), Cluster(server="http://127.0.0.1:9"), User(token="t"))
try:
    lightkube.Client(config=cluster).get(Namespace, "any")
except httpx2.ConnectError:
    print("complete")
"""


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is left of the functions' dependencies, as this environment has them."""
    folder = tmp_path_factory.mktemp("dependencies")
    lock = (FUNCTIONS / "requirements.txt").read_text(encoding="utf-8")
    for name, marker in re.findall(r"^([\w-]+)==\S+ (;.*)?\\$", lock, re.MULTILINE):
        if "emscripten" in marker and "!=" not in marker:
            continue
        for file in metadata.files(name) or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), folder / file)
    trim(folder)
    return folder


def test_the_functions_run_with_what_is_left(dependencies: Path) -> None:
    """Each module can be imported, each client made, and a cluster asked, with what is left of the dependencies."""
    ended = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-I", "-S", "-c", PROGRAM, str(dependencies), str(FUNCTIONS), *SERVICES],
        env={**ENVIRONMENT, "AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "us-west-2"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.stdout, ended.stderr) == ("complete\n", "")


def test_clients_are_made_of_services_that_ship() -> None:
    """The services that ship are those that the functions name where they make a client: no other way makes one."""
    named = set()
    for path in sorted((FUNCTIONS / "podshare").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in MAKES_A_CLIENT and node.args:
                service = node.args[0]
                if isinstance(service, ast.Constant):
                    named.add(service.value)
                else:
                    assert path == TAKES_THE_SERVICE or _name(node.func) == "_client", ast.unparse(node)

    assert named == set(SERVICES)


def _name(function: ast.expr) -> str:
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def test_what_a_release_has_moved_is_noticed(tmp_path: Path) -> None:
    """Names that are not there fail the build, so that the list of what is left out stays true."""
    with pytest.raises(ValueError, match="the dependencies have no"):
        trim(tmp_path)


def test_compiled_files_are_of_the_runtime() -> None:
    """Dependencies ship compiled alone: the Makefile's Python is the one that the template asks Lambda for."""
    template = (ROOT / "template.yaml").read_text(encoding="utf-8")
    makefile = (FUNCTIONS / "Makefile").read_text(encoding="utf-8")

    assert set(re.findall(r"Runtime: python([\d.]+)", template)) == set(
        re.findall(r"^RUNTIME := (\S+)$", makefile, re.M)
    )
    assert set(re.findall(r"Architectures: \[(\w+)\]", template)) == {"arm64"}
    assert "aarch64-manylinux2014" in makefile

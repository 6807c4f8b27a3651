"""What all tests share: golden files and the way to update them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.docs.outputs import Outputs

# no test depends on how fast the machine is: Hypothesis gives each example 200 ms otherwise
settings.register_profile("podshare", deadline=None)
settings.load_profile("podshare")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew (make golden)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what deploys podshare: the files that take longest must not be left to one process at the end."""
    items.sort(key=lambda item: not {"cli", "scenarios", "simulation"} & {*item.path.parts})


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, Any], None]:
    """Compare a value with the golden file of that name beside the test, or write it (make golden)."""
    folder = Path(request.path).parent / "golden"

    def compare(name: str, value: Any) -> None:
        text = json.dumps(value, indent=2, sort_keys=True, default=str) + "\n"
        path = folder / f"{name}.json"
        if request.config.getoption("--update-golden"):
            folder.mkdir(exist_ok=True)
            path.write_text(text)
        assert path.read_text() == text, f"{path.name} differs; if that is right, run `make golden` and review the diff"

    return compare


@pytest.fixture
def outputs(request: pytest.FixtureRequest) -> Iterator[Outputs]:
    """What the pages show whose commands this test types: it has to compare all of it."""
    shown = Outputs(request.node.nodeid, renews=request.config.getoption("--update-golden"))
    yield shown
    shown.check()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the figures that tests measured (``record_property``), whichever process ran them."""
    reports = terminalreporter.stats.get("passed", [])
    figures = [figure for report in reports for figure in report.user_properties]
    if figures:
        terminalreporter.section("measured")
        for name, value in figures:
            terminalreporter.write_line(f"{name}: {value}")

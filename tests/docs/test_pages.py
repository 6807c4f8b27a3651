"""Whatever the documentation names exists: commands, options, files, links, names of deployed things."""

import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel

from benchmarks import page as benchmarks_page
from podshare.registry.parsing import parse
from podshare_cli import application
from tests.docs import (
    command_page,
    decisions_page,
    event_registry,
    events_schema,
    machine_graph,
    records_schema,
    registry_page,
)
from tests.docs.outputs import COMPARED_BY, excerpt, steady
from tests.docs.pages import ARCHITECTURE, DECISIONS, PAGES, README, ROOT, Page

TARGETS = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
STACKS = {
    "podshare-management",
    "podshare-member",
    "podshare-cluster",
    "podshare-drift",
}  # what the reader is told to call the stacks
TEMPLATES = ("template.yaml", *(f"accounts/{name}.yaml" for name in ("management", "member", "cluster", "drift")))
# files that tools make, or that readers write: none of these is the project's
READERS_FILES = {
    *("samconfig.toml", "team-vision.yaml", "datasets.yaml", "cluster.yaml", "enrollment.yaml", "my_script.py")
}
TOP = {path.name for path in ROOT.iterdir()} - {".venv", ".venv-sam", ".venv-clients", ".aws-sam"}


def words(line: str) -> list[str]:
    """A command line as its words; shell syntax that is no argument (|, &&, ;) stands by itself."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&")
    lexer.whitespace_split = True
    return list(lexer)


def calls(page: Page, program: str) -> Iterator[list[str]]:
    """The arguments of each call of ``program`` in shell blocks and code spans."""
    for line in (*page.commands, *page.spans):
        try:
            found = words(line)
        except ValueError:  # a span with a lone quotation mark is no command line
            continue
        for place, word in enumerate(found):
            starts = place == 0 or found[place - 1] in ("|", "||", "&&", ";", "--") or "xargs" in found[:place]
            if word.rpartition("/")[2] == program and starts and not word.startswith("functions"):
                rest = found[place + 1 :]
                ends = [rest.index(stop) for stop in ("|", "&&", ";", "||") if stop in rest]
                yield rest[: min(ends)] if ends else rest


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_make_targets_exist(page: Page) -> None:
    """Every `make` command that is named is one of the Makefile's."""
    for arguments in calls(page, "make"):
        assert {word for word in arguments if "=" not in word} <= TARGETS, arguments


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands_and_options_exist(page: Page) -> None:
    """Every `podshare` command that is named exists and has the options that it is called with."""
    for arguments in calls(page, "podshare"):
        command: Any = whole_command()
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for place, word in enumerate(arguments):
            if word == "--":  # what follows is another command's
                break
            if word.startswith("-") and len(word) > 1:
                assert word in options | {"--help"}, f"podshare {' '.join(arguments)}: no option {word}"
            elif hasattr(command, "commands"):
                assert word in command.commands, f"podshare {' '.join(arguments[: place + 1])}: no such command"
                command = command.commands[word]
                options |= {
                    option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
                }


# what the AWS CLI adds to the API: commands, and options of every command
AWS_CLI_COMMANDS = {
    ("sns", "subscribe"): {"topic-arn", "protocol", "notification-endpoint"},  # the API calls it Endpoint
    ("cloudformation", "deploy"): {"stack-name", "template-file", "capabilities", "parameter-overrides"},
    ("eks", "update-kubeconfig"): {"name", "role-arn", "alias"},
    ("sso", "login"): set(),
}
AWS_CLI_OPTIONS = {"region", "profile", "query", "output"}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_aws_commands_exist(page: Page) -> None:
    """Every `aws` command that is named is an operation of the API, with its required parameters where it is whole."""
    loader = Loader()
    for service, command, *arguments in (call for call in calls(page, "aws") if len(call) > 1):
        options = {word[2:] for word in arguments if word.startswith("--")} - AWS_CLI_OPTIONS
        if (service, command) in AWS_CLI_COMMANDS:
            assert options <= AWS_CLI_COMMANDS[service, command], (command, options)
            continue
        model = ServiceModel(loader.load_service_model(service, "service-2"))
        operations = {xform_name(name, "-"): name for name in model.operation_names}
        assert command in operations, f"aws {service} {command}"
        shape = model.operation_model(operations[command]).input_shape
        parameters = {xform_name(name, "-") for name in shape.members} if shape else set()
        required = {xform_name(name, "-") for name in shape.required_members} if shape else set()
        assert {option.removeprefix("no-") for option in options} <= parameters, (command, options)
        if any("aws " in line and command in line for line in page.commands):
            assert required <= {option.removeprefix("no-") for option in options}, (command, required)


def is_path(span: str) -> bool:
    """Whether a code span is a path of the project, rather than a URL's, an ARN's or an IAM path."""
    looks = re.fullmatch(r"[\w.*-]+(/[\w.*-]+)*/?", span) and (
        "/" in span or re.search(r"\.(py|md|ya?ml|toml|svg)$", span)
    )
    return bool(looks) and span.split("/", maxsplit=1)[0] in TOP and span not in READERS_FILES


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_files_exist(page: Page) -> None:
    """Every file and folder of the project that is named in prose or a command exists."""
    named = [span for span in page.spans if is_path(span)]
    for command in page.commands:
        named += [word.removeprefix("file://") for word in words(command) if is_path(word.removeprefix("file://"))]

    for name in named:
        assert list(ROOT.glob(name.rstrip("/"))), f"{page}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_relative_links_resolve(page: Page) -> None:
    """Links and pictures lead to files, and to headings, that are there."""
    for link in page.links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        assert target.exists(), f"{page}: {link}"
        assert not anchor or anchor in Page(target).anchors, f"{page}: {link}"


@cache
def whole_command() -> Any:
    """The command with its groups, as it parses its arguments."""
    return application.command()


@cache
def deployed_names() -> set[str]:
    """All names that the templates give, with the prefix podshare."""
    texts = [(ROOT / path).read_text(encoding="utf-8") for path in TEMPLATES]
    names = re.findall(r"(?:Name|RoleName|QueueName): !Sub(?:\n +-)? \"?([\w$\{\}/-]+)", "\n".join(texts))
    whole = {name.replace("${Prefix}", "podshare").rpartition("/")[2] for name in names}
    return whole | {name.removesuffix("-${Stack}") for name in whole}  # what a page names by its beginning


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_deployed_names_exist(page: Page) -> None:
    """Every table, function, role, policy, queue and alarm of podshare's that is named is in a template."""
    code = "\n".join((*page.spans, *page.commands))
    # what goes on with a placeholder or a hash is a name that podshare gives to a team's things
    named = set(re.findall(r"(?<![\w-])podshare-[a-z]+(?:-[a-z]+)*(?![\w-]*[<*]|-?[\w*<])", code))
    made_for_teams = {"podshare-vision-scientist", "podshare-system", "podshare-vision", "podshare-first-job"}
    distributions = {"podshare-sandbox"}

    assert named - made_for_teams - distributions - STACKS <= deployed_names(), page


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_environment_variables_exist(page: Page) -> None:
    """Every PODSHARE_… variable that is named is one that the functions get, or that the command reads."""
    given = re.findall(r"^ +(PODSHARE_\w+):", (ROOT / "template.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    for path in (ROOT / "podshare_cli").rglob("*.py"):
        given += re.findall(r'envvar="(PODSHARE_\w+)"', path.read_text(encoding="utf-8"))

    assert set(re.findall(r"PODSHARE_\w+", page.text)) <= set(given)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_records_are_acceptable(page: Page) -> None:
    """Every record that is shown could be put as it stands."""
    for block in page.blocks("yaml"):
        for record in yaml.safe_load_all(block):
            assert parse(record)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_nothing_of_this_machine_is_named(page: Page) -> None:
    """No page names a path of the machine that it was written on."""
    assert not re.search(r"(?<![\w.$/])/(work|root|tmp|home|Users)/", page.text)


def test_decisions_are_numbered_in_order() -> None:
    """Decision records have numbers of their own, in their file names as in their titles, and say what was decided."""
    assert len({page.path.name[:4] for page in DECISIONS}) == len(DECISIONS)
    for page in DECISIONS:
        assert page.text.startswith(f"# {page.path.name[:4]}: "), page
        assert re.search(r"^Decided: ", page.text, re.MULTILINE), page


@pytest.mark.parametrize(("newer", "older"), [("supersedes", "Superseded"), ("amends", "Amended")])
def test_decisions_name_each_other(newer: str, older: str) -> None:
    """A decision that supersedes or amends another one is named there, and names it."""
    link = "[{0:.4}]({0})".format
    stated = {(link(page.path.name), at) for page in DECISIONS for at in decisions_page.predecessors(page, newer)}
    answered = {(at, link(page.path.name)) for page in DECISIONS for at in decisions_page.successors(page, older)}
    assert stated
    assert stated == answered


@pytest.mark.parametrize(
    "rendered",
    [command_page, decisions_page, registry_page, records_schema, events_schema, event_registry, benchmarks_page],
    ids=["command", "decisions", "registry", "schema", "events", "event registry", "benchmarks"],
)
def test_generated_pages_are_what_the_code_says(rendered: ModuleType, request: pytest.FixtureRequest) -> None:
    """Pages that are generated differ in nothing from what they are generated from (make golden writes them anew)."""
    text = rendered.page()
    if request.config.getoption("--update-golden"):
        rendered.PAGE.write_text(text, encoding="utf-8")
    assert rendered.PAGE.read_text(encoding="utf-8") == text


def test_the_schema_registry_is_what_eventbridge_takes() -> None:
    """Each schema is valid JSON Schema Draft 4, no longer and of no other type than the API reference allows.

    Beyond that the template is checked by cfn-lint alone (`make templates`): the sandbox has no schema registry.
    """
    model = ServiceModel(Loader().load_service_model("schemas", "service-2"))
    limits = model.operation_model("CreateSchema").input_shape
    resources = yaml.safe_load(event_registry.PAGE.read_text(encoding="utf-8"))["Resources"]
    schemas = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::EventSchemas::Schema"]
    names = {each["SchemaName"] for each in schemas}
    assert len(names) == len(schemas) == len(resources) - 1
    for schema in schemas:
        assert set(schema) <= set(limits.members)
        assert schema["Type"] in limits.members["Type"].enum
        assert len(schema["Content"]) <= limits.members["Content"].metadata["max"]
        assert re.fullmatch(r"[0-9A-Za-z_.@-]+", schema["SchemaName"])
        jsonschema.Draft4Validator.check_schema(json.loads(schema["Content"]))


def test_the_graph_of_the_machine_is_its_definition(request: pytest.FixtureRequest) -> None:
    """The architecture's graph has every state and transition of the machine (make golden draws it anew)."""
    (drawn,) = ARCHITECTURE.blocks("mermaid")
    if request.config.getoption("--update-golden"):
        path, text = ARCHITECTURE.path, ARCHITECTURE.text
        path.write_text(text.replace(drawn, machine_graph.graph()), encoding="utf-8")
    assert Page(ARCHITECTURE.path).blocks("mermaid") == [machine_graph.graph()]


def test_every_output_that_a_page_shows_is_compared() -> None:
    """A text block is what the last command of the shell block above it prints, and the test that types it says so."""
    showing = [page for page in PAGES if page.blocks("text") and page != README]  # tests/cli/test_demo.py compares that
    assert sorted(map(str, showing)) == sorted(name for names in COMPARED_BY.values() for name in names)
    for page in showing:
        assert len({output.command for output in page.outputs}) == len(page.blocks("text")), page
        assert max(len(output.text.splitlines()) for output in page.outputs) <= 20, page
    for test in COMPARED_BY:
        path, _, name = test.partition("::")
        assert re.search(
            rf"^def {name}\(.*\boutputs: Outputs\b", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE
        )


@pytest.mark.parametrize(
    ("printed", "shown", "now"),
    [
        ("a\nb\n", "old\n", "a\nb\n"),
        ("a 1.0 s\nb\nc\n", "x\n…\n", "a 1.0 s\n…\n"),
        ("a\nb\nc\n", "…\nx\n", "…\nc\n"),
        ("a\nb 1.0 s\nnew\nc\n", "…\nb 2.0 s\nold\n…\n", "…\nb 1.0 s\nnew\n…\n"),
        ("a\nb\n", "…\nb\na\n…\n", "…\na\nb\n…\n"),
    ],
)
def test_an_excerpt_keeps_the_places_that_a_page_has_chosen(printed: str, shown: str, now: str) -> None:
    """First and last lines stay first and last, and lines in between are found again though time has passed."""
    assert excerpt(printed, shown) == now


@pytest.mark.parametrize(
    ("one", "other", "are_alike"),
    [
        ("   1.5 s  vision  = READY", "  12.0 s  vision  = READY", True),
        ("verified 2 s ago", "verified 3 min ago", True),
        ("at 2026-11-30T15:41:07Z", "at 2026-12-01T00:00:00Z", True),
        (f"run vision-{'0a' * 16}", f"run vision-{'1b' * 16}", True),
        ("Plan: 2 to add", "Plan: 3 to add", False),
        ("role podshare-vision-f738d0b5", "role podshare-vision-149d0418", False),
        ("read back 18 resources", "read back 17 resources", False),
    ],
)
def test_what_another_run_prints_alike_is_steady(one: str, other: str, are_alike: bool) -> None:
    """Only what is another in each run does not count; counts and names do."""
    assert (steady(one) == steady(other)) == are_alike


def test_the_readme_is_a_door() -> None:
    """The README has at most 120 lines: what needs more has a page."""
    assert len(README.text.splitlines()) <= 120

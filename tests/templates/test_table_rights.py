"""Which function may do what with which rows of podshare's tables: every function is tried on every kind of row."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox.sandbox import Sandbox
from tests.docs.pages import ROOT, Page, code
from tests.templates.test_permissions import FUNCTIONS, MAY_ASSUME, denied, function

APPLYING = frozenset({"apply-identity", "apply-cluster", "apply-data", "apply-kubernetes"})
WORKING_OUT = APPLYING | {"plan-team", "dry-run", "compare-teams", "verify-team"}  # what a team is to have
PLANNING = frozenset({"plan-team", "dry-run", "compare-teams"})
READING = frozenset({"dry-run", "compare-teams"})  # what planners read, and write down nothing that others work by
ONE_FUNCTION = frozenset({"plan-team"})
NOBODY = frozenset[str]()


@dataclass(frozen=True)
class Rows:
    """The rows of an id, or of all that begin alike: what they tell, and which functions may do what with them."""

    parts: str
    reading: frozenset[str] = NOBODY
    writing: frozenset[str] = NOBODY
    deleting: frozenset[str] = NOBODY
    example: str = field(default="vision", kw_only=True)


# a new kind of row is a line here, and a statement in template.yaml for each function that needs it
STATE = {
    "organization": Rows(
        "accounts as Organizations tells them, who uses which, who lost access this hour, when all were listed",
        WORKING_OUT | {"registry-changed", "resource-changed", "read-account", "list-sweep", "summarize-sweep"},
        frozenset({"plan-team", "read-account", "list-sweep"}),
        ONE_FUNCTION,
    ),
    "team#": Rows(
        "what was accepted last, what is held back, which accounts are used, what ends, what was said of the deletion",
        # the lease and the inventory of versions before 0045 stand here too
        WORKING_OUT | {"lease-team", "resource-changed"},
        ONE_FUNCTION,
        ONE_FUNCTION,
    ),
    "cluster#": Rows("what was accepted last, the ARN and file systems that were found", WORKING_OUT, ONE_FUNCTION),
    "dataset#": Rows("what was accepted last", WORKING_OUT, ONE_FUNCTION | {"registry-changed"}),
    "block#": Rows("nothing: read in a batch with the registry, whose keys may count too", WORKING_OUT),
    "enrollment#": Rows("nothing: read in a batch with the registry, whose keys may count too", WORKING_OUT),
    "inventory#": Rows(
        "what podshare may have made for a team",
        WORKING_OUT | {"resource-changed"},
        APPLYING | ONE_FUNCTION,
        APPLYING | ONE_FUNCTION,
    ),
    "plan#": Rows("what a plan hands over to those who apply it", APPLYING, ONE_FUNCTION, ONE_FUNCTION),
    "freed#": Rows("namespaces that were seen empty", PLANNING, frozenset({"apply-kubernetes"})),
    "capacity#": Rows("quotas that were let through", PLANNING, ONE_FUNCTION),
    "proof": Rows(
        "proofs, their outlines, and who spanned a cluster at first",
        frozenset({"plan-team", "verify-team", "record-outcome"}) | PLANNING,
        frozenset({"plan-team", "verify-team", "compare-teams"}),
    ),
    "bucket#": Rows(
        "the teams' shares in a bucket's policy, and who writes it",
        frozenset({"apply-data", "plan-team", "verify-team", "resource-changed"}) | PLANNING,
        frozenset({"apply-data"}),
        frozenset({"apply-data"}),
    ),
    "edits": Rows(
        "what others wrote last into the policies of shared buckets",
        frozenset({"apply-data", "plan-team", "verify-team"}) | PLANNING,
        frozenset({"resource-changed"}),
    ),
    "role#": Rows(
        "the teams' shares in a person's role, and who changes it",
        frozenset({"apply-identity", "plan-team", "verify-team"}) | PLANNING,
        frozenset({"apply-identity"}),
        frozenset({"apply-identity"}),
    ),
    "scheduler#": Rows(
        "the teams' shares in a scheduler config, and who writes it",
        frozenset({"apply-cluster", "plan-team", "verify-team", "resource-changed"}) | PLANNING,
        frozenset({"apply-cluster"}),
        frozenset({"apply-cluster"}),
    ),
    "lease": Rows(
        "who reconciles a team",
        WORKING_OUT | {"lease-team", "record-outcome", "resource-changed", "sweep-team", "summarize-sweep"},
        frozenset({"lease-team", "plan-team", "record-outcome"}),
    ),
    "status": Rows(
        "how a team's last run ended",
        frozenset({"lease-team", "plan-team", "record-outcome", "list-sweep", "sweep-team", "summarize-sweep"})
        | {"compare-teams"},
        frozenset({"plan-team", "record-outcome", "compare-teams"}),
    ),
    "record": Rows("whether a record is acceptable", NOBODY, frozenset({"registry-changed"})),
    "pause#": Rows(
        "the teams that wait for the end of a pause",
        frozenset({"registry-changed", "lease-team"}),
        frozenset({"lease-team"}),
        frozenset({"registry-changed"}),
        example="all",
    ),
    "sweep": Rows("what the last sweep found", NOBODY, frozenset({"summarize-sweep"})),
    "unwritten": Rows(
        "what the history's bucket has not taken yet",
        frozenset({"summarize-sweep"}),
        frozenset({"record-outcome", "registry-changed", "compare-teams"}),
        frozenset({"summarize-sweep"}),
    ),
    "other#": Rows("nothing that podshare knows"),
}
REGISTRY = WORKING_OUT | {"registry-changed", "lease-team", "read-account", "list-sweep"}


def test_the_decision_lists_who_writes_which_rows() -> None:
    """The table of the decision about these rights has every kind of row that is written, and by whom."""
    reported: dict[str, set[str]] = {}
    for ids, _, writers in Page(ROOT / "docs/decisions/0045-rights-by-rows.md").table("Decision"):
        who = set(re.findall(r"[a-z]+-[a-z]+", re.sub(r"\(.*?\)\)?", "", writers))) | (
            APPLYING if "the four that apply" in writers else NOBODY
        )
        for item_id in code(ids):
            own = STATE[kind_of(item_id)].writing if writers == "the one that changes it" else who
            reported[kind_of(item_id)] = {*own}

    assert reported == {item_id: {*rows.writing, *rows.deleting} for item_id, rows in STATE.items() if rows.writing}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The organization with podshare's stacks."""
    with Sandbox(time_scale=0.001) as running:
        deploy_podshare(running)
        yield running


def kind_of(item_id: str) -> str:
    """The kind of the rows of an id."""
    return f"{item_id.partition('#')[0]}#" if "#" in item_id else item_id


def calls(table: str, key: dict[str, Any]) -> dict[str, tuple[tuple[str, dict[str, Any]], ...]]:
    """Every way to read, write and delete one row, by DynamoDB's client."""
    item_id = {"KeyConditionExpression": "id = :id", "ExpressionAttributeValues": {":id": key["id"]}}
    change = {"UpdateExpression": "SET tags = :tags", "ExpressionAttributeValues": {":tags": {"M": {}}}}
    condition = {"ConditionExpression": "attribute_exists(id) OR attribute_not_exists(id)"}
    named = {"TableName": table}
    return {
        "read": (
            ("get_item", {**named, "Key": key}),
            ("query", {**named, **item_id}),
            ("batch_get_item", {"RequestItems": {table: {"Keys": [key]}}}),
            ("transact_get_items", {"TransactItems": [{"Get": {**named, "Key": key}}]}),
            ("transact_write_items", {"TransactItems": [{"ConditionCheck": {**named, "Key": key, **condition}}]}),
        ),
        "write": (
            ("put_item", {**named, "Item": key}),
            ("update_item", {**named, "Key": key, **change}),
            ("batch_write_item", {"RequestItems": {table: [{"PutRequest": {"Item": key}}]}}),
            ("transact_write_items", {"TransactItems": [{"Put": {**named, "Item": key}}]}),
            ("transact_write_items", {"TransactItems": [{"Update": {**named, "Key": key, **change}}]}),
        ),
        "delete": (
            ("delete_item", {**named, "Key": key}),
            ("batch_write_item", {"RequestItems": {table: [{"DeleteRequest": {"Key": key}}]}}),
            ("transact_write_items", {"TransactItems": [{"Delete": {**named, "Key": key}}]}),
        ),
    }


def allowed(dynamodb: Any, table: str, key: dict[str, Any]) -> set[str]:
    """What of reading, writing and deleting IAM allows in any way."""
    ways = calls(table, key).items()
    return {what for what, tried in ways if any(not denied(getattr(dynamodb, name), **given) for name, given in tried)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_touches_the_rows_of_its_own_work_alone(sandbox: Sandbox, name: str) -> None:
    """Each function reads, writes and deletes those kinds of rows of the state that the table above gives it."""
    dynamodb = function(sandbox, name)("dynamodb")
    expected = {
        kind: {
            what
            for what, who in (("read", rows.reading), ("write", rows.writing), ("delete", rows.deleting))
            if name in who
        }
        for kind, rows in STATE.items()
    }
    found = {}
    for kind, rows in STATE.items():
        key = {"id": {"S": kind + rows.example if kind.endswith("#") else kind}, "part": {"S": "tried"}}
        found[kind] = allowed(dynamodb, "podshare-state", key)
    assert found == expected


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_function_reads_the_state_whole(sandbox: Sandbox, name: str) -> None:
    """A Scan tells no keys that a role could be held to, and a batch is refused for one row that is not the role's."""
    dynamodb = function(sandbox, name)("dynamodb")
    assert denied(dynamodb.scan, TableName="podshare-state")
    keys = [{"id": {"S": item_id}, "part": {"S": "tried"}} for item_id in ("organization", "other#vision")]
    assert denied(dynamodb.batch_get_item, RequestItems={"podshare-state": {"Keys": keys}})


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_function_writes_the_registry(sandbox: Sandbox, name: str) -> None:
    """Functions read the registry, where they need it; people alone write it."""
    dynamodb = function(sandbox, name)("dynamodb")
    found = allowed(dynamodb, "podshare-registry", {"id": {"S": "team#vision"}})
    if not denied(dynamodb.scan, TableName="podshare-registry"):
        found.add("read")
    assert found == ({"read"} if name in REGISTRY else set())


def test_who_writes_facts_about_the_organization_reads_it() -> None:
    """Accounts with their tags and units are written by the functions that ask Organizations, but for those that compare.

    A dry run writes nothing, and a comparison only that a team is as it was.
    """
    assert STATE["organization"].writing == {name for name, work in MAY_ASSUME if work == "organization"} - READING
    written = {name: {kind for kind, rows in STATE.items() if name in rows.writing | rows.deleting} for name in READING}
    assert written == {"dry-run": set(), "compare-teams": {"proof", "status", "unwritten"}}


def test_who_applies_writes_nothing_that_lets_somebody_in() -> None:
    """A function that applies writes the inventory, the document that it changes, and which namespaces it saw empty."""
    written = {kind for kind, rows in STATE.items() if APPLYING & (rows.writing | rows.deleting)}
    assert written == {"inventory#", "freed#", "bucket#", "role#", "scheduler#"}

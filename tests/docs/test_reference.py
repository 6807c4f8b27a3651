"""The reference tables say what the code says: fields, states, events, alarms, parameters, functions, roles, limits."""

import ast
import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from podshare.access import isolation
from podshare.installation import Installation
from podshare.kinds import limits, names
from podshare.kinds.access_entry.shape import NAMESPACE_POLICIES
from podshare.kinds.base import Stage
from podshare.reconcile import applying
from podshare.reconcile.gathering import MOST_UNKNOWN
from podshare.reconcile.lifecycle import MOST_TEAMS
from podshare.reconcile.outcome import TeamState
from podshare.reconcile.plan import MOST_CHANGES, MOST_ORPHANED
from podshare.reconcile.recording import MOST_WAITS
from podshare.reconcile.sweeping import LONGEST_REASON, MOST_ITEMS, MOST_REASONS, OUTCOMES
from podshare.reconcile.triggers import MOST_ATTEMPTS
from podshare.registry import records
from podshare.registry.accounts import Account
from podshare.registry.templates import DISPLAY, FIGURES
from podshare_cli.commands.account import AccountState
from podshare_sandbox import new_accounts, organization
from podshare_sandbox.cloudformation import template
from tests.docs.pages import DEPLOY, LIMITS, OPERATIONS, README, REGISTRY, ROOT, SANDBOX, SECURITY, UPGRADE, code
from tests.docs.registry_page import MODELS

HUB = template.read(ROOT / "template.yaml")
MEMBER = template.read(ROOT / "accounts/member.yaml")
CLUSTER = template.read(ROOT / "accounts/cluster.yaml")
MANAGEMENT = template.read(ROOT / "accounts/management.yaml")
DRIFT = template.read(ROOT / "accounts/drift.yaml")
INSTALLATION = Installation("podshare", "aws", "111111111111", "us-west-2", "o-example", "us-east-1")
# parsed, because importing it takes longer than all of these tests
SANDBOX_MODULE = ast.parse((ROOT / "sandbox/podshare_sandbox/sandbox.py").read_text(encoding="utf-8"))

# of the other accounts, by their names
STACKS = {
    "podshare-member": MEMBER,
    "podshare-management": MANAGEMENT,
    "podshare-cluster": CLUSTER,
    "podshare-drift": DRIFT,
}


def name(text: Any) -> str:
    """A name in a template, with the prefix podshare; CloudFormation's functions are dicts here."""
    value = text["Fn::Sub"] if isinstance(text, dict) else text
    return str(value).replace("${Prefix}", "podshare")


def of_type(resource_type: str, where: Any = HUB) -> list[dict[str, Any]]:
    return [r["Properties"] for r in where["Resources"].values() if r["Type"] == resource_type]


# ---- the registry ---------------------------------------------------------------------------------------------


def test_fields_of_every_record_are_told() -> None:
    """What all records have in common stands in one table."""
    common = {field.alias or key for key, field in records.Cluster.model_fields.items()} & {
        "schema",
        "changed_by",
        "change",
    }

    assert {code(row[0])[0] for row in REGISTRY.table("What every record has")} == {"id", *common}


def test_limits_of_fields_are_told() -> None:
    """The greatest lengths and numbers that the models allow stand with their fields."""
    for heading, model in MODELS.items():
        rows = {code(row[0])[0]: row[3] for row in REGISTRY.table(heading)}
        schema = model.model_json_schema(by_alias=True)["properties"]
        for field, cell in rows.items():
            alternatives = [schema[field], *schema[field].get("anyOf", [])]
            for limit in ("maxItems", "maximum", "minItems"):
                for found in (one[limit] for one in alternatives if one.get(limit, 0) not in (0, 10_000_000)):
                    assert f"{found:,}" in cell, f"{heading} {field}: {limit} {found}"


def test_access_levels_and_their_policies_are_told() -> None:
    """Each level of access stands with the EKS access policy that it gives."""
    rows = {code(row[0])[0]: row[1] for row in REGISTRY.tables("`team#<name>`")[1]}

    assert rows.keys() == set(records.Access)
    for access, policy in NAMESPACE_POLICIES.items():
        assert code(rows[access])[0] == policy


def test_placeholders_are_told_where_they_may_stand() -> None:
    """Each placeholder stands with the fields that take it, and no other field does."""
    rows = {code(row[0])[0]: code(row[2]) for row in REGISTRY.table("Placeholders")}

    assert rows.keys() == {"${account.id}", "${account.name}", "${account.tags.KEY}"}
    for placeholder, fields in rows.items():
        fact = placeholder.removeprefix("${").removesuffix("}")
        assert ("quota" in fields) == bool(FIGURES.fullmatch(fact)), placeholder
        assert ({"owner", "reason"} <= {*fields}) == bool(DISPLAY.fullmatch(fact)), placeholder


def test_lengths_of_names_are_told() -> None:
    """The longest names of records, of teams and of enrollments."""
    longest = {
        model: model.model_json_schema()["properties"]["name"]["maxLength"]
        for model in (records.Dataset, records.Team, records.Enrollment)
    }
    told = REGISTRY.section("What every record has")

    assert f"at most {longest[records.Dataset]} characters, a team's at most {longest[records.Team]} " in told
    assert f"an enrollment's at most {longest[records.Enrollment]}." in told


def test_statuses_are_told() -> None:
    """The table of statuses has those of teams, and the one of records that only are judged."""
    rows = REGISTRY.table("Statuses")

    assert {code(row[0])[0] for row in rows} == {*TeamState, "ACCEPTED"}


def test_statuses_that_are_named_exist() -> None:
    """No page names a status that podshare does not write."""
    known = {
        *TeamState,
        *AccountState,
        "ACCEPTED",
        "FAILED",
        "KEY",
        "ARN",
        "CONFIG_MAP",
        "API",
        "API_AND_CONFIG_MAP",
        "GOVERNANCE",
        "NAME",
    }
    for page in (README, DEPLOY, UPGRADE, LIMITS, REGISTRY, OPERATIONS, SECURITY):
        named = {span for span in page.spans if re.fullmatch(r"[A-Z]+(_[A-Z]+)*", span)}
        named -= {span for span in named if span.startswith(("AWS_", "HTTPS_"))}
        assert named <= known, page


# ---- operations ---------------------------------------------------------------------------------------------


def states(machine: Any) -> set[str]:
    """The names of all states, nested ones among them."""
    found: set[str] = set()
    if isinstance(machine, dict):
        found |= set(machine.get("States", {}))
        for value in machine.values():
            found |= states(value)
    elif isinstance(machine, list):
        found |= {name for value in machine for name in states(value)}
    return found


@pytest.mark.parametrize(
    ("heading", "number", "name_of_machine"),
    [
        ("States", 0, "reconcile_team"),
        ("Following the organization", 1, "account_lifecycle"),
        ("The sweep", 0, "sweep_teams"),
    ],
)
def test_states_are_told(heading: str, number: int, name_of_machine: str) -> None:
    """The table of states of each machine has every state, and no other."""
    machine = yaml.safe_load((ROOT / f"statemachines/{name_of_machine}.asl.yaml").read_text(encoding="utf-8"))

    told = [state for row in OPERATIONS.tables(heading)[number] for state in code(row[0])]

    assert sorted(told) == sorted(states(machine))


def test_events_are_told() -> None:
    """The table of events has each that a rule forwards, and no other."""
    forwarded = [
        event
        for rule in of_type("AWS::Events::Rule", MANAGEMENT)
        for event in rule["EventPattern"]["detail"]["eventName"]
    ]

    told = [event for row in OPERATIONS.tables("Following the organization")[0] for event in code(row[0])]

    assert sorted(told) == sorted(forwarded)


def test_states_of_accounts_are_told() -> None:
    """The table of account states has each, and says of the active one alone that it takes part."""
    rows = {code(row[0])[0]: row[1] for row in OPERATIONS.table("States of an account")}

    assert rows.keys() == {*AccountState}
    assert {state: Account("555555555555", state=state).takes_part for state in rows} == {
        state: takes_part == "yes" for state, takes_part in rows.items()
    }


def test_parts_of_the_organization_are_told() -> None:
    """The table of what is known of the organization has every part of that id which the code names."""
    sources = "".join(
        (ROOT / "functions/podshare/reconcile" / name).read_text(encoding="utf-8")
        for name in ("organization_accounts.py", "sweeping.py")
    )
    named = {*re.findall(r'ORGANIZATION, f?"(\w+)', sources), *re.findall(r'return f"(\w+)#\{account\}"', sources)}

    told = {code(row[0])[0].partition("#")[0] for row in OPERATIONS.tables("States of an account")[1]}

    assert told == named


def test_the_summary_of_a_sweep_is_told() -> None:
    """The tables of a summary have its fields and its counts, and the text its limits."""
    fields, counts = OPERATIONS.tables("The sweep")[1:]

    assert [code(row[0])[0] for row in fields] == ["at", "counts", "accounts", "reasons", "failed", "history"]
    assert sorted(code(row[0])[0] for row in counts) == sorted(OUTCOMES)
    told = OPERATIONS.section("The sweep")
    for number in (f"at most {MOST_REASONS}", f"of {LONGEST_REASON} characters", f"up to {MOST_ITEMS:,} accounts"):
        assert number in told


def test_what_is_told_of_concurrency_and_patience_is_the_machines() -> None:
    """How many accounts and teams at once, and how often a sweep looks at a team."""
    machine = (ROOT / "statemachines/sweep_teams.asl.yaml").read_text(encoding="utf-8")
    rows = {state: row[1] for row in OPERATIONS.table("The sweep") for state in code(row[0])}

    assert re.findall(r"MaxConcurrency: .*min\(\[(\d+),", machine) == ["5", "10"]
    assert "up to five at once" in rows["ReadAccounts"]
    assert "up to ten at once" in rows["ReconcileTeams"]
    (looks,) = re.findall(r"looks < (\d+)", machine)
    ((first, longest),) = re.findall(r"Seconds: .*\[(\d+) \* \$looks, (\d+)\]", machine)
    assert f"checked after {first} s, then at growing intervals up to {longest} s, {looks} times" in rows["SweepTeam"]


def test_queues_are_told() -> None:
    """The table of dead-letter queues has every queue, and where it is."""
    queues = {name(queue["QueueName"]): "hub" for queue in of_type("AWS::SQS::Queue")}
    queues |= {name(queue["QueueName"]): "management" for queue in of_type("AWS::SQS::Queue", MANAGEMENT)}
    queues |= {name(queue["QueueName"]): "drift" for queue in of_type("AWS::SQS::Queue", DRIFT)}

    assert {code(row[0])[0]: row[1].split(" ")[0] for row in OPERATIONS.table("Dead-letter queues")} == queues


def test_stages_are_told_in_their_order() -> None:
    """The stages of a revocation stand in the order in which they cut."""
    stages = [stage.name.lower() for stage in sorted(Stage)]

    told = [span for span in re.findall(r"`(\w+)`", OPERATIONS.section("How a reconciliation runs")) if span in stages]

    assert told == stages


def test_alarms_are_told() -> None:
    """The table of alarms has those of the templates, and no other."""
    alarms = [
        name(alarm["AlarmName"])
        for where in (HUB, MANAGEMENT, DRIFT)
        for alarm in of_type("AWS::CloudWatch::Alarm", where)
    ]

    assert sorted(alarm for row in OPERATIONS.table("Alarms") for alarm in code(row[0])) == sorted(alarms)


def test_metrics_are_told() -> None:
    """One metric per outcome of a team, and of a sweep."""
    told = set(re.findall(r"`((?:Teams|Sweep)[A-Z]\w+)`", OPERATIONS.section("Reading an execution as an audit")))

    of_sweeps = {f"Sweep{outcome.title().replace('_', '')}" for outcome in OUTCOMES}
    assert told == {f"Teams{state.title()}" for state in TeamState} | of_sweeps


def test_figures_are_told() -> None:
    """The table of metrics has those that handlers name in full, each with the functions that emit it."""
    emitted: dict[str, set[str]] = {}
    for path in (ROOT / "functions/podshare/handlers").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.stem != "outcome_metrics" and "report_outcome" in text:
            text += (path.parent / "outcome_metrics.py").read_text(encoding="utf-8")
        for metric in re.findall(r'add_metric\(name="(\w+)"', text if path.stem != "outcome_metrics" else ""):
            emitted.setdefault(metric, set()).add(f"podshare-{path.stem.replace('_', '-')}")

    told = OPERATIONS.tables("Logs, metrics and traces")[1]
    assert {code(row[0])[0]: set(code(row[1])) for row in told} == emitted


def test_limits_are_told() -> None:
    """The table of limits has the numbers that are checked."""
    cells = {row[0]: row[1] for row in OPERATIONS.table("Quotas and limits")}
    numbers = (
        ("trust policy", limits.TRUST_POLICY),
        ("inline policies", limits.INLINE_POLICIES),
        ("access point policy", limits.ACCESS_POINT_POLICY),
        ("bucket policy", limits.BUCKET_POLICY),
        ("access entries", limits.ACCESS_ENTRIES),
        ("pod identity", limits.POD_IDENTITY_ASSOCIATIONS),
        ("access points of", limits.ACCESS_POINTS),
        ("changes of one run", MOST_CHANGES),
        ("accounts that one plan reads", MOST_UNKNOWN),
        ("accounts and teams of one page", MOST_ITEMS),
        ("teams of one page of an account's event", MOST_TEAMS),
        ("times that one execution waits", MOST_WAITS),
        ("runs in a row after failures", MOST_ATTEMPTS),
    )
    for beginning, number in numbers:
        (told,) = (value for what, value in cells.items() if what.startswith(beginning))
        assert told.split(" ")[0] == f"{number:,}", beginning


def test_what_runs_at_once_is_what_the_machines_calculate() -> None:
    """The table of concurrency has what the Maps' expressions give for each of its values."""
    of_a_team = (ROOT / "statemachines/reconcile_team.asl.yaml").read_text(encoding="utf-8")
    sweep = (ROOT / "statemachines/sweep_teams.asl.yaml").read_text(encoding="utf-8")
    (revocations,) = re.findall(
        r'revocations: "\{% \$min\(\[(\d+), \$floor\(\$\{LambdaConcurrency\} / (\d+)\)', of_a_team
    )
    (chains,) = re.findall(r'lanes: "\{% \$min\(\[(\d+), \$floor\(\$sqrt\(\$\{LambdaConcurrency\} / (\d+)', of_a_team)
    accounts, teams = re.findall(r"MaxConcurrency: .*\$min\(\[(\d+), \$floor\(\$\{LambdaConcurrency\} / (\d+)\)", sweep)
    (listing,) = re.findall(r"appliers:\n((?: +\w+: .*\n){2,}?) {4}\w", of_a_team)
    functions = len(listing.splitlines())  # each gets one batch of a stage, or of a batch of a chain

    def at_once(concurrency: int) -> list[int]:
        side_by_side = min(int(chains[0]), math.isqrt(concurrency // int(chains[1])))
        return [
            min(functions, int(revocations[0]), concurrency // int(revocations[1])),
            side_by_side * min(functions, side_by_side),
            max(1, min(int(accounts[0]), concurrency // int(accounts[1]))),
            max(1, min(int(teams[0]), concurrency // int(teams[1]))),
        ]

    rows = OPERATIONS.table("Lambda concurrency")
    assert functions == 4
    for column, concurrency in enumerate((10, 50, 500), start=1):
        assert [int(row[column]) for row in rows] == at_once(concurrency), concurrency
    assert "up to eight changes at once" in OPERATIONS.section("Lambda concurrency")
    assert applying._AT_ONCE == 8  # the page says it in a word


def test_statements_of_bucket_policies_are_told() -> None:
    """Whoever deletes podshare's statements by hand finds all of their Sids."""
    own = names.delegation_sid(INSTALLATION), names.file_system_sid(INSTALLATION, "111111111111", "fs-1")[:-8] + "…"

    for section in (OPERATIONS.section("Orphaned resources"), SECURITY.section("The member roles")):
        assert {*own} <= {*code(section)}


def test_how_much_is_told_of_what_is_left_behind() -> None:
    """A status tells of so many things and no more."""
    assert f"at most {MOST_ORPHANED}" in OPERATIONS.section("Orphaned resources")


def test_limits_of_one_team_are_those_of_the_code() -> None:
    """The page of limits has the same numbers."""
    for number in (records.MOST_MEMBERS, records.MOST_SERVICE_ACCOUNTS, MOST_CHANGES, limits.ACCESS_ENTRIES):
        assert re.search(rf"\b{number:,}\b", LIMITS.text), number


# ---- deployment ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heading", "where"),
    [
        ("2. The hub", HUB),
        ("3. The management account", MANAGEMENT),
        ("4. The member stack, in every account that takes part", MEMBER),
        ("5. Each cluster", CLUSTER),
        ("8. Immediate drift repair (optional)", DRIFT),
    ],
    ids=["hub", "management", "member", "cluster", "drift"],
)
def test_parameters_are_told(heading: str, where: Any) -> None:
    """The tables of parameters have those of the templates, with their defaults."""
    rows = {code(row[0])[0]: row[1] for row in DEPLOY.table(heading)}

    assert rows.keys() == where["Parameters"].keys()
    for parameter, about in where["Parameters"].items():
        default = about.get("Default")
        told = "required" if default is None else "empty" if default == "" else f"`{default}`"
        assert rows[parameter] == told, parameter


def test_parameters_in_commands_exist() -> None:
    """Every parameter that a deployment command sets is one of the stack's."""
    for command in (*DEPLOY.commands, *UPGRADE.commands):
        given = re.findall(r"(?:ParameterKey=|(?<=\s))([A-Z]\w+)(?:=|,)", command)
        own = next((where for stack, where in STACKS.items() if stack in command), HUB)
        if "--parameter" in command:
            known = {parameter for where in (HUB, *STACKS.values()) for parameter in where["Parameters"]}
            assert {*given} & known <= own["Parameters"].keys()
            assert given


def test_commands_that_make_a_stack_give_what_it_requires() -> None:
    """Each stack's first command names every required parameter."""
    for stack, where in {**STACKS, "sam deploy": HUB}.items():
        required = {parameter for parameter, about in where["Parameters"].items() if "Default" not in about}
        first = next(command for command in DEPLOY.commands if stack in command and "--parameter" in command)
        assert required <= {*re.findall(r"(\w+)(?==)", first), *re.findall(r"ParameterKey=(\w+)", first)}, stack


def test_outputs_that_are_named_exist() -> None:
    """The outputs that tell the other stacks' parameters are there."""
    for output in ("MemberStackParameters", "ManagementStackParameters", "DriftStackParameters"):
        assert output in DEPLOY.spans
        assert output in HUB["Outputs"]


# ---- security -----------------------------------------------------------------------------------------------


def roles(where: Any) -> dict[str, dict[str, Any]]:
    return {name(role["RoleName"]): role for role in of_type("AWS::IAM::Role", where)}


def statements(role: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements of a role's inline policies; what hangs on a condition is the second part of an If."""
    policies = [policy["Fn::If"][1] if "Fn::If" in policy else policy for policy in role["Policies"]]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def test_functions_are_told() -> None:
    """The table of functions has every function, with the rows that it may write and the roles that it may assume."""
    functions = {name(function["FunctionName"]) for function in of_type("AWS::Serverless::Function")}
    rows = {code(row[0])[0]: row for row in SECURITY.table("The hub's functions")}

    assert rows.keys() == functions
    for function, row in rows.items():
        own = statements(roles(HUB)[function])
        assumed = [name(one["Resource"]).rpartition("/")[2] for one in own if one["Action"] == "sts:AssumeRole"]
        if {"Ref": "OrganizationPolicy"} in roles(HUB)[function]["ManagedPolicyArns"]:
            assumed.append("podshare-organization")
        assert code(row[2]) == assumed, function
        does = {action for one in own for action in listed(one["Action"])}
        assert ("executions" in row[3]) == any(action.startswith("states:") for action in does), function
        assert ("starts" in row[3]) == ("states:StartExecution" in does), function
        assert {*code(row[1].partition("deletes")[0])} == written(own), function


def written(statements: list[dict[str, Any]]) -> set[str]:
    """The ids of the rows that statements let a function write."""
    ids: set[str] = set()
    for one in statements:
        if {"dynamodb:PutItem", "dynamodb:UpdateItem"} & {*listed(one["Action"])}:
            for tests in one["Condition"].values():
                ids |= {*listed(tests["dynamodb:LeadingKeys"])} - {"false"}
    return ids


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_no_function_writes_the_registry() -> None:
    """As the page says: no function's role may change the registry."""
    for function, role in roles(HUB).items():
        for one in statements(role):
            if one["Resource"] == {"Fn::GetAtt": ["RegistryTable", "Arn"]} or one["Resource"] == {
                "Fn::GetAtt": "RegistryTable.Arn"
            }:
                actions = [one["Action"]] if isinstance(one["Action"], str) else one["Action"]
                assert set(actions) <= {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Scan"}, function


def test_member_roles_are_told() -> None:
    """The table of member roles has every one, with the functions that its trust names, or EventBridge."""
    rows = {code(row[0])[0]: row for row in SECURITY.table("The member roles")}

    assert rows.keys() == roles(MEMBER).keys()
    assert rows.pop("podshare-forward-drift")[1] == "EventBridge"
    for role in rows:
        about = roles(MEMBER)[role]
        (trust,) = about["AssumeRolePolicyDocument"]["Statement"]
        arns = trust["Condition"]["ArnEquals"]["aws:PrincipalArn"]
        trusted = [name(arn).rpartition("/")[2] for arn in (arns if isinstance(arns, list) else [arns])]
        assert code(rows[role][1]) == trusted, role


def test_roles_of_the_management_account_are_told() -> None:
    """The table of its roles has both, the reading one with the functions that its trust names."""
    rows = {code(row[0])[0]: row for row in SECURITY.table("The organization")}

    assert rows.keys() == roles(MANAGEMENT).keys()
    (trust,) = roles(MANAGEMENT)["podshare-organization"]["AssumeRolePolicyDocument"]["Statement"]
    trusted = [name(arn).rpartition("/")[2] for arn in trust["Condition"]["ArnEquals"]["aws:PrincipalArn"]]
    assert code(rows["podshare-organization"][1]) == trusted


def test_isolation_rules_are_told() -> None:
    """The list of isolation rules has each rule that verification can report, in its words."""
    source = Path(isolation.__file__).read_text(encoding="utf-8")
    rules = re.findall(r'(?:yield |Violation\(resource\.key, )"([^"]+)"', source)

    told = re.findall(r"^- (.+)$", SECURITY.section("Isolation").partition("What this does not cover")[0], re.MULTILINE)

    assert rules
    assert sorted(told) == sorted(set(rules))


# ---- the sandbox --------------------------------------------------------------------------------------------


def test_accounts_of_the_sandbox_are_told() -> None:
    """The table of accounts is the organization, with cluster and buckets."""
    table = SANDBOX.table("The organization")

    assert {code(row[0])[0] for row in table} == set(organization.ACCOUNTS)
    text = SANDBOX.section("The organization")
    for unit in organization.UNITS:
        assert {code(row[0])[0] for row in table if unit.id in row[2]} == unit.accounts.keys()
    assert f"{new_accounts.created_account(1)}, {new_accounts.created_account(2)}" in text
    for fact in (
        organization.ROOT_ID,
        organization.EKS_CLUSTER,
        organization.HYPERPOD_CLUSTER,
        organization.ORGANIZATION_ID,
        *organization.OBJECTS,
    ):
        assert f"`{fact}`" in text
    for kind, count in organization.INSTANCE_GROUPS.items():
        assert f"{count} `{kind}`" in text


def test_what_is_not_emulated_is_told() -> None:
    """Each limit that the sandbox prints stands on the page, in the same words."""
    (printed,) = (
        ast.literal_eval(node.value)
        for node in SANDBOX_MODULE.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "_LIMITS"
    )
    told = SANDBOX.section("What is not emulated")

    assert printed
    for limit in printed:
        assert f"- {limit}\n" in told


def test_the_python_interface_is_the_sandboxs() -> None:
    """What the page calls on a sandbox, its class has."""
    (sandbox,) = (node for node in SANDBOX_MODULE.body if isinstance(node, ast.ClassDef))
    has = {node.name for node in sandbox.body if isinstance(node, ast.FunctionDef)}

    assert set(re.findall(r"(?<![\w./])sandbox\.([a-z]\w+)", SANDBOX.text)) <= has

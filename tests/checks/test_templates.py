"""What every template must hold and no linter says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podshare_sandbox.cloudformation import template
from tests.checks.expanded_template import ROOT, expanded

TEMPLATES = [ROOT / "template.yaml", *sorted((ROOT / "accounts").glob("*.yaml"))]
WITH_ROLES = [path for path in TEMPLATES if "AWS::IAM::Role" in path.read_text(encoding="utf-8")]


def trust_statements(resources: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for logical_id, resource in resources.items():
        if resource["Type"] == "AWS::IAM::Role":
            for statement in resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
                yield logical_id, statement


@pytest.mark.parametrize("path", WITH_ROLES, ids=lambda path: path.name)
def test_no_role_trusts_everybody(path: Path) -> None:
    """No trust policy allows principal ``*``, alone or among others: cfn-lint lets it pass."""
    resources = expanded()["Resources"] if path.name == "template.yaml" else template.read(path)["Resources"]
    statements = list(trust_statements(resources))
    assert statements

    for logical_id, statement in statements:
        principal = statement["Principal"]
        named = principal.values() if isinstance(principal, dict) else [principal]
        assert statement["Effect"] == "Deny" or not any("*" in (n if isinstance(n, list) else [n]) for n in named), (
            logical_id
        )


def test_functions_are_built_alike() -> None:
    """Every function has the shared code and functions/Makefile as its builder, so that all are one package."""
    source = template.read(ROOT / "template.yaml")
    functions = {name: r for name, r in source["Resources"].items() if r["Type"] == "AWS::Serverless::Function"}

    assert functions
    assert source["Globals"]["Function"]["CodeUri"] == "functions/"
    for logical_id, function in functions.items():
        assert function.get("Metadata") == {"BuildMethod": "makefile"}, logical_id
        assert "CodeUri" not in function["Properties"], logical_id

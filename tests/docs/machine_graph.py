"""Draws the state machine of a reconciliation as a Mermaid graph, from its definition."""

from collections.abc import Iterator
from typing import Any

import yaml

from tests.docs.pages import ROOT

DEFINITION = ROOT / "statemachines" / "reconcile_team.asl.yaml"


def graph() -> str:
    """The machine: its states with their transitions, errors dotted; states inside of a Map are left to their Map."""
    states = yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))["States"]
    return "\n".join(["flowchart LR", *_nodes(states), *_edges(states)]) + "\n"


def _nodes(states: dict[str, Any]) -> Iterator[str]:
    for name, state in states.items():
        left, right = {"Choice": "{}", "Task": ("[", "]"), "Map": ("[[", "]]")}.get(state["Type"], ("(", ")"))
        yield f"  {name}{left}{name}{right}"


def _edges(states: dict[str, Any]) -> Iterator[str]:
    for name, state in states.items():
        choices = [choice["Next"] for choice in state.get("Choices", ())]
        for target in dict.fromkeys([*choices, state.get("Default"), state.get("Next")]):
            if target:
                yield f"  {name} --> {target}"
        for target in dict.fromkeys(catch["Next"] for catch in state.get("Catch", ())):
            yield f"  {name} -.-> {target}"

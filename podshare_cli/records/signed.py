"""Records that a command writes for its caller and signs with the caller's name: approvals, blocks and the pause."""

import re
from typing import Any

from podshare.registry.parsing import problems_of
from podshare_cli.aws.connection import Connection
from podshare_cli.failures import invalid
from podshare_cli.records import provenance, writes

Item = dict[str, Any]


def approval(connection: Connection, team: str, plan: str, reason: str) -> Item:
    """The record by which the caller agrees that a team loses what a plan takes from it."""
    return {"id": f"approval#{team}", "schema": 1, "plan": plan, "owner": owner_of(connection), "reason": reason}


def owner_of(connection: Connection) -> str:
    """The caller as the owner of a record, which knows fewer characters than the name of a session."""
    return re.sub(r"[^\w .:/=+\-@]", "_", connection.caller)[:256]


def write(connection: Connection, item: Item, refused: str = "") -> None:
    """Write a record of the caller's own, signed with the caller's ARN. Raises Failure if it is invalid."""
    if problems := problems_of(item):
        message = refused or f"{item['id']} cannot be written."
        raise invalid(message, problems=[problem.as_dict() for problem in problems])
    writes.write_item(connection, item, provenance.of_files())

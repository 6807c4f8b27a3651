"""podshare's two tables, as an admin sees them: the registry to read and write, the state to read."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from podshare.aws.rows import RECORDS, STATUSES, SWEEP, UNWRITTEN, from_item
from podshare.registry.items import PAUSE_ID
from podshare_cli.aws.connection import Connection

Item = dict[str, Any]
GONE = ("DELETED", "ENDED")  # a team in one of these states has nothing left
ORGANIZATION = "organization"  # the id of all rows about accounts
_MOST_KEYS = 100  # of one BatchGetItem (DynamoDB quotas)
_OPERATED = ("approval#", "block#", "pause#")  # the records that operators write
# reasons of a cancelled transaction: the record has changed, or is being written (DynamoDB, TransactWriteItems)
_TRY_AGAIN = {"None", "ConditionalCheckFailed", "TransactionConflict", "ThrottlingError"}


@dataclass(frozen=True)
class Registry:
    """The records that people write."""

    connection: Connection

    def get(self, record_id: str) -> Item | None:
        """One record, or None."""
        return self.get_all([record_id]).get(record_id)

    def get_all(self, ids: Iterable[str]) -> dict[str, Item]:
        """Those of the records that exist, by id."""
        return {record_id: from_item(item) for record_id, item in self.stored(ids).items()}

    def stored(self, ids: Iterable[str]) -> dict[str, Item]:
        """Those of the records that exist, by id, each with its attributes as DynamoDB has them."""
        wanted = sorted(set(ids))
        stored: dict[str, Item] = {}
        while wanted:
            asked, wanted = wanted[:_MOST_KEYS], wanted[_MOST_KEYS:]
            answer = self._client.batch_get_item(
                RequestItems={
                    self._table: {"Keys": [{"id": {"S": record_id}} for record_id in asked], "ConsistentRead": True}
                }
            )
            stored |= {str(item["id"]["S"]): item for item in answer["Responses"].get(self._table, [])}
            left = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            wanted = [str(key["id"]["S"]) for key in left] + wanted
        return stored

    def blocks(self, accounts: Iterable[str]) -> dict[str, Item]:
        """Those of these accounts that are blocked, with the record that says why and by whom."""
        records = self.get_all(f"block#{account}" for account in accounts)
        return {record_id.partition("#")[2]: item for record_id, item in records.items()}

    def all_of(self, *kinds: str) -> list[Item]:
        """Every record of some kinds, by id."""
        wanted = tuple(f"{kind}#" for kind in kinds)
        items = _paged(self._client, "scan", self._table, ConsistentRead=True)
        return sorted((item for item in items if item["id"].startswith(wanted)), key=lambda item: str(item["id"]))

    def transact(self, operations: Iterable[tuple[str, Item]]) -> bool:
        """Do all of some puts and deletes; False, and none is done, if a condition does not hold or others write too.

        Raises botocore's ClientError for any other reason.
        """
        parts = [{operation: {"TableName": self._table, **details}} for operation, details in operations]
        written = (part.get("Item") or part["Key"] for each in parts for part in each.values())
        self._needs_policy(str(item["id"]["S"]) for item in written)
        try:
            self._client.transact_write_items(TransactItems=parts)
        except self._client.exceptions.TransactionCanceledException as error:
            if not {reason.get("Code", "None") for reason in error.response["CancellationReasons"]} <= _TRY_AGAIN:
                raise
            return False
        return True

    def delete(self, record_id: str) -> bool:
        """Delete one record, whatever it says; whether it was there."""
        self._needs_policy([record_id])
        try:
            self._client.delete_item(
                TableName=self._table, Key={"id": {"S": record_id}}, ConditionExpression="attribute_exists(id)"
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _needs_policy(self, record_ids: Iterable[str]) -> None:
        """Keep which policy these writes need: a refusal does not name the records."""
        least = "operator" if all(record_id.startswith(_OPERATED) for record_id in record_ids) else "admin"
        self.connection.least = self.connection.least or least

    @property
    def _client(self) -> Any:
        return self.connection.client("dynamodb")

    @property
    def _table(self) -> str:
        return self.connection.registry_table


@dataclass(frozen=True)
class State:
    """What podshare has written down about records."""

    connection: Connection

    def status(self, record_id: str) -> Item | None:
        """How the last reconciliation of a team ended, or whether a dataset or cluster record is acceptable."""
        places = ((STATUSES, record_id), (RECORDS, record_id), (record_id, "status"))  # the last as before 0045
        return next(filter(None, (self._get(*place) for place in places)), None)

    def was_accepted(self, record_id: str) -> bool:
        """Whether a record was ever acceptable, also if it has been deleted."""
        return self._get(record_id, "accepted") is not None

    def accepted(self, record_id: str) -> Item | None:
        """The record that counts, as podshare last accepted it: the only one that an enrollment's team has."""
        row = self._get(record_id, "accepted")
        return _accepted_record(row) if row else None

    def statuses(self, kind: str) -> dict[str, Item]:
        """The statuses of all records of a kind, by name."""
        former = {str(item["id"]): item for item in self._scan(kind, "status")}  # as before 0045
        rows = {str(row["part"]): row for item_id in (RECORDS, STATUSES) for row in self._query(item_id, f"{kind}#")}
        return {record_id.partition("#")[2]: item for record_id, item in (former | rows).items()}

    def all_accepted(self, kind: str) -> dict[str, Item]:
        """The records of a kind that count, by name."""
        return {str(item["id"]).partition("#")[2]: _accepted_record(item) for item in self._scan(kind, "accepted")}

    def held(self) -> dict[str, Item]:
        """What each team that is held back waits for: the plan's ``hash``, and ``since`` when."""
        return {str(item["id"]).partition("#")[2]: item for item in self._scan("team", "held")}

    def waiting_for_resume(self) -> list[str]:
        """The teams that a reconciliation was requested for while podshare is paused."""
        return [str(row["team"]) for row in self._query(PAUSE_ID, "waiting#")]

    def resources(self, team: str) -> Iterator[str]:
        """The keys of everything that podshare may have made for a team: ``kind|account|region|container|name``."""
        return (str(item["key"]) for item in self._inventory(team))

    def seen(self, team: str) -> set[str]:
        """The keys of those that were there, and podshare's, when they were last read."""
        return {str(item["key"]) for item in self._inventory(team) if item.get("identity")}

    def accounts(self) -> list[Item]:
        """The organization's accounts, and those that have left it, by id."""
        return list(self._query(ORGANIZATION, "account#"))

    def account(self, account: str) -> Item | None:
        """One account, or None if podshare has never read it."""
        return self._get(ORGANIZATION, f"account#{account}")

    def uses(self, account: str = "") -> Iterator[tuple[str, str]]:
        """Which team has something for which account, or had and cannot clean it: of one account, or of all."""
        for item in self._query(ORGANIZATION, f"use#{account}#" if account else "use#"):
            yield str(item["account"]), str(item["team"])

    def listed_at(self) -> str | None:
        """When the organization was last listed as a whole."""
        row = self._get(ORGANIZATION, "listed")
        return str(row["at"]) if row else None

    def access_points(self, team: str) -> list[Item]:
        """A team's access points, as podshare last read them."""
        return list((self._get("proof", f"team#{team}") or {}).get("access_points", []))

    def access_reports(self) -> dict[str, Item]:
        """What is kept with the proof of each team, by the team's name."""
        return {str(item["part"]).partition("#")[2]: item for item in self._query("proof", "team#")}

    def unwritten(self) -> dict[str, str]:
        """What the history's bucket has not taken yet, by key: runs and records."""
        return {str(item["part"]): str(item["body"]) for item in self._query(UNWRITTEN, "r")}

    def last_sweep(self) -> Item | None:
        """The summary of the last sweep that came to its end."""
        return self._get(SWEEP, "summary") or self._get(ORGANIZATION, "sweep")  # as before 0045

    def _inventory(self, team: str) -> Iterator[Item]:
        ids = (f"inventory#{team}", f"team#{team}")  # the second as before 0045
        return (item for item_id in ids for item in self._query(item_id, "resource#"))

    def _scan(self, kind: str, part: str) -> Iterator[Item]:
        values = {":part": {"S": part}, ":kind": {"S": f"{kind}#"}}
        condition = "part = :part AND begins_with(id, :kind)"
        return self._paged("scan", FilterExpression=condition, ExpressionAttributeValues=values)

    def _query(self, item_id: str, part: str) -> Iterator[Item]:
        values = {":id": {"S": item_id}, ":part": {"S": part}}
        condition = "id = :id AND begins_with(part, :part)"
        return self._paged(
            "query", KeyConditionExpression=condition, ExpressionAttributeValues=values, ConsistentRead=True
        )

    def _paged(self, operation: str, **request: Any) -> Iterator[Item]:
        return _paged(self.connection.client("dynamodb"), operation, self.connection.state_table, **request)

    def _get(self, record_id: str, part: str) -> Item | None:
        answer = self.connection.client("dynamodb").get_item(
            TableName=self.connection.state_table,
            Key={"id": {"S": record_id}, "part": {"S": part}},
            ConsistentRead=True,
        )
        return from_item(answer["Item"]) if "Item" in answer else None


def _paged(client: Any, operation: str, table: str, **request: Any) -> Iterator[Item]:
    for page in client.get_paginator(operation).paginate(TableName=table, **request):
        yield from map(from_item, page["Items"])


def _accepted_record(item: Mapping[str, Any]) -> Item:
    """The record in a row of what was accepted, as a person would write it: without the fields that say nothing."""
    said = json.loads(str(item["record"]), object_hook=_without_blanks)
    return {"id": item["id"], **{name: value for name, value in said.items() if name != "name"}}


def _without_blanks(fields: Mapping[str, Any]) -> Item:
    return {name: value for name, value in fields.items() if value not in (None, "", [])}

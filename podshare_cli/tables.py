"""podshare's two tables, as an admin sees them: the registry to read and write, the state to read."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from podshare.aws.tables import from_item, to_item
from podshare_cli.connection import Connection

Item = dict[str, Any]
_MOST_KEYS = 100  # of one BatchGetItem (DynamoDB quotas)


@dataclass(frozen=True)
class Registry:
    """The records that people write."""

    connection: Connection

    def get(self, record_id: str) -> Item | None:
        """One record, or None."""
        return self.get_all([record_id]).get(record_id)

    def get_all(self, ids: Iterable[str]) -> dict[str, Item]:
        """Those of the records that exist, by id."""
        wanted = sorted(set(ids))
        found: dict[str, Item] = {}
        while wanted:
            asked, wanted = wanted[:_MOST_KEYS], wanted[_MOST_KEYS:]
            answer = self._client.batch_get_item(
                RequestItems={self._table: {"Keys": [{"id": {"S": one}} for one in asked], "ConsistentRead": True}}
            )
            found |= {item["id"]: item for item in map(from_item, answer["Responses"].get(self._table, []))}
            left = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            wanted = [str(key["id"]["S"]) for key in left] + wanted
        return found

    def all_of(self, kind: str) -> list[Item]:
        """Every record of a kind, by name."""
        pages = self._client.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True)
        items = [from_item(item) for page in pages for item in page["Items"]]
        return sorted((item for item in items if item["id"].startswith(f"{kind}#")), key=lambda item: str(item["id"]))

    def put(self, item: Mapping[str, Any]) -> None:
        """Write one record whole."""
        self._client.put_item(TableName=self._table, Item=to_item(item))

    def delete(self, record_id: str) -> bool:
        """Delete one record; whether it was there."""
        try:
            self._client.delete_item(
                TableName=self._table, Key={"id": {"S": record_id}}, ConditionExpression="attribute_exists(id)"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True

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
        return self._get(record_id, "status")

    def was_accepted(self, record_id: str) -> bool:
        """Whether a record was ever acceptable, also if it has been deleted."""
        return self._get(record_id, "accepted") is not None

    def statuses(self, kind: str) -> dict[str, Item]:
        """The statuses of all records of a kind, by name."""
        pages = (
            self.connection.client("dynamodb")
            .get_paginator("scan")
            .paginate(
                TableName=self.connection.state_table,
                FilterExpression="part = :part AND begins_with(id, :kind)",
                ExpressionAttributeValues={":part": {"S": "status"}, ":kind": {"S": f"{kind}#"}},
            )
        )
        items = [from_item(item) for page in pages for item in page["Items"]]
        return {str(item["id"]).partition("#")[2]: item for item in items}

    def resources(self, team: str) -> Iterator[str]:
        """The keys of everything that podshare may have made for a team: ``kind|account|region|container|name``."""
        pages = (
            self.connection.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self.connection.state_table,
                KeyConditionExpression="id = :id AND begins_with(part, :part)",
                ExpressionAttributeValues={":id": {"S": f"team#{team}"}, ":part": {"S": "resource#"}},
                ConsistentRead=True,
            )
        )
        for page in pages:
            for item in page["Items"]:
                yield str(item["key"]["S"])

    def _get(self, record_id: str, part: str) -> Item | None:
        answer = self.connection.client("dynamodb").get_item(
            TableName=self.connection.state_table,
            Key={"id": {"S": record_id}, "part": {"S": part}},
            ConsistentRead=True,
        )
        return from_item(answer["Item"]) if "Item" in answer else None

"""What podshare may have made for each team, as the state table remembers it."""

import datetime
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from podshare.aws.rows import Item
from podshare.aws.tables import MOST_WRITES, State, Write
from podshare.kinds.base import Key, Kind
from podshare.registry.records import DELETE_WORK

_BEGIN = "SET changing_since = :at, named_at = if_not_exists(named_at, :at), #key = :key REMOVE doubted_in"
_CHANGING = "attribute_exists(changing_since)"


def in_inventories(state: State, named: Iterable[tuple[str, Key]]) -> frozenset[Key]:
    """Those of the keys that the inventory of the team beside them has: one request for fifty of them.

    Raises Retryable as ``State.get_parts``.
    """
    teams = [(Inventory(state, team), key) for team, key in named]
    rows = [
        (item_id, f"resource#{key}")
        for inventory, key in teams
        for item_id in (f"team#{inventory.team}", inventory.item_id)
    ]
    return frozenset(Key.parse(str(row["key"])) for row in state.get_all(rows))


@dataclass(frozen=True, slots=True)
class Inventory:
    """What podshare may have made for a team: named before it is made, until its absence has been read back.

    A row is marked as changing from before a change until that is read back: what a killed or overtaken function may
    have done is known of, although AWS reports it late.
    """

    state: State
    team: str

    @property
    def item_id(self) -> str:
        """The id of all rows of the inventory."""
        return f"inventory#{self.team}"

    def adopt(self) -> None:
        """Move what versions before 0045 kept among the team's own rows, which functions that apply may not write."""
        for row in self._former():
            attributes = {name: value for name, value in row.items() if name not in ("id", "part")}
            self.state.put_once(self.item_id, row["part"], **attributes)
            self.state.later(self.state.deleting(row["id"], row["part"]))

    def keys(self, prefix: str = "") -> list[Key]:
        """All that was ever begun and is not known to be gone, of those keys that begin with ``prefix``."""
        return [*self.identities(prefix)]

    def identities(self, prefix: str = "") -> dict[Key, str]:
        """As ``keys``, each with the identity that it had when it was last seen with podshare's tags, or empty."""
        rows = (*self._former(prefix), *self.state.query(self.item_id, f"resource#{prefix}"))
        return {Key.parse(str(row["key"])): str(row.get("identity", "")) for row in rows}

    def _former(self, prefix: str = "") -> list[Item]:
        return self.state.query(f"team#{self.team}", f"resource#{prefix}")

    def identity(self, key: Key) -> str:
        """The identity of ``key`` when it was last seen with podshare's tags; empty if it never was."""
        return str(self._row(key).get("identity", ""))

    def name(self, key: Key, identity: str, at: str) -> None:
        """Write down that ``key`` is there, and that this very resource is podshare's."""
        expression = "SET #key = :key, named_at = if_not_exists(named_at, :at), #identity = :identity"
        values = {"key": str(key), "at": at, "identity": identity}
        self._write(key, expression, None, names={"#key": "key", "#identity": "identity"}, **values)

    def begin(self, key: Key, at: str) -> None:
        """Write down that ``key`` is about to be made or changed, until ``settle`` or ``forget``."""
        self._write(key, _BEGIN, None, names={"#key": "key"}, at=at, key=str(key))

    def begin_together(self, keys: Iterable[Key], at: str, check: Write) -> bool:
        """As ``begin`` for each of the keys: for all, and if ``check`` holds, or for none, which the result says."""
        named = sorted(keys)
        writes = [
            self.state.updating(*self._place(key), _BEGIN, None, names={"#key": "key"}, at=at, key=str(key))
            for key in named
        ]
        return all(
            self.state.write_together([check, *writes[start : start + MOST_WRITES - 1]])
            for start in range(0, len(writes), MOST_WRITES - 1)
        )

    def withdraw(self, key: Key, at: str) -> None:
        """Forget ``key`` if nothing is known of it but that it was begun ``at`` this moment: nothing was made."""
        begun = "named_at = :at AND changing_since = :at"
        self.state.write_together([self.state.deleting(*self._place(key), begun, at=at)])

    def settle(self, key: Key, identity: str = "") -> None:
        """Write down that the last change of ``key`` was read back, as of which resource, or is long enough ago."""
        expression, more = _settled(identity)
        self._write(key, expression, _CHANGING, **more)

    def end_together(self, ends: Mapping[Key, str | None]) -> bool:
        """Settle each key with the identity beside it, or forget it: a hundred of them, or none, at once.

        False if some were not: a row is gone, or others are writing it.
        """
        writes = []
        for key, identity in sorted(ends.items()):
            if identity is None:
                writes.append(self.state.deleting(*self._place(key)))
            else:
                expression, more = _settled(identity)
                writes.append(self.state.updating(*self._place(key), expression, "attribute_exists(id)", **more))
        return all(
            self.state.write_together(writes[start : start + MOST_WRITES])
            for start in range(0, len(writes), MOST_WRITES)
        )

    def is_changing(self, key: Key) -> bool:
        """Whether a change of ``key`` was begun and has not been read back since."""
        return "changing_since" in self._row(key)

    def changing(self) -> dict[Key, Item]:
        """The rows of what was begun to be changed and has not been read back since."""
        rows = self.state.query(self.item_id, "resource#")
        return {Key.parse(str(row["key"])): row for row in rows if "changing_since" in row}

    def mark_settling(self, key: Key, attempt: str) -> None:
        """Write down in which attempt it was not known first what became of ``key``."""
        self._write(key, "SET doubted_in = :attempt", _CHANGING, attempt=attempt)

    def begin_drain(self, key: Key, now: datetime.datetime) -> datetime.datetime:
        """When it was first asked for that the work of this compute quota ends; ``now`` if it is now."""
        expression = "SET draining_since = if_not_exists(draining_since, :now)"
        row = self.state.update(*self._place(key), expression, "attribute_exists(id)", now=now.isoformat())
        return datetime.datetime.fromisoformat(str(row["draining_since"])) if row else now

    def mark_inspected(self, key: Key) -> None:
        """Write down that podshare looks into the cluster of this compute quota, also where it knows no namespace."""
        self._write(key, "SET looked_into = :yes", yes=True)

    def is_inspected(self, key: Key) -> bool:
        """Whether podshare asks the API of the cluster of this compute quota."""
        if any(begun.kind is Kind.NAMESPACE and begun.container == key.container for begun in self.keys()):
            return True
        return bool(self._row(key).get("looked_into"))

    def end_drain(self, key: Key, run: str) -> None:
        """Write down that, in this run, the quota may go."""
        self._write(key, "SET drained_in = :run", run=run)

    def is_drained(self, key: Key, run: str) -> bool:
        """Whether, in this run, the quota may go."""
        row = self.state.get(self.item_id, f"resource#{key}")
        return row is None or str(row.get("drained_in")) == run

    def vacate(self, namespace: Key, since: str, on_delete: str) -> None:
        """Write down that the team has left its namespace, until ``forget``: nobody is to use it before it is empty.

        ``on_delete`` is what its record says of the work that it leaves.
        """
        expression = (
            "SET vacating_since = if_not_exists(vacating_since, :since), "
            "on_delete = if_not_exists(on_delete, :on_delete)"
        )
        self._write(namespace, expression, since=since, on_delete=on_delete)

    def deletes_work(self, namespace: Key) -> bool:
        """Whether what can run in a namespace that was left is deleted: only if the record did not say to keep it."""
        return self._row(namespace).get("on_delete") == DELETE_WORK

    def is_vacating(self, namespace: Key) -> bool:
        """Whether the namespace was left, and was not seen empty since."""
        return "vacating_since" in self._row(namespace)

    def keep(self, keys: Collection[Key]) -> None:
        """Forget the drains of what is desired again, so that a later deletion waits again."""
        for row in self.state.query(self.item_id, f"resource#{Kind.COMPUTE_QUOTA}"):
            if "draining_since" in row and (key := Key.parse(str(row["key"]))) in keys:
                self._write(key, "REMOVE draining_since, drained_in")

    def forget(self, key: Key) -> None:
        """Write down that ``key`` is known to be gone."""
        self.state.later(self.state.deleting(*self._place(key)))

    def _row(self, key: Key) -> Item:
        """The row of ``key``, empty if it has none."""
        return self.state.get(self.item_id, f"resource#{key}") or {}

    def _write(
        self,
        key: Key,
        expression: str,
        condition: str | None = "attribute_exists(id)",
        /,
        *,
        names: Mapping[str, str] | None = None,
        **values: Any,
    ) -> None:
        """Update the row of ``key``; ``names`` stand for reserved words of DynamoDB."""
        self.state.later(self.state.updating(*self._place(key), expression, condition, names=names, **values))

    def _place(self, key: Key) -> tuple[str, str]:
        return self.item_id, f"resource#{key}"


def _settled(identity: str) -> tuple[str, dict[str, Any]]:
    """The expression by which a row is no longer changing, with its names and values."""
    expression = "REMOVE changing_since, doubted_in"
    if not identity:
        return expression, {}
    return f"SET #identity = :identity {expression}", {"names": {"#identity": "identity"}, "identity": identity}

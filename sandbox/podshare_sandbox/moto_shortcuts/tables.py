"""DynamoDB: its values, items and expressions."""

import copy
import inspect
from collections import deque
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, cast

from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing import ast_nodes, expressions

from podshare_sandbox.moto_repair import repair

_SENT_AS_STORED = frozenset({"S", "N", "BOOL", "NULL", "SS", "NS"})  # binary values are not
_LARGEST_ITEM = 405_000  # bytes, moto's own reading of the 400 KB of DynamoDB's quotas
_EXPRESSIONS = 500  # a program has some dozens, which differ in their values alone


def install() -> None:
    """Take the shortcuts. Raises RuntimeError where a symbol of moto is gone."""
    repair(BaseJSONSerializer, "_serialize_type_structure", _sending_values_as_stored)
    repair(Item, "__init__", _measuring_once)
    repair(Table, "query", _looking_under_the_key)
    repair(DynamoType, "cast_value", _casting_texts_first)
    repair(ConditionExpressionParser, "_lex_condition_expression", _lexing_conditions_once)
    # moto's parser of updates has no types
    parsed: Any = ast_nodes
    repair(cast(Any, expressions).UpdateExpressionParser, "make", _parsing_updates_once)
    repair(parsed.DepthFirstTraverser, "traverse_node_recursively", _looking_at_nodes_by_their_class)
    parsed.Node.__deepcopy__ = _copied_node


def _sending_values_as_stored(stock: Any) -> Any:
    """DynamoDB's values are stored as they are sent; moto asks each of them for each of the ten kinds of a value."""

    def serialize_type_structure(self: BaseJSONSerializer, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue" and _is_sent_as_stored(value):
            self._default_serialize(serialized, value, shape, key)
        else:
            stock(self, serialized, value, shape, key)

    return serialize_type_structure


def _is_sent_as_stored(value: Any) -> bool:
    if type(value) is not dict or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    match kind:
        case "M":
            return all(map(_is_sent_as_stored, content.values()))
        case "L":
            return all(map(_is_sent_as_stored, content))
    return kind in _SENT_AS_STORED


def _measuring_once(_stock: Any) -> Any:
    """moto measures all of a new item again at each of its attributes: minutes, for some thousands of them."""

    def init(self: Item, hash_key: DynamoType, range_key: DynamoType | None, attrs: Mapping[str, Any]) -> None:
        self.hash_key, self.range_key = hash_key, range_key
        self.attrs = LimitedSizeDict()
        for name, value in attrs.items():
            dict.__setitem__(self.attrs, name, DynamoType(value))
        if self.size() > _LARGEST_ITEM:
            raise ItemSizeTooLarge

    return init


class _Partition:
    """A table as a query of one key sees it."""

    def __init__(self, table: Table, key: DynamoType) -> None:
        self._table, self._key = table, key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)

    def all_items(self) -> list[Item]:
        found: Any = self._table.items.get(self._key, {})
        return list(found.values()) if isinstance(found, dict) else [found]


def _looking_under_the_key(stock: Any) -> Any:
    """moto sorts and compares all of the table's items for each query, to which the key alone would lead."""
    find = inspect.signature(stock)

    def query(self: Table, *arguments: Any, **named: Any) -> Any:
        asked = find.bind(self, *arguments, **named).arguments
        is_whole = asked.get("index_name") or asked["hash_key"] is None
        return stock(self if is_whole else _Partition(self, asked["hash_key"]), *arguments, **named)

    return query


def _parsing_updates_once(stock: Any) -> Any:
    """moto parses an update twice for each call; what it makes of it is copied before it is filled with values."""
    return lru_cache(maxsize=_EXPRESSIONS)(stock)


def _lexing_conditions_once(stock: Any) -> Any:
    """moto looks for each word of a condition with six regular expressions, twice for each call."""

    @lru_cache(maxsize=_EXPRESSIONS)
    def words(expression: str) -> tuple[Any, ...]:
        return tuple(stock(ConditionExpressionParser(expression, None, None)))

    def lex_condition_expression(self: ConditionExpressionParser) -> deque[Any]:
        return deque(words(self.condition_expression or ""))

    return lex_condition_expression


def _looking_at_nodes_by_their_class(_stock: Any) -> Any:
    """moto asks an abstract class for each node, at each of eight processors, which table it makes anew for that."""

    def traverse(self: Any, node: Any, child_id: int = -1) -> Any:
        if not hasattr(node, "set_parent"):
            return node
        parent = node.parent
        for position, child in enumerate(node.children or ()):
            self.pre_processing_of_child(node, position)
            self.traverse_node_recursively(child, position)
        if _is_processed(type(self), type(node), self.nodes_to_be_processed):
            node = self.process(node)
            node.parent = parent
            if parent:
                parent.children[child_id] = node
        return node

    return traverse


_processed: dict[tuple[type, type], bool] = {}


def _is_processed(processor: type, kind: type, kinds: Callable[[], tuple[type, ...]]) -> bool:
    if (processor, kind) not in _processed:
        _processed[processor, kind] = issubclass(kind, kinds())
    return _processed[processor, kind]


def _copied_node(node: Any, memo: dict[int, Any]) -> Any:
    """A tree of nodes knows its copies by itself; ``copy`` takes each apart as if to pickle it."""
    kind: Any = type(node)
    copied = kind.__new__(kind)
    copied.__dict__.update(node.__dict__)
    if node.children is not None:
        copied.children = [_copied_child(child, copied, memo) for child in node.children]
    return copied


def _copied_child(child: Any, parent: Any, memo: dict[int, Any]) -> Any:
    if not hasattr(child, "set_parent"):
        return child if isinstance(child, str) else copy.deepcopy(child, memo)
    copied = _copied_node(child, memo)
    copied.parent = parent
    return copied


def _casting_texts_first(stock: Any) -> Any:
    """Nearly all keys and most values are texts; moto asks them last, and asks for each comparison."""

    def cast_value(self: DynamoType) -> Any:
        return self.value if self.type == "S" else stock.fget(self)

    return property(cast_value)

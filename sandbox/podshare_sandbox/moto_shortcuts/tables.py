"""DynamoDB: its values, items and expressions."""

import copy
from collections import deque
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, cast

from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.parsing import ast_nodes, expressions, validators

from podshare_sandbox.moto_repair import repair

_SENT_AS_STORED = frozenset({"S", "N", "BOOL", "NULL", "SS", "NS"})  # binary values are not
_LARGEST_ITEM = 405_000  # bytes, moto's own reading of the 400 KB of DynamoDB's quotas
_EXPRESSIONS = 500  # a program has some dozens, which differ in their values alone


def install() -> None:
    """Take the shortcuts. Raises RuntimeError where a symbol of moto is gone."""
    repair(BaseJSONSerializer, "_serialize_type_structure", _sending_values_as_stored)
    repair(Item, "__init__", _measuring_once)
    repair(DynamoType, "cast_value", _casting_texts_first)
    repair(ConditionExpressionParser, "_lex_condition_expression", _lexing_conditions_once)
    # moto's parser of updates has no types
    parsed: Any = ast_nodes
    repair(cast(Any, expressions).UpdateExpressionParser, "make", _parsing_updates_once)
    repair(parsed.DepthFirstTraverser, "nodes_to_be_processed", _listing_nodes_once)
    parsed.Node.__deepcopy__ = _copied_node
    modules: tuple[Any, ...] = (parsed, validators)
    for module in modules:
        module.isinstance = _is_instance


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


def _listing_nodes_once(stock: Any) -> Any:
    """moto makes a processor's table of nodes anew for each node that it passes."""

    def nodes_to_be_processed(self: Any) -> Any:
        if "_podshare_nodes" not in self.__dict__:
            self.__dict__["_podshare_nodes"] = stock(self)
        return self.__dict__["_podshare_nodes"]

    return nodes_to_be_processed


def _copied_node(node: Any, memo: dict[int, Any]) -> Any:
    """A tree of nodes knows its copies by itself; ``copy`` takes each apart as if to pickle it."""
    kind: Any = type(node)
    copied = kind.__new__(kind)
    copied.__dict__.update(node.__dict__)
    if node.children is not None:
        copied.children = [copy.deepcopy(child, memo) for child in node.children]
        for child in copied.children:
            if hasattr(child, "set_parent"):
                child.set_parent(copied)
    return copied


def _is_instance(value: Any, wanted: Any) -> bool:
    """Python asks an abstract class for each value, in code; the answer depends on the value's class alone."""
    kind: Any = type(value)
    return _is_subclass(kind, wanted)


@cache
def _is_subclass(kind: Any, wanted: Any) -> bool:
    return issubclass(kind, wanted)


def _casting_texts_first(stock: Any) -> Any:
    """Nearly all keys and most values are texts; moto asks them last, and asks for each comparison."""

    def cast_value(self: DynamoType) -> Any:
        return self.value if self.type == "S" else stock.fget(self)

    return property(cast_value)

"""What moto works out anew for each request, or for nobody: a sandbox makes thousands of requests.

Every answer stays as it is; it only comes sooner.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from moto.core import responses
from moto.core.model import Shape
from moto.core.parse import QueryParser
from moto.core.routing import SmithyRule
from moto.core.serialize import (
    AttributePickerContext,
    BaseJSONSerializer,
    ResponseSerializer,
    XFormedAttributePicker,
)
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.stepfunctions.parser.api import HistoryEventList
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager

from podshare_sandbox.moto_repair import repair

_ABSENT = object()
_SENT_AS_STORED = frozenset({"S", "N", "BOOL", "NULL", "SS", "NS"})  # binary values are not
_LARGEST_ITEM = 405_000  # bytes, moto's own reading of the 400 KB of DynamoDB's quotas


def install() -> None:
    """Take the shortcuts. Raises RuntimeError where a symbol of moto is gone."""
    repair(ResponseSerializer, "get_value", _remembering_names)
    repair(BaseJSONSerializer, "_serialize_type_structure", _sending_values_as_stored)
    repair(QueryParser, "_do_parse", _reading_a_dictionary)
    repair(responses, "method_names_from_class", _looking_up)
    repair(SmithyRule, "_compile_builder", _building_nothing)
    repair(EventManager, "get_event_history", _copying_no_event)
    repair(Item, "__init__", _measuring_once)


def _remembering_names(stock: Any) -> Any:
    """The names under which a dictionary may hold a member of a structure depend on the member alone.

    moto works them out for each value, and most members of most values are absent: of the sixty kinds of details of an
    execution's event all but one.
    """

    def get_value(self: ResponseSerializer, value: Any, key: str, shape: Shape) -> Any:
        picker = self._value_picker
        if type(value) is not dict or type(picker) is not XFormedAttributePicker or picker.response_transformers:
            return stock(self, value, key, shape)
        known: dict[tuple[str, bool], tuple[str, ...]] = shape.__dict__.setdefault("_podshare_names", {})
        place = key, hasattr(shape, "parent")  # moto notes the parent late, and some names follow from it
        if place not in known:
            names = picker.get_possible_keys(AttributePickerContext(value, key, shape))
            known[place] = tuple(dict.fromkeys(names))
        found = (value.get(name, _ABSENT) for name in known[place])  # in one step: others may change it meanwhile
        return next((one for one in found if one is not _ABSENT), None)

    return get_value


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


def _reading_a_dictionary(stock: Any) -> Any:
    """werkzeug's values of a request raise an exception for each absent name, and most members of a call are absent."""

    def do_parse(self: QueryParser, request: Mapping[str, Any], shape: Shape) -> Any:
        return stock(self, {**request, "values": request["values"].to_dict()}, shape)

    return do_parse


class _Methods:
    """The names of a class's methods, of which moto only asks whether one is there."""

    def __init__(self, owner: type) -> None:
        self._owner = owner

    def __contains__(self, name: str) -> bool:
        return inspect.isfunction(getattr(self._owner, name, None))


def _looking_up(_stock: Any) -> Any:
    """moto lists all members of the class, for each request."""
    return _Methods


def _building_nothing(_stock: Any) -> Any:
    """werkzeug compiles code that builds a URL from each rule; moto only matches URLs."""

    def build(_rule: SmithyRule, **_values: Any) -> Any:
        raise NotImplementedError("the sandbox matches URLs, and builds none")

    def compile_builder(_rule: SmithyRule, append_unknown: bool = True) -> Any:  # noqa: ARG001  # werkzeug's own
        return build

    return compile_builder


def _copying_no_event(_stock: Any) -> Any:
    """An execution's events never change once they are there; moto copies all of them, deeply, for each look."""

    def get_event_history(self: EventManager) -> HistoryEventList:
        with self._mutex:
            return list(self._history_event_list)

    return get_event_history


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

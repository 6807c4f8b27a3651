"""Requests and answers of any service."""

import inspect
import io
import random
import re
import string
import sys
from collections.abc import Callable, Mapping
from functools import cache, lru_cache, partial
from typing import Any
from urllib.parse import unquote, urlsplit

from moto import backend_index, backends, settings
from moto.core import responses
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.constants import MISSING
from moto.core.model import Shape
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.parse import QueryParser
from moto.core.request import (
    PRESERVED_HEADER_NAMES_ENVIRON_KEY,
    Request,
    environ_key_for_header,
    normalize_request,
    should_preserve_original_header_name,
)
from moto.core.responses import BaseResponse
from moto.core.routing import SmithyRule
from moto.core.serialize import AttributePickerContext, ResponseSerializer, XFormedAttributePicker
from moto.core.utils import get_equivalent_url_in_aws_domain
from moto.core.utils import get_value as member_of
from werkzeug.exceptions import HTTPException

from podshare_sandbox.moto_repair import repair

_URLS = 4096
_REQUEST_ID = string.ascii_letters + string.digits


def install() -> None:
    """Take the shortcuts. Raises RuntimeError where a symbol of moto is gone."""
    repair(ResponseSerializer, "get_value", _remembering_names)
    repair(QueryParser, "_do_parse", _reading_a_dictionary)
    repair(responses, "method_names_from_class", _looking_up)
    repair(SmithyRule, "_compile_builder", _building_nothing)
    repair(BaseResponse, "_get_action_from_method_and_request_uri", _routing_once)
    repair(Request, "from_primitives", _building_an_environment)
    repair(responses, "gen_amzn_requestid_long", _drawing_at_once)
    repair(BotocoreStubber, "process_request", _finding_handlers_once)
    repair(settings, "ec2_load_default_amis", _knowing_no_images)


def _finding_handlers_once(stock: Any) -> Any:
    """moto tries the URLs of two hundred services one after the other, and builds the list of the right one anew."""

    def process_request(self: BotocoreStubber, request: Any) -> Any:
        url, _, query = request.url.partition("?")
        known = _handler(url)
        if known is None:
            return stock(self, request)
        handle, raw_url = known
        asked = normalize_request(request)
        try:
            return handle(asked, f"{raw_url}?{query}" if query else raw_url, asked.headers)
        except HTTPException as error:
            return error.code, error.get_headers(), error.get_body()

    return process_request


@lru_cache(maxsize=_URLS)
def _handler(url: str) -> tuple[Callable[..., Any], str] | None:
    """What answers a URL without its query, found as moto finds it, and the URL as moto tells it."""
    parsed, _ = get_equivalent_url_in_aws_domain(url)
    clean_url = f"{parsed.scheme}://{parsed.netloc}{parsed.path}"
    for service, pattern in backend_index.backend_url_patterns:
        if pattern.match(clean_url):
            found = next((handle for known, handle in _urls(service) if known.match(clean_url)), None)
            if found:
                return found, Request.from_primitives("GET", url, {}).raw_url
    return None


@cache
def _urls(service: str) -> tuple[tuple[re.Pattern[str], Callable[..., Any]], ...]:
    regions: Any = backends.get_backend(service)[DEFAULT_ACCOUNT_ID]  # type: ignore[call-overload]  # no literal
    backend = regions["us-east-1" if "us-east-1" in regions else "aws"]
    return tuple((re.compile(url), handle) for url, handle in backend.urls.items())


def _remembering_names(stock: Any) -> Any:
    """The names under which a value may hold a member of a structure depend on the member and the value's class alone.

    moto works them out for each value, and most members of most values are absent: of the sixty kinds of details of an
    execution's event all but one.
    """

    def get_value(self: ResponseSerializer, value: Any, key: str, shape: Shape) -> Any:
        picker = self._value_picker
        if type(picker) is not XFormedAttributePicker:
            return stock(self, value, key, shape)
        known: dict[tuple[str, type, bool], tuple[str, ...]] = shape.__dict__.setdefault("_podshare_names", {})
        place = key, type(value), hasattr(shape, "parent")  # moto notes the parent late, and some names follow from it
        if place not in known:
            names = picker.get_possible_keys(AttributePickerContext(value, key, shape))
            known[place] = tuple(dict.fromkeys(names))
        look = value.get if type(value) is dict else partial(member_of, value)
        values = (look(name, MISSING) for name in known[place])  # in one step: others may change it meanwhile
        found = next((one for one in values if one is not MISSING), None)
        for path, transform in picker.response_transformers.items():
            if path.endswith(key) and f"{'.'.join(self.path)}.{key}".endswith(path):
                return transform(found)
        return found

    return get_value


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


def _routing_once(stock: Any) -> Any:
    """moto matches the URL of a request five times."""

    def get_action(self: BaseResponse, request: Request) -> Any:
        known = self.__dict__.get("_podshare_route")
        if known is None or known[0] is not request:
            known = self.__dict__["_podshare_route"] = (request, stock(self, request))
        return known[1]

    return get_action


def _building_an_environment(stock: Any) -> Any:
    """moto has a test client of werkzeug's build what a WSGI server would: a tenth of a request's time."""

    def from_primitives(cls: type[Request], method: str, url: str, headers: Any, body: Any = None) -> Request:
        kind = str(headers.get("Content-Type"))
        if not isinstance(body, bytes) or not url.isascii() or "multipart" in kind:
            return stock.__func__(cls, method, url, headers, body)  # type: ignore[no-any-return]  # a Request
        request = cls(_environment(method, url, headers, body))
        if "form" not in kind and "Content-Encoding" not in headers:
            nothing = request.parameter_storage_class()
            request.__dict__.update(_cached_data=body, form=nothing, files=nothing)
        request.environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = {
            environ_key_for_header(name): name for name in headers if should_preserve_original_header_name(name)
        }
        return request

    return classmethod(from_primitives)


def _environment(method: str, url: str, headers: Any, body: bytes) -> dict[str, Any]:
    """PEP 3333's, with what werkzeug adds."""
    parts = urlsplit(url)
    environment = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(parts.path).encode().decode("latin1"),
        "QUERY_STRING": parts.query,
        "REQUEST_URI": parts.path,
        "RAW_URI": parts.path,
        "SERVER_NAME": parts.hostname,
        "SERVER_PORT": str(parts.port or (443 if parts.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": parts.netloc,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        if name.lower() != "transfer-encoding":
            environment[environ_key_for_header(name)] = value.decode() if isinstance(value, bytes) else value
    return {**environment, "CONTENT_LENGTH": str(len(body))}


def _drawing_at_once(_stock: Any) -> Any:
    """moto draws the fifty-two letters of a request's id one by one."""

    def request_id(headers: dict[str, Any] | None = None) -> str:
        drawn = "".join(random.choices(_REQUEST_ID, k=52))  # noqa: S311  # it keeps no secret
        if headers is not None:
            headers["x-amzn-requestid"] = drawn
        return drawn

    return request_id


def _knowing_no_images(_stock: Any) -> Any:
    """moto makes hundreds of machine images for each account that EC2 is asked about."""
    return lambda: False

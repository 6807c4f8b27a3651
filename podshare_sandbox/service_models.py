"""botocore's service models, parsed once for the whole process.

Each botocore session has a loader of its own, and so have moto and the sandbox's extensions: the same
megabytes of JSON are parsed three to thirty times, which is most of what a start takes. What a loader
answers is shared by a session's clients already, so it is never changed.
"""

import threading
from collections.abc import Callable
from typing import Any

from botocore.loaders import JSONFileLoader

_parsed: dict[str, Any] = {}
_lock = threading.Lock()


def _once(load_file: Callable[[JSONFileLoader, str], Any]) -> Callable[[JSONFileLoader, str], Any]:
    def load_file_once(loader: JSONFileLoader, file_path: str) -> Any:
        with _lock:
            if file_path not in _parsed:
                found = load_file(loader, file_path)
                if found is None:  # there is no such file, yet
                    return None
                _parsed[file_path] = found
            return _parsed[file_path]

    return load_file_once


def parse_once() -> None:
    """Let all of the process's loaders share what any of them has parsed; idempotent."""
    if JSONFileLoader.load_file.__name__ != "load_file_once":
        JSONFileLoader.load_file = _once(JSONFileLoader.load_file)  # type: ignore[method-assign]

"""botocore's service models, found and parsed once for the whole process.

Each botocore session has a loader of its own, and so have moto and the sandbox's extensions: the same
megabytes of JSON would be parsed three to thirty times, which is most of what a start takes. What a loader
answers is shared by a session's clients already, so nobody changes it, but for S3's: botocore's clients edit the
models of S3 and S3 Control in place (botocore.utils, remove_bucket_from_url_paths_from_model): these stay unshared.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader, Loader

_lock = threading.Lock()


def share() -> None:
    """Let all loaders of the process share what any of them has found and parsed; idempotent."""
    _remember(JSONFileLoader, "load_file", _path_if_never_edited)
    _remember(Loader, "list_available_services", lambda loader, type_name: (*loader.search_paths, type_name))


def _path_if_never_edited(_: JSONFileLoader, file_path: str) -> str | None:
    return None if Path(file_path).parts[-3] in ("s3", "s3control") else file_path


def _remember(owner: type, name: str, key_of: Callable[..., Any]) -> None:
    original = getattr(owner, name)
    if hasattr(original, "_remembers"):
        return
    answers: dict[Any, Any] = {}

    def remembered(*arguments: Any, **named: Any) -> Any:
        key = key_of(*arguments, **named)
        if key is None:
            return original(*arguments, **named)
        with _lock:
            answer = answers.get(key)
        if answer is None:  # new, or a file that is not there: a loader tries several places
            answer = original(*arguments, **named)
            with _lock:
                answers[key] = answer
        return answer

    remembered._remembers = True  # type: ignore[attr-defined]  # marks what must not be wrapped again
    setattr(owner, name, remembered)

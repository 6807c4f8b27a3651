"""An AWS organization in one process, strict where AWS is: see :class:`podshare_sandbox.sandbox.Sandbox`."""

import gc
from typing import TYPE_CHECKING, Any

from podshare_sandbox import service_models

if TYPE_CHECKING:
    from podshare_sandbox.sandbox import Sandbox

__all__ = ["Sandbox"]

service_models.share()  # before moto is imported, which parses a good deal
# nearly all of what is made is here to stay, and looking through it again and again takes a tenth of the time
gc.set_threshold(20_000, 20, 20)


def __getattr__(name: str) -> Any:
    """Import the sandbox when it is asked for: its modules are also used one by one."""
    if name != "Sandbox":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from podshare_sandbox.sandbox import Sandbox  # noqa: PLC0415  # see above

    return Sandbox

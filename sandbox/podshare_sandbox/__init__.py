"""An AWS organization in one process, strict where AWS is: see :class:`podshare_sandbox.sandbox.Sandbox`."""

from typing import TYPE_CHECKING, Any

from podshare_sandbox import service_models

if TYPE_CHECKING:
    from podshare_sandbox.sandbox import Sandbox

__all__ = ["Sandbox"]

service_models.share()  # before moto is imported, which parses a good deal


def __getattr__(name: str) -> Any:
    """Import the sandbox when it is asked for: its modules are also used one by one."""
    if name != "Sandbox":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from podshare_sandbox.sandbox import Sandbox  # noqa: PLC0415  # see above

    return Sandbox

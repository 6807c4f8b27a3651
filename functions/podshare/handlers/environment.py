"""What every function has in common: its settings, its logs and its metrics."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeVar

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from podshare.aws.errors import classified
from podshare.aws.settings import Settings

settings = Settings.from_environment()
logger = Logger()
metrics = Metrics()

_Result = TypeVar("_Result")


def as_handler(
    handler: Callable[[dict[str, Any], LambdaContext], _Result],
) -> Callable[[dict[str, Any], LambdaContext], _Result]:
    """Let every line of an invocation name what it is for, and every error be of a class that state machines retry.

    A failure gets a line too: the runtime's own reports nothing but the request.
    """
    task = handler.__module__.rpartition(".")[2].replace("_", " ")

    @wraps(handler)
    def wrapped(event: dict[str, Any], context: LambdaContext) -> _Result:
        subject = dict(_subject(event))
        logger.append_keys(**subject)
        try:
            with classified(" ".join((task, *(subject[name] for name in ("team", "account") if name in subject)))):
                return handler(event, context)
        except Exception as error:
            logger.warning("failed", extra={"error": type(error).__name__, "reason": str(error)})
            raise

    return logger.inject_lambda_context(wrapped, clear_state=True)


def _subject(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What an event of a state machine is about; any other trigger's is reported where it has been understood."""
    for name in ("team", "execution", "account"):
        if name in event:
            yield name, str(event[name])

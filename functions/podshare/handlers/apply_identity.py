"""Change accounts of people: every kind whose ``execution_role`` is IDENTITY."""

from podshare.handlers.apply import handler_of
from podshare.kinds.base import ExecutionRole

handler = handler_of(ExecutionRole.IDENTITY)

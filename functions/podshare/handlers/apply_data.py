"""Change data accounts: every kind whose ``execution_role`` is DATA."""

from podshare.handlers.apply import handler_of
from podshare.kinds.base import ExecutionRole

handler = handler_of(ExecutionRole.DATA)

"""Change IAM: roles under podshare's path, and its one policy on roles of others."""

from podshare.handlers.apply import handler_of
from podshare.kinds.base import ExecutionRole

handler = handler_of(ExecutionRole.IDENTITY)

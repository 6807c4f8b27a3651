"""Change data accounts: access points, their policies, and the delegation in bucket policies."""

from podshare.handlers.apply import handler_of
from podshare.kinds.base import ExecutionRole

handler = handler_of(ExecutionRole.DATA)

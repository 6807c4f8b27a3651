"""Change clusters by AWS's APIs: every kind whose ``execution_role`` is CLUSTER."""

from podshare.handlers.apply import handler_of
from podshare.kinds.base import ExecutionRole

handler = handler_of(ExecutionRole.CLUSTER)

"""Change Kubernetes: every kind whose ``execution_role`` is KUBERNETES; and wait for running work to end."""

from podshare.handlers.apply import handler_of
from podshare.kinds.base import ExecutionRole

handler = handler_of(ExecutionRole.KUBERNETES)

"""Change clusters: access entries, pod identity associations and compute quotas."""

from podshare.handlers.apply import handler_of
from podshare.kinds.base import ExecutionRole

handler = handler_of(ExecutionRole.CLUSTER)

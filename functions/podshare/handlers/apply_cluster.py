"""Change clusters: access entries, pod identity associations and compute quotas."""

from podshare.handlers.apply import handler_of
from podshare.kinds.base import Work

handler = handler_of(Work.CLUSTER)

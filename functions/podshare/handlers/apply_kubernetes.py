"""Change Kubernetes: service accounts; and wait for running work to end."""

from podshare.handlers.apply import handler_of
from podshare.kinds.base import Work

handler = handler_of(Work.KUBERNETES)

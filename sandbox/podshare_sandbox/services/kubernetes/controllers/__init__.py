"""The controllers of each cluster: work starts, runs and ends.

Jobs and cron jobs are EKS's own; Kueue acts while HyperPod's add-on for task governance is active; the training
operators are there always. All of them look at the whole cluster whenever something in it has changed that concerns
work, or a time has come, in one thread that ends when nothing is left to wait for.
"""

from podshare_sandbox.services import kubernetes
from podshare_sandbox.services.kubernetes.controllers import manager

__all__ = ["busy", "close", "install", "wake"]


def install() -> None:
    """Run controllers in every cluster that comes up from now on."""
    kubernetes.api_listeners.append(manager.attend)


def busy() -> list[str]:
    """The clusters whose controllers have not yet done what can be done now, in words."""
    return [f"controllers of {each.cluster_name}" for each in manager.managers() if each.is_busy]


def wake() -> None:
    """Look at every cluster again, as after the clock was moved."""
    for each in manager.managers():
        each.wake()


def close() -> None:
    """End the controllers of all clusters."""
    manager.close()

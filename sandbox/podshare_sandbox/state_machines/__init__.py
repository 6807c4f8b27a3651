"""Step Functions: moto's engine, repaired until the same definition does what it does on AWS.

One module a concern. moto must have been started with ``{"stepfunctions": {"execute_state_machine": True}}``.

Not emulated: Express workflows' logs, activities' own clients, TestState, Map's ItemBatcher limits,
X-Ray. A definition's ``TimeoutSeconds`` runs in real time; ``Wait`` and ``Retry`` pauses run at the clock's scale.
"""

import logging

from podshare_sandbox.state_machines import definitions, executions, expressions, maps, pauses, tasks


def install() -> None:
    """Repair moto's engine. Idempotent. Raises RuntimeError where a symbol of moto is gone."""
    # a state that fails as its definition says is no news; why it failed is in the execution's history
    logging.getLogger("moto.stepfunctions.parser").setLevel(logging.CRITICAL)
    for concern in (definitions, expressions, tasks, maps, pauses, executions):
        concern.install()


def running() -> list[str]:
    """The ARNs of all executions that have not ended."""
    return executions.running()

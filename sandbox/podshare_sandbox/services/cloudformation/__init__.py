"""The API of AWS CloudFormation over the sandbox's own stacks and StackSets.

moto's CloudFormation makes resources without any caller's rights and knows neither StackSets' preferences nor their
parameters: its operations are replaced here, and those that are not are refused. What a stack deploys, it deploys as
the account's administrator, whoever calls. Each module names its sources.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from moto.cloudformation.responses import CloudFormationResponse

from podshare_sandbox.cloudformation.stack import Stack
from podshare_sandbox.cloudformation.stack_sets import StackSets
from podshare_sandbox.moto_extension import Caller, Operation, service_model
from podshare_sandbox.moto_repair import replace
from podshare_sandbox.services.cloudformation import organization_access, request, stack_sets, stacks
from podshare_sandbox.services.cloudformation.request import extension

__all__ = ["install", "serve"]

_MODULES = (organization_access, stacks, stack_sets)


@cache
def install() -> None:
    """Put these operations in the place of moto's, and refuse all others."""
    # moto's own data becomes AWS's shapes by these; ours has them already
    replace(CloudFormationResponse, "RESPONSE_KEY_PATH_TO_TRANSFORMER", {})
    operations = [operation for module in _MODULES for operation in module.OPERATIONS]
    for operation in operations:
        extension.operation(operation)
    known = {operation.__name__ for operation in operations}
    for name in service_model("cloudformation").operation_names:
        if request.snake_case(name) not in known:
            extension.operation(_refusal(name))


def _refusal(name: str) -> Operation:
    def refuse(caller: Caller, **parameters: Any) -> None:  # noqa: ARG001  # whatever is asked
        raise request.invalid(f"{name} is not emulated by the sandbox.")

    refuse.__name__ = request.snake_case(name)
    return refuse


def serve(stack: Callable[[str, str, str], Stack], deployed: Callable[[], list[Stack]], sets: StackSets) -> None:
    """Answer for these stacks from now on: ``stack`` makes one by name, account and Region, ``deployed`` lists all."""
    stacks.serve(stack, deployed)
    stack_sets.serve(sets)
    organization_access.serve(sets)

"""Lambda: how many invocations an account runs at once in a Region, and what is refused beyond that.

Functions with reserved concurrency have that and no more; all others share what is not reserved. An account has 1,000
unless AWS or a sandbox control says otherwise; new accounts have as little as 10. Sources: AWS Lambda Developer Guide,
"Understanding Lambda function scaling", "Configuring reserved concurrency for a function" and "Lambda quotas"; the
reasons of a refusal are those of the API's model.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from moto.awslambda.exceptions import InvalidParameterValueException
from moto.awslambda.models import LambdaBackend, LambdaFunction
from moto.awslambda.utils import get_backend
from moto.core.exceptions import ServiceException

from podshare_sandbox.moto_extension import Caller, ServiceExtension
from podshare_sandbox.moto_repair import repair

DEFAULT = 1000
_LEAST_UNRESERVED = 100
_CODE_STORAGE = 75 * 1024**3  # bytes, of all functions and layers
_UNZIPPED, _ZIPPED = 250 * 1024**2, 50 * 1024**2

_lambda = ServiceExtension("awslambda", "lambda", paths=["{0}/(?P<api_version>[^/]+)/account-settings/?$"])
_limits: dict[tuple[str, str], int] = {}


class ThrottledError(ServiceException):
    """Invoke, where no concurrency is left: 429 TooManyRequestsException, which names what is used up."""

    code = "TooManyRequestsException"
    message = "Rate Exceeded."
    Type = "User"

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.Reason = reason


def install() -> None:
    """Answer GetAccountSettings and guard what is not reserved; every account has the default again."""
    _limits.clear()
    _lambda.operation(get_account_settings)
    repair(LambdaBackend, "put_function_concurrency", _reserving)


def set_limit(account: str, region: str, executions: int) -> None:
    """Let an account run this many invocations at once in a Region: a sandbox control."""
    _limits[account, region] = executions


def limit(account: str, region: str) -> int:
    """How many invocations an account runs at once in a Region."""
    return _limits.get((account, region), DEFAULT)


def admit(function: LambdaFunction, running: Mapping[str, int]) -> None:
    """Raises ThrottledError unless one more invocation may run beside those that are, counted by function ARN."""
    if function.reserved_concurrency is not None:
        if running.get(function.function_arn, 0) >= int(function.reserved_concurrency):
            raise ThrottledError("ReservedFunctionConcurrentInvocationLimitExceeded")
        return
    region, account = function.region, function.account_id
    functions = list(get_backend(account, region).list_functions())
    sharing = {each.function_arn for each in functions if each.reserved_concurrency is None}
    if sum(running.get(arn, 0) for arn in sharing) >= _unreserved(account, region, functions):
        raise ThrottledError("ConcurrentInvocationLimitExceeded")


def get_account_settings(caller: Caller) -> dict[str, Any]:
    """GetAccountSettings: the account's limits and its use of them in a Region."""
    functions = list(get_backend(caller.account, caller.region).list_functions())
    return {
        "AccountLimit": {
            "TotalCodeSize": _CODE_STORAGE,
            "CodeSizeUnzipped": _UNZIPPED,
            "CodeSizeZipped": _ZIPPED,
            "ConcurrentExecutions": limit(caller.account, caller.region),
            "UnreservedConcurrentExecutions": _unreserved(caller.account, caller.region, functions),
        },
        "AccountUsage": {
            "TotalCodeSize": sum(each.code_size for each in functions),
            "FunctionCount": len({each.function_name for each in functions}),
        },
    }


def _unreserved(account: str, region: str, functions: Iterable[LambdaFunction]) -> int:
    return limit(account, region) - sum(int(each.reserved_concurrency or 0) for each in functions)


def _reserving(original: Any) -> Any:
    def put_function_concurrency(self: LambdaBackend, function_name: str, reserved_concurrency: Any) -> Any:
        others = [each for each in self.list_functions() if each.function_name != function_name]
        account_limit = limit(self.account_id, self.region_name)
        least = min(_LEAST_UNRESERVED, account_limit)
        if _unreserved(self.account_id, self.region_name, others) - int(reserved_concurrency) < least:
            raise InvalidParameterValueException(
                "Specified ReservedConcurrentExecutions for function decreases account's "
                f"UnreservedConcurrentExecution below its minimum value of [{least}]."
            )
        return original(self, function_name, reserved_concurrency)

    return put_function_concurrency

"""Tasks: who calls, how parameters are spelled, and what errors are called.

moto's tasks call with fixed keys of one account. Here the machine's role is assumed as Step Functions does, and where
a task has ``Credentials``, that role assumes the task's.
"""

import json
import sys
from datetime import UTC, datetime
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import ClientError
from moto.stepfunctions.parser import models as _loads_the_whole_engine  # noqa: F401
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_equals_decl import ErrorEqualsDecl
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import (
    StatesErrorNameType,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.item_reader.eval import resource_eval_s3
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.credentials import StateCredentials
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import (
    StateTaskService,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_aws_sdk import (
    StateTaskServiceAwsSdk,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_lambda import (
    StateTaskServiceLambda,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (
    StateTaskServiceSfn,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task import StateTask
from moto.stepfunctions.parser.asl.utils import boto_client

from podshare_sandbox.moto_repair import repair
from podshare_sandbox.service_clients import ServiceRole

_ENGINE = "moto.stepfunctions.parser"
_UNCAUGHT_BY_ALL = {"States.DataLimitExceeded", "States.Runtime"}
_BOTOCORE_NAMES = {"sfn": "stepfunctions", "states": "stepfunctions", "eventbridge": "events"}
_JAVA_NAMES = {"DynamoDB": "DynamoDb"}  # of the services whose name is not spelled by the rule in java_name

_models = botocore.session.get_session()


class TaskIdentity(StateCredentials):
    """The role with which a task calls, and the machine for which Step Functions assumes it."""

    def __init__(self, machine_role: str, machine_arn: str, own_role: str | None) -> None:
        super().__init__(role_arn=own_role or machine_role)
        session_name = machine_arn.rpartition(":")[2][:64]
        self.role = ServiceRole(machine_role, "states.amazonaws.com", session_name, machine_arn, own_role)


def install() -> None:
    """Repair the identity, the spelling and the errors of tasks."""
    repair(StateTask, "_eval_state_credentials", _identifying)
    original = boto_client.boto_client_for
    for name, module in list(sys.modules.items()):
        if name.startswith(_ENGINE) and getattr(module, "boto_client_for", None) is original:
            repair(module, "boto_client_for", _acting_in_a_role)
    repair(resource_eval_s3, "boto_client_for", _acting_in_a_role)
    repair(StateTaskService, "_normalise_parameters", _spelling_parameters)
    repair(StateTaskService, "_normalise_response", _spelling_responses)
    for service in (StateTaskServiceAwsSdk, StateTaskServiceSfn):
        repair(service, "_eval_service_task", _answering_in_json)
    repair(StateTaskServiceAwsSdk, "_normalise_service_error_name", _naming_services)
    repair(StateTaskServiceLambda, "_error_cause_from_client_error", _naming_lambda_errors)
    repair(StateTaskServiceSfn, "_from_error", _naming_execution_errors)
    repair(lambda_eval_utils, "LambdaFunctionErrorException", _telling_an_error_type)
    repair(ErrorEqualsDecl, "_eval_body", _matching_errors)


def java_name(service: str) -> str:
    """A service's name in errors, as the AWS SDK for Java spells it (``Iam``, ``SageMaker``, ``S3Control``)."""
    model = _models.get_service_model(_botocore_name(service))
    words = str(model.service_id).split()
    return "".join(_JAVA_NAMES.get(word, word.capitalize() if word.isupper() else word) for word in words)


def _botocore_name(service: str) -> str:
    return _BOTOCORE_NAMES.get(service.lower(), service.lower())


def _identifying(_original: Any) -> Any:
    def eval_state_credentials(self: StateTask, env: Any) -> TaskIdentity:
        own_role = None
        if self.credentials:
            self.credentials.eval(env=env)
            own_role = env.stack.pop().role_arn
        machine = env.states.context_object.context_object_data["StateMachine"]["Id"]
        return TaskIdentity(env.aws_execution_details.role_arn, machine, own_role)

    return eval_state_credentials


def _acting_in_a_role(_original: Any) -> Any:
    def boto_client_for(region: str, service: str, state_credentials: Any = None) -> Any:
        if not isinstance(state_credentials, TaskIdentity):
            raise NotImplementedError(f"the sandbox does not know in whose role this task calls {service}")
        return state_credentials.role.client(_botocore_name(service), region)

    return boto_client_for


def _shapes(task: StateTaskService, service: str | None, action: str | None) -> tuple[Any, Any]:
    name = _botocore_name(task._get_boto_service_name(service))
    wanted = task._get_boto_service_action(action)
    model = _models.get_service_model(name)
    for operation in model.operation_names:
        if xform_name(operation) == wanted or operation.lower() == wanted.replace("_", ""):
            operation_model = model.operation_model(operation)
            return operation_model.input_shape, operation_model.output_shape
    return None, None


def _spelling_parameters(_original: Any) -> Any:
    """moto has the code that fits the spelling of parameters and results to the API, but does not call it."""

    def normalise_parameters(
        self: StateTaskService,
        parameters: dict[str, Any],
        boto_service_name: str | None = None,
        service_action_name: str | None = None,
    ) -> None:
        shape = _shapes(self, boto_service_name, service_action_name)[0]
        if shape is not None:
            self._to_boto_request(parameters, shape)

    return normalise_parameters


def _spelling_responses(_original: Any) -> Any:
    def normalise_response(
        self: StateTaskService,
        response: Any,
        boto_service_name: str | None = None,
        service_action_name: str | None = None,
    ) -> None:
        shape = _shapes(self, boto_service_name, service_action_name)[1]
        if shape is not None:
            self._from_boto_response(response, shape)

    return normalise_response


def _answering_in_json(original: Any) -> Any:
    def eval_service_task(self: StateTaskService, env: Any, *args: Any, **more: Any) -> None:
        original(self, env, *args, **more)
        env.stack.append(_as_json(env.stack.pop()))

    return eval_service_task


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_json(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(member) for member in value]
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    if hasattr(value, "read"):
        value = value.read()
    return value.decode() if isinstance(value, bytes) else value


def _naming_services(_original: Any) -> Any:
    return staticmethod(java_name)


def _naming_lambda_errors(_original: Any) -> Any:
    """Errors of the Invoke call itself; one that Lambda's model lacks is ``Lambda.AWSLambdaException``."""

    def error_and_cause(error: ClientError) -> tuple[str, str]:
        told, metadata = error.response["Error"], error.response["ResponseMetadata"]
        is_modelled = type(error) is not ClientError
        name = told["Code"] if is_modelled else "AWSLambdaException"
        details = "; ".join(
            [
                "Service: AWSLambda",
                f"Status Code: {metadata['HTTPStatusCode']}",
                f"Error Code: {told['Code']}",
                f"Request ID: {metadata.get('RequestId', '')}",
                "Proxy: null",
            ]
        )
        return f"Lambda.{name}", f"{told['Message']} ({details})"

    return staticmethod(error_and_cause)


def _naming_execution_errors(original: Any) -> Any:
    """Errors of StartExecution; one that its model lacks, a refusal by IAM, is ``AWSStepFunctionsException``."""

    def from_error(self: StateTaskServiceSfn, env: Any, ex: Exception) -> Any:
        event = original(self, env=env, ex=ex)
        if type(ex) is ClientError:
            told: Any = event.event_details
            told["taskFailedEventDetails"]["error"] = "StepFunctions.AWSStepFunctionsException"
            event.error_name = CustomErrorName("StepFunctions.AWSStepFunctionsException")
        return event

    return from_error


def _telling_an_error_type(original: Any) -> Any:
    """An error payload without ``errorType`` is ``Lambda.Unknown``."""

    class LambdaFunctionErrorException(original):  # type: ignore[misc]  # the class to repair
        def __init__(self, function_error: str | None, payload: str) -> None:
            told = json.loads(payload)
            if not isinstance(told, dict) or "errorType" not in told:
                told = {"errorType": "Lambda.Unknown", "errorMessage": payload}
                payload = json.dumps(told)
            super().__init__(function_error, payload)

    return LambdaFunctionErrorException


def _matching_errors(original: Any) -> Any:
    """``States.ALL`` does not catch everything, ``States.TaskFailed`` all but a timeout ("Error names")."""
    catch_all = StatesErrorName(typ=StatesErrorNameType.StatesALL)
    task_failed = StatesErrorName(typ=StatesErrorNameType.StatesTaskFailed)

    def matches(self: ErrorEqualsDecl, env: Any) -> None:
        name = env.stack[-1].error_name
        named = {error.error_name for error in self.error_names}
        if catch_all in self.error_names and name in _UNCAUGHT_BY_ALL and name not in named:
            env.stack[-1] = False
        elif task_failed in self.error_names and name not in {"States.Timeout", *_UNCAUGHT_BY_ALL}:
            env.stack[-1] = True
        else:
            original(self, env)

    return matches

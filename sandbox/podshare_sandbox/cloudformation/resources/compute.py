"""What runs: Lambda functions with their triggers, and state machines."""

import io
import json
import re
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from podshare_sandbox.cloudformation.errors import TemplateError
from podshare_sandbox.cloudformation.intrinsics import text
from podshare_sandbox.cloudformation.resources.base import Physical, Resource, tag_map
from podshare_sandbox.cloudformation.template import SafeLoader

_SUBSTITUTION = re.compile(r"\$\{([A-Za-z0-9_]+)\}")


@cache
def _placeholder_archive() -> bytes:
    """An archive for an API that demands one: the function's process runs from its folder, unzipped."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("README", "The sandbox runs this function from its source folder.\n")
    return archive.getvalue()


class Function(Resource):
    type = "AWS::Lambda::Function"
    name_property = "FunctionName"
    replaced_by = frozenset({"FunctionName", "PackageType"})

    _CONFIGURATION = (
        "DeadLetterConfig",
        "Description",
        "Environment",
        "EphemeralStorage",
        "Handler",
        "KmsKeyArn",
        "Layers",
        "LoggingConfig",
        "MemorySize",
        "Role",
        "Runtime",
        "Timeout",
        "TracingConfig",
    )

    def create(self) -> Physical:
        folder = self._folder()
        arn = self.call(
            "lambda",
            "CreateFunction",
            FunctionName=self.physical_name(),
            Code={"ZipFile": _placeholder_archive()},
            Tags=tag_map(self.properties.get("Tags")),
            **self.properties.take("Architectures", "PackageType", *self._CONFIGURATION),
        )["FunctionArn"]
        self.stack.register_code(arn, folder)
        name = arn.rpartition(":")[2]
        self._converge_concurrency(name, {})
        return Physical(name, {"Arn": arn})

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        arn = physical.attributes["Arn"]
        # what the template no longer says goes back to the default
        defaults: dict[str, Any] = {
            "Description": "",
            "Environment": {"Variables": {}},
            "Layers": [],
            "MemorySize": 128,
            "Timeout": 3,
        }
        settings = {**defaults, **self.properties.take(*self._CONFIGURATION)}
        self.call("lambda", "UpdateFunctionConfiguration", FunctionName=physical.ref, **settings)
        architectures = self.properties.get("Architectures")
        if architectures != before.get("Architectures"):
            self.call(
                "lambda",
                "UpdateFunctionCode",
                FunctionName=physical.ref,
                ZipFile=_placeholder_archive(),
                Architectures=architectures or ["x86_64"],
            )
        self.converge_tags(before, "lambda", Resource=arn)
        self._converge_concurrency(physical.ref, before)
        self.stack.register_code(arn, self._folder())
        return physical

    def delete(self, physical: Physical) -> None:
        self.call("lambda", "DeleteFunction", FunctionName=physical.ref)

    def _folder(self) -> Path:
        code = self.properties["Code"]
        if isinstance(code, str):  # a path, as `aws cloudformation package` takes it
            return self.stack.folder / code
        if "S3Bucket" not in code:
            raise TemplateError(f"{self.logical_id}: only code in a local folder is emulated, not {sorted(code)}")
        return self.artifact(code["S3Bucket"], code["S3Key"])

    def _converge_concurrency(self, name: str, before: Mapping[str, Any]) -> None:
        reserved = self.properties.get("ReservedConcurrentExecutions")
        if reserved is not None:
            self.call(
                "lambda",
                "PutFunctionConcurrency",
                FunctionName=name,
                ReservedConcurrentExecutions=reserved,
            )
        elif "ReservedConcurrentExecutions" in before:
            self.call("lambda", "DeleteFunctionConcurrency", FunctionName=name)


class Permission(Resource):
    type = "AWS::Lambda::Permission"
    _STATEMENT = (
        "Action",
        "EventSourceToken",
        "FunctionName",
        "FunctionUrlAuthType",
        "Principal",
        "PrincipalOrgID",
        "SourceAccount",
        "SourceArn",
    )
    replaced_by = frozenset(_STATEMENT)
    name_limit = 100

    def create(self) -> Physical:
        statement_id = self.generated_name()
        self.call("lambda", "AddPermission", StatementId=statement_id, **self.properties.take(*self._STATEMENT))
        return Physical(statement_id, {"Id": statement_id})

    def delete(self, physical: Physical) -> None:
        self.call(
            "lambda",
            "RemovePermission",
            FunctionName=self.properties["FunctionName"],
            StatementId=physical.ref,
        )


class EventSourceMapping(Resource):
    type = "AWS::Lambda::EventSourceMapping"
    replaced_by = frozenset({"EventSourceArn", "StartingPosition", "StartingPositionTimestamp"})

    _SETTINGS = (
        "BatchSize",
        "BisectBatchOnFunctionError",
        "DestinationConfig",
        "Enabled",
        "FilterCriteria",
        "FunctionName",
        "FunctionResponseTypes",
        "MaximumBatchingWindowInSeconds",
        "MaximumRecordAgeInSeconds",
        "MaximumRetryAttempts",
        "MetricsConfig",
        "ParallelizationFactor",
        "ScalingConfig",
        "TumblingWindowInSeconds",
    )

    def create(self) -> Physical:
        mapping = self.call(
            "lambda",
            "CreateEventSourceMapping",
            **self.properties.take("EventSourceArn", "StartingPosition", "StartingPositionTimestamp"),
            **self.properties.take("Tags", *self._SETTINGS),
        )
        return self._physical(mapping["UUID"])

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        settings = self.properties.take(*self._SETTINGS)
        self.call("lambda", "UpdateEventSourceMapping", UUID=physical.ref, **settings)
        return physical

    def delete(self, physical: Physical) -> None:
        self.call("lambda", "DeleteEventSourceMapping", UUID=physical.ref)

    def _physical(self, uuid: str) -> Physical:
        return Physical(uuid, {"Id": uuid, "EventSourceMappingArn": self.arn("lambda", f"event-source-mapping:{uuid}")})


class LayerVersion(Resource):
    type = "AWS::Lambda::LayerVersion"
    name_property = "LayerName"
    _CONTENT = ("CompatibleArchitectures", "CompatibleRuntimes", "Description", "LicenseInfo")
    # a version never changes; a new one has the same name, so a custom name does not stand in the way
    replaced_by = frozenset({"Content", *_CONTENT})

    def create(self) -> Physical:
        content = self.properties["Content"]
        folder = self.artifact(content.get("S3Bucket"), content.get("S3Key"))
        version = self.call(
            "lambda",
            "PublishLayerVersion",
            LayerName=self.physical_name(),
            Content={"ZipFile": _placeholder_archive()},
            **self.properties.take(*self._CONTENT),
        )
        arn = version["LayerVersionArn"]
        self.stack.register_code(arn, folder)
        return Physical(arn, {"LayerVersionArn": arn})

    def delete(self, physical: Physical) -> None:
        layer, _, version = physical.ref.rpartition(":")
        self.call("lambda", "DeleteLayerVersion", LayerName=layer, VersionNumber=int(version))


class EventInvokeConfig(Resource):
    type = "AWS::Lambda::EventInvokeConfig"
    replaced_by = frozenset({"FunctionName", "Qualifier"})

    def create(self) -> Physical:
        self.call(
            "lambda",
            "PutFunctionEventInvokeConfig",
            **self.properties.take(
                "DestinationConfig",
                "FunctionName",
                "MaximumEventAgeInSeconds",
                "MaximumRetryAttempts",
                "Qualifier",
            ),
        )
        return Physical(f"{self.properties['FunctionName']}:{self.properties['Qualifier']}")

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        return self.create()

    def delete(self, physical: Physical) -> None:
        self.call(
            "lambda",
            "DeleteFunctionEventInvokeConfig",
            **self.properties.take("FunctionName", "Qualifier"),
        )


class StateMachine(Resource):
    type = "AWS::StepFunctions::StateMachine"
    name_property = "StateMachineName"
    name_limit = 80
    replaced_by = frozenset({"StateMachineName", "StateMachineType"})

    _SETTINGS = ("EncryptionConfiguration", "LoggingConfiguration", "RoleArn", "TracingConfiguration")

    def create(self) -> Physical:
        arn = self.call(
            "stepfunctions",
            "CreateStateMachine",
            name=self.physical_name(),
            type=self.properties.get("StateMachineType", "STANDARD"),
            definition=self._definition(),
            **self.properties.take("Tags", *self._SETTINGS),
        )["stateMachineArn"]
        return Physical(arn, {"Arn": arn, "Name": arn.rpartition(":")[2]})

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        self.call(
            "stepfunctions",
            "UpdateStateMachine",
            stateMachineArn=physical.ref,
            definition=self._definition(),
            **self.properties.take(*self._SETTINGS),
        )
        self.converge_tags(before, "stepfunctions", ResourceArn=physical.ref)
        return physical

    def delete(self, physical: Physical) -> None:
        self.call("stepfunctions", "DeleteStateMachine", stateMachineArn=physical.ref)

    def _definition(self) -> str:
        source, substitutions = self._source(), self.properties.get("DefinitionSubstitutions", {})
        for name, value in substitutions.items():
            source = source.replace(f"${{{name}}}", text(value))
        if left := sorted(set(_SUBSTITUTION.findall(source))):
            raise TemplateError(f"{self.logical_id}: DefinitionSubstitutions lack {', '.join(left)}")
        # JSON is YAML; the API takes JSON alone
        return json.dumps(yaml.load(source, SafeLoader))  # noqa: S506  # it is safe, in C or in Python

    def _source(self) -> str:
        if "DefinitionS3Location" in self.properties:
            location = self.properties["DefinitionS3Location"]
            return self.artifact(location["Bucket"], location["Key"]).read_text(encoding="utf-8")
        if "DefinitionString" in self.properties:
            return str(self.properties["DefinitionString"])
        return json.dumps(self.properties["Definition"])


RESOURCES = (
    Function,
    Permission,
    EventSourceMapping,
    LayerVersion,
    EventInvokeConfig,
    StateMachine,
)

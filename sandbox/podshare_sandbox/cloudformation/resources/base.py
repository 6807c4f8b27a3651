"""What all resource types share: properties that remember who read them, calls that fit the API's model."""

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from botocore import xform_name
from botocore.model import ListShape, MapShape, Shape, StructureShape

from podshare_sandbox.cloudformation.errors import TemplateError
from podshare_sandbox.cloudformation.intrinsics import text
from podshare_sandbox.cloudformation.template import LOCAL_ARTIFACTS


class Environment(Protocol):
    """Where a resource is created: what a handler may know of its stack."""

    name: str
    account: str
    region: str
    folder: Path

    def client(self, service: str) -> Any:
        """A boto3 client of the deploying principal."""

    def register_code(self, function_arn: str, folder: Path) -> None:
        """Tell the Lambda service which folder a function runs from."""


class Properties(dict[str, Any]):
    """A resource's evaluated properties, remembering which of them a handler has looked at."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self._read.add(name)
        if name not in self:
            raise TemplateError(f"property {name} is required")
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The property, or ``default``; it counts as read either way."""
        self._read.add(name)
        return super().get(name, default)

    def take(self, *names: str) -> dict[str, Any]:
        """Those of the named properties that are there."""
        self._read.update(names)
        return {name: self[name] for name in names if name in self}

    @property
    def unread(self) -> list[str]:
        """The properties that no handler has looked at: they have no effect here."""
        return sorted(set(self) - self._read)


@dataclass(frozen=True)
class Physical:
    """A resource as it exists: its physical id (what ``Ref`` answers) and what ``Fn::GetAtt`` answers."""

    ref: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Resource:
    """One resource of a stack: a subclass creates, updates and deletes one resource type through its API."""

    type: ClassVar[str]
    name_property: ClassVar[str | None] = None
    # properties whose change CloudFormation answers with a new resource ("Update requires: Replacement")
    replaced_by: ClassVar[frozenset[str]] = frozenset()
    # the API's limit of a generated name
    name_limit: ClassVar[int] = 64

    def __init__(self, stack: Environment, logical_id: str, properties: Properties) -> None:
        self.stack = stack
        self.logical_id = logical_id
        self.properties = properties

    def create(self) -> Physical:
        """Create the resource."""
        raise NotImplementedError

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        """Bring the existing resource from the properties ``before`` to the present ones."""
        raise NotImplementedError

    def delete(self, physical: Physical) -> None:
        """Delete the resource; its properties are those that it was last deployed with."""
        raise NotImplementedError

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation (CamelCase); parameters are fitted to the API's input shape."""
        client = self.stack.client(service)
        shape = client.meta.service_model.operation_model(operation).input_shape
        answer: dict[str, Any] = getattr(client, xform_name(operation))(**_fitted(shape, parameters, operation))
        return answer

    def converge_tags(
        self,
        before: Mapping[str, Any],
        service: str,
        *,
        tag: str = "TagResource",
        untag: str = "UntagResource",
        **resource: str,
    ) -> None:
        """Set the tags and remove those that the template no longer has; ``resource`` names it to both operations."""
        tags = self.properties.get("Tags", [])
        # changed ones go as well: moto's DynamoDB would keep a second tag with the same key
        if gone := sorted({key for key, _ in tag_map(before.get("Tags")).items() - tag_map(tags).items()}):
            self.call(service, untag, TagKeys=gone, **resource)
        if tags:
            self.call(service, tag, Tags=tags, **resource)

    def physical_name(self) -> str:
        """The name that the template gives, else one made of stack, logical id and a random suffix."""
        given = self.properties.get(self.name_property) if self.name_property else None
        return text(given) if given else self.generated_name()

    def generated_name(self) -> str:
        """``<stack>-<logical id>-<suffix>``, its parts cut to fit the limit, as CloudFormation does."""
        suffix = secrets.token_hex(6).upper()
        room = self.name_limit - len(suffix) - 1
        prefix = f"{self.stack.name}-{self.logical_id}"
        if len(prefix) > room:
            half = (room - 1) // 2
            prefix = f"{self.stack.name[:half]}-{self.logical_id[: room - 1 - len(self.stack.name[:half])]}"
        return f"{prefix}-{suffix}"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a resource in the stack's account and Region."""
        return f"arn:aws:{service}:{self.stack.region}:{self.stack.account}:{resource}"

    def artifact(self, bucket: Any, key: Any) -> Path:
        """The file or folder beside the template that an S3 location stands for."""
        path = self.stack.folder / str(key)
        if bucket != LOCAL_ARTIFACTS or not path.exists():
            raise TemplateError(f"{self.logical_id}: no local artifact at s3://{bucket}/{key}")
        return path


def tag_map(tags: Any) -> dict[str, str]:
    """A template's tags, a list of Key and Value or already a map, as a map."""
    if isinstance(tags, Mapping):
        return {key: text(value) for key, value in tags.items()}
    return {tag["Key"]: text(tag["Value"]) for tag in tags or []}


def _fitted(shape: Shape | None, value: Any, path: str) -> Any:
    """``value`` in the spelling and the types of the API's ``shape``.

    A template spells members in PascalCase, numbers and booleans as strings where they come from
    parameters, tags as lists and JSON documents as objects; CloudFormation's resource handlers
    convert all that, and so does this. A member that the shape lacks is refused.
    """
    if isinstance(shape, StructureShape) and not shape.is_document_type and isinstance(value, dict):
        return dict(_fitted_members(shape, value, path))
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_fitted(shape.member, item, f"{path}[]") for item in value]
    if isinstance(shape, MapShape) and isinstance(value, dict | list):
        entries = tag_map(value) if isinstance(value, list) else value
        return {text(key): _fitted(shape.value, item, f"{path}.{key}") for key, item in entries.items()}
    return _fitted_scalar(shape.type_name, value) if shape else value


def _fitted_scalar(kind: str, value: Any) -> Any:
    match kind, value:
        case "string", dict() | list():
            return json.dumps(value)
        case "string", bool() | int() | float():
            return text(value)
        case "boolean", "true" | "false":
            return value == "true"
        case (("integer" | "long"), str()):
            return int(value)
        case (("float" | "double"), str()):
            return float(value)
    return value


def _fitted_members(shape: StructureShape, value: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    members = {name.casefold(): name for name in shape.members}
    for key, item in value.items():
        name = key if key in shape.members else members.get(str(key).casefold())
        if name is None:
            raise TemplateError(f"{path}: Encountered unsupported property {key}")
        yield name, _fitted(shape.members[name], item, f"{path}.{name}")

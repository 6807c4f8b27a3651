"""Reads a template and expands AWS SAM into plain CloudFormation with AWS's own translator."""

import copy
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import boto3
import yaml

try:
    from yaml import CSafeLoader as SafeLoader  # ten times faster, where PyYAML has its C library
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment]  # the same interface

from podshare_sandbox.cloudformation.errors import TemplateError

__all__ = ["LOCAL_ARTIFACTS", "SafeLoader", "Template", "expand", "parse", "read"]

Template = dict[str, Any]

SAM_TRANSFORM = "AWS::Serverless-2016-10-31"

# The translator knows artifacts only as S3 locations, as `sam deploy` leaves them behind. This bucket
# stands for the template's own folder: its keys are paths relative to it.
LOCAL_ARTIFACTS = "local-artifacts"

_SECTIONS = {
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Globals",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Transform",
}
_RESOURCE_ATTRIBUTES = {
    "Condition",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "Properties",
    "Type",
    "UpdateReplacePolicy",
}
_ARTIFACT_PROPERTIES = {
    "AWS::Serverless::Function": "CodeUri",
    "AWS::Serverless::LayerVersion": "ContentUri",
    "AWS::Serverless::StateMachine": "DefinitionUri",
}


class _Loader(SafeLoader):
    """YAML as CloudFormation reads it: short intrinsics, dates as text, no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1 and key != "<<"})
        if twice:
            raise TemplateError(f"duplicate key {', '.join(twice)} {node.start_mark}")
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in SafeLoader.yaml_implicit_resolvers.items()
}


def _intrinsic(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)  # noqa: S101  # YAML has three kinds of nodes
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)


def read(path: Path) -> Template:
    """The template in a YAML or JSON file. Raises TemplateError where CloudFormation would refuse its form."""
    return parse(path.read_text(encoding="utf-8"), path.name)


def parse(body: str, name: str = "Template") -> Template:
    """The template in a text of YAML or JSON, which ``name`` names in errors. Raises TemplateError as ``read``."""
    try:
        template = yaml.load(body, _Loader)  # noqa: S506  # derives from SafeLoader
    except yaml.YAMLError as error:
        raise TemplateError(f"{name}: {error}") from error
    if not isinstance(template, dict) or not template.get("Resources"):
        raise TemplateError(f"{name}: at least one Resources member must be defined")
    unknown = set(template) - _SECTIONS
    if unknown:
        raise TemplateError(f"{name}: sections not emulated: {', '.join(sorted(unknown))}")
    return template


def expand(template: Template, parameters: Mapping[str, str], region: str) -> Template:
    """The template without SAM: resources of ``AWS::Serverless`` become those that they stand for.

    A template without ``Transform`` comes back as it is; a transform other than SAM's is refused.
    """
    transforms = template.get("Transform", [])
    transforms = transforms if isinstance(transforms, list) else [transforms]
    if transforms not in ([], [SAM_TRANSFORM]):
        raise TemplateError(f"transforms not emulated: {transforms}")
    plain = _translated(template, parameters, region) if transforms else template
    _check_resources(plain["Resources"])
    return plain


def _translated(template: Template, parameters: Mapping[str, str], region: str) -> Template:
    source = copy.deepcopy(template)
    _point_artifacts_to_folder(source)
    # it takes half a second to import, which a sandbox without SAM need not spend
    from samtranslator.model.exceptions import InvalidDocumentException  # noqa: PLC0415
    from samtranslator.parser.parser import Parser  # noqa: PLC0415
    from samtranslator.translator.translator import Translator  # noqa: PLC0415
    from samtranslator.utils import py27hash_fix  # noqa: PLC0415

    # samtranslator.transform in short, which cannot be told the Region; the logical ids are to be the same
    values = dict(parameters)
    py27hash_fix.to_py27_compatible_template(source, values)
    translator = Translator(None, Parser(), boto_session=boto3.Session(region_name=region))
    try:
        translated: Template = translator.translate(source, values, get_managed_policy_map=dict)
    except InvalidDocumentException as error:
        causes = "; ".join(str(cause.message) for cause in error.causes)
        raise TemplateError(f"SAM transform failed: {causes}") from error
    finally:
        translator.metrics.publish()  # to nowhere; it complains on stderr otherwise
    plain: Template = py27hash_fix.undo_mark_unicode_str_in_template(translated)
    return plain


def _point_artifacts_to_folder(template: Template) -> None:
    defaults = template.get("Globals", {})
    for logical_id, resource in template["Resources"].items():
        name = _ARTIFACT_PROPERTIES.get(resource.get("Type"))
        if name is None:
            continue
        properties = resource.setdefault("Properties", {})
        kind = resource["Type"].rpartition("::")[2]
        location = properties.get(name, defaults.get(kind, {}).get(name))
        if isinstance(location, str):
            properties[name] = f"s3://{LOCAL_ARTIFACTS}/{location.removeprefix('./')}"
        elif location is not None:
            raise TemplateError(f"{logical_id}: {name} must be a path in the template's folder")


def _check_resources(resources: Mapping[str, Any]) -> None:
    for logical_id, resource in resources.items():
        if not isinstance(resource, dict) or "Type" not in resource:
            raise TemplateError(f"[/Resources/{logical_id}] every Resources object must contain a Type member")
        unknown = set(resource) - _RESOURCE_ATTRIBUTES
        if unknown:
            raise TemplateError(f"{logical_id}: resource attributes not emulated: {', '.join(sorted(unknown))}")

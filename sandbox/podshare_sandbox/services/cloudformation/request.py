"""What a request to deploy says: its template, its parameters, and the capabilities that it acknowledges.

Sources: CreateStack, UpdateStack, CreateStackSet and UpdateStackSet in the CloudFormation API Reference; "AWS
CloudFormation quotas" in the user guide.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from botocore import xform_name
from moto.core.exceptions import ServiceException

from podshare_sandbox.cloudformation import parameters, template
from podshare_sandbox.cloudformation.errors import TemplateError
from podshare_sandbox.cloudformation.template import Template
from podshare_sandbox.moto_extension import ServiceExtension

MOST_BYTES = 51_200  # of a template in a request; a longer one has to come from S3

extension = ServiceExtension("cloudformation", invalid_parameters="ValidationError")

_NAMES_OF_IAM = {
    "AWS::IAM::AccessKey": "",
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Policy": "",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
    "AWS::IAM::UserToGroupAddition": "",
}


def invalid(message: str) -> ServiceException:
    """ValidationError, CloudFormation's answer to most that is wrong with a request."""
    return extension.error("ValidationError", message, status=400)


def snake_case(operation: str) -> str:
    """The name of an operation's function."""
    return str(xform_name(operation))


def body_of(body: str | None, url: str | None, previous: str | None = None) -> str:
    """The one template that a request gives; ``previous`` is that of an update with UsePreviousTemplate.

    Errors: ValidationError for none or several, for one that is too long, and for a TemplateURL (not emulated).
    """
    if url is not None:
        raise invalid("TemplateURL is not emulated by the sandbox: send the template as TemplateBody.")
    if (body is None) == (previous is None):
        raise invalid("Either Template URL or Template Body must be specified.")
    text = body if body is not None else str(previous)
    if len(text.encode()) > MOST_BYTES:
        raise invalid(
            f"1 validation error detected: Value at 'templateBody' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MOST_BYTES}"
        )
    return text


def parsed(body: str) -> Template:
    """The template of a request. Errors: ValidationError."""
    try:
        return template.parse(body)
    except TemplateError as error:
        raise invalid(f"Template format error: {error}") from error


def values(
    source: Template, given: Sequence[Mapping[str, Any]] | None, previous: Mapping[str, str] | None = None
) -> dict[str, str]:
    """All parameters' values: those given, ``previous`` ones where the request says so, and else the default.

    A parameter that an update does not name is not kept: it gets the template's default. Errors: ValidationError.
    """
    chosen: dict[str, str] = {}
    for parameter in given or ():
        name, value = str(parameter["ParameterKey"]), parameter.get("ParameterValue")
        keeps = parameter.get("UsePreviousValue", False)
        if name in chosen:
            raise invalid(f"Duplicate parameter keys: {name}")
        if keeps and value:
            raise invalid(
                f"Invalid input for parameter key {name}. "
                "Cannot specify usePreviousValue as true and non empty value for a parameter"
            )
        if keeps and name not in (previous or {}):
            raise invalid(f"Invalid input for parameter key {name}. Need to specify either value or usePreviousValue")
        chosen[name] = (previous or {})[name] if keeps else str(value or "")
    try:
        resolved = parameters.given_or_default(source.get("Parameters", {}), chosen)
        parameters.checked(source.get("Parameters", {}), resolved)
    except TemplateError as error:
        raise invalid(str(error)) from error
    return resolved


def check_capabilities(source: Template, given: Sequence[str] | None) -> None:
    """Errors: InsufficientCapabilitiesException unless IAM resources and transforms are acknowledged."""
    iam = [resource for resource in source["Resources"].values() if resource.get("Type") in _NAMES_OF_IAM]
    needed = set()
    if iam:
        named = any(_NAMES_OF_IAM[resource["Type"]] in resource.get("Properties", {}) for resource in iam)
        needed.add("CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM")
    if source.get("Transform"):
        needed.add("CAPABILITY_AUTO_EXPAND")
    if "CAPABILITY_NAMED_IAM" in (given or ()):
        needed.discard("CAPABILITY_IAM")
    if missing := sorted(needed - set(given or ())):
        raise extension.error(
            "InsufficientCapabilitiesException", f"Requires capabilities : [{', '.join(missing)}]", status=400
        )

"""One CloudFormation stack: created, updated and deleted resource by resource.

Stacks are the sandbox's own; :mod:`podshare_sandbox.services.cloudformation` is their API.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from podshare_sandbox import consistency
from podshare_sandbox.authorization import global_keys
from podshare_sandbox.cloudformation import parameters, template
from podshare_sandbox.cloudformation.errors import StackError, TemplateError
from podshare_sandbox.cloudformation.intrinsics import Evaluator, in_order, text
from podshare_sandbox.cloudformation.resources import RESOURCE_TYPES, Physical, Properties, Resource
from podshare_sandbox.cloudformation.template import Template

_SERVICE = "cloudformation.amazonaws.com"
_RETAINED = {"Retain", "RetainExceptOnCreate"}


@dataclass(frozen=True)
class Export:
    """A value that a stack exports to the other stacks of its account and Region."""

    value: str
    stack: str


@dataclass(frozen=True)
class Deployed:
    """A resource as it was last deployed; ``needs`` are the logical ids of those that it refers to."""

    type: str
    properties: Mapping[str, Any]
    physical: Physical
    retained: bool
    needs: frozenset[str]


class Stack:
    """A stack of one account and Region, deployed by the principal behind ``client`` (service → boto3 client).

    ``register_code`` is told the folder of each function's code. ``exports`` is shared by the stacks of one
    account and Region.
    """

    def __init__(
        self,
        name: str,
        account: str,
        region: str,
        *,
        client: Callable[[str], Any],
        register_code: Callable[[str, Path], None],
        exports: dict[str, Export] | None = None,
    ) -> None:
        self.name = name
        self.account = account
        self.region = region
        self.folder = Path()
        self.client = client
        self.register_code = register_code
        self.stack_id = f"arn:aws:cloudformation:{region}:{account}:stack/{name}/{uuid.uuid4()}"
        self.parameters: dict[str, str] = {}
        self.outputs: dict[str, str] = {}
        self.resources: dict[str, Deployed] = {}
        self.not_emulated: list[str] = []
        self.deleted = False  # a new stack of its name is another one
        self._delete_failed = False
        self._exports: dict[str, Export] = {} if exports is None else exports

    def deploy(self, path: Path, given: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Create the stack from the template at ``path``, or update it, and return its outputs.

        A parameter that is not given keeps its previous value, then its default, as with ``aws cloudformation
        deploy``. Raises TemplateError before anything is touched, StackError when a resource fails.
        """
        source = template.read(path)
        previous = {name: value for name, value in self.parameters.items() if name in source.get("Parameters", {})}
        return self.deploy_template(source, path.resolve().parent, {**previous, **(given or {})})

    @consistency.at_once()  # CloudFormation waits until what it has made is known
    @global_keys.acting(_SERVICE)
    def deploy_template(self, source: Template, folder: Path, given: Mapping[str, Any]) -> dict[str, str]:
        """Create or update the stack from a template whose artifacts lie in ``folder``; what is not given is default.

        Raises as :meth:`deploy`.
        """
        if self._delete_failed:
            raise StackError(f"Stack:{self.stack_id} is in DELETE_FAILED state and can not be updated.")
        declared = source.get("Parameters", {})
        values = parameters.given_or_default(declared, given)
        checked = parameters.checked(declared, values)
        plain = template.expand(source, values, self.region)
        exports = {name: export.value for name, export in self._exports.items()}
        evaluator = Evaluator(plain, {**checked, **self._pseudo_parameters()}, exports)
        needs = _needs(plain, evaluator)
        order = in_order(needs, "resources")
        self.folder, self.parameters, self.not_emulated, self.deleted = folder, values, [], False
        self._deploy_resources({name: plain["Resources"][name] for name in order}, evaluator, needs)
        self._set_outputs(plain.get("Outputs", {}), evaluator)
        return self.outputs

    @consistency.at_once()
    @global_keys.acting(_SERVICE)
    def delete(self) -> None:
        """Delete the resources in reverse order, except those that are retained by their DeletionPolicy.

        Raises StackError when some cannot be deleted: they stay, and what they need, and nothing but another
        deletion is possible then.
        """
        self._delete_failed = True
        self._withdraw_exports(keep=set())
        self._delete_resources(list(self.resources))
        self._delete_failed = False
        self.deleted = True
        self.outputs, self.parameters, self.not_emulated = {}, {}, []

    def _pseudo_parameters(self) -> dict[str, str]:
        return {
            "AWS::AccountId": self.account,
            "AWS::Partition": "aws",
            "AWS::Region": self.region,
            "AWS::StackId": self.stack_id,
            "AWS::StackName": self.name,
            "AWS::URLSuffix": "amazonaws.com",
        }

    def _deploy_resources(
        self, declarations: Mapping[str, Any], evaluator: Evaluator, needs: Mapping[str, set[str]]
    ) -> None:
        existing, replaced = self.resources, {}
        self.resources = {}
        try:
            for logical_id, declaration in declarations.items():
                before = existing.get(logical_id)
                after = self._deploy_resource(logical_id, declaration, evaluator, before, needs[logical_id])
                self.resources[logical_id] = after
                if before and before.physical.ref != after.physical.ref:
                    replaced[logical_id] = before
                evaluator.refs[logical_id] = after.physical.ref
                evaluator.attributes[logical_id] = after.physical.attributes
        finally:
            # what failed or was not reached is still there as it was; in the order of its creation
            self.resources = {**existing, **self.resources}
        # CloudFormation's clean-up phase: the old goes after all that is new is there
        for logical_id, before in reversed(replaced.items()):
            self._delete_resource(logical_id, before)
        self._delete_resources([name for name in existing if name not in declarations])
        self.resources = {name: self.resources[name] for name in declarations}

    def _deploy_resource(
        self,
        logical_id: str,
        declaration: Mapping[str, Any],
        evaluator: Evaluator,
        before: Deployed | None,
        needs: set[str],
    ) -> Deployed:
        properties = Properties(evaluator.evaluate(declaration.get("Properties", {})))
        resource = RESOURCE_TYPES[declaration["Type"]](self, logical_id, properties)
        try:
            physical = _converged(resource, before)
        except (ClientError, BotoCoreError, TemplateError) as error:
            raise StackError(f"{self.name}: {resource.type} {logical_id}: {error}") from error
        self.not_emulated += [f"{resource.type} {logical_id}: {name}" for name in properties.unread]
        retained = declaration.get("DeletionPolicy") in _RETAINED
        return Deployed(resource.type, dict(properties), physical, retained, frozenset(needs))

    def _delete_resources(self, logical_ids: list[str]) -> None:
        failures: list[StackError] = []
        needed: set[str] = set()
        for logical_id in reversed(logical_ids):
            deployed = self.resources[logical_id]
            try:
                if logical_id not in needed:
                    self._delete_resource(logical_id, deployed)
                    del self.resources[logical_id]
            except StackError as failure:
                failures.append(failure)
            if logical_id in self.resources:
                needed |= deployed.needs
        if failures:
            raise StackError("; ".join(str(failure) for failure in failures))

    def _delete_resource(self, logical_id: str, deployed: Deployed) -> None:
        if deployed.retained:
            return
        resource = RESOURCE_TYPES[deployed.type](self, logical_id, Properties(deployed.properties))
        try:
            resource.delete(deployed.physical)
        except (ClientError, BotoCoreError) as error:
            if _is_absence(error):
                return
            raise StackError(f"{self.name}: {deployed.type} {logical_id}: {error}") from error

    def _set_outputs(self, declarations: Mapping[str, Any], evaluator: Evaluator) -> None:
        declared = {name: output for name, output in declarations.items() if evaluator.applies(output)}
        self.outputs = {name: text(evaluator.evaluate(output["Value"])) for name, output in declared.items()}
        exported = {
            text(evaluator.evaluate(output["Export"]["Name"])): self.outputs[name]
            for name, output in declared.items()
            if "Export" in output
        }
        for name, value in exported.items():
            owner = self._exports.get(name)
            if owner and owner.stack != self.name:
                raise StackError(f"{self.name}: Export with name {name} is already exported by stack {owner.stack}")
            self._exports[name] = Export(value, self.name)
        self._withdraw_exports(keep=set(exported))

    def _withdraw_exports(self, keep: set[str]) -> None:
        for name, export in list(self._exports.items()):
            if export.stack == self.name and name not in keep:
                del self._exports[name]


def _needs(plain: Template, evaluator: Evaluator) -> dict[str, set[str]]:
    """Which other resources each resource of this stack depends on."""
    resources = {name: one for name, one in plain["Resources"].items() if evaluator.applies(one)}
    unknown = sorted({one["Type"] for one in resources.values()} - set(RESOURCE_TYPES))
    if unknown:
        raise TemplateError(f"resource types not emulated: {', '.join(unknown)}")
    dependencies = {}
    for logical_id, resource in resources.items():
        named = resource.get("DependsOn", [])
        named = {named} if isinstance(named, str) else set(named)
        if undeclared := sorted(named - set(plain["Resources"])):
            raise TemplateError(f"Unresolved resource dependencies [{', '.join(undeclared)}] in the template")
        referred = evaluator.references(resource.get("Properties", {}))
        if unresolved := sorted(referred - set(resources) - set(evaluator.refs)):
            raise TemplateError(f"Unresolved resource dependencies [{', '.join(unresolved)}] in the template")
        dependencies[logical_id] = (named | referred) & set(resources)
    return dependencies


def _converged(resource: Resource, before: Deployed | None) -> Physical:
    """The resource as the template now wants it: created, left alone, updated, or made anew beside the old."""
    if before is None:
        return resource.create()
    if before.type != resource.type:
        raise TemplateError(f"Update of resource type is not permitted: {before.type} to {resource.type}")
    if before.properties == resource.properties:
        # a resource that is left alone has been read in full when it was deployed
        resource.properties.take(*resource.properties)
        return before.physical
    if not _must_be_replaced(resource, before.properties):
        resource.properties.take(*resource.replaced_by)  # unchanged, so update need not look at them
        return resource.update(before.physical, before.properties)
    name = resource.name_property
    if name and name in before.properties and before.properties[name] == resource.properties.get(name):
        raise TemplateError(
            "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
            f"Rename {before.properties[name]} and update the stack again."
        )
    return resource.create()


def _must_be_replaced(resource: Resource, before: Mapping[str, Any]) -> bool:
    now: Mapping[str, Any] = dict(resource.properties)
    return any(now.get(name) != before.get(name) for name in resource.replaced_by)


def _is_absence(error: Exception) -> bool:
    """Whether a deletion failed because there is nothing to delete, which CloudFormation takes for success."""
    if not isinstance(error, ClientError):
        return False
    code = str(error.response["Error"]["Code"])
    return code.startswith("NoSuch") or "NotFound" in code or "NonExistent" in code or "DoesNotExist" in code

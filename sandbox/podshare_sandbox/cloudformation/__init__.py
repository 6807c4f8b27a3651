"""CloudFormation for the sandbox: deploys real templates, and refuses what it cannot.

moto's own CloudFormation reports CREATE_COMPLETE while it skips resource types that it does not know.
This one raises for an unknown resource type, intrinsic or section, lists every property that it does
not emulate, and creates each resource through the API as the deploying principal, so that a template
meets the same validation and the same IAM as it would in AWS.
"""

from podshare_sandbox.cloudformation.errors import StackError, TemplateError
from podshare_sandbox.cloudformation.stack import Export, Stack

__all__ = ["Export", "Stack", "StackError", "TemplateError"]

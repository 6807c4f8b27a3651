"""Resource control policies: which of them limit a request, by the account of its resource.

Source: AWS Organizations User Guide, "Resource control policies (RCPs)": the list of services that support them, and
"Resources and entities not restricted by RCPs".
"""

import re

from moto.kms.models import kms_backends

from podshare_sandbox.authorization import accounts
from podshare_sandbox.authorization.policy import Policy

_SERVICES = frozenset(
    {
        *("aoss", "appconfig", "appstream", "autoscaling", "autoscaling-plans", "budgets", "clouddirectory"),
        *("cloudfront", "cloudsearch", "cloudtrail-data", "codeartifact", "codebuild", "codecommit", "codepipeline"),
        *("cognito-identity", "cognito-idp", "comprehend", "comprehendmedical", "compute-optimizer"),
        *("cost-optimization-hub", "dax", "dsql", "dynamodb", "ecr", "ecr-public", "events", "firehose", "fis", "fms"),
        *("gamelift", "health", "inspector-scan", "kendra", "kinesisvideo", "kms", "logs", "memorydb"),
        *("networkmonitor", "notifications", "opensearch", "pca-connector-ad", "personalize", "polly", "pricing"),
        *("resource-groups", "rolesanywhere", "s3", "secretsmanager", "servicediscovery", "signin", "sqs", "sts"),
        *("support", "swf", "textract", "timestream-influxdb", "transcribe", "transfer", "translate", "wafv2"),
        *("workspaces", "xray"),
    }
)
_NO_RESOURCE = "*"
_EXEMPT_ACTIONS = {"kms:RetireGrant"}
_SERVICE_LINKED_ROLE = re.compile(r"arn:[^:]+:iam::\d{12}:role/aws-service-role/")
_AWS_ALIASES = "alias/aws/"


def policies_for(action: str, resource: str, owner: str) -> tuple[Policy, ...]:
    """The policies above ``owner``, the account of ``resource``; none where they do not limit ``action`` on it."""
    is_exempt = action in _EXEMPT_ACTIONS or resource == _NO_RESOURCE or _is_service_linked(resource)
    if action.partition(":")[0] not in _SERVICES or is_exempt or _is_aws_managed_key(resource):
        return ()
    return accounts.resource_control_policies(owner)


def _is_service_linked(arn: str) -> bool:
    return _SERVICE_LINKED_ROLE.match(arn) is not None


def _is_aws_managed_key(arn: str) -> bool:
    if not arn.startswith("arn:aws:kms:"):
        return False
    region, account, resource = arn.split(":", 5)[3:]
    key = kms_backends[account][region].keys.get(resource.removeprefix("key/"))
    return key is not None and any(alias.startswith(_AWS_ALIASES) for alias in key.aliases)

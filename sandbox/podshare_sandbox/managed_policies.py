"""AWS's managed policies, made known to an account when they are first used.

moto can load all of them at once, which costs a second for each account; a stack uses a handful.
"""

import functools
import json
from typing import Any

from moto.iam import models
from moto.iam.aws_managed_policies import aws_managed_policies_data

_PREFIX = "arn:aws:iam::aws:policy"


def make_available(account: str, policy_arn: str) -> None:
    """Make an AWS managed policy attachable in ``account``; other ARNs, and unknown ones, are left to IAM."""
    known = models.iam_backends[account]["aws"].managed_policies
    if policy_arn in known or policy_arn not in _catalogue():
        return
    name, data = _catalogue()[policy_arn]
    known[policy_arn] = models.AWSManagedPolicy.from_data(name, account, "us-east-1", data)


@functools.cache
def _catalogue() -> dict[str, tuple[str, dict[str, Any]]]:
    policies: dict[str, dict[str, Any]] = json.loads(aws_managed_policies_data)
    return {f"{_PREFIX}{data['Path']}{name}": (name, data) for name, data in policies.items()}

"""Prints template.yaml as AWS SAM expands it: ``python -m tests.checks.expanded_template``.

cfn-lint sees through the expanded form what SAM's shorthand hides, unknown IAM actions among it.
"""

import json
import sys
from pathlib import Path

from podshare_sandbox.cloudformation import template

ROOT = Path(__file__).parents[2]


def expanded() -> template.Template:
    """Plain CloudFormation, with the parameters' defaults; local artifacts stand as S3 locations."""
    return template.expand(template.read(ROOT / "template.yaml"), parameters={}, region="us-west-2")


if __name__ == "__main__":
    json.dump(expanded(), sys.stdout, indent=2)

"""The command in another partition of AWS than ``aws``."""

import re
from pathlib import Path

from podshare_cli.access.reports import place_of_url
from podshare_cli.aws.connection import Connection

ROOT = Path(__file__).parents[2]
# the sandbox is in the partition aws, and so are the examples
ELSEWHERE = ("commands/demo/", "sandbox_deployment.py", "records/example_records.py")


def test_names_are_of_the_callers_partition() -> None:
    """ARNs by which the command searches are of the partition that its caller is in."""
    connection = Connection(region="us-gov-west-1")
    vars(connection)["caller"] = "arn:aws-us-gov:iam::111111111111:user/sam"
    assert place_of_url(connection.installation, "s3://pictures/cats/").where == "arn:aws-us-gov:s3:::pictures"
    assert connection.machine.startswith("arn:aws-us-gov:states:us-gov-west-1:111111111111:")


def test_no_partition_is_fixed() -> None:
    """The command spells no ARN of a partition, but in examples of its help."""
    for path in sorted((ROOT / "podshare_cli").rglob("*.py")):
        name = str(path.relative_to(ROOT / "podshare_cli"))
        if not name.startswith(ELSEWHERE):
            lines = path.read_text().splitlines()
            fixed = [line for line in lines if re.search(r"""arn:aws:|Installation\([^)]*"aws\"""", line)]
            assert [line for line in fixed if not line.strip().startswith('"podshare ')] == [], name

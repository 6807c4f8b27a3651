"""`make conformance`: all generated requests, their answers held against the models, and the figure in the documents."""

import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from podshare_sandbox import Sandbox
from tests.conformance.agreement import Checked, check, over_http, requests
from tests.conformance.operations import ROOT, called

_DOCUMENT = ROOT / "docs" / "sandbox.md"
_PLACE = re.compile(r"(?<=<!-- conformance -->\n).*?(?=<!-- /conformance -->)", re.DOTALL)


def main() -> int:
    """Print the table, write it into docs/sandbox.md, and fail if any answer disagrees without a reason."""
    logging.disable(logging.CRITICAL)  # faults of the sandbox are in the table
    with Sandbox(time_scale=0.02) as sandbox:
        checked = list(_all(sandbox))
    unexplained = [one for one in checked if not one.agrees and not one.exception]
    for one in unexplained:
        sys.stdout.write(f"{one}\n")
    table = _table(checked)
    sys.stdout.write(table)
    _write(_DOCUMENT, table)
    return 1 if unexplained else 0


def _all(sandbox: Sandbox) -> Iterator[Checked]:
    # organizations last: a valid request of it may end the organization
    for service, operations in sorted(called().items(), key=lambda entry: entry[0] == "organizations"):
        client = over_http(sandbox, service)
        for operation in operations:
            answers = (check(client, operation, request) for request in requests(operation))
            yield from (answered for answered in answers if answered)


def _table(checked: list[Checked]) -> str:
    agreed = sum(one.agrees for one in checked)
    operations = len({(one.service, one.operation) for one in checked})
    reasons = Counter(one.exception for one in checked if not one.agrees and one.exception)
    excepted = sum(reasons.values())
    lines = [
        f"{operations} operations, {len(checked)} requests: {agreed} answered as the models say,",
        f"{excepted} listed exceptions, {len(checked) - agreed - excepted} others.",
        "",
        "| exception | requests |",
        "|---|---|",
        *(f"| {reason} | {count} |" for reason, count in reasons.most_common()),
    ]
    return "\n".join(lines) + "\n"


def _write(document: Path, table: str) -> None:
    text = document.read_text(encoding="utf-8")
    document.write_text(_PLACE.sub(lambda _: table, text), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

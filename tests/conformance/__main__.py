"""`make conformance`: all generated requests, their answers held against the models, and the figure in the documents."""

import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from podshare_sandbox import Sandbox
from tests.conformance.agreement import Checked, check, over_http, requests
from tests.conformance.operations import ROOT, called

_DOCUMENT = ROOT / "docs" / "sandbox.md"
_PLACE = re.compile(r"(?<=<!-- conformance -->\n).*?(?=<!-- /conformance -->)", re.DOTALL)


def main() -> int:
    """Print the figure, write it into docs/sandbox.md, and fail if any answer disagrees."""
    logging.disable(logging.CRITICAL)  # faults of the sandbox are in the answers
    with Sandbox(time_scale=0.02) as sandbox:
        checked = list(_all(sandbox))
    disagreeing = [one for one in checked if not one.agrees]
    for one in disagreeing:
        sys.stdout.write(f"{one}\n")
    operations = len({(one.service, one.operation) for one in checked})
    agreed = len(checked) - len(disagreeing)
    figure = f"{operations} operations, {len(checked)} requests: {agreed} answered as the models say.\n"
    sys.stdout.write(figure)
    _write(_DOCUMENT, figure)
    return 1 if disagreeing else 0


def _all(sandbox: Sandbox) -> Iterator[Checked]:
    # organizations last: a valid request of it may end the organization
    for service, operations in sorted(called().items(), key=lambda entry: entry[0] == "organizations"):
        client = over_http(sandbox, service)
        for operation in operations:
            answers = (check(client, operation, request) for request in requests(operation))
            yield from (answered for answered in answers if answered)


def _write(document: Path, figure: str) -> None:
    text = document.read_text(encoding="utf-8")
    document.write_text(_PLACE.sub(lambda _: figure, text), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

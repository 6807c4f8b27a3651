"""What the pages show below a command, held against what the command prints."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from tests.docs.pages import ROOT, Output, Page

LEFT_OUT = "…"  # a line of its own: the page leaves out what is printed here
COMPARED_BY = {  # the test that types a page's commands compares what the page shows below them
    "tests/docs/test_tutorial.py::test_every_command_of_the_tutorial_works": ["docs/tutorial.md"],
    "tests/docs/test_commands.py::test_every_printed_command_works": [
        *("docs/data-from-pods.md", "docs/operations.md", "docs/records-in-git.md", "docs/usage.md"),
        "docs/who-had-access.md",
    ],
    "tests/scenarios/test_connect.py::test_every_command_of_the_page_works": ["docs/connect.md"],
    "tests/scenarios/test_import.py::test_the_pages_command_prints_what_the_page_shows": ["docs/importing.md"],
}
_CHANGING = (
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)?", "TIME"),
    (r"\b\d+(\.\d+)? (s|min|h)\b", "DURATION"),
    (r"\b\d+\.\d\d\b", "HOURS"),
    (r"\b([0-9a-f]{32,}|[0-9A-F]{32})\b", "HASH"),
    (r"\bsha256:[0-9a-f]{12}\b", "HASH"),
    (r"\b[0-9a-z]{34}-s3alias\b", "ALIAS"),
    (r"\bcluster/[0-9a-z]{12}\b", "CLUSTER"),
    (r"(?<=READY)  \d+ of \d+$", ""),
    (r"\s+", " "),
)


def steady(line: str) -> str:
    """A line without what is another in each run, so that a page can show what one run has printed.

    Which of several teams is ready first is chance. The moments and durations are the run's own, and so are the quota-hours of a sandbox that has been up for minutes.
    AWS, or the sandbox in its place, draws at random what an access point's alias ends with, a HyperPod cluster's id
    and the address of an EKS cluster. The names of executions, S3's ETags and the digests of access reports follow
    from all these. Where they are longer or shorter, columns move; so the number of spaces does not count.
    """
    for pattern, name in _CHANGING:
        line = re.sub(pattern, name, line)
    return line.strip()


def excerpt(printed: str, shown: str) -> str:
    """Of what a command has printed, the lines that are in the place of those that a page shows.

    Without a line ``…`` the page shows all of it. What is above the first one is what is printed first, what is below
    the last one is printed last, and the lines between two of them are those that resemble the printed ones most.
    """
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    first, *others = _parts(shown.splitlines())
    if not others:
        return "".join(f"{line}\n" for line in lines)
    *middle, last = others
    end = max(len(lines) - len(last), 0)
    at = len(first)
    taken = lines[:at]
    for part in middle:
        at = max(range(at, max(at, end - len(part)) + 1), key=lambda start: _alike(lines[start:], part))
        taken += [LEFT_OUT, *lines[at : at + len(part)]]
        at += len(part)
    return "".join(f"{line}\n" for line in (*taken, LEFT_OUT, *lines[end:]))


def _parts(lines: Iterable[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for line in lines:
        if line == LEFT_OUT:
            yield part
            part = []
        else:
            part.append(line)
    yield part


def _alike(lines: Sequence[str], part: Sequence[str]) -> int:
    return sum(steady(line) == steady(other) for line, other in zip(lines, part, strict=False))


class Outputs:
    """The outputs that the pages of a test show, each compared when its command has been typed."""

    def __init__(self, test: str, *, renews: bool) -> None:
        """``renews`` writes into the page what differs, instead of noting it."""
        self._renews = renews
        self._expected: dict[str, list[tuple[Page, Output]]] = defaultdict(list)
        for page in (Page(ROOT / name) for name in COMPARED_BY[test]):
            for output in page.outputs:
                self._expected[output.command].append((page, output))
        self._untyped = {*self._expected}
        self._different: list[str] = []

    def __contains__(self, command: object) -> bool:
        return command in self._expected

    def compare(self, command: str, printed: str) -> None:
        """Hold what a command has printed on a terminal against what the pages show, if they show it."""
        self._untyped.discard(command)
        for page, output in self._expected.get(command, ()):
            now = excerpt(printed, output.text)
            if [*map(steady, now.splitlines())] == [*map(steady, output.text.splitlines())]:
                continue
            if self._renews:
                page.renew(output, now)
            else:
                self._different.append(f"{page}: {command}\nshows\n{output.text}\ninstead of\n{now}")

    def check(self) -> None:
        """All of them were compared, and none differs."""
        assert not self._untyped, f"typed by no test: {', '.join(sorted(self._untyped))}"
        hint = "If that is right, run this test with --update-golden and review the diff."
        assert not self._different, "\n\n".join((*self._different, hint))

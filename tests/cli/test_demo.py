"""The demo holds: what `make demo` shows is so."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def without_figures(text: str) -> list[str]:
    """The lines of an output, without what differs from run to run: seconds with spaces around them, and a folder."""
    lines = [re.sub(r"(--out )\S+/", r"\1…/", line) for line in text.splitlines()]
    return [re.sub(r"[\d.]+ s|\s+", " ", line).strip() for line in lines]


def test_the_demo_proves_everything_that_it_shows() -> None:
    """Two teams and an account come, one of each goes; every claim is proven, both ways, and the exit code says so."""
    ended = subprocess.run(  # our own
        [sys.executable, "-m", "podshare_cli", "demo", "--verbose"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "✗" not in ended.stdout
    for claim in (
        "may create PyTorchJobs in hyperpod-ns-vision",
        "may not create PyTorchJobs in hyperpod-ns-language",
        "may not assume a cluster access role of language",
        "reads imagenet/train/n01440764_18.jpg",
        "may not read private/faces/0001.jpg",
        "writes drafts/vision/podshare-demo.txt",
        "may create PyTorchJobs in hyperpod-ns-science-555555555555",
        "reads crawl/2026/01/segment-00000.jsonl.gz",
        "the open session of a scientist of 555555555555 is refused by the cluster",
        "the credentials of a pod of explorer no longer reach web-crawl",
        "nothing of language is left in any account of the organization",
        "nothing of science-555555555555 is left in any account of the organization",
        "role podshare-science-555555555555-scientist, which nobody can clean any more in 555555555555, is listed",
        "team vision reaches all that it reached before, and no more",
    ):
        assert f"✓ {claim}" in ended.stdout
    (shown,) = re.findall(r"```text\n( .*?)```", (PROJECT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    others = {"", "podshare demo --verbose shows each step and each attempt"}  # which is no news in this run
    assert set(without_figures(shown)) - others <= set(without_figures(ended.stdout))
    (written,) = re.findall(r"--out (\S+report\.html)", ended.stdout)
    facts = Path(written).read_text(encoding="utf-8").partition('type="application/json">')[2].partition("</script>")[0]
    [lending] = json.loads(facts)["lending"]  # by a token for the sandbox's own cluster
    assert {row["team"] for row in lending["teams"]} == {"vision", "language", "science-555555555555"}

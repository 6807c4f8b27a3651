"""How long the command takes to start: ``podshare team list`` on the sandbox, beside a bare interpreter.

Seconds are of the CPU of the process, which other work on the machine hardly changes; both are started in turn.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.life import SCALE, Say
from benchmarks.results import Value
from podshare_cli.sandbox_deployment import deploy_podshare
from podshare_sandbox import Sandbox

BUDGET = 15
_RUNS = 15
_LISTED = ("team", "list", "--json")


def measure(say: Say) -> Value:
    """CPU seconds of the command / those of an idle interpreter. Raises CalledProcessError if either fails."""
    command = Path(sys.executable).with_name("podshare")
    with Sandbox(time_scale=SCALE) as sandbox:
        say("podshare is being deployed")
        deploy_podshare(sandbox)
        variables = {**os.environ, **sandbox.environment()}
        say(f"podshare {' '.join(_LISTED)} and a bare interpreter are started in turn, {_RUNS} times")
        ratios = [
            _cpu_seconds((str(command), *_LISTED), variables) / _cpu_seconds((sys.executable, "-c", ""), variables)
            for _ in range(_RUNS)
        ]
    return Value.median(ratios)


def _cpu_seconds(words: tuple[str, ...], variables: Mapping[str, str]) -> float:
    with subprocess.Popen(words, env=dict(variables), stdout=subprocess.DEVNULL) as process:  # noqa: S603  # our own command
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)
    return used.ru_utime + used.ru_stime

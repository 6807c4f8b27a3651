"""Commands of containers end as a shell ends them; what is not known is told apart, and nothing is run."""

import pytest

from podshare_sandbox import clock
from podshare_sandbox.services import commands
from podshare_sandbox.services.commands import Container

OTHER = 77
FOREVER = -1.0


def ran(*words: str, env: dict[str, str] | None = None) -> tuple[int, str, list[float], list[list[str]]]:
    """Exit code, output, pauses in the sandbox's seconds, and the programs that are not known."""
    clock.set_scale(1.0)
    said: list[str] = []
    paused: list[float] = []
    others: list[list[str]] = []

    def pause(seconds: float | None) -> None:
        paused.append(FOREVER if seconds is None else seconds)
        if seconds is None:
            raise commands.Killed

    def other(program: "list[str]") -> int:
        others.append(list(program))
        return OTHER

    container = Container("pod-0", {"HOME": "/root", "RANK": "3", **(env or {})}, said.append, pause, other)
    return commands.run(words, container), "".join(said), paused, others


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("true", 0, ""),
        ("false", 1, ""),
        ("echo hello world", 0, "hello world\n"),
        ("echo -n a; echo b", 0, "ab\n"),
        ("echo a && echo b", 0, "a\nb\n"),
        ("false && echo b", 1, ""),
        ("false || echo b", 0, "b\n"),
        ("false; echo on", 0, "on\n"),
        ("set -e; false; echo on", 1, ""),
        ("set -ex\nfalse || true\necho on", 0, "on\n"),
        ("echo before; exit 3; echo after", 3, "before\n"),
        ('echo "rank $RANK of ${WORLD}"', 0, "rank 3 of \n"),
        ("echo '$RANK'", 0, "$RANK\n"),
        ("echo a # a comment", 0, "a\n"),
        ("printenv RANK", 0, "3\n"),
        ("printenv NOBODY", 1, ""),
        ("hostname", 0, "pod-0\n"),
        ("sleep soon", 1, "sleep: invalid time interval 'soon'\n"),
    ],
)
def test_a_script_ends_as_a_shell_ends_it(script: str, code: int, said: str) -> None:
    """Lists, exit codes, variables and quotes (POSIX, Shell Command Language)."""
    assert ran("sh", "-c", script) == (code, said, [], [])


def test_sleep_takes_the_sum_of_its_words() -> None:
    """Seconds unless a unit is named (GNU coreutils, sleep)."""
    assert ran("sleep", "1.5", "2m", "1h") == (0, "", [3721.5], [])


def test_sleep_without_an_end_ends_with_its_pod() -> None:
    """Whoever deletes the pod ends it."""
    with pytest.raises(commands.Killed):
        ran("sleep", "infinity")


@pytest.mark.parametrize(
    "words",
    [
        ("python", "train.py"),
        ("sh", "-c", "ls | wc -l"),
        ("sh", "-c", "echo a > /tmp/a"),
        ("sh", "-c", "echo $(date)"),
        ("sh", "-c", "echo `date`"),
        ("bash", "-c", "for i in 1 2; do echo $i; done & wait"),
        ("sh", "-c", "RANK=1 env"),
        ("sh", "-c", "echo *"),
        ("sh", "-c", "echo 'open"),
        ("sh", "script.sh"),
        ("sh",),
    ],
)
def test_what_is_not_known_is_told_as_a_whole(words: tuple[str, ...]) -> None:
    """Neither a part of it nor a guess is run."""
    assert ran(*words) == (OTHER, "", [], [list(words)])


def test_a_script_goes_on_after_a_program_that_is_not_known() -> None:
    """What stands around it is known, and its exit code counts."""
    assert ran("sh", "-c", "echo start; python train.py --rank $RANK && echo done") == (
        OTHER,
        "start\n",
        [],
        [["python", "train.py", "--rank", "3"]],
    )


def test_references_in_a_command_are_expanded() -> None:
    """``$(NAME)`` where the variable exists, and ``$$`` for a dollar (Kubernetes API reference, Container.command)."""
    assert commands.expanded(["$(RANK)", "$(NONE)", "$$(RANK)"], {"RANK": "3"}) == ["3", "$(NONE)", "$(RANK)"]

"""Text that fits a pattern of AWS's: the shortest that hypothesis finds."""

from functools import cache

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException

from podshare_sandbox.moto_extension import python_pattern

_SEARCH = settings(
    database=None, derandomize=True, max_examples=2000, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
# what fits most of the patterns of names, ids, paths and ARNs, in the order in which it is tried
_KNOWN = (
    *("podshare-test", "podsharetest", "123456789012", "arn:aws:iam::123456789012:role/podshare-test", "us-west-2"),
    *("/podshare/", "fs-0a1b2c3d4e5f60001", "1234abcd-12ab-34cd-56ef-1234567890ab", "ou-pods-science1", "r-pods"),
    *("arn:aws:eks:us-west-2:123456789012:cluster/podshare-test", "o-podshare01", "someone@example.com"),
)


@cache
def fitting(pattern: str, shortest: int, longest: int) -> str:
    """A text of ``shortest`` to ``longest`` characters that fits ``pattern`` as a whole.

    Raises hypothesis' errors where it finds none.
    """
    compiled = python_pattern(pattern)
    for known in (*_KNOWN, "a" * max(shortest, 1)):
        if shortest <= len(known) <= longest and compiled.fullmatch(known):
            return known
    alphabet = st.characters(min_codepoint=32, max_codepoint=126)
    texts = st.from_regex(compiled, fullmatch=True, alphabet=alphabet)
    return find(texts, lambda text: shortest <= len(text) <= longest, settings=_SEARCH)


def can_be_found(pattern: str, shortest: int, longest: int) -> bool:
    """Whether there is such a text."""
    try:
        fitting(pattern, shortest, longest)
    except HypothesisException:
        return False
    return True

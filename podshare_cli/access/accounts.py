"""Of which account somebody who has an access may be, as far as a proof says it."""

from collections.abc import Iterable

from podshare.access.effective_access import ANYBODY, account_of
from podshare.policy import policies

# data doors' principals without an account: of an organization, a network (podshare.access.data_doors)
_ANYBODY_WITH = "anybody with "
_EVERYBODYS_GROUPS = ("system:authenticated", "system:unauthenticated", "User system:anonymous")


def may_be_of(account: str, who: str, behind: Iterable[str] = ()) -> bool:
    """Whether principals of an account may be meant: by an ARN, by what anybody is, or as those ``behind`` a name.

    A Kubernetes group or user name is whose entries give it, a role also whom its trust names: as the door says it.
    """
    if who == ANYBODY or who.startswith((_ANYBODY_WITH, *_EVERYBODYS_GROUPS)):
        return True
    return policies.overlap(account_of(who), account) or any(
        each.startswith(ANYBODY) or account in each or policies.overlap(account_of(each), account) for each in behind
    )


def may_be_anybodys(who: str) -> bool:
    """Whether a name is of no account by itself: a Kubernetes group or user name, but no service account."""
    return not account_of(who) and not who.startswith("system:serviceaccount:")

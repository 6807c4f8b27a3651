"""What teams' shares in podshare's statements of a bucket policy have in common."""

from dataclasses import dataclass, replace
from typing import Any, Self

from podshare.kinds.base import Resource, same
from podshare.policy.policies import Document


@dataclass(frozen=True, kw_only=True)
class BucketShare(Resource):
    """A team's share in statements of a bucket policy that follow from the shares of all teams.

    ``in_policy`` says whether the statements say what all shares together ask for, ``drift`` are those that allow
    more, because somebody has changed them. Taking that back is a revocation, whatever the team waits for.
    """

    in_policy: bool = True
    drift: Document | None = None

    def rewritten(self, **restricted: Any) -> Self:
        """This with a narrower share, as the write of it leaves the statements: whole, and with no more."""
        share = replace(self, drift=None, **restricted)
        return self if same(share, self) else replace(share, in_policy=True)

    def revoked(self) -> Self | None:
        return self.rewritten() if self.drift else None

"""Read the doors into a team's namespaces and data: all that is there, not only what podshare made.

A reader takes a ``Look`` and yields each ``Door`` that it finds and that podshare does not know as its own (what is
``Look.own`` is planned and verified by its documents). It reads by ``Look.context``, which changes nothing, and lets
errors pass: what cannot be read is told as such, and the team is not verified. To add a reader, append it to
``IN_CLUSTERS`` (called for each cluster of the team) or to ``IN_DATA`` (called once).
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from podshare.domain.desired import ClusterFacts
from podshare.domain.doors import Door
from podshare.domain.kinds import Key, Resource
from podshare.domain.plan import Observation
from podshare.resources.context import Context


@dataclass(frozen=True)
class Look:
    """What a reader is given: whose doors, what is desired, and what was observed of it and of the inventory."""

    context: Context
    desired: Mapping[Key, Resource]
    observed: Mapping[Key, Observation]
    cluster: ClusterFacts | None = None

    @property
    def own(self) -> Collection[Key]:
        """The keys of what is there and is podshare's."""
        return {key for key, one in self.observed.items() if isinstance(one, Resource)}

    @property
    def namespace(self) -> str:
        """The team's namespace in every cluster."""
        return f"hyperpod-ns-{self.context.team}"


Reader = Callable[[Look], Iterator[Door]]
IN_CLUSTERS: tuple[Reader, ...] = ()
IN_DATA: tuple[Reader, ...] = ()

"""What was changed a moment ago and seems to be as it should be: AWS may still be telling what was before.

IAM, EKS and all lists make a change known somewhat later, and promise no time. Who makes a change reads it back. A
function that is killed or overtaken does not: what it made would be called absent, and be forgotten; what it extended
would be called as it was, and be READY.
"""

import datetime
from collections.abc import Mapping

from podshare.aws.errors import KNOWN_EVERYWHERE
from podshare.aws.rows import Item
from podshare.kinds.base import Key, Resource, same
from podshare.kinds.observation import Blocker, Observation


def settled_and_settling(
    changing: Mapping[Key, Item], desired: Mapping[Key, Resource], observed: Mapping[Key, Observation], attempt: str
) -> tuple[frozenset[Key], frozenset[Key]]:
    """Of what is ``changing`` in the inventory what has settled, and what is still settling.

    It has settled a minute after its last change, or in a later attempt of a run that waited.
    """
    now, settled, settling = datetime.datetime.now(datetime.UTC), set[Key](), set[Key]()
    for key, row in changing.items():
        if key not in observed:
            continue  # not checked: where the team's resources are is not known
        observation = observed[key]
        if not (observation is None or isinstance(observation, Resource)) or not same(observation, desired.get(key)):
            continue  # unreadable, or to be changed again
        since = datetime.datetime.fromisoformat(str(row["changing_since"]))
        waited = _waited(str(row.get("doubted_in", "")), attempt) or now - since > KNOWN_EVERYWHERE
        (settled if waited else settling).add(key)
    return frozenset(settled), frozenset(settling)


def attempt_of(run: str, waits: int) -> str:
    """What distinguishes the attempts of a run: between two of them it has waited a minute."""
    return f"{run} {waits}"


def _waited(former: str, attempt: str) -> bool:
    return former != attempt and former.rpartition(" ")[0] == attempt.rpartition(" ")[0]


def settling_blocker(key: Key) -> Blocker:
    """Why the team waits; nothing else waits for it."""
    problem = f"{key.kind.replace('_', ' ')} {key.name} in account {key.account} was changed a moment ago"
    remedy = "Nothing to do: podshare checks it again."
    return Blocker(f"{problem}: the change may not have settled in AWS yet", remedy, waits=True, only=str(key))

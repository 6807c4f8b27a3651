"""What is there: everything that is desired or was ever begun, read from AWS and Kubernetes at once."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from podshare.aws.errors import OURS, classify
from podshare.aws.sessions import Accounts
from podshare.aws.settings import Settings
from podshare.aws.tables import State
from podshare.domain.kinds import Key, Resource
from podshare.domain.plan import Observation, Unreadable
from podshare.resources import KINDS
from podshare.resources.context import Context

READERS = 8  # reading is waiting for AWS; more gain nothing at 512 MiB and meet IAM's throttles


def reading_context(settings: Settings, team: str) -> Context:
    """A context that can read everywhere, and change nothing."""
    return Context(
        installation=settings.installation,
        team=team,
        work="read",
        accounts=Accounts(settings.installation, "read"),
        state=State(settings.state),
        function_timeout=settings.function_timeout,
    )


def survey(context: Context, desired: Mapping[Key, Resource], known: Iterable[Key]) -> dict[Key, Observation]:
    """What is there of ``desired`` and of ``known``; what cannot be read is told as such, and stops nothing."""
    keys = sorted({*desired, *known})

    def read(key: Key) -> Observation:
        try:
            return KINDS[key.kind].read(context, key, desired.get(key))
        except Exception as error:  # whatever it is, it concerns one thing and must not hide the others
            failure = classify(error, str(key))
            if failure is error and not isinstance(error, OURS):
                raise
            return Unreadable(key, str(failure))

    with ThreadPoolExecutor(READERS) as pool:
        return dict(zip(keys, pool.map(read, keys), strict=True))

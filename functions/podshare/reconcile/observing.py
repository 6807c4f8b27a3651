"""What is there: everything that is desired or was ever begun, read from AWS and Kubernetes at once."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from podshare.aws.answers import Answers
from podshare.aws.errors import NoMemberRole, reason_of
from podshare.aws.roles_ahead import read_roles_ahead
from podshare.aws.sessions import Accounts
from podshare.aws.settings import Settings
from podshare.aws.tables import Snapshot
from podshare.kinds import bucket_policy
from podshare.kinds.base import Key, Kind, Resource
from podshare.kinds.context import Context
from podshare.kinds.facts import ClusterFacts
from podshare.kinds.foreign_subjects import calls as foreign_subjects
from podshare.kinds.namespace.shape import Namespace
from podshare.kinds.observation import Observation, Orphaned, Unreadable
from podshare.kinds.shapes import is_by_hand
from podshare.kinds.table import read as read_resource
from podshare.reconcile.organization_accounts import known_accounts
from podshare.registry.accounts import Account, is_unreachable

READERS = 8  # reading is waiting for AWS; more gain nothing at 512 MiB and meet IAM's throttles
_ASKING_IAM = (Kind.ROLE, Kind.ROLE_ATTACHMENT, Kind.ACCESS_ENTRY)
_IN_BUCKET_POLICIES = (Kind.BUCKET_DELEGATION, Kind.FILE_SYSTEM_DELEGATION)
_NO_ROLE = "the account no longer has podshare's member role, and nothing of the team's is wanted there"

_NO_API = "podshare does not use the cluster's API any more (kubernetes_api: false)"
_BY_HAND = "It is yours now: keep it as `podshare team manifests` prints it, or delete it with kubectl."


def reading_context(settings: Settings, team: str, state: Snapshot, answers: Answers | None = None) -> Context:
    """A context that can read everywhere, and change nothing, for one invocation: whatever it reads, it reads once.

    It has read the rows that are the team's alone. ``answers`` are those that were given for other teams already.
    """
    state.query(f"team#{team}")
    return Context(
        installation=settings.installation,
        team=team,
        execution_role="read",
        accounts=Accounts(settings.installation, "read", answers or Answers()),
        state=state,
        function_timeout=settings.function_timeout,
    )


def answers_may_come(context: Context) -> bool:
    """Whether something could not be read that may be read after a while: AWS throttled it, or failed."""
    return context.accounts.answers is not None and context.accounts.answers.may_come


def observe_resources(
    context: Context,
    desired: Mapping[Key, Resource],
    known: Iterable[Key],
    *,
    named: Mapping[str, Account],
    facts: Mapping[str, ClusterFacts],
) -> dict[Key, Observation]:
    """What is there of ``desired`` and of ``known``, and whom of other teams bindings in the team's namespaces name.

    ``named`` are the accounts that the records name. What cannot be read is reported as such, and stops nothing.
    What is no longer desired and lies in an account that has gone, or has no member role any more, is orphaned: it
    is not what gives access, which is cut where the cluster is. In a cluster's own account nothing is, as
    long as the account is there. So is an object of the cluster of ``facts`` if podshare does not use its API.
    """
    known = [*known]
    keys = sorted({*desired, *known})
    accounts = {**named, **known_accounts(context.state, {key.account for key in keys} - named.keys())}
    wanted_in = {key.account for key in desired}
    clusters_in = {key.account for key in keys if key.kind is Kind.COMPUTE_QUOTA}
    roles_ahead = dict[str, Future[None]]()  # by account
    seen = dict[Key, str]()
    context = replace(context, seen=seen)

    def is_orphaned(key: Key) -> bool:
        return is_unreachable(accounts, key.account) and key not in desired

    def read(key: Key) -> Observation:
        if is_orphaned(key):
            return Orphaned(key, f"the account is {accounts[key.account].state}")
        if any(is_by_hand(cluster, key) for cluster in facts.values()):
            return Orphaned(key, _NO_API, _BY_HAND)
        try:
            if key.kind in _ASKING_IAM and key.account in roles_ahead:
                roles_ahead[key.account].result()
            return read_resource(context, key, desired.get(key))
        except NoMemberRole as error:
            if key.account in wanted_in | clusters_in:
                return Unreadable(key, str(error), no_role=True)
            return Orphaned(key, _NO_ROLE)
        except Exception as error:  # whatever it is, it affects one resource and must not hide the others
            return Unreadable(key, reason_of(error))

    # before the policy, which then has no statement that was given back since
    for bucket in sorted({key.container for key in keys if key.kind in _IN_BUCKET_POLICIES}):
        bucket_policy.read_ahead(context.state, bucket)
    with ThreadPoolExecutor(READERS) as pool:
        roles = [key for key in known if key.kind is Kind.ROLE and not is_orphaned(key)]
        for account in sorted({key.account for key in roles}):
            names = {key.name for key in roles if key.account == account}
            path = context.installation.role_path
            roles_ahead[account] = pool.submit(read_roles_ahead, context.accounts, account, path, names)
        later = [key for key in keys if key in desired and desired[key].mentions]  # whose identities are seen first
        first = [key for key in keys if key not in later]
        observations = dict(zip(first, pool.map(read, first), strict=True))
        seen |= {
            key: observation.identity for key, observation in observations.items() if isinstance(observation, Resource)
        }
        inside = [
            foreign_subjects.key_in(key)
            for key, observation in observations.items()
            if isinstance(observation, Namespace)
        ]
        last = [*later, *inside]
        return {**observations, **dict(zip(last, pool.map(read, last), strict=True))}

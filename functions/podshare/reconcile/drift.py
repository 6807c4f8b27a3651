"""From a call that may have touched what podshare owns to the reconciliation of its teams.

A call of anybody else starts the team at once. podshare's own calls do too, later and together: a hijacked function is
not blind to itself, and an ordinary run is followed by one further run, which finds nothing to do.
"""

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from podshare.access.history import OWN_CALLS
from podshare.aws.errors import NoMemberRole, is_absent
from podshare.aws.rows import LEASES
from podshare.aws.sessions import Accounts
from podshare.aws.settings import Settings
from podshare.aws.tables import State
from podshare.kinds import bucket_policy
from podshare.kinds.base import Kind
from podshare.kinds.bucket_edits import edit_in
from podshare.kinds.inventory import Inventory
from podshare.kinds.resource_events import Touched, access_point_stem, touched
from podshare.reconcile.organization_accounts import users_of
from podshare.reconcile.triggers import execution, start_once, trigger_of
from podshare.registry.items import TEAM_NAMESPACES

WINDOW_SECONDS = 300


def resource_changed(settings: Settings, event: Mapping[str, Any]) -> dict[str, Any]:
    """Start the reconciliations that an event asks for.

    ``{executions, reason}``: the execution of each team by its name, and why there is none.
    """
    candidate = touched(event, settings.installation)
    if candidate.reason:
        return {"executions": {}, "reason": candidate.reason}
    _keep_edit(settings, event)
    teams = sorted(team for team in _teams(settings, candidate) if _is_known(settings, team))
    executions = {team: _start(settings, team, event, own=candidate.own) for team in teams}
    return {"executions": executions, "reason": "" if teams else "what the event names is no team's"}


def _teams(settings: Settings, candidate: Touched) -> set[str]:
    return {
        *candidate.teams,
        *_of_access_points(settings, candidate),
        *_of_buckets(settings, candidate),
        *_of_quotas(settings, candidate),
        *_of_associations(settings, candidate),
        *_of_schedulers(settings, candidate),
        *_of_keys(settings, candidate),
    }


def _of_access_points(settings: Settings, candidate: Touched) -> Iterator[str]:
    """An access point's name has no room for a long team name: those that begin alike are all meant."""
    yield from candidate.stems
    if candidate.stems:
        users = users_of(settings, candidate.account)
        yield from (team for team in users if access_point_stem(settings.installation, team) in candidate.stems)


def _of_buckets(settings: Settings, candidate: Touched) -> Iterator[str]:
    for bucket in candidate.buckets:
        for share in State(settings.state).query(f"bucket#{bucket}", "grant#"):
            yield str(share["part"]).removeprefix("grant#").partition("/")[0]


def _of_quotas(settings: Settings, candidate: Touched) -> Iterator[str]:
    """The teams of quotas that are reported by id; of one that is gone by now nothing is known."""
    for quota in () if candidate.teams else candidate.quotas:
        try:
            sagemaker = Accounts(settings.installation, "read").client("sagemaker", candidate.account, candidate.region)
            yield sagemaker.describe_compute_quota(ComputeQuotaId=quota)["ComputeQuotaTarget"]["TeamName"]
        except (ClientError, NoMemberRole) as error:
            _pass_if_gone(error)


def _of_associations(settings: Settings, candidate: Touched) -> Iterator[str]:
    """The teams of associations that are reported by id; of one that is gone by now nothing is known."""
    for cluster, association in candidate.associations:
        try:
            eks = Accounts(settings.installation, "read").client("eks", candidate.account, candidate.region)
            about = eks.describe_pod_identity_association(clusterName=cluster, associationId=association)
            yield about["association"]["namespace"].removeprefix(TEAM_NAMESPACES)
        except (ClientError, NoMemberRole) as error:
            _pass_if_gone(error)


def _of_schedulers(settings: Settings, candidate: Touched) -> Iterator[str]:
    """The teams with a share in a scheduler config there, of whichever cluster."""
    place = f"scheduler#{candidate.account}/{candidate.region}"
    for share in State(settings.state).query(place, "share#") if candidate.schedulers else ():
        yield str(share["part"]).rpartition("/")[2]


def _of_keys(settings: Settings, candidate: Touched) -> Iterator[str]:
    """The teams that podshare grants a key: a grant that is gone was reported by an id that nobody knows."""
    for account, region, key in candidate.keys:
        prefix = f"{Kind.KMS_GRANT}|{account}|{region}|{key}|"
        users = users_of(settings, account)
        yield from (team for team in users if Inventory(State(settings.state), team).keys(prefix))


def _pass_if_gone(error: ClientError | NoMemberRole) -> None:
    if isinstance(error, ClientError) and not is_absent(error):
        raise error


def _is_known(settings: Settings, team: str) -> bool:
    """Whether the team was ever reconciled: anybody may give a resource a name like podshare's."""
    places = ((LEASES, f"team#{team}"), (f"team#{team}", "lease"))  # the second as before 0045
    return any(State(settings.state).get(*place) for place in places)


def _start(settings: Settings, team: str, event: Mapping[str, Any], *, own: bool) -> str:
    trigger = trigger_of(event, "drift", f"team#{team}")
    if own:
        trigger["id"] = f"{OWN_CALLS}{_window(event)}"
    name, execution_input = execution(team, trigger)
    # a pause as long as the window: all calls of the window are made by then, also those that are reported late
    return start_once(
        settings.machine, name, {**execution_input, "pause_seconds": WINDOW_SECONDS} if own else execution_input
    )


def _window(event: Mapping[str, Any]) -> int:
    called = datetime.datetime.fromisoformat(str(event["time"]))
    return int(called.timestamp()) // WINDOW_SECONDS


def _keep_edit(settings: Settings, event: Mapping[str, Any]) -> None:
    """Keep what somebody else wrote last into the policy of a bucket that podshare writes too."""
    edit = edit_in(event, settings.installation)
    if edit and bucket_policy.is_shared(State(settings.state), edit.bucket):
        bucket_policy.keep_edit(State(settings.state), edit)

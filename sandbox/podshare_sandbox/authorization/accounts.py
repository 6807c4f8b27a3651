"""The accounts behind principals and resources: whether AWS lets them be used, and the control policies above them.

Sources: AWS Organizations User Guide, "Monitor the state of your AWS accounts", "Service control policies (SCPs)",
"SCP evaluation" and "Resource control policies (RCPs)".
"""

from typing import Any

from moto.iam.models import iam_backends
from moto.organizations.models import FakeRoot, OrganizationsBackend, organizations_backends

from podshare_sandbox.authorization import policy
from podshare_sandbox.authorization.policy import Policy
from podshare_sandbox.authorization.sessions import PARTITION

ACTIVE = "ACTIVE"
CONTROL_POLICY = "SERVICE_CONTROL_POLICY"
RESOURCE_CONTROL_POLICY = "RESOURCE_CONTROL_POLICY"


def state_of(account: str) -> str:
    """ACTIVE, SUSPENDED, PENDING_CLOSURE or CLOSED: AWS's states, which outlast an organization."""
    if account not in iam_backends:
        return ACTIVE
    return str(iam_backends[account][PARTITION].__dict__.get("_podshare_state", ACTIVE))


def set_state(account: str, state: str) -> None:
    """Let ``account`` be in ``state`` from now on."""
    iam_backends[account][PARTITION].__dict__["_podshare_state"] = state


def is_usable(account: str) -> bool:
    """Whether principals of ``account`` may call AWS and its roles be assumed."""
    return state_of(account) == ACTIVE


def organization_with(account: str) -> OrganizationsBackend | None:
    """moto's state of the organization that ``account`` is a member of now, None outside."""
    for partitions in list(organizations_backends.values()):
        for backend in list(partitions.values()):
            if backend.org and any(member.id == account for member in list(backend.accounts)):
                return backend
    return None


def root_of(organization: OrganizationsBackend) -> FakeRoot:
    """The root of the organization's tree."""
    return next(unit for unit in list(organization.ou) if isinstance(unit, FakeRoot))


def lineage(organization: OrganizationsBackend, entity: Any) -> list[Any]:
    """``entity`` (an account or organizational unit) and all that is above it, the root last."""
    found = [entity]
    units = {unit.id: unit for unit in list(organization.ou)}
    while found[-1].parent_id:  # the root has none
        found.append(units[found[-1].parent_id])
    return found


def path_of(account: str) -> str | None:
    """The entity path of ``account`` (``o-…/r-…/ou-…/``), None outside of any organization. It begins with the id.

    Source: IAM User Guide, "Understand the AWS Organizations entity path".
    """
    organization = organization_with(account)
    member = _member(organization, account) if organization else None
    if organization is None or member is None:
        return None
    above = [unit.id for unit in reversed(lineage(organization, member)[1:])]
    return "/".join([root_of(organization).organization_id, *above, ""])


def control_policies(account: str) -> tuple[tuple[Policy, ...], ...] | None:
    """The service control policies of each level above ``account``, its own first; None where nothing limits it.

    They never limit the management account, nor an account outside of any organization.
    """
    return _levels(account, CONTROL_POLICY)


def resource_control_policies(account: str) -> tuple[Policy, ...]:
    """The resource control policies of all levels above ``account``; none for the management account and outside."""
    levels = _levels(account, RESOURCE_CONTROL_POLICY) or ()
    return tuple(policy for level in levels for policy in level)


def _levels(account: str, kind: str) -> tuple[tuple[Policy, ...], ...] | None:
    organization = organization_with(account)
    if organization is None or account == organization.account_id or not _controls(organization, kind):
        return None
    member = _member(organization, account)
    return tuple(_attached(target, kind) for target in lineage(organization, member)) if member else None


def _member(organization: OrganizationsBackend, account: str) -> Any:
    return next((one for one in list(organization.accounts) if one.id == account), None)


def _controls(organization: OrganizationsBackend, kind: str) -> bool:
    """Whether more than AWS's own policy of the kind is attached: that one alone limits nothing, and stays attached."""
    attached = any(one.attachments for one in list(organization.policies) if one.type == kind and not one.aws_managed)
    return attached and any(enabled["Type"] == kind for enabled in root_of(organization).policy_types)


def _attached(target: Any, kind: str) -> tuple[Policy, ...]:
    return tuple(policy.parse(one.content) for one in list(target.attached_policies) if one.type == kind)

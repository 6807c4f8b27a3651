"""AWS Organizations: accounts that are created, invited, moved, closed and removed, as AWS does it and tells of it.

moto answers anybody, at once and without any event: here reads are for the management account and delegated
administrators, writes for the management account; creation and closure take their time; each change is told on
EventBridge (:mod:`.trail`). States of accounts and control policies are enforced by ``authorization``.

Not emulated: the days before a created account may leave, and the payment method that it needs then; quotas of the
organization as a whole; what becomes of the resources in an account that is suspended or closed; accounts that were
never members; CreateGovCloudAccount, responsibility transfers, delegation policies and effective policies.

Sources: AWS Organizations API Reference; AWS Organizations User Guide, above all "Monitor the state of your AWS
accounts" and "Logging and monitoring".
"""

from functools import cache

from podshare_sandbox.authorization.accounts import state_of
from podshare_sandbox.services.organizations import access, accounts, invitations, policies, trail, units
from podshare_sandbox.services.organizations.accounts import clean, reinstate, suspend

__all__ = ["clean", "install", "reinstate", "state_of", "suspend"]


@cache
def install() -> None:
    """Repair and extend moto's Organizations. Raises RuntimeError where a symbol of moto is gone."""
    access.install()
    units.install()
    for module in (accounts, invitations, policies, units):
        module.add_operations()
    trail.install()

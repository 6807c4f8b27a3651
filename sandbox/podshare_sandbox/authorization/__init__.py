"""IAM on every call: who calls, what their policies and the resource's say, and a log of the answers.

``install()`` puts it in front of moto. ``policy`` and ``conditions`` evaluate documents and know nothing of
AWS's state; ``actions``, ``resources``, ``request_context`` and ``s3_data`` say what a call asks for, ``global_keys``
on which way; ``principals``, ``sessions`` and ``accounts`` who asks; ``resource_policies`` and ``resource_control``
what limits access to the resource; ``authorize`` decides; ``enforcement`` hooks all that into moto.
"""

from podshare_sandbox.authorization.authorize import (
    AccessDenied,
    Credentials,
    assume_as_service,
    check_service_call,
)
from podshare_sandbox.authorization.decisions import Decision, clear_decisions, decisions
from podshare_sandbox.authorization.enforcement import install, uninstall
from podshare_sandbox.authorization.principals import (
    ExpiredToken,
    Principal,
    UnknownAccessKey,
    UnusableAccount,
    identify,
)

__all__ = [
    "AccessDenied",
    "Credentials",
    "Decision",
    "ExpiredToken",
    "Principal",
    "UnknownAccessKey",
    "UnusableAccount",
    "assume_as_service",
    "check_service_call",
    "clear_decisions",
    "decisions",
    "identify",
    "install",
    "uninstall",
]

"""What a KMS key's state lets be done with it: moto keeps the state and never asks for it.

Source: KMS Developer Guide, "Key states of AWS KMS keys", with its table of operations and the notes 1 to 4 below it.
"""

from collections.abc import Callable
from typing import Any

from moto.core.exceptions import ServiceException
from moto.kms.models import Key, KmsBackend
from moto.kms.responses import KmsResponse

from podshare_sandbox.moto_extension import ServiceExtension
from podshare_sandbox.moto_repair import repair

_kms = ServiceExtension("kms")

_USES = {
    *("encrypt", "generate_data_key", "generate_data_key_without_plaintext", "generate_mac"),
    *("get_public_key", "sign", "verify", "verify_mac", "disable_key_rotation", "enable_key_rotation"),
    *("replicate_key", "rotate_key_on_demand"),
}
_CHANGES = {
    *("create_alias", "update_alias", "disable_key", "enable_key", "schedule_key_deletion", "tag_resource"),
    *("untag_resource", "update_key_description"),
}
_SHORTEST_WAIT, _LONGEST_WAIT = 7, 30  # days (KMS API Reference, ScheduleKeyDeletion)


def refusal(key: Key) -> tuple[str, str] | None:
    """The code and the sentence with which KMS refuses to use the key; None for one that is enabled."""
    match key.key_state:
        case "Enabled":
            return None
        case "Disabled":
            return "DisabledException", f"{key.arn} is disabled."
        case "PendingDeletion":
            return "KMSInvalidStateException", f"{key.arn} is pending deletion."
    return "KMSInvalidStateException", f"{key.arn} is {key.key_state}."


def check_usable(key: Key) -> None:
    """Raises DisabledException or KMSInvalidStateException for a key that no cryptography can use now."""
    if found := refusal(key):
        raise _kms.error(*found)


def _check_changeable(key: Key) -> None:
    if key.key_state == "PendingDeletion":
        check_usable(key)


def _check_pending(key: Key) -> None:
    if key.key_state != "PendingDeletion":
        raise _state(f"{key.arn} is not pending deletion.")


def _state(message: str) -> ServiceException:
    return _kms.error("KMSInvalidStateException", message)


def install() -> None:
    """Let each operation on a key ask for its state first. Raises RuntimeError where moto has lost a symbol."""
    for name in _USES:
        repair(KmsResponse, name, _asking(check_usable))
    for name in _CHANGES:
        repair(KmsResponse, name, _asking(_check_changeable))
    repair(KmsResponse, "cancel_key_deletion", _asking(_check_pending))
    repair(KmsResponse, "schedule_key_deletion", _within_the_window)
    for name in ("disable_key", "enable_key", "cancel_key_deletion", "schedule_key_deletion"):
        repair(KmsBackend, name, _taking_arns)
    # the key of a ciphertext is known only once that is read
    repair(KmsBackend, "decrypt", _decrypting)
    repair(KmsBackend, "encrypt", _encrypting)


def _asking(check: Callable[[Key], None]) -> Callable[[Any], Any]:
    def make(original: Any) -> Any:
        def operation(response: KmsResponse) -> Any:
            named = response._get_param("KeyId") or response._get_param("TargetKeyId")
            key = _find(response.kms_backend, named)
            if key is not None:  # what is not there, moto tells
                check(key)
            return original(response)

        return operation

    return make


def _find(backend: KmsBackend, named: Any) -> Key | None:
    if not isinstance(named, str):
        return None
    key: Key | None = backend.keys.get(backend.any_id_to_key_id(named))
    return key


def _within_the_window(original: Any) -> Any:
    def schedule_key_deletion(response: KmsResponse) -> Any:
        days = response._get_param("PendingWindowInDays")
        if days is not None and not _SHORTEST_WAIT <= int(days) <= _LONGEST_WAIT:
            message = f"PendingWindowInDays must be between {_SHORTEST_WAIT} and {_LONGEST_WAIT} (inclusive)."
            raise _kms.error("ValidationException", message, status=400)
        return original(response)

    return schedule_key_deletion


def _taking_arns(original: Any) -> Any:
    """moto looks for a key under its whole ARN, and breaks."""

    def operation(backend: KmsBackend, key_id: str, *arguments: Any, **named: Any) -> Any:
        return original(backend, backend.get_key_id(key_id), *arguments, **named)

    return operation


def _decrypting(original: Any) -> Any:
    def decrypt(backend: KmsBackend, *arguments: Any, **named: Any) -> Any:
        plaintext, arn = original(backend, *arguments, **named)
        check_usable(backend.keys[arn.rpartition("/")[2]])
        return plaintext, arn

    return decrypt


def _encrypting(original: Any) -> Any:
    def encrypt(backend: KmsBackend, key_id: str, *arguments: Any, **named: Any) -> Any:
        if key := _find(backend, key_id):
            check_usable(key)
        return original(backend, key_id, *arguments, **named)

    return encrypt

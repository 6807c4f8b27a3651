"""Label selectors in objects (``ValidateLabelSelector`` of Kubernetes' apimachinery)."""

from collections.abc import Iterator
from typing import Any

from podshare_sandbox.services.kubernetes.field_problems import Problem, forbidden, invalid, required
from podshare_sandbox.services.kubernetes.validation import metadata

Object = dict[str, Any]


def problems(selector: Object, field: str) -> Iterator[Problem]:
    """What is wrong with a LabelSelector (meta/v1)."""
    for key, value in (selector.get("matchLabels") or {}).items():
        yield from (invalid(f"{field}.matchLabels", key, why) for why in metadata.key_violations(key))
        yield from (invalid(f"{field}.matchLabels", value, why) for why in metadata.value_violations(value))
    for index, one in enumerate(selector.get("matchExpressions") or []):
        yield from _requirement(one, f"{field}.matchExpressions[{index}]")


def _requirement(requirement: Object, field: str) -> Iterator[Problem]:
    operator, values = requirement.get("operator", ""), requirement.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            yield required(f"{field}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden(f"{field}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    else:
        yield invalid(f"{field}.operator", operator, "not a valid selector operator")
    key = requirement.get("key", "")
    yield from (invalid(f"{field}.key", key, why) for why in metadata.key_violations(key))
    for value in values:
        yield from (invalid(f"{field}.values", value, why) for why in metadata.value_violations(value))

"""Tags of one's own, which an organization wants on everything that podshare makes: the hub's ``ResourceTags``.

They may consist of what all services that podshare tags take (API references of IAM, EKS, SageMaker, S3 and FSx, Tag;
EKS documents the same letters in its user guide). ``template.yaml`` holds the same rules, so that a mistake fails the
deployment rather than every function.
"""

import re
from collections.abc import Mapping

MOST = 10  # podshare adds up to seven of its own, and a resource takes fifty; the policies that allow them have room
LONGEST = 1024  # of all together: a function's environment has room for 4 KB
RESERVED = ("aws:", "podshare:")
_TAG = re.compile(r"[A-Za-z0-9_.:/+@-]([A-Za-z0-9 _.:/+@-]{0,126}[A-Za-z0-9_.:/+@-])?")
_VALUE = re.compile(r"[A-Za-z0-9 _.:/=+@-]{0,256}")


def parse(text: str) -> dict[str, str]:
    """The tags in ``Key=value,Key=value``; none in an empty text. Raises ValueError with what is wrong."""
    if len(text) > LONGEST:
        raise ValueError(f"ResourceTags has {len(text):,} characters, {LONGEST:,} at most")
    tags: dict[str, str] = {}
    for pair in text.split(",") if text else ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise ValueError(f"ResourceTags: {pair!r} is no tag: write Key=value, and commas between tags alone")
        _check(key, value)
        if key.lower() in map(str.lower, tags):  # IAM takes keys that differ in case alone for the same
            raise ValueError(f"ResourceTags: key {key!r} is there twice")
        tags[key] = value
    if len(tags) > MOST:
        raise ValueError(f"ResourceTags has {len(tags):,} tags, {MOST:,} at most")
    return tags


def _check(key: str, value: str) -> None:
    if key.lower().startswith(RESERVED):
        raise ValueError(f"ResourceTags: key {key!r} begins with {' or '.join(RESERVED)}, which are not yours to give")
    if not _TAG.fullmatch(key):
        raise ValueError(f"ResourceTags: key {key!r} is not one to 128 letters, digits, inner spaces and _.:/+-@")
    if value.lower().startswith("aws:") or not _VALUE.fullmatch(value):
        raise ValueError(f"ResourceTags: the value of {key} is not up to 256 letters, digits, spaces and _.:/=+-@")


def not_allowed(tags: Mapping[str, str], allowed: str) -> list[str]:
    """The keys that a member stack does not let its roles give; ``allowed`` are those that it does, between ``=``."""
    return sorted(tags.keys() - set(allowed.split("=")))

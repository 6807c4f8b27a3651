"""Who started a run, and how podshare knows: CloudTrail recorded the caller, or a record declares its writer.

A record that was changed without the command declares whoever wrote it before; that is never shown as its author.
"""

from podshare_cli.words import BY_NOBODY_KNOWN

EVIDENCE = "CloudTrail data events on the registry report who"
_BY_CLOUDTRAIL = frozenset({"drift", "organization"})  # events of CloudTrail, which knows who called


def is_proven(event: str) -> bool:
    """Whether CloudTrail says who started a run; of a record's writer podshare knows what the record declares."""
    return event in _BY_CLOUDTRAIL


def known_by(event: str) -> str:
    """How podshare knows who started a run."""
    return "by CloudTrail" if is_proven(event) else "declared"


def unknown(event: str, change: str) -> str:
    """Why nobody is known to have started a run; empty if nobody had to."""
    if event != "registry":
        return ""
    return "an unknown author: a deletion declares none" if change == "REMOVE" else BY_NOBODY_KNOWN

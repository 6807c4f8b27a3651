"""The deterministic names of everything that podshare makes.

A name says whose the resource is and, by a hash of what identifies it, which one: a lost reply is then harmless,
because the same resource always gets the same name. Limits: IAM role names 64 characters, access point names 50.
"""

import hashlib
import re

from podshare.installation import MANAGED_BY_LABEL, TEAM_LABEL, Installation


def _hash(length: int, *parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:length]


def scientist_role(installation: Installation, team: str) -> str:
    """The data scientist role of a team in a scientist account (at most 8 + 1 + 40 + 10 characters)."""
    return f"{installation.prefix}-{team}-scientist"


def cluster_access_role(installation: Installation, team: str, cluster_arn: str, member: str) -> str:
    """The cluster access role of one member of a team."""
    return f"{installation.prefix}-{team}-{_hash(8, 'cluster_access_role', cluster_arn, member)}"


def data_access_role(installation: Installation, team: str, cluster_arn: str, service_account: str) -> str:
    """The data access role of one service account of a team."""
    return f"{installation.prefix}-{team}-{_hash(8, 'data_access_role', cluster_arn, service_account)}"


def target_role(installation: Installation, team: str, cluster_arn: str, service_account: str) -> str:
    """The role in a data account that pods of one service account of a team end up in."""
    return f"{installation.prefix}-{team}-{_hash(8, 'target_role', cluster_arn, service_account)}"


def access_point(installation: Installation, team: str, cluster_arn: str, place: str, dataset: str) -> str:
    """The access point of a team for a dataset; ``place`` is the data account and Region."""
    tail = _hash(12, "access_point", cluster_arn, team, place, dataset)
    return f"{installation.prefix}-{team[:24].rstrip('-')}-{tail}"


def compute_quota(installation: Installation, team: str) -> str:
    """The compute quota of a team (at most 63 characters, unique per cluster)."""
    return f"{installation.prefix}-{team}"


def team_parameter(installation: Installation, team: str) -> str:
    """The SSM parameter by which a team's people find it, in each of their accounts."""
    return f"/{installation.prefix}/teams/{team}"


def schedule(installation: Installation, team: str) -> str:
    """The schedule of the moment at which something of a team ends next (at most 64 characters)."""
    return f"{installation.prefix}-team-{team}"


def cluster_scheduler_config(installation: Installation) -> str:
    """The scheduler config of a cluster, which all its teams share (at most 63 characters, unique per cluster)."""
    return f"{installation.prefix}-scheduler"


def kms_grant(installation: Installation, team: str, data_role: str, operation: str) -> str:
    """The grant of a key to a data role for one operation (at most 256 characters); it alone identifies the owner."""
    return f"{installation.manager.replace('@', '/')}/{team}/{data_role.rpartition('-')[2]}/{operation}"


def team_of_grant(installation: Installation, name: str) -> str:
    """The team in the name of a grant; empty if it is not one of podshare's names."""
    begin = f"{installation.manager.replace('@', '/')}/"
    return name.removeprefix(begin).partition("/")[0] if name.startswith(begin) else ""


def persistent_volume(installation: Installation, team: str, cluster_arn: str, dataset: str) -> str:
    """The volume of a team for a dataset; of all kinds of Kubernetes objects it alone lies in no namespace."""
    return f"{installation.prefix}-{team}-{_hash(12, 'persistent_volume', cluster_arn, team, dataset)}"


def file_system_path(installation: Installation, team: str, dataset: str) -> str:
    """The directory of a team for a dataset in any file system (at most 4,096 characters)."""
    return f"/{installation.prefix}/{team}/{dataset}/"


def kubernetes_group(installation: Installation, team: str, name: str) -> str:
    """One of a team's Kubernetes groups."""
    return f"{installation.prefix}:{team}:{name}"


def kubernetes_role(installation: Installation, group: str) -> str:
    """The Role of a Kubernetes group, and its binding, in the team's namespace; a group is named by its last part."""
    return f"{installation.prefix}-{group.rpartition(':')[2]}"


def labels(installation: Installation, team: str) -> dict[str, str]:
    """The labels that mark an object in the cluster as podshare's, and name its owner."""
    return {MANAGED_BY_LABEL: installation.prefix, TEAM_LABEL: team}


def network_policy(installation: Installation) -> str:
    """The network policy of a team's namespace."""
    return f"{installation.prefix}-no-instance-metadata"


def cleanup_quota(installation: Installation) -> str:
    """The ResourceQuota that counts what a deleted team has left in its namespace."""
    return f"{installation.prefix}-cleanup"


def delegation_sid(installation: Installation) -> str:
    """The Sid of podshare's statement to access points in a bucket policy; Sids are letters and digits only."""
    return f"{_letters(installation)}AccessPoints"


def file_system_sid(installation: Installation, account: str, file_system: str) -> str:
    """What the Sids of a file system's statements in a bucket policy begin with."""
    return f"{_letters(installation)}FileSystem{_hash(8, 'file_system', account, file_system)}"


def is_own_sid(installation: Installation, sid: str) -> bool:
    """Whether a statement with this Sid in a bucket policy is podshare's."""
    of_file_systems = rf"{_letters(installation)}FileSystem[0-9a-f]{{8}}(Bucket|Read|Link|Write)"
    return re.fullmatch(rf"{delegation_sid(installation)}|{of_file_systems}", sid) is not None


def is_like_own(installation: Installation, name: str) -> bool:
    """Whether an access point, a statement or a grant of a key has a name such as podshare gives."""
    begin = (f"{installation.prefix}-", f"{installation.manager.replace('@', '/')}/")
    return name.startswith(begin) or is_own_sid(installation, name)


def _letters(installation: Installation) -> str:
    return "".join(character for character in installation.prefix if character.isalnum())


def execution(subject: str, event: str) -> str:
    """The name of the execution that an event starts: the same event always gets the same name.

    At most 80 characters (Step Functions StartExecution).
    """
    return f"{subject[:47]}-{_hash(32, event)}"

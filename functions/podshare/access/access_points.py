"""The names by which pods reach data: an access point's ARN, and the alias that S3 gave it."""

from collections.abc import Iterable

from podshare.installation import Installation
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Resource
from podshare.kinds.team_on_cluster import CLUSTER_TAG, DATASET_TAG


def described(installation: Installation, resources: Iterable[Resource]) -> list[dict[str, str]]:
    """Each access point among ``resources``: ``dataset``, ``cluster``, ``bucket``, ``arn``, ``alias``.

    The alias is empty for one that is yet to be made: only S3 knows it.
    """
    points = sorted((point for point in resources if isinstance(point, AccessPoint)), key=lambda point: point.key)
    return [
        {
            "dataset": point.tags.get(DATASET_TAG, ""),
            "cluster": point.tags.get(CLUSTER_TAG, ""),
            "bucket": point.bucket,
            "arn": installation.access_point_arn(point.key.account, point.key.region, point.key.name),
            "alias": point.alias,
        }
        for point in points
    ]

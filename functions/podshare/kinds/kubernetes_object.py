"""What all objects of a team in a cluster have in common: podshare's labels name the owner."""

from typing import Any

from podshare.installation import DISPLAYED_LABEL, MANAGED_BY_LABEL, TEAM_LABEL
from podshare.kinds import names
from podshare.kinds.base import Key, Resource
from podshare.kinds.context import Context
from podshare.kinds.manifests import place
from podshare.kinds.observation import Foreign
from podshare.kinds.remedies import give_marks_back
from podshare.kinds.shapes import SHAPES

READS = frozenset({"eks:DescribeCluster"})
WRITES = frozenset({"eks:DescribeCluster"})


def owned(context: Context, key: Key) -> dict[str, Any] | Foreign | None:
    """The object as Kubernetes has it, if there is one and it is the team's."""
    manifest = context.kubernetes(key).get(SHAPES[key.kind].object_kind, *place(key))
    if manifest is None:
        return None
    if _is_marked(context, manifest) or context.remembers(key, identity_of(manifest)):
        return manifest
    marks = names.labels(context.installation, context.team)
    return Foreign(key, "it does not carry podshare's labels", give_marks_back(context.installation, key, marks))


def read(context: Context, key: Key, wanted: Resource | None) -> Resource | Foreign | None:
    """The object as it is, in the shape of its kind."""
    manifest = owned(context, key)
    if not isinstance(manifest, dict):
        return manifest
    labels = manifest.get("metadata", {}).get("labels") or {}
    tags = {name: labels[name] for name in (MANAGED_BY_LABEL, TEAM_LABEL) if name in labels}
    return SHAPES[key.kind].of_object(manifest, key=key, tags=tags, identity=identity_of(manifest))


def _is_marked(context: Context, manifest: dict[str, Any]) -> bool:
    """Whether its labels name the team; earlier versions had no label of their own for what manages it."""
    labels = manifest.get("metadata", {}).get("labels") or {}
    manager = labels.get(MANAGED_BY_LABEL, labels.get(DISPLAYED_LABEL))
    return (labels.get(TEAM_LABEL), manager) == (context.team, context.installation.prefix)


def identity_of(manifest: dict[str, Any]) -> str:
    """What distinguishes an object from one that takes its name later."""
    return str(manifest.get("metadata", {}).get("uid", ""))


def create(context: Context, wanted: Resource) -> None:
    """Apply the object. Raises Pending while SageMaker has not made the namespace."""
    context.kubernetes(wanted.key).apply(wanted.manifest())


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Apply it again."""
    create(context, wanted)


def delete(context: Context, observed: Resource) -> None:
    """Delete the object."""
    context.kubernetes(observed.key).delete(observed.object_kind, *place(observed.key))

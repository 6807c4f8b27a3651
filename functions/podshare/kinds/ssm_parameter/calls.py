"""SSM parameters: what a team's people need to use its clusters and data, published in their own account."""

import json
from contextlib import suppress

from botocore.exceptions import ClientError

from podshare.aws.errors import code_of
from podshare.kinds.access_point.shape import AccessPoint
from podshare.kinds.base import Key, Resource, calls_of
from podshare.kinds.context import Context, as_kind, tag_list, tag_map
from podshare.kinds.observation import Foreign
from podshare.kinds.ssm_parameter.shape import SsmParameter, Value, text, with_aliases, without_aliases

READS = calls_of("ssm", "GetParameter ListTagsForResource")
WRITES = calls_of(
    "ssm", "GetParameter ListTagsForResource PutParameter AddTagsToResource RemoveTagsFromResource DeleteParameter"
)


def read(context: Context, key: Key, wanted: Resource | None) -> SsmParameter | Foreign | None:
    """The parameter and its tags; without the aliases that it has as it should."""
    ssm = context.accounts.client("ssm", key.account, key.region)
    try:
        parameter = ssm.get_parameter(Name=key.name)["Parameter"]
        listed = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=key.name)["TagList"]
    except ClientError as error:
        if code_of(error) in ("ParameterNotFound", "InvalidResourceId"):
            return None
        raise
    tags = tag_map(listed)
    identity = parameter["LastModifiedDate"].isoformat()  # a parameter has no id, and tags do not modify it
    if not context.owns(key, tags, identity):
        return context.foreign(key, tags)
    aliases = _aliases(context, wanted) if isinstance(wanted, SsmParameter) else {}
    tags = context.installation.compared_tags(tags)
    value = _value(parameter["Value"], aliases)
    return SsmParameter(key=key, tags=tags, value=value, type=parameter["Type"], identity=identity)


def create(context: Context, wanted: Resource) -> None:
    """Make the parameter with its tags."""
    parameter = as_kind(SsmParameter, wanted)
    ssm = context.accounts.client("ssm", parameter.key.account, parameter.key.region)
    try:
        ssm.put_parameter(
            Name=parameter.key.name,
            Value=_written(context, parameter),
            Type="String",
            Tags=tag_list(parameter.tags),
        )
    except ClientError as error:
        if code_of(error) != "ParameterAlreadyExists":  # a reply was lost: it is read again, and fixed
            raise


def update(context: Context, observed: Resource, wanted: Resource) -> None:
    """Write the tags, and then the value: it changes the identity by which podshare knows a parameter without tags."""
    old, new = as_kind(SsmParameter, observed), as_kind(SsmParameter, wanted)
    ssm = context.accounts.client("ssm", new.key.account, new.key.region)
    if gone := sorted(old.tags.keys() - new.tags.keys()):
        ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId=new.key.name, TagKeys=gone)
    if old.tags != new.tags:
        ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=new.key.name, Tags=tag_list(new.tags))
    if old.value != new.value:
        ssm.put_parameter(Name=new.key.name, Value=_written(context, new), Type="String", Overwrite=True)


def delete(context: Context, observed: Resource) -> None:
    """Delete the parameter."""
    key = observed.key
    try:
        context.accounts.client("ssm", key.account, key.region).delete_parameter(Name=key.name)
    except ClientError as error:
        if code_of(error) != "ParameterNotFound":
            raise


def _written(context: Context, parameter: SsmParameter) -> str:
    return text(with_aliases(parameter.value, _aliases(context, parameter)))


def _aliases(context: Context, parameter: SsmParameter) -> dict[str, str]:
    """The aliases of the access points that are there, as they were just read or as the inventory remembers them."""
    identities = {
        name: context.seen.get(point) or context.inventory.identity(point) for name, point in parameter.points.items()
    }
    return {name: AccessPoint.alias_in(identity) for name, identity in identities.items()}


def _value(written: str, aliases: dict[str, str]) -> Value:
    """What is written, in the shape of desired; a value of somebody else's under one name, so that it differs."""
    with suppress(ValueError, LookupError, TypeError, AttributeError):
        return without_aliases(json.loads(written), aliases)
    return {"written": written}

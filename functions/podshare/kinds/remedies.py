"""The commands by which a person deletes a resource, or gives it back the tags by which podshare knows its own."""

import shlex
from collections.abc import Mapping

from podshare.installation import Installation
from podshare.kinds.shapes import Key, Kind

_OBJECTS = {
    Kind.NAMESPACE: "namespace",
    Kind.SERVICE_ACCOUNT: "serviceaccount",
    Kind.KUBERNETES_ROLE: "role",
    Kind.KUBERNETES_ROLE_BINDING: "rolebinding",
    Kind.PERSISTENT_VOLUME: "persistentvolume",
    Kind.PERSISTENT_VOLUME_CLAIM: "persistentvolumeclaim",
}


def delete(key: Key) -> str:
    """The command that deletes a resource, run in its account."""
    return _deletions(key).get(key.kind, f"delete {key.kind.replace('_', ' ')} {key.name} in {key.container}")


def _deletions(key: Key) -> dict[Kind, str]:
    where = f"--region {key.region}"
    cluster = f"{where} --cluster-name {key.container}"
    namespace, _, name = key.name.partition("/")
    listed = (
        f"aws eks list-pod-identity-associations {cluster} --namespace {namespace} --service-account {name} "
        "--query associations[0].associationId --output text"
    )
    return {
        Kind.ROLE: f"aws iam delete-role --role-name {key.name}",
        Kind.ACCESS_ENTRY: f"aws eks delete-access-entry {cluster} --principal-arn {key.name}",
        Kind.POD_IDENTITY_ASSOCIATION: (
            f"aws eks delete-pod-identity-association {cluster} --association-id $({listed})"
        ),
        Kind.ACCESS_POINT: f"aws s3control delete-access-point {where} --account-id {key.account} --name {key.name}",
        Kind.COMPUTE_QUOTA: f"aws sagemaker delete-compute-quota {where} --compute-quota-id $({_quota_id(key)})",
        **{kind: f"kubectl delete {called} {_placed(key)}" for kind, called in _OBJECTS.items()},
    }


def give_marks_back(installation: Installation, key: Key, marks: Mapping[str, str]) -> str:
    """What to do where a resource stands at podshare's name without podshare's tags or labels."""
    command = mark(installation, key, marks)
    own = f"If it is podshare's, give it its tags back: {command}. " if command else ""
    return f"{own}If it is not, delete it, or give the team another name."


def mark(installation: Installation, key: Key, marks: Mapping[str, str]) -> str:
    """The command that gives a resource tags or labels; empty for kinds that have none, or whose ARN is a random id."""
    where, pairs = f"--region {key.region}", ",".join(f"{name}={value}" for name, value in sorted(marks.items()))
    listed = " ".join(f"Key={name},Value={value}" for name, value in sorted(marks.items()))
    match key.kind:
        case Kind.ROLE:
            return f"aws iam tag-role --role-name {key.name} --tags {listed}"
        case Kind.ACCESS_ENTRY:
            asked = f"{where} --cluster-name {key.container} --principal-arn {key.name}"
            found = f"aws eks describe-access-entry {asked} --query accessEntry.accessEntryArn --output text"
            return f"aws eks tag-resource {where} --resource-arn $({found}) --tags {pairs}"
        case Kind.ACCESS_POINT:
            arn = f"arn:{installation.partition}:s3:{key.region}:{key.account}:accesspoint/{key.name}"
            return f"aws s3control tag-resource {where} --account-id {key.account} --resource-arn {arn} --tags {listed}"
        case kind if kind in _OBJECTS:
            pairs = " ".join(f"{name}={shlex.quote(value)}" for name, value in sorted(marks.items()))
            return f"kubectl label {_OBJECTS[kind]} {_placed(key)} {pairs}"
        case _:
            return ""


def _placed(key: Key) -> str:
    namespace, _, name = key.name.rpartition("/")
    return f"{name} -n {namespace}" if namespace else name


def _quota_id(key: Key) -> str:
    query = f"ComputeQuotaSummaries[?Name=='{key.name.rpartition('/')[2]}' && Status!='Deleted'].ComputeQuotaId | [0]"
    return f'aws sagemaker list-compute-quotas --region {key.region} --query "{query}" --output text'

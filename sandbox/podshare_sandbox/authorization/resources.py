"""The resources of a call: what its parameters say about the variables in its resources' ARNs.

The formats of the ARNs come from ``catalog``. This module knows which parameter fills which variable, one
function per service, and nothing else about the service.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.organizations.models import organizations_backends
from moto.sagemaker.models import sagemaker_backends

from podshare_sandbox import consistency
from podshare_sandbox.authorization import registrations
from podshare_sandbox.authorization.call import Call, unmapped
from podshare_sandbox.authorization.catalog import Action, ResourceType, resource_arn
from podshare_sandbox.authorization.sessions import PARTITION

UNKNOWN = "*"
"""Stands in an ARN for an id that AWS has yet to give: only a wildcard in a policy covers it."""


@dataclass(frozen=True)
class Named:
    """What a call names: ``variables`` of ARN templates, and whole ARNs by resource type.

    The type ``any`` holds the ARNs of a call that says outright which resources it is about.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    arns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def resources_of(call: Call, prefix: str, action: Action) -> list[str]:
    """The ARNs that ``call`` needs ``action`` on; ``*`` where AWS has no resource for it.

    Raises NotImplementedError where the call must have a resource and none can be told.
    """
    if not action.resource_types:
        return ["*"]
    if prefix not in _NAMED:
        raise unmapped(call, f"no table of the resources of {prefix}")
    named = _NAMED[prefix](call)
    if "any" in named.arns:
        return list(named.arns["any"])
    variables = {"Partition": PARTITION, "Region": call.region, "Account": call.account, **named.variables}
    found = [arn for entry in action.resource_types for arn in _arns_of(entry, variables, named)]
    if not found and any(entry.required for entry in action.resource_types):
        raise unmapped(call, f"cannot tell its {' or '.join(entry.name for entry in action.resource_types)}")
    return _most_specific(found) or ["*"]


def _arns_of(entry: ResourceType, variables: Mapping[str, str], named: Named) -> Iterator[str]:
    if entry.name in named.arns:
        yield from named.arns[entry.name]
    elif arn := entry.arn(variables):
        yield arn


def _most_specific(arns: Iterable[str]) -> list[str]:
    """Without those that another one continues: a query on an index is not authorized on its table."""
    unique = list(dict.fromkeys(arns))
    return [one for one in unique if not any(other.startswith((f"{one}/", f"{one}:")) for other in unique)]


def _given(**variables: str) -> dict[str, str]:
    return {name: value for name, value in variables.items() if value}


def _one(resource_type: str, arn: str) -> Named:
    return Named(arns={resource_type: (arn,)})


# --- IAM and STS --------------------------------------------------------------------------------------------


def _iam(call: Call) -> Named:
    backend: Any = iam_backends[call.account][PARTITION]
    roles = {role.name.lower(): role for role in list(backend.roles.values())}
    # a role that IAM does not know yet has no path for it
    known = consistency.Known[Any]("role", call.account).all_to("iam", roles)
    names = {
        "RoleNameWithPath": (call.first("RoleName"), known.values()),
        "UserNameWithPath": (call.first("UserName"), list(backend.users.values())),
        "GroupNameWithPath": (call.first("GroupName"), list(backend.groups.values())),
        "InstanceProfileNameWithPath": (call.first("InstanceProfileName"), list(backend.instance_profiles.values())),
        "PolicyNameWithPath": (call.first("PolicyName"), ()),
    }
    creation_path = call.first("Path") or "/"
    variables = {
        variable: _path_of(name, list(entities), creation_path) + name
        for variable, (name, entities) in names.items()
        if name
    }
    if call.operation == "CreateServiceLinkedRole":
        service = call.first("AWSServiceName")
        variables["RoleNameWithPath"] = f"aws-service-role/{service}/{UNKNOWN}"
    arns = {"policy": call.first("PolicyArn")}
    if not call.first("UserName") and call.caller.kind == "user" and call.operation != "CreateUser":
        arns["user"] = call.caller.arn  # IAM acts on the caller where no user is named
    return Named(variables, {kind: (arn,) for kind, arn in arns.items() if arn})


def _path_of(name: str, entities: Iterable[Any], creation_path: str) -> str:
    """The path, without its leading slash, of the existing entity, else the one that the call asks for."""
    path = next((entity.path for entity in entities if entity.name == name), creation_path)
    return str(path)[1:]


def _sts(call: Call) -> Named:
    return _one("role", call.first("RoleArn"))


# --- data and messages --------------------------------------------------------------------------------------


def table_arn(call: Call, name_or_arn: str) -> str:
    """A table may be named by its ARN."""
    if name_or_arn.startswith("arn:"):
        return name_or_arn
    return resource_arn("dynamodb", "table", Region=call.region, Account=call.account, TableName=name_or_arn)


def _dynamodb(call: Call) -> Named:
    if arn := call.first("ResourceArn", "StreamArn", "BackupArn", "TableArn"):
        return _one("any", arn)
    if iterator := call.first("ShardIterator"):
        return _one("stream", iterator.partition("|")[0])  # moto begins an iterator with its stream's ARN
    batch = call.parameters.get("RequestItems")
    if batch:
        return Named(arns={"table": tuple(table_arn(call, name) for name in batch)})
    table = call.first("TableName")
    if not table:
        return Named()
    index = call.first("IndexName")
    indexes = {"index": (f"{table_arn(call, table)}/index/{index}",)} if index else {}
    return Named(arns={"table": (table_arn(call, table),), **indexes})


def _sqs(call: Call) -> Named:
    if url := call.first("QueueUrl"):
        *_, account, name = ["", *url.rstrip("/").split("/")]
        return Named({"Account": account or call.account, "QueueName": name})
    if arn := call.first("SourceArn"):
        return _one("any", arn)
    owner = call.first("QueueOwnerAWSAccountId") or call.account
    return Named(_given(Account=owner, QueueName=call.first("QueueName")))


def _sns(call: Call) -> Named:
    if arn := call.first("TopicArn", "ResourceArn", "TargetArn"):
        return _one("any", arn)
    if subscription := call.first("SubscriptionArn"):
        return _one("any", subscription.rpartition(":")[0])
    return Named(_given(TopicName=call.first("Name")))


def _kms(call: Call) -> Named:
    key = call.first("KeyId", "TargetKeyId")
    alias = call.first("AliasName")
    arns = {"key": (_key_arn(call, key),)} if key else {}
    return Named(_given(Alias=alias.removeprefix("alias/")), arns)


def _key_arn(call: Call, key: str) -> str:
    """A key may be named by id, ARN, alias or alias ARN; policies know its ARN only."""
    if key.startswith("arn:") and ":alias/" not in key:
        return key
    backend: Any = kms_backends[call.account][call.region]
    if "alias/" in key:
        alias = "alias/" + key.partition("alias/")[2]
        key = str(backend.get_key_id_from_alias(alias) or UNKNOWN)
    return resource_arn("kms", "key", Region=call.region, Account=call.account, KeyId=key)


# --- compute and orchestration ------------------------------------------------------------------------------


def _lambda(call: Call) -> Named:
    if arn := call.first("Resource", "ResourceArn"):
        return _one("any", arn)
    layer, version = call.first("LayerName"), call.first("VersionNumber")
    function = call.first("FunctionName")
    arns = {"function": (_function_arn(call, function),)} if function else {}
    variables = _given(
        LayerName=layer,
        LayerVersion=version,
        UUID=call.first("UUID"),
        CodeSigningConfigId=call.first("CodeSigningConfigArn").rpartition(":")[2],
    )
    return Named(variables, arns)


def _function_arn(call: Call, function: str) -> str:
    """A function may be named by name, ``account:function:name``, or ARN, each with a qualifier behind it."""
    qualifier = call.first("Qualifier")
    if not function.startswith("arn:"):
        account, _, name = function.rpartition("function:")
        owner = account.rstrip(":") or call.account
        function = resource_arn("lambda", "function", Region=call.region, Account=owner, FunctionName=name)
    if qualifier and not function.endswith(f":{qualifier}"):
        return f"{function}:{qualifier}"
    return function


def _states(call: Call) -> Named:
    for parameter in ("executionArn", "stateMachineArn", "mapRunArn", "activityArn", "resourceArn"):
        if arn := call.first(parameter):
            return _one("any", arn)
    if arn := call.first("stateMachineAliasArn", "stateMachineVersionArn"):
        return _one("any", arn.rpartition(":")[0])
    name = call.first("name")
    return Named(_given(StateMachineName=name) if "StateMachine" in call.operation else _given(ActivityName=name))


def _eks(call: Call) -> Named:
    if arn := call.first("resourceArn"):
        return _one("any", arn)
    addon = call.first("addonName")
    variables = _given(
        ClusterName=call.first("clusterName", "name"),
        AddonName=addon,
        NodegroupName=call.first("nodegroupName"),
        FargateProfileName=call.first("fargateProfileName"),
    )
    if principal := call.first("principalArn"):
        variables.update(_access_entry(principal))
    variables["UUID"] = call.first("associationId") or UNKNOWN
    return Named(variables, registrations.of("eks").arns(call))  # with the UUIDs, of which creation knows none


def _access_entry(principal_arn: str) -> dict[str, str]:
    account, _, resource = principal_arn.partition("iam::")[2].partition(":")
    kind, _, path = resource.partition("/")
    return {
        "IamIdentityType": kind or UNKNOWN,
        "IamIdentityAccountID": account or UNKNOWN,
        "IamIdentityName": path.rpartition("/")[2] or UNKNOWN,
    }


def _eks_auth(call: Call) -> Named:
    return Named(_given(ClusterName=call.first("clusterName")))


def _sagemaker(call: Call) -> Named:
    if arn := call.first("ResourceArn"):
        return _one("any", arn)
    created = call.operation.startswith("Create")
    cluster = call.first("ClusterArn", "ClusterName")
    return Named(
        _given(
            ComputeQuotaId=call.first("ComputeQuotaId") or (UNKNOWN if created else ""),
            ClusterSchedulerConfigId=call.first("ClusterSchedulerConfigId") or (UNKNOWN if created else ""),
            ClusterId=UNKNOWN if call.operation == "CreateCluster" else "",
        ),
        {"cluster": (_hyperpod_cluster_arn(call, cluster),)} if cluster and call.operation != "CreateCluster" else {},
    )


def _hyperpod_cluster_arn(call: Call, name_or_arn: str) -> str:
    """A cluster's ARN ends in an id, so a cluster that is called by name has to be looked up."""
    if name_or_arn.startswith("arn:"):
        return name_or_arn
    backend: Any = sagemaker_backends[call.account][call.region]
    for cluster in list(backend.clusters.values()):
        if cluster.cluster_name == name_or_arn:
            return str(cluster.arn)
    return resource_arn("sagemaker", "cluster", Region=call.region, Account=call.account, ClusterId=name_or_arn)


# --- events, logs, metrics ----------------------------------------------------------------------------------

_DEFAULT_BUS = "default"


def _bus_name(call: Call) -> str:
    return call.first("EventBusName").rpartition("/")[2] or _DEFAULT_BUS


def bus_arn(call: Call, name_or_arn: str) -> str:
    """A bus may be named by its ARN, which is how another account's bus is reached."""
    if name_or_arn.startswith("arn:"):
        return name_or_arn
    name = name_or_arn or _DEFAULT_BUS
    return resource_arn("events", "event-bus", Region=call.region, Account=call.account, EventBusName=name)


def _events(call: Call) -> Named:
    if arn := call.first("ResourceARN"):
        return _one("any", arn)
    if call.operation == "PutEvents":
        buses = {bus_arn(call, entry.get("EventBusName", "")) for entry in call.parameters["Entries"]}
        return Named(arns={"event-bus": tuple(sorted(buses))})
    if call.operation.endswith("EventBus"):
        return Named(arns={"event-bus": (bus_arn(call, call.first("Name")),)})
    rule = call.first("Rule") or (call.first("Name") if call.operation.endswith("Rule") else "")
    variables = _given(
        RuleName=rule,
        ArchiveName=call.first("ArchiveName"),
        ReplayName=call.first("ReplayName"),
        ConnectionName=call.first("Name") if "Connection" in call.operation else "",
        ApiDestinationName=call.first("Name") if "ApiDestination" in call.operation else "",
    )
    if rule and _bus_name(call) != _DEFAULT_BUS:
        name = f"{_bus_name(call)}/{rule}"
        arn = resource_arn(
            "events", "rule-on-default-event-bus", Region=call.region, Account=call.account, RuleName=name
        )
        return Named(variables, {"rule-on-default-event-bus": (), "rule-on-custom-event-bus": (arn,)})
    source = call.first("EventSourceArn")
    return Named(variables, {"event-bus": (source,)} if source else {})


def _scheduler(call: Call) -> Named:
    if arn := call.first("ResourceArn"):
        return _one("any", arn)
    name = call.first("Name")
    if call.operation.endswith("ScheduleGroup"):
        return Named(_given(GroupName=name))
    return Named(_given(GroupName=call.first("GroupName") or _DEFAULT_BUS, ScheduleName=name))


def _logs(call: Call) -> Named:
    """Policies see a log group with ``:log-stream:`` behind it, except in tagging by ARN (CloudWatch Logs guide)."""
    if arn := call.first("resourceArn"):
        return _one("any", arn)
    identifiers = call.parameters.get("logGroupNames") or call.parameters.get("logGroupIdentifiers") or []
    group = call.first("logGroupName", "logGroupIdentifier")
    if call.operation == "FilterLogEvents":
        group = group or UNKNOWN  # which the service refuses
    groups = [_log_group_arn(call, name) for name in ([group] if group else identifiers)]
    stream = call.first("logStreamName")
    if stream and groups:
        return Named(arns=dict.fromkeys(("log-stream", "log-group"), (f"{groups[0]}:log-stream:{stream}",)))
    return Named(arns={"log-group": tuple(f"{arn}:log-stream:" for arn in groups)} if groups else {})


def _log_group_arn(call: Call, name: str) -> str:
    if name.startswith("arn:"):
        return name.removesuffix(":*")
    return resource_arn("logs", "log-group", Region=call.region, Account=call.account, LogGroupName=name)


def _cloudwatch(call: Call) -> Named:
    if arn := call.first("ResourceARN"):
        return _one("any", arn)
    alarms = call.parameters.get("AlarmNames") or [call.first("AlarmName") or UNKNOWN]
    dashboards = call.parameters.get("DashboardNames") or [call.first("DashboardName") or UNKNOWN]
    where = {"Region": call.region, "Account": call.account}
    return Named(
        arns={
            "alarm": tuple(resource_arn("cloudwatch", "alarm", **where, AlarmName=name) for name in alarms),
            "dashboard": tuple(
                resource_arn("cloudwatch", "dashboard", **where, DashboardName=name) for name in dashboards
            ),
        }
    )


# --- administration -----------------------------------------------------------------------------------------


def _organizations(call: Call) -> Named:
    """Resources belong to the management account, whoever asks."""
    backend = next(
        (backend[PARTITION] for backend in list(organizations_backends.values()) if backend[PARTITION].org), None
    )
    if backend is None:
        return _one("any", "*")
    ids = [call.first(name) for name in _ORGANIZATIONS_IDS]
    if call.operation == "CreatePolicy":
        ids.append(f"p-{UNKNOWN}")
    arns = tuple(_organizations_arn(call, backend, one) for one in ids if one)
    return Named(arns={"any": arns}) if arns else Named()


_ORGANIZATIONS_IDS = (
    *("AccountId", "ResourceId", "TargetId", "ChildId", "ParentId", "RootId", "OrganizationalUnitId"),
    *("SourceParentId", "DestinationParentId", "PolicyId", "HandshakeId"),
)
_ORGANIZATIONS_KINDS = {"ou-": "ou", "r-": "root", "h-": "handshake"}


def _organizations_arn(call: Call, backend: Any, one: str) -> str:
    owner, where = backend.account_id, backend.org.id
    if one.startswith("p-"):
        policy = next((policy for policy in list(backend.policies) if policy.id == one), None)
        kind = str(policy.type if policy else call.first("Type")).lower()
        if policy and policy.aws_managed:
            return f"arn:{PARTITION}:organizations::aws:policy/{kind}/{one}"
        return f"arn:{PARTITION}:organizations::{owner}:policy/{where}/{kind}/{one}"
    kind = next((kind for prefix, kind in _ORGANIZATIONS_KINDS.items() if one.startswith(prefix)), "account")
    middle = f"{where}/invite" if kind == "handshake" else where  # the sandbox's only handshakes
    return f"arn:{PARTITION}:organizations::{owner}:{kind}/{middle}/{one}"


def _ssm(call: Call) -> Named:
    where = {"Region": call.region, "Account": call.account}
    if call.first("ResourceType") == "Parameter":
        names = [call.first("ResourceId")]
    elif "Document" in call.operation:
        return Named(_given(DocumentName=call.first("Name")))
    elif call.operation == "StartSession":
        document = call.first("DocumentName") or "SSM-SessionManagerRunShell"
        return Named({"InstanceId": call.first("Target"), "DocumentName": document})
    else:
        names = [*call.parameters.get("Names", ()), call.first("Name", "Path")]
    parameters = tuple(
        resource_arn("ssm", "parameter", **where, ParameterNameWithoutLeadingSlash=name.removeprefix("/"))
        for name in names
        if name
    )
    return Named(_given(SessionId=call.first("SessionId")), {"parameter": parameters} if parameters else {})


def _cloudformation(call: Call) -> Named:
    """A stack's ARN ends in an id; what is called by name stands for any stack of that name."""
    if "StackSet" in call.operation or "StackInstance" in call.operation:
        return Named(_given(StackSetName=call.first("StackSetName"), Id=UNKNOWN))
    stack = call.first("StackName", "StackId")
    if stack.startswith("arn:"):
        return _one("any", stack)
    return Named(_given(StackName=stack, Id=UNKNOWN))


def _s3_control(call: Call) -> Named:
    """Access points live in the account that the call names, which S3 then holds against the caller's."""
    if arn := call.first("ResourceArn"):
        return _one("any", arn)
    name = call.first("Name").rpartition("/")[2]
    return Named(_given(Account=call.first("AccountId"), AccessPointName=name))


def _fsx(call: Call) -> Named:
    """An association's ARN holds its file system, and an id that AWS has yet to give to a new one."""
    if arn := call.first("ResourceARN"):
        return _one("any", arn)
    file_system, association = call.first("FileSystemId"), call.first("AssociationId")
    if association:
        unknown = f"arn:aws:fsx:{call.region}:{call.account}:association/{UNKNOWN}/{association}"
        return Named(arns={"association": (unknown,), **registrations.of("fsx").arns(call)})
    made = {"FileSystemIdOrFileCacheId": file_system, "DataRepositoryAssociationId": UNKNOWN}
    return Named(_given(FileSystemId=file_system, **made))


def _cloudtrail(call: Call) -> Named:
    name = call.first("Name", "TrailName", "TrailNameList")
    return _one("trail", name) if name.startswith("arn:") else Named(_given(TrailName=name))


def _glue(call: Call) -> Named:
    """A table is asked for with its database and the catalog (AWS Glue developer guide, "Specifying resource ARNs")."""
    made = {**call.parameters.get("DatabaseInput", {}), **call.parameters.get("TableInput", {})}
    name = call.first("Name") or made.get("Name", "")
    if "Database" in call.operation:
        return Named(_given(DatabaseName=name))
    return Named(_given(DatabaseName=call.first("DatabaseName"), TableName=name))


def _athena(call: Call) -> Named:
    if arn := call.first("ResourceARN"):
        return _one("any", arn)
    return Named(_given(WorkGroupName=call.first("WorkGroup", "Name")))


def _nothing(_: Call) -> Named:
    return Named()


_NAMED: dict[str, Callable[[Call], Named]] = {
    "iam": _iam,
    "sts": _sts,
    "dynamodb": _dynamodb,
    "sqs": _sqs,
    "sns": _sns,
    "kms": _kms,
    "lambda": _lambda,
    "states": _states,
    "eks": _eks,
    "eks-auth": _eks_auth,
    "sagemaker": _sagemaker,
    "events": _events,
    "scheduler": _scheduler,
    "logs": _logs,
    "cloudwatch": _cloudwatch,
    "organizations": _organizations,
    "ssm": _ssm,
    "cloudformation": _cloudformation,
    "s3": _s3_control,
    "fsx": _fsx,
    "tag": _nothing,
    "ec2": _nothing,
    "cloudtrail": _cloudtrail,
    "glue": _glue,
    "athena": _athena,
}

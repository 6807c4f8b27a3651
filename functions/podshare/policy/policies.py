"""IAM policy documents: the ones that podshare writes, and what two documents have in common.

Documents are compared by meaning: the order of statements, and a string against a list of one, are no
difference. ``intersection`` never grants what either document withholds; where it cannot prove that two statements
overlap it grants nothing, which costs a moment of access and never gives any.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from podshare.installation import Installation

Document = Mapping[str, Any]
Statement = dict[str, Any]

VERSION = "2012-10-17"
ASSUME = ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity")
CHAIN = ("sts:AssumeRole", "sts:TagSession")
INLINE_POLICIES = 10_240  # IAM quotas, all inline policies of a role together; fixed
ACCESS_POINT_POLICY = 20 * 1024  # S3 user guide, "Access points restrictions and limitations"
READ_OBJECTS = ("s3:GetObject",)
WRITE_OBJECTS = ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:ListMultipartUploadParts", "s3:PutObject")

LINKING = ("s3:Get*", "s3:List*", "s3:PutObject")  # of whoever links a file system, whatever the link is for


def document(*statements: Statement) -> Document:
    """A policy document of ``statements``."""
    return {"Version": VERSION, "Statement": list(statements)}


def parse(text: str) -> Document:
    """The policy in a text. Raises ValueError for what is none, which is no policy without statements either."""
    parsed = json.loads(text)
    if not isinstance(parsed, dict) or "Statement" not in parsed:
        raise ValueError("the answer is no policy")
    return parsed


def text(policy: Document) -> str:
    """The document as AWS counts it: without white space."""
    return json.dumps(policy, separators=(",", ":"), sort_keys=True)


def size(policies: Iterable[Document | None]) -> int:
    """How many characters documents have together, as AWS counts them."""
    return sum(len(text(policy)) for policy in policies if policy)


# ---- trust policies ----------------------------------------------------------------------------------------


def trust_in_accounts(installation: Installation, accounts: Iterable[str], principals: Iterable[str]) -> Document:
    """Trust ``principals`` (role or user ARNs, ``?`` and ``*`` allowed in names) of ``accounts``, while these are ours.

    The accounts' roots with a condition, and not the roles' ARNs, stand as principals: such a trust survives
    a recreated role, and needs no role to exist first. Its price is in docs/security.md.
    """
    condition = {
        "ArnLike": {"aws:PrincipalArn": sorted(principals)},
        "StringEquals": {"aws:PrincipalOrgID": installation.organization},
    }
    roots = sorted({installation.root_arn(account) for account in accounts})
    return document(_trust({"AWS": roots}, ASSUME, condition))


def trust_whole_account(installation: Installation, account: str) -> Document:
    """Trust whoever the account itself allows to assume the role, while the account is ours."""
    condition = {"StringEquals": {"aws:PrincipalOrgID": installation.organization}}
    return document(_trust({"AWS": installation.root_arn(account)}, ASSUME, condition))


def trust_pod_identity(account: str, cluster_arn: str, namespace: str, service_account: str) -> Document:
    """Trust EKS Pod Identity for exactly one cluster, namespace and service account.

    EKS documents the session tags; whether it also sends aws:SourceAccount and aws:SourceArn is not documented,
    so that these two hold where they are sent (IfExists).
    """
    condition = {
        "StringEquals": _session_tags(cluster_arn, namespace, service_account),
        "StringEqualsIfExists": {"aws:SourceAccount": account},
        "ArnEqualsIfExists": {"aws:SourceArn": cluster_arn},
    }
    return document(_trust({"Service": "pods.eks.amazonaws.com"}, CHAIN, condition))


def trust_data_role(
    installation: Installation, role_arn: str, cluster_arn: str, namespace: str, service_account: str
) -> Document:
    """Trust one data access role of a cluster's account, for the pods of one service account.

    EKS chains the roles, and its session tags come along (EKS user guide, "EKS Pod Identity Target IAM Roles").
    """
    condition = {
        "ArnLike": {"aws:PrincipalArn": role_arn},
        "StringEquals": {
            "aws:PrincipalOrgID": installation.organization,
            **_session_tags(cluster_arn, namespace, service_account),
        },
    }
    principal = {"AWS": installation.root_arn(role_arn.split(":")[4])}
    return document(_trust(principal, CHAIN, condition))


def _session_tags(cluster_arn: str, namespace: str, service_account: str) -> dict[str, str]:
    return {
        "aws:RequestTag/eks-cluster-arn": cluster_arn,
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": service_account,
    }


def trust_nobody(installation: Installation, account: str) -> Document:
    """A trust policy that admits nobody: IAM has no empty one."""
    return document(
        {"Effect": "Deny", "Principal": {"AWS": installation.root_arn(account)}, "Action": "sts:AssumeRole"}
    )


def _trust(principal: Statement, actions: Iterable[str], condition: Statement) -> Statement:
    return {"Effect": "Allow", "Principal": principal, "Action": sorted(actions), "Condition": condition}


# ---- what roles may do -------------------------------------------------------------------------------------


def may_assume(role_arn: str, actions: Iterable[str] = ASSUME) -> Document:
    """Allow to assume exactly one role."""
    return document({"Effect": "Allow", "Action": sorted(actions), "Resource": role_arn})


def may_read_parameter(installation: Installation, account: str, region: str, name: str) -> Statement:
    """A statement that allows to read exactly one SSM parameter."""
    arn = f"arn:{installation.partition}:ssm:{region}:{account}:parameter{name}"
    return {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": arn}


def may_describe_cluster(eks_arn: str, hyperpod_arn: str, role_arn: str) -> Document:
    """Allow what a scientist's tools ask before they talk to Kubernetes; never ssm:StartSession (a node's shell).

    ``hyp set-cluster-context`` looks up the role that it acts as, for the path in its ARN, and then the role's access
    entry, whose ARN has no path and ends in a random id; ``hyp list-cluster`` lists the Region's clusters, which IAM
    authorizes on no resource (sagemaker-hyperpod 3.12.0; Service Authorization Reference).
    """
    region, account, cluster = eks_arn.split(":")[3], eks_arn.split(":")[4], eks_arn.rpartition("/")[2]
    entry = f"access-entry/{cluster}/role/{account}/{role_arn.rpartition('/')[2]}/*"
    entry_arn = ":".join((*eks_arn.split(":")[:5], entry))
    allow: Statement = {"Effect": "Allow"}
    return document(
        {**allow, "Action": "eks:DescribeCluster", "Resource": eks_arn},
        {**allow, "Action": "sagemaker:DescribeCluster", "Resource": hyperpod_arn},
        {**allow, "Action": "iam:GetRole", "Resource": role_arn},
        {**allow, "Action": "eks:DescribeAccessEntry", "Resource": entry_arn},
        {
            **allow,
            "Action": "sagemaker:ListClusters",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": region}},
        },
    )


def data_statements(
    listed_arn: str,
    objects_arn: str,
    *,
    reads: Iterable[str],
    writes: Iterable[str] = (),
    sid: str,
    principal: str | None = None,
    organization: str | None = None,
) -> Iterator[Statement]:
    """List and read what lies under the prefixes ``reads``, and write what lies under ``writes``.

    ``listed_arn`` is the access point or bucket, ``objects_arn`` what its keys are appended to. With ``principal`` the
    statements are the access point's own, which hold while the principal's account is in ``organization``; without it
    they are a role's. Prefixes inside of others are
    left out, and each action is in one statement: what two such documents have in common is then exactly what
    both grant.
    """
    who: Statement = {"Principal": {"AWS": principal}} if principal else {}
    statement: Statement = {"Effect": "Allow", **who}
    condition = _in_organization(organization) if organization else {}
    readable, writable = outermost(reads), outermost(writes)
    listing: Statement = {"Sid": f"List{sid}", **statement, "Action": "s3:ListBucket", "Resource": listed_arn}
    listed = [f"{prefix}*" for prefix in readable]
    restriction: Statement = {"StringLike": {"s3:prefix": listed}} if "" not in readable else {}
    yield {**listing, **_conditions(restriction, condition)}
    for name, actions, prefixes in (("Read", READ_OBJECTS, readable), ("Write", WRITE_OBJECTS, writable)):
        if prefixes:
            objects = [f"{objects_arn}/{prefix}*" for prefix in prefixes]
            asked = {"Sid": f"{name}{sid}", **statement, "Action": sorted(actions), "Resource": objects}
            yield {**asked, **_conditions(condition)}


def _conditions(*conditions: Statement) -> Statement:
    """The element of a statement that has all of these conditions, of different operators; nothing without any."""
    together = {operator: keys for condition in conditions for operator, keys in condition.items()}
    return {"Condition": together} if together else {}


def _in_organization(organization: str) -> Statement:
    return {"StringEquals": {"aws:PrincipalOrgID": organization}}


def may_use_key(key_arn: str, operations: Iterable[str]) -> Statement:
    """Allow operations of KMS by S3 alone, in the name of the role.

    S3's encryption context is the object's ARN, or the bucket's where it uses a bucket key (S3 user guide, "Using
    SSE-KMS encryption"); access point and bucket decide which objects.
    """
    return {
        "Sid": "UseKey",
        "Effect": "Allow",
        "Action": sorted(f"kms:{operation}" for operation in operations),
        "Resource": key_arn,
        "Condition": {"StringEquals": {"kms:ViaService": f"s3.{key_arn.split(':')[3]}.amazonaws.com"}},
    }


def outermost(prefixes: Iterable[str]) -> list[str]:
    """Those of ``prefixes`` that lie in no other."""
    outer_prefixes: list[str] = []
    for prefix in sorted(set(prefixes)):  # a prefix comes right before all that lies in it
        if not outer_prefixes or not prefix.startswith(outer_prefixes[-1]):
            outer_prefixes.append(prefix)
    return outer_prefixes


def delegation(
    sid: str, bucket_arn: str, account: str, access_points: str, *, organization: str, write: bool
) -> Statement:
    """The one statement in a bucket policy that lets podshare's access points of the bucket's account decide.

    ``access_points`` is the ARN pattern of podshare's access points; nobody outside of ``organization`` comes through
    them. A fixed DataAccessPointAccount makes the statement non-public (S3 user guide, "Blocking public access").
    """
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": sorted(("s3:ListBucket", *READ_OBJECTS, *(WRITE_OBJECTS if write else ()))),
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {
            "StringEquals": {"aws:PrincipalOrgID": organization, "s3:DataAccessPointAccount": account},
            "ArnLike": {"s3:DataAccessPointArn": access_points},
        },
    }


def file_system_delegation(
    sid: str,
    bucket_arn: str,
    *,
    root_arn: str,
    role_arn: str,
    caller_arn: str,
    reads: Iterable[str],
    writes: Iterable[str],
) -> Iterator[Statement]:
    """The statements in a bucket policy that let Amazon FSx link a file system to prefixes of the bucket.

    The service-linked role has what AWS asks for, objects by their prefix ("Using service-linked roles for Amazon
    FSx"). The account's root stands for it, because Amazon FSx makes it with the first link, and a policy may name no
    role before. ``caller_arn`` is who links: Amazon FSx sees in the caller's name whether it may use the bucket
    ("Unable to validate access to an S3 bucket when creating a DRA"), and the caller may in no other way.
    """
    who: Statement = {"Effect": "Allow", "Principal": {"AWS": root_arn}}
    by_role: Statement = {"Condition": {"ArnEquals": {"aws:PrincipalArn": role_arn}}}
    bucket = ["s3:Get*", "s3:List*", "s3:PutBucketNotification"]
    yield {"Sid": f"{sid}Bucket", **who, "Action": bucket, "Resource": bucket_arn, **by_role}
    readable, writable = ([f"{bucket_arn}/{prefix}*" for prefix in outermost(some)] for some in (reads, writes))
    if readable:
        yield {"Sid": f"{sid}Read", **who, "Action": ["s3:Get*"], "Resource": readable, **by_role}
        linking: Statement = {
            "ArnEquals": {"aws:PrincipalArn": caller_arn},
            "Bool": {"aws:ViaAWSService": "true"},
        }
        asked = {"Action": sorted(LINKING), "Resource": [bucket_arn, *readable], "Condition": linking}
        yield {"Sid": f"{sid}Link", **who, **asked}
    if writable:
        yield {"Sid": f"{sid}Write", **who, "Action": sorted(WRITE_OBJECTS), "Resource": writable, **by_role}


# ---- meaning -----------------------------------------------------------------------------------------------


def statements(policy: Document | None) -> list[Statement]:
    """The statements of a document, of which there may be none, one or a list."""
    listed = (policy or {}).get("Statement", [])
    return [dict(listed)] if isinstance(listed, Mapping) else [dict(statement) for statement in listed]


def dead_principals(policy: Document | None) -> Iterator[str]:
    """The statements that name a role or user that was deleted, each with what AWS shows of it: its unique id.

    AWS takes no policy with such a statement, not even the one that is there (IAM user guide, "Principal").
    """
    for statement in canonical(policy):
        principals = {**statement.get("Principal", {}), **statement.get("NotPrincipal", {})}
        for principal in principals.get("AWS", ()):
            if re.fullmatch(r"A(RO|ID)A[A-Z0-9]{12,}", principal):
                yield f"statement {statement.get('Sid', 'without a Sid')} names {principal}"


def canonical(policy: Document | None) -> list[Statement]:
    """The document's meaning: equal for equal documents, whatever their order and spelling."""
    return sorted((canonical_statement(statement) for statement in statements(policy)), key=json.dumps)


def canonical_statement(statement: Statement) -> Statement:
    """A statement's meaning, in the same way."""
    result: Statement = {}
    for element in sorted(statement):
        value = statement[element]
        if element in ("Action", "NotAction", "Resource", "NotResource"):
            result[element] = _values(value)
        elif element in ("Principal", "NotPrincipal"):
            result[element] = {"AWS": ["*"]} if value == "*" else {kind: _values(value[kind]) for kind in sorted(value)}
        elif element == "Condition":
            result[element] = {
                operator: {key.lower(): _values(value[operator][key]) for key in sorted(value[operator])}
                for operator in sorted(value)
            }
        else:
            result[element] = value
    return result


def _values(value: Any) -> list[str]:
    values = value if isinstance(value, list | tuple | set | frozenset) else [value]
    return sorted({str(item).lower() if isinstance(item, bool) else str(item) for item in values})


def same(left: Document | None, right: Document | None) -> bool:
    """Whether two documents mean the same."""
    return canonical(left) == canonical(right)


def intersection(left: Document | None, right: Document | None) -> Document | None:
    """A document that grants only what both grant, and denies what either denies. None where that is nothing."""
    ones, others = canonical(left), canonical(right)
    denied = [statement for statement in (*ones, *others) if statement["Effect"] == "Deny"]
    shared = [
        both
        for mine in ones
        for theirs in others
        if mine["Effect"] == theirs["Effect"] == "Allow" and (both := _both(mine, theirs))
    ]
    if not shared:
        return None
    return document(*_without_repeats([*shared, *denied]))


def is_within(inner: Statement, outer: Statement) -> bool:
    """Whether ``inner`` allows nothing that ``outer`` does not; where that cannot be proven it does."""
    return inner["Effect"] == "Deny" or same(intersection(document(inner), document(outer)), document(inner))


def _both(mine: Statement, theirs: Statement) -> Statement | None:
    if mine == theirs:
        return theirs
    elements = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
    if set(mine) - elements or set(theirs) - elements:
        return None  # NotAction and its like: no overlap can be proven
    result: Statement = {key: theirs[key] for key in ("Sid", "Effect") if key in theirs}
    for element in ("Action", "Resource"):
        overlap = _overlap(mine.get(element, ["*"]), theirs.get(element, ["*"]))
        if not overlap:
            return None
        if element in mine or element in theirs:
            result[element] = overlap
    if "Principal" in mine or "Principal" in theirs:
        both = _both_principals(mine.get("Principal", {}), theirs.get("Principal", {}))
        if not both:
            return None
        result["Principal"] = both
    conditions = _stricter(mine.get("Condition", {}), theirs.get("Condition", {}))
    if conditions is None:
        return None
    return {**result, "Condition": conditions} if conditions else result


def _both_principals(mine: Mapping[str, list[str]], theirs: Mapping[str, list[str]]) -> Statement:
    """Whom both name, in the same words."""
    shared = {kind: sorted({*mine[kind]} & {*theirs[kind]}) for kind in mine.keys() & theirs.keys()}
    return {kind: names for kind, names in shared.items() if names}


def _stricter(mine: Statement, theirs: Statement) -> Statement | None:
    """Both conditions at once: those that are on one side only, and for the same key what satisfies both."""
    result: Statement = {}
    for operator in {*mine, *theirs}:
        result[operator] = {}
        for key in {*mine.get(operator, {}), *theirs.get(operator, {})}:
            sides = [side[operator][key] for side in (mine, theirs) if key in side.get(operator, {})]
            values = sides[0] if len(sides) == 1 or sides[0] == sides[1] else _overlap(sides[0], sides[1])
            if not values or (len(sides) > 1 and sides[0] != sides[1] and "Not" in operator):
                return None
            result[operator][key] = values
    return result


def _overlap(ones: Iterable[str], others: Iterable[str]) -> list[str]:
    """The narrower of each pair of patterns of which one covers the other."""
    ones, others = list(ones), list(others)
    covered = {pattern for pattern in ones if any(covers(other, pattern) for other in others)}
    return sorted(covered | {other for other in others if any(covers(pattern, other) for pattern in ones)})


def covers(outer: str, inner: str) -> bool:
    """Whether the pattern ``outer`` (``*`` and ``?``) matches everything that ``inner`` matches.

    ``inner`` is read as text, in which its own wildcards stand for themselves: exact for patterns whose
    only wildcard is a trailing ``*``, and never too generous for others.
    """
    if outer == inner:
        return True
    if any(character in inner for character in "*?") and not outer.endswith("*"):
        return False
    return fnmatchcase(inner, outer.replace("[", "[[]"))


def overlap(left: str, right: str) -> bool:
    """Whether two patterns (``*`` and ``?``) match a text in common."""
    to_try, tried = [(0, 0)], set[tuple[int, int]]()
    while to_try:
        here = to_try.pop()
        if here in tried:
            continue
        tried.add(here)
        first, second = here
        if here == (len(left), len(right)):
            return True
        mine, theirs = left[first : first + 1], right[second : second + 1]
        if mine == "*" or theirs == "*":
            to_try += [(first + 1, second)] if mine else []
            to_try += [(first, second + 1)] if theirs else []
        elif mine and theirs and (mine == theirs or "?" in (mine, theirs)):
            to_try.append((first + 1, second + 1))
    return False


def _without_repeats(repeated: Iterable[Statement]) -> list[Statement]:
    """Each statement once, and each Sid, which must not stand twice in a document (IAM user guide, "Sid")."""
    unique = {json.dumps(statement, sort_keys=True): statement for statement in repeated}
    seen: set[str | None] = set()
    for text, statement in unique.items():
        if statement.get("Sid") in seen:
            unique[text] = {element: value for element, value in statement.items() if element != "Sid"}
        seen.add(statement.get("Sid"))
    return list(unique.values())

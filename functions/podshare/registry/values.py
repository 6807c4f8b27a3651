"""The values that fields of records may have.

Limits are those of the AWS APIs that the values reach (SageMaker CreateComputeQuota, IAM, EKS, S3), so that nothing is
refused half way through a provisioning.
"""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from podshare.registry.items import NAME

LONGEST_PREFIX = 512
LONGEST_TEAM = 40  # `hyperpod-ns-<team>-localqueue` is a label value, at most 63 characters
LONGEST_PRIORITY_CLASS = 40  # SageMaker API reference, PriorityClass
_NO_BUCKETS = {
    "--x-s3": "a directory bucket",
    "--xa-s3": "an access point of a directory bucket",
    "-s3alias": "the alias of an access point",
    "--ol-s3": "the alias of an Object Lambda access point",
    ".mrap": "the alias of a Multi-Region Access Point",
    "--table-s3": "a table bucket",
}
_DECIMAL = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?")
_MOMENT = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})")
PATTERNS: dict[str, str] = {}  # what the pattern of a text asks for, in words


def _no_pattern(text: str) -> str:
    """Wildcards and policy variables would reach policy documents, where they mean more than they say."""
    if match := re.search(r"[*?]|\$\{", text):
        raise ValueError(f"must not contain {match.group()!r}: wildcards and policy variables are refused")
    return text


def _account(value: object) -> object:
    """A YAML reader makes a number of an unquoted account id, and loses leading zeros: 12 digits or nothing.

    With a leading zero, and neither 8 nor 9 in it, it is an octal number to YAML 1.1.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if len(str(value)) == 12:
        return str(value)
    octal = f"{value:o}".zfill(12)
    likely = f": it is {octal} there, if it was read as an octal number" if len(octal) == 12 else ""
    remedy = f"Put the id in quotes, as it is in its file{likely}."
    raise PydanticCustomError("account_id", "must be text of twelve digits; got a number", {"remedy": remedy})


def off(value: object) -> object:
    """A YAML reader makes False of an unquoted ``off`` (YAML 1.1, Boolean)."""
    return "off" if value is False else value


def _number(value: object) -> object:
    """Plain decimals alone: Python would also take True, nan, 1_0 and white space for numbers, and 010 for 10."""
    if isinstance(value, bool) or (isinstance(value, str) and not _DECIMAL.fullmatch(value)):
        raise PydanticCustomError("number", "is no number")
    return value


def whole_number(value: object) -> object:
    """The same for what is counted; 2.0 is 2."""
    if isinstance(value, bool) or (isinstance(value, str) and not _DECIMAL.fullmatch(value)):
        raise PydanticCustomError("whole_number", "is no whole number")
    return value


def _moment(value: object) -> object:
    """A moment that means the same to everybody: a date alone, or a time without an offset, does not."""
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        return datetime.fromisoformat(value).astimezone(UTC)
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC)
    rule = "must be a timestamp like 2027-01-31T18:00:00Z, or with an offset like +01:00 instead of Z"
    raise ValueError(f"{rule}; a length of time such as 7d is none")


def _no_alias(value: object) -> object:
    """A grant is of a key, whatever becomes of the alias by which somebody called it."""
    if isinstance(value, str) and "alias/" in value:
        raise ValueError("names an alias, which may later point to another key: use the key's ARN")
    return value


def _not_reserved(text: str) -> str:
    """EKS user guide, "Tag basics"."""
    if text.lower().startswith("aws:"):
        raise ValueError("must not begin with 'aws:', which AWS reserves in tag values")
    return text


def _general_purpose(bucket: str) -> str:
    """The name of a general purpose bucket, rather than of what merely looks like one.

    S3 user guide, "General purpose bucket naming rules".
    """
    for end, bucket_type in _NO_BUCKETS.items():
        if bucket.endswith(end):
            raise ValueError(f"names {bucket_type} (it ends with {end}): name a general purpose bucket")
    if re.fullmatch(r"([0-9]{1,3}\.){3}[0-9]{1,3}", bucket):
        raise ValueError("looks like an IP address, which a bucket name must not")
    if reserved := re.match(r"xn--|sthree-|amzn-s3-demo-", bucket):
        raise ValueError(f"begins with {reserved.group()}, which S3 reserves")
    return bucket


def _directory(prefix: str) -> str:
    """A prefix ends with a slash, so that ``images`` does not open ``images-private/``."""
    if prefix.startswith("/") or "//" in prefix or any(ord(character) < 32 for character in prefix):
        raise ValueError("must not begin with '/', contain '//' or control characters")
    directory = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    if len(directory) > LONGEST_PREFIX:
        raise ValueError(f"must have at most {LONGEST_PREFIX} characters, including the slash at its end")
    return directory


def text(pattern: str | None, most: int, least: int = 1, *, meaning: str = "") -> StringConstraints:
    """A text of a pattern; ``meaning`` is what that asks for, to the person who wrote another."""
    if pattern and meaning:
        PATTERNS[pattern] = meaning
    return StringConstraints(pattern=pattern, min_length=least, max_length=most, strict=True)  # bytes are no text


A_NAME = "a name has lowercase letters, digits and hyphens between them"
_A_TAG = "may have letters, digits, spaces and _ . : / = + - @"
_A_ROLE = "a role is a path and a name, such as research/Trainer, of letters, digits and _ + = , . @ -"
_A_KEY = "a key is named by its ARN, arn:aws:kms:REGION:ACCOUNT:key/ID"
_A_UNIT = "a unit has an id such as ou-pods-science1"
_AN_EKS_CLUSTER = "an EKS cluster's name has letters, digits, hyphens and underscores"
_A_BUCKET = "a bucket's name has 3 to 63 lowercase letters, digits, dots and hyphens"

TAG_VALUE = r"^[\p{L}\p{N}_ .:/=+\-@]*$"  # what every service here accepts as a tag's value
AccountId = Annotated[
    str, BeforeValidator(_account), text(r"^[0-9]{12}$", 256, meaning="an account id has twelve digits")
]
Region = Annotated[str, text(r"^[a-z]{2}(-[a-z]+)+-[0-9]$", 25, meaning="a Region has a code such as us-west-2")]
RecordName = Annotated[str, text(f"^{NAME.pattern}$", 63, meaning=A_NAME)]
TeamName = Annotated[str, text(f"^{NAME.pattern}$", LONGEST_TEAM, meaning=A_NAME)]
# 27: an enrollment's teams are named after it, a hyphen and the account's id
EnrollmentName = Annotated[str, text(f"^{NAME.pattern}$", 27, meaning=A_NAME)]
OrganizationalUnit = Annotated[  # AWS Organizations API reference, Parent
    str,
    text(r"^(r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[a-z0-9]{8,32})$", 68, meaning=_A_UNIT),
]
TagKey = Annotated[str, text(TAG_VALUE, 128, meaning=_A_TAG)]
TagValue = Annotated[str, text(TAG_VALUE, 256, 0)]
Bucket = Annotated[
    str,
    text(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", 63, 3, meaning=_A_BUCKET),
    AfterValidator(_general_purpose),
]
Prefix = Annotated[str, text(None, LONGEST_PREFIX, 0), AfterValidator(_no_pattern), AfterValidator(_directory)]
RoleName = Annotated[str, text(r"^([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}$", 512, meaning=_A_ROLE)]
PrincipalName = Annotated[
    str,
    text(
        r"^(role|user)/([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,64}$",
        512,
        meaning="a principal is named as role/PATH/NAME or user/PATH/NAME",
    ),
]
PermissionSet = Annotated[
    str, text(r"^[A-Za-z0-9_+=,.@-]+$", 32, meaning="a permission set has letters, digits and _ + = , . @ -")
]
KmsKey = Annotated[
    str,
    BeforeValidator(_no_alias),
    text(
        r"^arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$",
        256,
        meaning=_A_KEY,
    ),
]
# of a compute quota or a scheduler config: anything but control characters (SageMaker API, EntityDescription)
Description = Annotated[str, text(r"^\P{C}*$", 1024, 0, meaning="must have no control characters")]
Vpc = Annotated[str, text(r"^vpc-[0-9a-f]{8,17}$", 21, meaning="a VPC has an id such as vpc-0123456789abcdef0")]
FileSystemId = Annotated[  # FSx API reference, FileSystemId
    str, text(r"^fs-[0-9a-f]{8,18}$", 21, meaning="a file system has an id such as fs-0123456789abcdef0")
]
# a principal's ARN, or a subject of a ClusterRoleBinding: `User NAME`, a group by its name
Administrator = Annotated[str, text(r"^[^\x00-\x1f]+$", 2048, meaning="must have no control characters")]
# whom the policies of a bucket and its keys let in, as doors into data name them
_ARN_IN_ONE_ACCOUNT = r"arn:[a-z-]+:[a-z0-9-]+:[^:\x00-\x1f]*:[a-z0-9-]+:[^\x00-\x1f]+"
OtherPrincipal = Annotated[
    str,
    text(
        rf"^({_ARN_IN_ONE_ACCOUNT}|service:[a-z0-9.-]+|anybody with [^\x00-\x1f]+)$",
        2048,
        meaning="is a principal as `podshare access audit` shows it, such as arn:aws:iam::444444444444:root",
    ),
]
EksCluster = Annotated[
    str,
    text(r"^[0-9A-Za-z][A-Za-z0-9_-]*$", 100, meaning=_AN_EKS_CLUSTER),
]
QuotaName = Annotated[  # SageMaker API reference, CreateComputeQuota
    str,
    text(r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,63}$", 64, meaning="a compute quota is named by letters, digits and hyphens"),
]
HyperPodCluster = Annotated[
    str,
    text(
        r"^(arn:aws:sagemaker:[a-z0-9-]+:[0-9]{12}:cluster/[a-z0-9]{12}|[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62})$",
        256,
        meaning="a HyperPod cluster is named by its ARN, or by its name of letters, digits and hyphens",
    ),
]
KubernetesName = Annotated[
    str,
    text(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        63,
        meaning="a Kubernetes name has lowercase letters and digits, with hyphens and dots between them",
    ),
]
Owner = Annotated[str, text(TAG_VALUE, 256), AfterValidator(_not_reserved)]
Reason = Annotated[str, text(None, 1024)]
InstanceType = Annotated[
    str, text(r"^ml\.[a-z0-9-]+\.[a-z0-9]+$", 64, meaning="an instance type is one such as ml.g5.12xlarge")
]
Amount = Annotated[int, BeforeValidator(whole_number), Field(ge=0, le=10_000_000)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Hash = Annotated[str, text(r"^[0-9a-f]{12}$", 12, meaning="a hash has twelve digits, or letters from a to f")]
Quantity = Annotated[float, BeforeValidator(_number), Field(ge=0, le=10_000_000)]
ApiGroup = Annotated[str, text(r"^[a-z0-9.*-]*$", 253, 0, meaning="an API group is one such as apps, or empty")]
KubernetesResource = Annotated[
    str, text(r"^[a-z0-9.*-]+(/[a-z0-9*-]+)?$", 253, meaning="a resource is one such as pods, or pods/log")
]
KubernetesVerb = Annotated[str, text(r"^[A-Za-z*]+$", 63, meaning="a verb is one such as get")]
ObjectName = Annotated[
    str, text(r"^[A-Za-z0-9._:-]+$", 253, meaning="an object's name has letters, digits and . _ : -")
]
KubernetesGroup = Annotated[  # <prefix>:<team>:<name>
    str,
    text(
        r"^[a-z][a-z0-9]{1,7}:[a-z0-9-]{1,40}:[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$",
        90,
        meaning="a group is named as podshare:TEAM:NAME, in lowercase letters, digits and hyphens",
    ),
]

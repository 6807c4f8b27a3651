"""KMS keys: who may use one is decided by its policy and its grants, also where S3 asks in somebody's name."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from podshare_sandbox import Sandbox
from podshare_sandbox.organization import DATA, HUB, HUB_REGION, SCANS_BUCKET, SCANS_KEY

SCAN = {"Bucket": SCANS_BUCKET, "Key": "scans/2026/patient-0001.dcm"}
READER = f"arn:aws:iam::{HUB}:role/reader"
VIA_S3 = {"StringEquals": {"kms:ViaService": f"s3.{HUB_REGION}.amazonaws.com"}}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """The organization, with a bucket that a key encrypts and that the hub's account may use."""
    with Sandbox(time_scale=0.02) as running:
        objects = [f"arn:aws:s3:::{SCANS_BUCKET}/*", f"arn:aws:s3:::{SCANS_BUCKET}"]
        opened = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "s3:*"}
        running.client("s3", DATA).put_bucket_policy(
            Bucket=SCANS_BUCKET, Policy=document({**opened, "Resource": objects})
        )
        yield running


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements]})


def code(call: Any, **parameters: Any) -> str:
    """The error code of a call; empty if it succeeds."""
    try:
        call(**parameters)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


@pytest.fixture
def reader(sandbox: Sandbox) -> Iterator[Any]:
    """S3 as a role of the hub's account that may use all objects, and all keys through S3."""
    iam = sandbox.client("iam", HUB)
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "sts:AssumeRole"}
    allowed = {"Effect": "Allow", "Resource": "*"}
    iam.create_role(RoleName="reader", AssumeRolePolicyDocument=document(trust))
    own = document({**allowed, "Action": "s3:*"}, {**allowed, "Action": "kms:*", "Condition": VIA_S3})
    iam.put_role_policy(RoleName="reader", PolicyName="own", PolicyDocument=own)
    yield session(sandbox).client("s3")
    if not code(iam.delete_role_policy, RoleName="reader", PolicyName="own"):
        iam.delete_role(RoleName="reader")
    kms = sandbox.client("kms", DATA)
    for grant in kms.list_grants(KeyId=SCANS_KEY)["Grants"]:
        kms.revoke_grant(KeyId=SCANS_KEY, GrantId=grant["GrantId"])


def session(sandbox: Sandbox) -> boto3.Session:
    sts = sandbox.client("sts", HUB)
    keys = sts.assume_role(RoleArn=READER, RoleSessionName="test")["Credentials"]
    return sandbox.session_of(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


def grant(sandbox: Sandbox, *operations: str, **more: Any) -> str:
    asked = {"KeyId": SCANS_KEY, "GranteePrincipal": READER, "Operations": [*operations], "Name": "test", **more}
    return str(sandbox.client("kms", DATA).create_grant(**asked)["GrantId"])


def test_another_account_reads_by_grant_and_own_policy(sandbox: Sandbox, reader: Any) -> None:
    """Neither alone is enough ("Cross-account access requires permission in the key policy … and in an IAM policy")."""
    assert code(reader.get_object, **SCAN) == "AccessDenied"
    found = grant(sandbox, "Decrypt")
    assert code(reader.get_object, **SCAN) == ""
    assert code(reader.put_object, **{**SCAN, "Key": "scans/new"}, Body=b"x") == "AccessDenied"
    iam = sandbox.client("iam", HUB)
    own = iam.get_role_policy(RoleName="reader", PolicyName="own")["PolicyDocument"]
    iam.put_role_policy(RoleName="reader", PolicyName="own", PolicyDocument=document(own["Statement"][0]))
    assert code(reader.get_object, **SCAN) == "AccessDenied"
    iam.put_role_policy(RoleName="reader", PolicyName="own", PolicyDocument=json.dumps(own))
    sandbox.client("kms", DATA).revoke_grant(KeyId=SCANS_KEY, GrantId=found)
    assert code(reader.get_object, **SCAN) == "AccessDenied"


def test_what_s3_alone_may_ask_a_caller_may_not(sandbox: Sandbox, reader: Any) -> None:
    """kms:ViaService holds for S3's calls and for no direct one."""
    grant(sandbox, "Decrypt", "GenerateDataKey")
    assert code(reader.get_object, **SCAN) == ""
    kms = session(sandbox).client("kms")
    assert code(kms.generate_data_key, KeyId=SCANS_KEY, KeySpec="AES_256") == "AccessDeniedException"


def test_parts_of_an_upload_are_read_too(sandbox: Sandbox, reader: Any) -> None:
    """A multipart upload needs GenerateDataKey to begin and Decrypt for its parts (S3 API, CreateMultipartUpload)."""
    found = grant(sandbox, "GenerateDataKey")
    new = {**SCAN, "Key": "scans/parts"}
    upload = reader.create_multipart_upload(**new)["UploadId"]
    part = {"UploadId": upload, "PartNumber": 1, "Body": b"x"}
    assert code(reader.upload_part, **new, **part) == "AccessDenied"
    sandbox.client("kms", DATA).revoke_grant(KeyId=SCANS_KEY, GrantId=found)
    grant(sandbox, "Decrypt")
    assert code(reader.upload_part, **new, **part) == ""
    assert code(reader.create_multipart_upload, **new) == "AccessDenied"


def test_the_encryption_context_is_the_buckets_with_a_bucket_key(sandbox: Sandbox, reader: Any) -> None:
    """Without a bucket key it is the object's ARN: a constraint on either fits half of the objects."""
    s3, bucket = sandbox.client("s3", DATA), f"arn:aws:s3:::{SCANS_BUCKET}"
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": SCANS_KEY}
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": False}
    s3.put_bucket_encryption(Bucket=SCANS_BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    other = {**SCAN, "Key": "scans/without-a-bucket-key"}
    s3.put_object(**other, Body=b"x")
    found = grant(sandbox, "Decrypt", Constraints={"EncryptionContextSubset": {"aws:s3:arn": bucket}})
    assert (code(reader.get_object, **SCAN), code(reader.get_object, **other)) == ("", "AccessDenied")
    sandbox.client("kms", DATA).revoke_grant(KeyId=SCANS_KEY, GrantId=found)
    grant(sandbox, "Decrypt", Constraints={"EncryptionContextEquals": {"aws:s3:arn": f"{bucket}/{other['Key']}"}})
    assert (code(reader.get_object, **SCAN), code(reader.get_object, **other)) == ("AccessDenied", "")
    rule["BucketKeyEnabled"] = True
    s3.put_bucket_encryption(Bucket=SCANS_BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})


def test_the_key_that_aws_manages_is_its_accounts_own(sandbox: Sandbox, reader: Any) -> None:
    """What aws/s3 encrypts is read in the bucket's account, by nobody else (S3 user guide, SSE-KMS)."""
    s3, own = sandbox.client("s3", DATA), {**SCAN, "Key": "scans/managed"}
    s3.put_object(**own, Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/aws/s3")
    assert (code(s3.get_object, **own), code(reader.get_object, **own)) == ("", "AccessDenied")


@pytest.mark.usefixtures("reader")
def test_a_repeated_request_finds_its_grant(sandbox: Sandbox) -> None:
    """The same name and all else: the same grant; anything else is another one (KMS API, CreateGrant, Name)."""
    first = grant(sandbox, "Decrypt")
    assert grant(sandbox, "Decrypt") == first
    assert grant(sandbox, "GenerateDataKey") != first
    assert grant(sandbox, "Decrypt", Name="other") != first
    listed = sandbox.client("kms", DATA).list_grants(KeyId=SCANS_KEY, Limit=2)
    assert (len(listed["Grants"]), listed["Truncated"]) == (2, True)
    rest = sandbox.client("kms", DATA).list_grants(KeyId=SCANS_KEY, Marker=listed["NextMarker"])
    assert (len(rest["Grants"]), rest["Truncated"]) == (1, False)


def test_a_grantee_that_was_made_anew_is_another_one(sandbox: Sandbox, reader: Any) -> None:
    """The grant stays with the role that it was made for, and is then shown by that one's unique id."""
    grant(sandbox, "Decrypt")
    assert code(reader.get_object, **SCAN) == ""
    iam, kms = sandbox.client("iam", HUB), sandbox.client("kms", DATA)
    own = iam.get_role_policy(RoleName="reader", PolicyName="own")["PolicyDocument"]
    trust = iam.get_role(RoleName="reader")["Role"]["AssumeRolePolicyDocument"]
    iam.delete_role_policy(RoleName="reader", PolicyName="own")
    iam.delete_role(RoleName="reader")
    assert kms.list_grants(KeyId=SCANS_KEY)["Grants"][0]["GranteePrincipal"].startswith("AROA")
    iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName="reader", PolicyName="own", PolicyDocument=json.dumps(own))
    assert code(session(sandbox).client("s3").get_object, **SCAN) == "AccessDenied"


@pytest.mark.usefixtures("reader")
def test_what_kms_refuses(sandbox: Sandbox) -> None:
    """A grantee or key that is not there, an alias, a disabled key, a grant that is gone: each in KMS's words."""
    kms, key = sandbox.client("kms", DATA), SCANS_KEY.rpartition("/")[2]
    asked = {"KeyId": SCANS_KEY, "GranteePrincipal": READER, "Operations": ["Decrypt"]}
    assert code(kms.create_grant, **{**asked, "GranteePrincipal": f"{READER}-of-nobody"}) == "InvalidArnException"
    assert (
        code(kms.create_grant, **{**asked, "KeyId": SCANS_KEY.replace("1234abcd", "00000000")}) == "NotFoundException"
    )
    assert code(kms.revoke_grant, KeyId=SCANS_KEY, GrantId="none") == "NotFoundException"
    kms.create_alias(AliasName="alias/scans", TargetKeyId=key)
    assert code(kms.create_grant, **{**asked, "KeyId": "alias/scans"}) == "InvalidArnException"
    kms.disable_key(KeyId=key)
    assert code(kms.create_grant, **asked) == "DisabledException"
    kms.enable_key(KeyId=key)


# --- policies -----------------------------------------------------------------------------------------------------


def key_policy(**more: Any) -> str:
    """A policy that lets the account's own policies decide, and one statement more."""
    own = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{DATA}:root"}, "Action": "kms:*", "Resource": "*"}
    return document(own, {**own, **more})


def without(element: str) -> str:
    """The policy whose second statement lacks an element."""
    made = json.loads(key_policy())
    del made["Statement"][1][element]
    return json.dumps(made)


MALFORMED = {
    "no JSON": ("{", "invalid Json"),
    "no statement": ('{"Version": "2012-10-17"}', "Syntax errors"),
    "no effect": (without("Effect"), "Syntax errors"),
    "no principal": (without("Principal"), "no principal"),
    "no action": (without("Action"), "must contain actions"),
    "no resource": (without("Resource"), "must contain resources"),
    "unknown element": (key_policy(Extra="x"), "Syntax errors"),
    "unknown operator": (key_policy(Condition={"Equals": {"aws:userid": "x"}}), "Condition type"),
    "role that is not there": (key_policy(Principal={"AWS": f"arn:aws:iam::{DATA}:role/nobody"}), "invalid principals"),
    "no ARN": (key_policy(Principal={"AWS": "somebody"}), "invalid principals"),
    "service that is not there": (key_policy(Principal={"Service": "lamda.amazonaws.com"}), "invalid principals"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_key_policy_must_be_one(sandbox: Sandbox, case: str) -> None:
    """CreateKey and PutKeyPolicy answer MalformedPolicyDocumentException (KMS API; guide, "Creating a key policy")."""
    text, reason = MALFORMED[case]
    kms = sandbox.client("kms", DATA)
    for call, named in ((kms.create_key, {}), (kms.put_key_policy, {"KeyId": SCANS_KEY, "PolicyName": "default"})):
        with pytest.raises(ClientError, match=reason) as refused:
            call(Policy=text, **named)
        assert refused.value.response["Error"]["Code"] == "MalformedPolicyDocumentException"


def test_the_policy_of_a_new_key_can_be_written_back(sandbox: Sandbox) -> None:
    """The Sid of a key's policy may have spaces, and that of the default policy has (KMS guide, "Default key policy")."""
    kms = sandbox.client("kms", DATA)
    place = {"KeyId": kms.create_key()["KeyMetadata"]["KeyId"], "PolicyName": "default"}
    policy = kms.get_key_policy(**place)["Policy"]
    assert json.loads(policy)["Statement"][0]["Sid"] == "Enable IAM User Permissions"
    kms.put_key_policy(**place, Policy=policy)


def test_a_grant_without_a_name_is_listed_without_one(sandbox: Sandbox) -> None:
    """A grant needs no name, and ListGrants then tells none (KMS API, GrantListEntry)."""
    kms = sandbox.client("kms", DATA)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_grant(KeyId=key, GranteePrincipal=f"arn:aws:iam::{DATA}:root", Operations=["Decrypt"])
    (listed,) = kms.list_grants(KeyId=key)["Grants"]
    assert "Name" not in listed


LOCKED_OUT = {
    "another account's": document(
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{HUB}:root"}, "Action": "kms:*", "Resource": "*"}
    ),
    "without PutKeyPolicy": document(
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{DATA}:root"}, "Action": "kms:Get*", "Resource": "*"}
    ),
    "denied": key_policy(Effect="Deny", Action="kms:PutKeyPolicy"),
    "on a condition": document(
        {
            **{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"},
            "Condition": {"StringEquals": {"kms:CallerAccount": HUB}},
        }
    ),
}


@pytest.mark.parametrize("case", LOCKED_OUT)
def test_nobody_locks_himself_out_of_a_key(sandbox: Sandbox, case: str) -> None:
    """The policy must let its author call PutKeyPolicy again, unless BypassPolicyLockoutSafetyCheck (KMS API)."""
    kms = sandbox.client("kms", DATA)
    with pytest.raises(ClientError, match="will not allow you to update the key policy in the future") as refused:
        kms.create_key(Policy=LOCKED_OUT[case])
    assert refused.value.response["Error"]["Code"] == "MalformedPolicyDocumentException"
    key = kms.create_key(Policy=LOCKED_OUT[case], BypassPolicyLockoutSafetyCheck=True)["KeyMetadata"]["KeyId"]
    assert code(kms.put_key_policy, KeyId=key, PolicyName="default", Policy=key_policy()) == "AccessDeniedException"


@pytest.mark.usefixtures("reader")
def test_a_key_policy_keeps_the_role_that_it_named(sandbox: Sandbox) -> None:
    """GetKeyPolicy shows a deleted role by its unique id (KMS guide, "Key policies", "Principal")."""
    kms, iam = sandbox.client("kms", DATA), sandbox.client("iam", DATA)
    trust = document({"Effect": "Allow", "Principal": {"AWS": DATA}, "Action": "sts:AssumeRole"})
    role = iam.create_role(RoleName="keeper", AssumeRolePolicyDocument=trust)["Role"]
    key = kms.create_key(Policy=key_policy(Principal={"AWS": role["Arn"]}))["KeyMetadata"]["KeyId"]

    def named() -> str:
        shown = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
        return str(shown["Statement"][1]["Principal"]["AWS"])

    assert named() == role["Arn"]
    iam.delete_role(RoleName="keeper")
    assert named() == role["RoleId"]


# --- states -------------------------------------------------------------------------------------------------------


def uses(kms: Any, key: str, ciphertext: bytes) -> dict[str, str]:
    """The error codes of everything that a key is used for."""
    return {
        "Encrypt": code(kms.encrypt, KeyId=key, Plaintext=b"x"),
        "Decrypt": code(kms.decrypt, KeyId=key, CiphertextBlob=ciphertext),
        "GenerateDataKey": code(kms.generate_data_key, KeyId=key, KeySpec="AES_256"),
        "GenerateDataKeyWithoutPlaintext": code(kms.generate_data_key_without_plaintext, KeyId=key, KeySpec="AES_256"),
        "EnableKeyRotation": code(kms.enable_key_rotation, KeyId=key),
        "CreateGrant": code(
            kms.create_grant, KeyId=key, GranteePrincipal=f"arn:aws:iam::{DATA}:root", Operations=["Decrypt"]
        ),
    }


def test_a_disabled_key_or_one_that_is_to_go_is_of_no_use(sandbox: Sandbox) -> None:
    """DisabledException and KMSInvalidStateException, until it is enabled again (KMS guide, "Key states")."""
    kms = sandbox.client("kms", DATA)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    ciphertext = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert code(kms.cancel_key_deletion, KeyId=key) == "KMSInvalidStateException"
    kms.disable_key(KeyId=key)
    assert set(uses(kms, key, ciphertext).values()) == {"DisabledException"}
    assert code(kms.tag_resource, KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}]) == ""
    assert code(kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=6) == "ValidationException"
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert set(uses(kms, key, ciphertext).values()) == {"KMSInvalidStateException"}
    refused = {
        "EnableKey": code(kms.enable_key, KeyId=key),
        "DisableKey": code(kms.disable_key, KeyId=key),
        "ScheduleKeyDeletion": code(kms.schedule_key_deletion, KeyId=key),
        "TagResource": code(kms.tag_resource, KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}]),
        "CreateAlias": code(kms.create_alias, AliasName="alias/gone", TargetKeyId=key),
    }
    assert set(refused.values()) == {"KMSInvalidStateException"}
    kms.cancel_key_deletion(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    kms.enable_key(KeyId=key)
    assert kms.decrypt(KeyId=key, CiphertextBlob=ciphertext)["Plaintext"] == b"x"


def test_s3_passes_on_what_kms_says_of_the_keys_state(sandbox: Sandbox) -> None:
    """Who reads or writes objects under such a key gets KMS's refusal (S3 guide, "Troubleshooting": KMS.… codes)."""
    s3, kms = sandbox.client("s3", DATA), sandbox.client("kms", DATA)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    stored = {"Bucket": SCANS_BUCKET, "Key": "scans/under-another-key"}
    sealed = {**stored, "Body": b"x", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3.put_object(**sealed)

    def answers() -> set[str]:
        return {code(s3.get_object, **stored), code(s3.put_object, **sealed)}

    kms.disable_key(KeyId=key)
    assert answers() == {"KMS.DisabledException"}
    kms.schedule_key_deletion(KeyId=key)
    assert answers() == {"KMS.KMSInvalidStateException"}
    absent = key.replace(key.rpartition("/")[2], "00000000-0000-0000-0000-000000000000")
    assert code(s3.put_object, **{**sealed, "SSEKMSKeyId": absent}) == "KMS.NotFoundException"
    kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    assert answers() == {""}

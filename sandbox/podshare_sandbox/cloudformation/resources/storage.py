"""What keeps data: DynamoDB tables, S3 buckets and SSM parameters."""

from collections.abc import Mapping
from typing import Any

from podshare_sandbox.cloudformation.errors import TemplateError
from podshare_sandbox.cloudformation.resources.base import Physical, Resource, tag_map


class Table(Resource):
    type = "AWS::DynamoDB::Table"
    name_property = "TableName"
    name_limit = 255
    replaced_by = frozenset({"TableName", "KeySchema", "LocalSecondaryIndexes"})

    def create(self) -> Physical:
        name = self.physical_name()
        table = self.call(
            "dynamodb",
            "CreateTable",
            TableName=name,
            **self.properties.take(
                "AttributeDefinitions",
                "GlobalSecondaryIndexes",
                "KeySchema",
                "LocalSecondaryIndexes",
                "OnDemandThroughput",
                "Tags",
            ),
            **self._settings(),
        )["TableDescription"]
        self._converge_extras(name, {})
        return self._physical(table)

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        for unchangeable in ("AttributeDefinitions", "GlobalSecondaryIndexes", "OnDemandThroughput"):
            if self.properties.get(unchangeable) != before.get(unchangeable):
                raise TemplateError(f"{self.logical_id}: an update of {unchangeable} is not emulated")
        name = physical.ref
        settings = self._settings()
        # DynamoDB refuses to enable the stream that is on already, and to disable one that is not
        if self.properties.get("StreamSpecification") == before.get("StreamSpecification"):
            settings.pop("StreamSpecification", None)
        elif "StreamSpecification" not in settings:
            settings["StreamSpecification"] = {"StreamEnabled": False}
        self.call("dynamodb", "UpdateTable", TableName=name, **settings)
        self._converge_extras(name, before)
        self.converge_tags(before, "dynamodb", ResourceArn=physical.attributes["Arn"])
        return self._physical(self.call("dynamodb", "DescribeTable", TableName=name)["Table"])

    def delete(self, physical: Physical) -> None:
        self.call("dynamodb", "DeleteTable", TableName=physical.ref)

    def _settings(self) -> dict[str, Any]:
        settings = self.properties.take("BillingMode", "ProvisionedThroughput", "TableClass")
        # a template that says nothing means off: that is how an update takes a protection away
        settings["DeletionProtectionEnabled"] = self.properties.get("DeletionProtectionEnabled", False)
        if stream := self.properties.get("StreamSpecification"):
            settings["StreamSpecification"] = {"StreamEnabled": True, **stream}
        if encryption := self.properties.get("SSESpecification"):
            renamed = {"Enabled" if key == "SSEEnabled" else key: value for key, value in encryption.items()}
            settings["SSESpecification"] = renamed
        return settings

    def _converge_extras(self, name: str, before: Mapping[str, Any]) -> None:
        recovery = self.properties.get("PointInTimeRecoverySpecification")
        if recovery != before.get("PointInTimeRecoverySpecification"):
            self.call(
                "dynamodb",
                "UpdateContinuousBackups",
                TableName=name,
                PointInTimeRecoverySpecification=recovery or {"PointInTimeRecoveryEnabled": False},
            )
        expiry = self.properties.get("TimeToLiveSpecification")
        if expiry != before.get("TimeToLiveSpecification"):
            off = {**before.get("TimeToLiveSpecification", {}), "Enabled": False}
            self.call("dynamodb", "UpdateTimeToLive", TableName=name, TimeToLiveSpecification=expiry or off)

    @staticmethod
    def _physical(table: Mapping[str, Any]) -> Physical:
        attributes = {"Arn": table["TableArn"]}
        if "LatestStreamArn" in table:
            attributes["StreamArn"] = table["LatestStreamArn"]
        return Physical(table["TableName"], attributes)


class Bucket(Resource):
    type = "AWS::S3::Bucket"
    name_property = "BucketName"
    name_limit = 63
    replaced_by = frozenset({"BucketName", "ObjectLockEnabled"})

    def create(self) -> Physical:
        name = self.physical_name().lower()
        # us-east-1 is the one Region that CreateBucket refuses as a constraint (S3 API reference)
        place = {} if self.stack.region == "us-east-1" else {"LocationConstraint": self.stack.region}
        self.call(
            "s3",
            "CreateBucket",
            Bucket=name,
            **({"CreateBucketConfiguration": place} if place else {}),
            **({"ObjectLockEnabledForBucket": True} if self.properties.get("ObjectLockEnabled") else {}),
        )
        self._converge(name, {})
        return Physical(
            name,
            {
                "Arn": f"arn:aws:s3:::{name}",
                "DomainName": f"{name}.s3.amazonaws.com",
                "RegionalDomainName": f"{name}.s3.{self.stack.region}.amazonaws.com",
            },
        )

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        self._converge(physical.ref, before)
        return physical

    def delete(self, physical: Physical) -> None:
        self.call("s3", "DeleteBucket", Bucket=physical.ref)

    def _converge(self, name: str, before: Mapping[str, Any]) -> None:
        # S3 blocks public access to new buckets unless told otherwise (S3 user guide, since April 2023)
        block = self.properties.get("PublicAccessBlockConfiguration") or {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        }
        self.call("s3", "PutPublicAccessBlock", Bucket=name, PublicAccessBlockConfiguration=block)
        if versioning := self.properties.get("VersioningConfiguration"):
            self.call("s3", "PutBucketVersioning", Bucket=name, VersioningConfiguration=versioning)
        if tags := self.properties.get("Tags"):
            self.call("s3", "PutBucketTagging", Bucket=name, Tagging={"TagSet": tags})
        if encryption := self.properties.get("BucketEncryption"):
            rules = [_encryption_rule(rule) for rule in encryption["ServerSideEncryptionConfiguration"]]
            self.call(
                "s3",
                "PutBucketEncryption",
                Bucket=name,
                ServerSideEncryptionConfiguration={"Rules": rules},
            )
        if ownership := self.properties.get("OwnershipControls"):
            self.call("s3", "PutBucketOwnershipControls", Bucket=name, OwnershipControls=ownership)
        lock = self.properties.get("ObjectLockConfiguration")
        if lock != before.get("ObjectLockConfiguration"):
            self.call("s3", "PutObjectLockConfiguration", Bucket=name, ObjectLockConfiguration=lock)


def _encryption_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    renamed = dict(rule)
    if "ServerSideEncryptionByDefault" in renamed:
        renamed["ApplyServerSideEncryptionByDefault"] = renamed.pop("ServerSideEncryptionByDefault")
    return renamed


class BucketPolicy(Resource):
    type = "AWS::S3::BucketPolicy"
    replaced_by = frozenset({"Bucket"})

    def create(self) -> Physical:
        bucket = self.properties["Bucket"]
        self.call("s3", "PutBucketPolicy", Bucket=bucket, Policy=self.properties["PolicyDocument"])
        return Physical(bucket)

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        return self.create()

    def delete(self, physical: Physical) -> None:
        self.call("s3", "DeleteBucketPolicy", Bucket=physical.ref)


class Parameter(Resource):
    type = "AWS::SSM::Parameter"
    name_property = "Name"
    replaced_by = frozenset({"Name"})

    _SETTINGS = ("AllowedPattern", "DataType", "Description", "Policies", "Tier", "Type", "Value")

    def create(self) -> Physical:
        name = self.physical_name()
        self.call(
            "ssm",
            "PutParameter",
            Name=name,
            Tags=[{"Key": key, "Value": tag} for key, tag in tag_map(self.properties.get("Tags")).items()],
            **self.properties.take(*self._SETTINGS),
        )
        return self._physical(name)

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        settings = self.properties.take(*self._SETTINGS)
        self.call("ssm", "PutParameter", Name=physical.ref, Overwrite=True, **settings)
        return self._physical(physical.ref)

    def delete(self, physical: Physical) -> None:
        self.call("ssm", "DeleteParameter", Name=physical.ref)

    def _physical(self, name: str) -> Physical:
        return Physical(name, {"Type": self.properties["Type"], "Value": self.properties["Value"]})


RESOURCES = (Table, Bucket, BucketPolicy, Parameter)

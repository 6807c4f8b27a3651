"""Who may do what: IAM roles and policies, KMS keys, and access entries of an EKS cluster."""

from collections.abc import Iterable, Mapping
from typing import Any

from podshare_sandbox import managed_policies
from podshare_sandbox.cloudformation.resources.base import Physical, Resource, tag_map

# IAM keeps at most five versions of a managed policy (IAM user guide, "IAM object quotas")
_POLICY_VERSIONS = 5


def _by_name(policies: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {one["PolicyName"]: one["PolicyDocument"] for one in policies}


class Role(Resource):
    type = "AWS::IAM::Role"
    name_property = "RoleName"
    replaced_by = frozenset({"RoleName", "Path"})

    def create(self) -> Physical:
        name = self.physical_name()
        role = self.call(
            "iam",
            "CreateRole",
            RoleName=name,
            AssumeRolePolicyDocument=self.properties["AssumeRolePolicyDocument"],
            **self.properties.take("Path", "Description", "MaxSessionDuration", "PermissionsBoundary", "Tags"),
        )["Role"]
        self._converge_policies(name, {})
        return Physical(name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        name, now = physical.ref, self.properties
        self.call(
            "iam",
            "UpdateAssumeRolePolicy",
            RoleName=name,
            PolicyDocument=now["AssumeRolePolicyDocument"],
        )
        self.call(
            "iam",
            "UpdateRole",
            RoleName=name,
            Description=now.get("Description", ""),
            MaxSessionDuration=now.get("MaxSessionDuration", 3600),
        )
        self._converge_boundary(name, before)
        self.converge_tags(before, "iam", tag="TagRole", untag="UntagRole", RoleName=name)
        self._converge_policies(name, before)
        return physical

    def delete(self, physical: Physical) -> None:
        for name in _by_name(self.properties.get("Policies", [])):
            self.call("iam", "DeleteRolePolicy", RoleName=physical.ref, PolicyName=name)
        for arn in self.properties.get("ManagedPolicyArns", []):
            self.call("iam", "DetachRolePolicy", RoleName=physical.ref, PolicyArn=arn)
        self.call("iam", "DeleteRole", RoleName=physical.ref)

    def _converge_policies(self, name: str, before: Mapping[str, Any]) -> None:
        wanted, had = _by_name(self.properties.get("Policies", [])), _by_name(before.get("Policies", []))
        for policy_name, document in wanted.items():
            self.call(
                "iam",
                "PutRolePolicy",
                RoleName=name,
                PolicyName=policy_name,
                PolicyDocument=document,
            )
        for policy_name in had.keys() - wanted.keys():
            self.call("iam", "DeleteRolePolicy", RoleName=name, PolicyName=policy_name)
        attached, attach = set(before.get("ManagedPolicyArns", [])), self.properties.get("ManagedPolicyArns", [])
        for arn in attach:
            managed_policies.make_available(self.stack.account, arn)
            self.call("iam", "AttachRolePolicy", RoleName=name, PolicyArn=arn)
        for arn in sorted(attached - set(attach)):
            self.call("iam", "DetachRolePolicy", RoleName=name, PolicyArn=arn)

    def _converge_boundary(self, name: str, before: Mapping[str, Any]) -> None:
        boundary = self.properties.get("PermissionsBoundary")
        if boundary:
            self.call("iam", "PutRolePermissionsBoundary", RoleName=name, PermissionsBoundary=boundary)
        elif before.get("PermissionsBoundary"):
            self.call("iam", "DeleteRolePermissionsBoundary", RoleName=name)


class ManagedPolicy(Resource):
    type = "AWS::IAM::ManagedPolicy"
    name_property = "ManagedPolicyName"
    name_limit = 128
    replaced_by = frozenset({"ManagedPolicyName", "Path", "Description"})

    def create(self) -> Physical:
        arn = self.call(
            "iam",
            "CreatePolicy",
            PolicyName=self.physical_name(),
            PolicyDocument=self.properties["PolicyDocument"],
            **self.properties.take("Path", "Description"),
        )["Policy"]["Arn"]
        self._converge_roles(arn, [])
        return Physical(arn, {"PolicyArn": arn})

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        if self.properties["PolicyDocument"] != before["PolicyDocument"]:
            self._make_room(physical.ref)
            self.call(
                "iam",
                "CreatePolicyVersion",
                PolicyArn=physical.ref,
                PolicyDocument=self.properties["PolicyDocument"],
                SetAsDefault=True,
            )
        self._converge_roles(physical.ref, before.get("Roles", []))
        return physical

    def delete(self, physical: Physical) -> None:
        for role in self.properties.get("Roles", []):
            self.call("iam", "DetachRolePolicy", RoleName=role, PolicyArn=physical.ref)
        for version in self._spare_versions(physical.ref):
            self.call("iam", "DeletePolicyVersion", PolicyArn=physical.ref, VersionId=version)
        self.call("iam", "DeletePolicy", PolicyArn=physical.ref)

    def _converge_roles(self, arn: str, attached: list[str]) -> None:
        roles = self.properties.get("Roles", [])
        for role in roles:
            self.call("iam", "AttachRolePolicy", RoleName=role, PolicyArn=arn)
        for role in sorted(set(attached) - set(roles)):
            self.call("iam", "DetachRolePolicy", RoleName=role, PolicyArn=arn)

    def _spare_versions(self, arn: str) -> list[str]:
        versions = self.call("iam", "ListPolicyVersions", PolicyArn=arn)["Versions"]
        spare = [one["VersionId"] for one in versions if not one["IsDefaultVersion"]]
        return sorted(spare, key=lambda version: int(version[1:]))

    def _make_room(self, arn: str) -> None:
        spare = self._spare_versions(arn)
        if len(spare) == _POLICY_VERSIONS - 1:
            self.call("iam", "DeletePolicyVersion", PolicyArn=arn, VersionId=spare[0])


class InlinePolicy(Resource):
    type = "AWS::IAM::Policy"
    name_property = "PolicyName"
    replaced_by = frozenset({"PolicyName"})

    def create(self) -> Physical:
        name = self.properties["PolicyName"]
        for role in self.properties.get("Roles", []):
            self.call(
                "iam",
                "PutRolePolicy",
                RoleName=role,
                PolicyName=name,
                PolicyDocument=self.properties["PolicyDocument"],
            )
        return Physical(name)

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        for role in sorted(set(before.get("Roles", [])) - set(self.properties.get("Roles", []))):
            self.call("iam", "DeleteRolePolicy", RoleName=role, PolicyName=physical.ref)
        return self.create()

    def delete(self, physical: Physical) -> None:
        for role in self.properties.get("Roles", []):
            self.call("iam", "DeleteRolePolicy", RoleName=role, PolicyName=physical.ref)


class Key(Resource):
    type = "AWS::KMS::Key"
    replaced_by = frozenset({"KeySpec", "KeyUsage", "MultiRegion", "Origin"})

    def create(self) -> Physical:
        settings = self.properties.take("Description", "KeySpec", "KeyUsage", "MultiRegion", "Origin")
        if "KeyPolicy" in self.properties:
            settings["Policy"] = self.properties["KeyPolicy"]
        tags = [{"TagKey": key, "TagValue": tag} for key, tag in tag_map(self.properties.get("Tags")).items()]
        key = self.call("kms", "CreateKey", Tags=tags, **settings)["KeyMetadata"]
        self._converge_rotation(key["KeyId"])
        return Physical(key["KeyId"], {"Arn": key["Arn"], "KeyId": key["KeyId"]})

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        key = physical.ref
        if "KeyPolicy" in self.properties:
            document = self.properties["KeyPolicy"]
            self.call("kms", "PutKeyPolicy", KeyId=key, PolicyName="default", Policy=document)
        self.call("kms", "UpdateKeyDescription", KeyId=key, Description=self.properties.get("Description", ""))
        if before.get("EnableKeyRotation") != self.properties.get("EnableKeyRotation"):
            self._converge_rotation(key)
        return physical

    def delete(self, physical: Physical) -> None:
        window = self.properties.get("PendingWindowInDays", 30)
        self.call("kms", "ScheduleKeyDeletion", KeyId=physical.ref, PendingWindowInDays=window)

    def _converge_rotation(self, key: str) -> None:
        self.properties.get("PendingWindowInDays")
        wanted = self.properties.get("EnableKeyRotation") in (True, "true")
        self.call("kms", "EnableKeyRotation" if wanted else "DisableKeyRotation", KeyId=key)


class Alias(Resource):
    type = "AWS::KMS::Alias"
    name_property = "AliasName"
    replaced_by = frozenset({"AliasName"})

    def create(self) -> Physical:
        self.call("kms", "CreateAlias", **self.properties.take("AliasName", "TargetKeyId"))
        return Physical(self.properties["AliasName"])

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        self.call("kms", "UpdateAlias", **self.properties.take("AliasName", "TargetKeyId"))
        return physical

    def delete(self, physical: Physical) -> None:
        self.call("kms", "DeleteAlias", AliasName=physical.ref)


class AccessEntry(Resource):
    type = "AWS::EKS::AccessEntry"
    name_property = "PrincipalArn"
    replaced_by = frozenset({"ClusterName", "PrincipalArn", "Type"})

    def create(self) -> Physical:
        self.properties.take("AccessPolicies")
        entry = self.call(
            "eks",
            "CreateAccessEntry",
            **self._identity(),
            **self.properties.take("KubernetesGroups", "Username", "Type", "Tags"),
        )["accessEntry"]
        self._converge_policies([])
        arn = entry["accessEntryArn"]
        # Ref is <principal>|<cluster> (CloudFormation, AWS::EKS::AccessEntry, "Return values")
        reference = f"{self.properties['PrincipalArn']}|{self.properties['ClusterName']}"
        return Physical(reference, {"AccessEntryArn": arn})

    def update(self, physical: Physical, before: Mapping[str, Any]) -> Physical:
        self.call(
            "eks",
            "UpdateAccessEntry",
            **self._identity(),
            KubernetesGroups=self.properties.get("KubernetesGroups", []),
            **self.properties.take("Username"),
        )
        self._converge_policies(before.get("AccessPolicies", []))
        self.converge_tags(before, "eks", ResourceArn=physical.attributes["AccessEntryArn"])
        return physical

    def delete(self, physical: Physical) -> None:
        self.call("eks", "DeleteAccessEntry", **self._identity())

    def _identity(self) -> dict[str, Any]:
        return self.properties.take("ClusterName", "PrincipalArn")

    def _converge_policies(self, associated: list[Mapping[str, Any]]) -> None:
        wanted = self.properties.get("AccessPolicies", [])
        for one in wanted:
            self.call("eks", "AssociateAccessPolicy", **self._identity(), **one)
        arns = {one["PolicyArn"] for one in wanted}
        for one in associated:
            if one["PolicyArn"] not in arns:
                self.call("eks", "DisassociateAccessPolicy", **self._identity(), PolicyArn=one["PolicyArn"])


RESOURCES = (Role, ManagedPolicy, InlinePolicy, Key, Alias, AccessEntry)

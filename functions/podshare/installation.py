"""Where podshare itself is installed: the few facts that every name, ARN and tag is built from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

TEAM_TAG = "podshare:team"
MANAGED_BY_TAG = "podshare:managed-by"
# of objects in a cluster; tools such as Helm and Argo CD write the last one, so that it is for display alone
TEAM_LABEL, MANAGED_BY_LABEL, DISPLAYED_LABEL = "podshare/team", "podshare/managed-by", "app.kubernetes.io/managed-by"


@dataclass(frozen=True, slots=True)
class Installation:
    """One deployment of podshare.

    ``prefix`` begins every name that podshare gives (at most 8 characters: the longest access point name is
    then 46 of 50). ``identity_center_region`` is the home Region of IAM Identity Center; it is in the
    path of the roles that Identity Center makes. ``resource_tags`` are the tags of the organization's own that
    everything carries which podshare makes and AWS can tag.
    """

    prefix: str
    partition: str
    account: str
    region: str
    organization: str
    identity_center_region: str
    resource_tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def manager(self) -> str:
        """The value of the tag ``podshare:managed-by``: distinguishes one installation's resources from another's."""
        return f"{self.prefix}@{self.account}"

    def compared_tags(self, tags: Mapping[str, str]) -> dict[str, str]:
        """Those of a resource's tags that are podshare's to compare: all others are left alone."""
        return {key: value for key, value in tags.items() if key.startswith("podshare:") or key in self.resource_tags}

    @property
    def role_path(self) -> str:
        """The IAM path of the roles that podshare makes."""
        return f"/{self.prefix}/"

    @property
    def schedule_role_arn(self) -> str:
        """The role in which EventBridge Scheduler starts a team's reconciliation."""
        return f"arn:{self.partition}:iam::{self.account}:role{self.system_path}{self.prefix}-team-schedule"

    @property
    def system_path(self) -> str:
        """The IAM path of the member stack's roles and boundary, which no podshare function may change."""
        return f"/{self.prefix}-system/"

    def role_arn(self, account: str, name: str) -> str:
        """The ARN of a role that podshare makes in ``account``."""
        return f"arn:{self.partition}:iam::{account}:role{self.role_path}{name}"

    def bucket_arn(self, bucket: str) -> str:
        """The ARN of a bucket, whosever it is."""
        return f"arn:{self.partition}:s3:::{bucket}"

    def access_point_arn(self, account: str, region: str, name: str) -> str:
        """The ARN of an access point, whosever it is."""
        return f"arn:{self.partition}:s3:{region}:{account}:accesspoint/{name}"

    def eks_arn(self, account: str, region: str, name: str) -> str:
        """The ARN of an EKS cluster."""
        return f"arn:{self.partition}:eks:{region}:{account}:cluster/{name}"

    def member_role_arn(self, account: str, execution_role: str) -> str:
        """The ARN of the member role of ``account`` for one kind of work (read, identity, cluster or data)."""
        return f"arn:{self.partition}:iam::{account}:role{self.system_path}{self.prefix}-{execution_role}"

    def boundary_arn(self, account: str) -> str:
        """The permissions boundary of every role that podshare makes in ``account``, whichever stack's it is.

        IAM knows it by a longer name, which ends with the id of the account's present member stack.
        """
        return f"arn:{self.partition}:iam::{account}:policy{self.system_path}{self.prefix}-boundary"

    def assume_policy_arn(self, account: str) -> str:
        """The member stack's fixed policy, which podshare attaches to roles that people made themselves.

        IAM knows it by a longer name, as with the boundary.
        """
        return f"arn:{self.partition}:iam::{account}:policy{self.system_path}{self.prefix}-assume-cluster-access"

    def file_system_role_arn(self, account: str, file_system: str) -> str:
        """The service-linked role by which Amazon FSx uses the buckets that a file system is linked to.

        FSx for Lustre user guide, "Using service-linked roles".
        """
        path = "aws-service-role/s3.data-source.lustre.fsx.amazonaws.com"
        return f"arn:{self.partition}:iam::{account}:role/{path}/AWSServiceRoleForFSxS3Access_{file_system}"

    def root_arn(self, account: str) -> str:
        """The principal that stands for ``account`` as a whole."""
        return f"arn:{self.partition}:iam::{account}:root"

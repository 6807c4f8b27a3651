"""The settings in a function's environment, read once at cold start."""

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from podshare.installation import Installation
from podshare.resource_tags import parse


class OrganizationAccess(StrEnum):
    """How the hub reads the organization: by a role of the management account, or as a delegated administrator."""

    MANAGEMENT_ROLE = "management-role"
    DELEGATED_ADMINISTRATOR = "delegated-administrator"


class Settings(BaseModel):
    """A function's environment (``template.yaml``, Globals). Raises pydantic.ValidationError if it is incomplete."""

    model_config = ConfigDict(frozen=True)

    prefix: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,7}$")]
    account: Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
    organization: Annotated[str, StringConstraints(pattern=r"^o-[a-z0-9]{10,32}$")]
    management_account: Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
    organization_access: OrganizationAccess
    identity_center_region: str
    registry: str
    state: str
    history_bucket: str
    machine: str
    lifecycle: str
    member_role_wait: Annotated[int, Field(ge=0)]
    most_teams_losing: Annotated[int, Field(ge=1)]
    most_percent_losing: Annotated[int, Field(ge=0, le=100)]
    drain_seconds: Annotated[int, Field(ge=0)]
    function_timeout: Annotated[int, Field(ge=1, le=900)]
    resource_tags: Annotated[Mapping[str, str], BeforeValidator(parse), Field(default_factory=dict)]
    notification_topic: str = ""  # of the function that notifies alone
    region: str
    partition: str = "aws"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The settings in ``PODSHARE_*`` and ``AWS_REGION``."""
        mine = {
            name.removeprefix("PODSHARE_").lower(): value
            for name, value in environment.items()
            if name.startswith("PODSHARE_")
        }
        return cls.model_validate({**mine, "region": environment["AWS_REGION"]})

    @property
    def installation(self) -> Installation:
        """The installation that these settings belong to."""
        return Installation(
            prefix=self.prefix,
            partition=self.partition,
            account=self.account,
            region=self.region,
            organization=self.organization,
            identity_center_region=self.identity_center_region or self.region,
            resource_tags=self.resource_tags,
        )

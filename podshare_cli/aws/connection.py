"""Where the command acts: credentials, Region and prefix, and the names that follow from them.

It reaches real AWS or a sandbox by the standard environment variables and profiles alone. boto3 takes longer to import
than all else together, so that it is imported with the session: what is wrong with a command is reported without it.
"""

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from podshare.installation import Installation

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config

DEFAULT_PREFIX = "podshare"
# the calls by which commands change something: records, and what podshare is asked to do
_WRITES = {"dynamodb": ("TransactWriteItems", "PutItem", "DeleteItem"), "stepfunctions": ("StartExecution",)}


class Connection:
    """One installation of podshare, as one caller sees it. Nothing is asked of AWS before it is needed.

    Methods and properties raise botocore's errors.
    """

    def __init__(
        self,
        prefix: str = DEFAULT_PREFIX,
        profile: str | None = None,
        region: str | None = None,
        session: "boto3.Session | None" = None,
    ) -> None:
        self.prefix = prefix
        self.registry_table = f"{prefix}-registry"  # which admins write
        self.state_table = f"{prefix}-state"  # which podshare writes
        self.plan_function = f"{prefix}-plan-team"  # of runs
        self.dry_run_function = f"{prefix}-dry-run"  # of people
        # the least managed policy for what is under way, where it is more than single calls need
        self.least = ""
        self.has_written = False  # or may have: AWS was asked to
        self._profile = profile
        # boto3 reads AWS_DEFAULT_REGION only; the AWS CLI and Lambda go by AWS_REGION
        self._region = region or os.environ.get("AWS_REGION")
        self._session = session
        self._clients: dict[str, Any] = {}

    @cached_property
    def session(self) -> "boto3.Session":
        """The session that makes the clients."""
        import boto3  # see above

        return self._session or boto3.Session(profile_name=self._profile, region_name=self._region)

    if TYPE_CHECKING:
        client = boto3.Session().client  # the stubs know the service's type by its name
    else:

        def client(self, service: str) -> Any:
            """The client of a service, made once."""
            if service not in self._clients:
                client = self.session.client(service, config=_config())
                for operation in _WRITES.get(service, ()):
                    client.meta.events.register(f"before-send.{service}.{operation}", self._writing)
                self._clients[service] = client
            return self._clients[service]

    def _writing(self, **_: object) -> None:
        self.has_written = True

    @cached_property
    def caller(self) -> str:
        """The ARN of whoever calls."""
        return str(self.client("sts").get_caller_identity()["Arn"])

    def known_caller(self) -> str:
        """The ARN of whoever calls; empty where AWS does not say it either."""
        from botocore.exceptions import BotoCoreError, ClientError  # only once something has gone wrong

        try:
            return self.caller
        except (BotoCoreError, ClientError):
            return ""

    @property
    def account(self) -> str:
        """The account that the caller belongs to, which is the hub."""
        return self.caller.split(":")[4]

    @cached_property
    def installation(self) -> Installation:
        """What the names and ARNs of the hub follow from; not its organization, nor Identity Center's own Region."""
        _, partition, _, _, account, *_ = self.caller.split(":")
        return Installation(self.prefix, partition, account, self.region, "", self.region)

    @property
    def region(self) -> str:
        """The Region of the hub; empty if none is known."""
        return self.session.region_name or ""

    @property
    def machine(self) -> str:
        """The ARN of the state machine that reconciles teams."""
        return self._machine("reconcile-team")

    @property
    def sweep_machine(self) -> str:
        """The ARN of the state machine that sweeps all accounts and teams."""
        return self._machine("sweep-teams")

    def _machine(self, name: str) -> str:
        return (
            f"arn:{self.installation.partition}:states:{self.region}:{self.account}:stateMachine:{self.prefix}-{name}"
        )

    @property
    def place(self) -> str:
        """The account and Region in words, as far as they are known; asks nobody."""
        caller = self.__dict__.get("caller")
        account = f"account {str(caller).split(':')[4]}" if caller else "this account"
        session = self.__dict__.get("session")
        return f"{account}, {(session.region_name if session else self._region) or 'no Region'}"


def _config() -> "Config":
    from botocore.config import Config  # see above

    # a dry run's Lambda may take a minute
    return Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=5, read_timeout=75)

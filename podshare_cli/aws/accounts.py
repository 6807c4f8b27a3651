"""How the command gets into accounts: with the caller's own credentials, a profile, or a role that it assumes."""

from collections.abc import Mapping
from typing import Any

import boto3

from podshare_cli.aws.connection import Connection
from podshare_cli.failures import Failure, invalid


class Accounts:
    """Clients in the accounts that take part.

    ``role`` is the name of a role that the caller may assume in every other account, ``profiles`` name an AWS profile
    for single ones.
    """

    def __init__(self, connection: Connection, role: str | None, profiles: Mapping[str, str]) -> None:
        self.connection = connection
        self._role = role
        self._profiles = profiles
        self._sessions: dict[str, boto3.Session] = {connection.account: connection.session}

    def reaches(self, account: str) -> bool:
        """Whether there is a way into the account at all."""
        return account in self._sessions or account in self._profiles or self._role is not None

    def client(self, service: str, account: str, region: str) -> Any:
        """A client of ``service`` in an account and Region. Raises botocore's errors, Failure without a way in."""
        session: Any = self.session(account)  # the stubs know a fixed set of literals only
        return session.client(service, region_name=region)

    def session(self, account: str) -> boto3.Session:
        """A session in an account. Raises botocore's errors, Failure without a way in."""
        if account not in self._sessions:
            self._sessions[account] = self._new_session(account)
        return self._sessions[account]

    def _new_session(self, account: str) -> boto3.Session:
        if profile := self._profiles.get(account):
            return boto3.Session(profile_name=profile)
        if self._role is None:
            raise Failure(f"No credentials for account {account}.", "Pass a role: --assume-role NAME.")
        partition = self.connection.installation.partition
        answer = self.connection.client("sts").assume_role(
            RoleArn=f"arn:{partition}:iam::{account}:role/{self._role}", RoleSessionName="podshare-command"
        )
        credentials = answer["Credentials"]
        return boto3.Session(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])


def profiles(arguments: list[str]) -> dict[str, str]:
    """The AWS profile of each account, from what --profile-of was given. Raises Failure for one that names none."""
    pairs = [pair.partition("=") for pair in arguments]
    if wrong := [account for account, _, profile in pairs if not profile]:
        raise invalid(f"--profile-of {wrong[0]} names no profile.", "Write ID=PROFILE, such as 222222222222=vision.")
    return {account: profile for account, _, profile in pairs}

"""What was observed in a resource's place, and what keeps one from being provided."""

from dataclasses import asdict, dataclass

from podshare.kinds.base import ExecutionRole, Key, Kind, Resource

LONGEST_TEXT = 600


@dataclass(frozen=True, slots=True)
class Foreign:
    """Something of somebody else's stands where podshare's would."""

    key: Key
    found: str
    remedy: str = "podshare changes nothing that it does not own: remove it, or rename the team."


@dataclass(frozen=True, slots=True)
class Unreadable:
    """AWS or Kubernetes did not return what is there; ``no_role`` because the account has no member role to ask by."""

    key: Key
    reason: str
    no_role: bool = False


@dataclass(frozen=True, slots=True)
class Orphaned:
    """Something that podshare cannot clean any more, in an account that has gone; nothing waits for it."""

    key: Key
    reason: str
    remedy: str = "Whoever has the account may delete it; podshare does so if the account comes back."

    def as_dict(self) -> dict[str, str]:
        """How a status and the audit report it."""
        subject = f"{self.key.kind.replace('_', ' ')} {self.key.name} in account {self.key.account} is orphaned"
        return {"what": f"{subject}: {self.reason}"[:LONGEST_TEXT], "remedy": self.remedy, "account": self.key.account}


Observation = Resource | Foreign | Unreadable | Orphaned | None


@dataclass(frozen=True, slots=True)
class Blocker:
    """Why something is not provided, to whom it matters, and what to do.

    It covers everything of the team, or of one account, or of one bucket, or the grants of one KMS key (its ARN), or
    what is for one cluster alone, or all that lies in one namespace (its key), or ``only`` the resource with this key.
    ``waits`` says that it is expected to pass. Both texts are cut to what a status has room for.
    """

    what: str
    remedy: str
    account: str = ""
    bucket: str = ""
    waits: bool = False
    only: str = ""
    cluster: str = ""
    kms_key: str = ""
    namespace: str = ""

    def __post_init__(self) -> None:
        for name in ("what", "remedy"):  # it is frozen
            object.__setattr__(self, name, getattr(self, name)[:LONGEST_TEXT])

    def covers(self, resource: Resource) -> bool:
        """Whether ``resource`` has to wait for this."""
        if self.only:
            return str(resource.key) == self.only
        if self.namespace:
            namespace = Key.parse(self.namespace)
            inside = (
                resource.key.name.partition("/")[0] == namespace.name
                and resource.execution_role is ExecutionRole.KUBERNETES
            )
            place = (resource.key.account, resource.key.region, resource.key.container)
            return inside and place == (namespace.account, namespace.region, namespace.container)
        if self.bucket:
            here = getattr(resource, "bucket", resource.key.container)
            return here == self.bucket and resource.in_bucket
        if self.cluster:
            return self.cluster == resource.cluster
        if self.kms_key:
            return resource.key.kind is Kind.KMS_GRANT and self.kms_key.endswith(f":key/{resource.key.container}")
        return self.account in ("", resource.key.account)

    def as_dict(self) -> dict[str, str | bool]:
        return asdict(self)

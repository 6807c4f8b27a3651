"""How many requests AWS takes in a second: token buckets, off unless rates are given.

A bucket holds ``burst`` requests and is refilled by ``per_second``; whoever finds it empty is refused in the service's
words. Each operation has a bucket of its own for each account that calls it, in each Region or everywhere, as the
service counts. Seconds are declared ones, at the sandbox's scale: with a scale of 0.02 a bucket of ten a second takes
500 requests in a second of the machine. What a client asks in how many declared seconds depends on the machine, unless
latencies make up for most of it; so whoever measures throttling measures at the scale 1, at which the pauses of SDKs,
that nothing scales, are as long as they are beside AWS.

Requests of clients over the network count, before they are authorized. What Step Functions calls for an execution, its
transitions, what the sandbox does itself, and the Kubernetes API, which limits requests at work and not their rate, do
not.

Sources: "Request throttling for the Amazon EC2 API" (token buckets) and the AWS Security Blog, "How to monitor and
query IAM resources at scale - Part 2" (IAM and STS too); what each service answers is in its API reference, "Common
errors", and in botocore's models.
"""

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from podshare_sandbox import clock

ACCOUNT, REGION = "account", "account and Region"


@dataclass(frozen=True)
class Rate:
    """A bucket for each account, or for each account and Region (``per``).

    With ``shared`` all operations that its name stands for draw on one bucket; without, each on its own.
    """

    per_second: float
    burst: float
    per: str = REGION
    shared: bool = False


class Refusal(NamedTuple):
    """What a service answers that is asked too often."""

    code: str
    status: int
    message: str = "Rate exceeded"


_QUERY = Refusal("Throttling", 400)
_JSON = Refusal("ThrottlingException", 400)
_REST_JSON = Refusal("ThrottlingException", 429)
_S3 = Refusal("SlowDown", 503, "Please reduce your request rate.")
_ORGANIZATIONS = (
    "AWS Organizations can't complete your request because another request is already in progress. Try again later."
)
REFUSALS: Mapping[str, Refusal] = {
    **dict.fromkeys(("iam", "sts", "cloudformation"), _QUERY),
    **dict.fromkeys(("dynamodb", "events", "fsx", "kms", "logs", "sagemaker", "ssm", "stepfunctions"), _JSON),
    **dict.fromkeys(("eks", "scheduler"), _REST_JSON),
    **dict.fromkeys(("s3", "s3control"), _S3),
    "ec2": Refusal("RequestLimitExceeded", 503, "Request limit exceeded."),
    "lambda": Refusal("TooManyRequestsException", 429),
    "organizations": Refusal("TooManyRequestsException", 400, _ORGANIZATIONS),
}
"""By botocore's name of the service."""


class Bucket:
    """Full at first; takes one request for each token, and gets ``per_second`` of them back, up to ``burst``."""

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens, self._filled = rate.burst, now

    def take(self, now: float) -> bool:
        """Whether there was a token, at a moment in declared seconds."""
        gained = max(0.0, now - self._filled) * self._rate.per_second
        self._tokens, self._filled = min(self._rate.burst, self._tokens + gained), max(now, self._filled)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


_rates: dict[str, Rate] = {}
_buckets: dict[tuple[str, ...], Bucket] = {}
_lock = threading.Lock()


def checked(rates: Mapping[str, Rate]) -> dict[str, Rate]:
    """The rates. Raises ValueError for one that nothing passes, or of a service whose refusal is not known."""
    for name, rate in rates.items():
        if rate.per_second <= 0 or rate.burst < 1 or rate.per not in (ACCOUNT, REGION):
            raise ValueError(f"{name}: a rate has per_second above 0, a burst of at least 1, per {ACCOUNT} or {REGION}")
        if name.partition(":")[0] not in REFUSALS:
            raise ValueError(f"{name}: how this service answers who asks too often is not known here")
    return dict(rates)


def begin(rates: Mapping[str, Rate]) -> None:
    """Fill all buckets, and take requests from now on at these rates; others are taken without limit.

    A name is ``<service>:<operation>``, or how names begin, and ``*``; the longest that fits is right.
    """
    with _lock:
        _rates.clear()
        _rates.update(rates)
        _buckets.clear()


def take(operation: str, account: str, region: str) -> bool:
    """Whether a request for an operation is taken now, from an account in a Region."""
    name = name_of(operation, _rates)
    if name is None:
        return True
    rate = _rates[name]
    place = (account, region) if rate.per == REGION else (account,)
    key = (name if rate.shared else operation, *place)
    with _lock:
        now = _now()
        if key not in _buckets:
            _buckets[key] = Bucket(rate, now)
        return _buckets[key].take(now)


def name_of(operation: str, names: Collection[str]) -> str | None:
    """Which of the names stands for an operation: its own, or the longest that fits."""
    if operation in names:
        return operation
    fitting = [name for name in names if name.endswith("*") and operation.startswith(name[:-1])]
    return max(fitting, key=len, default=None)


def _now() -> float:
    """The moment in declared seconds."""
    return time.monotonic() / clock.scaled(1)

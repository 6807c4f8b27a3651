"""The sandbox: an AWS organization in one process.

::

    with Sandbox(time_scale=0.02) as sandbox:
        outputs = sandbox.deploy("template.yaml", stack_name="orders")
        sandbox.client("dynamodb").put_item(TableName=outputs["Table"], Item=...)
        sandbox.settle()

Its accounts, cluster and buckets are those of :mod:`podshare_sandbox.organization`. One process holds one
sandbox at a time, since moto's state is the process's own.
"""

import gc
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader
from moto import mock_aws
from moto.core.models import botocore_stubber
from moto.core.responses import BaseResponse

from podshare_sandbox import (
    authorization,
    clock,
    consistency,
    delivery,
    functions,
    http_headers,
    moto_shortcuts,
    new_accounts,
    organization,
    service_clients,
    state_machines,
    throttling,
    traffic,
    trail,
)
from podshare_sandbox.authorization import Decision
from podshare_sandbox.cloudformation import Export, Stack
from podshare_sandbox.cloudformation.stack_sets import StackSet, StackSets
from podshare_sandbox.front_door import FrontDoor
from podshare_sandbox.moto_repair import repair
from podshare_sandbox.organization import HUB, HUB_REGION, MANAGEMENT
from podshare_sandbox.services import (
    access_points,
    athena,
    buckets,
    cloudformation,
    cloudtrail,
    containers,
    dynamodb,
    dynamodb_streams,
    eks,
    fsx,
    iam,
    kms,
    kubernetes,
    logs,
    organizations,
    pod_identity,
    sagemaker,
    sts,
)
from podshare_sandbox.services.kubernetes import controllers
from podshare_sandbox.throttling import Rate
from podshare_sandbox.traffic import Asked

# what no module of the sandbox does, beside the properties of templates that have no effect
_LIMITS = (
    "Trails of CloudTrail, X-Ray and CloudWatch metrics of AWS services: not recorded",
    "KMS, DynamoDB and S3 encryption at rest: configured, not performed",
    "Service quotas other than those of IAM, EKS, S3 access points and Lambda's concurrency",
    "Throttling by rate: off without rates; never of Step Functions' transitions and of its calls to other services",
)

# services whose operations only read and change moto's state: not Lambda, Step Functions and SQS, whose operations
# wait for others, nor those that hand on events
_SERIAL_SERVICES = {"dynamodb", "eks", "fsx", "iam", "kms", "organizations", "s3control", "sagemaker", "sts"}
_state_lock = threading.RLock()
_LOOK_PAUSE = 0.01  # real seconds between two looks at what controllers do


class Sandbox:
    """The organization while it runs; a context manager.

    ``time_scale`` is the share of real time that waits and asynchronous states take, ``port`` where the front
    door listens on loopback (0: a free port). With a ``lag_seed`` changes become known as late as AWS's do, each by
    a delay that the seed draws, see :mod:`podshare_sandbox.consistency`; without, at once. Lambda code that is uploaded
    runs with ``run_uploaded_code`` alone. ``latencies`` are seconds by operation, at the same scale, after which
    clients over the network get their answers, see :mod:`podshare_sandbox.traffic`; ``rates`` are those beyond
    which they are throttled, see :mod:`podshare_sandbox.throttling`.
    """

    def __init__(
        self,
        time_scale: float = 1.0,
        port: int = 0,
        lag_seed: int | None = None,
        *,
        run_uploaded_code: bool = False,
        latencies: Mapping[str, float] | None = None,
        rates: Mapping[str, Rate] | None = None,
    ) -> None:
        self._latencies = traffic.checked(latencies or {})
        self._rates = throttling.checked(rates or {})
        self._time_scale = time_scale
        self._lag_seed = lag_seed
        self._port = port
        self._run_uploaded_code = run_uploaded_code
        self._loader = Loader()
        self._lock = threading.RLock()
        self._clients: dict[tuple[str, str, str], Any] = {}
        self._stacks: dict[tuple[str, str, str], Stack] = {}
        self._exports: dict[tuple[str, str], dict[str, Export]] = {}
        self._stack_sets = self._new_stack_sets()
        self._moto: Any = None
        self._front_door: FrontDoor | None = None
        self._factory: Any = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- life -------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start with an empty organization; returns itself. Raises RuntimeError if a sandbox runs already."""
        if botocore_stubber.enabled:
            raise RuntimeError("another sandbox (or moto) runs in this process already")
        _spare_the_collector()
        clock.reset()
        clock.set_scale(self._time_scale)
        consistency.begin(None)
        self._moto = mock_aws(config={"stepfunctions": {"execute_state_machine": True}})
        self._moto.start()
        try:
            self._front_door = FrontDoor(self._port).start()
            _install(self._front_door, run_uploaded_code=self._run_uploaded_code)
            organization.seed(self._admin_client)
            consistency.begin(self._lag_seed)
            traffic.begin(self._latencies, self._rates)
            delivery.listen("aws.organizations", self._stack_sets.organization_changed)
            cloudformation.serve(self.stack, lambda: list(self._stacks.values()), self._stack_sets)
            authorization.clear_decisions()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End every process and thread of the sandbox and drop its state. The second time does nothing."""
        if self._moto is None:
            return
        self._stop_executions()
        controllers.close()
        containers.close()
        delivery.close()
        functions.close()
        trail.stop()
        consistency.begin(None)
        traffic.begin({})
        authorization.uninstall()
        service_clients.forget()
        if self._front_door:
            self._front_door.stop()
        self._moto.stop()
        self._moto = self._front_door = self._factory = None
        self._clients.clear()
        self._stacks.clear()
        self._exports.clear()
        self._stack_sets = self._new_stack_sets()
        clock.reset()

    def _stop_executions(self) -> None:
        for execution in state_machines.running():
            region, account = execution.split(":")[3:5]
            self.client("stepfunctions", account, region).stop_execution(executionArn=execution)

    def advance(self, seconds: float) -> None:
        """Move the clock ahead, between two invocations; what is due by then has begun when this returns.

        All of this process and the functions see the later time; other processes, such as the AWS CLI and kubectl, do
        not. What was due at several moments in between comes at once, at the new time. Raises ValueError where the
        clock would not go ahead, TimeoutError where functions run without a break.
        """
        with functions.at_rest():
            clock.advance(seconds)
        delivery.catch_up()
        controllers.wake()

    # --- clients ----------------------------------------------------------------------------------------------

    def client(self, service: str, account: str = HUB, region: str = HUB_REGION) -> Any:
        """A boto3 client, in this process, of the administrator of ``account``; made once."""
        key = (service, account, region)
        with self._lock:
            if key not in self._clients:
                credentials = new_accounts.admin_credentials(account)
                self._clients[key] = self._session().client(
                    service,
                    region_name=region,
                    aws_access_key_id=credentials.access_key,
                    aws_secret_access_key=credentials.secret_key,
                )
            return self._clients[key]

    def session(self, account: str = HUB, region: str = HUB_REGION) -> boto3.Session:
        """A boto3 session, in this process, of the administrator of ``account``."""
        credentials = new_accounts.admin_credentials(account)
        return self.session_of(credentials.access_key, credentials.secret_key, None, region)

    def session_of(
        self, access_key: str, secret_key: str, token: str | None, region: str = HUB_REGION
    ) -> boto3.Session:
        """A boto3 session, in this process, of whoever has these credentials."""
        return boto3.Session(access_key, secret_key, token, region, botocore_session=self._botocore_session())

    def environment(self, account: str = HUB, region: str = HUB_REGION) -> dict[str, str]:
        """All environment variables for a process that is to act as the administrator of ``account``."""
        credentials = new_accounts.admin_credentials(account)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {
            **inherited,
            **self._running_front_door.environment(),
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def url(self) -> str:
        """Where the front door listens: the value for ``HTTPS_PROXY``."""
        return self._running_front_door.url

    @property
    def endpoint(self) -> str:
        """The value for ``AWS_ENDPOINT_URL``."""
        return self._running_front_door.endpoint

    @property
    def _running_front_door(self) -> FrontDoor:
        if self._front_door is None:
            raise RuntimeError("the sandbox does not run")
        return self._front_door

    def _admin_client(self, service: str, account: str, region: str = HUB_REGION) -> Any:
        return self.client(service, account, region)

    def _session(self) -> Any:  # a service's name is no literal here
        """The one session that makes all clients: parsing the service models anew is what makes a client slow."""
        if self._factory is None:
            self._factory = boto3.Session(botocore_session=self._botocore_session())
        return self._factory

    def _botocore_session(self) -> botocore.session.Session:
        session = botocore.session.Session()
        session.register_component("data_loader", self._loader)
        # what the user has configured for AWS itself is not meant for the sandbox; moto knows no account endpoints
        session.set_config_variable("config_file", os.devnull)
        session.set_config_variable("ignore_configured_endpoint_urls", True)
        session.set_config_variable("account_id_endpoint_mode", "disabled")
        session.set_default_client_config(Config(user_agent="sandbox"))  # else put together anew for each call
        return session

    # --- stacks -----------------------------------------------------------------------------------------------

    def deploy(
        self,
        template_path: Path | str,
        account: str = HUB,
        region: str = HUB_REGION,
        stack_name: str = "stack",
        parameters: Mapping[str, Any] | None = None,
    ) -> dict[str, str]:
        """Create or update a stack as the account's administrator, and return its outputs.

        Raises TemplateError before anything is touched, StackError when a resource fails.
        """
        return self.stack(stack_name, account, region).deploy(Path(template_path), parameters)

    def stack(self, name: str, account: str = HUB, region: str = HUB_REGION) -> Stack:
        """The stack with this name, empty if it has not been deployed."""
        key = (account, region, name)
        if key not in self._stacks or self._stacks[key].deleted:
            self._stacks[key] = Stack(
                name,
                account,
                region,
                client=lambda service: self.client(service, account, region),
                register_code=functions.register_code,
                exports=self._exports.setdefault((account, region), {}),
            )
        return self._stacks[key]

    def start_trail(self) -> None:
        """Let CloudTrail tell of calls to IAM, EKS, SageMaker and S3 too, from now on; see :mod:`.trail`."""
        trail.start()

    # --- stack sets -------------------------------------------------------------------------------------------

    def deploy_stack_set(
        self,
        name: str,
        template_path: Path | str,
        parameters: Mapping[str, Any],
        organizational_units: Sequence[str],
        region: str = HUB_REGION,
    ) -> StackSet:
        """Create or update a service-managed StackSet with automatic deployment.

        The accounts that are in the units, or in units below, get their stacks before this returns; what comes and
        goes later, see :mod:`podshare_sandbox.cloudformation.stack_sets`. Raises as ``deploy`` does.
        """
        return self._stack_sets.deploy(name, Path(template_path), parameters, organizational_units, region)

    def stack_set(self, name: str) -> StackSet:
        """The StackSet with this name, and through it its stacks. Raises KeyError."""
        return self._stack_sets[name]

    def hold_stack_sets(self, account: str) -> None:
        """Let no StackSet deploy to ``account`` or remove from it, until :meth:`release_stack_sets`."""
        self._stack_sets.hold(account)

    def release_stack_sets(self, account: str) -> None:
        """Let StackSets reach ``account`` again; what it missed comes after their usual delay."""
        self._stack_sets.release(account)

    def _new_stack_sets(self) -> StackSets:
        return StackSets(MANAGEMENT, self.stack)

    # --- observation ------------------------------------------------------------------------------------------

    def settle(self, timeout: float = 600.0) -> None:
        """Wait until no event is being delivered, no execution runs, and no StackSet and no cluster has work to do.

        Pods go on running, and jobs that wait for quota go on waiting. ``timeout`` is in real seconds; TimeoutError
        names what still runs then.
        """
        deadline = time.monotonic() + timeout
        delivery.settle(timeout)
        while busy := controllers.busy():
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {timeout} s still running: {', '.join(busy)}")
            time.sleep(_LOOK_PAUSE)

    @property
    def decisions(self) -> list[Decision]:
        """The log of IAM decisions since the start."""
        return authorization.decisions()

    def set_pace(
        self, latencies: Mapping[str, float], time_scale: float, rates: Mapping[str, Rate] | None = None
    ) -> None:
        """Answer with other latencies, scale and rates from now on; what was asked so far is forgotten."""
        clock.set_scale(time_scale)
        traffic.begin(traffic.checked(latencies), throttling.checked(rates or {}))

    @property
    def requests(self) -> list[Asked]:
        """What clients have asked over the network, and each invocation and transition, since the start."""
        return traffic.requests()

    @property
    def not_emulated(self) -> list[str]:
        """What has no effect here: properties of the deployed templates, and what no module does."""
        properties = [f"{stack.name}: {one}" for stack in self._stacks.values() for one in stack.not_emulated]
        return [*properties, *_LIMITS]


def _spare_the_collector() -> None:
    """Let Python's garbage collector look no more through moto, botocore and their models: half a million objects."""
    if gc.get_freeze_count():
        gc.collect()  # what is left of the sandbox before
    gc.freeze()


def _install(front_door: FrontDoor, *, run_uploaded_code: bool) -> None:
    """Extend and repair moto, each service in turn."""
    http_headers.install()
    moto_shortcuts.install()
    repair(BaseResponse, "call_action", _one_at_a_time)
    authorization.install()
    services = (
        iam,
        sts,
        organizations,
        eks,
        pod_identity,
        kubernetes,
        containers,
        controllers,
        sagemaker,
        access_points,
        buckets,
    )
    others = (dynamodb, dynamodb_streams, kms, fsx, cloudformation, cloudtrail, logs, athena, state_machines)
    for service in (*services, *others):
        service.install()
    kubernetes.publish(front_door)
    functions.install(front_door, run_uploaded_code=run_uploaded_code)
    delivery.install()
    trail.install()


def _one_at_a_time(original: Callable[[BaseResponse], Any]) -> Callable[[BaseResponse], Any]:
    """moto's backends are not thread-safe: a condition of DynamoDB's must hold until its write is done."""

    def call_action(response: BaseResponse) -> Any:
        if response.service_name not in _SERIAL_SERVICES:
            return original(response)
        with _state_lock:
            return original(response)

    return call_action

"""Lambda: every function runs unchanged in processes of its own, under the real runtime client (awslambdaric).

An execution environment is one warm process with one Runtime API, the function's variables, the credentials of
the function's own role and the front door as its way to AWS. Concurrent invocations get environments of their
own, but each waits for a while, before its timeout counts, for a busy one to come free: Lambda would start another at
once, on a machine of its own, while here a start may take longer than the wait. ``LambdaFunction.invoke`` is where
all of moto's invocations pass (the API, Step Functions, event sources), so that method is what this module replaces.

Sources: "Understanding the Lambda execution environment lifecycle", "Using the Lambda runtime API" and "How Lambda
handles errors and retries with asynchronous invocation" in the AWS Lambda Developer Guide.
"""

import base64
import http.server
import io
import json
import logging
import os
import queue
import select
import signal
import socket
import socketserver
import tempfile
import threading
import time
import uuid
import zipfile
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaFunction
from moto.awslambda.utils import get_backend

from podshare_sandbox import authorization, clock, concurrency, traffic
from podshare_sandbox.front_door import FrontDoor
from podshare_sandbox.moto_repair import repair
from podshare_sandbox.processes import Command, Process, Processes, inherited_variables
from podshare_sandbox.service_clients import ServiceRole

logger = logging.getLogger(__name__)

_INIT_SECONDS = 10  # an environment's own time to start, before a function's timeout counts
_LOG_TAIL_BYTES = 4096
_PIPE_BYTES = 1 << 16
_RENEW_BEFORE = timedelta(minutes=5)
_ASYNC_RETRIES = 2
_ASYNC_PAUSES = (60, 120)  # seconds before the first and the second retry
_LONGEST_ASYNC_PAUSE = 300  # seconds between attempts of a throttled event
_OLDEST_EVENT = 21600
_BREAK = 60.0  # real seconds in which there must be a moment without an invocation
_LONGEST_ADVANCE = 120.0  # seconds, after which an environment is not used any more
_UNQUALIFIED_PARTS = 7  # arn:aws:lambda:<region>:<account>:function:<name>
_PATIENCE = (
    0.3,
    10.0,
)  # real seconds that an invocation waits before it starts the second, and longer for each further


@dataclass(frozen=True)
class Outcome:
    """The end of one invocation: the payload, whether the function failed, and what it printed."""

    payload: bytes
    failed: bool
    log_tail: str = ""

    @property
    def function_error(self) -> str | None:
        """The value of ``X-Amz-Function-Error``."""
        return "Unhandled" if self.failed else None


class InvalidRequestContentError(LambdaClientError):
    """The payload is not JSON."""

    def __init__(self, problem: str) -> None:
        super().__init__("InvalidRequestContentException", f"Could not parse request body into json: {problem}")


class RoleNotAssumableError(LambdaClientError):
    """The execution role is gone, or does not trust Lambda."""

    code = 403

    def __init__(self) -> None:
        super().__init__("AccessDeniedException", "The role defined for the function cannot be assumed by Lambda.")


class UploadedCodeError(LambdaClientError):
    """The function's code was uploaded, and the sandbox was not started to run such code."""

    code = 403

    def __init__(self, function: str) -> None:
        what = f"The code of {function} was uploaded, and this sandbox runs the code of its own project alone"
        super().__init__("AccessDeniedException", f"{what}: start it with --run-uploaded-code to run any.")


def install(front_door: FrontDoor, *, run_uploaded_code: bool) -> None:
    """Run moto's Lambda functions as processes that reach AWS through ``front_door``, until :func:`close`.

    Whoever may upload code runs it as the user who started the sandbox: without ``run_uploaded_code`` only what is
    registered with :func:`register_code` runs.
    """
    global _fleet  # noqa: PLW0603  # moto is one per process, and so are its functions
    repair(LambdaFunction, "__init__", _keeping_dead_letter_config)
    repair(LambdaFunction, "update_configuration", _updating_dead_letter_config)
    repair(LambdaFunction, "get_configuration", _telling_dead_letter_config)
    repair(LambdaFunction, "invoke", _invoking_a_process)
    concurrency.install()
    close()
    _fleet = Fleet(front_door, run_uploaded_code=run_uploaded_code)


def register_code(function_arn: str, folder: Path | str) -> None:
    """Run ``function_arn`` from ``folder`` (a CodeUri) instead of from its deployment package."""
    _running_fleet().register_code(_unqualified(function_arn), Path(folder).resolve())


def preload(package: str, folder: Path) -> None:
    """Import packages of the functions' code once for all environments; they must not look at their surroundings."""
    _running_fleet().preload(package, folder.resolve())


def warm(function_arn: str) -> None:
    """Start an environment ahead of the first invocation; returns without waiting for it."""
    _running_fleet().warm(_find(function_arn))


def in_flight() -> int:
    """How many invocations run, or wait for a retry or to reach their destination."""
    return _fleet.in_flight if _fleet else 0


@contextmanager
def at_rest() -> Iterator[None]:
    """A time in which no function runs and none begins. Raises TimeoutError where they leave no break for a minute."""
    if _fleet is None:
        yield
        return
    with _fleet.at_rest():
        yield


def close() -> None:
    """End every process. Asynchronous invocations that still run are given up."""
    global _fleet  # noqa: PLW0603
    if _fleet:
        _fleet.close()
    _fleet = None


def role_of(function: LambdaFunction) -> ServiceRole:
    """The execution role, as Lambda assumes it."""
    return ServiceRole(function.role, "lambda.amazonaws.com", function.function_name, region=function.region)


def invoke(function: LambdaFunction, payload: bytes) -> Outcome:
    """Run the function and wait for it, as an event source does."""
    return _running_fleet().invoke(function, payload)


class Fleet:
    """All execution environments of the sandbox, in pools of one function version each."""

    def __init__(self, front_door: FrontDoor, *, run_uploaded_code: bool) -> None:
        self.front_door = front_door
        self._run_uploaded_code = run_uploaded_code
        self._code_folders: dict[str, Path] = {}
        self._events = 0
        self._pools: dict[str, _Pool] = defaultdict(_Pool)
        self._changed = threading.Condition()
        self._processes = Processes()
        # a process that was killed at work may still write there
        self._packages = tempfile.TemporaryDirectory(prefix="podshare-lambda-", ignore_cleanup_errors=True)

    @property
    def in_flight(self) -> int:
        """Invocations that have not ended, in all the phases of the asynchronous ones."""
        with self._changed:
            return self._events + sum(pool.invocations for pool in self._pools.values())

    def register_code(self, function_arn: str, folder: Path) -> None:
        """See :func:`register_code`."""
        self._code_folders[function_arn] = folder
        self._processes.prepare()

    def preload(self, package: str, folder: Path) -> None:
        """See :func:`preload`."""
        self._processes.preload(package, folder)

    def invoke(self, function: LambdaFunction, payload: bytes) -> Outcome:
        """Run one invocation to its end, in a warm environment if there is one."""
        with self._admitted(function) as pool, self._environment(function, pool) as environment:
            traffic.passed(traffic.INVOKE, function.function_arn)
            return environment.invoke(payload)

    def warm(self, function: LambdaFunction) -> None:
        """Add a started environment to the function's pool."""
        environment = self._start(function)
        with self._changed:
            self._pools[function.function_arn].idle.append(environment)

    def close(self) -> None:
        """Kill every process, also those at work."""
        with self._changed:
            everything = [environment for pool in self._pools.values() for environment in (*pool.idle, *pool.busy)]
            self._pools.clear()
        for environment in everything:
            environment.close()
        self._processes.close()
        self._packages.cleanup()

    def run_in_background(self, invocation: "_AsynchronousInvocation") -> None:
        """Start an asynchronous invocation, which counts as in flight from now on."""
        with self._changed:
            self._events += 1
        threading.Thread(target=self._run_counted, args=(invocation,), daemon=True, name="lambda event").start()

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """See :func:`at_rest`."""
        with self._changed:
            if not self._changed.wait_for(lambda: not any(pool.invocations for pool in self._pools.values()), _BREAK):
                raise TimeoutError(f"functions ran without a break for {_BREAK} s")
            yield

    def _run_counted(self, invocation: "_AsynchronousInvocation") -> None:
        try:
            invocation.run()
        except Exception:
            logger.exception("asynchronous invocation of %s ended badly", invocation.function.function_arn)
        finally:
            with self._changed:
                self._events -= 1

    @contextmanager
    def _admitted(self, function: LambdaFunction) -> "Iterator[_Pool]":
        """Count the invocation. Raises ThrottledError when concurrency is used up, the function's or the account's."""
        with self._changed:
            pool = self._pools[function.function_arn]
            concurrency.admit(function, {arn: each.invocations for arn, each in self._pools.items()})
            pool.invocations += 1
        try:
            yield pool
        finally:
            with self._changed:
                pool.invocations -= 1
                self._changed.notify_all()

    @contextmanager
    def _environment(self, function: LambdaFunction, pool: "_Pool") -> "Iterator[ExecutionEnvironment]":
        with self._changed:
            arrived = time.monotonic()
            while (left := arrived + pool.patience - time.monotonic()) > 0:
                self._changed.wait(left)
            pool.taken += 1
        environment = None
        try:
            environment = self._take_idle(function, pool) or self._start(function)
            pool.busy.add(environment)
            yield environment
        finally:
            with self._changed:
                pool.taken -= 1
                if environment is not None:
                    pool.busy.discard(environment)
                    if environment.alive:
                        pool.idle.append(environment)
                self._changed.notify_all()

    def _take_idle(self, function: LambdaFunction, pool: "_Pool") -> "ExecutionEnvironment | None":
        """The environment that was used last, if it still is what the function's configuration says."""
        version = _version_of(function)
        while True:
            with self._changed:
                environment = pool.idle.pop() if pool.idle else None
            if environment is None or environment.serves(version):
                return environment
            environment.close()

    def _start(self, function: LambdaFunction) -> "ExecutionEnvironment":
        return ExecutionEnvironment(
            function, self._code_folder(function), self.front_door.environment(), self._processes
        )

    def _code_folder(self, function: LambdaFunction) -> Path:
        registered = self._code_folders.get(_unqualified(function.function_arn))
        if registered is None and not self._run_uploaded_code:
            raise UploadedCodeError(function.function_name)
        return registered or self._unpack(function)

    def _unpack(self, function: LambdaFunction) -> Path:
        folder = Path(self._packages.name) / function.code_digest.replace("/", "_")
        if not folder.exists():
            with zipfile.ZipFile(io.BytesIO(function.code_bytes)) as package:
                package.extractall(folder)
        return folder


@dataclass
class _Pool:
    """The environments of a function version, and the invocations that have one or wait for one."""

    invocations: int = 0
    taken: int = 0  # environments that are busy, or being started
    idle: list["ExecutionEnvironment"] = field(default_factory=list)
    busy: set["ExecutionEnvironment"] = field(default_factory=set)

    @property
    def patience(self) -> float:
        """For how many seconds an invocation waits as long as nothing changes."""
        if self.idle or not self.taken:
            return 0.0
        return _PATIENCE[0] if self.taken == 1 else _PATIENCE[1] * (self.taken - 1)  # one at a time, however many wait


class ExecutionEnvironment:
    """One process that serves one function version, one invocation at a time."""

    def __init__(self, function: LambdaFunction, code: Path, network: Mapping[str, str], processes: Processes) -> None:
        if function.layers:
            raise NotImplementedError(f"{function.function_arn} has layers, which the sandbox does not run")
        self._function = function
        self._version = _version_of(function)
        self._clock_offset = clock.offset()
        self._credentials = _assume(function.role, function.function_name, function.region)
        self._log = _LogStream(function)
        self._runtime_api = _RuntimeApi(function.function_arn)
        try:
            self._process = processes.start(Command(str(function.handler), code, self._variables(code) | dict(network)))
        except BaseException:
            self._runtime_api.close()
            raise
        self._output = _Output(self._process, self._log)
        threading.Thread(target=self._follow, daemon=True, name=f"lambda {function.function_name}").start()

    @property
    def alive(self) -> bool:
        """Whether it can take another invocation."""
        return not self._runtime_api.closed

    def serves(self, version: str) -> bool:
        """Whether it is alive, runs this ``version`` of the function and its credentials last for a while yet.

        Minutes that the clock was advanced by have not passed for what it keeps by ``time.monotonic``: Lambda, too,
        ends environments that nobody uses for minutes.
        """
        expiration: datetime = self._credentials.expiration
        lasts = clock.now() < expiration - _RENEW_BEFORE and clock.offset() - self._clock_offset < _LONGEST_ADVANCE
        return self.alive and version == self._version and lasts

    def invoke(self, payload: bytes) -> Outcome:
        """Run the handler on ``payload``. After a timeout, an exit or a failed start the environment is closed."""
        request_id, timeout = str(uuid.uuid4()), float(self._function.timeout)
        self._log.begin()
        try:
            self._runtime_api.await_ready(_INIT_SECONDS + timeout)
            self._runtime_api.submit(_Invocation(request_id, payload, time.time() + timeout))
            reply = self._runtime_api.await_reply(timeout)
        except queue.Empty:
            reply = _timed_out(request_id, timeout)
        if reply.ends_environment:
            self.close()
        self._output.read_what_is_there()
        return Outcome(reply.payload(request_id), reply.failed, self._log.tail())

    def close(self) -> None:
        """Kill the process; an invocation that it was running ends as one whose process exited."""
        self._process.kill()
        self._runtime_api.close()

    def _follow(self) -> None:
        """Write what the process prints to its log stream, until it ends."""
        self._output.read_to_the_end()
        self._runtime_api.process_exited(self._process.wait())

    def _variables(self, code: Path) -> dict[str, str]:
        """The defined runtime environment variables of the Lambda Developer Guide, and the function's own."""
        function = self._function
        return (
            inherited_variables()
            | {name: str(value) for name, value in function.environment_vars.items()}
            | {
                "_HANDLER": str(function.handler),
                "AWS_REGION": function.region,
                "AWS_DEFAULT_REGION": function.region,
                "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
                "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
                "AWS_LAMBDA_FUNCTION_VERSION": _qualifier(function),
                "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
                "AWS_LAMBDA_LOG_GROUP_NAME": function.logs_group_name,
                "AWS_LAMBDA_LOG_STREAM_NAME": self._log.name,
                "AWS_LAMBDA_RUNTIME_API": self._runtime_api.address,
                "AWS_ACCESS_KEY_ID": self._credentials.access_key,
                "AWS_SECRET_ACCESS_KEY": self._credentials.secret_key,
                "AWS_SESSION_TOKEN": self._credentials.token,
                "LAMBDA_TASK_ROOT": str(code),
                "LAMBDA_RUNTIME_DIR": str(code),
                "PYTHONPATH": os.pathsep.join([str(code), str(Path(__file__).with_name("runtime_client"))]),
                "TZ": ":UTC",
                # a person's own profiles must not reach into a function
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            }
        )


@dataclass(frozen=True)
class _Invocation:
    request_id: str
    payload: bytes
    deadline: float  # seconds since the epoch
    clock_offset: float = field(default_factory=clock.offset)


@dataclass(frozen=True)
class _Reply:
    """What came of an invocation: the runtime's own words, or what Lambda says where there are none."""

    content: bytes | None = None
    failed: bool = False
    ends_environment: bool = False
    error_type: str = ""
    problem: str = ""

    def payload(self, request_id: str) -> bytes:
        if self.content is not None:
            return self.content
        message = f"RequestId: {request_id} Error: {self.problem}"
        return json.dumps({"errorType": self.error_type, "errorMessage": message}).encode()


def _timed_out(request_id: str, seconds: float) -> _Reply:
    logger.debug("invocation %s timed out", request_id)
    return _Reply(None, True, True, "Sandbox.Timedout", f"Task timed out after {seconds:.2f} seconds")


def _exited(status: int) -> _Reply:
    killed_by = signal.strsignal(-status) if status < 0 else None
    reason = f"signal: {killed_by.lower()}" if killed_by else f"exit status {status}"
    problem = f"Runtime exited with error: {reason}" if status else "Runtime exited without providing a reason"
    return _Reply(None, True, True, "Runtime.ExitError", problem)


class _RuntimeApi(socketserver.ThreadingTCPServer):
    """The Runtime API of one environment: hands out invocations and takes the replies."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, function_arn: str) -> None:
        super().__init__(("127.0.0.1", 0), _RuntimeApiConnection)
        self.function_arn = function_arn
        self.invocations: queue.Queue[_Invocation | None] = queue.Queue()
        self.closed = False
        self._replies: queue.Queue[_Reply] = queue.Queue()
        self._ready = threading.Event()
        threading.Thread(target=self._accept, daemon=True, name="lambda runtime api").start()

    @property
    def address(self) -> str:
        """The value of ``AWS_LAMBDA_RUNTIME_API``."""
        return f"127.0.0.1:{self.server_address[1]}"

    def await_ready(self, seconds: float) -> None:
        """Return when the process asks for work, or has ended. Raises queue.Empty after ``seconds``."""
        if not self._ready.wait(seconds):
            raise queue.Empty

    def submit(self, invocation: _Invocation) -> None:
        """Queue work for the process."""
        self.invocations.put(invocation)

    def await_reply(self, seconds: float) -> _Reply:
        """The reply to what was submitted. Raises queue.Empty after ``seconds``."""
        return self._replies.get(timeout=seconds)

    def next_invocation(self) -> _Invocation | None:
        """Called by the process, which thereby is ready; blocks until there is work, None when there never will be."""
        self._ready.set()
        return self.invocations.get()

    def reply(self, reply: _Reply) -> None:
        """Called by the process."""
        self._replies.put(reply)
        self._ready.set()

    def process_exited(self, status: int) -> None:
        """The process has ended by itself, or was killed."""
        self.reply(_exited(status))
        self.close()

    def close(self) -> None:
        """Stop listening."""
        if self.closed:
            return
        self.closed = True
        self.invocations.put(None)
        with suppress(OSError):  # wakes the accepting thread
            socket.create_connection(self.server_address, timeout=1).close()  # type: ignore[arg-type]

    def handle_error(self, request: Any, client_address: Any) -> None:  # the base class's signature
        """A killed process resets its connection."""
        logger.debug("runtime connection ended", exc_info=True)

    def _accept(self) -> None:
        """Serve until closed. ``serve_forever`` would wake up twice a second in each of many idle environments."""
        while True:
            connection, address = self.get_request()
            if self.closed:
                connection.close()
                self.server_close()
                return
            self.process_request(connection, address)


class _RuntimeApiConnection(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # 88 ms an invocation otherwise
    wbufsize = -1
    server: _RuntimeApi

    def do_GET(self) -> None:
        """GET runtime/invocation/next, which is never answered once the environment is closed: the process is killed.

        awslambdaric's native client crashes on an answer that lacks one of the headers below, and where the connection
        ends, asks again at an address that may be another environment's by then.
        """
        invocation = self.server.next_invocation()
        if invocation is None:
            self.close_connection = True
            self.rfile.read()  # until the process is dead
            return
        self._send(
            200,
            invocation.payload,
            {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": self.server.function_arn,
                "Sandbox-Clock-Offset": repr(invocation.clock_offset),
                "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
            },
        )

    def do_POST(self) -> None:
        """POST runtime/invocation/<id>/response, runtime/invocation/<id>/error or runtime/init/error."""
        content = self._read()
        self._send(202, b'{"status":"OK"}')
        failed = not self.path.endswith("/response")
        self.server.reply(_Reply(content, failed, ends_environment=self.path.endswith("/init/error")))

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _send(self, status: int, content: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        logger.debug(format, *args)


class _LogStream:
    """An environment's stream in the function's log group, and the end of the current invocation's output."""

    def __init__(self, function: LambdaFunction) -> None:
        self.name = f"{clock.now():%Y/%m/%d}/[{_qualifier(function)}]{uuid.uuid4().hex}"
        self._group = function.logs_group_name
        self._lines: deque[str] = deque(maxlen=1000)
        self._backend = function.logs_backend
        self._backend.ensure_log_group(self._group)
        self._backend.create_log_stream(self._group, self.name)

    def begin(self) -> None:
        """An invocation begins: forget the lines of the one before."""
        self._lines.clear()

    def write(self, line: str) -> None:
        """Add a line. A log group that was deleted meanwhile loses it."""
        self._lines.append(line)
        event = {"timestamp": int(time.time() * 1000), "message": line}
        with suppress(Exception):
            self._backend.put_log_events(self._group, self.name, [event])

    def tail(self) -> str:
        """The last 4 KB of the current invocation's output."""
        return "\n".join(list(self._lines)).encode()[-_LOG_TAIL_BYTES:].decode(errors="ignore")


class _Output:
    """A process's output on its way to the log: a thread follows it, and whoever has a reply reads what came before.

    The reply takes another way than the output, and may be faster than the thread.
    """

    def __init__(self, process: Process, log: _LogStream) -> None:
        assert process.stdout is not None  # noqa: S101  # it is a pipe
        self._pipe = process.stdout
        self._log = log
        self._reading = threading.Lock()
        self._begun = b""  # a line of which the end has not come
        self._ended = False
        os.set_blocking(self._pipe.fileno(), False)

    def read_to_the_end(self) -> None:
        """Return when the process, and each of its own, has closed its output."""
        readable = select.poll()
        readable.register(self._pipe, select.POLLIN)
        while not self._ended:
            readable.poll()
            self.read_what_is_there()

    def read_what_is_there(self) -> None:
        """Write to the log all that has been printed so far."""
        with self._reading, suppress(BlockingIOError):
            while not self._ended:
                self._take(os.read(self._pipe.fileno(), _PIPE_BYTES))

    def _take(self, chunk: bytes) -> None:
        self._ended = not chunk
        *lines, self._begun = (self._begun + chunk).split(b"\n")
        if self._ended and self._begun:
            lines.append(self._begun)
        for line in lines:
            self._log.write(line.decode(errors="replace"))


@dataclass
class _AsynchronousInvocation:
    """An invocation of type Event: tried again twice, then given to the destination and the dead-letter queue."""

    function: LambdaFunction
    payload: bytes
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    arrived: datetime = field(default_factory=clock.now)

    def run(self) -> None:
        """Invoke until it succeeds or the retries are exhausted, then report."""
        attempts, outcome = 0, None
        while (told := self._invoke()) is not None:
            attempts, outcome = attempts + 1, told
            if not outcome.failed or attempts > self._retries:
                return self._deliver(outcome, attempts, "RetriesExhausted" if outcome.failed else "Success")
            clock.sleep(_ASYNC_PAUSES[attempts - 1])
        return self._deliver(outcome or Outcome(b"null", failed=True), attempts, "EventAgeExceeded")

    def _invoke(self) -> Outcome | None:
        """A throttled event stays in the queue, which is no attempt; None once it is older than it may be."""
        pause = 1
        while not clock.passed(self.arrived, self._oldest):
            try:
                return _running_fleet().invoke(self.function, self.payload)
            except concurrency.ThrottledError:
                clock.sleep(pause)
                pause = min(2 * pause, _LONGEST_ASYNC_PAUSE)
        return None

    @cached_property
    def _config(self) -> Mapping[str, Any]:
        configs = self.function.event_invoke_config
        return configs[0].config if configs else {}

    @property
    def _retries(self) -> int:
        return int(self._config.get("MaximumRetryAttempts", _ASYNC_RETRIES))

    @property
    def _oldest(self) -> float:
        return float(self._config.get("MaximumEventAgeInSeconds", _OLDEST_EVENT))

    def _deliver(self, outcome: Outcome, attempts: int, condition: str) -> None:
        destination = self._config.get("DestinationConfig", {})
        chosen = destination.get("OnFailure" if outcome.failed else "OnSuccess", {}).get("Destination")
        if chosen:
            self._send(chosen, json.dumps(self._record(outcome, attempts, condition)))
        dead_letters = _dead_letter_config(self.function).get("TargetArn")
        if outcome.failed and dead_letters:
            self._send(dead_letters, self.payload.decode(), MessageAttributes=self._attributes(outcome))

    def _send(self, destination: str, message: str, **more: Any) -> None:
        try:
            role_of(self.function).send(destination, message, **more)
        except Exception:
            # Lambda drops the event too, and counts it in DestinationDeliveryFailures or DeadLetterErrors
            logger.exception("%s could not send to %s", self.function.function_arn, destination)

    def _attributes(self, outcome: Outcome) -> dict[str, Any]:
        values = {
            "RequestID": ("String", self.request_id),
            "ErrorCode": ("Number", "200"),
            "ErrorMessage": ("String", _error_message(outcome.payload)[:1024]),
        }
        return {name: {"DataType": kind, "StringValue": value} for name, (kind, value) in values.items()}

    def _record(self, outcome: Outcome, attempts: int, condition: str) -> dict[str, Any]:
        """The invocation record of "Capturing records of Lambda asynchronous invocations"."""
        response: dict[str, Any] = {"statusCode": 200, "executedVersion": _qualifier(self.function)}
        if outcome.failed:
            response["functionError"] = outcome.function_error
        return {
            "version": "1.0",
            "timestamp": f"{clock.now():%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
            "requestContext": {
                "requestId": self.request_id,
                "functionArn": f"{_unqualified(self.function.function_arn)}:{_qualifier(self.function)}",
                "condition": condition,
                "approximateInvokeCount": attempts,
            },
            "requestPayload": json.loads(self.payload),
            "responseContext": response,
            "responsePayload": json.loads(outcome.payload),
        }


_fleet: Fleet | None = None


def _running_fleet() -> Fleet:
    if _fleet is None:
        raise RuntimeError("functions.install() has not been called, or close() has")
    return _fleet


def _invoking_a_process(_original: Any) -> Any:
    def invoke(self: LambdaFunction, body: str | bytes, request_headers: Any, response_headers: Any) -> bytes:
        kind = request_headers.get("x-amz-invocation-type") or "RequestResponse"
        payload = _checked_payload(body)
        response_headers["x-amz-executed-version"] = _qualifier(self)
        if kind == "DryRun":
            return b""
        if kind == "Event":
            _running_fleet().run_in_background(_AsynchronousInvocation(self, payload))
            return b""
        outcome = _running_fleet().invoke(self, payload)
        if outcome.function_error:
            response_headers["x-amz-function-error"] = outcome.function_error
        response_headers["x-amz-log-result"] = base64.b64encode(outcome.log_tail.encode()).decode()
        return outcome.payload

    return invoke


def _checked_payload(body: str | bytes | None) -> bytes:
    payload = body.encode() if isinstance(body, str) else bytes(body or b"")
    try:
        json.loads(payload or b"{}")
    except ValueError as error:
        raise InvalidRequestContentError(str(error)) from error
    return payload or b"{}"


# moto's functions forget their DeadLetterConfig; it is kept here and told by GetFunctionConfiguration.


def _dead_letter_config(function: LambdaFunction) -> dict[str, str]:
    config: dict[str, str] = function.__dict__.get("_podshare_dead_letter_config") or {}
    return config


def _keeping_dead_letter_config(original: Any) -> Any:
    def create(self: LambdaFunction, account_id: str, spec: dict[str, Any], *args: Any, **more: Any) -> None:
        self.__dict__["_podshare_dead_letter_config"] = spec.get("DeadLetterConfig")
        original(self, account_id, spec, *args, **more)

    return create


def _updating_dead_letter_config(original: Any) -> Any:
    def update_configuration(self: LambdaFunction, config_updates: dict[str, Any]) -> dict[str, Any]:
        if "DeadLetterConfig" in config_updates:
            self.__dict__["_podshare_dead_letter_config"] = config_updates["DeadLetterConfig"]
        original(self, config_updates)
        return self.get_configuration()

    return update_configuration


def _telling_dead_letter_config(original: Any) -> Any:
    def get_configuration(self: LambdaFunction, on_create: bool = False) -> dict[str, Any]:
        config = _dead_letter_config(self)
        return {**original(self, on_create), **({"DeadLetterConfig": config} if config else {})}

    return get_configuration


def _assume(role: str, session_name: str, region: str) -> Any:
    try:
        return authorization.assume_as_service(role, "lambda.amazonaws.com", session_name=session_name, region=region)
    except Exception as error:
        raise RoleNotAssumableError from error


def _find(function_arn: str) -> LambdaFunction:
    region, account = function_arn.split(":")[3:5]
    return get_backend(account, region).get_function(function_arn)


def _unqualified(function_arn: str) -> str:
    return ":".join(function_arn.split(":")[:_UNQUALIFIED_PARTS])


def _qualifier(function: LambdaFunction) -> str:
    arn = function.function_arn.split(":")
    return arn[7] if len(arn) > _UNQUALIFIED_PARTS else "$LATEST"


def _version_of(function: LambdaFunction) -> str:
    """All of a function's configuration: environments do not outlive a change of it."""
    return json.dumps(function.get_configuration(), sort_keys=True, default=str)


def _error_message(payload: bytes) -> str:
    with suppress(ValueError, AttributeError):
        return str(json.loads(payload).get("errorMessage", ""))
    return ""

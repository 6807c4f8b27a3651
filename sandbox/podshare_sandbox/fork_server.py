"""The process from which execution environments are forked. Runs by itself, as ``python -P fork_server.py FD``.

It has imported libraries that functions commonly use: nothing that reads the environment while it is imported
(aws_lambda_powertools and awslambdaric do), nothing that starts threads. Of a function's code it imports what it is
told is pure, and forgets that in forks that run other code. A fork takes on its own variables, folder, output and
module path, and then is what ``python -m awslambdaric`` would have become.

FD is a Unix socket of type SOCK_SEQPACKET. Each message is a JSON object. ``{"import": PACKAGE, "folder"}`` imports.
``{"start": ID, "handler", "folder", "variables"}`` comes with two file descriptors: the output, and where the exit
status is written, as text and negative for a signal, once the fork has ended. ``{"kill": ID}`` kills it. When the
socket is closed, all forks are killed.

Needs Linux: os.pidfd_open tells of a fork's end without a signal handler.
"""

import faulthandler
import gc
import importlib
import importlib.machinery
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import time
import traceback
import types
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pydantic
from botocore.exceptions import DataNotFoundError
from botocore.hooks import EventAliaser
from botocore.loaders import JSONFileLoader, Loader
from botocore.utils import EVENT_ALIASES

_LARGEST_MESSAGE = 1 << 18  # bytes; a function's variables are 4 KB at most
_LIBRARIES = (
    *("boto3.dynamodb.types", "boto3.s3.inject", "botocore.endpoint", "botocore.retries.standard", "botocore.signers"),
    *("asyncio", "concurrent.futures.thread", "http.client", "logging.config", "uuid", "zoneinfo"),
    *("encodings.idna", "h2.connection", "httpcore2", "httpx2", "simplejson", "truststore", "yaml"),
    *("lightkube", "lightkube.codecs", "lightkube.generic_resource", "lightkube.resources.core_v1"),
    *("lightkube.resources.networking_v1", "lightkube.resources.rbac_authorization_v1"),
    *("pydantic.deprecated.class_validators", "pydantic.networks", "pydantic.root_model"),
)
_SERVICES = (
    "dynamodb",
    "eks",
    "events",
    "iam",
    "lambda",
    "organizations",
    "s3",
    "s3control",
    "sagemaker",
    "sqs",
    "ssm",
    "stepfunctions",
    "sts",
)
_FILES_OF_A_SERVICE = ("service-2", "endpoint-rule-set-1", "paginators-1", "waiters-2")
_FILES = ("_retry", "endpoints", "partitions", "sdk-default-configuration")


@dataclass(frozen=True)
class _Package:
    """Packages of a function's code, by their names with spaces between, and where they are."""

    name: str
    folder: str

    def load(self) -> None:
        """Import it all, and build the models that build themselves when they are used."""
        sys.path.insert(0, self.folder)
        try:
            for package in self.name.split():
                for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
                    _build_models(importlib.import_module(f"{package}.{found.name}"))
        finally:
            sys.path.remove(self.folder)

    def forget(self) -> None:
        """Let it be imported anew, from elsewhere."""
        for name in list(sys.modules):
            if name.partition(".")[0] == self.name.partition(".")[0]:
                del sys.modules[name]


@dataclass(frozen=True)
class Launch:
    """What a fork has to become."""

    handler: str
    folder: str
    variables: dict[str, str]
    output: int

    def run(self) -> None:
        """Become it, and run the runtime client until it ends."""
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, standard in ((nothing, 0), (self.output, 1), (self.output, 2)):
            os.dup2(descriptor, standard)
        os.close(nothing)
        os.close(self.output)
        faulthandler.enable()  # what crashes in native code says in its log where that was
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(self.variables)
        time.tzset()
        sys.path[:0] = [self.folder, *filter(None, self.variables.get("PYTHONPATH", "").split(os.pathsep))]
        sys.argv = ["awslambdaric", self.handler]
        runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)


@dataclass(frozen=True)
class _Fork:
    """A process that has not been waited for, so that its process id is its own."""

    name: str
    process_id: int
    descriptor: int  # readable when the process has ended
    status: int  # where its exit status goes

    def kill(self) -> None:
        os.kill(self.process_id, signal.SIGKILL)

    def bury(self) -> None:
        """Wait for the process, which has ended, and tell its exit status."""
        _, wait_status = os.waitpid(self.process_id, 0)
        with suppress(BrokenPipeError):  # nobody listens any more
            os.write(self.status, str(os.waitstatus_to_exitcode(wait_status)).encode())
        self.close()

    def close(self) -> None:
        os.close(self.descriptor)
        os.close(self.status)


class ForkServer:
    """Starts and kills processes as the other end of ``control`` says."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._forks: dict[str, _Fork] = {}
        self._package: _Package | None = None
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)

    def serve(self) -> Launch | None:
        """Return in each fork, with what that has to become, and here with None once ``control`` is closed."""
        while True:
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._bury(key.data)
                    continue
                message, descriptors, _, _ = socket.recv_fds(self._control, _LARGEST_MESSAGE, 2)
                if not message:
                    self._kill_all()
                    return None
                launch = self._obey(json.loads(message), descriptors)
                if launch:
                    return launch

    def _obey(self, message: dict[str, Any], descriptors: list[int]) -> Launch | None:
        if "import" in message:
            self._preload(_Package(message["import"], message["folder"]))
            return None
        if "kill" in message:
            if message["kill"] in self._forks:
                self._forks[message["kill"]].kill()
            return None
        output, status = descriptors
        process_id = os.fork()
        if process_id == 0:
            os.close(status)
            self._let_go()
            if self._package and self._package.folder != message["folder"]:
                self._package.forget()
            return Launch(message["handler"], message["folder"], message["variables"], output)
        os.close(output)
        fork = _Fork(message["start"], process_id, os.pidfd_open(process_id), status)
        self._forks[fork.name] = fork
        self._selector.register(fork.descriptor, selectors.EVENT_READ, fork)
        return None

    def _preload(self, package: _Package) -> None:
        if package == self._package:
            return
        if self._package:
            self._package.forget()
        self._package = package
        try:
            package.load()
        except Exception:  # those that need it fail by themselves
            traceback.print_exc()
            package.forget()
        _keep_what_is_here()

    def _bury(self, fork: _Fork) -> None:
        self._selector.unregister(fork.descriptor)
        del self._forks[fork.name]
        fork.bury()

    def _kill_all(self) -> None:
        for fork in self._forks.values():
            fork.kill()
        for fork in list(self._forks.values()):
            self._bury(fork)

    def _let_go(self) -> None:
        """In a fork: close what is the server's own."""
        self._selector.close()
        self._control.close()
        for other in self._forks.values():
            other.close()


def _build_models(module: Any) -> None:
    for found in list(vars(module).values()):
        if isinstance(found, type) and found.__module__ == module.__name__ and issubclass(found, pydantic.BaseModel):
            found.model_rebuild()


def _keep_what_is_here() -> None:
    gc.collect()
    gc.freeze()  # collections in forks leave alone, and shared, what is here now


def _import_libraries() -> None:
    for name in _LIBRARIES:
        with suppress(ImportError):  # the functions at hand may do without
            importlib.import_module(name)


def _import_time_machine() -> None:
    """For functions whose clock is ahead; without pytest, which it imports for a fixture where that is installed."""
    sys.modules["pytest"] = None  # type: ignore[assignment]  # documented: makes an import fail
    with suppress(ImportError):
        importlib.import_module("time_machine")
    del sys.modules["pytest"]


def _loader() -> Loader:
    """A loader that looks where those of boto3's sessions do."""
    loader = Loader()
    loader.search_paths.append(str(Path(boto3.__file__).parent / "data"))
    return loader


def _read_headers_quickly() -> None:
    """By the sandbox's own module, which stands by itself as this program does."""
    path = Path(__file__).with_name("http_headers.py")
    loader = importlib.machinery.SourceFileLoader(path.stem, str(path))
    module = types.ModuleType(path.stem)
    loader.exec_module(module)
    module.install()


def _find_services() -> None:
    """Look through botocore's directories once; a loader does it for each kind of file."""
    find = Loader.list_available_services
    found: dict[tuple[str, ...], list[str]] = {}

    def list_available_services(self: Loader, type_name: str) -> list[str]:
        key = (*self.search_paths, type_name)
        if key not in found:
            found[key] = find(self, type_name)
        return list(found[key])

    Loader.list_available_services = list_available_services  # type: ignore[method-assign]  # in this process alone
    for kind in _FILES_OF_A_SERVICE:
        _loader().list_available_services(kind)


def _share_names(parsed: Mapping[str, Any]) -> None:
    """A client registers some hundred handlers, and botocore works out their names anew for each client.

    They are learned from clients that are never used, and made of models that are ``parsed`` already.
    """
    stock = EventAliaser.__init__
    names: dict[str, str] = {}

    def init(self: EventAliaser, event_emitter: Any, event_aliases: dict[str, str] | None = None) -> None:
        stock(self, event_emitter, event_aliases)
        if event_aliases is None or event_aliases == EVENT_ALIASES:
            self.__dict__["_alias_name_cache"] = names

    EventAliaser.__init__ = init  # type: ignore[assignment,method-assign]  # in this process alone
    loader = _loader()
    loader.file_loader = _ParsedFiles(parsed)
    core = botocore.session.Session()
    core.register_component("data_loader", loader)
    session = boto3.Session("none", "none", "none", "us-west-2", botocore_session=core)
    for service in _SERVICES:
        session.client(service)  # type: ignore[call-overload]  # the name is no literal


class _ParsedFiles(JSONFileLoader):
    """Those that clients edit while they are made, or that S3's edit later, are parsed again."""

    def __init__(self, parsed: Mapping[str, Any]) -> None:
        self._parsed = parsed

    def load_file(self, file_path: str) -> Any:
        path = Path(file_path)
        is_edited = path.name == "endpoints" or path.parts[-3] in ("s3", "s3control")
        return (None if is_edited else self._parsed.get(str(path))) or super().load_file(file_path)


def _parsed_models() -> dict[str, Any]:
    """botocore's larger files, by their paths."""
    parsed: dict[str, Any] = {}
    loader = _loader()
    for name in _model_files(loader):
        for path in loader.search_paths:
            file_path = str(Path(path, name))
            content = loader.file_loader.load_file(file_path)
            if content is not None:
                parsed[file_path] = content
    return parsed


def _hand_out_models(parsed: dict[str, Any]) -> None:
    """The first loader of a fork gets what was parsed, any other its own.

    Nothing is shared, since botocore changes models in place.
    """
    load_file = JSONFileLoader.load_file

    def load_parsed_file(self: JSONFileLoader, file_path: str) -> Any:
        return parsed.pop(str(file_path), None) or load_file(self, file_path)

    JSONFileLoader.load_file = load_parsed_file  # type: ignore[method-assign]


def _model_files(loader: Loader) -> list[str]:
    files = list(_FILES)
    for service in _SERVICES:
        for kind in _FILES_OF_A_SERVICE:
            with suppress(DataNotFoundError):
                files.append(str(Path(service, loader.determine_latest_version(service, kind), kind)))
    return files


def main() -> None:
    """Prepare, serve, and in a fork run what was asked for."""
    gc.set_threshold(20_000, 20, 20)  # forks too keep most of what they make: modules, models and clients
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the sandbox, which closes the socket
    _import_libraries()
    _import_time_machine()
    _read_headers_quickly()
    _find_services()
    parsed = _parsed_models()
    _share_names(parsed)
    _hand_out_models(parsed)
    _keep_what_is_here()
    launch = ForkServer(socket.socket(fileno=int(sys.argv[1]))).serve()
    if launch:
        launch.run()


if __name__ == "__main__":
    main()

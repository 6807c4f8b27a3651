"""Leave out of the functions' dependencies what no function uses: ``python trim_dependencies.py FOLDER``.

tests/checks/test_function_package.py imports every module and makes every client from what is left.
"""

import gzip
import json
import shutil
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

# whose clients podshare makes; botocore describes more than 400
SERVICES = (
    *("dynamodb", "ec2", "eks", "events", "fsx", "iam", "kms"),
    *("organizations", "s3", "s3control", "sagemaker", "scheduler", "sns", "ssm", "stepfunctions", "sts"),
)

# API groups of the objects that podshare/aws/kubernetes.py handles, and those that these objects' models refer to
KUBERNETES_GROUPS = (
    *("apiextensions", "authentication", "autoscaling", "core", "meta"),
    *("networking", "policy", "rbac", "rbac_authorization"),
)

UNUSED = (
    "*.dist-info/RECORD",  # lists what was installed; METADATA stays, by which scanners find vulnerable versions
    "aws_lambda_powertools/event_handler",
    *(f"aws_lambda_powertools/utilities/{name}" for name in ("auth_alpha", "circuit_breaker", "feature_flags")),
    *(f"aws_lambda_powertools/utilities/{name}" for name in ("data_masking", "idempotency", "kafka", "parameters")),
    "boto3/data",  # boto3's resources; podshare uses clients
    "boto3/examples",
    "botocore/data/*/*/examples-1.json",
    "pydantic/v1",
    "yaml/_yaml.*",  # the parser in C, which yaml.safe_load does not use
    *("h2", "hpack", "hyperframe"),  # HTTP/2, which httpx2 and httpcore2 do without
    *("anyio", "wsproto"),  # asynchronous calls and WebSockets: the same
)


def trim(folder: Path) -> None:
    """Remove what is not used from ``folder``. Raises ValueError where nothing is found: a release has moved it."""
    for pattern in UNUSED:
        _remove(folder.glob(pattern), pattern)
    services = folder / "botocore/data"
    _keep((path for path in services.iterdir() if path.is_dir()), SERVICES)
    for service in SERVICES:
        versions = sorted((services / service).iterdir())
        _keep(versions, [versions[-1].name])
    _keep_endpoints(services)
    for part in ("models", "resources"):
        _keep((folder / "lightkube" / part).glob("*_v[0-9]*.py"), KUBERNETES_GROUPS)


def _remove(paths: Iterable[Path], description: str) -> None:
    found = [*paths]
    if not found:
        raise ValueError(f"the dependencies have no {description}")
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _keep(paths: Iterable[Path], names: Collection[str]) -> None:
    """Remove those ``paths`` whose name, without a module's version, is not one of ``names``."""
    for path in paths:
        if path.name.partition("_v")[0] not in names:
            _remove([path], path.name)


def _keep_endpoints(services: Path) -> None:
    """Reduce the table of endpoints, which botocore parses before it makes its first client."""
    models = (json.loads(gzip.decompress(path.read_bytes())) for path in services.glob("*/*/service-2.json.gz"))
    prefixes = {model["metadata"]["endpointPrefix"] for model in models}
    path = services / "endpoints.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    for partition in table["partitions"]:
        partition["services"] = {name: said for name, said in partition["services"].items() if name in prefixes}
    path.unlink()  # it may be a hard link into a cache
    path.write_text(json.dumps(table), encoding="utf-8")


if __name__ == "__main__":
    trim(Path(sys.argv[1]))

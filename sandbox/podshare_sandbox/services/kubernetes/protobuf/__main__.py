"""Read the fields of Kubernetes' messages from its Go types, and write ``fields.json``.

``python -m podshare_sandbox.services.kubernetes.protobuf API APIMACHINERY`` takes checkouts of k8s.io/api and
k8s.io/apimachinery; numbers never change from one release to the next, fields are added.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from podshare_sandbox.services.kubernetes.protobuf import FIELDS, SCALARS, SPECIAL, packages
from podshare_sandbox.services.kubernetes.resources import RESOURCES
from podshare_sandbox.services.kubernetes.reviews import REVIEWS

_TYPE = re.compile(r"^type (?P<name>\w+) (?P<type>[^\n{]+?)(?: \{\n(?P<body>.*?)^\})?$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(
    r'^\s+(?:\w+\s+)?(?P<type>[\w.*\[\]]+)\s+`json:"(?P<name>\w*)[^"]*"[^`]*protobuf:"\w+,(?P<number>\d+)', re.MULTILINE
)
_IMPORTS = {"metav1": "meta/v1", "corev1": "core/v1", "v1": "core/v1"}
_MACHINERY = ("", "types", "intstr", "resource", "runtime")
Types = Mapping[str, re.Match[str]]


def main(api: Path, machinery: Path) -> None:
    """Write the fields of all messages that a client can send of what is served."""
    types: dict[str, re.Match[str]] = {}
    for package, folder in packages().items():
        source = (machinery if package == "meta/v1" else api) / folder / "types.go"
        types |= {f"{package}.{one['name']}": one for one in _TYPE.finditer(source.read_text())}
    wanted = [
        f"{_package(each.group)}.{each.kind}" for each in RESOURCES if f"{_package(each.group)}.{each.kind}" in types
    ]
    wanted += [f"{_package(group)}.{kind}" for (group, _), kind in REVIEWS.items()]
    wanted += [f"meta/v1.{kind}" for kind in ("DeleteOptions",)]
    found: dict[str, dict[str, list[str | int]]] = {}
    while wanted:
        message = wanted.pop()
        if message not in found:
            found[message] = dict(_fields(types, message))
            kinds = (
                str(kind).lstrip("*").removeprefix("[]").removeprefix("map:") for _, kind in found[message].values()
            )
            wanted += [kind for kind in kinds if kind not in SCALARS and kind not in SPECIAL]
    lines = (f"{json.dumps(message)}: {json.dumps(fields)}" for message, fields in sorted(found.items()))
    FIELDS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _package(group: str) -> str:
    return f"{group.split('.', maxsplit=1)[0] or 'core'}/v1"


def _fields(types: Types, message: str) -> Iterator[tuple[str, list[str | int]]]:
    package = message.partition(".")[0]
    for field in _FIELD.finditer(types[message]["body"]):
        number, prefix = int(field["number"]), field["type"].lstrip("*[]").rpartition(".")[0]
        if prefix in _IMPORTS or prefix in _MACHINERY:  # fields of other groups' types are alpha
            yield field["name"] or f"inline {number}", [number, _kind(types, package, field["type"])]


def _kind(types: Types, package: str, written: str) -> str:
    """A Go type as ``fields.json`` names it: ``*`` may be absent, ``[]`` repeats, ``map:`` has texts as keys."""
    for prefix, shown in (("*", "*"), ("[]byte", "bytes"), ("[]", "[]")):
        if written.startswith(prefix):
            rest = written.removeprefix(prefix)
            return shown + (_kind(types, package, rest) if rest else "")
    if written.startswith("map["):
        return f"map:{_kind(types, package, written.partition(']')[2])}"
    imported, _, name = written.rpartition(".")
    if written in SCALARS or name in SPECIAL:
        return name
    if imported == "types":  # UID and other names
        return "string"
    qualified = f"{_IMPORTS.get(imported, package)}.{name}"
    aliased = types[qualified]["type"].strip()
    return qualified if aliased == "struct" else _kind(types, qualified.partition(".")[0], aliased)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

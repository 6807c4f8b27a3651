"""The shapes of all kinds, found in the kinds' own folders."""

from collections.abc import Mapping
from importlib import import_module

from podshare.kinds.base import Kind, Resource


def _shape(kind: Kind) -> type[Resource]:
    """The class in the kind's ``shape.py`` that is named as the kind is: ``RoleAttachment`` for ``role_attachment``."""
    shape: type[Resource] = getattr(import_module(f"podshare.kinds.{kind}.shape"), kind.title().replace("_", ""))
    return shape


SHAPES: Mapping[Kind, type[Resource]] = {kind: _shape(kind) for kind in Kind}

"""Athena: workgroups as moto keeps them, and no queries, for which moto has made-up results.

What a query would read is in S3: an engine of one's own reads it by the columns of the Glue table.
"""

from functools import cache
from typing import NoReturn

from moto.athena.models import AthenaBackend

from podshare_sandbox.moto_repair import repair


@cache
def install() -> None:
    """Refuse queries. Raises RuntimeError where moto has lost a symbol."""
    repair(AthenaBackend, "start_query_execution", lambda _: _refuse)


def _refuse(*_: object, **__: object) -> NoReturn:
    raise NotImplementedError("the sandbox's Athena runs no queries: read the table's objects in S3 yourself")

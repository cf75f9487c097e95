"""Compiled definitions: worked out once per version in each process."""

from uuid import UUID

from django.conf import settings

from apps.workflows.engine.compiler import Compiled, compile_definition
from apps.workflows.engine.spec import parse_definition
from apps.workflows.store import definitions
from apps.workflows.store.database import Transaction, transaction


def compiled_version(version: UUID, tx: Transaction | None = None) -> Compiled:
    """The compiled form of a version; within a transaction it is read through that."""
    if (known := _CACHE.get(version)) is not None:
        return known
    if tx is None:
        with transaction() as own:
            document = definitions.document(own, version)
    else:
        document = definitions.document(tx, version)
    compiled = compile_definition(parse_definition(document), loop_bound=settings.ORCHESTRA_LOOP_BOUND)
    while len(_CACHE) >= _MOST:
        _CACHE.pop(next(iter(_CACHE)), None)
    _CACHE[version] = compiled
    return compiled


# A version never changes, so nothing is ever taken out of date; the oldest goes when there are many.
_CACHE: dict[UUID, Compiled] = {}
_MOST = 500

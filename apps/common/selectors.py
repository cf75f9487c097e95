"""Finding one row by what a person or a program has of its id."""

import re
from typing import TypeVar
from uuid import UUID

from django.db.models import CharField, F, Func, Model, QuerySet, Value
from django.db.models.functions import Cast

from apps.common.errors import Conflict, NotFound
from apps.common.ids import short_id

M = TypeVar("M", bound=Model)

SHORTEST_ENDING = 6
FULL_LENGTH = 32
_HEX = re.compile(rf"[0-9a-f]{{{SHORTEST_ENDING},{FULL_LENGTH}}}")


def find_by_id(queryset: QuerySet[M], ref: str | UUID) -> M:
    """Give the row with this id or with the only id that ends so (six characters or more).

    Raises NotFound, also for what is no id at all, and Conflict when several ids end so.
    """
    text = str(ref).lower().replace("-", "")
    kind = str(queryset.model._meta.verbose_name)
    if not _HEX.fullmatch(text):
        raise NotFound(f"There is no {kind} '{_shown(ref)}'.", code=_code(kind))
    if len(text) == FULL_LENGTH:
        found = list(queryset.filter(pk=UUID(text))[:1])
    else:
        found = list(queryset.annotate(id_digits=_DIGITS).filter(id_digits__endswith=text).order_by()[:3])
    if not found:
        raise NotFound(f"There is no {kind} '{_shown(ref)}'.", code=_code(kind))
    if len(found) > 1:
        endings = " and ".join(str(row.pk) for row in found[:2])
        raise Conflict(
            f"More than one {kind} has an id that ends in '{text}': {endings}. Give more of it.",
            code="ambiguous_id",
        )
    return found[0]


# An id in text form without its dashes, so that an ending may cross them.
_DIGITS = Func(Cast(F("pk"), CharField()), Value("-"), Value(""), function="REPLACE", output_field=CharField())


def _code(kind: str) -> str:
    return f"{kind.lower().replace(' ', '_')}_not_found"


def _shown(ref: str | UUID) -> str:
    text = str(ref)
    return text if len(text) <= FULL_LENGTH + 4 else f"…{short_id(text)}"

"""Pages of a list by keyset: stable while rows are added, and as fast on the last page as on the first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Generic, TypeVar

from django.core import signing
from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common import json
from apps.common.errors import BadRequest, ErrorItem
from apps.common.json import JSON
from apps.common.parameters import DEFAULT_PAGE, LISTING, read_params

M = TypeVar("M", bound=Model)

NEWEST_FIRST: Mapping[str, Sequence[str]] = {"created_at": ("created_at", "id")}
_signer = signing.Signer(salt="orchestra.cursor")


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """Some rows of a list, and where to go on."""

    rows: list[M]
    next_cursor: str | None


def paginate(
    queryset: QuerySet[M],
    request: Request,
    *,
    sorts: Mapping[str, Sequence[str]] = NEWEST_FIRST,
    default: str = "-created_at",
    serialize: Callable[[M], JSON],
) -> Response:
    """Answer with one page: `{"items": [...], "next_cursor": ...}` and a `Link` to the next one.

    `sorts` maps what `?sort=` takes to the fields it means, the last of them unique and none of them null.
    """
    wanted = read_params(request, LISTING)
    page = page_of_rows(
        queryset, sort=wanted["sort"] or default, sorts=sorts, cursor=wanted["cursor"], limit=wanted["limit"]
    )
    response = Response({"items": [serialize(row) for row in page.rows], "next_cursor": page.next_cursor})
    if page.next_cursor:
        response["Link"] = f'<{_next_url(request, page.next_cursor)}>; rel="next"'
    return response


def page_of_rows(
    queryset: QuerySet[M],
    *,
    sort: str = "-created_at",
    sorts: Mapping[str, Sequence[str]] = NEWEST_FIRST,
    cursor: str | None = None,
    limit: int = DEFAULT_PAGE,
) -> Page[M]:
    """Give the rows after a cursor; raises BadRequest for a cursor or a sort of another list."""
    fields = _fields(sort, sorts)
    descending = sort.startswith("-")
    if cursor:
        queryset = queryset.filter(_after(fields, _read_cursor(cursor, sort, queryset, fields), descending))
    rows = list(queryset.order_by(*(f"-{name}" if descending else name for name in fields))[: limit + 1])
    return Page(rows[:limit], _cursor(rows[limit - 1], sort, fields) if len(rows) > limit else None)


def _fields(sort: str, sorts: Mapping[str, Sequence[str]]) -> Sequence[str]:
    try:
        return sorts[sort.removeprefix("-")]
    except KeyError:
        allowed = ", ".join(f"{name}, -{name}" for name in sorts)
        message = f"'sort' must be one of {allowed}."
        fault = ErrorItem("/query/sort", "invalid_parameter", message)
        raise BadRequest(message, code=fault.code, errors=[fault]) from None


def _after(fields: Sequence[str], values: Sequence[Any], descending: bool) -> Q:
    """Give the condition for the rows after these values in the order of the fields."""
    beyond = "lt" if descending else "gt"
    condition = Q(**{f"{fields[-1]}__{beyond}": values[-1]})
    for name, value in reversed(list(zip(fields[:-1], values[:-1], strict=True))):
        # The first half says what the second implies: it is what an index can use.
        condition = Q(**{f"{name}__{beyond}e": value}) & (Q(**{f"{name}__{beyond}": value}) | condition)
    return condition


def _cursor(row: Model, sort: str, fields: Sequence[str]) -> str:
    values = [reduce(getattr, name.split("__"), row) for name in fields]
    return signing.b64_encode(_signer.sign(json.dumps([sort, *values]).decode()).encode()).decode()


def _read_cursor(cursor: str, sort: str, queryset: QuerySet[Any], fields: Sequence[str]) -> list[Any]:
    try:
        signed = signing.b64_decode(cursor.encode()).decode()
        made_for, *values = json.loads(_signer.unsign(signed))
    except (ValueError, signing.BadSignature):
        raise _bad_cursor("This cursor was not made by this server") from None
    if made_for != sort:
        raise _bad_cursor(f"This cursor belongs to a list sorted by '{made_for}'")
    return [_column(queryset, name).to_python(value) for name, value in zip(fields, values, strict=True)]


def _column(queryset: QuerySet[Any], name: str) -> Any:
    *path, last = name.split("__")
    model = queryset.model
    for step in path:
        model = model._meta.get_field(step).related_model
    return model._meta.get_field(last)


def _bad_cursor(reason: str) -> BadRequest:
    message = f"{reason}; start again without one."
    return BadRequest(message, code="invalid_cursor", errors=[ErrorItem("/query/cursor", "invalid_cursor", message)])


def _next_url(request: Request, cursor: str) -> str:
    query = request.GET.copy()
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")

"""Pages of a list that lives in memory, in the shape of `pagination`."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from django.core import signing
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.errors import BadRequest, ErrorItem
from apps.common.json import JSON
from apps.common.parameters import LISTING, Parameter, read_params

T = TypeVar("T")

BY_NAME: Mapping[str, Parameter] = {name: LISTING[name] for name in ("limit", "cursor")}
_signer = signing.Signer(salt="orchestra.names")


def paginate_by_name(
    things: Iterable[T], request: Request, *, name: Callable[[T], str], serialize: Callable[[T], JSON]
) -> Response:
    """Answer with one page of the things in the order of their names."""
    wanted = read_params(request, BY_NAME)
    after = _read_cursor(wanted["cursor"]) if wanted["cursor"] else ""
    left = sorted((thing for thing in things if name(thing) > after), key=name)
    page, more = left[: wanted["limit"]], left[wanted["limit"] :]
    cursor = signing.b64_encode(_signer.sign(name(page[-1])).encode()).decode() if more else None
    response = Response({"items": [serialize(thing) for thing in page], "next_cursor": cursor})
    if cursor:
        query = request.GET.copy()
        query["cursor"] = cursor
        response["Link"] = f'<{request.build_absolute_uri(f"{request.path}?{query.urlencode()}")}>; rel="next"'
    return response


def _read_cursor(cursor: str) -> str:
    try:
        return _signer.unsign(signing.b64_decode(cursor.encode()).decode())
    except (ValueError, signing.BadSignature):
        message = "This cursor was not made by this server; start again without one."
        raise BadRequest(
            message, code="invalid_cursor", errors=[ErrorItem("/query/cursor", "invalid_cursor", message)]
        ) from None

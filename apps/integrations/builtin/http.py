"""`http.request`: any API on the open internet, or where the operator allows it."""

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired
from urllib.parse import urlsplit

from pydantic import Field, JsonValue
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from apps.common import json as strict_json
from apps.common.errors import DomainError, Fatal, Retryable
from apps.integrations.tools import Repeat, ToolContext, tool

if TYPE_CHECKING:
    from apps.integrations.egress import Response

Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8192}")
# Set by what is sent and how; a caller who could set them could smuggle requests or pick another virtual host.
OUR_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "expect"}
    | {"accept-encoding", "proxy-authorization", "proxy-connection", "keep-alive"}
)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
TRY_AGAIN_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
NOBODY_KNOWS_STATUSES = frozenset({502, 504})  # a gateway got no answer from the server behind it
LONGEST_RETRY_AFTER_SECONDS = 86_400.0
EXCERPT_CHARACTERS = 300


class HttpAnswer(TypedDict):
    """The answer; `json` when it is JSON, `body_base64` when it is no text, else `body`."""

    status: int
    url: str  # after redirects
    headers: dict[str, str]  # names in lower case
    duration_ms: float
    json: NotRequired[JsonValue]
    body: NotRequired[str]
    body_base64: NotRequired[str]


def _repeat(arguments: Mapping[str, Any]) -> Repeat:
    """Follow RFC 9110: safe methods change nothing, idempotent ones change the same once more."""
    method = arguments["method"]
    if method in SAFE_METHODS:
        return "free"
    return "keyed" if method in {"PUT", "DELETE"} else "ask"


def _host(arguments: Mapping[str, Any]) -> str:
    try:
        return urlsplit(str(arguments["url"])).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


@tool(name="http.request", effect="external_write", timeout=65, repeat=_repeat, target=_host)
async def request(
    ctx: ToolContext,
    url: Annotated[str, Field(description="https://… ; http only where the operator allows the host.")],
    *,
    method: Method = "GET",
    headers: Annotated[dict[str, str] | None, Field(description="Sent as they are.")] = None,
    json: Annotated[JsonValue, Field(description="Sent as the body, as JSON.")] = None,
    body: Annotated[str | None, Field(description="Sent as the body, as text.")] = None,
    timeout: Annotated[float, Field(gt=0, le=60, description="Seconds for the whole exchange.")] = 30,  # noqa: ASYNC109
    fail_on_status: Annotated[bool, Field(description="Whether a status of 400 and above is an error.")] = True,
) -> HttpAnswer:
    """Sends an HTTP request and gives the answer.

    Answers that may be better later (408, 425, 429, 500, 502, 503, 504) and broken connections are retryable errors,
    after the time that `Retry-After` asks for; other statuses from 400 on are final errors. With `fail_on_status`
    false every answer is a result. A request that changes something carries an Idempotency-Key.
    """
    from apps.integrations.egress import fetch  # noqa: PLC0415 - httpx is slow to import, and most commands never ask

    content, content_type = _content(json, body)
    answer = await fetch(
        method, url, headers=_headers(headers, method, content_type, ctx), content=content, timeout=timeout
    )
    if fail_on_status and answer.status >= 400:  # noqa: PLR2004 - the HTTP standard
        raise _failure(method, answer)
    return _shown(answer)


def _content(json: Any, body: str | None) -> tuple[bytes | None, str | None]:
    if json is not None and body is not None:
        raise Fatal("Give either 'json' or 'body', not both.", code="invalid_input")
    if json is not None:
        return strict_json.dumps(json), "application/json"
    return (None, None) if body is None else (body.encode(), "text/plain; charset=utf-8")


def _headers(
    given: Mapping[str, str] | None, method: Method, content_type: str | None, ctx: ToolContext
) -> dict[str, str]:
    headers = {name.lower(): value for name, value in (given or {}).items()}
    for name, value in headers.items():
        if name in OUR_HEADERS or not HEADER_NAME.fullmatch(name) or not HEADER_VALUE.fullmatch(value):
            raise Fatal(f"The header {name[:100]!r} cannot be set to this value.", code="invalid_input")
    if content_type:
        headers.setdefault("content-type", content_type)
    if method not in SAFE_METHODS:
        headers.setdefault("idempotency-key", ctx.idempotency_key)
    return headers


def _failure(method: Method, answer: "Response") -> Retryable | Fatal:
    said = " ".join(answer.text[: EXCERPT_CHARACTERS + 1].split())
    excerpt = f": {said[:EXCERPT_CHARACTERS]}" if said else ""
    message = f"{method} {answer.url.split('?', maxsplit=1)[0]} answered {answer.status}{excerpt}"
    code = f"http_{answer.status}"
    if answer.status in TRY_AGAIN_STATUSES:
        wait = _retry_after(answer.headers.get("retry-after"))
        return Retryable(message, retry_after=wait, code=code, in_doubt=answer.status in NOBODY_KNOWS_STATUSES)
    return Fatal(message, code=code)


def _retry_after(value: str | None) -> float | None:
    """Give the seconds of a Retry-After header, which is a number or a date; None for anything else."""
    if not value:
        return None
    try:
        seconds = float(value) if value.strip().isdecimal() else _seconds_until(value)
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def _seconds_until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def _shown(answer: "Response") -> HttpAnswer:
    shown = HttpAnswer(
        status=answer.status, url=answer.url, headers=dict(answer.headers), duration_ms=answer.duration_ms
    )
    if _is_json(answer):
        try:
            return {**shown, "json": strict_json.loads(answer.body)}
        except DomainError:
            pass  # it only says that it is JSON: shown as the text it is
    try:
        return {**shown, "body": answer.body.decode(answer.encoding)}
    except UnicodeDecodeError:
        return {**shown, "body_base64": base64.b64encode(answer.body).decode()}


def _is_json(answer: "Response") -> bool:
    kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
    return bool(answer.body) and (kind == "application/json" or kind.endswith("+json"))

"""Conditional requests: a stale edit is refused, an unchanged document is not sent again."""

import hashlib

from rest_framework.request import Request

from apps.common.errors import PreconditionFailed


def etag(*parts: object) -> str:
    """Give the strong ETag of the state that these parts name."""
    return '"' + "-".join(str(part) for part in parts) + '"'


def require_match(request: Request, current: str) -> None:
    """Raise PreconditionFailed when the request's `If-Match` names another state than the current one."""
    sent = request.headers.get("If-Match")
    # A weak tag never matches here (RFC 9110, 13.1.1).
    if sent is not None and sent.strip() != "*" and current not in _tags(sent):
        raise PreconditionFailed(
            f"This has changed since you read it: it is {current} now, your If-Match is {sent[:100]}. Read it again "
            "and repeat your change.",
            code="stale_etag",
            extra={"etag": current},
        )


def is_unchanged(request: Request, current: str) -> bool:
    """Tell whether the client holds this state already, by its `If-None-Match`, so that 304 is the answer."""
    sent = request.headers.get("If-None-Match", "")
    return sent.strip() == "*" or current in {tag.removeprefix("W/") for tag in _tags(sent)}


def _tags(header: str) -> set[str]:
    return {tag.strip() for tag in header.split(",")}


def digest(*parts: object) -> str:
    """Give a short text that is another one as soon as one of the parts is; for `etag`."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

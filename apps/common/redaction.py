"""Keeping secrets out of what is written down: logs first of all."""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

HIDDEN = "***"
SHORTEST_HIDDEN = 6  # characters; a shorter secret is found inside of ordinary words

# Fields whose value is a secret whatever it looks like.
SECRET_FIELDS = frozenset(
    {"access_token", "api_key", "auth_token", "authorization", "client_secret", "cookie", "password", "private_key"}
    | {"proxy_authorization", "refresh", "refresh_token", "secret", "set_cookie", "token"}
)

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(ork_[a-z]{1,10}_[0-9A-Za-z]{8})_[0-9A-Za-z_]+"), rf"\1_{HIDDEN}"),
    (re.compile(r"\borr_[\w-]{8,}"), f"orr_{HIDDEN}"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), f"eyJ{HIDDEN}"),  # a JWT
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s:/@]*):[^\s/@]+@"), rf"\1:{HIDDEN}@"),
)


def redact(text: str) -> str:
    """Give the text with everything that looks like a secret of ours or of a connection taken out."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact_value(value: Any) -> Any:
    """Give a value of the log with the secrets in it taken out, however deep it is nested."""
    match value:
        case str():
            return redact(value)
        case Mapping():
            return {name: HIDDEN if _is_secret(name) else redact_value(inner) for name, inner in value.items()}
        case list() | tuple():
            return [redact_value(inner) for inner in value]
    return value


def hide(secret: str, value: Any) -> Any:
    """Give a JSON value without this very secret, in whatever text and name of it that may stand."""
    if len(secret) < SHORTEST_HIDDEN:
        return value
    match value:
        case str():
            return value.replace(secret, HIDDEN)
        case Mapping():
            return {hide(secret, name): hide(secret, inner) for name, inner in value.items()}
        case list() | tuple():
            return [hide(secret, inner) for inner in value]
    return value


def redacted(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Take secrets out of a log event (a processor of structlog)."""
    for name, value in event.items():
        if _is_secret(name):
            event[name] = HIDDEN
        elif not name.startswith("_"):  # structlog's own
            event[name] = redact_value(value)
    return event


def _is_secret(name: object) -> bool:
    # A header is written with dashes, and often has an X before its name.
    return isinstance(name, str) and name.lower().replace("-", "_").removeprefix("x_") in SECRET_FIELDS

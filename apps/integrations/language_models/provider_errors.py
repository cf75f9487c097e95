"""What a provider's refusal means: whether to ask again, when, and what a person can do about it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from apps.common.errors import Fatal, Retryable

LONGEST_WORDS = 300  # of the provider's own
PASSING = frozenset({408, 409, 425, 429})
USED_UP = ("insufficient_quota", "billing_hard_limit_reached", "credit balance is too low")
TOO_LONG = ("context_length_exceeded", "maximum context length", "prompt is too long", "context window")


CHECK_THE_KEY = " Check the provider's key under Settings, Models."


def refusal(served_by: str, status: int, words: str, headers: Mapping[str, str], *, key: str = "") -> Retryable | Fatal:
    """Give the error for a provider's answer with such a status and words, without the key where they repeat it."""
    words = words.replace(key, "****") if key else words
    said = f"{served_by} answered {status}: {words.strip()[:LONGEST_WORDS].rstrip(' .') or 'nothing'}"
    lowered = words.lower()
    if any(mark in lowered for mark in USED_UP):
        return Fatal(f"{said}. Its account has nothing left: see to that with the provider.", code="quota_used_up")
    if any(mark in lowered for mark in TOO_LONG):
        return Fatal(f"{said}. Give it less to read, or take a model that reads more.", code="context_too_long")
    if status in PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        code = "rate_limited" if status == HTTPStatus.TOO_MANY_REQUESTS else "model_unavailable"
        return Retryable(f"{said}.", retry_after=retry_after(headers), code=code)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Fatal(f"{said}.{CHECK_THE_KEY}", code="key_refused")
    if status == HTTPStatus.NOT_FOUND:
        return Fatal(f"{said}. Check the model's name and the provider's address.", code="unknown_model")
    return Fatal(f"{said}.", code="request_refused")


def words_in(text: str) -> str:
    """Give what a refusal says, out of the JSON that it mostly comes in, with whatever stands around that."""
    try:
        said, _ = json.JSONDecoder().raw_decode(text[max(0, text.find("{")) :])
        error = said.get("error", said)
        return f"{error.get('code') or ''} {error['message']}".strip()
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return text


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Give the seconds that `Retry-After` asks for (RFC 9110, 10.2.3), or `retry-after-ms`; None without either."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    said = headers.get("retry-after")
    if said is None:
        return None
    if (seconds := _number(said)) is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None

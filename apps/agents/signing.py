"""Signatures of requests between Orchestra and agents outside: HMAC-SHA256 over `timestamp.body`."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

TOLERANCE = 300.0  # seconds that the clocks may differ, and that a copied request can be sent again

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"


def signed_headers(secret: str, *, message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Give the headers that prove who sent a body, and when."""
    return {
        ID_HEADER: message,
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: f"v1,{_signature(secret, str(timestamp), body)}",
    }


def is_genuine(secret: str, headers: Mapping[str, str], body: bytes, *, now: float) -> bool:
    """Tell whether a body was signed with the secret within the last five minutes; header names in lower case."""
    timestamp = headers.get(TIMESTAMP_HEADER, "")
    if not timestamp.isascii() or not timestamp.isdecimal() or abs(now - int(timestamp[:15])) > TOLERANCE:
        return False
    expected = f"v1,{_signature(secret, timestamp, body)}"
    given = headers.get(SIGNATURE_HEADER, "").split(" ")  # there are several while a secret changes
    return any(hmac.compare_digest(one.encode(), expected.encode()) for one in given)


def _signature(secret: str, timestamp: str, body: bytes) -> str:
    signed = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return base64.b64encode(signed.digest()).decode()

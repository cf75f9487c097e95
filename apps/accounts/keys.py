"""API keys: `ork_<env>_<public id>_<secret>_<checksum>`, all letters and digits."""

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ENVIRONMENT = "live"
PUBLIC_LENGTH = 8
SECRET_BYTES = 32
SECRET_LENGTH = 43  # 32 bytes in base 62
CHECKSUM_LENGTH = 6  # 32 bits in base 62

_SHAPE = re.compile(
    rf"(ork_[a-z]{{1,10}}_([0-9A-Za-z]{{{PUBLIC_LENGTH}}})_([0-9A-Za-z]{{{SECRET_LENGTH}}}))"
    rf"_([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
)


@dataclass(frozen=True, slots=True)
class Secret:
    """A key in clear, as it exists while it is made or presented; never stored or logged."""

    text: str
    public_id: str
    digest: str

    def __repr__(self) -> str:
        return f"Secret({self.public_id})"


def new_secret() -> Secret:
    """Make a key from 256 random bits."""
    public_id = "".join(secrets.choice(ALPHABET) for _ in range(PUBLIC_LENGTH))
    secret = base62(secrets.randbits(SECRET_BYTES * 8), SECRET_LENGTH)
    body = f"ork_{ENVIRONMENT}_{public_id}_{secret}"
    return Secret(f"{body}_{_checksum(body)}", public_id, _digest(secret))


def read_secret(text: str) -> Secret | None:
    """Give the parts of a presented key; None for what cannot be one, so that a typing error costs no query."""
    match = _SHAPE.fullmatch(text)
    if not match or not hmac.compare_digest(_checksum(match[1]), match[4]):
        return None
    return Secret(text, match[2], _digest(match[3]))


def base62(number: int, length: int) -> str:
    """Write a number with digits and letters."""
    digits = []
    for _ in range(length):
        number, remainder = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[remainder])
    return "".join(reversed(digits))


def _checksum(body: str) -> str:
    return base62(zlib.crc32(body.encode()), CHECKSUM_LENGTH)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

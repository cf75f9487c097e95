"""AES-256-GCM (NIST SP 800-38D) with a random nonce of 96 bits, as it is stored: nonce, then ciphertext with its tag.

What a value belongs to is bound to it as associated data: moved to another row or organization it does not open.
"""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apps.common.errors import Fatal

KEY_BYTES = 32
NONCE_BYTES = 12


class CannotOpen(Fatal):
    """What was sealed does not open: it was changed or moved, or its master key is not here any more."""

    def __init__(self, why: str) -> None:
        super().__init__(f"A secret cannot be opened: {why} Enter it again.", code="secret_unreadable")


def new_key() -> bytes:
    """Give 32 random bytes."""
    return os.urandom(KEY_BYTES)


def seal(key: bytes, value: bytes, belongs_to: str) -> bytes:
    """Give the value sealed with the key, and bound to what it belongs to."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, value, belongs_to.encode())


def unseal(key: bytes, sealed: bytes, belongs_to: str) -> bytes:
    """Give the value; raises CannotOpen."""
    nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, rest, belongs_to.encode())
    except (InvalidTag, ValueError):
        raise CannotOpen("it was changed or moved, or sealed with another key.") from None


def master_key(secret: str) -> bytes:
    """Give the key of a master secret, which is long and random."""
    return hashlib.sha256(b"orchestra vault " + secret.encode()).digest()


def fingerprint(key: bytes) -> str:
    """Give what tells a key from another and says nothing of it."""
    return hashlib.sha256(b"fingerprint " + key).hexdigest()[:16]

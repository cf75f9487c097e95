"""JSON values in text columns: small ones in place, large ones once, by the digest of their content."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import orjson

from apps.common.errors import Fatal
from apps.common.ids import uuid7
from apps.common.json import JSON, dumps
from apps.workflows.store.database import Transaction, look

INLINE_BYTES = 64 * 1024
MAX_BYTES = 16 * 1024 * 1024
_MARK = "@"  # no JSON text begins with it, so no value can pass for a reference

_READ = """
select digest, content from workflows_blob where organization_id = %(organization)s and digest = any(%(digests)s)
"""
_WRITE = """
insert into workflows_blob (id, organization_id, digest, content)
select * from json_to_recordset(%(records)s) as d(id uuid, organization uuid, digest text, content text)
on conflict (organization_id, digest) do nothing
"""


class Packer:
    """Turns values into column texts, and keeps the large ones until they are written in the same transaction."""

    def __init__(self, organization: UUID) -> None:
        self.organization = organization
        self._large: dict[str, str] = {}

    def pack(self, value: JSON) -> str:
        """The text to store for `value`; raises Fatal when it is too large to be kept."""
        written = dumps(value)
        if len(written) <= INLINE_BYTES:
            return written.decode()
        if len(written) > MAX_BYTES:
            message = f"The value has {len(written):,} bytes; at most {MAX_BYTES:,} are kept."
            raise Fatal(message, code="limit_value_size")
        digest = hashlib.sha256(written).hexdigest()
        self._large[digest] = written.decode()
        return _MARK + digest

    def write(self, tx: Transaction) -> None:
        """Writes the large values that were packed since the last call."""
        if records := self.records():
            tx.execute(_WRITE, records=orjson.dumps(records).decode())

    def records(self) -> list[dict[str, Any]]:
        """Hands over the rows of the large values that were packed since the last call."""
        records = [
            {"id": uuid7(), "organization": self.organization, "digest": digest, "content": content}
            for digest, content in self._large.items()
        ]
        self._large.clear()
        return records

    def unpack(self, tx: Transaction, texts: Sequence[str | None]) -> list[JSON]:
        """The values behind column texts, in order; those packed a moment ago included."""
        digests = {text[1:] for text in texts if text and text[0] == _MARK}
        contents = {digest: self._large[digest] for digest in digests if digest in self._large}
        contents.update(_fetch(tx, self.organization, digests - contents.keys()))
        return [_parse(text, contents) for text in texts]


def read_value(organization: UUID, text: str | None) -> JSON:
    """The value behind one column text."""
    return read_values(organization, [text])[0]


def read_values(organization: UUID, texts: Sequence[str | None]) -> list[JSON]:
    """The values behind column texts, in order."""
    digests = {text[1:] for text in texts if text and text[0] == _MARK}
    contents: dict[str, str] = {}
    if digests:
        with look() as tx:
            contents = _fetch(tx, organization, digests)
    return [_parse(text, contents) for text in texts]


def _fetch(tx: Transaction, organization: UUID, digests: Iterable[str]) -> dict[str, str]:
    wanted = list(digests)
    if not wanted:
        return {}
    return {row["digest"]: row["content"] for row in tx.rows(_READ, organization=organization, digests=wanted)}


def _parse(text: str | None, contents: dict[str, str]) -> Any:
    if text is None:
        return None
    return orjson.loads(text if text[0] != _MARK else contents[text[1:]])

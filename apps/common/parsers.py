"""JSON and YAML in, within a size; the text is kept, for what has to see it as it was sent."""

from collections.abc import Callable, Mapping
from typing import IO, Any, ClassVar

from rest_framework.parsers import BaseParser

from apps.common import json, yaml
from apps.common.errors import TooLarge
from apps.common.json import JSON


class _DocumentParser(BaseParser):
    loads: ClassVar[Callable[..., JSON]]
    max_bytes: ClassVar[int]

    def parse(self, stream: IO[Any], _media_type: str | None = None, context: Mapping[str, Any] | None = None) -> JSON:
        """Give the document; the request keeps its text as `raw_body`."""
        request = (context or {})["request"]
        request.raw_body = read_body(stream, request.META.get("CONTENT_LENGTH"), self.max_bytes)
        return type(self).loads(request.raw_body)


class JSONParser(_DocumentParser):
    """Reads application/json."""

    media_type = "application/json"
    loads = staticmethod(json.loads)
    max_bytes = json.MAX_BYTES


class YAMLParser(_DocumentParser):
    """Reads application/yaml (RFC 9512)."""

    media_type = "application/yaml"
    loads = staticmethod(yaml.loads)
    max_bytes = yaml.MAX_BYTES


class TextYAMLParser(YAMLParser):
    """Reads text/yaml, the name used before there was a registered one."""

    media_type = "text/yaml"


class OldYAMLParser(YAMLParser):
    """Reads application/x-yaml, another such name."""

    media_type = "application/x-yaml"


def read_body(stream: IO[bytes], declared_length: str | None, limit: int) -> bytes:
    """Give the body, or raise TooLarge without reading more than the limit."""
    if (declared_length or "").isdecimal() and int(declared_length or 0) > limit:
        raise TooLarge(f"The body has {declared_length} bytes; at most {limit} are read.")
    body = stream.read(limit + 1)
    if len(body) > limit:
        raise TooLarge(f"The body is larger than {limit} bytes.")
    return body

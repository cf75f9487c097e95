"""What request bodies are checked with."""

from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar

from rest_framework import serializers
from rest_framework.request import Request

from apps.common.errors import BadRequest, ErrorItem
from apps.common.json import JSON


class StrictSerializer(serializers.Serializer[Any]):
    """A body in which a field that means nothing is an error, at every level."""

    def to_internal_value(self, data: Any) -> Any:
        """Give the checked values, or raise for unknown fields before anything else."""
        if isinstance(data, dict) and (unknown := [name for name in data if name not in self.fields]):
            raise serializers.ValidationError(
                {name: [serializers.ErrorDetail(self._unknown(name), code="unknown_field")] for name in unknown}
            )
        return super().to_internal_value(data)

    def _unknown(self, name: str) -> str:
        close = get_close_matches(str(name), self.fields, n=1)
        known = ", ".join(self.fields)
        return f"This field does not exist. {f'Did you mean {close[0]!r}? ' if close else ''}Allowed: {known}."


S = TypeVar("S", bound=serializers.Serializer[Any])


def checked(serializer: type[S], request: Request) -> dict[str, Any]:
    """Give the request's body as this serializer reads it, or raise with every fault and its place."""
    return dict(_reader(serializer).run_validation(request.data))


@cache
def _reader(serializer: type[S]) -> S:
    """One for all requests: it keeps nothing of what it reads, and making its fields takes longer than reading."""
    return serializer()


def json_object(request: Request) -> dict[str, JSON]:
    """Give the request's body, which must be an object."""
    if not isinstance(request.data, dict):
        message = "The body must be an object."
        raise BadRequest(message, code="invalid_request", errors=[ErrorItem("", "not_an_object", message)])
    return request.data

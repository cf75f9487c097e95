"""The OpenAPI 3.1 document: what every operation has in common is said here once."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from pydantic import BaseModel, create_model
from rest_framework import serializers

from apps.common import json

PROBLEMS = {
    "400": "The request is malformed, or has a parameter or field that does not exist.",
    "401": "Nobody is signed in, or the key or token is not valid.",
    "403": "The role does not allow this.",
    "404": "There is no such thing in this organization.",
    "409": "The state of the thing does not allow this now.",
    "422": "The document can be read, but not used; or an Idempotency-Key was used for something else.",
    "429": "The rate limit is used up; `Retry-After` says for how long.",
}
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255},
    OpenApiParameter.HEADER,
    description="Repeating the request with the same key gives the first answer again, for 24 hours.",
)
ORGANIZATION = OpenApiParameter(
    "Orchestra-Organization",
    {"type": "string"},
    OpenApiParameter.HEADER,
    description="The slug of the organization that is meant, for people who belong to several.",
)


@cache
def document() -> bytes:
    """Give the document as JSON, made once for each process."""
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    return json.dumps(generator.get_schema(request=None, public=True))  # type: ignore[no-untyped-call]


def page_of(item: type[serializers.Serializer[Any]] | type[BaseModel] | Mapping[str, Any]) -> Any:
    """Describe one page of a list, for `extend_schema(responses=...)`.

    An item is a serializer, a Pydantic model or a JSON Schema.
    """
    if isinstance(item, Mapping):
        cursor = {"type": ["string", "null"]}
        return {
            "type": "object",
            "properties": {"items": {"type": "array", "items": dict(item)}, "next_cursor": cursor},
            "required": ["items", "next_cursor"],
        }
    name = f"{item.__name__.removesuffix('Serializer')}Page"
    if issubclass(item, BaseModel):
        fields: dict[str, Any] = {"items": (list[item], ...), "next_cursor": (str | None, ...)}  # type: ignore[valid-type]
        return create_model(name, **fields)
    cursor_field = serializers.CharField(allow_null=True, help_text="null on the last page.")
    return inline_serializer(name, {"items": item(many=True), "next_cursor": cursor_field})


class ApiSchema(AutoSchema):
    """Describes an endpoint by what its view declares."""

    def get_tags(self) -> list[str]:
        """Give the resource, so that the documentation is ordered by it."""
        return [self._words()[0][0]] if self._words() else ["other"]

    def get_summary(self) -> str:
        """Give the first sentence of the handler's docstring."""
        return self.get_description().partition("\n")[0].rstrip(".")

    def get_operation_id(self) -> str:
        """Give a readable name: list_runs, get_run, create_run, cancel_run, list_run_events."""
        verb = {"GET": "get", "POST": "create", "PUT": "replace", "PATCH": "update", "DELETE": "delete"}[self.method]
        words = self._words()
        name, is_single = words[-1]
        owners = [singular(word) for word, _ in words[:-1]]
        if is_single or verb in {"replace", "update", "delete"}:
            return "_".join([verb, *owners, singular(name)])
        if verb == "create" and not name.endswith("s") and owners:
            return "_".join([name, *owners])
        if verb == "create":
            return "_".join([verb, *owners, singular(name)])
        return "_".join(["list" if name.endswith("s") else verb, *owners, name])

    def get_override_parameters(self) -> list[Any]:
        """Give the query parameters that the view declares, and the headers of every endpoint like it."""
        return list(self._parameters())

    def get_request_serializer(self) -> Any:
        """Give any object where the view says nothing."""
        return OpenApiTypes.OBJECT if self.method in WRITES - {"DELETE"} else None

    def get_response_serializers(self) -> Any:
        """Give any object where the view says nothing."""
        return OpenApiTypes.OBJECT

    def _parameters(self) -> Iterator[OpenApiParameter]:
        for name, parameter in getattr(self.view, "query", {}).get(self.method, {}).items():
            yield OpenApiParameter(
                name,
                dict(parameter.schema),
                OpenApiParameter.QUERY,
                description=parameter.description,
                explode=False if parameter.many else None,
                style="form" if parameter.many else None,
            )
        if hasattr(self.view, "capabilities"):
            yield ORGANIZATION
            if self.method == "POST":
                yield IDEMPOTENCY_KEY

    def _words(self) -> list[tuple[str, bool]]:
        """Give the path's fixed parts, each with whether an id follows it."""
        parts = [part for part in self.path.strip("/").split("/") if part not in {"v1", ""}]
        following = [*parts[1:], ""]
        return [
            (part.replace("-", "_").replace(".", "_"), after.startswith("{"))
            for part, after in zip(parts, following, strict=True)
            if not part.startswith("{")
        ]


def singular(word: str) -> str:
    """Give the word for one of them."""
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word if word.endswith("ss") else word.removesuffix("s")


def add_problems(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add to every operation how it answers when something is wrong (a hook of drf-spectacular)."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    components["responses"] = {f"Problem{code}": _problem_response(text) for code, text in PROBLEMS.items()}
    for path in result["paths"].values():
        for operation in path.values():
            for code in PROBLEMS:
                if code not in {"401", "403"} or operation.get("security"):
                    operation["responses"].setdefault(code, {"$ref": f"#/components/responses/Problem{code}"})
    return result


def _problem_response(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


PROBLEM_SCHEMA = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "`urn:orchestra:problem:` and the code."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for people."},
        "instance": {"type": "string"},
        "code": {"type": "string", "description": "Stable; for programs."},
        "request_id": {"type": ["string", "null"], "description": "Finds the request in the log."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "message"],
                "properties": {
                    "pointer": {"type": "string", "description": "A JSON Pointer into the request."},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                    "fix": {"type": "string"},
                },
            },
        },
    },
}

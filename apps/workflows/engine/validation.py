"""What pydantic finds wrong, as issues: each with a pointer into the document and the nearest known field."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from apps.workflows.engine.errors import Issue, did_you_mean, pointer

M = TypeVar("M", bound=BaseModel)
Place = list[str | int]

MAX_ISSUES = 50  # more than anybody reads at once

_CODES = {"extra_forbidden": "unknown_field", "value_error": "invalid"}


def validated(model: type[M], raw: Any, where: str, issues: list[Issue]) -> M | None:
    """The model of `raw`; None where it is wrong, and then `issues` has what is wrong below the pointer `where`."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)[:MAX_ISSUES]
        issues.extend(_one_for_each_place([_issue(detail, model, raw, where) for detail in details]))
        return None


def _one_for_each_place(issues: list[Issue]) -> list[Issue]:
    """Every branch of a union complains for itself; the branch that came furthest, or the first one, says enough."""
    first = {issue.pointer: issue for issue in reversed(issues)}
    above = {place for place in first for other in first if other.startswith(place + "/")}
    return [issue for issue in issues if first[issue.pointer] is issue and issue.pointer not in above]


def _issue(detail: ErrorDetails, model: type[BaseModel], raw: Any, where: str) -> Issue:
    place = _place(detail, raw)
    code = _CODES.get(detail["type"], detail["type"])
    if code == "unknown_field":
        *above, name = place
        return Issue(
            where + pointer(*place), code, f"There is no field '{name}' here.", _nearest_field(model, above, name)
        )
    message = detail["msg"].removeprefix("Value error, ")
    return Issue(where + pointer(*place), code, _sentence(message))


def _place(detail: ErrorDetails, raw: Any) -> Place:
    """Where the error is, without the parts that pydantic adds for branches of a union and keys of a mapping."""
    place: Place = []
    value = raw
    for part in detail["loc"]:
        if (isinstance(value, Mapping) and part in value) or (isinstance(value, list) and isinstance(part, int)):
            value = value[cast("Any", part)]
            place.append(part)
    return [*place, detail["loc"][-1]] if detail["type"] == "missing" else place


def _nearest_field(model: type[BaseModel], above: Place, name: str | int) -> str | None:
    owner = _model_at(model, above)
    if owner is None:
        return None
    return did_you_mean(str(name), [field.alias or own_name for own_name, field in owner.model_fields.items()])


def _model_at(annotation: Any, place: Place) -> type[BaseModel] | None:
    """The model that describes what stands at `place` below a value of type `annotation`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not place:
            return annotation
        fields = {field.alias or name: field.annotation for name, field in annotation.model_fields.items()}
        return _model_at(fields.get(str(place[0])), place[1:])
    if place and get_origin(annotation) in (list, dict):
        return _model_at(get_args(annotation)[-1], place[1:])
    return next((found for branch in get_args(annotation) if (found := _model_at(branch, place))), None)


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:].rstrip(".") + "."

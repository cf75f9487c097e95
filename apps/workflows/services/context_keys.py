"""The shared keys of a run: which there are, what fits them, and their values from what was written."""

from collections.abc import Iterable, Mapping

from apps.common.errors import ErrorItem, Invalid
from apps.common.json import JSON
from apps.workflows.engine.compiler import Compiled
from apps.workflows.engine.errors import did_you_mean, pointer
from apps.workflows.engine.spec import ContextKey

Write = tuple[str, JSON]  # the node that wrote, and the value; from nobody it is what the key starts from
UNDECLARED = ContextKey()
_WANTED = {"append": "a list", "merge": "an object", "add": "a number"}


def context_keys(compiled: Compiled) -> list[str]:
    """Every key that the definition declares or that a node saves."""
    saved = {key for node in compiled.nodes for key in node.save}
    inner = {key for node in compiled.nodes if node.body for key in node.body.save}
    return sorted({*compiled.definition.context, *saved, *inner})


def check_values(compiled: Compiled, values: Mapping[str, JSON]) -> None:
    """Raises Invalid unless each value is one that its key can have."""
    known = context_keys(compiled)
    faults = [fault for key, value in values.items() if (fault := _fault(compiled, known, key, value))]
    if faults:
        raise Invalid(faults[0].message, code="invalid_context", errors=faults)


def folded(declared: ContextKey | None, writes: Iterable[Write]) -> JSON:
    """The value of a key whose writes, in the order in which they count, are these."""
    key = declared or UNDECLARED
    initial, written = key.initial, list(writes)
    if written and not written[0][0]:
        initial = written.pop(0)[1]
    return _reduced(key.reducer, initial, [value for _, value in written])


def _reduced(reducer: str, initial: JSON, values: list[JSON]) -> JSON:
    if reducer == "append":
        return [*(initial or []), *values]
    if reducer == "add":
        return sum(values, initial or 0)
    if reducer == "merge":
        merged = dict(initial or {})
        for value in values:
            merged.update(value)
        return merged
    return values[-1] if values else initial


def _fault(compiled: Compiled, known: list[str], key: str, value: JSON) -> ErrorItem | None:
    where = pointer("context", key)
    if key not in known:
        message = f"The workflow has no context key '{key[:60]}'."
        return ErrorItem(where, "unknown_key", message, did_you_mean(key, known))
    reducer = compiled.definition.context.get(key, UNDECLARED).reducer
    if _fits(reducer, value):
        return None
    message = f"The context key '{key}' is {_WANTED[reducer]}; {value!r:.60} is none."
    return ErrorItem(where, "bad_context_value", message)


def _fits(reducer: str, value: JSON) -> bool:
    if reducer == "append":
        return isinstance(value, list)
    if reducer == "merge":
        return isinstance(value, dict)
    return reducer == "overwrite" or (isinstance(value, int | float) and not isinstance(value, bool))

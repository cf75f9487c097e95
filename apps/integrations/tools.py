"""What a tool is: a typed function with a name, a description and JSON Schemas."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol, TypeVar, get_type_hints, overload
from uuid import UUID

import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from apps.common.errors import Fatal
from apps.common.json import JSON
from apps.common.validation import describe_failure, invalid_input
from apps.integrations import registry

Effect = Literal["read", "write", "external_write", "money", "admin"]
OUTSIDE: frozenset[Effect] = frozenset({"external_write", "money", "admin"})  # what a misled model must not do
# What may be done about a call of which nobody knows whether it took effect.
Repeat = Literal[
    "free",  # call again: it changes nothing
    "keyed",  # call again with the same idempotency key: the other side does it once
    "ask",  # it might take effect twice: somebody has to find out
]
Function = TypeVar("Function", bound=Callable[..., Any])

DEFAULT_TIMEOUT_SECONDS = 60.0


class Log(Protocol):
    """Where an agent or a tool writes lines that people see in the run's log."""

    def debug(self, event: str, **fields: Any) -> None: ...
    def info(self, event: str, **fields: Any) -> None: ...
    def warning(self, event: str, **fields: Any) -> None: ...
    def error(self, event: str, **fields: Any) -> None: ...


def never() -> bool:
    """Answer `cancelled` where nothing can cancel."""
    return False


@dataclass(frozen=True, kw_only=True)
class ToolContext:
    """For whom a tool works: declare a parameter `ctx: ToolContext` to receive it.

    `idempotency_key` is the same when the same call is repeated after a crash, and different for every other
    call: send it to services that take one, or store it under a unique constraint.
    """

    organization_id: UUID
    idempotency_key: str
    run_id: UUID | None = None
    node: str | None = None
    log: Log = field(default_factory=lambda: structlog.get_logger("orchestra.tools"))
    cancelled: Callable[[], bool] = never


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A registered tool; `services.invoke` is the way to call it."""

    name: str
    description: str
    effect: Effect  # read: changes nothing; write: changes rows of ours; the others are OUTSIDE
    timeout: float  # seconds
    function: Callable[..., Any]
    repeat: Repeat | Callable[[Mapping[str, Any]], Repeat] | None = None  # None: as `effect` says
    lookup: Callable[..., Any] | None = None  # asks the other side what became of a call
    target: Callable[[Mapping[str, Any]], str] | None = None  # what a call goes to, where its arguments say that
    majors: tuple[int, ...] = (1,)  # the versions whose node runs it can execute; new ones get the last
    concurrency: int | None = None  # calls at a time, for an organization and in all workers; None: any number

    def __post_init__(self) -> None:
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"Tool '{self.name}' needs a concurrency of 1 at least, or None for any.")
        unknown = _parameters_of(self.lookup) - _parameters_of(self.function) - {"ctx"}
        if unknown:
            names = ", ".join(sorted(unknown))
            raise TypeError(f"The lookup of tool '{self.name}' takes {names}, which the tool does not.")

    def repeat_of(self, arguments: Mapping[str, Any]) -> Repeat:
        """Give what may be done about a call with these checked arguments that may have taken effect."""
        if self.repeat is None:
            return "free" if self.effect == "read" else "ask"
        return self.repeat if isinstance(self.repeat, str) else self.repeat(arguments)

    def circuit_of(self, given: JSON) -> str:
        """Name what fails together: the tool, and what it calls where the arguments say that."""
        return self.name if self.target is None else f"{self.name} {self.target(self.arguments(given))}"[:400]

    @property
    def changes_outside(self) -> bool:
        """Tell whether a call is more than reading, and writing rows of ours."""
        return self.effect in OUTSIDE

    @property
    def repeat_shown(self) -> str:
        """Say the same in general: `by_input` where the arguments decide."""
        return "by_input" if callable(self.repeat) else self.repeat_of({})

    @property
    def origin(self) -> str:
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @cached_property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema of the object that a call takes."""
        return self._parameters.model_json_schema()

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        """The JSON Schema of the value that a call gives."""
        return self._result.json_schema(mode="serialization")

    def arguments(self, given: JSON) -> dict[str, Any]:
        """Give checked keyword arguments, or raises Fatal `invalid_input` that names the field."""
        try:
            checked = self._parameters.model_validate({} if given is None else given)
        except ValidationError as error:
            raise invalid_input(f"tool '{self.name}'", error) from None
        return {name: getattr(checked, _field(name)) for name in self._names}

    def result(self, value: Any) -> JSON:
        """Give the JSON form of what the function returned, or raises Fatal `invalid_output`."""
        try:
            checked = self._result.validate_python(value)
            output: JSON = self._result.dump_python(checked, mode="json", by_alias=True)
        except ValueError as error:  # pydantic's validation and serialization errors both are one
            message = describe_failure(f"The result of tool '{self.name}' is invalid", error)
            raise Fatal(message, code="invalid_output", in_doubt=True) from None
        return output

    @cached_property
    def wants_context(self) -> bool:
        return "ctx" in inspect.signature(self.function).parameters

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.function, include_extras=True)

    @cached_property
    def _names(self) -> list[str]:
        return [name for name in inspect.signature(self.function).parameters if name != "ctx"]

    @cached_property
    def _parameters(self) -> type[BaseModel]:
        signature = inspect.signature(self.function)
        fields: dict[str, Any] = {
            _field(name): (self._hints.get(name, Any), _declared(name, signature.parameters[name]))
            for name in self._names
        }
        return create_model(self.name, __config__=ConfigDict(extra="forbid", field_title_generator=_title), **fields)

    @cached_property
    def _result(self) -> TypeAdapter[Any]:
        return TypeAdapter(self._hints.get("return", Any))


def _parameters_of(function: Callable[..., Any] | None) -> set[str]:
    return set(inspect.signature(function).parameters) if function else set()


def _field(parameter: str) -> str:
    # A parameter may be called `json` or `copy`, which as a field would hide a method of the pydantic model.
    return f"arg_{parameter}"


def _title(name: str, _field: Any) -> str:
    return name.removeprefix("arg_").replace("_", " ").capitalize()


def _declared(name: str, parameter: inspect.Parameter) -> Any:
    default = ... if parameter.default is parameter.empty else parameter.default
    return Field(default, alias=name)


@overload
def tool(function: Function, /) -> Function: ...
@overload
def tool(
    *,
    name: str | None = None,
    effect: Effect = "read",
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    repeat: Repeat | Callable[[Mapping[str, Any]], Repeat] | None = None,
    majors: tuple[int, ...] = (1,),
    lookup: Callable[..., Any] | None = None,
    target: Callable[[Mapping[str, Any]], str] | None = None,
    concurrency: int | None = None,
) -> Callable[[Function], Function]: ...


def tool(
    function: Function | None = None,
    /,
    *,
    name: str | None = None,
    effect: Effect = "read",
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    repeat: Repeat | Callable[[Mapping[str, Any]], Repeat] | None = None,
    majors: tuple[int, ...] = (1,),
    lookup: Callable[..., Any] | None = None,
    target: Callable[[Mapping[str, Any]], str] | None = None,
    concurrency: int | None = None,
) -> Function | Callable[[Function], Function]:
    """Register a function as a tool that agents, workflows and the API can call.

    The annotations become the input and output JSON Schemas, the docstring becomes the description:

        @tool
        def word_count(text: str) -> int:
            "Counts the words of a text."
            return len(text.split())

    The function stays callable as it was; it may be `async def`, which is better for whatever waits for the
    network: such a call can be cancelled. A parameter named `ctx` receives the ToolContext.

    `name` defaults to the function's name; give tools of one service a common prefix (`crm.find_customer`).
    `effect` is "read", "write" (rows of this platform), "external_write" (the outside world is changed), "money" (it is
    spent) or "admin" (who may do what is changed).
    `repeat` says what may be done when a crash leaves it unknown whether a call took effect: "free" (call again, it
    changes nothing: the default of "read"), "keyed" (call again, `ctx.idempotency_key` makes sure that it happens
    once) or "ask" (a person finds out: the default of the others). A function of the arguments may decide.
    `lookup` is a function that asks the other side what became of a call, and is asked before anybody repeats or
    decides: it takes `ctx` (with the call's idempotency key) and those of the tool's parameters that it names, gives
    the result that the call had, and raises DidNotHappen when there was none. Any other error means that it cannot say.
    `target` gives from the arguments what a call goes to (a host), where one tool calls many: they fail apart.
    `concurrency` is how many calls nodes may have under way at a time, for each organization and target and in all
    workers together; what finds no room waits without using up an attempt.
    `timeout` in seconds ends an async call; a sync function has to watch `ctx.cancelled()` by itself.
    `majors` are the versions whose node runs the function can execute; new node runs get the last.

    To fail, raise Retryable (trying again may help; `retry_after` in seconds) or Fatal (it will not). Both say that
    the call took no effect; with `in_doubt=True` that it may have.
    """

    def register(function: Function) -> Function:
        registry.register(
            Tool(
                name=name or function.__name__,
                description=inspect.getdoc(function) or "",
                effect=effect,
                timeout=timeout,
                function=function,
                repeat=repeat,
                majors=majors,
                lookup=lookup,
                target=target,
                concurrency=concurrency,
            )
        )
        return function

    return register if function is None else register(function)

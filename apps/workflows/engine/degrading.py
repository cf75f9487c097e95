"""The field `degrade` of an agent node: what it goes on with, step by step, when its agent cannot work.

1. A step is taken when there is nobody to ask (UNAVAILABLE), at once; or when the last attempt has failed.
2. Each step is tried once, in the order in which they are written, and never one that comes before another again.
3. A failure that another answer would only hide ends the node as if there were no steps: ours (NOT_FOR_OTHERS), and an
   input that the node's own agent does not take.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from apps.workflows.engine.durations import Duration
from apps.workflows.engine.parts import Part, Schema

MOST_STEPS = 10
UNAVAILABLE = frozenset({"circuit_open", "no_live_agent"})
NOT_FOR_OTHERS = frozenset({"effect_unknown", "internal_error"})

Word = Literal["other_agent", "cached", "person"]
Kind = Literal["other_agent", "agent", "model", "cached", "person"]


class AskedPerson(Part):
    """Who is asked for the answer, and how."""

    message: str | None = None
    """The question; without it that the agent could not answer, and why."""
    assignees: list[str] | str = Field(default_factory=list)
    """Who may answer; nobody named is anybody who may run workflows."""
    form: Schema | None = None
    """JSON Schema of the answer; without it what the agent says it gives, or else a text."""
    timeout: Duration | None = None
    """How long the question stands; then the next step is taken."""

    @property
    def names(self) -> list[str]:
        """The assignees, however they were written."""
        return [self.assignees] if isinstance(self.assignees, str) else list(self.assignees)


class NamedStep(Part):
    """A step with something to say about it: exactly one of its fields."""

    agent: str | None = Field(default=None, min_length=1)
    """This agent, with the same input and the settings that it comes with."""
    model: str | None = Field(default=None, min_length=1)
    """The same agent goes on where it failed, asking this language model."""
    cached: Duration | None = None
    """The last good answer of this node to the same input, if it is no older than this."""
    person: AskedPerson | None = None
    """A person gives the answer."""

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if sum(getattr(self, name) is not None for name in NamedStep.model_fields) != 1:
            raise ValueError("name exactly one of 'agent', 'model', 'cached' and 'person' in a step; write two steps")
        return self


def _spelling(value: Any) -> str | None:
    if isinstance(value, str) and value in get_args(Word):
        return "word"
    return "named" if isinstance(value, dict | NamedStep) else None


Step = Annotated[
    Annotated[Word, Tag("word")] | Annotated[NamedStep, Tag("named")],
    Discriminator(
        _spelling,
        custom_error_type="no_step",
        custom_error_message="A step is 'other_agent', 'cached', 'person', or an object such as {model: small}",
    ),
]


def kind_of(step: Step) -> Kind:
    """What a step does."""
    if isinstance(step, str):
        return step
    kinds: tuple[Kind, ...] = ("agent", "model", "cached", "person")
    return next(kind for kind in kinds if getattr(step, kind) is not None)


def name_of(step: Step) -> str:
    """Whom a step names, an agent or a model; nothing where it names none."""
    return "" if isinstance(step, str) else step.agent or step.model or ""


def asked_person(step: Step) -> AskedPerson:
    """How a step of the kind `person` asks."""
    return AskedPerson() if isinstance(step, str) or step.person is None else step.person


def oldest(step: Step) -> float | None:
    """How many seconds old an answer may be that a step of the kind `cached` gives; None is any."""
    return None if isinstance(step, str) else step.cached


def label(kind: str, name: str = "") -> str:
    """A step in words: `model small`, `cached`."""
    return f"{kind} {name}".strip()


def in_words(kind: str, name: str = "") -> str:
    """Who answers in a step, as people say it."""
    words = {"other_agent": "another agent", "cached": "its last good answer", "person": "a person"}
    return words.get(kind, f"the {kind} {name}")


def repeated(agent: str | None, steps: Iterable[Step]) -> Iterator[tuple[int, str]]:
    """The places of steps that only try again what has been tried before them, with their labels."""
    earlier = {label("agent", agent or "")}
    for place, step in enumerate(steps):
        told = label(kind_of(step), name_of(step))
        if told in earlier:
            yield place, told
        earlier.add(told)


def following(stage: int | None, steps: int, *, code: str) -> int | None:
    """The step to take after a failure, counted from 0; None when there is none.

    `stage` is the step that has failed, None the node's own agent.
    """
    if code in NOT_FOR_OTHERS or (stage is None and code == "invalid_input"):
        return None
    after = 0 if stage is None else stage + 1
    return after if after < steps else None

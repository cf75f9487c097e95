"""What an agent made of a prompt is: a document that people write, keep in versions and exchange as YAML or JSON."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)

from apps.agents.memory.assistance import MemoryConfig
from apps.common.json_schema import Checker
from apps.common.validation import InvalidInput

LONGEST_INSTRUCTIONS = 100_000
Approval = Annotated[
    Literal["auto", "always", "never"],
    Field(
        description="auto: before a call that may change something outside, after the agent has read what others "
        "wrote; always; or never, which trusts whatever the agent may have read.",
    ),
]
Assignees = Annotated[tuple[str, ...], Field(max_length=20, description="Who is asked; empty: whoever may run.")]


class Part(BaseModel):
    """A part of the document; a field that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Grant(Part):
    """A tool that the agent may call, and when a person has to agree before."""

    tool: str = Field(min_length=1, max_length=200)
    approval: Approval = "auto"
    assignees: Assignees = ()

    @property
    def name(self) -> str:
        """Give what is granted."""
        return self.tool


class BriefPart(Part):
    """A part that is written as its name alone where it says nothing else."""

    @model_serializer(mode="wrap")
    def _briefly(self, write: SerializerFunctionWrapHandler) -> Any:
        written = write(self)
        return next(iter(written.values())) if len(written) == 1 else written


class AgentGrant(BriefPart):
    """An agent that this one may turn to; one outside is asked with leave as a tool is that changes something there."""

    agent: str = Field(min_length=1, max_length=200)
    approval: Approval = "auto"
    assignees: Assignees = ()

    @property
    def name(self) -> str:
        """Give what is granted."""
        return self.agent


class WorkflowGrant(BriefPart):
    """A workflow that the agent may run, with leave as a tool that changes something outside."""

    workflow: str = Field(min_length=1, max_length=200)
    approval: Approval = "auto"
    assignees: Assignees = ()

    @property
    def name(self) -> str:
        """Give what is granted."""
        return self.workflow


AnyGrant = Grant | AgentGrant | WorkflowGrant


def _or_name(field: str, part: type[Part]) -> BeforeValidator:
    """Take a name alone for the part that has it in this field."""
    return BeforeValidator(
        lambda value: {field: value} if isinstance(value, str) else value, json_schema_input_type=str | part
    )


GivenTool = Annotated[Grant, _or_name("tool", Grant)]
GivenAgent = Annotated[AgentGrant, _or_name("agent", AgentGrant)]
GivenWorkflow = Annotated[WorkflowGrant, _or_name("workflow", WorkflowGrant)]


class Limits(Part):
    """Where the agent stops, and fails."""

    turns: int = Field(25, ge=1, le=200, description="Questions to the model.")
    tool_calls: int = Field(50, ge=0, le=1000)
    tokens: int | None = Field(None, ge=1, description="In and out, all questions together.")
    cost_usd: float | None = Field(None, ge=0, description="Of all its questions in one visit.")


class Judge(Part):
    """A question about the answer that a model decides."""

    question: str = Field(min_length=1, max_length=10_000, description="Such as: Does it name a source for each claim?")
    model: str = Field("", max_length=200, description="Empty: the agent's own.")


class Guardrails(Part):
    """What an answer must not be."""

    pii: Literal["off", "redact", "fail"] = Field("off", description="E-mail addresses, phone, card and bank numbers.")
    blocked: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = Field(
        (), max_length=100, description="Phrases that must not occur, in upper or lower case."
    )
    judge: Judge | None = None
    retries: int = Field(2, ge=0, le=5, description="How often the agent may try again before it fails.")


class Memory(MemoryConfig):
    """What the agent knows from before."""

    model_config = Part.model_config


def checked_schema(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    """Give the JSON Schema, or raise ValueError where it is none."""
    if schema is not None:
        try:
            Checker(schema)
        except InvalidInput as wrong:
            raise ValueError(str(wrong)) from None
    return schema


class AgentSpec(Part):
    """The document: only `instructions` is needed."""

    title: str = Field("", max_length=200)
    description: str = Field("", max_length=2_000)
    instructions: str = Field("", max_length=LONGEST_INSTRUCTIONS, description="Who it is to be and how it answers.")
    model: str = Field("default", max_length=200)
    options: dict[str, JsonValue] = Field(default={}, description="Settings of the model, such as temperature.")
    capabilities: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field((), max_length=20)
    tools: tuple[GivenTool, ...] = Field((), max_length=50)
    agents: tuple[GivenAgent, ...] = Field((), max_length=20, description="Agents that it may ask.")
    handoffs: tuple[GivenAgent, ...] = Field((), max_length=20, description="Agents that it may leave the task to.")
    workflows: tuple[GivenWorkflow, ...] = Field((), max_length=20, description="Workflows that it may run.")
    input_schema: dict[str, JsonValue] | None = Field(None, description="JSON Schema; without it a task in words.")
    output_schema: dict[str, JsonValue] | None = Field(None, description="JSON Schema; without it a text.")
    memory: Memory = Memory()
    limits: Limits = Limits()
    guardrails: Guardrails = Guardrails()

    @field_validator("input_schema", "output_schema")
    @classmethod
    def _is_schema(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        return checked_schema(schema)

    def document(self) -> dict[str, Any]:
        """Give the document without what is as it is by default."""
        return self.model_dump(mode="json", exclude_defaults=True)

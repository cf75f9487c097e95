"""A role at work with a model: whether there is one to ask, and the question with the role's prompt.

Both are decided once for a visit and written to its journal: an attempt after a crash asks the same model with the same
prompt, or works by the same rules, whatever has been set up or edited meanwhile.
"""

from dataclasses import asdict, dataclass
from typing import Any, Protocol
from uuid import UUID

from django_scopes import scope
from pydantic import JsonValue

from apps.agents import selectors
from apps.agents.context import Context
from apps.agents.llm.loop import Task, answer
from apps.agents.llm.spec import AgentSpec, GivenTool
from apps.agents.roles.answers import ANSWERS
from apps.agents.roles.catalogue import find_role
from apps.common.database import release_connection
from apps.common.json import JSON, dumps
from apps.integrations.language_models import registry as models
from apps.integrations.language_models import resolving
from apps.integrations.language_models.registry import DEFAULT, WITHOUT_ANY

FORM = "Answer with one JSON object that fits this JSON Schema, and with nothing else:"


@dataclass(frozen=True)
class Decision:
    """How a role works at a visit."""

    role: str
    model: str | None  # None where only a demo would answer: then the rules are better
    prompt: str = ""
    version: int = 0  # of the organization's own prompt; 0 for the one that is built in


class Settings(Protocol):
    """What a node sets for the model."""

    options: dict[str, JsonValue]
    tools: list[GivenTool]


def decided(agent: str, wanted: str, ctx: Context) -> Decision:
    """Give how the role works, as the first attempt of this visit found it."""
    return Decision(**ctx.step("role prompt", _decide, find_role(agent).name, wanted, ctx))


async def asked(decision: Decision, settings: Settings, task: Task, ctx: Context) -> dict[str, Any]:
    """Give what the model answers in the role, and what that took; raises what `llm.loop.answer` raises."""
    ctx.log.info("Works with a model.", model=decision.model, prompt=_called(decision.version))
    schema = ANSWERS[decision.role]
    spec = AgentSpec(
        instructions=f"{decision.prompt}\n\n{FORM}\n{dumps(schema).decode()}",
        model=decision.model or DEFAULT,
        tools=tuple(settings.tools),
        options=settings.options,
        output_schema=schema,
    )
    found = await answer(spec, task, ctx)
    said: Any = found.output
    ctx.progress(1.0, said["summary"])
    return {
        **{name: said[name] for name in schema["properties"]},
        "method": "model",
        "is_demo": found.is_demo,
        "model": found.model,
        "turns": found.turns,
        "tokens": found.tokens,
    }


def _decide(role: str, wanted: str, ctx: Context) -> JSON:
    if not ctx.has_organization:
        return _decision(role, WITHOUT_ANY if _is_default(wanted) else wanted, find_role(role).prompt, 0)
    try:
        return _of_organization(ctx.organization_id, role, wanted)
    finally:
        release_connection()  # the model may take its time, and there are fewer connections than agents at work


def _of_organization(organization_id: UUID, role: str, wanted: str) -> JSON:
    with scope(organization=organization_id):
        model = resolving.default_name() if _is_default(wanted) else wanted
        state = selectors.role_state(role)
    return _decision(role, model, state.text, 0 if state.is_built_in else state.version)


def _decision(role: str, model: str, prompt: str, version: int) -> JSON:
    known = models.find(model)
    if known is not None and known.is_demo:
        return asdict(Decision(role, None))
    return asdict(Decision(role, model, prompt, version))


def _is_default(wanted: str) -> bool:
    return wanted in {"", DEFAULT}


def _called(version: int) -> str:
    return f"version {version}" if version else "built in"

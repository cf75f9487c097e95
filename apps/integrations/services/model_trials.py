"""Asking a model one short question, so that people see whether it answers, how fast, and for how much."""

from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from apps.common.asyncio_loop import run_coroutine
from apps.common.database import release_connection
from apps.common.errors import Fatal, Retryable
from apps.integrations.language_models.asking import Asker, ask_once
from apps.integrations.language_models.records import reply_in
from apps.integrations.language_models.resolving import Found, price_of, resolve, speaking
from apps.integrations.language_models.shapes import Message, Request, Usage
from apps.integrations.models import ModelProvider
from apps.observability.services.accounting import BudgetReached, Origin

QUESTION = "Say hello in one short sentence."
MOST_TOKENS = 256  # a model that reasons first needs some for that
MOST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it: an answer with its figures, or the problem in words."""

    model: str
    served_by: str = ""
    text: str = ""
    seconds: float = 0.0
    first_token_seconds: float | None = None
    usage: Usage = field(default_factory=Usage)
    is_demo: bool = False
    code: str = ""
    problem: str = ""

    @property
    def is_answered(self) -> bool:
        """Tell whether there was an answer."""
        return not self.code


def try_model(organization_id: UUID, name: str, caller: str) -> Trial:
    """Ask the model itself, once: no fallback, no cache, no second try. It counts as usage of the `caller`.

    Raises NotFound for an unknown model.
    """
    try:
        found = resolve(organization_id, name)
    except (Fatal, Retryable) as error:
        return Trial(name, code=error.code, problem=error.message)
    return _try(found, name, organization_id, caller)


def try_key(provider: ModelProvider, model: str, key: str, caller: str) -> Trial:
    """Ask a model of a provider that need not be saved, with a key that is kept nowhere; as `try_model` does."""
    name = f"{provider.name}/{model}"
    found = Found(name, speaking(provider, model, key), price_of(provider, model))
    return _try(found, name, provider.organization_id, caller)


def _try(found: Found, name: str, organization_id: UUID, caller: str) -> Trial:
    served_by = found.model.name
    release_connection()
    try:
        record = run_coroutine(_asked(found, name, organization_id, caller), timeout=MOST_SECONDS + 5)
    except BudgetReached as reached:
        return Trial(name, served_by, code="budget_reached", problem=str(reached))
    except (Fatal, Retryable) as error:
        return Trial(name, served_by, code=error.code, problem=error.message)
    reply = reply_in(record)
    return Trial(
        name,
        served_by,
        text=reply.message.content,
        seconds=record["seconds"],
        first_token_seconds=record.get("first_token_seconds"),
        usage=reply.usage,
        is_demo=found.model.is_demo,
    )


def _asked(found: Found, name: str, organization_id: UUID, caller: str) -> Coroutine[Any, Any, dict[str, Any]]:
    alone = replace(found, fallbacks=(), cache_seconds=0, seconds=min(found.seconds, MOST_SECONDS))
    options: dict[str, Any] = {} if found.model.is_demo else {"max_tokens": MOST_TOKENS}
    question = Request(model=name, messages=(Message(role="user", content=QUESTION),), options=options)
    return ask_once(alone, question, Asker(Origin(organization_id=organization_id, caller=caller)))

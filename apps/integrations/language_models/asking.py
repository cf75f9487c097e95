"""One question to a model, by all the rules: money, cache, retries, fallbacks; and the record that is kept of it.

1. The name is resolved for the organization (`resolving`).
2. An answer that was given before is given again, where the organization has switched that on.
3. The most that the answer can cost is put aside (`accounting`); where a budget has not so much left, its rule decides.
4. The model is asked, and asked again where that may help soon.
5. Where it gives no answer its fallbacks are asked, one after the other.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol
from uuid import UUID

import structlog

from apps.common.database import on_thread
from apps.common.errors import Fatal, NotFound, Retryable
from apps.common.json import JSON, dumps
from apps.integrations.language_models import cache
from apps.integrations.language_models.prices import FREE, USUAL_MOST_TOKENS
from apps.integrations.language_models.records import Listener, deaf, record_of, said
from apps.integrations.language_models.registry import Hear, options_for
from apps.integrations.language_models.resolving import Found, resolve
from apps.integrations.language_models.shapes import Reply, Request, Usage
from apps.observability.models import Budget
from apps.observability.services import accounting
from apps.observability.services.accounting import BudgetReached, Figures, Origin, PassedOver

TRIES = 3
TRIES_BEFORE_A_FALLBACK = 2
FIRST_REST = 0.5  # seconds, where the other side asked for none; twice as long each time
LONGEST_REST = 30.0  # seconds between two tries; who asks for more is left to the node's retry policy
NO_OTHER_HELPS = frozenset({"request_refused", "answer_too_large", "invalid_options"})  # another model refuses it too

log = structlog.get_logger(__name__)


class Gate(Protocol):
    """What every call passes, such as a circuit breaker that all workers share."""

    async def enter(self, model: str) -> None:
        """Let the call out, or raise Retryable."""

    async def left(self, model: str, error: Exception | None) -> None:
        """Note how the call ended."""


class Open:
    """A gate that lets everything through."""

    async def enter(self, model: str) -> None:
        """Do nothing."""

    async def left(self, model: str, error: Exception | None) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Asker:
    """On whose behalf a question is asked, who hears the answer as it comes, and what the call passes on its way.

    `passed_over` are the models that did not answer it.
    """

    origin: Origin
    hear: Hear = deaf
    gate: Gate = field(default_factory=Open)
    passed_over: tuple[PassedOver, ...] = ()


async def ask(request: Request, known: int, asker: Asker) -> JSON:
    """Ask the model and give the record: the messages after those that are known, the answer and what it took.

    Raises NotFound for an unknown model, BudgetReached where no money is left and the budget says so, and what the
    first model raised where neither it nor its fallbacks answered.
    """
    passed_over: list[dict[str, Any]] = []
    waiting, first_failure = [request.model], None
    while waiting:
        found = await _found(waiting.pop(0), asker, is_fallback=bool(passed_over))
        if found is None:
            continue
        began = time.monotonic()
        try:
            record = await _ask_one(found, request, asker)
            return {**record, **said(request, known), **({"passed_over": passed_over} if passed_over else {})}
        except BudgetReached as reached:
            waiting = _cheaper(reached, found, asker)
            failure: BudgetReached | Retryable | Fatal = reached
        except (Retryable, Fatal) as error:
            if isinstance(error, Fatal) and error.code in NO_OTHER_HELPS:
                raise
            waiting += found.fallbacks
            failure = error
        first_failure = first_failure or failure
        took = round((time.monotonic() - began) * 1000)
        passed = PassedOver(model=found.name, code=failure.code, ms=took)
        passed_over.append({**vars(passed), "reason": str(failure)})
        asker = replace(asker, passed_over=(*asker.passed_over, passed))
        waiting = [name for name in waiting if name not in {one.model for one in asker.passed_over}]
    assert first_failure is not None  # noqa: S101 - for the type checker: the loop ends with a record or a failure
    raise first_failure


async def ask_once(found: Found, request: Request, asker: Asker) -> dict[str, Any]:
    """Ask this very model one time, with its own options, and give the record without what was said to it.

    Raises BudgetReached, Retryable or Fatal.
    """
    return await _paid(found, _question(found, request), asker)


async def _found(name: str, asker: Asker, *, is_fallback: bool) -> Found | None:
    """The model; None for a fallback that is not there any more."""
    try:
        return await on_thread(resolve, asker.origin.organization_id, name)
    except NotFound:
        if not is_fallback:
            raise
        log.warning("A fallback is unknown.", action="fallback_unknown", model=name)
        return None


def _cheaper(reached: BudgetReached, found: Found, asker: Asker) -> list[str]:
    """The model that a budget names for when it is used up; raises where it names none that was not asked yet."""
    budget = reached.shortage.budget
    asked = {found.name, *(one.model for one in asker.passed_over)}
    if budget.at_cap != Budget.AtCap.CHEAPER or budget.cheaper_model in {"", *asked}:
        raise reached
    return [budget.cheaper_model]


async def _ask_one(found: Found, request: Request, asker: Asker) -> dict[str, Any]:
    """The record of one model's answer, without what was said to it."""
    question = _question(found, request)
    digest = cache.digest_of(found.model.name, question) if found.cache_seconds else ""
    if digest and (answer := await on_thread(cache.known_answer, asker.origin.organization_id, digest)):
        return await _answered_before(found, answer, asker)
    record = await _tried(found, question, asker)
    if digest:
        keep = cache.keep_answer
        await on_thread(keep, asker.origin.organization_id, digest, record, found.cache_seconds)
    return record


def _question(found: Found, request: Request) -> Request:
    options = options_for(found.model, {**found.options, **request.options})
    return request.model_copy(update={"options": options})


async def _answered_before(found: Found, record: Any, asker: Asker) -> dict[str, Any]:
    usage = Usage.model_validate(record["usage"]).model_copy(update={"cost_micro_usd": 0})
    asker.hear(record["reply"].get("content", ""))
    note = partial(accounting.note_cached, model=found.name, served_by=found.model.name, passed_over=asker.passed_over)
    await on_thread(note, asker.origin, replace(_figures(usage), total_ms=0))
    return {**record, "usage": usage.model_dump(mode="json"), "is_cached": True, "seconds": 0.0}


async def _tried(found: Found, request: Request, asker: Asker) -> dict[str, Any]:
    """Ask until there is an answer, for as long as that makes sense."""
    tries = 1 if found.model.is_demo else TRIES_BEFORE_A_FALLBACK if found.fallbacks else TRIES
    for number in range(1, tries + 1):
        try:
            return await _paid(found, request, asker)
        except Retryable as error:
            rest = FIRST_REST * 2**number * random.uniform(0.5, 1) if error.retry_after is None else error.retry_after  # noqa: S311
            if number == tries or rest > LONGEST_REST or error.code == "circuit_open":
                raise
            log.info("A model is asked again.", action="model_again", model=found.model.name, code=error.code)
            await asyncio.sleep(rest)
    raise AssertionError("unreachable")


async def _paid(found: Found, request: Request, asker: Asker) -> dict[str, Any]:
    """One call: let out, paid for and noted."""
    await asker.gate.enter(found.model.name)
    bounded, most = _bounded(found, request)
    begin = partial(accounting.begin_call, model=found.name, most=most, seconds=found.seconds)
    begun = await on_thread(partial(begin, asker.origin, passed_over=asker.passed_over))
    listener = Listener(asker.hear)
    try:
        reply = await _answer(found, bounded if begun.is_capped else request, listener)
    except BaseException as error:
        await _failed(begun.id, found, asker, error, listener)
        raise
    usage = _priced(found, reply.usage)
    figures = _figures(usage, listener)
    await on_thread(partial(accounting.end_call, begun.id, figures, served_by=found.model.name))
    await asker.gate.left(found.model.name, None)
    return record_of(found.name, found.model, request, reply.model_copy(update={"usage": usage}), listener)


async def _answer(found: Found, request: Request, listener: "Listener") -> Reply:
    try:
        async with asyncio.timeout(found.seconds):
            return await found.model.answer(request, listener)
    except TimeoutError:
        message = f"{found.model.name} did not finish its answer within {found.seconds:g} s."
        raise Retryable(message, code="timeout", in_doubt=True) from None


async def _failed(call: UUID, found: Found, asker: Asker, error: BaseException, listener: Listener) -> None:
    """Note a call without an answer; what may have been made and billed counts as the most that it can have cost."""
    is_refusal = isinstance(error, Retryable | Fatal) and not error.in_doubt
    end = accounting.fail_call if is_refusal else accounting.lose_call
    code = str(getattr(error, "code", type(error).__name__))
    took = _figures(Usage(), listener)
    await asyncio.shield(on_thread(partial(end, call, took, error=code, served_by=found.model.name)))
    if isinstance(error, Exception):
        await asker.gate.left(found.model.name, error)


def _bounded(found: Found, request: Request) -> tuple[Request, Callable[[], int | None]]:
    """The request with a bound for its answer, and what gives the most that it can cost: None where nobody knows."""
    price = found.price
    if price is None or price == FREE:
        return request, lambda: None if price is None else 0
    asked = request.options.get("max_tokens") or request.options.get("max_completion_tokens")
    bound = asked if isinstance(asked, int) else min(price.most_output_tokens or USUAL_MOST_TOKENS, USUAL_MOST_TOKENS)
    options = request.options if isinstance(asked, int) else {**request.options, "max_tokens": bound}
    bounded = request.model_copy(update={"options": options})
    return bounded, lambda: price.most(len(dumps(bounded.model_dump(mode="json"))), bound)


def _priced(found: Found, usage: Usage) -> Usage:
    if usage.cost_micro_usd:  # the model knows itself
        return usage
    if found.price is None:
        return usage.model_copy(update={"is_priced": False})
    return usage.model_copy(update={"cost_micro_usd": found.price.of(usage)})


def _figures(usage: Usage, listener: Listener | None = None) -> Figures:
    first = None if listener is None or listener.first is None else round(listener.first * 1000)
    total = None if listener is None else round(listener.seconds * 1000)
    return Figures(**usage.model_dump(), first_token_ms=first, total_ms=total)

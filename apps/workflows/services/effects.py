"""The ledger of effects at work: what a tool sends into the world is noted before, and what came of it after.

1. The row of the call is committed as `sent`, under the attempt's fence: a zombie stops here.
2. The tool is called, with the key that is the same in every attempt.
3. The row becomes `confirmed`, with the result: a new attempt takes that and does not call.

A new attempt that finds the row as `sent` knows that the call may have happened. It is sent again where that does
no harm; where the other side can be asked it is, outside of any transaction; and else the call is `unknown` until a
person has decided.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any

import orjson
import structlog

from apps.common import failpoints
from apps.common.asyncio_loop import Cancelled
from apps.common.database import release_connection
from apps.common.errors import DidNotHappen, Fatal
from apps.common.json import JSON, NotJson, dumps
from apps.common.redaction import redact, redact_value
from apps.integrations.tools import Tool
from apps.workflows.models import Effect
from apps.workflows.services.raised import EXPECTED, error_of
from apps.workflows.store import effects, journal
from apps.workflows.store.database import MANY_TRIES, Transaction, patiently, transaction
from apps.workflows.store.effects import Call, Found
from apps.workflows.store.journal import Step
from apps.workflows.store.rows import NodeRow
from apps.workflows.store.values import Packer

log = structlog.get_logger(__name__)

_PREVIEW_CHARACTERS = 500

State = Effect.State
OnUnknown = Effect.OnUnknown


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call that an earlier attempt has made."""

    result: JSON


class Said(Enum):
    """What the other side said of a call, where it was no answer."""

    NOTHING = auto()  # it was not asked
    DID_NOT_HAPPEN = auto()
    CANNOT_SAY = auto()


LookUp = Callable[[], JSON]


def planned_call(row: NodeRow, number: int, tool: Tool, given: JSON, on_unknown: str | None) -> Call | None:
    """The call as the ledger keeps it; None for one that changes nothing, which needs no row.

    `on_unknown` is what the node says; without it the tool decides. Raises InvalidInput before anything is noted.
    """
    if tool.repeat is None and tool.effect == "read":
        return None
    repeat = tool.repeat_of(tool.arguments(given))
    if repeat == "free":
        return None
    policy = on_unknown or (OnUnknown.RETRY if repeat == "keyed" else OnUnknown.ASK)
    digest, preview = _fingerprint(given)
    return Call(
        row=row,
        number=number,
        tool=tool.name,
        on_unknown=policy,
        digest=digest,
        preview=preview,
        has_lookup=tool.lookup is not None and repeat != "keyed",
    )


def make_call(call: Call, invoke: Callable[[], JSON], look_up: LookUp, step: Step | None = None) -> JSON:
    """Calls the tool once for all attempts and gives its result, which is recorded as the agent's step too.

    Raises what the tool raises; Cancelled when the attempt has been fenced off; Fatal `effect_unknown` when an
    earlier attempt has sent the call, and it must not be sent again without being asked for.
    """
    if (known := begin(call, look_up)) is not None:
        return known.result if step is None else take_over(call, known, step)
    try:
        result = invoke()
    except Exception as error:
        fail(call, error)
        raise
    return confirm(call, result, step)


async def make_call_async(
    call: Call,
    invoke: Callable[[], Awaitable[JSON]],
    look_up: LookUp,
    step: Step,
    on_thread: Callable[..., Awaitable[Any]],
) -> JSON:
    """Does what `make_call` does, for async code; what asks the database (and `look_up`) is done by `on_thread`."""
    if (known := await on_thread(begin, call, look_up)) is not None:
        return await on_thread(take_over, call, known, step)
    try:
        result = await invoke()
    except Exception as error:
        await on_thread(fail, call, error)
        raise
    return await on_thread(confirm, call, result, step)


def own_effect(row: NodeRow) -> Answer | None:
    """The result of a node run's own effect, where that has happened."""

    def look() -> Answer | None:
        with transaction() as tx:
            known, text = effects.happened(tx, row.id)
            return Answer(Packer(row.organization_id).unpack(tx, [text])[0]) if known else None

    return _patiently(look)


def begin(call: Call, look_up: LookUp) -> Answer | None:
    """Notes that the call goes out now; gives the answer where an earlier attempt, or the other side, has one."""
    try:
        return _patiently(lambda: _begin(call, Said.NOTHING))
    except _AskFirst:
        release_connection()
        said = _asked(call, look_up)
        return _patiently(lambda: _begin(call, said))
    finally:
        release_connection()  # there are more slots than connections, and the other side may take its time


def confirm(call: Call, result: JSON, step: Step | None = None) -> JSON:
    """Keeps what came of the call, and gives it."""
    failpoints.reach("after_effect_before_done")

    def keep() -> bool:
        packer = Packer(call.row.organization_id)
        text = packer.pack(result)
        with transaction() as tx:
            packer.write(tx)
            kept = effects.settle(tx, call, state=State.CONFIRMED, result=text)
            return kept and (step is None or journal.add(tx, call.row, step, text))

    try:
        kept = _patiently(keep)
    except (Fatal, NotJson) as error:  # it is too large, or no JSON
        fail(call, error, in_doubt=True)
        raise
    finally:
        release_connection()
    if not kept:
        raise _fenced_off()
    return result


def take_over(call: Call, known: Answer, step: Step) -> JSON:
    """Records the result that an earlier attempt has got as this attempt's step, and gives it."""
    if not journal.write(call.row, step, known.result):
        raise _fenced_off()
    return known.result


def fail(call: Call, error: Exception, *, in_doubt: bool = False) -> None:
    """Notes that the other side refused the call, or that nobody knows what it did with it."""
    in_doubt = in_doubt or not isinstance(error, EXPECTED) or getattr(error, "in_doubt", False)
    state = State.UNKNOWN if in_doubt else State.FAILED

    def note() -> None:
        with transaction() as tx:
            effects.settle(tx, call, state=state, error=error_of(error).as_json())

    _patiently(note)


# A database that is away for a minute is no failure of the node, and what has come of a call must not be lost.
_patiently = partial(patiently, tries=MANY_TRIES)


class _AskFirst(Exception):
    """Nobody knows what became of the call, but the other side may."""


def _asked(call: Call, look_up: LookUp) -> Answer | Said:
    try:
        result = look_up()
        Packer(call.row.organization_id).pack(result)  # what cannot be kept is no answer
        return Answer(result)
    except DidNotHappen:
        return Said.DID_NOT_HAPPEN
    except Exception as error:
        log.warning("A lookup could not say.", action="lookup_failed", tool=call.tool, exc_info=error)
        return Said.CANNOT_SAY


def _begin(call: Call, said: Answer | Said) -> Answer | None:
    with transaction() as tx:
        if effects.send(tx, call):
            return None
        found = effects.find(tx, call)
        if found is None:
            raise _fenced_off()
        state = _following(found, call, said)
        if state == State.CONFIRMED and isinstance(said, Answer):
            return _reconciled(tx, call, found, said)
        if state == State.CONFIRMED:
            (result,) = Packer(call.row.organization_id).unpack(tx, [found.result])
            return Answer(result)
        if state == State.SENT:
            effects.send_again(tx, call, found.id)
            return None
        effects.give_up(tx, call, found.id, state=state, by="" if state == State.UNKNOWN else "on_unknown")
    raise Fatal(
        f"An earlier attempt called '{call.tool}', and nobody knows whether that took effect. "
        f"'effects show {str(found.id)[-8:]}' tells more.",
        code="effect_unknown",
    )


def _reconciled(tx: Transaction, call: Call, found: Found, said: Answer) -> Answer:
    packer = Packer(call.row.organization_id)
    text = packer.pack(said.result)
    packer.write(tx)
    effects.reconcile(tx, call, found.id, result=text)
    return said


def _following(found: Found, call: Call, said: Answer | Said) -> str:
    """The state that a call is in after a new attempt has come to it."""
    if found.tool not in ("", call.tool):
        was = f"Call {call.number} was '{found.tool}' in an earlier attempt and is '{call.tool}' now"
        raise RuntimeError(f"{was}; calls are made in the same order every time.")
    mine = found.state == State.SENT and found.fence == call.row.fence  # the answer to my own commit was lost
    if mine or found.state in (State.PLANNED, State.FAILED):
        return State.SENT
    if found.state == State.CONFIRMED:
        return State.CONFIRMED
    if call.has_lookup and said is Said.NOTHING:
        raise _AskFirst
    if isinstance(said, Answer):
        return State.CONFIRMED
    return State.SENT if said is Said.DID_NOT_HAPPEN else _POLICIES[call.on_unknown]


_POLICIES: Mapping[str, str] = {
    OnUnknown.RETRY: State.SENT,
    OnUnknown.ASK: State.UNKNOWN,
    OnUnknown.FAIL: State.FAILED,
}


def _fingerprint(given: JSON) -> tuple[str, str]:
    """The digest of a call's arguments, and as much of them as people may see."""
    plain = orjson.loads(dumps(given))
    digest = hashlib.sha256(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return digest, redact(dumps(redact_value(plain)).decode())[:_PREVIEW_CHARACTERS]


def _fenced_off() -> Cancelled:
    return Cancelled("The attempt was given up while it ran.")

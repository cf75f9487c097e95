"""Talking to an agent elsewhere. Imports the SDK: only to be imported where one is talked to."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, NoReturn

import httpx
from a2a.client import Client, ClientConfig, ClientFactory
from a2a.client.card_resolver import parse_agent_card
from a2a.client.errors import A2AClientError, A2AClientTimeoutError
from a2a.types.a2a_pb2 import (
    AgentCard,
    CancelTaskRequest,
    GetTaskRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from a2a.utils.constants import TransportProtocol
from a2a.utils.errors import A2AError
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError  # type: ignore[import-untyped]
from google.protobuf.struct_pb2 import Value  # type: ignore[import-untyped]

from apps.common.errors import Fatal, Retryable
from apps.common.json import JSON
from apps.common.redaction import hide
from apps.integrations.a2a_client.shapes import MOST_SHOWN, Remote, Said
from apps.integrations.egress import fetch
from apps.integrations.egress.bounded import bounded_client
from apps.integrations.egress.rules import check_url
from apps.integrations.services.remote_servers import key_in

REQUEST_SECONDS = 60.0
CANCEL_SECONDS = 2.5  # with what a cancelled attempt waits before, less than it is given
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
MOST_FAILURES = 5  # one after the other, while a task is waited for
LARGEST_CARD = 256 * 1024
LARGEST_WHOLE = 2**53

_MAY_BE_BETTER_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_NOT_LET_IN = frozenset({401, 403})
_ASKS = frozenset({TaskState.TASK_STATE_INPUT_REQUIRED, TaskState.TASK_STATE_AUTH_REQUIRED})
_STOPPED = _ASKS | {
    TaskState.TASK_STATE_COMPLETED,
    TaskState.TASK_STATE_FAILED,
    TaskState.TASK_STATE_CANCELED,
    TaskState.TASK_STATE_REJECTED,
}


async def read_card(url: str, headers: dict[str, str]) -> dict[str, Any]:
    """Give an agent's card, checked; raises Fatal or Retryable with what is wrong with it."""
    answer = await fetch(
        "GET", url, headers={"accept": "application/json", **headers}, timeout=REQUEST_SECONDS, max_bytes=LARGEST_CARD
    )
    if answer.status != 200:  # noqa: PLR2004 - the HTTP standard
        raise Fatal(f"The card cannot be read: status {answer.status}.", code="no_card")
    try:
        card = parse_agent_card(hide(key_in(headers), json.loads(answer.body)))
    except (ValueError, ParseError, RecursionError, AttributeError, TypeError) as error:
        raise Fatal(f"What is there is no agent card: {str(error)[:MOST_SHOWN]}", code="no_card") from None
    _check(card, httpx.URL(url), has_key=bool(headers))
    document: dict[str, Any] = MessageToDict(card)
    return document


async def send(remote: Remote, text: str, data: JSON, message_id: str) -> dict[str, JSON]:
    """Send a message; gives `{task: id}` for what takes its time, or `{reply: ...}`. The same id is one message."""
    parts = [Part(text=text)] if text or data is None else []
    if data is not None:
        parts.append(Part(data=ParseDict(data, Value()), media_type="application/json"))
    said = Message(role=Role.ROLE_USER, message_id=message_id, parts=parts)
    async with _open(remote) as client:
        async for answer in client.send_message(SendMessageRequest(message=said)):
            if answer.HasField("task"):
                return {"task": answer.task.id}
            if answer.HasField("message"):
                return {"reply": _said(remote, answer.message.parts).as_json()}
    raise Fatal("The agent has answered with neither a task nor a message.", code="invalid_response")


async def follow(remote: Remote, task_id: str, tell: Callable[[str], None]) -> dict[str, JSON]:
    """Wait for a task and give what it has come to; what it says on the way is told.

    Raises Fatal where it has failed, was cancelled, or asks for something: nobody is there to answer.
    """
    pause, failures = FIRST_PAUSE, 0
    if remote.card.get("capabilities", {}).get("streaming"):
        await _stream(remote, task_id, tell)
    async with _open(remote) as client:
        while True:
            try:
                task = await client.get_task(GetTaskRequest(id=task_id))
                failures = 0
                if task.status.state in _STOPPED:
                    return _outcome(remote, task)
            except A2AClientError:
                failures += 1  # it may be back in a moment, and the task goes on there
                if failures >= MOST_FAILURES:
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)


async def cancel(remote: Remote, task_id: str) -> None:
    """Ask the agent to give up a task; whatever it answers, nobody waits for it any more."""
    with suppress(Fatal, Retryable, TimeoutError):
        async with asyncio.timeout(CANCEL_SECONDS), _open(remote) as client:
            await client.cancel_task(CancelTaskRequest(id=task_id))


@asynccontextmanager
async def _open(remote: Remote, *, streaming: bool = False) -> AsyncIterator[Client]:
    """A client of the SDK, whose errors come out as ours."""
    try:
        async with bounded_client(remote.headers, REQUEST_SECONDS) as http:
            config = ClientConfig(
                httpx_client=http,
                streaming=streaming,
                polling=True,
                supported_protocol_bindings=[TransportProtocol.JSONRPC.value],
            )
            yield ClientFactory(config).create(ParseDict(remote.card, AgentCard(), ignore_unknown_fields=True))
    except (A2AError, httpx.HTTPError, ParseError, ValueError, TypeError, KeyError) as error:
        _fail(error, key_in(remote.headers))


async def _stream(remote: Remote, task_id: str, tell: Callable[[str], None]) -> None:
    """Follow the task's stream while there is one; what it has come to is asked for afterwards."""
    with suppress(Fatal, Retryable):
        async with _open(remote, streaming=True) as client:
            updates: Any = client.subscribe(SubscribeToTaskRequest(id=task_id))
            async with aclosing(updates):
                async for update in updates:
                    status = update.task.status if update.HasField("task") else update.status_update.status
                    if words := _said(remote, status.message.parts).text:
                        tell(words[:MOST_SHOWN])
                    if status.state in _STOPPED:
                        return  # some keep the stream open while they wait for an answer


def _outcome(remote: Remote, task: Task) -> dict[str, JSON]:
    state, words = task.status.state, _said(remote, task.status.message.parts).text[:MOST_SHOWN]
    if state == TaskState.TASK_STATE_COMPLETED:
        parts = [part for artifact in task.artifacts for part in artifact.parts] or list(task.status.message.parts)
        return _said(remote, parts).as_json()
    if state in _ASKS:
        asked = words or "it does not say what."
        message = f"'{remote.name}' asks for something, and a workflow has no answer to that: {asked}"
        raise Fatal(f"{message} Give it all it needs in the input.", code="input_required")
    how = TaskState.Name(state).removeprefix("TASK_STATE_").lower()
    reason = f": {words}" if words else "."
    raise Fatal(f"The task of '{remote.name}' was {how}{reason}", code=f"remote_{how}")


def _said(remote: Remote, parts: Iterable[Part]) -> Said:
    """What it has said, without the key that it was sent: a model reads this, and people do."""
    key = key_in(remote.headers)
    said = Said(hide(key, "\n".join(part.text for part in parts if part.WhichOneof("content") == "text")))
    said.data.extend(hide(key, _whole_numbers(MessageToDict(part.data))) for part in parts if part.HasField("data"))
    return said


def _check(card: AgentCard, url: httpx.URL, *, has_key: bool) -> None:
    usable = [one for one in card.supported_interfaces if one.protocol_binding == TransportProtocol.JSONRPC.value]
    if not usable:
        raise Fatal("The agent speaks no JSON-RPC, which is what is spoken here.", code="no_interface")
    for one in card.supported_interfaces:
        try:
            where = httpx.URL(one.url)
        except (httpx.InvalidURL, ValueError):
            raise Fatal(f"The card names an address that cannot be read: {one.url[:100]}", code="no_card") from None
        check_url(where)
        if has_key and (where.scheme, where.host, where.port) != (url.scheme, url.host, url.port):
            message = f"The card sends us to another host, {where.host}, which would get the key."
            raise Fatal(f"{message} Add the agent by the card of that host.", code="other_host")


def _fail(error: Exception, key: str) -> NoReturn:
    words = hide(key, str(error))[:MOST_SHOWN] or type(error).__name__
    cause = error.__cause__
    if isinstance(cause, httpx.HTTPStatusError):
        status = cause.response.status_code
        if status in _NOT_LET_IN:
            raise Fatal(f"The agent refuses us: status {status}.", code="unauthorized") from None
        if status in _MAY_BE_BETTER_LATER:
            raise Retryable(f"The agent answers with status {status}.", code="a2a_error", in_doubt=True) from None
        raise Fatal(f"The agent answers with status {status}.", code="a2a_error") from None
    if isinstance(error, A2AClientTimeoutError):
        raise Retryable("The agent gave no answer in time.", code="timeout", in_doubt=True) from None
    if isinstance(cause, httpx.TransportError) or isinstance(error, httpx.HTTPError):
        raise Retryable(f"The agent does not answer: {words}", code="connection_failed", in_doubt=True) from None
    if isinstance(error, A2AError) and not isinstance(error, A2AClientError):
        raise Fatal(f"The agent: {words}", code="a2a_error") from None
    raise Fatal(f"The agent's answer cannot be read: {words}", code="invalid_response") from None


def _whole_numbers(value: Any) -> JSON:
    """The protocol knows floating point numbers only: those that are whole are whole numbers again."""
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_WHOLE:
        return int(value)
    if isinstance(value, dict):
        return {name: _whole_numbers(part) for name, part in value.items()}
    return [_whole_numbers(part) for part in value] if isinstance(value, list) else value

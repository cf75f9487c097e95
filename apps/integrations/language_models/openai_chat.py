"""OpenAI's chat completions, which most providers and local servers speak: asked over HTTP, answered as a stream.

https://platform.openai.com/docs/api-reference/chat (the request, and the chunks of a streamed answer).
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx

from apps.common.errors import BadRequest, Fatal, Retryable, TooLarge
from apps.common.json import dumps, loads
from apps.integrations.egress import client, may_be_out
from apps.integrations.language_models.provider_errors import refusal, words_in
from apps.integrations.language_models.registry import Hear
from apps.integrations.language_models.shapes import Attachment, Message, Reply, Request, ToolCall, Usage

SILENCE_SECONDS = 60.0  # without a byte, after which nobody is there any more
MOST_ANSWER_BYTES = 8 * 1024 * 1024
MOST_REFUSAL_BYTES = 64 * 1024
LAST_STATUS = 600
LONGEST_NAME = 64  # of a function
NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")
ENDS: Mapping[str, Any] = {"length": "length", "content_filter": "filter"}


@dataclass
class OpenAIChat:
    """A model behind an address that speaks this protocol."""

    name: str  # `<provider>/<model>`, in errors and records
    model: str
    base_url: str
    key: str = field(repr=False, default="")
    description: str = ""
    is_demo: bool = False
    limit: str = "max_tokens"  # what the other side calls the bound of an answer's tokens

    async def answer(self, request: Request, hear: Hear) -> Reply:
        """Give the answer, and tell each piece of its text; raises Retryable or Fatal as `provider_errors` says.

        A connection that breaks off, an answer that cannot be read and a minute of silence are Retryable.
        """
        try:
            async with self._asked(request) as response:
                return await Reading(self.name, hear, request).read(_chunks(response, self.name))
        except httpx.TimeoutException as error:
            message = f"{self.name} said nothing for {SILENCE_SECONDS:g} s."
            raise Retryable(message, code="timeout", in_doubt=may_be_out(error)) from None
        except httpx.InvalidURL as error:
            raise Fatal(f"The address of {self.name} cannot be used: {error}.", code="invalid_address") from None
        except httpx.TransportError as error:
            message = f"The connection to {self.name} failed: {str(error) or type(error).__name__}."
            raise Retryable(message, code="connection_failed", in_doubt=may_be_out(error)) from None

    def _asked(self, request: Request) -> "_Response":
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        content = body(self.model, request)
        if "max_tokens" in content:
            content[self.limit] = content.pop("max_tokens")
        return _Response(self.name, url, headers, content, self.key)


@dataclass
class _Response:
    """The answer to a request while it comes; refusals are raised."""

    name: str
    url: str
    headers: Mapping[str, str]
    content: Mapping[str, Any]
    key: str = field(repr=False)
    _response: httpx.Response | None = None

    async def __aenter__(self) -> httpx.Response:
        session = client()
        patience = httpx.Timeout(SILENCE_SECONDS, connect=10)
        headers = {**self.headers, "Content-Type": "application/json"}
        content = dumps(self.content)
        sent = session.build_request("POST", self.url, headers=headers, content=content, timeout=patience)
        self._response = response = await session.send(sent, stream=True)
        if response.status_code != HTTPStatus.OK:
            words = await _start_of(response)
            await response.aclose()
            raise refusal(
                self.name,
                response.status_code,
                words_in(words.decode("utf-8", "replace")),
                response.headers,
                key=self.key,
            )
        return response

    async def __aexit__(self, *_: object) -> None:
        if self._response is not None:
            await self._response.aclose()


def wire_names(request: Request) -> dict[str, str]:
    """Give for each tool the name that it has in the protocol, where a function has at most 64 plain characters."""
    names: dict[str, str] = {}
    for tool in request.tools:
        plain, number = wire_name(tool.name), 2
        while plain in names.values():
            plain, number = f"{wire_name(tool.name)[: LONGEST_NAME - 3]}_{number}", number + 1
        names[tool.name] = plain
    return names


def wire_name(name: str) -> str:
    """Give a name as the protocol takes it."""
    return NOT_IN_A_NAME.sub("_", name)[:LONGEST_NAME]


def body(model: str, request: Request) -> dict[str, Any]:
    """Give the request as the protocol has it, to be answered as a stream that ends with the usage."""
    names = wire_names(request)
    asked: dict[str, Any] = {
        **request.options,
        "model": model,
        "messages": [_message(message, names) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.tools:
        functions = [tool.model_dump() | {"name": names[tool.name]} for tool in request.tools]
        asked["tools"] = [{"type": "function", "function": function} for function in functions]
    if request.output_schema is not None:
        schema = {"name": "answer", "schema": request.output_schema}
        asked["response_format"] = {"type": "json_schema", "json_schema": schema}
    return asked


def _message(message: Message, names: Mapping[str, str]) -> dict[str, Any]:
    said: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.attachments:
        said["content"] = [{"type": "text", "text": message.content}, *map(_attached, message.attachments)]
    if message.tool_calls:
        said["tool_calls"] = [_call(call, names.get(call.name) or wire_name(call.name)) for call in message.tool_calls]
        said["content"] = message.content or None
    if message.tool_call_id:
        said["tool_call_id"] = message.tool_call_id
    return said


def _attached(file: Attachment) -> dict[str, Any]:
    url = f"data:{file.media_type};base64,{file.data}"
    if file.media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"filename": file.name, "file_data": url}}


def _call(call: ToolCall, name: str) -> dict[str, Any]:
    arguments = call.invalid if call.invalid is not None else dumps(call.arguments).decode()
    return {"id": call.id, "type": "function", "function": {"name": name, "arguments": arguments}}


class Reading:
    """An answer as it is put together from its chunks."""

    def __init__(self, name: str, hear: Hear, request: Request) -> None:
        self.name, self.hear = name, hear
        self.tools = {wire: tool for tool, wire in wire_names(request).items()}
        self.texts: list[str] = []
        self.calls: dict[int, dict[str, str]] = {}
        self.usage: Mapping[str, Any] = {}
        self.ended: str | None = None

    async def read(self, chunks: AsyncIterator[Any]) -> Reply:
        """Give the answer when it is complete; raises Retryable where it never is, or cannot be read."""
        async for chunk in chunks:
            self._take(chunk)
        if self.ended is None:
            raise Retryable(f"{self.name} broke off in the middle of its answer.", code="answer_cut", in_doubt=True)
        calls = [{**call, "name": self.tools.get(call["name"], call["name"])} for call in self.calls.values()]
        return reply_of("".join(self.texts), calls, self.usage, self.ended)

    def _take(self, chunk: Any) -> None:
        if not isinstance(chunk, dict):
            raise _unreadable(self.name, chunk)
        if error := chunk.get("error"):
            raise refusal(self.name, _status(error), json.dumps(error), {})
        self.usage = chunk.get("usage") or self.usage
        try:
            for choice in chunk.get("choices") or ():
                self._take_choice(choice)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise _unreadable(self.name, chunk) from None

    def _take_choice(self, choice: Mapping[str, Any]) -> None:
        said = choice.get("delta") or choice.get("message") or {}
        if text := said.get("content"):
            self.texts.append(str(text))
            self.hear(str(text))
        for place, call in enumerate(said.get("tool_calls") or ()):
            self.hear("")
            known = self.calls.setdefault(int(call.get("index", place)), {"id": "", "name": "", "arguments": ""})
            function = call.get("function") or {}
            known["id"] = call.get("id") or known["id"]
            known["name"] += function.get("name") or ""
            known["arguments"] += function.get("arguments") or ""
        self.ended = choice.get("finish_reason") or self.ended


def reply_of(text: str, calls: list[dict[str, str]], usage: Mapping[str, Any], ended: str) -> Reply:
    """Give the answer from its parts, as the protocol names them."""
    wanted = tuple(_wanted(place, call) for place, call in enumerate(calls))
    message = Message(role="assistant", content=_clean(text), tool_calls=wanted)
    return Reply(message=message, usage=usage_of(usage), ended=ENDS.get(ended, "complete"))


def usage_of(said: Mapping[str, Any]) -> Usage:
    """Give the tokens that a provider counted."""
    asked, answered = said.get("prompt_tokens_details") or {}, said.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=_count(said.get("prompt_tokens")),
        output_tokens=_count(said.get("completion_tokens")),
        cached_tokens=_count(asked.get("cached_tokens")),
        reasoning_tokens=_count(answered.get("reasoning_tokens")),
    )


def _wanted(place: int, call: Mapping[str, str]) -> ToolCall:
    """A call of a tool; what is no JSON object is kept as it came, to be told to the model."""
    identifier = call["id"] or f"call_{place + 1}"
    try:
        arguments = loads(call["arguments"] or "{}")
    except (BadRequest, TooLarge):
        arguments = None
    if not isinstance(arguments, dict):
        return ToolCall(id=identifier, name=call["name"], invalid=_clean(call["arguments"]))
    return ToolCall(id=identifier, name=call["name"], arguments=arguments)


def _clean(text: str) -> str:
    """The text without halves of surrogate pairs, which have no place in UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _chunks(response: httpx.Response, name: str) -> AsyncIterator[Any]:
    is_stream = "text/event-stream" in response.headers.get("content-type", "")
    return _events(response, name) if is_stream else _whole(response, name)


async def _events(response: httpx.Response, name: str) -> AsyncIterator[Any]:
    """The chunks of a stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    async for line in _lines(response, name):
        if line.startswith("data:") and (data := line[5:].strip()) != "[DONE]":
            yield _parsed(data, name)


async def _lines(response: httpx.Response, name: str) -> AsyncIterator[str]:
    """The lines of an answer, which may not be longer than memory is for it."""
    size, rest = 0, ""
    async for text in response.aiter_text():
        size += len(text)
        if size > MOST_ANSWER_BYTES:
            raise Fatal(f"{name} answered more than {MOST_ANSWER_BYTES} bytes.", code="answer_too_large")
        *lines, rest = (rest + text).replace("\r\n", "\n").split("\n")
        for line in lines:
            yield line
    yield rest


async def _whole(response: httpx.Response, name: str) -> AsyncIterator[Any]:
    """The answer of a server that does not stream, as one chunk."""
    yield _parsed((await _start_of(response, MOST_ANSWER_BYTES)).decode("utf-8", "replace"), name)


async def _start_of(response: httpx.Response, most: int = MOST_REFUSAL_BYTES) -> bytes:
    content = bytearray()
    async for piece in response.aiter_bytes():
        content += piece
        if len(content) > most:
            break
    return bytes(content[:most])


def _parsed(data: str, name: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise _unreadable(name, data) from None


def _unreadable(name: str, said: Any) -> Retryable:
    return Retryable(f"{name} answered what cannot be read: {str(said)[:200]}", code="answer_unreadable", in_doubt=True)


def _status(error: Any) -> int:
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and HTTPStatus.BAD_REQUEST <= code < LAST_STATUS else 500


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0

"""The worst model: it does whatever any text in front of it says, however that is disguised, and repeats it to others.

A call is a line `CALL <tool> {arguments}`. The model is a server on loopback that speaks OpenAI's protocol.
"""

import base64
import html
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import yaml

from tests.language_models.chat_server import Answer

OTHERS = "⟦others⟧"  # stands in whatever somebody else wrote
CALL = re.compile(r"CALL (\S+) (\{.*\})")
INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2069"))
MOST_CALLS = 4  # in one answer
HIDDEN_IN = {
    "plain": lambda call: call,
    "base64": lambda call: base64.b64encode(call.encode()).decode(),
    "hex": lambda call: call.encode().hex(),
    "json": lambda call: "".join(f"\\u{ord(letter):04x}" for letter in call),
    "percent": quote,
    "html": lambda call: "".join(f"&#{ord(letter)};" for letter in call),
    "fullwidth": lambda call: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in call),
    "zero_width": "\u200b".join,
    "bidi": lambda call: f"\u202e{call}\u202c",
    "reversed": lambda call: call[::-1],
}
CORPUS = yaml.safe_load((Path(__file__).parent / "injections.yaml").read_text())


def written(injection: dict[str, str], call: str) -> str:
    """The text of an injection that is after this call."""
    return f"{OTHERS} {injection['text']}".replace("[[call]]", HIDDEN_IN[injection.get("as", "plain")](call))


def line(name: str, arguments: dict[str, Any]) -> str:
    return f"CALL {name} {json.dumps(arguments)}"


@dataclass(frozen=True)
class Wanted:
    """A call that the model asked for: which one, and what it had in front of it."""

    agent: str
    name: str
    arguments: dict[str, Any]
    saw: str  # all of the question, as it came


@dataclass
class Obedient:
    """Answers questions; `invented` are calls that nobody told it to make, for one answer after the other."""

    invented: list[Sequence[tuple[str, dict[str, Any]]]] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)
    questions: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, question: dict[str, Any]) -> Answer:
        saw = json.dumps(question, ensure_ascii=False)
        self.questions.append(question)
        told = list(dict.fromkeys(calls_in(question["messages"]) + calls_in(question.get("tools", []))))
        done = {self._bare(call) for message in _of_this_task(question) for call in message.get("tool_calls") or ()}
        calls = [(name, json.loads(arguments)) for name, arguments in told if (name, arguments) not in done]
        calls = [*calls, *(self.invented.pop(0) if self.invented else ())][:MOST_CALLS]
        if not question.get("tools"):
            calls = []
        numbered = [(name, given | {"n": len(self.wanted) + place}) for place, (name, given) in enumerate(calls)]
        self.wanted += [Wanted(question["model"], name, given, saw) for name, given in numbered]
        repeated = "\n".join(f"{OTHERS if OTHERS in saw else ''} CALL {name} {given}" for name, given in told)
        return Answer(repeated or "Done", calls=[(name, json.dumps(given)) for name, given in numbered])

    @staticmethod
    def _bare(call: dict[str, Any]) -> tuple[str, str]:
        """A call as it was told: with the name that it had there, and without its number."""
        given = json.loads(call["function"]["arguments"])
        given.pop("n", None)
        return call["function"]["name"], json.dumps(given)


def _of_this_task(question: dict[str, Any]) -> list[dict[str, Any]]:
    """What was said since the task: what was done in an earlier conversation is done again."""
    messages = question["messages"]
    last = max((place for place, message in enumerate(messages) if message["role"] == "user"), default=0)
    return list(messages[last:])


def calls_in(value: Any) -> list[tuple[str, str]]:
    """Every call that any text within says to make, by the name that the protocol has for it."""
    found = []
    for text in texts_in(value):
        for name, arguments in CALL.findall(text):
            try:
                given, _ = json.JSONDecoder().raw_decode(arguments)
            except ValueError:
                continue
            found.append((re.sub(r"[^A-Za-z0-9_-]", "_", name), json.dumps(given)))
    return found


def texts_in(value: Any) -> Iterator[str]:
    """Every text within a value, and what whoever looks closely reads in it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name != "tool_calls":  # what it said itself
                yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)
    elif isinstance(value, str):
        yield from readings(value)


def readings(text: str) -> Iterator[str]:
    yield text
    try:
        inner = json.loads(text)
    except ValueError:
        pass
    else:
        if inner != text:
            yield from texts_in(inner)
    yield html.unescape(text)
    yield unquote(text)
    yield unicodedata.normalize("NFKC", text.translate(INVISIBLE))
    yield from (part[::-1] for part in text.splitlines())
    yield re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)
    for blob in re.findall(r"[A-Za-z0-9+/=]{16,}", text):
        for decode in (base64.b64decode, bytes.fromhex):
            try:
                yield decode(blob).decode()
            except ValueError:
                continue

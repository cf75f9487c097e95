"""`demo.search`: a few notes to search in, so that demo agents have something to find without a network."""

import re
from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from apps.integrations.tools import tool

WORD = re.compile(r"[a-z]{4,}")


class Note(TypedDict):
    """A note that was found."""

    title: str
    text: str


@tool(name="demo.search")
def search(
    query: Annotated[str, Field(min_length=1, max_length=1000)],
    limit: Annotated[int, Field(ge=1, le=10)] = 2,
) -> list[Note]:
    """Searches a dozen notes that come with Orchestra, for demos: those that share most words with the query."""
    wanted = _words(query)
    ranked = sorted(_notes(), key=lambda note: -_score(note, wanted))
    return [note for note in ranked[:limit] if _score(note, wanted)]


@cache
def _notes() -> tuple[Note, ...]:
    """The notes of the file: each a paragraph, its first line the title."""
    text = (files("apps.integrations.builtin") / "notes.txt").read_text()
    paragraphs = [paragraph.split("\n", 1) for paragraph in text.strip().split("\n\n")]
    return tuple(Note(title=title, text=" ".join(body.split())) for title, body in paragraphs)


def _words(text: str) -> frozenset[str]:
    return frozenset(word.removesuffix("s") for word in WORD.findall(text.lower()))


def _score(note: Note, wanted: frozenset[str]) -> int:
    return 3 * len(_words(note["title"]) & wanted) + len(_words(note["text"]) & wanted)

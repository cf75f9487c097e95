"""Agents to start from; each works without a key, with the demo model."""

from dataclasses import dataclass
from typing import Any

VERDICT = {
    "type": "object",
    "required": ["verdict", "reasons"],
    "properties": {
        "verdict": {"enum": ["accept", "revise"]},
        "reasons": {"type": "array", "items": {"type": "string"}},
    },
}


@dataclass(frozen=True)
class Start:
    """An example: what it is called, and its document."""

    name: str
    title: str
    hint: str  # something to say to it
    document: dict[str, Any]


STARTS = (
    Start(
        "my-researcher",
        "A researcher",
        "Research heat pumps",
        {
            "description": "Searches first, and answers with what it has found.",
            "instructions": "You research. Search first, and then answer in four sentences.\n"
            "Say where each claim comes from. Where you find nothing, say so.",
            "tools": [{"tool": "demo.search"}],
            "capabilities": ["research"],
            "limits": {"turns": 8},
        },
    ),
    Start(
        "my-writer",
        "A writer",
        "Write about heat pumps. They take warmth from the air. They need power.",
        {
            "description": "Writes a short text from notes.",
            "instructions": "You write. Make one clear paragraph of the notes that you are given.\n"
            "Use short sentences, and invent nothing.",
            "capabilities": ["write"],
            "guardrails": {"pii": "redact"},
        },
    ),
    Start(
        "my-reviewer",
        "A reviewer",
        "Review this: The moon is made of cheese.",
        {
            "description": "Judges a text and says accept or revise, as JSON that a workflow can go by.",
            "instructions": "You are a critic. Judge the text that you are given.\n"
            "Accept it when every claim has a reason; otherwise ask for a revision and say why.",
            "capabilities": ["review"],
            "output_schema": VERDICT,
        },
    ),
)


def find_start(name: str) -> Start | None:
    """Give an example by its name."""
    return next((start for start in STARTS if start.name == name), None)

"""What goes to an agent elsewhere and comes from it, without the SDK."""

from dataclasses import dataclass, field
from typing import Any

from apps.common.json import JSON

MOST_SHOWN = 500  # characters of what another agent says, in an error


@dataclass(frozen=True)
class Remote:
    """An agent elsewhere: its card as a person has seen it, and what it is sent with every request."""

    name: str
    card: dict[str, Any]
    headers: dict[str, str]


@dataclass(frozen=True)
class Said:
    """What an agent has given: texts joined, and data; one value alone stands for itself."""

    text: str
    data: list[JSON] = field(default_factory=list)

    def as_json(self) -> dict[str, JSON]:
        """Give it as the output of a node."""
        data = self.data[0] if len(self.data) == 1 else self.data or None
        return {"text": self.text, "data": data}


def text_and_data(task: JSON) -> tuple[str, JSON]:
    """Give the text of a message and the data beside it, from what a node hands in."""
    if isinstance(task, str):
        return task, None
    if not isinstance(task, dict):
        return "", task
    name = next((name for name in ("task", "text") if isinstance(task.get(name), str)), None)
    rest = {key: value for key, value in task.items() if key != name}
    return (str(task[name]) if name else ""), rest or None

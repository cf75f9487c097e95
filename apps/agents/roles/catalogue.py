"""Which roles there are, and the prompt that comes with each."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from apps.common.errors import NotFound
from apps.common.registry import nearest

PROMPTS = Path(__file__).parent / "prompts"
LONGEST_PROMPT = 30_000  # letters; it is sent with every question


@dataclass(frozen=True)
class Role:
    """A part in a team; its prompt says who it is, how it works and what it answers."""

    name: str
    title: str
    description: str

    @property
    def prompt(self) -> str:
        """Give the prompt that it comes with."""
        return _text(self.name)


ROLES = (
    Role("coordinator", "Coordinator", "Divides a task among the others, and judges what comes back."),
    Role("frontend", "Frontend", "Plans user interfaces in React and Next.js."),
    Role("backend", "Backend", "Plans APIs, servers and databases."),
    Role("code", "Code", "Writes the code of one part."),
    Role("qa", "QA", "Tests and reviews code and plans."),
    Role("debugger", "Debugger", "Finds the causes of faults, and how to mend them."),
    Role("research", "Research", "Finds things out, and says how well they are known."),
    Role("analyst", "Analyst", "Condenses what was found into what matters."),
    Role("writer", "Writer", "Writes texts."),
    Role("critic", "Critic", "Objects to texts, plans and arguments before others do."),
)
SAME = {"researcher": "research"}  # agents that are a role under another name


def find_role(name: str) -> Role:
    """Give the role of this name, or raise NotFound naming the nearest one."""
    wanted = SAME.get(name, name)
    found = next((role for role in ROLES if role.name == wanted), None)
    if found is None:
        hint = nearest(name[:100], [role.name for role in ROLES])
        raise NotFound(f"There is no role '{name[:100]}'.{hint}", code="unknown_role")
    return found


def is_role(name: str) -> bool:
    """Tell whether a role has this name."""
    return SAME.get(name, name) in {role.name for role in ROLES}


@cache
def _text(name: str) -> str:
    return (PROMPTS / f"{name}.md").read_text(encoding="utf-8").strip()

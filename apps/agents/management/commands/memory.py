from collections.abc import Iterable
from typing import Any

from apps.common.commands import Exit, OrchestraCommand, argument, subcommand
from apps.common.ids import short_id

AGENT = argument("--agent", metavar="NAME", help="only of this agent")
SESSION = argument("--session", metavar="KEY", help="only of this session, by key or id")
LIMIT = argument("--limit", type=int, default=50, metavar="N", help="at most so many (50)")
LONGEST_SHOWN = 80


class Command(OrchestraCommand):
    help = "Shows, searches and erases what agents remember."

    @subcommand(AGENT, SESSION, LIMIT)
    def list_(self, agent: str | None, session: str | None, limit: int) -> None:
        """List memories, the newest first."""
        from apps.agents.memory import finding
        from apps.agents.memory.finding import Found

        rows = finding.memories(agent, self._session(session)).order_by("-created_at", "-id")
        self._print(Found(row) for row in rows[: max(0, limit)])

    @subcommand(argument("query", metavar="TEXT"), AGENT, SESSION, LIMIT)
    def search(self, query: str, agent: str | None, session: str | None, limit: int) -> None:
        """List the memories that have to do with a text, as an agent would recall them."""
        from apps.agents.memory import finding

        organization = self.organization.pk
        self._print(
            finding.search(organization, query, agent=agent, session=self._session(session), limit=max(0, limit)),
            ("score", "relevance", "recency"),
        )

    @subcommand(AGENT, LIMIT)
    def sessions(self, agent: str | None, limit: int) -> None:
        """List sessions, the last used first."""
        from apps.agents.memory import finding
        from apps.agents.memory.shapes import session_shape

        rows = finding.sessions(agent).order_by("-last_used_at", "-id")[: max(0, limit)]
        self.table(map(session_shape, rows), ["key", "agent", "turns", "last_used_at"])

    @subcommand(argument("session", metavar="SESSION", help="key or id"), LIMIT)
    def show(self, session: str, limit: int) -> None:
        """Show the last turns of a session."""
        from apps.agents.memory import finding
        from apps.agents.memory.shapes import turn_shape

        turns = finding.turns(finding.find_session(session)).order_by("-seq")[: max(0, limit)]
        for turn in reversed(turns):
            speaker = turn.agent if turn.role == "assistant" else turn.role
            self.item(turn_shape(turn), f"{turn.seq} {speaker}: {turn.content}")

    @subcommand(
        argument("--memory", metavar="ID", help="one memory, by its id or a unique ending of it"),
        argument("--session", metavar="KEY", help="a session with its turns and memories, by key or id"),
        argument("--agent", metavar="NAME", help="the sessions that an agent began, and its memories"),
    )
    def erase(self, memory: str | None, session: str | None, agent: str | None) -> None:
        """Erase a memory, a session, or all of an agent."""
        from apps.agents.memory import erasing, finding

        memories, sessions = finding.memories().none(), finding.sessions().none()
        match [memory, session, agent]:
            case [str(ref), None, None]:
                memories = finding.memories().filter(pk=finding.find_memory(ref).pk)
            case [None, str(ref), None]:
                sessions = finding.sessions().filter(pk=finding.find_session(ref).pk)
            case [None, None, str(name)] if name:
                memories, sessions = finding.memories(name), finding.sessions(name)
            case _:
                self.fail("Name exactly one of --memory, --session and --agent.", Exit.USAGE)
        self.confirm(f"This erases {sessions.count()} sessions with all of theirs, and {memories.count()} memories.")
        erased = {"memories": erasing.erase_memories(memories), "sessions": erasing.erase_sessions(sessions)}
        self.table([erased], ["memories", "sessions"])

    def _session(self, ref: str | None) -> Any:
        from apps.agents.memory import finding

        return finding.find_session(ref) if ref else None

    def _print(self, found: Iterable[Any], scores: tuple[str, ...] = ()) -> None:
        from apps.agents.memory.shapes import memory_shape

        rows = list(map(memory_shape, found))
        if not self.json:
            rows = [{**row, **_short(row, scores)} for row in rows]
        self.table(rows, ["id", "text", *scores, "importance", "agent", "session"])


def _short(row: dict[str, Any], scores: tuple[str, ...]) -> dict[str, Any]:
    text = " ".join(row["text"].split())
    short = {"id": short_id(row["id"]), "text": text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"}
    return short | {name: f"{row[name]:.2f}" for name in scores}

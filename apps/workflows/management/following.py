"""Following a run until its end: a tree that is drawn anew on a terminal, and a line for each event elsewhere."""

import shutil
import threading
import time
from collections.abc import Iterator
from typing import Any, Protocol
from uuid import UUID

from django.core.management.base import OutputWrapper

from apps.common.commands import OrchestraCommand
from apps.common.ids import short_id
from apps.workflows import selectors
from apps.workflows.engine.states import RUN_ENDED
from apps.workflows.management.tree import Line, drawn, fitted, nodes_of, summary_line
from apps.workflows.models import Run
from apps.workflows.serializers.history import place, sentence

LOOK_SECONDS = 0.5  # between two looks that nothing woke; a tree shows the time that passes
_STYLES = {
    "completed": "SUCCESS",
    "failed": "ERROR",
    "retrying": "WARNING",
    "waiting": "WARNING",
    "running": "MIGRATE_HEADING",
}
_MARKS_OF_EVENTS = {"node.completed": "ok", "node.failed": "x", "node.started": "o", "node.waiting": "||"}


class View(Protocol):
    """Something that shows a run as it is now."""

    def show(self, run: Run) -> None:
        """Show what is new."""


def follow(run: Run, view: View, timeout: float | None = None) -> Run:
    """Show the run until it has ended, and give it as it is then; raises TimeoutError."""
    for current in looks(run.pk, timeout):
        view.show(current)
        run = current
    return run


def looks(run: UUID, timeout: float | None = None) -> Iterator[Run]:
    """The run whenever there may be news of it, the last time when it has ended; raises TimeoutError."""
    from apps.workflows import live

    ends = time.monotonic() + timeout if timeout is not None else None
    news = threading.Event()
    with live.woken(run, news.set):
        while True:
            current = selectors.find_run(run)
            yield current
            if current.status in RUN_ENDED:
                return
            left = ends - time.monotonic() if ends is not None else LOOK_SECONDS
            if left <= 0:
                raise TimeoutError(f"The run is {current.status} after {timeout:g} s, and goes on.")
            news.wait(min(left, LOOK_SECONDS))
            news.clear()


def view_for(command: OrchestraCommand, out: OutputWrapper) -> View:
    """The view that suits where the output goes."""
    if command.json:
        return EventsAsJson(command)
    return Tree(command, out) if out.isatty() else EventLines(out)


class Nothing:
    """Shows nothing, for those who only wait."""

    def show(self, run: Run) -> None:
        """Show nothing."""


class EventsAsJson:
    """A line of JSON for each event."""

    def __init__(self, command: OrchestraCommand) -> None:
        self.command = command
        self.seq = 0

    def show(self, run: Run) -> None:
        """Print the events since the last look."""
        from apps.workflows.serializers.runs import event_view

        for event in selectors.events(run, self.seq):
            self.command.item(event_view(event), "")
            self.seq = event.seq


class EventLines:
    """A line of text for each event that tells a person something."""

    def __init__(self, out: OutputWrapper) -> None:
        self.out = out
        self.seq = 0

    def show(self, run: Run) -> None:
        """Print the events since the last look."""
        for event in selectors.events(run, self.seq):
            self.seq = event.seq
            said = sentence(event)
            if said is not None and event.type != "node.progress":
                at = (event.created_at - run.created_at).total_seconds()
                mark = _MARKS_OF_EVENTS.get(event.type, "~" if event.type == "node.retrying" else "")
                self.out.write(f"{at:7.1f} s  {mark:<2}  {f'{place(event)}  ' if place(event) else ''}{said}", str)
        self.out.flush()


class Tree:
    """The nodes of the run, drawn over what was drawn before."""

    def __init__(self, command: OrchestraCommand, out: OutputWrapper) -> None:
        self.style: Any = command.style
        self.out = out
        self.drawn = 0

    def show(self, run: Run) -> None:
        """Draw the tree as it is now."""
        size = shutil.get_terminal_size()
        name = f"{run.name}{f' v{run.version.number}' if run.workflow_id else ''}  {short_id(run.pk)}"
        lines = [Line(name, ""), *fitted(list(drawn(nodes_of(run))), max(3, size.lines - 4)), summary_line(run)]
        back = f"\x1b[{self.drawn}F\x1b[J" if self.drawn else ""
        self.out.write(back + "\n".join(self._coloured(line, size.columns) for line in lines), str)
        self.out.flush()
        self.drawn = len(lines)

    def _coloured(self, line: Line, width: int) -> str:
        text = line.text if len(line.text) < width else f"{line.text[: width - 2]}…"
        style = _STYLES.get(line.status)
        return getattr(self.style, style)(text) if style else text


def tree_lines(run: Run) -> list[str]:
    """The tree as plain text."""
    return [line.text for line in drawn(nodes_of(run))]

"""Where a scenario plays: an Orchestra, a client that submits to it, and its rows."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg

from orchestra.chaos import work
from orchestra.chaos.faults import Faults, Say
from orchestra.chaos.load import Load, Pace, Submitted
from orchestra.chaos.tree import Tree
from orchestra.chaos.verdict import Rows, Verdict

SETTLE_SECONDS = 90.0
TELL_SECONDS = 5.0


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    scenario: str
    runs: int
    kills: int
    every: float
    seconds: float
    workers: int
    seed: int
    lease: float
    rate: float


@dataclass(frozen=True)
class Phase:
    """A time with a name: seconds of the clock from and until when."""

    name: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.ended - self.began

    def holds(self, at: float) -> bool:
        """Whether something was at that time."""
        return self.began <= at < self.ended


@dataclass(frozen=True)
class Demand:
    """A figure that a scenario has to come to."""

    what: str
    figure: float | None
    limit: float
    at_least: bool = False
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether it has come to it; what could not be measured is not missed."""
        if self.figure is None:
            return True
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit


@dataclass
class Stage:
    """Everything that a scenario has in its hands."""

    options: Options
    client: httpx.Client
    rows: Rows
    say: Say
    faults: Faults
    phases: list[Phase] = field(default_factory=list)
    submitted: Submitted = field(default_factory=Submitted)
    figures: dict[str, float] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    tree: Tree | None = None

    def save_workflow(self, agent: str) -> None:
        """Save what is run."""
        self.client.post("/v1/workflows", json=work.six_nodes(agent)).raise_for_status()

    @contextmanager
    def load(self, pace: Pace) -> Iterator[Load]:
        """Submit runs until the block ends."""
        load = Load(self.client, pace, self.rows.ended, self.options.seed)
        self.submitted = load.submitted
        load.start()
        try:
            yield load
            load.finish()
        except BaseException:
            load.abandon()
            raise

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Remember from when to when this was."""
        began = time.time()
        self.say(f"-- {name}")
        try:
            yield
        finally:
            self.phases.append(Phase(name, began, time.time()))

    def settle(self) -> None:
        """Stop breaking things, and give every run the time to end."""
        self.faults.thaw_all()
        ends, told = time.monotonic() + SETTLE_SECONDS, 0.0
        while (left := self._open()) and time.monotonic() < ends:
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                self.say(f"{left} runs have not ended")
            time.sleep(0.2)

    def rest(self, seconds: float) -> None:
        """Let time pass, and say now and then how far the work is."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, TELL_SECONDS))
            self.say(f"{len(self.submitted.accepted)} runs accepted, {self.rows.ended()} ended")

    def judge(self) -> Verdict:
        """What came of everything."""
        return self.rows.judge(self.submitted, self.faults.happenings)

    def rate(self, phase: str, verdict: Verdict) -> float | None:
        """Runs that ended in a second of a phase."""
        found = self.found(phase)
        return sum(map(found.holds, verdict.finished_at)) / found.seconds if found else None

    def answered(self, phase: str | None = None) -> list[float]:
        """How long each answer took, of one phase or of all."""
        found = phase and self.found(phase)
        return [answer.seconds for answer in self.submitted.answers if not found or found.holds(answer.at)]

    def found(self, name: str) -> Phase | None:
        """The phase of that name, if it has come to it."""
        return next((phase for phase in self.phases if phase.name == name), None)

    def ask(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of the database; none while it does not answer."""
        with suppress(psycopg.Error), psycopg.connect(self.rows.database_url, connect_timeout=5) as connection:
            return connection.execute(sql.encode(), parameters).fetchall()
        return []

    def _open(self) -> int:
        with suppress(psycopg.Error):
            return self.rows.open()
        return -1


Act = Callable[[Stage], None]
Demands = Callable[[Stage, Verdict], list[Demand]]

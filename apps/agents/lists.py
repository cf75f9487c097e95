"""What pages and commands list of agents outside: three queries, however many there are."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from apps.agents import selectors
from apps.agents.models import AgentFigures, AgentInstance, AgentTask

MOST_INSTANCES = 200
MOST_TASKS = 50


@dataclass(frozen=True, slots=True)
class Row:
    """An instance with its figures over all that it can do."""

    instance: AgentInstance
    state: str
    load: int
    silence: float  # seconds since it last showed itself
    calls: int
    success: float | None
    p95_ms: float | None
    usd_today: float

    @property
    def is_alive(self) -> bool:
        """Tell whether it has shown itself in time."""
        return self.state != AgentInstance.State.OFFLINE

    @property
    def percent(self) -> str:
        """Give the success as people read it."""
        return "—" if self.success is None else f"{self.success * 100:.0f}"

    @property
    def p95_seconds(self) -> float | None:
        """Give the percentile in seconds."""
        return None if self.p95_ms is None else self.p95_ms / 1000


def rows(instances: Iterable[AgentInstance]) -> list[Row]:
    """Give the instances with their figures, those that are alive first."""
    shown = list(instances)[:MOST_INSTANCES]
    measured: dict[str, list[AgentFigures]] = defaultdict(list)
    for one in AgentFigures.objects.filter(agent__in=[one.measured_as for one in shown]):
        measured[one.agent].append(one)
    spent = selectors.spent_today([one.pk for one in shown])
    made = [_row(one, measured[one.measured_as], spent.get(one.pk, 0.0)) for one in shown]
    return sorted(made, key=lambda row: (not row.is_alive, row.instance.agent, row.instance.name))


def found(wanted: str, capability: str = "", agent: str = "") -> list[AgentInstance]:
    """Give the instances whose names and capabilities have all the words, of one agent where one is named."""
    instances = selectors.instances()
    if capability:
        instances = instances.filter(capability_names__contains=[capability])
    if agent:
        instances = instances.filter(agent=agent)
    words = _words(wanted)
    return [one for one in instances if all(word in _text(one) for word in words)]


def held(instance: AgentInstance) -> list[AgentTask]:
    """Give what an instance has in hand, the oldest first."""
    return list(selectors.held_tasks(instance).order_by("claimed_at", "id")[:MOST_TASKS])


def _text(instance: AgentInstance) -> str:
    return " ".join(_words(" ".join([instance.name, instance.agent, *instance.capability_names])))


def _words(text: str) -> list[str]:
    return text.replace("_", " ").casefold().split()


def _row(instance: AgentInstance, measured: Sequence[AgentFigures], usd_today: float) -> Row:
    calls = sum(one.calls for one in measured)
    times = sorted(ms for one in measured for ms in one.recent_ms)
    return Row(
        instance=instance,
        state=selectors.state_of(instance),
        load=max(int(getattr(instance, "held", 0)), instance.load),
        silence=float(getattr(instance, "silence", 0) or 0),
        calls=calls,
        success=sum(one.success * one.calls for one in measured) / calls if calls else None,
        p95_ms=times[min(len(times) - 1, int(len(times) * 0.95))] if times else None,
        usd_today=usd_today,
    )

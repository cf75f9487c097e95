"""Which version of an agent works at a visit, as the visit's journal keeps it."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from apps.agents.models import AgentVersion

PIN = "agent version"  # the name of the step


@dataclass(frozen=True, slots=True)
class Pinned:
    """An agent made of a prompt with the version that works."""

    agent: str
    version: int
    is_on_trial: bool

    def __str__(self) -> str:
        return f"{self.agent}, version {self.version}{' (on trial)' if self.is_on_trial else ''}"


def pin_of(version: AgentVersion, trial: UUID | None = None) -> str:
    """Give what the journal keeps of a version, and of the trial that it is in."""
    return f"{version.pk} {trial}" if trial else str(version.pk)


def read_pin(pin: str) -> tuple[UUID, UUID | None]:
    """Give the ids of the version and of its trial."""
    version, _, trial = pin.partition(" ")
    return UUID(version), UUID(trial) if trial else None


def pinned(pins: Iterable[str]) -> dict[str, Pinned]:
    """Give who works by what the journal keeps, in the organization in scope."""
    read = {pin: read_pin(pin) for pin in pins}
    ids = {version for version, _ in read.values()}
    known = AgentVersion.objects.defer("document").select_related("agent").in_bulk(ids) if ids else {}
    return {
        pin: Pinned(known[version].agent.name, known[version].number, trial is not None)
        for pin, (version, trial) in read.items()
        if version in known
    }

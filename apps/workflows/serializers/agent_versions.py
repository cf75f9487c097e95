"""Which version of an agent made of a prompt has worked at a visit."""

from uuid import UUID

from django.db.models import QuerySet

from apps.agents import selectors as agents
from apps.agents.selectors import PIN, Pinned
from apps.workflows.models import JournalEntry
from apps.workflows.store.values import read_values


def versions_in(organization: UUID, entries: QuerySet[JournalEntry]) -> dict[int, Pinned]:
    """Give who worked by the journal's entries that say so, the first one first."""
    pins = list(entries.filter(name=PIN).order_by("position").values_list("pk", "result"))
    read = [str(one) for one in read_values(organization, [result for _, result in pins])]
    known = agents.pinned(read)
    return {key: known[pin] for (key, _), pin in zip(pins, read, strict=True) if pin in known}

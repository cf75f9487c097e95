"""Reading the agents that an organization has made of a prompt."""

from uuid import UUID

from django.db.models import F, QuerySet
from django_scopes import scope

from apps.agents.models import AgentDefinition, AgentVersion
from apps.common.errors import NotFound


def newest_versions() -> QuerySet[AgentVersion]:
    """Give the version that works of each agent in the organization in scope."""
    working = AgentVersion.objects.filter(number=F("agent__latest_version"), agent__archived_at=None)
    return working.select_related("agent").order_by("agent__name")


def newest_version(name: str) -> AgentVersion | None:
    """Give the version of an agent that works; None where the organization in scope has no such agent."""
    return newest_versions().filter(agent__name=name).first()


def names() -> list[str]:
    """Give the names of the agents that the organization in scope has made."""
    return list(AgentDefinition.objects.filter(archived_at=None).order_by("name").values_list("name", flat=True))


def find_agent(name: str) -> AgentDefinition:
    """Give an agent of the organization in scope, or raise NotFound."""
    found = AgentDefinition.objects.filter(name=name, archived_at=None).first()
    if found is None:
        raise NotFound(f"The organization has made no agent '{name}'.", code="unknown_agent")
    return found


def find_version(name: str, number: int) -> AgentVersion:
    """Give a version of an agent, or raise NotFound."""
    agent = find_agent(name)
    found = agent.versions.filter(number=number).first()
    if found is None:
        message = f"'{name}' has no version {number}; it has 1 to {agent.latest_version}."
        raise NotFound(message, code="version_not_found")
    return found


def version_by_id(organization_id: UUID, identifier: UUID) -> AgentVersion:
    """Give a version whose id is known, also of an agent that has been archived since."""
    with scope(organization=organization_id):
        return AgentVersion.objects.select_related("agent").get(pk=identifier)

"""Agents that belong to an organization: found by name and capability, for it and for nobody else."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest

from apps.agents import registry
from apps.agents.context import LocalContext
from apps.agents.registry import AgentType
from apps.agents.runtime import run_agent
from apps.agents.sdk import Agent
from apps.common.errors import NotFound
from apps.workflows.engine.spec import AgentNode
from apps.workflows.nodes.registry import OWN_AGENT, handler_of, served


class Sayer(Agent):
    def exec(self, task, ctx):
        return f"{self.config['says']}, {task}"


@dataclass(frozen=True)
class Row(AgentType):
    agent: type[Agent] = Sayer
    name = "house_sayer"
    capabilities = ("say", "echo")
    kind = "llm"

    def make(self, config):
        return Sayer({"says": "Servus"})


class Rows:
    def __init__(self, organization_id: UUID) -> None:
        self.organization_id = organization_id

    def find(self, organization_id, name):
        return next((row for row in self.all(organization_id) if row.name == name), None)

    def all(self, organization_id):
        return [Row()] if organization_id == self.organization_id else []


@pytest.fixture
def acme() -> Iterator[UUID]:
    source = Rows(uuid4())
    registry.register_source(source)
    yield source.organization_id
    registry._sources.remove(source)


@pytest.fixture
def globex(db: None) -> UUID:
    return uuid4()


def test_an_organization_finds_its_own_agent_and_runs_it(db, acme):
    assert registry.get_for(acme, "house_sayer").kind == "llm"
    assert run_agent("house_sayer", "Ada", LocalContext(acme)).output == "Servus, Ada"


def test_another_organization_does_not(acme, globex):
    assert registry.find_for(globex, "house_sayer") is None
    with pytest.raises(NotFound, match="There is no agent 'house_sayer'"):
        run_agent("house_sayer", "Ada", LocalContext(globex))


def test_its_own_agent_comes_before_what_is_built_in(db, acme):
    assert registry.select_for(acme, "say").name == "house_sayer"
    assert registry.select_for(acme, "sentiment_analysis").name == registry.select("sentiment_analysis").name


def test_an_unknown_name_of_its_own_is_guessed(db, acme):
    with pytest.raises(NotFound, match="Did you mean 'house_sayer'"):
        registry.get_for(acme, "house_sayr")


def test_every_worker_runs_an_agent_of_an_organization(db, acme, globex):
    spec = AgentNode(type="agent", agent="house_sayer")

    assert handler_of(spec, acme) == OWN_AGENT
    assert OWN_AGENT in served()
    assert handler_of(spec, globex) == "agent:house_sayer"
    assert handler_of(AgentNode(type="agent", capability="say"), acme) == OWN_AGENT
    assert handler_of(AgentNode(type="agent", agent="echo"), acme) == "agent:echo@1"

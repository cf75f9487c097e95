"""Who works in the place of an agent that cannot: another with the same capability, or itself in another way."""

from dataclasses import replace

from apps.agents import registry
from apps.agents.context import Context
from apps.agents.registry import AgentType
from apps.agents.services import selection
from apps.agents.services.merit import Choice, route
from apps.agents.store import decisions
from apps.common.database import release_connection
from apps.common.errors import Fatal
from apps.common.json import JSON


def named(name: str, ctx: Context) -> AgentType:
    """Give the agent of this name; raises NotFound."""
    try:
        return registry.get_for(ctx.organization_id, name)
    finally:
        release_connection()


def first_agent(name: str | None, capability: str | None, task: JSON, ctx: Context) -> AgentType:
    """Give who was the first to work at this visit, also if its breaker is open now; raises NotFound.

    Where a capability was asked for and nobody could be chosen that is who would come first, from now on.
    """
    if name is not None:
        return named(name, ctx)
    try:
        key = ctx.idempotency_key()
        choice = route(ctx.organization_id, capability or "", task)
        before = [chosen for _, chosen in decisions.before(ctx.organization_id, key)]
        found = next((one for one in choice.table if before and one.name == before[0]), choice.table[0])
        if not before:
            selection.remember(choice, found, ctx)
        return found.agent_type
    finally:
        release_connection()


def choose_other(name: str | None, capability: str | None, task: JSON, ctx: Context) -> AgentType:
    """Give another agent than those that have worked at this visit, recorded like a `step`.

    That is one with the capability that was asked for, or one that can do all that the named agent can. Raises Fatal
    `no_other_agent` where there is none that may be asked now and takes the task.
    """
    try:
        chosen = ctx.step("degrade:other_agent", lambda: _choose(_others(name, capability, task, ctx), ctx))
        able = registry.able_for(ctx.organization_id, chosen["capability"])
        places = (place for one in able for place in one.places(chosen["capability"]))
        found = next((place for place in places if place.measured_as == chosen["agent"]), None)
        if found is None:
            raise Fatal(f"'{chosen['agent']}' was chosen and is gone.", code="no_other_agent")
        return found
    finally:
        release_connection()


def _others(name: str | None, capability: str | None, task: JSON, ctx: Context) -> Choice:
    """Those who have not tried it, the best first."""
    if name is None:
        tried = {chosen for _, chosen in decisions.before(ctx.organization_id, ctx.idempotency_key())}
        choice = route(ctx.organization_id, capability or "", task)
        return replace(choice, table=[one for one in choice.table if one.name not in tried])
    own = registry.find_for(ctx.organization_id, name)
    wanted = set(own.capabilities) if own else set()
    if own is None or not wanted:
        raise Fatal(f"What the agent '{name}' can do is not known, so nobody stands in for it.", code="no_other_agent")
    choice = route(ctx.organization_id, own.capabilities[0], task)
    able = [one for one in choice.table if one.agent_type.name != name and wanted <= set(one.agent_type.capabilities)]
    return replace(choice, table=able)


def _choose(others: Choice, ctx: Context) -> JSON:
    for one in others.table:
        if one.fits and one.agent_type.has_room and selection.may_be_asked(one, others.capability, ctx):
            selection.remember(others, replace(one, verdict="stands in"), ctx)
            return {"agent": one.name, "capability": others.capability}
    raise Fatal(f"Nobody else can do '{others.capability}' now and takes this task.", code="no_other_agent")

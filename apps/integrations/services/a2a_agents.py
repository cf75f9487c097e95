"""Adding agents of other people over A2A, and reading their cards."""

from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from apps.accounts.models import Organization
from apps.common.asyncio_loop import run_coroutine
from apps.common.database import release_connection
from apps.common.errors import Conflict, ErrorItem, Fatal, Retryable
from apps.integrations.a2a_client.shapes import Remote
from apps.integrations.models import A2aAgent
from apps.integrations.services.remote_servers import (
    check_address,
    check_key,
    check_name,
    headers_of,
    invalid,
    kept,
    storable,
)

REFRESH_SECONDS = 30.0
MOST_AGENTS = 50  # of an organization


def add_agent(
    *, organization: Organization, name: str, card_url: str, enabled: bool, by: str, key: str = ""
) -> A2aAgent:
    """Add an agent by the address of its card; it can be used once that has been read and accepted.

    `key` is sent as `Authorization: Bearer`, and kept in the vault. Raises Invalid for a name, an address or a key
    that cannot be, Conflict for a name that is taken. Nothing is sent.
    """
    check_name(name)
    check_address(card_url, "card_url")
    check_key(key)
    if A2aAgent.objects.count() >= MOST_AGENTS:
        raise Conflict(f"There are {MOST_AGENTS} A2A agents already; delete one.", code="too_many_agents")
    facts = {"name": name, "card_url": card_url, "enabled": enabled, "created_by": by}
    try:
        with transaction.atomic():
            secret = kept(organization.pk, key)
            return A2aAgent.objects.create(organization=organization, secret=secret, **facts)
    except IntegrityError:
        raise Conflict(f"There is an A2A agent '{name}' already.", code="name_taken") from None


@transaction.atomic
def change_agent(agent: A2aAgent, *, enabled: bool | None = None, key: str | None = None) -> A2aAgent:
    """Switch an agent on or off, or give it another key (none with an empty one).

    Raises Invalid for a key that its card would send to another host than the one the card comes from.
    """
    if enabled is not None:
        agent.enabled = enabled
    if key is not None:
        check_key(key)
        if key:
            _check_hosts(agent)
        before, agent.secret = agent.secret, kept(agent.organization_id, key)
        agent.save(update_fields=["secret"])
        if before:
            before.delete()
    agent.save(update_fields=["enabled"])
    return agent


@transaction.atomic
def delete_agent(agent: A2aAgent) -> None:
    """Delete an agent with its key; nodes that name it fail from now on."""
    agent.delete()
    if agent.secret:
        agent.secret.delete()


def refresh_agent(agent: A2aAgent) -> A2aAgent:
    """Read the agent's card anew, and hold one that is not the accepted one until somebody accepts it.

    One that cannot be used is no exception: `problem` says what is wrong with it.
    """
    from apps.integrations.a2a_client.conversation import read_card  # noqa: PLC0415 - the SDK is slow to import

    try:
        headers = headers_of(agent)
        release_connection()
        read = run_coroutine(read_card(agent.card_url, headers), REFRESH_SECONDS)
        agent.offered, agent.problem = (None if read == agent.card else read), ""
    except (Fatal, Retryable) as failure:
        agent.problem = storable(failure.message)
    except TimeoutError:
        agent.problem = f"The card did not come within {REFRESH_SECONDS:g} s."
    found = A2aAgent.objects.filter(pk=agent.pk)
    found.update(offered=agent.offered, problem=agent.problem, refreshed_at=Now())
    agent.refresh_from_db(fields=["refreshed_at"])
    return agent


@transaction.atomic
def accept_card(agent: A2aAgent, *, digest: str, by: str) -> A2aAgent:
    """Have the card used that was read last, as the person has seen it; one that is in use already stays.

    Raises Invalid where none has been read, and Conflict `card_changed` for another than the last.
    """
    locked = A2aAgent.objects.select_for_update().get(pk=agent.pk)
    if not locked.digest:
        raise invalid("/digest", "no_card", "Its card has not been read yet; refresh it.")
    if digest != locked.digest:
        message = "The card has been read again since you looked at it, and says something else; look again."
        raise Conflict(message, code="card_changed", errors=[ErrorItem("/digest", "card_changed", message)])
    if locked.offered is not None:
        locked.card, locked.offered, locked.accepted_by = locked.offered, None, by
        locked.save(update_fields=["card", "offered", "accepted_by"])
    return locked


def _check_hosts(agent: A2aAgent) -> None:
    """What is read with a key is checked then; a card that was read without one may lead anywhere."""
    cards = [card for card in (agent.card, agent.offered) if card]
    leads_to = {_origin(str(one.get("url", ""))) for card in cards for one in card.get("supportedInterfaces", ())}
    if leads_to - {_origin(agent.card_url)}:
        message = "Its card sends us to another host, which would get the key. Add the agent by the card of that host."
        raise invalid("/key", "other_host", message)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def remote_of(agent: A2aAgent) -> Remote:
    """Give what a conversation with the agent needs; raises Fatal for one that cannot be used now."""
    if not agent.enabled:
        raise Fatal(f"The A2A agent '{agent.name}' is switched off.", code="agent_disabled")
    if agent.offered is not None:
        what = "says something else than the one that was accepted" if agent.card else "has not been accepted"
        message = f"The card of the A2A agent '{agent.name}' {what}; somebody has to look at it under 'A2A agents'."
        raise Fatal(message, code="card_changed" if agent.card else "no_card")
    if agent.card is None:
        raise Fatal(f"The card of the A2A agent '{agent.name}' has not been read yet; refresh it.", code="no_card")
    return Remote(agent.name, agent.card, headers_of(agent))

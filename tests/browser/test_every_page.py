"""What holds for every page of every app, with nothing in it and with much, in both themes.

A new page is found by itself. One that is about a thing, such as `/runs/<ref>`, is opened with a thing of its kind:
`full` has one for each.
"""

import gzip
import re
from functools import cache

import httpx
import pytest
from django.test import Client
from django.urls import get_resolver
from django_scopes import scope

from apps.accounts.models import Organization, Role
from apps.agents.bus import exchange as bus
from apps.agents.context import LocalContext
from apps.agents.models import AgentSession
from apps.agents.services.definitions import save_agent
from apps.agents.services.roles import save_prompt
from apps.integrations.language_models import Message, ToolCall
from tests.accounts.test_every_endpoint import patterns
from tests.agents.live import join, pass_time
from tests.browser.accessibility import assert_accessible
from tests.fixtures import make_actor
from tests.integrations.a2a_servers import CARD, listed_agent
from tests.integrations.mcp_rows import listed_server
from tests.language_models import spent
from tests.workflows.engine_room import EngineRoom
from tests.workflows.listed import listed, saved
from tests.workflows.test_approval_pages import FORM, ask

WIDTHS = (1440, 390)
MOST_BYTES = 60_000  # of all that a page loads, compressed
MOST_BYTES_OF_THE_BUILDER = 250_000  # an application, which a browser keeps
LONG = "A workflow with a name that is much longer than anybody would think sensible " * 2
READ_ON_THE_WAY = ("channels", "channels/{channels}", "sessions", "memories", "memories?q=name", "agent-instances")
OF_OTHERS = ("v1/docs", "v1/redoc")  # what others wrote: loaded from here, and not ours to make accessible

ROUTES = sorted(route for route, entry in patterns(get_resolver()) if getattr(entry.callback, "needs", None))
LISTS = [route for route in ROUTES if "<" not in route]
THINGS = [route for route in ROUTES if "<" in route]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def alice(rows_stay):
    """The owner of an organization that has much of everything."""
    return owner("alice", "acme")


@pytest.fixture(scope="module")
def charlie(rows_stay):
    """The owner of one that has nothing yet."""
    return owner("charlie", "globex")


def owner(name, slug):
    return make_actor(name, Organization.objects.create(name=slug.title(), slug=slug), Role.OWNER)


@pytest.fixture(scope="module")
def full(alice):
    """Much of everything; gives something to open for each kind of address."""
    workflow = saved(alice.organization, "market-brief", title=LONG[:150], description=LONG)
    alice.client.put("/v1/workflows/market-brief/offer", {"name": "a" * 64}, format="json")
    for number in range(30):
        saved(alice.organization, f"workflow-{number}")
    listed(workflow, count=60)
    for status in ("running", "waiting", "paused", "pending", "cancelled", "failed"):
        listed(workflow, status)
    session = remembered(alice.organization)
    for name in ("shouter-that-has-been-silent-for-weeks", "shouter-on-a-machine-with-a-very-long-name-indeed-4711"):
        join(alice, name, description=LONG, max_concurrency=8)
    pass_time(40 * 86_400, "shouter-that-has-been-silent-for-weeks")
    approval = ask(EngineRoom(alice.organization), message=LONG, form=FORM)
    spent.fill(alice.organization, approval.run_id)
    return {
        "runs": approval.run_id,
        "workflows": workflow.name,
        "approvals": approval.pk,
        "templates": "market-brief",
        "agents": made_of_a_prompt(alice),
        "agent-roles": told_otherwise(alice),
        "sessions": session.pk,
        "memories": session.pk,  # they have acts only, and no page each
        "agent-instances": "shouter-on-a-machine-with-a-very-long-name-indeed-4711",
        "tools": "outbox.send",
        "channels": talk(alice.organization).name,
        "a2a-agents": listed_agent(alice.organization, offered={**CARD, "description": LONG}).name,
        "mcp-servers": listed_server(alice.organization).name,
        "settings": spent.NAME,  # models, providers and budgets; members, keys and invitations have no page each
        "workflow-restores": workflow.pk,
    }


def remembered(organization):
    """A session with a summary, many turns and memories."""
    ctx = LocalContext(organization.pk, agent="assistant", session=LONG[:150])
    call = ToolCall(id="1", name="demo.search", arguments={"query": LONG})
    for number in range(30):
        ctx.session.add(
            Message(role="user", content=f"{number} {LONG}"),
            Message(role="assistant", content="", tool_calls=(call,)),
            Message(role="tool", content=LONG, tool_call_id="1"),
            Message(role="assistant", content=LONG * 3),
            tainted=number % 2 == 0,
        )
        ctx.remember(f"{number} {LONG}", tainted=number % 3 == 0)
    with scope(organization=organization):
        AgentSession.objects.update(summary=LONG, summary_seq=4, summary_tainted=True)
        return AgentSession.objects.get()


def talk(organization):
    """Much on a channel, and more than its readers could handle; gives it."""
    sender = bus.Sender(organization_id=organization.pk, origin="user:somebody-with-a-long-name")
    channel = bus.declare(organization.pk, "orders", schema={"type": "object"}, description=LONG, max_deliveries=1)
    reader = bus.Reader(organization.pk, "orders", "a-group-" + "x" * 80)
    for number in range(30):
        bus.publish("orders", {"number": number, "text": LONG * 5}, sender)
        if number < 25:
            reader.release(reader.read(), LONG)
    return channel


def made_of_a_prompt(actor):
    """The name of an agent with much of everything, in three versions."""
    document = {
        "title": LONG[:150],
        "description": LONG,
        "instructions": LONG * 5,
        "tools": ["demo.search", {"tool": "outbox.send", "approval": "always", "assignees": ["alice"]}],
        "agents": ["assistant"],
        "handoffs": ["echo"],
        "output_schema": {"type": "object", "properties": {"verdict": {"enum": ["accept", "revise"]}}},
        "guardrails": {"pii": "redact", "blocked": [LONG[:150]], "judge": {"question": LONG}},
    }
    with scope(organization=actor.organization):
        for turns in (3, 4, 5):
            limited = document | {"limits": {"turns": turns}}
            save_agent(organization=actor.organization, name="guide", document=limited, by="user:alice", message=LONG)
    return "guide"


def told_otherwise(actor):
    """The name of a role whose prompt has been edited at length."""
    with scope(organization=actor.organization):
        for number in range(3):
            text = f"{number} {LONG * 3}\n{LONG}"
            save_prompt(organization=actor.organization, role="coordinator", text=text, by="user:alice", message=LONG)
    return "coordinator"


def is_page(actor, path):
    """Whether a browser that goes there is shown a whole page."""
    client = Client(headers={"Accept": "text/html"})
    client.force_login(actor.user)
    answer = client.get(path)
    return (
        answer.status_code == 200
        and not answer.streaming
        and answer.content.lstrip()[:15].lower().startswith(b"<!doctype html")
    )


def check(tabs, path, actor, most_bytes=MOST_BYTES):
    asked = []
    page = tabs.open("about:blank", actor)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path, wait_until="load")
    page.locator("h1").wait_for(state="attached")  # of the builder too, which begins with a script
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{width} px: it scrolls sideways"
    loaded = {url for url in asked if not url.startswith("data:")}
    assert {url.split("/")[2] for url in loaded} == {tabs.address.split("/")[2]}
    assert weight(page, {url for url in loaded if "/events" not in url}) < most_bytes


def weight(page, urls):
    return sum(file_weight(url) if "/static/" in url else compressed(page.request.get(url).body()) for url in urls)


@cache
def file_weight(url):
    return compressed(httpx.get(url).content)


def compressed(content):
    return len(gzip.compress(content))


@pytest.mark.parametrize("route", LISTS)
def test_a_page_with_nothing_in_it_is_whole(tabs, charlie, route):
    if is_page(charlie, f"/{route}"):
        check(tabs, f"/{route}", charlie)


BUILDER = "workflows/<str:ref>/edit"


@pytest.mark.parametrize("route", ROUTES)
def test_a_page_with_much_in_it_is_whole(tabs, alice, full, route):
    place = route.split("/")[0]
    path = "/" + re.sub(r"<[^>]+>", str(full.get(place)), re.sub(r"<int:\w+>", "1", route))
    assert "<" not in route or place in full, f"`full` has nothing to open under /{place}/"

    if is_page(alice, path):
        check(tabs, path, alice, MOST_BYTES_OF_THE_BUILDER if route == BUILDER else MOST_BYTES)


@pytest.mark.parametrize("path", READ_ON_THE_WAY)
def test_what_agents_leave_behind_is_read_on_a_telephone_without_going_aside(tabs, alice, full, path):
    page = tabs.open("/" + path.format(**full), alice, width=390)

    wide = page.locator(".table-frame").evaluate_all(
        "all => all.filter(one => one.scrollWidth > one.clientWidth).length"
    )
    assert wide == 0
    assert page.locator(".table-frame tbody tr").count() > 0


@pytest.mark.parametrize("path", OF_OTHERS)
def test_what_others_wrote_is_loaded_from_here(tabs, path):
    answered = []
    page = tabs.open("about:blank")
    page.on("response", lambda response: answered.append(response.url))
    page.goto(f"/{path}", wait_until="networkidle")

    assert {url.split("/")[2] for url in answered if url.startswith("http")} == {tabs.address.split("/")[2]}
    # Redoc wants its makers' logo from their host, which the policy refuses.
    tabs.errors = [error for error in tabs.errors if "https://cdn.redoc.ly/redoc/logo-mini.svg" not in error]


def test_pages_are_found(alice, full):
    assert sum(is_page(alice, f"/{route}") for route in LISTS) >= 12

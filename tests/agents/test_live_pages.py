"""Agents outside, as people see them and tell them to stop; and the same as commands."""

import html
import json
import re

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django_scopes import scope

from apps.accounts.models import User
from apps.agents.models import AgentDecision, AgentFigures, AgentInstance, AgentTask
from apps.agents.services import remote_tasks
from apps.agents.services.remote_tasks import Wanted
from apps.agents.store import figures
from apps.common.errors import NotFound
from apps.common.ids import uuid7
from tests.agents.live import claim, finish, instance, join, pass_time
from tests.fixtures import PASSWORD

HTMX = {"HX-Request": "true"}


def text(response):
    return html.unescape(re.sub(r"\s+", " ", response.content.decode()))


@pytest.fixture
def busy(alice, organization):
    """An instance with one task of a run in hand."""
    join(alice, "one", max_concurrency=2, description="Says it louder.")
    run = uuid7()
    asked = Wanted(key="k", agent="shouter", capability="", input=1, config=None, run_id=run, node="loud")
    with scope(organization=organization):
        remote_tasks.open_task(organization.pk, asked)
    return run, claim(alice, "one")


def test_the_catalogue_shows_who_is_there(browser, busy):
    page = text(browser.viewer.get("/agents"))

    assert 'href="/agent-instances/one"' in page
    assert "1/2" in page
    assert 'href="/agents/shouter"' in page
    assert "/agent-instances/" not in text(browser.stranger.get("/agents"))


def test_how_to_join_names_the_python_that_has_the_sdk(browser):
    assert "~/orchestra/bin/python shouter.py" in text(browser.viewer.get("/agents"))


def test_the_table_keeps_itself_true(browser, busy):
    page = text(browser.viewer.get("/agents?q=shout"))
    assert 'hx-get="/agent-instances?q=shout' in page

    part = text(browser.viewer.get("/agent-instances?q=shout", headers=HTMX))
    assert "<html" not in part
    assert 'href="/agent-instances/one"' in part
    assert "/agent-instances/one" not in text(browser.viewer.get("/agent-instances?agent=other", headers=HTMX))
    assert browser.viewer.get("/agent-instances").status_code == 302


def test_where_nobody_has_joined_the_program_is_there_to_copy(browser):
    page = html.unescape(browser.owner.get("/agents").content.decode())

    assert 'serve(Shouter, url="http://testserver"' in page
    compile(re.search(r"import os\n.*?concurrency=4\)", page, re.DOTALL)[0], "shouter.py", "exec")


def test_asking_for_a_capability_shows_who_would_get_it(browser, alice, organization):
    for name in ("one", "two"):
        join(alice, name)
        claim(alice, name)
    for _ in range(5):
        figures.record(organization.pk, "shouter/one", "shout", success=False, ms=1)

    page = text(browser.viewer.get("/agents?capability=shout", headers=HTMX))

    assert "Who would get it" in page
    assert page.index("shouter/two") < page.index("shouter/one")
    assert "left alone for" in page


def test_an_instance_shows_what_it_holds_and_how_well_it_does(browser, busy, organization):
    run, _ = busy
    figures.record(organization.pk, "shouter/one", "shout", success=True, ms=120)

    page = text(browser.viewer.get("/agent-instances/one"))

    assert f'href="/runs/{run}"' in page
    assert "120 ms" in page
    assert "Drain" not in page, "a viewer only looks"
    assert browser.stranger.get("/agent-instances/one").status_code == 404


def test_what_takes_long_is_told_in_seconds(browser, busy, organization):
    figures.record(organization.pk, "shouter/one", "shout", success=True, ms=20_030)

    assert "20 s" in text(browser.viewer.get("/agent-instances/one"))
    assert "20 s" in text(browser.viewer.get("/agents?capability=shout", headers=HTMX))


def test_people_drain_resume_and_disable_it(browser, busy):
    for act, mode, offered in (
        ("drain", "draining", "Resume"),
        ("resume", "active", "Drain"),
        ("disable", "disabled", "Resume"),
    ):
        assert browser.viewer.post(f"/agent-instances/one/{act}").status_code == 403
        assert browser.stranger.post(f"/agent-instances/one/{act}").status_code == 404
        for _ in range(2):
            page = browser.owner.post(f"/agent-instances/one/{act}", follow=True)
        assert (instance("one").mode, page.status_code) == (mode, 200)
        assert offered in text(page)
    assert browser.owner.post("/agent-instances/one/explode").status_code == 404


def test_one_that_is_silent_says_so(browser, alice):
    join(alice, "one")
    pass_time(60, "one")

    assert "one is silent." in text(browser.owner.get("/agent-instances/one"))
    assert 'data-status="offline"' in text(browser.owner.get("/agents/shouter"))


@pytest.fixture
def manage(capsys, alice):
    def manage(*arguments):
        call_command(*arguments)
        return capsys.readouterr().out

    return manage


def test_commands_list_and_show_it(manage, alice, busy):
    assert json.loads(manage("agents", "list", "--json", "--capability", "shout"))["items"][0]["kind"] == "remote"
    (row,) = json.loads(manage("agents", "instances", "--json"))["items"]
    assert (row["name"], row["load"], row["state"]) == ("one", "1/2", "idle")
    assert json.loads(manage("agents", "show", "shouter", "--json"))["instances"] == 1
    assert len(json.loads(manage("agents", "show", "one", "--json"))["tasks"]) == 1


def test_commands_drain_resume_and_disable_it(manage, alice):
    join(alice, "one")

    assert json.loads(manage("agents", "drain", "one", "--json"))["state"] == "draining"
    assert json.loads(manage("agents", "resume", "one", "--json"))["state"] == "idle"
    with pytest.raises(CommandError):
        manage("agents", "disable", "one")
    assert json.loads(manage("agents", "disable", "one", "--yes", "--json"))["state"] == "disabled"
    with pytest.raises(NotFound, match="Did you mean 'one'"):
        manage("agents", "drain", "onne")


def test_a_command_explains_a_choice(manage, alice):
    join(alice, "one")
    told = json.loads(manage("agents", "route", "--capability", "shout", "--json"))
    same = alice.client.get("/v1/agents/route?capability=shout").json()

    assert told == same
    assert "shouter" in manage("agents", "route", "--capability", "shout", "--input", '{"text": "x"}')


@pytest.mark.parametrize("model", [AgentInstance, AgentTask, AgentFigures, AgentDecision], ids=lambda one: one.__name__)
def test_every_model_has_its_page_for_operators(busy, alice, organization, model):
    figures.record(organization.pk, "x", "y", success=True, ms=1)
    finish(alice, "one", busy[1], output=2)
    operator = Client()
    operator.force_login(User.objects.create_superuser("root", password=PASSWORD))
    address = f"/admin/agents/{model._meta.model_name}/"

    assert operator.get(address).status_code == 200
    with scope(organization=organization):
        row = model.objects.first()
    if row is not None:
        page = operator.get(f"{address}{row.pk}/change/")
        assert page.status_code == 200
        assert b"secret_digest" not in page.content

"""A version of an agent on trial: who gets it, what is counted, and how it ends."""

import json
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django_scopes import scope
from hypothesis import given
from hypothesis import strategies as st

from apps.agents import selectors
from apps.agents.context import LocalContext
from apps.agents.models import AgentTrial, AgentTrialFigures
from apps.agents.runtime import run_agent
from apps.agents.selectors.trials import Arm, verdict
from apps.agents.services.definitions import archive_agent, save_agent
from apps.agents.services.trials import chosen, count_visit
from apps.common.errors import DomainError, Fatal
from apps.integrations.language_models import registry as models
from tests.agents.parrot import Parrot, said

URL = "/v1/agent-definitions/guide"
WORKING = pytest.mark.django_db(transaction=True)  # agents work on threads with connections of their own
OLDER, NEWER = "You are the older one.", "You are the newer one."


def save(actor, instructions, **more):
    document = {"instructions": instructions, "model": Parrot.name, **more}
    with scope(organization=actor.organization):
        return save_agent(organization=actor.organization, name="guide", document=document, by="user:alice").version


@pytest.fixture
def parrot():
    made = Parrot(said("Here."))
    models.register(made)
    yield made
    models.unregister(Parrot.name)


@pytest.fixture
def guide(alice, parrot):
    """An agent in two versions."""
    save(alice, OLDER)
    return save(alice, NEWER)


def start(actor, against=1, percent=50):
    return actor.client.put(f"{URL}/trial", {"against": against, "percent": percent}, format="json")


def end(actor, keep):
    return actor.client.post(f"{URL}/trial/end", {"keep": keep}, format="json")


def visit(actor, session=None):
    with scope(organization=actor.organization):
        return run_agent("guide", {"task": "Hi"}, LocalContext(actor.organization.pk, session=session))


def asked(parrot):
    """Which version each question was asked with."""
    return [2 if request.messages[0].content == NEWER else 1 for request in parrot.asked]


def shown(actor):
    return actor.client.get(f"{URL}/trial").json()


# ---- who gets it ----------------------------------------------------------------------------------


@given(percent=st.integers(1, 99), subject=st.text())
def test_a_session_has_the_same_version_for_as_long_as_the_trial_goes_on(percent, subject):
    trial = AgentTrial(id=uuid4(), candidate=2, baseline=1, percent=percent)

    assert chosen(trial, subject) == chosen(trial, subject)
    assert chosen(trial, subject) in {1, 2}


@given(share=st.integers(1, 98), subject=st.text())
def test_a_greater_share_takes_the_new_version_from_nobody(share, subject):
    smaller = AgentTrial(id=uuid4(), candidate=2, baseline=1, percent=share)
    greater = AgentTrial(id=smaller.pk, candidate=2, baseline=1, percent=share + 1)

    assert chosen(greater, subject) >= chosen(smaller, subject)


@pytest.mark.parametrize("percent", [1, 20, 50, 99])
def test_the_newest_version_gets_its_share(percent):
    trial = AgentTrial(id=uuid4(), candidate=2, baseline=1, percent=percent)

    got = sum(chosen(trial, str(number)) == 2 for number in range(20_000)) / 200

    assert abs(got - percent) < 2


@WORKING
def test_both_versions_work_and_each_session_has_one(alice, guide, parrot):
    assert start(alice).status_code == 201

    for number in range(20):
        visit(alice, f"session {number % 10}")

    versions = asked(parrot)
    assert set(versions) == {1, 2}
    assert versions[:10] == versions[10:]


@WORKING
def test_without_a_trial_the_newest_works(alice, guide, parrot):
    visit(alice)

    assert asked(parrot) == [2]
    assert alice.client.get(f"{URL}/trial").json()["code"] == "no_trial"


# ---- what is counted ------------------------------------------------------------------------------


@WORKING
def test_what_each_version_made_of_its_visits_is_shown(alice, guide, parrot):
    start(alice, percent=30)
    for number in range(30):
        visit(alice, f"session {number}")

    trial = shown(alice)

    assert [(one["version"], one["percent"]) for one in trial["versions"]] == [(2, 30), (1, 70)]
    assert {one["version"]: one["visits"] for one in trial["versions"]} == {
        number: asked(parrot).count(number) for number in (1, 2)
    }
    for one in trial["versions"]:
        assert (one["success"], one["turns_per_visit"], one["tokens_per_visit"], one["usd_per_visit"]) == (1, 1, 15, 0)


@WORKING
def test_a_visit_without_an_answer_that_holds_is_a_failure(alice, parrot):
    for words in (OLDER, NEWER):
        save(alice, words, guardrails={"blocked": ["here"], "retries": 0})
    start(alice)

    for number in range(10):
        with pytest.raises(Fatal):
            visit(alice, f"session {number}")

    counted = shown(alice)["versions"]
    assert sum(one["visits"] for one in counted) == sum(one["failures"] for one in counted) == 10


@WORKING
def test_a_provider_that_is_away_says_nothing_about_a_prompt(alice, guide, parrot, monkeypatch):
    start(alice)
    parrot.replies = []  # it breaks, which is not the agent's doing

    with pytest.raises(IndexError):
        visit(alice)

    assert sum(one["visits"] for one in shown(alice)["versions"]) == 0


def test_what_is_counted_for_a_trial_that_is_gone_is_lost_quietly(alice):
    count_visit(uuid4(), 1, alice.organization.pk, failed=False)

    with scope(organization=alice.organization):
        assert not AgentTrialFigures.objects.exists()


def arm(number, visits, failures=0, usd=0.01):
    success = 1 - failures / visits if visits else None
    return Arm(number, 50, visits, failures, success, None, 1.0, 10.0, usd)


@pytest.mark.parametrize(
    ("newer", "older", "words"),
    [
        (arm(2, 19), arm(1, 500), "Too early to tell"),
        (arm(2, 200, 2), arm(1, 200, 40), "Version 2 succeeds more often: 99 % of 200 visits, against 80 %"),
        (arm(2, 200, 40), arm(1, 200, 2), "Version 1 succeeds more often"),
        (arm(2, 20, 1), arm(1, 20, 2), "No difference"),
        (arm(2, 200), arm(1, 200), "No difference"),
        (arm(2, 200, usd=0.005), arm(1, 200), "version 2 costs less"),
        (arm(2, 200, 200), arm(1, 200, 200, usd=0), "version 1 costs less"),
    ],
)
def test_no_more_is_said_than_the_figures_allow(newer, older, words):
    assert words in verdict(newer, older)


# ---- how it goes on and ends ----------------------------------------------------------------------


@WORKING
def test_the_share_of_a_trial_is_changed_without_losing_what_was_counted(alice, guide):
    start(alice, percent=50)
    visit(alice)

    again = start(alice, percent=80)

    assert (again.status_code, again.json()["percent"]) == (200, 80)
    assert sum(one["visits"] for one in shown(alice)["versions"]) == 1


@WORKING
def test_to_keep_the_newest_version_ends_the_trial(alice, guide, parrot):
    start(alice, percent=1)

    kept = end(alice, 2)

    assert (kept.status_code, kept.json()["version"]) == (200, 2)
    visit(alice)
    assert asked(parrot) == [2]
    assert shown(alice)["code"] == "no_trial"


@WORKING
def test_to_keep_the_older_version_saves_it_as_a_new_one(alice, guide, parrot):
    start(alice, percent=99)

    kept = end(alice, 1)

    assert (kept.json()["version"], kept.json()["agent"]["instructions"]) == (3, OLDER)
    visit(alice)
    assert asked(parrot) == [1]


def test_the_second_who_decides_is_told(alice, guide):
    start(alice)
    end(alice, 1)

    late = end(alice, 2)

    assert (late.status_code, late.json()["code"]) == (404, "no_trial")


def test_what_is_not_on_trial_cannot_be_kept(alice, guide):
    start(alice)

    wrong = end(alice, 7)

    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/keep")


def test_nothing_is_saved_while_a_version_is_on_trial(alice, guide):
    start(alice)
    body = {"name": "guide", "agent": {"instructions": "Else."}}

    refused = alice.client.post("/v1/agent-definitions", body, format="json")

    assert (refused.status_code, refused.json()["code"]) == (409, "trial_on")
    assert alice.client.get(URL).json()["version"] == 2


def test_another_pair_has_to_wait(alice, guide):
    save(alice, "You are the newest one.")
    start(alice, against=1)

    refused = start(alice, against=2)

    assert (refused.status_code, refused.json()["code"]) == (409, "trial_on")


@pytest.mark.parametrize(
    ("body", "status", "place"),
    [
        ({"against": 2, "percent": 20}, 422, "/against"),  # itself
        ({"against": 9, "percent": 20}, 404, None),
        ({"against": 1, "percent": 0}, 422, "/percent"),
        ({"against": 1, "percent": 100}, 422, "/percent"),
        ({"against": "x", "percent": 20}, 400, "/against"),
        ({"against": 1}, 400, "/percent"),
        ({"against": 1, "percent": 20, "more": 1}, 400, "/more"),
    ],
)
def test_what_cannot_be_a_trial_is_refused_at_its_place(alice, guide, body, status, place):
    answer = alice.client.put(f"{URL}/trial", body, format="json")

    assert answer.status_code == status, answer.content
    if place:
        assert answer.json()["errors"][0]["pointer"] == place
    with scope(organization=alice.organization):
        assert not AgentTrial.objects.exists()


def test_versions_that_give_something_else_are_not_compared(alice, guide):
    save(alice, NEWER, output_schema={"type": "object"})

    refused = start(alice)

    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_trial")


def test_an_agent_that_takes_the_name_of_an_archived_one_is_not_on_trial(alice, guide):
    start(alice)
    with scope(organization=alice.organization):
        archive_agent(selectors.find_agent("guide"))
    save(alice, "You are another.")

    assert shown(alice)["code"] == "no_trial"


# ---- who may --------------------------------------------------------------------------------------


def test_who_may_only_look_sees_the_trial_and_changes_nothing(alice, bob, guide):
    start(alice, percent=20)

    assert shown(bob)["percent"] == 20
    assert start(bob, percent=90).status_code == 403
    assert end(bob, 1).status_code == 403
    assert shown(alice)["percent"] == 20


def test_another_organization_finds_no_such_agent(alice, charlie, guide):
    start(alice)

    assert charlie.client.get(f"{URL}/trial").status_code == 404
    assert start(charlie).status_code == 404
    assert end(charlie, 1).status_code == 404
    assert shown(alice)["candidate"] == 2


# ---- in the browser and from the command line -----------------------------------------------------


def test_a_version_is_put_on_trial_and_kept_on_its_page(browser, alice, guide):
    page = "/agents/guide/versions"
    assert "Put a version on trial" in browser.owner.get(page).content.decode()

    begun = browser.owner.post("/agents/guide/trial", {"against": "1", "percent": "25"}, follow=True).content.decode()

    assert "Version 2 gets 25 % of the visits, version 1 the rest." in begun
    assert "Too early to tell" in begun
    assert "Put a version on trial" not in begun

    ended = browser.owner.post("/agents/guide/trial/end", {"keep": "1"}, follow=True).content.decode()

    assert "Version 3 works, which is what version 1 was." in ended
    assert "Version 2 beside version 1: version 1 was kept by" in ended


@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        ("trial", {"against": "1", "percent": "100"}, "from 1 to 99"),
        ("trial", {"against": "2", "percent": "20"}, "is the newest"),
        ("trial/end", {"keep": "1"}, "is on trial"),
    ],
)
def test_what_cannot_be_done_is_said_on_the_page(browser, alice, guide, path, fields, words):
    answer = browser.owner.post(f"/agents/guide/{path}", fields, follow=True)

    assert answer.status_code == 200
    assert words in answer.content.decode()


def test_nothing_is_restored_while_a_version_is_on_trial(browser, alice, guide):
    start(alice)

    answer = browser.owner.post("/agents/guide/versions/1/restore", follow=True)

    assert "decide for one of its versions first" in answer.content.decode()


def test_the_page_of_an_agent_and_its_editor_say_that_a_version_is_on_trial(browser, alice, guide):
    before = [browser.owner.get(path).content.decode() for path in ("/agents/guide", "/agents/guide/edit")]
    start(alice, percent=20)

    page, editor = (browser.owner.get(path).content.decode() for path in ("/agents/guide", "/agents/guide/edit"))

    assert not any("on trial" in text for text in before)
    assert "on trial: it gets 20 % of the visits and version 1 the rest" in page
    assert "Version 2 is on trial beside version 1" in editor
    assert all('href="/agents/guide/versions"' in text for text in (page, editor))


def test_versions_that_differ_in_little_are_told_apart_by_their_cost(browser, alice, guide, capsys):
    start(alice)
    with scope(organization=alice.organization):
        for number, cost in ((1, 302), (2, 263)):
            count_visit(selectors.find_trial("guide").pk, number, alice.organization.pk, failed=False, cost=cost)
        count_visit(selectors.find_trial("guide").pk, 2, alice.organization.pk, failed=False, cost=263, tokens=3)

    page = browser.owner.get("/agents/guide/versions").content.decode()
    call_command("agents", "trial", "guide", organization=alice.organization.slug)
    told = capsys.readouterr().out

    assert "$0.000263" in page
    assert "$0.000302" in page
    assert [line.split()[-2:] for line in told.splitlines()[1:3]] == [["2", "0.000263"], ["0", "0.000302"]]


def test_who_may_only_look_has_no_buttons(browser, alice, guide):
    start(alice)

    page = browser.viewer.get("/agents/guide/versions").content.decode()

    assert "On trial" in page
    assert "Keep version" not in page
    assert browser.viewer.post("/agents/guide/trial", {"against": "1", "percent": "20"}).status_code == 403
    assert browser.viewer.post("/agents/guide/trial/end", {"keep": "1"}).status_code == 403


def test_a_trial_is_led_from_the_command_line(alice, guide, capsys):
    mine = {"organization": alice.organization.slug}
    call_command("agents", "trial", "guide", "--against", "1", "--percent", "10", "--json", **mine)
    begun = json.loads(capsys.readouterr().out)
    call_command("agents", "trial", "guide", **mine)
    told = capsys.readouterr()
    call_command("agents", "trial", "guide", "--keep", "1", "--json", **mine)
    kept = json.loads(capsys.readouterr().out)

    assert (begun["candidate"], begun["percent"]) == (2, 10)
    assert "Too early to tell" in told.out + told.err
    assert kept["version"] == 3


@pytest.mark.parametrize("options", [["--keep", "1"], ["--against", "2"], ["--against", "1", "--percent", "0"], []])
def test_the_command_says_what_is_wrong(alice, guide, options):
    with pytest.raises((CommandError, DomainError)):
        call_command("agents", "trial", "guide", *options, organization=alice.organization.slug)

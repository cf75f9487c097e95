"""The home page: what needs somebody, how the last day went, and where to go on."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_scopes import scope

from apps.accounts.models import ApiKey
from apps.common.clock import now
from apps.integrations.models import ModelProvider, ModelSetting
from apps.workflows.models import Worker
from apps.workflows.views.home import SEEN
from tests.language_models.spent import call
from tests.workflows.listed import listed, saved

ASKING = {"name": "ask", "nodes": {"a": {"type": "approval", "message": "Send it?"}}}


@pytest.fixture
def brief(organization):
    return saved(organization, "market-brief", title="Market brief")


def test_home_is_for_members_and_tells_of_their_organization_only(browser, brief):
    listed(brief, "failed")

    assert "/workflows/market-brief" in browser.viewer.get("/").text
    assert "/workflows/market-brief" not in browser.stranger.get("/").text
    assert browser.anonymous.get("/")["Location"] == "/accounts/login?next=%2F"


def test_programs_are_led_to_the_api(client):
    assert client.get("/")["Location"] == "/v1/docs"


def test_what_needs_somebody_comes_first(room, browser):
    room.start(ASKING)
    room.start({"name": "f", "nodes": {"a": {"type": "fail", "message": "No."}}})
    room.work()

    needs = browser.owner.get("/").context["needs"]

    assert (needs.approvals, needs.failed, needs.unknown) == (1, 1, 0)


def test_nothing_to_do_is_said(browser):
    assert "Nothing at the moment." in browser.owner.get("/").text


def test_failed_runs_count_from_the_end_of_the_visit_before(browser, brief):
    listed(brief, "failed", age=timedelta(hours=5))
    listed(brief, "failed", count=2, age=timedelta(minutes=90))
    moment = now().timestamp()

    def failed(started, last):
        browser.owner.cookies[SEEN] = f"{moment - started * 3600:.0f}.{moment - last * 3600:.0f}"
        return browser.owner.get("/").context["needs"].failed

    assert browser.owner.get("/").context["needs"].failed == 3  # nobody knows of a visit: the last day
    assert failed(started=9, last=2) == 2  # another visit, since two hours ago
    assert failed(started=6, last=0.1) == 3  # the same visit still
    assert failed(started=6, last=1) == 0


@pytest.mark.parametrize(
    "value", ["", "x", ".", "1", "1.", "9" * 50 + "." + "9" * 50, "99999999999.99999999999", "-1.5", "²."]
)
def test_a_cookie_of_ones_own_making_breaks_nothing(browser, value):
    browser.owner.cookies[SEEN] = value

    assert browser.owner.get("/").status_code == 200


def test_the_strip_has_a_bar_for_each_half_hour_that_leads_to_its_runs(browser, brief):
    whole = now().replace(minute=10) - timedelta(hours=5)  # no half hour begins within
    listed(brief, count=3, age=now() - whole)
    listed(brief, "failed", age=now() - whole)
    listed(brief, age=timedelta(days=2))

    page = browser.owner.get("/")
    bar = next(bar for bar in page.context["bars"] if bar.parts)

    assert len(page.context["bars"]) == 48
    assert bar.label.endswith("UTC: 4 runs, 1 failed")
    assert [css for css, _, _ in bar.parts] == ["ended", "failed"]
    assert len(browser.owner.get(bar.url).context["listed"].rows) == 4
    assert [count for _, _, count, _ in page.context["sums"]] == [3, 1, 0]


def test_failures_stand_by_workflow_with_the_last_message(browser, brief, organization):
    listed(brief, "failed", count=2, age=timedelta(hours=1), error={"message": "Older."})
    listed(brief, "failed", error={"message": "<i>Newest.</i>"})
    listed(saved(organization, "other"), "failed", age=timedelta(hours=2))

    page = browser.owner.get("/")

    assert [(one.label, one.count) for one in page.context["failing"]] == [("Market brief", 3), ("other", 1)]
    assert "&lt;i&gt;Newest.&lt;/i&gt;" in page.text


def test_health_says_what_is_missing(browser, organization):
    facts = {fact.name: fact for fact in browser.owner.get("/").context["facts"]}
    assert (facts["Workers"].text, facts["Leader"].is_well) == ("none", False)

    Worker.objects.create(name="w1", host="h", pid=1, lock_key=1, slots=1, version="1", leads_recovery=True)

    facts = {fact.name: (fact.text, fact.is_well) for fact in browser.owner.get("/").context["facts"]}
    assert facts == {
        "Web": ("ok", True),
        "Workers": ("1/1", True),
        "Leader": ("ok", True),
        "Queue": ("0", True),
        "Postgres": ("ok", True),
        "Redis": ("ok", True),
    }


def set_up_model(organization, **fields):
    with scope(organization=organization):
        provider = ModelProvider.objects.create(organization=organization, name="local", kind="openai_compatible")
        known = {"name": "smart", "model": "m", "is_default": True}
        return ModelSetting.objects.create(organization=organization, provider=provider, **known | fields)


def ask_it(organization, run):
    call(organization, model="smart", run_id=run.pk)


def test_the_first_steps_go_when_they_are_done(browser, brief, organization):
    needs = browser.owner.get("/").context["needs"]
    assert (needs.has_run, needs.model, needs.has_own, needs.has_called) == (False, "", True, False)

    (run,) = listed(brief)
    set_up_model(organization)
    ask_it(organization, run)
    with scope(organization=organization):
        ApiKey.objects.update(last_used_at=now())

    assert "First steps" not in browser.owner.get("/").text


def test_the_demo_stays_within_reach_after_another_run(browser, brief):
    button = '<button class="btn{}">'
    before, viewer = browser.owner.get("/").text, browser.viewer.get("/").text
    listed(brief)
    after = browser.owner.get("/").text

    assert "The workflow “Market brief”" in before
    assert demo_button(before) == button.format(" primary")
    assert demo_button(after) == button.format("")
    assert demo_button(viewer) == demo_button(browser.viewer.get("/").text) == ""


def demo_button(page):
    found = re.search(r'(<button class="[^"]*">)<svg[^>]*>.{0,80}</svg>Run the demo</button>', page)
    return found[1] if found else ""


def test_a_model_of_their_own_is_offered_to_who_may_set_it_up(browser, brief):
    owner, viewer = browser.owner.get("/").text, browser.viewer.get("/").text

    assert "Add a key" in owner
    assert "Add a key" not in viewer
    assert "alice can add a key." in viewer
    assert "alice can add a key." not in owner


def test_a_new_model_is_offered_to_run_the_demo_with_until_a_run_has_asked_it(browser, brief, organization):
    set_up_model(organization)
    before = browser.owner.get("/").text
    (run,) = listed(brief)
    offered, viewer, stranger = (one.get("/").text for one in (browser.owner, browser.viewer, browser.stranger))
    ask_it(organization, run)

    assert "smart is the default." in before
    assert "five agents at work on smart" in before
    assert "Run the demo again with it" not in before, "it has not been run yet"
    assert "Run the demo again with it" in offered
    assert "Run the demo again" not in viewer
    assert "smart" not in stranger
    assert "Run the demo again" not in browser.owner.get("/").text


def test_a_model_that_has_long_been_there_is_not_offered(browser, brief, organization):
    set_up_model(organization, created_at=now() - timedelta(days=8))
    listed(brief)

    assert "Run the demo again" not in browser.owner.get("/").text


def test_who_may_only_look_cannot_run(browser, brief):
    assert "run-workflow" in browser.owner.get("/").text
    assert "run-workflow" not in browser.viewer.get("/").text


def test_the_page_asks_ten_questions_at_most_however_much_there_is(browser, organization, brief):
    for number in range(8):
        listed(saved(organization, f"w{number}"), "failed", count=20)
    owner = browser.owner

    with CaptureQueriesContext(connection) as asked:
        owner.get("/")

    assert len(asked) <= 10, [one["sql"][:80] for one in asked]

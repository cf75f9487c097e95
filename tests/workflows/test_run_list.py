"""The list of runs in the browser: who sees what, how it is filtered, and acting on many."""

import re
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_scopes import scope
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Role
from apps.workflows.engine.states import RunStatus
from apps.workflows.lists import runs
from apps.workflows.lists.query import parse
from apps.workflows.models import Run, SavedView
from tests.fixtures import make_actor, signed_in
from tests.language_models.spent import call
from tests.workflows.listed import listed, saved

BRIEF = {"inputs": {"type": "object", "properties": {"topic": {"type": "string"}}}}


NOBODYS = "00000000-0000-4000-8000-000000000000"  # an id; names of tests must not change from process to process


@pytest.fixture
def brief(organization):
    return saved(organization, "market-brief", title="Market brief", **BRIEF)


def shown(answer):
    return [row.id for row in answer.context["listed"].rows]


def ask(client, text="", **others):
    return client.get("/runs", {"q": text, **others})


def test_the_list_is_for_members_and_shows_their_runs_only(browser, brief):
    (run,) = listed(brief)

    assert shown(ask(browser.owner)) == shown(ask(browser.viewer)) == [run.pk]
    assert shown(ask(browser.stranger)) == []
    assert "No runs yet" in ask(browser.stranger).text
    assert browser.anonymous.get("/runs?q=x")["Location"] == "/accounts/login?next=%2Fruns%3Fq%3Dx"


def test_a_failed_run_says_in_its_row_where_and_why(browser, brief):
    listed(brief, "failed", error={"code": "x", "message": "<b>The channel</b> is gone.", "node": "post"})

    page = ask(browser.owner).text

    assert "&lt;b&gt;The channel&lt;/b&gt; is gone." in page
    assert ">post</b>" in page


def test_other_runs_show_the_beginning_of_their_input(browser, brief):
    listed(brief, input='{"topic":"heat pumps","days":3}')
    listed(brief, input='{"topic":"' + "x" * 1000 + '"}')
    listed(brief, input='{"$blob":"0123"}')

    assert {row.glimpse[:28] for row in ask(browser.owner).context["listed"].rows} == {
        "topic: heat pumps · days: 3",
        "topic: " + "x" * 21,
        "",
    }


def test_every_tab_says_how_many_runs_it_has(browser, brief):
    listed(brief, "failed", count=2)
    listed(brief, "running")
    listed(brief, count=3)

    tabs = {tab["label"]: tab.get("count") for tab in ask(browser.owner).context["tabs"]}

    assert tabs == {"All": None, "Running": "1", "Waiting": None, "Failed": "2", "Completed": "3", "Cancelled": None}


def test_a_count_is_bounded(browser, brief, monkeypatch):
    monkeypatch.setattr(runs, "MOST_COUNTED", 3)
    listed(brief, count=5)

    assert "3+" in ask(browser.owner).text


def test_older_pages_follow_without_gaps_while_runs_are_added(browser, brief, monkeypatch):
    monkeypatch.setattr(runs, "ROWS", 2)
    expected = [run.pk for run in listed(brief, count=5)]

    first = ask(browser.owner)
    listed(brief, age=timedelta())
    second = ask(browser.owner, cursor=first.context["listed"].next_cursor)
    third = ask(browser.owner, cursor=second.context["listed"].next_cursor)

    assert shown(first) + shown(second) + shown(third) == expected
    assert third.context["listed"].next_cursor is None


def test_a_cursor_that_nobody_made_is_a_page_that_says_so(browser, brief):
    assert ask(browser.owner, cursor="x").status_code == 400


WORKFLOWS = ("market-brief", "triage")
FACTS = st.fixed_dictionaries(
    {
        "workflow": st.sampled_from(WORKFLOWS),
        "status": st.sampled_from([*RunStatus]),
        "trigger": st.sampled_from(["api", "manual"]),
        "team": st.sampled_from(["red", "blue"]),
        "hours": st.integers(0, 5),
    }
)


FITS = {
    "status:failed": lambda run: run["status"] == "failed",
    "status:completed,running": lambda run: run["status"] in {"completed", "running"},
    "workflow:triage": lambda run: run["workflow"] == "triage",
    "trigger:manual": lambda run: run["trigger"] == "manual",
    "label:team:blue": lambda run: run["team"] == "blue",
    "since:3h": lambda run: run["hours"] < 3,
    "until:3h": lambda run: run["hours"] >= 3,
    "brief": lambda run: run["workflow"] == "market-brief",
    "triage": lambda run: run["workflow"] == "triage",
}
WANTED = st.lists(st.sampled_from([*FITS]), unique_by=lambda term: term.partition(":")[0], max_size=4)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FACTS, max_size=12), WANTED)
def test_a_filter_finds_what_fits_all_of_its_terms_and_nothing_else(organization, facts, wanted):
    with scope(organization=organization):
        Run.objects.all().delete()
        flows = {name: saved(organization, name) for name in WORKFLOWS}
        made = {
            listed(
                flows[one["workflow"]],
                one["status"],
                trigger=one["trigger"],
                labels={"team": one["team"]},
                age=timedelta(hours=one["hours"], minutes=5),
            )[0].pk: one
            for one in facts
        }

        query = parse(" ".join(wanted))

        assert query.faults == ()
        expected = {pk for pk, one in made.items() if all(FITS[term](one) for term in wanted)}
        assert {run.pk for run in runs.page(query, None).rows} == expected
        counted = runs.counts(query.lacking("status"))
        rest = [term for term in wanted if not term.startswith("status:")]
        assert sum(counted.values()) == sum(all(FITS[term](one) for term in rest) for one in facts)


def test_a_run_is_found_by_its_id_and_by_the_end_of_it(browser, brief):
    run, _other = listed(brief, count=2)

    for text in (f"id:{run.pk}", f"id:{str(run.pk)[-8:]}", str(run.pk)[-8:], f"id:{str(run.pk).upper()}"):
        assert shown(ask(browser.owner, text)) == [run.pk], text


def test_runs_are_found_by_a_node_they_have_come_to(room, browser):
    run = room.start({"name": "x", "nodes": {"publish": {"type": "set", "values": {"a": 1}}}})
    room.start({"name": "y", "nodes": {"other": {"type": "set", "values": {"a": 1}}}})
    room.work()

    assert shown(ask(browser.owner, "node:publish")) == [run]
    assert shown(ask(browser.owner, "node:pub%")) == []


@pytest.mark.parametrize("text", ["workflow:nobody", "id:0123456789ab", f"id:{NOBODYS}", "sinse:2h"])
def test_what_a_filter_cannot_find_is_said_above_an_empty_list(browser, brief, text):
    listed(brief)

    answer = ask(browser.owner, text)

    assert (answer.status_code, shown(answer)) == (200, []), text
    assert answer.context["listed"].faults or "No run matches" in answer.text


def test_a_part_of_the_page_is_only_the_list(browser, brief):
    listed(brief)

    part = browser.owner.get("/runs", headers={"HX-Request": "true"}).text

    assert "<html" not in part
    assert 'id="run-rows"' in part


def test_the_note_says_how_many_runs_have_come_and_refreshes_open_rows(browser, brief):
    (old,) = listed(brief, "running", age=timedelta(minutes=1))
    listed(brief, count=3, age=timedelta())

    answer = browser.owner.get("/runs/news", {"newest": old.pk, "open": old.pk})

    assert "3 new runs: show" in answer.text
    assert f'id="status-{old.pk}"' in answer.text
    assert browser.stranger.get("/runs/news", {"newest": old.pk, "open": old.pk}).context["rows"] == []


def test_the_drawer_shows_the_run_and_only_to_its_organization(browser, room):
    run = room.start({"name": "x", "nodes": {"publish": {"type": "fail", "message": "There is no channel."}}})
    room.work()

    page = browser.viewer.get(f"/runs/{run}/peek").text

    assert "There is no channel." in page
    assert "publish" in page
    assert "Retry" not in page  # a viewer may not
    assert browser.stranger.get(f"/runs/{run}/peek").status_code == 404
    assert browser.anonymous.get(f"/runs/{run}/peek").status_code == 302


def test_a_confirmation_says_how_many_and_of_them_how_many_can_be_acted_on(browser, brief):
    failed = listed(brief, "failed", count=2)
    (done,) = listed(brief)

    page = browser.owner.get("/runs/confirm", {"act": "retry", "run": [run.pk for run in [*failed, done]]}).text

    assert "Retry 2 runs?" in page
    assert "3 are chosen" in page


def test_many_runs_are_cancelled_and_what_has_ended_stays(room, browser):
    waiting = {"name": "w", "nodes": {"a": {"type": "wait", "seconds": 3600}}}
    open_runs = [room.start(waiting) for _ in range(3)]
    room.work()
    done = room.start({"name": "x", "nodes": {"a": {"type": "set", "values": {}}}})
    room.work()

    answer = browser.owner.post("/runs/act", {"act": "cancel", "run": [*open_runs, done], "q": "since:2h"}, follow=True)

    assert [str(message) for message in answer.context["messages"]] == ["Cancelled 3 runs."]
    assert answer.redirect_chain == [("/runs?q=since%3A2h", 302)]
    with scope(organization=room.organization):
        statuses = dict(Run.objects.values_list("pk", "status"))
    assert statuses == {**dict.fromkeys(open_runs, "cancelled"), done: "completed"}


def test_all_that_match_are_retried_at_once(room, browser):
    failing = {"name": "f", "nodes": {"a": {"type": "fail", "message": "No."}}}
    failed = [room.start(failing) for _ in range(3)]
    room.work()

    browser.owner.post("/runs/act", {"act": "retry", "all": "1", "q": "status:failed"})

    with scope(organization=room.organization):
        assert {run.status for run in Run.objects.filter(pk__in=failed)} == {"running"}


def test_acting_needs_the_right_to_run_and_ones_own_runs(browser, brief, organization, room):
    run = room.start({"name": "w", "nodes": {"a": {"type": "wait", "seconds": 3600}}})
    operator = signed_in(make_actor("olga", organization, Role.OPERATOR))
    order = {"act": "cancel", "run": [run]}

    def status():
        with scope(organization=organization):
            return Run.objects.get(pk=run).status

    assert browser.viewer.post("/runs/act", order).status_code == 403
    assert browser.viewer.get("/runs/confirm", order).status_code == 403
    assert browser.anonymous.post("/runs/act", order).status_code == 302
    browser.stranger.post("/runs/act", order)
    assert status() != "cancelled"
    assert 'name="run"' not in ask(browser.viewer).text
    operator.post("/runs/act", order)
    assert status() == "cancelled"


def test_an_act_that_does_not_exist_is_refused(browser):
    assert browser.owner.post("/runs/act", {"act": "delete"}).status_code == 400
    assert browser.owner.post("/runs/act", {"act": "cancel", "all": "1", "q": "sinse:2h"}).status_code == 422


def test_a_view_is_a_filter_under_a_name_of_ones_own(browser, brief, organization):
    saving = {"name": "Broken", "q": "status:failed since:24h"}

    assert browser.viewer.post("/runs/views", saving)["Location"] == f"/runs?q={quote('status:failed')}+since%3A24h"
    browser.viewer.post("/runs/views", {**saving, "q": "status:failed"})

    ((view, url, _),) = ask(browser.viewer).context["views"]
    assert (view.name, url) == ("Broken", "/runs?q=status%3Afailed")
    assert ask(browser.owner).context["views"] == []
    assert browser.owner.post(f"/runs/views/{view.pk}/delete").status_code == 404
    browser.viewer.post(f"/runs/views/{view.pk}/delete")
    with scope(organization=organization):
        assert not SavedView.objects.exists()


@pytest.mark.parametrize(
    "wrong", [{"name": "", "q": "status:failed"}, {"name": "x" * 61, "q": ""}, {"name": "x", "q": "sinse:1"}]
)
def test_a_view_without_a_name_or_with_a_mistake_is_not_kept(browser, organization, wrong):
    browser.owner.post("/runs/views", wrong)

    with scope(organization=organization):
        assert not SavedView.objects.exists()


def test_a_run_says_what_its_calls_of_models_cost_as_far_as_anybody_knows(browser, organization, brief):
    known, some, none, free = (listed(brief)[0] for _ in range(4))
    for run in (known, some):
        call(organization, run_id=run.pk, cost=1_500)
    for run in (some, none):
        call(organization, run_id=run.pk, is_priced=False)

    page = ask(browser.owner).text

    costs = {run: cell(page, run) for run in (known, some, none, free)}
    assert list(costs.values()) == ["$0.0015", "$0.0015 + unknown", "price unknown", ""]
    assert "$0.0015" not in ask(browser.stranger).text


def test_a_run_that_goes_on_shows_what_it_has_cost_so_far(browser, organization, brief):
    (run,) = listed(brief, "running")
    call(organization, run_id=run.pk, cost=20_000)

    news = browser.viewer.get(f"/runs/news?open={run.pk}", headers={"HX-Request": "true"}).text

    assert cell(news, run) == "$0.02"


def cell(page, run):
    rest = page.partition(f'id="cost-{run.pk}"')[2].partition(">")[2]
    return re.sub(r"<[^>]+>", "", re.split("</td>|<div", rest)[0]).strip()


def test_the_page_asks_the_same_few_questions_however_many_runs_there_are(browser, brief):
    owner = browser.owner

    def questions():
        with CaptureQueriesContext(connection) as asked:
            ask(owner)
        return len(asked)

    listed(brief)
    few = questions()
    listed(brief, "failed", count=100)

    assert questions() == few <= 16

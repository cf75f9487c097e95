"""The inbox of approvals, as people use it."""

import re

import pytest
from django_scopes import scope

from apps.accounts.models import Role
from apps.workflows.models import Approval
from apps.workflows.services.approvals import decide_approval
from tests.engine.documents import workflow
from tests.fixtures import make_actor, signed_in
from tests.workflows.engine_room import EngineRoom

FORM = {
    "type": "object",
    "required": ["amount"],
    "properties": {
        "amount": {"type": "integer", "maximum": 100, "default": 20},
        "channel": {"enum": ["#launch", "#random"], "default": "#launch"},
    },
}


@pytest.fixture
def room(organization):
    return EngineRoom(organization)


def ask(room, **fields):
    """A question of a run, which goes on with `post` or `shelve`."""
    question = {"type": "approval", "message": "Send the brief?", "input": {"summary": "<b>Heat</b> pumps"}, **fields}
    nodes = {"ask": question, "post": {"title": "Post to Slack"}, "shelve": {}}
    definition = workflow(nodes, None) | {
        "edges": [
            {"from": "ask", "to": "post", "route": "approve"},
            {"from": "ask", "to": "shelve", "route": "reject"},
        ]
    }
    run = room.start(definition)
    room.work()
    return room.approval(run)


def text(response):
    return re.sub(r"\s+", " ", response.content.decode())


def current(approval):
    with scope(organization=approval.organization):
        return Approval.objects.get(pk=approval.pk)


def test_the_inbox_shows_what_waits_and_opens_the_first(room, browser):
    ask(room, timeout="1h", on_timeout="reject")

    page = text(browser.owner.get("/approvals"))

    assert "<title>(1) Approvals" in page
    assert "&lt;b&gt;Heat&lt;/b&gt; pumps" in page
    assert "the run goes on with <b>Post to Slack</b>" in page
    assert "the run goes on with <b>shelve</b>" in page
    assert "then it counts as rejected" in page


def test_an_empty_inbox_says_so(browser):
    page = text(browser.owner.get("/approvals"))

    assert "Nothing waits for a decision" in page
    assert "<title>Approvals" in page


def test_the_form_is_filled_with_defaults(room, browser):
    approval = ask(room, form=FORM)

    page = text(browser.owner.get(f"/approvals/{approval.pk}"))

    assert 'name="value:amount" value="20" required max="100"' in page
    assert '<option value="&quot;#launch&quot;" selected>' in page


def test_approving_lets_the_run_go_on(room, browser):
    approval = ask(room, form=FORM)
    sent = {"decision": "approve", "comment": "Fine.", "value:amount": "30", "value:channel": '"#random"'}

    answer = browser.owner.post(f"/approvals/{approval.pk}", sent, follow=True)
    room.work()

    assert "<dd>by alice " in text(answer)
    decided = current(approval)
    assert (decided.status, decided.decided_by, decided.comment) == ("approved", "user:alice", "Fine.")
    assert decided.data == {"amount": 30, "channel": "#random"}
    assert room.status(approval.run_id) == "completed"


def test_rejecting_needs_no_form(room, browser):
    approval = ask(room, form=FORM)

    browser.owner.post(f"/approvals/{approval.pk}", {"decision": "reject", "comment": "No.", "value:amount": "x"})

    assert (current(approval).status, current(approval).data) == ("rejected", {})


@pytest.mark.parametrize(("amount", "said"), [("many", "This is not a whole number"), ("300", "greater than the max")])
def test_what_does_not_fit_the_form_is_said_at_its_field(room, browser, amount, said):
    approval = ask(room, form=FORM)
    sent = {"decision": "approve", "value:amount": amount, "comment": "as typed"}

    answer = browser.owner.post(f"/approvals/{approval.pk}", sent)

    assert answer.status_code == 422
    assert said in text(answer)
    assert f'value="{amount}" required max="100" step="1" aria-invalid="true"' in text(answer)
    assert "as typed</textarea>" in text(answer)
    assert current(approval).status == "open"


def test_who_decides_second_learns_who_was_first(room, browser):
    approval = ask(room)
    with scope(organization=approval.organization):
        decide_approval(approval, decision="approve", data={}, comment="", by="user:ana")

    answer = browser.owner.post(f"/approvals/{approval.pk}", {"decision": "reject"})

    assert answer.status_code == 409
    assert "<strong>Already approved</strong> by ana" in text(answer)
    assert current(approval).status == "approved"


def test_the_list_that_htmx_asks_for_tells_of_a_decision_elsewhere(room, browser):
    approval = ask(room)
    asked = {"headers": {"HX-Request": "true"}}
    before = text(browser.owner.get(f"/approvals?chosen={approval.pk}", **asked))
    with scope(organization=approval.organization):
        decide_approval(approval, decision="approve", data={}, comment="", by="user:ana")

    after = text(browser.owner.get(f"/approvals?chosen={approval.pk}", **asked))

    assert "<html" not in before + after
    assert "<title>(1) Approvals" in before
    assert "Already" not in before
    assert "<strong>Already approved</strong> by ana" in after


def test_decisions_stay_readable(room, browser):
    approval = ask(room)
    browser.owner.post(f"/approvals/{approval.pk}", {"decision": "reject", "comment": "Too early."})

    assert "Send the brief?" in text(browser.owner.get("/approvals?show=decided"))
    assert "Too early." in text(browser.viewer.get(f"/approvals/{approval.pk}"))


def test_mine_are_those_that_name_me(room, browser):
    ask(room, assignees="alice", message="For Alice?")
    ask(room, assignees="ana", message="For Ana?")

    page = text(browser.owner.get("/approvals?show=mine"))

    assert "For Alice?" in page
    assert "For Ana?" not in page


def test_who_was_not_asked_sees_no_button_and_is_refused(room, browser):
    approval = ask(room, assignees="ana")

    page = text(browser.owner.get(f"/approvals/{approval.pk}"))
    answer = browser.owner.post(f"/approvals/{approval.pk}", {"decision": "approve"})

    assert "This is for ana to decide" in page
    assert 'value="approve"' not in page
    assert answer.status_code == 403


def test_a_viewer_looks_and_may_not_decide(room, browser):
    approval = ask(room)

    page = text(browser.viewer.get(f"/approvals/{approval.pk}"))
    answer = browser.viewer.post(f"/approvals/{approval.pk}", {"decision": "approve"})

    assert "Your role may look at this and not decide it" in page
    assert 'value="approve"' not in page
    assert answer.status_code == 403
    assert current(approval).status == "open"


def test_an_operator_decides(room, organization, browser):
    approval = ask(room)
    olga = signed_in(make_actor("olga", organization, Role.OPERATOR))

    olga.post(f"/approvals/{approval.pk}", {"decision": "approve"})

    assert current(approval).decided_by == "user:olga"


def test_another_organization_sees_nothing(room, browser):
    approval = ask(room)

    assert "Send the brief?" not in text(browser.stranger.get("/approvals"))
    assert browser.stranger.get(f"/approvals/{approval.pk}").status_code == 404
    assert browser.stranger.post(f"/approvals/{approval.pk}", {"decision": "approve"}).status_code == 404
    assert "Send the brief?" not in text(
        browser.stranger.get(f"/approvals?chosen={approval.pk}", headers={"HX-Request": "true"})
    )


def test_nobody_goes_to_the_sign_in(room, browser):
    approval = ask(room)

    for path in ("/approvals", f"/approvals/{approval.pk}"):
        assert browser.anonymous.get(path)["Location"].startswith("/accounts/login?next=%2Fapprovals")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/approvals?before=x", 400), ("/approvals/zzz", 404), ("/approvals?show=nonsense", 200)],
)
def test_an_address_that_means_nothing(browser, path, status):
    assert browser.owner.get(path).status_code == status


def test_a_decision_that_is_none_is_refused(room, browser):
    approval = ask(room)

    assert browser.owner.post(f"/approvals/{approval.pk}", {"decision": "perhaps"}).status_code == 400


def test_older_questions_are_on_the_next_page(room, browser, monkeypatch):
    monkeypatch.setattr("apps.workflows.views.approvals.MOST", 1)
    older, newer = ask(room, message="Older?"), ask(room, message="Newer?")

    first = text(browser.owner.get("/approvals"))
    second = text(browser.owner.get(f"/approvals?before={newer.pk}"))

    assert "Older?" not in first
    assert f"before={newer.pk}" in first
    assert "Older?" in second
    assert older.pk < newer.pk

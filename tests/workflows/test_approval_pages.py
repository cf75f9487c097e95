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


# ---- sending back ---------------------------------------------------------------------------------


def ask_about_a_draft(room):
    back = {"from": "ask", "to": "draft", "route": "send_back", "max": 1}
    question = {"type": "approval", "message": "Send it?"}
    run = room.start(workflow({"draft": {}, "ask": question, "sent": {}}, ["draft ask", "ask sent", back]))
    room.work()
    return room.approval(run)


def test_a_question_is_sent_back_with_a_comment_and_asked_again(room, browser):
    approval = ask_about_a_draft(room)
    page = text(browser.owner.get(f"/approvals/{approval.pk}"))
    assert "the run goes back to <b>draft</b>, with your comment" in page

    answer = browser.owner.post(
        f"/approvals/{approval.pk}", {"decision": "send_back", "comment": "Shorter."}, follow=True
    )
    room.work()

    assert "Sent back. The run goes on." in text(answer)
    assert (current(approval).status, current(approval).comment) == ("sent_back", "Shorter.")
    again = room.approval(approval.run_id)
    assert "Send back" not in text(browser.owner.get(f"/approvals/{again.pk}")), "the edge is used up"


def test_sending_back_without_a_word_or_a_way_is_refused(room, browser):
    wordless = browser.owner.post(f"/approvals/{ask_about_a_draft(room).pk}", {"decision": "send_back"})
    wayless = ask(room)

    refused = browser.owner.post(f"/approvals/{wayless.pk}", {"decision": "send_back", "comment": "x"})

    assert (wordless.status_code, refused.status_code) == (422, 409)
    assert "Say what should be different" in text(wordless)
    assert "cannot be sent back" in text(refused)
    assert "Send back" not in text(browser.owner.get(f"/approvals/{wayless.pk}"))


# ---- several at once ------------------------------------------------------------------------------


def ids(*approvals):
    return [str(one.pk) for one in approvals]


def test_questions_of_one_step_are_decided_together(room, browser):
    first, second, third = ask(room), ask(room), ask(room)
    assert "3 wait: decide several at once" in text(browser.owner.get(f"/approvals/{first.pk}"))

    page = text(browser.owner.get(f"/approvals/{first.pk}/alike"))
    sent = {"decision": "approve", "comment": "Both fine.", "question": ids(first, third)}
    answer = browser.owner.post(f"/approvals/{first.pk}/alike", sent, follow=True)

    assert "Approve <span data-chosen-count>3</span>" in page
    assert "Approved 2 questions." in text(answer)
    assert [current(one).status for one in (first, second, third)] == ["approved", "open", "approved"]
    assert current(third).comment == "Both fine."


def test_questions_of_another_step_are_not_decided_with_them(room, browser):
    one, other = ask(room), ask_about_a_draft(room)

    page = text(browser.owner.get(f"/approvals/{one.pk}/alike"))
    browser.owner.post(f"/approvals/{one.pk}/alike", {"decision": "reject", "question": ids(one, other)})

    assert "Send it?" not in page
    assert (current(one).status, current(other).status) == ("rejected", "open")


def test_of_several_one_that_was_decided_meanwhile_stays_and_is_told(room, browser):
    first, second = ask(room), ask(room)
    with scope(organization=first.organization):
        decide_approval(first, decision="approve", data={}, comment="", by="user:ana")

    sent = {"decision": "reject", "question": ids(first, second)}
    answer = text(browser.owner.post(f"/approvals/{second.pk}/alike", sent, follow=True))

    assert "Rejected 1 question." in answer
    assert "Already approved by user:ana" in answer
    assert (current(first).status, current(second).status) == ("approved", "rejected")


def test_one_form_is_filled_in_for_all(room, browser):
    asked = [ask(room, form=FORM), ask(room, form=FORM)]
    sent = {"decision": "approve", "question": ids(*asked), "value:channel": '"#launch"'}

    wrong = browser.owner.post(f"/approvals/{asked[0].pk}/alike", {**sent, "value:amount": "300"})
    browser.owner.post(f"/approvals/{asked[0].pk}/alike", {**sent, "value:amount": "7"})

    assert (wrong.status_code, "greater than the max" in text(wrong)) == (422, True)
    assert [current(one).data["amount"] for one in asked] == [7, 7]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"decision": "send_back", "comment": "x"}, 400),
        ({"decision": "approve", "question": ["zzz"]}, 400),
        ({"decision": "approve"}, 302),
    ],
    ids=["send back", "no id", "nothing"],
)
def test_several_at_once_that_make_no_sense_decide_nothing(room, browser, sent, status):
    approval = ask(room)

    assert browser.owner.post(f"/approvals/{approval.pk}/alike", sent).status_code == status
    assert current(approval).status == "open"


def test_several_at_once_are_only_those_that_one_was_asked(room, browser):
    mine, others = ask(room, assignees="alice", message="Mine?"), ask(room, assignees="ana", message="Hers?")

    page = text(browser.owner.get(f"/approvals/{mine.pk}/alike"))
    browser.owner.post(f"/approvals/{mine.pk}/alike", {"decision": "approve", "question": ids(mine, others)})

    assert ("Mine?" in page, "Hers?" in page) == (True, False)
    assert (current(mine).status, current(others).status) == ("approved", "open")


def test_a_viewer_and_another_organization_decide_nothing_at_once(room, browser, charlie):
    approval = ask(room)
    sent = {"decision": "approve", "question": ids(approval)}
    with scope(organization=charlie.organization):
        elsewhere = ask(EngineRoom(charlie.organization))

    assert browser.viewer.post(f"/approvals/{approval.pk}/alike", sent).status_code == 403
    assert browser.stranger.get(f"/approvals/{approval.pk}/alike").status_code == 404
    browser.stranger.post(f"/approvals/{elsewhere.pk}/alike", sent)
    assert current(approval).status == "open"


def test_what_a_run_has_cost_so_far_is_said(room, browser):
    approval = ask(room)
    assert "<dt>Cost so far</dt><dd>nothing</dd>" in text(browser.owner.get(f"/approvals/{approval.pk}"))

    with scope(organization=approval.organization):
        type(approval.run).objects.filter(pk=approval.run_id).update(cost_usd="0.0123", tokens=4500)

    assert "<dt>Cost so far</dt><dd>$0.0123, 4,500 tokens</dd>" in text(browser.owner.get(f"/approvals/{approval.pk}"))

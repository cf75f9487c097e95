"""The page of a run, as the server makes it."""

import html
import json

import pytest
from django.test import Client

from apps.accounts.models import Role
from apps.observability.models import LogLine
from apps.workflows.models import Draft
from apps.workflows.serializers.run_page.layout import HEIGHT, WIDTH, lay_out
from apps.workflows.services import drafts, runs
from apps.workflows.services.runs import Order
from apps.workflows.services.versions import archive_workflow
from tests.engine.documents import compiled, workflow
from tests.fixtures import make_actor
from tests.workflows.listed import wide_map

LONG = "a-name-that-goes-on-and-on-as-names-do-when-nobody-stops-their-authors-from-explaining-themselves"
FORM = {
    "type": "object",
    "required": ["copies"],
    "properties": {"note": {"type": "string"}, "copies": {"type": "integer"}, "tone": {"enum": ["warm", "cold"]}},
}
ASKING = workflow(
    {
        "ask": {"type": "approval", "message": "Send the brief?", "form": FORM, "input": {"summary": "All is well."}},
        "done": {"values": {"note": "{{ nodes.ask.output.data.note }}"}, "needs": "ask"},
    }
)
FRAGMENT = {"HX-Request": "true"}


NOBODYS = "00000000-0000-4000-8000-000000000000"


def signed_in(actor) -> Client:
    client = Client()
    client.force_login(actor.user)
    return client


@pytest.fixture
def owner(alice) -> Client:
    return signed_in(alice)


@pytest.fixture
def member(organization) -> Client:
    return signed_in(make_actor("mia", organization, Role.OPERATOR))


@pytest.fixture
def viewer(bob) -> Client:
    return signed_in(bob)


def shown(client: Client, run, path: str = "") -> str:
    answer = client.get(f"/runs/{getattr(run, 'pk', run)}{path}")
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def state_of(client: Client, run) -> dict:
    return json.loads(shown(client, run, "/state"))


# ---- who may see it ---------------------------------------------------------------------------------


def test_a_run_is_shown_with_its_graph_its_timeline_and_its_output(room, owner):
    run = room.finish(workflow({"first": {}, "second": {"needs": "first", "values": {"answer": 42}}}))

    html = shown(owner, run)

    assert 'data-node="first"' in html
    assert 'data-key="second#1"' in html
    assert 'class="wire taken"' in html
    assert "Completed" in html
    assert "answer" in html


def test_any_unique_ending_of_the_id_leads_there(room, owner):
    run = room.finish(workflow({"a": {}}))

    assert str(run.pk) in shown(owner, str(run.pk)[-8:])


def test_whoever_is_not_signed_in_comes_back_after_signing_in(room):
    run = room.finish(workflow({"a": {}}))

    answer = Client().get(f"/runs/{run.pk}?node=a")

    assert answer.status_code == 302
    assert answer["Location"] == f"/accounts/login?next=%2Fruns%2F{run.pk}%3Fnode%3Da"


@pytest.mark.parametrize("part", ["", "/head", "/state", "/inspector", "/history", "/history.ndjson", "/values/output"])
def test_another_organization_finds_nothing(room, charlie, part):
    run = room.finish(workflow({"a": {}}))

    assert signed_in(charlie).get(f"/runs/{run.pk}{part}").status_code == 404


def test_a_member_may_act_and_a_viewer_sees_no_button(room, member, viewer):
    run = room.start(workflow({"a": {"type": "wait", "seconds": 60}}))
    room.work()

    assert f"/runs/{run}/acts/pause" in shown(member, run)
    html = shown(viewer, run)
    assert "/acts/" not in html
    assert 'data-opens="rerun"' not in html
    assert viewer.post(f"/runs/{run}/acts/pause").status_code == 403
    assert room.status(run) == "waiting"


@pytest.mark.parametrize("path", ["acts/cancel", "signals", "rerun", f"approvals/{NOBODYS}", f"effects/{NOBODYS}"])
def test_nobody_else_may_act(room, viewer, charlie, path):
    run = room.start(workflow({"a": {}}))

    assert viewer.post(f"/runs/{run}/{path}").status_code == 403
    assert signed_in(charlie).post(f"/runs/{run}/{path}").status_code == 404
    assert room.status(run) == "pending"


def test_a_decision_about_another_runs_question_is_refused(room, owner):
    asking, other = room.start(ASKING), room.start(ASKING)
    room.work()

    answer = owner.post(f"/runs/{other}/approvals/{room.approval(asking).pk}", {"decision": "approve"})

    assert answer.status_code == 404


# ---- the sentence above -----------------------------------------------------------------------------


def test_a_failed_run_says_which_node_what_the_other_side_said_and_what_to_do(room, owner):
    run = room.finish(workflow({"post": {"type": "fail", "title": "Post to Slack", "message": "channel_not_found"}}))

    html = shown(owner, run)

    assert "<strong>Post to Slack</strong> channel_not_found. The workflow ends here on purpose" in html
    assert f"/runs/{run.pk}/acts/retry" in html
    assert 'data-panel-node="post"' in html  # the inspector opens with it


def test_a_run_without_workers_says_so(room, owner):
    run = room.start(workflow({"a": {"type": "agent", "agent": "echo"}}))

    assert "No worker is running" in shown(owner, run)


def test_a_question_is_answered_in_place(room, owner):
    run = room.start(ASKING)
    room.work()
    html = shown(owner, run)
    assert "Send the brief?" in html
    assert "All is well." in html
    assert 'name="value:copies"' in html

    answer = owner.post(
        f"/runs/{run}/approvals/{room.approval(run).pk}",
        {"decision": "approve", "value:note": "Enjoy", "value:copies": "3", "comment": "fine"},
        headers=FRAGMENT,
    )

    assert answer.status_code == 204
    assert json.loads(answer["HX-Trigger"]) == {"toast": {"text": "Approved."}, "run-changed": {}}
    room.work()
    assert room.node_output(run, "ask")["data"] == {"note": "Enjoy", "copies": 3}
    assert room.status(run) == "completed"


def test_an_answer_that_does_not_fit_says_where(room, owner):
    run = room.start(ASKING)
    room.work()
    where = f"/runs/{run}/approvals/{room.approval(run).pk}"

    for sent in ({"value:copies": "many"}, {"value:note": "no copies"}):
        answer = owner.post(where, {"decision": "approve", **sent}, headers={"Accept": "application/json"})
        assert answer.status_code == 422
        assert "copies" in answer.content.decode()
    assert room.status(run) == "waiting"


def test_what_is_wrong_with_no_field_is_said_all_the_same(room, owner):
    run = room.start(ASKING)
    room.work()
    where = f"/runs/{run}/approvals/{room.approval(run).pk}"

    missing = owner.post(where, {"decision": "approve", "value:note": "no copies"}, headers=FRAGMENT)
    unknown = owner.post(where, {"decision": "send_back"}, headers=FRAGMENT)

    assert (missing.status_code, "Fill this in." in missing.content.decode()) == (422, True)
    assert (unknown.status_code, unknown.get("HX-Retarget")) == (422, None)
    assert "Say what should be different" in unknown.content.decode()


def test_the_second_to_decide_is_told_who_was_first(room, owner, member):
    run = room.start(ASKING)
    room.work()
    where = f"/runs/{run}/approvals/{room.approval(run).pk}"
    owner.post(where, {"decision": "reject"})

    answer = member.post(where, {"decision": "approve", "value:copies": "1"}, headers={"Accept": "application/json"})

    assert answer.status_code == 409
    assert "Already rejected by user:alice" in answer.json()["detail"]


def test_an_event_that_a_node_waits_for_is_sent_from_the_page(room, owner):
    run = room.start(workflow({"pay": {"type": "wait", "event": "paid"}}))
    room.work()
    assert "It waits for the event &#x27;paid&#x27;" in shown(owner, run)

    answer = owner.post(f"/runs/{run}/signals", {"event": "paid", "payload": '{"amount": 20}'})

    assert answer.status_code == 302
    room.work()
    assert room.node_output(run, "pay") == {"amount": 20}


def test_an_event_is_asked_for_while_another_run_does_a_part(room, owner):
    room.save({**workflow({"rest": {"type": "wait", "seconds": 60}}), "name": "slow"})
    both = workflow({"pay": {"type": "wait", "event": "paid"}, "part": {"type": "workflow", "workflow": "slow"}})
    run, alone = room.start(both), room.start(workflow({"part": {"type": "workflow", "workflow": "slow"}}))
    room.work()
    assert room.status(run) == "running"

    assert "It waits for the event &#x27;paid&#x27;" in shown(owner, run)
    assert "Another run does this part." in shown(owner, alone)


def test_a_run_says_that_one_of_its_parts_waits_for_a_person(room, owner, charlie):
    room.save({**ASKING, "name": "asking"})
    run = room.start(workflow({"each": {"type": "map", "over": [1], "workflow": "asking"}}))
    room.work()
    (part,) = room.children(run)

    page = shown(owner, run, "/head")

    assert "each[0]</strong> The run that does this part waits for a person: Send the brief?" in page
    assert f'href="/runs/{part.pk}"' in page
    assert signed_in(charlie).get(f"/runs/{run}/head").status_code == 404


def test_a_run_that_is_paused_or_cancelled_says_by_what_it_goes_on(room, owner):
    paused, cancelled = room.start(workflow({"a": {}})), room.start(workflow({"a": {}}))
    room.pause(paused)
    owner.post(f"/runs/{cancelled}/acts/cancel")

    assert f"/runs/{paused}/acts/resume" in shown(owner, paused)
    assert "alice cancelled the run." in shown(owner, cancelled)


def test_a_worker_that_died_is_told_of_with_what_was_repeated(room, owner):
    run = room.start(workflow({"think": {"type": "agent", "agent": "echo", "input": {"text": "hi"}}}))
    room.claim(run, "think")
    room.die()
    room.until_ended(run)

    html = shown(owner, run)

    assert "died, noticed at" in html
    assert "nothing finished was repeated" in html
    assert [one["outcome"] for one in state_of(owner, run)["rows"][0]["segments"] if one["kind"] == "run"] == [
        "lost",
        "completed",
    ]


def test_an_item_whose_worker_died_is_told_of_too(room, owner):
    item = {"type": "agent", "agent": "echo", "input": "{{ item }}"}
    run = room.start(workflow({"each": {"type": "map", "over": [1, 2], "node": item}}))
    room.begin(run, "each")
    room.claim(run, "each", index=1)
    room.die()
    room.until_ended(run)

    assert "each[1]</strong> Worker" in shown(owner, run)
    assert "is queued again: its worker died" in shown(owner, run, "/history")


def test_a_call_that_nobody_knows_about_is_decided_on_the_page(room, owner):
    run = room.start(workflow({"pay": {"type": "agent", "agent": "echo", "idempotent": False}}))
    room.claim(run, "pay")
    room.die()
    effect = room.error(run)["details"]["effect"]
    html = shown(owner, run, "?node=pay&tab=effects")
    assert "Nobody knows whether" in html
    assert f"/runs/{run}/effects/{effect}" in html

    answer = owner.post(f"/runs/{run}/effects/{effect}", {"decision": "happened", "result": '{"text": "paid"}'})

    assert answer.status_code == 302
    room.work()
    assert room.status(run) == "completed"


# ---- the inspector ----------------------------------------------------------------------------------


def test_the_inspector_shows_what_the_address_selects(room, owner):
    run = room.finish(
        workflow({"a": {"values": {"v": "of a"}}, "b": {"needs": "a", "values": {"v": "of b"}}}), {"given": "in"}
    )

    assert "of a" in shown(owner, run, "/inspector?node=a&tab=output")
    assert "given" in shown(owner, run, "/inspector?tab=input")
    assert "of b" in shown(owner, run, "?node=b&tab=output")
    assert "&quot;values&quot;" in shown(owner, run, "/inspector?node=a&tab=config")
    assert "Orchestra decides this node itself" in shown(owner, run, "/inspector?node=a&tab=attempts")
    assert "It has not written to the log" in shown(owner, run, "/inspector?node=a&tab=logs")


def test_a_node_that_was_not_taken_shows_its_configuration(room, owner):
    run = room.finish(workflow({"a": {}, "b": {"type": "fail"}}, [{"from": "a", "to": "b", "when": "false"}]))

    html = shown(owner, run, "?node=b")

    assert "Skipped" in html
    assert "tone-skipped" in html
    assert "&quot;type&quot;: &quot;fail&quot;" in html


@pytest.mark.parametrize(
    "query", ["?node=nobody", "?node=a&visit=9", "?node=a&index=7", "?visit=x&index=y&page=-1", "?tab=none"]
)
def test_an_address_that_selects_nothing_still_shows_the_run(room, owner, query):
    run = room.finish(workflow({"a": {}}))

    shown(owner, run, query)
    shown(owner, run, f"/inspector{query}")


def test_a_large_value_is_cut_and_can_be_downloaded(room, owner):
    run = room.finish(workflow({"a": {"values": {"text": "{{ inputs.text }}"}}}), {"text": "x" * 150_000})

    html = shown(owner, run, "?node=a&tab=output")
    answer = owner.get(f"/runs/{run.pk}/values/output?node=a")

    assert "The first 100,000 of" in html
    assert len(html) < 250_000
    assert answer.json() == {"text": "x" * 150_000}
    assert "attachment" in answer["Content-Disposition"]


def test_each_visit_of_a_loop_is_selected_by_its_number(room, owner):
    counting = workflow(
        {"count": {"values": {"n": "{{ run.id }}"}, "save": {"n": 1}}, "end": {}},
        [{"from": "count", "to": "count", "max": 2}, "count end"],
        context={"n": {"reducer": "add", "initial": 0}},
    )
    run = room.finish(counting)

    html = shown(owner, run, "?node=count&visit=2")

    assert "count #2" in html
    assert 'class="times" x="150" y="40">\N{MULTIPLICATION SIGN}3' in html
    assert "\N{MULTIPLICATION SIGN}2" in html


def test_a_log_is_searched_and_filtered_by_level(room, owner):
    run = room.finish(workflow({"a": {"type": "agent", "agent": "echo"}}))
    with room.scope():
        common = {"organization": room.organization, "run_id": run.pk, "node_run_id": room.node(run.pk, "a").pk}
        LogLine.objects.create(level="info", message="Fetched the page", **common)
        LogLine.objects.create(level="error", message="The page is empty", **common)

    assert "Fetched the page" in shown(owner, run, "/inspector?node=a&tab=logs&q=PAGE")
    only = shown(owner, run, "/inspector?node=a&tab=logs&level=error")
    none = shown(owner, run, "/inspector?tab=logs&q=nobody+wrote+this")

    assert "The page is empty" in only
    assert "Fetched the page" not in only
    assert "No line matches" in none


def test_the_error_of_a_node_says_what_to_do(room, owner):
    run = room.finish(workflow({"a": {"type": "fail", "message": "No stock."}}))

    html = shown(owner, run, "/inspector?node=a")

    assert ">Error" in html
    assert "No stock." in html
    assert "The workflow ends here on purpose" in html


def test_an_item_of_a_map_is_named_by_its_place(room, owner):
    each = {"type": "map", "over": "{{ inputs.list }}", "node": {"type": "agent", "agent": "echo", "input": {"n": 1}}}
    run = room.finish(workflow({"each": each}), {"list": [1, 2]})

    assert 'data-path="nodes.each.output[1]"' in shown(owner, run, "/inspector?node=each&index=1&tab=output")


# ---- acting -----------------------------------------------------------------------------------------


def test_a_failed_run_is_retried_and_looked_at_again(room, owner):
    run = room.finish(workflow({"a": {"type": "fail"}}))

    answer = owner.post(f"/runs/{run.pk}/acts/retry")

    assert answer.status_code == 302
    assert answer["Location"] == f"/runs/{run.pk}"
    assert len(room.events(run.pk, "run.resumed")) == 1


def test_an_act_that_the_status_does_not_allow_says_why(room, owner):
    run = room.finish(workflow({"a": {}}))

    answer = owner.post(f"/runs/{run.pk}/acts/pause", headers={"Accept": "application/json"})

    assert answer.status_code == 409
    assert owner.post(f"/runs/{run.pk}/acts/explode").status_code == 404


def test_a_run_is_run_again_with_another_input(room, owner):
    run = room.finish(workflow({"a": {"values": {"v": "{{ inputs.v }}"}}}), {"v": 1})
    assert "&quot;v&quot;: 1" in shown(owner, run, "/rerun")

    answer = owner.post(f"/runs/{run.pk}/rerun", {"input": '{"v": 2}'}, headers=FRAGMENT)

    new = answer["HX-Redirect"].removeprefix("/runs/")
    assert room.output(room.until_ended(new)) == {"a": {"v": 2}}


def test_a_run_goes_on_from_a_node_and_takes_over_what_was_finished_before(room, owner):
    run = room.finish(workflow({"a": {}, "b": {"needs": "a"}, "c": {"needs": "b"}}))

    answer = owner.post(f"/runs/{run.pk}/rerun", {"node": "c", "visit": "1", "input": "{}"})

    new = answer["Location"].removeprefix("/runs/")
    room.until_ended(new)
    assert room.node(new, "a").finished_at == room.node(run.pk, "a").finished_at
    assert "Rerun of" in shown(owner, new)


@pytest.mark.parametrize("given", ["{", "[1]", '"text"'])
def test_an_input_that_is_no_object_is_refused_in_a_sentence(room, owner, given):
    run = room.finish(workflow({"a": {}}))

    answer = owner.post(f"/runs/{run.pk}/rerun", {"input": given}, headers={"Accept": "application/json"})

    assert answer.status_code == 422


def saved_run(room, *, works=True):
    """A run of a saved workflow, waiting for a person once it has worked."""
    nodes = {
        "fetch": {"type": "agent", "agent": "echo", "input": {"text": "of the run"}},
        "ask": {"type": "approval", "message": "Go on?", "needs": "fetch"},
        "send": {"needs": "ask"},
    }
    saved = room.save(workflow(nodes, [{"from": "ask", "to": "send", "route": "approve"}], name="pinned"))
    with room.scope():
        run = runs.start_run(organization=room.organization, version=saved.version, order=Order())
    if works:
        room.work()
    return saved.workflow, run


def test_the_builder_opens_with_what_the_run_gave(room, owner):
    kept, run = saved_run(room)
    room.decide(run, "approve")
    room.until_ended(run)

    answer = owner.post(f"/runs/{run}/pins", headers=FRAGMENT)

    assert answer["HX-Redirect"] == "/workflows/pinned/edit"
    with room.scope():
        draft = Draft.objects.get(workflow=kept)
    assert draft.layout["pins"]["fetch"] == {"text": "of the run"}
    assert "ask" not in draft.layout["pins"]  # it goes on choosing the route
    assert draft.document["nodes"]["fetch"]["type"] == "agent"


def test_what_a_draft_has_beside_stays_when_a_run_is_pinned(room, owner):
    kept, run = saved_run(room)
    with room.scope():
        draft = drafts.draft_of(kept)
        layout = {"positions": {"fetch": [16, 32]}, "pins": {"send": {"by": "hand"}}}
        drafts.save_draft(draft, drafts.Content(draft.document, layout=layout), by="user:alice")

    owner.post(f"/runs/{run}/pins")

    with room.scope():
        layout = Draft.objects.get(workflow=kept).layout
    assert layout["positions"] == {"fetch": [16, 32]}
    assert layout["pins"] == {"send": {"by": "hand"}, "fetch": {"text": "of the run"}}


def test_a_run_without_a_workflow_or_a_result_cannot_be_pinned(room, owner):
    inline = room.finish(workflow({"a": {}}))
    _, run = saved_run(room, works=False)

    assert owner.post(f"/runs/{inline.pk}/pins", headers={"Accept": "application/json"}).json()["code"] == "no_workflow"
    answer = owner.post(f"/runs/{run}/pins", headers={"Accept": "application/json"})
    assert answer.json()["code"] == "nothing_to_pin"


def test_nobody_else_may_pin(room, member, viewer, charlie):
    _, run = saved_run(room)

    assert "with this run" not in shown(viewer, run)
    assert viewer.post(f"/runs/{run}/pins").status_code == 403
    assert member.post(f"/runs/{run}/pins").status_code == 403
    assert signed_in(charlie).post(f"/runs/{run}/pins").status_code == 404


# ---- history ----------------------------------------------------------------------------------------


def test_the_history_is_read_in_sentences_whole_or_as_json(room, owner):
    run = room.finish(workflow({"a": {}, "b": {"needs": "a"}}))

    compact, whole = shown(owner, run, "/history"), shown(owner, run, "/history?view=all")
    only = shown(owner, run, "/history?view=all&type=edge.taken")
    text = shown(owner, run, "/history?view=json&order=desc")

    assert "The run completed" in compact
    assert "goes on to b" not in compact
    assert "goes on to b" in whole
    assert only.count("<li>") == 1
    assert text.index("run.completed") < text.index("run.started")


def test_the_whole_history_is_a_file(room, owner):
    run = room.finish(workflow({"a": {}}))

    answer = owner.get(f"/runs/{run.pk}/history.ndjson")

    events = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    assert [event["seq"] for event in events] == list(range(1, room.run(run.pk).last_seq + 1))


# ---- names and sizes --------------------------------------------------------------------------------


def test_long_and_hostile_names_are_text(room, owner):
    title = f"{LONG} <script>alert(1)</script>"
    given = {"key</script><img src=x>": "</script><b>"}
    run = room.finish(workflow({"a": {"title": title}}, name=f"{LONG} {title}"[:190], title=title), given)

    html = shown(owner, run)

    assert "<script>alert" not in html
    assert "<img src=x>" not in html
    assert "</script><b>" not in html
    assert "a-name-that-goes…" in html


def test_a_map_over_ten_thousand_items_is_one_row_with_pages_of_items(room, owner):
    run = wide_map(room, 10_000)

    html = shown(owner, run)
    state = state_of(owner, run)
    page = shown(owner, run, "/inspector?node=each&tab=items&page=99")

    assert len(html) < 60_000
    assert [row["items"] for row in state["rows"]] == [{"total": 10_000, "done": 9_998, "failed": 0}]
    assert "9998/10000 items" in html
    assert "9,901 to 10,000 of 10,000" in page
    assert "[9999]" in page


def test_a_thousand_nodes_are_drawn_and_two_hundred_rows_written(room, owner, django_assert_max_num_queries):
    nodes = {"n0": {}, **{f"n{place}": {"needs": f"n{place - 1}"} for place in range(1, 1_000)}}
    run = room.finish(workflow(nodes))

    with django_assert_max_num_queries(30):
        html = shown(owner, run)

    assert html.count("data-node=") == 1_000
    assert html.count("data-key=") == 200
    assert len(state_of(owner, run)["rows"]) == 1_000


# ---- where everything stands ------------------------------------------------------------------------


def places(nodes, edges=None):
    graph = compiled(nodes, edges).graph
    layout = lay_out(graph)
    return {graph.nodes[place]: at for place, at in layout.places.items()}, layout


def test_a_node_stands_behind_everything_that_leads_to_it():
    at, _ = places({"a": {}, "b": {"needs": "a"}, "c": {"needs": ["a", "b"]}, "d": {"needs": "c"}})

    assert at["a"][0] < at["b"][0] < at["c"][0] < at["d"][0]


def test_no_two_nodes_touch():
    nodes = {
        "a": {},
        **{f"n{place}": {"needs": "a"} for place in range(12)},
        "z": {"needs": [f"n{n}" for n in range(12)]},
    }
    at, layout = places(nodes)

    corners = sorted(at.values())
    for x, y in corners:
        assert 0 <= x <= layout.width - WIDTH
        assert 0 <= y <= layout.height - HEIGHT
    assert all(abs(y - v) > HEIGHT for (x, y) in corners for (u, v) in corners if x == u and y != v)


def test_a_way_back_is_drawn_below_and_moves_nothing():
    at, layout = places({"a": {}, "b": {}, "c": {}}, ["a b", "b c", {"from": "c", "to": "b", "max": 3}])

    assert at["b"][0] < at["c"][0]
    assert layout.wires[2].y > at["c"][1] + HEIGHT


def test_a_run_of_a_draft_leads_back_to_what_is_drawn(room, owner, bob):
    drawn = room.save(workflow({"a": {}}, name="greet", title="A greeting")).workflow
    run = room.start(workflow({"a": {}}, name="greet"), labels={"draft": str(drawn.pk)})
    strange = room.start(workflow({"a": {}}), labels={"draft": "of a letter"})

    html = shown(owner, run)

    assert '<a href="/workflows/greet/edit">A greeting</a>' in html
    assert str(drawn.pk) not in html
    assert "of a letter" in shown(owner, strange)
    with room.scope():
        archive_workflow(drawn)
    assert "/workflows/greet/edit" not in shown(owner, run), "it could not be opened"


def test_the_navigation_counts_what_waits_while_a_run_is_watched(room, owner):
    run = room.start(ASKING)
    room.work()

    assert 'id="count-approvals" hx-swap-oob="true">1<' in shown(owner, run, "/head")
    room.decide(run, "approve", {"copies": 1})
    assert 'id="count-approvals" hx-swap-oob="true" hidden>0<' in shown(owner, run, "/head")


def test_the_inspector_tells_why_an_agent_was_chosen(browser, room):
    asked = {"type": "agent", "capability": "echo", "input": {"text": "hello"}}
    run = room.finish(workflow({"said": asked, "named": {"type": "agent", "agent": "echo"}}))

    def page_of(query):
        return html.unescape(browser.viewer.get(f"/runs/{run.pk}?{query}").content.decode())

    page = page_of("node=said&tab=agent")

    assert "Why this agent" in page
    assert "echo is the only one who can do 'echo'." in page
    assert "Why this agent" not in page_of("node=named")

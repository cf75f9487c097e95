from itertools import chain

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django_scopes import scope, scopes_disabled

from apps.accounts.models import User
from apps.agents.bus import exchange as bus
from apps.agents.context import LocalContext
from apps.integrations.language_models import Message
from apps.workflows.models import Run, RunEvent, Worker
from tests.fixtures import PASSWORD
from tests.workflows.engine_room import EngineRoom

EVERYTHING = {
    "name": "everything",
    "context": {"seen": {}},
    "nodes": {
        "big": {"type": "set", "values": {"text": "{{ inputs.text }}"}, "save": {"seen": "{{ output.text }}"}},
        "work": {"type": "agent", "agent": "echo", "needs": "big"},
        "ask": {"type": "approval", "message": "Go on?", "needs": "work"},
    },
}
FAILING = {"name": "broken", "nodes": {"b": {"type": "fail", "message": "No."}}}


def models():
    found = (apps.get_app_config(name).get_models() for name in ("workflows", "observability", "agents"))
    return sorted(chain.from_iterable(found), key=lambda model: model.__name__)


def page_of(model, ending=""):
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/{ending}"


@pytest.fixture
def operator(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=PASSWORD))
    return client


@pytest.fixture
def busy(room: EngineRoom) -> Run:
    """A run that has written rows of nearly every kind."""
    run = room.start(EVERYTHING, {"text": "x" * 100_000})
    room.work()
    room.signal(run, "paid")
    ctx = LocalContext(room.organization.pk, agent="helper", session="ada")
    ctx.session.add(Message(role="user", content="Hello"))
    ctx.remember("Ada likes tea.")
    bus.Reader(room.organization.pk, "news", "readers")
    bus.publish("news", "x" * 10_000, bus.Sender(organization_id=room.organization.pk))
    with scope(organization=room.organization):
        Worker.objects.create(name="w1", host="here", pid=1, lock_key=1, slots=1, version="1")
    return room.run(run)


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_every_model_has_a_list_and_a_page_for_each_row(operator, busy, model):
    assert model in admin.site._registry
    assert operator.get(page_of(model)).status_code == 200
    with scopes_disabled():
        row = model.objects.first()
    if row is not None:
        assert operator.get(page_of(model, f"{row.pk}/change/")).status_code == 200


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_history_is_neither_added_nor_deleted_by_hand(operator, busy, model):
    with scopes_disabled():
        row = model.objects.first()

    assert operator.get(page_of(model, "add/")).status_code == 403
    if row is not None:
        assert operator.post(page_of(model, f"{row.pk}/delete/"), {"post": "yes"}).status_code == 403
        assert operator.post(page_of(model, f"{row.pk}/change/"), {"name": "x"}).status_code == 403


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_a_list_costs_the_same_however_long_it_is(operator, room, busy, model, django_assert_max_num_queries):
    with django_assert_max_num_queries(6):  # session, user, count, rows, and a savepoint at the most
        operator.get(page_of(model))


def test_lists_do_not_read_large_values(operator, busy, django_assert_max_num_queries):
    with django_assert_max_num_queries(10) as queries:
        operator.get(page_of(Run))

    assert not any('"workflows_run"."output"' in query["sql"] for query in queries)


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_rows_are_found_by_an_id_and_by_words(operator, busy, model):
    for words in (str(busy.pk), "everything", "no-such-thing", "%'"):
        assert operator.get(page_of(model), {"q": words}).status_code == 200


def test_the_rows_of_a_run_are_a_click_away(operator, busy, room):
    other = room.finish(FAILING)

    page = operator.get(page_of(Run, f"{busy.pk}/change/")).content.decode()
    rows = operator.get(page_of(RunEvent), {"run__id__exact": str(busy.pk)}).content.decode()

    assert f"{page_of(RunEvent)}?run__id__exact={busy.pk}" in page
    assert str(busy.pk) in rows
    assert str(other.pk) not in rows


def act(client, action, *runs):
    chosen = [str(run.pk) for run in runs]
    return client.post(page_of(Run), {"action": action, "_selected_action": chosen}, follow=True).content.decode()


def test_runs_are_cancelled_through_the_service(operator, busy, room):
    page = act(operator, "cancel", busy)

    assert "1 cancelled." in page
    assert room.status(busy.pk) == "cancelled"
    assert room.events(busy.pk, "run.cancelled")[0].data["by"] == "user:root"


def test_runs_are_retried_and_what_was_refused_is_said(operator, busy, room):
    failed = room.finish(FAILING)

    page = act(operator, "retry", failed, busy)

    assert "1 retried." in page
    assert "Only a failed run is retried" in page


def test_staff_who_may_only_look_get_no_actions(busy, room):
    looker = User.objects.create_user("lena", password=PASSWORD, is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_run"))
    client = Client()
    client.force_login(looker)

    page = client.get(page_of(Run)).content.decode()
    act(client, "cancel", busy)

    assert "everything" in page
    assert "Cancel the selected runs" not in page
    assert room.status(busy.pk) == "waiting"


def test_an_owner_is_no_operator(alice, busy):
    client = Client()
    client.force_login(alice.user)

    assert client.get(page_of(Run)).status_code == 302


def test_a_run_and_a_workflow_open_in_the_app(operator, organization):
    room = EngineRoom(organization)
    workflow = room.save(FAILING).workflow
    run = room.finish(FAILING)

    for model, thing, address in (
        ("run", run, f"/runs/{run.pk}"),
        ("workflow", workflow, f"/workflows/{workflow.pk}/edit"),
    ):
        page = operator.get(f"/admin/workflows/{model}/{thing.pk}/change/").content.decode()
        assert f'<a href="{address}" class="viewsitelink">Open in app</a>' in page
        assert "css/admin.css" in page

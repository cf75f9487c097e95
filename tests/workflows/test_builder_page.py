"""The page of the builder: who sees it, and what it may do there."""

import json
import re

import pytest
from django.test import Client

from tests.engine.documents import workflow


def client_of(actor=None):
    client = Client(headers={"accept": "text/html"})
    if actor:
        client.force_login(actor.user)
    return client


@pytest.fixture
def greet(alice):
    return alice.client.post("/v1/workflows", workflow({"a": {}}, name="greet"), format="json").json()


def place_in(answer):
    (found,) = re.findall(r'<script id="builder-place" type="application/json">(.*?)</script>', answer.content.decode())
    return json.loads(found)


@pytest.mark.parametrize("ref", ["name", "id"])
def test_an_owner_may_change_and_run(alice, greet, ref):
    answer = client_of(alice).get(f"/workflows/{greet[ref]}/edit")

    place = place_in(answer)
    assert (place["id"], place["organization"], place["canEdit"], place["canRun"]) == (greet["id"], "acme", True, True)
    assert place["csrf"]


def test_a_viewer_may_look(bob, greet):
    place = place_in(client_of(bob).get("/workflows/greet/edit"))

    assert (place["canEdit"], place["canRun"]) == (False, False)


def test_another_organization_finds_nothing(charlie, greet):
    assert client_of(charlie).get(f"/workflows/{greet['id']}/edit").status_code == 404


def test_nobody_is_sent_to_the_sign_in(greet):
    answer = client_of().get("/workflows/greet/edit")

    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login?next=%2Fworkflows%2Fgreet%2Fedit")


def test_sources_are_not_served(client, settings):
    assert client.get("/static/src/builder/main.tsx").status_code == 404


def test_a_name_cannot_break_out_of_the_data(alice):
    document = workflow({"a": {}}, name="</script><script>alert(1)</script>")
    made = alice.client.post("/v1/workflows", document, format="json").json()

    assert place_in(client_of(alice).get(f"/workflows/{made['id']}/edit"))["workflow"] == document["name"]

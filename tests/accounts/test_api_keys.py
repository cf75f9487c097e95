from datetime import timedelta

import pytest
from django_scopes import scopes_disabled

from apps.accounts.models import ApiKey, Role
from apps.accounts.services.keys import create_key
from apps.common.clock import now
from tests.fixtures import client_with, make_actor

KEYS = "/v1/api-keys"


def create(actor, **body):
    return actor.client.post(KEYS, {"name": "new", **body}, format="json")


def test_a_new_key_works_and_is_shown_once(alice):
    answer = create(alice, role="viewer").json()

    assert client_with(answer["secret"]).get("/v1/me").json()["capabilities"] == ["view"]
    shown = alice.client.get(f"{KEYS}/{answer['id']}").json()
    assert "secret" not in shown
    assert answer["prefix"] == shown["prefix"] == answer["secret"][:17]


def test_only_a_digest_of_the_secret_is_stored(alice):
    answer = create(alice).json()

    with scopes_disabled():
        row = ApiKey.objects.filter(pk=answer["id"]).values().get()
    assert answer["secret"].split("_")[3] not in {str(value) for value in row.values()}


def test_a_key_is_valid_for_ninety_days_unless_said_otherwise(alice):
    with scopes_disabled():
        usual = ApiKey.objects.get(pk=create(alice).json()["id"])
        short = ApiKey.objects.get(pk=create(alice, expires_in_days=1).json()["id"])
        endless = ApiKey.objects.get(pk=create(alice, expires_in_days=None).json()["id"])

    assert timedelta(days=89) < usual.expires_at - now() <= timedelta(days=90)
    assert timedelta(hours=23) < short.expires_at - now() <= timedelta(days=1)
    assert endless.expires_at is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"name": "a\u0000"}, "/name"),
        ({"role": "emperor"}, "/role"),
        ({"scopes": ["fly"]}, "/scopes/0"),
        ({"scopes": "view"}, "/scopes"),
        ({"expires_in_days": 0}, "/expires_in_days"),
        ({"organization": "globex"}, "/organization"),
        ({"digest": "0" * 64}, "/digest"),
    ],
)
def test_a_senseless_key_is_refused_with_its_place(alice, body, pointer):
    answer = create(alice, **body)

    assert answer.status_code == 400
    assert pointer in [item["pointer"] for item in answer.json()["errors"]]


def test_an_unknown_field_is_refused_with_the_nearest_name(alice):
    (item,) = create(alice, expire_in_days=3).json()["errors"]

    assert item["code"] == "unknown_field"
    assert "Did you mean 'expires_in_days'?" in item["message"]


@pytest.mark.parametrize("body", [[], "x", 1, None])
def test_a_body_that_is_no_object_is_refused(alice, body):
    assert alice.client.post(KEYS, body, format="json").status_code == 400


def test_nobody_makes_a_key_that_may_do_more_than_they_may(organization):
    admin = make_actor("adam", organization, Role.ADMIN)

    assert create(admin, role="admin").status_code == 201
    assert create(admin, role="owner").json()["code"] == "role_too_high"


def test_a_narrowed_key_makes_no_wider_one(organization):
    narrowed = create_key(organization=organization, name="n", role=Role.OWNER, scopes=["manage"])
    client = client_with(narrowed.secret)

    answer = client.post(KEYS, {"name": "wide", "role": "viewer"}, format="json")
    same = client.post(KEYS, {"name": "same", "role": "owner", "scopes": ["manage"]}, format="json")

    assert answer.json()["code"] == "role_too_high"
    assert same.status_code == 201


def test_a_key_of_another_organization_does_not_exist(alice, bob, guard):
    guard("get", f"{KEYS}/{bob.key.pk}", needs="manage")
    guard("delete", f"{KEYS}/{bob.key.pk}", needs="manage")


def test_a_revoked_key_is_gone(alice, bob):
    assert alice.client.delete(f"{KEYS}/{bob.key.pk}").status_code == 204

    assert bob.client.get("/v1/me").status_code == 401
    assert alice.client.get(f"{KEYS}/{bob.key.pk}").status_code == 404
    assert alice.client.delete(f"{KEYS}/{bob.key.pk}").status_code == 404


def test_a_key_is_found_by_the_end_of_its_id(alice, bob):
    assert alice.client.get(f"{KEYS}/{str(bob.key.pk)[-8:]}").json()["id"] == str(bob.key.pk)


@pytest.mark.parametrize("ref", ["x", "%00", "..", "' OR 1=1 --", "%F0%9F%98%80"])
def test_garbage_is_not_found(alice, ref):
    assert alice.client.get(f"{KEYS}/{ref}").status_code == 404


def test_looking_is_not_managing(bob):
    assert bob.client.get(KEYS).status_code == 403
    assert create(bob).status_code == 403


def test_members_see_their_organizations(alice, charlie):
    assert [one["slug"] for one in alice.client.get("/v1/organizations").json()["items"]] == ["acme"]
    assert [one["slug"] for one in charlie.client.get("/v1/organizations").json()["items"]] == ["globex"]

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_scopes import scope, scopes_disabled
from django_scopes.exceptions import ScopeError

from apps.accounts import tokens
from apps.accounts.models import ApiKey, Membership, Role
from apps.accounts.services.keys import create_key, revoke_key
from apps.accounts.services.organizations import revoke_tokens
from apps.common.clock import now
from tests.fixtures import PASSWORD, client_with, make_actor

ME = "/v1/me"
KEYS = "/v1/api-keys"


def access_token(client, actor) -> str:
    return client.post("/v1/auth/token", {"username": actor.user.username, "password": PASSWORD}, format="json").json()[
        "access"
    ]


@pytest.fixture
def token(alice) -> str:
    return access_token(client_with(None), alice)


def code(response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_a_key_lets_its_organization_in(alice):
    answer = alice.client.get(ME).json()

    assert answer["organization"]["slug"] == "acme"
    assert answer["api_key"]["prefix"] == f"ork_live_{alice.key.public_id}"
    assert answer["user"] is None


def test_nobody_gets_nothing(db):
    answer = client_with(None).get(KEYS)

    assert code(answer) == (401, "unauthenticated")
    assert answer["WWW-Authenticate"] == 'Bearer realm="orchestra"'


@pytest.mark.parametrize(
    "credential", ["ork_live_x", "ork_live_abcdefgh_" + "a" * 43 + "_000000", "nonsense", "a.b.c", "\xff"]
)
def test_a_made_up_credential_is_refused(db, credential):
    assert client_with(credential).get(KEYS).status_code == 401


@pytest.mark.parametrize("header", ["Basic abc", "Bearer", "Bearer ", "", "ork_live_x"])
def test_another_scheme_is_refused(db, header):
    client = client_with(None)
    client.credentials(HTTP_AUTHORIZATION=header)

    assert client.get(KEYS).status_code == 401


def test_a_key_with_another_secret_is_refused(alice, charlie):
    mixed = create_key(organization=alice.organization, name="mixed")
    with scopes_disabled():
        ApiKey.objects.filter(pk=mixed.key.pk).update(digest=alice.key.digest)

    assert code(client_with(mixed.secret).get(KEYS)) == (401, "invalid_api_key")


def test_an_expired_key_is_refused(expired):
    assert code(expired.get(ME)) == (401, "api_key_expired")


def test_a_revoked_key_is_refused_at_once(alice, in_scope):
    assert alice.client.get(ME).status_code == 200

    revoke_key(alice.key)

    assert code(alice.client.get(ME)) == (401, "api_key_revoked")


def test_a_key_costs_one_query_and_a_note_a_minute(alice):
    with CaptureQueriesContext(connection) as first:
        alice.client.get("/v1/organizations")
    with CaptureQueriesContext(connection) as second:
        alice.client.get("/v1/organizations")

    assert len(first) == 2
    assert len(second) == 1


def test_a_key_is_noted_when_it_is_used(alice, in_scope):
    alice.client.get(ME)

    assert now() - ApiKey.objects.get(pk=alice.key.pk).last_used_at < timedelta(seconds=10)


def test_a_token_lets_a_member_in(alice, token):
    answer = client_with(token).get(ME).json()

    assert answer["user"]["username"] == "alice"
    assert answer["organization"]["slug"] == "acme"


def test_a_token_costs_one_query(alice, token):
    with CaptureQueriesContext(connection) as queries:
        client_with(token).get(ME)

    assert len(queries) == 1


def test_a_changed_role_counts_at_once(alice, token, in_scope):
    assert client_with(token).get(KEYS).status_code == 200

    Membership.objects.filter(user=alice.user).update(role=Role.VIEWER)

    assert code(client_with(token).get(KEYS)) == (403, "permission_denied")


def test_revoking_a_members_tokens_counts_at_once(alice, token, in_scope):
    revoke_tokens(Membership.objects.get(user=alice.user))

    assert code(client_with(token).get(KEYS)) == (401, "token_revoked")


def test_a_token_from_before_a_membership_does_not_open_it(charlie, organization):
    token = access_token(client_with(None), charlie)

    Membership.objects.create(organization=organization, user=charlie.user, role=Role.OWNER)

    client = client_with(token, **{"Orchestra-Organization": "acme"})
    assert code(client.get(KEYS)) == (401, "token_revoked")


def test_leaving_an_organization_counts_at_once(alice, token, in_scope):
    Membership.objects.filter(user=alice.user).delete()

    assert code(client_with(token).get(KEYS)) == (403, "no_organization")


def test_a_new_password_ends_the_tokens(alice, token):
    alice.user.set_password("another one altogether")
    alice.user.save()

    assert code(client_with(token).get(KEYS)) == (401, "token_revoked")


def test_an_inactive_user_is_out_at_once(alice, token):
    alice.user.is_active = False
    alice.user.save()

    assert code(client_with(token).get(KEYS)) == (401, "token_revoked")


def test_a_token_expires(alice, token, time_machine):
    time_machine.move_to(now() + tokens.LIFETIME + timedelta(seconds=1))

    assert code(client_with(token).get(KEYS)) == (401, "token_expired")


def test_a_user_of_several_organizations_names_one(alice, token, other_organization):
    Membership.objects.create(organization=other_organization, user=alice.user, role=Role.VIEWER)
    token = access_token(client_with(None), alice)

    answer = client_with(token).get(KEYS)
    acme = client_with(token, **{"Orchestra-Organization": "acme"}).get(KEYS)
    globex = client_with(token, **{"Orchestra-Organization": "globex"}).get(KEYS)

    assert code(answer) == (400, "organization_required")
    assert sorted(answer.json()["organizations"]) == ["acme", "globex"]
    assert acme.status_code == 200
    assert code(globex) == (403, "permission_denied")


def test_a_user_of_several_organizations_may_ask_who_they_are(alice, other_organization):
    Membership.objects.create(organization=other_organization, user=alice.user, role=Role.VIEWER)
    client = client_with(access_token(client_with(None), alice))

    answer = client.get(ME).json()

    assert answer["organization"] is None
    assert [(one["slug"], one["role"]) for one in answer["organizations"]] == [("acme", "owner"), ("globex", "viewer")]


@pytest.mark.parametrize("slug", ["globex", "nowhere", ""])
def test_a_foreign_organization_does_not_exist(alice, charlie, token, slug):
    header = {"Orchestra-Organization": slug}

    assert code(client_with(token, **header).get(KEYS)) == (404, "organization_not_found")
    assert code(client_with(alice.secret, **header).get(KEYS)) == (404, "organization_not_found")


def test_a_session_reads_and_needs_the_csrf_token_to_write(alice):
    client = client_with(None)
    client.handler.enforce_csrf_checks = True
    client.force_login(alice.user)

    read = client.get(KEYS)
    written = client.post(KEYS, {"name": "new"}, format="json")

    assert read.status_code == 200
    assert code(written) == (403, "permission_denied")
    assert "CSRF" in written.json()["detail"]


@pytest.mark.parametrize("role", Role)
def test_a_role_may_do_what_its_name_says(organization, role):
    actor = make_actor("dora", organization, role)

    capabilities = actor.client.get(ME).json()["capabilities"]

    assert (
        capabilities
        == {
            "viewer": ["view"],
            "operator": ["run", "view"],
            "editor": ["edit", "run", "view"],
            "admin": ["edit", "manage", "run", "view"],
            "owner": ["edit", "manage", "run", "view"],
        }[role]
    )


def test_scopes_narrow_a_key(organization):
    created = create_key(organization=organization, name="reader", role=Role.OWNER, scopes=["view", "run"])
    client = client_with(created.secret)

    assert client.get(ME).json()["capabilities"] == ["run", "view"]
    assert client.get(KEYS).status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        lambda rows: rows.count(),
        lambda rows: rows.all(),
        lambda rows: rows.exists(),
        lambda rows: rows.exclude(pk=None),
        lambda rows: rows.in_bulk(),
        lambda rows: rows.get(pk=None),
        lambda rows: rows.update(name="x"),
        lambda rows: rows.values(),
    ],
)
def test_a_query_without_an_organization_is_an_error(alice, query):
    with pytest.raises(ScopeError):
        query(ApiKey.objects)


def test_a_query_in_scope_sees_one_organization(alice, charlie):
    with scope(organization=alice.organization):
        assert [key.pk for key in ApiKey.objects.all()] == [alice.key.pk]


def test_the_scope_ends_with_the_request(alice):
    alice.client.get(KEYS)

    with pytest.raises(ScopeError):
        ApiKey.objects.count()


def test_too_many_requests_are_refused(alice, settings):
    settings.ORCHESTRA_RATE_LIMITS = {"read": "3/minute"}

    answers = [alice.client.get(KEYS) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer["RateLimit-Remaining"] for answer in answers[:3]] == ["2", "1", "0"]
    assert answers[0]["RateLimit-Limit"] == "3"
    assert code(answers[3]) == (429, "rate_limited")
    assert 1 <= int(answers[3]["Retry-After"]) <= 20


def test_one_callers_excess_does_not_stop_another(alice, bob, settings):
    settings.ORCHESTRA_RATE_LIMITS = {"read": "1/minute"}

    assert [alice.client.get(ME).status_code, alice.client.get(ME).status_code] == [200, 429]
    assert bob.client.get(ME).status_code == 200


def test_an_organization_as_a_whole_has_a_limit(alice, bob, charlie, settings):
    settings.ORCHESTRA_RATE_LIMITS = {"organization": "1/minute"}

    assert alice.client.get(KEYS).status_code == 200
    assert bob.client.get(KEYS).status_code in {403, 429}
    assert alice.client.get(KEYS).status_code == 429
    assert charlie.client.get(KEYS).status_code == 200

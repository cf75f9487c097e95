import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import jwt
import pytest
from django.conf import settings as django_settings
from django.db import connection

from apps.accounts import tokens
from apps.accounts.models import RefreshToken
from apps.accounts.services import sign_in
from apps.common.clock import now
from apps.common.errors import Unauthenticated
from tests.fixtures import PASSWORD, client_with

TOKEN = "/v1/auth/token"
REFRESH = "/v1/auth/token/refresh"
REVOKE = "/v1/auth/token/revoke"


def post(path, **body):
    return client_with(None).post(path, body, format="json")


@pytest.fixture
def pair(alice) -> dict[str, str]:
    return post(TOKEN, username="alice", password=PASSWORD).json()


def test_signing_in_gives_tokens(pair):
    assert set(pair) == {"access", "refresh", "token_type", "expires_in"}
    assert pair["token_type"] == "Bearer"
    assert pair["expires_in"] == 600


def test_an_access_token_says_who_and_for_how_long(alice, pair):
    header = jwt.get_unverified_header(pair["access"])
    claims = jwt.decode(pair["access"], options={"verify_signature": False})

    assert header["alg"] == "HS256"
    assert claims["exp"] - claims["iat"] == 600
    assert (claims["sub"], claims["iss"], claims["aud"], claims["typ"]) == (
        alice.user.pk.hex,
        "orchestra",
        "orchestra-api",
        "access",
    )
    assert claims["jti"]


@pytest.mark.parametrize("name", ["alice", "nobody", "", "a" * 150, "ALICE\u2028"])
def test_a_wrong_name_and_a_wrong_password_look_the_same(alice, name):
    answer = post(TOKEN, username=name or "x", password="wrong")

    assert answer.status_code == 401
    assert answer.json()["code"] == "invalid_credentials"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "alice"},
        {"username": "a\0", "password": "x"},
        {"username": ["alice"], "password": {}},
        {"username": "alice", "password": "x", "role": "owner"},
        {"username": "alice", "password": "x" * 10_000},
    ],
)
def test_a_malformed_sign_in_is_a_bad_request(db, body):
    answer = post(TOKEN, **body)

    assert answer.status_code == 400
    assert answer.json()["errors"]


def test_the_sixth_wrong_password_in_five_minutes_is_not_even_tried(alice):
    answers = [post(TOKEN, username="alice", password="wrong").status_code for _ in range(5)]
    sixth = post(TOKEN, username="Alice", password=PASSWORD)

    assert answers == [401] * 5
    assert sixth.status_code == 429
    assert int(sixth["Retry-After"]) <= 60


def test_signing_in_again_and_again_is_no_attack(alice):
    answers = [post(TOKEN, username="alice", password=PASSWORD).status_code for _ in range(10)]

    assert answers == [200] * 10


def test_an_address_may_try_thirty_times_a_minute(alice):
    answers = [post(TOKEN, username=f"user{n}", password="wrong").status_code for n in range(40)]

    assert answers[:30] == [401] * 30
    assert 429 in answers[30:]  # not at once where the tries took long enough for an allowance to come back


def forged(alice, *, key=None, algorithm="HS256", **changes):
    claims = jwt.decode(tokens.issue(alice.user, {}), options={"verify_signature": False}) | changes
    return jwt.encode(claims, key or tokens._key(django_settings.SECRET_KEY), algorithm)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"iss": "another"},
        {"typ": "refresh"},
        {"sub": "x"},
        {"sub": 5},
        {"exp": 1},
        {"exp": None},
        {"jti": None},
        {"pwd": "x"},
    ],
)
def test_a_token_with_other_claims_is_refused(alice, changes):
    assert client_with(forged(alice, **changes)).get("/v1/me").status_code == 401


def test_a_token_signed_otherwise_is_refused(alice):
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")  # noqa: E731
    claims = jwt.decode(tokens.issue(alice.user, {}), options={"verify_signature": False})
    unsigned = f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."

    assert client_with(unsigned).get("/v1/me").status_code == 401
    assert client_with(forged(alice, key="x" * 64, algorithm="HS512")).get("/v1/me").status_code == 401
    assert client_with(forged(alice, key=django_settings.SECRET_KEY)).get("/v1/me").status_code == 401


def test_refreshing_gives_new_tokens(pair):
    new = post(REFRESH, refresh=pair["refresh"]).json()

    assert new["refresh"] != pair["refresh"]
    assert client_with(new["access"]).get("/v1/me").status_code == 200


def test_a_refresh_token_that_comes_twice_ends_the_sign_in(pair):
    new = post(REFRESH, refresh=pair["refresh"]).json()

    again = post(REFRESH, refresh=pair["refresh"])
    newest = post(REFRESH, refresh=new["refresh"])

    assert (again.status_code, again.json()["code"]) == (401, "invalid_refresh_token")
    assert newest.status_code == 401


def test_another_sign_in_is_not_touched_by_that(alice, pair):
    other = post(TOKEN, username="alice", password=PASSWORD).json()
    post(REFRESH, refresh=pair["refresh"])
    post(REFRESH, refresh=pair["refresh"])

    assert post(REFRESH, refresh=other["refresh"]).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_two_refreshes_at_one_moment_one_wins(alice):
    token = sign_in.sign_in(username="alice", password=PASSWORD, address="x").refresh

    def refresh(_):
        try:
            return sign_in.refresh(token)
        except Unauthenticated:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        won = [pair for pair in threads.map(refresh, range(8)) if pair]

    assert len(won) == 1
    assert not RefreshToken.objects.filter(revoked_at=None).exists()


def test_signing_out_ends_the_refresh_token(pair):
    assert post(REVOKE, refresh=pair["refresh"]).status_code == 204

    assert post(REFRESH, refresh=pair["refresh"]).status_code == 401


def test_a_refresh_token_ends_after_two_weeks(pair, time_machine):
    time_machine.move_to(now() + sign_in.REFRESH_LIFETIME + timedelta(seconds=1))

    assert post(REFRESH, refresh=pair["refresh"]).status_code == 401


def test_a_new_password_ends_the_refresh_token(alice, pair):
    alice.user.set_password("another one altogether")
    alice.user.save()

    assert post(REFRESH, refresh=pair["refresh"]).status_code == 401


def test_no_refresh_token_is_stored(pair):
    row = RefreshToken.objects.values().get()

    assert pair["refresh"] not in {str(value) for value in row.values()}

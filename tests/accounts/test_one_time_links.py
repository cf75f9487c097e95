"""The link that `bin/up` prints signs in once, on this machine, for ten minutes."""

import pytest
import time_machine
from django.test import Client

from apps.accounts.one_time_links import LIFETIME_SECONDS, make_link, use_link


@pytest.fixture(autouse=True)
def home(settings, tmp_path):
    settings.ORCHESTRA_HOME = tmp_path
    return tmp_path


def test_it_signs_in_and_takes_the_token_out_of_the_address(home, alice):
    client = Client()

    answer = client.get("/", {"t": make_link(home, "alice")})

    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert client.session["_auth_user_id"] == str(alice.user.pk)


def test_it_is_good_for_one_use(home, alice):
    token = make_link(home, "alice")
    Client().get("/", {"t": token})
    client = Client()

    answer = client.get("/", {"t": token})

    assert answer["Location"] == "/accounts/login?link=used"
    assert "_auth_user_id" not in client.session
    assert b"has been used or has run out" in client.get(answer["Location"]).content


def test_it_runs_out(home):
    with time_machine.travel("2026-01-01T00:00:00Z", tick=False) as clock:
        token = make_link(home, "alice")
        clock.shift(LIFETIME_SECONDS + 1)

        assert use_link(home, token) is None


@pytest.mark.parametrize("where", [{"REMOTE_ADDR": "10.0.0.7"}, {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}])
def test_it_works_on_this_machine_only_and_is_not_used_up_from_elsewhere(home, alice, where):
    token = make_link(home, "alice")
    client = Client()

    client.get("/", {"t": token}, **where)

    assert "_auth_user_id" not in client.session
    assert use_link(home, token) == "alice"


def test_who_may_not_sign_in_is_not_let_in_by_a_link(home, alice):
    alice.user.is_active = False
    alice.user.save()
    client = Client()

    client.get("/", {"t": make_link(home, "alice")})

    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("token", ["x", "../../secret_key", "\x00", "ä" * 500])
def test_anything_else_is_no_link(home, token):
    assert use_link(home, token) is None


def test_nobody_can_read_the_token_from_what_is_kept(home):
    token = make_link(home, "alice")

    kept = list((home / "sign-in").iterdir())

    assert all(token not in path.name + path.read_text() for path in kept)
    assert [path.stat().st_mode & 0o777 for path in kept] == [0o600]

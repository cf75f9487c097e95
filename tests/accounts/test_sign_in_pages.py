"""Signing in as a person: with a password, with limits, and without signing up."""

import re

import pytest
from django.core import mail
from django.test import Client
from django.urls import NoReverseMatch, reverse

from apps.common import limits
from tests.fixtures import PASSWORD

SIGN_IN = "/accounts/login"


@pytest.fixture(autouse=True)
def whole_allowances(db):
    limits.forget_all(everywhere=True)


def attempt(client, password, login="alice", **extra):
    return client.post(SIGN_IN, {"login": login, "password": password, **extra}, headers={"Accept": "text/html"})


def test_a_password_signs_in_and_leads_to_where_one_wanted_to_go(alice):
    client = Client()

    answer = attempt(client, PASSWORD, next="/v1/me")

    assert (answer.status_code, answer["Location"]) == (302, "/v1/me")
    assert client.get("/v1/me").status_code == 200


def test_the_way_back_never_leads_to_another_site(alice):
    assert attempt(Client(), PASSWORD, next="https://evil.example/")["Location"] == "/"


def test_an_address_signs_in_too(alice):
    alice.user.email = "alice@acme.test"
    alice.user.save()

    assert attempt(Client(), PASSWORD, login="alice@acme.test").status_code == 302


def test_a_wrong_password_and_an_unknown_name_are_answered_alike(alice):
    known, unknown = attempt(Client(), "wrong"), attempt(Client(), "wrong", login="nobody")

    said = [re.findall(r'role="alert".*?<p>(.*?)</p>', one.content.decode(), re.DOTALL) for one in (known, unknown)]
    assert said[0] == said[1] != []


def test_after_five_wrong_passwords_the_account_rests(alice):
    for _ in range(5):
        attempt(Client(), "wrong")

    answer = attempt(Client(), PASSWORD)

    assert answer.status_code == 200
    assert b"Too many failed login attempts" in answer.content


def test_a_right_password_makes_up_for_the_wrong_ones(alice):
    for _ in range(3):
        for _ in range(4):
            attempt(Client(), "wrong")
        assert attempt(Client(), PASSWORD).status_code == 302


def test_one_address_tries_so_many_times_whatever_the_account(alice, settings):
    settings.ORCHESTRA_RATE_LIMITS = {"auth": "3/hour"}

    answers = [attempt(Client(), "wrong", login=f"name-{number}") for number in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert "At most 3 requests" in answers[-1].content.decode()


def test_signing_out_takes_a_click_and_ends_the_session(browser):
    assert browser.owner.get("/accounts/logout").status_code == 200
    assert browser.owner.get("/v1/me").status_code == 200

    assert browser.owner.post("/accounts/logout")["Location"] == SIGN_IN
    assert browser.owner.get("/v1/me").status_code == 401


def test_nobody_signs_up():
    with pytest.raises(NoReverseMatch):
        reverse("account_signup")


def test_a_password_is_changed(browser, alice):
    new = "an entirely different one"

    browser.owner.post("/accounts/password/change", {"oldpassword": PASSWORD, "password1": new, "password2": new})

    alice.user.refresh_from_db()
    assert alice.user.check_password(new)


def test_a_mail_brings_a_link_for_a_new_password(alice, settings):
    settings.EMAIL_URL = "smtp://mail"
    alice.user.email = "alice@acme.test"
    alice.user.save()
    client = Client()

    client.post("/accounts/password/reset", {"email": "alice@acme.test"})
    link = re.search(r"http://testserver(/accounts/password/reset/\S+)", mail.outbox[0].body)[1]
    form = client.get(link, follow=True)
    new = "an entirely different one"
    client.post(form.redirect_chain[-1][0], {"password1": new, "password2": new})

    alice.user.refresh_from_db()
    assert alice.user.check_password(new)


def test_an_unknown_address_is_answered_like_a_known_one(db, settings):
    settings.EMAIL_URL = "smtp://mail"

    assert (
        Client().post("/accounts/password/reset", {"email": "x@x.test"})["Location"] == "/accounts/password/reset/sent"
    )


def test_without_mail_the_page_says_who_helps(client):
    assert b"bin/manage changepassword" in client.get("/accounts/password/reset").content


@pytest.mark.parametrize(
    "path", ["login", "inactive", "password/reset", "password/reset/sent", "password/reset/done", "password/reset/a-b"]
)
def test_every_page_of_the_sign_in_is_ours(db, settings, path):
    settings.EMAIL_URL = "smtp://mail"

    page = Client().get(f"/accounts/{path}").content.decode()

    assert '<body class="bare">' in page
    assert "style=" not in page


def test_the_admin_pages_have_no_door_of_their_own(browser, alice):
    answer = Client().get("/admin/login/?next=/admin/")

    assert answer["Location"] == "/accounts/login?next=%2Fadmin%2F"
    assert browser.owner.get("/admin/login/?next=/admin/").status_code == 403

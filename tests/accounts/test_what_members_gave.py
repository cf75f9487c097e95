"""What members have given, keys and invitations, does not outlive what they may do: the next request is refused."""

import html
import re

import pytest
from django.test import Client
from django_scopes import scope

from apps.accounts.access import Access
from apps.accounts.models import ApiKey, Invitation, Membership, Role
from apps.accounts.services.keys import grant_key
from apps.common.errors import PermissionDenied
from tests.fixtures import PASSWORD, client_with, make_actor, signed_in


def text(response):
    return html.unescape(re.sub(r"\s+", " ", response.content.decode()))


def member(actor):
    with scope(organization=actor.organization):
        return Membership.objects.get(user=actor.user)


def remove(client, actor, **sent):
    return client.post(f"/settings/members/{member(actor).pk}/remove", sent)


def make(client, actor, role, **sent):
    return client.post(f"/settings/members/{member(actor).pk}/role", {"role": role, **sent})


def status(credential):
    return client_with(credential).get("/v1/me").status_code


def made_with(actor, role="viewer", name="made"):
    """A key that somebody made over the API, with a key of theirs."""
    return actor.client.post("/v1/api-keys", {"name": name, "role": role}, format="json").json()["secret"]


@pytest.fixture
def adam(organization):
    return make_actor("adam", organization, Role.ADMIN)


@pytest.fixture
def link(adam):
    """The link of an invitation that Adam has sent."""
    page = text(signed_in(adam).post("/settings/members", {"role": "editor"}))
    return re.search(r"http://testserver(/accounts/invitation/[\w-]+)", page)[1]


def open_link(link):
    return Client(headers={"Accept": "text/html"}).get(link).status_code


# ---- keys -----------------------------------------------------------------------------------------


def test_the_keys_of_a_removed_member_are_refused_at_the_next_request(browser, adam):
    second = made_with(adam)

    remove(browser.owner, adam)

    assert (status(adam.secret), status(second)) == (401, 401)


def test_a_key_that_was_made_with_a_key_ends_with_the_others_of_its_maker(browser, adam):
    second = made_with(adam, role="admin")
    third = client_with(second).post("/v1/api-keys", {"name": "third"}, format="json").json()["secret"]

    remove(browser.owner, adam)

    assert status(third) == 401


def test_keys_stay_when_who_removes_unticks_the_box_that_says_which(browser, adam):
    made_with(adam, name="ci-deploy")
    page = text(browser.owner.get("/settings/members"))
    assert "Revoke the 2 API keys that they made" in page
    assert 'title="ci-deploy"' in page

    remove(browser.owner, adam, keys_asked="1")

    assert status(adam.secret) == 200


def test_keys_of_others_and_of_other_organizations_stay(browser, adam, alice, charlie):
    with scope(organization=charlie.organization):
        Membership.objects.create(organization=charlie.organization, user=adam.user, role=Role.ADMIN)
        ApiKey.objects.filter(pk=charlie.key.pk).update(created_by=adam.user)

    remove(browser.owner, adam)

    assert (status(alice.secret), status(charlie.secret)) == (200, 200)


def test_who_leaves_without_managing_leaves_no_key_behind(bob, browser):
    remove(browser.viewer, bob, keys_asked="1")

    assert status(bob.secret) == 401


def test_a_demotion_asks_first_and_then_revokes_the_keys_that_may_do_more(browser, adam):
    small = made_with(adam, role="viewer", name="reader")

    asked = make(browser.owner, adam, "operator")
    assert "What they gave beyond that role ends with it: 1 API key." in text(asked)
    assert (status(adam.secret), member(adam).role) == (200, "admin"), "asked, and not done"

    make(browser.owner, adam, "operator", confirmed="1")
    assert member(adam).role == "operator"
    assert (status(adam.secret), status(small)) == (401, 200)


def test_a_promotion_asks_nothing_and_ends_nothing(browser, bob):
    make(browser.owner, bob, "editor")

    assert (member(bob).role, status(bob.secret)) == ("editor", 200)


def test_an_admin_is_refused_before_anything_is_asked(adam, alice):
    answer = make(signed_in(adam), alice, "viewer")

    assert answer.status_code == 403
    assert (member(alice).role, status(alice.secret)) == ("owner", 200)


def test_a_viewer_and_another_organization_end_no_key(browser, adam):
    assert remove(browser.viewer, adam).status_code == 403
    assert remove(browser.stranger, adam).status_code == 404
    assert make(browser.viewer, adam, "viewer", confirmed="1").status_code == 403
    assert status(adam.secret) == 200


def test_a_viewer_does_not_learn_the_keys_of_others(browser, adam):
    made_with(adam, name="ci-deploy")

    assert "ci-deploy" not in text(browser.viewer.get("/settings/members"))


def test_the_page_that_asks_is_shown_to_nobody_but_who_may_change_it(browser, alice, adam):
    answer = make(browser.viewer, adam, "viewer")

    assert answer.status_code == 403
    assert "API key" not in text(answer)


# ---- invitations ----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["operator", "viewer", "editor"])
def test_an_invitation_ends_when_its_sender_may_not_invite_any_more(browser, adam, link, role):
    assert "1 open invitation" in text(make(browser.owner, adam, role))

    make(browser.owner, adam, role, confirmed="1")

    assert open_link(link) == 404
    assert "Open invitations" not in text(browser.owner.get("/settings/members"))


def test_an_invitation_ends_when_its_sender_is_removed(browser, adam, link, organization):
    remove(browser.owner, adam, keys_asked="1")

    assert open_link(link) == 404
    with scope(organization=organization):
        assert not Invitation.objects.exists()


def test_an_invitation_stays_while_its_sender_may_still_send_it(browser, adam, link):
    make(browser.owner, adam, "owner")

    assert open_link(link) == 200


def test_an_owners_invitation_of_an_owner_ends_when_they_are_an_admin(browser, organization):
    olivia = make_actor("olivia", organization, Role.OWNER)
    client = signed_in(olivia)
    owner = re.search(r"(/accounts/invitation/[\w-]+)", text(client.post("/settings/members", {"role": "owner"})))[1]
    editor = re.search(r"(/accounts/invitation/[\w-]+)", text(client.post("/settings/members", {"role": "editor"})))[1]

    make(browser.owner, olivia, "admin", confirmed="1")

    assert (open_link(owner), open_link(editor)) == (404, 200)


def test_a_sender_who_was_made_less_in_another_way_invites_nobody(adam, link, organization):
    with scope(organization=organization):
        Membership.objects.filter(user=adam.user).update(role=Role.VIEWER)

    answer = Client(headers={"Accept": "text/html"}).post(link, {"username": "ada", "password": PASSWORD})

    assert answer.status_code == 404
    with scope(organization=organization):
        assert not Membership.objects.filter(user__username="ada").exists()


# ---- at one moment --------------------------------------------------------------------------------


def test_who_was_just_made_less_makes_no_key_with_what_they_were(adam, organization):
    before = Access(organization, Role.ADMIN, user=adam.user)
    with scope(organization=organization):
        Membership.objects.filter(user=adam.user).update(role=Role.VIEWER)

        with pytest.raises(PermissionDenied, match="has just changed"):
            grant_key(before, name="late", role=Role.ADMIN)

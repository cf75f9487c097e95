"""The settings, as people use them: members, roles, keys, the organization."""

import html
import re

import pytest
from django.test import Client
from django_scopes import scope

from apps.accounts.models import ApiKey, Invitation, Membership, Organization, Role
from apps.accounts.services.expiry import forget_expired
from tests.fixtures import PASSWORD, make_actor, signed_in

SECTIONS = ["members", "roles", "api-keys", "models", "organization", "appearance"]
ACCEPT = {"username": "ada", "password": PASSWORD}


def text(response):
    return html.unescape(re.sub(r"\s+", " ", response.content.decode()))


def membership(actor):
    with scope(organization=actor.organization):
        return Membership.objects.filter(user=actor.user, organization=actor.organization).first()


def link_of(page):
    return re.search(r"http://testserver(/accounts/invitation/[\w-]+)", text(page))[1]


@pytest.fixture
def adam(organization):
    return make_actor("adam", organization, Role.ADMIN)


# ---- who sees what --------------------------------------------------------------------------------


@pytest.mark.parametrize("section", SECTIONS)
def test_an_owner_sees_every_section(browser, section):
    page = text(browser.owner.get(f"/settings/{section}"))

    assert all(f'href="/settings/{one}"' in page for one in SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_viewer_sees_what_is_no_secret(browser, section):
    answer = browser.viewer.get(f"/settings/{section}")

    assert answer.status_code == (403 if section == "api-keys" else 200)
    assert 'href="/settings/api-keys"' not in text(answer)


@pytest.mark.parametrize("section", SECTIONS)
def test_nobody_goes_to_the_sign_in(browser, section):
    assert browser.anonymous.get(f"/settings/{section}").status_code == 302


def test_the_settings_begin_with_the_members(browser):
    assert browser.owner.get("/settings")["Location"] == "/settings/members"


# ---- members --------------------------------------------------------------------------------------


def test_the_members_are_those_of_ones_own_organization(browser):
    page = text(browser.viewer.get("/settings/members"))

    assert "alice" in page
    assert "charlie" not in page
    assert "Invite" not in page


def test_an_owner_changes_a_role(browser, bob):
    browser.owner.post(f"/settings/members/{membership(bob).pk}/role", {"role": "editor"})

    assert membership(bob).role == "editor"
    assert membership(bob).token_version == 2


def test_the_last_owner_stays_one(browser, alice):
    own = membership(alice)

    changed = browser.owner.post(f"/settings/members/{own.pk}/role", {"role": "viewer"})
    left = browser.owner.post(f"/settings/members/{own.pk}/remove")

    for answer in (changed, left):
        assert answer.status_code == 409
        assert "An organization needs an owner" in text(answer)
    assert membership(alice).role == "owner"


def test_an_owner_may_leave_when_there_is_another(browser, alice, organization):
    make_actor("olivia", organization, Role.OWNER)

    browser.owner.post(f"/settings/members/{membership(alice).pk}/remove")

    assert membership(alice) is None


def test_only_owners_make_and_change_owners(alice, bob, adam):
    client = signed_in(adam)

    made = client.post(f"/settings/members/{membership(bob).pk}/role", {"role": "owner"})
    changed = client.post(f"/settings/members/{membership(alice).pk}/role", {"role": "viewer"})
    removed = client.post(f"/settings/members/{membership(alice).pk}/remove")
    invited = client.post("/settings/members", {"role": "owner"})

    assert [answer.status_code for answer in (made, changed, removed, invited)] == [403] * 4
    assert (membership(alice).role, membership(bob).role) == ("owner", "viewer")
    assert '<option value="owner"' not in text(client.get("/settings/members"))


def test_a_removed_member_is_out_at_once(browser, bob):
    browser.owner.post(f"/settings/members/{membership(bob).pk}/remove")

    assert membership(bob) is None
    assert browser.viewer.get("/settings/members").status_code == 403


def test_a_viewer_changes_nobody_and_may_leave(browser, alice, bob, adam):
    refused = [
        browser.viewer.post(f"/settings/members/{membership(adam).pk}/role", {"role": "viewer"}),
        browser.viewer.post(f"/settings/members/{membership(adam).pk}/remove"),
        browser.viewer.post("/settings/members", {"role": "viewer"}),
    ]
    browser.viewer.post(f"/settings/members/{membership(bob).pk}/remove")

    assert [answer.status_code for answer in refused] == [403] * 3
    assert membership(bob) is None
    assert membership(adam).role == "admin"


def test_another_organization_reaches_no_member(browser, bob):
    reference = membership(bob).pk

    assert browser.stranger.post(f"/settings/members/{reference}/role", {"role": "owner"}).status_code == 404
    assert browser.stranger.post(f"/settings/members/{reference}/remove").status_code == 404
    assert membership(bob).role == "viewer"


# ---- invitations ----------------------------------------------------------------------------------


def test_who_is_invited_makes_an_account_and_is_in(browser, organization):
    page = browser.owner.post("/settings/members", {"role": "editor", "email": "ada@example.com"})
    visitor = Client(headers={"Accept": "text/html"})

    assert "alice invites you to Acme as editor" in text(visitor.get(link_of(page)))
    visitor.post(link_of(page), ACCEPT)

    with scope(organization=organization):
        member = Membership.objects.get(user__username="ada")
    assert (member.role, member.user.email) == ("editor", "ada@example.com")
    assert visitor.get("/settings/members").status_code == 200


def test_a_link_is_shown_once_and_works_once(browser):
    page = browser.owner.post("/settings/members", {"role": "viewer"})
    Client().post(link_of(page), ACCEPT)

    again = Client(headers={"Accept": "text/html"}).get(link_of(page))

    assert again.status_code == 404
    assert "/accounts/invitation/" not in text(browser.owner.get("/settings/members"))


def test_a_withdrawn_invitation_leads_nowhere(browser, organization):
    page = browser.owner.post("/settings/members", {"role": "viewer"})
    with scope(organization=organization):
        invitation = Invitation.objects.get()

    assert browser.stranger.post(f"/settings/invitations/{invitation.pk}/withdraw").status_code == 404
    browser.owner.post(f"/settings/invitations/{invitation.pk}/withdraw")

    assert Client().get(link_of(page)).status_code == 404


def test_an_invitation_runs_out_and_is_forgotten(browser, organization):
    page = browser.owner.post("/settings/members", {"role": "viewer"})
    with scope(organization=organization):
        Invitation.objects.update(expires_at="2020-01-01T00:00Z")

    assert Client().get(link_of(page)).status_code == 404
    assert forget_expired() == 1


def test_somebody_with_an_account_joins_with_it(browser, charlie, organization):
    page = browser.owner.post("/settings/members", {"role": "operator"})

    browser.stranger.post(link_of(page))

    with scope(organization=organization):
        assert Membership.objects.get(user=charlie.user).role == "operator"
    assert "Acme" in text(browser.stranger.get("/settings/organization"))


@pytest.mark.parametrize("change", [{"password": "short"}, {"username": "alice"}, {"username": ""}])
def test_an_account_that_will_not_do_is_refused_and_the_link_stays(browser, change):
    page = browser.owner.post("/settings/members", {"role": "viewer"})
    visitor = Client(headers={"Accept": "text/html"})

    refused = visitor.post(link_of(page), {**ACCEPT, **change})

    assert refused.status_code == 422
    assert visitor.post(link_of(page), ACCEPT).status_code == 302


# ---- API keys -------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_works(browser, organization):
    sent = {"name": "ci-deploy", "role": "operator", "scopes": ["run"], "days": "30"}

    page = text(browser.owner.post("/settings/api-keys", sent))
    secret = re.search(r"ork_live_\w{8}_\w{43}_\w{6}", page)[0]

    assert f'"Authorization: Bearer {secret}"' in page
    assert secret not in text(browser.owner.get("/settings/api-keys"))
    me = Client().get("/v1/me", headers={"Authorization": f"Bearer {secret}"}).json()
    assert me["capabilities"] == ["run"]


def test_a_revoked_key_is_refused_at_once(browser, bob):
    browser.owner.post(f"/settings/api-keys/{bob.key.pk}/revoke")

    assert bob.client.get("/v1/me").status_code == 401


def test_nobody_makes_a_key_that_may_do_more_than_they(adam, organization):
    answer = signed_in(adam).post("/settings/api-keys", {"name": "x", "role": "owner", "days": "90"})

    assert answer.status_code == 403
    with scope(organization=organization):
        assert not ApiKey.objects.filter(name="x").exists()


@pytest.mark.parametrize("change", [{"name": ""}, {"role": "king"}, {"days": "9999"}, {"scopes": ["all"]}])
def test_a_key_that_makes_no_sense_is_refused(browser, organization, change):
    answer = browser.owner.post("/settings/api-keys", {"name": "x", "role": "viewer", "days": "90", **change})

    assert answer.status_code == 400
    with scope(organization=organization):
        assert not ApiKey.objects.filter(name__in=["x", ""]).exists()


def test_a_viewer_and_another_organization_revoke_nothing(browser, alice):
    assert browser.viewer.post(f"/settings/api-keys/{alice.key.pk}/revoke").status_code == 403
    assert browser.stranger.post(f"/settings/api-keys/{alice.key.pk}/revoke").status_code == 404
    assert alice.client.get("/v1/me").status_code == 200


# ---- the organization -----------------------------------------------------------------------------


def test_an_owner_renames_the_organization(browser, organization):
    browser.owner.post("/settings/organization", {"name": " Acme & Sons "})

    organization = Organization.objects.get(pk=organization.pk)
    assert (organization.name, organization.slug) == ("Acme & Sons", "acme")


def test_a_name_that_will_not_do_is_said_at_its_field(browser):
    answer = browser.owner.post("/settings/organization", {"name": " "})

    assert answer.status_code == 422
    assert "1 to 100 characters" in text(answer)


def test_a_viewer_renames_nothing(browser):
    assert browser.viewer.post("/settings/organization", {"name": "Mine"}).status_code == 403


def test_an_expired_key_is_marked_until_somebody_revokes_it(browser, alice):
    with scope(organization=alice.organization):
        ApiKey.objects.filter(pk=alice.key.pk).update(expires_at="2020-01-01T00:00Z")

    page = text(browser.owner.get("/settings/api-keys"))

    assert page.count('<span class="tag">expired</span>') == 1

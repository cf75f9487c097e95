"""What holds for every page: who gets in, for which organization, and what a mistake looks like."""

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import path

from apps.accounts.models import Membership, Role
from apps.accounts.pages import page, page_or
from apps.common.errors import NotFound
from apps.common.problems import bad_request, page_not_found, permission_denied, server_error
from orchestra.urls import urlpatterns as addresses

handler400, handler403, handler404, handler500 = bad_request, permission_denied, page_not_found, server_error


@page()
def whose(request):
    return HttpResponse(f"{request.access.organization.slug} {request.access.role}")


@page("edit")
def editing(request):
    return HttpResponse("changed")


@page()
def missing(request):
    raise NotFound("There is no run 'x'.")


@page()
def broken(request):
    raise ZeroDivisionError


def endpoint(request):
    return HttpResponse("{}", content_type="application/json")


urlpatterns = [
    path("whose", whose),
    path("editing", editing),
    path("missing", missing),
    path("broken", broken),
    path("shared", page_or(endpoint, whose)),
    *addresses,
]

pytestmark = pytest.mark.urls(__name__)


def test_who_has_not_signed_in_comes_back_afterwards(browser):
    answer = browser.anonymous.get("/whose?status=failed")

    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login?next=%2Fwhose%3Fstatus%3Dfailed")


def test_a_part_of_a_page_sends_the_whole_page_to_the_sign_in(browser):
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/runs?status=failed"}

    answer = browser.anonymous.get("/whose", headers=headers)

    assert (answer.status_code, answer["HX-Redirect"]) == (401, "/accounts/login?next=%2Fruns%3Fstatus%3Dfailed")


def test_everybody_acts_for_their_own_organization(browser):
    assert browser.owner.get("/whose").content == b"acme owner"
    assert browser.viewer.get("/whose").content == b"acme viewer"
    assert browser.stranger.get("/whose").content == b"globex owner"


def test_a_role_that_does_not_allow_it_gets_a_page_that_says_so(browser):
    answer = browser.viewer.get("/editing")

    assert answer.status_code == 403
    assert "Your role &#x27;viewer&#x27; does not allow this" in answer.content.decode()
    assert browser.owner.get("/editing").status_code == 200


def test_what_is_missing_is_a_page_in_the_shell(browser):
    answer = browser.owner.get("/missing")

    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "There is no run &#x27;x&#x27;." in answer.content.decode()
    assert 'aria-label="Main"' in answer.content.decode()


def test_what_is_missing_for_a_part_of_a_page_is_a_problem_document(browser):
    answer = browser.owner.get("/missing", headers={"HX-Request": "true", "Accept": "*/*"})

    assert answer.json()["detail"] == "There is no run 'x'."


def test_an_address_that_does_not_exist_is_a_page_for_everybody(browser):
    for client in (browser.owner, browser.anonymous):
        answer = client.get("/no/such/page")

        assert answer.status_code == 404
        assert "There is nothing at this address." in answer.content.decode()


def test_a_mistake_of_ours_is_a_page_that_needs_nothing_of_ours(browser):
    browser.owner.raise_request_exception = False

    answer = browser.owner.get("/broken")

    assert answer.status_code == 500
    assert answer["X-Request-ID"] in answer.content.decode()
    assert 'aria-label="Main"' not in answer.content.decode()


def test_an_address_is_shared_by_a_page_and_an_endpoint(browser):
    assert browser.owner.get("/shared").content == b"acme owner"
    assert browser.owner.get("/shared", headers={"Accept": "*/*"})["Content-Type"] == "application/json"


def test_a_person_switches_between_their_organizations_only(browser, alice, charlie):
    Membership.objects.create(organization=charlie.organization, user=alice.user, role=Role.VIEWER)

    assert browser.owner.post("/accounts/organization", {"organization": "globex"})["Location"] == "/"
    assert browser.owner.get("/whose").content == b"globex viewer"
    assert browser.viewer.post("/accounts/organization", {"organization": "globex"}).status_code == 404
    assert browser.viewer.get("/whose").content == b"acme viewer"


def test_who_has_lost_the_membership_is_out_at_once(browser, bob):
    Membership._base_manager.filter(user=bob.user).delete()

    assert browser.viewer.get("/whose").status_code == 403


def test_the_frame_around_a_page_takes_few_queries(browser, django_assert_max_num_queries, settings):
    settings.DEBUG = True
    browser.owner.get("/ui")

    with django_assert_max_num_queries(4):  # session, user, memberships, and the number at Approvals
        assert browser.owner.get("/ui").status_code == 200


def test_the_palette_finds_what_belongs_to_the_organization(browser, alice, charlie):
    for actor in (alice, charlie):
        document = {"name": f"brief-of-{actor.user.username}", "nodes": {"go": {"type": "agent", "agent": "echo"}}}
        assert actor.client.post("/v1/workflows", document, format="json").status_code == 201

    found = browser.owner.get("/go?q=brief").json()["items"]

    assert [(one["label"], one["url"]) for one in found] == [("brief-of-alice", "/workflows/brief-of-alice")]
    assert browser.owner.get("/go?q=").json()["items"] == []
    assert browser.anonymous.get("/go?q=brief").status_code == 302


def test_the_components_are_shown_to_developers_only(browser, settings):
    assert browser.owner.get("/ui").status_code == 404

    settings.DEBUG = True
    assert browser.owner.get("/ui").status_code == 200


def test_a_page_runs_nothing_that_is_written_into_it(browser, settings):
    settings.DEBUG = True

    answer = browser.owner.get("/ui")

    policy = answer["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Cache-Control"] == "no-store"
    assert " style=" not in answer.content.decode()
    assert " onclick=" not in answer.content.decode()


def test_the_colours_that_were_chosen_come_with_the_page(browser, settings):
    settings.DEBUG = True
    browser.owner.cookies["theme"] = "dark"

    assert 'data-theme="dark"' in browser.owner.get("/ui").content.decode()

    browser.owner.cookies["theme"] = '"><script>'
    assert "data-theme=" not in browser.owner.get("/ui").content.decode().split("<head>")[0]


def test_a_form_without_its_token_is_refused_with_a_page(alice):
    client = Client(headers={"Accept": "text/html"}, enforce_csrf_checks=True)
    client.force_login(alice.user)

    answer = client.post("/accounts/organization", {"organization": "acme"})

    assert answer.status_code == 403
    assert "CSRF" in answer.content.decode()

"""What holds for every page of every app."""

import re
from uuid import uuid4

import pytest
from django.urls import get_resolver

from apps.accounts.models import Capability
from tests.accounts.test_every_endpoint import patterns

STAND_INS = {"int": "1", "uuid": str(uuid4())}


def found():
    """Every page, with an address that leads to nothing of anybody."""
    for route, entry in patterns(get_resolver()):
        needs = getattr(entry.callback, "needs", None)
        if needs is not None:
            path = re.sub(r"<(?:(\w+):)?\w+>", lambda part: STAND_INS.get(part[1], STAND_INS["uuid"]), route)
            yield pytest.param(f"/{path}", needs, id=route or "/")


PAGES = list(found())
# What shows something to everybody of the organization, whatever there is.
LISTS = [one for one in PAGES if "<" not in one.id and one.values[1] == Capability.VIEW]


@pytest.mark.parametrize(("path", "needs"), PAGES)
def test_nobody_sees_a_page_without_signing_in(browser, path, needs):
    for answer in (browser.anonymous.get(path), browser.anonymous.post(path)):
        # A page that only takes forms says so to everybody.
        assert (answer.status_code, answer.headers.get("Location", "")[:15]) in {(302, "/accounts/login"), (405, "")}


@pytest.mark.parametrize(("path", "needs"), PAGES)
def test_a_page_of_what_does_not_exist_is_no_mistake_of_ours(browser, path, needs):
    for answer in (browser.owner.get(path), browser.owner.post(path)):
        assert answer.status_code < 500


@pytest.mark.parametrize(("path", "needs"), PAGES)
def test_a_viewer_sees_and_changes_nothing(browser, path, needs):
    assert needs in set(Capability)

    if needs != Capability.VIEW:
        assert {browser.viewer.get(path).status_code, browser.viewer.post(path).status_code} <= {403, 405}


@pytest.mark.parametrize(("path", "needs"), LISTS)
def test_a_page_is_whole(browser, path, needs):
    answer = browser.owner.get(path)
    if answer.status_code != 200 or "<html" not in answer.content.decode():
        return  # takes forms only, or is a part of a page
    page = answer.content.decode()

    assert re.search(r"<title>\s*\S.*</title>", page)
    assert len(re.findall(r"<h1\b", page)) == 1
    assert not re.findall(r"<[^>]+\s(?:style|on[a-z]+)=", page), "the policy of the browser refuses these"
    assert not re.findall(r"<script(?![^>]*(?:\ssrc=|application/json))[^>]*>", page)
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.replace('href="https://', "")), "from elsewhere"


def test_there_are_pages():
    assert len(LISTS) >= 5

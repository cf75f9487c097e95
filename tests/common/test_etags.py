import pytest
from django.test import RequestFactory

from apps.common.errors import PreconditionFailed
from apps.common.etags import etag, is_unchanged, require_match

CURRENT = etag("abc", 3)


def request(**headers: str):
    return RequestFactory().get("/", headers=headers)


@pytest.mark.parametrize("sent", [CURRENT, "*", f'"x", {CURRENT}', f" {CURRENT} "])
def test_an_edit_of_the_current_state_may_go_on(sent):
    require_match(request(**{"If-Match": sent}), CURRENT)


def test_an_edit_that_names_no_state_may_go_on():
    require_match(request(), CURRENT)


@pytest.mark.parametrize("sent", ['"abc-2"', "abc-3", f"W/{CURRENT}", ""])
def test_an_edit_of_another_state_is_refused_with_the_current_one(sent):
    with pytest.raises(PreconditionFailed) as caught:
        require_match(request(**{"If-Match": sent}), CURRENT)

    assert caught.value.extra == {"etag": '"abc-3"'}


@pytest.mark.parametrize(
    ("sent", "unchanged"), [(CURRENT, True), (f"W/{CURRENT}", True), ("*", True), ('"x"', False), ("", False)]
)
def test_what_the_client_has_is_not_sent_again(sent, unchanged):
    assert is_unchanged(request(**{"If-None-Match": sent}), CURRENT) is unchanged

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.test import RequestFactory

from apps.common.errors import BadRequest
from apps.common.parameters import boolean, choice, integer, many, number, query_params, text, timestamp

ALLOWED = {
    "status": choice("running", "failed"),
    "label": many(text(max_length=5)),
    "wait": number(0, 60),
    "page": integer(1, 10, default=3),
    "full": boolean(),
    "after": timestamp(),
}


def parse(query: str):
    return query_params(RequestFactory().get(f"/v1/x?{query}"), ALLOWED)


def test_what_is_not_sent_has_its_default():
    assert parse("") == {"status": None, "label": [], "wait": None, "page": 3, "full": None, "after": None}


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        ("status=failed", "status", "failed"),
        ("label=a,b&label=c", "label", ["a", "b", "c"]),
        ("wait=1.5", "wait", 1.5),
        ("page=10", "page", 10),
        ("full=true", "full", True),
        ("after=2026-01-31T12:00:00Z", "after", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("after=2026-01-31", "after", datetime(2026, 1, 31, tzinfo=UTC)),
        ("after=2026-01-31T12:00:00", "after", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("after=2026-01-31T12:00:00+02:00", "after", datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_a_value_is_read_as_what_it_is(query, name, value):
    assert parse(query)[name] == value


@pytest.mark.parametrize(
    "query",
    [
        "status=paused",
        "status=failed&status=running",
        "status=",
        "label=toolong",
        "label=%00",
        "wait=nan",
        "wait=inf",
        "wait=61",
        "wait=x",
        "page=0",
        "page=1.0",
        "page=" + "9" * 5000,
        "page=%D9%A1",
        "full=yes",
        "after=yesterday",
        "after=2026-02-31T12:00:00Z",
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(query):
    with pytest.raises(BadRequest) as caught:
        parse(query)

    assert caught.value.code == "invalid_parameter"
    assert caught.value.errors[0].pointer == f"/query/{query.partition('=')[0]}"


def test_an_unknown_parameter_is_refused_with_the_nearest_and_all_known_names():
    with pytest.raises(BadRequest) as caught:
        parse("statsu=failed")

    assert caught.value.code == "unknown_parameter"
    assert caught.value.errors[0].fix == "Did you mean 'status'? Allowed: after, full, label, page, status, wait."


def test_every_wrong_value_is_named():
    with pytest.raises(BadRequest) as caught:
        parse("page=0&wait=x")

    assert [item.pointer for item in caught.value.errors] == ["/query/wait", "/query/page"]

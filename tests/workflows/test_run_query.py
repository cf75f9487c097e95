"""The language of the filter box."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.workflows.engine.states import RunStatus
from apps.workflows.lists.query import KEYS, RunQuery, Term, chips, parse

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
TERMS = st.builds(Term, st.sampled_from(["", *KEYS]), TEXT)


@given(st.lists(TERMS, max_size=6))
def test_what_is_written_is_read_as_the_same(terms):
    assert parse(str(RunQuery(tuple(terms)))).terms == tuple(terms)


@given(st.text(max_size=600))
def test_any_text_is_a_filter_or_has_a_fault_in_a_sentence(text):
    query = parse(text)

    assert all(fault.endswith((".", "?")) for fault in query.faults)
    if not query.faults:
        assert parse(str(query)).terms == query.terms
        assert query.statuses is not None
        assert query.moment("since", NOW) is None or query.moment("since", NOW).tzinfo


def test_the_example_of_the_box_says_what_it_seems_to_say():
    query = parse('status:failed,running workflow:"Market brief" since:2h node:publish brief')

    assert query.faults == ()
    assert query.statuses == [RunStatus.FAILED, RunStatus.RUNNING]
    assert query.one("workflow") == "Market brief"
    assert query.moment("since", NOW) == NOW - timedelta(hours=2)
    assert query.values("node") == ["publish"]
    assert query.values("") == ["brief"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sinse:2h", "There is no filter 'sinse:'. Did you mean 'since:'?"),
        ("status:faild", "There is no status 'faild'. Did you mean 'failed'?"),
        ("since:tomorrow", "'tomorrow' is no time: write 30m, 2h, 7d, 2026-01-31 or 2026-01-31T12:00."),
        ("since:999999w", "'999999w' is no time: write 30m, 2h, 7d, 2026-01-31 or 2026-01-31T12:00."),
        ("label:blue", "A label is written 'label:key:value', not 'label:blue'."),
        ("status:", "'status:' needs a value."),
        ("id:xyz", "'xyz' is no id: give the whole of it, or its last six characters or more."),
        ("workflow:a workflow:b", "'workflow' stands there twice; one run has only one."),
        ('workflow:"Market', "The quotation marks from 'workflow:\"Market' on do not pair up."),
        ("x" * 501, "A filter has at most 500 characters."),
    ],
)
def test_a_mistake_is_named_with_what_to_write_instead(text, sentence):
    assert parse(text).faults == (sentence,)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("since:2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("since:2026-01-31T12:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("since:2026-01-31T12:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("since:90s", NOW - timedelta(seconds=90)),
    ],
)
def test_a_time_is_a_day_a_moment_or_a_while_ago(text, moment):
    assert parse(text).moment("since", NOW) == moment


def test_each_chip_takes_away_what_it_says():
    query = parse("status:failed since:2h")

    assert [(str(term), str(rest)) for term, rest in chips(query)] == [
        ("status:failed", "since:2h"),
        ("since:2h", "status:failed"),
    ]
    assert str(query.having("since", "7d")) == "status:failed since:7d"

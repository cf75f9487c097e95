"""The sums of circuits and retry budgets, with a clock that the test moves."""

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from apps.workflows.engine.pacing import (
    SLOWEST,
    WINDOW,
    BreakerPolicy,
    BudgetPolicy,
    Meter,
    Queue,
    RetryBudget,
    rest_of,
)


def test_a_circuit_rests_twice_as_long_each_time_up_to_a_limit():
    policy = BreakerPolicy(rest=5, longest_rest=60)

    assert [rest_of(policy, openings) for openings in (1, 2, 3, 4, 5, 1000)] == [5, 10, 20, 40, 60, 60]


def test_a_rate_is_of_the_seconds_in_which_there_were_calls():
    meter = Meter()
    for tick in range(40):
        meter.count(1000 + tick / 10)  # ten a second, for four seconds

    assert meter.rate(1003.95) == 10
    assert meter.rate(1003 + 2 * WINDOW) == SLOWEST


def test_a_meter_forgets_what_is_older_than_its_window():
    meter = Meter()
    for second in range(1000):
        meter.count(float(second))

    assert len(meter.counts) <= WINDOW


def test_refused_calls_come_back_one_after_the_other_and_not_before_the_circuit_opens():
    queue = Queue(rate=10)

    places = [queue.place(now=100, opens_at=105) for _ in range(4)]

    assert [round(place, 6) for place in places] == [5.0, 5.1, 5.2, 5.3]


def test_who_comes_back_too_early_is_sent_behind_the_others():
    queue = Queue(rate=10)
    for _ in range(100):
        queue.place(now=100, opens_at=105)

    assert round(queue.place(now=105, opens_at=110), 6) == 10.0


@given(st.lists(st.floats(0, 30), min_size=1, max_size=300), st.floats(2, 50))
def test_no_second_has_more_places_than_the_rate(asked, rate):
    queue = Queue(rate=rate)

    places = sorted(now + queue.place(now=now, opens_at=31.0) for now in sorted(asked))

    assert places[0] >= 31.0
    for first in places:
        assert sum(first <= place < first + 1 for place in places) <= rate + 2


# ---- the retry budget -----------------------------------------------------------------------------

ARRIVALS = st.lists(st.tuples(st.floats(0, 2), st.booleans()), max_size=400)  # seconds since the one before; a retry?


@given(ARRIVALS, st.floats(0.05, 1), st.floats(0.1, 5))
def test_retries_are_never_more_than_their_share_of_the_calls(arrivals, share, least):
    policy, calls, sent = BudgetPolicy(share, least), Meter(), []
    budget, now = RetryBudget(policy), 1000.0

    for rest, is_retry in arrivals:
        now += rest
        if is_retry and budget.admit(calls, now) is not None:
            continue
        calls.count(now)
        sent.append((int(now), is_retry))
        window = [one for second, one in sent if second > now - WINDOW]
        if is_retry:
            assert sum(window) <= max(share * len(window), least * WINDOW)


@given(ARRIVALS)
def test_first_calls_are_not_in_the_budgets_way_and_few_retries_are_not_either(arrivals):
    calls, budget, now, retries = Meter(), RetryBudget(), 1000.0, []

    for rest, is_retry in arrivals:
        now += rest
        if is_retry and sum(second > now - WINDOW for second in retries) < BudgetPolicy().least * WINDOW:
            assert budget.admit(calls, now) is None
            retries.append(int(now))
        calls.count(now)


def test_retries_over_the_budget_come_back_one_after_the_other_as_fast_as_it_allows():
    calls, budget = Meter(), RetryBudget()
    for number in range(100):
        calls.count(1000 + number / 50)  # fifty a second, so ten retries a second

    places = [place for _ in range(40) if (place := budget.admit(calls, 1001.99)) is not None]

    assert len(places) == 20
    assert [round(later - earlier, 6) for earlier, later in pairwise(places)] == [0.1] * 19


def test_all_that_waits_for_the_budget_gets_through_in_the_end():
    """300 calls fail at one moment and are tried again; seconds pass by hand."""
    calls, budget, due, seen = Meter(), RetryBudget(), [(1000.0, number) for number in range(300)], Counter()
    now = 1000.0
    while due and now < 2000:
        for at, number in sorted(one for one in due if one[0] <= now):
            due.remove((at, number))
            if (wait := budget.admit(calls, now)) is None:
                calls.count(now)
                seen[int(now)] += 1
            else:
                due.append((now + max(wait, 0.5), number))
        now += 0.25

    assert (due, sum(seen.values())) == ([], 300)
    for first in range(1000, 1400):
        assert sum(seen[second] for second in range(first, first + WINDOW)) <= 10

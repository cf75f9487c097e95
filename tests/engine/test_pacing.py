"""The sums of the circuit breaker, with a clock that the test moves."""

from hypothesis import given
from hypothesis import strategies as st

from apps.workflows.engine.pacing import SLOWEST, WINDOW, BreakerPolicy, Meter, Queue, rest_of


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

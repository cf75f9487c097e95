"""When a failed attempt is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.workflows.engine.retry import LEAST_REST, LONGEST_REST, RetryPolicy, next_delay, next_look

PLAIN = RetryPolicy(attempts=5, delay=1, backoff=2, max_delay=6, jitter=False)


@pytest.mark.parametrize(("attempt", "delay"), [(1, 1), (2, 2), (3, 4), (4, 6)])
def test_the_delay_grows_up_to_the_longest(attempt: int, delay: float) -> None:
    assert next_delay(PLAIN, attempt=attempt, retryable=True, randomness=0.5) == delay


def test_there_is_no_attempt_after_the_last() -> None:
    assert next_delay(PLAIN, attempt=5, retryable=True, randomness=0.5) is None


def test_what_does_not_help_is_not_tried_again() -> None:
    assert next_delay(PLAIN, attempt=1, retryable=False, randomness=0.5) is None


def test_by_default_there_is_one_attempt() -> None:
    assert next_delay(RetryPolicy(), attempt=1, retryable=True, randomness=0.5) is None


@given(st.integers(1, 99), st.floats(0, 1, exclude_max=True), st.floats(0, 100), st.floats(1, 10), st.floats(0, 1000))
def test_jitter_stays_between_zero_and_the_plain_delay(
    attempt: int, randomness: float, delay: float, backoff: float, longest: float
) -> None:
    full = RetryPolicy(100, delay, backoff, longest, jitter=True)
    plain = RetryPolicy(100, delay, backoff, longest, jitter=False)

    drawn = next_delay(full, attempt=attempt, retryable=True, randomness=randomness)
    ceiling = next_delay(plain, attempt=attempt, retryable=True, randomness=randomness)

    assert drawn is not None
    assert ceiling is not None
    assert 0 <= drawn <= ceiling <= longest


def test_jitter_uses_the_whole_span() -> None:
    full = RetryPolicy(attempts=3, delay=8, jitter=True)

    drawn = [next_delay(full, attempt=1, retryable=True, randomness=number / 8) for number in range(8)]

    assert drawn == [0, 1, 2, 3, 4, 5, 6, 7]


def test_what_the_other_side_asks_for_is_the_least_that_is_waited() -> None:
    asked = next_delay(PLAIN, attempt=1, retryable=True, randomness=0.5, retry_after=30)

    assert asked == 30
    assert next_delay(PLAIN, attempt=3, retryable=True, randomness=0.5, retry_after=1) == 4


def test_a_thousand_attempts_do_not_overflow() -> None:
    endless = RetryPolicy(attempts=10_000, delay=1, backoff=10, max_delay=60, jitter=False)

    assert next_delay(endless, attempt=9_999, retryable=True, randomness=0.5) == 60


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 1000))
def test_whoever_finds_no_room_never_comes_back_at_once(
    earlier: int, randomness: float, retry_after: float | None
) -> None:
    delay = next_look(earlier=earlier, randomness=randomness, retry_after=retry_after)

    assert delay >= max(LEAST_REST, retry_after or 0)
    assert delay <= max(LONGEST_REST, retry_after or 0) + LONGEST_REST


def test_whoever_finds_no_room_again_and_again_looks_less_often() -> None:
    assert [next_look(earlier=earlier, randomness=0) for earlier in range(6)] == [0.5, 1, 2, 4, 5, 5]

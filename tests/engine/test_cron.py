"""When a cron expression fires, where clocks are put forward and back."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.workflows.engine.cron import CronError, check, latest_times, next_times

BERLIN = "Europe/Berlin"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
# Clocks put forward and back by an hour, by half an hour, at midnight, never; a day that one island left out.
ZONES = [
    "UTC",
    BERLIN,
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "Pacific/Apia",
]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(cron: str, zone: str, after: str, until: str) -> list[str]:
    """The times between two moments, as day and UTC time."""
    found = latest_times(cron, zone, at(after), at(until), 100)
    return [f"{moment:%d %H:%M}" for moment in found]


def test_a_fixed_time_that_the_clock_skips_fires_at_the_first_moment_after_it() -> None:
    # Berlin goes from 02:00 to 03:00 on the 29th, which is 01:00 UTC
    assert fires("30 2 * * *", BERLIN, "2026-03-28T12:00", "2026-03-30T12:00") == ["29 01:00", "30 00:30"]


def test_two_fixed_times_that_are_skipped_fire_once() -> None:
    assert fires("15,45 2 * * *", BERLIN, "2026-03-29T00:00", "2026-03-29T12:00") == ["29 01:00"]
    assert fires("0 2,3 * * *", BERLIN, "2026-03-29T00:00", "2026-03-29T12:00") == ["29 01:00"]


def test_a_fixed_time_that_comes_twice_fires_the_first_time() -> None:
    # Berlin goes from 03:00 back to 02:00 on the 25th, which is 01:00 UTC
    assert fires("30 2 * * *", BERLIN, "2026-10-24T12:00", "2026-10-26T12:00") == ["25 00:30", "26 01:30"]


def test_a_fixed_time_is_not_fired_again_from_within_the_second_hour() -> None:
    assert fires("45 2 * * *", BERLIN, "2026-10-25T01:20", "2026-10-26T12:00") == ["26 01:45"]


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_an_interval_goes_on_with_real_time(day: str) -> None:
    found = latest_times("*/30 * * * *", BERLIN, at(f"{day}T00:00"), at(f"{day}T04:00"), 100)

    assert [later - earlier for earlier, later in pairwise(found)] == [timedelta(minutes=30)] * 8


def test_a_name_and_a_sixth_field_are_understood() -> None:
    assert next_times("@Daily", "UTC", NOW, 1) == [at("2026-11-22T00:00")]
    assert next_times("*/10 * * * * *", "UTC", NOW, 2) == [NOW + timedelta(seconds=10), NOW + timedelta(seconds=20)]


@pytest.mark.parametrize(
    ("cron", "zone", "field"),
    [
        ("61 * * * *", "UTC", "cron"),
        ("* * * *", "UTC", "cron"),
        ("", "UTC", "cron"),
        ("0 0 30 2 *", "UTC", "cron"),
        ("* * * * *", "Europe/Nowhere", "timezone"),
        ("* * * * *", "../../etc/passwd", "timezone"),
        ("* * * * *", "", "timezone"),
    ],
)
def test_what_cannot_be_read_or_never_fires_is_refused(cron: str, zone: str, field: str) -> None:
    with pytest.raises(CronError) as refused:
        check(cron, zone, NOW)

    assert refused.value.field == field


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        check(text, "UTC", NOW)
    except CronError:
        return
    assert next_times(text, "UTC", NOW, 1)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    one = st.integers(low, high).map(str)
    return st.one_of(
        st.just("*"),
        one,
        st.integers(1, high).map("*/{}".format),
        st.lists(one, min_size=2, max_size=3).map(",".join),
    )


EXPRESSIONS = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).map(" ".join)
MOMENTS = st.integers(0, 15 * 366 * 86_400).map(lambda seconds: at("2020-01-01") + timedelta(seconds=seconds))


@given(EXPRESSIONS, st.sampled_from(ZONES), MOMENTS)
def test_times_strictly_increase_and_lie_after_the_moment(cron: str, zone: str, after: datetime) -> None:
    times = [after, *next_times(cron, zone, after, 8)]

    assert all(earlier < later for earlier, later in pairwise(times))


@given(EXPRESSIONS, st.sampled_from(ZONES), MOMENTS)
def test_times_are_the_same_from_wherever_one_counts(cron: str, zone: str, after: datetime) -> None:
    """A scheduler that comes later counts from later, and must not find a time in between, or miss one."""
    times = next_times(cron, zone, after, 6)

    for place, moment in enumerate(times[:-1]):
        assert next_times(cron, zone, moment, 1) == [times[place + 1]]
        assert next_times(cron, zone, moment - timedelta(microseconds=1), 1) == [moment]


@given(EXPRESSIONS, st.sampled_from(ZONES), MOMENTS, st.integers(1, 12))
def test_the_latest_times_are_the_last_of_all(cron: str, zone: str, since: datetime, most: int) -> None:
    times = next_times(cron, zone, since - timedelta(microseconds=1), 15)

    assert latest_times(cron, zone, since, times[-1], most) == times[-most:]


def test_the_latest_times_of_a_century_of_seconds_are_found_at_once() -> None:
    found = latest_times("* * * * * *", "UTC", NOW - timedelta(days=36_500), NOW, 10)

    assert found == [NOW - timedelta(seconds=back) for back in range(9, -1, -1)]

"""Spans of time as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from apps.workflows.engine.durations import LONGEST, Duration, format_duration, parse_duration

duration: TypeAdapter[float] = TypeAdapter(Duration)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("30s", 30), ("1m30s", 90), ("500ms", 0.5), ("2h", 7200), ("1d", 86_400), ("1.5h", 5400), ("1h 5m", 3900)],
)
def test_a_duration_is_read_in_its_units(written: str, seconds: float) -> None:
    assert duration.validate_python(written) == pytest.approx(seconds)


@pytest.mark.parametrize("seconds", [0, 30, 0.25])
def test_a_number_is_a_number_of_seconds(seconds: float) -> None:
    assert duration.validate_python(seconds) == seconds


@pytest.mark.parametrize(
    "written", ["", "30", "s", "1x", "-5s", "1s!", "1e3s", "٣s", -1, "9999999d", float("nan"), True]
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        duration.validate_python(written)


def test_the_error_shows_how_to_write_one() -> None:
    with pytest.raises(ValueError, match="write for example 30s, 1m30s"):
        parse_duration("soon")


@given(st.integers(0, int(LONGEST)) | st.integers(0, 10_000).map(lambda thousandths: thousandths / 1000))
def test_a_duration_is_written_so_that_it_reads_back(seconds: float) -> None:
    assert duration.validate_python(format_duration(seconds)) == pytest.approx(seconds)

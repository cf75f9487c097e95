"""Turns, medians and tables: what the figures on the page mean."""

from collections import defaultdict
from operator import methodcaller
from unittest.mock import Mock

import pytest

from benchmarks import options
from benchmarks.contender import Took
from benchmarks.measuring import alternating
from benchmarks.peers.tolerated import Tolerated
from benchmarks.report import Row, Section, report, table
from benchmarks.session import BESIDE_OTHERS, OF_OURS, OF_PROCESSES


class Quick:
    """A contender that says how long it took; nothing is measured."""

    def __init__(self, name: str, *seconds: float | None) -> None:
        self.name = name
        self.seconds = list(seconds)

    def __hash__(self) -> int:
        return id(self)


def in_turn(*contenders: Quick, repeats: int) -> tuple[dict[str, Took], str]:
    """The medians, and who was asked in which order."""
    asked: list[str] = []
    place: dict[str, int] = defaultdict(int)

    def work(contender: Quick) -> Took | None:
        asked.append(contender.name)
        seconds = contender.seconds[min(place[contender.name], len(contender.seconds) - 1)]
        place[contender.name] += 1
        return None if seconds is None else Took(seconds)

    return alternating(contenders, work, repeats), "".join(asked)


def test_contenders_take_turns_and_the_first_time_does_not_count() -> None:
    took, asked = in_turn(Quick("a", 5, 1, 2, 3), Quick("b", 2), repeats=3)

    assert asked == "ab" + "ab" + "ba" + "ab"
    assert took == {"a": Took(2), "b": Took(2)}


def test_quick_work_is_done_four_times_before_it_counts() -> None:
    took, asked = in_turn(Quick("a", 0.9, 0.8, 0.7, 0.6, 0.1), Quick("b", 5, 2), repeats=1)

    assert asked == "aaaa" + "b" + "ab"
    assert took == {"a": Took(0.1), "b": Took(2)}


def test_who_cannot_do_the_work_has_no_figure() -> None:
    took, asked = in_turn(Quick("a", 2), Quick("b", None), repeats=2)

    assert asked == "ab" + "a" + "a"
    assert took == {"a": Took(2)}


def test_the_trouble_of_one_costs_nobody_else_a_figure() -> None:
    troubles: list[str] = []
    broken = Mock(chain=Mock(side_effect=TimeoutError("The operation timed out.")))
    broken.name = "b"
    sound = Mock(chain=Mock(return_value=Took(1)))
    sound.name = "a"

    took = alternating([sound, Tolerated(broken, troubles)], methodcaller("chain", 10), repeats=2)

    assert took == {"a": Took(1)}
    assert troubles == ["b, chain: TimeoutError: The operation timed out."]


def test_who_is_very_slow_is_not_asked_again() -> None:
    took, asked = in_turn(Quick("a", 2), Quick("b", 30), repeats=2)

    assert asked == "ab" + "a" + "a"
    assert took["b"] == Took(30)


@pytest.mark.parametrize(
    ("unit", "figure", "reached"), [("s", 0.09, "yes"), ("s", 0.11, "**no**"), ("runs/s", 0.11, "yes")]
)
def test_a_row_says_what_is_to_be_reached_and_the_ratio_to_others(unit: str, figure: float, reached: str) -> None:
    last = table([Row("A", figure, unit, 0.1, {"DBOS": 0.5})]).splitlines()[-1]

    assert last == f"| A | {figure:.3f} {unit} | 0.100 {unit} | {reached} | 0.500 {unit} ({figure / 0.5:.2g}x) |"


@pytest.mark.parametrize(("seconds", "reached"), [(0.25, "yes"), (0.35, "**no**")])
def test_a_figure_is_reached_at_the_pace_of_the_machine(seconds: float, reached: str) -> None:
    """Celery's canvas took 0.25 s where 0.10 s was set as the figure to reach; here it takes three times that."""
    row = Row("A. chain of 100 nodes", seconds, "s", 0.10, {"Celery canvas (not durable)": 0.75})

    *_, last = table([row]).splitlines()

    assert f"| 0.100 s | 0.300 s | {reached} |" in last


def test_what_was_not_measured_stands_below_the_tables() -> None:
    text = report("heading", [Section("Work", [Row("A", 1.0, "s")])], ["prefect: no network"])

    assert "### Work" in text
    assert text.endswith("Not measured: prefect: no network.")


def test_results_replace_those_on_the_page(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{options.BEGIN}\nold\n\n{options.END}\nafter\n")
    monkeypatch.setattr(options, "RESULTS", page)

    options.write_results("new")

    assert page.read_text() == f"before\n{options.BEGIN}\nnew\n\n{options.END}\nafter\n"


def test_the_page_has_a_place_for_results() -> None:
    page = options.RESULTS.read_text()

    assert options.BEGIN in page
    assert options.END in page


def test_every_workload_is_one_that_a_session_knows() -> None:
    assert (*BESIDE_OTHERS, *OF_PROCESSES, *OF_OURS) == options.WORKLOADS

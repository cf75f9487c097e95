"""Failpoints: places where a process dies, fails or freezes when a setting says so, and never otherwise."""

import os
import subprocess
import sys
import time

import pytest
from django.core.exceptions import ImproperlyConfigured

from apps.common import failpoints
from apps.common.failpoints import InjectedFault, armed, reach


def test_nothing_happens_unless_it_is_asked_for() -> None:
    for place in failpoints.PLACES:
        reach(place)


def test_only_the_place_that_is_named_fails() -> None:
    with armed("before_complete=raise"):
        reach("beat_stall")

        with pytest.raises(InjectedFault, match="before_complete"):
            reach("before_complete")

    reach("before_complete")


def test_a_place_may_have_an_error_of_its_own() -> None:
    with armed("commit_then_raise=raise"), pytest.raises(ConnectionError):
        reach("commit_then_raise", ConnectionError)


def test_once_is_once() -> None:
    with armed("before_complete=raise:once"):
        with pytest.raises(InjectedFault):
            reach("before_complete")

        reach("before_complete")


def test_a_probability_is_one() -> None:
    failed = 0

    with armed("before_complete=raise:0.5"):
        for _ in range(200):
            try:
                reach("before_complete")
            except InjectedFault:
                failed += 1

    assert 40 < failed < 160


def test_sleeping_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)

    with armed("beat_stall=sleep:15:once, before_complete=sleep:0.5"):
        reach("beat_stall")
        reach("beat_stall")
        reach("before_complete")

    assert slept == [15, 0.5]


@pytest.mark.parametrize(
    "written",
    [
        "nowhere=exit", "before_complete", "before_complete=die", "before_complete=raise:twice", "beat_stall=sleep",
        "beat_stall=sleep:long", "before_complete=raise:2", "before_complete=raise:0", "before_complete=exit:0.1:once",
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused(written: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="ORCHESTRA_FAILPOINTS"), armed(written):
        pass


def _process(code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    program = f"import django; django.setup()\n{code}"
    settings = {"DJANGO_SETTINGS_MODULE": "orchestra.settings", **environment}
    return subprocess.run(
        [sys.executable, "-c", program], env=os.environ | settings, capture_output=True, text=True, check=False
    )


def test_without_debug_a_process_with_failpoints_does_not_start() -> None:
    ended = _process("print('started')", ORCHESTRA_FAILPOINTS="before_complete=exit", DEBUG="0")

    assert ended.returncode == 1
    assert "ORCHESTRA_FAILPOINTS makes processes die on purpose" in ended.stderr
    assert ended.stdout == ""


def test_with_debug_it_kills_the_process_there_and_runs_nothing_more() -> None:
    code = "from apps.common.failpoints import reach\ntry:\n reach('before_complete')\nfinally:\n print('after')"

    ended = _process(code, ORCHESTRA_FAILPOINTS="before_complete=exit", DEBUG="1")

    assert (ended.returncode, ended.stdout) == (-9, "")

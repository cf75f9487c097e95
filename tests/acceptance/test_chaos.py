"""The quick profile of `manage.py chaos`: everything breaks for a while, and nothing is lost or done twice."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.orchestra_process import ROOT

FAULTS, RUNS = 12, 40


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a short session of mixed faults came to, by its own report."""
    home = tmp_path_factory.mktemp("chaos")
    ran = run_chaos(home, f"--runs={RUNS}", f"--kills={FAULTS}", "--every=1.5", "--workers=2", "--lease=3", "--json")
    assert ran.stdout, ran.stderr
    return dict(json.loads(ran.stdout))


def run_chaos(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "chaos", *arguments],
        env=os.environ | {"ORCHESTRA_HOME": str(home)},
        check=False,
        capture_output=True,
        text=True,
        timeout=170,
    )


def test_everything_breaks_and_nothing_is_lost_or_done_twice(report: dict[str, Any]) -> None:
    assert report["wrong"] == {}
    assert (report["accepted"], report["completed"]) == (RUNS, RUNS)


def test_it_has_done_what_it_was_asked_to_do(report: dict[str, Any]) -> None:
    assert sum(report["faults"].values()) == FAULTS
    assert len(report["faults"]) > 3


def test_it_says_so_when_nothing_was_done_yet_and_when_the_scenario_is_unknown(tmp_path: Path) -> None:
    last, unknown = run_chaos(tmp_path, "--last"), run_chaos(tmp_path, "--scenario", "kils")

    assert (last.returncode, unknown.returncode) == (3, 2)
    assert "There was no session of chaos yet" in last.stderr
    assert "choose from mixed, kills" in unknown.stderr

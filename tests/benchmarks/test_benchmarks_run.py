"""The benchmarks work; how fast anything is says a machine that does nothing else, not a test."""

import subprocess
import sys

import pytest

from orchestra.settings import BASE_DIR


@pytest.fixture(scope="module")
def printed() -> str:
    """What the smallest session of every workload prints."""
    ran = run_benchmarks("--smallest")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def run_benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run them as a person does."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, check=False, cwd=BASE_DIR, capture_output=True, text=True, timeout=280)


@pytest.mark.parametrize(
    "row", ["A. chain of 2", "B. map over 2", "C. 2 runs", "D. 2 runs", "POST a run", "event to reader"]
)
def test_every_workload_has_a_figure(printed: str, row: str) -> None:
    assert f"| {row}" in printed


def test_every_figure_has_a_ratio_to_something_else(printed: str) -> None:
    rows = [line for line in printed.splitlines() if line.startswith("| ") and "---" not in line]
    figures = [line for line in rows if not line.startswith("| workload")]

    assert figures
    assert all("x)" in line for line in figures), printed


def test_an_unknown_workload_is_named() -> None:
    ran = run_benchmarks("chains")

    assert ran.returncode == 2
    assert "'chains'; choose from chain, fanout, throughput, latency" in ran.stderr

"""The benchmarks work; how fast anything is says a machine that does nothing else, not a test."""

import subprocess
import sys

import pytest

from benchmarks.browser import found
from orchestra.settings import BASE_DIR

# Not those that start workers again and again, or do the same work once more: footprint, crash, scale, growth.
WORKLOADS = ("chain", "fanout", "throughput", "marking", "latency", "streams", "models", "pages", "backlog", "listing")
SECONDS = 300  # for a session, on a machine that runs other tests at the same time

pytestmark = pytest.mark.timeout(SECONDS + 30)


@pytest.fixture(scope="module")
def printed() -> str:
    """What the smallest session of these workloads prints."""
    ran = run_benchmarks("--smallest", *WORKLOADS)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def run_benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run them as a person does."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, check=False, cwd=BASE_DIR, capture_output=True, text=True, timeout=SECONDS)


@pytest.mark.parametrize(
    "row",
    [
        *("A. chain of 2", "B. map over 2", "C. 2 runs", "D. 2 runs", "marking", "compile", "look up"),
        *("POST a run", "event to reader", "memory of the web", "claim", "list of runs"),
        *("2 answers of", "event to pixel", "largest paint", "transfer"),
    ],
)
def test_every_workload_has_a_figure(printed: str, row: str) -> None:
    assert f"| {row}" in printed


def test_every_figure_has_a_ratio_to_something_else(printed: str) -> None:
    rows = [line for line in printed.splitlines() if line.startswith("| ") and "---" not in line]
    figures = [line for line in rows if not line.startswith("| workload")]

    assert figures
    assert all("x)" in line for line in figures), printed


@pytest.mark.skipif(found() is None, reason="There is no Chromium here.")
def test_the_builder_is_measured() -> None:
    ran = run_benchmarks("--smallest", "builder")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "| builder, 5 nodes: to open" in ran.stdout
    assert "| builder, 5 nodes: while dragging" in ran.stdout


def test_an_unknown_workload_is_named() -> None:
    ran = run_benchmarks("chains")

    assert ran.returncode == 2
    assert "'chains'; choose from chain, fanout, throughput, footprint" in ran.stderr


def test_bench_takes_the_same_options() -> None:
    command = [sys.executable, "manage.py", "bench", "chains", "--quick"]

    ran = subprocess.run(command, check=False, cwd=BASE_DIR, capture_output=True, text=True, timeout=60)

    assert ran.returncode == 2
    assert "there is no workload 'chains'" in ran.stderr

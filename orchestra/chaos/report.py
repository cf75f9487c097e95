"""What a session of chaos came to: kept as JSON in ORCHESTRA_HOME, and told in lines."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from orchestra.chaos.stage import Demand, Stage
from orchestra.chaos.verdict import Verdict, quantile
from orchestra.supervisor import write_private

KEPT = "chaos"  # the folder in ORCHESTRA_HOME
MOST_TOLD = 10
EXPECTED = frozenset({HTTPStatus.ACCEPTED, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True)
class Report:
    """Everything that is kept of a session."""

    scenario: str
    ok: bool
    started_at: str
    seconds: float
    options: dict[str, Any]
    asked: int
    accepted: int
    completed: int
    wrong: dict[str, list[str]]  # by what is wrong: lost, duplicated, ...; nothing stands for nothing
    missed: list[str]  # demands of the scenario
    demands: list[dict[str, Any]]
    statuses: dict[str, int]
    unanswered: dict[str, int]
    attempts: dict[str, int]
    faults: dict[str, int]
    submit_seconds: dict[str, float | None]
    resume_seconds: dict[str, dict[str, float | None]]
    figures: dict[str, float]


def report_on(stage: Stage, verdict: Verdict, demands: list[Demand], began: float, seconds: float) -> Report:
    """Put together what is kept."""
    statuses = stage.submitted.statuses()
    wrong = {
        "lost": verdict.lost,
        "wrong": verdict.wrong,
        "duplicated": verdict.duplicated,
        "repeated": verdict.repeated,
        "broken": verdict.broken,
        "never accepted": [f"submit {number}" for number in stage.submitted.given_up],
        "unexpected status": [
            f"{status}: {count} times" for status, count in statuses.items() if status not in EXPECTED
        ],
    }
    wrong = {name: found for name, found in wrong.items() if found}
    return Report(
        scenario=stage.options.scenario,
        ok=not wrong and all(demand.met for demand in demands),
        started_at=datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        options=asdict(stage.options),
        asked=stage.submitted.asked,
        accepted=verdict.accepted,
        completed=verdict.completed,
        wrong=wrong,
        missed=[_demand(demand) for demand in demands if not demand.met],
        demands=[asdict(demand) | {"met": demand.met} for demand in demands],
        statuses={str(status): count for status, count in sorted(statuses.items())},
        unanswered=dict(stage.submitted.unanswered),
        attempts=verdict.attempts,
        faults=dict(sorted(stage.faults.done.items())),
        submit_seconds=_spread(stage.answered()),
        resume_seconds={fault: _spread(times) for fault, times in verdict.resumed.items()},
        figures=stage.figures,
    )


def keep(report: Report, home: Path) -> Path:
    """Write the report down, and give where."""
    folder = home / KEPT
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{report.started_at.replace(':', '')}-{report.scenario}.json"
    write_private(path, json.dumps(asdict(report), indent=2) + "\n")
    return path


def last(home: Path) -> Report | None:
    """The newest report that was kept."""
    kept = sorted((home / KEPT).glob("*.json"))
    return Report(**json.loads(kept[-1].read_text())) if kept else None


def told(report: Report) -> Iterator[str]:
    """The report in lines for people."""
    yield f"{report.scenario}: {'nothing lost, nothing twice' if report.ok else 'FAILED'} ({report.seconds:.0f} s)"
    yield f"  runs       {report.asked} submitted, {report.accepted} accepted, {report.completed} completed"
    yield f"  faults     {_counted(report.faults)}"
    yield f"  attempts   {_counted(report.attempts)}"
    yield f"  answers    {_counted(report.statuses)}; without an answer: {_counted(report.unanswered)}"
    yield f"  submits    {_seconds(report.submit_seconds)}"
    for fault, spread in report.resume_seconds.items():
        yield f"  resumed    after {fault.replace('_', ' ')}: {_seconds(spread)}"
    for name, figure in report.figures.items():
        yield f"  figure     {name.replace('_', ' ')}: {figure:.3g}"
    for demand in report.demands:
        yield f"  {'ok  ' if demand['met'] else 'MISS'}       {_demand(Demand(**_without(demand, 'met')))}"
    for name, found in report.wrong.items():
        yield f"  WRONG      {name}: {len(found)}"
        yield from (f"             {one}" for one in found[:MOST_TOLD])


def _demand(demand: Demand) -> str:
    figure = "not measured" if demand.figure is None else f"{demand.figure:.3g}"
    return (
        f"{demand.what}: {figure} (at {'least' if demand.at_least else 'most'} {demand.limit:g} {demand.unit})".replace(
            " )", ")"
        )
    )


def _spread(values: list[float]) -> dict[str, float | None]:
    shares = {"p50": 0.5, "p99": 0.99, "most": 1.0}
    return {"count": len(values)} | {name: quantile(values, share) for name, share in shares.items()}


def _seconds(spread: dict[str, float | None]) -> str:
    times = [f"{name} {value:.2f} s" for name, value in spread.items() if name != "count" and value is not None]
    return f"{spread['count']:.0f}: {', '.join(times)}"


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()) or "none"


def _without(mapping: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key != name}

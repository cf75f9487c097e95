"""What was measured, as a table."""

import platform
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil

from benchmarks.designed import DESIGNED

OURS = "Orchestra"


@dataclass(frozen=True)
class Row:
    """One figure of ours, what it is to be, and what others come to."""

    workload: str
    figure: float
    unit: str  # of a time, of memory, or something per second
    to_reach: float | None = None
    references: Mapping[str, float] = field(default_factory=dict)  # by the name of who came to it
    database: float | None = None  # the same figure by the database's clock
    cpu: float | None = None  # milliseconds of the workers for one node

    @property
    def more_is_better(self) -> bool:
        """Whether the figure is a rate."""
        return self.unit.endswith("/s")

    @property
    def reached(self) -> bool | None:
        """Whether the figure is what it is to be, there or on a machine like this one; None where nothing is asked."""
        if self.to_reach is None:
            return None
        asked = [self.to_reach, *filter(None, [self.to_reach_here])]
        return self.figure >= min(asked) if self.more_is_better else self.figure <= max(asked)

    @property
    def to_reach_here(self) -> float | None:
        """What `to_reach` comes to where others are as much slower or faster than they were when it was set."""
        designed = DESIGNED.get(self.workload, {})
        shares = [
            found / then
            for name, found in self.references.items()
            for begins, then in designed.items()
            if name.startswith(begins)
        ]
        return self.to_reach * median(shares) if shares and self.to_reach else None


@dataclass(frozen=True)
class Section:
    """Rows that stand in one table."""

    title: str
    rows: Sequence[Row]


def report(heading: str, sections: Sequence[Section], troubles: Sequence[str] = ()) -> str:
    """Everything a session has found, in Markdown."""
    tables = [f"### {section.title}\n\n{table(section.rows)}" for section in sections]
    not_measured = [
        f"Not measured: {textwrap.shorten(trouble.rstrip('.'), 200)}." for trouble in dict.fromkeys(troubles)
    ]
    rows = [row for section in sections for row in section.rows]
    return "\n\n".join((heading, *tables, verdict(rows), *not_measured))


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown, without the columns that are empty. A ratio is our figure divided by the reference's."""
    others = list(dict.fromkeys(name for row in rows for name in row.references))
    asked = ["to reach", "to reach here", "reached"]
    titles = ["workload", OURS, "database's clock", "worker CPU a node", *asked, *others]
    cells = [_cells(row, others) for row in rows]
    used = [place for place in range(len(titles)) if any(line[place] for line in cells)]
    lines = [titles, ["---"] * len(titles), *cells]
    return "\n".join(f"| {' | '.join(line[place] for place in used)} |" for line in lines)


def verdict(rows: Sequence[Row]) -> str:
    """How many of the figures are reached, and which are not."""
    asked = [row for row in rows if row.reached is not None]
    missed = [f"{row.workload} ({_value(row.figure, row)})" for row in asked if not row.reached]
    first = f"{len(asked) - len(missed)} of {len(asked)} figures of the design are reached."
    return f"{first} Not reached: {'; '.join(missed)}." if missed else first


def machine(versions: Mapping[str, str]) -> str:
    """What it was measured on."""
    memory = psutil.virtual_memory().total / 2**30
    programs = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{psutil.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {platform.system()}; {programs}."


def _cells(row: Row, others: Sequence[str]) -> list[str]:
    reached = {True: "yes", False: "**no**", None: ""}[row.reached]
    return [
        row.workload,
        _value(row.figure, row),
        _value(row.database, row),
        "" if row.cpu is None else f"{row.cpu:.2f} ms",
        _value(row.to_reach, row),
        _value(row.to_reach_here, row),
        reached,
        *(_with_ratio(row.references.get(name), row) for name in others),
    ]


def _with_ratio(reference: float | None, row: Row) -> str:
    if not reference:
        return ""
    return f"{_value(reference, row)} ({row.figure / reference:.2g}x)"


def _value(value: float | None, row: Row) -> str:
    if value is None:
        return ""
    digits = 0 if value >= 100 else 1 if value >= 10 else 3 if value < 1 else 2  # noqa: PLR2004 - three that count
    return f"{value:,.{digits}f} {row.unit}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()

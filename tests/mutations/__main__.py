"""`python -m tests.mutations [part of a name ...]`: takes out one guard after the other and has the tests notice.

Each mutant is a copy of the tree with one guard removed. A mutant whose tests stay green has survived: nothing would
notice if that guard broke. First all the tests run on an unchanged copy, where they have to be green.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestra import embedded
from tests.mutations.mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parent.parent.parent
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".orchestra", ".hypothesis", "__pycache__", ".*_cache")
SOON, LATE = 60, 300  # seconds until a mutant is red: on a quiet machine, and whatever else the machine does
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")  # these databases may be lost
GREEN, RED = 0, 1  # what pytest says; anything else means that it did not test


Addresses = dict[str, str]


class UnknownTextError(Exception):
    """What a mutant wants to change is not there, or there more than once."""


@dataclass(frozen=True)
class Verdict:
    """How a mutant ended."""

    name: str
    text: str
    seconds: float
    good: bool


def main(parts: list[str]) -> int:
    """Gives the exit status: 0 when every mutant was noticed in time."""
    chosen = [mutant for mutant in MUTANTS if not parts or any(part in mutant.name for part in parts)]
    if not chosen:
        print(f"No mutant is called so. There are: {', '.join(mutant.name for mutant in MUTANTS)}", file=sys.stderr)
        return 2
    with services() as addresses:
        verdicts = [control(chosen, addresses)]
        show(verdicts[0])
        for mutant in chosen if verdicts[0].good else []:
            verdicts.append(judge(mutant, addresses))
            show(verdicts[-1])
    return 0 if all(verdict.good for verdict in verdicts) else 1


@contextmanager
def services() -> Iterator[Addresses]:
    """A PostgreSQL and a Valkey for all mutants, so that one whose tests hang can be killed with nothing left over."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as home, ExitStack() as stack:
        database = embedded.prepare_postgres(Path(home), *FAST)
        broker = embedded.prepare_valkey(Path(home))
        for service in (database, broker):
            process = service.program.popen(subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.send_signal, service.program.hurry_signal)
            service.wait_ready()
        database.provision(createdb=True)
        yield {"DATABASE_URL": database.url, "REDIS_URL": broker.url}


def control(mutants: list[Mutant], addresses: Addresses) -> Verdict:
    """The same tests with every guard in place."""
    tests = list(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
    with tempfile.TemporaryDirectory(prefix="mutant-") as place:
        copy = copied(Path(place))
        began = time.monotonic()
        code = tested(copy, tests, addresses, seconds=None)
    return Verdict("(nothing taken out)", "green" if code == GREEN else "RED", time.monotonic() - began, code == GREEN)


def judge(mutant: Mutant, addresses: Addresses) -> Verdict:
    """Whether the tests of a mutant fail, as they have to."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as place:
        copy = copied(Path(place))
        mutate(copy, mutant)
        began = time.monotonic()
        code = tested(copy, list(mutant.tests), addresses, seconds=LATE)
    took = time.monotonic() - began
    noticed = "noticed" if took <= SOON else f"noticed after {SOON} s"
    texts = {GREEN: "SURVIVED", RED: noticed, None: f"NOT NOTICED IN {LATE} s"}
    return Verdict(mutant.name, texts.get(code, f"NOT TESTED (pytest ended with {code})"), took, code == RED)


def copied(place: Path) -> Path:
    """A copy of the tree."""
    copy = place / "orchestra"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT, symlinks=True)
    return copy


def mutate(copy: Path, mutant: Mutant) -> None:
    """Takes the guard out of the copy; raises UnknownTextError where it is not to be found."""
    for edit in mutant.edits:
        path = copy / edit.path
        text = path.read_text()
        if text.count(edit.old) != 1:
            found = text.count(edit.old)
            raise UnknownTextError(f"'{mutant.name}': {edit.path} has {found} times, not once:\n{edit.old}")
        path.write_text(text.replace(edit.old, edit.new))


def tested(copy: Path, tests: list[str], addresses: Addresses, *, seconds: float | None) -> int | None:
    """What pytest ended with; None when it took too long."""
    argv = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *tests]
    try:
        ended = subprocess.run(
            argv,
            cwd=copy,
            env=os.environ | addresses,
            timeout=seconds,
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return None
    return ended.returncode


def show(verdict: Verdict) -> None:
    """A row of the table, as soon as it is known."""
    print(f"{verdict.name:<60} {verdict.text:<28} {verdict.seconds:5.1f} s", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the services end with it
    sys.exit(main(sys.argv[1:]))

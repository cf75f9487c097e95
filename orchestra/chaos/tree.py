"""A whole `bin/up` as a process tree that can be killed at once and started again on the same state."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from orchestra import embedded
from orchestra.access import Access, read_access
from orchestra.house import READY_SECONDS, clear, remove
from orchestra.settings import BASE_DIR
from orchestra.supervisor import stop_left_behind
from orchestra.up import STOP_SIGNALS
from orchestra.welcome import READY

FIRST_PORT = 19500
STOP_SECONDS = 15.0


@dataclass
class Tree:
    """One `bin/up` and all that it runs."""

    home: Path
    port: int
    workers: int
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> float:
        """Start it, and give the seconds until it answers and says so."""
        began = time.monotonic()
        self._told = self.log.stat().st_size if self.log.exists() else 0
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRA_")}
        output = self.log.open("ab")
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "orchestra.up", "--no-demo", f"--port={self.port}", f"--workers={self.workers}"],
            cwd=BASE_DIR,
            env=environment | {"ORCHESTRA_HOME": str(self.home), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        output.close()
        self._wait_ready(began + READY_SECONDS)
        return time.monotonic() - began

    def kill(self) -> list[str]:
        """`kill -9` for it and every process under it, all at once; give their names."""
        if self.process is None:
            return []
        processes = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        names = [process.name() for process in processes]
        for process in processes:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(processes, timeout=5)
        self.process.wait()
        self.process = None
        return names

    @property
    def access(self) -> Access:
        """How to get in."""
        known = read_access(self.home)
        if known is None:
            raise FileNotFoundError(f"There is no access.json in {self.home}.")
        return known

    @property
    def database_url(self) -> str:
        """Where its rows are."""
        return str(json.loads((self.home / "services.json").read_text())["database_url"])

    def stop(self) -> None:
        """Press Ctrl-C; whoever does not hear it is killed."""
        if self.process is not None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
                self.process = None
        self.kill()

    def _wait_ready(self, deadline: float) -> None:
        while READY not in self.log.read_text()[self._told :]:
            if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"bin/up is not ready:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.1)

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.home / "log"


@contextmanager
def running_tree(homes: Path, *, workers: int) -> Iterator[Tree]:
    """One that is ready for work; nothing of it is left afterwards."""
    clear(homes)
    home = homes / str(os.getpid())
    home.mkdir(parents=True)
    tree = Tree(home, embedded.free_port(FIRST_PORT), workers)
    try:
        tree.start()
        yield tree
    finally:
        tree.stop()
        stop_left_behind(home / "processes.json", STOP_SIGNALS)
        tree.log.replace(homes / "log")
        remove(home)

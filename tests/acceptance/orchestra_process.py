"""A real `bin/up` in a home of its own, as a person starts it."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[2]
READY = "Ctrl-C stops everything"
BUSY_SECONDS = 120.0  # most of these waits take a second; a machine that does much else may need all of that


class RunningOrchestra:
    """One `bin/up`: what it printed and when, its processes, and its API."""

    def __init__(self, home: Path, port: int, *arguments: str, **environment: str) -> None:
        self.home = home
        self.port = port
        self.lines: list[str] = []
        self.times: list[float] = []
        self.started = time.monotonic()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRA_")}
        self.process = subprocess.Popen(
            [str(ROOT / "bin" / "up"), "--port", str(port), *arguments],
            env=inherited | {"ORCHESTRA_HOME": str(home)} | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as output:
            for line in output:
                self.times.append(time.monotonic())
                self.lines.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        """Everything it printed."""
        return "\n".join(self.lines)

    def wait_ready(self, seconds: float = BUSY_SECONDS) -> "RunningOrchestra":
        """Return once it says that everything runs."""
        wait_until(lambda: READY in self.output or self.process.poll() is not None, seconds, lambda: self.output)
        assert self.process.poll() is None, self.output
        return self

    def wait_ended(self, seconds: float = BUSY_SECONDS) -> int:
        """Give the exit code."""
        code = self.process.wait(seconds)
        self._reader.join(2)
        return code

    @property
    def access(self) -> dict[str, str]:
        """What access.json says."""
        return dict(json.loads((self.home / "access.json").read_text()))

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call the API with the key of access.json."""
        access = self.access
        headers = {"Authorization": f"Bearer {access['api_key']}"} | options.pop("headers", {})
        with httpx.Client(base_url=access["url"], headers=headers, timeout=60) as client:
            return client.request(method, path, **options)

    def pids(self) -> dict[str, int]:
        """Give the pids it has written down, by name."""
        return {row["name"]: row["pid"] for row in json.loads((self.home / "processes.json").read_text())}

    def children(self) -> dict[str, psutil.Process]:
        """Give the processes it keeps running, by name."""
        return {name: psutil.Process(pid) for name, pid in self.pids().items() if psutil.pid_exists(pid)}

    def interrupt(self) -> None:
        """Press Ctrl-C and return when everything has ended."""
        children = list(self.children().values())
        os.killpg(self.process.pid, signal.SIGINT)
        self.wait_ended()
        psutil.wait_procs(children, timeout=5)

    def kill_everything(self) -> None:
        """`kill -9` for it and every process under it, all at once."""
        processes = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # its parent took it along
                process.kill()
        psutil.wait_procs(processes, timeout=BUSY_SECONDS)
        self.wait_ended()

    def end(self) -> None:
        """Leave nothing behind, whatever the test did."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.wait_ended()


Start = Callable[..., RunningOrchestra]


def wait_until(
    condition: Callable[[], object], seconds: float = BUSY_SECONDS, explain: Callable[[], str] = str
) -> None:
    """Return once the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {explain()}"
        time.sleep(0.05)

"""The supervisor's side of the fork server: ask for a program, and look after it like after any child.

The programs become children of this process as nobody else is left to them (PR_SET_CHILD_SUBREAPER, see prctl(2)).
Where the system knows no such thing, as macOS, programs are started anew.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import IO

import psutil

from orchestra.fork_server import Request

_PR_SET_CHILD_SUBREAPER = 36
_PID_BYTES = 20
_UNKNOWN_END = 1


class Forked:
    """A running program, with what the supervisor needs of `subprocess.Popen`."""

    def __init__(self, pid: int, stdout: IO[bytes]) -> None:
        self.pid = pid
        self.stdout = stdout
        self.returncode: int | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._reap, name=f"reap {pid}", daemon=True).start()

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; raises subprocess.TimeoutExpired."""
        if not self._ended.wait(timeout) or self.returncode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it without asking."""
        self.send_signal(signal.SIGKILL)

    def _reap(self) -> None:
        try:
            _, status = os.waitpid(self.pid, 0)
        except ChildProcessError:  # it died before anybody knew it, and `reap_strangers` has its exit code
            self.returncode = _UNKNOWN_END
        else:
            self.returncode = os.waitstatus_to_exitcode(status)
        self._ended.set()


class ForkServerClosed(Exception):
    """It will not fork any more."""


class ForkServer:
    """A way to ask it. Requests wait in a socket while it is being imported, at first and whenever it has died."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.end = theirs  # for each server in turn

    def fork(self, request: Request) -> Forked:
        """A new process that runs the module's `main`; returns once it is there. Raises ForkServerClosed."""
        while self._ours.fileno() >= 0:
            reading, writing = os.pipe()
            try:
                pid = self._ask(request, writing)
            finally:
                os.close(writing)
            if pid is not None:
                return Forked(pid, os.fdopen(reading, "rb"))
            os.close(reading)  # the server died with our request in its hands; the next one hears it anew
        raise ForkServerClosed

    def close(self) -> None:
        """Let the server end."""
        self._ours.close()
        self.end.close()

    def _ask(self, request: Request, output: int) -> int | None:
        hearing, answering = socket.socketpair()
        with hearing:
            with answering:
                socket.send_fds(self._ours, [request.text()], [answering.fileno(), output, *request.descriptors])
            answer = hearing.recv(_PID_BYTES)
            hearing.recv(1)  # the end: only then is the process ours to wait for
        return int(answer) if answer else None


def adopt_orphans() -> bool:
    """Make this process the parent of its descendants whose parents die; False where the system cannot."""
    if sys.platform != "linux":
        return False
    failed: int = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return not failed


def reap_strangers(known: set[int]) -> None:
    """Let go of dead children that were adopted, such as those of a database server that was killed."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error, ChildProcessError):
            if child.pid not in known and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)

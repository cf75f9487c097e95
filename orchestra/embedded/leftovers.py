"""Servers that lost who started them."""

import contextlib
import signal
from pathlib import Path

import psutil


def end_stale(pid_file: Path, marker: Path, stop_signal: signal.Signals) -> None:
    """Stop a server that still runs on this state, and forget a pid that now belongs to another program.

    PostgreSQL would take the other program for its own server and refuse to start.
    """
    try:
        process = psutil.Process(int(pid_file.read_text().split()[0]))
        ours = str(marker) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except (FileNotFoundError, ValueError, IndexError, psutil.Error):
        return
    if not ours:
        pid_file.unlink(missing_ok=True)
        return
    process.send_signal(stop_signal)
    with contextlib.suppress(psutil.TimeoutExpired):
        process.wait(5)
        return
    process.kill()
    process.wait(5)

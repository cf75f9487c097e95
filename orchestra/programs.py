"""How the processes of Orchestra itself are run."""

import socket
import sys
import urllib.error
from http import HTTPStatus

from orchestra import settings
from orchestra.loopback import opener
from orchestra.supervisor import Program

PYTHON = (sys.executable, "-W", "ignore:You're running the worker with superuser")  # root is welcome here
FORK_SERVERS = ("fork1", "fork2")  # the second is a fork of the first, and takes its place when it dies


def fork_servers(end: socket.socket, environment: dict[str, str]) -> list[Program]:
    """What forks the web and the workers that have this environment too."""
    argv = (*PYTHON, "-m", "orchestra.fork_server", str(end.fileno()))
    return [Program(name, argv, environment, descriptors=(end.fileno(),), forked=True) for name in FORK_SERVERS]


def web(number: int, listener: socket.socket, environment: dict[str, str]) -> Program:
    """One web process; all of them answer on the same socket, which is open already."""
    argv = (*PYTHON, "-m", "orchestra.web", str(listener.fileno()))
    return Program(f"web{number}", argv, environment, stop_seconds=2.5, descriptors=(listener.fileno(),), forked=True)


def worker(number: int, environment: dict[str, str]) -> Program:
    """One worker process; Celery brings it the hints, and it executes nodes on threads of its own."""
    argv = (*PYTHON, "-m", "orchestra.worker", f"worker{number}")
    return Program(
        f"worker{number}",
        argv,
        environment,
        stop_seconds=settings.ORCHESTRA_DRAIN_SECONDS + 0.8,
        muted=("worker: Warm shutdown",),
        forked=True,
    )


def answers(url: str) -> bool:
    """Tell whether a web server answers there."""
    try:
        with opener.open(url, timeout=2):
            return True
    except urllib.error.HTTPError as error:
        return error.code < HTTPStatus.INTERNAL_SERVER_ERROR
    except OSError:
        return False

"""How the processes of Orchestra itself are run."""

import socket
import sys
import urllib.error
from http import HTTPStatus

from orchestra import settings
from orchestra.loopback import opener
from orchestra.supervisor import Program


def web(listener: socket.socket, environment: dict[str, str]) -> Program:
    """The web process, which answers on a socket that is open already."""
    argv = (sys.executable, "-m", "orchestra.web", str(listener.fileno()))
    return Program("web", argv, environment, stop_seconds=2.5, descriptors=(listener.fileno(),))


def worker(number: int, environment: dict[str, str]) -> Program:
    """One worker process; Celery brings it the hints, and it executes nodes on threads of its own."""
    quietly = ("-W", "ignore:You're running the worker with superuser")  # root is welcome here
    argv = (sys.executable, *quietly, "-m", "orchestra.worker", f"worker{number}")
    return Program(
        f"worker{number}",
        argv,
        environment,
        stop_seconds=settings.ORCHESTRA_DRAIN_SECONDS + 0.8,
        muted=("worker: Warm shutdown",),
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

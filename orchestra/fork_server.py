"""A process that has imported everything, and forks the web and the workers: `python -m orchestra.fork_server <fd>`.

Importing Django and what stands on it takes seconds of processor time, a fork a few milliseconds; so a worker that was
killed is back at once, and its memory is shared with the others'. The standard library's `multiprocessing.forkserver`
takes its children for dead when it dies itself; ours are handed to the supervisor, which survives this process.

Each request on the socket is the JSON text of a `Request`, and brings descriptors: where to answer with the pid, what
to write to, and those that the program takes over.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys
from dataclasses import asdict, dataclass
from typing import Any

PRELOADED = ("orchestra.web", "orchestra.worker", "orchestra.asgi", "orchestra.urls")
MOST_BYTES, MOST_DESCRIPTORS = 65_536, 8


@dataclass(frozen=True)
class Request:
    """A program to fork: a module with a `main`, its arguments, and the descriptors as they were numbered there."""

    module: str
    arguments: list[str]
    descriptors: list[int]

    def text(self) -> bytes:
        """As it crosses the socket."""
        return json.dumps(asdict(self)).encode()


def main() -> None:
    """Serve until the supervisor is gone; in a forked process, be the program that was asked for."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    _import_everything()
    if program := _serve(requests):
        requests.close()
        importlib.import_module(program.module).main()


def _import_everything() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra.settings")
    import django  # noqa: PLC0415

    django.setup()
    for module in PRELOADED:
        importlib.import_module(module)
    gc.collect()
    _return_free_memory()
    gc.freeze()  # a collection would write to every page that is shared


def _return_free_memory() -> None:
    """Give back what imports took for a moment, 9 MiB: every page that is kept is one that forks come to copy."""
    with contextlib.suppress(AttributeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def _serve(requests: socket.socket) -> Request | None:
    """Fork at each request; gives the request in the forked process, and None in the server when it is over."""
    while True:
        text, descriptors, _flags, _address = socket.recv_fds(requests, MOST_BYTES, MOST_DESCRIPTORS)
        if not text:
            return None
        request = Request(**json.loads(text))
        answer, output, *taken_over = descriptors
        if (pid := os.fork()) == 0:
            _leave_to_the_supervisor(answer)
            _become(request, output, taken_over)
            return request
        os.waitpid(pid, 0)
        for descriptor in descriptors:
            os.close(descriptor)


def _leave_to_the_supervisor(answer: int) -> None:
    """Fork once more and end the process between, so that whoever has this server as a child gets the program too."""
    if pid := os.fork():
        with contextlib.suppress(OSError):
            os.write(answer, str(pid).encode())
        os._exit(0)
    os.close(answer)


def _become(request: Request, output: int, taken_over: list[int]) -> None:
    """Take the place of a process that had been started anew."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    for descriptor in taken_over:
        os.set_inheritable(descriptor, False)
    renumbered: dict[str, Any] = dict(zip(map(str, request.descriptors), map(str, taken_over), strict=True))
    sys.argv = [request.module, *(renumbered.get(argument, argument) for argument in request.arguments)]


if __name__ == "__main__":
    main()

"""A worker process: `python -m orchestra.worker [name]`.

It is what `celery worker` is, without Celery's command line, which imports an interactive shell and takes a fifth of
the time in which a worker starts.
"""

import socket
import sys

from django.conf import settings

from orchestra.celery import app


def main() -> None:
    """Work until asked to stop. Celery brings the hints; the nodes are executed on threads of their own."""
    worker = app.Worker(
        hostname=f"{sys.argv[1] if len(sys.argv) > 1 else 'worker'}@{socket.gethostname()}",
        pool_cls="solo",
        quiet=True,
        loglevel=settings.LOG_LEVEL,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    sys.exit(worker.exitcode)


if __name__ == "__main__":
    main()

"""The web process on a socket that `up` has opened: `python -m orchestra.web <file descriptor>`.

The port is taken before anything else starts, nobody else can take it while the web is being imported, and requests
that come while it is started again wait instead of being refused.
"""

import socket
import sys

import uvicorn


def main() -> None:
    """Serve until asked to stop."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    config = uvicorn.Config(
        "orchestra.asgi:application",
        lifespan="off",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # ORCHESTRA_TRUSTED_PROXIES says whom to believe
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()

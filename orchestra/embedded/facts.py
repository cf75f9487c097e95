"""What is remembered between starts in services.json: ports, passwords, addresses."""

import contextlib
import json
import socket
import zlib
from pathlib import Path

from orchestra.embedded.errors import EmbeddedError
from orchestra.supervisor import write_private

PORTS = 4000


def first_port(home: Path, lowest: int) -> int:
    """Give the port to try first: another one for every home, so that two that start at once do not meet."""
    return lowest + zlib.crc32(str(home).encode()) % PORTS


def listen(wanted: int) -> socket.socket:
    """Listen on `wanted`, or on the next port that is free."""
    for port in range(wanted, min(wanted + 200, 65536)):
        # macOS lets us bind beside a program that listens on all addresses; asking for an answer finds that one.
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                continue
        with contextlib.suppress(OSError):
            return socket.create_server(("127.0.0.1", port), backlog=2048)
    raise EmbeddedError(f"No free port from {wanted} to {wanted + 199} on 127.0.0.1.")


def free_port(wanted: int) -> int:
    """Give `wanted` if nothing listens there, or the next port that is free."""
    with listen(wanted) as listener:
        return int(listener.getsockname()[1])


def remembered(home: Path) -> dict[str, str]:
    try:
        return dict(json.loads((home / "services.json").read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def remember(home: Path, **facts: str) -> None:
    write_private(home / "services.json", json.dumps(remembered(home) | facts, indent=2))

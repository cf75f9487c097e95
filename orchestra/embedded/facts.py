"""What is remembered between starts in services.json: ports, passwords, addresses."""

import contextlib
import json
import socket
from pathlib import Path

from orchestra.embedded.errors import EmbeddedError
from orchestra.supervisor import write_private


def free_port(wanted: int) -> int:
    """Give `wanted` if nothing listens there, or the next port that is free."""
    for port in range(wanted, min(wanted + 200, 65536)):
        if _is_free(port):
            return port
    raise EmbeddedError(f"No free port from {wanted} to {wanted + 199} on 127.0.0.1.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # macOS lets us bind beside a program that listens on all addresses; asking for an answer finds that one.
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def remembered(home: Path) -> dict[str, str]:
    try:
        return dict(json.loads((home / "services.json").read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def remember(home: Path, **facts: str) -> None:
    write_private(home / "services.json", json.dumps(remembered(home) | facts, indent=2))

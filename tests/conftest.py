"""A real PostgreSQL and a real Valkey for every test that asks for the database.

They are the embedded ones, unless DATABASE_URL and REDIS_URL name others.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.conf import settings

from apps.common.static_files import StaticFiles
from apps.workflows.store.database import close_pools
from orchestra import embedded
from orchestra.connect import point_django_at
from orchestra.settings import BASE_DIR
from orchestra.supervisor import Program

pytest_plugins = ["tests.emptying", "tests.fixtures", "tests.sharing"]

HOMES = BASE_DIR / ".orchestra" / "tests"
# A test database may be lost, and must be quick.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def pytest_configure(config: pytest.Config) -> None:
    """Hash passwords at once: a real hash takes most of a second by design."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.STATIC_ROOT = HOMES / "no-static"  # what `bin/up` collected may be older than the sources
    _look_for_static_files_once()
    if not hasattr(config, "workerinput"):  # once, before several processes start
        _remove_left_behind()


def _look_for_static_files_once() -> None:
    """Every client of a test has the middleware made anew, which looks at each of some two hundred files."""
    found: dict[str, Any] = {}
    look = StaticFiles.add_files_from_finders

    def add(middleware: StaticFiles) -> None:
        if not found:
            collected, middleware.files = middleware.files, found
            look(middleware)
            middleware.files = collected
        middleware.files.update(found)

    StaticFiles.add_files_from_finders = add


def _remove_left_behind() -> None:
    """Delete what test processes left that were killed."""
    HOMES.mkdir(parents=True, exist_ok=True)
    for home in HOMES.iterdir():
        if not psutil.pid_exists(int(home.name)):
            _remove(home)


@pytest.fixture(scope="session")
def services_home() -> Iterator[Path]:
    """A directory for the embedded services of this test process, named by its pid."""
    home = HOMES / str(os.getpid())
    home.mkdir()
    yield home
    _remove(home)


def _remove(home: Path) -> None:
    """Delete the home of a test process, and end what runs in it when that process was killed."""
    places = {str((home / name).resolve()) for name in ("postgres", "valkey")}
    for process in psutil.process_iter(["cmdline"]):
        if any(argument.startswith(tuple(places)) for argument in process.info["cmdline"] or ()):
            process.kill()
    embedded.remove_state(home)
    shutil.rmtree(home)


def _run(stack: ExitStack, program: Program, log: Path) -> None:
    process = program.popen(stack.enter_context(log.open("wb")))
    stack.callback(process.wait)
    stack.callback(process.send_signal, program.hurry_signal)


@pytest.fixture(scope="session")
def database_url(services_home: Path) -> Iterator[str]:
    """The address of a PostgreSQL whose role may create databases."""
    with ExitStack() as stack:
        if "DATABASE_URL" in os.environ:
            yield os.environ["DATABASE_URL"]
            return
        server = embedded.prepare_postgres(services_home, *FAST)
        _run(stack, server.program, services_home / "postgres.log")
        server.wait_ready()
        server.provision(createdb=True)
        yield server.url


@pytest.fixture(scope="session")
def redis_url(services_home: Path) -> Iterator[str]:
    """The address of a Valkey."""
    with ExitStack() as stack:
        if "REDIS_URL" in os.environ:
            yield os.environ["REDIS_URL"]
            return
        server = embedded.prepare_valkey(services_home)
        _run(stack, server.program, services_home / "valkey.log")
        server.wait_ready()
        yield server.url


@pytest.fixture(scope="session")
def django_db_modify_db_settings(database_url: str, redis_url: str) -> None:
    """Point Django at the services of this test process, before pytest-django creates its database."""
    point_django_at(database_url, redis_url)
    # A test is one transaction, and thinks for as long as a busy machine makes it.
    options = settings.DATABASES["default"]["OPTIONS"]
    options["options"] += " -c idle_in_transaction_session_timeout=180s"


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """The databases of the tests; at the end nothing holds a connection to them, so that they can be dropped."""
    yield
    close_pools()

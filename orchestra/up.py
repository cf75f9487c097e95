"""`bin/up`: everything in one terminal.

1. Take the lock of ORCHESTRA_HOME: a second `up` says where the first one is and ends.
2. End what a killed `up` left running.
3. Start PostgreSQL and Valkey, unless DATABASE_URL and REDIS_URL name others.
4. Migrate; collect static files; create the first organization, its owner and a key.
5. Start web and workers; when nothing has changed since the last start, side by side with 3 and without 4.
6. Say where everything is, and keep it running until Ctrl-C.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import os
import signal
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from apps.accounts.one_time_links import make_link
from orchestra import demo, embedded, settings
from orchestra.access import Access, read_access, write_access
from orchestra.kept import Kept
from orchestra.programs import answers, fork_servers, web, worker
from orchestra.supervisor import Supervisor, Terminal, stop_left_behind
from orchestra.welcome import has_model, welcome

FIRST_WORD_SECONDS, SILENCE_SECONDS = 1.0, 2.0
WEB_READY_SECONDS = 120.0
STOP_SIGNALS = {"postgres": signal.SIGINT}


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    port: int
    workers: int
    demo: bool
    open_browser: bool
    reset: bool
    yes: bool

    @classmethod
    def chosen(cls, options: Mapping[str, Any]) -> "Options":
        """Take the options of `add_options` from what argparse found."""
        return cls(**{name: options[name] for name in cls.__dataclass_fields__})


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `up` to a parser."""
    parser.add_argument("--port", type=int, default=settings.ORCHESTRA_PORT, help="where the web listens (8000)")
    parser.add_argument("--workers", type=int, default=settings.ORCHESTRA_WORKERS, help="worker processes (1)")
    parser.add_argument("--no-demo", dest="demo", action="store_false", help="load no demo workflows")
    parser.add_argument("--open", dest="open_browser", action="store_true", help="open the browser when ready")
    parser.add_argument("--reset", action="store_true", help="delete the embedded database and start anew")
    parser.add_argument("--yes", action="store_true", help="do not ask before --reset")


class Stopped(BaseException):
    """Ctrl-C or SIGTERM, wherever the main thread is."""


class Up:
    """One running `up`.

    On two cores most of a start is the time that web and worker take to import Django. So this process imports it only
    when something has changed since the last start.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.home = settings.ORCHESTRA_HOME
        self.terminal = Terminal()
        self.supervisor = Supervisor(self.home / "processes.json", self.terminal)
        self.started = float(os.environ.get("ORCHESTRA_STARTED", time.time()))
        self.servers: list[embedded.Postgres | embedded.Valkey] = []
        self.database_url = os.environ.get("DATABASE_URL", "")
        self.redis_url = os.environ.get("REDIS_URL", "")
        self.url = self.local_url = ""

    def run(self) -> int:
        """Start everything, keep it running, and stop it when asked; give the exit code."""
        with lock(self.home / "up.lock") as first:
            if not first:
                return self.point_to_the_first()
            if self.options.reset and not self.may_reset():
                return 2
            on_stop_signals(_stop)
            try:
                self.start()
                self.wait()
            except Stopped:
                return 0
            finally:
                on_stop_signals(signal.SIG_IGN)
                self.stop()
        return 0

    def point_to_the_first(self) -> int:
        """Tell where the Orchestra is that runs already."""
        known = read_access(self.home)
        where = f" at {self.sign_in_link(known)}" if known else ""
        self.terminal.line(f"Orchestra runs already{where} (state in {self.home}). Stop it there with Ctrl-C.")
        return 0

    def may_reset(self) -> bool:
        """Ask the person whether everything may be deleted."""
        self.terminal.line(f"--reset deletes the embedded database and everything in it: {self.home}")
        if self.options.yes:
            return True
        if not sys.stdin.isatty():
            self.terminal.line("Nobody is here to ask: add --yes to go on.")
            return False
        return input("Type 'yes' to go on: ") == "yes"

    def start(self) -> None:
        """Bring up one part after the other, and side by side what does not need the other."""
        self.clean_up()
        self.take_port()
        self.start_services()
        kept = Kept(self.home, self.database_url, demo=self.options.demo)
        if kept.same_code:
            self.start_processes()
        access = self.prepare(kept)
        if not kept.same_code:
            self.start_processes()
        self.wait_for_web()
        if self.options.demo and demo.is_first(self.database_url, access.organization):
            self.run_demo(access)
        self.show(access)

    # The phases

    def clean_up(self) -> None:
        """End what a killed `up` left running; delete the state when that is asked for."""
        left = stop_left_behind(self.home / "processes.json", STOP_SIGNALS)
        if left:
            self.say("cleanup", f"ended what an earlier start left running: {', '.join(left)}")
        if self.options.reset:
            embedded.remove_state(self.home)
            for name in ("access.json", "prepared"):
                (self.home / name).unlink(missing_ok=True)
            self.say("reset", "deleted the embedded database")

    def start_services(self) -> None:
        """Start the embedded PostgreSQL and Valkey where no other is named."""
        with self.phase("database", "preparing PostgreSQL and Valkey") as report:
            if not self.database_url:
                postgres = embedded.prepare_postgres(self.home)
                self.database_url = postgres.url
                self.servers.append(postgres)
            if not self.redis_url:
                valkey = embedded.prepare_valkey(self.home)
                self.redis_url = valkey.url
                self.servers.append(valkey)
            self.supervisor.start(*(server.program for server in self.servers))
            names = [f"{server.program.name} on port {server.port}" for server in self.servers]
            report.text = " and ".join(names) or "DATABASE_URL and REDIS_URL"

    def prepare(self, kept: Kept) -> Access:
        """Migrate, and create or renew what a person and a script sign in with."""
        with self.phase("prepare", "waiting for the database") as report:
            for server in self.servers:
                server.wait_ready()
            known = kept.access()
            if known:
                report.text = "nothing has changed since the last start"
                access = write_access(self.home, dataclasses.replace(known, url=self.url))
            else:
                access = self.prepare_with_django(report)
                kept.remember(access)
        return access

    def prepare_with_django(self, report: "Report") -> Access:
        """Do what needs Django, whose import takes seconds."""
        for server in self.servers:
            if isinstance(server, embedded.Postgres):
                server.provision()
        report.text = "loading the migrations"
        prepare = with_django()
        prepare.point_django_at(self.database_url, self.redis_url)
        count = prepare.pending_migrations()
        report.text = f"applying {count} migrations"
        prepare.migrate()
        report.text = "collecting what browsers load"
        prepare.collect_static_files()
        report.text = "preparing organization and key"
        own_database = any(isinstance(server, embedded.Postgres) for server in self.servers)
        access: Access = prepare.renew_access(self.home, self.url, own_database=own_database)
        if self.options.demo:
            report.text = "loading the demo workflows"
            prepare.load_demo_workflows(access.organization)
        report.text = f"{count} migrations applied; organization {access.organization}, owner and key are ready"
        return access

    def take_port(self) -> None:
        """Listen where that was asked for, or on the next port that is free."""
        self.listener = embedded.listen(self.options.port)
        port = self.listener.getsockname()[1]
        if port != self.options.port:
            self.say("web", f"port {self.options.port} is busy: taking {port}")
        self.local_url = f"http://127.0.0.1:{port}"
        self.url = os.environ.get("ORCHESTRA_BASE_URL", self.local_url).rstrip("/")

    def start_processes(self) -> None:
        """Start the web and the workers; they come up while the rest is prepared."""
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "orchestra.settings",
            "ORCHESTRA_HOME": str(self.home),
            "ORCHESTRA_PORT": self.local_url.rpartition(":")[2],
            "LOG_FORMAT": os.environ.get("LOG_FORMAT", "console"),
            "PYTHONUNBUFFERED": "1",
        }
        self.supervisor.start_fork_servers(partial(fork_servers, environment=environment))
        webs = [web(number, self.listener, environment) for number in range(1, settings.ORCHESTRA_WEB_PROCESSES + 1)]
        workers = [worker(number, environment) for number in range(1, self.options.workers + 1)]
        self.supervisor.start(*webs, *workers)

    def wait_for_web(self) -> None:
        """Return when the web answers and everything else has been started too."""
        with self.phase("web", "waiting for the web") as report:
            deadline = time.monotonic() + WEB_READY_SECONDS
            while not (answers(f"{self.local_url}/health") and self.supervisor.all_started):
                if time.monotonic() > deadline:
                    raise embedded.EmbeddedError("Not everything has come up; what it printed above says why.")
                time.sleep(0.1)
            report.text = f"answers at {self.url}"

    def run_demo(self, access: Access) -> None:
        """Run a demo workflow and print what came of it; a failure of it is no reason not to be ready."""
        with self.phase("demo", "running the first workflow") as report:
            try:
                with demo.uncounted(self.database_url, access):
                    report.text, *report.lines = demo.report(demo.run(dataclasses.replace(access, url=self.local_url)))
            except OSError as error:
                report.text = f"the first workflow could not be run: {error}"

    def show(self, access: Access) -> None:
        """Print where everything is and lines to paste."""
        link = self.sign_in_link(access)
        for line in welcome(access, link, has_model=has_model(self.database_url, access.organization)):
            self.terminal.line(line)
        if self.options.open_browser:
            webbrowser.open(link)

    def sign_in_link(self, access: Access) -> str:
        """Give a link that signs the owner in, once; elsewhere than on this machine it would not."""
        if not access.url.startswith(("http://127.0.0.1:", "http://localhost:")):
            return access.url
        return f"{access.url}/?t={make_link(self.home, access.username)}"

    def wait(self) -> None:
        """Stay until somebody stops us; the children restart by themselves."""
        while True:
            signal.pause()

    def stop(self) -> None:
        """Stop what serves people first and the database last."""
        began = time.monotonic()
        self.say("stop", "stopping")
        services = {"postgres", "valkey"} & self.supervisor.children.keys()
        self.supervisor.stop(self.supervisor.children.keys() - services)
        self.supervisor.stop(services)
        self.say("stop", f"stopped in {time.monotonic() - began:.1f} s; the state is kept in {self.home}")

    # What it says

    def say(self, phase: str, text: str) -> None:
        """Write one line of progress with the seconds since `bin/up` began."""
        self.terminal.line(f"{time.time() - self.started:4.0f} s  {phase:<9} {text}")

    @contextlib.contextmanager
    def phase(self, name: str, text: str) -> Iterator["Report"]:
        """Say what a phase came to when it ends, and that it still runs when it takes long."""
        report = Report(text)
        done = threading.Event()
        began = time.monotonic()

        def keep_talking() -> None:
            pause = FIRST_WORD_SECONDS
            while not done.wait(pause):
                self.say(name, f"{report.text} ...")
                pause = SILENCE_SECONDS

        threading.Thread(target=keep_talking, daemon=True).start()
        try:
            yield report
        finally:
            done.set()
        self.say(name, f"{report.text} ({time.monotonic() - began:.1f} s)")
        for line in report.lines:
            self.say(name, line)


@dataclass
class Report:
    """What a phase has to say, in one line, and what stands below it."""

    text: str
    lines: list[str] = field(default_factory=list)


def with_django() -> ModuleType:
    """Set Django up, which takes seconds, and give what needs it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestra.settings")
    import django  # noqa: PLC0415

    django.setup()
    from orchestra import prepare  # noqa: PLC0415

    return prepare


@contextlib.contextmanager
def lock(path: Path) -> Iterator[bool]:
    """Hold a lock that dies with this process; tell whether nobody else has it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def on_stop_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    """Handle everything that asks us to stop in one way; SIGHUP is the closed terminal, unless `nohup` ignores it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _stop(_number: int, _frame: FrameType | None) -> None:
    on_stop_signals(signal.SIG_IGN)  # once is enough: the stop itself must not be cut short
    raise Stopped


def main() -> int:
    """Run `up` from `bin/up`."""
    parser = argparse.ArgumentParser(
        prog="bin/up", description="Run everything in this terminal. Ctrl-C stops it and keeps the state."
    )
    add_options(parser)
    try:
        return Up(Options.chosen(vars(parser.parse_args()))).run()
    except embedded.EmbeddedError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main())

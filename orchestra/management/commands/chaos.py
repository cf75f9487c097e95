import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings

from apps.common.commands import Exit, OrchestraCommand

DEFAULTS: dict[str, Any] = {
    "runs": 200,
    "kills": 50,
    "every": 1.0,
    "seconds": 60.0,
    "workers": 3,
    "seed": 1,
    "lease": 10.0,
    "rate": 20.0,
}


class Command(OrchestraCommand):
    help = "Starts an Orchestra of its own, breaks it under load, and says whether anything was lost or done twice."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the arguments."""
        super().add_arguments(parser)  # type: ignore[arg-type]
        parser.add_argument(
            "--scenario", default="mixed", metavar="NAME", help="what is broken; --list tells the names"
        )
        parser.add_argument("--runs", type=int, help="how many runs are submitted")
        parser.add_argument("--kills", type=int, help="how many faults (zombies: nodes to be overtaken)")
        parser.add_argument("--every", type=float, metavar="SECONDS", help="one fault in so many seconds")
        parser.add_argument("--seconds", type=float, help="how long it lasts, where no number of faults says so")
        parser.add_argument("--workers", type=int, help="worker processes (3)")
        parser.add_argument(
            "--lease", type=float, metavar="SECONDS", help="after which a silent worker counts as frozen"
        )
        parser.add_argument("--rate", type=float, help="runs submitted in a second, where Redis is broken (20)")
        parser.add_argument("--seed", type=int, help="the same seed, the same plan (1)")
        parser.add_argument("--list", action="store_true", help="only list the scenarios")
        parser.add_argument("--last", action="store_true", help="only show what the last session came to")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Play a scenario, and end with an error when it came to one."""
        self.json = options["json"]
        if options["list"]:
            self._list()
        elif options["last"]:
            self._show_last()
        else:
            self._play(options)

    def _list(self) -> None:
        from orchestra.chaos.scenarios import SCENARIOS

        self.table([{"name": name, "what": one.help} for name, one in SCENARIOS.items()], ["name", "what"])

    def _show_last(self) -> None:
        from orchestra.chaos.report import last

        report = last(settings.ORCHESTRA_HOME)
        if report is None:
            self.fail("There was no session of chaos yet: bin/manage chaos makes one.", Exit.NOT_FOUND)
        self._show(report)

    def _play(self, given: dict[str, Any]) -> None:
        from orchestra.chaos import report, session
        from orchestra.chaos.scenarios import SCENARIOS
        from orchestra.chaos.stage import Options
        from orchestra.up import on_stop_signals

        name = given["scenario"]
        if name not in SCENARIOS:
            self.fail(f"There is no scenario '{name}'; choose from {', '.join(SCENARIOS)}.", Exit.USAGE)
        chosen = {option: value for option, value in given.items() if option in DEFAULTS and value is not None}
        options = Options(**({**DEFAULTS, **SCENARIOS[name].defaults, **chosen}), scenario=name)
        began = time.monotonic()
        on_stop_signals(_interrupt)
        came_to = session.play(
            options, settings.ORCHESTRA_HOME, lambda text: self.note(f"{time.monotonic() - began:6.1f} s  {text}")
        )
        path = report.keep(came_to, settings.ORCHESTRA_HOME)
        self._show(came_to)
        self.note(f"kept in {path}")
        if not came_to.ok:
            raise SystemExit(Exit.FAILED)

    def _show(self, report: Any) -> None:
        from dataclasses import asdict

        from orchestra.chaos.report import told

        if self.json:
            self.print_json(asdict(report))
        else:
            for line in told(report):
                self.line(line)


def _interrupt(*_: Any) -> None:
    """Take everything down in order, once: a second Ctrl-C must not leave half of it running."""
    import signal

    from orchestra.up import on_stop_signals

    on_stop_signals(signal.SIG_IGN)
    raise KeyboardInterrupt

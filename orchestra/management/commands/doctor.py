import os
import time
from typing import Any

from django.core.management.base import CommandParser

import orchestra
from apps.common.commands import Exit, OrchestraCommand
from orchestra.doctor import CHECKS, Finding, Status, examine


class Command(OrchestraCommand):
    help = "Looks at everything Orchestra needs, and says how to mend what is wrong."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--only", metavar="NAMES", help=f"some of: {', '.join(CHECKS)} (with commas between)")

    def handle(self, *_args: Any, **options: Any) -> None:
        self.json = options["json"]
        began = time.monotonic()
        findings = examine(self.chosen(options["only"]))
        self.show(findings, time.monotonic() - began)
        if any(finding.status is Status.FAIL for finding in findings):
            raise SystemExit(Exit.FAILED)

    def chosen(self, only: str | None) -> list[str]:
        """Give the names of the checks to make."""
        if only is None:
            return list(CHECKS)
        names = [name.strip() for name in only.split(",") if name.strip()]
        unknown = [name for name in names if name not in CHECKS]
        if unknown or not names:
            self.fail(f"There is no check '{', '.join(unknown)}'; choose from {', '.join(CHECKS)}.", Exit.USAGE)
        return names

    def show(self, findings: list[Finding], seconds: float) -> None:
        """Print the findings and what they come to."""
        failures = sum(finding.status is Status.FAIL for finding in findings)
        warnings = sum(finding.status is Status.WARN for finding in findings)
        profile = "your own database" if os.environ.get("DATABASE_URL") else "embedded database"
        if self.json:
            self.print_json(
                {
                    "version": orchestra.__version__,
                    "ok": not failures,
                    "took_ms": round(seconds * 1000),
                    "checks": [
                        {"name": found.check, "status": found.status.lower(), "text": found.text, "fix": found.fix}
                        for found in findings
                    ],
                }
            )
            return
        self.line(f"Orchestra {orchestra.__version__}  {profile}  (took {seconds:.1f} s)")
        for finding in findings:
            self.line(f" {finding.status:<5} {finding.check:<10} {finding.text}")
            if finding.fix:
                self.line(f"       fix: {finding.fix}")
        self.line(f"{counted(failures, 'failure')}, {counted(warnings, 'warning')}.")


def counted(number: int, noun: str) -> str:
    """Give a number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"

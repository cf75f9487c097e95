import argparse
import re
from datetime import timedelta
from typing import Any

from apps.common.clock import now
from apps.common.commands import OrchestraCommand, argument, subcommand
from apps.common.money import cost_text
from apps.observability.selectors import usage
from apps.observability.selectors.usage import Sums
from apps.observability.serializers.usage import group_json, sums_json

FIGURES = ("cost", "calls", "in", "out", "failed", "lost")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _time(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,4})([mhdw])", text)
    if found is None:
        raise argparse.ArgumentTypeError("a time is a number and m, h, d or w, such as 7d")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


class Command(OrchestraCommand):
    help = "Tells what language models have cost."

    @subcommand(
        argument("--by", choices=list(usage.GROUPS), default="model", help="what the calls are put together by"),
        argument("--since", type=_time, default=timedelta(days=7), metavar="TIME", help="such as 24h, 7d, 4w"),
        argument("--limit", type=int, default=50, metavar="N"),
    )
    def report(self, by: str, since: timedelta, limit: int) -> None:
        """Sum up cost and tokens, the dearest first."""
        found = usage.calls(since=now() - since)
        groups, total = usage.sums_by(found, by, max(1, limit)), usage.sums(found)
        if self.json:
            self.print_json({"items": [group_json(*one) for one in groups], "total": sums_json(total)})
            return
        rows = [_row(name or "-", sums) for name, sums in groups]
        self.table([*rows, _row("total", total)], {"group": by} | {name: name for name in FIGURES})
        if total.unpriced:
            self.note(f"Of {total.unpriced} calls nobody knows the price; it is missing in the sums.")


def _row(group: str, sums: Sums) -> dict[str, Any]:
    return {
        "group": group,
        "cost": cost_text(sums.cost_micro_usd, sums.unpriced),
        "calls": f"{sums.calls:,}",
        "in": f"{sums.input_tokens:,}",
        "out": f"{sums.output_tokens:,}",
        "failed": sums.failed,
        "lost": sums.lost,
    }

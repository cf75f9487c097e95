from typing import Any

from apps.common.commands import Exit, OrchestraCommand, subcommand
from apps.integrations.services import secrets


class Command(OrchestraCommand):
    help = "Looks after the keys that secrets are sealed with."

    @subcommand(organization=False)
    def status(self) -> None:
        """Tell how many organizations' keys each master key wraps."""
        shown = secrets.masters()
        self.table(map(_row, shown), ["master", "place", "organizations"])
        if any(place is None for _, place, _ in shown):
            self.fail("A master key that wraps secrets is not among ORCHESTRA_MASTER_KEYS.", Exit.CONFLICT)

    @subcommand(organization=False)
    def rotate(self) -> None:
        """Wrap every organization's key with the newest master key; the secrets stay as they are."""
        count = secrets.rotate()
        self.show_value({"wrapped_anew": count})
        self.next_step("bin/manage vault status    (what no key is wrapped with any more may go)")


def _row(shown: tuple[str, int | None, int]) -> dict[str, Any]:
    master, place, organizations = shown
    words = "missing" if place is None else "newest" if place == 0 else f"older ({place})"
    return {"master": master, "place": words, "organizations": organizations}

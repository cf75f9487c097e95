from collections.abc import Mapping
from typing import Any

from apps.common.commands import OrchestraCommand, actor, argument, subcommand
from apps.common.ids import short_id
from apps.workflows import selectors
from apps.workflows.management.options import INPUT, given_input
from apps.workflows.models import Schedule

Options = Mapping[str, Any]
SCHEDULE = argument("schedule", metavar="SCHEDULE", help="its name, its id, or a unique ending of that")
ZONE = argument("--timezone", default="UTC", metavar="ZONE", help="an IANA name such as Europe/Berlin (UTC)")
COUNT = argument("--count", type=int, default=5, metavar="N", help="so many (5)")


class Command(OrchestraCommand):
    help = "Adds, shows, pauses and fires schedules: workflows that run by the clock."

    @subcommand(argument("--paused", action="store_true", help="only those that are paused"))
    def list_(self, paused: bool) -> None:
        """List the schedules, the newest first."""
        from apps.workflows.serializers.schedules import schedule_view

        found = selectors.schedules().order_by("-created_at", "-id")
        rows = [schedule_view(row) for row in (found.filter(enabled=False) if paused else found)]
        shown = [row if self.json else row | {"next": row["next_fire_at"] or _why(row)} for row in rows]
        self.table(shown, ["name", "workflow", "cron", "timezone", "next"])
        if not rows:
            self.next_step('bin/manage schedules add NAME WORKFLOW --cron "0 6 * * *"')

    @subcommand(
        argument("name", metavar="NAME", help="what it is called"),
        argument("workflow", metavar="WORKFLOW", help="name or id of a saved workflow"),
        argument("--cron", required=True, metavar="CRON", help='when: "30 6 * * mon-fri", or @daily'),
        ZONE,
        argument("--version", type=int, metavar="N", help="always this version (the published one)"),
        argument("--catch-up", default="last", choices=Schedule.CatchUp.values, help="which missed times run (last)"),
        argument(
            "--overlap", default="skip", choices=Schedule.Overlap.values, help="while the run before goes on (skip)"
        ),
        argument("--paused", action="store_true", help="do not fire yet"),
        *INPUT,
    )
    def add(self, options: Options) -> None:
        """Add a schedule; it fires from now on."""
        from apps.workflows.services.schedules import Plan, add_schedule

        names = ("cron", "timezone", "version", "catch_up", "overlap")
        given = given_input(options["input"], options["input_file"])
        schedule = add_schedule(
            organization=self.organization,
            workflow=selectors.find_workflow(options["workflow"]),
            name=options["name"],
            plan=Plan(input=given, **{name: options[name] for name in names}),
            by=actor(),
            enabled=not options["paused"],
        )
        self._show(schedule)

    @subcommand(SCHEDULE)
    def show(self, schedule: str) -> None:
        """Show a schedule and its next times."""
        self._show(selectors.find_schedule(schedule))

    @subcommand(SCHEDULE, argument("--limit", type=int, default=50, metavar="N", help="the newest so many (50)"))
    def fires(self, schedule: str, limit: int) -> None:
        """List the times that have come and what came of each, the newest first."""
        from apps.workflows.serializers.schedules import fire_view

        found = selectors.fires(selectors.find_schedule(schedule)).order_by("-scheduled_for", "-id")
        rows = [fire_view(row) for row in found[: max(0, limit)]]
        self.table(rows, ["scheduled_for", "outcome", "run", "reason"])

    @subcommand(SCHEDULE)
    def pause(self, schedule: str) -> None:
        """Fire no more until it is resumed; what runs goes on."""
        from apps.workflows.services.schedules import pause_schedule

        self._show(pause_schedule(selectors.find_schedule(schedule)))

    @subcommand(SCHEDULE)
    def resume(self, schedule: str) -> None:
        """Fire again, from the next time on."""
        from apps.workflows.services.schedules import resume_schedule

        self._show(resume_schedule(selectors.find_schedule(schedule)))

    @subcommand(SCHEDULE)
    def fire(self, schedule: str) -> None:
        """Start a run now, whatever its policies say."""
        from apps.workflows.services.firing import fire_now

        run = fire_now(selectors.find_schedule(schedule).pk, by=actor())
        self.show_value({"run": str(run)})
        self.next_step(f"bin/manage runs watch {short_id(run)}")

    @subcommand(SCHEDULE)
    def delete(self, schedule: str) -> None:
        """Delete a schedule and the record of its times; its runs stay."""
        from apps.workflows.services.schedules import delete_schedule

        found = selectors.find_schedule(schedule)
        self.confirm(f"Delete the schedule '{found.name}'?")
        delete_schedule(found)
        self.note(f"'{found.name}' is deleted.")

    @subcommand(argument("cron", metavar="CRON", help='such as "30 6 * * mon-fri"'), ZONE, COUNT, organization=False)
    def next(self, cron: str, timezone: str, count: int) -> None:
        """Tell when a cron expression would fire."""
        from apps.workflows.services.schedules import next_times

        times = next_times(cron, timezone, min(max(1, count), 1000))
        self.table([{"at": moment.isoformat()} for moment in times], ["at"])

    def _show(self, schedule: Schedule) -> None:
        from apps.workflows.serializers.schedules import schedule_detail

        view = schedule_detail(schedule)
        self.show_value(view if self.json else {name: value for name, value in view.items() if value not in (None, "")})


def _why(row: Mapping[str, Any]) -> str:
    return f"paused: {row['paused_reason']}" if row["paused_reason"] else "paused"

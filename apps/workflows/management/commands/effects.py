from collections.abc import Mapping
from typing import Any

from apps.common.commands import OrchestraCommand, actor, argument, subcommand
from apps.common.documents import read_document
from apps.common.errors import BadRequest
from apps.common.ids import short_id
from apps.workflows import selectors
from apps.workflows.management.options import shortened
from apps.workflows.models import Effect

Options = Mapping[str, Any]
EFFECT = argument("effect", metavar="EFFECT", help="its id, or a unique ending of it")


class Command(OrchestraCommand):
    help = "Shows what runs have sent into the world, and decides what nobody knows about it."

    @subcommand(
        argument("run", nargs="?", metavar="RUN", help="only of this run"),
        argument("--state", action="append", choices=Effect.State.values, help="effects in this state; again"),
        argument("--tool", metavar="NAME", help="only calls of this tool"),
        argument("--would-repeat", choices=["retry", "fork"], help="only what a retry or a fork would send again"),
        argument("--from", dest="from_node", metavar="NODE", help="where the fork would begin"),
        argument("--limit", type=int, default=50, metavar="N", help="the newest so many (50)"),
    )
    def list_(self, limit: int, options: Options) -> None:
        """List outgoing calls, the newest first; without a run or a state those that wait for a decision."""
        found = _repeated(options) if options["would_repeat"] else _found(options)
        if options["tool"]:
            found = found.filter(tool=options["tool"])
        rows = list(found.order_by("-created_at", "-id")[: max(0, limit)])
        self.table(map(self._row, rows), ["id", "state", "node", "tool", "arguments"])
        if unknown := next((row for row in rows if row.known == Effect.State.UNKNOWN), None):
            self.next_step(f"bin/manage effects show {short_id(unknown.pk)}")

    @subcommand(EFFECT)
    def show(self, effect: str) -> None:
        """Show a call: what was sent, what is known of it, and who decided."""
        view = _detail(selectors.find_effect(effect))
        self.show_value(view if self.json else {name: value for name, value in view.items() if value not in (None, "")})
        if view["state"] == Effect.State.UNKNOWN:
            self.next_step(f"bin/manage effects decide {effect} happened    (or retry, or fail)")

    @subcommand(
        EFFECT,
        argument("decision", choices=["happened", "retry", "fail"], help="it happened; send it again; give up"),
        argument("--result", metavar="JSON", help="what the call gave, with `happened`: JSON, @FILE, or -"),
        argument("--comment", default="", metavar="TEXT", help="kept with the decision"),
    )
    def decide(self, effect: str, decision: str, result: str | None, comment: str) -> None:
        """Say what became of an unknown call; the run that failed for it goes on."""
        from apps.workflows.services.unknown_effects import decide_effect

        found = selectors.find_effect(effect)
        given = None if result is None else read_document(result)
        decide_effect(found, decision=decision, by=actor(), result=given, comment=comment)
        view = _detail(selectors.find_effect(str(found.pk)))
        self.show_value(
            view if self.json else {name: view[name] for name in ("id", "state", "decision", "run", "node")}
        )
        self.next_step(f"bin/manage runs watch {short_id(found.run_id)}")

    def _row(self, effect: Effect) -> dict[str, Any]:
        from apps.workflows.serializers.effects import effect_view

        view = effect_view(effect)
        if self.json:
            return view
        arguments = shortened(view["arguments_preview"] or "", 30)  # 80 columns in all
        return {**view, "tool": view["tool"] or "(the node)", "arguments": arguments}


def _found(options: Options) -> Any:
    run = selectors.find_run(options["run"]) if options["run"] else None
    states = options["state"] or ([] if run else [Effect.State.UNKNOWN])
    found = selectors.effects(run)
    return selectors.effects_known_as(found, states) if states else found


def _repeated(options: Options) -> Any:
    from apps.workflows.services.repeated_effects import repeated_by_fork, repeated_by_retry

    if not options["run"]:
        raise BadRequest("Name the run: effects list RUN --would-repeat retry.")
    run = selectors.find_run(options["run"])
    if options["would_repeat"] == "retry":
        return repeated_by_retry(run)
    if not options["from_node"]:
        raise BadRequest("Say where the fork would begin: --from NODE.")
    return repeated_by_fork(run, options["from_node"], None)


def _detail(effect: Effect) -> dict[str, Any]:
    from apps.workflows.serializers.effects import effect_detail

    return effect_detail(effect)

"""Deciding what became of an effect that nobody knows about."""

from collections.abc import Collection
from uuid import UUID

from apps.common.errors import Conflict, ErrorItem, Fatal, Invalid, NotFound
from apps.common.json import JSON, NotJson
from apps.integrations import registry
from apps.workflows.engine.marking import Marking
from apps.workflows.engine.states import RunStatus
from apps.workflows.models import Effect, NodeRun, Run
from apps.workflows.services.acting import act_on_run
from apps.workflows.services.transition import again
from apps.workflows.services.transition.transition import Transition
from apps.workflows.store import effects
from apps.workflows.store.values import Packer

DECISIONS = {"happened": Effect.State.CONFIRMED, "retry": Effect.State.PLANNED, "fail": Effect.State.FAILED}
_STOPPED = (RunStatus.FAILED, RunStatus.CANCELLED)


def decide_effect(effect: Effect, *, decision: str, by: str, result: JSON = None, comment: str = "") -> None:
    """Records what a person says became of an unknown effect, and sends on the run that failed for it.

    - `happened`: the run goes on as if the call had given `result`.
    - `retry`: it did not happen; it is sent again, with the same key.
    - `fail`: the run stays as it is.

    A run goes on when the last effect it stopped for is decided. Raises Invalid for a result that the tool cannot
    give, and Conflict when the effect is not unknown (any more), or cannot be tried again because its run has gone
    another way.
    """
    run = effect.run
    top = _failed_for(run, effect.node_run)
    if decision == "retry" and top is None:
        raise _went_on(run)
    checked = _checked(effect, decision, result)

    def act(transition: Transition) -> None:
        packer = Packer(effect.organization_id)
        text = packer.pack(checked) if decision == "happened" else None
        packer.write(transition.tx)
        state = DECISIONS[decision]
        decided = effects.decide(
            transition.tx, effect.pk, state=state, decision=decision, result=text, comment=comment, by=by
        )
        if not decided:
            raise _decided_before(effect.pk)
        if top is not None and decision != "fail":
            _send_on(transition, run, by=by)

    act_on_run(run.pk if top is None else top.pk, act)


def _send_on(transition: Transition, run: Run, *, by: str) -> None:
    if transition.run.status is not RunStatus.FAILED:
        raise Conflict("The run has been sent on meanwhile; look again.", code="wrong_status")
    if not effects.undecided(transition.tx, run.pk, _stopped_visits(run)):
        again.resume(transition, by=by)


def _failed_for(run: Run, node_run: NodeRun) -> Run | None:
    """The run that has to be sent on for this node to go on: its own, or the one that all of it is a part of."""
    if run.status not in _STOPPED or (node_run.node, node_run.visit) not in _stopped_visits(run):
        return None
    if run.parent is None or run.parent_node is None:
        return run if run.status == RunStatus.FAILED else None
    if run.parent_node.state.get("child") != str(run.pk):
        return None  # the node that waited for this run has started another one since
    return _failed_for(run.parent, run.parent_node)


def _stopped_visits(run: Run) -> Collection[tuple[str, int]]:
    return [(name, node.visit) for name, node in Marking.from_json(run.marking).active.items()]


def _checked(effect: Effect, decision: str, result: JSON) -> JSON:
    """The result as the tool would have given it."""
    if result is None or decision != "happened":
        if result is not None:
            raise _wrong("/result", "not_allowed", "A result goes with the decision 'happened' only.", "Leave it out.")
        return None
    try:
        return registry.get(effect.tool, effect.organization_id).result(result) if effect.tool else result
    except NotFound:
        return result  # a tool of a plugin that is not installed here
    except (Fatal, NotJson) as error:
        raise _wrong("/result", "invalid_result", str(error), "Give what the tool's output_schema says.") from None


def _wrong(pointer: str, code: str, message: str, fix: str) -> Invalid:
    return Invalid(message, code=code, errors=[ErrorItem(pointer, code, message, fix)])


def _went_on(run: Run) -> Conflict:
    message = f"The run is {run.status} and has not stopped for this effect, so it cannot be tried again"
    return Conflict(f"{message}; decide 'happened' or 'fail', or fork the run.", code="wrong_status")


def _decided_before(effect: UUID) -> Conflict:
    current = Effect.objects.get(pk=effect)
    if not current.decided_at:
        return Conflict(f"The effect is {current.state}; only an unknown one is decided.", code="effect_known")
    when = current.decided_at.isoformat(timespec="seconds")
    return Conflict(
        f"Already decided as '{current.decision}' by {current.decided_by} at {when}.", code="already_decided"
    )

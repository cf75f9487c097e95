"""Events from outside for a run."""

from uuid import UUID

from apps.common.errors import Conflict
from apps.common.json import JSON
from apps.workflows.engine.states import RUN_ENDED
from apps.workflows.nodes.base import Completed
from apps.workflows.services.acting import act_on_run
from apps.workflows.services.transition import people
from apps.workflows.services.transition.transition import Transition


def send_signal(run: UUID, event: str, payload: JSON, *, by: str) -> bool:
    """Gives an event to the node that waits for it, or keeps it until one does; True when one was waiting.

    Raises Conflict when the run has ended.
    """
    taken = False

    def act(transition: Transition) -> None:
        nonlocal taken
        if transition.run.status in RUN_ENDED:
            raise Conflict(f"The run is {transition.run.status}; it takes no events any more.", code="wrong_status")
        packed = transition.packer.pack(payload)
        transition.packer.write(transition.tx)
        people.keep_signal(transition.tx, transition.run, event, packed, by)
        transition.stir()
        waiting = people.waiting_for(transition.tx, run, event)
        taken = waiting is not None
        if waiting is not None:
            transition.read([waiting])
            row = transition.rows[waiting]
            people.take_signal(transition.tx, row, event)
            transition.bring(row, Completed(payload))
            transition.work_in()

    act_on_run(run, act)
    return taken

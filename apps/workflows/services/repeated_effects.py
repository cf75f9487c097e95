"""Which effects would happen once more if a run were sent on or forked: to look at before doing it."""

from django.db.models import Q, QuerySet

from apps.workflows.engine.marking import Marking
from apps.workflows.engine.states import RunStatus
from apps.workflows.models import Effect, Run
from apps.workflows.selectors import effects
from apps.workflows.services.forks import taken_over

_SENT_AGAIN = Q(state__in=[Effect.State.PLANNED, Effect.State.FAILED]) | Q(
    state__in=[Effect.State.SENT, Effect.State.UNKNOWN], on_unknown=Effect.OnUnknown.RETRY
)


def repeated_by_retry(run: Run) -> QuerySet[Effect]:
    """What a retry sends again, with the same keys: what was confirmed is not, nor is what a person has to decide."""
    stopped = Q(pk=None)
    if run.status == RunStatus.FAILED:
        for name, node in Marking.from_json(run.marking).active.items():
            stopped |= Q(node_run__node=name, node_run__visit=node.visit)
    return effects(run).filter(stopped, _SENT_AGAIN)


def repeated_by_fork(run: Run, from_node: str, visit: int | None) -> QuerySet[Effect]:
    """What a fork at this node may send again, under keys of its own: all that it does not take over as finished."""
    return effects(run).exclude(node_run__in=taken_over(run, from_node, visit))

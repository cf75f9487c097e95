"""One act on many runs, or one decision on many questions.

Each is a transaction of its own, so that one that refuses does not stop the others.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from apps.common.errors import Conflict, Invalid, NotFound, PermissionDenied
from apps.common.json import JSON
from apps.workflows.engine.states import RUN_ENDED, RunStatus
from apps.workflows.models import Approval, Run
from apps.workflows.services.approvals import decide_approval
from apps.workflows.services.runs import cancel_run, retry_run

MOST_RUNS = 500  # that one request acts on

Act = Callable[..., None]


@dataclass(frozen=True, slots=True)
class BulkAct:
    """Something that can be done to many runs, and to which of them."""

    do: Act
    statuses: frozenset[RunStatus]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it."""

    done: int
    refused: list[str]  # why, once for each run


ACTS: Mapping[str, BulkAct] = {
    "cancel": BulkAct(cancel_run, frozenset(RunStatus) - RUN_ENDED),
    "retry": BulkAct(retry_run, frozenset({RunStatus.FAILED})),
}


def act_on_runs(act: str, runs: Iterable[UUID], *, by: str) -> Outcome:
    """Do this to every run; those that have come to another status in the meantime stay as they are."""
    refused: list[str] = []
    done = 0
    for run in runs:
        try:
            ACTS[act].do(run, by=by)
        except (Conflict, NotFound) as error:
            refused.append(error.detail)
        else:
            done += 1
    return Outcome(done, refused)


def decide_approvals(
    questions: Iterable[Approval], *, decision: str, data: dict[str, JSON], comment: str, by: str
) -> Outcome:
    """Decide every question in the same way; those that somebody has decided in the meantime stay so."""
    refused: list[str] = []
    done = 0
    for approval in questions:
        try:
            decide_approval(approval, decision=decision, data=data, comment=comment, by=by)
        except (Conflict, Invalid, NotFound, PermissionDenied) as error:
            refused.append(error.detail)
        else:
            done += 1
    return Outcome(done, refused)


def applicable(act: str, found: QuerySet[Run]) -> QuerySet[Run]:
    """Give those of the runs that the act can be done to now."""
    return found.filter(status__in=ACTS[act].statuses)

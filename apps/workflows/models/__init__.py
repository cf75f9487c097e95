"""The rows behind workflows and runs."""

from apps.workflows.models.circuits import Circuit
from apps.workflows.models.definitions import Workflow, WorkflowVersion
from apps.workflows.models.drafts import Draft
from apps.workflows.models.effects import Effect
from apps.workflows.models.offers import OfferedWorkflow
from apps.workflows.models.people import Approval, Signal
from apps.workflows.models.progress import Attempt, Blob, ContextEntry, JournalEntry, NodeRun, Run, RunEvent
from apps.workflows.models.saved_views import SavedView
from apps.workflows.models.schedules import Schedule, ScheduleFire
from apps.workflows.models.slots import Slot
from apps.workflows.models.workers import Worker

__all__ = [
    "Approval",
    "Attempt",
    "Blob",
    "Circuit",
    "ContextEntry",
    "Draft",
    "Effect",
    "JournalEntry",
    "NodeRun",
    "OfferedWorkflow",
    "Run",
    "RunEvent",
    "SavedView",
    "Schedule",
    "ScheduleFire",
    "Signal",
    "Slot",
    "Worker",
    "Workflow",
    "WorkflowVersion",
]

"""A run as the protocol sees it: a task with a state, and what it has given as an artifact."""

from typing import Any
from uuid import NAMESPACE_OID, uuid5

from a2a.types.a2a_pb2 import Artifact, Message, Part, Role, Task, TaskState, TaskStatus
from django.conf import settings
from google.protobuf.json_format import MessageToDict, ParseDict  # type: ignore[import-untyped]
from google.protobuf.struct_pb2 import Value  # type: ignore[import-untyped]

from apps.common.json import JSON
from apps.workflows.engine.states import RunStatus
from apps.workflows.models import Run
from apps.workflows.protocols.a2a.skills import NODE
from apps.workflows.protocols.runs import open_question, output_of
from apps.workflows.serializers.degraded import in_sentences
from apps.workflows.services.approvals import is_of_call

AGENT_LABEL, CONTEXT_LABEL, KIND_LABEL = "a2a_agent", "a2a_context", "a2a_kind"
ARTIFACT = "output"
LARGEST_WHOLE = 2**53

STATES = {
    RunStatus.PENDING: TaskState.TASK_STATE_SUBMITTED,
    RunStatus.RUNNING: TaskState.TASK_STATE_WORKING,
    RunStatus.WAITING: TaskState.TASK_STATE_WORKING,  # or input-required, where it is a person that is waited for
    RunStatus.PAUSED: TaskState.TASK_STATE_WORKING,
    RunStatus.COMPLETED: TaskState.TASK_STATE_COMPLETED,
    RunStatus.FAILED: TaskState.TASK_STATE_FAILED,
    RunStatus.CANCELLED: TaskState.TASK_STATE_CANCELED,
}
ENDED = frozenset(
    {
        TaskState.TASK_STATE_COMPLETED,
        TaskState.TASK_STATE_FAILED,
        TaskState.TASK_STATE_CANCELED,
        TaskState.TASK_STATE_REJECTED,
    }
)


def task_of(run: Run, *, artifacts: bool = True) -> Task:
    """The task that a run is; asks the database for what it has given, and for a question that it waits with."""
    task = Task(id=str(run.pk), context_id=run.labels.get(CONTEXT_LABEL, ""), status=status_of(run))
    task.metadata.update({"url": f"{settings.ORCHESTRA_BASE_URL.rstrip('/')}/runs/{run.pk}"})
    if artifacts and run.status == RunStatus.COMPLETED:
        task.artifacts.append(artifact_of(run))
        task.metadata.update({"degraded": told} if (told := in_sentences(run)) else {})
    return task


def status_of(run: Run) -> TaskStatus:
    """How it stands, with the question that it waits with or the reason why it failed."""
    state, said = STATES[RunStatus(run.status)], ""
    if run.status == RunStatus.WAITING and (question := open_question(run)) is not None:
        said = question.message
        state = state if is_of_call(question) else TaskState.TASK_STATE_INPUT_REQUIRED
    elif run.status == RunStatus.FAILED:
        said = str((run.error or {}).get("message", "It failed."))
    elif run.status == RunStatus.PAUSED:
        said = "It is paused."
    status = TaskStatus(state=state)
    status.timestamp.FromDatetime(run.finished_at or run.started_at or run.created_at)
    if said:
        status.message.CopyFrom(agent_message(run, said))
    return status


def agent_message(run: Run, text: str) -> Message:
    """What we say of a task; the same text has the same id."""
    return Message(
        role=Role.ROLE_AGENT,
        message_id=str(uuid5(NAMESPACE_OID, f"{run.pk}:{text}")),
        task_id=str(run.pk),
        context_id=run.labels.get(CONTEXT_LABEL, ""),
        parts=[Part(text=text)],
    )


def artifact_of(run: Run) -> Artifact:
    """What a run has given: its text, where it has one, and all of it as data."""
    output = output_of(run)
    if run.labels.get(KIND_LABEL) == "agent" and isinstance(output, dict):
        output = output.get(NODE)
    text = output if isinstance(output, str) else output.get("text") if isinstance(output, dict) else None
    parts = [Part(text=text)] if isinstance(text, str) else []
    if not isinstance(output, str):
        parts.append(Part(data=ParseDict(output, Value()), media_type="application/json"))
    return Artifact(artifact_id=ARTIFACT, name=ARTIFACT, parts=parts)


def text_and_data(message: Message) -> tuple[str, dict[str, JSON]]:
    """The text parts joined, and the data parts as one object; raises ValueError for parts of other kinds."""
    texts: list[str] = []
    data: dict[str, JSON] = {}
    for part in message.parts:
        kind = part.WhichOneof("content")
        if kind == "text":
            texts.append(part.text)
        elif kind == "data" and isinstance(value := whole_numbers(MessageToDict(part.data)), dict):
            data |= value
        else:
            raise ValueError("A message has parts of text, and parts of data that are objects.")
    return "\n".join(texts), data


def whole_numbers(value: Any) -> JSON:
    """The protocol knows floating point numbers only: those that are whole are whole numbers again."""
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_WHOLE:
        return int(value)
    if isinstance(value, dict):
        return {name: whole_numbers(part) for name, part in value.items()}
    return [whole_numbers(part) for part in value] if isinstance(value, list) else value

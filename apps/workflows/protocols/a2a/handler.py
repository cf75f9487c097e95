"""What is done for each method of the protocol."""

from collections.abc import AsyncGenerator, Callable
from typing import Any, NoReturn, ParamSpec, TypeVar
from uuid import UUID, uuid4

from a2a.server.context import ServerCallContext
from a2a.server.request_handlers.request_handler import RequestHandler, validate_request_params
from a2a.types.a2a_pb2 import (
    AgentCard,
    CancelTaskRequest,
    GetExtendedAgentCardRequest,
    GetTaskRequest,
    ListTasksRequest,
    ListTasksResponse,
    Message,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatus,
    TaskStatusUpdateEvent,
)
from a2a.utils.errors import (
    A2AError,
    ContentTypeNotSupportedError,
    InvalidParamsError,
    InvalidRequestError,
    PushNotificationNotSupportedError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)

from apps.accounts.access import Access
from apps.accounts.models import Capability
from apps.common.errors import Conflict, DomainError, Invalid, NotFound
from apps.common.json import JSON
from apps.workflows import selectors
from apps.workflows.models import Run
from apps.workflows.protocols.a2a.cards import card_of
from apps.workflows.protocols.a2a.skills import FRONT, all_skills, find_skill, is_uuid
from apps.workflows.protocols.a2a.tasks import (
    AGENT_LABEL,
    CONTEXT_LABEL,
    ENDED,
    KIND_LABEL,
    STATES,
    agent_message,
    artifact_of,
    status_of,
    task_of,
    text_and_data,
)
from apps.workflows.protocols.runs import events_until, for_organization, in_words, open_question, start_once
from apps.workflows.services.approvals import decide_approval, is_of_call
from apps.workflows.services.runs import cancel_run

WAIT_SECONDS = 45.0  # for the end of a task that is not streamed
STREAM_SECONDS = 6 * 3600.0
LONGEST_CONTEXT = 200  # characters, as it is kept as a label
TRIGGER = "a2a"
PAGE, LARGEST_PAGE = 50, 100
ACCESS, AGENT = "orchestra_access", "orchestra_agent"  # in the state of a call

P = ParamSpec("P")
T = TypeVar("T")
Update = Task | TaskStatusUpdateEvent | TaskArtifactUpdateEvent


class Handler(RequestHandler):
    """Answers for the agent that a call is addressed to; it keeps nothing, so any process answers any call."""

    @validate_request_params
    async def on_message_send(self, params: SendMessageRequest, context: ServerCallContext) -> Task | Message:
        """Start a task, or answer the question of one, and give it when it has ended or waits for somebody."""
        access = _access(context)
        run = await _for(access, _received, access, _agent(context), params)
        if not params.configuration.return_immediately:
            async for _ in events_until(run, WAIT_SECONDS):
                pass
        return await _for(access, _task, run)

    @validate_request_params
    async def on_message_send_stream(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> AsyncGenerator[Update, None]:
        """Do the same, and tell all that happens on the way."""
        access = _access(context)
        run = await _for(access, _received, access, _agent(context), params)
        async for update in _updates(access, run):
            yield update

    @validate_request_params
    async def on_subscribe_to_task(
        self, params: SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncGenerator[Update, None]:
        """Tell what happens from now on with a task."""
        access = _access(context)
        run = (await _for(access, _find, params.id, _agent(context))).pk
        task = await _for(access, _task, run)
        if task.status.state in ENDED:
            raise UnsupportedOperationError(message="The task has ended; ask for it with tasks/get.")
        async for update in _updates(access, run):
            yield update

    @validate_request_params
    async def on_get_task(self, params: GetTaskRequest, context: ServerCallContext) -> Task | None:
        """Give a task as it is."""
        access = _access(context)
        run = await _for(access, _find, params.id, _agent(context))
        return await _for(access, _task, run.pk)

    @validate_request_params
    async def on_list_tasks(self, params: ListTasksRequest, context: ServerCallContext) -> ListTasksResponse:
        """Give the tasks of this agent, the newest first."""
        return await _for(_access(context), _listed, params, _agent(context))

    @validate_request_params
    async def on_cancel_task(self, params: CancelTaskRequest, context: ServerCallContext) -> Task | None:
        """End a task and everything in flight."""
        access = _access(context)
        run = await _for(access, _find, params.id, _agent(context))
        await _for(access, _cancel, access, run.pk)
        return await _for(access, _task, run.pk)

    async def on_get_extended_agent_card(
        self,
        params: GetExtendedAgentCardRequest,  # noqa: ARG002
        context: ServerCallContext,
    ) -> AgentCard:
        """Give the card with all that the organization of the caller can ask for."""
        access = _access(context)
        return await _for(access, extended_card, access)

    async def on_create_task_push_notification_config(self, params: Any, context: Any) -> NoReturn:  # noqa: ARG002
        """Refuse: who wants news follows the stream."""
        raise PushNotificationNotSupportedError

    on_get_task_push_notification_config = on_create_task_push_notification_config
    on_list_task_push_notification_configs = on_create_task_push_notification_config
    on_delete_task_push_notification_config = on_create_task_push_notification_config


def extended_card(access: Access) -> AgentCard:
    """The card at the front, with all that the organization in scope can be asked for."""
    return card_of(find_skill(access, FRONT), at_front=True, others=all_skills(access))


async def _updates(access: Access, run: UUID) -> AsyncGenerator[Update, None]:
    """The task as it is, then each news of it, and last what it has come to."""
    known = await _for(access, _task, run)
    yield known
    if known.status.state in ENDED or known.status.state == TaskState.TASK_STATE_INPUT_REQUIRED:
        return
    async for batch in events_until(run, STREAM_SECONDS):
        for event in batch:
            if event["type"] in ("node.started", "node.progress", "node.retrying", "node.degraded"):
                yield await _for(access, _working, run, in_words(event))
    for update in await _for(access, _last, run):
        yield update


def _received(access: Access, agent: str | None, params: SendMessageRequest) -> UUID:
    """The run that a message starts or, where it names a task, goes on with."""
    try:
        text, data = text_and_data(params.message)
    except ValueError as wrong:
        raise ContentTypeNotSupportedError(message=str(wrong)) from None
    if params.message.task_id:
        return _answered(access, _find(params.message.task_id, agent), text, data)
    skill = find_skill(access, agent or _asked_skill(params) or FRONT)
    context = params.message.context_id or str(uuid4())
    if len(context) > LONGEST_CONTEXT:
        raise InvalidParamsError(message=f"A contextId has at most {LONGEST_CONTEXT} characters.")
    labels = {
        AGENT_LABEL: skill.name,
        CONTEXT_LABEL: context.replace("\0", ""),
        KIND_LABEL: "agent" if skill.is_agent else "workflow",
    }
    return start_once(
        access,
        skill.version,
        skill.input(text, data),
        trigger=TRIGGER,
        name=skill.name,
        key=f"{skill.name}:{params.message.message_id}",
        labels=labels,
    )


def _asked_skill(params: SendMessageRequest) -> str | None:
    """What a message to the front asks for by name."""
    for metadata in (params.message.metadata, params.metadata):
        if "skill" in metadata.fields:
            return str(metadata["skill"])
    return None


def _answered(access: Access, run: Run, text: str, data: dict[str, JSON]) -> UUID:
    """Answers the question that a task waits with."""
    access.require(Capability.RUN)
    question = open_question(run)
    if question is None:
        raise UnsupportedOperationError(message="The task does not wait for an answer; send a message without taskId.")
    if is_of_call(question):  # it may be the words of this very client that want the call
        raise UnsupportedOperationError(message="An agent asks for leave to make a call; a person decides that, here.")
    decision = str(data.get("decision", text)).strip().lower()
    if decision not in ("approve", "reject", "send_back"):
        raise InvalidParamsError(message="Answer with data {decision: approve | reject, comment?, data?}, or the word.")
    form = data.get("data", {})
    comment = data.get("comment", "" if text.strip().lower() == decision else text)
    if not isinstance(form, dict) or not isinstance(comment, str):
        raise InvalidParamsError(message="'data' is an object, and 'comment' a text.")
    decide_approval(question, decision=decision, data=form, comment=comment, by=access.actor)
    return run.pk


def _find(task: str, agent: str | None) -> Run:
    found = selectors.runs().filter(trigger=TRIGGER)
    if agent is not None:
        found = found.filter(labels__contains={AGENT_LABEL: agent})
    run = found.filter(pk=task).first() if is_uuid(task) else None
    if run is None:
        raise TaskNotFoundError(message=f"There is no task '{task[:60]}'.")
    return run


def _task(run: UUID) -> Task:
    return task_of(selectors.find_run(run))


def _cancel(access: Access, run: UUID) -> None:
    access.require(Capability.RUN)
    try:
        cancel_run(run, by=access.actor)
    except Conflict as ended:
        raise TaskNotCancelableError(message=ended.detail) from None


def _working(run: UUID, words: str) -> TaskStatusUpdateEvent:
    row = selectors.find_run(run)
    status = TaskStatus(state=TaskState.TASK_STATE_WORKING, message=agent_message(row, words))
    return TaskStatusUpdateEvent(task_id=str(run), context_id=row.labels.get(CONTEXT_LABEL, ""), status=status)


def _last(run: UUID) -> list[Update]:
    row = selectors.find_run(run)
    task, context, status = str(run), row.labels.get(CONTEXT_LABEL, ""), status_of(row)
    last: list[Update] = [TaskStatusUpdateEvent(task_id=task, context_id=context, status=status)]
    if status.state == TaskState.TASK_STATE_COMPLETED:
        given = artifact_of(row)
        last.insert(0, TaskArtifactUpdateEvent(task_id=task, context_id=context, artifact=given, last_chunk=True))
    return last


def _listed(params: ListTasksRequest, agent: str | None) -> ListTasksResponse:
    found = selectors.runs().filter(trigger=TRIGGER)
    if agent is not None:
        found = found.filter(labels__contains={AGENT_LABEL: agent})
    if params.context_id:
        found = found.filter(labels__contains={CONTEXT_LABEL: params.context_id})
    if params.status:
        found = found.filter(status__in=[status for status, state in STATES.items() if state == params.status])
    if is_uuid(params.page_token):
        found = found.filter(pk__lt=params.page_token)
    size = min(params.page_size or PAGE, LARGEST_PAGE)
    rows = list(found.order_by("-pk")[: size + 1])
    token = str(rows[size - 1].pk) if len(rows) > size else ""
    tasks = [task_of(row, artifacts=params.include_artifacts) for row in rows[:size]]
    return ListTasksResponse(tasks=tasks, next_page_token=token, page_size=size, total_size=len(tasks))


async def _for(access: Access, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do what asks the database, within the organization; what is refused is told in the protocol's own errors."""
    try:
        return await for_organization(access, work, *args, **kwargs)
    except A2AError:
        raise
    except (Invalid, NotFound) as wrong:
        places = [{"field": item.pointer, "message": item.message} for item in wrong.errors]
        raise InvalidParamsError(message=wrong.detail, data={"code": wrong.code, "errors": places}) from None
    except DomainError as refused:
        raise InvalidRequestError(message=refused.detail, data={"code": refused.code}) from None


def _access(context: ServerCallContext) -> Access:
    access: Access = context.state[ACCESS]
    return access


def _agent(context: ServerCallContext) -> str | None:
    """The agent that the address names; None at the front."""
    agent: str | None = context.state[AGENT]
    return agent

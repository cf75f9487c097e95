"""Everything on the page of a run, read at one moment."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from apps.common.clock import now
from apps.common.json import dumps
from apps.integrations.language_models import registry as language_models
from apps.observability.selectors import usage
from apps.workflows import selectors
from apps.workflows.engine.states import NODE_ENDED, RUN_ENDED
from apps.workflows.models import NodeRun, Run, Worker
from apps.workflows.serializers.run_page import rows
from apps.workflows.serializers.run_page.picture import Picture, picture_of
from apps.workflows.serializers.run_page.rows import DrawnRow, Row
from apps.workflows.serializers.run_page.sentence import Sentence, sentence_of
from apps.workflows.services.compiled import compiled_version
from apps.workflows.store.values import read_value

MOST_ROWS = 5_000
MOST_RECOVERIES = 5


@contextmanager
def one_moment() -> Iterator[None]:
    """Read everything as it is at one moment, so that what the stream then tells is neither there twice nor missing."""
    if connection.in_atomic_block:  # of a test
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read, read only")
        yield


@dataclass(frozen=True, slots=True)
class Recovery:
    """A worker that died, and how the run went on."""

    title: str
    worker: str
    at: datetime  # when it was noticed
    after: float | None  # seconds until another attempt began


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above the graph, and changes as the run goes on."""

    run: Run
    sentence: Sentence | None
    facts: Sequence[tuple[str, Any]]
    recoveries: Sequence[Recovery]
    is_over: bool
    acts: frozenset[str]
    took: float  # seconds, so far


@dataclass(frozen=True, slots=True)
class Body:
    """The graph and the timeline."""

    picture: Picture | None
    rows: Sequence[DrawnRow]
    count: int
    is_cut: bool
    state: str  # JSON: what the script begins with


def head_of(run: Run, visits: Sequence[NodeRun]) -> Head:
    """Give the head of the page."""
    return Head(
        run=run,
        sentence=sentence_of(run, visits),
        facts=list(_facts(run, visits)),
        recoveries=sorted(_recoveries(run, visits), key=lambda one: one.at)[-MOST_RECOVERIES:],
        is_over=run.status in RUN_ENDED,
        acts=frozenset(_acts(run)),
        took=((run.finished_at or now()) - (run.started_at or run.created_at)).total_seconds(),
    )


def visits_of(run: Run) -> list[NodeRun]:
    """Give the visits that the page shows."""
    return list(selectors.visits(run)[: MOST_ROWS + 1])


def body_of(run: Run, visits: Sequence[NodeRun]) -> Body:
    """Give the graph and the timeline."""
    moment = now()
    found = rows.rows_of(run, visits[:MOST_ROWS], selectors.item_counts(run))
    taken = selectors.edges_taken(run)
    wide = rows.horizon(run, found, moment)
    return Body(
        picture=picture_of(run, found, taken),
        rows=rows.drawn(found, wide, rows.since(run, moment)),
        count=len(found),
        is_cut=len(visits) > MOST_ROWS,
        state=state_of(run, found, taken, moment),
    )


def state_of(run: Run, found: Sequence[Row], taken: Mapping[int, int], moment: datetime) -> str:
    """Give what static/js/run_model.js begins with, as JSON that may stand in a page."""
    state = {
        "run": str(run.pk),
        "seq": run.last_seq,
        "status": run.status,
        "start": round(run.created_at.timestamp() * 1000),
        "now": round(moment.timestamp() * 1000),
        "end": rows.since(run, run.finished_at) if run.finished_at else None,
        "nodes": len(compiled_version(run.version_id).nodes),
        "rows": [row.as_json() for row in found],
        "taken": {str(edge): count for edge, count in taken.items()},
    }
    return dumps(state).decode().replace("<", "\\u003c")


def _facts(run: Run, visits: Sequence[NodeRun]) -> Iterator[tuple[str, Any]]:
    total = len(compiled_version(run.version_id).nodes)
    done = len({visit.node for visit in visits if visit.status in NODE_ENDED})
    yield "Nodes", ("nodes", done, total)
    yield from _asked(run)
    yield "Trigger", ("text", _trigger(run))
    if run.workflow_id:
        yield "Version", ("text", f"v{run.version.number}")
    if (drawn := selectors.workflow_of_draft(run)) is not None:
        yield "Draft of", ("draft", drawn.name, drawn.title or drawn.name)
    for label, value in run.labels.items():
        if drawn is None or label != selectors.DRAFT_LABEL:
            yield label, ("text", value)
    if run.parent_id:
        yield "Part of", ("run", run.parent_id)
    if run.forked_from_id:
        yield "Rerun of", ("run", run.forked_from_id)
    yield "Trace", ("copy", run.pk.hex)


def _asked(run: Run) -> Iterator[tuple[str, Any]]:
    """What the run's calls of language models came to, where it made any."""
    sums = usage.of_run(run.pk)
    if not sums.calls:
        return
    if names := usage.models_of_run(run.pk):
        yield "Models" if len(names) > 1 else "Model", ("models", [(name, _is_demo(name)) for name in names])
    yield "LLM calls", ("usage", sums.calls)
    yield "Tokens", ("tokens", sums.input_tokens, sums.output_tokens)
    yield "Cost", ("money", sums.cost_micro_usd, sums.unpriced)


def _trigger(run: Run) -> str:
    words = {"api": "API", "cli": "Command", "ui": "Manual", "fork": "Rerun", "run": "Another run"}
    words |= {"mcp": "MCP", "a2a": "A2A"}
    how = words.get(run.trigger, run.trigger.capitalize())
    by = run.created_by.partition(":")[2] or run.created_by
    return f"{how} · {by}" if by else how


def _recoveries(run: Run, visits: Sequence[NodeRun]) -> Iterator[Recovery]:
    specs = compiled_version(run.version_id).definition.nodes
    items = selectors.lost_items(run)[:MOST_RECOVERIES]
    lost = [(one, list(one.attempts.all())) for one in [*(visit for visit in visits if visit.lost_count), *items]]
    names = dict(
        Worker.objects.filter(pk__in={one.worker for _, tries in lost for one in tries}).values_list("pk", "name")
    )
    for visit, tries in lost:
        for one, following in zip(tries, [*tries[1:], None], strict=True):
            if one.outcome == "lost" and one.ended_at:
                after = (following.started_at - one.ended_at).total_seconds() if following else None
                title = rows.titled(visit.node, specs.get(visit.node), visit.visit, visit.index)
                yield Recovery(title, names.get(one.worker, str(one.worker)[:8]), one.ended_at, after)


def _acts(run: Run) -> Iterator[str]:
    if run.status in RUN_ENDED:
        yield "rerun"
    else:
        yield "cancel"
        yield "resume" if run.status == "paused" else "pause"
    if run.status == "failed":
        yield "retry"


def curl_of(run: Run, address: str) -> str:
    """Give the command that starts the same run again."""
    given = dumps({"input": read_value(run.organization_id, run.input)}).decode().replace("'", "'\\''")
    where = f"v1/workflows/{run.name}/run" if run.workflow_id else f"v1/runs/{run.pk}/fork"
    if not run.workflow_id:
        first = compiled_version(run.version_id).graph.nodes[compiled_version(run.version_id).graph.entries[0]]
        given = dumps({"from_node": first}).decode()
    return (
        f"curl -s -X POST -H \"Authorization: Bearer $ORCHESTRA_KEY\" -H 'Content-Type: application/json' "
        f"-d '{given}' '{address}{where}'"
    )


def _is_demo(model: str) -> bool:
    found = language_models.find(model)
    return found is not None and found.is_demo

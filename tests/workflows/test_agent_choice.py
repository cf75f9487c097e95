"""A capability in a run: who works on it, what a failure changes, and what a crash does not."""

from datetime import timedelta

import pytest
from django_scopes import scopes_disabled

from apps.agents import registry
from apps.agents.models import AgentDecision
from apps.agents.sdk import Agent
from apps.agents.store import figures
from apps.agents.store.figures import BREAKER_FAILURES
from apps.common.errors import Retryable
from apps.workflows.models import JournalEntry
from apps.workflows.services import retention
from tests.engine.documents import workflow

ASKED = workflow({"judged": {"type": "agent", "capability": "judge", "retry": {"attempts": 3, "delay": 1}}})


@pytest.fixture
def judges():
    """Two agents, the first of which fails after its first step; notes who did what."""
    did = []

    class First(Agent):
        name, capabilities = "zz_first", ["judge"]

        def exec(self, task, ctx):
            ctx.step("think", lambda: did.append("first thinks"))
            raise Retryable("Too hard.")

    class Second(Agent):
        name, capabilities = "zz_second", ["judge"]

        def exec(self, task, ctx):
            ctx.step("read", lambda: did.append("second reads"))
            ctx.call_tool("outbox.send", {"to": "ada@example.com", "subject": "Hello"})
            return {"by": "second"}

    yield did
    for name in ("zz_first", "zz_second"):
        registry.unregister(name)


def test_when_the_best_one_fails_the_next_attempt_is_another_ones(room, judges):
    run = room.finish(ASKED)

    assert room.node_output(run.pk, "judged") == {"by": "second"}
    assert judges == ["first thinks", "second reads"]
    with scopes_disabled():
        chosen = list(AgentDecision.objects.order_by("attempt").values_list("attempt", "chosen"))
        steps = list(JournalEntry.objects.order_by("position").values_list("name", flat=True))
    assert chosen == [(1, "zz_first"), (2, "zz_second")]
    assert steps == ["think", "read", "tool:outbox.send"], "each has steps of its own"


def test_after_a_crash_the_same_one_goes_on_whatever_was_measured_meanwhile(room, judges):
    run = room.start(ASKED)
    claim = room.claim(run, "judged")
    room.execute(claim)
    room.die()

    room.work(most=1)

    assert judges == ["first thinks"], "the journal knows its step"
    with scopes_disabled():
        assert list(AgentDecision.objects.values_list("attempt", "chosen")) == [(1, "zz_first")]
    room.until_ended(run)
    assert judges == ["first thinks", "second reads"]


def test_a_person_who_retries_a_run_gets_an_agent_that_is_well(room, judges):
    alone = workflow({"judged": {"type": "agent", "capability": "judge"}})
    run = room.start(alone)
    room.work()
    assert (room.status(run), judges) == ("failed", ["first thinks"])
    for _ in range(BREAKER_FAILURES):
        figures.record(room.organization.pk, "zz_first", "judge", success=False, ms=1)

    room.retry(run)
    room.work()

    assert (room.status(run), judges) == ("completed", ["first thinks", "second reads"])


def test_choices_leave_with_their_run(room, judges):
    room.finish(ASKED)

    assert retention.forget_old_runs(timedelta(0)).runs == 1

    with scopes_disabled():
        assert not AgentDecision.objects.exists()

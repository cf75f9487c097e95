"""The guards, how each is taken out, and the tests that have to notice."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """A piece of a file that is replaced; it has to be there exactly once."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """Orchestra without one of its guards."""

    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]  # of which one at least has to fail


SERVICES, STORE = "apps/workflows/services", "apps/workflows/store"
LEFT = "tests/workflows/test_left_to_agents.py"
OFFERS, CARDS = "apps/agents/llm/offers.py", "tests/integrations/test_a2a_agents.py"
MEMORY, BUS = "apps/agents/memory", "apps/agents/bus"
FENCING, RECOVERY, ZOMBIES = (f"tests/workflows/test_{name}.py" for name in ("fencing", "recovery", "zombies"))

MUTANTS = (
    Mutant(
        "a result of an agent outside needs no fence",
        (
            Edit(
                "apps/agents/services/remote_tasks.py",
                "filter(pk=task.pk, fence=fence, state__in=OPEN)",
                "filter(pk=task.pk, state__in=OPEN)",
            ),
        ),
        ("tests/agents/test_live_api.py::test_the_task_of_who_died_goes_to_another_and_its_late_result_is_refused",),
    ),
    Mutant(
        "the next try of a node finds the task of the one before",
        (
            Edit(
                "apps/agents/services/remote_tasks.py",
                'return self.key if self.number == 1 else f"{self.key}:try{self.number}"',
                "return self.key",
            ),
        ),
        (
            f"{LEFT}::test_another_try_is_another_task",
            f"{LEFT}::test_after_a_person_retries_the_old_answer_is_not_taken_again",
        ),
    ),
    Mutant(
        "an answer that comes before its node waits wakes nobody",
        (Edit(f"{SERVICES}/attempts.py", "            _wake(claim)\n", "            pass\n"),),
        (f"{LEFT}::test_an_answer_that_comes_before_the_node_waits_is_not_missed",),
    ),
    Mutant(
        "a node that looks at its task again has all its time again",
        (
            Edit(
                f"{SERVICES}/transition/claiming.py",
                "if row.deadline_at is not None and row.deadline_at > transition.run.now:",
                "if False:",
            ),
        ),
        (f"{LEFT}::test_what_was_sent_to_one_that_dies_is_sent_to_another_in_the_same_time",),
    ),
    Mutant(
        "a task whose run was cancelled is kept",
        (Edit(f"{SERVICES}/acting.py", "        withdraw_orphans(run)\n", ""),),
        (f"{LEFT}::test_to_cancel_the_run_takes_the_task_back",),
    ),
    Mutant(
        "a line that an agent outside tells twice is kept twice",
        (
            Edit(
                "apps/agents/services/reporting.py",
                "new = report.lines[max(0, held.lines - first) :]",
                "new = report.lines",
            ),
        ),
        ("tests/workflows/test_agent_reports.py::test_lines_that_are_told_again_are_kept_once",),
    ),
    Mutant(
        "a result needs no fence",
        (
            Edit(
                f"{SERVICES}/settler.py",
                "if row.fence == claimed.fence and row.worker == claimed.worker and row.status in _OPEN:",
                "if row.status in _OPEN:",
            ),
        ),
        (
            f"{FENCING}::test_a_late_result_is_refused_once_another_has_claimed",
            f"{ZOMBIES}::test_its_result_is_refused",
        ),
    ),
    Mutant(
        "a step needs no fence",
        (
            Edit(
                f"{STORE}/journal.py",
                "where id = %(node_run)s and fence = %(fence)s and",
                "where id = %(node_run)s and",
            ),
        ),
        (f"{ZOMBIES}::test_its_steps_are_not_recorded",),
    ),
    Mutant(
        "an effect needs no fence",
        (
            Edit(
                f"{STORE}/effects.py",
                "from (select * from workflows_noderun where id = %(node_run)s and fence = %(fence)s\n    and",
                "from (select * from workflows_noderun where id = %(node_run)s\n    and",
            ),
        ),
        (f"{ZOMBIES}::test_its_effects_do_not_happen",),
    ),
    Mutant(
        "a visit may be activated twice",
        (
            Edit(
                "apps/workflows/migrations/0001_initial.py",
                'constraint=models.UniqueConstraint(fields=("run", "node", "visit", "index"), name="one_activation"),',
                'constraint=models.UniqueConstraint(fields=("id", "run"), name="one_activation"),',
            ),
            Edit(
                f"{STORE}/writing.py", "on conflict (run_id, node, visit, index) do nothing", "on conflict do nothing"
            ),
        ),
        (f"{FENCING}::test_a_node_is_started_once_per_visit_whatever_happens",),
    ),
    Mutant(
        "what is written does not ask whether the run has changed",
        (
            Edit(
                f"{STORE}/writing.py",
                "where id = %(run)s and revision = %(revision)s returning id",
                "where id = %(run)s returning id",
            ),
        ),
        ("tests/workflows/test_many_at_once.py::test_eight_workers_that_finish_eight_siblings_at_once_meet_no_error",),
    ),
    Mutant(
        "lost hints are not given again",
        (Edit(f"{SERVICES}/recovery.py", "    dispatch.hint(forgotten)\n", ""),),
        (f"{RECOVERY}::test_a_hint_that_was_lost_is_given_again",),
    ),
    Mutant(
        "workers do not look for work",
        (Edit("apps/workflows/worker/runtime.py", "if free := self.slots.free:", "if free := 0:"),),
        (f"{RECOVERY}::test_a_worker_finds_work_without_any_hint",),
    ),
    Mutant(
        "dead workers are not noticed",
        (Edit(f"{STORE}/workers.py", "where living.id = w.id and (", "where living.id = w.id and false and ("),),
        (f"{RECOVERY}::test_what_a_frozen_worker_holds_is_taken_back",),
    ),
    Mutant(
        "nothing is taken back from dead workers",
        (Edit(f"{STORE}/recovery.py", "where n.status = 'running' and w.stopped_at is not null", "where false"),),
        (f"{RECOVERY}::test_what_a_frozen_worker_holds_is_taken_back", f"{FENCING}::test_a_loss_uses_no_attempt"),
    ),
    Mutant(
        "a time of a schedule may count twice",
        (
            Edit(f"{STORE}/schedules.py", "where s.id = %(schedule)s for update of s\n", "where s.id = %(schedule)s\n"),
            Edit(f"{STORE}/schedules.py", '_SKIPPING = " skip locked"', '_SKIPPING = ""'),
            Edit(
                f"{STORE}/schedules.py",
                "%(schedule)s, %(scheduled_for)s, %(outcome)s::text, %(reason)s",
                "%(schedule)s, %(scheduled_for)s + random() * interval '1 ms', %(outcome)s::text, %(reason)s",
            ),
        ),
        ("tests/workflows/test_schedules.py::test_any_number_of_schedulers_fire_each_time_once",),
    ),
    Mutant(
        "organizations see each other's rows",
        (
            Edit(
                "apps/accounts/models.py",
                "        found: models.QuerySet[M] = super().get_queryset()\n",
                "        return models.QuerySet(self.model, using=self._db)\n",
            ),
        ),
        ("tests/common/test_selectors.py", "tests/workflows/test_every_endpoint.py"),
    ),
    Mutant(
        "effects are not looked up in the ledger",
        (
            Edit(
                f"{SERVICES}/effects.py",
                "    if (known := begin(call, look_up)) is not None:\n        return known.result if step",
                "    if (known := None) is not None:\n        return known.result if step",
            ),
        ),
        ("tests/workflows/test_effects.py::test_a_call_whose_answer_was_kept_is_not_made_again",),
    ),
    Mutant(
        "memories are found across organizations",
        (
            Edit(
                f"{MEMORY}/memories.py",
                "where organization_id = %(organization)s and embedder = %(embedder)s",
                "where embedder = %(embedder)s",
            ),
        ),
        ("tests/agents/test_memory.py::test_another_organization_recalls_nothing",),
    ),
    Mutant(
        "nobody waits for who adds turns to a session",
        (Edit(f"{MEMORY}/turns.py", "organization_id), transaction.atomic():", "organization_id):"),),
        ("tests/workflows/test_agent_memory.py::test_writers_beside_each_other_lose_no_turn",),
    ),
    Mutant(
        "Redis is believed whatever it has of a session",
        (Edit(f"{MEMORY}/short_term.py", "turns[-1].seq == last_seq and all(", "all("),),
        ("tests/agents/test_memory.py::test_a_list_that_cannot_be_right_is_not_believed",),
    ),
    Mutant(
        "two readers of a group take one message",
        (
            Edit(
                f"{BUS}/reading.py", 'free.select_for_update(skip_locked=True, of=("self",)).order_by', "free.order_by"
            ),
        ),
        ("tests/agents/test_bus_survival.py::test_many_readers_of_a_group_take_each_message_once",),
    ),
    Mutant(
        "a message is anybody's before its lease ends",
        (
            Edit(
                f"{BUS}/reading.py", "self._pending().filter(available_at__lte=Now()).select", "self._pending().select"
            ),
        ),
        ("tests/agents/test_bus.py::test_a_reader_that_never_acknowledges_loses_the_message_to_another",),
    ),
    Mutant(
        "publishers are not in line",
        (Edit(f"{BUS}/channels.py", "select_for_update().filter(name=name).first()", "filter(name=name).first()"),),
        ("tests/agents/test_bus_survival.py::test_publishers_beside_each_other_leave_no_gap_and_no_double",),
    ),
    Mutant(
        "a key publishes again",
        (Edit(f"{BUS}/publishing.py", "known = _published_as(idempotency_key)", "known = None"),),
        ("tests/agents/test_bus.py::test_an_idempotency_key_publishes_once",),
    ),
    Mutant(
        "a flushed stream stays empty",
        (Edit(f"{BUS}/streams.py", "    _make_group(key, group, waiting())\n", "    _make_group(key, group, [])\n"),),
        ("tests/agents/test_bus_survival.py::test_after_a_flush_the_stream_is_filled_from_the_rows",),
    ),
    Mutant(
        "others' words reach a workflow",
        (Edit(OFFERS, "is_tainted=is_tainted, changes_outside=True)", "is_tainted=False, changes_outside=True)"),),
        ("tests/workflows/test_llm_agents.py::test_a_workflow_is_run_with_leave_once_others_words_were_read",),
    ),
    Mutant(
        "others' words reach an agent outside",
        (Edit(OFFERS, 'changes_outside=agent_type.kind == "remote"', "changes_outside=False"),),
        ("tests/agents/test_red_team.py::test_what_others_want_reaches_no_workflow_and_no_agent_elsewhere",),
    ),
    Mutant(
        "a task made of others' words is ours",
        (Edit(f"{SERVICES}/transition/starting.py", 'row.state["tainted"] = True', "pass"),),
        ("tests/workflows/test_llm_agents.py::test_a_task_that_takes_up_what_a_tool_gave_begins_tainted",),
    ),
    Mutant(
        "a card that has changed is in use",
        (Edit("apps/integrations/services/a2a_agents.py", "if agent.offered is not None:", "if not agent.pk:"),),
        (f"{CARDS}::test_a_card_that_has_changed_is_held_and_models_read_the_accepted_one",),
    ),
)

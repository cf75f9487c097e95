import io
import json
import threading
from datetime import timedelta

import django.db
import pytest
from django.core.management import load_command_class
from django.core.management.base import OutputWrapper
from django_scopes import scope

from apps.accounts.models import Organization
from apps.common.clock import now
from apps.workflows.management import following, tree
from apps.workflows.management.following import EventLines, Tree
from apps.workflows.models import Run, Worker, Workflow
from apps.workflows.services.gallery import load_demos, run_demo

ECHO = {"name": "hello", "nodes": {"greet": {"type": "agent", "agent": "echo", "input": "{{ inputs }}"}}}
FAILING = {"name": "broken", "nodes": {"a": {"type": "set"}, "b": {"type": "fail", "needs": "a", "message": "No."}}}
ASKING = {
    "name": "asking",
    "nodes": {
        "ask": {
            "type": "approval",
            "message": "Go on?",
            "form": {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "integer"}}},
        },
        "done": {"type": "set", "needs": "ask", "values": {"amount": "{{ nodes.ask.output.data.amount }}"}},
    },
}


@pytest.fixture
def manage(capsys, monkeypatch, organization):
    """Run a command as from a shell: exit code, stdout, stderr."""
    # A command ends its process's connections; the test's transaction lives in one.
    monkeypatch.setattr(django.db.connections, "close_all", lambda: None)

    def manage(name, *arguments):
        code = 0
        try:
            load_command_class("apps.workflows", name).run_from_argv(["manage.py", name, *map(str, arguments)])
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return manage


@pytest.fixture
def ask(manage):
    """Run a command with --json and give what it prints."""

    def ask(*arguments):
        code, out, err = manage(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return ask


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


@pytest.fixture
def started(room):
    return lambda definition, given=None: room.start(definition, given)


def vanish(room):
    """The process of the room's worker is gone, and nobody has noticed yet."""
    Worker.objects.create(
        id=room.worker.worker,
        name="w1",
        host="here",
        pid=1,
        lock_key=1,
        slots=1,
        version="1",
        started_at=now() - timedelta(minutes=1),
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


# Workflows


def test_a_definition_is_imported_once_however_often(ask, write):
    path = write("hello.json", ECHO)

    results = [ask("workflows", "import", path)["items"][0]["result"] for _ in range(2)]

    assert results == ["new", "unchanged"]


def test_a_yaml_file_keeps_its_comments(ask, write, room):
    text = "name: hello  # a comment\nnodes:\n  greet: {type: agent, agent: echo}\n"

    ask("workflows", "import", write("hello.yaml", text))

    with scope(organization=room.organization):
        assert Workflow.objects.get().versions.get().source == text


def test_workflows_are_listed_for_people_and_for_programs(manage, ask, write):
    ask("workflows", "import", write("hello.json", ECHO))

    code, out, err = manage("workflows", "list")

    assert (code, out.splitlines()[0].split()[:2]) == (0, ["NAME", "VERSION"])
    assert "next: bin/manage workflows show hello" in err
    assert [item["name"] for item in ask("workflows", "list")["items"]] == ["hello"]


def test_a_workflow_is_shown_as_yaml(manage, ask, write):
    ask("workflows", "import", write("hello.json", ECHO))

    _, out, _ = manage("workflows", "show", "hello")

    assert "agent: echo" in out
    assert ask("workflows", "show", "hello")["definition"]["name"] == "hello"


def test_an_invalid_definition_is_explained_with_its_places(manage, write):
    path = write("bad.json", {"name": "x", "nodes": {"a": {"type": "agent", "agent": "ecco"}}})

    code, out, err = manage("workflows", "validate", path)

    assert (code, out) == (1, "")
    assert "/nodes/a/agent" in err
    assert "echo" in err


def test_a_valid_definition_is_counted(manage, ask, write):
    path = write("hello.json", ECHO)

    assert "1 nodes" in manage("workflows", "validate", path)[1]
    assert ask("workflows", "validate", "--file", path)["valid"]


def test_a_file_that_is_not_there_is_a_usage_error(manage):
    code, _, err = manage("workflows", "validate", "/does/not/exist.yaml")

    assert code == 2
    assert "cannot be read" in err


def test_versions_are_compared_published_and_exported(manage, ask, write):
    ask("workflows", "import", write("1.json", ECHO))
    ask("workflows", "import", write("2.json", ECHO | {"description": "More."}))

    assert "+description: More." in manage("workflows", "diff", "hello")[1]
    assert ask("workflows", "diff", "hello", "1", "2")["changes"][0]["op"] == "added"
    assert ask("workflows", "publish", "hello", "1")["published_version"] == 1
    assert "description" not in manage("workflows", "export", "hello", "--version", "1")[1]


def test_a_file_is_compared_with_what_is_saved(manage, ask, write):
    ask("workflows", "import", write("1.json", ECHO))

    assert (
        "+description: New."
        in manage("workflows", "diff", "hello", "--file", write("2.json", ECHO | {"description": "New."}))[1]
    )


def test_an_export_imports_again_unchanged(manage, ask, write, tmp_path):
    ask("workflows", "import", write("1.json", ECHO))
    manage("workflows", "export", "hello", "-o", tmp_path / "out.yaml")

    assert ask("workflows", "import", tmp_path / "out.yaml")["items"][0]["result"] == "unchanged"


def test_archiving_asks_first(manage, ask, write):
    ask("workflows", "import", write("1.json", ECHO))

    assert manage("workflows", "archive", "hello")[0] == 2  # nobody is here to ask
    assert manage("workflows", "archive", "hello", "--yes")[0] == 0
    assert manage("workflows", "show", "hello")[0] == 3


# Running


def test_a_run_is_started_and_its_id_is_all_that_is_printed(manage, ask, write, room):
    ask("workflows", "import", write("1.json", ECHO))

    code, out, err = manage("workflows", "run", "hello", "--input", "who=Ada", "--input", "times=3")

    run = room.until_ended(out.strip())
    assert code == 0
    assert room.output(run) == {"greet": {"who": "Ada", "times": 3}}
    assert "next: bin/manage runs watch" in err


def test_what_the_schema_calls_a_string_stays_text(ask, write, room):
    inputs = {"type": "object", "properties": {"code": {"type": "string"}}}
    ask("workflows", "import", write("1.json", ECHO | {"inputs": inputs}))

    run = ask("workflows", "run", "hello", "--input", "code=0042")["id"]

    assert room.output(room.until_ended(run)) == {"greet": {"code": "0042"}}


def test_inputs_come_from_files_too(ask, write, room):
    run = ask(
        "workflows",
        "run",
        "--file",
        write("hello.yaml", "name: hello\nnodes:\n  greet: {type: agent, agent: echo, input: '{{ inputs }}'}\n"),
        "--input-file",
        write("input.yaml", "a: 1\nb: 2\n"),
        "--input",
        f"b=@{write('b.txt', 'text')}",
    )["id"]

    assert room.output(room.until_ended(run)) == {"greet": {"a": 1, "b": "text"}}


def test_an_input_that_does_not_fit_is_refused_with_its_place(manage, ask, write):
    ask("workflows", "import", write("1.json", ECHO | {"inputs": {"type": "object", "required": ["who"]}}))

    code, _, err = manage("workflows", "run", "hello")

    assert code == 1
    assert "who" in err


def test_a_key_starts_one_run(manage, ask, write, room):
    ask("workflows", "import", write("1.json", ECHO))

    first, second = (manage("workflows", "run", "hello", "--idempotency-key", "k") for _ in range(2))
    other = manage("workflows", "run", "hello", "--input", "a=1", "--idempotency-key", "k")

    assert first[1] == second[1]
    assert "used before" in second[2]
    assert other[0] == 1
    with scope(organization=room.organization):
        assert Run.objects.count() == 1


@pytest.fixture
def working(room, monkeypatch):
    """Work on the run between two looks of those who wait, as a worker beside them would."""

    def work(self, seconds=None):
        room.work()
        room.pass_time(room.seconds_until_due())

    monkeypatch.setattr(
        following, "threading", type("threads", (), {"Event": type("E", (threading.Event,), {"wait": work})})
    )


def test_waiting_prints_the_output(manage, ask, write, working):
    ask("workflows", "import", write("1.json", ECHO))

    code, out, err = manage("workflows", "run", "hello", "--input", "a=1", "--wait")

    assert (code, json.loads(out)) == (0, {"greet": {"a": 1}})
    assert "completed in" in err


def test_following_shows_the_nodes_on_stderr_and_the_output_on_stdout(manage, write, working):
    code, out, err = manage("workflows", "run", "--file", write("1.json", ECHO), "--input", "a=1", "--follow")

    assert (code, json.loads(out)) == (0, {"greet": {"a": 1}})
    assert "ok  greet  completed" in err


def test_a_failed_run_is_a_failed_command_that_says_where(manage, write, working):
    code, out, err = manage("workflows", "run", "--file", write("1.json", FAILING), "--wait")

    assert (code, out) == (1, "")
    assert "failed at b: No." in err
    assert "next: bin/manage runs retry" in err


def test_time_out_is_an_exit_code_of_its_own(manage, write):
    code, _, err = manage("workflows", "run", "--file", write("1.json", ECHO), "--wait", "--timeout", "0.01s")

    assert code == 6
    assert "the run goes on" in err


def test_a_run_needs_a_name_or_a_file(manage):
    assert manage("workflows", "run")[0] == 2


# Runs


def test_runs_are_listed_within_eighty_columns(manage, ask, started):
    started(ECHO | {"name": "a workflow with quite a long name"})

    _, out, _ = manage("runs", "list")

    assert max(map(len, out.splitlines())) <= 80
    assert ask("runs", "list", "--status", "pending", "--since", "1h")["items"][0]["trigger"] == "api"
    assert ask("runs", "list", "--status", "failed")["items"] == []


def test_a_run_is_shown_by_the_ending_of_its_id(manage, ask, room):
    run = room.finish(FAILING)

    code, out, err = manage("runs", "show", str(run.pk)[-8:])

    assert code == 0
    assert "failed at b: No." in out
    assert "ok a" in out
    assert f"runs retry {str(run.pk)[-8:]}" in err
    assert ask("runs", "show", run.pk)["status"] == "failed"
    assert ask("runs", "show", run.pk, "--node", "b")["items"][0]["error"]["message"] == "No."


def test_every_item_of_a_map_is_shown_with_its_number(manage, room):
    run = room.finish(
        {"name": "items", "nodes": {"each": {"type": "map", "over": [1, 2], "node": ECHO["nodes"]["greet"]}}}
    )

    _, out, _ = manage("runs", "show", str(run.pk), "--node", "each")

    numbers = [line.split()[-1] for line in out.splitlines() if line.strip().startswith("index")]
    assert numbers == ["0", "1"]


def test_only_the_output_can_be_shown(manage, room):
    run = room.finish(ECHO, {"a": 1})

    assert json.loads(manage("runs", "show", run.pk, "--output")[1]) == {"greet": {"a": 1}}


def test_an_unknown_run_is_exit_code_three(manage):
    assert manage("runs", "show", "0" * 32)[0] == 3


def test_watching_prints_a_line_for_what_happens(manage, room):
    run = room.finish(ECHO)

    code, out, _ = manage("runs", "watch", run.pk)

    assert code == 0
    assert "greet  started" in out
    assert out.splitlines()[-1].endswith("The run completed")


def test_watching_as_json_gives_every_event_in_order(manage, room):
    run = room.finish(ECHO)

    lines = [json.loads(line) for line in manage("runs", "watch", run.pk, "--json")[1].splitlines()]

    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[-1]["type"] == "run.completed"


def test_watching_a_failed_run_fails(manage, room):
    assert manage("runs", "watch", room.finish(FAILING).pk)[0] == 1


def test_ctrl_c_leaves_the_run_alone(manage, started, monkeypatch, room):
    def interrupt(*_):
        raise KeyboardInterrupt

    run = started(ECHO)
    monkeypatch.setattr(threading.Event, "wait", interrupt)

    code, _, err = manage("runs", "watch", run)

    assert code == 130
    assert "the run goes on" in err
    assert room.status(run) == "pending"


def test_runs_are_cancelled_paused_resumed_and_retried(ask, started, room):
    run = started(ECHO)

    assert ask("runs", "pause", run)["items"][0]["status"] == "paused"
    assert ask("runs", "resume", run)["items"][0]["status"] == "pending"
    assert ask("runs", "cancel", run, "--yes")["items"][0]["status"] == "cancelled"
    assert ask("runs", "retry", room.finish(FAILING).pk)["items"][0]["status"] in {"running", "waiting"}


def test_many_runs_are_cancelled_at_once_and_shown_before(ask, manage, started, room):
    runs = [started(ECHO) for _ in range(3)]

    _, _, err = manage("runs", "cancel", "--all", "--status", "pending", "--dry-run")
    assert "Will be cancelled" in err
    assert room.status(runs[0]) == "pending"

    assert len(ask("runs", "cancel", "--all", "--yes")["items"]) == 3
    assert {room.status(run) for run in runs} == {"cancelled"}


def test_cancelling_asks_first(manage, started):
    assert manage("runs", "cancel", started(ECHO))[0] == 2


def test_cancelling_nothing_in_particular_is_a_usage_error(manage):
    assert manage("runs", "cancel", "--yes")[0] == 2


def test_what_cannot_be_done_now_is_exit_code_four(manage, room):
    code, _, err = manage("runs", "retry", room.finish(ECHO).pk)

    assert code == 4
    assert "Only a failed run is retried" in err


def test_a_fork_takes_over_what_was_finished(ask, room):
    run = room.finish(FAILING)

    fork = ask("runs", "fork", run.pk, "--from", "b")

    assert room.run(fork["id"]).forked_from_id == run.pk
    assert room.until_ended(fork["id"]).status == "failed"


def test_a_rerun_repeats_everything_with_a_changed_input(ask, room):
    run = room.finish(ECHO, {"a": 1, "b": 2})

    again = ask("runs", "rerun", run.pk, "--input", "b=3")["id"]

    assert room.output(room.until_ended(again)) == {"greet": {"a": 1, "b": 3}}


def test_a_signal_reaches_the_node_that_waits(ask, started, room):
    run = started({"name": "w", "nodes": {"wait": {"type": "wait", "event": "paid"}}})
    room.work()

    assert ask("runs", "signal", run, "paid", "--data", '{"sum": 5}')["delivered"]
    assert room.output(room.until_ended(run)) == {"wait": {"sum": 5}}


def test_the_log_of_a_run_is_printed(manage, room):
    run = room.until_ended(run_demo(room.organization, "onboarding"))

    code, out, _ = manage("runs", "logs", run.pk)
    assert code == 0
    assert "Found the user." in out
    lines = [
        json.loads(line) for line in manage("runs", "logs", run.pk, "--search", "Escalated", "--json")[1].splitlines()
    ]
    assert [line["node"] for line in lines] == ["step_escalate"]


def test_the_tree_is_drawn_over_itself_on_a_terminal(room, started, manage):
    run = started(ASKING)
    out = Terminal()
    view = Tree(load_command_class("apps.workflows", "runs"), OutputWrapper(out))

    with scope(organization=room.organization):
        view.show(room.run(run))
        room.work()
        view.show(room.run(run))

    text = out.getvalue()
    assert "\x1b[4F\x1b[J" in text
    assert "|| ask" in text
    assert "Go on? (approval " in text


def test_the_tree_shows_the_items_of_a_map(room, in_scope):
    run = room.finish(
        {"name": "m", "nodes": {"m": {"type": "map", "over": "{{ [1, 2, 3] }}", "node": {"type": "set"}}}}
    )

    lines = [line.text for line in tree.drawn(tree.nodes_of(run))]

    assert "3/3 items" in lines[1]


def test_the_tree_shows_the_nodes_of_child_runs(room, in_scope):
    room.save(ECHO)
    run = room.finish({"name": "parent", "nodes": {"call": {"type": "workflow", "workflow": "hello"}}})

    names = [(branch.name, [inner.name for inner in branch.branches]) for branch in tree.nodes_of(run)]

    assert names == [("call", ["greet"])]


def test_a_tree_that_is_too_tall_keeps_what_happens(room):
    lines = [tree.Line(str(number), "failed" if number == 50 else "completed") for number in range(100)]

    kept = [line.text for line in tree.fitted(lines, 10)]

    assert len(kept) == 10
    assert "50" in kept
    assert kept[-1].strip() == "… 91 more"


def test_lines_of_events_leave_out_what_only_the_engine_reads(room, in_scope):
    out = io.StringIO()

    EventLines(OutputWrapper(out)).show(room.finish(ECHO))

    assert "edge.taken" not in out.getvalue()


# Approvals


def test_a_question_is_listed_shown_and_approved_with_its_form(manage, ask, started, room):
    run = started(ASKING)
    room.work()
    question = ask("approvals", "list")["items"][0]["id"]

    assert "Go on?" in manage("approvals", "show", question[-8:])[1]
    decided = ask("approvals", "approve", question[-8:], "--form", "amount=5", "--comment", "Fine.")

    assert (decided["status"], decided["comment"]) == ("approved", "Fine.")
    assert decided["decided_by"].startswith("cli")
    assert room.output(room.until_ended(run)) == {"done": {"amount": 5}}


def test_a_form_that_is_not_filled_in_is_refused(manage, started, room, ask):
    started(ASKING)
    room.work()
    question = ask("approvals", "list")["items"][0]["id"]

    code, _, err = manage("approvals", "approve", question)

    assert code == 1
    assert "amount" in err


def test_a_question_is_sent_back_with_a_comment(manage, ask, started, room):
    started({**ASKING, "edges": [{"from": "ask", "to": "ask", "route": "send_back", "max": 1}]})
    room.work()
    question = ask("approvals", "list")["items"][0]["id"]

    assert manage("approvals", "send-back", question)[0] == 1, "without a word"
    assert ask("approvals", "send-back", question, "--comment", "Again.")["status"] == "sent_back"


def test_a_second_decision_is_a_conflict(manage, started, room, ask):
    started(ASKING)
    room.work()
    question = ask("approvals", "list")["items"][0]["id"]

    assert manage("approvals", "reject", question)[0] == 0
    assert manage("approvals", "approve", question, "--form", "amount=1")[0] == 4


# Recovery, demos, queues


def test_a_dry_recovery_says_what_it_would_do_and_does_nothing(ask, started, room):
    run = started(ECHO)
    room.claim(run, "greet")
    vanish(room)

    rows = ask("recover", "--dry-run")["items"]

    assert [(row["run"], row["node"], row["would_be"]) for row in rows] == [(str(run), "greet", "queued again")]
    assert room.statuses(run) == {"greet": "running"}


def test_a_recovery_says_what_it_did_for_each_node(ask, started, room):
    run = started(ECHO)
    room.claim(run, "greet")
    vanish(room)

    rows = ask("recover")["items"]

    assert [(row["node"], row["now"]) for row in rows] == [("greet", "queued again: queued")]
    assert room.until_ended(run).status == "completed"


def test_a_recovery_without_anything_to_do_says_so(manage, db):
    code, _, err = manage("recover", "--dry-run")

    assert code == 0
    assert "Nothing is lost" in err


def test_the_demos_are_listed_loaded_and_run(ask, manage, working, room):
    assert "content-analysis" in manage("demo", "--list")[1]
    assert len(ask("demo")["items"]) == len(ask("demo", "--list")["items"])

    code, out, err = manage("demo", "--run", "content-analysis")

    assert code == 0
    assert json.loads(out)["sentiment"] == "positive"
    assert "ok  sentiment  completed" in err


def test_an_unknown_demo_names_the_nearest(manage):
    code, _, err = manage("demo", "--run", "content-analisis")

    assert code == 3
    assert "content-analysis" in err


def test_the_queue_without_a_worker_is_a_failure_that_names_the_fix(manage, started):
    started(ECHO)

    code, out, err = manage("queue", "status")

    assert code == 1
    assert "queued" in out
    assert "bin/up" in err


# Organizations


def test_a_command_sees_the_organization_that_it_names(manage, ask, write, other_organization):
    ask("workflows", "import", write("1.json", ECHO))

    assert ask("workflows", "list", "--organization", "globex")["items"] == []
    assert manage("workflows", "show", "hello", "--organization", "globex")[0] == 3


def test_a_run_of_another_organization_does_not_exist(manage, room, other_organization):
    run = room.finish(ECHO)

    for arguments in (["show"], ["watch"], ["logs"], ["cancel", "--yes"], ["pause"], ["fork"]):
        code, *_ = manage("runs", arguments[0], run.pk, *arguments[1:], "--organization", "globex")
        assert code == 3, arguments


def test_the_demos_are_loaded_for_one_organization(organization, other_organization):
    load_demos(organization)

    with scope(organization=other_organization):
        assert not Workflow.objects.exists()
    assert Organization.objects.count() == 2

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.agents import registry
from apps.agents.context import LocalContext
from apps.agents.roles.answers import ANSWERS
from apps.agents.roles.catalogue import find_role
from apps.agents.runtime import run_agent
from apps.common.asyncio_loop import Cancelled
from apps.common.errors import Fatal
from apps.common.json_schema import Checker

PLANNERS = ["frontend", "backend", "qa", "debugger", "coordinator", "researcher", "analyst"]
ROLES = [*PLANNERS, "research", "code", "writer", "critic"]
QUICK = {"seconds": 0}


def run(role, task, context=None, config=QUICK):
    return run_agent(role, {"task": task, "context": context}, LocalContext(), config=config).output


@pytest.mark.parametrize("role", ROLES)
def test_every_role_gives_a_plan_and_says_how(role):
    output = run(role, "Create a login form component")

    assert output["role"] == role
    assert output["task"] == "Create a login form component"
    assert output["plan"]
    assert output["summary"]
    assert (output["method"], output["is_demo"]) == ("rules", True)
    assert "ules" in registry.get(role).description


@pytest.mark.parametrize("role", ROLES)
def test_what_rules_give_has_the_form_that_a_model_is_asked_for(role):
    schema = ANSWERS[find_role(role).name]

    assert list(Checker(schema).failures(run(role, "Create a login form", run("qa", "Review API")))) == []


def test_a_writer_without_a_model_puts_together_what_was_found():
    text = run("writer", "Write a report on heat pumps", run("analyst", "Heat pumps save energy."))["text"]

    assert text.startswith("# Report on heat pumps")
    assert "Heat pumps save energy." in text


def test_a_critic_without_a_model_names_what_a_text_does_not_have():
    bare = run("critic", "Everybody loves tea")
    full = run("critic", "In 2020, 60 % drank tea (source: FAO), but coffee grows, for example in Kenya.")

    assert "No source is named" in {finding["finding"] for finding in bare["findings"]}
    assert (bare["approved"], full["approved"]) == (False, True)


def test_code_without_a_model_is_no_file_and_says_so():
    output = run("code", "Create a login form", run("frontend", "Create a login form"))

    assert output["files"] == []
    assert "needs a model" in output["summary"]


def test_a_plan_follows_the_words_of_the_task():
    login = run("frontend", "Create a login form component")["plan"]
    upload = run("frontend", "Build a file upload")["plan"]

    assert any("password" in step for step in login)
    assert any("upload" in step for step in upload)
    assert login != upload


def test_a_review_names_what_the_work_before_it_leaves_open():
    frontend = run("frontend", "Create a login form component")
    backend = run("backend", "Create API")

    review = run("qa", "Review both", {"1": frontend, "2": {"output": backend}})

    assert review["based_on"] == ["Create a login form component", "Create API"]
    assert {finding["about"] for finding in review["findings"]} == {"login form component", "API"}
    assert review["approved"] is False


def test_the_debugger_answers_every_finding():
    review = run("qa", "Review API", run("backend", "Create API endpoint"))

    fixes = run("debugger", "Fix what the review found", review)["fixes"]

    assert [fix["finding"] for fix in fixes] == [finding["finding"] for finding in review["findings"]]


def test_the_coordinator_divides_the_work():
    assignments = run("coordinator", "Build the login page, the API and the database")["assignments"]

    assert [part["role"] for part in assignments] == ["frontend", "backend", "backend", "qa"]


def test_a_query_is_a_task_too():
    output = run_agent("researcher", {"query": "Latest trends in AI"}, LocalContext(), config=QUICK).output

    assert output["task"] == "Latest trends in AI"
    assert len(output["questions"]) == 4


def test_progress_is_told_step_by_step():
    ctx = LocalContext()

    output = run_agent("backend", {"task": "Create API"}, ctx, config=QUICK).output

    assert [message for _, message in ctx.reports] == output["plan"]
    assert ctx.reports[-1][0] == 1.0


def test_a_role_that_takes_its_time_holds_up_no_other():
    begun = threading.Event()
    slow = LocalContext(cancelled=lambda: bool(begun.set()))
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(run_agent, "qa", {"task": "Review module A"}, slow, config={"seconds": 600})
        assert begun.wait(60)

        quick = run("qa", "Review module B", config={"seconds": 0.1})

        slow.cancel()
        with pytest.raises(Cancelled):
            working.result(60)
    assert quick["plan"]


@pytest.mark.parametrize(
    "context", [[], {}, "text", 5, [[[[[[[[{"role": "qa", "task": "x"}]]]]]]]], {"role": 1, "task": 2}]
)
def test_any_context_will_do(context):
    assert run("qa", "Review module A", context)["plan"]


@pytest.mark.parametrize("given", [{}, {"task": ""}, {"task": 5}])
def test_a_task_is_needed(given):
    with pytest.raises(Fatal):
        run_agent("qa", given, LocalContext())

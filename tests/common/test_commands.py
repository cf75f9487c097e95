import json
import signal

import django.db
import pytest
from django.core.management import call_command

from apps.common.commands import Exit, OrchestraCommand, argument, subcommand
from apps.common.errors import BadRequest, Conflict, ErrorItem, Invalid, NotFound, PermissionDenied, Unavailable

ERRORS = {
    "not-found": NotFound("No such run."),
    "conflict": Conflict("Not now."),
    "invalid": Invalid("Bad.", errors=[ErrorItem("/nodes/a", "unknown", "No such agent.", "Did you mean 'echo'?")]),
    "same": Invalid("The key is refused.", errors=[ErrorItem("/key", "refused", "The key is refused.")]),
    "usage": BadRequest("What?"),
    "permission": PermissionDenied("No."),
    "database": django.db.OperationalError("connection refused\nmore"),
    "unavailable": Unavailable("Redis is silent."),
    "timeout": TimeoutError("Took too long."),
    "interrupt": KeyboardInterrupt(),
    "mistake": ZeroDivisionError("oops"),
}


class Command(OrchestraCommand):
    help = "Tries things."

    @subcommand(argument("kind"), organization=False)
    def fail_with(self, kind: str) -> None:
        """Fail."""
        raise ERRORS[kind]

    @subcommand(organization=False)
    def list_(self) -> None:
        """List things."""
        self.table(
            [{"name": "a", "count": 10, "tags": ["x"]}, {"name": "longer", "count": None}], ["name", "count", "tags"]
        )

    @subcommand(organization=False)
    def show(self) -> None:
        """Show a thing."""
        self.show_value({"name": "a", "last_seen": None})

    @subcommand(organization=False)
    def watch(self) -> None:
        """Stream things."""
        for number in range(3):
            self.item({"number": number}, f"number {number}")

    @subcommand(organization=False)
    def drop(self) -> None:
        """Destroy something."""
        self.confirm("3 things will be gone.")
        self.line("gone")

    @subcommand()
    def where(self) -> None:
        """Say in which organization."""
        self.line(self.organization.slug)


@pytest.fixture
def run(capsys, monkeypatch):
    # A command ends its process's connections; the test's transaction lives in one.
    monkeypatch.setattr(django.db.connections, "close_all", lambda: None)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = 0
        try:
            Command().run_from_argv(["manage.py", "things", *arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("not-found", Exit.NOT_FOUND),
        ("conflict", Exit.CONFLICT),
        ("invalid", Exit.FAILED),
        ("usage", Exit.USAGE),
        ("permission", Exit.PERMISSION),
        ("database", Exit.UNREACHABLE),
        ("unavailable", Exit.UNREACHABLE),
        ("timeout", Exit.TIMEOUT),
        ("interrupt", Exit.INTERRUPTED),
    ],
)
def test_the_exit_code_says_what_went_wrong(run, kind, code):
    ended, out, err = run("fail-with", kind)

    assert ended == code
    assert out == ""
    assert err.strip()
    assert "Traceback" not in err


def test_an_error_names_places_and_fixes(run):
    _, _, err = run("fail-with", "invalid")

    assert err == "Error: Bad.\n  /nodes/a: No such agent. Did you mean 'echo'?\n"


def test_the_only_fault_is_said_once(run):
    _, _, err = run("fail-with", "same")

    assert err == "Error: The key is refused.\n"


def test_an_unforeseen_error_keeps_its_trace(run):
    with pytest.raises(ZeroDivisionError):
        run("fail-with", "mistake")


def test_debug_shows_the_trace(run):
    with pytest.raises(NotFound):
        run("fail-with", "not-found", "--debug")


def test_a_table_has_columns_for_people_and_items_for_programs(run):
    _, table, _ = run("list")
    _, document, _ = run("list", "--json")

    assert table == 'NAME    COUNT  TAGS\na       10     ["x"]\nlonger  -      -\n'
    assert json.loads(document) == {
        "items": [{"name": "a", "count": 10, "tags": ["x"]}, {"name": "longer", "count": None}]
    }


def test_a_thing_has_lines_for_people_and_an_object_for_programs(run):
    assert run("show") == (0, "name       a\nlast seen  -\n", "")
    assert json.loads(run("show", "--json")[1]) == {"name": "a", "last_seen": None}


def test_a_stream_is_one_json_document_a_line(run):
    assert run("watch")[1] == "number 0\nnumber 1\nnumber 2\n"
    assert [json.loads(line)["number"] for line in run("watch", "--json")[1].splitlines()] == [0, 1, 2]


def test_destroying_needs_a_yes(run):
    asked = run("drop")
    agreed = run("drop", "--yes")

    assert asked[0] == Exit.USAGE
    assert "3 things will be gone." in asked[2]
    assert asked[1] == ""
    assert agreed[:2] == (0, "gone\n")


def test_a_nearly_right_subcommand_is_recognised(run):
    code, _, err = run("lits")

    assert code == Exit.USAGE
    assert "there is no 'lits'; did you mean 'list'?" in err


def test_help_names_the_subcommands_and_no_django_options(run):
    code, out, _ = run("--help")

    assert code == 0
    assert "fail-with" in out
    assert "Destroy something." in out
    assert "--pythonpath" not in out


def test_no_subcommand_is_a_usage_error(run):
    assert run()[0] == Exit.USAGE


def test_a_command_works_in_the_first_organization(run, organization, other_organization):
    assert run("where")[1] == "acme\n"
    assert run("where", "--organization", "globex")[1] == "globex\n"


def test_an_unknown_organization_is_not_found(run, organization):
    assert run("where", "--organization", "nowhere")[0] == Exit.NOT_FOUND


def test_without_an_organization_the_way_to_one_is_named(run, db):
    code, _, err = run("where")

    assert code == Exit.NOT_FOUND
    assert "organizations create" in err


def test_python_calls_get_the_exception(db):
    with pytest.raises(NotFound):
        call_command(Command(), "fail-with", "not-found")


def test_interrupts_end_as_shells_expect():
    assert Exit.INTERRUPTED == 128 + signal.SIGINT

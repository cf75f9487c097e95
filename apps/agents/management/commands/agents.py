import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apps.agents import lists, registry, selectors
from apps.agents.lists import Row
from apps.agents.models import AgentTrial
from apps.agents.registry import AgentType
from apps.agents.selectors import RoleState
from apps.agents.serializers.catalogue import agent_json
from apps.agents.serializers.definitions import document_in, file_of, version_json
from apps.agents.serializers.live import instance_json
from apps.agents.serializers.roles import prompt_json, role_json
from apps.agents.serializers.trials import trial_json
from apps.agents.services.definitions import Saved, save_agent
from apps.agents.services.execution import execute
from apps.agents.services.roles import reset_prompt, save_prompt
from apps.agents.services.trials import end_trial, start_trial
from apps.common import yaml
from apps.common.commands import OrchestraCommand, actor, argument, subcommand
from apps.common.documents import read_document
from apps.common.errors import BadRequest, Invalid
from apps.common.json import JSON


class Command(OrchestraCommand):
    help = "Shows and tries the agents that workflows can use."

    @subcommand(argument("--capability", help="only agents that can do this"))
    def list_(self, capability: str | None) -> None:
        """List the agents by name."""
        mine = self.organization.pk
        agents = registry.able_for(mine, capability) if capability else registry.all_for(mine)
        self.table(map(self._row, agents), ["name", "kind", "capabilities", "description"])

    @subcommand(argument("--capability", help="only those that can do this"))
    def instances(self, capability: str | None) -> None:
        """List the processes outside that serve agents."""
        found = selectors.instances()
        if capability:
            found = found.filter(capability_names__contains=[capability])
        rows = [_instance_row(row) for row in lists.rows(found)]
        self.table(rows, ["state", "name", "agent", "load", "beat", "ok_percent", "p95_ms", "usd_24h"])
        if not rows:
            self.note("No agent has joined from outside. docs/live-agents.md says how one does.")

    @subcommand(argument("name", metavar="NAME"))
    def show(self, name: str) -> None:
        """Show an agent with what it takes and gives, or a process outside with what it holds."""
        found = registry.get_for(self.organization.pk, name)
        if found.kind == "remote" and selectors.instances().filter(name=name).exclude(agent=name).exists():
            self._show_instance(name)
        else:
            self.show_value(agent_json(found))

    @subcommand(argument("name", metavar="NAME"))
    def drain(self, name: str) -> None:
        """Give a process outside nothing new; it finishes what it has."""
        self._act("drain", name)
        self.next_step(f"bin/manage agents show {name}")

    @subcommand(argument("name", metavar="NAME"))
    def resume(self, name: str) -> None:
        """Give a process outside tasks again."""
        self._act("resume", name)

    @subcommand(argument("name", metavar="NAME"))
    def disable(self, name: str) -> None:
        """Give a process outside nothing, and what it has to others."""
        self.confirm(f"'{name}' gets no more tasks, and those it has go to others at once.")
        self._act("disable", name)
        self.next_step(f"bin/manage agents resume {name}")

    @subcommand(
        argument("--capability", required=True, metavar="CAPABILITY", help="what has to be done"),
        argument("--input", metavar="JSON", help="the task: JSON, @FILE, or - for standard input"),
    )
    def route(self, capability: str, input: str | None) -> None:  # noqa: A002 - its argument
        """Explain which agent would get a task now, and why."""
        from apps.agents.services.merit import route

        choice = route(self.organization.pk, capability, read_document(input) if input else None)
        if self.json:
            self.print_json(choice.as_json())
            return
        shown = ["candidate", "score", "success", "calls", "latency_ms", "usd_per_call", "load", "breaker", "verdict"]
        self.table(choice.as_json()["candidates"], shown)
        self.note(choice.reason)

    @subcommand(
        argument("name", metavar="NAME"),
        argument("--input", default="{}", metavar="JSON", help="JSON, @FILE, or - for standard input"),
        argument("--config", metavar="JSON", help="JSON or @FILE"),
        argument("--timeout", type=float, default=300.0, metavar="SECONDS"),
        argument("--session", metavar="KEY", help="a conversation that the agent goes on with"),
    )
    def run(
        self,
        name: str,
        input: str,  # noqa: A002 - its argument
        config: str | None,
        timeout: float,
        session: str | None,
    ) -> None:
        """Run an agent once and print its output."""
        outcome = execute(
            registry.get_for(self.organization.pk, name),
            read_document(input),
            organization_id=self.organization.pk,
            config=read_document(config) if config else None,
            timeout=timeout,
            session=session,
        )
        if outcome.error:
            self.fail(f"{outcome.error['message']} ({outcome.error['code']})")
        self.print_json(outcome.output)

    def _show_instance(self, name: str) -> None:
        instance = selectors.find_instance(name)
        tasks = [{"task": str(one.pk), "state": one.state, "run": one.run_id} for one in lists.held(instance)]
        self.show_value({**instance_json(instance), "tasks": tasks})

    def _act(self, act: str, name: str) -> None:
        from apps.agents.services import live

        instance = live.ACTS[act](selectors.find_instance(name), by="cli")
        self.show_value(instance_json(selectors.find_instance(str(instance.pk))))

    @subcommand(argument("name", metavar="NAME"))
    def export(self, name: str) -> None:
        """Print an agent made of a prompt as YAML, as `save` takes it."""
        agent = selectors.find_agent(name)
        file = file_of(selectors.find_version(name, agent.latest_version))
        if self.json:
            self.print_json(file)
        else:
            self.stdout.write(yaml.dumps(file), ending="")

    @subcommand(
        argument("file", metavar="FILE", help="YAML or JSON with `name` and `agent`; - for standard input"),
        argument("--message", default="", help="what has changed"),
    )
    def save(self, file: str, message: str) -> None:
        """Make an agent of a file, or add a version to the one of that name."""
        saved = self._saved(_read(file), message)
        version = saved.version
        what = "Saved" if saved.is_new_version else "Nothing has changed:"
        if self.json:
            self.show_value(version_json(version))
        else:
            self.stdout.write(f"{what} version {version.number} of '{version.agent.name}'.")

    @subcommand(
        argument("name", metavar="NAME"),
        argument("--against", type=int, metavar="VERSION", help="start: the older version, for the rest of the visits"),
        argument("--percent", type=int, default=20, metavar="N", help="of the visits, for the newest version"),
        argument("--keep", type=int, metavar="VERSION", help="end it, and decide for this version"),
    )
    def trial(self, name: str, against: int | None, percent: int, keep: int | None) -> None:
        """Try the newest version of an agent on a share of its work, show how that goes, or end it."""
        mine = {"organization": self.organization, "name": name, "by": actor()}
        if against is not None and keep is not None:
            raise BadRequest("Give either --against or --keep.")
        if keep is not None:
            kept = end_trial(keep=keep, **mine)
            self.item(version_json(kept), f"The trial has ended. Version {kept.number} of '{name}' works.")
            return
        if against is not None:
            start_trial(against=against, percent=percent, **mine)
        self._show_trial(selectors.find_trial(name))

    def _show_trial(self, trial: AgentTrial) -> None:
        shown = trial_json(trial)
        if self.json:
            self.print_json(shown)
            return
        columns = ["version", "percent", "visits", "success", "turns_per_visit", "tokens_per_visit", "usd_per_visit"]
        self.table(map(_arm_row, shown["versions"]), columns)
        self.note(shown["verdict"])
        self.next_step(f"bin/manage agents trial {trial.agent.name} --keep {trial.candidate}")

    @subcommand()
    def roles(self) -> None:
        """List the roles, and which of their prompts have been edited."""
        rows = [role_json(state) for state in selectors.roles()]
        self.table(rows, ["role", "version", "is_built_in", "updated_by", "description"])
        self.next_step("bin/manage agents prompt ROLE")

    @subcommand(
        argument("role", metavar="ROLE"),
        argument("--file", metavar="FILE", help="make this the prompt; - for standard input"),
        argument("--message", default="", help="what has changed"),
        argument("--reset", action="store_true", help="have the built-in prompt work again"),
    )
    def prompt(self, role: str, file: str | None, message: str, reset: bool) -> None:
        """Print the prompt of a role, or change it for the organization."""
        if file is not None and reset:
            raise BadRequest("Give either --file or --reset.")
        if file is None and not reset:
            self._print_prompt(selectors.role_state(role))
            return
        mine = {"organization": self.organization, "role": role, "by": actor()}
        state = reset_prompt(**mine) if file is None else save_prompt(text=_text_in(file), message=message, **mine)
        what = "the built-in prompt" if state.is_built_in else f"version {state.version} of its prompt"
        self.item(role_json(state), f"'{state.role.name}' works with {what}.")

    def _print_prompt(self, state: RoleState) -> None:
        if self.json:
            self.print_json(prompt_json(state))
        else:
            self.stdout.write(state.text)

    def _saved(self, given: JSON, message: str) -> Saved:
        """What a file says, in the form that was exported, or flat with `name` among the fields."""
        if not isinstance(given, dict) or not isinstance(given.get("name"), str):
            raise Invalid("The file has no `name`: write `name: my-agent` as its first line.", code="invalid_agent")
        rest = {key: value for key, value in given.items() if key != "name"}
        return save_agent(
            organization=self.organization,
            name=given["name"],
            document=document_in(rest),
            by=actor(),
            message=message,
        )

    def _row(self, agent_type: AgentType) -> dict[str, Any]:
        if self.json:
            return dict(agent_json(agent_type))
        return {
            "name": agent_type.name,
            "kind": agent_type.kind,
            "capabilities": _short(", ".join(agent_type.capabilities), 40) or "-",
            "description": _short(agent_type.description.partition("\n")[0], 60),
        }


def _instance_row(row: Row) -> dict[str, Any]:
    return {
        "state": row.state,
        "name": row.instance.name,
        "agent": row.instance.agent,
        "load": f"{row.load}/{row.instance.max_concurrency}",
        "beat": f"{row.silence:.0f} s",
        "ok_percent": None if row.success is None else round(row.success * 100),
        "p95_ms": None if row.p95_ms is None else round(row.p95_ms),
        "usd_24h": round(row.usd_today, 4),
    }


def _arm_row(one: Mapping[str, Any]) -> dict[str, Any]:
    digits = {"success": 3, "turns_per_visit": 1, "tokens_per_visit": 0, "usd_per_visit": 6}
    kept = {name: None if one[name] is None else f"{one[name]:.{places}f}" for name, places in digits.items()}
    return {**one, **kept}


def _read(file: str) -> JSON:
    """What a file holds, YAML or JSON, which is YAML too."""
    try:
        return yaml.loads(sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes())
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror}.") from None


def _text_in(file: str) -> str:
    try:
        return (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).decode()
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadRequest(f"{file} is not text in UTF-8.") from None


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"

import sys
from pathlib import Path
from typing import Any

from apps.agents import registry, selectors
from apps.agents.registry import AgentType
from apps.agents.serializers.catalogue import agent_json
from apps.agents.serializers.definitions import document_in, file_of, version_json
from apps.agents.services.definitions import Saved, save_agent
from apps.agents.services.execution import execute
from apps.common import yaml
from apps.common.commands import OrchestraCommand, actor, argument, subcommand
from apps.common.documents import read_document
from apps.common.errors import BadRequest, Invalid
from apps.common.json import JSON


class Command(OrchestraCommand):
    help = "Shows and tries the agents that workflows can use."

    @subcommand(argument("--capability", help="only agents that can do this"), organization=False)
    def list_(self, capability: str | None) -> None:
        """List the agents by name."""
        agents = registry.by_capability(capability) if capability else registry.all()
        self.table(map(self._row, agents), ["name", "kind", "capabilities", "description"])

    @subcommand(argument("name", metavar="NAME"), organization=False)
    def show(self, name: str) -> None:
        """Show an agent with what it takes and gives."""
        self.show_value(agent_json(registry.get(name)))

    @subcommand(
        argument("name", metavar="NAME"),
        argument("--input", default="{}", metavar="JSON", help="JSON, @FILE, or - for standard input"),
        argument("--config", metavar="JSON", help="JSON or @FILE"),
        argument("--timeout", type=float, default=300.0, metavar="SECONDS"),
    )
    def run(self, name: str, input: str, config: str | None, timeout: float) -> None:  # noqa: A002 - its argument
        """Run an agent once and print its output."""
        outcome = execute(
            registry.get_for(self.organization.pk, name),
            read_document(input),
            organization_id=self.organization.pk,
            config=read_document(config) if config else None,
            timeout=timeout,
        )
        if outcome.error:
            self.fail(f"{outcome.error['message']} ({outcome.error['code']})")
        self.print_json(outcome.output)

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


def _read(file: str) -> JSON:
    """What a file holds, YAML or JSON, which is YAML too."""
    try:
        return yaml.loads(sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes())
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror}.") from None


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"

from typing import Any

from apps.agents import registry
from apps.agents.registry import AgentType
from apps.agents.serializers.catalogue import agent_json
from apps.agents.services.execution import execute
from apps.common.commands import OrchestraCommand, argument, subcommand
from apps.common.documents import read_document


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
            registry.get(name),
            read_document(input),
            organization_id=self.organization.pk,
            config=read_document(config) if config else None,
            timeout=timeout,
        )
        if outcome.error:
            self.fail(f"{outcome.error['message']} ({outcome.error['code']})")
        self.print_json(outcome.output)

    def _row(self, agent_type: AgentType) -> dict[str, Any]:
        if self.json:
            return dict(agent_json(agent_type))
        return {
            "name": agent_type.name,
            "kind": agent_type.kind,
            "capabilities": _short(", ".join(agent_type.capabilities), 40) or "-",
            "description": _short(agent_type.description.partition("\n")[0], 60),
        }


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"

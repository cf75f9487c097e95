from typing import Any

from apps.common.commands import OrchestraCommand, argument, subcommand
from apps.common.documents import read_document
from apps.integrations import registry
from apps.integrations.serializers.tools import tool_json
from apps.integrations.services.calls import call
from apps.integrations.tools import Tool


class Command(OrchestraCommand):
    help = "Shows and tries the tools that workflows and agents can use."

    @subcommand()
    def list_(self) -> None:
        """List the tools by name."""
        self.table(map(self._row, registry.all(self.organization.pk)), ["name", "effect", "description"])

    @subcommand(argument("name", metavar="NAME"))
    def show(self, name: str) -> None:
        """Show a tool with what it takes and gives."""
        self.show_value(tool_json(registry.get(name, self.organization.pk)))

    @subcommand(
        argument("name", metavar="NAME"),
        argument("--input", default="{}", metavar="JSON", help="JSON, @FILE, or - for standard input"),
        argument("--timeout", type=float, default=60.0, metavar="SECONDS"),
    )
    def invoke(self, name: str, input: str, timeout: float) -> None:  # noqa: A002 - its argument
        """Call a tool and print its output."""
        tool = registry.get(name, self.organization.pk)
        outcome = call(tool, read_document(input), organization_id=self.organization.pk, timeout=timeout)
        if outcome.error:
            self.fail(f"{outcome.error['message']} ({outcome.error['code']})")
        self.print_json(outcome.output)

    def _row(self, tool: Tool) -> dict[str, Any]:
        if self.json:
            return dict(tool_json(tool))
        return {"name": tool.name, "effect": tool.effect, "description": tool.description.partition("\n")[0]}

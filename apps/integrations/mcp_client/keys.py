"""What a server is sent to prove who asks: the one place that knows where that is kept."""

from apps.integrations.models import McpServer
from apps.integrations.services import secrets


def headers_of(server: McpServer) -> dict[str, str]:
    """Give the headers that go with every request to the server; raises CannotOpen for a key that does not open."""
    return {} if server.secret is None else {"Authorization": f"Bearer {secrets.opened(server.secret)}"}

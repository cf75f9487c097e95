"""The one way out to the network: whatever a user, a workflow or a model names as a URL is fetched through here."""

from apps.integrations.egress.fetching import Response, fetch, may_be_out
from apps.integrations.egress.rules import EgressRefused
from apps.integrations.egress.transport import checked_transport, client

__all__ = ["EgressRefused", "Response", "checked_transport", "client", "fetch", "may_be_out"]

"""How a workflow is offered to other people's programs, as the API shows it."""

from django.conf import settings
from pydantic import BaseModel
from rest_framework import serializers

from apps.common.json import JSON
from apps.common.serializers import StrictSerializer
from apps.workflows.models import OfferedWorkflow
from apps.workflows.models.offers import LONGEST_NAME


class OfferSerializer(StrictSerializer):
    """How to offer a workflow."""

    name = serializers.CharField(
        max_length=LONGEST_NAME, required=False, help_text="Of the tool and the agent; without it, made of its own."
    )


class OfferView(BaseModel):
    """Whether and how programs may run a workflow over MCP and A2A."""

    offered: bool
    name: str | None
    mcp_url: str | None
    a2a_url: str | None


def offer_view(offer: OfferedWorkflow | None) -> dict[str, JSON]:
    """How a workflow is offered."""
    if offer is None:
        return OfferView(offered=False, name=None, mcp_url=None, a2a_url=None).model_dump()
    base = settings.ORCHESTRA_BASE_URL.rstrip("/")
    view = OfferView(offered=True, name=offer.name, mcp_url=f"{base}/mcp", a2a_url=f"{base}/a2a/{offer.name}")
    return view.model_dump()

"""Offering workflows to other people's programs."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.common.serializers import checked
from apps.workflows import selectors
from apps.workflows.serializers.offers import OfferSerializer, OfferView, offer_view
from apps.workflows.services import offers


class OneOfferView(OrganizationView):
    """Whether programs may run a workflow over MCP and A2A."""

    @extend_schema(responses={200: OfferView}, operation_id="get_offer")
    def get(self, _request: Request, ref: str) -> Response:
        """Show whether the workflow is offered, and where."""
        return Response(offer_view(selectors.offer_of(selectors.find_workflow(ref))))

    @extend_schema(request=OfferSerializer, responses={200: OfferView}, operation_id="offer_workflow")
    def put(self, request: Request, ref: str) -> Response:
        """Offer the published version as a tool (MCP) and an agent (A2A) to whoever has a key that may run."""
        name = checked(OfferSerializer, request).get("name", "")
        workflow = selectors.find_workflow(ref)
        return Response(offer_view(offers.offer_workflow(workflow, name=name, by=self.access.actor)))

    @extend_schema(responses={204: None}, operation_id="withdraw_workflow")
    def delete(self, _request: Request, ref: str) -> Response:
        """Offer the workflow no more; runs that were started go on."""
        offers.withdraw_workflow(selectors.find_workflow(ref))
        return Response(status=204)

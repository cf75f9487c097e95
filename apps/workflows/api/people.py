"""What runs ask of the world outside: decisions and events."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import Answer, run_once
from apps.common.openapi import page_of
from apps.common.pagination import paginate
from apps.common.parameters import LISTING, choice, many
from apps.common.serializers import StrictSerializer, checked
from apps.workflows import selectors
from apps.workflows.models import Approval
from apps.workflows.serializers.runs import ApprovalView, approval_view
from apps.workflows.services import approvals, signals

STATUS = many(
    choice(*Approval.Status.values, description="Questions with one of these statuses; without it the open ones.")
)


class DecisionSerializer(StrictSerializer):
    """A decision."""

    decision = serializers.ChoiceField(choices=list(approvals.DECISIONS))
    data = serializers.DictField(required=False, default=dict, help_text="What the form asks for.")  # type: ignore[assignment]
    comment = serializers.CharField(required=False, default="", allow_blank=True, max_length=5000)


class ApprovalsView(OrganizationView):
    """The questions to people."""

    query = {"GET": {**LISTING, "status": STATUS}}

    @extend_schema(responses={200: page_of(ApprovalView)}, operation_id="list_approvals")
    def get(self, request: Request) -> Response:
        """List the open questions, the newest first."""
        statuses = self.query_values["status"] or [Approval.Status.OPEN]
        return paginate(selectors.approvals(statuses=statuses), request, serialize=approval_view)


class OneApprovalView(OrganizationView):
    """One question."""

    capabilities = {"GET": "view", "POST": "run"}

    @extend_schema(responses={200: ApprovalView}, operation_id="get_approval")
    def get(self, _request: Request, ref: str) -> Response:
        """Show a question with its form."""
        return Response(approval_view(selectors.find_approval(ref)))

    @extend_schema(request=DecisionSerializer, responses={200: ApprovalView}, operation_id="decide_approval")
    def post(self, request: Request, ref: str) -> Response:
        """Approve, reject, or send back with a comment; the first decision counts, a second one is a 409.

        `decisions` of the question says which there are: `send_back` needs an edge with that route.
        """
        wanted = checked(DecisionSerializer, request)
        approval = selectors.find_approval(ref)

        def work() -> Answer:
            approvals.decide_approval(approval, by=self.access.actor, **wanted)
            return 200, approval_view(selectors.find_approval(str(approval.pk)))

        return run_once(request, work)


class SignalView(OrganizationView):
    """An event for a run."""

    capabilities = {"POST": "run"}

    @extend_schema(request=OpenApiTypes.ANY, responses={202: OpenApiTypes.OBJECT}, operation_id="send_signal")
    def post(self, request: Request, ref: str, event: str) -> Response:
        """Deliver an event to the node that waits for it; one that comes early is kept. The body is its payload."""
        run = selectors.find_run(ref)
        payload = request.data

        def work() -> Answer:
            taken = signals.send_signal(run.pk, event, payload, by=self.access.actor)
            return 202, {"run": str(run.pk), "event": event, "delivered": taken}

        return run_once(request, work)

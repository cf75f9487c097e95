"""Versions of an agent on trial."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.agents import selectors
from apps.agents.serializers.definitions import AgentVersionSerializer, version_json
from apps.agents.serializers.trials import EndTrialSerializer, StartTrialSerializer, TrialSerializer, trial_json
from apps.agents.services.trials import end_trial, start_trial
from apps.common.serializers import checked


class TrialView(OrganizationView):
    """The trial that is going on."""

    capabilities = {"GET": "view", "PUT": "edit"}

    @extend_schema(responses={200: TrialSerializer}, operation_id="get_agent_trial")
    def get(self, _request: Request, name: str) -> Response:
        """Show what both versions have made of their visits so far; 404 `no_trial` where none is on trial."""
        return Response(trial_json(selectors.find_trial(name)))

    @extend_schema(
        request=StartTrialSerializer,
        responses={200: TrialSerializer, 201: TrialSerializer},
        operation_id="start_agent_trial",
    )
    def put(self, request: Request, name: str) -> Response:
        """Give the newest version a share of the agent's visits and an older one the rest.

        201 for a new trial, 200 where the same two are on trial already and only the share changes.
        """
        asked = checked(StartTrialSerializer, request)
        began = start_trial(
            organization=self.access.organization,
            name=name,
            against=asked["against"],
            percent=asked["percent"],
            by=self.access.actor,
        )
        return Response(trial_json(began.trial), status=201 if began.is_new else 200)


class EndTrialView(OrganizationView):
    """The end of a trial."""

    @extend_schema(request=EndTrialSerializer, responses={200: AgentVersionSerializer}, operation_id="end_agent_trial")
    def post(self, request: Request, name: str) -> Response:
        """Decide for one of both versions, and show the one that works from now on.

        The older one is saved as a new version.
        """
        keep = checked(EndTrialSerializer, request)["keep"]
        kept = end_trial(organization=self.access.organization, name=name, keep=keep, by=self.access.actor)
        return Response(version_json(kept))

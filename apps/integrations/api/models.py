"""The language models that can be asked."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import HEADER, Answer, run_once
from apps.common.etags import digest, etag, require_match
from apps.common.listing import BY_NAME, paginate_by_name
from apps.common.openapi import page_of
from apps.common.serializers import checked
from apps.common.transactions import allow_idle
from apps.integrations import selectors
from apps.integrations.serializers.models import (
    ModelChangeSerializer,
    ModelSerializer,
    ModelView,
    TrialView,
    all_models,
    model_view,
    trial_json,
)
from apps.integrations.services import model_settings as services
from apps.integrations.services.model_trials import MOST_SECONDS, try_model

CAPABILITIES = {"GET": "view", "POST": "manage", "PATCH": "manage", "DELETE": "manage"}


class ModelsView(OrganizationView):
    """All models."""

    capabilities = CAPABILITIES
    query = {"GET": BY_NAME}

    @extend_schema(responses={200: page_of(ModelView)}, operation_id="list_models")
    def get(self, request: Request) -> Response:
        """List the models that are set up and those that code brings, by name, with prices and the default."""
        return paginate_by_name(
            all_models(), request, name=lambda view: view.name, serialize=lambda view: view.model_dump(mode="json")
        )

    @extend_schema(request=ModelSerializer, responses={201: ModelView}, operation_id="add_model")
    def post(self, request: Request) -> Response:
        """Set up a model of a provider under a name of your own."""
        wanted = checked(ModelSerializer, request)
        return run_once(request, lambda: self._add(wanted))

    def _add(self, wanted: dict[str, Any]) -> Answer:
        setting = services.add_model(self.access.organization, **wanted)
        return 201, model_view(setting.name).model_dump(mode="json")


class OneModelView(OrganizationView):
    """One model, by its name."""

    capabilities = CAPABILITIES

    @extend_schema(responses={200: ModelView}, operation_id="get_model")
    def get(self, _request: Request, name: str) -> Response:
        """Show a model; `<provider>/<model>` is one too. Its ETag guards a change."""
        return _shown(model_view(name))

    @extend_schema(request=ModelChangeSerializer, responses={200: ModelView}, operation_id="change_model")
    def patch(self, request: Request, name: str) -> Response:
        """Change what holds for a model that is set up; its name stays, as nodes and agents say it."""
        setting = selectors.find_model(name)
        require_match(request, model_etag(model_view(name)))
        services.change_model(setting, checked(ModelChangeSerializer, request))
        return _shown(model_view(name))

    @extend_schema(responses={204: None}, operation_id="delete_model")
    def delete(self, request: Request, name: str) -> Response:
        """Delete what is set up for a model; where a fallback or a budget names it that is a 409."""
        setting = selectors.find_model(name)
        require_match(request, model_etag(model_view(name)))
        services.delete_model(setting)
        return Response(status=204)


class TestModelView(OrganizationView):
    """Trying a model."""

    capabilities = {"POST": "manage"}
    throttle_group = "run"

    @extend_schema(request=None, responses={200: TrialView}, operation_id="test_model")
    def post(self, request: Request, name: str) -> Response:
        """Ask the model one short question and tell what came of it.

        It is asked once, and none of its fallbacks. A model that does not answer is an answer with the status
        `failed` and the reason.
        """
        if HEADER not in request.headers:
            return Response(self._try(name)[1])
        return run_once(request, lambda: self._once(name))

    def _once(self, name: str) -> Answer:
        allow_idle(MOST_SECONDS + 10)
        return self._try(name)

    def _try(self, name: str) -> Answer:
        return 200, trial_json(try_model(self.access.organization.pk, name, self.access.actor))


def model_etag(view: ModelView) -> str:
    """Give the ETag of what holds for a model."""
    return etag(digest(view.model_copy(update={"last_used_at": None}).model_dump(mode="json")))


def _shown(view: ModelView) -> Response:
    return Response(view.model_dump(mode="json"), headers={"ETag": model_etag(view)})

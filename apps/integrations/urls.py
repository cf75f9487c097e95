"""The addresses of tools, models and the outbox."""

from django.urls import path

from apps.integrations.api import model_providers as provider_api
from apps.integrations.api import models as model_api
from apps.integrations.api import tools as api
from apps.integrations.views import catalogue, model_providers, models

pages = [
    path("tools", catalogue.catalogue, name="tools"),
    path("tools/<str:name>", catalogue.tool, name="tool"),
    path("settings/models", models.models, name="settings_models"),
    path("settings/new-model", models.new_model, name="new_model"),
    path("settings/models/<path:name>/test", models.test_model, name="test_model"),
    path("settings/models/<str:name>/default", models.make_default, name="make_default_model"),
    path("settings/models/<str:name>/remove", models.remove_model, name="remove_model"),
    path("settings/models/<str:name>", models.edit_model, name="edit_model"),
    path("settings/model-providers/<str:name>/default", models.first_model, name="first_model"),
    path("settings/model-providers/<str:name>/remove", model_providers.remove_provider, name="remove_provider"),
    path("settings/model-providers/<str:name>", model_providers.provider, name="model_provider"),
]

urlpatterns = [
    *pages,
    path("v1/tools", api.ToolsView.as_view()),
    path("v1/tools/<str:name>", api.ToolView.as_view()),
    path("v1/tools/<str:name>/invoke", api.InvokeToolView.as_view()),
    path("v1/model-providers", provider_api.ProvidersView.as_view()),
    path("v1/model-providers/<str:ref>", provider_api.OneProviderView.as_view()),
    path("v1/models", model_api.ModelsView.as_view()),
    path("v1/models/<path:name>/test", model_api.TestModelView.as_view()),
    path("v1/models/<path:name>", model_api.OneModelView.as_view()),
    path("v1/outbox", api.OutboxView.as_view()),
    path("v1/outbox/<str:ref>", api.OutboxMessageView.as_view()),
]

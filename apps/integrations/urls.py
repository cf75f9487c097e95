"""The addresses of tools, models and the outbox."""

from django.urls import path

from apps.integrations import api
from apps.integrations.views import catalogue, models

pages = [
    path("tools", catalogue.catalogue, name="tools"),
    path("tools/<str:name>", catalogue.tool, name="tool"),
    path("settings/models", models.models, name="settings_models"),
]

urlpatterns = [
    *pages,
    path("v1/tools", api.ToolsView.as_view()),
    path("v1/tools/<str:name>", api.ToolView.as_view()),
    path("v1/tools/<str:name>/invoke", api.InvokeToolView.as_view()),
    path("v1/outbox", api.OutboxView.as_view()),
    path("v1/outbox/<str:ref>", api.OutboxMessageView.as_view()),
]

from django.urls import path

from apps.integrations import api

urlpatterns = [
    path("v1/tools", api.ToolsView.as_view()),
    path("v1/tools/<str:name>", api.ToolView.as_view()),
    path("v1/tools/<str:name>/invoke", api.InvokeToolView.as_view()),
    path("v1/outbox", api.OutboxView.as_view()),
    path("v1/outbox/<str:ref>", api.OutboxMessageView.as_view()),
]

"""The addresses of the documentation, new and old."""

from django.urls import path

from apps.common.views import openapi_document, redoc, swagger

urlpatterns = [
    path("v1/openapi.json", openapi_document),
    path("v1/docs", swagger, name="docs"),
    path("v1/redoc", redoc, name="redoc"),
    path("docs", swagger),
    path("redoc", redoc),
]

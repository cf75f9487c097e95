"""The language models that this installation knows: a section of the settings."""

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from apps.accounts.pages import PageRequest, page
from apps.accounts.views.settings.sections import show
from apps.integrations.language_models import registry


@require_safe
@page()
def models(request: PageRequest) -> HttpResponse:
    """List the models, and say what cannot be set up yet."""
    return show(request, "models", {"models": list(registry.all())})

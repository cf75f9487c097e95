"""A provider of models: its key, its address, and its end."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, page
from apps.common.errors import Conflict, Invalid
from apps.common.form_errors import put_errors
from apps.integrations import selectors
from apps.integrations.forms import ProviderChangeForm
from apps.integrations.language_models.providers import label_of
from apps.integrations.models import ModelProvider
from apps.integrations.services import model_providers as services


@require_http_methods(["GET", "HEAD", "POST"])
@page(Capability.MANAGE)
def provider(request: PageRequest, name: str) -> HttpResponse:
    """Replace the key of a provider, or its address."""
    shown = selectors.find_provider(name)
    if request.method != "POST":
        return _show(request, shown, ProviderChangeForm(initial={"base_url": shown.base_url}))
    form = ProviderChangeForm(request.POST)
    if form.is_valid():
        try:
            services.change_provider(shown, _changes(form.cleaned_data))
            messages.success(request, f"{shown.name} was changed.")
            return HttpResponseRedirect(reverse("settings_models"))
        except Invalid as refused:
            put_errors(form, refused)
    return _show(request, shown, form, status=422)


@require_POST
@page(Capability.MANAGE)
def remove_provider(request: PageRequest, name: str) -> HttpResponse:
    """Delete a provider with its key, and with the models that the page has named."""
    shown = selectors.find_provider(name)
    try:
        services.delete_provider(shown, with_models="with_models" in request.POST)
    except Conflict as refused:
        form = ProviderChangeForm(initial={"base_url": shown.base_url})
        return _show(request, shown, form, status=refused.status, refused=refused.detail)
    messages.success(request, f"{shown.name} was removed.")
    return HttpResponseRedirect(reverse("settings_models"))


def _changes(sent: dict[str, Any]) -> dict[str, Any]:
    """What is changed: an empty key is none that was typed."""
    return {"base_url": sent["base_url"].strip()} | ({"key": sent["key"]} if sent["key"] else {})


def _show(
    request: PageRequest, shown: ModelProvider, form: ProviderChangeForm, status: int = 200, refused: str = ""
) -> HttpResponse:
    context = {
        "provider": shown,
        "label": label_of(shown.kind),
        "models": sorted(one.name for one in shown.settings.all()),
        "form": form,
        "refused": refused,
    }
    return render(request, "integrations/model_provider.html", context, status=status)

"""The language models of an organization: a section of the settings."""

import re
from itertools import count
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.access import bucket, refuse_excess
from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, is_fragment, page
from apps.accounts.views.settings.sections import show
from apps.common import limits
from apps.common.errors import Conflict, Invalid
from apps.common.form_errors import put_errors
from apps.integrations import selectors
from apps.integrations.forms import ModelForm, ProviderForm, initial_of
from apps.integrations.language_models import registry
from apps.integrations.language_models.prices import known_models
from apps.integrations.language_models.providers import label_of
from apps.integrations.models import ModelProvider, ModelSetting
from apps.integrations.serializers.models import all_models
from apps.integrations.services import model_providers, model_settings
from apps.integrations.services.model_trials import try_model

MOST_OFFERED = 400  # models of a provider; a person may type any other


@require_http_methods(["GET", "HEAD", "POST"])
@page()
def models(request: PageRequest) -> HttpResponse:
    """List the providers and models, or add a provider."""
    if request.method != "POST":
        return _list(request)
    request.access.require(Capability.MANAGE)
    form = ProviderForm(request.POST)
    if form.is_valid():
        try:
            provider = model_providers.add_provider(request.access.organization, **form.cleaned_data)
            return HttpResponseRedirect(f"{reverse('settings_models')}?added={provider.name}")
        except (Invalid, Conflict) as refused:
            put_errors(form, refused)
    return _list(request, {"provider_form": form}, status=422)


@require_POST
@page(Capability.MANAGE)
def first_model(request: PageRequest, name: str) -> HttpResponse:
    """Take a model of a provider as the default, under a name of its own."""
    provider = selectors.find_provider(name)
    model = request.POST.get("model", "").strip()[:200]
    try:
        if not model:
            raise Invalid("Choose a model, or type its name.")
        added = model_settings.add_model(
            request.access.organization, name=_free_name(model), provider=provider.name, model=model, is_default=True
        )
    except (Invalid, Conflict) as refused:
        return _list(request, {**_offered(provider), "offer_error": refused.detail, "typed": model}, status=422)
    messages.success(request, f"{added.name} is the default now. Test it to see whether it answers.")
    return HttpResponseRedirect(f"{reverse('settings_models')}#model-{added.name}")


@require_http_methods(["GET", "HEAD", "POST"])
@page(Capability.MANAGE)
def new_model(request: PageRequest) -> HttpResponse:
    """Set up a model."""
    providers = list(selectors.providers())
    chosen = next((one for one in providers if one.name == request.GET.get("provider")), None) or _first(providers)
    if request.method != "POST":
        form = ModelForm(providers, initial={"provider": chosen.name if chosen else ""})
        return _form(request, form, None, chosen)
    form = ModelForm(providers, request.POST)
    if form.is_valid():
        try:
            added = model_settings.add_model(request.access.organization, **form.cleaned_data)
            return _done(request, f"{added.name} is set up.")
        except (Invalid, Conflict) as refused:
            put_errors(form, refused)
    return _form(request, form, None, chosen, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
@page(Capability.MANAGE)
def edit_model(request: PageRequest, name: str) -> HttpResponse:
    """Change what holds for a model."""
    setting = selectors.find_model(name)
    providers = list(selectors.providers())
    if request.method != "POST":
        form = ModelForm(providers, is_new=False, initial=initial_of(setting))
        return _form(request, form, setting, setting.provider)
    form = ModelForm(providers, request.POST, is_new=False)
    if form.is_valid():
        try:
            model_settings.change_model(setting, form.cleaned_data)
            return _done(request, f"{name} was changed.")
        except (Invalid, Conflict) as refused:
            put_errors(form, refused)
    return _form(request, form, setting, setting.provider, status=422)


@require_POST
@page(Capability.MANAGE)
def make_default(request: PageRequest, name: str) -> HttpResponse:
    """Have a model asked where none is named."""
    model_settings.change_model(selectors.find_model(name), {"is_default": True})
    return _done(request, f"{name} is the default now.")


@require_POST
@page(Capability.MANAGE)
def remove_model(request: PageRequest, name: str) -> HttpResponse:
    """Delete what is set up for a model."""
    try:
        model_settings.delete_model(selectors.find_model(name))
    except Conflict as refused:
        return _list(request, {"refused": refused.detail}, status=refused.status)
    return _done(request, f"{name} was removed.")


@require_POST
@page(Capability.MANAGE)
def test_model(request: PageRequest, name: str) -> HttpResponse:
    """Ask a model one short question and show what came of it."""
    refuse_excess(limits.hit([bucket("run", f"caller:{request.user.pk}")]))
    trial = try_model(request.access.organization.pk, name, request.access.actor)
    if is_fragment(request):
        return render(request, "integrations/_model_trial.html", {"trial": trial})
    return _list(request, {"trial": trial})


def _list(request: PageRequest, context: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
    """The section; what was just added is asked for its default model."""
    providers = list(selectors.providers())
    added = next((one for one in providers if one.name == request.GET.get("added")), None)
    may_manage = request.access.can(Capability.MANAGE)
    shown = {
        "providers": [(one, label_of(one.kind), sorted(each.name for each in one.settings.all())) for one in providers],
        "models": all_models(),
        "provider_form": ProviderForm(initial={"kind": "openai"}),
        **(_offered(added) if added and may_manage else {}),
        **(context or {}),
    }
    return show(request, "models", shown, status)


def _offered(provider: ModelProvider) -> dict[str, Any]:
    return {
        "added": provider,
        "added_label": label_of(provider.kind),
        "known": known_models(provider.kind)[:MOST_OFFERED],
    }


def _form(
    request: PageRequest,
    form: ModelForm,
    setting: ModelSetting | None,
    provider: ModelProvider | None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "form": form,
        "setting": setting,
        "known": known_models(provider.kind)[:MOST_OFFERED] if provider else [],
    }
    return render(request, "integrations/model_form.html", context, status=status)


def _done(request: PageRequest, said: str) -> HttpResponse:
    messages.success(request, said)
    return HttpResponseRedirect(reverse("settings_models"))


def _first(providers: list[ModelProvider]) -> ModelProvider | None:
    return providers[0] if providers else None


def _free_name(model: str) -> str:
    """A name like the model's own, that nothing else has."""
    plain = re.sub(r"[^\w.:@+-]+", "-", model.rpartition("/")[2], flags=re.ASCII).strip("-.:@+")[:90] or "model"
    taken = {*ModelSetting.objects.values_list("name", flat=True), *(one.name for one in registry.all()), "default"}
    return next(name for number in count(1) if (name := plain if number == 1 else f"{plain}-{number}") not in taken)

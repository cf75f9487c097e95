"""The language models of an organization: a section of the settings."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.access import bucket, refuse_excess
from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, is_fragment, page
from apps.accounts.selectors import managers
from apps.accounts.views.settings.sections import show
from apps.common import limits
from apps.common.errors import Conflict, Invalid
from apps.common.form_errors import put_errors
from apps.integrations import selectors
from apps.integrations.forms import FirstModelForm, ModelForm, ProviderForm, initial_of
from apps.integrations.language_models.prices import known_models
from apps.integrations.language_models.providers import KINDS, kind_of, label_of, others
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
        return show_models(request)
    request.access.require(Capability.MANAGE)
    form = ProviderForm(request.POST)
    if form.is_valid():
        try:
            provider = model_providers.add_provider(request.access.organization, **form.cleaned_data)
            return HttpResponseRedirect(f"{reverse('settings_models')}?added={provider.name}")
        except (Invalid, Conflict) as refused:
            put_errors(form, refused)
    return show_models(request, {"provider_form": form}, status=422)


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
        return show_models(request, {"refused": refused.detail}, status=refused.status)
    return _done(request, f"{name} was removed.")


@require_POST
@page(Capability.MANAGE)
def test_model(request: PageRequest, name: str) -> HttpResponse:
    """Ask a model one short question and show what came of it."""
    refuse_many_questions(request)
    trial = try_model(request.access.organization.pk, name, request.access.actor)
    if is_fragment(request):
        return render(request, "integrations/_model_trial.html", {"trial": trial})
    return show_models(request, {"trial": trial})


def refuse_many_questions(request: PageRequest) -> None:
    """Raise RateLimited for who has started too much: a test counts as a run."""
    refuse_excess(limits.hit([bucket("run", f"caller:{request.user.pk}")]))


def show_models(request: PageRequest, context: dict[str, Any] | None = None, status: int = 200) -> HttpResponse:
    """Show the section. Without a default model it asks for one, and what was just added is asked for its own."""
    providers, listed = list(selectors.providers()), all_models()
    default = next((one for one in listed if one.is_default), None)
    context, may_manage = context or {}, request.access.can(Capability.MANAGE)
    is_first = may_manage and not providers and "provider_form" not in context
    shown: dict[str, Any] = {
        "providers": [(one, label_of(one.kind), sorted(each.name for each in one.settings.all())) for one in providers],
        "models": listed,
        "has_own": default is not None and default.source == "setting",
        "ready": default if default and default.name == request.GET.get("ready") else None,
        "managers": [] if may_manage else managers(),
        **(beginning(request.GET.get("kind", "")) if is_first else {}),
        "provider_form": ProviderForm(initial={"kind": "openai"}),
        **context,
    }
    added = next((one for one in providers if one.name == request.GET.get("added")), None)
    asked = added or (None if shown["has_own"] else _first(providers))
    if may_manage and asked and "added" not in shown:
        shown |= offered(asked)
    return show(request, "models", shown, status)


def offered(provider: ModelProvider) -> dict[str, Any]:
    """Give what the page needs to ask for a provider's default model."""
    return {
        "added": provider,
        "typed": kind_of(provider.kind).begin_with,
        "known": _known(provider.kind),
    }


def beginning(chosen: str, form: FirstModelForm | None = None) -> dict[str, Any]:
    """Give what the page needs to ask for the first provider, of a kind that may be chosen already."""
    kind = kind_of(chosen) if chosen in {*KINDS, *others()} else next(iter(KINDS.values()))
    form = form or FirstModelForm(initial={"kind": kind.name, "model": kind.begin_with})
    return {"first_form": form, "kind": kind, "known": _known(kind.name)}


def _known(kind: str) -> list[str]:
    return known_models(kind)[:MOST_OFFERED]


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
        "known": _known(provider.kind) if provider else [],
    }
    return render(request, "integrations/model_form.html", context, status=status)


def _done(request: PageRequest, said: str) -> HttpResponse:
    messages.success(request, said)
    return HttpResponseRedirect(reverse("settings_models"))


def _first(providers: list[ModelProvider]) -> ModelProvider | None:
    return providers[0] if providers else None

"""The first model of an organization: a key, and the model that is the default when it has answered."""

from urllib.parse import quote

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, page
from apps.common.errors import Conflict, DomainError, Invalid
from apps.common.form_errors import put_errors
from apps.integrations import selectors
from apps.integrations.forms import FirstModelForm
from apps.integrations.services import first_models
from apps.integrations.services.first_models import Begun
from apps.integrations.views.models import beginning, offered, refuse_many_questions, show_models

LONGEST_ANSWER = 120  # of what is shown of it


@require_POST
@page(Capability.MANAGE)
def begin(request: PageRequest) -> HttpResponse:
    """Ask a model with a key, and keep both when it answers."""
    form = FirstModelForm(request.POST)
    if form.is_valid():
        refuse_many_questions(request)
        sent, caller = form.cleaned_data, request.access.actor
        try:
            return _answer(request, first_models.begin_with(request.access.organization, **sent, caller=caller))
        except (Invalid, Conflict) as refused:
            put_errors(form, refused)
    return show_models(request, beginning(request.POST.get("kind", ""), form), status=422)


@require_POST
@page(Capability.MANAGE)
def choose(request: PageRequest, name: str) -> HttpResponse:
    """Make a model of a provider the default when it has answered; or untested, where that is wanted."""
    provider, model = selectors.find_provider(name), request.POST.get("model", "").strip()[:200]
    untested, caller = "untested" in request.POST, request.access.actor
    if not untested:
        refuse_many_questions(request)
    try:
        begun = first_models.choose_default(provider, model, caller=caller, untested=untested)
    except (Invalid, Conflict) as refused:
        problem = {**offered(provider), "typed": model, "offer_error": _words(refused)}
        return show_models(request, problem, status=422)
    return _answer(request, begun)


def _answer(request: PageRequest, begun: Begun) -> HttpResponse:
    """Show the default model, or ask for another one where it did not answer."""
    trial, model = begun.trial, begun.model
    if model is None:
        typed = trial.model.removeprefix(f"{begun.provider.name}/")
        problem = {**offered(begun.provider), "typed": typed, "offer_error": trial.problem}
        return show_models(request, problem, status=422)
    said = f"answered “{trial.text[:LONGEST_ANSWER]}” and" if trial.text else ""
    messages.success(request, " ".join(f"{model.name} {said} is the default now.".split()))
    return HttpResponseRedirect(f"{reverse('settings_models')}?ready={quote(model.name)}")


def _words(refused: DomainError) -> str:
    return " ".join(item.message for item in refused.errors) or refused.detail

"""The channels between agents: what is on them, who lags behind, and what nobody could handle."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import Capability
from apps.accounts.pages import PageRequest, is_fragment, page
from apps.agents.bus import dead_letters as letters
from apps.agents.bus import exchange as bus
from apps.agents.bus import overview
from apps.agents.bus.channels import create
from apps.agents.bus.forms import ChannelForm
from apps.agents.models import Channel, ChannelMessage
from apps.common import json
from apps.common.errors import BadRequest, Conflict, Fatal, TooLarge
from apps.common.form_errors import put_errors
from apps.common.outcomes import invalid_request
from apps.common.pagination import page_of_rows
from apps.common.redaction import redact_value
from apps.common.validation import InvalidInput

MOST_MESSAGES = 20
MOST_LETTERS = 20
MOST_CHARACTERS = 200  # of a payload in a row
SAID = {"redeliver": "Delivered again.", "discard": "Discarded."}


@require_safe
@page()
def channels(request: PageRequest) -> HttpResponse:
    """List the channels; htmx asks for the list alone, again and again."""
    cursor = request.GET.get("cursor") or None
    found = page_of_rows(overview.channels(), sort="name", sorts={"name": ("name",)}, cursor=cursor)
    context = {
        "rows": [_row(channel) for channel in found.rows],
        "next_cursor": found.next_cursor,
        "cursor": cursor,
        "may_edit": request.access.can(Capability.EDIT),
    }
    return render(request, "agents/_channel_list.html" if is_fragment(request) else "agents/channels.html", context)


@require_safe
@page()
def channel(request: PageRequest, name: str) -> HttpResponse:
    """Show a channel: its groups, its dead letters and its last messages; htmx asks for them again and again."""
    return _page(request, name)


@require_http_methods(["GET", "HEAD", "POST"])
@page(Capability.EDIT)
def new(request: PageRequest) -> HttpResponse:
    """Make a channel."""
    form = ChannelForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid() and (made := _made(request, form)):
        messages.success(request, f"There is a channel '{made.name}' now.")
        return HttpResponseRedirect(reverse("channel", args=[made.name]))
    return render(request, "agents/new_channel.html", {"form": form}, status=422 if form.errors else 200)


def _made(request: PageRequest, form: ChannelForm) -> Channel | None:
    """The channel that the form says; none where that cannot be, which then stands in the form."""
    try:
        return create(request.access.organization.pk, **form.cleaned_data)
    except InvalidInput as wrong:
        put_errors(form, invalid_request(wrong, ""), {"channel": "name"})
    except Conflict as taken:
        put_errors(form, taken)
    return None


@require_POST
@page(Capability.RUN)
def publish(request: PageRequest, name: str) -> HttpResponse:
    """Publish a message; what was typed stays where it is no JSON or does not fit the channel's schema."""
    overview.find_channel(name)  # a form makes no new channel, as a message over HTTP does
    typed = request.POST.get("payload", "")
    sender = bus.Sender(organization_id=request.access.organization.pk, origin=request.access.actor)
    try:
        message = bus.publish(name, json.loads(typed), sender)
    except (BadRequest, TooLarge, Fatal) as wrong:
        return _page(request, name, typed=typed, fault=getattr(wrong, "detail", None) or str(wrong), status=422)
    messages.success(request, f"Message {message.seq} is on the channel.")
    return HttpResponseRedirect(reverse("channel", args=[name]))


def _page(request: PageRequest, name: str, *, typed: str = "", fault: str = "", status: int = 200) -> HttpResponse:
    found = overview.find_channel(name)
    dead = letters.dead_letters(name).order_by("-created_at", "-id")
    newest = overview.messages(found).order_by("-created_at", "-id")[:MOST_MESSAGES]
    context = {
        "channel": found,
        "groups": found.groups.all(),
        "letters": [(letter, _shown(letter.message)) for letter in dead[:MOST_LETTERS]],
        "letters_in_all": dead.aggregate(number=Count("pk"))["number"],
        "messages_shown": [(message, _shown(message)) for message in newest],
        "may_run": request.access.can(Capability.RUN),
        "typed": typed,
        "fault": fault,
    }
    template = "agents/_channel.html" if is_fragment(request) else "agents/channel.html"
    return render(request, template, context, status=status)


@require_POST
@page(Capability.RUN)
def dead_letter(request: PageRequest, name: str, ref: UUID) -> HttpResponse:
    """Deliver a dead letter again, or discard it."""
    decision = request.POST.get("decision", "")
    if decision not in letters.DECISIONS:
        raise BadRequest("A decision is 'redeliver' or 'discard'.", code="invalid_decision")
    letters.decide(str(ref), decision, by=request.access.actor)
    messages.success(request, SAID[decision])
    return HttpResponseRedirect(reverse("channel", args=[name]))


def _row(channel: Channel) -> dict[str, Any]:
    groups: list[Any] = list(channel.groups.all())
    return {
        "channel": channel,
        "groups": groups,
        "most_behind": max(groups, key=lambda group: group.lag, default=None),
        "dead": sum(group.dead for group in groups),
    }


def _shown(message: ChannelMessage) -> str:
    text = json.dumps(redact_value(message.payload)).decode()
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"

"""Channels over HTTP: what there is, publishing, and deciding about dead letters."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import Answer, run_once
from apps.agents.bus import dead_letters, overview
from apps.agents.bus import exchange as bus
from apps.agents.bus.channels import delete_channel, delete_group
from apps.agents.bus.messages import message_of
from apps.agents.bus.serializers import (
    ChannelSerializer,
    DeadLetterDecisionSerializer,
    DeadLetterSerializer,
    DeclareSerializer,
    MessageSerializer,
    PublishSerializer,
    channel_json,
    dead_letter_json,
    message_json,
)
from apps.agents.models import ChannelMessage
from apps.common.openapi import page_of
from apps.common.outcomes import invalid_request
from apps.common.pagination import paginate
from apps.common.parameters import LISTING, choice, many, text
from apps.common.serializers import checked
from apps.common.validation import InvalidInput


class ChannelsView(OrganizationView):
    """The channels of the organization."""

    query = {"GET": LISTING}

    @extend_schema(responses={200: page_of(ChannelSerializer)}, operation_id="list_channels")
    def get(self, request: Request) -> Response:
        """List the channels by name, with what each group has still to read."""
        sorts = {"name": ("name",), "created_at": ("created_at", "id")}
        return paginate(overview.channels(), request, sorts=sorts, default="name", serialize=channel_json)


class ChannelView(OrganizationView):
    """One channel."""

    @extend_schema(responses={200: ChannelSerializer}, operation_id="get_channel")
    def get(self, _request: Request, name: str) -> Response:
        """Show a channel with its schema and its groups."""
        return Response(channel_json(overview.find_channel(name)))

    @extend_schema(request=DeclareSerializer, responses={200: ChannelSerializer}, operation_id="declare_channel")
    def put(self, request: Request, name: str) -> Response:
        """Make a channel what the body says; messages that do not fit its schema are refused from now on."""
        wanted = checked(DeclareSerializer, request)
        try:
            bus.declare(self.access.organization.pk, name, **wanted)
        except InvalidInput as wrong:
            raise invalid_request(wrong, "") from None
        return Response(channel_json(overview.find_channel(name)))

    @extend_schema(responses={204: None}, operation_id="delete_channel")
    def delete(self, _request: Request, name: str) -> Response:
        """Delete a channel with its messages and groups; the next message makes a new one."""
        delete_channel(overview.find_channel(name))
        return Response(status=204)


class ChannelGroupView(OrganizationView):
    """One group of readers."""

    @extend_schema(responses={204: None}, operation_id="delete_channel_group")
    def delete(self, _request: Request, name: str, group: str) -> Response:
        """Delete a group that nobody reads in any more, with what it had to read."""
        delete_group(overview.find_channel(name), group)
        return Response(status=204)


class ChannelMessagesView(OrganizationView):
    """The messages of a channel."""

    capabilities = {"GET": "view", "POST": "run"}
    query = {"GET": {**LISTING, "kind": many(choice(*ChannelMessage.Kind.values, description="Only these kinds."))}}

    @extend_schema(responses={200: page_of(MessageSerializer)}, operation_id="list_channel_messages")
    def get(self, request: Request, name: str) -> Response:
        """List the messages of a channel, the newest first. Looking at them takes them from nobody."""
        channel = overview.find_channel(name)
        found, kinds = overview.messages(channel), self.query_values["kind"]
        found = found.filter(kind__in=kinds) if kinds else found
        return paginate(found, request, serialize=lambda row: message_json(message_of(row, channel.name)))

    @extend_schema(request=PublishSerializer, responses={201: MessageSerializer}, operation_id="publish_message")
    def post(self, request: Request, name: str) -> Response:
        """Publish a message; a channel that is not there is made. With `signal` it continues a run as well."""
        wanted = checked(PublishSerializer, request)
        return run_once(request, lambda: self._publish(name, wanted))

    def _publish(self, name: str, wanted: dict[str, Any]) -> Answer:
        sender = bus.Sender(organization_id=self.access.organization.pk, origin=self.access.actor)
        payload, signal = wanted.pop("payload"), wanted.pop("signal")
        options = bus.Options(**wanted, signal=bus.Signal(**signal) if signal else None)
        try:
            return 201, message_json(bus.publish(name, payload, sender, options))
        except InvalidInput as wrong:
            raise invalid_request(wrong, "") from None


class DeadLettersView(OrganizationView):
    """The dead letters of all channels."""

    query = {"GET": {**LISTING, "channel": text("Only of this channel.")}}

    @extend_schema(responses={200: page_of(DeadLetterSerializer)}, operation_id="list_dead_letters")
    def get(self, request: Request) -> Response:
        """List the messages that groups could not handle and that nobody has decided on, the newest first."""
        return paginate(dead_letters.dead_letters(self.query_values["channel"]), request, serialize=dead_letter_json)


class DeadLetterView(OrganizationView):
    """One dead letter."""

    capabilities = {"POST": "run"}

    @extend_schema(
        request=DeadLetterDecisionSerializer, responses={200: DeadLetterSerializer}, operation_id="decide_dead_letter"
    )
    def post(self, request: Request, ref: str) -> Response:
        """Deliver a dead letter again, or discard it; the first decision counts."""
        decision = checked(DeadLetterDecisionSerializer, request)["decision"]

        def work() -> Answer:
            return 200, dead_letter_json(dead_letters.decide(ref, decision, by=self.access.actor))

        return run_once(request, work)

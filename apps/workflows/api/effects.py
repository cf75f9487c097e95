"""What runs have sent into the world, and deciding what nobody knows about it."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.access import OrganizationView
from apps.accounts.idempotency import Answer, run_once
from apps.common.errors import BadRequest, ErrorItem
from apps.common.openapi import page_of
from apps.common.pagination import paginate
from apps.common.parameters import LISTING, choice, integer, many, text
from apps.common.serializers import StrictSerializer, checked
from apps.workflows import selectors
from apps.workflows.models import Effect, Run
from apps.workflows.serializers.effects import EffectDetail, EffectView, effect_detail, effect_view
from apps.workflows.services import repeated_effects, unknown_effects

STATE = many(choice(*Effect.State.values, description="Effects in one of these states."))
TOOL = text("Calls of this tool.")
REPEATED = {
    "would_repeat": choice("retry", "fork", description="Only what a retry, or a fork, would send again."),
    "from_node": text("Where the fork would begin.", max_length=128),
    "visit": integer(1, 10**9, description="Which visit of that node; without it the latest."),
}


class EffectDecisionSerializer(StrictSerializer):
    """What became of an effect."""

    decision = serializers.ChoiceField(
        choices=list(unknown_effects.DECISIONS),
        help_text="`happened`: go on with `result`; `retry`: it did not, send it again; `fail`: give up.",
    )
    result = serializers.JSONField(
        required=False, default=None, allow_null=True, help_text="What the call would have given, with `happened`."
    )
    comment = serializers.CharField(required=False, default="", allow_blank=True, max_length=5000)


class EffectsView(OrganizationView):
    """The effects of all runs."""

    query = {"GET": {**LISTING, "state": STATE, "tool": TOOL}}

    @extend_schema(responses={200: page_of(EffectView)}, operation_id="list_effects")
    def get(self, request: Request) -> Response:
        """List outgoing calls, the newest first; `?state=unknown` are those that wait for a decision."""
        found = selectors.effects()
        return paginate(_filtered(found, self.query_values), request, serialize=effect_view)


class RunEffectsView(OrganizationView):
    """The effects of a run."""

    query = {"GET": {**LISTING, "state": STATE, "tool": TOOL, **REPEATED}}

    @extend_schema(responses={200: page_of(EffectView)}, operation_id="list_run_effects")
    def get(self, request: Request, ref: str) -> Response:
        """List what a run has sent into the world, in order, or what a retry or a fork would send again."""
        found = self._found(selectors.find_run(ref))
        return paginate(_filtered(found, self.query_values), request, default="created_at", serialize=effect_view)

    def _found(self, run: Run) -> QuerySet[Effect]:
        repeat, node, visit = (self.query_values[name] for name in REPEATED)
        if repeat == "fork":
            if node is None:
                raise _wrong("from_node", "missing", "A fork begins at a node.", "Add ?from_node=NODE.")
            return repeated_effects.repeated_by_fork(run, node, visit)
        if node is not None or visit is not None:
            name = "from_node" if node is not None else "visit"
            raise _wrong(name, "not_allowed", f"'{name}' goes with a fork only.", "Add ?would_repeat=fork.")
        return repeated_effects.repeated_by_retry(run) if repeat else selectors.effects(run)


class OneEffectView(OrganizationView):
    """One effect."""

    capabilities = {"GET": "view", "POST": "run"}

    @extend_schema(responses={200: EffectDetail}, operation_id="get_effect")
    def get(self, _request: Request, ref: str) -> Response:
        """Show an outgoing call with its result."""
        return Response(effect_detail(selectors.find_effect(ref)))

    @extend_schema(request=EffectDecisionSerializer, responses={200: EffectDetail}, operation_id="decide_effect")
    def post(self, request: Request, ref: str) -> Response:
        """Say what became of an unknown effect; the run that failed for it goes on. The first decision counts."""
        wanted = checked(EffectDecisionSerializer, request)
        effect = selectors.find_effect(ref)

        def work() -> Answer:
            unknown_effects.decide_effect(effect, by=self.access.actor, **wanted)
            return 200, effect_detail(selectors.find_effect(str(effect.pk)))

        return run_once(request, work)


def _filtered(found: QuerySet[Effect], wanted: Mapping[str, Any]) -> QuerySet[Effect]:
    if wanted["state"]:
        found = selectors.effects_known_as(found, wanted["state"])
    return found.filter(tool=wanted["tool"]) if wanted["tool"] else found


def _wrong(name: str, code: str, message: str, fix: str) -> BadRequest:
    return BadRequest(
        f"{message} {fix}", code="invalid_parameter", errors=[ErrorItem(f"/query/{name}", code, message, fix)]
    )

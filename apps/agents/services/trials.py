"""Trying a new version of an agent on a share of its work, beside the older one that does the rest.

1. Which of both works is a matter of the session, or else of the run: who talks with one version goes on with it.
2. Both take and give the same by their schemas, so that nobody who uses the agent can tell them apart.
3. What counts is a visit that came to its end, and one that ended with a Fatal error: limits, guardrails, refusals.
   What may be tried again (a provider that is away) says nothing about a prompt.
"""

import hashlib
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django_scopes import scope

from apps.accounts.models import Organization
from apps.agents import selectors
from apps.agents.llm.spec import AgentSpec
from apps.agents.models import AgentDefinition, AgentTrial, AgentTrialFigures, AgentVersion
from apps.agents.services.definitions import save_agent
from apps.common.errors import Conflict, ErrorItem, Invalid

BUCKETS = 100  # a percent each


@dataclass(frozen=True)
class Began:
    """A trial, and whether it is a new one."""

    trial: AgentTrial
    is_new: bool


@transaction.atomic
def start_trial(*, organization: Organization, name: str, against: int, percent: int, by: str) -> Began:
    """Give the newest version of an agent this share of the visits, and an older one the rest.

    A trial of the same two goes on with the new share. Raises NotFound for an agent or version that is not there,
    Invalid for a share that is none and for a version that cannot stand beside the newest, and Conflict where another
    trial is on.
    """
    if not 1 <= percent < BUCKETS:
        raise _invalid("percent", "The share is a whole number from 1 to 99: both versions work.")
    agent = _locked(name)
    going_on = selectors.trial_of(agent)
    if going_on is not None and going_on.baseline != against:
        message = f"Version {going_on.candidate} is on trial beside version {going_on.baseline}: decide that one first."
        raise Conflict(message, code="trial_on")
    if going_on is not None:
        going_on.percent = percent
        going_on.save(update_fields=["percent"])
        return Began(going_on, is_new=False)
    _check_pair(name, agent.latest_version, against)
    trial = AgentTrial.objects.create(
        organization=organization,
        agent=agent,
        candidate=agent.latest_version,
        baseline=against,
        percent=percent,
        started_by=by,
    )
    return Began(trial, is_new=True)


@transaction.atomic
def end_trial(*, organization: Organization, name: str, keep: int, by: str) -> AgentVersion:
    """Decide for one of the two versions, and give the version that works from now on.

    The older one is saved as a new version. Raises NotFound where no trial is on, and Invalid for a version that is
    not part of it.
    """
    _locked(name)
    trial = selectors.find_trial(name)
    if keep not in {trial.candidate, trial.baseline}:
        message = f"Version {keep} is not on trial: keep {trial.candidate} or {trial.baseline}."
        raise Invalid(message, code="not_on_trial", errors=[ErrorItem("/keep", "not_on_trial", message)])
    trial.ended_at, trial.ended_by, trial.kept = timezone.now(), by, keep
    trial.save(update_fields=["ended_at", "ended_by", "kept"])
    kept = selectors.find_version(name, keep)
    if keep == trial.candidate:
        return kept
    return save_agent(
        organization=organization,
        name=name,
        document=kept.document,
        by=by,
        message=f"As in version {keep}, kept after a trial.",
    ).version


def chosen(trial: AgentTrial, subject: str) -> int:
    """Give the number of the version that works for a session or run: the same one as long as the trial goes on."""
    digest = hashlib.sha256(f"{trial.pk} {subject}".encode()).digest()
    is_tried = int.from_bytes(digest[:8]) % BUCKETS < trial.percent
    return trial.candidate if is_tried else trial.baseline


def count_visit(
    trial: UUID, number: int, organization_id: UUID, *, failed: bool, turns: int = 0, tokens: int = 0, cost: int = 0
) -> None:
    """Count what a version made of a visit; `cost` is in micro-dollars. Nothing where the trial has been deleted."""
    with scope(organization=organization_id):
        row = AgentTrialFigures(organization_id=organization_id, trial_id=trial, number=number)
        if not AgentTrial.objects.filter(pk=trial).exists():
            return
        AgentTrialFigures.objects.bulk_create([row], ignore_conflicts=True)
        AgentTrialFigures.objects.filter(trial=trial, number=number).update(
            visits=F("visits") + 1,
            failures=F("failures") + int(failed),
            turns=F("turns") + turns,
            tokens=F("tokens") + tokens,
            cost_micro_usd=F("cost_micro_usd") + cost,
        )


def _locked(name: str) -> AgentDefinition:
    return AgentDefinition.objects.select_for_update().get(pk=selectors.find_agent(name).pk)


def _check_pair(name: str, candidate: int, against: int) -> None:
    """Raise Invalid where nobody could use one version in place of the other."""
    if against == candidate:
        raise _invalid("against", f"Version {against} is the newest: name an older one that does the rest of the work.")
    newer, older = (_spec(name, number) for number in (candidate, against))
    if (newer.input_schema, newer.output_schema) != (older.input_schema, older.output_schema):
        raise _invalid(
            "against",
            f"Version {against} takes or gives something else than version {candidate}: those who use the agent "
            "would notice. Compare versions with the same `input_schema` and `output_schema`.",
        )


def _spec(name: str, number: int) -> AgentSpec:
    return AgentSpec.model_validate(selectors.find_version(name, number).document)


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(message, code="invalid_trial", errors=[ErrorItem(f"/{field}", "invalid_trial", message)])

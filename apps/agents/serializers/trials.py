"""The wire forms of trials."""

from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from apps.agents import selectors
from apps.agents.models import AgentTrial
from apps.common.json import JSON
from apps.common.serializers import StrictSerializer


class StartTrialSerializer(StrictSerializer):
    """A version to compare the newest with."""

    against = serializers.IntegerField(min_value=1, help_text="The older version, which does the rest of the work.")
    percent = serializers.IntegerField(help_text="Of the visits, for the newest version: from 1 to 99.")


class EndTrialSerializer(StrictSerializer):
    """The version to decide for."""

    keep = serializers.IntegerField(min_value=1, help_text="One of the two that are on trial.")


class ArmSerializer(serializers.Serializer[Any]):
    """What a version made of its visits; null where it had none."""

    version = serializers.IntegerField()
    percent = serializers.IntegerField()
    visits = serializers.IntegerField()
    failures = serializers.IntegerField()
    success = serializers.FloatField(allow_null=True)
    success_between = serializers.ListField(
        child=serializers.FloatField(), allow_null=True, help_text="With 95 % confidence."
    )
    turns_per_visit = serializers.FloatField(allow_null=True)
    tokens_per_visit = serializers.FloatField(allow_null=True)
    usd_per_visit = serializers.FloatField(allow_null=True)


class TrialSerializer(serializers.Serializer[Any]):
    """The newest version of an agent on trial beside an older one."""

    agent = serializers.CharField()
    candidate = serializers.IntegerField()
    baseline = serializers.IntegerField()
    percent = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    started_by = serializers.CharField()
    verdict = serializers.CharField()
    versions = ArmSerializer(many=True)


def trial_json(trial: AgentTrial) -> dict[str, JSON]:
    """Give a trial with what it has shown so far."""
    both = selectors.arms(trial)
    return {
        "agent": trial.agent.name,
        "candidate": trial.candidate,
        "baseline": trial.baseline,
        "percent": trial.percent,
        "started_at": trial.created_at,
        "started_by": trial.started_by,
        "verdict": selectors.verdict(*both),
        "versions": [_arm_json(arm) for arm in both],
    }


def _arm_json(arm: selectors.Arm) -> dict[str, JSON]:
    shown = {"number": "version", **{name: f"{name}_per_visit" for name in ("turns", "tokens", "usd")}}
    return {shown.get(name, name): value for name, value in asdict(arm).items()}

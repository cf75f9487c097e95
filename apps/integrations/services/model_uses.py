"""What would ask a model in vain if it were gone."""

from collections.abc import Collection

from apps.integrations.models import ModelSetting
from apps.observability.models import Budget


def uses_of(*, names: Collection[str], provider: str = "", apart_from: Collection[str] = ()) -> list[str]:
    """Give the models whose fallback one of these is, and the budgets that ask it at their cap.

    With a provider its models under their full names count too. `apart_from` names models that go along.
    """

    def is_meant(name: str) -> bool:
        return name in names or bool(provider and name.startswith(f"{provider}/"))

    settings = ModelSetting.objects.exclude(name__in=list(apart_from))
    models = [one.name for one in settings if any(map(is_meant, one.fallbacks))]
    budgets = Budget.objects.exclude(cheaper_model="")
    return [*models, *(f"budget {one.name}" for one in budgets if is_meant(one.cheaper_model))]
